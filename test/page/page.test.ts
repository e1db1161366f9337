/** The page in a browser, over a daemon that answers what the test says. */

import { pino } from 'pino';
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { FdbView } from '../../src/control/views.js';
import { buildPage } from '../../src/page/server.js';
import { type Browser, startBrowser, type Visit, visit } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { fileScope } from '../support/testScope.js';
import { type Scenery, usualScenery } from './scenery.js';

const scope = fileScope();
let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser(scope);
});

/** Its URL; it ends with the test. */
async function served(
  scenery: Scenery,
  { port = 0, token }: { readonly port?: number; readonly token?: string } = {},
): Promise<{ url: string; stop(): Promise<void> }> {
  const server = await buildPage(scenery, { log: pino({ level: 'silent' }), token });
  const stop = () => server.close();
  onTestFinished(stop);
  return { url: `${await server.listen({ host: '127.0.0.1', port })}/`, stop };
}

async function opened(scenery: Scenery, view = '', options: Partial<Visit> = {}): Promise<Page> {
  const { url } = await served(scenery);
  return await visit(browser, { url: `${url}#/${view}`, ...options });
}

/** Waits until something on the page says so. */
async function says(page: Page, text: string | RegExp): Promise<void> {
  await page.getByText(text).filter({ visible: true }).first().waitFor();
}

describe('the overview', () => {
  it('shows this host, its networks and ports, the hosts around it, and what goes between them', async () => {
    const page = await opened(usualScenery());
    for (const text of ['alpha', 'beta', 'gamma', 'blue', 'green', 'VNI 256', 'web1', 'db1'])
      await says(page, text);
    await says(page, 'in 100 Mb/s · out 2 Gb/s');
    await says(page, '7/s dropped');
    await says(page, 'alive, 210 µs');
    expect(await page.locator('.lane').count()).toBe(3);
    expect(await page.locator('.lane.silent .edge, .host.silent .box').count()).toBe(2);
    await says(page, /^silent since/);
    await says(page, 'It does not fit the path to the VTEP.');
    await says(page, /moved from VTEP 10\.200\.0\.2 to port web2/);
  });

  it('tells about what is chosen, by mouse and by keyboard', async () => {
    const page = await opened(usualScenery());
    const details = page.getByRole('region', { name: 'Details' });
    const tunnel = page.getByRole('button', { name: /^Tunnel of network blue to 10\.200\.0\.2/ });
    await tunnel.focus();
    await page.keyboard.press('Enter');
    await details.getByText('Tunnel of blue to beta').waitFor();
    await details.getByText('tx.too_big').waitFor();
    expect(await tunnel.getAttribute('aria-pressed')).toBe('true');
    await page.getByRole('button', { name: /^Port db2/ }).click();
    await details.getByText('waiting: its namespace is not there yet').waitFor();
    await page.getByRole('button', { name: /^Host gamma/ }).click();
    await details.getByText('Host gamma').waitFor();
    await page.getByRole('button', { name: 'Close the details' }).click();
    await details.waitFor({ state: 'detached' });
  });

  it.each([800, 1280])('fits into %i pixels', async (width) => {
    const page = await opened(usualScenery(), '', { width, scheme: 'light' });
    await says(page, 'in 100 Mb/s · out 2 Gb/s');
    const beyond = (selector: string) =>
      page.locator(selector).evaluate((element) => element.scrollWidth - element.clientWidth);
    const widths = { page: await beyond('html'), picture: await beyond('.picture') };
    expect(widths).toEqual({ page: 0, picture: 0 });
  });

  it('draws a host of fifty networks among fifty hosts', async () => {
    const scenery = usualScenery();
    const peers = Array.from({ length: 50 }, (_, n) => `10.200.0.${n + 2}`);
    scenery.network_list = Array.from({ length: 50 }, (_, n) => ({
      ...{ name: `net${n}`, vni: 256 + n, peers: peers.slice(0, 5 + (n % 10)) },
      ports: Array.from({ length: n }, (__, m) => ({ name: `p${n}-${m}` })),
    }));
    const page = await opened(scenery);
    await says(page, 'net49');
    await says(page, 'and 41 more');
    const tunnels = scenery.network_list.reduce((sum, network) => sum + network.peers!.length, 0);
    expect(await page.locator('.lane').count()).toBe(tunnels);
  });
});

describe('rates', () => {
  it('follow the clock of the answers, not that of the browser', async () => {
    const scenery = usualScenery();
    const page = await opened(scenery, 'ports');
    const row = page.getByRole('row', { name: /web1/ });
    await row.getByText('2 Gb/s').waitFor();
    // A daemon whose seconds are twice as long sees half of it.
    scenery.pace = 2;
    await row.getByText('2 Gb/s').waitFor({ state: 'detached' });
    await row.getByText(/^1(\.0\d)? Gb\/s$/).waitFor({ timeout: 25_000 });
  });
});

describe('the FDB', () => {
  const entry = (n: number): FdbView => ({
    ...{ network: n % 2 === 0 ? 'blue' : 'green', vni: 256, active: true, local: false, idle: n },
    mac: `02:42:00:00:${hex(n >> 8)}:${hex(n & 255)}`,
    origin: n % 3 === 0 ? 'static' : 'learned',
    ...(n % 2 === 0 ? { port: 'web1' } : { vtep: '10.200.0.2', udp_port: 4789 }),
  });

  it('has ten thousand entries, of which the document holds those that can be seen', async () => {
    const scenery = usualScenery();
    scenery.fdb_list = Array.from({ length: 10_000 }, (_, n) => entry(n));
    const page = await opened(scenery, 'fdb');
    const table = page.getByRole('table', { name: 'FDB' });
    await table.getByText('02:42:00:00:00:00').waitFor();
    expect(await table.getAttribute('aria-rowcount')).toBe('10001');
    expect(await table.getByRole('row').count()).toBeLessThan(100);

    const region = page.getByRole('region', { name: 'FDB' });
    await region.focus();
    await page.keyboard.press('End');
    await table.getByText('02:42:00:00:27:0f').waitFor();
    expect(await table.getByRole('row').count()).toBeLessThan(100);

    const search = page.getByRole('searchbox', { name: 'Search FDB' });
    await search.fill('web1 static 27:0');
    await says(page, /^3 of 10\s000$/);
    expect(await table.getByRole('row').count()).toBe(4);
    expect(page.url()).toContain('#/fdb?q=web1+static+27%3A0');
    await search.fill('10.200.0.2 02:42:00:00:00:01');
    await table.getByText('02:42:00:00:00:01').waitFor();
    await search.fill('nobody has this');
    await says(page, /^0 of/);
  });

  it('is sorted by what its heads say', async () => {
    const scenery = usualScenery();
    scenery.fdb_list = [3, 1, 10, 2].map(entry);
    const page = await opened(scenery, 'fdb');
    const table = page.getByRole('table', { name: 'FDB' });
    const macs = () => table.locator('tbody code').allTextContents();
    const ends = async () => (await macs()).map((mac) => mac.slice(-2));
    await eventually('rows', async () => (await macs()).length === 4);
    expect(await ends()).toEqual(['01', '02', '03', '0a']);
    await table.getByRole('button', { name: /^idle/ }).click();
    await table.getByRole('button', { name: /^idle/ }).click();
    expect(await ends()).toEqual(['0a', '03', '02', '01']);
    const heading = table.getByRole('columnheader', { name: /^idle/ });
    expect(await heading.getAttribute('aria-sort')).toBe('descending');
  });
});

describe('names', () => {
  it('of others are text, never markup', async () => {
    const scenery = usualScenery();
    const name = '<img src=x onerror="document.title=1">';
    scenery.network_list = [
      {
        ...{ name, vni: 256, peers: ['10.200.0.2'] },
        ports: [{ name, reason: name, state: 'waiting', container: name }],
      },
    ];
    scenery.host_list[1]!.name = name;
    scenery.warnings = [name, name];
    scenery.lines = [{ seq: 1, at: '2026-11-21T09:00:01.000Z', kind: name, sentence: name }];
    scenery.reasons.push({ reason: name, stage: 'egress', sentence: name, frames: 1 });
    scenery.flows.set(`${name} ${name}`, { rx_bytes: 1000, drops: { [name]: 5 } });
    scenery.endpoint_list = [
      {
        network: name,
        id: '1',
        name,
        aliases: [name],
        mac: name,
        addresses: [name],
        host: name,
        state: 'live',
      },
    ];
    const page = await opened(scenery);
    for (const view of [
      '',
      'ports',
      'hosts',
      'drops',
      'history',
      'endpoints',
      'trace',
      'capture',
    ]) {
      await page.goto(`${page.url().split('#')[0]}#/${view}`);
      await page.locator(`nav a[aria-current][href="#/${view}"]`).waitFor();
      await page.locator('main section').first().waitFor();
      await says(page, /<img/);
      expect(await page.locator('img').count()).toBe(0);
    }
    expect(await page.title()).toBe('vswitchd');
  });
});

describe('drops', () => {
  it('are shown over time, with their sentences and where they happened', async () => {
    const page = await opened(usualScenery(), 'drops');
    await page.locator('.chart canvas').waitFor();
    await says(page, 'No network here has this VNI.');
    const reasons = page.getByRole('table', { name: 'Drop reasons' });
    await reasons.getByText('7/s').waitFor();
    expect(await reasons.getByText('rx.src_mac_zero').count()).toBe(0);
    await page.getByRole('checkbox').check();
    await reasons.getByText('rx.src_mac_zero').waitFor();
    await page
      .getByRole('table', { name: 'Drops by place' })
      .getByText('10.200.0.2:4789')
      .waitFor();
    expect(await page.locator('.u-legend .u-series').count()).toBe(3);
  });
});

describe('trace', () => {
  it('says what the switch would do, in sentences', async () => {
    const scenery = usualScenery();
    scenery.tracing = {
      ...{
        network: 'blue',
        frame: '00',
        summary: 'TCP 10.0.0.1 > 10.0.0.2',
        assumed: ['It has a TTL of 64.'],
      },
      steps: [{ kind: 'enter', sentence: 'It enters at port web1.' }],
      ...{ verdict: 'to', sentence: 'It leaves through the tunnel to 10.200.0.2.' },
      copies: [{ port: '10.200.0.2:4789', kind: 'tunnel', sentence: 'It is sent.', length: 124 }],
    };
    const page = await opened(scenery, 'trace');
    await page.getByRole('textbox', { name: 'Flow' }).fill('ip dst 10.0.0.2');
    await page.getByRole('button', { name: 'Trace' }).click();
    const story = page.getByRole('article');
    for (const text of [
      'TCP 10.0.0.1 > 10.0.0.2',
      'It has a TTL of 64.',
      'It enters at port web1.',
      'It is sent.',
    ])
      await story.getByText(text).waitFor();
    await story.getByText('It leaves through the tunnel').waitFor();
    expect(scenery.traced).toEqual([
      {
        network: 'blue',
        asked: { port: 'web1', flow: 'ip dst 10.0.0.2', datagram: false, tos: 0 },
      },
    ]);
  });

  it('shows what the API refuses', async () => {
    const page = await opened(usualScenery(), 'trace', { allowed: /status of 404/ });
    await page.getByLabel('Network').selectOption('green');
    await page.getByRole('radio', { name: /from a peer/ }).check();
    await page.getByRole('radio', { name: /hexadecimal/ }).check();
    await page.getByRole('textbox', { name: 'Frame' }).fill('02 42');
    await page.getByRole('checkbox', { name: /VXLAN header/ }).check();
    await page.getByRole('button', { name: 'Trace' }).click();
    await page
      .getByRole('alert')
      .getByText(/there is no port/)
      .waitFor();
  });
});

describe('capture', () => {
  it('asks for what the form says, and tells what the daemon refuses', async () => {
    const scenery = usualScenery();
    const page = await opened(scenery, 'capture', { allowed: /status of 400/ });
    await page.getByRole('combobox', { name: 'Network' }).selectOption('blue');
    await page.getByRole('combobox', { name: 'Port' }).fill('web1');
    await page.getByRole('combobox', { name: /^Side/ }).selectOption('both');
    await page.getByRole('textbox', { name: 'Filter' }).fill("tpc port 80 or '");
    await page.getByRole('checkbox', { name: /dropped/ }).check();
    await page.getByRole('spinbutton', { name: 'Bytes of each' }).fill('96');
    await says(
      page,
      `vswitchctl capture blue --port web1 --both --drops --filter 'tpc port 80 or '\\''' --snaplen 96 -w - | wireshark -k -i -`,
    );
    await page.getByRole('button', { name: 'Capture and download' }).click();
    await page
      .getByRole('alert')
      .getByText(/no filter of libpcap/)
      .waitFor();
    expect(scenery.captured).toEqual([
      {
        ...{ network: 'blue', port: 'web1', side: 'both', drops: true, snaplen: 96 },
        filter: "tpc port 80 or '",
      },
    ]);
  });
});

describe('history', () => {
  it('grows by what happens, without being told again', async () => {
    const scenery = usualScenery();
    const page = await opened(scenery, 'history');
    const table = page.getByRole('table', { name: 'History' });
    await table.getByText('was learned').waitFor();
    const line = { at: '2026-11-21T09:02:00.000Z', kind: 'aged', sentence: 'It aged.' };
    scenery.lines.push({ ...line, seq: 3 });
    await table.getByText('It aged.').waitFor();
    expect(await table.locator('tbody tr').count()).toBe(3);
    expect(await table.locator('tbody tr').first().textContent()).toContain('It aged.');
  });

  it('is filtered by MAC', async () => {
    const page = await opened(usualScenery(), 'history');
    const table = page.getByRole('table', { name: 'History' });
    await table.getByText('moved from').waitFor();
    await table.getByText('was learned').waitFor();
    await page.getByRole('textbox', { name: 'MAC' }).fill('02:42:0a:00:00:02');
    await page.keyboard.press('Enter');
    await table.getByText('was learned').waitFor({ state: 'detached' });
    await table.getByText('moved from').waitFor();
  });
});

describe('the connection', () => {
  it('that is lost is said, and found again', async () => {
    const scenery = usualScenery();
    const first = await served(scenery);
    const page = await visit(browser, { url: first.url, allowed: /ERR_|Failed to load/ });
    await says(page, 'in 100 Mb/s · out 2 Gb/s');
    await first.stop();
    await says(page, /^Connection lost/);
    // What was known stands there still, and is told from what is.
    await says(page, 'beta');
    await page.locator('main.stale').waitFor();
    scenery.started += 3_600_000;
    scenery.seconds = 0;
    await served(scenery, { port: Number(new URL(first.url).port) });
    await page.getByText(/^Connection lost/).waitFor({ state: 'detached' });
    await says(page, 'in 100 Mb/s · out 2 Gb/s');
    expect(await page.locator('main.stale').count()).toBe(0);
  });
});

describe('a token', () => {
  it('is given once, and wanted again when the browser has lost it', async () => {
    const token = '0123456789abcdef';
    const { url } = await served(usualScenery(), { token });
    const page = await visit(browser, { url: `${url}?token=${token}`, allowed: /status of 401/ });
    await says(page, 'in 100 Mb/s · out 2 Gb/s');
    expect(page.url()).toBe(url);
    await page.context().clearCookies();
    await says(page, /^This page wants its token/);
  });
});

describe('the head', () => {
  it('says when something is wrong', async () => {
    const scenery = usualScenery();
    scenery.state = 'degraded';
    scenery.warnings = [
      'the store etcd is out of reach',
      'port db2: its namespace is not there yet',
    ];
    const page = await opened(scenery);
    await page.locator('header .degraded').waitFor();
    await says(page, '2 warnings');
    for (const warning of scenery.warnings) await says(page, warning);
  });
});

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
