// Keeps the mirror up to date: a snapshot, then a watch from it; after any trouble both anew.

import { SwitchError } from '../../model/error.js';
import type { Snapshot, Store } from '../../store/store.js';
import type { StoreHealth } from '../shared.js';
import type { Clock } from './clock.js';
import type { Mirror } from './mirror.js';

/** Pauses between attempts, in milliseconds; each is a random part of them. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** A watch that lasted as long was no failure of the attempt that began it. */
const GOOD_WATCH_MS = 5_000;

export interface LinkParts {
  readonly store: Store;
  readonly mirror: Mirror;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** The link's state or its reason has changed. */
  readonly onState: () => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Link {
  readonly #parts: LinkParts;
  #state: StoreHealth['state'] = 'connecting';
  #detail: string | undefined;
  /** When the mirror was last known to show all. */
  #currentAt: number | undefined;
  /** Who waits for a snapshot that is taken from now on. */
  #waiters: Waiter[] = [];
  /** Who waits for any snapshot. */
  #hopefuls: Waiter[] = [];
  /** Ends the pause or the watch. */
  #round = new AbortController();
  #isTrying = false;
  #isStopped = false;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  get state(): StoreHealth['state'] {
    return this.#state;
  }

  /** Why it is not connected. */
  get detail(): string | undefined {
    return this.#detail;
  }

  /** Milliseconds since the store has last shown that the mirror lacks nothing; `undefined`: it never did. */
  get age(): number | undefined {
    const { store, clock } = this.#parts;
    if (this.#currentAt === undefined) return undefined;
    return store.kind === 'local' ? 0 : clock.now() - this.#currentAt;
  }

  /** Works until `stop`. Never throws. */
  async run(): Promise<void> {
    const { clock, store } = this.#parts;
    let failures = 0;
    while (!this.#isStopped) {
      this.#round = new AbortController();
      const round = this.#round.signal;
      const began = clock.now();
      try {
        await this.#follow(round);
        failures = 0;
      } catch (error) {
        failures = clock.now() - began > GOOD_WATCH_MS ? 1 : failures + 1;
        if (codeOf(error) === 'STORE_COMPACTED' && failures === 1) continue;
        this.#set('degraded', (error as Error).message);
        if (this.#waiters.length === 0) await clock.sleep(this.#pause(failures), round);
      }
    }
    reject([...this.#waiters, ...this.#hopefuls], new SwitchError('STOPPED', store.name));
  }

  stop(): void {
    this.#isStopped = true;
    this.#round.abort();
  }

  /** Returns when the mirror shows the store as it was after this call. Throws STORE_*. */
  async refresh(): Promise<void> {
    if (this.#isStopped) throw new SwitchError('STOPPED', this.#parts.store.name);
    const answer = waiting(this.#waiters);
    this.#round.abort();
    return answer;
  }

  /** Returns at once when connected, else when the attempt that runs or is now begun has made it so. Throws STORE_*. */
  async ready(): Promise<void> {
    if (this.#state === 'connected') return;
    if (!this.#isTrying) return this.refresh();
    return waiting(this.#hopefuls);
  }

  /** One snapshot and the watch from it, until `round` aborts. */
  async #follow(round: AbortSignal): Promise<void> {
    const { store, mirror, clock } = this.#parts;
    // Who comes while the snapshot is under way gets the next one: this one may be too old.
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#isTrying = true;
    let snapshot: Snapshot;
    try {
      snapshot = await store.snapshot();
    } catch (error) {
      reject([...waiters, ...this.#hopefuls], error);
      this.#hopefuls = [];
      throw error;
    } finally {
      this.#isTrying = false;
    }
    mirror.install(snapshot);
    const current = () => {
      this.#currentAt = clock.now();
    };
    current();
    this.#set('connected', undefined);
    for (const waiter of [...waiters, ...this.#hopefuls]) waiter.resolve();
    this.#hopefuls = [];
    if (round.aborted) return;
    await store.watch(
      snapshot,
      (changes) => {
        if (!round.aborted) mirror.apply(changes);
      },
      round,
      current,
    );
  }

  #set(state: 'connected' | 'degraded', detail: string | undefined): void {
    const next = this.#state === 'connecting' && state === 'degraded' ? 'connecting' : state;
    if (this.#state === next && this.#detail === detail) return;
    this.#state = next;
    this.#detail = detail;
    this.#parts.onState();
  }

  #pause(failures: number): number {
    const most = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
    return most * (0.5 + 0.5 * this.#parts.random());
  }
}

function waiting(list: Waiter[]): Promise<void> {
  return new Promise((resolve, reject) => list.push({ resolve, reject }));
}

function reject(waiters: readonly Waiter[], error: unknown): void {
  for (const waiter of waiters) waiter.reject(error);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof SwitchError ? error.code : undefined;
}
