// Which network namespace a path leads to right now, and whose process it is when a PID names it.
//
// An open TAP keeps its namespace alive after `ip netns del` or the container's death, so the TAP
// itself never tells. The path does: it vanishes, or leads to another namespace (nsfs inode). A PID
// is given to a stranger one day: only with its start time and the boot it is a name.

import { readFile, stat } from 'node:fs/promises';
import { type ProcessStamp, pidOf } from '../model/netns.js';

/** Device and inode of the namespace file: equal texts are the same namespace. */
export type NamespaceId = string;

export interface Sighting {
  readonly namespace: NamespaceId;
  /** Set when the path names a process. */
  readonly process?: ProcessStamp;
}

/** Resolves to `undefined` when nothing is there. */
export type Namespaces = (path: string) => Promise<Sighting | undefined>;

/** Looks at the file system; of a process also at /proc/PID/stat and the boot's ID (proc(5)). */
export const namespaceAt: Namespaces = async (path) => {
  try {
    const pid = pidOf(path);
    if (pid === undefined) return { namespace: await identityOf(path) };
    const start = await startOf(pid);
    const namespace = await identityOf(path);
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    // The PID may have changed hands while we looked.
    if ((await startOf(pid)) !== start) return undefined;
    return { namespace, process: { pid, start, boot, namespace } };
  } catch {
    // Whatever the reason (ENOENT, ESRCH of a dead process, EACCES): it cannot be attached now.
    return undefined;
  }
};

async function identityOf(path: string): Promise<NamespaceId> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}

/** Field 22 of /proc/PID/stat; the second field, in parentheses, may hold anything. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const start = text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  if (start === undefined) throw new Error(`/proc/${pid}/stat has no start time`);
  return start;
}
