/** What the contract's tests need of a store's engine. */

import type { Store } from '../../src/store/store.js';

export interface Engine {
  /** As a host does; each host has its own, but hosts of a `local` store share one. Closed at the end. */
  open(prefix: string): Promise<Store>;
  /** So many seconds of the engine's time pass. */
  pass(secs: number): Promise<void>;
}

/** What others write and read beside us, by whole keys. */
export interface Others {
  put(key: string, value: Buffer): Promise<void>;
  get(key: string): Promise<Buffer>;
}
