// vswitch-cni: one call of a container runtime, CNI spec 1.1.0.

import * as z from 'zod';
import { ControlClient } from '../control/client.js';
import { DEFAULT_SOCKET } from '../model/socket.js';
import { add } from './add.js';
import type { Call } from './call.js';
import { asCniError, CniError, CODES, errorResult } from './cniError.js';
import { type Command, readEnvironment, type Variables } from './environment.js';
import { check, status } from './look.js';
import { readNetworkConfig } from './networkConfig.js';
import { collectGarbage, del } from './remove.js';
import { formatResult, type Result } from './result.js';
import { LATEST, requireVersion, SUPPORTED_VERSIONS } from './version.js';

export interface Outcome {
  /** 0 done, 1 refused. */
  readonly exitCode: 0 | 1;
  /** For standard output: a result or an error; empty where success has nothing to say. */
  readonly output: string;
}

/** Runs the command that `variables` name on the configuration `input`. Never rejects. */
export async function runCni(variables: Variables, input: string): Promise<Outcome> {
  let version: string = LATEST;
  try {
    const environment = readEnvironment(variables);
    const { command } = environment;
    const raw = decode(input, command);
    version = raw.cniVersion ?? (command === 'VERSION' ? LATEST : '0.1.0');
    if (command === 'VERSION') return printed(versions(version));
    const spoken = requireVersion(version, command);
    const config = readNetworkConfig(raw, environment);
    const client = new ControlClient({
      socket: config.socket ?? DEFAULT_SOCKET,
      signal: new AbortController().signal,
      patience: PATIENCE,
    });
    try {
      const call = { version: spoken, environment, config, input, variables, client };
      const result = await commands[command](call);
      return result === undefined ? DONE : printed(formatResult(spoken, result));
    } finally {
      await client.close();
    }
  } catch (error) {
    return { ...printed(errorResult(version, refusal(error))), exitCode: 1 };
  }
}

/** What each command does; only ADD has a result. */
const commands: Readonly<
  Record<Exclude<Command, 'VERSION'>, (call: Call) => Promise<Result | undefined>>
> = {
  ADD: add,
  DEL: del,
  CHECK: check,
  GC: collectGarbage,
  STATUS: status,
};

function versions(cniVersion: string): object {
  return { cniVersion, supportedVersions: SUPPORTED_VERSIONS };
}

/** Throws code 6. VERSION may come without configuration. */
function decode(input: string, command: Command): z.output<typeof versioned> {
  if (command === 'VERSION' && input.trim() === '') return {};
  try {
    return versioned.parse(JSON.parse(input));
  } catch (error) {
    throw new CniError(
      CODES.undecodable,
      'standard input is no CNI network configuration in JSON',
      (error as Error).message,
    );
  }
}

const versioned = z.looseObject({ cniVersion: z.string().optional() });

function printed(value: object): Outcome {
  return { exitCode: 0, output: `${JSON.stringify(value, null, 2)}\n` };
}

function refusal(error: unknown): CniError {
  const known = asCniError(error);
  if (known instanceof CniError) return known;
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CniError(CODES.internal, 'vswitch-cni failed: this is a bug of ours', details);
}

const DONE: Outcome = { exitCode: 0, output: '' };

/** Runtimes wait some minutes; milliseconds. */
const PATIENCE = { usual: 10_000, long: 30_000 };
