// One daemon from start to stop.
//
//   starting --lock, probe, apply, socket--> running --stop--> stopped      (no way back)
//   Whatever was opened before a failed start is closed again. TAPs stay in every case.

import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { configOfVtep, type ParsedConfig, readConfig } from '../config/parse.js';
import type { Operations } from '../control/operations.js';
import { buildApi } from '../control/server.js';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import { DEFAULT_SOCKET } from '../model/socket.js';
import { VERSION } from '../model/version.js';
import type { Namespaces } from '../overlay/namespaces.js';
import { Overlay } from '../overlay/overlay.js';
import { underlayMtuOf } from '../overlay/plan.js';
import { Reconciler } from '../overlay/reconcile.js';
import { checkSocketFree, listen, makeSocketDirectory } from '../socket/unixSocket.js';
import { loadState, prepareState, requireSafeDirectory, statePathOf } from '../store/stateFile.js';
import { EventPump } from './events.js';
import { operationsOf } from './operations.js';
import { nameOwner } from './udpOwner.js';
import { watchUnderlay } from './underlayWatch.js';

/** Where the settings come from: a file, or just our own address. */
export type Source = { readonly config: string } | { readonly vtep: string };

export interface DaemonOptions {
  readonly source: Source;
  /** Overrides the file's `control.socket`. */
  readonly socket?: string | undefined;
}

export interface DaemonParts {
  readonly datapath: Datapath;
  readonly namespaces: Namespaces;
  readonly log: Logger;
  /** The datapath failed in a way that is a bug of ours; the process should end. */
  readonly fatal: (detail: string) => void;
}

export interface Daemon {
  readonly socket: string;
  readonly operations: Operations;
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
  try {
    return await open({ configPath, parsed, socket, parts, closers });
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

interface Opening {
  readonly configPath: string | undefined;
  readonly parsed: ParsedConfig;
  readonly socket: string;
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

  const statePath = statePathOf(socket);
  const { state, broken } = await loadState(statePath, new Date());
  if (broken !== undefined) log.error({ broken }, 'state file');
  const reconciler = new Reconciler({
    datapath,
    namespaces: parts.namespaces,
    log,
    now: () => performance.now(),
  });
  const { vtep, networks: file, datapath: engine } = parsed.config;
  const probe = datapath.probe();
  const underlayMtu = underlayMtuOf(vtep.address, probe.interfaces);
  const overlay = new Overlay(
    { vtep, datapath: engine, owner: socket, file, hasFile: configPath !== undefined, underlayMtu },
    state,
    {
      reconciler,
      namespaces: parts.namespaces,
      prepare: (next) => prepareState(statePath, next),
      log,
    },
  );
  closers.push(() => datapath.stop());
  closers.push(() => overlay.stop());
  try {
    await overlay.start();
  } catch (error) {
    const taken = error instanceof SwitchError && error.code === 'PORT_IN_USE';
    throw taken ? await nameOwner(error, probe) : error;
  }
  const pump = new EventPump(
    datapath,
    { portGone: (port) => overlay.portGone(port), fatal: parts.fatal },
    log,
  );
  closers.push(() => pump.stop());
  datapath.start(() => pump.wake());
  closers.push(watchUnderlay(datapath, overlay, log));

  const warnings = broken === undefined ? [] : [broken];
  const operations = operationsOf({
    datapath,
    overlay,
    socket,
    configPath,
    config: parsed,
    warnings,
    log,
  });
  const api = await buildApi(operations, { version: VERSION, log });
  closers.push(() => api.close());
  closers.push(await listen(api, socket));
  log.info(
    { version: VERSION, vtep: vtep.address, socket, networks: overlay.networks.length },
    'ready',
  );

  let stopping: Promise<void> | undefined;
  return {
    socket,
    operations,
    reload: () => operations.reload().then(forget, forget),
    stop: () => {
      stopping ??= closeAll(closers);
      return stopping;
    },
  };
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
