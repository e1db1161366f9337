/** A vswitchd in a host's namespace, with a configuration, a folder and a control socket of its own. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type * as z from 'zod';
import type { fileSchema } from '../../src/config/fileSchema.js';
import { ControlClient } from '../../src/control/client.js';
import type { CountersView, FdbView, NetworkCountersView } from '../../src/control/views.js';
import { assertBalanced, drops } from './balance.js';
import type { Child, Exit } from './child.js';
import { eventually } from './eventually.js';
import { type ExecResult, temporaryDirectory } from './netns.js';
import type { OrdinaryUser } from './ordinaryUser.js';
import type { Scope } from './scope.js';
import type { Container, Family, Host } from './topology.js';

type ConfigFile = z.input<typeof fileSchema>;
export type NetworkConfig = NonNullable<ConfigFile['networks']>[number];
export type PortConfig = NonNullable<NetworkConfig['ports']>[number];

export interface VswitchdSpec {
  readonly family?: Family;
  readonly networks: readonly NetworkConfig[];
  /** Beside the address, which is the host's. */
  readonly vtep?: Partial<ConfigFile['vtep']>;
  readonly datapath?: ConfigFile['datapath'];
  /** URL. */
  readonly store?: string;
  /** Where the page is. */
  readonly http?: ConfigFile['http'];
  /** Another than its own control socket. */
  readonly socket?: string;
  /** A program and its first arguments, which run vswitchd and vswitchctl as theirs. */
  readonly launcher?: readonly string[];
  /** Who runs it; default: who runs the test. */
  readonly user?: OrdinaryUser;
}

/** What `vswitchctl` refused: its exit code and its sentence. */
export class Refused extends Error {
  readonly exitCode: number | undefined;

  constructor(args: readonly string[], result: ExecResult) {
    super(
      `vswitchctl ${args.join(' ')}: exit ${result.exitCode}: ${result.stderr}${result.stdout}`,
    );
    this.exitCode = result.exitCode;
  }
}

/** configured -> running <-> ended. The scope ends it. */
export class Vswitchd {
  readonly host: Host;
  readonly folder: string;
  readonly socket: string;
  readonly #scope: Scope;
  readonly #family: Family;
  #spec: VswitchdSpec;
  #child: Child | undefined;

  private constructor(scope: Scope, host: Host, folder: string, spec: VswitchdSpec) {
    this.#scope = scope;
    this.host = host;
    this.folder = folder;
    this.socket = spec.socket ?? join(folder, 'control.sock');
    this.#family = spec.family ?? 4;
    this.#spec = spec;
  }

  /** Writes the configuration; nothing runs yet. */
  static async configure(scope: Scope, host: Host, spec: VswitchdSpec): Promise<Vswitchd> {
    const folder = await temporaryDirectory(scope, `vswitchd-${host.name}`);
    await spec.user?.own(folder);
    const vswitchd = new Vswitchd(scope, host, folder, spec);
    await vswitchd.configure(spec.networks);
    return vswitchd;
  }

  /** Returns when it answers and forwards. */
  static async start(scope: Scope, host: Host, spec: VswitchdSpec): Promise<Vswitchd> {
    const vswitchd = await Vswitchd.configure(scope, host, spec);
    await vswitchd.start();
    return vswitchd;
  }

  get pid(): number {
    return this.child.pid;
  }

  get log(): string {
    return this.child.stderr;
  }

  get configFile(): string {
    return join(this.folder, 'vswitchd.yaml');
  }

  /** Replaces the networks of the configuration file; `reload` makes them so. */
  async configure(networks: readonly NetworkConfig[]): Promise<void> {
    this.#spec = { ...this.#spec, networks };
    const { vtep, datapath, store, http } = this.#spec;
    const file = {
      vtep: { address: this.host.address[this.#family], ...vtep },
      control: { socket: this.socket },
      ...(datapath && { datapath }),
      ...(store && { store }),
      ...(http && { http }),
      networks,
    };
    await writeFile(this.configFile, stringify(file));
  }

  /** Starts the process without waiting for anything: it may refuse. */
  async launch(): Promise<Child> {
    const [command, ...args] = this.#launched(PROGRAMS.vswitchd, '--config', this.configFile);
    this.#child = await this.host.namespace.spawn(this.#scope, { command, args, cwd: this.folder });
    return this.#child;
  }

  async start(): Promise<void> {
    const child = await this.launch();
    running.add(this);
    await this.#scope.defer(`vswitchd of ${this.host.name}`, () => running.delete(this));
    await child.waitForLine(/"msg":"ready"/, { within: 20_000 });
  }

  /** `vswitchctl --json ARGS`, parsed; throws `Refused`. */
  async ctl<T = unknown>(...args: string[]): Promise<T> {
    const result = await this.tryCtl('--json', ...args);
    if (result.exitCode !== 0) throw new Refused(args, result);
    return (result.stdout === '' ? undefined : JSON.parse(result.stdout)) as T;
  }

  /** `vswitchctl ARGS` as an operator sees it. */
  async tryCtl(...args: string[]): Promise<ExecResult> {
    const [command, ...rest] = this.ctlCommand(...args);
    return await this.host.namespace.tryExec(command, rest);
  }

  /** `vswitchctl ARGS` that goes on until something ends it. */
  async spawnCtl(scope: Scope, ...args: string[]): Promise<Child> {
    const [command, ...rest] = this.ctlCommand(...args);
    return await this.host.namespace.spawn(scope, { command, args: rest });
  }

  /** The words of `vswitchctl ARGS`, for a shell. */
  ctlCommand(...args: string[]): [string, ...string[]] {
    return this.#launched(PROGRAMS.vswitchctl, '--socket', this.socket, ...args);
  }

  #launched(...words: string[]): [string, ...string[]] {
    const { user, launcher = user?.words() ?? [] } = this.#spec;
    return [...launcher, process.execPath, ...words] as [string, ...string[]];
  }

  async counters(): Promise<CountersView> {
    return await this.#ask((client) => client.counters());
  }

  async network(name: string): Promise<NetworkCountersView> {
    const found = (await this.counters()).networks.find((network) => network.name === name);
    if (found === undefined) throw new Error(`no network ${name}`);
    return found;
  }

  async drops(reason: string): Promise<number> {
    return drops(await this.counters(), reason);
  }

  async fdb(network?: string): Promise<readonly FdbView[]> {
    return await this.#ask((client) => client.fdb(network));
  }

  /** Waits until `mac` is behind the named local port, or behind the remote VTEP of that address. */
  async learned(mac: string, where: { port?: string; vtep?: string }): Promise<void> {
    await eventually(`${mac} at ${JSON.stringify(where)} in ${this.host.name}`, async () => {
      const entry = (await this.fdb()).find((e) => e.mac === mac);
      if (entry && entry.port === where.port && entry.vtep === where.vtep) return true;
      throw new Error(JSON.stringify(entry));
    });
  }

  /** Waits until the counters add up and throws them when they never do. */
  async balanced(): Promise<void> {
    await eventually(
      `balanced counters of ${this.host.name}`,
      async () => {
        assertBalanced(await this.counters());
        return true;
      },
      { within: 5_000 },
    );
  }

  /** Makes the file's networks so. */
  async reload(networks: readonly NetworkConfig[]): Promise<void> {
    await this.configure(networks);
    await this.ctl('reload');
  }

  /** SIGTERM; the TAPs stay. */
  async stop(): Promise<Exit> {
    running.delete(this);
    return await this.child.stop();
  }

  /** SIGKILL. */
  async kill(): Promise<Exit> {
    running.delete(this);
    this.child.signal('SIGKILL');
    return await this.child.exited;
  }

  /** Resident memory in bytes, from /proc. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(status.match(/VmRSS:\s+(\d+) kB/)?.[1]) * 1024;
  }

  /** CPU time that all its threads used so far, in clock ticks of 10 ms, from /proc. */
  async cpuTicks(): Promise<number> {
    const stat = await readFile(`/proc/${this.pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15, proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  }

  /** Polling goes straight to the API: a process for each look would take most of a test's time. */
  async #ask<T>(question: (client: ControlClient) => Promise<T>): Promise<T> {
    const client = new ControlClient({ socket: this.socket, signal: AbortSignal.timeout(60_000) });
    try {
      return await question(client);
    } finally {
      await client.close();
    }
  }

  get child(): Child {
    if (this.#child === undefined) throw new Error('vswitchd was not started');
    return this.#child;
  }
}

/** The port of a container whose interface vswitchd makes. */
export function portOf(container: Container): PortConfig {
  return {
    name: container.name,
    netns: container.namespace.name,
    ifname: container.ifname,
    mac: container.mac,
    addresses: [`${container.address[4]}/24`, `${container.address[6]}/64`],
  };
}

/** The same as arguments of `vswitchctl port add NETWORK`. */
export function portArguments(container: Container): string[] {
  const { name, namespace, ifname, mac, address } = container;
  return [
    ...['--name', name, '--netns', namespace.name, '--ifname', ifname, '--mac', mac],
    ...['--address', `${address[4]}/24`, '--address', `${address[6]}/64`],
  ];
}

/** Those that were started and neither stopped nor killed by their test. */
export const running = new Set<Vswitchd>();

const program = (name: string) =>
  fileURLToPath(new URL(`../../dist/bin/${name}.js`, import.meta.url));
export const PROGRAMS = { vswitchd: program('vswitchd'), vswitchctl: program('vswitchctl') };
