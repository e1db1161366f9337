import { SwitchError } from '../../src/model/error.js';
import type { Clock } from '../../src/overlay/sharing/clock.js';
import {
  type Change,
  type Condition,
  type Entry,
  type LeaseId,
  type Revision,
  type Snapshot,
  STORE_PATIENCE_MS,
  type Store,
  TRANSACTION_MAX,
  type Transaction,
} from '../../src/store/store.js';

interface Stored extends Entry {
  readonly lease?: LeaseId | undefined;
}

interface Lease {
  readonly ttl: number;
  due: number;
}

/** What the stores of several hosts are connected to: the obvious store, in memory, under a manual clock. */
export class MemoryCluster {
  readonly clock: Clock;
  #revision = 1;
  #oldest = 1;
  #entries = new Map<string, Stored>();
  readonly #history: { readonly revision: number; readonly changes: readonly Change[] }[] = [];
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #watchers = new Set<() => void>();
  #leaseCount = 0;
  commits = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get revision(): number {
    return this.#revision;
  }

  get oldest(): number {
    return this.#oldest;
  }

  keys(prefix = ''): string[] {
    return [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  value(key: string): unknown {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : JSON.parse(entry.value);
  }

  /** Somebody else writes, past every rule. */
  put(key: string, value: string): void {
    this.#write([{ key, value }]);
  }

  delete(...keys: string[]): void {
    this.#write(keys.map((key) => ({ key })));
  }

  /** Forgets how it came to be what it is. */
  compact(): void {
    this.#oldest = this.#revision;
    this.#history.length = 0;
  }

  /** Comes back with nothing, as another store: leases and revisions are gone too. */
  empty(): void {
    this.#entries = new Map();
    this.#leases.clear();
    this.#revision = 1;
    this.#oldest = 1;
    this.#history.length = 0;
  }

  snapshot(): Snapshot {
    const entries = [...this.#entries].map(([key, { value, revision }]): [string, Entry] => [
      key,
      { value, revision },
    ]);
    return { revision: String(this.#revision), entries: new Map(entries.sort()) };
  }

  commit({ conditions, writes }: Transaction): boolean {
    if (conditions.length + writes.length > TRANSACTION_MAX) throw new Error('too large');
    if (new Set(writes.map(({ key }) => key)).size < writes.length) throw new Error('key twice');
    if (!conditions.every((condition) => this.#holds(condition))) return false;
    this.commits += 1;
    this.#write(
      writes.map((write) =>
        'value' in write
          ? { key: write.key, value: write.value, lease: write.lease }
          : { key: write.key },
      ),
    );
    return true;
  }

  since(revision: number): { readonly changes: Change[]; readonly revision: number } {
    const news = this.#history.filter((item) => item.revision > revision);
    return { changes: news.flatMap(({ changes }) => changes), revision: this.#revision };
  }

  onWrite(listener: () => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  grant(ttlSecs: number): LeaseId {
    this.#leaseCount += 1;
    const id = `lease-${this.#leaseCount}`;
    const lease = { ttl: ttlSecs * 1000, due: this.clock.now() + ttlSecs * 1000 };
    this.#leases.set(id, lease);
    void this.#expire(id, lease);
    return id;
  }

  renew(id: LeaseId): boolean {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.due = this.clock.now() + lease.ttl;
    return lease !== undefined;
  }

  revoke(id: LeaseId): void {
    if (!this.#leases.delete(id)) return;
    this.delete(...[...this.#entries].filter(([, { lease }]) => lease === id).map(([key]) => key));
  }

  async #expire(id: LeaseId, lease: Lease): Promise<void> {
    while (this.#leases.get(id) === lease && lease.due > this.clock.now()) {
      await this.clock.sleep(lease.due - this.clock.now());
    }
    if (this.#leases.get(id) === lease) this.revoke(id);
  }

  #holds(condition: Condition): boolean {
    const revision = this.#entries.get(condition.key)?.revision;
    return 'absent' in condition ? revision === undefined : revision === condition.revision;
  }

  #write(writes: readonly { key: string; value?: string; lease?: LeaseId | undefined }[]): void {
    this.#revision += 1;
    const revision: Revision = String(this.#revision);
    const changes = writes.map(({ key, value, lease }): Change => {
      if (value === undefined) {
        this.#entries.delete(key);
        return { key };
      }
      this.#entries.set(key, { value, revision, lease });
      return { key, entry: { value, revision } };
    });
    this.#history.push({ revision: this.#revision, changes });
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** What is wrong between a host and the store. */
export interface Faults {
  /** Refused at once. */
  down: boolean;
  /** No answer: given up after the patience. What is committed meanwhile happens or not. */
  hangs: boolean;
  /** Milliseconds that each call and each change takes. */
  latency: number;
  /** So many commits happen, but are answered by an error. */
  lostAnswers: number;
}

/** One host's connection to the cluster. */
export class MemoryStore implements Store {
  readonly kind = 'etcd';
  readonly name = 'memory';
  readonly faults: Faults = { down: false, hangs: false, latency: 0, lostAnswers: 0 };
  readonly #cluster: MemoryCluster;
  readonly #broken = new Set<() => void>();
  snapshots = 0;

  constructor(cluster: MemoryCluster) {
    this.#cluster = cluster;
  }

  /** Calls from now on go wrong like this; watches that run break, as far as their connection does. */
  set(faults: Partial<Faults>): void {
    Object.assign(this.faults, faults);
    if (this.faults.down || this.faults.hangs) for (const end of [...this.#broken]) end();
  }

  /** Ends running watches, as a lost connection does. */
  disconnect(): void {
    for (const end of [...this.#broken]) end();
  }

  snapshot(): Promise<Snapshot> {
    this.snapshots += 1;
    return this.#call(() => this.#cluster.snapshot());
  }

  async watch(
    from: Snapshot,
    onChanges: (changes: readonly Change[], revision: Revision) => void,
    signal: AbortSignal,
    onCurrent: () => void = () => {},
  ): Promise<void> {
    let revision = Number(from.revision);
    await this.#call(() => {});
    let isLost = false;
    let wake = () => {};
    const lose = () => {
      isLost = true;
      wake();
    };
    const unsubscribe = this.#cluster.onWrite(() => wake());
    const onAbort = () => wake();
    this.#broken.add(lose);
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        if (isLost) throw new SwitchError('STORE_DOWN', this.name);
        if (revision < this.#cluster.oldest || revision > this.#cluster.revision) {
          throw new SwitchError('STORE_COMPACTED', this.name);
        }
        const news = this.#cluster.since(revision);
        if (news.changes.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        if (this.faults.latency > 0) await this.#cluster.clock.sleep(this.faults.latency);
        if (signal.aborted || isLost) continue;
        revision = news.revision;
        onChanges(news.changes, String(revision));
        onCurrent();
      }
    } finally {
      unsubscribe();
      this.#broken.delete(lose);
      signal.removeEventListener('abort', onAbort);
    }
  }

  commit(transaction: Transaction): Promise<boolean> {
    return this.#call(() => {
      const isDone = this.#cluster.commit(transaction);
      if (this.faults.lostAnswers === 0) return isDone;
      this.faults.lostAnswers -= 1;
      throw new SwitchError('STORE_DOWN', this.name);
    });
  }

  grant(ttlSecs: number): Promise<LeaseId> {
    return this.#call(() => this.#cluster.grant(ttlSecs));
  }

  renew(lease: LeaseId): Promise<boolean> {
    return this.#call(() => this.#cluster.renew(lease));
  }

  revoke(lease: LeaseId): Promise<void> {
    return this.#call(() => this.#cluster.revoke(lease));
  }

  traffic() {
    return { sent: 0, received: 0 };
  }

  async close(): Promise<void> {
    this.disconnect();
  }

  async #call<T>(work: () => T): Promise<T> {
    const { clock } = this.#cluster;
    await Promise.resolve();
    if (this.faults.down) throw new SwitchError('STORE_DOWN', this.name);
    if (this.faults.hangs) {
      await clock.sleep(STORE_PATIENCE_MS);
      throw new SwitchError('STORE_DOWN', this.name, { why: 'it is too slow' });
    }
    if (this.faults.latency === 0) return work();
    const { latency } = this.faults;
    const late = clock.sleep(latency).then(work);
    if (latency <= STORE_PATIENCE_MS) return late;
    late.catch(() => {});
    await clock.sleep(STORE_PATIENCE_MS);
    throw new SwitchError('STORE_DOWN', this.name, { why: 'it is too slow' });
  }
}
