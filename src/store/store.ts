// Where hosts share what they agree on: small texts under keys, and a revision that grows with every
// change. Three of them are the same to their users: `local` (one file), `etcd` and `consul`.
//
// Keys are relative to the prefix of the store's URL, without leading slash: `networks/net1`. They
// hold letters, digits and `-_.:/`. Values are JSON (see records.ts), at most 256 KiB. What others wrote
// below the prefix may have any key and value; it is read as it is, bytes that are no UTF-8 replaced.
//
// Every call ends within `STORE_PATIENCE_MS`: it answers or throws a `SwitchError` with code
//   STORE_DOWN        not reachable, too slow, or it lost its quorum; the call may have had its effect
//   STORE_DENIED      it refuses our credentials, or its certificate is not trusted
//   STORE_REFUSED     it answered, but refuses the request (too large, no space left ...)
// Whatever is wrong with a store never ends the process, and a store object mends its connection itself.

/** Milliseconds; below the 5 s in which a Docker plugin must answer. */
export const STORE_PATIENCE_MS = 3_000;

/** Opaque; names one state of the store. Only equality means something, and only to this store. */
export type Revision = string;

export interface Entry {
  readonly value: string;
  /** The revision of its last change. To write what is there already may or may not be one. */
  readonly revision: Revision;
}

/** All that was below the prefix at one revision. */
export interface Snapshot {
  readonly revision: Revision;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** A key as it is now; without `entry` it is gone. */
export interface Change {
  readonly key: string;
  readonly entry?: Entry;
}

/** What must hold for a transaction to happen: the key is absent, or still as of that revision. */
export type Condition =
  | { readonly key: string; readonly absent: true }
  | { readonly key: string; readonly revision: Revision };

/** With `lease`, the key goes when the lease ends. A key is written either always with a lease or never. */
export type Write =
  | { readonly key: string; readonly value: string; readonly lease?: LeaseId }
  | { readonly key: string; readonly remove: true };

/** At most `TRANSACTION_MAX` conditions and writes together; a key stands in each of them at most once. */
export interface Transaction {
  readonly conditions: readonly Condition[];
  readonly writes: readonly Write[];
}

/** etcd and Consul take 128 operations at once; on Consul a write with a lease is two. */
export const TRANSACTION_MAX = 64;

export type LeaseId = string;

export type StoreKind = 'local' | 'etcd' | 'consul';

export interface Store {
  readonly kind: StoreKind;
  /** As in logs and `status`: the URL without credentials. */
  readonly name: string;

  snapshot(): Promise<Snapshot>;

  /**
   * Calls `onChanges` with what changed after `from`, in order, nothing twice, batches as they come; the
   * second argument is the revision reached. A transaction is never torn over two batches; of a key that
   * changed several times in between, only the last may be told. Returns when `signal` aborts or the store
   * is closed. Throws when the connection is lost, or `STORE_COMPACTED` when the store no longer knows
   * `from`: then a new snapshot is the way on. A silent dead connection is found out within seconds, not
   * minutes. `onCurrent` is called again and again, every few seconds, when the store has shown that all is told
   * so far; `local` never calls it, because what it has here is all there is.
   */
  watch(
    from: Snapshot,
    onChanges: (changes: readonly Change[], revision: Revision) => void,
    signal: AbortSignal,
    onCurrent?: () => void,
  ): Promise<void>;

  /** All writes or none. False: a condition did not hold, or a lease has ended. */
  commit(transaction: Transaction): Promise<boolean>;

  /** A lease that ends `ttlSecs` (at least 10) after it was granted or last renewed; Consul may take up to twice that. */
  grant(ttlSecs: number): Promise<LeaseId>;
  /** False: it has ended. */
  renew(lease: LeaseId): Promise<boolean>;
  /** Its keys go now. Nothing happens when it has ended. */
  revoke(lease: LeaseId): Promise<void>;

  /** Bytes that crossed the connection since it was opened, as far as the client can tell; 0 for `local`. */
  traffic(): { readonly sent: number; readonly received: number };

  /** Ends watches and connections; any number of times. Leases stay. */
  close(): Promise<void>;
}
