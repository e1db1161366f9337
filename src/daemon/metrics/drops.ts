// Metrics of what was dropped, and of what else was noted, by the names that stand everywhere.

import type { Metric, Sample } from './metric.js';

/** Where something is counted. What was counted at removed ports is in the sums only. */
export interface Place {
  readonly place: 'underlay' | 'network' | 'port' | 'tunnel';
  /** Empty at the underlay. */
  readonly network: string;
  /** Of ports and tunnels, else empty. */
  readonly port: string;
}

interface Counted<Drop, Note> {
  readonly drops: readonly Drop[];
  readonly notes: readonly Note[];
}

/** Counters as the datapath gives them, or as the API does. */
interface CountedPlaces<Drop, Note> {
  readonly underlay: Counted<Drop, Note>;
  readonly networks: readonly {
    readonly name: string;
    readonly drops: readonly Drop[];
    readonly ports: readonly (Counted<Drop, Note> & {
      readonly name: string;
      readonly kind: 'tap' | 'packet' | 'memory' | 'tunnel';
    })[];
  }[];
}

/** Every place there is now, with what was counted there. */
export function placesOf<Drop, Note>({
  underlay,
  networks,
}: CountedPlaces<Drop, Note>): (Place & Counted<Drop, Note>)[] {
  return [
    { place: 'underlay', network: '', port: '', drops: underlay.drops, notes: underlay.notes },
    ...networks.flatMap(({ name: network, ports, drops }): (Place & Counted<Drop, Note>)[] => [
      { place: 'network', network, port: '', drops, notes: [] },
      ...ports.map((port) => ({
        place: port.kind === 'tunnel' ? ('tunnel' as const) : ('port' as const),
        ...{ network, port: port.name, drops: port.drops, notes: port.notes },
      })),
    ]),
  ];
}

const PLACE = ['place', 'network', 'port'];

export const dropMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_dropped_frames_total',
    type: 'counter',
    help: 'Frames that were dropped on this host. Every reason is there from the start.',
    labels: ['reason', 'stage'],
    read: ({ drops }) =>
      drops.map(({ reason, stage, frames }) => ({ labels: { reason, stage }, value: frames })),
  },
  {
    name: 'vswitchd_drops_total',
    type: 'counter',
    help: 'Frames that were dropped, by the place where they were: underlay, network, port or tunnel.',
    labels: [...PLACE, 'reason'],
    read: ({ counters }) =>
      placesOf(counters).flatMap(({ place, network, port, drops }) =>
        drops.map(
          ({ reason, frames }): Sample => ({
            labels: { place, network, port, reason },
            value: frames,
          }),
        ),
      ),
  },
  {
    name: 'vswitchd_notes_total',
    type: 'counter',
    help: 'What happened beside dropping, such as ICMP sent or an MSS lowered, by place.',
    labels: [...PLACE, 'note'],
    read: ({ counters }) =>
      placesOf(counters).flatMap(({ place, network, port, notes }) =>
        notes.map(
          ({ note, times }): Sample => ({
            labels: { place, network, port, note },
            value: times,
          }),
        ),
      ),
  },
];
