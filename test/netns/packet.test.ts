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
import { BROADCAST, ETHERTYPE, ethernet, ipv4, PROTOCOL, sctp, tcp } from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { packetPortOf } from '../support/packetPort.js';
import { expectPing } from '../support/ping.js';
import { Scope } from '../support/scope.js';
import { sendSuperframe, sendUnfinished } from '../support/superframe.js';
import { expectTransfer, expectUdpEcho, openStream } from '../support/tcp.js';
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
    test('a tagged superframe passes whole, and as segments where it must', async () => {
      const { c1, c2, c4 } = containers as Record<'c1' | 'c2' | 'c4', Container>;
      const [whole, cut] = [await Capture.start(scope, c2), await Capture.start(scope, c4)];
      const ends = { src: c1.address[4], dst: '10.0.0.99' };
      const payload = Buffer.from(Array.from({ length: 5000 }, (_, n) => n % 251));
      const fields = { sourcePort: 1, destinationPort: 2, flags: 0x18 };
      const tags = [{ vid: 5 }];
      const frameOf = (id: number, segment: Buffer) => {
        const ip = { ...ends, protocol: PROTOCOL.tcp, dontFragment: true, id };
        return ethernet({ dst: BROADCAST, src: c1.mac, tags }, ipv4(ip, segment));
      };
      const frame = frameOf(7, tcp(ends, fields, payload));
      await sendSuperframe(c1, { frame, segment: 1000, transportAt: 38 });
      const start = frame.subarray(0, 1500);
      await whole.waitFor(1, (seen) => seen.subarray(0, start.length).equals(start));
      const segments = [0, 1, 2, 3, 4].map((n) => {
        const flags = n === 4 ? 0x18 : 0x10;
        const piece = payload.subarray(1000 * n, 1000 * (n + 1));
        return frameOf(7 + n, tcp(ends, { ...fields, flags, sequence: 1000 * n }, piece));
      });
      const tagged = (seen: Buffer) => seen.subarray(12, 16).equals(frame.subarray(12, 16));
      expect(await cut.waitFor(5, tagged)).toEqual(segments);
      expect(await vswitchd.drops('rx.vnet_hdr_bad')).toBe(0);
    });

    test('TCP in a tunnel of its sender is dropped by name until the sender cuts it', async () => {
      const { c1, c2 } = containers as Record<'c1' | 'c2', Container>;
      const from = await tunnelIn(c1, c2);
      const to = await tunnelIn(c2, c1);
      await expectPing(from, { to: to.address[4] });
      const before = await vswitchd.drops('rx.offload_unknown');
      const trial = new Scope();
      try {
        await openStream(trial, { from, to, family: 4 });
        const dropped = async () => (await vswitchd.drops('rx.offload_unknown')) > before;
        await eventually('superframes are dropped', dropped);
      } finally {
        await trial.close();
      }
      for (const { namespace, ifname } of [c1, c2]) {
        const off = ['tx-udp_tnl-segmentation', 'tx-udp_tnl-csum-segmentation'];
        const settings = off.flatMap((name) => [name, 'off']);
        await namespace.exec('ethtool', ['-K', ifname, ...settings]);
      }
      await expectTransfer({ from, to, family: 4, bytes: 2_000_000 });
      expect(await vswitchd.drops('rx.vnet_hdr_bad')).toBe(0);
    });
  } else {
    test('a checksum of which nothing says where it belongs is dropped by name', async () => {
      const { c1, c2 } = containers as Record<'c1' | 'c2', Container>;
      const ends = { src: c1.address[4], dst: c2.address[4] };
      const packet = ipv4({ ...ends, protocol: 200 }, Buffer.alloc(100, 1));
      const frame = ethernet({ dst: c2.mac, src: c1.mac }, packet);
      const before = await vswitchd.drops('rx.offload_unknown');
      await sendUnfinished(c1, { frame, transportAt: 34, checksumAt: 4 });
      const dropped = async () => (await vswitchd.drops('rx.offload_unknown')) === before + 1;
      await eventually('one drop', dropped);
    });
  }

  test('SCTP that leaves its CRC to the interface arrives with it at every kind of port', async () => {
    const { c1, ...others } = containers as Record<'c1' | 'c2' | 'c3' | 'c4', Container>;
    const ends = { src: c1.address[4], dst: '10.0.0.99', protocol: PROTOCOL.sctp };
    const frameOf = (checksum?: number) => {
      const ports = { sourcePort: 1, destinationPort: 2, tag: 0x1234, checksum };
      const packet = ipv4(ends, sctp(ports, Buffer.alloc(301, 'chunk')));
      return ethernet({ dst: BROADCAST, src: c1.mac, tags: [{ vid: 9 }] }, packet);
    };
    const captures = await Promise.all(
      Object.values(others).map((container) => Capture.start(scope, container)),
    );
    await sendUnfinished(c1, { frame: frameOf(0), transportAt: 38, checksumAt: 8 });
    for (const capture of captures) {
      await capture.waitFor(1, (seen) => seen.equals(frameOf()));
    }
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

/** A kernel vxlan of the container's own, whose datagrams go through its interface; the container at its address there. */
async function tunnelIn(own: Container, other: Container): Promise<Container> {
  const address = { 4: own.address[4].replace('10.0.0.', '10.9.0.'), 6: '' };
  await own.namespace.ip(`
    link add name inner0 type vxlan id 77 dstport 4790 remote ${other.address[4]} dev ${own.ifname}
    link set dev inner0 mtu 1380 up
    address add ${address[4]}/24 dev inner0
  `);
  return { ...own, ifname: 'inner0', address };
}
