// The store in Consul: every key below PREFIX/ of its key-value store, leases are sessions. Consul has no
// history: a watch reads the whole again after every change, and tells what is different.

import { setTimeout as delay } from 'node:timers/promises';
import { SwitchError } from '../model/error.js';
import { type Answer, ConsulClient } from './consulClient.js';
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
import { STORE_PATIENCE_MS } from './store.js';
import type { StoreAccess } from './storeAccess.js';
import { changesBetween, requireFit } from './transaction.js';

/** How long a question waits for a change. The answer to it is the whole content, changed or not. */
const WAIT_SECS = 30;
/** Consul adds up to a 16th (its API's words on blocking queries); the rest is for the way. */
const WAIT_MS = WAIT_SECS * 1000 * (1 + 1 / 16) + STORE_PATIENCE_MS;
/** Changes in quick succession are read together. */
const PAUSE_MS = 100;
/** How often an agent that is waited for shows that it is there, and that it has a leader. */
const HEARTBEAT_MS = 3_000;
const TTL_MIN_SECS = 10;

/** An operation of /v1/txn. */
interface Operation {
  readonly KV: {
    readonly Verb: 'check-index' | 'check-not-exists' | 'set' | 'lock' | 'delete';
    readonly Key: string;
    readonly Index?: number;
    readonly Value?: string;
    readonly Session?: string;
  };
}

interface Row {
  readonly Key: string;
  /** The package has decoded it; `null` is empty. */
  readonly Value: string | null;
  readonly ModifyIndex: number;
}

/** Connects when it is used. */
export class ConsulStore implements Store {
  readonly kind = 'consul';
  readonly name: string;
  readonly #client: ConsulClient;
  readonly #prefix: string;
  readonly #closing = new AbortController();

  constructor(access: StoreAccess) {
    this.name = access.name;
    this.#client = new ConsulClient(access);
    this.#prefix = `${access.prefix}/`;
  }

  async snapshot(): Promise<Snapshot> {
    return await this.#read({});
  }

  async watch(
    from: Snapshot,
    onChanges: (changes: readonly Change[], revision: Revision) => void,
    signal: AbortSignal,
    onCurrent: () => void = () => {},
  ): Promise<void> {
    const failing = new AbortController();
    const end = AbortSignal.any([signal, this.#closing.signal]);
    const heart = this.#beat(onCurrent, AbortSignal.any([end, failing.signal])).catch((error) => {
      failing.abort(error);
    });
    try {
      const tell: typeof onChanges = (changes, revision) => {
        onChanges(changes, revision);
        onCurrent();
      };
      await this.#follow(from, tell, AbortSignal.any([end, failing.signal]));
    } catch (error) {
      if (end.aborted) return;
      failing.signal.throwIfAborted();
      throw error;
    } finally {
      failing.abort();
      await heart;
    }
  }

  async commit(transaction: Transaction): Promise<boolean> {
    requireFit(this.name, transaction);
    const operations = [
      ...transaction.conditions.map((condition) => this.#checkOf(condition)),
      ...transaction.writes.flatMap((write) => this.#operationsOf(write)),
    ];
    // The package refuses an empty list.
    if (operations.length === 0) return true;
    const { status, body } = await this.#client.request(
      (consul, common) => consul.transaction.create(operations, common),
      { accept: 409 },
    );
    if (status !== 409) return true;
    const { Errors: errors } = body as { Errors: { OpIndex: number; What: string }[] };
    const denial = errors.find(({ What }) => /permission denied/i.test(What));
    if (denial !== undefined) {
      throw new SwitchError('STORE_DENIED', this.name, { detail: denial.What });
    }
    const refusal = errors.find(
      ({ OpIndex, What }) =>
        OpIndex >= transaction.conditions.length && !/invalid session/.test(What),
    );
    if (refusal === undefined) return false;
    throw new SwitchError('STORE_REFUSED', this.name, { detail: refusal.What });
  }

  async grant(ttlSecs: number): Promise<LeaseId> {
    const session = {
      name: 'vswitchd',
      behavior: 'delete' as const,
      lockdelay: '0s',
      ttl: `${Math.max(TTL_MIN_SECS, ttlSecs)}s`,
      // Otherwise it ended with the agent that we happened to ask.
      checks: [],
    };
    const { body } = await this.#client.request((consul, common) =>
      consul.session.create({ ...session, ...common }),
    );
    return (body as { ID: string }).ID;
  }

  async renew(lease: LeaseId): Promise<boolean> {
    const { status } = await this.#client.request(
      ({ session }, common) => session.renew({ id: lease, ...common }),
      { accept: 404 },
    );
    return status !== 404;
  }

  async revoke(lease: LeaseId): Promise<void> {
    await this.#client.request(({ session }, common) => session.destroy({ id: lease, ...common }));
  }

  traffic() {
    return this.#client.traffic();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#client.close();
  }

  async #follow(
    from: Snapshot,
    onChanges: (changes: readonly Change[], revision: Revision) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let last = from;
    for (;;) {
      const { revision: index } = last;
      const next = await this.#read({ index, wait: `${WAIT_SECS}s` }, { timeout: WAIT_MS, signal });
      // Its servers were restored from a backup, or are others.
      if (BigInt(next.revision) < BigInt(index))
        throw new SwitchError('STORE_COMPACTED', this.name);
      const changes = changesBetween(last.entries, next.entries);
      if (changes.length > 0) onChanges(changes, next.revision);
      last = next;
      if (next.revision !== index) await delay(PAUSE_MS, undefined, { signal });
    }
  }

  /** With an index it waits until the content is another, or for so long. */
  async #read(
    options: { readonly index?: Revision; readonly wait?: string },
    limits: { readonly timeout?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Snapshot> {
    const query = { key: this.#prefix, consistent: true };
    const snapshot = this.#snapshotOf(
      await this.#client.request(
        ({ kv }, common) => kv.get({ ...query, recurse: true, ...options, ...common }),
        limits,
      ),
    );
    // Who may read nothing is told that there is nothing; only for a single key it is told why.
    if (snapshot.entries.size === 0) {
      await this.#client.request(({ kv }, common) => kv.get({ ...query, ...common }));
    }
    return snapshot;
  }

  /**
   * Throws when the agent does not answer, or its servers have no leader. While they have one, a change would end
   * the query that waits for it.
   */
  async #beat(onCurrent: () => void, signal: AbortSignal): Promise<never> {
    for (;;) {
      await delay(HEARTBEAT_MS, undefined, { signal });
      const { body } = await this.#client.request(
        ({ status }, common) => status.leader({ ...common }),
        {
          signal,
        },
      );
      if (body === '') throw new SwitchError('STORE_DOWN', this.name, { why: 'it has no leader' });
      onCurrent();
    }
  }

  #snapshotOf({ headers, body }: Answer): Snapshot {
    const index = headers['x-consul-index'];
    if (typeof index !== 'string' || !/^\d+$/.test(index)) {
      throw new SwitchError('STORE_DOWN', this.name, { why: 'what answers there is no Consul' });
    }
    if (headers['x-consul-results-filtered-by-acls'] === 'true') {
      throw new SwitchError('STORE_DENIED', this.name, { why: 'the token may not read all keys' });
    }
    const rows = Array.isArray(body) ? (body as Row[]) : [];
    const entries = rows.map(({ Key, Value, ModifyIndex }): [string, Entry] => [
      Key.slice(this.#prefix.length),
      { value: Value ?? '', revision: String(ModifyIndex) },
    ]);
    return { revision: index, entries: new Map(entries) };
  }

  #checkOf(condition: Condition): Operation {
    const Key = this.#prefix + condition.key;
    return 'absent' in condition
      ? { KV: { Verb: 'check-not-exists', Key } }
      : { KV: { Verb: 'check-index', Key, Index: Number(condition.revision) } };
  }

  #operationsOf(write: Write): Operation[] {
    const Key = this.#prefix + write.key;
    const removal: Operation = { KV: { Verb: 'delete', Key } };
    if ('remove' in write) return [removal];
    const { value, lease: Session } = write;
    const Value = Buffer.from(value).toString('base64');
    if (Session === undefined) return [{ KV: { Verb: 'set', Key, Value } }];
    // A key that another session holds can be deleted, but not locked.
    return [removal, { KV: { Verb: 'lock', Key, Value, Session } }];
  }
}
