import { expect, it } from 'vitest';
import { pack, type Unit } from '../../../../src/overlay/sharing/unit.js';
import { TRANSACTION_MAX } from '../../../../src/store/store.js';

const unit = (key: string, ...shared: string[]): Unit => ({
  conditions: [...shared, key].map((name) => ({ key: name, absent: true })),
  writes: [{ key, value: 'x' }],
});

it('nothing is no transaction', () => {
  expect(pack([])).toBeUndefined();
  expect(pack([{ conditions: [], writes: [] }])).toBeUndefined();
});

it('as many units as fit go together, and each condition once', () => {
  const units = Array.from({ length: 100 }, (_, at) => unit(`k${at}`, 'network'));
  const { conditions = [], writes = [] } = pack(units) ?? {};
  expect(writes).toHaveLength(Math.floor((TRANSACTION_MAX - 1) / 2));
  expect(conditions).toHaveLength(writes.length + 1);
});

it('units that write the same key go one after the other', () => {
  expect(pack([unit('a'), unit('b'), unit('a'), unit('c')])?.writes).toHaveLength(2);
});

it('no more go than are allowed', () => {
  expect(pack([unit('a'), unit('b')], 1)?.writes).toHaveLength(1);
});
