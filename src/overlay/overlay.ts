// The brain: knows the file's networks and what was added through the API, and changes both the
// running switch and the state file together, or neither.

import type { Logger } from 'pino';
import type { z } from 'zod';
import type { Config } from '../config/fileSchema.js';
import type { networkRequestSchema } from '../config/networkSchema.js';
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
  samePeer,
  withFdb,
  withNetwork,
  withoutFdb,
  withoutNetwork,
  withoutPeer,
  withoutPort,
  withPeer,
  withPort,
} from '../store/runtimeState.js';
import { type Merged, merge, type Skipped } from './merge.js';
import type { Namespaces } from './namespaces.js';
import type { Intent } from './plan.js';
import type { ChangeReport, PortCondition, Reconciler, RemovedTap } from './reconcile.js';
import { Serial } from './serial.js';

/** What does not change through the API. */
export interface Base extends Omit<Intent, 'networks'> {
  /** Networks of the configuration file. */
  readonly file: readonly Network[];
}

export type NetworkRequest = z.output<typeof networkRequestSchema>;

/** A port to add; without name it is called after its namespace. */
export type PortRequest = Omit<Port, 'name'> & { readonly name?: string | undefined };

export interface OverlayParts {
  readonly reconciler: Reconciler;
  readonly namespaces: Namespaces;
  /** Makes the runtime state durable. Throws when it cannot. */
  readonly save: (state: RuntimeState) => Promise<void>;
  readonly log: Logger;
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
      const merged = merge(this.#base.vtep, this.#base.file, this.#runtime);
      await this.#parts.reconciler.change(intentOf(this.#base, merged, this.#runtime));
      this.#adopt(merged);
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
        await this.#stamped(withNetwork(this.#runtime, { ...request, vni }), request.ports),
      );
      return this.network(name);
    });
  }

  removeNetwork(name: string): Promise<ChangeReport> {
    return this.#serial.run(async () => {
      if (this.fromFile(name)) throw new SwitchError('FROM_FILE', `network ${name}`);
      if (!this.#runtime.networks.some((item) => item.name === name))
        throw new SwitchError('NETWORK_UNKNOWN', name);
      return this.#apply(withoutNetwork(this.#runtime, name));
    });
  }

  addPort(network: string, request: PortRequest): Promise<Port> {
    return this.#serial.run(async () => {
      this.network(network);
      const port: Port = { ...request, name: request.name ?? this.#portName(network, request) };
      if (this.#portNames().has(port.name)) throw new SwitchError('PORT_EXISTS', port.name);
      await this.#add(await this.#stamped(withPort(this.#runtime, { network, port }), [port]));
      return port;
    });
  }

  removePort(name: string): Promise<ChangeReport> {
    return this.#serial.run(async () => {
      if (this.portFromFile(name)) throw new SwitchError('FROM_FILE', `port ${name}`);
      if (!this.#runtime.ports.some((row) => row.port.name === name))
        throw new SwitchError('PORT_UNKNOWN', name);
      return this.#apply(withoutPort(this.#runtime, name));
    });
  }

  addPeer(network: string, peer: Peer): Promise<void> {
    return this.#serial.run(async () => {
      const name = formatVtep(peer);
      if (this.network(network).peers.some((item) => samePeer(item, peer)))
        throw new SwitchError('PEER_EXISTS', name);
      if (peer.address === this.#base.vtep.address) throw new SwitchError('PEER_SELF', name);
      await this.#add(withPeer(this.#runtime, { network, peer }));
    });
  }

  removePeer(network: string, peer: Peer): Promise<void> {
    return this.#serial.run(async () => {
      const name = formatVtep(peer);
      const found = this.network(network).peers.find((item) => samePeer(item, peer));
      if (found === undefined)
        throw new SwitchError('PEER_UNKNOWN', `${name} in network ${network}`);
      const row = this.#runtime.peers.find(
        (item) => item.network === network && samePeer(item.peer, peer),
      );
      if (row === undefined) throw new SwitchError('FROM_FILE', `peer ${name}`);
      await this.#apply(withoutPeer(this.#runtime, row));
    });
  }

  addFdb(network: string, entry: FdbStatic): Promise<void> {
    return this.#serial.run(async () => {
      if (this.network(network).fdb.some((item) => sameFdb(item, entry))) {
        throw new SwitchError('FDB_EXISTS', `${entry.mac} of network ${network}`);
      }
      await this.#add(withFdb(this.#runtime, { network, entry }));
    });
  }

  /** Adds, or takes the place of the MAC's entry without a moment in which it is unknown. */
  replaceFdb(network: string, entry: FdbStatic): Promise<void> {
    return this.#serial.run(async () => {
      this.network(network);
      if (this.#fileFdb(network).some((item) => sameFdb(item, entry))) {
        throw new SwitchError('FROM_FILE', `FDB entry ${entry.mac}`);
      }
      await this.#add(withFdb(this.#runtime, { network, entry }));
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
      await this.#apply(withoutFdb(this.#runtime, network, mac));
    });
  }

  /** Takes a new configuration file as a whole, or keeps the old one and throws. */
  reload(config: Config, underlayMtu: number): Promise<ChangeReport> {
    return this.#serial.run(async () => {
      const base: Base = { ...this.#base, vtep: config.vtep, file: config.networks, underlayMtu };
      const merged = merge(base.vtep, base.file, this.#runtime);
      const report = await this.#parts.reconciler.change(intentOf(base, merged, this.#runtime));
      this.#base = base;
      this.#purged = false;
      this.#adopt(merged);
      return report;
    });
  }

  /** Takes everything down and forgets all additions. Returns the TAPs that this removed. */
  purge(): Promise<readonly RemovedTap[]> {
    return this.#serial.run(async () => {
      const { removedTaps } = await this.#parts.reconciler.change({ ...this.#base, networks: [] });
      this.#purged = true;
      this.#runtime = emptyState;
      this.#adopt({ networks: [], skipped: [] });
      await this.#parts.save(emptyState);
      return removedTaps;
    });
  }

  /** Makes a state with an addition effective; throws CONFLICT when the addition does not fit. */
  #add(next: RuntimeState): Promise<ChangeReport> {
    const known = new Set(this.skipped.map((skip) => skip.what));
    const misfit = this.#merge(next).skipped.find((skip) => !known.has(skip.what));
    if (misfit !== undefined) throw new SwitchError('CONFLICT', misfit.what, { why: misfit.why });
    return this.#apply(next);
  }

  /** Applies and saves a runtime state, or neither. */
  async #apply(next: RuntimeState): Promise<ChangeReport> {
    const merged = this.#merge(next);
    const report = await this.#parts.reconciler.change(intentOf(this.#base, merged, next));
    try {
      await this.#parts.save(next);
    } catch (error) {
      await this.#parts.reconciler.change(intentOf(this.#base, this.#merged, this.#runtime));
      throw error;
    }
    this.#runtime = next;
    this.#adopt(merged);
    return report;
  }

  /** Remembers which processes the new ports mean, as long as the caller can mean no other. */
  async #stamped(next: RuntimeState, fresh: readonly Port[]): Promise<RuntimeState> {
    const names = new Set(fresh.map((port) => port.name));
    const stamp = async (row: PortRow): Promise<PortRow> => {
      if (!names.has(row.port.name) || processOf(row.port) === undefined) return row;
      return {
        ...row,
        process: (await this.#parts.namespaces(netnsPath(row.port.netns ?? '')))?.process,
      };
    };
    return { ...next, ports: await Promise.all(next.ports.map(stamp)) };
  }

  #merge(next: RuntimeState): Merged {
    return merge(this.#base.vtep, this.#purged ? [] : this.#base.file, next);
  }

  #adopt(merged: Merged): void {
    const known = new Set(this.skipped.map((skip) => skip.what));
    this.#merged = merged;
    for (const { what, why } of merged.skipped) {
      if (!known.has(what)) this.#parts.log.warn({ what, why }, 'addition left out');
    }
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

function intentOf(base: Base, { networks }: Merged, runtime: RuntimeState): Intent {
  const filed = new Set(base.file.flatMap((network) => network.ports.map((port) => port.name)));
  const processes = new Map<string, ProcessStamp | undefined>();
  for (const { port, process } of runtime.ports) {
    if (processOf(port) !== undefined && !filed.has(port.name)) processes.set(port.name, process);
  }
  const { vtep, datapath, owner, underlayMtu } = base;
  return { vtep, datapath, owner, underlayMtu, networks, processes };
}

/** The PID in the port's namespace path, if there is one. */
function processOf({ netns }: Port): number | undefined {
  return netns === undefined ? undefined : pidOf(netnsPath(netns));
}
