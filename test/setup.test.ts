/** The memory of the set-up: a step is done again exactly when something that it depends on changed. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stamp } from '../tools/setup/stamp.mjs';

let folder: string;
const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
const memory = (...facts: string[]) =>
  stamp('step', { inputs: ['src'], outputs: ['dist/out'], facts, folder });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vswitchd-stamp-'));
  mkdirSync(join(folder, 'src/deep'), { recursive: true });
  mkdirSync(join(folder, 'dist'));
  write('src/deep/a', 'one');
  write('dist/out', 'made of one');
  const first = memory('v1');
  first.isFresh();
  first.remember();
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a stamp', () => {
  it('is fresh as long as nothing changed', () => {
    write('src/deep/a', 'one');
    expect(memory('v1').isFresh()).toBe(true);
  });

  it.each([
    ['an input changed', () => write('src/deep/a', 'two')],
    ['an input came', () => write('src/b', '')],
    ['an input went', () => rmSync(join(folder, 'src/deep/a'))],
    ['an output changed', () => write('dist/out', 'edited')],
    ['an output went', () => rmSync(join(folder, 'dist/out'))],
    ['dist went', () => rmSync(join(folder, 'dist'), { recursive: true })],
  ])('is stale when %s', (_, change) => {
    change();
    expect(memory('v1').isFresh()).toBe(false);
  });

  it('is stale when an input changed while the step was at work', () => {
    const busy = memory('v1');
    write('src/deep/a', 'two');
    busy.isFresh();
    write('src/deep/a', 'three');
    busy.remember();
    expect(memory('v1').isFresh()).toBe(false);
  });

  it('is stale when a version changed', () => {
    expect(memory('v2').isFresh()).toBe(false);
  });

  it('ignores what cargo builds inside an input', () => {
    mkdirSync(join(folder, 'src/target'));
    write('src/target/object', 'x');
    expect(memory('v1').isFresh()).toBe(true);
  });
});
