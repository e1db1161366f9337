// What an analysis found, as plain data: `vswitchctl --json pcap` prints it as it is. Units: frames, datagrams,
// packets, bytes; times are ISO 8601.

import { offlineReasons } from '../../model/dropReasons.js';
import { macText } from './addresses.js';
import type { Analysis } from './analysis.js';
import type { Network, Sighting } from './network.js';
import { oddities } from './oddities.js';

export type PcapReport = ReturnType<typeof reportOf>;
export type NetworkReport = ReturnType<typeof networkOf>;

export function reportOf(analysis: Analysis) {
  return {
    packets: analysis.packets,
    bytes: analysis.bytes,
    snapped: analysis.snapped,
    ...optional('first_at', timeOf(analysis.firstAt)),
    ...optional('last_at', timeOf(analysis.lastAt)),
    lost: analysis.lost,
    unread: counts(analysis.unread.sorted(), 'why', 'packets'),
    datagrams: analysis.datagrams,
    datagram_bytes: analysis.datagramBytes,
    cut_before_vni: analysis.headless,
    networks: [...analysis.networks.values()].sort((a, b) => a.vni - b.vni).map(networkOf),
    drops: [...analysis.refused]
      .sort(([, a], [, b]) => b.datagrams - a.datagrams)
      .map(([reason, { datagrams, first }]) => ({
        ...{ reason, datagrams, first: sightingOf(first) },
        sentence: offlineReasons[reason],
      })),
    udp_checksums: counts(analysis.checksums.sorted(), 'verdict', 'datagrams'),
    ecn: {
      congested: analysis.congested,
      nonip: analysis.nonIpCongested,
      odd: analysis.oddEcn.sorted().map(([pair, datagrams]) => {
        const [inner = '', outer = ''] = pair.split('/');
        return { inner, outer, datagrams };
      }),
    },
    mtu: mtuOf(analysis),
    icmp: [...analysis.complaints.values()]
      .filter(({ kind }) => kind !== 'too_big')
      .map(({ mtu, ...rest }) => complaintOf(rest)),
    moves: analysis.moves.map(({ vni, mac, from, to, ...seen }) => ({
      ...{ vni, mac: macText(mac), from, to, ...sightingOf(seen) },
    })),
    oddities: oddities(analysis),
    captured_drops: capturedDrops(analysis),
    capped: cappedTables(analysis),
    problems: analysis.problems.map(({ at, what }) => ({ at, what })),
    more_problems: analysis.moreProblems,
  };
}

function networkOf(network: Network) {
  const { vni, frames, bytes, refused, cut, unicast, multicast, broadcast } = network;
  return {
    ...{ vni, frames, bytes, refused, cut, unicast, multicast, broadcast },
    group_policy: network.policies,
    protocol_extension: network.extended,
    reserved_bits: network.reserved,
    vteps: [...network.pairs.values()]
      .sort((a, b) => b.frames - a.frames)
      .map((pair) => ({
        ...{ from: pair.from, to: pair.to, udp_port: pair.udpPort },
        ...{ frames: pair.frames, bytes: pair.bytes },
        ...{ first: sightingOf(pair.first), last: sightingOf(pair.last) },
      })),
    macs: [...network.stations.entries()]
      .sort(([, a], [, b]) => b.frames - a.frames)
      .map(([mac, { vtep, moves, ...station }]) => ({
        ...{ mac: macText(mac), vtep, moves, frames: station.frames, bytes: station.bytes },
        ...{ first: sightingOf(station.first), last: sightingOf(station.last) },
      })),
    protocols: counts(network.protocols.sorted(), 'protocol', 'frames'),
    vlans: counts(network.vlans.sorted(), 'vlan', 'frames'),
  };
}

function mtuOf(analysis: Analysis) {
  return {
    largest: analysis.largest,
    above_1500: analysis.above1500,
    fragments: [...analysis.fragments.values()].map((entry) => ({
      ...{ from: entry.from, to: entry.to, udp_port: entry.udpPort },
      ...optional('vni', entry.vni),
      ...{ datagrams: entry.datagrams, pieces: entry.pieces, first: sightingOf(entry.first) },
    })),
    stray_fragments: analysis.stray,
    too_big: [...analysis.complaints.values()]
      .filter(({ kind }) => kind === 'too_big')
      .map(({ mtu, ...rest }) => ({ ...complaintOf(rest), ...optional('mtu', mtu) })),
  };
}

function complaintOf<T extends { readonly vni: number | undefined; readonly first: Sighting }>({
  vni,
  first,
  ...rest
}: T) {
  return { ...rest, ...optional('vni', vni), first: sightingOf(first) };
}

/** What the capturing switch wrote into the file about its own drops. */
function capturedDrops(analysis: Analysis) {
  const packets = analysis.droppedPackets.sorted();
  const frames = analysis.droppedFrames.sorted();
  const reasons = new Set([...packets, ...frames].map(([reason]) => reason));
  return [...reasons].map((reason) => ({
    reason,
    packets: analysis.droppedPackets.get(reason),
    frames: analysis.droppedFrames.get(reason),
  }));
}

/** Tables that were full, and how often that left something out. */
function cappedTables({ rooms }: Analysis) {
  return Object.entries(rooms)
    .map(([table, { refused }]) => ({ table, left_out: refused }))
    .filter(({ left_out }) => left_out > 0);
}

function sightingOf({ packet, at }: Sighting) {
  return { packet, ...optional('at', timeOf(at)) };
}

/** What a damaged file says may be no time at all. */
function timeOf(microseconds: number | undefined): string | undefined {
  const date = new Date((microseconds ?? Number.NaN) / 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

function counts<Key extends string | number, Name extends string, Unit extends string>(
  sorted: readonly (readonly [Key, number])[],
  name: Name,
  unit: Unit,
): (Record<Name, Key> & Record<Unit, number>)[] {
  return sorted.map(
    ([key, count]) => ({ [name]: key, [unit]: count }) as Record<Name, Key> & Record<Unit, number>,
  );
}

function optional<Name extends string, T>(name: Name, value: T | undefined) {
  return (value === undefined ? {} : { [name]: value }) as { [Key in Name]?: T };
}
