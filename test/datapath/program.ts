/** Programs that load the addon in a process of their own: how it ends is what a test wants to see. */

import { fileURLToPath } from 'node:url';
import { Child } from '../support/child.js';
import type { Scope } from '../support/scope.js';

export type Program =
  | 'idle'
  | 'busy'
  | 'woken'
  | 'collected'
  | 'throws'
  | 'throwsInWake'
  | 'exits'
  | 'exitsInApply'
  | 'holdLock'
  | 'unprivileged';

/** Starts a program of `programs.mjs` with its argument. */
export function program(scope: Scope, name: Program, argument: object): Promise<Child> {
  const args = ['--expose-gc', path, name, JSON.stringify(argument)];
  return Child.start(scope, { command: process.execPath, args });
}

const path = fileURLToPath(new URL('./programs.mjs', import.meta.url));
