/** Whatever happens to a table, who has every change can tell the table of any moment before. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type FdbChange, fdbAt, type Origin, type PastEntry } from '../../src/model/fdbPast.js';

const network = fc.constantFrom('net1', 'net2');
const mac = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03');
const port = fc.constantFrom('c1', 'c2', '10.200.0.2:4789');
const place = fc.option(port, { nil: undefined });
const origin = fc.constantFrom<Origin>('static', 'control');
const end = fc.constantFrom('aged', 'evicted', 'flushed', 'removed');

type Deed =
  | { readonly do: 'hear'; readonly port: string }
  | { readonly do: 'set'; readonly port: string | undefined; readonly origin: Origin }
  | { readonly do: 'end'; readonly kind: string }
  | { readonly do: 'other' };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({ do: fc.constant('hear' as const), port }),
  fc.record({ do: fc.constant('set' as const), port: place, origin }),
  fc.record({ do: fc.constant('end' as const), kind: end }),
  fc.record({ do: fc.constant('other' as const) }),
);
const deeds = fc.array(fc.record({ deed, network, mac, wait: fc.nat(2) }), { maxLength: 40 });

/** A table that writes down what changes, as the datapath does. */
class Table {
  readonly entries = new Map<string, PastEntry>();
  readonly changes: FdbChange[] = [];

  take(at: number, deed: Deed, station: { readonly network: string; readonly mac: string }): void {
    const key = `${station.network} ${station.mac}`;
    const before = this.entries.get(key);
    const put = (entry: Pick<PastEntry, 'origin' | 'port'>, change: Omit<FdbChange, 'at'>) => {
      this.entries.set(key, { ...station, ...entry });
      this.changes.push({ ...change, ...station, at });
    };
    const named = (key: 'port' | 'from', port: string | undefined) =>
      port === undefined ? {} : { [key]: port };
    if (deed.do === 'hear') {
      if (before === undefined) {
        put({ origin: 'learned', port: deed.port }, { kind: 'learned', port: deed.port });
      } else if (before.origin === 'learned' && before.port !== deed.port) {
        const change = { kind: 'moved', port: deed.port, ...named('from', before.port) };
        put({ origin: 'learned', port: deed.port }, change);
      }
    } else if (deed.do === 'set') {
      const { origin, port } = deed;
      if (before?.origin === origin && before.port === port) return;
      const was = before && { fromOrigin: before.origin, ...named('from', before.port) };
      put({ origin, port }, { kind: 'set', origin, ...named('port', port), ...was });
    } else if (deed.do === 'end' && before !== undefined) {
      this.entries.delete(key);
      const { origin, port } = before;
      this.changes.push({ kind: deed.kind, at, ...station, origin, ...named('port', port) });
    } else if (deed.do === 'other') {
      this.changes.push({ kind: 'dropped', at, ...station, ...named('port', 'c1') });
    }
  }

  snapshot(): PastEntry[] {
    return [...this.entries.values()].sort((a, b) =>
      `${a.network} ${a.mac}` < `${b.network} ${b.mac}` ? -1 : 1,
    );
  }
}

it('the entries of any moment follow from those of today and the changes since', () => {
  fc.assert(
    fc.property(deeds, fc.nat(5), (all, late) => {
      const table = new Table();
      const look = Math.max(0, all.length - late);
      const moments = new Map<number, PastEntry[]>([[0, []]]);
      let at = 0;
      let seen: PastEntry[] = [];
      let seenAt = 0;
      for (const [index, { deed, network, mac, wait }] of all.entries()) {
        at += wait;
        table.take(at, deed, { network, mac });
        moments.set(at, table.snapshot());
        if (index < look) [seen, seenAt] = [table.snapshot(), at];
      }
      // The changes may be read after the entries: then they tell more.
      for (const [moment, entries] of moments) {
        if (moment > seenAt || (moment === seenAt && late > 0)) continue;
        expect(fdbAt(moment, seen, table.changes)).toEqual(entries);
      }
    }),
    { numRuns: 500 },
  );
});
