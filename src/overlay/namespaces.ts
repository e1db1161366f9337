// Which network namespace a path leads to right now.
//
// An open TAP keeps its namespace alive after `ip netns del` or the container's death, so the TAP
// itself never tells. The path does: it vanishes, or leads to another namespace (nsfs inode).

import { stat } from 'node:fs/promises';

/** Device and inode of the namespace file: equal texts are the same namespace. */
export type NamespaceId = string;

/** Resolves to `undefined` when nothing is there. */
export type Namespaces = (path: string) => Promise<NamespaceId | undefined>;

/** One stat(2) call. */
export const namespaceAt: Namespaces = async (path) => {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    // Whatever the reason (ENOENT, ESRCH of a dead process, EACCES): it cannot be attached now.
    return undefined;
  }
};
