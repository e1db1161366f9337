/** A host's copy of the store: what a snapshot held, and every change since. */

import type { Change, Entry, Revision, Snapshot, Store } from '../../src/store/store.js';
import type { Scope } from '../support/scope.js';

export interface Batch {
  readonly changes: readonly Change[];
  readonly revision: Revision;
}

export class Mirror {
  readonly entries: Map<string, Entry>;
  readonly batches: Batch[] = [];
  /** The end of the watch; never rejects. */
  readonly ended: Promise<Error | undefined>;
  readonly #abort = new AbortController();

  private constructor(store: Store, from: Snapshot) {
    this.entries = new Map(from.entries);
    const onChanges = (changes: readonly Change[], revision: Revision) => {
      this.batches.push({ changes, revision });
      for (const { key, entry } of changes) {
        if (entry === undefined) this.entries.delete(key);
        else this.entries.set(key, entry);
      }
    };
    this.ended = store.watch(from, onChanges, this.#abort.signal).then(
      () => undefined,
      (error: Error) => error,
    );
  }

  /** Follows from `from`, or from now. */
  static async start(scope: Scope, store: Store, from?: Snapshot): Promise<Mirror> {
    const mirror = new Mirror(store, from ?? (await store.snapshot()));
    await scope.defer('watch', () => mirror.stop());
    return mirror;
  }

  /** As a host does it: from a new snapshot whenever the watch has ended. `current` gives the mirror of now. */
  static async keep(scope: Scope, store: Store): Promise<{ current(): Mirror | undefined }> {
    let mirror: Mirror | undefined;
    let done = false;
    const loop = async () => {
      while (!done) {
        const from = await store.snapshot().catch(() => undefined);
        if (done || from === undefined) continue;
        mirror = new Mirror(store, from);
        await mirror.ended;
      }
    };
    const end = loop();
    await scope.defer('following', async () => {
      done = true;
      await mirror?.stop();
      await end;
    });
    return { current: () => mirror };
  }

  async stop(): Promise<Error | undefined> {
    this.#abort.abort();
    return await this.ended;
  }

  /** Of every change, in the order told. */
  get told(): readonly Change[] {
    return this.batches.flatMap(({ changes }) => changes);
  }
}

/** Key and value of all. */
export function valuesOf(entries: ReadonlyMap<string, Entry>): Record<string, string> {
  return Object.fromEntries([...entries].map(([key, { value }]) => [key, value]).sort());
}
