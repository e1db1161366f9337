/** Podman with CNI networks, with storage, state and configuration of its own, in the network of one host. */

import { cp, mkdir, readdir, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { PLUGINS, VSWITCH_CNI } from './cni.js';
import { temporaryDirectory } from './netns.js';
import type { Scope } from './scope.js';
import type { Host } from './topology.js';

export const IMAGE = 'busybox:test';

export class Podman {
  readonly #host: Host;
  readonly #folder: string;

  private constructor(host: Host, folder: string) {
    this.#host = host;
    this.#folder = folder;
  }

  /** With an image of busybox, and one network for each of these CNI configuration lists. */
  static async create(scope: Scope, host: Host, lists: readonly { name: string }[]) {
    await libcniCache(scope);
    const folder = await temporaryDirectory(scope, `podman-${host.name}`);
    const podman = new Podman(host, folder);
    await mkdir(join(folder, 'cni'));
    for (const list of lists) {
      await writeFile(join(folder, 'cni', `${list.name}.conflist`), JSON.stringify(list));
    }
    await mkdir(join(folder, 'plugins'));
    await symlink(VSWITCH_CNI, join(folder, 'plugins/vswitch-cni'));
    await writeFile(join(folder, 'containers.conf'), configuration(folder));
    await podman.run('import', await imageOf(folder), IMAGE);
    await scope.defer(`containers of ${host.name}`, () => podman.run('rm', '-af', '-t', '0'));
    return podman;
  }

  /** `podman ARGS`; throws with its words. */
  async run(...args: readonly string[]): Promise<string> {
    const folder = this.#folder;
    const own = [
      ...['--root', join(folder, 'root'), '--runroot', join(folder, 'run')],
      ...['--tmpdir', join(folder, 'tmp'), '--network-config-dir', join(folder, 'cni')],
      ...['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs'],
    ];
    // Not by `ip netns exec`, whose mounts nobody else sees: vswitchd must find the containers' namespaces.
    const inHost = [`--net=${this.#host.namespace.path}`, 'podman', ...own, ...args];
    const env = { CONTAINERS_CONF: join(folder, 'containers.conf') };
    const { stdout } = await execa('nsenter', inHost, { env, stdin: 'ignore' });
    return stdout;
  }
}

/** runc, because crun refuses hosts with both kinds of cgroups. */
function configuration(folder: string): string {
  return `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["${join(folder, 'plugins')}", "${PLUGINS}"]
[engine]
runtime = "runc"
events_logger = "none"
`;
}

/** Packs a tree of busybox, made below `folder`, as `podman import` takes it. */
export async function imageOf(folder: string): Promise<string> {
  const tree = join(folder, 'tree');
  for (const part of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) {
    await mkdir(join(tree, part), { recursive: true });
  }
  await cp('/usr/bin/busybox', join(tree, 'bin/busybox'));
  for (const applet of ['sh', 'ping', 'ip', 'sleep']) {
    await symlink('busybox', join(tree, 'bin', applet));
  }
  const archive = join(folder, 'image.tar');
  await execa('tar', ['-C', tree, '-cf', archive, '.']);
  return archive;
}

/** libcni keeps results in one folder of the whole machine: where it was not, it goes. */
async function libcniCache(scope: Scope): Promise<void> {
  const folders = ['/var/lib/cni', '/var/lib/cni/results'];
  for (const folder of folders) {
    const before = await readdir(folder).catch(() => undefined);
    if (before !== undefined) continue;
    await scope.defer(folder, () => rmdir(folder).catch(() => {}));
  }
}
