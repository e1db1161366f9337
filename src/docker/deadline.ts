// Docker waits for a plugin as long as it takes, and so does whoever typed the command: we do not.

import { SwitchError } from '../model/error.js';
import type { ErrorCode } from '../model/sentences.js';

/**
 * The result of `work`, or TOO_SLOW about `what` after `ms`. The work goes on then, and `late` is given
 * its result should it succeed after all; a late failure is nobody's.
 */
export async function within<T>(
  { ms, what, late }: { ms: number; what: string; late?: (result: T) => unknown },
  work: Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      over = true;
      reject(new SwitchError('TOO_SLOW', what));
    }, ms);
  });
  work.then(
    (result) => over && late?.(result),
    () => undefined,
  );
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/** Tasks of one key run one after the other in the order they came; those of different keys at once. */
export class Lanes {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(task);
    const tail = result
      .catch(() => undefined)
      .then(() => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
      });
    this.#tails.set(key, tail);
    return result;
  }
}

/** Whether the same may work later without anybody doing anything about it here. */
export function isPassing(error: unknown): boolean {
  return error instanceof SwitchError && PASSING.has(error.code);
}

const PASSING: ReadonlySet<ErrorCode> = new Set([
  'STORE_DOWN',
  'STORE_DENIED',
  'STORE_REFUSED',
  'STORE_COMPACTED',
  'ENGINE_AWAY',
  'TOO_SLOW',
]);
