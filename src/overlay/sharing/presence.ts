// This host's own record: there as long as its lease is renewed.

import type { Logger } from 'pino';
import { encode, type HostRecord, keys, RECORD_VERSION } from '../../store/records.js';
import type { LeaseId, Store } from '../../store/store.js';
import { Bell, type Clock } from './clock.js';
import type { Link } from './link.js';
import type { Mirror } from './mirror.js';
import type { Transactor } from './transactor.js';

const TTL_SECS = 15;
const RENEW_MS = 5_000;
const RETRY_MS = 1_000;

/** This host as the others see it. */
export interface Self {
  /** Of its VTEP. */
  readonly address: string;
  readonly port: number;
  /** For people. */
  readonly name: string;
  /** Random, from its state directory: outlives the daemon, and no other machine has it. */
  readonly machine: string;
}

export interface PresenceParts {
  readonly store: Store;
  readonly mirror: Mirror;
  readonly link: Link;
  readonly transactor: Transactor;
  readonly clock: Clock;
  readonly log: Logger;
  readonly self: Self;
  /** Random. */
  readonly newId: () => string;
  /** `trouble` or `rival` has changed. */
  readonly onState: () => void;
}

export class Presence {
  readonly #parts: PresenceParts;
  readonly #bell: Bell;
  #lease: LeaseId | undefined;
  #trouble: string | undefined;
  #rival: HostRecord | undefined;
  #isAway = false;
  #isStopped = false;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#bell = new Bell(parts.clock);
    parts.mirror.onChange(() => {
      const isTold = this.#lease !== undefined && this.#record()?.lease === this.#lease;
      if (!isTold && !this.#isAway && this.#trouble === undefined) this.#bell.ring();
    });
  }

  /** Why the lease cannot be kept. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Another machine that is alive and has our VTEP address: as long as it is there, the store has it, not us. */
  get rival(): HostRecord | undefined {
    return this.#rival;
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      let trouble: string | undefined;
      try {
        if (!this.#isAway && this.#parts.link.state !== 'connecting') await this.#ensure();
      } catch (error) {
        trouble = (error as Error).message;
      }
      if (this.#isStopped) return;
      this.#set(trouble);
      await this.#bell.wait(trouble === undefined ? RENEW_MS : RETRY_MS);
    }
  }

  /** The lease goes on by itself. */
  stop(): void {
    this.#isStopped = true;
    this.#bell.ring();
  }

  /** Takes the record out of the store until `back`. Throws STORE_*. */
  async leave(): Promise<void> {
    const { store, transactor, self } = this.#parts;
    this.#isAway = true;
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease === undefined) return;
    await store.revoke(lease);
    await transactor.seen(() => !this.#parts.mirror.isLive(self.address));
  }

  back(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#bell.ring();
  }

  async #ensure(): Promise<void> {
    const { store, self, mirror, link } = this.#parts;
    if (link.state === 'connected') await this.#nameStore();
    const record = this.#record();
    const rival = record?.machine === self.machine ? undefined : record;
    this.#setRival(rival);
    if (rival !== undefined) return;
    // A lease of an earlier run is taken up again.
    const known = this.#lease ?? record?.lease;
    if (known !== undefined) this.#lease = (await store.renew(known)) ? known : undefined;
    this.#lease ??= await store.grant(TTL_SECS);
    const isTold = mirror.text(keys.host(self.address)) === this.#text(this.#lease);
    if (!isTold && !this.#isAway && link.state === 'connected') await this.#write(this.#lease);
  }

  /** Gives the store its ID if it has none. */
  async #nameStore(): Promise<void> {
    const { mirror, transactor, newId } = this.#parts;
    if (mirror.text(keys.store) !== undefined) return;
    const value = encode({ version: RECORD_VERSION, id: newId() });
    await transactor.commit((view) => {
      if (view.text(keys.store) !== undefined) return { result: undefined };
      const conditions = [view.unchanged(keys.store)];
      return {
        transaction: { conditions, writes: [{ key: keys.store, value }] },
        result: undefined,
      };
    });
  }

  #write(lease: LeaseId): Promise<void> {
    const { transactor, self } = this.#parts;
    const key = keys.host(self.address);
    return transactor.commit((view) => {
      const record = this.#record();
      if (record !== undefined && record.machine !== self.machine) return { result: undefined };
      const write = { key, value: this.#text(lease), lease };
      return {
        transaction: { conditions: [view.unchanged(key)], writes: [write] },
        result: undefined,
      };
    });
  }

  #text(lease: LeaseId): string {
    const { name, port, machine } = this.#parts.self;
    return encode({ version: RECORD_VERSION, name, port, machine, lease });
  }

  /** Ours, as the store has it now. */
  #record(): HostRecord | undefined {
    const { mirror, self } = this.#parts;
    const key = keys.host(self.address);
    const item = mirror.item(key);
    return item?.kind === 'host' && mirror.text(key) !== undefined ? item.record : undefined;
  }

  #set(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#parts.onState();
  }

  #setRival(rival: HostRecord | undefined): void {
    if (rival?.machine === this.#rival?.machine) return;
    const { self, log } = this.#parts;
    if (rival !== undefined)
      log.error({ vtep: self.address, host: rival.name }, 'another machine has our VTEP address');
    this.#rival = rival;
    this.#parts.onState();
  }
}
