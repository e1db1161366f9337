// Makes the datapath do what is wanted, and keeps it so. Level-triggered: every pass computes the
// whole desired state from everything known, so a lost event can only delay.
//
//   port:   waiting --namespace is there, apply succeeds--> attached
//           attached --namespace gone or another, device gone--> waiting
//
// The namespace of a waiting port is looked at each second; a port that could not be opened in it is
// tried again (see retries.ts).

import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.js';
import type { ApplyReport, OwnedTap } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';
import { ifnameOf, type Port } from '../model/network.js';
import type { ErrorCode } from '../model/sentences.js';
import {
  type Device,
  devicesOf,
  heirsOf,
  namespacePath,
  portsOf,
  type RetiredTap,
  retiredTaps,
  type Sightings,
} from './devices.js';
import type { NamespaceId, Namespaces, Sighting } from './namespaces.js';
import { Pins } from './pins.js';
import { type Intent, plan } from './plan.js';
import { type Refusal, Retries } from './retries.js';

export type PortCondition =
  | { readonly state: 'attached'; readonly place: Place }
  | ({ readonly state: 'waiting' } & Refusal);

/** Where an attached port is. */
export interface Place {
  readonly namespace: NamespaceId | undefined;
  /** The namespace's path by which it was opened; `undefined` in our own. */
  readonly path: string | undefined;
  readonly ifname: string;
}

/** A TAP that should be removed and is still there. */
export interface LeftTap extends OwnedTap {
  readonly why: string;
}

export interface Swept {
  readonly removed: readonly OwnedTap[];
  readonly left: readonly LeftTap[];
}

export interface Changed {
  readonly apply: ApplyReport;
  /** TAPs of the old intent that the new one does not name: `sweep` them when the change is for good. */
  readonly retired: readonly RetiredTap[];
}

export interface ReconcilerParts {
  readonly datapath: Pick<Datapath, 'apply' | 'removeTap' | 'removeRoamingTap' | 'ownedTaps'>;
  readonly namespaces: Namespaces;
  readonly log: Logger;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
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
  readonly #pins = new Pins();
  readonly #retries = new Retries();
  /** Ports whose place is still taken by the TAP of a port that is no more, and its name. */
  readonly #heirs = new Map<string, string>();
  /** The datapath may not run what the intent says. */
  #unsettled = false;
  #lastTrouble = '';

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /**
   * Replaces the whole intent, or changes nothing and throws. Ports that are new or changed must
   * attach when `strict`; the others (and all of them at the first call) may wait.
   */
  async change(next: Intent, strict = true): Promise<Changed> {
    const old = this.#intent;
    const fresh = old === undefined ? new Set<string>() : freshPorts(old, next);
    const ids = await this.#namespaceIds(next);
    this.#report = untouched(this.#report);
    if (old === undefined) {
      await this.#settle(next, ids, new Set());
      return { apply: this.#report, retired: [] };
    }
    const oldIds = await this.#namespaceIds(old);
    await this.#release(old, this.#stale(old, oldIds));
    for (const name of fresh) this.#retries.forget(name);
    const heirs = heirsOf(devicesOf(old, oldIds), devicesOf(next, ids));
    const must = strict ? [...fresh].filter((name) => !heirs.has(name)) : [];
    await this.#settle(next, ids, new Set(must), heirs);
    return { apply: this.#report, retired: retiredTaps(old, next) };
  }

  /**
   * Goes back to an intent that was in effect. Never throws: what fails is tried by `refresh`. TAPs that
   * only the intent before meant are removed.
   */
  async restore(intent: Intent): Promise<void> {
    const tried = this.#intent;
    this.#intent = intent;
    this.#unsettled = true;
    this.#retries.clear();
    this.#heirs.clear();
    await this.refresh();
    if (tried !== undefined) await this.sweep(retiredTaps(tried, intent));
  }

  /**
   * Removes those of our `taps` that no port of the intent wants in their place, and attaches the
   * ports that waited for that. A TAP stays while it is unknown where its port belongs.
   */
  async sweep(taps: readonly RetiredTap[]): Promise<Swept> {
    const intent = this.#intent;
    const removed: OwnedTap[] = [];
    const left: LeftTap[] = [];
    if (intent === undefined || taps.length === 0) return { removed, left };
    const wanted = devicesOf(intent, await this.#namespaceIds(intent));
    for (const { sandbox, ...tap } of taps) {
      if (await this.#isWanted(tap, intent, wanted)) continue;
      try {
        const { datapath } = this.#parts;
        const gone =
          sandbox === undefined
            ? datapath.removeTap(tap, intent.owner)
            : datapath.removeRoamingTap(sandbox, tap.port, intent.owner);
        if (await gone) removed.push(tap);
      } catch (error) {
        // A namespace that is gone took its TAP along.
        if (error instanceof SwitchError && error.code === 'NETNS_GONE') continue;
        const why = (error as Error).message;
        left.push({ ...tap, why });
        this.#parts.log.warn({ port: tap.port, ifname: tap.ifname, error: why }, 'TAP not removed');
      }
    }
    if (removed.length + this.#heirs.size > 0) {
      this.#retries.clear();
      this.#heirs.clear();
      await this.refresh();
    }
    return { removed, left };
  }

  /** Sweeps every TAP on this machine that bears our mark. */
  async sweepAll(): Promise<Swept> {
    const owner = this.#intent?.owner;
    return owner === undefined
      ? { removed: [], left: [] }
      : this.sweep(await this.#parts.datapath.ownedTaps(owner));
  }

  /** Sweeps TAPs that an earlier run left for ports that are no more. Never throws. */
  async sweepStrays(): Promise<void> {
    const { log } = this.#parts;
    try {
      const { removed } = await this.sweepAll();
      for (const tap of removed) log.info({ ...tap }, 'TAP removed: no port wants it any more');
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'cannot look for TAPs of earlier runs');
    }
  }

  /** Releases what has gone, and tries again what waits. Never throws: trouble is logged, once. */
  async refresh(): Promise<void> {
    const intent = this.#intent;
    if (intent === undefined) return;
    try {
      const ids = await this.#namespaceIds(intent);
      const stale = this.#stale(intent, ids);
      await this.#release(intent, stale);
      if (this.#unsettled || stale.size > 0 || this.#mayAttach(intent, ids))
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
        sight?.namespace !== condition.place.namespace ||
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
        this.#misplaced(port, ids.get(port.name), intent) === undefined &&
        this.#heldBack(port.name, ids) === undefined,
    );
  }

  /** Applies `intent`; a port that cannot be opened waits, unless it is in `strict`. */
  async #settle(
    intent: Intent,
    ids: Sightings,
    strict: ReadonlySet<string>,
    heirs: ReadonlyMap<string, string> = this.#heirs,
  ): Promise<void> {
    const conditions = new Map<string, PortCondition>();
    for (const port of portsOf(intent)) {
      const sight = ids.get(port.name);
      const misplaced = this.#misplaced(port, sight, intent);
      if (misplaced !== undefined && strict.has(port.name)) {
        throw new SwitchError('NETNS_GONE', `port ${port.name}`, { why: misplaced });
      }
      const heir = heirs.get(port.name);
      const reason =
        misplaced ??
        (heir === undefined ? undefined : `the TAP of port ${heir} is still in its place`);
      const refusal = reason === undefined ? this.#heldBack(port.name, ids) : { reason };
      conditions.set(
        port.name,
        refusal !== undefined
          ? { state: 'waiting', ...refusal }
          : { state: 'attached', place: this.#placeOf(port, sight?.namespace) },
      );
    }
    for (;;) {
      try {
        await this.#apply(intent, conditions);
        break;
      } catch (error) {
        const trouble = troubleOf(error, conditions);
        if (trouble === undefined || strict.has(trouble.port)) throw error;
        const { port, ...refusal } = trouble;
        conditions.set(port, { state: 'waiting', ...refusal });
        this.#retries.postpone(port, ids.get(port)?.namespace, refusal, this.#parts.now());
      }
    }
    this.#unsettled = false;
    this.#heirs.clear();
    for (const [name, heir] of heirs) this.#heirs.set(name, heir);
    this.#commit(intent, conditions, ids);
  }

  /** The same namespace by another path is the same place: the device stays open as it is. */
  #placeOf(port: Port, namespace: NamespaceId | undefined): Place {
    const ifname = ifnameOf(port);
    const now = this.#conditions.get(port.name);
    const same =
      now?.state === 'attached' &&
      namespace !== undefined &&
      now.place.namespace === namespace &&
      now.place.ifname === ifname;
    return same ? now.place : { namespace, path: namespacePath(port), ifname };
  }

  #heldBack(port: string, ids: Sightings): Refusal | undefined {
    return this.#retries.heldBack(port, ids.get(port)?.namespace, this.#parts.now());
  }

  async #isWanted(
    tap: OwnedTap,
    intent: Intent,
    wanted: ReadonlyMap<string, Device>,
  ): Promise<boolean> {
    const device = wanted.get(tap.port);
    if (device === undefined) return intent.dormant?.some(({ name }) => name === tap.port) === true;
    // Somebody else says where it is.
    if (device.port.sandbox !== undefined) return true;
    if (device.path !== undefined) {
      const sight = await this.#parts.namespaces(device.path);
      if (this.#misplaced(device.port, sight, intent) !== undefined) return true;
    }
    if (device.ifname !== tap.ifname) return false;
    if (device.path === tap.netns) return true;
    const [there, here] = await Promise.all(
      [tap.netns, device.path].map((path) => this.#parts.namespaces(path ?? OWN_NAMESPACE)),
    );
    // A namespace that cannot be seen cannot be compared.
    return there === undefined || there.namespace === here?.namespace;
  }

  #misplaced(port: Port, sight: Sighting | undefined, intent: Intent): string | undefined {
    return this.#pins.misplaced(port, sight, intent.processes);
  }

  async #apply(intent: Intent, conditions: ReadonlyMap<string, PortCondition>): Promise<void> {
    const waiting = [...conditions].filter(([, condition]) => condition.state === 'waiting');
    const desired = plan(intent, new Set(waiting.map(([name]) => name)));
    const paths = new Map(
      [...conditions].flatMap(([name, now]) =>
        now.state === 'attached' && now.place.path !== undefined ? [[name, now.place.path]] : [],
      ),
    );
    for (const network of desired.networks) {
      for (const port of network.ports) {
        const path = paths.get(port.name);
        if (path !== undefined) port.netns = path;
      }
    }
    const text = JSON.stringify(desired);
    if (text === this.#applied) return;
    this.#report = await this.#parts.datapath.apply(desired);
    this.#applied = text;
  }

  #commit(intent: Intent, conditions: ReadonlyMap<string, PortCondition>, ids: Sightings): void {
    const old = this.#conditions;
    this.#intent = intent;
    this.#conditions = conditions;
    this.#retries.keep((name) => conditions.get(name)?.state === 'waiting');
    const isAttached = (name: string) => conditions.get(name)?.state === 'attached';
    this.#pins.pin(portsOf(intent), ids, isAttached);
    for (const [name, now] of conditions) this.#tell(name, old.get(name), now);
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
      // A device that we opened in a sandbox keeps that alive: only its path tells that the container is gone.
      const path = port.sandbox ?? namespacePath(port);
      const sight = path === undefined ? undefined : await this.#parts.namespaces(path);
      return [port.name, sight] as const;
    };
    return new Map(await Promise.all(portsOf(intent).map(look)));
  }
}

/** The report of applying once more what is applied. */
function untouched({ kept, added, changed }: ApplyReport): ApplyReport {
  return { kept: [...kept, ...added, ...changed], added: [], removed: [], changed: [] };
}

/** Failures of one port that leave the others able to run. */
const PORT_TROUBLE: ReadonlySet<ErrorCode> = new Set([
  'NETNS_GONE',
  'NO_INTERFACE',
  'INTERFACE_UNFIT',
  'NO_SETNS',
  'IFNAME_TAKEN',
  'TAP_BUSY',
  'NO_FILES',
  'MTU_IMPOSSIBLE',
  'TAP_GONE',
  'HANDOVER_GONE',
  'IO',
]);

/** The attached port that the error is about, if it is one that others can do without. */
function troubleOf(
  error: unknown,
  conditions: ReadonlyMap<string, PortCondition>,
): (Refusal & { readonly port: string }) | undefined {
  if (!(error instanceof SwitchError) || !PORT_TROUBLE.has(error.code)) return undefined;
  const port = /^port (\S+)$/.exec(error.subject)?.[1];
  if (port === undefined || conditions.get(port)?.state !== 'attached') return undefined;
  return { port, code: error.code, reason: error.message };
}

/** Names of the ports that are not, or not so, in `old`. */
function freshPorts(old: Intent, next: Intent): Set<string> {
  const known = new Map(portsOf(old).map((port) => [port.name, JSON.stringify(port)]));
  const fresh = portsOf(next).filter((port) => known.get(port.name) !== JSON.stringify(port));
  return new Set(fresh.map((port) => port.name));
}

/** The namespace of the daemon itself. */
const OWN_NAMESPACE = '/proc/self/ns/net';
