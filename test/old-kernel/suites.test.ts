/**
 * Suites of ours, the test runner with them, on what looks to them like older releases of Linux. Each title below
 * `at RELEASE` is a row of docs/old-kernels.md.
 */

import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { LEVELS, launcher } from './levels.js';

describe.each(LEVELS)('at $release', ({ release }) => {
  test('tests of the datapath', () => passes(release, ['--project', 'datapath']), PATIENCE_MS);

  test(
    'tests of daemon and commands',
    async () => {
      const folders = ['test/unit/cli', 'test/unit/daemon'];
      await passes(release, ['--project', 'unit', ...folders]);
    },
    PATIENCE_MS,
  );
});

/** Throws with its output unless every test of that run passes at the release, and none is left out. */
async function passes(release: string, which: readonly string[]): Promise<void> {
  const [program = '', ...words] = launcher(release);
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--reporter', 'dot', ...which];
  // Not what this vitest tells its own workers.
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1' };
  const options = { env, extendEnv: false, reject: false, all: true } as const;
  const result = await execa(program, [...words, process.execPath, ...vitest], options);
  expect(result.exitCode, result.all).toBe(0);
  expect(result.all).toMatch(/Tests {2}\d+ passed \(\d+\)/);
}

const PATIENCE_MS = 600_000;
