/** System calls that fail where the kernel would not have them fail, by strace(1). */

import { Child } from './child.js';
import type { Scope } from './scope.js';

export interface Fault {
  /** Of these system calls. */
  readonly calls: readonly string[];
  /** Only of those on a descriptor of this file. */
  readonly path?: string;
  /** Its name, as `EIO`. */
  readonly errno: string;
  /** How often in a row, in each thread; always unless given. */
  readonly times?: number;
}

/**
 * Has the next calls of a process fail instead of being made, in all its threads. Each failure is a line that ends in
 * `(INJECTED)` on the stderr of what this returns; the process goes on alone when that is stopped.
 */
export async function injectFault(scope: Scope, pid: number, fault: Fault): Promise<Child> {
  const { calls, path, errno, times } = fault;
  const args = ['-f', '-p', `${pid}`, '-e', `trace=${calls.join(',')}`];
  const when = times === undefined ? '1+' : `1..${times}`;
  args.push('-e', `inject=${calls.join(',')}:error=${errno}:when=${when}`);
  if (path !== undefined) args.push('-P', path);
  const strace = await Child.start(scope, { command: 'strace', args });
  await strace.waitForLine(/^strace: Process \d+ attached/);
  return strace;
}
