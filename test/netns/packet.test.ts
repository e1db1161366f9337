/**
 * Packet ports: ends of veth pairs, read and written through AF_PACKET sockets.
 *
 *   c1 ── veth, packet port ┐
 *   c2 ── veth, packet port ┼ vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c4
 *   c3 ── TAP ──────────────┘
 */

import { beforeAll, describe, expect, test } from 'vitest';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { packetPortOf } from '../support/packetPort.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

describe.each(['auto', 'off'] as const)('offload header %s', (vnetHdr) => {
  const scope = fileScope();
  const containers: Record<string, Container> = {};
  let vswitchd: Vswitchd;

  beforeAll(async () => {
    const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
    const [one, two] = hosts as [Host, Host];
    for (const n of [1, 2, 3, 4]) containers[`c${n}`] = await createContainer(scope, `c${n}`, n);
    const { c1, c2, c3, c4 } = containers as Record<'c1' | 'c2' | 'c3' | 'c4', Container>;
    const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
    await kernel.attach(c4);
    const ports = [await packetPortOf(one, c1), await packetPortOf(one, c2), portOf(c3)];
    vswitchd = await Vswitchd.start(scope, one, {
      datapath: { features: { vnet_hdr: vnetHdr } },
      networks: [{ name: 'net', vni: 256, peers: [two.address[4]], ports }],
    });
  });

  test.each([
    ['c1', 'c2'],
    ['c1', 'c3'],
    ['c3', 'c1'],
    ['c1', 'c4'],
    ['c4', 'c1'],
  ])('%s and %s reach each other: ping, TCP, UDP', async (a, b) => {
    const [from, to] = [containers[a] as Container, containers[b] as Container];
    await expectPing(from, { to: to.address[4] });
    await expectPing(from, { to: to.address[6], size: 1402 });
    await expectTransfer({ from, to, family: 4, bytes: 2_000_000 });
    await expectTransfer({ from, to, family: 6, bytes: 500_000 });
    await expectUdpEcho({ from, to, family: 4 }, { flows: 4, count: 20, size: 1200 });
  });

  test('every checksum was right, and every frame is accounted for', async () => {
    for (const { namespace } of Object.values(containers)) {
      const errors = await namespace.snmp();
      expect(errors).toMatchObject({ TcpInCsumErrors: 0, UdpInCsumErrors: 0, Udp6InCsumErrors: 0 });
    }
    await vswitchd.balanced();
    const { ports } = await vswitchd.network('net');
    expect(ports.filter(({ kind }) => kind === 'packet').map(({ name }) => name)).toEqual([
      'c1',
      'c2',
    ]);
  });
});
