/**
 * The page of a real daemon, in a browser that lives on its host.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ vswitchd (host two) ── c2      network blue
 *         and a browser                   ══ nobody (host three)
 */

import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Page } from 'playwright-core';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { type Browser, startBrowser, visit } from '../support/browser.js';
import { temporaryDirectory } from '../support/netns.js';
import { ping } from '../support/ping.js';
import { openStream } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
let two: Host;
let c1: Container;
let c2: Container;
let first: Vswitchd;
let second: Vswitchd;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two', 'three'] });
  const [one, other, three] = hosts as [Host, Host, Host];
  two = other;
  c1 = await createContainer(scope, 'c1', 1);
  c2 = await createContainer(scope, 'c2', 2);
  first = await Vswitchd.start(scope, one, {
    http: { listen: '127.0.0.1:4780' },
    networks: [
      { name: 'blue', vni: 256, peers: [two.address[4], three.address[4]], ports: [portOf(c1)] },
    ],
  });
  second = await Vswitchd.start(scope, two, {
    networks: [{ name: 'blue', vni: 256, peers: [one.address[4]], ports: [portOf(c2)] }],
  });
  browser = await startBrowser(scope, await programIn(one));
});

/** A program that is Chromium in the host's namespace: whoever kills one kills the other. */
async function programIn({ namespace }: Host): Promise<string> {
  const program = join(await temporaryDirectory(scope, 'browser'), 'chromium');
  await writeFile(program, `#!/bin/sh\nexec ip netns exec ${namespace.name} chromium "$@"\n`);
  await chmod(program, 0o700);
  return program;
}

beforeEach(async () => {
  page = await visit(browser, { url: 'http://127.0.0.1:4780/', allowed: /ERR_|Failed to load/ });
});

test('what goes between two hosts stands at the edge between them', async () => {
  const lane = page.getByRole('button', { name: /^Tunnel of network blue to 10\.200\.0\.2/ });
  await lane.waitFor();
  const stream = await openStream(testScope(), { from: c1, to: c2, family: 4 });
  await stream.goesOn();
  const flow = lane.getByText(/^in [\d.]+ [MG]b\/s · out [\d.]+ [MG]b\/s$/);
  await flow.waitFor();
  await page.getByRole('button', { name: /^Port c1, up: in [\d.]+ [MG]b\/s/ }).waitFor();
  await stream.finish();
  // Nothing goes any more.
  await flow.waitFor({ state: 'detached', timeout: 30_000 });
});

test('the FDB has both containers', async () => {
  await page.getByRole('link', { name: 'FDB' }).click();
  const rows = page.getByRole('table', { name: 'FDB' });
  await rows.getByRole('row', { name: new RegExp(`${c1.mac}.*port c1`) }).waitFor();
  await rows.getByRole('row', { name: new RegExp(`${c2.mac}.*${two.address[4]}`) }).waitFor();
});

test('a frame is traced from a container to the other host', async () => {
  await page.getByRole('link', { name: 'Trace' }).click();
  const flow = `ether dst ${c2.mac} ip src ${c1.address[4]} dst ${c2.address[4]} tcp dport 80`;
  await page.getByRole('textbox', { name: 'Flow' }).fill(flow);
  await page.getByRole('button', { name: 'Trace' }).click();
  const story = page.getByRole('article');
  await story.getByRole('table', { name: 'Copies' }).getByText(two.address[4]).first().waitFor();
});

test('a capture is downloaded, and tshark reads it', async () => {
  await page.getByRole('link', { name: 'Capture' }).click();
  await page.getByRole('combobox', { name: 'Port' }).fill('c1');
  await page.getByRole('textbox', { name: 'Filter' }).fill('icmp');
  await page.getByRole('spinbutton', { name: 'Packets, at most' }).fill('4');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Capture and download' }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/^c1-.*\.pcapng$/);
  await ping(c1, { to: c2.address[4], count: 4 });
  const file = await download.path();
  const { stdout } = await execa('tshark', ['-n', '-r', file, '-T', 'fields', '-e', 'ip.proto']);
  expect(stdout.split('\n')).toEqual(['1', '1', '1', '1']);
});

test('what the daemon has seen is history', async () => {
  await page.getByRole('link', { name: 'History' }).click();
  await page.getByRole('table', { name: 'History' }).getByText(c1.mac).first().waitFor();
});

test('a daemon that ends and comes back is the same to the page', async () => {
  await page.getByRole('button', { name: /^Tunnel of network blue to 10\.200\.0\.2/ }).waitFor();
  await first.stop();
  await page.getByText(/^Connection lost/).waitFor();
  await first.start();
  await page.getByText(/^Connection lost/).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: /^Port c1, up/ }).waitFor();
  expect(second.child.running).toBe(true);
});
