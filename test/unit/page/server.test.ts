import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildPage } from '../../../src/page/server.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const TOKEN = '0123456789abcdef';

function hostWith(...namespaces: string[]): FakeHost {
  const host = new FakeHost();
  for (const name of namespaces) host.namespaces.set(`/run/netns/${name}`, name);
  return host;
}

/** The page over a daemon with one network. */
async function page(token?: string) {
  const fake = await FakeDaemon.running(
    'networks: [{name: net1, vni: 300, peers: [10.200.0.2], ports: [{name: c1, netns: c1}]}]\n',
    hostWith('c1'),
  );
  const server = await buildPage(fake.daemon.operations, { log: pino({ level: 'silent' }), token });
  onTestFinished(() => server.close());
  const get = (url: string, headers: Record<string, string> = {}) =>
    server.inject({ url, headers: { host: '127.0.0.1:4780', ...headers } });
  return { fake, server, get };
}

describe('the page', () => {
  it('comes with its libraries and the headers that bind browsers', async () => {
    const { get } = await page();
    const index = await get('/');
    expect([index.statusCode, index.headers['content-type']]).toEqual([
      200,
      expect.stringContaining('text/html'),
    ]);
    expect(index.headers).toMatchObject({
      'content-security-policy': expect.stringMatching(/^default-src 'self';/),
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    expect(index.headers).not.toHaveProperty('access-control-allow-origin');
    for (const [name, type] of [
      ['preact.js', 'javascript'],
      ['hooks.js', 'javascript'],
      ['htm.js', 'javascript'],
      ['uplot.js', 'javascript'],
      ['uplot.css', 'css'],
    ]) {
      const library = await get(`/lib/${name}`);
      expect([library.statusCode, library.headers['content-type']]).toEqual([
        200,
        expect.stringContaining(type!),
      ]);
      // Browsers find no packages.
      expect(library.body).not.toMatch(/\b(import|export)\b[^;]*from\s*["'](?!\.\/)/);
    }
  });

  it('shows what the API shows, in its shapes', async () => {
    const { fake, get } = await page();
    const { operations } = fake.daemon;
    for (const [path, answer] of [
      ['networks', operations.networks()],
      ['networks/net1', operations.network('net1')],
      ['ports', operations.ports()],
      ['drops', operations.drops()],
      ['counters', { ...operations.counters(), at: expect.any(String) }],
      ['fdb?network=net1', operations.fdb('net1')],
      ['hosts', operations.hosts()],
      ['endpoints', operations.endpoints()],
      ['neighbors', operations.neighbors()],
    ] as const) {
      expect([path, (await get(`/v1/${path}`)).json()]).toEqual([path, answer]);
    }
    expect((await get('/v1/status')).json()).toMatchObject({ state: 'ok', networks: 1 });
  });

  it('refuses in the shape of the API', async () => {
    const { get } = await page();
    for (const [url, status, code] of [
      ['/v1/networks/none', 404, 'NETWORK_UNKNOWN'],
      ['/v1/networks/none?x=%zz', 404, 'NETWORK_UNKNOWN'],
      ['/v1/fdb?netwrk=a', 400, 'BAD_REQUEST'],
      ['/nowhere', 404, 'NOT_FOUND'],
      ['/../server.js', 404, 'NOT_FOUND'],
      ['/%2e%2e/server.js', 404, 'NOT_FOUND'],
      ['/lib/../../package.json', 404, 'NOT_FOUND'],
    ] as const) {
      const answer = await get(url);
      expect([url, answer.statusCode, answer.json().code]).toEqual([url, status, code]);
      expect(answer.json().message).toMatch(/^.+: .+; /);
    }
  });

  it('changes nothing', async () => {
    const { fake, server } = await page();
    const before = fake.host.applies;
    const reads = new Set(['/v1/networks/net1/trace']);
    const all: [method: 'POST' | 'PUT' | 'DELETE', url: string][] = [
      ['POST', '/v1/networks'],
      ['DELETE', '/v1/networks/net1'],
      ['POST', '/v1/networks/net1/ports'],
      ['POST', '/v1/networks/net1/peers'],
      ['POST', '/v1/networks/net1/fdb'],
      ['PUT', '/v1/networks/net1/fdb/02:00:00:00:00:01'],
      ['DELETE', '/v1/ports/c1'],
      ['DELETE', '/v1/hosts/10.200.0.2'],
      ['POST', '/v1/fdb/flush'],
      ['POST', '/v1/captures'],
      ['DELETE', '/v1/captures/1'],
      ['POST', '/v1/purge'],
      ['POST', '/v1/reload'],
    ];
    for (const [method, url] of all) {
      const answer = await server.inject({ method, url, headers: { host: 'localhost' }, body: {} });
      expect([method, url, answer.statusCode]).toEqual([method, url, 404]);
    }
    const routes = server.printRoutes({ commonPrefix: false });
    const changing = [...routes.matchAll(/(\/\S+) \([^)]*(POST|PUT|DELETE|PATCH)/g)];
    expect(changing.filter(([, path]) => !reads.has(path ?? '') && !/trace$/.test(path!))).toEqual(
      [],
    );
    expect(fake.host.applies).toBe(before);
  });
});

describe('access', () => {
  it.each([
    ['localhost', 200],
    ['localhost:4780', 200],
    ['127.0.0.1', 200],
    ['10.0.0.7:4780', 200],
    ['[::1]:4780', 200],
    ['evil.example', 403],
    ['127.0.0.1.evil.example:4780', 403],
    ['localhost.evil.example', 403],
    ['[::1', 403],
  ])('under the name %s is answered with %i', async (host, status) => {
    const { get } = await page();
    for (const url of ['/', '/v1/status', '/nowhere/../v1/status']) {
      const answer = await get(url, { host });
      expect([url, answer.statusCode]).toEqual([url, status]);
    }
  });

  it.each([
    [{ origin: 'http://127.0.0.1:4780' }, 200],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    // Behind a proxy that has a name of its own and names us by address.
    [{ origin: 'https://vswitchd.example', 'sec-fetch-site': 'same-origin' }, 200],
    [{ origin: 'https://evil.example', 'sec-fetch-site': 'none' }, 403],
    [{ origin: 'http://127.0.0.1:4780', 'sec-fetch-site': 'cross-site' }, 403],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: 'http://127.0.0.1:4781' }, 403],
    [{ origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
  ])('from a page that says %j is answered with %i', async (headers, status) => {
    const { get, server } = await page();
    expect((await get('/v1/status', headers as Record<string, string>)).statusCode).toBe(status);
    const trace = await server.inject({
      method: 'POST',
      url: '/v1/networks/none/trace',
      headers: { host: '127.0.0.1:4780', ...headers },
      body: { port: 'c1', hex: '00' },
    });
    expect(trace.statusCode).toBe(status === 200 ? 404 : 403);
  });

  it('needs the token where there is one', async () => {
    const { get } = await page(TOKEN);
    for (const headers of [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: `Basic ${TOKEN}` },
      { cookie: `vswitchd=${TOKEN}` },
      { cookie: 'vswitchd=' },
    ] as Record<string, string>[]) {
      for (const url of ['/', '/v1/status', '/lib/preact.js', '/?token=wrong', '/nowhere']) {
        const answer = await get(url, headers);
        expect([url, headers, answer.statusCode]).toEqual([url, headers, 401]);
        expect(answer.json()).toMatchObject({ code: 'UNAUTHORIZED' });
        expect(answer.body).not.toContain(TOKEN);
      }
    }
    const { statusCode } = await get('/v1/status', { authorization: `Bearer ${TOKEN}` });
    expect(statusCode).toBe(200);
  });

  it('by a link with the token goes on with a cookie that does not tell it', async () => {
    const { get } = await page(TOKEN);
    const first = await get(`/?token=${TOKEN}`);
    expect([first.statusCode, first.headers.location]).toEqual([303, '/']);
    const cookie = String(first.headers['set-cookie']);
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
    expect(cookie).not.toContain(TOKEN);
    const session = cookie.split(';', 1)[0]!;
    expect((await get('/', { cookie: `a=b; ${session}` })).statusCode).toBe(200);
    expect((await get('/v1/status', { cookie: session })).statusCode).toBe(200);
    expect((await get('/', { authorization: `Bearer ${session.split('=')[1]}` })).statusCode).toBe(
      401,
    );
  });
});

describe('access with a token', () => {
  it.each(['//', '///x', '/?token', '/?token=%zz', '//?token=x'])(
    'refuses %s in the shape of the API',
    async (url) => {
      const { get } = await page(TOKEN);
      const { statusCode, json } = await get(url);
      expect([statusCode, json()]).toMatchObject([401, { code: 'UNAUTHORIZED' }]);
    },
  );
});

describe('vswitchd --http', () => {
  it('serves the page until it stops', async () => {
    const fake = await FakeDaemon.create();
    await fake.configure('');
    const { page: url = '' } = await fake.start({
      http: { listen: { address: '127.0.0.1', port: 0 } },
    });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(fake.log.at(-1)).toMatchObject({ msg: 'ready', page: url });
    expect(await (await fetch(`${url}v1/status`)).json()).toMatchObject({ state: 'ok' });
    await fake.stop();
    await expect(fetch(url)).rejects.toThrow();
  });

  it('is off unless asked for', async () => {
    const fake = await FakeDaemon.running();
    expect(fake.daemon.page).toBeUndefined();
  });

  it('elsewhere than on loopback needs a token, which the file may name', async () => {
    const fake = await FakeDaemon.create();
    const listen = { address: '0.0.0.0', port: 0 };
    await fake.configure('');
    await expect(fake.start({ http: { listen } })).rejects.toMatchObject({
      code: 'TOKEN_NEEDED',
      message: expect.stringContaining('--http-token-file'),
    });
    const token_file = join(fake.folder, 'token');
    await writeFile(token_file, 'short\n');
    await expect(fake.start({ http: { listen, token_file } })).rejects.toMatchObject({
      code: 'TOKEN_UNUSABLE',
    });
    await writeFile(token_file, `${TOKEN}\n`);
    await fake.configure(`http: {listen: "127.0.0.1:1", token_file: ${token_file}}\n`);
    const { page: url = '' } = await fake.start({ http: { listen } });
    const port = new URL(url).port;
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(401);
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect((await fetch(`http://127.0.0.1:${port}/v1/status`, { headers })).status).toBe(200);
  });

  it('on a port that somebody has is refused in one sentence, and nothing stays', async () => {
    const first = await FakeDaemon.create();
    await first.configure('');
    const { page: url = '' } = await first.start({
      http: { listen: { address: '127.0.0.1', port: 0 } },
    });
    const second = await FakeDaemon.create();
    await second.configure(`http: {listen: "127.0.0.1:${new URL(url).port}"}\n`);
    await expect(second.start()).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringMatching(/^cannot listen on 127\.0\.0\.1:\d+: .* \(.*EADDRINUSE.*\); /),
    });
    expect(second.host.locks.size).toBe(0);
  });

  it('is not changed by a reload', async () => {
    const fake = await FakeDaemon.running();
    await fake.configure('http: {listen: "127.0.0.1:4780"}\n');
    const { warnings } = await fake.json<{ warnings: string[] }>('reload');
    expect(warnings).toEqual(['http is not changed by a reload; restart vswitchd for it']);
  });
});
