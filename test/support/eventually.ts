import { setTimeout as delay } from 'node:timers/promises';

export interface Patience {
  /** When to give up, in ms. */
  readonly within?: number;
  /** Pause between two looks, in ms. */
  readonly every?: number;
}

/** Thrown by a probe: what is awaited can no longer happen. */
export class Hopeless extends Error {}

/**
 * Looks until `probe` neither throws nor answers `undefined` or `false`, and returns its answer.
 * When the time is over it throws: what was awaited, for how long, and what the last look gave. `Hopeless`
 * from the probe ends it at once.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { within = 10_000, every = 50 }: Patience = {},
): Promise<Exclude<T, undefined | false>> {
  const start = Date.now();
  for (;;) {
    let last: string;
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
      last = `the last look gave ${String(answer)}`;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = `the last look failed: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (Date.now() - start > within) {
      throw new Error(`not within ${within} ms: ${what}; ${last}`);
    }
    await delay(every);
  }
}

/** Throws when `work` takes longer than `within` ms. For processes that might never answer. */
export async function atMost<T>(what: string, within: number, work: Promise<T>): Promise<T> {
  const abort = new AbortController();
  const expiry = delay(within, undefined, { signal: abort.signal, ref: false }).then(
    () => {
      throw new Error(`not within ${within} ms: ${what}`);
    },
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([work, expiry]);
  } finally {
    abort.abort();
  }
}

/** Waits for the end of all, also when one fails; then throws the first failure. Nothing is left running. */
export async function allOf(works: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) {
    if (result.status === 'rejected') throw result.reason;
  }
}
