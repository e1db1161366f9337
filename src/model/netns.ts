// Where a network namespace is found: a path to its file in /run/netns or /proc (namespaces(7)).

import { posix } from 'node:path';

/** One process of one boot in one namespace: what a PID alone does not say. */
export interface ProcessStamp {
  readonly pid: number;
  /** Clock ticks after boot, as in /proc/PID/stat. */
  readonly start: string;
  /** /proc/sys/kernel/random/boot_id */
  readonly boot: string;
  /** Device and inode of its network namespace. */
  readonly namespace: string;
}

export function sameProcess(a: ProcessStamp | undefined, b: ProcessStamp | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.pid === b.pid &&
    a.start === b.start &&
    a.boot === b.boot &&
    a.namespace === b.namespace
  );
}

/** The process that a namespace path names; `undefined` when it names none. */
export function pidOf(path: string): number | undefined {
  const pid = /^\/proc\/(\d+)\//.exec(posix.normalize(path))?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/**
 * The file of a network namespace: a name means `/run/netns/NAME` (ip-netns(8)), digits a process,
 * anything with a slash is the path itself.
 */
export function netnsPath(text: string): string {
  if (text.includes('/')) return text;
  return /^\d+$/.test(text) ? `/proc/${text}/ns/net` : `/run/netns/${text}`;
}

/** The short name of a namespace path for tables: what `netnsPath` would turn back into it. */
export function netnsName(path: string): string {
  return (
    /^\/run\/netns\/([^/]+)$/.exec(path)?.[1] ?? /^\/proc\/(\d+)\/ns\/net$/.exec(path)?.[1] ?? path
  );
}

/** The process that a port's `netns` names; `undefined` when it names none. */
export function processIn(netns: string | undefined): number | undefined {
  return netns === undefined ? undefined : pidOf(netnsPath(netns));
}
