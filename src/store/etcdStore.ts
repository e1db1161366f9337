// The store in etcd (v3 API): every key below PREFIX/, revisions and leases are etcd's own.

import { SwitchError } from '../model/error.js';
import type { Rpc } from './etcdApi.js';
import { EtcdCluster } from './etcdCluster.js';
import { isNoSuchLease } from './etcdError.js';
import { follow } from './etcdWatch.js';
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
import type { StoreAccess } from './storeAccess.js';
import { patiently, requireFit } from './transaction.js';

/** Keys in one answer, so that none is too large and no member is busy for long. */
const PAGE = 1000;

/** Connects when it is used. Throws as `EtcdCluster`. */
export class EtcdStore implements Store {
  readonly kind = 'etcd';
  readonly name: string;
  readonly #cluster: EtcdCluster;
  readonly #prefix: string;
  readonly #range: { readonly key: Buffer; readonly range_end: Buffer };
  readonly #closing = new AbortController();

  constructor(access: StoreAccess) {
    this.name = access.name;
    this.#cluster = new EtcdCluster(access);
    this.#prefix = `${access.prefix}/`;
    // `0` is the character after `/`.
    this.#range = { key: Buffer.from(this.#prefix), range_end: Buffer.from(`${access.prefix}0`) };
  }

  async snapshot(): Promise<Snapshot> {
    return await patiently(this.name, this.#snapshot());
  }

  /** Later pages are of the first one's revision. */
  async #snapshot(): Promise<Snapshot> {
    const { range } = this.#cluster.api;
    const entries = new Map<string, Entry>();
    let page = await this.#cluster.ask(range, { ...this.#range, limit: PAGE });
    const { revision } = page.header;
    for (;;) {
      for (const { key, ...entry } of page.kvs) entries.set(this.#keyOf(key), entryOf(entry));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { revision, entries };
      const key = Buffer.concat([last.key, Buffer.of(0)]);
      page = await this.#cluster.ask(range, { ...this.#range, key, revision, limit: PAGE });
    }
  }

  async watch(
    from: Snapshot,
    onChanges: (changes: readonly Change[], revision: Revision) => void,
    signal: AbortSignal,
    onCurrent: () => void = () => {},
  ): Promise<void> {
    const end = AbortSignal.any([signal, this.#closing.signal]);
    if (end.aborted) return;
    const { client, stream } = await this.#cluster.stream(this.#cluster.api.watch);
    const start = { ...this.#range, start_revision: String(BigInt(from.revision) + 1n) };
    const onResponse = (response: Rpc.IWatchResponse) => {
      if (response.canceled) throw this.#canceled(response);
      const changes = response.events.map(({ type, kv: { key, ...entry } }): Change => {
        const gone = type === 'Delete';
        return { key: this.#keyOf(key), ...(!gone && { entry: entryOf(entry) }) };
      });
      // The header may be ahead of the events.
      const reached = response.events.at(-1)?.kv.mod_revision;
      if (reached !== undefined) onChanges(changes, reached);
      onCurrent();
    };
    try {
      await follow(stream, start, onResponse, end);
    } catch (error) {
      throw this.#cluster.failed(client, error);
    }
  }

  async commit(transaction: Transaction): Promise<boolean> {
    requireFit(this.name, transaction);
    const { conditions, writes } = transaction;
    try {
      const { succeeded } = await this.#cluster.tell(this.#cluster.api.txn, {
        compare: conditions.map((condition) => this.#compareOf(condition)),
        success: writes.map((write) => this.#operationOf(write)),
      });
      return succeeded;
    } catch (error) {
      if (isNoSuchLease(error)) return false;
      throw error;
    }
  }

  async grant(ttlSecs: number): Promise<LeaseId> {
    // A grant that was lost on its way back ends by itself.
    return (await this.#cluster.ask(this.#cluster.api.leaseGrant, { TTL: ttlSecs })).ID;
  }

  async renew(lease: LeaseId): Promise<boolean> {
    const { leaseKeepAlive } = this.#cluster.api;
    return (await this.#cluster.askStream(leaseKeepAlive, { ID: lease })).TTL !== '0';
  }

  async revoke(lease: LeaseId): Promise<void> {
    try {
      await this.#cluster.ask(this.#cluster.api.leaseRevoke, { ID: lease });
    } catch (error) {
      if (!isNoSuchLease(error)) throw error;
    }
  }

  traffic() {
    return { ...this.#cluster.traffic };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#cluster.close();
  }

  #canceled({ compact_revision, cancel_reason }: Rpc.IWatchResponse): SwitchError {
    if (compact_revision !== '0') return new SwitchError('STORE_COMPACTED', this.name);
    const code = /permission denied|auth/.test(cancel_reason) ? 'STORE_DENIED' : 'STORE_DOWN';
    return new SwitchError(code, this.name, { detail: cancel_reason });
  }

  #compareOf(condition: Condition): Rpc.ICompare {
    const key = this.#bytesOf(condition.key);
    return 'absent' in condition
      ? { key, result: 'Equal', target: 'Version', version: '0' }
      : { key, result: 'Equal', target: 'Mod', mod_revision: condition.revision };
  }

  #operationOf(write: Write): Rpc.IRequestOp {
    const key = this.#bytesOf(write.key);
    if ('remove' in write) return { request_delete_range: { key } };
    const { value, lease = 0 } = write;
    return { request_put: { key, value: Buffer.from(value), lease } };
  }

  #keyOf(bytes: Buffer): string {
    return bytes.toString().slice(this.#prefix.length);
  }

  #bytesOf(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }
}

function entryOf({ value, mod_revision }: Omit<Rpc.IKeyValue, 'key'>): Entry {
  return { value: value.toString(), revision: mod_revision };
}
