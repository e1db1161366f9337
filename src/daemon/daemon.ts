// One daemon from start to stop.
//
//   starting --lock, probe, apply, socket--> running --stop--> stopped      (no way back)
//   Whatever was opened before a failed start is closed again. TAPs stay in every case.

import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { DockerSettings, HttpSettings } from '../config/fileSchema.js';
import { configOfVtep, type ParsedConfig, readConfig } from '../config/parse.js';
import type { StoreSettings } from '../config/storeSchema.js';
import type { Operations } from '../control/operations.js';
import { buildApi } from '../control/server.js';
import type { Datapath } from '../datapath/datapath.js';
import type { Probe } from '../datapath/seam.js';
import { startDockerPlugin } from '../docker/plugin.js';
import { SwitchError } from '../model/error.js';
import { DEFAULT_SOCKET, handoverSocketOf } from '../model/socket.js';
import { VERSION } from '../model/version.js';
import { ContainerEdits } from '../overlay/containerEdits.js';
import type { Namespaces } from '../overlay/namespaces.js';
import { NetworkEdits } from '../overlay/networkEdits.js';
import { Overlay } from '../overlay/overlay.js';
import { underlayMtuOf } from '../overlay/plan.js';
import { PortEdits } from '../overlay/portEdits.js';
import { Reconciler } from '../overlay/reconcile.js';
import { StaticEdits } from '../overlay/staticEdits.js';
import { startMetrics, startPage } from '../page/start.js';
import { checkSocketFree, listen, makeSocketDirectory } from '../socket/unixSocket.js';
import { loadState, prepareState, requireSafeDirectory, statePathOf } from '../store/stateFile.js';
import { CounterViews } from './counterViews.js';
import { type DockerHostParts, dockerHostOf } from './dockerHost.js';
import type { Machine } from './doctor/gather.js';
import { watchDrops } from './dropWatch.js';
import { EventPump } from './events.js';
import { Metrics } from './metrics/metrics.js';
import { operationsOf } from './operations.js';
import { dockerMemory } from './ownFile.js';
import { openStoreSide } from './storeSide.js';
import { nameOwner } from './udpOwner.js';
import { watchUnderlay } from './underlayWatch.js';

/** Where the settings come from: a file, or just our own address. */
export type Source = { readonly config: string } | { readonly vtep: string };

export interface DaemonOptions {
  readonly source: Source;
  /** Overrides the file's `control.socket`. */
  readonly socket?: string | undefined;
  /** Overrides the file's `store`. */
  readonly store?: StoreSettings | undefined;
  /** Docker's drivers are served although the file does not say so. */
  readonly docker?: DockerSettings | undefined;
  /** Goes over the file's `http`, key by key. */
  readonly http?: HttpSettings | undefined;
}

export interface DaemonParts {
  readonly datapath: Datapath;
  readonly namespaces: Namespaces;
  readonly log: Logger;
  /** What `doctor` looks at. */
  readonly machine: Machine;
  /** The datapath failed in a way that is a bug of ours; the process should end. */
  readonly fatal: (detail: string) => void;
}

export interface Daemon {
  readonly socket: string;
  readonly operations: Operations;
  /** Where the page is, if it is served: a URL. */
  readonly page?: string;
  /** Where Prometheus finds metrics on TCP, if anywhere: a URL. */
  readonly metrics?: string;
  /** As SIGHUP does: the file anew, or the old one and one log record. Never rejects. */
  reload(): Promise<void>;
  /** Any number of times. */
  stop(): Promise<void>;
}

/** Starts, or throws `SwitchError` with everything closed again. */
export async function startDaemon(options: DaemonOptions, parts: DaemonParts): Promise<Daemon> {
  const { source } = options;
  const configPath = 'config' in source ? source.config : undefined;
  const parsed = 'config' in source ? await readConfig(source.config) : configOfVtep(source.vtep);
  const socket =
    options.socket ?? ('config' in source ? parsed.config.control.socket : DEFAULT_SOCKET);
  const closers: (() => unknown)[] = [];
  const { store = parsed.config.store, docker = parsed.config.docker } = options;
  const http = options.http ? { ...parsed.config.http, ...options.http } : parsed.config.http;
  try {
    return await open({ configPath, parsed, socket, store, docker, http, parts, closers });
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

interface Opening {
  readonly configPath: string | undefined;
  readonly parsed: ParsedConfig;
  readonly socket: string;
  readonly store: StoreSettings;
  readonly docker: DockerSettings | undefined;
  readonly http: HttpSettings | undefined;
  readonly parts: DaemonParts;
  /** What stop must do, in reverse order. */
  readonly closers: (() => unknown)[];
}

async function open(opening: Opening): Promise<Daemon> {
  const { configPath, parsed, socket, parts, closers } = opening;
  const { datapath, log } = parts;
  for (const warning of parsed.warnings) log.warn({ warning }, 'configuration');
  await takeLock(datapath, socket, closers);
  // Before anything is made: a wrong path is told at once.
  await checkSocketFree(socket);

  const { overlay, store, broken } = await openOverlay(opening);
  const ports = new PortEdits(overlay, parts.namespaces);
  const pump = new EventPump(
    datapath,
    {
      portGone: (port) => {
        ports.lost(port).catch((error) => {
          log.warn({ port, error: (error as Error).message }, 'port not removed');
        });
      },
      fatal: parts.fatal,
    },
    log,
  );
  closers.push(() => pump.stop());
  datapath.start(() => pump.wake());
  receiveHandovers(parts, socket);
  closers.push(watchUnderlay(datapath, overlay, log));

  const counterViews = new CounterViews(datapath.dropReasons());
  closers.push(watchDrops(datapath, counterViews, log));
  const metrics = new Metrics({ datapath, overlay, counterViews });
  closers.push(() => metrics.stop());

  const operations = operationsOf({
    ...{ datapath, overlay, socket, configPath, log, counterViews, metrics },
    edits: { ports, networks: new NetworkEdits(overlay, ports), statics: new StaticEdits(overlay) },
    config: parsed,
    storeName: store.name,
    servesDocker: opening.docker !== undefined,
    machine: parts.machine,
    isPrivate: store.isPrivate,
    warnings: [...(broken === undefined ? [] : [broken]), ...store.warnings],
  });
  const containers = new ContainerEdits({ overlay, datapath, log });
  containers.watch();
  if (opening.docker !== undefined) {
    await serveDocker({ ...opening, docker: opening.docker }, { overlay, containers, datapath });
  }
  const api = await buildApi(operations, { version: VERSION, log });
  closers.push(() => api.close());
  closers.push(await listen(api, socket));
  const web = await serveWeb(operations, opening);
  const { vtep } = parsed.config;
  log.info(
    {
      ...{ version: VERSION, vtep: vtep.address, socket, networks: overlay.networks.length },
      ...web,
    },
    'ready',
  );

  let stopping: Promise<void> | undefined;
  return {
    socket,
    operations,
    ...web,
    reload: () => operations.reload().then(forget, forget),
    stop: () => {
      stopping ??= closeAll(closers);
      return stopping;
    },
  };
}

/** Where that cannot be, containers cannot be attached without root, and everything else works. */
function receiveHandovers({ datapath, log }: DaemonParts, socket: string): void {
  try {
    datapath.receiveHandovers(handoverSocketOf(socket));
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'no rootless ports');
  }
}

/** What the switch follows from, and the switch. `broken`: what was wrong with the state file. */
async function openOverlay(opening: Opening) {
  const { configPath, parsed, socket, parts, closers } = opening;
  const { datapath, log } = parts;
  const statePath = statePathOf(socket);
  const { state, broken } = await loadState(statePath, new Date());
  if (broken !== undefined) log.error({ broken }, 'state file');
  const { vtep, networks: file, datapath: engine } = parsed.config;
  let overlay: Overlay | undefined;
  const store = await openStoreSide({
    ...{ settings: opening.store, vtep, socket, log },
    occupied: () => ({
      subnets: datapath.interfaces().flatMap((link) => link.addresses),
      vnis: (overlay?.file ?? file).map((network) => network.vni),
    }),
  });
  closers.push(() => store.close());
  for (const warning of store.warnings) log.error({ warning }, 'store');
  const probe = datapath.probe();
  const underlayMtu = underlayMtuOf(vtep.address, probe.interfaces);
  overlay = new Overlay(
    { vtep, datapath: engine, owner: socket, file, hasFile: configPath !== undefined, underlayMtu },
    state,
    {
      reconciler: new Reconciler({
        ...{ datapath, namespaces: parts.namespaces, log },
        now: () => performance.now(),
      }),
      sharing: store.sharing,
      prepare: (next) => prepareState(statePath, next),
      log,
      now: Date.now,
    },
  );
  await begin(overlay, opening, probe);
  return { overlay, store, broken };
}

/** First apply. Throws when the switch cannot run at all. */
async function begin(overlay: Overlay, opening: Opening, probe: Probe): Promise<void> {
  const { closers, parts } = opening;
  closers.push(() => parts.datapath.stop());
  closers.push(() => overlay.stop());
  try {
    await overlay.start();
  } catch (error) {
    const taken = error instanceof SwitchError && error.code === 'PORT_IN_USE';
    throw taken ? await nameOwner(error, probe) : error;
  }
}

/** What the settings want on TCP; gives URLs. Throws as `startPage` and `startMetrics` do. */
async function serveWeb(
  operations: Operations,
  { http, parsed, parts, closers }: Opening,
): Promise<{ readonly page?: string; readonly metrics?: string }> {
  const { log } = parts;
  const settings = parsed.config.metrics;
  const page = http && (await startPage(operations, http, log));
  if (page !== undefined) closers.push(() => page.close());
  const metrics = settings && (await startMetrics(operations, settings, log));
  if (metrics !== undefined) closers.push(() => metrics.close());
  return { ...(page && { page: page.url }), ...(metrics && { metrics: metrics.url }) };
}

/** Only now that the switch runs: dockerd may call at once. Throws SOCKET_UNUSABLE. */
async function serveDocker(
  { docker, socket, parts, closers }: Opening & { readonly docker: DockerSettings },
  host: DockerHostParts,
): Promise<void> {
  const plugin = await startDockerPlugin({
    host: dockerHostOf(host),
    memory: dockerMemory(socket),
    settings: docker,
    log: parts.log,
  });
  closers.push(() => plugin.stop());
}

/**
 * The kernel drops the lock with the process. The file stays: whoever unlinked it could unlink the
 * one that the next daemon holds.
 */
async function takeLock(
  datapath: Datapath,
  socket: string,
  closers: (() => unknown)[],
): Promise<void> {
  const path = `${socket}.lock`;
  await makeSocketDirectory(socket);
  await requireSafeDirectory(dirname(socket));
  try {
    const lock = datapath.lockFile(path);
    closers.push(() => lock.release());
  } catch (error) {
    if (error instanceof SwitchError && error.code === 'LOCKED')
      throw new SwitchError('LOCKED', socket);
    throw error;
  }
}

/** `operations.reload` has logged how it ended. */
function forget(): void {}

/** Last opened, first closed; every one is tried. Throws the first failure. */
async function closeAll(closers: (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
