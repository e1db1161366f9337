// What the API can ask of this daemon: the overlay's changes, and views of everything.

import type { Logger } from 'pino';
import { type ParsedConfig, readConfig } from '../config/parse.js';
import type { Operations } from '../control/operations.js';
import type { PortView, PurgeView, ReloadView, RemovedView, StatusView } from '../control/views.js';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import { VERSION } from '../model/version.js';
import type { NetworkEdits } from '../overlay/networkEdits.js';
import type { Overlay, PurgeReport } from '../overlay/overlay.js';
import { fittingMtu, peersOf, underlayMtuOf } from '../overlay/plan.js';
import type { PortEdits } from '../overlay/portEdits.js';
import type { Swept } from '../overlay/reconcile.js';
import type { StaticEdits } from '../overlay/staticEdits.js';
import { capturesOf } from './captures.js';
import type { CounterViews } from './counterViews.js';
import { gatherFacts, type Machine } from './doctor/gather.js';
import { purposeOf } from './doctor/purpose.js';
import { diagnose } from './doctor/report.js';
import type { Metrics } from './metrics/metrics.js';
import { viewDormantFdb, viewFdbEntry, viewNetwork, viewPorts } from './networkViews.js';
import { pastOf } from './past.js';
import { viewEndpoints, viewHosts, viewNeighbors, viewStore } from './storeViews.js';
import { tracesOf } from './traces.js';
import { nameOwner } from './udpOwner.js';

/** What the API may change, part by part. */
export interface Edits {
  readonly networks: NetworkEdits;
  readonly ports: PortEdits;
  readonly statics: StaticEdits;
}

export interface OperationsParts {
  readonly datapath: Datapath;
  readonly overlay: Overlay;
  readonly edits: Edits;
  readonly counterViews: CounterViews;
  readonly metrics: Metrics;
  /** No other host has part in the store. */
  readonly isPrivate: boolean;
  /** What the store is called in `status`. */
  readonly storeName: string;
  /** Docker's drivers are served. */
  readonly servesDocker: boolean;
  /** What `doctor` looks at. */
  readonly machine: Machine;
  readonly socket: string;
  /** The configuration file, if there is one. */
  readonly configPath: string | undefined;
  readonly config: ParsedConfig;
  readonly log: Logger;
  /** What was wrong at the start but not fatal. */
  readonly warnings: readonly string[];
}

/** The operations of one running daemon. */
export function operationsOf(parts: OperationsParts): Operations {
  const { datapath, overlay } = parts;
  const { counterViews, metrics } = parts;
  const views = viewsOf(parts);
  let config = parts.config;
  return {
    ...views,
    ...changesOf(parts, views),
    ...capturesOf(parts),
    ...tracesOf(parts),
    ...pastOf(parts),
    status: () => statusOf(parts, config, views.ports()),
    doctor: async () => {
      const purpose = purposeOf({
        vtep: overlay.base.vtep,
        networks: overlay.networks,
        peers: views.networks().flatMap((network) => network.peers),
        servesDocker: parts.servesDocker,
        store: { name: parts.storeName, ...overlay.sharing.health },
      });
      return diagnose(await gatherFacts(parts.machine, () => datapath.probe(), purpose));
    },
    counters: () => counterViews.counters(datapath.counters(), Date.now()),
    drops: () => counterViews.totals(datapath.counters()),
    metrics: () => metrics.text(),
    flushFdb: (name, port) => flush(parts, name, port),
    removeHost: async (address) => {
      await overlay.sharing.forgetHost(address);
      return viewHosts(overlay);
    },
    purge: async () => viewPurge(await purge(parts)),
    reload: async () => {
      const { next, view } = await reload(parts);
      config = next;
      return view;
    },
  };
}

type Views = Pick<
  Operations,
  'networks' | 'network' | 'ports' | 'fdb' | 'endpoints' | 'hosts' | 'neighbors'
>;

function viewsOf({ datapath, overlay }: OperationsParts): Views {
  return {
    networks: () => {
      const counters = datapath.counters();
      return overlay.networks.map((item) => viewNetwork(item, overlay, counters));
    },
    network: (name) => viewNetwork(overlay.network(name), overlay, datapath.counters()),
    ports: () => {
      const counters = datapath.counters();
      return overlay.networks.flatMap((item) => viewPorts(item, overlay, counters));
    },
    fdb: (name) => {
      if (name !== undefined) overlay.network(name);
      const running = datapath.fdb(name);
      const networks = overlay.networks.filter((item) => name === undefined || item.name === name);
      const dormant = networks.flatMap((item) => viewDormantFdb(item, running));
      return [...running.map(viewFdbEntry), ...dormant];
    },
    endpoints: (name) => {
      if (name !== undefined) overlay.network(name);
      return viewEndpoints(overlay, name);
    },
    hosts: () => viewHosts(overlay),
    neighbors: (name) => {
      if (name !== undefined) overlay.network(name);
      return viewNeighbors(overlay, name);
    },
  };
}

type Changes = Pick<
  Operations,
  | 'addNetwork'
  | 'removeNetwork'
  | 'addPort'
  | 'removePort'
  | 'addPeer'
  | 'removePeer'
  | 'addFdb'
  | 'replaceFdb'
  | 'removeFdb'
>;

/** Changes of the overlay; each answers with a view of what it touched. */
function changesOf({ datapath, edits }: OperationsParts, views: Views): Changes {
  const { networks, ports, statics } = edits;
  return {
    addNetwork: async (request) => {
      const { name } = await named(datapath, networks.add(request));
      return views.network(name);
    },
    removeNetwork: async (name) => viewSwept(await networks.remove(name)),
    addPort: async (network, request) => {
      const { name } = await ports.add(network, request);
      const view = views.ports().find((port) => port.name === name);
      if (view === undefined) throw new SwitchError('PORT_UNKNOWN', name);
      return view;
    },
    removePort: async (name) => viewSwept(await ports.remove(name)),
    addPeer: async (network, peer) => {
      await statics.addPeer(network, peer);
      return views.network(network);
    },
    removePeer: async (network, peer) => {
      await statics.removePeer(network, peer);
      return views.network(network);
    },
    addFdb: async (network, entry) => {
      await statics.addFdb(network, entry);
      return views.fdb(network);
    },
    replaceFdb: async (network, entry) => {
      await statics.replaceFdb(network, entry);
      return views.fdb(network);
    },
    removeFdb: async (network, mac) => {
      await statics.removeFdb(network, mac);
      return views.fdb(network);
    },
  };
}

function statusOf(
  parts: OperationsParts,
  config: ParsedConfig,
  ports: readonly PortView[],
): StatusView {
  const { datapath, overlay, socket, configPath } = parts;
  const { vtep, underlayMtu } = overlay.base;
  const counters = datapath.counters();
  const count = (state: PortView['state']) => ports.filter((port) => port.state === state).length;
  const skipped = overlay.skipped.map(({ what, why }) => `${what} is left out: ${why}`);
  const waiting = ports
    .filter((port) => port.reason)
    .map((port) => `port ${port.name}: ${port.reason}`);
  const unfit = mtuWarnings(overlay, ports);
  const store = viewStore(overlay, parts.storeName);
  const away = [
    ...storeWarnings(store),
    ...(overlay.trouble === '' ? [] : [`what the store says is not in effect: ${overlay.trouble}`]),
  ];
  const peers = overlay.networks.flatMap((network) => peersOf(network, vtep));
  const told = [...overlay.around.values()].flatMap(({ remote }) =>
    remote.vteps.map(({ address }) => address),
  );
  const degraded = waiting.length + skipped.length + away.length + parts.warnings.length > 0;
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
    store,
    workers: counters.workers.length,
    networks: overlay.networks.length,
    ports: { up: count('up'), waiting: count('waiting'), gone: count('gone') },
    peers: new Set([...peers.map((peer) => peer.address), ...told]).size,
    warnings: [
      ...[...parts.warnings, ...config.warnings, ...away],
      ...[...skipped, ...waiting, ...unfit],
    ],
  };
}

/** What keeps hosts from knowing of each other. */
function storeWarnings({ name, state, detail, garbage, conflicts }: StatusView['store']): string[] {
  const lost = state === 'connecting' ? 'was not reached yet' : 'is out of reach';
  return [
    ...(state === 'connected' ? [] : [`the store ${name} ${lost}${detail ? `: ${detail}` : ''}`]),
    ...(garbage === 0 ? [] : [`the store ${name} has ${garbage} keys that are no records of ours`]),
    ...conflicts,
  ];
}

/** What will go wrong with large packets, though nothing is amiss by itself. */
function mtuWarnings({ base }: Overlay, ports: readonly PortView[]): string[] {
  const fitting = fittingMtu(base);
  const tooLarge = ports.filter((port) => (port.mtu ?? 0) > fitting);
  return [
    ...tooLarge.map(
      ({ name, mtu }) =>
        `port ${name}: its MTU ${mtu} is more than the ${fitting} that the underlay carries`,
    ),
    ...(base.vtep.allow_outer_fragmentation
      ? ['vtep.allow_outer_fragmentation is on: large datagrams are fragmented, against RFC 7348']
      : []),
  ];
}

function flush(
  { datapath, overlay }: OperationsParts,
  name?: string,
  port?: string,
): { flushed: number } {
  const networks = name === undefined ? overlay.networks : [overlay.network(name)];
  const known = networks.filter(
    (network) => port === undefined || network.ports.some((item) => item.name === port),
  );
  if (port !== undefined && known.length === 0) throw new SwitchError('PORT_UNKNOWN', port);
  // The datapath does not have it, and forgot its entries when it went.
  if (port !== undefined && overlay.portCondition(port)?.state === 'waiting') return { flushed: 0 };
  return {
    flushed: known.reduce((sum, network) => sum + datapath.fdbFlush(network.name, port), 0),
  };
}

async function loadAgain(path: string | undefined): Promise<ParsedConfig> {
  if (path === undefined) throw new SwitchError('NO_CONFIG_FILE', 'vswitchd');
  return readConfig(path);
}

interface Reloaded {
  readonly next: ParsedConfig;
  readonly view: ReloadView;
}

/** Whoever asked for it: one log record, of success or of refusal. */
async function reload(parts: OperationsParts): Promise<Reloaded> {
  const { log } = parts;
  try {
    const reloaded = await reloadFile(parts);
    const { added, removed, changed, warnings } = reloaded.view;
    log.info({ added, removed, changed, warnings }, 'reloaded');
    return reloaded;
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'reload refused, the old configuration runs on');
    throw error;
  }
}

async function reloadFile({
  datapath,
  overlay,
  configPath,
  config,
  isPrivate,
}: OperationsParts): Promise<Reloaded> {
  let next = config;
  const load = async () => {
    next = await loadAgain(configPath);
    const { vtep, networks: file } = next.config;
    if (!isPrivate && vtep.port !== overlay.base.vtep.port) {
      const why = 'other hosts send to the UDP port that they were told at the start';
      throw new SwitchError('VTEP_CHANGED', 'vtep.port', { why });
    }
    return { vtep, file, underlayMtu: underlayMtuOf(vtep.address, datapath.probe().interfaces) };
  };
  const report = await named(datapath, overlay.reload(load));
  const { kept, added, removed, changed } = report.apply;
  const started = config.config;
  const fixed = [
    ...(['store', 'datapath', 'docker', 'http', 'metrics'] as const).filter(
      (key) => JSON.stringify(next.config[key]) !== JSON.stringify(started[key]),
    ),
    ...(next.config.control.socket === started.control.socket ? [] : ['control.socket']),
  ];
  const restart = fixed.map((key) => `${key} is not changed by a reload; restart vswitchd for it`);
  const warnings = [...next.warnings, ...restart];
  return { next, view: { kept, added, removed, changed, ...viewSwept(report), warnings } };
}

/** Also from the store; where that is this host's alone, its networks go too. */
async function purge({ overlay, isPrivate, log }: OperationsParts): Promise<PurgeReport> {
  const { sharing } = overlay;
  const report = await overlay.purge();
  try {
    await sharing.withdraw();
    const names = isPrivate ? [...sharing.state.networks.keys()] : [];
    for (const name of names) await sharing.removeNetwork(name);
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'not withdrawn from the store');
  }
  await overlay.follow();
  return report;
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

function viewPurge({ networks, ports, removed, left }: PurgeReport): PurgeView {
  return {
    networks: [...networks],
    ports: [...ports],
    taps: [...removed],
    ...(left.length === 0 ? {} : { left_taps: [...left] }),
  };
}

function viewSwept({ removed, left }: Swept): RemovedView {
  return { removed_taps: [...removed], ...(left.length === 0 ? {} : { left_taps: [...left] }) };
}
