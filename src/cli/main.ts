// vswitchctl: arguments to commands, failures to one sentence and an exit code.

import { type Command, CommanderError } from 'commander';
import { ControlClient, errorBody, type Patience, Refused } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import type { Context, InputStream, OutputStream, Runner } from './context.js';
import { controlProgram } from './program.js';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Standard output as it is, for what is no text. */
  readonly stdout: OutputStream;
  /** Path of vswitchd's program, for what needs no daemon that runs. */
  readonly daemonProgram?: string | undefined;
  /** Absent where nobody can type. */
  readonly stdin?: InputStream | undefined;
  /** Ends the command at once, whatever it waits for: exit code 130. */
  readonly signal: AbortSignal;
  /** How long to wait for answers; absent = as the client does. */
  readonly patience?: Patience | undefined;
}

const DONE = 0;
const REFUSED = 1;
const BAD_USAGE = 2;
/** 128 + SIGINT, as shells have it. */
const INTERRUPTED = 130;

/**
 * Runs one command line (without node and script). Resolves to the exit code: 0 done, 1 refused or
 * the answer is a bad one, 2 bad usage, 130 interrupted.
 */
export async function runControl(args: readonly string[], terminal: Terminal): Promise<number> {
  const { signal, patience, daemonProgram } = terminal;
  let done = DONE;
  const fail = () => {
    done = REFUSED;
  };
  const run: Runner =
    <Args extends readonly unknown[]>(action: (context: Context, ...args: Args) => Promise<void>) =>
    async (...args: [...Args, ...unknown[]]) => {
      const { socket, json = false } = program.opts<{ socket: string; json?: true }>();
      const client = new ControlClient({ socket, signal, patience });
      const print = (text: string) => terminal.out(`${text}\n`);
      const note = (text: string) => terminal.err(`${text}\n`);
      try {
        await action(
          {
            ...{ client, socket, json, print, note, signal, fail, daemonProgram },
            ...{ stdout: terminal.stdout, stdin: terminal.stdin },
          },
          ...(args as unknown as Args),
        );
      } finally {
        await client.close();
      }
    };
  const program = controlProgram(run);
  prepare(program, terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
    return done;
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : BAD_USAGE;
    if (!(error instanceof Refused) && !(error instanceof SwitchError)) throw error;
    const body = error instanceof Refused ? error.body : errorBody(error);
    const { json } = program.opts<{ json?: true }>();
    terminal.err(json ? `${JSON.stringify(body, null, 2)}\n` : `vswitchctl: ${body.message}\n`);
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
