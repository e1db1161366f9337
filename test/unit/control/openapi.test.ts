/** The OpenAPI document against what the server takes and gives, over the fake datapath. */

import { pino } from 'pino';
import { expect, it } from 'vitest';
import * as z from 'zod';
import { buildApi } from '../../../src/control/server.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const NET1 = 'networks: [{name: net1, vni: 300, peers: [10.200.0.2], ports: [{name: c1}]}]\n';
const MAC = '02:00:00:00:00:01';

interface Call {
  readonly does: string;
  /** Path parameters and query. */
  readonly at?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
  /** The document says no, and so does the server. */
  readonly refused?: true;
}

/** In order: later calls need what earlier ones made. Every route stands here. */
const calls: readonly Call[] = [
  { does: 'getStatus' },
  { does: 'getDoctor' },
  { does: 'getCounters' },
  { does: 'listDrops' },
  { does: 'listNetworks' },
  { does: 'getNetwork', at: { network: 'net1' } },
  { does: 'getNetwork', at: { network: 'a b' }, refused: true },
  {
    does: 'addNetwork',
    body: { name: 'net2', peers: ['10.200.0.4:99', { address: '10.200.0.5' }] },
  },
  { does: 'addNetwork', body: { name: 'a/b' }, refused: true },
  { does: 'addNetwork', body: { name: 'net3', peers: [5] }, refused: true },
  { does: 'addPeer', at: { network: 'net2' }, body: '10.200.0.6' },
  { does: 'addPeer', at: { network: 'net2' }, body: { address: '10.200.0.7', vni: 9 } },
  { does: 'addPeer', at: { network: 'net2' }, body: { address: 'host!' }, refused: true },
  { does: 'removePeer', at: { network: 'net2', peer: '10.200.0.6' } },
  { does: 'addPort', at: { network: 'net2' }, body: { name: 'p2', addresses: ['10.0.0.2/24'] } },
  { does: 'addPort', at: { network: 'net2' }, body: { mac: 'zz' }, refused: true },
  { does: 'addPort', at: { network: 'net2' }, body: { addresses: ['10.0.0.2'] }, refused: true },
  { does: 'addPort', at: { network: 'net2' }, body: { kind: 'memory' }, refused: true },
  { does: 'listPorts' },
  { does: 'listEndpoints', at: { network: 'net2' } },
  { does: 'listNeighbors', at: { network: 'net2' } },
  { does: 'listHosts' },
  { does: 'removeHost', at: { host: 'x' }, refused: true },
  { does: 'addFdb', at: { network: 'net2' }, body: { mac: MAC, vtep: '10.200.0.4' } },
  { does: 'replaceFdb', at: { network: 'net2', mac: MAC }, body: { port: 'p2' } },
  { does: 'listFdb', at: { network: 'net2' } },
  { does: 'removeFdb', at: { network: 'net2', mac: MAC } },
  { does: 'removeFdb', at: { network: 'net2', mac: '02' }, refused: true },
  { does: 'flushFdb', body: { network: 'net2' } },
  { does: 'addCapture', body: { network: 'net2', filter: 'tcp port 80' } },
  { does: 'addCapture', body: { snaplen: 0 }, refused: true },
  { does: 'listCaptures' },
  { does: 'endCapture', at: { capture: 'x' }, refused: true },
  { does: 'trace', at: { network: 'net2' }, body: { port: 5 }, refused: true },
  {
    does: 'getHistory',
    at: {
      ...{ network: 'net2', port: 'p2', mac: MAC, ip: '10.0.0.2' },
      ...{ since: '2026-11-21T12:03:07Z', from: 0 },
    },
  },
  { does: 'getPastFdb', at: { network: 'a b', at: '2026-11-21T12:03:07Z' }, refused: true },
  { does: 'removePort', at: { port: 'p2' } },
  { does: 'removeNetwork', at: { network: 'net2' } },
  { does: 'reload' },
  { does: 'purge' },
];

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly schema: Schema;
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content: Content }>>;
}

type Content = { readonly 'application/json': { readonly schema: Schema } };
type Schema = Parameters<typeof z.fromJSONSchema>[0];

const fits = (schema: Schema, value: unknown) => z.fromJSONSchema(schema).safeParse(value).success;

it('says what is taken and given, for every route', async () => {
  const fake = await FakeDaemon.running(NET1, new FakeHost());
  const log = pino({ level: 'silent' });
  const api = await buildApi(fake.daemon.operations, { version: '0', log });
  const { paths } = (await api.inject('/openapi.json')).json();
  const routes = new Map(
    Object.entries<Record<string, Operation>>(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, operation]) => [operation.operationId, { path, method, operation }] as const,
      ),
    ),
  );
  expect(new Set(calls.map((call) => call.does))).toEqual(new Set(routes.keys()));

  for (const { does, at = {}, body, refused } of calls) {
    const { path, method, operation } = routes.get(does)!;
    const label = `${does} ${JSON.stringify({ at, body })}`;
    expect(operation.summary, label).toMatch(/^[A-Z]/);
    const asked = [
      ...(operation.parameters ?? []).map(({ name, schema }) => fits(schema, at[name])),
      ...(operation.requestBody
        ? [fits(operation.requestBody.content['application/json'].schema, body)]
        : []),
    ];
    expect(asked.every(Boolean), `${label} fits the document`).toBe(refused !== true);
    const url = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(at[name] ?? ''));
    const query = (operation.parameters ?? [])
      .filter((parameter) => parameter.in === 'query')
      .map(({ name }) => `${name}=${at[name]}`);
    const answer = await api.inject({
      method: method.toUpperCase() as 'GET',
      url: `${url}?${query.join('&')}`,
      ...(body === undefined
        ? {}
        : { payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    expect(answer.statusCode, `${label}: ${answer.body}`).toBe(refused ? 400 : 200);
    const given = operation.responses[refused ? '4XX' : '200']!;
    expect(fits(given.content['application/json'].schema, answer.json()), label).toBe(true);
  }
});
