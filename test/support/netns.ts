/**
 * Network namespaces with names of their own, so that tests touch nothing of the machine.
 *
 * Every name starts with the run's prefix (`vs` + the process id of the test runner): whatever carries it
 * after the run is a leftover, see `leftovers`.
 */

import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { Child, type ChildSpec } from './child.js';
import type { Scope } from './scope.js';

export interface ExecOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | undefined;
}

export class Namespace {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs to the end and returns stdout; throws with its output when it fails. */
  async exec(command: string, args: readonly string[], options: ExecOptions = {}): Promise<string> {
    const result = await execa('ip', ['netns', 'exec', this.name, command, ...args], {
      ...options,
    });
    return result.stdout;
  }

  /** Like `exec`, but a failure is an answer. */
  async tryExec(
    command: string,
    args: readonly string[],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    const argv = ['netns', 'exec', this.name, command, ...args];
    const { stdout, stderr, exitCode } = await execa('ip', argv, { ...options, reject: false });
    return { stdout, stderr, exitCode };
  }

  /** Starts a process that outlives this call; `pid` is the command's own. */
  async spawn(scope: Scope, spec: ChildSpec): Promise<Child> {
    const args = ['netns', 'exec', this.name, spec.command, ...spec.args];
    return await Child.start(scope, { ...spec, command: 'ip', args });
  }

  /** One `ip` command per line, without the word `ip`. */
  async ip(commands: string): Promise<void> {
    await execa('ip', ['-n', this.name, '-batch', '-'], { input: `${commands.trim()}\n` });
  }

  async ipJson<T>(...args: string[]): Promise<T> {
    const { stdout } = await execa('ip', ['-n', this.name, '-j', '-d', ...args]);
    return JSON.parse(stdout === '' ? '[]' : stdout) as T;
  }

  /** Sets `/proc/sys/net/...` values of this namespace. */
  async sysctl(values: Readonly<Record<string, string | number>>): Promise<void> {
    const script = Object.entries(values)
      .map(([key, value]) => `echo ${value} > /proc/sys/net/${key}`)
      .join('\n');
    await this.exec('sh', ['-ec', script]);
  }

  /** The counters of `/proc/net/snmp` and `snmp6`, such as `UdpInErrors`, `Udp6InErrors`. */
  async snmp(): Promise<Readonly<Record<string, number>>> {
    const v4 = (await this.exec('cat', ['/proc/net/snmp'])).trim().split('\n');
    const counters: Record<string, number> = {};
    for (let i = 0; i + 1 < v4.length; i += 2) {
      const [proto = '', ...names] = (v4[i] ?? '').split(/\s+/);
      const values = (v4[i + 1] ?? '').split(/\s+/).slice(1);
      for (const [n, name] of names.entries()) {
        counters[proto.replace(':', '') + name] = Number(values[n]);
      }
    }
    for (const line of (await this.exec('cat', ['/proc/net/snmp6'])).trim().split('\n')) {
      const [name = '', value] = line.split(/\s+/);
      counters[name] = Number(value);
    }
    return counters;
  }

  /** Removes the namespace. Fails, after killing it, when a process that nobody ended still lives in it. */
  async remove(): Promise<void> {
    const strays = await killStrays(this.name);
    await execa('ip', ['netns', 'del', this.name]);
    if (strays.length > 0) throw new Error(`still ran in ${this.name}: ${strays.join('; ')}`);
  }
}

/** A fresh namespace with `lo` up and without duplicate address detection, so that addresses work at once. */
export async function createNamespace(scope: Scope, label: string): Promise<Namespace> {
  created += 1;
  const namespace = new Namespace(`${runPrefix()}-${process.pid}-${created}-${label}`);
  await execa('ip', ['netns', 'add', namespace.name]);
  await scope.defer(`namespace ${namespace.name}`, async () => {
    // The test itself may have removed it.
    if ((await namespaceNames()).includes(namespace.name)) await namespace.remove();
  });
  await namespace.ip('link set dev lo up');
  await namespace.sysctl({
    'ipv6/conf/all/accept_dad': 0,
    'ipv6/conf/default/accept_dad': 0,
    'ipv6/conf/default/router_solicitations': 0,
  });
  return namespace;
}

/** A directory that goes with the scope. */
export async function temporaryDirectory(scope: Scope, label: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `${runPrefix()}-${label}-`));
  await scope.defer(directory, () => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** One pair of interfaces, each born in its namespace. */
export async function connect(
  a: { readonly namespace: Namespace; readonly ifname: string; readonly mtu?: number },
  b: { readonly namespace: Namespace; readonly ifname: string },
): Promise<void> {
  const mtu = a.mtu === undefined ? '' : `mtu ${a.mtu}`;
  await a.namespace.ip(`
    link add name ${a.ifname} ${mtu} type veth peer name ${b.ifname} ${mtu} netns ${b.namespace.name}
    link set dev ${a.ifname} up
  `);
  await b.namespace.ip(`link set dev ${b.ifname} up`);
}

/** The prefix of everything that this run makes. */
export function runPrefix(): string {
  return process.env[RUN_PREFIX] ?? `vs${process.pid}`;
}

/** Removes what carries the prefix and says what it was. */
export async function leftovers(prefix: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await namespaceNames()) {
    if (!name.startsWith(`${prefix}-`)) continue;
    const strays = await killStrays(name);
    await execa('ip', ['netns', 'del', name]);
    found.push(`namespace ${name}`, ...strays.map((stray) => `process in ${name}: ${stray}`));
  }
  for (const entry of await readdir(tmpdir())) {
    if (!entry.startsWith(`${prefix}-`)) continue;
    await rm(join(tmpdir(), entry), { recursive: true, force: true });
    found.push(`directory ${join(tmpdir(), entry)}`);
  }
  return found;
}

/**
 * Removes namespaces and folders of runs whose process is gone. Where a process still lives they stay: only the
 * run that started it may end it.
 */
export async function removeDeadRuns(): Promise<void> {
  const dead = (name: string) => {
    const pid = name.match(/^vs(\d+)-/)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  for (const name of (await namespaceNames()).filter(dead)) {
    const { stdout } = await execa('ip', ['netns', 'pids', name], { reject: false });
    if (stdout.trim() === '') await execa('ip', ['netns', 'del', name], { reject: false });
  }
  for (const entry of (await readdir(tmpdir())).filter(dead)) {
    await rm(join(tmpdir(), entry), { recursive: true, force: true });
  }
}

async function namespaceNames(): Promise<readonly string[]> {
  // Without any namespace the folder does not exist.
  return await readdir('/run/netns').catch(() => []);
}

/** Kills what lives in the namespace and returns the command lines. */
async function killStrays(namespace: string): Promise<readonly string[]> {
  const { stdout } = await execa('ip', ['netns', 'pids', namespace], { reject: false });
  const strays: string[] = [];
  for (const pid of stdout.split(/\s+/).filter((word) => word !== '')) {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    try {
      process.kill(Number(pid), 'SIGKILL');
      strays.push(`${pid} ${raw.replaceAll('\0', ' ').trim()}`);
    } catch {
      // It ended between the two looks.
    }
  }
  return strays;
}

/** Set by the run's set-up so that all its worker processes share one prefix. */
export const RUN_PREFIX = 'VSWITCH_TEST_RUN';

let created = 0;
