// Docker hosts on one machine: a fabric with a store, and hosts with a vswitchd and a dockerd each. Needs root.
//
//   NAME-fabric     bridge `fabric`, 10.200.0.254: etcd
//     |- NAME-h1    10.200.0.1: vswitchd, dockerd
//     `- NAME-h2    10.200.0.2: vswitchd, dockerd
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from '../setup/child.mjs';
import { Etcd } from './etcd.mjs';
import { Host } from './host.mjs';
import { imageChanges, makeImage } from './image.mjs';
import { claimFolder, disclaim, folderOf, takeDown } from './leftovers.mjs';
import { ip } from './namespace.mjs';

/** Debian's, whatever else is in PATH. */
const dockerd = '/usr/sbin/dockerd';
const ours = (name) => [process.execPath, join(root, 'dist/bin', `${name}.js`)];

/** How these programs are run on a host; arguments follow. */
export const dockerCommand = ['/usr/bin/docker'];
export const vswitchctl = ours('vswitchctl');

/** Whether dockerd can give networks global scope by a store of its own; Docker lost that in version 23. */
export async function knowsClusterStore() {
  // Its help does not tell: the flags are hidden there.
  return (await run(dockerd, ['--cluster-store=', '--version'])).code === 0;
}

export class DockerLab {
  #image;

  /**
   * `name` is the prefix of everything that it makes; `scope` is `global` (dockerd has the cluster store, so a network
   * is made once) or `local` (it has none). With `isAlone` each vswitchd has a store of its own.
   */
  constructor({ name, scope, hosts: count = 2, isAlone = false }) {
    this.name = name;
    this.scope = scope;
    this.isAlone = isAlone;
    this.folder = folderOf(name);
    this.fabric = `${name}-fabric`;
    this.etcd = new Etcd({ namespace: this.fabric, address: '10.200.0.254', folder: this.folder });
    this.hosts = Array.from({ length: count }, (_, i) => this.#host(i + 1));
  }

  /** Everything runs and every host has the image `bb` when this resolves. */
  async up(signal) {
    await this.build(signal);
    for (const host of this.hosts) await this.boot(host, signal);
  }

  /** Fabric and store. */
  async build(signal) {
    claimFolder(this.name);
    await ip(['netns', 'add', this.fabric], signal);
    const inFabric = (...args) => ip(['-n', this.fabric, ...args], signal);
    await inFabric('link', 'set', 'lo', 'up');
    // Of its own accord a bridge has the lowest MAC of its ports, so that hosts would lose it when one goes.
    const own = ['address', '02:00:00:00:00:fe', 'mtu', '1500'];
    await inFabric('link', 'add', 'fabric', ...own, 'type', 'bridge');
    await inFabric('link', 'set', 'fabric', 'up');
    await inFabric('address', 'add', `${this.etcd.address}/24`, 'dev', 'fabric');
    await this.etcd.start(signal);
    this.#image = await makeImage(this.folder);
  }

  /** What an operator's machine does when it is switched on: vswitchd first, then dockerd. */
  async boot(host, signal) {
    await host.powerOn(signal);
    await this.startVswitchd(host, signal);
    await this.startDockerd(host, { signal });
    await this.importImage(host, signal);
  }

  /** The host's dockerd gets the image `bb`. */
  async importImage(host, signal) {
    const changes = imageChanges.flatMap((change) => ['-c', change]);
    await host.must([...dockerCommand, 'import', ...changes, this.#image, 'bb'], { signal });
  }

  async startVswitchd(host, signal) {
    const file = join(host.folder, 'vswitchd.yaml');
    const store = this.isAlone ? 'local' : this.etcd.url;
    writeFileSync(
      file,
      [`vtep: {address: ${host.address}}`, `store: ${store}`, 'docker: {}', ''].join('\n'),
    );
    const isReady = (written) => written.includes('"msg":"docker: ready"');
    await host.start('vswitchd', [...ours('vswitchd'), '--config', file], { isReady, signal });
  }

  /**
   * `flags` come beside those of the lab.
   *
   * @param {Host} host
   * @param {{ flags?: readonly string[], signal?: AbortSignal }} [options]
   */
  async startDockerd(host, { flags = [], signal } = {}) {
    const own = ['--data-root', '/run/docker-data', '--storage-driver', 'vfs'];
    const cgroups = [
      '--exec-opt',
      'native.cgroupdriver=cgroupfs',
      '--cgroup-parent',
      `/${this.name}`,
    ];
    // No resolver can be reached from here, and who looks up an unknown name waits for it.
    const names = ['--dns-opt', 'timeout:1', '--dns-opt', 'attempts:1'];
    const cluster = [
      ...['--cluster-store', `etcd://${this.etcd.address}:2379`],
      ...['--cluster-advertise', `${host.address}:2375`],
    ];
    const scope = this.scope === 'global' ? cluster : [];
    const isReady = async () =>
      (await host.exec([...dockerCommand, 'version'], { signal })).code === 0;
    const command = [dockerd, ...own, ...cgroups, ...names, ...scope, ...flags];
    await host.start('dockerd', command, { isReady, signal });
  }

  /** Whatever of it is there goes, also when it was never complete. */
  async down() {
    await takeDown(this.name);
  }

  /** It outlives this process, until somebody takes it down by its name. */
  keep() {
    disclaim(this.name);
  }

  #host(number) {
    return new Host({
      name: `h${number}`,
      namespace: `${this.name}-h${number}`,
      fabric: this.fabric,
      address: `10.200.0.${number}`,
      folder: join(this.folder, `h${number}`),
    });
  }
}
