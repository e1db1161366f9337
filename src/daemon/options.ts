// The command line of vswitchd.

import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  DOCKER_DEFAULTS,
  type HttpSettings,
  httpSchema,
  socketSchema,
} from '../config/fileSchema.js';
import { type StoreSettings, storeSchema } from '../config/storeSchema.js';
import { DEFAULT_SOCKET, DEFAULT_SOCKET_TEXT } from '../model/socket.js';
import { VERSION } from '../model/version.js';
import { statePathOf } from '../store/stateFile.js';
import type { DaemonOptions, Source } from './daemon.js';
import { LOG_LEVELS, type LogLevel } from './log.js';

/** Switch, or tell what this host offers (with or without knowing what for), and end. */
export type CommandLine =
  | ({ readonly task: 'run'; readonly logLevel: LogLevel } & DaemonOptions)
  | {
      readonly task: 'doctor';
      readonly source: Source | undefined;
      readonly store?: StoreSettings | undefined;
      /** The API's answer instead of text. */
      readonly json?: true | undefined;
    };

/** Where text goes that commander writes: what was asked for, and what is wrong. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

interface Raw {
  readonly config?: string;
  readonly vtep?: string;
  readonly store?: StoreSettings;
  readonly docker?: true;
  readonly http?: HttpSettings['listen'];
  readonly httpTokenFile?: string;
  readonly socket?: string;
  readonly logLevel: LogLevel;
  readonly doctor?: true;
  readonly json?: true;
}

/** The command line of vswitchd, as help and manual tell it. */
export function daemonProgram(): Command {
  return new Command('vswitchd')
    .description(
      'Userspace VXLAN switch. Runs in the foreground; SIGTERM stops it (TAPs stay), SIGHUP reloads the file.',
    )
    .version(VERSION)
    .addOption(new Option('--config <file>', 'configuration file (YAML)').conflicts('vtep'))
    .option('--vtep <address>', 'run without a file, with this VTEP address')
    .addOption(
      new Option('--store <url>', 'where hosts share networks (default: local)').argParser(storeOf),
    )
    .option('--docker', "serve Docker's network and IPAM drivers `vswitch`")
    .addOption(
      new Option('--http <address:port>', 'serve the page, as on 127.0.0.1:4780').argParser(
        listenOf,
      ),
    )
    .addOption(
      new Option(
        '--http-token-file <file>',
        'what the page asks for, which it must elsewhere than on loopback',
      ).argParser((path) => resolve(path)),
    )
    .addOption(
      new Option(
        '--socket <path>',
        `control socket (default: the file's, or ${DEFAULT_SOCKET_TEXT})`,
      )
        .env('VSWITCHD_SOCKET')
        .argParser(socketOf),
    )
    .addOption(
      new Option('--log-level <level>', 'least level logged').choices(LOG_LEVELS).default('info'),
    )
    .option(
      '--doctor',
      'tell what this host offers and lacks, and end: 1 when it lacks what is needed',
    )
    .option('--json', 'the report of --doctor as JSON')
    .addHelpText('after', LASTING);
}

/**
 * Parses arguments (without node and script). Throws `CommanderError` on bad usage, --help and
 * --version, after telling so to `output`.
 */
export function parseCommandLine(args: readonly string[], output: Output): CommandLine {
  const command = daemonProgram()
    .configureOutput({ writeOut: output.out, writeErr: output.err })
    .exitOverride();
  command.parse(args, { from: 'user' });
  const { config, vtep, store, docker, socket, logLevel, doctor, ...rest } = command.opts<Raw>();
  const { http: listen, httpTokenFile: token_file } = rest;
  if (token_file !== undefined && listen === undefined)
    return command.error("error: '--http-token-file' goes with '--http'");
  const http = listen && { listen, ...(token_file !== undefined && { token_file }) };
  const source = config !== undefined ? { config } : vtep !== undefined ? { vtep } : undefined;
  if (rest.json && !doctor) return command.error("error: '--json' goes with '--doctor'");
  if (doctor) return { task: 'doctor', source, store, json: rest.json };
  if (source !== undefined) {
    const overrides = { store, http, ...(docker && { docker: DOCKER_DEFAULTS }) };
    return { task: 'run', source, socket, logLevel, ...overrides };
  }
  return command.error("error: one of '--config <file>' and '--vtep <address>' is needed");
}

function storeOf(url: string): StoreSettings {
  const { data, error } = storeSchema.safeParse(url);
  if (data === undefined) throw new InvalidArgumentError(`Allowed: ${error?.issues[0]?.message}.`);
  return data;
}

function listenOf(text: string): HttpSettings['listen'] {
  const { data, error } = httpSchema.shape.listen.safeParse(text);
  if (data === undefined) throw new InvalidArgumentError(`Allowed: ${error?.issues[0]?.message}.`);
  return data;
}

function socketOf(path: string): string {
  const { data, error } = socketSchema.safeParse(resolve(path));
  if (data === undefined) throw new InvalidArgumentError(`Allowed: ${error?.issues[0]?.message}.`);
  return data;
}

const LASTING = `
Networks made with vswitchctl are in the store; with the store local that is a file
beside the control socket. What belongs to this host alone is kept there too (by
default in ${statePathOf(DEFAULT_SOCKET)}): it survives a restart of
vswitchd, but under /run not a reboot.`;
