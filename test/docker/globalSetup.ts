import { takeDownAbandoned, takeDownAll } from '../../tools/lab/leftovers.mjs';
import { leftovers, RUN_PREFIX } from '../support/netns.js';

const prefix = `vslab${process.pid}`;

/** Names the run, and takes away what a run that was killed could not. */
export async function setup(): Promise<void> {
  process.env[RUN_PREFIX] = prefix;
  await takeDownAbandoned();
}

/** Fails the run when something with its name is still there at the end. */
export async function teardown(): Promise<void> {
  const labs = await takeDownAll(`${prefix}-`);
  const found = [...labs.map((lab) => `lab ${lab}`), ...(await leftovers(prefix))];
  if (found.length === 0) return;
  // vitest prints what teardown throws, but would still end with 0.
  process.exitCode = 1;
  throw new Error(`tests left behind:\n${found.join('\n')}`);
}
