// The FDB as it was: what it is now, with everything that happened since taken back.

/** An entry; `port` as in the counters (a tunnel's name has a colon in it), absent = this host itself. */
export interface PastEntry {
  readonly network: string;
  readonly mac: string;
  readonly origin: Origin;
  readonly port?: string | undefined;
}

export type Origin = 'learned' | 'static' | 'control';

/** A change of one entry; other kinds of lines change none. */
export interface FdbChange {
  readonly kind: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly network?: string;
  readonly mac?: string;
  readonly port?: string;
  /** Where it was before. */
  readonly from?: string;
  readonly origin?: Origin;
  readonly fromOrigin?: Origin;
}

/**
 * The entries at the moment `at` (after what happened in that millisecond). `changes` are oldest first, and hold every
 * change since `at` that the entries `now` show; later ones do no harm.
 */
export function fdbAt(
  at: number,
  now: readonly PastEntry[],
  changes: readonly FdbChange[],
): PastEntry[] {
  const entries = new Map(now.map((entry) => [keyOf(entry.network, entry.mac), entry]));
  for (const change of changes.toReversed()) {
    const { network, mac } = change;
    const undo = UNDO[change.kind];
    if (change.at <= at || network === undefined || mac === undefined || undo === undefined)
      continue;
    const before = undo(change);
    if (before === undefined) entries.delete(keyOf(network, mac));
    else entries.set(keyOf(network, mac), { network, mac, ...before });
  }
  return [...entries.values()].sort(
    (a, b) => compare(a.network, b.network) || compare(a.mac, b.mac),
  );
}

type Before = Pick<PastEntry, 'origin' | 'port'>;

/** What there was of the MAC before: all of it, so that it matters not what there is. */
const UNDO: Readonly<Record<string, ((change: FdbChange) => Before | undefined) | undefined>> = {
  learned: () => undefined,
  moved: ({ from }) => ({ origin: 'learned', port: from }),
  aged: gone,
  evicted: gone,
  flushed: gone,
  removed: gone,
  set: ({ from, fromOrigin }) =>
    fromOrigin === undefined ? undefined : { origin: fromOrigin, port: from },
};

function gone({ origin = 'learned', port }: FdbChange): Before {
  return { origin, port };
}

function keyOf(network: string, mac: string): string {
  return `${network} ${mac}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
