/**
 * Packet ports: ends of veth pairs, read and written through AF_PACKET sockets.
 *
 *   c1 ── veth, packet port ┐
 *   c2 ── veth, packet port ┼ vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c4
 *   c3 ── TAP ──────────────┘
 */

import { beforeAll, describe, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST, ETHERTYPE, ethernet, ipv4, PROTOCOL, tcp } from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { packetPortOf } from '../support/packetPort.js';
import { expectPing } from '../support/ping.js';
import { sendSuperframe } from '../support/superframe.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd, type VswitchdSpec } from '../support/vswitchd.js';

type Features = NonNullable<VswitchdSpec['datapath']>['features'];

describe.each<{ title: string; features: Features }>([
  { title: 'with an offload header', features: {} },
  { title: 'without an offload header', features: { vnet_hdr: 'off' } },
  {
    title: 'without an offload header, a call per frame',
    features: { vnet_hdr: 'off', recvmmsg: 'off', sendmmsg: 'off' },
  },
])('$title', ({ features }) => {
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
      datapath: { features },
      networks: [{ name: 'net', vni: 256, peers: [two.address[4]], inner_vlan: 'allow', ports }],
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

  test.each([
    ['one tag', [{ vid: 5, pcp: 3 }]],
    ['a priority tag', [{ vid: 0, pcp: 7 }]],
    ['two tags', [{ vid: 100, tpid: 0x88a8 }, { vid: 7 }]],
  ])('%s reaches every kind of port byte for byte', async (name, tags) => {
    const { c1, ...others } = containers as Record<'c1' | 'c2' | 'c3' | 'c4', Container>;
    const type = ETHERTYPE.experimental;
    const payload = Buffer.from(`${name} `.padEnd(80));
    const frame = ethernet({ dst: BROADCAST, src: c1.mac, tags, type }, payload);
    const captures = await Promise.all(
      Object.values(others).map((container) => Capture.start(scope, container)),
    );
    await sendFrames(c1, [frame]);
    for (const capture of captures) {
      await capture.waitFor(1, (seen) => seen.equals(frame));
    }
  });

  // Without the header nothing says that a forged superframe is one.
  if (features?.vnet_hdr !== 'off') {
    test('a tagged superframe passes, its checksum unfinished', async () => {
      const { c1, c2 } = containers as Record<'c1' | 'c2', Container>;
      const ends = { src: c1.address[4], dst: c2.address[4] };
      const segment = tcp(ends, { sourcePort: 1, destinationPort: 2 }, Buffer.alloc(5000));
      const packet = ipv4({ ...ends, protocol: PROTOCOL.tcp, dontFragment: true }, segment);
      const frame = ethernet({ dst: c2.mac, src: c1.mac, tags: [{ vid: 5 }] }, packet);
      const sent = async () =>
        (await vswitchd.network('net')).ports.find(({ name }) => name === c2.name)?.tx_frames ?? 0;
      await expectPing(c1, { to: c2.address[4] });
      const before = await sent();
      await sendSuperframe(c1, { frame, segment: 1000, transportAt: 38 });
      await eventually('five segments', async () => (await sent()) >= before + 5);
      expect(await vswitchd.drops('rx.vnet_hdr_bad')).toBe(0);
    });
  }

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
