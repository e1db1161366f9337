import { pino } from 'pino';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Operations } from '../../../src/control/operations.js';
import { buildApi } from '../../../src/control/server.js';

type Api = Awaited<ReturnType<typeof buildApi>>;
let api: Api;
const log: string[] = [];

beforeAll(async () => {
  // Operations that nobody implemented fail as a bug of ours would.
  const broken = new Proxy(
    {},
    {
      get: () => () => {
        throw new TypeError('no such thing');
      },
    },
  ) as Operations;
  api = await buildApi(broken, {
    version: '1.2.3',
    log: pino({}, { write: (line) => void log.push(line) }),
  });
});

const post = (url: string, payload: string, type = 'application/json') =>
  api.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });

describe('the OpenAPI document', () => {
  it('describes every route, with the settings of the file', async () => {
    const document = (await api.inject('/openapi.json')).json();
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } });
    expect(Object.keys(document.paths).sort()).toEqual([
      '/v1/captures',
      '/v1/captures/{capture}',
      '/v1/counters',
      '/v1/doctor',
      '/v1/drops',
      '/v1/endpoints',
      '/v1/fdb',
      '/v1/fdb/flush',
      '/v1/fdb/past',
      '/v1/history',
      '/v1/hosts',
      '/v1/hosts/{host}',
      '/v1/neighbors',
      '/v1/networks',
      '/v1/networks/{network}',
      '/v1/networks/{network}/fdb',
      '/v1/networks/{network}/fdb/{mac}',
      '/v1/networks/{network}/peers',
      '/v1/networks/{network}/peers/{peer}',
      '/v1/networks/{network}/ports',
      '/v1/networks/{network}/trace',
      '/v1/ports',
      '/v1/ports/{port}',
      '/v1/purge',
      '/v1/reload',
      '/v1/status',
    ]);
    const body = document.paths['/v1/networks'].post.requestBody.content['application/json'].schema;
    expect(Object.keys(body.properties)).toContain('group_fwd_mask');
    expect(body.additionalProperties).toBe(false);
    expect(body.required).toEqual(['name']);
  });
});

describe('a bad request', () => {
  it.each(['/v1/networks/%zz', '/v1/nowhere', '/v1/fdb?netwrk=a'])(
    'for %s is answered in the shape of every error',
    async (url) => {
      const answer = await api.inject(url);
      expect([400, 404]).toContain(answer.statusCode);
      expect(answer.json()).toMatchObject({
        code: expect.stringMatching(/^(BAD_REQUEST|NOT_FOUND)$/),
        message: expect.stringMatching(/^.+: .+; /),
      });
      expect(answer.json()).not.toHaveProperty('statusCode');
    },
  );

  it.each([
    ['no JSON', '{"name":', 400, 'BAD_REQUEST'],
    ['nothing', '', 400, 'BAD_REQUEST'],
    ['another shape', '[]', 400, 'BAD_REQUEST'],
    ['a number', '5', 400, 'BAD_REQUEST'],
    ['too much', `"${'x'.repeat(2_000_000)}"`, 413, 'TOO_LARGE'],
    ['a prototype', '{"__proto__": {"name": "x"}, "name": "y"}', 400, 'BAD_REQUEST'],
  ])('with %s is refused', async (_, payload, status, code) => {
    const answer = await post('/v1/networks', payload);
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
    expect(answer.json().message).not.toBe('');
  });

  it('lists every problem with path, value, what is allowed and the nearest key', async () => {
    const answer = await post(
      '/v1/networks',
      '{"name": "a", "vni": -1, "agein": 3, "peers": ["x"]}',
    );
    expect(answer.json().problems).toEqual([
      { path: 'peers[0].address', value: 'x', allowed: 'an IPv4 or IPv6 unicast address' },
      { path: 'vni', value: -1, allowed: expect.stringContaining('1-16777215') },
      { path: 'agein', value: 3, allowed: 'every key must be known', nearest: 'ageing' },
    ]);
  });

  it('of another media type is refused', async () => {
    expect((await post('/v1/networks', '<a/>', 'application/xml')).json()).toMatchObject({
      code: 'BAD_REQUEST',
    });
  });

  it('to nowhere is not found', async () => {
    const answer = await api.inject('/v2/status');
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'NOT_FOUND']);
  });
});

it('a failure of ours is an answer, and a record in the log', async () => {
  const answer = await api.inject('/v1/status');
  expect([answer.statusCode, answer.json().code]).toEqual([500, 'INTERNAL']);
  expect(log.at(-1)).toContain('no such thing');
});
