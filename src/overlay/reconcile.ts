// Makes the datapath do what is wanted, and keeps it so. Level-triggered: every pass computes the
// whole desired state from everything known, so a lost event can only delay.
//
//   port:   waiting --namespace is there, apply succeeds--> attached
//           attached --namespace gone or another, device gone--> waiting   (retried each second)

import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.js';
import type { ApplyReport } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';
import { netnsPath, sameProcess } from '../model/netns.js';
import { ifnameOf, type Network, type Port } from '../model/network.js';
import type { ErrorCode } from '../model/sentences.js';
import type { NamespaceId, Namespaces, Sighting } from './namespaces.js';
import { type Intent, plan } from './plan.js';

export type PortCondition =
  | { readonly state: 'attached'; readonly namespace: NamespaceId | undefined }
  | { readonly state: 'waiting'; readonly reason: string };

/** A TAP device that a change of intent has made superfluous and that was removed. */
export interface RemovedTap {
  readonly netns?: string;
  readonly ifname: string;
  readonly port: string;
}

export interface ChangeReport {
  readonly apply: ApplyReport;
  readonly removedTaps: readonly RemovedTap[];
}

export interface ReconcilerParts {
  readonly datapath: Pick<Datapath, 'apply' | 'removeTap'>;
  readonly namespaces: Namespaces;
  readonly log: Logger;
}

/** Calls must not overlap: whoever owns the reconciler serialises them. */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  #intent: Intent | undefined;
  /** The desired state that the datapath runs, as JSON. */
  #applied = '';
  #report: ApplyReport = { kept: [], added: [], removed: [], changed: [] };
  #conditions: ReadonlyMap<string, PortCondition> = new Map();
  /** Ports that the datapath reported gone since the last pass. */
  readonly #gone = new Set<string>();
  /** First sight of paths in /proc: the kernel may give a PID to a stranger later. */
  readonly #pinned = new Map<string, Sighting>();
  #lastTrouble = '';

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /**
   * Replaces the whole intent, or changes nothing and throws. Ports that are new or changed must
   * attach; the others (and all of them at the first call) may wait for their namespace.
   */
  async change(next: Intent): Promise<ChangeReport> {
    const old = this.#intent;
    const strict = old === undefined ? new Set<string>() : freshPorts(old, next);
    const ids = await this.#namespaceIds(next);
    this.#report = untouched(this.#report);
    if (old !== undefined)
      await this.#release(old, this.#stale(old, await this.#namespaceIds(old)));
    await this.#settle(next, ids, strict);
    const removedTaps =
      old === undefined ? [] : await this.#removeTaps(tapsOf(old), tapsOf(next), next.owner);
    return { apply: this.#report, removedTaps };
  }

  /** Releases what has gone, and tries again what waits. Never throws: trouble is logged, once. */
  async refresh(): Promise<void> {
    const intent = this.#intent;
    if (intent === undefined) return;
    try {
      const ids = await this.#namespaceIds(intent);
      const stale = this.#stale(intent, ids);
      await this.#release(intent, stale);
      if (stale.size > 0 || this.#mayAttach(intent, ids))
        await this.#settle(intent, ids, new Set());
      this.#lastTrouble = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#lastTrouble) this.#parts.log.error({ error: message }, 'cannot apply');
      this.#lastTrouble = message;
    }
  }

  /** The datapath lost this port's device; the next `refresh` lets go of it. */
  markGone(port: string): void {
    this.#gone.add(port);
  }

  /** `undefined` for ports that are not in the intent. */
  condition(port: string): PortCondition | undefined {
    return this.#conditions.get(port);
  }

  /** Attached ports whose device or namespace is not there any more. */
  #stale(intent: Intent, ids: Sightings): Set<string> {
    const stale = new Set<string>();
    for (const port of portsOf(intent)) {
      const condition = this.#conditions.get(port.name);
      if (condition?.state !== 'attached') continue;
      const sight = ids.get(port.name);
      const moved =
        sight?.namespace !== condition.namespace ||
        this.#misplaced(port, sight, intent) !== undefined;
      if (moved || this.#gone.has(port.name)) stale.add(port.name);
    }
    return stale;
  }

  /** Takes `stale` out of the running state, so that the same name can be opened anew. */
  async #release(intent: Intent, stale: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#gone];
    if (stale.size > 0) {
      const conditions = new Map(this.#conditions);
      for (const name of stale)
        conditions.set(name, { state: 'waiting', reason: 'its device or namespace is gone' });
      await this.#apply(intent, conditions);
      this.#commit(intent, conditions, new Map());
    }
    // Only now: a release that failed is tried again.
    for (const name of gone) this.#gone.delete(name);
  }

  #mayAttach(intent: Intent, ids: Sightings): boolean {
    return portsOf(intent).some(
      (port) =>
        this.#conditions.get(port.name)?.state === 'waiting' &&
        this.#misplaced(port, ids.get(port.name), intent) === undefined,
    );
  }

  /** Applies `intent`; a port that cannot be opened waits, unless it is in `strict`. */
  async #settle(intent: Intent, ids: Sightings, strict: ReadonlySet<string>): Promise<void> {
    const conditions = new Map<string, PortCondition>();
    for (const port of portsOf(intent)) {
      const sight = ids.get(port.name);
      const reason = this.#misplaced(port, sight, intent);
      if (reason !== undefined && strict.has(port.name)) {
        throw new SwitchError('NETNS_GONE', `port ${port.name}`, { why: reason });
      }
      conditions.set(
        port.name,
        reason ? { state: 'waiting', reason } : { state: 'attached', namespace: sight?.namespace },
      );
    }
    for (;;) {
      try {
        await this.#apply(intent, conditions);
        break;
      } catch (error) {
        const culprit = portNamed(error, conditions);
        if (culprit === undefined || strict.has(culprit)) throw error;
        conditions.set(culprit, { state: 'waiting', reason: (error as Error).message });
      }
    }
    this.#commit(intent, conditions, ids);
  }

  /** Why the port cannot be in the namespace seen at its path; `undefined` when it can. */
  #misplaced(port: Port, sight: Sighting | undefined, intent: Intent): string | undefined {
    const path = namespacePath(port);
    if (path === undefined) return undefined;
    const meant = intent.processes?.get(port.name);
    if (meant !== undefined && !sameProcess(meant, sight?.process)) return PROCESS_ENDED;
    if (sight === undefined) return `its network namespace ${path} does not exist`;
    // A restored row without its process: whoever has the PID now is a stranger.
    if (meant === undefined && intent.processes?.has(port.name)) return PROCESS_ENDED;
    const first = this.#pinned.get(path);
    return first === undefined || sameSight(first, sight)
      ? undefined
      : `${path} is of another process now`;
  }

  async #apply(intent: Intent, conditions: ReadonlyMap<string, PortCondition>): Promise<void> {
    const waiting = [...conditions].filter(([, condition]) => condition.state === 'waiting');
    const desired = plan(intent, new Set(waiting.map(([name]) => name)));
    const text = JSON.stringify(desired);
    if (text === this.#applied) return;
    this.#report = await this.#parts.datapath.apply(desired);
    this.#applied = text;
  }

  #commit(intent: Intent, conditions: ReadonlyMap<string, PortCondition>, ids: Sightings): void {
    const old = this.#conditions;
    this.#intent = intent;
    this.#conditions = conditions;
    this.#pin(portsOf(intent), ids);
    for (const [name, now] of conditions) this.#tell(name, old.get(name), now);
  }

  #pin(ports: readonly Port[], ids: Sightings): void {
    const paths = new Set(ports.map(namespacePath));
    for (const path of this.#pinned.keys()) if (!paths.has(path)) this.#pinned.delete(path);
    for (const port of ports) {
      const path = namespacePath(port);
      const sight = ids.get(port.name);
      if (!path?.startsWith('/proc/') || sight === undefined) continue;
      if (this.#conditions.get(port.name)?.state === 'attached') this.#pinned.set(path, sight);
    }
  }

  #tell(port: string, before: PortCondition | undefined, now: PortCondition): void {
    if (now.state === 'waiting' && (before?.state !== 'waiting' || before.reason !== now.reason)) {
      this.#parts.log.warn({ port, reason: now.reason }, 'port waiting');
    } else if (now.state === 'attached' && before?.state !== 'attached') {
      this.#parts.log.info({ port }, 'port attached');
    }
  }

  async #namespaceIds(intent: Intent): Promise<Map<string, Sighting | undefined>> {
    const look = async (port: Port) => {
      const path = namespacePath(port);
      const sight = path === undefined ? undefined : await this.#parts.namespaces(path);
      return [port.name, sight] as const;
    };
    return new Map(await Promise.all(portsOf(intent).map(look)));
  }

  async #removeTaps(
    old: ReadonlyMap<string, RemovedTap>,
    next: ReadonlyMap<string, RemovedTap>,
    owner: string,
  ): Promise<RemovedTap[]> {
    const removed: RemovedTap[] = [];
    for (const [key, tap] of old) {
      if (next.has(key)) continue;
      try {
        if (await this.#parts.datapath.removeTap(tap, owner)) removed.push(tap);
      } catch (error) {
        // A namespace that is gone took its TAP along.
        if (error instanceof SwitchError && error.code === 'NETNS_GONE') continue;
        this.#parts.log.warn(
          { port: tap.port, error: (error as Error).message },
          'TAP not removed',
        );
      }
    }
    return removed;
  }
}

/** What is seen at the place of each port, by its name. */
type Sightings = ReadonlyMap<string, Sighting | undefined>;

const PROCESS_ENDED = 'the process has ended';

function sameSight(a: Sighting, b: Sighting): boolean {
  if (a.process !== undefined) return sameProcess(a.process, b.process);
  return a.namespace === b.namespace;
}

/** The report of applying once more what is applied. */
function untouched({ kept, added, changed }: ApplyReport): ApplyReport {
  return { kept: [...kept, ...added, ...changed], added: [], removed: [], changed: [] };
}

/** Failures of one port that leave the others able to run. */
const PORT_TROUBLE: ReadonlySet<ErrorCode> = new Set([
  'NETNS_GONE',
  'IFNAME_TAKEN',
  'TAP_BUSY',
  'NO_FILES',
  'MTU_IMPOSSIBLE',
  'IO',
]);

/** The attached port that the error is about, if it is one that others can do without. */
function portNamed(
  error: unknown,
  conditions: ReadonlyMap<string, PortCondition>,
): string | undefined {
  if (!(error instanceof SwitchError) || !PORT_TROUBLE.has(error.code)) return undefined;
  const name = /^port (\S+)$/.exec(error.subject)?.[1];
  return name !== undefined && conditions.get(name)?.state === 'attached' ? name : undefined;
}

function portsOf(intent: Intent): Port[] {
  return intent.networks.flatMap((network: Network) => network.ports);
}

/** The namespace that the port must be in; `undefined` when that is none of our business. */
function namespacePath(port: Port): string | undefined {
  return port.kind === 'tap' && port.netns !== undefined ? netnsPath(port.netns) : undefined;
}

/** Names of the ports that are not, or not so, in `old`. */
function freshPorts(old: Intent, next: Intent): Set<string> {
  const known = new Map(portsOf(old).map((port) => [port.name, JSON.stringify(port)]));
  const fresh = portsOf(next).filter((port) => known.get(port.name) !== JSON.stringify(port));
  return new Set(fresh.map((port) => port.name));
}

/** TAP devices of an intent by place and name. */
function tapsOf(intent: Intent): Map<string, RemovedTap> {
  const taps = portsOf(intent).filter((port) => port.kind === 'tap');
  return new Map(
    taps.map((port) => {
      const netns = namespacePath(port);
      const ifname = ifnameOf(port);
      const place = netns === undefined ? {} : { netns };
      return [`${netns ?? ''} ${ifname} ${port.name}`, { ...place, ifname, port: port.name }];
    }),
  );
}
