// Another plugin gives the addresses: CNI spec 1.1.0, "Plugin Delegation".

import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { Call } from './call.js';
import { CniError, CODES } from './cniError.js';
import type { Command } from './environment.js';
import { OWN_IPAM } from './networkConfig.js';
import { type ProgramEnd, runProgram } from './program.js';
import { type Result, readResult } from './result.js';

const errorSchema = z.object({
  code: z.int(),
  msg: z.string(),
  details: z.string().optional(),
});

/** Whether addresses come from elsewhere than the network's pools. */
export function isDelegated({ config }: Call): boolean {
  return config.ipam.type !== OWN_IPAM;
}

/**
 * Calls the plugin with the configuration and the environment that we got, but for the command. Nothing
 * happens where addresses are ours. Throws what it refuses, word for word.
 */
export async function delegate(call: Call, command: Command): Promise<void> {
  if (isDelegated(call)) requireEnd(call, await execute(call, command));
}

/** The addresses that the plugin gives for ADD: one at least. What it gave otherwise is given back. */
export async function addressesOfPlugin(call: Call): Promise<Result> {
  const { type } = call.config.ipam;
  const end = await execute(call, 'ADD');
  try {
    requireEnd(call, end);
    const result = readResult(decoded(end.stdout), `the answer of ${type}`);
    if (result.ips.length > 0) return result;
    throw new CniError(CODES.refused, `the IPAM plugin ${type} gave no address`);
  } catch (error) {
    await delegate(call, 'DEL').catch(() => {});
    throw error;
  }
}

/** Of a plugin that succeeded, or was ended; throws what it refuses. */
async function execute(call: Call, command: Command): Promise<ProgramEnd> {
  const { type } = call.config.ipam;
  const path = find(type, call.environment.path);
  const env = { ...call.variables, CNI_COMMAND: command };
  const end = await runProgram({ path, args: [], env, input: call.input }).catch((error) => {
    throw new CniError(CODES.refused, `cannot run the IPAM plugin ${path}`, String(error));
  });
  if (end.code === 0 || end.code === undefined) return end;
  const said = errorSchema.safeParse(decoded(end.stdout)).data;
  if (said !== undefined) throw new CniError(said.code, said.msg, said.details);
  throw new CniError(CODES.refused, `the IPAM plugin ${path} failed with ${end.code}`, end.stderr);
}

function requireEnd({ config }: Call, { code, stderr }: ProgramEnd): void {
  if (code === 0) return;
  throw new CniError(CODES.tryAgain, `the IPAM plugin ${config.ipam.type} was ended`, stderr);
}

function find(type: string, folders: readonly string[]): string {
  const found = folders.map((folder) => join(folder, type)).find(isExecutable);
  if (found !== undefined) return found;
  throw new CniError(
    CODES.badConfig,
    `there is no IPAM plugin ${type}: install it, or leave \`ipam\` out for the network's own pools`,
    `CNI_PATH=${folders.join(':')}`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
