// What every command of vswitchctl gets.

import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import type { ControlClient } from '../control/client.js';

export interface Context {
  /** Connects at the first request. */
  readonly client: ControlClient;
  /** Path of the control socket. */
  readonly socket: string;
  /** `--json`: the API's answer instead of tables. */
  readonly json: boolean;
  /** Writes to standard output, with a line feed. */
  print(text: string): void;
  /** Writes to standard error, with a line feed. */
  note(text: string): void;
  readonly stdout: OutputStream;
  /** Path of vswitchd's program in this installation; absent where only the socket may be asked. */
  readonly daemonProgram?: string | undefined;
  /** Absent where nobody can type. */
  readonly stdin?: InputStream | undefined;
  /** Aborted when the command shall end at once. */
  readonly signal: AbortSignal;
  /** The answer was printed, and it is no good one: exit code 1. */
  fail(): void;
}

/** As `process.stdout`: a descriptor, where it is no pipe, and whether people look at it. */
export type OutputStream = Writable & {
  readonly fd?: number;
  readonly isTTY?: boolean;
  /** Of a terminal. */
  readonly columns?: number;
  readonly rows?: number;
};

/** As `process.stdin`. */
export type InputStream = Readable & {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
};

/** Adds one command to `program`. Its action gets the context from `run`. */
export type Register = (program: Command, run: Runner) => void;

/** Makes a commander action: the last two arguments that commander passes are options and command. */
export type Runner = <Args extends readonly unknown[]>(
  action: (context: Context, ...args: Args) => Promise<void>,
) => (...args: [...Args, ...unknown[]]) => Promise<void>;

/** Prints the answer as JSON, or as `human` shows it. */
export function show<T>(context: Context, answer: T, human: (answer: T) => string): void {
  context.print(context.json ? JSON.stringify(answer, null, 2) : human(answer));
}
