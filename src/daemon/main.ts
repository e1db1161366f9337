// The process around a daemon: command line, signals, exit codes.

import { CommanderError } from 'commander';
import { configOfVtep, readConfig } from '../config/parse.js';
import type { StoreSettings } from '../config/storeSchema.js';
import type { DoctorView } from '../control/views.js';
import { loadAddon } from '../datapath/binding.js';
import { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import { namespaceAt } from '../overlay/namespaces.js';
import { peersOf } from '../overlay/plan.js';
import { openStore } from '../store/openStore.js';
import { type Daemon, startDaemon } from './daemon.js';
import type { Purpose } from './doctor/facts.js';
import { gatherFacts, THIS_MACHINE } from './doctor/gather.js';
import { NO_PURPOSE, purposeOf } from './doctor/purpose.js';
import { diagnose } from './doctor/report.js';
import { stderrLog } from './log.js';
import { type CommandLine, parseCommandLine } from './options.js';
import { ServiceManager } from './serviceManager.js';

const REFUSED = 1;
const BAD_USAGE = 2;
/** EX_SOFTWARE of sysexits(3): a bug of ours. */
const OUR_BUG = 70;

/** How the process talks. The rest of what it says is its log. */
export interface Voice {
  /** The report of `--doctor`, as people read it, in so many columns. */
  readonly doctorText: (doctor: DoctorView, columns?: number) => string;
}

/**
 * Runs until a signal ends it. Sets the exit code: 0 stopped, 1 refused (with --doctor: not ready),
 * 2 bad usage, 70 our bug.
 */
export async function main(args: readonly string[], { doctorText }: Voice): Promise<void> {
  const line = commandLine(args);
  if (line === undefined) return;
  try {
    if (line.task === 'run') await run(line);
    else {
      const doctor = await examine(line);
      const { columns } = process.stdout;
      const text = line.json ? JSON.stringify(doctor, null, 2) : doctorText(doctor, columns);
      process.stdout.write(`${text}\n`);
      if (!doctor.ready) process.exitCode = REFUSED;
    }
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error;
    process.stderr.write(`vswitchd: ${error.message}\n`);
    process.exitCode = REFUSED;
  }
}

/** What this host offers; for what the source wants, where there is one. */
async function examine({ source, store }: DoctorLine): Promise<DoctorView> {
  const purpose = await purposeIn(source, store);
  const probe = () => new Datapath(loadAddon()).probe();
  return diagnose(await gatherFacts(THIS_MACHINE, probe, purpose));
}

async function purposeIn(
  source: DoctorLine['source'],
  store: StoreSettings | undefined,
): Promise<Purpose> {
  if (source === undefined) return NO_PURPOSE;
  const { config } =
    'config' in source ? await readConfig(source.config) : configOfVtep(source.vtep);
  const { vtep, networks, docker } = config;
  const peers = networks.flatMap((network) => peersOf(network, vtep));
  const asked = await askStore(store ?? config.store);
  return purposeOf({ vtep, networks, peers, servesDocker: docker !== undefined, store: asked });
}

/** Undefined of a store that is a file of the daemon. */
async function askStore(settings: StoreSettings): Promise<Purpose['store']> {
  if (settings.kind === 'local') return undefined;
  const { store } = await openStore(settings, { path: '' });
  try {
    await store.snapshot();
    return { name: store.name, state: 'connected' };
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error;
    const { detail } = error.facts;
    return { name: store.name, state: 'connecting', ...(detail && { detail }) };
  } finally {
    await store.close();
  }
}

type DoctorLine = Extract<CommandLine, { task: 'doctor' }>;

async function run(line: Extract<CommandLine, { task: 'run' }>): Promise<void> {
  const log = stderrLog(line.logLevel);
  const fatal = (detail: string) => {
    log.fatal({ detail }, 'this is a bug of vswitchd: please report it with this log');
    process.exit(OUR_BUG);
  };
  process.on('uncaughtException', (error) => fatal(error.stack ?? error.message));
  let daemon: Daemon | undefined;
  // From the first moment: the default action would end a daemon that is still starting.
  let early = false;
  const reload = async ({ reload }: Daemon) => {
    manager.reloading();
    await reload();
    manager.ready();
  };
  process.on('SIGHUP', () => {
    early = daemon === undefined;
    if (daemon !== undefined) void reload(daemon);
  });
  const datapath = new Datapath(loadAddon());
  const manager = new ServiceManager(datapath, process.env, log);
  daemon = await startDaemon(line, {
    ...{ datapath, namespaces: namespaceAt, machine: THIS_MACHINE, log, fatal },
  });
  // The file may have changed after it was read.
  if (early) void reload(daemon);
  else manager.ready();
  const { stop } = daemon;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, async () => {
      log.info({ signal }, 'stopping');
      manager.stopping();
      await stop();
      log.info('stopped');
      process.exit(0);
    });
  }
}

function commandLine(args: readonly string[]): CommandLine | undefined {
  try {
    return parseCommandLine(args, {
      out: (text) => void process.stdout.write(text),
      err: (text) => void process.stderr.write(text),
    });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : BAD_USAGE;
    return undefined;
  }
}
