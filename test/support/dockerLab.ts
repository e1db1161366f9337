/**
 * Docker hosts as tests use them: the commands of an operator, and what must be the same on all of them. The lab
 * itself is tools/lab.
 */

import { execa } from 'execa';
import { afterAll, beforeAll, expect } from 'vitest';
import { DockerLab, dockerCommand, vswitchctl } from '../../tools/lab/dockerLab.mjs';
import type { Host } from '../../tools/lab/host.mjs';
import { Child } from './child.js';
import { controlOf, expectedControl, placesInDocker, placesInStore } from './dockerAgreement.js';
import { eventually } from './eventually.js';
import { runPrefix } from './netns.js';
import { Scope } from './scope.js';

/** `global`: dockerd has the etcd as its cluster store. `local`: it has none, and our IPAM driver is used. */
export type DockerScope = 'global' | 'local';

/** What a command on a host refused, with everything that it printed. */
export class CommandFailed extends Error {
  readonly output: string;

  constructor(host: string, command: readonly string[], output: string) {
    super(`${host}# ${command.join(' ')}\n${output}`);
    this.output = output;
  }
}

/** A lab for all tests of a `describe`, handed over before the first; after the last nothing may be left in it. */
export function sharedLab(spec: LabSpec, use: (lab: TestLab) => void): void {
  const scope = new Scope();
  let lab: TestLab | undefined;
  beforeAll(async () => {
    lab = await TestLab.up(scope, spec);
    use(lab);
  });
  afterAll(async () => {
    try {
      await lab?.nothingLeft();
    } finally {
      await scope.close();
    }
  });
}

export interface LabSpec {
  readonly scope: DockerScope;
  /** 2 unless given. */
  readonly hosts?: number;
  /** Each vswitchd has a store of its own. */
  readonly isAlone?: boolean;
}

export class TestLab {
  readonly scope: DockerScope;
  readonly hosts: readonly [TestHost, TestHost, ...TestHost[]];
  readonly #lab: DockerLab;

  private constructor(lab: DockerLab, scope: DockerScope) {
    this.#lab = lab;
    this.scope = scope;
    const [first, second, ...others] = lab.hosts.map((host) => new TestHost(lab, host));
    if (first === undefined || second === undefined) throw new Error('a lab has two hosts');
    this.hosts = [first, second, ...others];
  }

  /** Hosts with vswitchd, dockerd and the image `bb`. The scope takes it down. */
  static async up(scope: Scope, spec: LabSpec): Promise<TestLab> {
    made += 1;
    const lab = new DockerLab({ name: `${runPrefix()}-${process.pid}-${made}`, ...spec });
    await scope.defer(`lab ${lab.name}`, () => lab.down());
    await lab.up();
    return new TestLab(lab, spec.scope);
  }

  get etcd(): DockerLab['etcd'] {
    return this.#lab.etcd;
  }

  /**
   * Makes a network as the scope wants it: once, or on every host. Unless told otherwise the others get only those of
   * `flags` that are for each Docker to know, as they join what is there. The scope removes it.
   */
  async network(
    scope: Scope,
    name: string,
    flags: readonly string[] = [],
    flagsOfOthers = flags.filter((flag) => ['--internal', '--ipv6'].includes(flag)),
  ): Promise<string> {
    const [first, ...others] = this.hosts;
    await scope.defer(`network ${name}`, () => this.removeNetwork(name));
    await first.docker('network', 'create', ...this.driver, ...flags, name);
    if (this.scope === 'local') {
      for (const host of others) {
        await host.docker('network', 'create', ...this.driver, ...flagsOfOthers, name);
      }
    }
    return name;
  }

  /** Flags of `docker network create`. */
  get driver(): readonly string[] {
    return ['-d', 'vswitch', ...(this.scope === 'local' ? ['--ipam-driver', 'vswitch'] : [])];
  }

  /** Everywhere; one that is gone is no error. */
  async removeNetwork(name: string): Promise<void> {
    for (const host of this.hosts) await host.tryDocker('network', 'rm', name);
  }

  /** Starts a container; the scope removes it. */
  async run(scope: Scope, on: TestHost, spec: ContainerSpec): Promise<TestContainer> {
    const { name, network, flags = [], command = [] } = spec;
    await scope.defer(`container ${name}`, () => on.tryDocker('rm', '-f', name));
    await on.docker('run', '-d', '--name', name, '--net', network, ...flags, 'bb', ...command);
    return new TestContainer(on, name, network);
  }

  /** Waits until Docker, the store and the tables of all hosts that are on say the same. */
  async agreed(within = 10_000): Promise<void> {
    const hosts = this.hosts.filter(({ host }) => host.isOn);
    await eventually(
      'Docker, the store and all tables agree',
      async () => {
        const stored = placesInStore(await this.stored());
        const networks = await this.hosts[0].overlayNetworks();
        expect(stored, 'the store has what Docker runs').toEqual(
          await placesInDocker(hosts, networks),
        );
        for (const host of hosts) {
          expect(await controlOf(host), `the tables of ${host.name}`).toEqual(
            expectedControl(stored, host.address),
          );
        }
        return true;
      },
      { within },
    );
  }

  /** Everything in the store, by key without the prefix. */
  async stored(): Promise<ReadonlyMap<string, string>> {
    const answer = await this.etcd.control('get', '--prefix', PREFIX, '-w', 'json');
    const { kvs = [] } = JSON.parse(answer) as { readonly kvs?: readonly KeyValue[] };
    const text = (base64: string) => Buffer.from(base64, 'base64').toString();
    return new Map(kvs.map(({ key, value }) => [text(key).slice(PREFIX.length), text(value)]));
  }

  /** Throws unless store and hosts are as if there had never been a network; only the hosts themselves are known. */
  async nothingLeft(): Promise<void> {
    await eventually('nothing is left of networks and containers', async () => {
      const keys = [...(await this.stored()).keys()];
      const left = keys.filter((key) => key !== 'store' && !key.startsWith('hosts/'));
      for (const host of this.hosts) {
        left.push(...(await host.taps()).map((tap) => `TAP ${tap} of ${host.name}`));
        const ports = await host.ctl<readonly { readonly name: string }[]>('port', 'ls');
        left.push(...ports.map(({ name }) => `port ${name} of ${host.name}`));
        left.push(
          ...(await host.overlayNetworks()).map((name) => `network ${name} of ${host.name}`),
        );
      }
      if (left.length > 0) throw new Error(left.join(', '));
      return true;
    });
  }

  /** From now on the store hears nothing of this host, until it is mended or the scope ends. */
  async cutFromStore(scope: Scope, host: TestHost): Promise<void> {
    await scope.defer(`cut of ${host.name}`, () => this.mendStore(host));
    await this.#filter('-A', host);
  }

  /** Takes the cut away; none is no error. */
  async mendStore(host: TestHost): Promise<void> {
    await this.#filter('-D', host).catch(() => {});
  }

  async #filter(verb: '-A' | '-D', { address }: TestHost): Promise<void> {
    const rule = ['INPUT', '-s', address, '-p', 'tcp', '--dport', '2379', '-j', 'DROP'];
    await execa('ip', ['netns', 'exec', this.#lab.fabric, 'iptables', verb, ...rule]);
  }

  /** Everything on this host runs again, with an empty Docker. */
  async boot(host: TestHost): Promise<void> {
    await this.#lab.boot(host.host);
  }
}

export interface ContainerSpec {
  readonly name: string;
  readonly network: string;
  /** Of `docker run`. */
  readonly flags?: readonly string[];
  readonly command?: readonly string[];
}

export class TestHost {
  readonly host: Host;
  readonly #lab: DockerLab;

  constructor(lab: DockerLab, host: Host) {
    this.#lab = lab;
    this.host = host;
  }

  get name(): string {
    return this.host.name;
  }

  get address(): string {
    return this.host.address;
  }

  /** Standard output, trimmed; throws `CommandFailed`. */
  async docker(...args: readonly string[]): Promise<string> {
    return await this.must([...dockerCommand, ...args]);
  }

  /** Like `docker`, but a failure is an answer. */
  async tryDocker(
    ...args: readonly string[]
  ): Promise<{ readonly code: number; readonly output: string }> {
    return await this.host.exec([...dockerCommand, ...args]);
  }

  /** `docker inspect -f FORMAT`, parsed as JSON. */
  async inspect<T>(what: string, format: string): Promise<T> {
    return JSON.parse(await this.docker('inspect', '-f', `{{json ${format}}}`, what)) as T;
  }

  /** `vswitchctl --json ARGS`, parsed. */
  async ctl<T>(...args: readonly string[]): Promise<T> {
    const stdout = await this.must([...vswitchctl, '--json', ...args]);
    return (stdout === '' ? undefined : JSON.parse(stdout)) as T;
  }

  async overlayNetworks(): Promise<readonly string[]> {
    const networks = await this.ctl<readonly { readonly name: string }[]>('network', 'ls');
    return networks.map(({ name }) => name);
  }

  async must(command: readonly string[]): Promise<string> {
    const { code, output, stdout } = await this.host.exec(command);
    if (code !== 0) throw new CommandFailed(this.name, command, output);
    return stdout.trim();
  }

  async startDockerd(flags: readonly string[] = []): Promise<void> {
    await this.#lab.startDockerd(this.host, { flags: [...flags] });
  }

  async startVswitchd(): Promise<void> {
    await this.#lab.startVswitchd(this.host);
  }

  /** Names of the TAPs in the host's own namespace: those of no container. */
  async taps(): Promise<readonly string[]> {
    const links = JSON.parse(await this.must(['ip', '-d', '-j', 'link'])) as readonly Link[];
    return links
      .filter(({ linkinfo }) => linkinfo?.info_kind === 'tun')
      .map(({ ifname }) => ifname);
  }
}

export class TestContainer {
  readonly host: TestHost;
  readonly name: string;
  readonly network: string;

  constructor(host: TestHost, name: string, network: string) {
    this.host = host;
    this.name = name;
    this.network = network;
  }

  /** Standard output, trimmed; throws `CommandFailed`. */
  async exec(...command: readonly string[]): Promise<string> {
    return await this.host.docker('exec', this.name, ...command);
  }

  async fails(...command: readonly string[]): Promise<boolean> {
    return (await this.host.tryDocker('exec', this.name, ...command)).code !== 0;
  }

  /** Pings by address or name until it is answered; names and tables reach other hosts in moments. */
  async reaches(to: string, within = 10_000): Promise<void> {
    const ping = () => this.exec('ping', '-c', '1', '-W', '1', to).then(() => true);
    await eventually(`${this.name} reaches ${to}`, ping, { within });
  }

  /** Not one of three pings is answered. */
  async cannotReach(to: string): Promise<boolean> {
    return await this.fails('ping', '-c', '3', '-i', '0.2', '-W', '1', to);
  }

  async address(network = this.network): Promise<string> {
    return (await this.#attachment(network)).IPAddress;
  }

  async address6(network = this.network): Promise<string> {
    return (await this.#attachment(network)).GlobalIPv6Address;
  }

  async mac(network = this.network): Promise<string> {
    return (await this.#attachment(network)).MacAddress;
  }

  /** The program and arguments that run one of this machine's programs in the container's network namespace. */
  async inside(command: readonly string[]): Promise<[string, ...string[]]> {
    const sandbox = await this.host.inspect<string>(this.name, '.NetworkSettings.SandboxKey');
    return [
      'nsenter',
      `--net=${this.host.host.path(sandbox.replace('/var/run', '/run'))}`,
      ...command,
    ];
  }

  /** Runs one of this machine's programs in its network namespace to the end. */
  async machineExec(command: readonly string[]): Promise<string> {
    const [program, ...args] = await this.inside(command);
    return (await execa(program, args)).stdout;
  }

  /** Starts one of this machine's programs in its network namespace. */
  async spawn(scope: Scope, command: readonly string[]): Promise<Child> {
    const [program, ...args] = await this.inside(command);
    return await Child.start(scope, { command: program, args });
  }

  async #attachment(network: string): Promise<Attachment> {
    const format = `(index .NetworkSettings.Networks "${network}")`;
    return await this.host.inspect<Attachment>(this.name, format);
  }
}

interface Attachment {
  readonly IPAddress: string;
  readonly GlobalIPv6Address: string;
  readonly MacAddress: string;
}

interface KeyValue {
  readonly key: string;
  readonly value: string;
}

interface Link {
  readonly ifname: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

/** Of the store's URL in the lab. */
export const PREFIX = 'vswitchd/';

let made = 0;
