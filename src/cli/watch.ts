// What is shown anew every second, until the command is interrupted.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from './context.js';

const INTERVAL_MS = 1000;
/** Home and erase below (ECMA-48): no flicker as with erasing first. */
const TOP_OF_SCREEN = '\u001b[H\u001b[J';

/** An answer, and when it came in milliseconds. */
export interface Timed<T> {
  readonly answer: T;
  readonly at: number;
}

/** Each answer takes the place of the one before; with `--json` it is a line of its own. */
export async function watch<T>(
  context: Context,
  ask: () => Promise<T>,
  text: (now: Timed<T>, before: Timed<T> | undefined) => string,
): Promise<never> {
  let before: Timed<T> | undefined;
  while (true) {
    const now = { answer: await ask(), at: performance.now() };
    if (context.json) context.print(JSON.stringify(now.answer));
    else context.print(`${TOP_OF_SCREEN}${text(now, before)}`);
    before = now;
    await sleep(INTERVAL_MS, undefined, { signal: context.signal });
  }
}
