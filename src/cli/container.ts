// Whether a process is one that `port add --rootless` can attach, said before anything is tried there.

import { readlink } from 'node:fs/promises';
import { type ErrorFacts, SwitchError } from '../model/error.js';

/**
 * Returns if the process `pid` is in a user and a network namespace that are neither ours nor closed to us. Else throws
 * CONTAINER_CLOSED, which says what to do. The process may end at any time after that.
 *
 * Root is refused: whoever owns the container may trace what runs in there, and would have root's files.
 */
export async function requireContainer(pid: number): Promise<void> {
  const facts =
    asRoot() ??
    (await obstacle(pid, 'user', {
      why: 'it is in no user namespace but our own',
      fix: 'name a process inside of the container; as root, attach it with --netns',
    })) ??
    (await obstacle(pid, 'net', {
      why: 'it has no network namespace of its own',
      fix: 'start the container with one, as `podman run --network none` does',
    }));
  if (facts !== undefined) throw new SwitchError('CONTAINER_CLOSED', String(pid), facts);
}

function asRoot(): ErrorFacts | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  return {
    why: 'its owner could take over what root runs in there',
    fix: 'run this as its owner; where vswitchd runs as root, attach it with --netns PID instead',
  };
}

/** What is in the way at one of its namespaces; `shared` when that is ours too. */
async function obstacle(
  pid: number,
  kind: 'user' | 'net',
  shared: ErrorFacts,
): Promise<ErrorFacts | undefined> {
  const ours = await readlink(`/proc/self/ns/${kind}`).catch(() => undefined);
  if (ours === undefined) {
    return { why: `the kernel has no ${kind} namespaces`, fix: 'attach containers as root' };
  }
  try {
    const theirs = await readlink(`/proc/${pid}/ns/${kind}`);
    return theirs === ours ? shared : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM')
      return { why: "it is another user's", fix: 'run this as the user who started it' };
    const fix = 'name one that runs: `podman inspect -f "{{.State.Pid}}" NAME` tells it';
    return { why: 'there is no such process', fix };
  }
}
