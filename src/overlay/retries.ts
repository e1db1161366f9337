// When ports that could not be opened are tried again: after 1, 2, 4 ... 30 s, and at once in another
// namespace. Time is an argument (milliseconds of a clock that never jumps).

import type { ErrorCode } from '../model/sentences.js';
import type { NamespaceId } from './namespaces.js';

/** Why a port is not attached. */
export interface Refusal {
  readonly reason: string;
  /** Absent when nothing was tried. */
  readonly code?: ErrorCode;
}

interface Retry extends Refusal {
  /** What was at the port's path when it failed: another one is tried at once. */
  readonly namespace: NamespaceId | undefined;
  readonly delay: number;
  readonly due: number;
}

const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export class Retries {
  readonly #retries = new Map<string, Retry>();

  /** Why the port failed last time, as long as it is too early to try it again in that namespace. */
  heldBack(port: string, namespace: NamespaceId | undefined, now: number): Refusal | undefined {
    const retry = this.#retries.get(port);
    if (retry === undefined || retry.namespace !== namespace || now >= retry.due) return undefined;
    const { reason, code } = retry;
    return { reason, ...(code && { code }) };
  }

  postpone(port: string, namespace: NamespaceId | undefined, refusal: Refusal, now: number): void {
    const last = this.#retries.get(port);
    const again = last !== undefined && last.namespace === namespace;
    const delay = again ? Math.min(last.delay * 2, RETRY_MAX_MS) : RETRY_MIN_MS;
    this.#retries.set(port, { ...refusal, namespace, delay, due: now + delay });
  }

  forget(port: string): void {
    this.#retries.delete(port);
  }

  /** Keeps those of the ports that still wait. */
  keep(waits: (port: string) => boolean): void {
    for (const name of this.#retries.keys()) if (!waits(name)) this.#retries.delete(name);
  }

  clear(): void {
    this.#retries.clear();
  }
}
