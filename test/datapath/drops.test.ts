/**
 * Every drop reason that needs no kernel: what makes it happen, and that it is found by its name in a trace, in the
 * counters, in Prometheus' text and in a capture.
 *
 *   a, b ── net (VNI 256) ══ 10.200.0.2
 */

import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { AnyCaptureReader } from '../../src/capture/offline/captureReader.js';
import { CounterViews } from '../../src/daemon/counterViews.js';
import { readProcess } from '../../src/daemon/metrics/process.js';
import { metricsText } from '../../src/daemon/metrics/text.js';
import type { Counters, MemoryDatagram, NetworkSpec, Trace } from '../../src/datapath/seam.js';
import { madeInNamespaces } from '../support/dropReasons.js';
import {
  arp,
  BROADCAST,
  type Ends,
  ETHERTYPE,
  ethernet,
  type Ipv4Fields,
  ipv4,
  ipv6,
  neighborAdvertisement,
  numberedMac,
  PROTOCOL,
  routerAdvertisement,
  udp,
  vxlan,
} from '../support/frames.js';
import { parseMetrics, seriesValue } from '../support/prometheus.js';
import { testScope } from '../support/testScope.js';
import { CaptureReader } from './capturing.js';
import { desired, lab, network, OTHER_PEER, OWN, PEER, port, tunnel } from './desired.js';
import { addon, datagram, droppedFor, MemorySwitch } from './memorySwitch.js';

const [A, B, C, D] = [1, 2, 3, 4].map(numberedMac) as [string, string, string, string];
const ZERO = '00:00:00:00:00:00';

/** What is dropped: a frame where it enters, or a datagram. */
type Offender = { readonly port: string; readonly frame: Buffer } | MemoryDatagram;

interface Offence {
  readonly offender: Offender;
  /** How often it comes, of which some are dropped; unless given, once. */
  readonly times?: number;
  /** `lab()` unless given. */
  readonly networks?: readonly NetworkSpec[];
  /** Brings the switch where the offender is dropped. */
  before?(lan: MemorySwitch): Promise<unknown>;
  /** Why a trace of the offender cannot say the same. */
  readonly untraceable?: string;
}

function text(src: string, dst: string, length = 46): Buffer {
  return ethernet({ dst, src, type: ETHERTYPE.experimental }, Buffer.alloc(length, 'text'));
}
const hello = text(A, BROADCAST);
const tagged = (vid: number) =>
  ethernet({ dst: BROADCAST, src: A, type: ETHERTYPE.experimental, tags: [{ vid }] }, hello);

/** A UDP packet of so many bytes, from 10.0.0.1. */
function packet(length: number, fields: Partial<Ipv4Fields> = {}, sourcePort = 5000): Buffer {
  const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
  const message = udp(ends, { sourcePort, destinationPort: 5001 }, Buffer.alloc(length - 28));
  const header = { ...ends, protocol: PROTOCOL.udp, dontFragment: true, ...fields };
  return ethernet({ dst: B, src: A }, ipv4(header, message));
}

function message(ends: Ends, icmp: Buffer): Buffer {
  const header = { ...ends, nextHeader: PROTOCOL.icmpv6, hopLimit: 255 };
  return ethernet({ dst: '33:33:00:00:00:01', src: A }, ipv6(header, icmp));
}

function resolution(op: 1 | 2, senderIp: string): Buffer {
  const fields = { op, senderMac: A, senderIp, targetIp: '10.0.0.2' };
  return ethernet({ dst: BROADCAST, src: A, type: ETHERTYPE.arp }, arp(fields));
}

const fromA = (frame: Buffer): Offender => ({ port: 'a', frame });
const fromPeer = (frame: Buffer, more: Parameters<typeof datagram>[1] = {}): Offender =>
  datagram(frame, more);

const guarded = (...addresses: string[]) => [
  lab({ ports: [port('a', { guard: { macs: [A], addresses } }), port('b')] }),
];
/** 10.0.0.2 and fd00::2 are behind the peer. */
const neighbors = ['10.0.0.2', 'fd00::2'].map((ip) => ({
  ...{ ip, mac: B, local: false, router: false },
  state: 'live' as const,
}));
const wide = [
  network('net', 256, { ports: [port('a', { mtu: 9000 })], tunnels: [tunnel(PEER, 256)] }),
];
/** A's own link-local address. */
const router = { src: 'fe80::ff:fe00:1', dst: 'ff02::1' };
const claim6 = { src: 'fd00::2', dst: 'ff02::1' };

const offences: Readonly<Record<string, Offence>> = {
  'rx.too_short_vxlan': { offender: { ...datagram(hello), payload: Buffer.alloc(7) } },
  'rx.outer_src_self': { offender: fromPeer(hello, { from: OWN }) },
  'rx.outer_src_invalid': { offender: fromPeer(hello, { from: '0.0.0.0' }) },
  'rx.vxlan_no_i': {
    offender: { ...datagram(hello), payload: vxlan({ vni: 256, flags: 0 }, hello) },
  },
  'rx.vni_unknown': { offender: fromPeer(hello, { vni: 999 }) },
  'rx.vni_down': { networks: [lab({ up: false })], offender: fromPeer(hello) },
  'rx.vtep_unknown': { offender: fromPeer(hello, { from: '10.200.0.9' }) },
  'rx.vtep_vni_denied': {
    networks: [lab(), network('other', 257, { tunnels: [tunnel(OTHER_PEER, 257)] })],
    offender: fromPeer(hello, { from: OTHER_PEER }),
  },
  'rx.vtep_limit': {
    networks: [lab({ openPeers: true })],
    before: async (lan) => {
      for (let n = 0; n < 300; n++)
        await lan.arrive(datagram(hello, { from: `10.201.${n >> 8}.${n & 255}` }));
    },
    offender: fromPeer(hello, { from: '10.202.0.1' }),
  },
  'rx.port_oversize': { offender: fromA(text(A, B, 1451)) },
  'rx.network_down': { networks: [lab({ up: false })], offender: fromA(hello) },
  'rx.vxlan_rsvd_drop': {
    networks: [lab({ reservedBits: 'drop' })],
    offender: { ...datagram(hello), payload: vxlan({ vni: 256, reserved2: 1 }, hello) },
  },
  'rx.too_short_inner': { offender: fromPeer(Buffer.alloc(13)) },
  'rx.inner_ip_short': {
    offender: fromPeer(ethernet({ dst: A, src: C, type: ETHERTYPE.ipv4 }, Buffer.alloc(19))),
  },
  'rx.ecn_ce_notect': { offender: fromPeer(packet(100), { tos: 3 }) },
  'rx.spoof_mac': { networks: guarded(), offender: fromA(text(C, B)) },
  'rx.spoof_ip': { networks: guarded('10.0.0.9'), offender: fromA(packet(100)) },
  'rx.dhcp_guard': { networks: guarded('10.0.0.1'), offender: fromA(packet(100, {}, 67)) },
  'rx.ra_guard': {
    networks: guarded(),
    offender: fromA(message(router, routerAdvertisement(router))),
  },
  'rx.src_mac_mcast': { offender: fromA(text('01:00:5e:00:00:01', B)) },
  'rx.src_mac_zero': { offender: fromA(text(ZERO, B)) },
  'rx.src_eq_dst': { offender: fromA(text(A, A)) },
  'rx.dst_mac_zero': { offender: fromA(text(A, ZERO)) },
  'rx.l2ctrl_filtered': { offender: fromA(text(A, '01:80:c2:00:00:00')) },
  'rx.inner_vlan': { offender: fromA(tagged(7)) },
  'rx.inner_vlan_denied': {
    networks: [lab({ innerVlan: 'allow', innerVlans: [{ first: 8, last: 9 }] })],
    offender: fromPeer(tagged(7)),
  },
  'rx.inner_prio_tag': { networks: [lab({ priorityTag: 'drop' })], offender: fromA(tagged(0)) },
  'rx.fdb_static_conflict': {
    networks: [lab({ fdb: [{ mac: A, origin: 'static', to: { port: 'b' } }] })],
    offender: fromA(hello),
  },
  'arp.spoof': { networks: [lab({ neighbors })], offender: fromA(resolution(2, '10.0.0.2')) },
  'nd.spoof': {
    networks: [lab({ neighbors })],
    offender: fromA(
      message(claim6, neighborAdvertisement(claim6, { target: 'fd00::2', targetMac: A })),
    ),
  },
  'arp.ratelimited': {
    networks: [lab({ neighbors })],
    offender: fromA(resolution(1, '10.0.0.1')),
    times: 5000,
    untraceable: 'the first thousand are answered',
  },
  'tx.hairpin': {
    before: (lan) => lan.enter('a', text(C, BROADCAST)),
    offender: fromA(text(A, C)),
  },
  'tx.split_horizon': {
    networks: [lab({ tunnels: [tunnel(PEER, 256), tunnel(OTHER_PEER, 256)] })],
    before: (lan) => lan.arrive(datagram(text(C, BROADCAST))),
    offender: fromPeer(text(D, C), { from: OTHER_PEER }),
  },
  'tx.no_target': {
    networks: [network('net', 256, { ports: [port('a')] })],
    offender: fromA(hello),
  },
  'tx.uu_suppressed': {
    networks: [lab({ dropUnknownUnicast: true })],
    offender: fromA(text(A, B)),
  },
  'tx.port_mtu': {
    networks: [lab({ ports: [port('a'), port('b', { mtu: 100 })] })],
    offender: fromA(text(A, B, 101)),
  },
  'tx.port_queue': {
    networks: [network('net', 256, { ports: [port('a'), port('b')] })],
    before: (lan) => fill(lan),
    offender: fromA(hello),
    untraceable: 'a trace looks at no queue',
  },
  'tx.sock_full': {
    networks: [network('net', 256, { ports: [port('a')], tunnels: [tunnel(PEER, 256)] })],
    before: (lan) => fill(lan),
    offender: fromA(hello),
    untraceable: 'a trace looks at no queue',
  },
  'tx.too_big': { networks: wide, offender: fromA(packet(1451)) },
  'tx.too_big_nodf': { networks: wide, offender: fromA(packet(1451, { dontFragment: false })) },
  'tx.too_big_noicmp': { networks: wide, offender: fromA(text(A, BROADCAST, 1451)) },
};

/** Frames that nobody takes away, as many as the queues of memory hold. */
async function fill(lan: MemorySwitch): Promise<void> {
  for (let n = 0; n < 66; n++) await lan.enter('a', ...Array(1000).fill(hello));
}

it('every reason is made by a test', () => {
  const made = [...Object.keys(offences), ...madeInNamespaces];
  expect(made.sort()).toEqual(
    addon
      .dropReasons()
      .map(({ name }) => name)
      .sort(),
  );
});

it.each(Object.entries(offences))('%s', async (reason, offence) => {
  const networks = offence.networks ?? [lab()];
  const lan = await MemorySwitch.running(testScope(), desired(...networks));
  await offence.before?.(lan);
  const { offender, times = 1, untraceable } = offence;
  const traced = reasonsOf(lan.native.trace(requestOf(offender)));
  if (untraceable === undefined) expect(traced).toContain(reason);
  const before = droppedFor(await lan.settled())[reason] ?? 0;
  const capture = await CaptureReader.start(testScope(), lan.datapath, { dropsOnly: true });
  const counters = await commit(lan, offender, times);
  const frames = (droppedFor(counters)[reason] ?? 0) - before;
  expect(frames).toBeGreaterThanOrEqual(1);
  expect(frames).toBeLessThanOrEqual(times);
  expect(await measured(counters, reason)).toBe(before + frames);
  await capture.end();
  const { packets, statistics } = await remarks(capture.file);
  const named = packets.filter((comment) => comment.startsWith(`drop ${reason}: `));
  expect(named).toHaveLength(frames);
  expect(named[0]).toContain(sentenceOf(reason));
  expect(statistics).toContain(`${reason}: ${frames} ${frames === 1 ? 'frame' : 'frames'}`);
});

async function commit(lan: MemorySwitch, offender: Offender, times: number): Promise<Counters> {
  return 'frame' in offender
    ? await lan.enter(offender.port, ...Array<Buffer>(times).fill(offender.frame))
    : await lan.arrive(...Array<MemoryDatagram>(times).fill(offender));
}

function sentenceOf(reason: string): string | undefined {
  return addon.dropReasons().find(({ name }) => name === reason)?.sentence;
}

/** As Prometheus reads it. */
async function measured(counters: Counters, reason: string): Promise<number | undefined> {
  const views = new CounterViews(addon.dropReasons());
  const text = await metricsText({
    ...{ version: '0', networks: [], ports: [], captures: [], hosts: [] },
    counters: views.counters(counters, Date.now()),
    drops: views.totals(counters),
    store: { state: 'connected', since: 0, garbage: [], conflicts: [] },
    process: readProcess(),
  });
  return seriesValue(parseMetrics(text), 'vswitchd_dropped_frames_total', { reason });
}

/** What a capture says of its packets, and in its statistics. */
async function remarks(file: string) {
  const packets: string[] = [];
  const statistics: string[] = [];
  for (const item of new AnyCaptureReader().read(await readFile(file))) {
    if (item.kind === 'packet') packets.push(...item.comments);
    if (item.kind === 'statistics') statistics.push(...item.comments);
  }
  return { packets, statistics };
}

function requestOf(offender: Offender) {
  if ('frame' in offender) return { port: offender.port, bytes: offender.frame };
  const { source, sourcePort, destinationPort: udpPort, tos = 0, payload } = offender;
  return { datagram: { source, sourcePort, udpPort, tos }, bytes: payload };
}

function reasonsOf({ reason, copies }: Trace): (string | undefined)[] {
  return [reason, ...copies.map((copy) => copy.reason)];
}
