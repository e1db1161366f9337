// What a capture says about VXLAN, for people: the networks first, then what is wrong.

import type { NetworkReport, PcapReport } from '../capture/offline/report.js';
import { type Cell, fields, indent, table } from './table.js';

export function pcapText(report: PcapReport): string {
  return [
    overview(report),
    ...report.networks.slice(0, MANY).map(networkText),
    more(report.networks.length, 'networks'),
    section('dropped by any vswitchd', dropLines(report)),
    section('dropped by the vswitchd that captured this', capturedLines(report)),
    section('UDP checksums', checksumLines(report)),
    section('congestion (ECN)', ecnLines(report)),
    section('MTU', mtuLines(report)),
    section('ICMP about datagrams', icmpLines(report)),
    section('MACs that moved', moveLines(report)),
    section('worth a look', sentences(report.oddities.map(({ sentence }) => sentence))),
    section('left out, for there is a limit', capLines(report)),
    section('could not be read', problemLines(report)),
  ]
    .filter((text) => text !== undefined)
    .join('\n\n');
}

function overview(report: PcapReport): string {
  const { packets, bytes, snapped, lost, unread, first_at, last_at } = report;
  const others = unread.map(({ why, packets: n }) => `${n} ${why}`).join(', ');
  const vnis = report.networks.length;
  return fields([
    ['packets', `${packets}, ${bytes} bytes${snapped > 0 ? `, ${snapped} not kept in full` : ''}`],
    ['time', first_at === undefined ? undefined : `${first_at} to ${last_at}`],
    ['VXLAN', `${report.datagrams} datagrams of ${vnis} ${vnis === 1 ? 'VNI' : 'VNIs'}`],
    ['lost', lost > 0 ? `${lost} packets while capturing` : undefined],
    ['cut short', report.cut_before_vni || undefined],
    ['other', others === '' ? undefined : others],
  ]);
}

function networkText(network: NetworkReport): string {
  const { vni, frames, bytes, vteps, macs, protocols, vlans } = network;
  const casts = (['unicast', 'multicast', 'broadcast'] as const)
    .filter((cast) => network[cast] > 0)
    .map((cast) => `${network[cast]} ${cast} (${percent(network[cast], frames)})`);
  const refused = network.refused > 0 ? `, ${network.refused} of them to be dropped` : '';
  const carried = protocols
    .slice(0, MANY)
    .map(({ protocol, frames: n }) => `${protocol} ${n} (${percent(n, frames)})`);
  const about = fields([
    ['frames', `${frames}, ${bytes} bytes${refused}`],
    ['to', casts.join(', ') || undefined],
    ['carry', carried.join(', ') || undefined],
    ['VLANs', vlans.map(({ vlan, frames: n }) => `${vlan} (${n})`).join(', ') || undefined],
    ['header', headerText(network) || undefined],
    ['not kept', network.cut > 0 ? `of ${network.cut} frames the headers` : undefined],
  ]);
  return section(`VNI ${vni}`, [
    about,
    table(
      ['from vtep', 'to', 'udp port', 'frames', 'bytes'],
      vteps
        .slice(0, MANY)
        .map((pair) => [...[pair.from, pair.to], ...[pair.udp_port, pair.frames, pair.bytes]]),
    ),
    more(vteps.length, 'pairs of VTEPs'),
    macs.length === 0 ? undefined : macTable(macs),
    more(macs.length, 'MACs'),
  ]) as string;
}

function macTable(macs: NetworkReport['macs']): string {
  const rows = macs
    .slice(0, MANY)
    .map(({ mac, vtep, frames, bytes, moves }) => [mac, vtep, frames, bytes, moves || undefined]);
  return table(['mac', 'behind vtep', 'frames', 'bytes', 'moves'], rows);
}

function headerText(network: NetworkReport): string {
  const { group_policy, protocol_extension, reserved_bits } = network;
  return [
    group_policy > 0 ? `group policy (GBP) in ${group_policy}` : '',
    protocol_extension > 0 ? `protocol extension (GPE) in ${protocol_extension}` : '',
    reserved_bits > 0 ? `reserved bits set in ${reserved_bits}` : '',
  ]
    .filter((text) => text !== '')
    .join(', ');
}

function dropLines({ drops }: PcapReport): Lines {
  const rows = drops.map(({ reason, datagrams, first, sentence }) => [
    ...[reason, datagrams, first.packet, sentence],
  ]);
  return rows.length === 0 ? [] : [table(['reason', 'datagrams', 'first packet', 'why'], rows)];
}

function capturedLines({ captured_drops }: PcapReport): Lines {
  const rows = captured_drops.map(({ reason, packets, frames }) => [reason, packets, frames]);
  return rows.length === 0
    ? []
    : [table(['reason', 'packets here', 'frames by its statistics'], rows)];
}

function checksumLines({ udp_checksums }: PcapReport): Lines {
  return udp_checksums.map(({ verdict, datagrams }) => `${datagrams} ${CHECKSUM_WORDS[verdict]}`);
}

function ecnLines({ ecn }: PcapReport): Lines {
  return [
    ...ecn.odd.map(
      ({ inner, outer, datagrams }) =>
        `${datagrams} ${inner} inside and ${outer} outside, which no tunnel that follows RFC 6040 makes`,
    ),
    ecn.nonip > 0 ? `${ecn.nonip} marked as congested around frames that are not IP` : undefined,
    ecn.congested > 0 ? `${ecn.congested} marked as congested on the way, as should be` : undefined,
  ];
}

function mtuLines({ mtu }: PcapReport): Lines {
  const pieces = mtu.fragments
    .slice(0, MANY)
    .map(
      ({ from, to, vni, datagrams, pieces, first }) =>
        `${datagrams} datagrams from ${from} to ${to}${vni === undefined ? '' : `, VNI ${vni},`} came in ${pieces} pieces (packet ${first.packet}); they are counted here alone`,
    );
  const refusals = mtu.too_big
    .slice(0, MANY)
    .map(
      ({ by, from, to, vni, mtu: most, times }) =>
        `${by} told ${from} ${times} times that the path to ${to} carries ${most} bytes${vni === undefined ? '' : ` (VNI ${vni})`}`,
    );
  const above = `${mtu.above_1500} IP packets above 1500 bytes, the largest has ${mtu.largest}: jumbo frames, or superframes captured before they were cut`;
  return [
    ...pieces,
    more(mtu.fragments.length, 'pairs of VTEPs with fragments'),
    mtu.stray_fragments > 0
      ? `${mtu.stray_fragments} pieces of UDP whose beginning is not in the capture before them`
      : undefined,
    ...refusals,
    more(mtu.too_big.length, 'complaints'),
    mtu.above_1500 > 0 ? above : undefined,
  ];
}

function icmpLines({ icmp }: PcapReport): Lines {
  const rows = icmp
    .slice(0, MANY)
    .map(({ kind, by, from, to, times, vni }): Cell[] => [
      ...[kind.replaceAll('_', ' '), by, from, to, times, vni],
    ]);
  if (rows.length === 0) return [];
  const heads = ['what', 'said by', 'to vtep', 'about vtep', 'times', 'vni'];
  return [table(heads, rows), more(icmp.length, 'complaints')];
}

function moveLines({ moves }: PcapReport): Lines {
  if (moves.length === 0) return [];
  const rows = moves
    .slice(0, MANY)
    .map(({ at, packet, vni, mac, from, to }): Cell[] => [at, packet, vni, mac, from, to]);
  const heads = ['when', 'packet', 'vni', 'mac', 'from vtep', 'to vtep'];
  return [table(heads, rows), more(moves.length, 'moves')];
}

function capLines({ capped }: PcapReport): Lines {
  return capped.map(
    ({ table: name, left_out }) => `${left_out} times: the table of ${name} is full`,
  );
}

function problemLines({ problems, more_problems }: PcapReport): Lines {
  return [
    ...problems.slice(0, MANY).map(({ at, what }) => `at byte ${at} the capture ${what}`),
    more(problems.length + more_problems, 'problems'),
  ];
}

function sentences(all: readonly string[]): Lines {
  return [...all.slice(0, MANY), more(all.length, 'such')];
}

type Lines = readonly (string | undefined)[];

/** Undefined if there is nothing to be said. */
function section(title: string, lines: Lines): string | undefined {
  const said = lines.filter((line) => line !== undefined);
  return said.length === 0 ? undefined : `${title}\n${indent(said.join('\n'))}`;
}

/** What of a long list is not printed. */
function more(length: number, what: string): string | undefined {
  return length > MANY ? `... and ${length - MANY} more ${what} (all with --json)` : undefined;
}

function percent(part: number, whole: number): string {
  const share = (100 * part) / whole;
  return share > 0 && share < 0.1 ? 'under 0.1 %' : `${Number(share.toFixed(1))} %`;
}

const CHECKSUM_WORDS = {
  good: 'right',
  wrong: 'wrong',
  none: 'none: left out by the sender',
  unfinished: 'left to the network card: captured on the sender',
  unchecked: 'not checked: not all of the datagram was kept',
} as const;
const MANY = 50;
