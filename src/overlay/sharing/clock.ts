// Time as the store's side sees it: only this host's own, so that clocks of hosts may differ.

import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds; never goes back. */
  now(): number;
  /** Unix milliseconds, for people. */
  date(): number;
  /** Resolves after that many milliseconds, or as soon as `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  sleep: (ms, signal) => delay(ms, undefined, { ...(signal && { signal }) }).catch(() => {}),
};

/** Wakes a loop before its time. A ring that nobody waits for is kept. */
export class Bell {
  readonly #clock: Clock;
  #next = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#next.abort();
  }

  /** Until it rings or has rung since the last wait, at most that many milliseconds. */
  async wait(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#next.signal);
    this.#next = new AbortController();
  }
}
