// The command line of vswitchd.

import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { socketSchema, storeSchema } from '../config/fileSchema.js';
import { VERSION } from '../model/version.js';
import type { DaemonOptions } from './daemon.js';
import { LOG_LEVELS, type LogLevel } from './log.js';

export interface CommandLine extends DaemonOptions {
  readonly logLevel: LogLevel;
}

interface Raw {
  readonly config?: string;
  readonly vtep?: string;
  readonly store: string;
  readonly socket?: string;
  readonly logLevel: LogLevel;
}

/**
 * Parses arguments (without node and script). Throws `CommanderError` on bad usage, --help and
 * --version, after telling so with `write`.
 */
export function parseCommandLine(
  args: readonly string[],
  write: (text: string) => void,
): CommandLine {
  const command = new Command('vswitchd')
    .description(
      'Userspace VXLAN switch. Runs in the foreground; SIGTERM stops it (TAPs stay), SIGHUP reloads the file.',
    )
    .version(VERSION)
    .addOption(new Option('--config <file>', 'configuration file (YAML)').conflicts('vtep'))
    .option('--vtep <address>', 'run without a file, with this VTEP address')
    .addOption(
      new Option('--store <url>', 'where hosts share networks').default('local').argParser(storeOf),
    )
    .addOption(
      new Option('--socket <path>', 'control socket').env('VSWITCHD_SOCKET').argParser(socketOf),
    )
    .addOption(
      new Option('--log-level <level>', 'least level logged').choices(LOG_LEVELS).default('info'),
    )
    .configureOutput({ writeOut: write, writeErr: write })
    .exitOverride();
  command.parse(args, { from: 'user' });
  const { config, vtep, socket, logLevel } = command.opts<Raw>();
  if (config !== undefined) return { source: { config }, socket, logLevel };
  if (vtep !== undefined) return { source: { vtep }, socket, logLevel };
  return command.error("error: one of '--config <file>' and '--vtep <address>' is needed");
}

function storeOf(url: string): string {
  const { error } = storeSchema.safeParse(url);
  if (error !== undefined) throw new InvalidArgumentError(`Allowed: ${error.issues[0]?.message}.`);
  return url;
}

function socketOf(path: string): string {
  const { data, error } = socketSchema.safeParse(resolve(path));
  if (data === undefined) throw new InvalidArgumentError(`Allowed: ${error?.issues[0]?.message}.`);
  return data;
}
