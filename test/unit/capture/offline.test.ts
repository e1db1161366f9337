/** What `vswitchctl pcap` finds in captures that are made by hand. */

import { describe, expect, it } from 'vitest';
import { Analysis } from '../../../src/capture/offline/analysis.js';
import { LIMITS, type Limits } from '../../../src/capture/offline/bounded.js';
import { AnyCaptureReader } from '../../../src/capture/offline/captureReader.js';
import { reportOf } from '../../../src/capture/offline/report.js';
import {
  links,
  onEthernet,
  type PcapForm,
  pcapBytes,
  udpPacket,
  vxlanPacket,
} from '../../support/captureForge.js';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  icmpEcho,
  ipv4,
  ipv6,
  numberedMac,
  PROTOCOL,
  udp,
  vxlan,
} from '../../support/frames.js';
import { PcapngForge } from '../../support/pcapngForge.js';

const [A, B, C] = [numberedMac(1), numberedMac(2), numberedMac(3)];
const [ONE, TWO, THREE] = ['10.200.0.1', '10.200.0.2', '10.200.0.3'];
const INNER = { src: '10.0.0.1', dst: '10.0.0.2' };

function inner(src: string, dst: string, tos = 0): Buffer {
  const echo = icmpEcho(INNER, { type: 'request' }, Buffer.alloc(8));
  return ethernet({ src, dst }, ipv4({ ...INNER, protocol: PROTOCOL.icmp, tos }, echo));
}

const question = ethernet(
  { src: A, dst: BROADCAST, type: ETHERTYPE.arp },
  arp({ op: 1, senderMac: A, senderIp: INNER.src, targetIp: INNER.dst }),
);

/** A question, a ping, and its answer from the other host. */
const CONVERSATION = [
  vxlanPacket(question),
  vxlanPacket(inner(A, B)),
  vxlanPacket(inner(B, A), { from: TWO, to: ONE }),
];

function reportOn(bytes: Buffer, limits?: Limits, chunk = bytes.length) {
  const analysis = new Analysis([4789, 8472, 4790], limits);
  const reader = new AnyCaptureReader();
  for (let at = 0; at < bytes.length; at += chunk) {
    for (const item of reader.read(bytes.subarray(at, at + chunk))) analysis.add(item);
  }
  const problem = reader.end();
  if (problem) analysis.add(problem);
  return reportOf(analysis);
}

const reportOnPackets = (packets: readonly Uint8Array[], form?: PcapForm) =>
  reportOn(
    pcapBytes(
      packets.map((packet) => onEthernet(packet)),
      form,
    ),
  );

const netOf = (report: ReturnType<typeof reportOn>, vni = 256) =>
  report.networks.find((network) => network.vni === vni);

describe('a conversation', () => {
  it('is told by network, VTEP pair, MAC and protocol', () => {
    const report = reportOnPackets(CONVERSATION);
    expect(report).toMatchObject({ packets: 3, datagrams: 3, snapped: 0, drops: [], problems: [] });
    expect(netOf(report)).toMatchObject({
      frames: 3,
      bytes: question.length + 2 * inner(A, B).length,
      unicast: 2,
      broadcast: 1,
      vteps: [
        { from: ONE, to: TWO, udp_port: 4789, frames: 2 },
        { from: TWO, to: ONE, udp_port: 4789, frames: 1 },
      ],
      macs: [
        { mac: A, vtep: ONE, frames: 2 },
        { mac: B, vtep: TWO, frames: 1 },
      ],
      protocols: [
        { protocol: 'IPv4 ICMP', frames: 2 },
        { protocol: 'ARP', frames: 1 },
      ],
    });
    expect(report.oddities).toEqual([]);
    expect(report.udp_checksums).toEqual([{ verdict: 'good', datagrams: 3 }]);
  });

  const expected = netOf(reportOnPackets(CONVERSATION));

  it.each([
    ['little', false],
    ['big', false],
    ['little', true],
    ['big', true],
  ] as const)('is the same in pcap of %s endian, nanoseconds: %s', (order, nanoseconds) => {
    expect(netOf(reportOnPackets(CONVERSATION, { order, nanoseconds }))).toEqual(expected);
  });

  it.each(links)('is the same on $name', ({ linkType, header }) => {
    const packets = CONVERSATION.map((packet) => Buffer.concat([header(packet), packet]));
    const report = reportOn(pcapBytes(packets, { linkType }));
    expect(netOf(report)).toEqual(expected);
    expect(report.unread).toEqual([]);
  });

  it.each(['little', 'big'] as const)('is the same in pcapng of %s endian', (order) => {
    const forge = new PcapngForge(order);
    const packets = CONVERSATION.map((packet) => forge.packet(0, onEthernet(packet)));
    const report = reportOn(Buffer.concat([forge.section(), forge.interface('eth0'), ...packets]));
    expect(netOf(report)).toMatchObject({
      frames: 3,
      macs: expected?.macs.map(({ mac, vtep, frames }) => ({ mac, vtep, frames })),
    });
  });

  it('is the same whatever pieces the file comes in', () => {
    const file = pcapBytes(CONVERSATION.map((packet) => onEthernet(packet)));
    const whole = reportOn(file);
    for (const chunk of [1, 3, 17, 100]) expect(reportOn(file, undefined, chunk)).toEqual(whole);
  });

  it('is told over IPv6', () => {
    const ends = { from: 'fd00:200::1', to: 'fd00:200::2' };
    for (const { linkType, header } of links) {
      const packet = vxlanPacket(inner(A, B), ends);
      const report = reportOn(pcapBytes([Buffer.concat([header(packet), packet])], { linkType }));
      expect(netOf(report)?.vteps).toMatchObject([{ ...ends, frames: 1 }]);
    }
  });

  it('is known by its headers where no more was kept', () => {
    const report = reportOnPackets(CONVERSATION, { snaplen: 90 });
    expect(report.snapped).toBe(3);
    expect(netOf(report)).toMatchObject({ frames: 3, bytes: expected?.bytes, macs: [{}, {}] });
  });

  it('is looked for on the ports that are asked for', () => {
    const other = udpPacket(vxlan({ vni: 5 }, inner(A, B)), { udp: { destinationPort: 5000 } });
    expect(reportOnPackets([other]).datagrams).toBe(0);
    const analysis = new Analysis([5000]);
    const reader = new AnyCaptureReader();
    for (const item of reader.read(pcapBytes([onEthernet(other)]))) analysis.add(item);
    expect(reportOf(analysis)).toMatchObject({ datagrams: 1, networks: [{ vni: 5 }] });
  });
});

describe('what every vswitchd would drop', () => {
  const bad = (packet: Buffer, at: number, value: number) => {
    packet.writeUInt16BE(value, at);
    return packet;
  };
  const header = (flags: number) => vxlan({ vni: 256, flags }, inner(A, B));
  const short = ethernet({ src: A, dst: B, type: ETHERTYPE.ipv4 }, Buffer.alloc(19));
  it.each([
    ['rx.outer_ip_bad', bad(vxlanPacket(inner(A, B)), 10, 0x1234)],
    ['rx.outer_udp_len', vxlanPacket(inner(A, B), { udp: { length: 7 } })],
    ['rx.outer_udp_len', vxlanPacket(inner(A, B), { udp: { length: 2000 } })],
    ['rx.outer_udp_csum', vxlanPacket(inner(A, B), { udp: { checksum: 0x1234 } })],
    ['rx.too_short_vxlan', udpPacket(Buffer.alloc(7))],
    ['rx.outer_src_invalid', vxlanPacket(inner(A, B), { from: '127.0.0.1' })],
    ['rx.outer_src_invalid', vxlanPacket(inner(A, B), { from: 'ff02::1', to: 'fd00::1' })],
    ['rx.vxlan_no_i', udpPacket(header(0xf7))],
    ['rx.too_short_inner', vxlanPacket(Buffer.alloc(13))],
    ['rx.inner_ip_short', vxlanPacket(short)],
    ['rx.ecn_ce_notect', vxlanPacket(inner(A, B), { tos: 3 })],
    ['rx.src_mac_mcast', vxlanPacket(inner('03:00:00:00:00:01', B))],
    ['rx.src_mac_zero', vxlanPacket(inner('00:00:00:00:00:00', B))],
    ['rx.dst_mac_zero', vxlanPacket(inner(A, '00:00:00:00:00:00'))],
    ['rx.l2ctrl_filtered', vxlanPacket(inner(A, '01:80:c2:00:00:02'))],
    ['rx.src_eq_dst', vxlanPacket(inner(A, A))],
  ])('%s', (reason, packet) => {
    const report = reportOnPackets([CONVERSATION[0]!, packet]);
    expect(report.drops).toMatchObject([{ reason, datagrams: 1, first: { packet: 2 } }]);
    expect(report.datagrams).toBe(2);
    const network = netOf(report);
    expect(network?.macs).toMatchObject([{ mac: A, frames: 1 }]);
  });

  it('is not judged by bytes that were not kept', () => {
    const packets = [udpPacket(header(0xf7)), vxlanPacket(inner(A, A))];
    const report = reportOnPackets(packets, { snaplen: 14 + 20 + 8 + 7 });
    expect(report).toMatchObject({ datagrams: 2, cut_before_vni: 2, drops: [], networks: [] });
    const more = reportOnPackets(packets, { snaplen: 14 + 20 + 8 + 8 + 13 });
    expect(more).toMatchObject({ drops: [{ reason: 'rx.vxlan_no_i' }], networks: [{ cut: 1 }] });
  });
});

describe('headers beyond RFC 7348', () => {
  it('are told', () => {
    const packets = [
      vxlan({ vni: 256, flags: 0x88, reserved1: 0x08_0007 }, inner(A, B)),
      vxlan({ vni: 256, flags: 0x0c, reserved1: 3 }, inner(A, B)),
      vxlan({ vni: 256, flags: 0x0c, reserved1: 1 }, inner(A, B).subarray(14)),
      vxlan({ vni: 256, flags: 0x48 }, inner(A, B)),
      vxlan({ vni: 256, reserved2: 1 }, inner(A, B)),
    ].map((payload) => udpPacket(payload));
    expect(netOf(reportOnPackets(packets))).toMatchObject({
      frames: 5,
      group_policy: 1,
      protocol_extension: 2,
      reserved_bits: 2,
      protocols: [
        { protocol: 'IPv4 ICMP', frames: 4 },
        { protocol: 'GPE IPv4', frames: 1 },
      ],
    });
  });

  it('VLANs inside are told', () => {
    const tagged = ethernet(
      { src: A, dst: B, tags: [{ vid: 7 }, { vid: 8 }] },
      inner(A, B).subarray(14),
    );
    const network = netOf(reportOnPackets([vxlanPacket(tagged)]));
    expect(network).toMatchObject({
      vlans: [{ vlan: 7, frames: 1 }],
      protocols: [{ protocol: 'IPv4 ICMP' }],
    });
  });
});

describe('trouble of the underlay', () => {
  it('UDP checksums that are left out, unfinished, or not to be checked', () => {
    const whole = vxlanPacket(inner(A, B));
    // What Linux writes before the network card: the sum of the pseudo header alone.
    const length = whole.length - 20;
    let pseudo = 17 + length;
    for (let at = 12; at < 20; at += 2) pseudo += whole.readUInt16BE(at);
    const unfinished = Buffer.from(whole);
    unfinished.writeUInt16BE((pseudo & 0xffff) + (pseudo >> 16), 26);
    const none = vxlanPacket(inner(A, B), { udp: { checksum: 0 } });
    const report = reportOnPackets([whole, unfinished, none]);
    expect(report.drops).toEqual([]);
    expect(report.udp_checksums).toEqual(
      ['good', 'unfinished', 'none'].map((verdict) => ({ verdict, datagrams: 1 })),
    );
    const snapped = reportOnPackets([vxlanPacket(inner(A, B), { udp: { checksum: 1 } })], {
      snaplen: 64,
    });
    expect(snapped).toMatchObject({
      drops: [],
      udp_checksums: [{ verdict: 'unchecked', datagrams: 1 }],
    });
  });

  it('ECN that does not go together (RFC 6040)', () => {
    const packets = [
      vxlanPacket(inner(A, B, 2), { tos: 3 }),
      vxlanPacket(inner(A, B, 3), { tos: 1 }),
      vxlanPacket(inner(A, B, 0), { tos: 2 }),
      vxlanPacket(question, { tos: 3 }),
    ];
    expect(reportOnPackets(packets).ecn).toEqual({
      congested: 1,
      nonip: 1,
      odd: [
        { inner: 'CE', outer: 'ECT(1)', datagrams: 1 },
        { inner: 'Not-ECT', outer: 'ECT(0)', datagrams: 1 },
      ],
    });
  });

  it('datagrams in pieces, which are counted and not decoded', () => {
    const ends = { src: ONE, dst: TWO };
    const ports = { sourcePort: 50_000, destinationPort: 4789 };
    const datagram = udp(ends, ports, vxlan({ vni: 300 }, Buffer.alloc(1600)));
    const piece = { ...ends, protocol: PROTOCOL.udp, id: 77 };
    const packets = [
      ipv4({ ...piece, moreFragments: true }, datagram.subarray(0, 1400)),
      ipv4({ ...piece, fragmentOffset: 1400 }, datagram.subarray(1400)),
      ipv4({ ...piece, id: 78, fragmentOffset: 1400 }, datagram.subarray(1400)),
    ];
    const v6 = { src: 'fd00::1', dst: 'fd00::2', nextHeader: 44 };
    const head = (offsetAndMore: number) => {
      const bytes = Buffer.from([PROTOCOL.udp, 0, 0, 0, 0, 0, 0, 9]);
      bytes.writeUInt16BE(offsetAndMore, 2);
      return bytes;
    };
    packets.push(ipv6(v6, Buffer.concat([head(1), datagram.subarray(0, 1400)])));
    packets.push(ipv6(v6, Buffer.concat([head(1400), datagram.subarray(1400)])));
    const report = reportOnPackets(packets);
    expect(report).toMatchObject({ datagrams: 0, networks: [] });
    expect(report.mtu).toMatchObject({
      fragments: [
        { from: ONE, to: TWO, vni: 300, datagrams: 1, pieces: 2, first: { packet: 1 } },
        { from: 'fd00::1', to: 'fd00::2', vni: 300, datagrams: 1, pieces: 2 },
      ],
      stray_fragments: 1,
    });
  });

  it('what ICMP says about datagrams', () => {
    const quoted = vxlanPacket(inner(A, B), { from: ONE, to: TWO });
    const v6 = vxlanPacket(inner(A, B), { from: 'fd00::1', to: 'fd00::2' });
    const said = (type: number, code: number, field: number, quote: Uint8Array) => {
      const head = Buffer.alloc(8);
      head.writeUInt8(type, 0);
      head.writeUInt8(code, 1);
      head.writeUInt32BE(field, 4);
      return Buffer.concat([head, quote]);
    };
    const router = { src: '10.200.9.9', dst: ONE, protocol: PROTOCOL.icmp };
    const router6 = { src: 'fd00::9', dst: 'fd00::1', nextHeader: PROTOCOL.icmpv6 };
    const report = reportOnPackets([
      ipv4(router, said(3, 4, 1400, quoted)),
      ipv4(router, said(3, 4, 1400, quoted)),
      ipv4(router, said(3, 4, 1300, quoted.subarray(0, 28))),
      ipv4({ ...router, src: TWO }, said(3, 3, 0, quoted)),
      ipv6(router6, said(2, 0, 1280, v6)),
      ipv6(router6, said(129, 0, 0, v6)),
    ]);
    expect(report.mtu.too_big).toMatchObject([
      { by: '10.200.9.9', from: ONE, to: TWO, mtu: 1400, vni: 256, times: 2 },
      { by: '10.200.9.9', mtu: 1300, times: 1 },
      { by: 'fd00::9', from: 'fd00::1', to: 'fd00::2', mtu: 1280, vni: 256 },
    ]);
    expect(report.mtu.too_big[1]).not.toHaveProperty('vni');
    expect(report.icmp).toMatchObject([{ kind: 'port_unreachable', by: TWO, to: TWO, times: 1 }]);
  });

  it('large packets', () => {
    const frame = Buffer.concat([inner(A, B), Buffer.alloc(2000)]);
    expect(reportOnPackets([vxlanPacket(frame)]).mtu).toMatchObject({
      above_1500: 1,
      largest: frame.length + 36,
    });
  });
});

describe('what looks wrong together', () => {
  it('a MAC that moves, with the times', () => {
    const packets = [ONE, ONE, THREE, ONE].map((from) => vxlanPacket(inner(A, B), { from }));
    const report = reportOnPackets(packets);
    expect(report.moves).toEqual([
      { vni: 256, mac: A, from: ONE, to: THREE, packet: 3, at: '1970-01-01T00:00:02.000Z' },
      { vni: 256, mac: A, from: THREE, to: ONE, packet: 4, at: '1970-01-01T00:00:03.000Z' },
    ]);
    expect(netOf(report)?.macs).toMatchObject([{ mac: A, vtep: ONE, moves: 2 }]);
  });

  it.each([
    ['one_way', [vxlanPacket(inner(A, B))]],
    ['zero_vni', [vxlanPacket(inner(A, B), { vni: 0 })]],
    [
      'several_udp_ports',
      [vxlanPacket(inner(A, B)), vxlanPacket(inner(A, B), { udp: { destinationPort: 8472 } })],
    ],
    ['mac_in_several_vnis', [vxlanPacket(inner(A, B)), vxlanPacket(inner(A, B), { vni: 257 })]],
    [
      'mixed_families',
      [vxlanPacket(inner(A, B)), vxlanPacket(inner(A, B), { from: 'fd00::1', to: 'fd00::2' })],
    ],
    [
      'one_source_port',
      Array.from({ length: 100 }, (_, n) => vxlanPacket(inner(n % 2 ? A : C, B))),
    ],
  ])('%s', (kind, packets) => {
    expect(reportOnPackets(packets).oddities.map((oddity) => oddity.kind)).toContain(kind);
  });

  it('one VTEP behind two Ethernet addresses', () => {
    const frames = [A, C].map((mac) => onEthernet(vxlanPacket(inner(A, B)), mac));
    const [, oddity] = reportOn(pcapBytes(frames)).oddities;
    expect(oddity?.sentence).toContain(`${ONE} sends from the Ethernet addresses ${A}, ${C}`);
  });
});

describe('captures of vswitchd itself', () => {
  it('tell what it dropped, of packets and of places without them', () => {
    const forge = new PcapngForge();
    const statistics = Buffer.concat([
      forge.u32(0, 0, 0),
      forge.options([{ code: 1, value: Buffer.from('rx.sock_overflow: 12 frames') }]),
    ]);
    const report = reportOn(
      Buffer.concat([
        forge.section(),
        forge.interface('net1/c1 (VNI 256)'),
        forge.packet(0, inner(A, B), 'drop tx.hairpin: The destination is behind the port.'),
        forge.packet(0, inner(A, B), 'drop tx.hairpin: The destination is behind the port.'),
        forge.packet(0, inner(A, B), 'flood (broadcast) to 3 ports'),
        forge.block(5, statistics),
        forge.statistics(0, { received: 9, lost: 4 }),
      ]),
    );
    expect(report).toMatchObject({ packets: 3, datagrams: 0, lost: 4, problems: [] });
    expect(report.captured_drops).toEqual([
      { reason: 'tx.hairpin', packets: 2, frames: 0 },
      { reason: 'rx.sock_overflow', packets: 0, frames: 12 },
    ]);
  });
});

describe('garbage', () => {
  const file = pcapBytes(CONVERSATION.map((packet) => onEthernet(packet)));
  it.each([
    ['is empty', Buffer.alloc(0), 0],
    ['is neither pcap nor pcapng', Buffer.from('#!/bin/sh\n'), 0],
    ['is compressed', Buffer.from('1f8b0800', 'hex'), 0],
    ['ends within its header', file.subarray(0, 20), 0],
    [
      'ends within a packet',
      file.subarray(0, file.length - 1),
      file.length - 16 - 14 - CONVERSATION[2]!.length,
    ],
  ])('%s', (what, bytes, at) => {
    expect(reportOn(bytes).problems).toEqual([{ at, what: expect.stringContaining(what) }]);
  });

  it('is told with what was read before it', () => {
    const broken = Buffer.concat([file, Buffer.alloc(16, 0xff), file]);
    const report = reportOn(broken);
    expect(report).toMatchObject({ packets: 3, networks: [{ frames: 3 }] });
    expect(report.problems).toEqual([
      { at: file.length, what: 'has a packet of 4294967295 bytes' },
    ]);
  });

  it('of one pcapng block does not end the reading', () => {
    const forge = new PcapngForge();
    const packet = forge.packet(0, onEthernet(CONVERSATION[0]!));
    const report = reportOn(
      Buffer.concat([
        ...[forge.section(), forge.interface('eth0'), packet],
        ...[forge.packet(7, question), forge.block(6, Buffer.alloc(4)), packet],
      ]),
    );
    expect(report.packets).toBe(2);
    expect(report.problems.map(({ what }) => what)).toEqual([
      'has a packet of an interface that it does not name',
      'has a packet without its fields',
    ]);
  });

  it('links that are not known are counted', () => {
    const report = reportOn(pcapBytes(CONVERSATION, { linkType: 147 }));
    expect(report.unread).toEqual([{ why: 'unknown link type', packets: 3 }]);
  });
});

it('the memory is bounded, and what was left out is told', () => {
  const limits = { ...LIMITS, networks: 2, pairs: 3, stations: 4, findings: 1 };
  const packets = Array.from({ length: 100 }, (_, n) =>
    vxlanPacket(inner(numberedMac(n % 10), B), { vni: n % 5, from: `10.200.0.${1 + (n % 7)}` }),
  );
  const report = reportOn(pcapBytes(packets.map((packet) => onEthernet(packet))), limits);
  expect(report).toMatchObject({ packets: 100, datagrams: 100 });
  expect(report.networks).toHaveLength(2);
  expect(report.networks.flatMap(({ vteps }) => vteps)).toHaveLength(3);
  expect(report.networks.flatMap(({ macs }) => macs).length).toBeLessThanOrEqual(4);
  expect(report.capped).toContainEqual({ table: 'networks', left_out: 60 });
  expect(report.capped.map(({ table }) => table)).toContain('moves');
});
