// vswitchctl stats

import { setTimeout as sleep } from 'node:timers/promises';
import type { CountersView, DropView, NetworkCountersView, NoteView } from '../control/client.js';
import { type Register, show } from './context.js';
import { fields, indent, table } from './table.js';

const WATCH_MS = 1000;
/** Home and erase below (ECMA-48): no flicker as with erasing first. */
const TOP_OF_SCREEN = '\u001b[H\u001b[J';

export const registerStats: Register = (program, run) => {
  program
    .command('stats')
    .description('what every network and port has carried and dropped, and whether the sums hold')
    .option('--watch', 'show it anew every second (with --json: one line each)')
    .action(
      run(async (context, options: { readonly watch?: true }) => {
        const screen = options.watch && !context.json ? TOP_OF_SCREEN : '';
        do {
          const counters = await context.client.counters();
          // A stream of documents: one in each line.
          if (options.watch && context.json) context.print(JSON.stringify(counters));
          else show(context, counters, () => `${screen}${statsText(counters)}`);
          if (options.watch) await sleep(WATCH_MS, undefined, { signal: context.signal });
        } while (options.watch);
      }),
    );
};

function statsText(counters: CountersView): string {
  return [
    ...counters.networks.flatMap((network) => [networkText(network), '']),
    underlayText(counters),
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
    port.drops.reduce((sum, drop) => sum + drop.frames, 0),
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
