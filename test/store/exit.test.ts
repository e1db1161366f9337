import { execa } from 'execa';
import { expect, it } from 'vitest';
import { ConsulStandIn } from '../support/consulStandIn.js';
import { EtcdCluster } from '../support/etcd.js';
import { makeFolder } from '../support/files.js';
import type { Scope } from '../support/scope.js';
import { testScope } from '../support/testScope.js';

const dist = new URL('../../dist/', import.meta.url).href;

/** Watches, writes under a lease, closes; then nothing of the store may keep the process alive. */
const program = `
  const { openStore } = await import('${dist}store/openStore.js');
  const { storeSchema } = await import('${dist}config/storeSchema.js');
  const [url, path] = process.argv.slice(1);
  const { store } = await openStore(storeSchema.parse(url), { path });
  const from = await store.snapshot();
  let told;
  const changed = new Promise((resolve) => { told = resolve; });
  const watch = store.watch(from, told, new AbortController().signal);
  const lease = await store.grant(10);
  await store.commit({ conditions: [], writes: [{ key: 'a', value: '1', lease }] });
  await changed;
  await store.close();
  await watch;
  console.log('closed');
`;

it.each([
  ['local', async () => 'local'],
  ['etcd', async (scope: Scope) => (await EtcdCluster.start(scope, { members: 1 })).url('p')],
  ['consul', async (scope: Scope) => `consul://${(await ConsulStandIn.start(scope)).address}`],
])('a process whose %s store is closed ends by itself', async (_, open) => {
  const scope = testScope();
  const path = `${await makeFolder(scope)}/x.store.json`;
  const args = ['--input-type=module', '--eval', program, await open(scope), path];
  const { stdout } = await execa(process.execPath, args, { timeout: 15_000 });
  expect(stdout).toBe('closed');
});
