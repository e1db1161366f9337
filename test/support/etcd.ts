/** A real etcd cluster on the loopback, with its data in a folder of its own. */

import { join } from 'node:path';
import { execa } from 'execa';
import type { Certificates } from './certificates.js';
import { Child } from './child.js';
import { eventually } from './eventually.js';
import { makeFolder } from './files.js';
import { freePorts } from './ports.js';
import type { Scope } from './scope.js';

export interface EtcdSpec {
  readonly members: number;
  /** The members' certificate and that of whom they let in; without it no TLS. */
  readonly tls?: Certificates;
}

export class EtcdMember {
  readonly name: string;
  /** `127.0.0.1:port` for clients. */
  readonly address: string;
  readonly #scope: Scope;
  readonly #args: readonly string[];
  #child: Child | undefined;

  constructor(scope: Scope, name: string, address: string, args: readonly string[]) {
    this.#scope = scope;
    this.name = name;
    this.address = address;
    this.#args = args;
  }

  get child(): Child {
    if (this.#child === undefined) throw new Error(`etcd ${this.name} was not started`);
    return this.#child;
  }

  /** Also again, with the data it had. */
  async start(): Promise<void> {
    this.#child = await Child.start(this.#scope, { command: 'etcd', args: this.#args });
  }

  async kill(): Promise<void> {
    this.child.signal('SIGKILL');
    await this.child.exited;
  }
}

export class EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly #tls: Certificates | undefined;

  private constructor(members: readonly EtcdMember[], tls: Certificates | undefined) {
    this.members = members;
    this.#tls = tls;
  }

  /** Ready: it has a leader. */
  static async start(scope: Scope, { members: count, tls }: EtcdSpec): Promise<EtcdCluster> {
    const folder = await makeFolder(scope);
    const ports = await freePorts(count * 2);
    const peers = ports.slice(count).map((port) => `http://127.0.0.1:${port}`);
    const initial = peers.map((peer, at) => `m${at}=${peer}`).join(',');
    const members = peers.map((peer, at) => {
      const address = `127.0.0.1:${ports[at]}`;
      const client = `${tls ? 'https' : 'http'}://${address}`;
      const args = [
        ...['--name', `m${at}`, '--data-dir', join(folder, `m${at}`), '--log-level', 'error'],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', initial],
        ...(tls ? ['--cert-file', tls.server.cert, '--key-file', tls.server.key] : []),
        ...(tls ? ['--trusted-ca-file', tls.ca, '--client-cert-auth'] : []),
      ];
      return new EtcdMember(scope, `m${at}`, address, args);
    });
    const cluster = new EtcdCluster(members, tls);
    for (const member of members) await member.start();
    await eventually('a leader', () => cluster.leader(), { within: 30_000 });
    return cluster;
  }

  /** As in a `store` setting. */
  url(prefix: string): string {
    return `etcd://${this.members.map(({ address }) => address).join(',')}/${prefix}`;
  }

  async leader(): Promise<EtcdMember | undefined> {
    const alive = this.members.filter(({ child }) => child.running);
    const text = await this.control(['endpoint', 'status', '-w', 'json'], { members: alive });
    const rows = JSON.parse(text) as {
      Endpoint: string;
      Status: { header: { member_id: number }; leader?: number };
    }[];
    const row = rows.find(({ Status }) => Status.leader === Status.header.member_id);
    return alive.find(({ address }) => row?.Endpoint.endsWith(address));
  }

  /** Runs etcdctl and gives its output. */
  async control(
    args: readonly string[],
    { members = this.members, input }: { members?: readonly EtcdMember[]; input?: Buffer } = {},
  ): Promise<string> {
    const tls = this.#tls;
    const { stdout } = await execa(
      'etcdctl',
      [
        `--endpoints=${members.map(({ address }) => address).join(',')}`,
        '--dial-timeout=5s',
        ...(tls ? ['--cacert', tls.ca, '--cert', tls.client.cert, '--key', tls.client.key] : []),
        ...args,
      ],
      { env: { ETCDCTL_API: '3' }, ...(input && { input }) },
    );
    return stdout;
  }
}
