/** Random transactions on a store, and on a map that is obviously right. */

import fc from 'fast-check';
import { expect } from 'vitest';
import type { Condition, Entry, Store, Transaction, Write } from '../../src/store/store.js';

const key = fc.constantFrom('a', 'b', 'c/d', 'c/e');

/** `now`: the key as it is, absent or not. `past`: as it once was. */
const guess = fc.record({ key, holds: fc.constantFrom('now', 'past', 'absent') });
const change = fc.record({ key, value: fc.option(fc.string({ unit: 'grapheme' })) });

const steps = fc.array(
  fc.record({
    guesses: fc.uniqueArray(guess, { selector: (item) => item.key, maxLength: 3 }),
    changes: fc.uniqueArray(change, { selector: (item) => item.key, maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 12 },
);

/** `open` gives an empty store for each run. */
export async function checkAgainstModel(open: () => Promise<Store>, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const store = await open();
      const model = new Map<string, string>();
      let before: ReadonlyMap<string, Entry> = new Map();
      const past = new Map<string, string>();
      for (const { guesses, changes } of list) {
        const conditions = guesses.map(({ key: at, holds }): Condition => {
          const revision = before.get(at)?.revision;
          if (holds === 'absent' || (holds === 'now' && revision === undefined)) {
            return { key: at, absent: true };
          }
          return { key: at, revision: (holds === 'now' ? revision : past.get(at)) ?? '1' };
        });
        const holds = conditions.every((condition) =>
          'absent' in condition
            ? !model.has(condition.key)
            : before.get(condition.key)?.revision === condition.revision,
        );
        const writes = changes.map(
          ({ key: at, value }): Write =>
            value === null ? { key: at, remove: true } : { key: at, value },
        );
        const transaction: Transaction = { conditions, writes };
        expect(await store.commit(transaction)).toBe(holds);
        for (const { key: at, value } of holds ? changes : []) {
          if (value === null) model.delete(at);
          else model.set(at, value);
        }
        const { entries } = await store.snapshot();
        expect(new Map([...entries].map(([at, { value }]) => [at, value]))).toEqual(model);
        for (const [at, { value, revision }] of before) {
          const written = holds ? changes.find((item) => item.key === at) : undefined;
          // To write the same again may be a change.
          if (written?.value === value) continue;
          if (written !== undefined) past.set(at, revision);
          expect(entries.get(at)?.revision === revision, at).toBe(written === undefined);
        }
        before = entries;
      }
    }),
    { numRuns: runs },
  );
}
