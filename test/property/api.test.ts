import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildApi } from '../../src/control/server.js';
import { type Daemon, startDaemon } from '../../src/daemon/daemon.js';
import { Datapath } from '../../src/datapath/datapath.js';
import { network, port } from '../support/arbitrary.js';
import { FakeHost } from '../support/fakeDatapath.js';
import { BARE_MACHINE } from '../support/fakeMachine.js';

let folder: string;
let daemon: Daemon;
let api: Awaited<ReturnType<typeof buildApi>>;

beforeAll(async () => {
  const host = new FakeHost();
  folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  const config = join(folder, 'a.yaml');
  await writeFile(
    config,
    'vtep: {address: 10.200.0.1}\nnetworks: [{name: net1, vni: 5, ports: [{name: p}]}]\n',
  );
  const log = pino({ level: 'silent' });
  const fatal = (detail: string) => {
    throw new Error(detail);
  };
  const datapath = new Datapath(host.addon);
  const { namespaceAt: namespaces } = host;
  const parts = { datapath, namespaces, machine: BARE_MACHINE, log, fatal };
  daemon = await startDaemon({ source: { config }, socket: join(folder, 'control.sock') }, parts);
  api = await buildApi(daemon.operations, { version: '0', log });
});

afterAll(async () => {
  await daemon.stop();
  await rm(folder, { recursive: true });
});

const routes = [
  'POST /v1/networks',
  'POST /v1/networks/net1/ports',
  'POST /v1/networks/net1/peers',
  'POST /v1/networks/net1/fdb',
  'PUT /v1/networks/net1/fdb/02:00:00:00:00:01',
  'DELETE /v1/networks/net1/fdb/02:00:00:00:00:01',
  'DELETE /v1/networks/net1',
  'DELETE /v1/networks/net1/peers/10.0.0.9',
  'DELETE /v1/ports/p',
  'POST /v1/fdb/flush',
  'GET /v1/fdb?network=net1',
  'GET /v1/status',
  'POST /v1/reload',
];

/** Sends it; fails unless the answer is JSON and no failure of ours. */
async function survives(route: string, payload: string | undefined, type: string): Promise<void> {
  const [method = 'GET', url = '/'] = route.split(/ (.*)/s);
  const answer = await api.inject({
    method: method as 'GET',
    url,
    headers: { 'content-type': type },
    ...(payload === undefined ? {} : { payload }),
  });
  expect(answer.statusCode, `${route} ${payload}: ${answer.body}`).toBeLessThan(500);
  const body = answer.json();
  if (answer.statusCode >= 400) {
    expect(body).toMatchObject({
      code: expect.any(String),
      message: expect.stringMatching(/^.+: .+; /),
    });
  }
  expect((await api.inject('/v1/status')).statusCode).toBe(200);
}

const type = fc.constantFrom(
  'application/json',
  'application/json; charset=utf-8',
  'text/plain',
  'application/x-www-form-urlencoded',
);

it('any bytes as body are answered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), fc.string({ unit: 'binary' }), type, survives),
    { numRuns: 200 },
  );
});

it('any JSON as body is answered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), fc.json(), (route, body) =>
      survives(route, body, 'application/json'),
    ),
    { numRuns: 300 },
  );
});

it('bodies that are nearly right are answered', async () => {
  const broken = fc
    .tuple(fc.oneof(network, port), fc.string(), fc.jsonValue())
    .map(([good, key, value]) => {
      const keys = Object.keys(good);
      const at = keys.length === 0 ? key : keys[key.length % keys.length]!;
      return JSON.stringify({ ...good, [at]: value });
    });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...routes), broken, (route, body) =>
      survives(route, body, 'application/json'),
    ),
    { numRuns: 300 },
  );
});

it('any path is answered', async () => {
  const segment = fc.oneof(
    fc.constantFrom('v1', 'networks', 'net1', 'fdb', 'ports', '..'),
    fc.string(),
    fc.webSegment(),
  );
  const paths = fc
    .array(segment, { maxLength: 6 })
    .map((parts) => `/${parts.map(encodeURIComponent).join('/')}`);
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS');
  await fc.assert(
    fc.asyncProperty(method, paths, (verb, path) => {
      // These two really do what they say.
      if (/^\/v1\/(purge|reload)/.test(path)) return Promise.resolve();
      return survives(`${verb} ${path}`, verb === 'GET' ? undefined : '{}', 'application/json');
    }),
    { numRuns: 300 },
  );
});

it('networks that fit are added, shown as they were asked for, and removed', async () => {
  await fc.assert(
    fc.asyncProperty(network, async (body) => {
      const added = await api.inject({
        method: 'POST',
        url: '/v1/networks',
        payload: { ...body, ports: [] },
      });
      if (added.statusCode !== 200) {
        // A name, VNI or MTU that collides with net1 is the only reason left.
        expect([400, 409]).toContain(added.statusCode);
        return;
      }
      expect(added.json()).toMatchObject({ name: body.name, vni: body.vni, source: 'store' });
      const url = `/v1/networks/${body.name}`;
      expect((await api.inject(url)).json()).toEqual(added.json());
      expect((await api.inject({ method: 'DELETE', url })).statusCode).toBe(200);
    }),
    { numRuns: 50 },
  );
});
