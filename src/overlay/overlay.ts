// The brain: knows the file's networks and what was added through the API, and changes both the
// running switch and the state file together, or neither.

import type { Logger } from 'pino';
import type { z } from 'zod';
import type { networkRequestSchema } from '../config/networkSchema.js';
import type { ApplyReport } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';
import type { Mac } from '../model/mac.js';
import { netnsName, netnsPath, type ProcessStamp, pidOf } from '../model/netns.js';
import type { FdbStatic, Network, Peer, Port } from '../model/network.js';
import { firstFreeVni } from '../model/vni.js';
import { formatVtep } from '../model/vtep.js';
import {
  emptyState,
  type PortRow,
  type RuntimeState,
  sameFdb,
  withFdb,
  withNetwork,
  withoutFdb,
  withoutNetwork,
  withoutPeer,
  withoutPort,
  withPeer,
  withPort,
} from '../store/runtimeState.js';
import type { PreparedState } from '../store/stateFile.js';
import { type Merged, merge, type Skipped } from './merge.js';
import type { Namespaces } from './namespaces.js';
import { type Intent, peerKey } from './plan.js';
import type { Changed, PortCondition, Reconciler, Swept } from './reconcile.js';
import { Serial } from './serial.js';

/** What does not change through the API. */
export interface Base extends Omit<Intent, 'networks'> {
  /** Networks of the configuration file. */
  readonly file: readonly Network[];
  /** Whether there is a file at all that could be loaded again. */
  readonly hasFile: boolean;
}

export type NetworkRequest = z.output<typeof networkRequestSchema>;

/** A port to add; without name it is called after its namespace. */
export type PortRequest = Omit<Port, 'name'> & { readonly name?: string | undefined };

export interface OverlayParts {
  readonly reconciler: Reconciler;
  readonly namespaces: Namespaces;
  /** First step of making the runtime state durable. Throws when it cannot. */
  readonly prepare: (state: RuntimeState) => Promise<PreparedState>;
  readonly log: Logger;
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

/** All that the switch follows from. */
interface Settings {
  readonly base: Base;
  readonly runtime: RuntimeState;
  readonly purged: boolean;
  readonly merged: Merged;
}

/** How often namespaces are looked at and waiting ports are tried. */
export const REFRESH_MS = 1000;

/** Every method that changes something runs alone, in order of call. */
export class Overlay {
  readonly #parts: OverlayParts;
  readonly #serial = new Serial();
  #base: Base;
  #runtime: RuntimeState;
  #merged: Merged = { networks: [], skipped: [] };
  /** After a purge the file is not in effect until it is loaded again. */
  #purged = false;
  #refreshQueued = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(base: Base, runtime: RuntimeState, parts: OverlayParts) {
    this.#base = base;
    this.#runtime = runtime;
    this.#parts = parts;
  }

  /** First apply; from then on namespaces are watched. Throws when the switch cannot run at all. */
  async start(): Promise<void> {
    await this.#serial.run(async () => {
      const { reconciler } = this.#parts;
      await this.#forgetRepeated();
      const settings = settingsOf(this.#base, this.#runtime, false);
      await reconciler.change(intentOf(settings));
      this.#adopt(settings);
      await this.#sweepStrays();
    });
    this.#timer = setInterval(() => this.requestRefresh(), REFRESH_MS);
  }

  /** No more passes begin; resolves when the running one has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#serial.run(async () => {});
  }

  get base(): Base {
    return this.#base;
  }

  /** Networks in effect. */
  get networks(): readonly Network[] {
    return this.#merged.networks;
  }

  /** Additions that are not in effect, with the reason. */
  get skipped(): readonly Skipped[] {
    return this.#merged.skipped;
  }

  get purged(): boolean {
    return this.#purged;
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

  /** Whether the configuration file has this network. */
  fromFile(network: string): boolean {
    return !this.#purged && this.#base.file.some((item) => item.name === network);
  }

  /** Whether the configuration file has this port. */
  portFromFile(port: string): boolean {
    return (
      !this.#purged &&
      this.#base.file.some((item) => item.ports.some((other) => other.name === port))
    );
  }

  /** Looks at namespaces and waiting ports soon; calls in between are one. */
  requestRefresh(): void {
    if (this.#refreshQueued) return;
    this.#refreshQueued = true;
    void this.#serial.run(async () => {
      this.#refreshQueued = false;
      await this.#parts.reconciler.refresh();
    });
  }

  /** The datapath lost the port's device. */
  portGone(port: string): void {
    this.#parts.reconciler.markGone(port);
    this.requestRefresh();
  }

  addNetwork(request: NetworkRequest): Promise<Network> {
    return this.#serial.run(async () => {
      const { name } = request;
      const known = [...this.networks, ...this.#runtime.networks];
      if (known.some((item) => item.name === name)) throw new SwitchError('NETWORK_EXISTS', name);
      const vni = request.vni ?? firstFreeVni(new Set(known.map((item) => item.vni)));
      if (vni === undefined) throw new SwitchError('NO_FREE_VNI', name);
      await this.#add(
        `network ${name} added`,
        await this.#stamped(withNetwork(this.#runtime, { ...request, vni }), request.ports),
      );
      return this.network(name);
    });
  }

  removeNetwork(name: string): Promise<ChangeReport> {
    return this.#serial.run(async () => {
      if (!this.#runtime.networks.some((item) => item.name === name)) {
        throw this.fromFile(name)
          ? new SwitchError('FROM_FILE', `network ${name}`)
          : new SwitchError('NETWORK_UNKNOWN', name);
      }
      return this.#change(`network ${name} removed`, withoutNetwork(this.#runtime, name));
    });
  }

  addPort(network: string, request: PortRequest): Promise<Port> {
    return this.#serial.run(async () => {
      this.network(network);
      const port: Port = { ...request, name: request.name ?? this.#portName(network, request) };
      if (this.#portNames().has(port.name)) throw new SwitchError('PORT_EXISTS', port.name);
      await this.#add(
        `port ${port.name} added to network ${network}`,
        await this.#stamped(withPort(this.#runtime, { network, port }), [port]),
      );
      return port;
    });
  }

  removePort(name: string): Promise<ChangeReport> {
    return this.#serial.run(async () => {
      if (!this.#runtime.ports.some((row) => row.port.name === name)) {
        throw this.portFromFile(name)
          ? new SwitchError('FROM_FILE', `port ${name}`)
          : new SwitchError('PORT_UNKNOWN', name);
      }
      return this.#change(`port ${name} removed`, withoutPort(this.#runtime, name));
    });
  }

  addPeer(network: string, peer: Peer): Promise<void> {
    return this.#serial.run(async () => {
      const name = formatVtep(peer);
      const same = this.#sameTunnel(this.network(network), peer);
      if (this.network(network).peers.some(same)) throw new SwitchError('PEER_EXISTS', name);
      if (peer.address === this.#base.vtep.address) throw new SwitchError('PEER_SELF', name);
      await this.#add(
        `peer ${name} added to network ${network}`,
        withPeer(this.#runtime, { network, peer }),
      );
    });
  }

  removePeer(network: string, peer: Peer): Promise<void> {
    return this.#serial.run(async () => {
      const name = formatVtep(peer);
      const same = this.#sameTunnel(this.network(network), peer);
      if (!this.network(network).peers.some(same))
        throw new SwitchError('PEER_UNKNOWN', `${name} in network ${network}`);
      const rows = this.#runtime.peers.filter((row) => row.network === network && same(row.peer));
      if (rows.length === 0) throw new SwitchError('FROM_FILE', `peer ${name}`);
      await this.#change(
        `peer ${name} removed from network ${network}`,
        rows.reduce(withoutPeer, this.#runtime),
      );
    });
  }

  addFdb(network: string, entry: FdbStatic): Promise<void> {
    return this.#serial.run(async () => {
      if (this.network(network).fdb.some((item) => sameFdb(item, entry))) {
        throw new SwitchError('FDB_EXISTS', `${entry.mac} of network ${network}`);
      }
      await this.#add(
        `FDB entry ${entry.mac} added to network ${network}`,
        withFdb(this.#runtime, { network, entry }),
      );
    });
  }

  /** Adds, or takes the place of the MAC's entry without a moment in which it is unknown. */
  replaceFdb(network: string, entry: FdbStatic): Promise<void> {
    return this.#serial.run(async () => {
      this.network(network);
      if (this.#fileFdb(network).some((item) => sameFdb(item, entry))) {
        throw new SwitchError('FROM_FILE', `FDB entry ${entry.mac}`);
      }
      await this.#add(
        `FDB entry ${entry.mac} set in network ${network}`,
        withFdb(this.#runtime, { network, entry }),
      );
    });
  }

  removeFdb(network: string, mac: Mac): Promise<void> {
    return this.#serial.run(async () => {
      this.network(network);
      const mine = this.#runtime.fdb.some(
        (row) => row.network === network && row.entry.mac === mac,
      );
      if (!mine && this.#fileFdb(network).some((entry) => entry.mac === mac)) {
        throw new SwitchError('FROM_FILE', `FDB entry ${mac}`);
      }
      if (!mine) throw new SwitchError('FDB_UNKNOWN', `${mac} of network ${network}`);
      await this.#change(
        `FDB entry ${mac} removed from network ${network}`,
        withoutFdb(this.#runtime, network, mac),
      );
    });
  }

  /**
   * Takes the configuration that `load` gives as a whole, or keeps the old one and throws. `load`
   * runs when it is this reload's turn, so that of two reloads the later has the newer file.
   */
  reload(load: () => Promise<Pick<Base, 'vtep' | 'file' | 'underlayMtu'>>): Promise<ChangeReport> {
    return this.#serial.run(async () => {
      const base: Base = { ...this.#base, ...(await load()) };
      const next = settingsOf(base, withoutRepeated(this.#runtime, base), false);
      // After a purge this is a start: whoever cannot be attached waits.
      return this.#commit(next, !this.#purged);
    });
  }

  /** The underlay's link has another MTU: ports that have theirs from it get the new one. */
  setUnderlayMtu(underlayMtu: number): Promise<ChangeReport> {
    return this.#serial.run(async () => {
      const base: Base = { ...this.#base, underlayMtu };
      return this.#commit(settingsOf(base, this.#runtime, this.#purged), false);
    });
  }

  /** Takes everything down and forgets all additions, then removes every TAP that bears our mark. */
  purge(): Promise<PurgeReport> {
    return this.#serial.run(async () => {
      const networks = this.networks.map((network) => network.name);
      const ports = this.networks.flatMap((network) => network.ports.map((port) => port.name));
      const { hasFile } = this.#base;
      const first = await this.#commit(settingsOf(this.#base, emptyState, hasFile), false);
      const rest = await this.#parts.reconciler.sweepAll();
      this.#parts.log.info({ change: 'purge' }, 'changed');
      // What could not be removed at first was tried again.
      return { networks, ports, removed: [...first.removed, ...rest.removed], left: rest.left };
    });
  }

  /** Makes a state with an addition effective; throws CONFLICT when the addition does not fit. */
  #add(what: string, runtime: RuntimeState): Promise<ChangeReport> {
    const next = settingsOf(this.#base, runtime, this.#purged);
    const known = new Set(this.skipped.map((skip) => skip.what));
    const misfit = next.merged.skipped.find((skip) => !known.has(skip.what));
    if (misfit !== undefined) throw new SwitchError('CONFLICT', misfit.what, { why: misfit.why });
    return this.#change(what, next);
  }

  /** One change through the API. `what` is for the log. */
  async #change(what: string, to: RuntimeState | Settings): Promise<ChangeReport> {
    const next = 'merged' in to ? to : settingsOf(this.#base, to, this.#purged);
    const report = await this.#commit(next);
    this.#parts.log.info({ change: what }, 'changed');
    return report;
  }

  /**
   * Applies and saves, or neither. The new state is on disk before the switch changes, and takes the
   * old one's place after; only then TAPs are removed, because nothing brings those back.
   */
  async #commit(next: Settings, strict = true): Promise<ChangeReport> {
    const { reconciler, prepare } = this.#parts;
    const prepared = next.runtime === this.#runtime ? undefined : await prepare(next.runtime);
    let changed: Changed;
    try {
      changed = await reconciler.change(intentOf(next), strict);
    } catch (error) {
      await prepared?.discard();
      throw error;
    }
    try {
      await prepared?.commit();
    } catch (error) {
      await reconciler.restore(intentOf(this.#settings()));
      throw error;
    }
    this.#adopt(next);
    return { apply: changed.apply, ...(await reconciler.sweep(changed.retired)) };
  }

  #settings(): Settings {
    const { base, networks, skipped } = this;
    return {
      base,
      runtime: this.#runtime,
      purged: this.#purged,
      merged: { networks, skipped },
    };
  }

  /** Drops additions that have moved into the file. The start goes on when that cannot be saved. */
  async #forgetRepeated(): Promise<void> {
    const runtime = withoutRepeated(this.#runtime, this.#base);
    if (runtime === this.#runtime) return;
    this.#runtime = runtime;
    try {
      await (await this.#parts.prepare(runtime)).commit();
    } catch (error) {
      this.#parts.log.warn({ error: (error as Error).message }, 'state not saved');
    }
  }

  /** Removes TAPs that an earlier run left for ports that are no more. */
  async #sweepStrays(): Promise<void> {
    const { reconciler, log } = this.#parts;
    try {
      const { removed } = await reconciler.sweepAll();
      for (const tap of removed) log.info({ ...tap }, 'TAP removed: no port wants it any more');
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'cannot look for TAPs of earlier runs');
    }
  }

  #adopt({ base, runtime, purged, merged }: Settings): void {
    const known = new Set(this.skipped.map((skip) => skip.what));
    this.#base = base;
    this.#runtime = runtime;
    this.#purged = purged;
    this.#merged = merged;
    for (const { what, why } of merged.skipped) {
      if (!known.has(what)) this.#parts.log.warn({ what, why }, 'addition left out');
    }
  }

  #sameTunnel(network: Network, peer: Peer): (other: Peer) => boolean {
    const { vtep } = this.#base;
    const key = peerKey(peer, network, vtep);
    return (other) => peerKey(other, network, vtep) === key;
  }

  /** Remembers which processes the new ports mean, as long as the caller can mean no other. */
  async #stamped(next: RuntimeState, fresh: readonly Port[]): Promise<RuntimeState> {
    const names = new Set(fresh.map((port) => port.name));
    const stamp = async (row: PortRow): Promise<PortRow> => {
      if (!names.has(row.port.name) || processOf(row.port) === undefined) return row;
      const sight = await this.#parts.namespaces(netnsPath(row.port.netns ?? ''));
      return { ...row, process: sight?.process };
    };
    return { ...next, ports: await Promise.all(next.ports.map(stamp)) };
  }

  #fileFdb(network: string): readonly FdbStatic[] {
    return this.#purged ? [] : (this.#base.file.find((item) => item.name === network)?.fdb ?? []);
  }

  #portNames(): Set<string> {
    const ports = [
      ...this.networks.flatMap((item) => item.ports),
      ...this.#runtime.ports.map((row) => row.port),
    ];
    return new Set(ports.map((port) => port.name));
  }

  /** The namespace's own name when it has one and it is free, else the network's with a number. */
  #portName(network: string, request: PortRequest): string {
    const taken = this.#portNames();
    const space = request.netns === undefined ? '' : netnsName(netnsPath(request.netns));
    const speaks = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(space) && !/^\d+$/.test(space);
    if (speaks && !taken.has(space)) return space;
    for (let number = 1; ; number++) {
      const name = `${network.slice(0, 50)}-${number}`;
      if (!taken.has(name)) return name;
    }
  }
}

function settingsOf(base: Base, runtime: RuntimeState, purged: boolean): Settings {
  return { base, runtime, purged, merged: merge(base.vtep, purged ? [] : base.file, runtime) };
}

function intentOf({ base, runtime, purged, merged }: Settings): Intent {
  const file = purged ? [] : base.file;
  const filed = new Set(file.flatMap((network) => network.ports.map((port) => port.name)));
  const processes = new Map<string, ProcessStamp | undefined>();
  for (const { port, process } of runtime.ports) {
    if (processOf(port) !== undefined && !filed.has(port.name)) processes.set(port.name, process);
  }
  const { vtep, datapath, owner, underlayMtu } = base;
  return { vtep, datapath, owner, underlayMtu, networks: merged.networks, processes };
}

/** Without the rows that the file repeats; the same object when there are none. */
function withoutRepeated(runtime: RuntimeState, { file, vtep }: Base): RuntimeState {
  const networks = new Map(file.map((network) => [network.name, network]));
  const ports = new Set(file.flatMap((network) => network.ports.map((port) => port.name)));
  const left: RuntimeState = {
    networks: runtime.networks.filter((network) => !networks.has(network.name)),
    ports: runtime.ports.filter((row) => !ports.has(row.port.name)),
    peers: runtime.peers.filter(({ network: name, peer }) => {
      const network = networks.get(name);
      if (network === undefined) return true;
      const key = peerKey(peer, network, vtep);
      return !network.peers.some((other) => peerKey(other, network, vtep) === key);
    }),
    fdb: runtime.fdb.filter(
      ({ network, entry }) => !networks.get(network)?.fdb.some((other) => sameFdb(other, entry)),
    ),
  };
  const count = (state: RuntimeState) =>
    state.networks.length + state.ports.length + state.peers.length + state.fdb.length;
  return count(left) === count(runtime) ? runtime : left;
}

/** The PID in the port's namespace path, if there is one. */
function processOf({ netns }: Port): number | undefined {
  return netns === undefined ? undefined : pidOf(netnsPath(netns));
}
