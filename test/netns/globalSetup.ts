import { leftovers, RUN_PREFIX, removeDeadRuns } from '../support/netns.js';

const prefix = `vs${process.pid}`;

/** Names the run, and takes away what a run that was killed could not. */
export async function setup(): Promise<void> {
  process.env[RUN_PREFIX] = prefix;
  await removeDeadRuns();
}

/** Fails the run when something with its name is still there at the end. */
export async function teardown(): Promise<void> {
  const found = await leftovers(prefix);
  if (found.length === 0) return;
  // vitest prints what teardown throws, but would still end with 0.
  process.exitCode = 1;
  throw new Error(`tests left behind:\n${found.join('\n')}`);
}
