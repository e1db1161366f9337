/** Consul's own agent. It takes minutes to build, so these tests are a suite of their own. */

import { beforeAll, expect, it } from 'vitest';
import { type ConsulAgent, startConsul } from '../support/consul.js';
import { eventually } from '../support/eventually.js';
import { makeFile } from '../support/files.js';
import { fileScope, testScope } from '../support/testScope.js';
import { consulEngine } from './consulEngine.js';
import { contract, contractBesideOthers, freshPrefix } from './contract.js';
import { Mirror, valuesOf } from './mirror.js';
import { openRemote } from './remote.js';

const scope = fileScope();
let agent: ConsulAgent;
beforeAll(async () => {
  agent = await startConsul(scope);
}, 60_000);

const engine = consulEngine(scope, () => agent.address);
contract('consul', () => engine);
contractBesideOthers('consul', () => engine);

const writes = [{ key: 'a', value: '1' }];

it('lets in who has the token, and nobody else', async () => {
  const own = testScope();
  const token = '7e1ba0d5-0000-4000-8000-000000000001';
  const { address } = await startConsul(own, token);
  const open = async (secret: string) =>
    await openRemote(own, {
      url: `consul://${address}/p`,
      token_file: await makeFile(own, `${secret}\n`),
    });
  const store = await open(token);
  expect(await store.commit({ conditions: [], writes })).toBe(true);
  expect(valuesOf((await store.snapshot()).entries)).toEqual({ a: '1' });
  expect(await store.renew(await store.grant(10))).toBe(true);
  const denied = { code: 'STORE_DENIED' };
  for (const stranger of [
    await open('7e1ba0d5-0000-4000-8000-000000000002'),
    await openRemote(own, `consul://${address}/p`),
  ]) {
    await expect(stranger.snapshot()).rejects.toMatchObject(denied);
    await expect(stranger.commit({ conditions: [], writes })).rejects.toMatchObject(denied);
    await expect(stranger.grant(10)).rejects.toMatchObject(denied);
  }
});

it('that stands still is told in time, and served again when it goes on', async () => {
  const own = testScope();
  const { address, child } = await startConsul(own);
  const store = await openRemote(own, `consul://${address}/${freshPrefix()}`);
  await store.commit({ conditions: [], writes });
  const mirror = await Mirror.start(own, store);
  child.signal('SIGSTOP');
  const began = Date.now();
  await expect(store.snapshot()).rejects.toMatchObject({ code: 'STORE_DOWN' });
  expect(await mirror.ended).toMatchObject({ code: 'STORE_DOWN' });
  expect(Date.now() - began).toBeLessThan(15_000);
  child.signal('SIGCONT');
  const { entries } = await eventually('an answer', () => store.snapshot());
  expect(valuesOf(entries)).toEqual({ a: '1' });
});
