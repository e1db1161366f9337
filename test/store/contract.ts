/** What every store promises (src/store/store.ts), as tests that run over each engine. */

import { describe, expect, it } from 'vitest';
import { type Store, TRANSACTION_MAX, type Write } from '../../src/store/store.js';
import { eventually } from '../support/eventually.js';
import { testScope } from '../support/testScope.js';
import type { Engine, Others } from './engine.js';
import { Mirror, valuesOf } from './mirror.js';
import { checkAgainstModel } from './model.js';

const MODEL_RUNS = 30;

let prefixes = 0;
/** One of its own for each test. */
export function freshPrefix(): string {
  prefixes += 1;
  return `test/p${process.pid}-${prefixes}`;
}

const put = (key: string, value: string): Write => ({ key, value });
const remove = (key: string): Write => ({ key, remove: true });

async function write(store: Store, ...writes: Write[]): Promise<void> {
  expect(await store.commit({ conditions: [], writes })).toBe(true);
}

async function revisionOf(store: Store, key: string): Promise<string> {
  return (await store.snapshot()).entries.get(key)?.revision ?? 'absent';
}

export function contract(name: string, engine: () => Engine): void {
  const open = async (prefix = freshPrefix()) => await engine().open(prefix);

  it(`${name}: does what an obvious model does`, async () => {
    await checkAgainstModel(open, MODEL_RUNS);
  });

  describe(`${name}: content`, () => {
    it('is empty at first, and holds what was written until it is removed', async () => {
      const store = await open();
      expect((await store.snapshot()).entries.size).toBe(0);
      await write(store, put('a/b.c', '1'), put('a/10.0.0.1_24', '2'), put('fd00::1', '3'));
      await write(store, remove('a/b.c'), put('fd00::1', '4'), remove('never'));
      expect(valuesOf((await store.snapshot()).entries)).toEqual({
        'a/10.0.0.1_24': '2',
        'fd00::1': '4',
      });
    });

    it('is text of any kind', async () => {
      const store = await open();
      const values = {
        empty: '',
        unicode: 'Zürich 東京 🐙\u0000\n"\\',
        large: 'x'.repeat(250_000),
      };
      for (const [key, value] of Object.entries(values)) await write(store, put(key, value));
      expect(valuesOf((await store.snapshot()).entries)).toEqual({ ...values });
    });

    it('has no limit in keys', async () => {
      const store = await open();
      const keys = Array.from({ length: 2_100 }, (_, at) => `endpoints/n/${at}`);
      for (let at = 0; at < keys.length; at += TRANSACTION_MAX) {
        await write(store, ...keys.slice(at, at + TRANSACTION_MAX).map((key) => put(key, key)));
      }
      expect(Object.keys(valuesOf((await store.snapshot()).entries))).toEqual([...keys].sort());
      // However many answers it takes, they are of one moment.
      const twins = (value: string) => [put('a/first', value), put('z/last', value)];
      await write(store, ...twins('-1'));
      let done = false;
      const work = (async () => {
        for (let at = 0; !done; at += 1) await write(store, ...twins(String(at)));
      })();
      for (let at = 0; at < 20; at += 1) {
        const { entries } = await store.snapshot();
        expect(entries.get('a/first')?.revision).toBe(entries.get('z/last')?.revision);
      }
      done = true;
      await work;
    });

    it('is apart from that of other prefixes', async () => {
      const prefix = freshPrefix();
      const [store, near] = [await open(prefix), await open(`${prefix}0`)];
      const mirror = await Mirror.start(testScope(), store);
      await write(near, put('a', 'near'));
      await write(store, put('a', 'ours'));
      await eventually('our change', () => mirror.told.length > 0);
      await write(store, remove('a'));
      await eventually('our removal', () => mirror.entries.size === 0);
      expect(valuesOf((await near.snapshot()).entries)).toEqual({ a: 'near' });
      expect(mirror.told.map(({ entry }) => entry?.value)).not.toContain('near');
    });
  });

  describe(`${name}: transactions`, () => {
    it('happen only when every condition holds', async () => {
      const store = await open();
      await write(store, put('a', '1'), put('b', '1'));
      const a = { key: 'a', revision: await revisionOf(store, 'a') };
      const free = { key: 'free', absent: true } as const;
      const cases = [
        [[a], true],
        [[free], true],
        [[a, free], false],
        [[{ key: 'b', absent: true }], false],
        [[{ key: 'free', revision: a.revision }], false],
      ] as const;
      for (const [conditions, outcome] of cases) {
        const before = valuesOf((await store.snapshot()).entries);
        // Every success spends what the next one relies on.
        const writes = [put('a', '2'), put('free', 'taken'), remove('b')];
        expect(await store.commit({ conditions, writes }), JSON.stringify(conditions)).toBe(
          outcome,
        );
        if (!outcome) expect(valuesOf((await store.snapshot()).entries)).toEqual(before);
        else await write(store, remove('free'), put('b', '1'));
      }
    });

    it('see a key that was removed and made again as another', async () => {
      const store = await open();
      await write(store, put('a', '1'));
      const revision = await revisionOf(store, 'a');
      await write(store, remove('a'));
      await write(store, put('a', '1'));
      const condition = { key: 'a', revision };
      expect(await store.commit({ conditions: [condition], writes: [put('a', '2')] })).toBe(false);
      expect(await store.commit({ conditions: [condition], writes: [] })).toBe(false);
    });

    it('leave the revision of what they do not touch', async () => {
      const store = await open();
      await write(store, put('a', '1'));
      const revision = await revisionOf(store, 'a');
      await write(store, put('b', '1'));
      expect(await revisionOf(store, 'a')).toBe(revision);
      await write(store, put('a', '2'));
      expect(await revisionOf(store, 'a')).not.toBe(revision);
    });

    it(`take ${TRANSACTION_MAX} writes at once, with a lease too, and no more`, async () => {
      const store = await open();
      const writes = Array.from({ length: TRANSACTION_MAX }, (_, at) => put(`k${at}`, 'v'));
      await write(store, ...writes);
      const lease = await store.grant(30);
      await write(store, ...writes.map(({ key }) => ({ key: `hosts/${key}`, value: 'v', lease })));
      expect((await store.snapshot()).entries.size).toBe(2 * TRANSACTION_MAX);
      await store.revoke(lease);
      const refused = { code: 'STORE_REFUSED' };
      const tooMany = { conditions: [], writes: [...writes, put('more', 'v')] };
      await expect(store.commit(tooMany)).rejects.toMatchObject(refused);
    });

    it.each([
      ['a key twice', [put('a', '1'), remove('a')]],
      ['an empty key', [put('', '1')]],
      ['a key that is none', [put('a b', '1')]],
      ['a leading slash', [put('/a', '1')]],
      ['a value that is too large', [put('a', 'x'.repeat(256 * 1024 + 1))]],
    ])('refuse %s', async (_, writes) => {
      const store = await open();
      const commit = store.commit({ conditions: [], writes });
      await expect(commit).rejects.toMatchObject({ code: 'STORE_REFUSED' });
      expect((await store.snapshot()).entries.size).toBe(0);
    });

    it('have one winner', async () => {
      const prefix = freshPrefix();
      const stores = [await open(prefix), await open(prefix)];
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, (_, at) =>
          (stores[at % 2] as Store).commit({
            conditions: [{ key: 'vnis/256', absent: true }],
            writes: [put('vnis/256', String(at)), put(`won/${at}`, '')],
          }),
        ),
      );
      expect(outcomes.filter((won) => won)).toHaveLength(1);
      const winner = outcomes.indexOf(true);
      const entries = valuesOf((await (stores[0] as Store).snapshot()).entries);
      expect(entries).toEqual({ 'vnis/256': String(winner), [`won/${winner}`]: '' });
    });

    it('lose no increment of a counter', async () => {
      const prefix = freshPrefix();
      const stores = [await open(prefix), await open(prefix), await open(prefix)];
      await write(stores[0] as Store, put('count', '0'));
      const increment = async (store: Store) => {
        for (let done = false; !done; ) {
          const { value, revision } = (await store.snapshot()).entries.get('count')!;
          done = await store.commit({
            conditions: [{ key: 'count', revision }],
            writes: [put('count', String(Number(value) + 1))],
          });
        }
      };
      await Promise.all(
        stores.map(async (store) => {
          for (let at = 0; at < 8; at += 1) await increment(store);
        }),
      );
      expect(valuesOf((await (stores[0] as Store).snapshot()).entries)).toEqual({ count: '24' });
    });
  });

  describe(`${name}: a watch`, () => {
    it('has no gap, no repetition and no torn transaction under concurrent writers', async () => {
      const prefix = freshPrefix();
      const store = await open(prefix);
      const writers = [await open(prefix), await open(prefix), await open(prefix)];
      const work = writers.map(async (writer, who) => {
        for (let at = 0; at < 40; at += 1) {
          const twin = `${who}/${at % 7}`;
          const isRemoval = at % 5 === 4;
          const keys = [`left/${twin}`, `right/${twin}`];
          await write(writer, ...keys.map((key) => (isRemoval ? remove(key) : put(key, `${at}`))));
        }
      });
      await eventually('the first writes', async () => (await store.snapshot()).entries.size > 0);
      const mirror = await Mirror.start(testScope(), store);
      // Away from the snapshot, for what is missed meanwhile.
      const late = await Mirror.start(testScope(), store, await store.snapshot());
      await Promise.all(work);
      const { entries } = await store.snapshot();
      for (const each of [mirror, late]) {
        await eventually('all changes', () => {
          expect(valuesOf(each.entries)).toEqual(valuesOf(entries));
          return true;
        });
        expect(each.entries).toEqual(entries);
        const puts = each.told.flatMap(({ key, entry }) =>
          entry ? [`${key} ${entry.revision}`] : [],
        );
        expect(new Set(puts).size).toBe(puts.length);
        for (const { changes } of each.batches) {
          const left = changes.filter(({ key }) => key.startsWith('left/'));
          const right = changes.filter(({ key }) => key.startsWith('right/'));
          const twins = (side: typeof left) =>
            side.map(({ key, entry }) => `${key.slice(key.indexOf('/'))} ${entry?.value}`).sort();
          expect(twins(left)).toEqual(twins(right));
        }
      }
    });

    it('tells what has changed since a snapshot that is long past', async () => {
      const store = await open();
      await write(store, put('kept', '1'), put('changed', '1'), put('gone', '1'));
      const past = await store.snapshot();
      await write(store, put('changed', '2'), put('new', '1'));
      await write(store, remove('gone'));
      const mirror = await Mirror.start(testScope(), store, past);
      const { entries, revision } = await store.snapshot();
      await eventually('the present', () => mirror.batches.at(-1)?.revision === revision);
      expect(mirror.entries).toEqual(entries);
      expect(mirror.told.map(({ key }) => key)).not.toContain('kept');
    });

    it('shows again and again that all is told, unless nobody else writes', async () => {
      const store = await open();
      const from = await store.snapshot();
      const abort = new AbortController();
      let shown = 0;
      const current = () => {
        shown += 1;
      };
      const ended = store.watch(from, () => {}, abort.signal, current);
      if (store.kind !== 'local') await eventually('a second sign', () => shown > 1);
      else await write(store, put('a', '1'));
      abort.abort();
      await ended;
      expect(shown > 0).toBe(store.kind !== 'local');
    });

    it('ends when it is aborted, before it began too, and when the store is closed', async () => {
      const store = await open();
      const from = await store.snapshot();
      await expect(store.watch(from, () => {}, AbortSignal.abort())).resolves.toBeUndefined();
      const abort = new AbortController();
      const soon = store.watch(from, () => {}, abort.signal);
      abort.abort();
      await soon;
      const mirror = await Mirror.start(testScope(), store);
      await write(store, put('a', '1'));
      await eventually('a change', () => mirror.told.length > 0);
      expect(await mirror.stop()).toBeUndefined();
      await write(store, put('a', '2'));
      expect(valuesOf(mirror.entries)).toEqual({ a: '1' });
      const other = await Mirror.start(testScope(), store);
      await store.close();
      await store.close();
      expect(await other.ended).toBeUndefined();
      await expect(store.snapshot()).rejects.toMatchObject({ code: 'STORE_DOWN' });
    });
  });

  describe(`${name}: leases`, () => {
    it('keep keys while they are renewed, and take them along when they end', async () => {
      const prefix = freshPrefix();
      const [store, other] = [await open(prefix), await open(prefix)];
      const [kept, left] = [await store.grant(10), await store.grant(10)];
      await write(store, put('plain', ''));
      await write(store, { key: 'kept', value: '1', lease: kept });
      await write(store, { key: 'left', value: '1', lease: left });
      const mirror = await Mirror.start(testScope(), other);
      for (let secs = 0; secs < 30 && mirror.entries.has('left'); secs += 4) {
        await engine().pass(4);
        expect(await store.renew(kept)).toBe(true);
      }
      await eventually('the end of one', () => !mirror.entries.has('left'));
      expect(valuesOf((await store.snapshot()).entries)).toEqual({ kept: '1', plain: '' });
      expect(await store.renew(left)).toBe(false);
      const late = [{ key: 'left', value: '2', lease: left }];
      expect(await store.commit({ conditions: [], writes: late })).toBe(false);
      await store.revoke(left);
      await store.revoke(kept);
      await eventually('the end of both', () => !mirror.entries.has('kept'));
      expect(valuesOf((await other.snapshot()).entries)).toEqual({ plain: '' });
    }, 60_000);

    it('hand a key on', async () => {
      const prefix = freshPrefix();
      const [store, other] = [await open(prefix), await open(prefix)];
      const [before, after] = [await store.grant(10), await other.grant(10)];
      await write(store, { key: 'host', value: 'before', lease: before });
      await write(store, { key: 'host', value: 'again', lease: before });
      await write(other, { key: 'host', value: 'after', lease: after });
      await store.revoke(before);
      expect(valuesOf((await store.snapshot()).entries)).toEqual({ host: 'after' });
      await write(other, remove('host'));
      await other.revoke(after);
      expect((await store.snapshot()).entries.size).toBe(0);
    });
  });
}

/** For engines that others can write to beside us. */
export function contractBesideOthers(
  name: string,
  engine: () => Engine & { readonly others: Others },
): void {
  it(`${name}: others keep what is theirs, and their garbage is read as it is`, async () => {
    const { others } = engine();
    const prefix = freshPrefix();
    const bytes = Buffer.from([0xff, 0x00, 0x80, 0x7b]);
    await others.put(`${prefix}/not json, and a key that is none`, bytes);
    await others.put(`${prefix}x`, bytes);
    const store = await engine().open(prefix);
    const mirror = await Mirror.start(testScope(), store);
    await others.put(`${prefix}/more`, bytes);
    await eventually('more garbage', () => mirror.entries.has('more'));
    await write(store, put('a', '1'));
    await write(store, remove('a'));
    const { entries } = await store.snapshot();
    expect([...entries.keys()].sort()).toEqual(['more', 'not json, and a key that is none']);
    expect(entries.get('more')?.value).toBe(bytes.toString());
    expect(await others.get(`${prefix}/more`)).toEqual(bytes);
    expect(await others.get(`${prefix}x`)).toEqual(bytes);
  });
}
