/**
 * ARP and ND about neighbors that the control plane knows, through the seam. What the addon makes itself is judged by
 * tshark.
 *
 *   a (10.0.0.1), b (10.0.0.3) ── net (VNI 256) ══ 10.200.0.2 (10.0.0.2)
 */

import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { NeighborSpec, NetworkSpec } from '../../src/datapath/seam.js';
import { decodePcap } from '../support/capture.js';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  ipv6,
  neighborSolicitation,
  numberedMac,
  PROTOCOL,
} from '../support/frames.js';
import { temporaryDirectory } from '../support/netns.js';
import { writePcap } from '../support/pcap.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, PEER } from './desired.js';
import { droppedFor, MemorySwitch } from './memorySwitch.js';

function neighbor(n: number, given: Partial<NeighborSpec> = {}): NeighborSpec[] {
  const plain = { mac: numberedMac(n), local: false, state: 'live', router: false } as const;
  return [`10.0.0.${n}`, `fd00::${n}`].map((ip) => ({ ip, ...plain, ...given }));
}

const neighbors = [
  ...neighbor(1, { local: true }),
  ...neighbor(2, { router: true }),
  ...neighbor(3, { local: true }),
  ...neighbor(4, { state: 'stale' }),
  ...neighbor(5, { state: 'dead' }),
];

async function running(given: Partial<NetworkSpec> = {}): Promise<MemorySwitch> {
  return await MemorySwitch.running(testScope(), desired(lab({ neighbors, ...given })));
}

/** Station 1 asks by ARP; without an address of its own it is a probe. */
function who(target: number, senderIp = '10.0.0.1'): Buffer {
  const fields = { op: 1, senderMac: numberedMac(1), senderIp, targetIp: `10.0.0.${target}` };
  return ethernet({ dst: BROADCAST, src: numberedMac(1), type: ETHERTYPE.arp }, arp(fields));
}

/** The same in IPv6; without an address of its own it looks for a duplicate. */
function solicit(target: number, src = 'fd00::1'): Buffer {
  const last = target.toString(16).padStart(2, '0');
  const ends = { src, dst: `ff02::1:ff00:${target.toString(16)}` };
  const option = src === '::' ? {} : { sourceMac: numberedMac(1) };
  const message = neighborSolicitation(ends, { target: `fd00::${target}`, ...option });
  return ethernet(
    { dst: `33:33:ff:00:00:${last}`, src: numberedMac(1) },
    ipv6({ ...ends, nextHeader: PROTOCOL.icmpv6, hopLimit: 255 }, message),
  );
}

async function notes(lab: MemorySwitch): Promise<Record<string, number>> {
  const counters = await lab.settled();
  const at = counters.networks[0]?.ports.find(({ name }) => name === 'a');
  return Object.fromEntries((at?.notes ?? []).map(({ note, times }) => [note, times]));
}

/** What a frame is to tshark, its checksums verified and nothing found that is odd. */
async function decoded<Field extends string>(frame: Buffer | undefined, fields: readonly Field[]) {
  const file = join(await temporaryDirectory(testScope(), 'answer'), 'answer.pcap');
  await writePcap(file, frame === undefined ? [] : [frame]);
  const judged = ['_ws.malformed', '_ws.expert.message', 'icmpv6.checksum.status'] as const;
  const [row] = await decodePcap<Field | (typeof judged)[number]>(file, [...fields, ...judged]);
  expect(row).toMatchObject({ '_ws.malformed': '', '_ws.expert.message': '' });
  expect(row?.['icmpv6.checksum.status']).not.toBe('0');
  return row;
}

const ARP_FIELDS = [
  ...['eth.src', 'eth.dst', 'arp.opcode', 'arp.src.hw_mac', 'arp.src.proto_ipv4'],
  ...['arp.dst.hw_mac', 'arp.dst.proto_ipv4'],
] as const;

it('[K185] answers for a station elsewhere, at the port that asked and nowhere else', async () => {
  const lab = await running();
  const counters = await lab.enter('a', who(2));
  const [answer, ...more] = lab.left('a');
  expect([more, lab.left('b'), lab.sent()]).toEqual([[], [], []]);
  expect(await decoded(answer, ARP_FIELDS)).toMatchObject({
    'eth.src': numberedMac(2),
    'eth.dst': numberedMac(1),
    'arp.opcode': '2',
    'arp.src.hw_mac': numberedMac(2),
    'arp.src.proto_ipv4': '10.0.0.2',
    'arp.dst.hw_mac': numberedMac(1),
    'arp.dst.proto_ipv4': '10.0.0.1',
  });
  expect(counters.networks[0]).toMatchObject({ consumed: 1, generated: 1, flooded: 0 });
  expect(await notes(lab)).toEqual({ 'arp.proxied': 1 });
});

it('[K190] answers a probe so that the prober sees the conflict', async () => {
  const lab = await running();
  await lab.enter('a', who(2, '0.0.0.0'));
  const [answer] = lab.left('a');
  const expected = { 'arp.src.proto_ipv4': '10.0.0.2', 'arp.dst.proto_ipv4': '0.0.0.0' };
  expect(await decoded(answer, ARP_FIELDS)).toMatchObject(expected);
  expect(await notes(lab)).toEqual({ 'arp.probe_answered': 1 });
});

const ND_FIELDS = [
  ...['eth.src', 'eth.dst', 'ipv6.src', 'ipv6.dst', 'ipv6.hlim', 'icmpv6.type'],
  ...['icmpv6.nd.na.target_address', 'icmpv6.nd.na.flag', 'icmpv6.opt.target_linkaddr'],
  'icmpv6.checksum.status',
] as const;

it('[K198] [K200] advertises a station elsewhere to who asks, and a duplicate to all', async () => {
  const lab = await running();
  await lab.enter('a', solicit(2));
  const always = {
    'eth.src': numberedMac(2),
    'ipv6.src': 'fd00::2',
    'ipv6.hlim': '255',
    'icmpv6.type': '136',
    'icmpv6.nd.na.target_address': 'fd00::2',
    'icmpv6.opt.target_linkaddr': numberedMac(2),
    'icmpv6.checksum.status': '1',
  };
  expect(await decoded(lab.left('a')[0], ND_FIELDS)).toMatchObject({
    ...always,
    ...{ 'eth.dst': numberedMac(1), 'ipv6.dst': 'fd00::1', 'icmpv6.nd.na.flag': '0xe0000000' },
  });
  await lab.enter('a', solicit(2, '::'));
  expect(await decoded(lab.left('a')[0], ND_FIELDS)).toMatchObject({
    ...always,
    ...{ 'eth.dst': '33:33:00:00:00:01', 'ipv6.dst': 'ff02::1' },
    'icmpv6.nd.na.flag': '0xa0000000',
  });
  expect([lab.left('b'), lab.sent()]).toEqual([[], []]);
  expect(await notes(lab)).toEqual({ 'nd.proxied': 1, 'nd.dad_answered': 1 });
});

it('[K186] [K187] [K197] [K204] asks the owner itself where it is not known, here, or may be gone', async () => {
  const lab = await running();
  const known = { 3: 'local', 4: 'stale', 5: 'owner_dead', 9: 'flooded' };
  for (const target of Object.keys(known).map(Number)) {
    for (const question of [who(target), solicit(target)]) {
      await lab.enter('a', question);
      expect([lab.left('a'), lab.left('b')], `${target}`).toEqual([[], [question]]);
      expect(lab.sent()).toHaveLength(target === 3 ? 0 : 1);
    }
  }
  const names = ['arp', 'nd'].flatMap((kind) =>
    Object.values(known).map((why) => `${kind}.${why}`),
  );
  expect(await notes(lab)).toEqual(Object.fromEntries(names.map((name) => [name, 1])));
});

it('[K188] [K189] keeps an announcement here, and drops and tells a false one', async () => {
  const lab = await running();
  const announced = who(1);
  await lab.enter('a', announced);
  expect([lab.left('a'), lab.left('b'), lab.sent()]).toEqual([[], [announced], []]);
  const forged = ethernet(
    { dst: BROADCAST, src: numberedMac(9), type: ETHERTYPE.arp },
    arp({ op: 2, senderMac: numberedMac(9), senderIp: '10.0.0.2', targetIp: '10.0.0.2' }),
  );
  const counters = await lab.enter('a', forged, forged);
  expect([lab.left('a'), lab.left('b'), lab.sent()]).toEqual([[], [], []]);
  expect(droppedFor(counters)).toEqual({ 'arp.spoof': 2 });
  expect(lab.events()).toEqual([
    {
      ...{ type: 'ipConflict', at: expect.any(Number), network: 'net', port: 'a' },
      ...{ ip: '10.0.0.2', mac: numberedMac(9), owner: numberedMac(2) },
    },
  ]);
});

it('[K206] announces to the ports here that an address has another MAC, before apply is done', async () => {
  const switched = await running();
  const moved = [...neighbors.filter(({ mac }) => mac !== numberedMac(2))];
  const now = moved.concat(neighbor(2, { mac: numberedMac(22) }));
  await switched.apply(desired(lab({ neighbors: now })));
  const [byArp, byNd, ...more] = switched.left('a');
  expect(more).toEqual([]);
  expect(switched.left('b')).toEqual([byArp, byNd]);
  expect(switched.sent()).toEqual([]);
  expect(await decoded(byArp, [...ARP_FIELDS, 'arp.isgratuitous'])).toMatchObject({
    'eth.dst': BROADCAST,
    'arp.src.hw_mac': numberedMac(22),
    'arp.src.proto_ipv4': '10.0.0.2',
    'arp.isgratuitous': expect.stringMatching(/1|True/),
  });
  expect(await decoded(byNd, ND_FIELDS)).toMatchObject({
    'eth.dst': '33:33:00:00:00:01',
    'icmpv6.nd.na.target_address': 'fd00::2',
    'icmpv6.opt.target_linkaddr': numberedMac(22),
    'icmpv6.nd.na.flag': '0x20000000',
  });
  expect(await notes(switched)).toEqual({ 'arp.garp_sent': 1, 'nd.na_sent': 1 });
  expect((await switched.settled()).networks[0]).toMatchObject({ generated: 4 });
});

it('leaves everything alone where the control plane knows nothing', async () => {
  const lab = await running({ neighbors: [] });
  const questions = [who(2), who(1), solicit(2)];
  await lab.enter('a', ...questions);
  expect([lab.left('a'), lab.left('b')]).toEqual([[], questions]);
  expect(lab.sent().map(({ destination }) => destination)).toEqual([PEER, PEER, PEER]);
  expect(await notes(lab)).toEqual({});
});

it.each([
  ['no address', { ip: '10.0.0' }],
  ['no MAC', { mac: '02' }],
  ['no such state', { state: 'maybe' as 'live' }],
])('refuses a neighbor that has %s', async (_what, given) => {
  const switched = await running();
  const bad = desired(lab({ neighbors: neighbor(7, given).slice(0, 1) }));
  await expect(switched.apply(bad)).rejects.toMatchObject({
    code: 'BAD_VALUE',
    subject: 'network net',
  });
});
