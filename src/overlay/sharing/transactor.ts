// Changes to the store: decided on what is known, committed under the condition that it still holds,
// decided anew when it did not.

import { isDeepStrictEqual } from 'node:util';
import { SwitchError } from '../../model/error.js';
import type { Store, Transaction, Write } from '../../store/store.js';
import { Serial } from '../serial.js';
import type { Clock } from './clock.js';
import type { Link } from './link.js';
import type { Mirror, View } from './mirror.js';

/** What shall change; without a transaction nothing needs to. */
export interface Decision<T> {
  readonly transaction?: Transaction;
  readonly result: T;
}

/**
 * Sees what is known and says what to do; throws a `SwitchError` when it cannot be done. `attempt`
 * counts from 0: how often a decision on this matter has lost a race.
 */
export type Decide<T> = (view: View, attempt: number) => Decision<T>;

/** Docker gives a plugin 5 s; this leaves room for what is done locally. */
const OPERATION_MS = 3_500;
/** Until the watch shows a change that the store has confirmed, or one that beat ours. */
const ECHO_MS = 700;
const ATTEMPTS = 32;

export interface TransactorParts {
  readonly store: Store;
  readonly mirror: Mirror;
  readonly link: Link;
  readonly clock: Clock;
}

/** One transaction of this host at a time, so that its own changes never race each other. */
export class Transactor {
  readonly #parts: TransactorParts;
  readonly #serial = new Serial();
  readonly #watchers = new Set<() => void>();

  constructor(parts: TransactorParts) {
    this.#parts = parts;
    parts.mirror.onChange(() => {
      for (const look of [...this.#watchers]) look();
    });
  }

  /**
   * Returns when the change is in the store and in the mirror. Throws what `decide` throws, and STORE_*
   * when the deadline is over; then the change may yet have happened.
   */
  commit<T>(decide: Decide<T>, deadline = this.deadline()): Promise<T> {
    return this.#orTooSlow(
      this.#serial.run(() => this.#try(decide, deadline)),
      deadline,
    );
  }

  /** When an operation that begins now must have ended: in 3.5 s. */
  deadline(): number {
    return this.#parts.clock.now() + OPERATION_MS;
  }

  /** Waits until the mirror is so; when that takes too long, has it read anew. Throws STORE_*. */
  async seen(isSo: () => boolean): Promise<void> {
    const { clock, link } = this.#parts;
    const found = new AbortController();
    const look = () => {
      if (isSo()) found.abort();
    };
    this.#watchers.add(look);
    look();
    await clock.sleep(ECHO_MS, found.signal);
    this.#watchers.delete(look);
    if (!isSo()) await link.refresh();
  }

  async #try<T>(decide: Decide<T>, deadline: number): Promise<T> {
    const { store, mirror, link, clock } = this.#parts;
    await link.ready();
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (clock.now() >= deadline) throw this.#tooSlow();
      const { transaction, result } = decide(mirror, attempt);
      if (transaction === undefined) return result;
      const before = new Map(keysOf(transaction).map((key) => [key, mirror.unchanged(key)]));
      const hasMoved = (key: string) => !isDeepStrictEqual(before.get(key), mirror.unchanged(key));
      let isDone: boolean;
      try {
        isDone = await store.commit(transaction);
      } catch (error) {
        if (!(error instanceof SwitchError && error.code === 'STORE_DOWN')) throw error;
        // It may have happened: only the store itself can tell.
        await link.refresh();
        if (transaction.writes.every((write) => isInEffect(mirror, write))) return result;
        continue;
      }
      if (isDone) {
        // Whoever decides next, or reads the state, finds it there.
        await this.seen(() =>
          transaction.writes.every((write) => isInEffect(mirror, write) || hasMoved(write.key)),
        ).catch(() => {});
        return result;
      }
      await this.seen(() => transaction.conditions.some(({ key }) => hasMoved(key)));
    }
    const why = 'too many hosts change the same at once';
    throw new SwitchError('STORE_REFUSED', store.name, { why });
  }

  async #orTooSlow<T>(work: Promise<T>, deadline: number): Promise<T> {
    const { clock } = this.#parts;
    const ended = new AbortController();
    const expiry = clock.sleep(deadline - clock.now(), ended.signal).then(() => {
      throw this.#tooSlow();
    });
    try {
      return await Promise.race([work, expiry]);
    } finally {
      expiry.catch(() => {});
      ended.abort();
    }
  }

  #tooSlow(): SwitchError {
    return new SwitchError('STORE_DOWN', this.#parts.store.name, { why: 'it is too slow' });
  }
}

function keysOf({ conditions, writes }: Transaction): string[] {
  return [...conditions, ...writes].map(({ key }) => key);
}

function isInEffect(view: View, write: Write): boolean {
  return view.text(write.key) === ('value' in write ? write.value : undefined);
}
