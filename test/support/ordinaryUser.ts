/** Somebody without any rights, and his containers: user and network namespaces of his own. */

import { chown } from 'node:fs/promises';
import { execa } from 'execa';
import { Child } from './child.js';
import { eventually } from './eventually.js';
import { type ExecResult, Namespace, runPrefix } from './netns.js';
import type { Scope } from './scope.js';
import type { Container } from './topology.js';
import { PROGRAMS, type Vswitchd } from './vswitchd.js';

/** A number is enough: nothing of the machine needs to know him. */
export class OrdinaryUser {
  readonly uid: number;

  constructor(uid: number) {
    this.uid = uid;
  }

  /** The words that run a command as him, without any capability. */
  words(...command: readonly string[]): string[] {
    const ids = [`--reuid=${this.uid}`, `--regid=${this.uid}`, '--clear-groups'];
    return ['setpriv', ...ids, '--inh-caps=-all', '--no-new-privs', '--', ...command];
  }

  /** Gives him a file or folder. */
  async own(path: string): Promise<void> {
    await chown(path, this.uid, this.uid);
  }

  /** `vswitchctl ARGS` in the host's namespace, as him. */
  async ctl(vswitchd: Vswitchd, ...args: string[]): Promise<ExecResult> {
    const words = this.words(process.execPath, PROGRAMS.vswitchctl);
    const [command = '', ...rest] = [...words, '--socket', vswitchd.socket, ...args];
    return await vswitchd.host.namespace.tryExec(command, rest);
  }

  /** A container without an interface, made as `unshare -Urn` does. */
  async container(scope: Scope, name: string, n: number): Promise<UserContainer> {
    const [command = '', ...args] = this.words('unshare', '-Urn', 'sh', '-c', INIT);
    const init = await Child.start(scope, { command, args });
    await init.waitForLine(/^ready$/);
    const namespace = new Namespace(`${runPrefix()}-${process.pid}-u${init.pid}-${name}`);
    await execa('ip', ['netns', 'attach', namespace.name, `${init.pid}`]);
    await scope.defer(`name ${namespace.name}`, () =>
      execa('ip', ['netns', 'del', namespace.name], { reject: false }),
    );
    return {
      ...{ name, namespace, init, ifname: 'eth0' },
      mac: `02:42:0a:00:00:${n.toString(16).padStart(2, '0')}`,
      address: { 4: `10.0.0.${n}`, 6: `fd00:10::${n}` },
    };
  }

  /** Has `vswitchctl port add --rootless` attach it to the network `net`. Throws what that complained about. */
  async attach(vswitchd: Vswitchd, container: UserContainer): Promise<void> {
    const result = await this.ctl(vswitchd, ...attachment(container));
    if (result.exitCode !== 0) throw new Error(result.stderr);
  }
}

export interface UserContainer extends Container {
  /** Its first process. */
  readonly init: Child;
}

/** The words that attach it, after `vswitchctl`. */
export function attachment({ name, init, mac, address }: UserContainer): string[] {
  return [
    ...['port', 'add', 'net', '--rootless', `${init.pid}`, '--name', name, '--mac', mac],
    ...['--address', `${address[4]}/24`, '--address', `${address[6]}/64`],
  ];
}

/** Waits until the network namespace with this inode is no process's any more, and kept alive by nothing. */
export async function namespaceFreed(inode: string): Promise<void> {
  await eventually(`end of network namespace ${inode}`, async () => {
    const { stdout } = await execa('lsns', ['--type', 'net', '--output', 'NS', '--noheadings']);
    return !stdout.split(/\s+/).includes(inode);
  });
}

const INIT = `
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
echo ready
exec sleep infinity
`;
