/** What a container runtime does with CNI plugins, as cnitool does: variables, a configuration, an answer. */

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { Namespace } from './netns.js';

/** `vswitch-cni` as the build makes it; the folder may stand in CNI_PATH. */
export const VSWITCH_CNI = fileURLToPath(new URL('../../dist/bin/vswitch-cni.js', import.meta.url));

/** Where Debian has the plugins of the CNI project. */
export const PLUGINS = '/usr/lib/cni';

export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly { name: string; mac?: string; mtu?: number; sandbox?: string }[];
  readonly ips?: readonly {
    version?: string;
    address: string;
    gateway?: string;
    interface?: number;
  }[];
  readonly routes?: readonly { dst: string; gw?: string }[];
  readonly dns?: object;
}

/** An error object of the spec. */
export class CniFailure extends Error {
  readonly code: number;
  readonly details: string;

  constructor(what: string, { code, msg, details = '' }: CniErrorObject) {
    super(`${what}: ${code} ${msg} (${details})`);
    this.code = code;
    this.details = details;
  }
}

interface CniErrorObject {
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

export interface PluginCall {
  readonly command: string;
  readonly config: object;
  readonly container?: Namespace;
  /** Instead of the usual, or more of them; empty text = as if it were not set. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly plugin?: string;
  /** Where the plugin runs; absent = here. */
  readonly namespace?: Namespace;
}

/**
 * Runs one plugin once with nothing of our own environment but PATH. Gives what it printed as JSON, `undefined`
 * for nothing; throws `CniFailure` for an error of the spec, and an ordinary error for anything else.
 */
export async function callPlugin({ command, config, container, ...rest }: PluginCall) {
  const { variables = {}, plugin = VSWITCH_CNI, namespace } = rest;
  const of = container && {
    CNI_CONTAINERID: container.name,
    CNI_NETNS: container.path,
    CNI_IFNAME: 'eth0',
  };
  const env = {
    PATH: process.env.PATH ?? '',
    ...{ CNI_COMMAND: command, CNI_PATH: `${dirname(VSWITCH_CNI)}:${PLUGINS}` },
    ...of,
    ...variables,
  };
  const argv = namespace === undefined ? [] : ['nsenter', `--net=${namespace.path}`];
  return await runPlugin([...argv, plugin], env, JSON.stringify(config));
}

/** The same with exactly these variables and this text. */
export async function runPlugin(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string,
): Promise<CniResult | undefined> {
  const [file = '', ...args] = argv;
  const end = await execa(file, args, { env, extendEnv: false, input, reject: false });
  const what = `${env.CNI_COMMAND} of ${argv.join(' ')}`;
  const answer = end.stdout === '' ? undefined : (JSON.parse(end.stdout) as unknown);
  if (end.exitCode === 0) return answer as CniResult | undefined;
  if (end.exitCode === undefined || answer === undefined) {
    throw new Error(`${what} ended with ${end.exitCode}: ${end.stderr} ${end.message}`);
  }
  throw new CniFailure(what, answer as CniErrorObject);
}

/** The error object that `call` ends with; throws when it succeeds. */
export async function failureOf(call: Promise<unknown>): Promise<CniFailure> {
  const answer = await call.catch((error: unknown) => error);
  if (answer instanceof CniFailure) return answer;
  throw answer instanceof Error ? answer : new Error(`it succeeded: ${JSON.stringify(answer)}`);
}

/** A plugin of the CNI project. */
export function pluginPath(name: string): string {
  return join(PLUGINS, name);
}
