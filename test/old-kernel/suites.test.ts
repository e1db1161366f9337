/** The datapath's own tests, on what looks to them like older releases of Linux. */

import { execa } from 'execa';
import { expect, test } from 'vitest';
import { launcher } from './levels.js';

test.each(['2.6.32', '3.10', '4.14'])('the datapath keeps its tests at %s', async (release) => {
  const [program = '', ...words] = launcher(release);
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'datapath'];
  const args = [...words, process.execPath, ...vitest, '--reporter', 'dot'];
  // Not what this vitest tells its own workers.
  const env = { PATH: process.env.PATH, HOME: process.env.HOME };
  const result = await execa(program, args, { env, extendEnv: false, reject: false, all: true });
  expect(result.exitCode, result.all).toBe(0);
  expect(result.all).toMatch(/Tests {2}.*\d+ passed/);
});
