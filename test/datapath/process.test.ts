/** How a process with running workers ends: by itself, and as it would have without them. */

import { expect, it } from 'vitest';
import { atMost } from '../support/eventually.js';
import { testScope } from '../support/testScope.js';
import { desired, lab } from './desired.js';
import { type Program, program } from './program.js';

/** The output of a program that ended with `code` and said no more than its own words. */
async function ended(name: Program, code: number): Promise<{ stdout: string; stderr: string }> {
  const state = desired(lab());
  const child = await program(testScope(), name, state);
  const exit = await atMost(`end of ${name}`, 15_000, child.exited);
  expect(exit, child.describe()).toEqual({ code, signal: undefined });
  return child;
}

it('workers do not keep a process alive', async () => {
  expect(await ended('idle', 0)).toMatchObject({ stdout: 'started\n', stderr: '' });
});

it('nor do frames on their way and events that nobody takes', async () => {
  expect(await ended('busy', 0)).toMatchObject({ stderr: '' });
});

it('a wake comes to a process that lives, and does not keep it alive', async () => {
  expect(await ended('woken', 0)).toMatchObject({ stdout: 'started\nwoken\n', stderr: '' });
});

it('a switch that nobody holds any more stops by itself', async () => {
  expect(await ended('collected', 0)).toMatchObject({ stdout: 'started\ncollected\n', stderr: '' });
});

it('an uncaught exception ends the process as always', async () => {
  const { stderr } = await ended('throws', 1);
  expect(stderr).toContain('Error: as planned');
});

it('so does one in the wake', async () => {
  const { stderr } = await ended('throwsInWake', 1);
  expect(stderr).toContain('Error: as planned');
});

it('process.exit keeps its code, also amid applies', async () => {
  expect(await ended('exits', 3)).toMatchObject({ stderr: '' });
  expect(await ended('exitsInApply', 3)).toMatchObject({ stderr: '' });
});
