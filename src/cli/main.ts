// vswitchctl: arguments to commands, failures to one sentence and an exit code.

import { Command, CommanderError, Option } from 'commander';
import { ControlClient, Refused } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import { DEFAULT_SOCKET } from '../model/socket.js';
import { VERSION } from '../model/version.js';
import type { Context, Runner } from './context.js';
import { registerDoctor } from './doctor.js';
import { registerDrops } from './drops.js';
import { registerFdb } from './fdb.js';
import { registerNetwork } from './network.js';
import { registerPeer } from './peer.js';
import { registerPort } from './port.js';
import { registerPurge } from './purge.js';
import { registerReload } from './reload.js';
import { registerStats } from './stats.js';
import { registerStatus } from './status.js';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Ends `--watch`. */
  readonly signal: AbortSignal;
}

const DONE = 0;
const REFUSED = 1;
const BAD_USAGE = 2;

const commands = [
  registerStatus,
  registerDoctor,
  registerNetwork,
  registerPort,
  registerPeer,
  registerFdb,
  registerStats,
  registerDrops,
  registerReload,
  registerPurge,
];

/** Runs one command line (without node and script). Resolves to the exit code: 0 done, 1 refused, 2 bad usage. */
export async function runControl(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = new Command('vswitchctl')
    .description('Shows and changes what vswitchd does on this host.')
    .version(VERSION)
    .addOption(
      new Option('--socket <path>', 'control socket of vswitchd')
        .env('VSWITCHD_SOCKET')
        .default(DEFAULT_SOCKET),
    )
    .option('--json', "print the API's answer as JSON");
  const run: Runner =
    <Args extends readonly unknown[]>(action: (context: Context, ...args: Args) => Promise<void>) =>
    async (...args: [...Args, ...unknown[]]) => {
      const { socket, json = false } = program.opts<{ socket: string; json?: true }>();
      const client = new ControlClient(socket);
      const print = (text: string) => terminal.out(`${text}\n`);
      try {
        const context = { client, json, print, signal: terminal.signal };
        await action(context, ...(args as unknown as Args));
      } finally {
        await client.close();
      }
    };
  for (const register of commands) register(program, run);
  prepare(program, terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
    return DONE;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : BAD_USAGE;
    if (!(error instanceof Refused) && !(error instanceof SwitchError)) throw error;
    terminal.err(`vswitchctl: ${error.message}\n`);
    return REFUSED;
  }
}

/** Global options work behind the command too; nothing exits or prints behind our back. */
function prepare(command: Command, terminal: Terminal): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => terminal.out(text),
    writeErr: (text) => terminal.err(text),
  });
  for (const child of command.commands) prepare(child, terminal);
}
