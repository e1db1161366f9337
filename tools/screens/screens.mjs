// Makes the pictures of the page that the README shows, from a real lab. Needs root; takes a minute or two.
//
//   npm run screens
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { perform } from '../demo/perform.mjs';
import { stands, takeDownAbandoned } from '../lab/leftovers.mjs';
import { root, SetupError } from '../setup/child.mjs';
import { main, requireRoot, setup } from '../setup.mjs';
import { listen, name, ScreensLab } from './lab.mjs';

const folder = join(root, 'docs/pictures');
const size = { width: 1280, height: 800 };

await main(async () => {
  requireRoot('This', 'run it with sudo.');
  await setup('screens');
  await takeDownAbandoned();
  if (await stands(name)) throw new SetupError('Somebody else makes pictures at this moment.');
  const lab = new ScreensLab();
  const { code } = await perform({
    tell: (signal) => takePictures(lab, signal),
    takeDown: () => lab.down(),
  });
  return code;
});

async function takePictures(lab, signal) {
  await lab.up(signal);
  mkdirSync(folder, { recursive: true });
  const browser = await chromium.launch({
    executablePath: programIn(lab),
    args: ['--no-sandbox'],
  });
  try {
    const page = await browser.newPage({ viewport: size, colorScheme: 'dark' });
    await page.goto(`http://${listen}/`);
    await page.locator('.lane').first().waitFor();
    await droppingFor(lab, 75, signal);
    await taken(page, 'overview');
    await shot(page, 'ports');
    await shot(page, 'drops');
    await page.getByRole('link', { name: 'Trace' }).click();
    await page.getByRole('combobox', { name: 'Network' }).selectOption('shop');
    await page.getByRole('textbox', { name: 'Flow' }).fill(lab.flow);
    await page.getByRole('button', { name: 'Trace' }).click();
    await page.getByRole('article').waitFor();
    await taken(page, 'trace');
    await page.emulateMedia({ colorScheme: 'light' });
    await shot(page, 'fdb');
  } finally {
    await browser.close();
  }
}

async function shot(page, view) {
  await page.getByRole('link', { name: new RegExp(`^${view}$`, 'i') }).click();
  await page.locator('tbody tr').first().waitFor();
  await taken(page, view);
}

async function taken(page, view) {
  const path = join(folder, `${view}.png`);
  await page.screenshot({ path });
  console.log(path);
}

/** Lets `seconds` go by, in which alpha drops now more, now less. */
async function droppingFor(lab, seconds, signal) {
  for (let second = 0; second < seconds; second += 1) {
    if (second % 20 < 12) await lab.stray(signal);
    await pause(1000, undefined, { signal });
  }
}

/** A program that is Chromium on alpha's network. */
function programIn({ hosts: [alpha], folder: ours }) {
  const program = join(ours, 'chromium');
  const start = `exec nsenter --net=/run/netns/${alpha.namespace} chromium "$@"`;
  writeFileSync(program, `#!/bin/sh\n${start}\n`);
  chmodSync(program, 0o700);
  return program;
}
