import { leftovers, RUN_PREFIX } from '../support/netns.js';

/** Names the run, and fails it when something with its name is still there at the end. */
export default function setup(): () => Promise<void> {
  const prefix = `vs${process.pid}`;
  process.env[RUN_PREFIX] = prefix;
  return async () => {
    const found = await leftovers(prefix);
    if (found.length > 0) throw new Error(`tests left behind:\n${found.join('\n')}`);
  };
}
