// What a metric is: a row of a table that says its name, its meaning and where its values come from.

import type { CountersView, DropView, HostView, PortView } from '../../control/views.js';
import type { CaptureStatus } from '../../datapath/seam.js';
import type { StoreHealth } from '../../overlay/shared.js';

/** One reading of everything, so that the numbers of one scrape go together. */
export interface Reading {
  readonly version: string;
  readonly counters: CountersView;
  /** Every reason that exists, summed over this host. */
  readonly drops: readonly DropView[];
  readonly networks: readonly NetworkReading[];
  readonly captures: readonly CaptureStatus[];
  readonly store: StoreHealth;
  readonly hosts: readonly HostView[];
  readonly ports: readonly PortView[];
  readonly process: ProcessReading;
  /** Seconds by which the event loop was late since the last reading; absent while nothing is measured. */
  readonly lag?: Lag | undefined;
}

/** What is known of a network beside its counters. */
export interface NetworkReading {
  readonly name: string;
  /** FDB entries that people made, and those that follow from the store. */
  readonly staticMacs: number;
  readonly controlMacs: number;
  /** Containers on all hosts. */
  readonly endpoints: number;
}

/** Of the whole process, its workers included. Seconds and bytes. */
export interface ProcessReading {
  readonly cpuUser: number;
  readonly cpuSystem: number;
  /** Unix time. */
  readonly startedAt: number;
  readonly resident: number;
  readonly heapUsed: number;
  readonly openFiles: number;
}

export interface Lag {
  readonly min: number;
  readonly mean: number;
  readonly p99: number;
  readonly max: number;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Names follow the conventions of Prometheus: base units, `_total` for what only grows while the process
 * lives and the thing exists, and sums are left to who asks.
 */
export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Every sample has exactly these. */
  readonly labels: readonly string[];
  readonly read: (reading: Reading) => readonly Sample[];
}

/** A metric without labels. */
export function single(read: (reading: Reading) => number): Pick<Metric, 'labels' | 'read'> {
  return { labels: [], read: (reading) => [{ labels: {}, value: read(reading) }] };
}
