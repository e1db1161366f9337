// What is due by time alone, all by this host's own clock. Any host may do it, several at once too.

import type { Logger } from 'pino';
import type { SwitchError } from '../../model/error.js';
import type { SharedState } from '../shared.js';
import { Bell, type Clock } from './clock.js';
import type { Mirror } from './mirror.js';
import { isAbandoned } from './networks.js';
import { HOLD_MS } from './restoration.js';

const TICK_MS = 1_000;
/** A lost host is forgotten. */
const FORGET_MS = 24 * 3_600_000;
/** A removal that somebody began is finished or taken back. */
const REMOVAL_MS = 30_000;
/** A network of Docker that no Docker knows goes. */
const ABANDONED_MS = 60_000;

export interface UpkeepParts {
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly log: Logger;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Whether the store may be changed now. */
  readonly mayChange: () => boolean;
  readonly forgetHost: (vtep: string) => Promise<void>;
  readonly finishRemoval: (network: string) => Promise<void>;
  readonly removeNetwork: (network: string) => Promise<void>;
  /** The state has changed by time alone. */
  readonly onState: () => void;
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #bell: Bell;
  readonly #removing: Ages;
  readonly #abandoned: Ages;
  /** So that hosts do not all do the same at the same moment. */
  readonly #lateness: number;
  #hosts: SharedState['hosts'] | undefined;
  #isStopped = false;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#bell = new Bell(parts.clock);
    this.#removing = new Ages(parts.clock);
    this.#abandoned = new Ages(parts.clock);
    this.#lateness = parts.random() * 5_000;
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#tick();
      if (!this.#isStopped) await this.#bell.wait(TICK_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#bell.ring();
  }

  async #tick(): Promise<void> {
    const { mirror, clock } = this.#parts;
    this.#tellHosts();
    if (mirror.heldSince !== undefined && clock.now() - mirror.heldSince > HOLD_MS)
      mirror.release();
    const { networks } = mirror.state;
    const names = [...networks.keys()];
    const removing = this.#removing.older(
      names.filter((name) => networks.get(name)?.removing),
      REMOVAL_MS + this.#lateness,
    );
    const abandoned = this.#abandoned.older(
      names.filter((name) => isAbandoned(mirror, name)),
      ABANDONED_MS + this.#lateness,
    );
    const lost = [...mirror.lost()].filter(([, age]) => age > FORGET_MS + this.#lateness);
    if (!this.#parts.mayChange()) return;
    for (const name of removing) await this.#try(() => this.#parts.finishRemoval(name));
    for (const name of abandoned) await this.#try(() => this.#parts.removeNetwork(name));
    for (const [vtep] of lost) await this.#try(() => this.#parts.forgetHost(vtep));
  }

  #tellHosts(): void {
    const { mirror, onState } = this.#parts;
    const before = this.#hosts;
    this.#hosts = mirror.state.hosts;
    if (before !== this.#hosts) onState();
  }

  /** Another host may have been faster, and the store may be away: then it is due at the next tick. */
  async #try(work: () => Promise<void>): Promise<void> {
    await work().catch((error: SwitchError) =>
      this.#parts.log.debug({ error: error.message }, 'upkeep'),
    );
  }
}

/** For how long something has been so. */
class Ages {
  readonly #clock: Clock;
  readonly #since = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Those of `names` that were named at every call for longer than `ms`. */
  older(names: readonly string[], ms: number): string[] {
    const now = this.#clock.now();
    const named = new Set(names);
    for (const name of this.#since.keys()) if (!named.has(name)) this.#since.delete(name);
    for (const name of names) if (!this.#since.has(name)) this.#since.set(name, now);
    return names.filter((name) => now - (this.#since.get(name) ?? now) > ms);
  }
}
