// The store of one host: one file, written whole before a change counts. Time is the caller's clock,
// and the leases of the file begin anew when it is opened.

import { randomUUID } from 'node:crypto';
import { SwitchError } from '../model/error.js';
import { type LocalContent, loadLocal, saveLocal } from './localFile.js';
import type {
  Change,
  Condition,
  Entry,
  LeaseId,
  Revision,
  Snapshot,
  Store,
  Transaction,
  Write,
} from './store.js';
import { changesBetween, patiently, requireFit } from './transaction.js';

/** Calls `work` once after `ms` milliseconds; the function that it gives takes that back. */
export type Timer = (ms: number, work: () => void) => () => void;

/** Does not keep the process alive. */
export const systemTimer: Timer = (ms, work) => {
  const timeout = setTimeout(work, ms).unref();
  return () => clearTimeout(timeout);
};

interface LocalEntry extends Entry {
  readonly lease?: LeaseId | undefined;
}

interface Lease {
  readonly ttl: number;
  /** Takes its end back. */
  cancel(): void;
}

interface Watcher {
  tell(changes: readonly Change[], revision: Revision): void;
  end(): void;
}

/** Opens the store in `path`; `broken` tells that the file was, and where it is now. Throws as `loadLocal`. */
export async function openLocalStore(
  path: string,
  timer: Timer = systemTimer,
): Promise<{ readonly store: Store; readonly broken?: string }> {
  const { content, broken } = await loadLocal(path, new Date());
  const store = new LocalStore(path, content, timer);
  return { store, ...(broken !== undefined && { broken }) };
}

class LocalStore implements Store {
  readonly kind = 'local';
  readonly name = 'local';
  readonly #path: string;
  readonly #timer: Timer;
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #watchers = new Set<Watcher>();
  #entries: ReadonlyMap<string, LocalEntry>;
  #revision: number;
  #closed = false;
  /** One change at a time. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(path: string, content: LocalContent, timer: Timer) {
    this.#path = path;
    this.#timer = timer;
    this.#revision = content.revision;
    this.#entries = new Map(
      content.entries.map(({ key, revision, ...rest }) => [
        key,
        { ...rest, revision: String(revision) },
      ]),
    );
    for (const [id, { ttl }] of Object.entries(content.leases)) this.#begin(id, ttl);
  }

  async snapshot(): Promise<Snapshot> {
    this.#requireOpen();
    return { revision: String(this.#revision), entries: this.#entries };
  }

  async watch(
    from: Snapshot,
    onChanges: (changes: readonly Change[], revision: Revision) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.#requireOpen();
    if (signal.aborted) return;
    const missed = changesBetween(from.entries, this.#entries);
    if (missed.length > 0) onChanges(missed, String(this.#revision));
    // The caller may have had enough.
    if (signal.aborted) return;
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        this.#watchers.delete(watcher);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const tell = (changes: readonly Change[], revision: Revision) => {
        try {
          onChanges(changes, revision);
        } catch (error) {
          reject(error);
          end();
        }
      };
      const watcher: Watcher = { tell, end };
      this.#watchers.add(watcher);
      signal.addEventListener('abort', end);
    });
  }

  async commit(transaction: Transaction): Promise<boolean> {
    requireFit(this.name, transaction);
    return await this.#oneByOne(async () => {
      const { conditions, writes } = transaction;
      const leases = writes.flatMap((write) => ('lease' in write ? [write.lease] : []));
      if (!leases.every((lease) => lease === undefined || this.#leases.has(lease))) return false;
      if (!conditions.every((condition) => this.#holds(condition))) return false;
      await this.#write(writes);
      return true;
    });
  }

  async grant(ttlSecs: number): Promise<LeaseId> {
    return await this.#oneByOne(async () => {
      const id = randomUUID();
      this.#begin(id, ttlSecs);
      return id;
    });
  }

  async renew(lease: LeaseId): Promise<boolean> {
    return await this.#oneByOne(async () => {
      const known = this.#leases.get(lease);
      if (known === undefined) return false;
      known.cancel();
      this.#begin(lease, known.ttl);
      return true;
    });
  }

  async revoke(lease: LeaseId): Promise<void> {
    await this.#oneByOne(() => this.#end(lease));
  }

  traffic() {
    return { sent: 0, received: 0 };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { cancel } of this.#leases.values()) cancel();
    for (const watcher of this.#watchers) watcher.end();
    await this.#tail;
  }

  #requireOpen(): void {
    if (this.#closed) throw new SwitchError('STORE_DOWN', this.name, { why: 'it is closed' });
  }

  async #oneByOne<T>(task: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => undefined);
    return await patiently(this.name, result);
  }

  #holds(condition: Condition): boolean {
    const entry = this.#entries.get(condition.key);
    return 'absent' in condition ? entry === undefined : entry?.revision === condition.revision;
  }

  #begin(id: LeaseId, ttl: number): void {
    const expire = () => {
      // Renewed meanwhile, it is another. A file that cannot be written now is tried again after as long.
      const task = async () => {
        if (this.#leases.get(id) === lease) await this.#end(id);
      };
      this.#oneByOne(task).catch(() => !this.#closed && this.#begin(id, ttl));
    };
    const lease: Lease = { ttl, cancel: this.#timer(ttl * 1000, expire) };
    this.#leases.set(id, lease);
  }

  async #end(id: LeaseId): Promise<void> {
    const keys = [...this.#entries].filter(([, entry]) => entry.lease === id).map(([key]) => key);
    await this.#write(keys.map((key) => ({ key, remove: true })));
    this.#leases.get(id)?.cancel();
    this.#leases.delete(id);
  }

  /** On disk first; then it counts, and is told. */
  async #write(writes: readonly Write[]): Promise<void> {
    const revision = this.#revision + 1;
    const entries = new Map(this.#entries);
    for (const write of writes) {
      if ('remove' in write) entries.delete(write.key);
      else {
        const { key, value, lease } = write;
        entries.set(key, { value, lease, revision: String(revision) });
      }
    }
    const changes = changesBetween(this.#entries, entries);
    if (changes.length === 0) return;
    await saveLocal(this.#path, this.#content(revision, entries));
    this.#entries = entries;
    this.#revision = revision;
    for (const watcher of this.#watchers) watcher.tell(changes, String(revision));
  }

  /** A lease without keys is not worth keeping. */
  #content(revision: number, entries: ReadonlyMap<string, LocalEntry>): LocalContent {
    const leases: Record<LeaseId, { ttl: number }> = {};
    for (const { lease } of entries.values()) {
      const ttl = lease && this.#leases.get(lease)?.ttl;
      if (lease && ttl) leases[lease] = { ttl };
    }
    const rows = [...entries].map(([key, entry]) => ({
      ...entry,
      key,
      revision: Number(entry.revision),
    }));
    return { revision, leases, entries: rows };
  }
}
