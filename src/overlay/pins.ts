// Whose namespace a path in /proc was when a port was attached by it: the kernel may give a PID to a
// stranger later.

import { type ProcessStamp, sameProcess } from '../model/netns.js';
import type { Port } from '../model/network.js';
import { namespacePath, type Sightings } from './devices.js';
import type { Sighting } from './namespaces.js';
import type { Intent } from './plan.js';

export class Pins {
  /** First sight, by path. */
  readonly #pinned = new Map<string, Sighting>();

  /** Why the port cannot be in the namespace seen at its path; `undefined` when it can. */
  misplaced(
    port: Port,
    sight: Sighting | undefined,
    processes: Intent['processes'],
  ): string | undefined {
    const path = namespacePath(port);
    if (path === undefined) return undefined;
    const meant: ProcessStamp | undefined = processes?.get(port.name);
    if (meant !== undefined && !sameProcess(meant, sight?.process)) return PROCESS_ENDED;
    if (sight === undefined) return `its network namespace ${path} does not exist`;
    // A restored row without its process: whoever has the PID now is a stranger.
    if (meant === undefined && processes?.has(port.name)) return PROCESS_ENDED;
    const first = this.#pinned.get(path);
    return first === undefined || sameSight(first, sight)
      ? undefined
      : `${path} is of another process now`;
  }

  /** Keeps the first sights of `ports`, and takes those of the attached ones. */
  pin(ports: readonly Port[], ids: Sightings, isAttached: (port: string) => boolean): void {
    const paths = new Set(ports.map(namespacePath));
    for (const path of this.#pinned.keys()) if (!paths.has(path)) this.#pinned.delete(path);
    for (const port of ports) {
      const path = namespacePath(port);
      const sight = ids.get(port.name);
      if (!path?.startsWith('/proc/') || sight === undefined) continue;
      if (isAttached(port.name)) this.#pinned.set(path, sight);
    }
  }
}

const PROCESS_ENDED = 'the process has ended';

function sameSight(a: Sighting, b: Sighting): boolean {
  if (a.process !== undefined) return sameProcess(a.process, b.process);
  return a.namespace === b.namespace;
}
