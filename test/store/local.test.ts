import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { localStorePathOf } from '../../src/store/localFile.js';
import { openLocalStore, type Timer } from '../../src/store/localStore.js';
import type { Store } from '../../src/store/store.js';
import { eventually } from '../support/eventually.js';
import { makeFolder } from '../support/files.js';
import type { Scope } from '../support/scope.js';
import { fileScope, testScope } from '../support/testScope.js';
import { contract } from './contract.js';
import type { Engine } from './engine.js';
import { valuesOf } from './mirror.js';

/** A clock that only moves when it is told to. */
class Clock {
  #now = 0;
  readonly #due = new Map<() => void, number>();

  readonly timer: Timer = (ms, work) => {
    const task = () => work();
    this.#due.set(task, this.#now + ms);
    return () => this.#due.delete(task);
  };

  advance(ms: number): void {
    this.#now += ms;
    for (const [task, at] of this.#due) {
      if (at > this.#now) continue;
      this.#due.delete(task);
      task();
    }
  }
}

function localEngine(scope: Scope): Engine {
  const clock = new Clock();
  const stores = new Map<string, Promise<Store>>();
  const openNew = async () => {
    const path = join(await makeFolder(scope), 'control.store.json');
    const { store } = await openLocalStore(path, clock.timer);
    await scope.defer('local store', () => store.close());
    return store;
  };
  return {
    open: async (prefix) => {
      const store = stores.get(prefix) ?? openNew();
      stores.set(prefix, store);
      return await store;
    },
    pass: async (secs) => clock.advance(secs * 1000),
  };
}

const engine = localEngine(fileScope());
contract('local', () => engine);

const NONE = { conditions: [] };

it('stands beside the control socket', () => {
  expect(localStorePathOf('/run/vswitchd/control.sock')).toBe('/run/vswitchd/control.store.json');
});

it('finds what it held, with leases that begin anew', async () => {
  const path = join(await makeFolder(testScope()), 'x.store.json');
  const clock = new Clock();
  const { store } = await openLocalStore(path, clock.timer);
  const lease = await store.grant(10);
  const writes = [
    { key: 'a', value: '1' },
    { key: 'h', value: '2', lease },
  ];
  await store.commit({ ...NONE, writes });
  const before = await store.snapshot();
  clock.advance(8_000);
  await store.close();
  const again = await openLocalStore(path, clock.timer);
  expect(again.broken).toBeUndefined();
  expect(await again.store.snapshot()).toEqual(before);
  clock.advance(8_000);
  expect(await again.store.renew(lease)).toBe(true);
  clock.advance(10_000);
  expect(await again.store.renew(lease)).toBe(false);
  expect(valuesOf((await again.store.snapshot()).entries)).toEqual({ a: '1' });
  await again.store.close();
});

it('keeps a lease that was renewed at the last moment', async () => {
  const path = join(await makeFolder(testScope()), 'x.store.json');
  const clock = new Clock();
  const { store } = await openLocalStore(path, clock.timer);
  const lease = await store.grant(10);
  await store.commit({ ...NONE, writes: [{ key: 'h', value: '1', lease }] });
  const renewed = store.renew(lease);
  clock.advance(10_000);
  expect(await renewed).toBe(true);
  await store.commit({ ...NONE, writes: [{ key: 'a', value: '1' }] });
  expect(valuesOf((await store.snapshot()).entries)).toEqual({ a: '1', h: '1' });
  await store.close();
});

it.each(['{', '[]', '{"version":1,"revision":-1,"leases":{},"entries":[]}'])(
  'moves the broken file %s aside and tells',
  async (text) => {
    const folder = await makeFolder(testScope());
    const path = join(folder, 'x.store.json');
    await writeFile(path, text);
    const { store, broken } = await openLocalStore(path);
    expect(broken).toMatch(/was broken .* moved to .*x\.store\.json\.broken-/);
    expect((await store.snapshot()).entries.size).toBe(0);
    await store.commit({ ...NONE, writes: [{ key: 'a', value: '1' }] });
    const aside = (await readdir(folder)).find((name) => name.includes('.broken-'));
    expect(await readFile(join(folder, aside ?? ''), 'utf8')).toBe(text);
    await store.close();
  },
);

it('refuses the file of a later version', async () => {
  const path = join(await makeFolder(testScope()), 'x.store.json');
  await writeFile(path, '{"version":2}');
  await expect(openLocalStore(path)).rejects.toMatchObject({ code: 'STATE_NEWER' });
});

it('changes nothing that it cannot write, and ends a lease when it can again', async () => {
  const folder = join(await makeFolder(testScope()), 'sub');
  await mkdir(folder);
  const clock = new Clock();
  const { store } = await openLocalStore(join(folder, 'x.store.json'), clock.timer);
  const lease = await store.grant(10);
  const writes = [{ key: 'a', value: '1', lease }];
  await store.commit({ ...NONE, writes });
  await rename(folder, `${folder}.away`);
  const refused = { code: 'STORE_REFUSED', facts: { detail: expect.stringContaining('ENOENT') } };
  const commit = store.commit({ ...NONE, writes: [{ key: 'b', value: '1' }] });
  await expect(commit).rejects.toMatchObject(refused);
  await expect(store.revoke(lease)).rejects.toMatchObject(refused);
  clock.advance(10_000);
  expect(await store.renew(lease)).toBe(true);
  expect(valuesOf((await store.snapshot()).entries)).toEqual({ a: '1' });
  await rename(`${folder}.away`, folder);
  clock.advance(10_000);
  await eventually('the end', async () => (await store.snapshot()).entries.size === 0);
  await store.close();
});
