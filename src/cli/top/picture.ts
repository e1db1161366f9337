// The whole screen of `top` as lines: what was read, for a terminal of this size, in the way that was chosen.

import { styleText } from 'node:util';
import type { CountersView, StatusView } from '../../control/client.js';
import { age, duration, percent, short } from './figures.js';
import type { DropRate, PlaceRates, Rate, Rates } from './rates.js';
import type { Sort, ViewState } from './viewState.js';

export interface Reading {
  readonly status: StatusView;
  readonly counters: CountersView;
  readonly rates: Rates;
  /** Why there is nothing newer. */
  readonly trouble?: string | undefined;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

type Style = 'bold' | 'inverse' | 'red' | 'yellow' | 'dim';

/** Text without control characters, and how it looks. */
interface Line {
  readonly text: string;
  readonly style?: Style | undefined;
}

/** No line is wider, and no more lines there are, than `size` says; in `colors`, or without any escape sequence. */
export function pictureOf(
  reading: Reading,
  state: ViewState,
  size: Size,
  { colors }: { readonly colors: boolean },
): string[] {
  const head = headOf(reading);
  const room = size.rows - head.length - 1;
  const body = laidOut(sectionsOf(reading.rates, state, size.columns), room);
  const lines = [...head, ...body].slice(0, Math.max(0, size.rows - 1));
  const blank = Array.from({ length: Math.max(0, size.rows - 1 - lines.length) }, () => '');
  const drawn = lines.map((line) => drawnAs(line, size.columns, colors));
  return [...drawn, ...blank, drawnAs(helpOf(state), size.columns, colors)];
}

function drawnAs({ text, style }: Line, columns: number, colors: boolean): string {
  const fitting = clipped(text, columns).trimEnd();
  if (!colors || style === undefined) return fitting;
  const whole = style === 'inverse' ? fitting.padEnd(columns) : fitting;
  // Who asked for colours has looked at the terminal.
  return styleText(style, whole, { validateStream: false });
}

function headOf({ status, counters, rates, trouble }: Reading): Line[] {
  const { vtep, store } = status;
  const loads = rates.loads.map(percent).join(' ');
  const first = [
    `vswitchd ${vtep.address}`,
    status.state,
    `up ${age(Date.parse(counters.at) - Date.parse(status.started_at))}`,
    `${rates.loads.length === 1 ? 'worker' : 'workers'} ${loads}`,
    counters.balanced ? 'balanced' : 'NOT BALANCED',
    `store ${store.name} ${store.state}`,
  ].join('  ');
  const local = rates.places.filter(({ kind }) => kind === 'port');
  const tunnels = rates.places.filter(({ kind }) => kind === 'tunnel');
  const second = [
    `ports: ${flowText(local)}`,
    `tunnels: ${flowText(tunnels)} bit/s`,
    `dropped: ${short(total(rates.drops.map(({ rate }) => rate)))}/s`,
  ].join('   ');
  const bad = !counters.balanced || status.state !== 'ok';
  const [warning, ...more] = status.warnings;
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  return [
    { text: first, style: bad ? 'yellow' : 'bold' },
    { text: second },
    ...(trouble === undefined ? [] : [{ text: trouble, style: 'red' as const }]),
    ...(warning === undefined
      ? []
      : [{ text: `warning${others}: ${warning}`, style: 'yellow' as const }]),
  ];
}

function flowText(places: readonly PlaceRates[]): string {
  const [inBits, outBits] = [places.map((p) => p.inBits), places.map((p) => p.outBits)];
  return `in ${short(total(inBits))} out ${short(total(outBits))}`;
}

function total(rates: readonly Rate[]): Rate {
  const known = rates.filter((rate) => rate !== undefined);
  if (known.length === 0 && rates.length > 0) return undefined;
  return known.reduce((sum, rate) => sum + rate, 0);
}

function helpOf({ sort, network, paused }: ViewState): Line {
  const pause = paused ? 'go on (PAUSED)' : 'pause';
  const text = ` q quit   p ${pause}   s sort: ${sort}   n network: ${network ?? 'all'}`;
  return { text, style: 'inverse' };
}

/** A table; its first line is the heads. */
type Section = readonly Line[];

function sectionsOf(rates: Rates, state: ViewState, columns: number): Section[] {
  const isChosen = ({ network }: { readonly network: string | undefined }) =>
    state.network === undefined || network === state.network;
  const places = rates.places.filter(isChosen).sort(inOrder(state.sort));
  const ports = places.filter(({ kind }) => kind === 'port');
  const tunnels = places.filter(({ kind }) => kind === 'tunnel');
  const drops = rates.drops.filter(({ frames }) => frames > 0).filter(isChosen);
  return [
    tableOf(['PORT', ...HEADS, 'MACS', 'STATE'], ports.map(portRow), columns),
    ...(tunnels.length === 0
      ? []
      : [tableOf(['TUNNEL', ...HEADS, 'MTU', 'RTT', 'STATE'], tunnels.map(tunnelRow), columns)]),
    ...(drops.length === 0 ? [] : [dropTable(drops)]),
  ];
}

function inOrder(sort: Sort): (a: PlaceRates, b: PlaceRates) => number {
  const worth = ({ inBits, outBits, drops }: PlaceRates) =>
    ({ in: inBits, out: outBits, drops, name: 0 })[sort] ?? -1;
  const name = ({ name, network }: PlaceRates) => `${name} ${network}`;
  return (a, b) => worth(b) - worth(a) || (name(a) < name(b) ? -1 : 1);
}

interface Row {
  readonly cells: readonly string[];
  readonly style?: Style | undefined;
}

function portRow(place: PlaceRates): Row {
  return { cells: [...cellsOf(place), String(place.macs), place.state], style: styleOf(place) };
}

function tunnelRow(place: PlaceRates): Row {
  const mtu = place.pathMtu === undefined ? '-' : String(place.pathMtu);
  const cells = [...cellsOf(place), mtu, duration(place.rttUs), place.state];
  return { cells, style: styleOf(place) };
}

function cellsOf({ name, network, ...rates }: PlaceRates): string[] {
  const { inBits, inFrames, outBits, outFrames, drops } = rates;
  return [name, network, ...[inBits, inFrames, outBits, outFrames, drops].map(short)];
}

function styleOf({ state, drops = 0 }: PlaceRates): Style | undefined {
  if (state === 'gone' || state === 'silent') return 'red';
  return drops > 0 ? 'yellow' : undefined;
}

/** Names get what the figures leave: the first column what it needs, the second the rest. */
function tableOf(heads: readonly string[], rows: readonly Row[], columns: number): Line[] {
  const all = [heads, ...rows.map(({ cells }) => cells)];
  const needs = heads.map((_, at) => Math.max(...all.map((cells) => cells[at]?.length ?? 0)));
  const widths = needs.map((need, at) => Math.max(need, WIDTHS[heads[at] ?? ''] ?? 0));
  const figures = widths.slice(2).reduce((sum, width) => sum + width + 1, 0);
  const [nameNeed = 0, networkNeed = 0] = needs;
  const left = Math.max(0, columns - figures - 1);
  const network = Math.min(networkNeed, Math.max(7, left - nameNeed));
  const name = Math.max(4, Math.min(left - network, Math.max(nameNeed, MOST_NAME)));
  const sized = [name, network, ...widths.slice(2)];
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => aligned(cell, sized[at] ?? 0, at < 2 || heads[at] === 'STATE'))
      .join(' ');
  return [
    { text: line(heads), style: 'dim' },
    ...rows.map(({ cells, style }) => ({ text: line(cells), style })),
  ];
}

function aligned(cell: string, width: number, left: boolean): string {
  const fitting = clipped(cell, width);
  return left ? fitting.padEnd(width) : fitting.padStart(width);
}

/** By rate, then by what was counted so far. */
function dropTable(drops: readonly DropRate[]): Line[] {
  const sorted = drops.toSorted((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.frames - a.frames);
  const width = Math.max(7, ...drops.map(({ reason }) => reason.length));
  const line = (reason: string, rate: string, frames: string, why: string) =>
    `${reason.padEnd(width)} ${rate.padStart(5)} ${frames.padStart(6)}  ${why}`;
  return [
    { text: line('DROPPED', '/s', 'FRAMES', 'WHY'), style: 'dim' },
    ...sorted.map(({ reason, rate, frames, network, sentence }) => ({
      text: line(reason, short(rate), short(frames), `${network ?? 'underlay'}: ${sentence}`),
      style: (rate ?? 0) > 0 ? ('yellow' as const) : undefined,
    })),
  ];
}

/** The tables under each other, an empty line before each, and each as long as `room` allows. */
function laidOut(sections: readonly Section[], room: number): Line[] {
  const rows = sections.map((section) => section.length - 1);
  const given = shared(rows, room - 2 * sections.length);
  return sections.flatMap((section, at) => {
    const share = given[at] ?? 0;
    const shown = section.slice(0, share + 1);
    const hidden = section.length - 1 - share;
    if (hidden === 0 || share === 0) return [{ text: '' }, ...shown];
    // The last line makes room for the number of those that are not there.
    const more: Line = { text: `... ${hidden + 1} more`, style: 'dim' };
    return [{ text: '' }, ...shown.slice(0, -1), more];
  });
}

/** Shares out `room`: who needs less than an equal part leaves the rest to the others. */
function shared(needs: readonly number[], room: number): number[] {
  const shares = needs.map(() => 0);
  let left = Math.max(0, room);
  while (left > 0 && shares.some((share, at) => share < (needs[at] ?? 0))) {
    for (const [at, need] of needs.entries()) {
      const share = shares[at] ?? 0;
      if (share < need && left > 0) {
        shares[at] = share + 1;
        left -= 1;
      }
    }
  }
  return shares;
}

/** Others' words must not command the terminal. */
function clipped(text: string, width: number): string {
  const plain = text.replace(/\p{Cc}/gu, '?');
  return plain.length <= width ? plain : `${plain.slice(0, Math.max(0, width - 1))}~`;
}

const HEADS = ['NETWORK', 'IN b/s', 'fr/s', 'OUT b/s', 'fr/s', 'drop/s'];
const WIDTHS: Readonly<Record<string, number>> = {
  ...{ 'IN b/s': 6, 'fr/s': 5, 'OUT b/s': 7, 'drop/s': 6, MACS: 5, MTU: 5, RTT: 6, STATE: 7 },
};
/** A wide terminal is no reason to tear the columns apart. */
const MOST_NAME = 24;
