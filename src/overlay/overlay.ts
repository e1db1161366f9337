// The brain: knows the file's networks, the store's, and what was added here, and changes both the
// running switch and the state file together, or neither.

import type { Logger } from 'pino';
import type { ApplyReport } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';
import type { Network } from '../model/network.js';
import { emptyState, type RuntimeState, type SharedNetwork } from '../store/runtimeState.js';
import type { PreparedState } from '../store/stateFile.js';
import { Announcer } from './announcer.js';
import { handedOver } from './handover.js';
import { Holdbacks, type Suspect } from './holdbacks.js';
import type { Skipped } from './merge.js';
import type { NetworkNeighbors } from './neighbors.js';
import type { Intent } from './plan.js';
import type { Changed, PortCondition, Reconciler, Swept } from './reconcile.js';
import { Serial } from './serial.js';
import {
  type Base,
  intentOf,
  knowledgeOf,
  rememberedOf,
  type Settings,
  settingsOf,
  withoutRepeated,
} from './settings.js';
import type { LocalEndpoint, Sharing } from './shared.js';

export interface OverlayParts {
  readonly reconciler: Reconciler;
  readonly sharing: Sharing;
  /** First step of making the runtime state durable. Throws when it cannot. */
  readonly prepare: (state: RuntimeState) => Promise<PreparedState>;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** What a change did. */
export interface ChangeReport extends Swept {
  readonly apply: ApplyReport;
}

/** What a purge took down, by name, and the TAPs that it removed or had to leave. */
export interface PurgeReport extends Swept {
  readonly networks: readonly string[];
  readonly ports: readonly string[];
}

/** How often namespaces are looked at and waiting ports are tried. */
export const REFRESH_MS = 1000;

/**
 * What runs follows from `Settings` alone. Edits (of rows, of the file, a purge) come one after the other
 * through `edit`; what the store tells is followed in between, as are ports that come and go.
 */
export class Overlay {
  readonly #parts: OverlayParts;
  readonly #edits = new Serial();
  readonly #passes = new Serial();
  readonly #announcer: Announcer;
  readonly #holdbacks = new Holdbacks();
  readonly #listeners: (() => void)[] = [];
  readonly #lookers: (() => void)[] = [];
  #settings: Settings;
  /** What the settings mean. */
  #intent: Intent;
  #refreshQueued = false;
  #followQueued = false;
  #isStopped = false;
  #trouble = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(base: Base, runtime: RuntimeState, parts: OverlayParts) {
    this.#parts = parts;
    this.#announcer = new Announcer(parts.sharing);
    const knowledge = { networks: [], state: parts.sharing.state, stale: false };
    const merged = { networks: [], shared: new Map(), skipped: [] };
    this.#settings = { base, runtime, knowledge, purged: false, merged };
    this.#intent = intentOf(this.#settings);
  }

  /**
   * First apply; from then on namespaces are watched and the store is followed. Throws when the switch
   * cannot run at all.
   */
  async start(): Promise<void> {
    const { reconciler, sharing } = this.#parts;
    await this.#passes.run(async () => {
      await this.#forgetMoved();
      await this.#effect();
      await reconciler.sweepStrays();
    });
    sharing.onChange(() => this.requestFollow());
    this.#timer = setInterval(() => this.requestRefresh(), REFRESH_MS);
  }

  /** No more passes begin by themselves; resolves when the running one has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#edits.run(() => this.#passes.run(async () => {}));
  }

  get base(): Base {
    return this.#settings.base;
  }

  /** What was added here. Only an edit changes it. */
  get runtime(): RuntimeState {
    return this.#settings.runtime;
  }

  /** Networks in effect. */
  get networks(): readonly Network[] {
    return this.#settings.merged.networks;
  }

  /** Those of them that are the store's, by name. */
  get shared(): ReadonlyMap<string, SharedNetwork> {
    return this.#settings.merged.shared;
  }

  /** What the store and additions would like and is not in effect, with the reason. */
  get skipped(): readonly Skipped[] {
    return [...this.#settings.merged.skipped, ...this.#holdbacks.skipped];
  }

  get purged(): boolean {
    return this.#settings.purged;
  }

  /** Containers of this host, as the others are told. */
  get announced(): readonly LocalEndpoint[] {
    return this.#announcer.announced;
  }

  /** The containers of networks of the store that are in use here, by network. */
  get around(): ReadonlyMap<string, NetworkNeighbors> {
    return this.#intent.around ?? new Map();
  }

  /** Why what the store says is not in effect; empty when it is. */
  get trouble(): string {
    return this.#trouble;
  }

  /** The store is out of reach for so long that nothing is answered in its name. */
  get stale(): boolean {
    return this.#settings.knowledge.stale;
  }

  /** Whether the port may send under its own MAC and addresses alone. */
  isGuarded(port: string): boolean {
    return this.#intent.guards?.has(port) === true;
  }

  /** What the store is to this host. */
  get sharing(): Sharing {
    return this.#parts.sharing;
  }

  /** Throws NETWORK_UNKNOWN. */
  network(name: string): Network {
    const network = this.networks.find((item) => item.name === name);
    if (network === undefined) throw new SwitchError('NETWORK_UNKNOWN', name);
    return network;
  }

  portCondition(name: string): PortCondition | undefined {
    return this.#parts.reconciler.condition(name);
  }

  /** Networks of the configuration file in effect. */
  get file(): readonly Network[] {
    return this.purged ? [] : this.base.file;
  }

  /** Whether the configuration file has this network. */
  fromFile(network: string): boolean {
    return this.file.some((item) => item.name === network);
  }

  /** Whether the configuration file has this port. */
  portFromFile(port: string): boolean {
    return this.file.some((item) => item.ports.some((other) => other.name === port));
  }

  /** Calls back after every change of networks, ports or endpoints that is in effect. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Calls back whenever ports were looked at. */
  onLook(listener: () => void): void {
    this.#lookers.push(listener);
  }

  /** Looks at namespaces and waiting ports soon; calls in between are one. */
  requestRefresh(): void {
    if (this.#refreshQueued || this.#isStopped) return;
    this.#refreshQueued = true;
    void this.#passes.run(async () => {
      this.#refreshQueued = false;
      await this.#parts.reconciler.refresh();
      const isStale = this.#knowledge().stale;
      const isDue = this.#trouble !== '' || this.#holdbacks.isDue(this.#parts.now());
      if (isDue || isStale !== this.#settings.knowledge.stale) {
        await this.#follow();
      }
      for (const listener of this.#lookers) listener();
    });
  }

  /** Makes what the store says effective soon; calls in between are one. */
  requestFollow(): void {
    if (this.#followQueued || this.#isStopped) return;
    this.#followQueued = true;
    void this.follow();
  }

  /** Makes what the store says effective. Never rejects: what fails is logged once, and tried again. */
  follow(): Promise<void> {
    return this.#passes.run(async () => {
      this.#followQueued = false;
      await this.#follow();
    });
  }

  /** The datapath lost the port's device. */
  portGone(port: string): void {
    this.#parts.reconciler.markGone(port);
    this.requestRefresh();
  }

  /** Edits run one after the other: what one has seen in `runtime` holds until it ends. */
  edit<T>(task: () => Promise<T>): Promise<T> {
    return this.#edits.run(task);
  }

  /** Why a network of the store would not be in effect with these rows; `undefined` = it would. */
  misfitOf(network: SharedNetwork, runtime: RuntimeState): Skipped | undefined {
    const now = this.#with({ runtime });
    const knowledge = { ...now.knowledge, networks: [...now.knowledge.networks, network] };
    return this.#misfit(settingsOf({ ...now, knowledge }));
  }

  /** Withdraws our containers in the network from the store while `work` removes it there. */
  async leaving(network: SharedNetwork, work: () => Promise<void>): Promise<void> {
    this.#announcer.leave(network);
    this.#announcer.announce(this.#settings);
    try {
      await work();
    } finally {
      this.#announcer.stay(network);
      this.#announcer.announce(this.#settings);
    }
  }

  /** Part of an edit: makes rows with an addition effective. Throws CONFLICT when the addition does not fit. */
  add(what: string, runtime: RuntimeState): Promise<ChangeReport> {
    return this.#passes.run(async () => {
      const next = this.#with({ runtime });
      const misfit = this.#misfit(next);
      if (misfit !== undefined) throw new SwitchError('CONFLICT', misfit.what, { why: misfit.why });
      return this.#change(what, next);
    });
  }

  /** Part of an edit: makes other rows effective. `what` is for the log. */
  change(what: string, runtime: RuntimeState): Promise<ChangeReport> {
    return this.#passes.run(() => this.#change(what, this.#with({ runtime })));
  }

  /**
   * Takes the configuration that `load` gives as a whole, or keeps the old one and throws. `load`
   * runs when it is this reload's turn, so that of two reloads the later has the newer file.
   */
  reload(load: () => Promise<Pick<Base, 'vtep' | 'file' | 'underlayMtu'>>): Promise<ChangeReport> {
    return this.edit(async () => {
      const base: Base = { ...this.base, ...(await load()) };
      return this.#passes.run(() => {
        const runtime = withoutRepeated(this.runtime, base);
        // After a purge this is a start: whoever cannot be attached waits.
        return this.#commit(this.#with({ base, runtime, purged: false }), !this.purged);
      });
    });
  }

  /** The underlay's link has another MTU: ports that have theirs from it get the new one. */
  setUnderlayMtu(underlayMtu: number): Promise<ChangeReport> {
    return this.#passes.run(() =>
      this.#commit(this.#with({ base: { ...this.base, underlayMtu } }), false),
    );
  }

  /** Takes everything down and forgets all additions, then removes every TAP that bears our mark. */
  purge(): Promise<PurgeReport> {
    return this.edit(() =>
      this.#passes.run(async () => {
        const networks = this.networks.map((network) => network.name);
        const ports = this.networks.flatMap((network) => network.ports.map((port) => port.name));
        const purged = this.base.hasFile;
        const first = await this.#commit(this.#with({ runtime: emptyState, purged }), false);
        const rest = await this.#parts.reconciler.sweepAll();
        this.#parts.log.info({ change: 'purge' }, 'changed');
        // What could not be removed at first was tried again.
        return { networks, ports, removed: [...first.removed, ...rest.removed], left: rest.left };
      }),
    );
  }

  #with(changes: Partial<Pick<Settings, 'base' | 'runtime' | 'purged'>>): Settings {
    const { base, runtime, purged } = { ...this.#settings, ...changes };
    return settingsOf({ base, runtime, purged, knowledge: this.#knowledge(runtime) });
  }

  #knowledge(runtime = this.runtime): Settings['knowledge'] {
    const { sharing, now } = this.#parts;
    const knowledge = this.#announcer.held(knowledgeOf(sharing, runtime, now()));
    return this.#holdbacks.applied(knowledge);
  }

  /** What `next` leaves out and is not left out now. */
  #misfit(next: Settings): Skipped | undefined {
    const known = new Set(this.skipped.map((skip) => skip.what));
    return next.merged.skipped.find((skip) => !known.has(skip.what));
  }

  async #change(what: string, next: Settings): Promise<ChangeReport> {
    const report = await this.#commit(next);
    this.#parts.log.info({ change: what }, 'changed');
    return report;
  }

  /**
   * Applies and saves, or neither. The new state is on disk before the switch changes, and takes the
   * old one's place after; only then TAPs are removed, because nothing brings those back.
   */
  async #commit(wanted: Settings, strict = true): Promise<ChangeReport> {
    const { reconciler, prepare } = this.#parts;
    const next = withRemembered(wanted);
    const prepared = next.runtime === this.runtime ? undefined : await prepare(next.runtime);
    const intent = intentOf(next);
    let changed: Changed;
    try {
      changed = await reconciler.change(intent, strict);
    } catch (error) {
      await prepared?.discard();
      throw error;
    }
    try {
      await prepared?.commit();
    } catch (error) {
      await reconciler.restore(this.#intent);
      throw error;
    }
    this.#adopt(next, intent);
    return { apply: changed.apply, ...(await reconciler.sweep(changed.retired)) };
  }

  async #follow(): Promise<void> {
    try {
      await this.#effect();
      await this.#remember();
      this.#trouble = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#trouble) {
        this.#parts.log.error({ error: message }, 'cannot follow the store');
      }
      this.#trouble = message;
    }
  }

  /** Makes what is known effective, and holds back those networks of the store that make it fail. */
  async #effect(): Promise<void> {
    const { log, now, sharing } = this.#parts;
    const told = new Map(this.#holdbacks.skipped.map(({ what, why }) => [what, why]));
    this.#holdbacks.expire(knowledgeOf(sharing, this.runtime, now()).networks, now());
    await this.#holdbacks.guard(
      () => this.#become(),
      (error) => (isOfHost(error, this.base.vtep.port) ? [] : this.#suspects()),
      now(),
    );
    for (const { what, why } of this.#holdbacks.skipped) {
      if (told.get(what) !== why) log.warn({ what, why }, 'held back');
    }
  }

  async #become(): Promise<void> {
    const next = this.#with({});
    const intent = intentOf(next);
    await this.#parts.reconciler.change(intent, false);
    this.#adopt(next, intent);
  }

  /** Networks of the store that are used here and have not been in effect as they are. */
  #suspects(): Suspect[] {
    const next = this.#with({});
    const running = new Set(this.#intent.networks.map(({ name }) => name));
    return intentOf(next).networks.flatMap(({ name }): Suspect[] => {
      const wanted = next.merged.shared.get(name);
      const inEffect = running.has(name) ? this.shared.get(name) : undefined;
      const isSame = JSON.stringify(wanted) === JSON.stringify(inEffect);
      return wanted === undefined || isSame ? [] : [{ wanted, inEffect }];
    });
  }

  /** Saves the networks of the store that rows are about, where they are others than those saved. */
  async #remember(): Promise<void> {
    const next = withRemembered(this.#settings);
    if (next === this.#settings) return;
    await (await this.#parts.prepare(next.runtime)).commit();
    this.#settings = next;
  }

  /** Drops additions that have moved into the file or the store. The start goes on when that cannot be saved. */
  async #forgetMoved(): Promise<void> {
    const { sharing, log, prepare } = this.#parts;
    const runtime = await handedOver(withoutRepeated(this.runtime, this.base), sharing, log);
    if (runtime === this.runtime) return;
    this.#settings = { ...this.#settings, runtime };
    try {
      await (await prepare(runtime)).commit();
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'state not saved');
    }
  }

  #adopt(next: Settings, intent: Intent): void {
    const known = new Set(this.skipped.map((skip) => skip.what));
    this.#settings = next;
    this.#intent = intent;
    for (const { what, why } of next.merged.skipped) {
      if (!known.has(what)) this.#parts.log.warn({ what, why }, 'addition left out');
    }
    this.#announcer.announce(next);
    for (const listener of this.#listeners) listener();
  }
}

const HOST_TROUBLE: ReadonlySet<string> = new Set(['ADDRESS_NOT_LOCAL', 'NO_NET_ADMIN', 'NO_TUN']);

/** Whether the fault is in what all networks need. */
function isOfHost(error: unknown, udpPort: number): boolean {
  if (!(error instanceof SwitchError)) return true;
  if (error.code === 'PORT_IN_USE') return error.subject.endsWith(`:${udpPort}`);
  return HOST_TROUBLE.has(error.code);
}

/** The same object when it remembers what it should. */
function withRemembered(settings: Settings): Settings {
  const { runtime, knowledge } = settings;
  // Before the store was reached there is nothing better to remember.
  if (knowledge.networks.length === 0 && runtime.remembered.length === 0) return settings;
  const remembered = rememberedOf(settings);
  if (JSON.stringify(remembered) === JSON.stringify(runtime.remembered)) return settings;
  return { ...settings, runtime: { ...runtime, remembered } };
}
