// How late the event loop is: the control side's only measure of being overloaded.

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Lag } from './metric.js';

/** A delay is seen when a timer of this interval, in milliseconds, falls into it. */
const INTERVAL_MS = 20;

/** Measures from now on. */
export class LagMeter {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: INTERVAL_MS });

  constructor() {
    this.#histogram.enable();
  }

  /** Of the time since it was last taken; `undefined` when that was only just now. */
  take(): Lag | undefined {
    const { count, min, mean, max } = this.#histogram;
    const p99 = this.#histogram.percentile(99);
    this.#histogram.reset();
    if (count === 0) return undefined;
    return { min: late(min), mean: late(mean), p99: late(p99), max: late(max) };
  }

  stop(): void {
    this.#histogram.disable();
  }
}

/** The histogram holds the time between timers, in nanoseconds, of which most was meant. */
function late(nanos: number): number {
  return Math.max(0, nanos / 1e9 - INTERVAL_MS / 1e3);
}
