// What the API can ask of this daemon: the overlay's changes, and views of everything.

import type { Operations } from '../control/operations.js';
import type { FdbView, PortView, PurgeView, ReloadView, RemovedView, StatusView } from '../control/views.js';
import { type ParsedConfig, readConfig } from '../config/parse.js';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import { udpPortOf } from '../model/network.js';
import type { Overlay } from '../overlay/overlay.js';
import { underlayMtuOf } from '../overlay/plan.js';
import type { RemovedTap } from '../overlay/reconcile.js';
import { CounterViews } from './counterViews.js';
import { diagnose } from './doctor.js';
import { viewDormantFdb, viewFdbEntry, viewNetwork, viewPorts } from './networkViews.js';
import { nameOwner } from './udpOwner.js';
import { VERSION } from '../model/version.js';

export interface OperationsParts {
  readonly datapath: Datapath;
  readonly overlay: Overlay;
  readonly socket: string;
  /** The configuration file, if there is one. */
  readonly configPath: string | undefined;
  readonly config: ParsedConfig;
  /** What was wrong at the start but not fatal. */
  readonly warnings: readonly string[];
}

export type DaemonOperations = Operations;

/** The operations of one running daemon. */
export function operationsOf(parts: OperationsParts): DaemonOperations {
  const { datapath, overlay } = parts;
  const views = new CounterViews(datapath.dropReasons());
  let config = parts.config;

  const network = (name: string) => viewNetwork(overlay.network(name), overlay, datapath.counters());
  const ports = (): PortView[] => {
    const counters = datapath.counters();
    return overlay.networks.flatMap((item) => viewPorts(item, overlay, counters));
  };
  const port = (name: string): PortView => {
    const found = ports().find((item) => item.name === name);
    if (found === undefined) throw new SwitchError('PORT_UNKNOWN', name);
    return found;
  };
  const fdb = (name?: string): FdbView[] => {
    if (name !== undefined) overlay.network(name);
    const running = datapath.fdb(name);
    const networks = overlay.networks.filter((item) => name === undefined || item.name === name);
    return [...running.map(viewFdbEntry), ...networks.flatMap((item) => viewDormantFdb(item, running))];
  };

  return {
    status: () => statusOf(parts, config, ports()),
    doctor: () => {
      const { vtep } = overlay.base;
      const udpPorts = new Set([vtep.port, ...overlay.networks.map((item) => udpPortOf(item, vtep))]);
      return diagnose(datapath.probe(), vtep.address, udpPorts);
    },
    networks: () => {
      const counters = datapath.counters();
      return overlay.networks.map((item) => viewNetwork(item, overlay, counters));
    },
    network,
    addNetwork: async (request) => network((await named(datapath, overlay.addNetwork(request))).name),
    removeNetwork: async (name) => removed((await overlay.removeNetwork(name)).removedTaps),
    ports,
    addPort: async (name, request) => port((await overlay.addPort(name, request)).name),
    removePort: async (name) => removed((await overlay.removePort(name)).removedTaps),
    addPeer: async (name, peer) => {
      await overlay.addPeer(name, peer);
      return network(name);
    },
    removePeer: async (name, peer) => {
      await overlay.removePeer(name, peer);
      return network(name);
    },
    fdb,
    addFdb: async (name, entry) => {
      await overlay.addFdb(name, entry);
      return fdb(name);
    },
    replaceFdb: async (name, entry) => {
      await overlay.replaceFdb(name, entry);
      return fdb(name);
    },
    removeFdb: async (name, mac) => {
      await overlay.removeFdb(name, mac);
      return fdb(name);
    },
    flushFdb: (name, portName) => flush(parts, name, portName),
    counters: () => views.counters(datapath.counters()),
    drops: () => views.totals(datapath.counters()),
    purge: () => purge(parts),
    reload: async () => {
      const next = await loadAgain(parts.configPath);
      const report = await reload(parts, next);
      config = next;
      return report;
    },
  };
}

function statusOf(parts: OperationsParts, config: ParsedConfig, ports: readonly PortView[]): StatusView {
  const { datapath, overlay, socket, configPath } = parts;
  const { vtep, underlayMtu } = overlay.base;
  const counters = datapath.counters();
  const count = (state: PortView['state']) => ports.filter((port) => port.state === state).length;
  const skipped = overlay.skipped.map(({ what, why }) => `${what} is left out: ${why}`);
  const waiting = ports.filter((port) => port.reason).map((port) => `port ${port.name}: ${port.reason}`);
  const degraded = waiting.length + skipped.length > 0;
  return {
    version: VERSION,
    pid: process.pid,
    state: overlay.purged ? 'purged' : degraded ? 'degraded' : 'ok',
    started_at: new Date(counters.startedAt).toISOString(),
    socket,
    ...(configPath === undefined ? {} : { config: configPath }),
    vtep: {
      address: vtep.address,
      port: vtep.port,
      ...(vtep.interface === undefined ? {} : { interface: vtep.interface }),
    },
    underlay_mtu: underlayMtu,
    store: config.config.store,
    workers: counters.workers.length,
    networks: overlay.networks.length,
    ports: { up: count('up'), waiting: count('waiting'), gone: count('gone') },
    peers: new Set(overlay.networks.flatMap((network) => network.peers.map((peer) => peer.address))).size,
    warnings: [...parts.warnings, ...config.warnings, ...skipped, ...waiting],
  };
}

function flush({ datapath, overlay }: OperationsParts, name?: string, port?: string): { flushed: number } {
  const networks = name === undefined ? overlay.networks : [overlay.network(name)];
  const known = networks.filter(
    (network) => port === undefined || network.ports.some((item) => item.name === port),
  );
  if (port !== undefined && known.length === 0) throw new SwitchError('PORT_UNKNOWN', port);
  return { flushed: known.reduce((sum, network) => sum + datapath.fdbFlush(network.name, port), 0) };
}

/** Takes down everything that runs, then every TAP that bears our mark, known or not. */
async function purge({ datapath, overlay }: OperationsParts): Promise<PurgeView> {
  const networks = overlay.networks.map((network) => network.name);
  const ports = overlay.networks.flatMap((network) => network.ports.map((port) => port.name));
  const taps: RemovedTap[] = [...(await overlay.purge())];
  const { owner } = overlay.base;
  for (const tap of await datapath.ownedTaps(owner)) {
    if (await datapath.removeTap(tap, owner)) taps.push(tap);
  }
  return { networks, ports, taps: taps.map(viewTap) };
}

async function loadAgain(path: string | undefined): Promise<ParsedConfig> {
  if (path === undefined) throw new SwitchError('NO_CONFIG_FILE', 'vswitchd');
  return readConfig(path);
}

async function reload({ datapath, overlay, socket }: OperationsParts, next: ParsedConfig): Promise<ReloadView> {
  const { config } = next;
  const mtu = underlayMtuOf(config.vtep.address, datapath.probe().interfaces);
  const { datapath: engine } = overlay.base;
  const { apply, removedTaps } = await named(datapath, overlay.reload(config, mtu));
  const { kept, added, removed: gone, changed } = apply;
  const fixed = [
    ...(JSON.stringify(config.datapath) === JSON.stringify(engine) ? [] : ['datapath']),
    ...(config.control.socket === socket ? [] : ['control.socket']),
  ];
  const restart = fixed.map((key) => `${key} is not changed by a reload; restart vswitchd for it`);
  return {
    kept,
    added,
    removed: gone,
    changed,
    removed_taps: removedTaps.map(viewTap),
    warnings: [...next.warnings, ...restart],
  };
}

/** Lets PORT_IN_USE name the owner of the port. */
async function named<T>(datapath: Datapath, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof SwitchError) || error.code !== 'PORT_IN_USE') throw error;
    throw await nameOwner(error, datapath.probe());
  }
}

function removed(taps: readonly RemovedTap[]): RemovedView {
  return { removed_taps: taps.map(viewTap) };
}

function viewTap({ port, ifname, netns }: RemovedTap): RemovedView['removed_taps'][number] {
  return { port, ifname, ...(netns === undefined ? {} : { netns }) };
}
