/** The contract over Consul's documented HTTP API, and the accidents that a real agent only has in earnest. */

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { beforeAll, expect, it } from 'vitest';
import { makeCertificates } from '../support/certificates.js';
import { ConsulStandIn } from '../support/consulStandIn.js';
import { eventually } from '../support/eventually.js';
import { makeFile } from '../support/files.js';
import { freePorts } from '../support/ports.js';
import { fileScope, testScope } from '../support/testScope.js';
import { consulEngine } from './consulEngine.js';
import { contract, contractBesideOthers } from './contract.js';
import { Mirror, valuesOf } from './mirror.js';
import { openRemote } from './remote.js';

const scope = fileScope();
let standIn: ConsulStandIn;
beforeAll(async () => {
  standIn = await ConsulStandIn.start(scope);
});

const engine = consulEngine(scope, () => standIn.address);
contract('consul (stand-in)', () => engine);
contractBesideOthers('consul (stand-in)', () => engine);

const DOWN = { code: 'STORE_DOWN' };
const DENIED = { code: 'STORE_DENIED' };
const writes = [{ key: 'a', value: '1' }];

it('an index that goes back means that all must be read anew', async () => {
  const own = testScope();
  const consul = await ConsulStandIn.start(own);
  const store = await openRemote(own, `consul://${consul.address}`);
  await store.commit({ conditions: [], writes });
  const mirror = await Mirror.start(own, store);
  await eventually('the watch', () => consul.waiting > 0);
  consul.forget();
  expect(await mirror.ended).toMatchObject({ code: 'STORE_COMPACTED' });
  expect(valuesOf(mirror.entries)).toEqual({ a: '1' });
  expect((await store.snapshot()).entries.size).toBe(0);
});

it('without a leader it is down, and serves again with one', async () => {
  const own = testScope();
  const consul = await ConsulStandIn.start(own);
  const store = await openRemote(own, `consul://${consul.address}`);
  await store.commit({ conditions: [], writes });
  const mirror = await Mirror.start(own, store);
  await eventually('the watch', () => consul.waiting > 0);
  const { leader } = consul;
  consul.leader = '';
  await expect(store.snapshot()).rejects.toMatchObject(DOWN);
  await expect(store.commit({ conditions: [], writes })).rejects.toMatchObject(DOWN);
  expect(await mirror.ended).toMatchObject(DOWN);
  consul.leader = leader;
  expect(valuesOf((await store.snapshot()).entries)).toEqual({ a: '1' });
});

it('a token opens it, no other and none do not', async () => {
  const own = testScope();
  const consul = await ConsulStandIn.start(own);
  consul.token = 'secret';
  const url = `consul://${consul.address}`;
  const open = async (secret: string) =>
    await openRemote(own, { url, token_file: await makeFile(own, secret) });
  const store = await open('secret\n');
  expect(await store.commit({ conditions: [], writes })).toBe(true);
  for (const stranger of [await open('other'), await openRemote(own, url)]) {
    await expect(stranger.snapshot()).rejects.toMatchObject(DENIED);
    await expect(stranger.grant(10)).rejects.toMatchObject(DENIED);
  }
  expect(store.name).toBe(url);
});

it('its certificate must be trusted', async () => {
  const own = testScope();
  const [ours, others] = [await makeCertificates(own), await makeCertificates(own)];
  const consul = await ConsulStandIn.start(own, {
    cert: await readFile(ours.server.cert),
    key: await readFile(ours.server.key),
  });
  const open = async (more: object) =>
    await openRemote(own, { url: `consul://${consul.address}`, ...more });
  const store = await open({ ca: ours.ca });
  expect(await store.commit({ conditions: [], writes })).toBe(true);
  await expect((await open({ ca: others.ca })).snapshot()).rejects.toMatchObject(DENIED);
  await expect((await open({ tls: true })).snapshot()).rejects.toMatchObject(DENIED);
  await expect((await open({})).snapshot()).rejects.toMatchObject(DOWN);
});

it('what answers and is no Consul is not taken for an empty one', async () => {
  const own = testScope();
  const server = createServer((_, response) => response.end('<html>hello</html>'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await own.defer('server', () => server.closeAllConnections());
  await own.defer('server', () => server.close());
  const { port } = server.address() as { port: number };
  const store = await openRemote(own, `consul://127.0.0.1:${port}`);
  await expect(store.snapshot()).rejects.toMatchObject(DOWN);
});

it('is not there: told at once, with the reason', async () => {
  const [port] = await freePorts(1);
  const store = await openRemote(testScope(), `consul://127.0.0.1:${port}`);
  const refused = { ...DOWN, facts: { detail: expect.stringContaining('ECONNREFUSED') } };
  await expect(store.commit({ conditions: [], writes })).rejects.toMatchObject(refused);
});

it('counts what it costs', async () => {
  const own = testScope();
  const store = await engine.open('counted');
  const mirror = await Mirror.start(own, store);
  const before = store.traffic();
  await store.commit({ conditions: [], writes: [{ key: 'a', value: 'x'.repeat(10_000) }] });
  await eventually('the change', () => mirror.entries.has('a'));
  const after = store.traffic();
  expect(after.sent - before.sent).toBeGreaterThan(10_000);
  expect(after.received - before.received).toBeGreaterThan(10_000);
});
