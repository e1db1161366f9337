// What the pictures show: three hosts with a store, two networks, and traffic that goes on for some minutes.
//
//   vs-screens-fabric     bridge `fabric`, 10.200.0.254: etcd
//     |- alpha            10.200.0.1: vswitchd with its page; web1, web2, cache1 in shop; db1 in ledger
//     |- beta             10.200.0.2: vswitchd; web3, web4 in shop; db2 in ledger
//     `- gamma            10.200.0.3: vswitchd; web5 in shop; db3 in ledger
import { join } from 'node:path';
import { Etcd } from '../lab/etcd.mjs';
import { Host } from '../lab/host.mjs';
import { claimFolder, folderOf, takeDown } from '../lab/leftovers.mjs';
import { ip } from '../lab/namespace.mjs';
import { root } from '../setup/child.mjs';

export const name = 'vs-screens';
/** Where alpha has its page. */
export const listen = '127.0.0.1:4780';

const networks = [
  { name: 'shop', subnet: '10.0.1.0/24' },
  { name: 'ledger', subnet: '10.0.2.0/24' },
];
const containers = [
  { host: 'alpha', network: 'shop', names: ['web1', 'web2', 'cache1'] },
  { host: 'alpha', network: 'ledger', names: ['db1'] },
  { host: 'beta', network: 'shop', names: ['web3', 'web4'] },
  { host: 'beta', network: 'ledger', names: ['db2'] },
  { host: 'gamma', network: 'shop', names: ['web5'] },
  { host: 'gamma', network: 'ledger', names: ['db3'] },
];
/** From, to, and bits per second as iperf3 has them. */
const flows = [
  ['web1', 'web3', '310M'],
  ['web5', 'web2', '48M'],
  ['cache1', 'web4', '6M'],
  ['db1', 'db2', '92M'],
  ['db3', 'db1', '900K'],
];
/** Seconds; the pictures take less. */
const duration = '240';
const ours = (program) => [process.execPath, join(root, 'dist/bin', `${program}.js`)];

export class ScreensLab {
  #placed = new Map();

  constructor() {
    this.folder = folderOf(name);
    this.fabric = `${name}-fabric`;
    this.etcd = new Etcd({ namespace: this.fabric, address: '10.200.0.254', folder: this.folder });
    this.hosts = ['alpha', 'beta', 'gamma'].map(
      (host, index) =>
        new Host({
          name: host,
          namespace: `${name}-${host}`,
          fabric: this.fabric,
          address: `10.200.0.${index + 1}`,
          folder: join(this.folder, host),
        }),
    );
  }

  /** Everything runs when this resolves. */
  async up(signal) {
    claimFolder(name);
    await ip(['netns', 'add', this.fabric], signal);
    const inFabric = (...args) => ip(['-n', this.fabric, ...args], signal);
    await inFabric('link', 'set', 'lo', 'up');
    await inFabric('link', 'add', 'fabric', 'mtu', '1500', 'type', 'bridge');
    await inFabric('link', 'set', 'fabric', 'up');
    await inFabric('address', 'add', `${this.etcd.address}/24`, 'dev', 'fabric');
    await this.etcd.start(signal);
    for (const host of this.hosts) await this.#boot(host, signal);
    for (const { name: network, subnet } of networks) {
      await this.#control(this.hosts[0], ['network', 'add', network, '--subnet', subnet], signal);
    }
    for (const place of containers) await this.#attach(place, signal);
    for (const flow of flows) await this.#flow(flow, signal);
  }

  /** Datagrams to alpha that no network there takes. */
  async stray(signal) {
    const [alpha, , gamma] = this.hosts;
    const script = join(root, 'tools/demo/strayDatagrams.mjs');
    await gamma.must([process.execPath, script, gamma.address, alpha.address], { signal });
  }

  /** A TCP flow from web1 to web3 as `trace` wants it. */
  get flow() {
    const address = (container) => this.#placed.get(container).address;
    return `ip src ${address('web1')} dst ${address('web3')} tcp dport 80`;
  }

  async down() {
    await takeDown(name);
  }

  async #boot(host, signal) {
    await host.powerOn(signal);
    const page = host.name === 'alpha' ? ['--http', listen] : [];
    const command = [
      ...ours('vswitchd'),
      '--vtep',
      host.address,
      '--store',
      this.etcd.url,
      ...page,
    ];
    const isReady = (written) => written.includes('"msg":"ready"');
    await host.start('vswitchd', command, { isReady, signal });
  }

  async #attach({ host: hostName, network, names }, signal) {
    const host = this.hosts.find((item) => item.name === hostName);
    for (const container of names) {
      await host.must(['ip', 'netns', 'add', container], { signal });
      const add = ['port', 'add', network, '--name', container, '--netns', container];
      const { addresses } = await this.#control(host, add, signal);
      this.#placed.set(container, { host, address: addresses[0].split('/')[0] });
      const serve = ['ip', 'netns', 'exec', container, 'iperf3', '-s', '--forceflush'];
      const isReady = (written) => written.includes('listening');
      await host.start(`serve-${container}`, serve, { isReady, signal });
    }
  }

  async #flow([from, to, rate], signal) {
    const { host } = this.#placed.get(from);
    const { address } = this.#placed.get(to);
    const send = ['iperf3', '-c', address, '-b', rate, '-t', duration, '--forceflush'];
    const isReady = (written) => written.includes('connected to');
    const command = ['ip', 'netns', 'exec', from, ...send];
    await host.start(`send-${from}`, command, { isReady, signal });
  }

  async #control(host, args, signal) {
    return JSON.parse(await host.must([...ours('vswitchctl'), '--json', ...args], { signal }));
  }
}
