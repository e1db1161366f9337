// Addresses that this host took and that no endpoint has yet, so that none is given back too early
// and none is kept for ever.

import type { SharedState } from '../shared.js';

/** How long an address that we chose waits for its endpoint. */
const PATIENCE_MS = 60_000;

export class Reservations {
  readonly #now: () => number;
  /** `Infinity`: until it is given back. */
  readonly #until = new Map<string, number>();
  /** Since when an address of ours has neither endpoint nor reservation. */
  readonly #idleSince = new Map<string, number>();
  #isFirst = true;

  /** @param now milliseconds; never goes back */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Those asked for by address stay until they are given back; others wait a minute for their endpoint. */
  add(network: string, ip: string, wasNamed: boolean): void {
    this.#until.set(
      `${network} ${ip}`,
      wasNamed ? Number.POSITIVE_INFINITY : this.#now() + PATIENCE_MS,
    );
  }

  /** Given back, or an endpoint has it. */
  remove(network: string, ip: string): void {
    this.#until.delete(`${network} ${ip}`);
  }

  isReserved(network: string, ip: string): boolean {
    const until = this.#until.get(`${network} ${ip}`);
    return until !== undefined && until > this.#now();
  }

  /** Nobody has reserved it since the start, or not for a minute. */
  isForgotten(network: string, ip: string): boolean {
    const since = this.#idleSince.get(`${network} ${ip}`);
    return since !== undefined && this.#now() - since > PATIENCE_MS;
  }

  /**
   * Notes which addresses of `self` have neither endpoint nor reservation. Those of the first call were
   * left by an earlier run: they are forgotten at once. Later ones may be answers still under way.
   */
  observe(addresses: SharedState['addresses'], self: string, isInUse: InUse): void {
    const now = this.#now();
    const idle = new Set<string>();
    for (const [network, records] of addresses) {
      for (const [ip, { host, use }] of records) {
        if (host !== self || use !== 'endpoint' || isInUse(network, ip)) continue;
        if (!this.isReserved(network, ip)) idle.add(`${network} ${ip}`);
      }
    }
    for (const key of this.#idleSince.keys()) if (!idle.has(key)) this.#idleSince.delete(key);
    for (const key of idle) {
      if (!this.#idleSince.has(key)) {
        this.#idleSince.set(key, this.#isFirst ? Number.NEGATIVE_INFINITY : now);
      }
    }
    this.#isFirst = false;
  }
}

type InUse = (network: string, ip: string) => boolean;
