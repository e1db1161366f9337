// vswitchctl stats

import type { CountersView, DropView, NetworkCountersView, NoteView } from '../control/client.js';
import { totalDrops } from '../model/counters.js';
import { parseTunnel } from '../model/vtep.js';
import { type Register, show } from './context.js';
import { fields, indent, table } from './table.js';
import { duration } from './top/figures.js';
import { watch } from './watch.js';

export const registerStats: Register = (program, run) => {
  program
    .command('stats')
    .description(
      'what every network, port, VTEP and worker has carried and dropped, and whether the sums hold',
    )
    .option('--watch', 'show it anew every second (with --json: one line each)')
    .action(
      run(async (context, options: { readonly watch?: true }) => {
        const ask = () => context.client.counters();
        if (options.watch) await watch(context, ask, ({ answer }) => statsText(answer));
        else show(context, await ask(), statsText);
      }),
    );
};

function statsText(counters: CountersView): string {
  return [
    ...counters.networks.flatMap((network) => [networkText(network), '']),
    underlayText(counters),
    '',
    ...vtepLines(counters),
    workersText(counters),
    '',
    counters.balanced
      ? 'Balanced: in = out + consumed + drops on every network.'
      : `NOT balanced: ${imbalances(counters).join('; ')}.`,
  ].join('\n');
}

function networkText(network: NetworkCountersView): string {
  const { fdb, balance } = network;
  const ports = network.ports.map((port) => [
    port.name,
    port.kind,
    port.rx_frames,
    port.rx_bytes,
    port.tx_frames,
    port.tx_bytes,
    totalDrops(port.drops),
    port.macs,
  ]);
  const owned = [
    ...network.ports.map((port) => ({ at: port.name, drops: port.drops })),
    { at: 'removed ports', drops: network.retired.drops },
    { at: 'no port', drops: network.drops },
  ];
  return [
    `network ${network.name}, VNI ${network.vni}`,
    indent(table(['port', 'kind', 'in', 'in bytes', 'out', 'out bytes', 'drops', 'macs'], ports)),
    indent(
      fields([
        [
          'in',
          `${balance.in} = ${network.unicast} unicast + ${network.flooded} flooded + ${balance.consumed} consumed + ${balance.ingress_drops} dropped`,
        ],
        [
          'out',
          `${balance.out} = ${network.unicast} unicast + ${network.replicated} copies + ${network.generated} made here - ${balance.egress_drops} dropped`,
        ],
        [
          'fdb',
          `${fdb.macs} MACs; ${fdb.learned} learned, ${fdb.moved} moved, ${fdb.aged} aged, ${fdb.evicted} evicted, ${fdb.full} not learned (full)`,
        ],
      ]),
    ),
    ...dropLines(owned),
    ...noteLines([
      ...network.ports.map((port) => ({ at: port.name, notes: port.notes })),
      { at: 'removed ports', notes: network.retired.notes },
    ]),
    ...pathLines(network),
  ].join('\n');
}

function underlayText({ underlay }: CountersView): string {
  return [
    `underlay: ${underlay.datagrams} datagrams, ${underlay.source_ports.length} source ports, receive buffer ${underlay.receive_buffer} bytes, by ${underlay.path}`,
    ...dropLines([{ at: 'underlay', drops: underlay.drops }]),
    ...noteLines([{ at: 'underlay', notes: underlay.notes }]),
  ].join('\n');
}

/** What goes to and comes from each VTEP, over all networks, and whether it answers. */
function vtepLines({ networks, vteps }: CountersView): string[] {
  const tunnels = networks.flatMap(({ vni, ports }) =>
    ports
      .filter(({ kind }) => kind === 'tunnel')
      .map((port) => ({ ...port, vtep: parseTunnel(port.name, vni)?.address })),
  );
  const known = new Map(vteps.map((vtep) => [vtep.address, vtep]));
  const addresses = new Set([...known.keys(), ...tunnels.flatMap(({ vtep }) => vtep ?? [])]);
  if (addresses.size === 0) return [];
  const rows = [...addresses].map((address) => {
    const own = tunnels.filter(({ vtep }) => vtep === address);
    const sum = (pick: (port: (typeof own)[number]) => number) =>
      own.reduce((total, port) => total + pick(port), 0);
    const { state, mean_rtt_us } = known.get(address) ?? {};
    return [
      ...[address, state, duration(mean_rtt_us)],
      ...[sum((port) => port.rx_frames), sum((port) => port.rx_bytes)],
      ...[sum((port) => port.tx_frames), sum((port) => port.tx_bytes)],
      sum((port) => totalDrops(port.drops)),
    ];
  });
  const heads = ['vtep', 'state', 'round trip', 'in', 'in bytes', 'out', 'out bytes', 'drops'];
  return ['VTEPs, over all networks', indent(table(heads, rows)), ''];
}

function workersText({ workers }: CountersView): string {
  const rows = workers.map((worker, at) => [
    ...[at, `${(worker.busy_us / 1e6).toFixed(1)} s`, worker.turns, worker.sleeps],
    ...[worker.rx_frames, worker.tx_frames, totalDrops(worker.drops)],
  ]);
  const heads = ['worker', 'busy', 'turns', 'sleeps', 'in', 'out', 'drops'];
  return `workers\n${indent(table(heads, rows))}`;
}

function dropLines(
  places: readonly { readonly at: string; readonly drops: readonly DropView[] }[],
): string[] {
  const rows = places.flatMap(({ at, drops }) =>
    drops
      .filter((drop) => drop.frames > 0)
      .map((drop) => [at, drop.reason, drop.frames, drop.sentence]),
  );
  return rows.length === 0 ? [] : [indent(table(['dropped at', 'reason', 'frames', 'why'], rows))];
}

function noteLines(
  places: readonly { readonly at: string; readonly notes: readonly NoteView[] }[],
): string[] {
  const rows = places.flatMap(({ at, notes }) =>
    notes.map(({ note, times, sentence }) => [at, note, times, sentence]),
  );
  return rows.length === 0 ? [] : [indent(table(['noted at', 'what', 'times', 'why'], rows))];
}

function pathLines(network: NetworkCountersView): string[] {
  const rows = network.ports
    .filter((port) => port.path_mtu !== undefined)
    .map((port) => [port.name, port.path_mtu, port.unreachable]);
  return rows.length === 0 ? [] : [indent(table(['tunnel', 'path mtu', 'unreachable'], rows))];
}

function imbalances({ networks, underlay }: CountersView): string[] {
  const lost = networks
    .filter(({ balance }) => balance.ingress_missing !== 0 || balance.egress_missing !== 0)
    .map(
      ({ name, balance }) =>
        `network ${name} misses ${balance.ingress_missing} in, ${balance.egress_missing} out`,
    );
  return underlay.missing === 0
    ? lost
    : [...lost, `the underlay misses ${underlay.missing} datagrams`];
}
