/** Chromium without a screen, and pages that complain when the browser does. */

import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import type { Scope } from './scope.js';

export type { Browser } from 'playwright-core';

/** Where Debian and its kin put it. */
const PROGRAM = '/usr/bin/chromium';

/** A browser that ends with the scope; `program` starts it in another way than by itself. */
export async function startBrowser(scope: Scope, program = PROGRAM): Promise<Browser> {
  if (!existsSync(program)) throw new Error(`${program} is missing`);
  // As root it has no sandbox; it sees our own pages alone.
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
  await scope.defer('the browser', () => browser.close());
  return browser;
}

export interface Visit {
  readonly url: string;
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'dark' | 'light';
  /** What the browser may complain of. */
  readonly allowed?: RegExp;
}

/** Opens a page; the test fails when it breaks: errors, refused scripts and styles, files that are not there. */
export async function visit(browser: Browser, options: Visit): Promise<Page> {
  const { url, width = 1280, height = 800, scheme = 'dark', allowed } = options;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  const complaints: string[] = [];
  const complain = (text: string) => {
    if (allowed === undefined || !allowed.test(text)) complaints.push(text);
  };
  page.on('pageerror', (error) => complain(String(error.stack ?? error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complain(message.text());
  });
  onTestFinished(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });
  page.setDefaultTimeout(10_000);
  await page.goto(url);
  return page;
}
