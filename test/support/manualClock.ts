import type { Clock } from '../../src/overlay/sharing/clock.js';

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

/** Time that passes only when told to, and then lets everything that is due happen in its order. */
export class ManualClock implements Clock {
  #now = 1_000;
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return this.#now;
  }

  date(): number {
    return 1_700_000_000_000 + this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = () => {
        signal?.removeEventListener('abort', wake);
        this.#sleepers.delete(sleeper);
        resolve();
      };
      const sleeper: Sleeper = { due: this.#now + Math.max(ms, 0), wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', wake);
    });
  }

  /** What needs no time happens. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#sleepers].reduce<Sleeper | undefined>(
        (first, item) => (first === undefined || item.due < first.due ? item : first),
        undefined,
      );
      if (next === undefined || next.due > end) break;
      this.#now = Math.max(this.#now, next.due);
      next.wake();
      await this.settle();
    }
    this.#now = end;
  }

  /** Lets time pass until the work is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const end = () => {
      isDone = true;
    };
    work.then(end, end);
    for (let step = 0; step < 10_000; step++) {
      await this.settle();
      if (isDone) break;
      await this.advance(10);
    }
    return work;
  }
}
