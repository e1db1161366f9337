// The process around a daemon: command line, signals, exit codes.

import { CommanderError } from 'commander';
import { loadAddon } from '../datapath/binding.js';
import { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import { namespaceAt } from '../overlay/namespaces.js';
import { type Daemon, startDaemon } from './daemon.js';
import { stderrLog } from './log.js';
import { type CommandLine, parseCommandLine } from './options.js';

const REFUSED = 1;
const BAD_USAGE = 2;
/** EX_SOFTWARE of sysexits(3): a bug of ours. */
const OUR_BUG = 70;

/** Runs until a signal ends it. Sets the exit code: 0 stopped, 1 refused, 2 bad usage, 70 our bug. */
export async function main(args: readonly string[]): Promise<void> {
  const line = commandLine(args);
  if (line === undefined) return;
  const log = stderrLog(line.logLevel);
  const fatal = (detail: string) => {
    log.fatal({ detail }, 'this is a bug of vswitchd: please report it with this log');
    process.exit(OUR_BUG);
  };
  process.on('uncaughtException', (error) => fatal(error.stack ?? error.message));
  let daemon: Daemon | undefined;
  // From the first moment: the default action would end a daemon that is still starting.
  process.on('SIGHUP', () => void daemon?.reload());
  try {
    const datapath = new Datapath(loadAddon());
    daemon = await startDaemon(line, { datapath, namespaces: namespaceAt, log, fatal });
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error;
    process.stderr.write(`vswitchd: ${error.message}\n`);
    process.exitCode = REFUSED;
    return;
  }
  const { stop } = daemon;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, async () => {
      log.info({ signal }, 'stopping');
      await stop();
      log.info('stopped');
      process.exit(0);
    });
  }
}

function commandLine(args: readonly string[]): CommandLine | undefined {
  try {
    return parseCommandLine(args, (text) => process.stderr.write(text));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : BAD_USAGE;
    return undefined;
  }
}
