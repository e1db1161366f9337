// Makes the store what this host wants it to be, again and again: lost races and lost answers only delay.

import type { Logger } from 'pino';
import { Bell, type Clock } from './clock.js';
import type { Difference } from './endpoints.js';
import type { Transactor } from './transactor.js';
import { pack } from './unit.js';

/** Looks as often also when nothing has happened: what is due by time alone. */
const LOOK_MS = 5_000;
const RETRY_MS = 1_000;

export interface FollowerParts {
  readonly transactor: Transactor;
  readonly clock: Clock;
  readonly log: Logger;
  /** Without a connection nothing is tried. */
  readonly isConnected: () => boolean;
  /** What is not as it shall be. */
  readonly compute: () => Difference;
  readonly onConflicts: () => void;
}

export class Follower {
  readonly #parts: FollowerParts;
  readonly #bell: Bell;
  #conflicts: readonly string[] = [];
  #trouble: string | undefined;
  #isStopped = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#bell = new Bell(parts.clock);
  }

  /** What cannot be so, and why. */
  get conflicts(): readonly string[] {
    return this.#conflicts;
  }

  /** Something may have to be done. */
  poke(): void {
    // Trouble has its own pace.
    if (this.#trouble === undefined) this.#bell.ring();
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      const pause = (await this.#follow()) ? LOOK_MS : RETRY_MS;
      if (!this.#isStopped) await this.#bell.wait(pause);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#bell.ring();
  }

  /** False: it has to be tried again. Never throws. */
  async #follow(): Promise<boolean> {
    const { transactor, log, compute } = this.#parts;
    try {
      let hasMore = this.#parts.isConnected();
      while (hasMore && !this.#isStopped) {
        hasMore = await transactor.commit((_, attempt) => {
          const { units, conflicts } = compute();
          this.#tell(conflicts);
          // Whoever keeps losing goes in small steps.
          const transaction = attempt > 1 ? pack(units, 1) : pack(units);
          return { ...(transaction && { transaction }), result: transaction !== undefined };
        });
      }
      this.#trouble = undefined;
      return true;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#trouble && !this.#isStopped)
        log.warn({ error: message }, 'the store does not follow yet');
      this.#trouble = message;
      return false;
    }
  }

  #tell(conflicts: readonly string[]): void {
    if (conflicts.join('\n') === this.#conflicts.join('\n')) return;
    for (const conflict of conflicts) {
      if (!this.#conflicts.includes(conflict)) this.#parts.log.warn({ conflict }, 'not shared');
    }
    this.#conflicts = conflicts;
    this.#parts.onConflicts();
  }
}
