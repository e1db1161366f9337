/** Hosts whose overlay is a few maps: what `DockerHost` promises, without store, switch and TAPs. */

import type {
  DockerEndpoint,
  DockerHost,
  DockerNetwork,
  Memory,
  OverlayNetwork,
} from '../../src/docker/host.js';
import { SwitchError } from '../../src/model/error.js';
import { contains, fromNumber, parseCidr, parseIp, toNumber } from '../../src/model/ip.js';
import type { Pool } from '../../src/model/network.js';

interface SharedNetwork {
  readonly name: string;
  readonly vni: number;
  readonly mtu: number;
  readonly pools: readonly Pool[];
  /** Docker's cluster-wide ID, or one for each host. */
  global?: string | undefined;
  readonly members: Map<FakeDockerHost, string>;
  readonly addresses: Map<string, { readonly host: FakeDockerHost; readonly use: string }>;
}

/** What the hosts share. */
export class FakeOverlay {
  readonly networks = new Map<string, SharedNetwork>();
  readonly hosts: FakeDockerHost[] = [];

  /** As `vswitchctl network add` would. */
  add(name: string, vni: number, subnet: string): SharedNetwork {
    const network = {
      name,
      vni,
      mtu: 1450,
      pools: [{ subnet }],
      members: new Map(),
      addresses: new Map(),
    };
    this.networks.set(name, network);
    return network;
  }

  changed(): void {
    for (const host of this.hosts) host.tell();
  }

  /** What is left behind: addresses of endpoints, and endpoints. */
  leftovers(): string[] {
    const addresses = [...this.networks.values()].flatMap(({ name, addresses }) =>
      [...addresses].map(([address, { use }]) => `${use} ${address} of ${name}`),
    );
    const endpoints = this.hosts.flatMap((host) =>
      host.endpoints().map(({ id }) => `endpoint ${id}`),
    );
    return [...addresses, ...endpoints];
  }
}

type Method = 'join' | 'leave' | 'reserve' | 'release' | 'attach' | 'detach';

export class FakeDockerHost implements DockerHost {
  readonly overlay: FakeOverlay;
  /** Every call, in order. */
  readonly calls: string[] = [];
  /** Thrown by the method as long as it stands here; a promise is awaited before the work. */
  readonly trouble = new Map<Method, SwitchError | Promise<void>>();
  readonly #endpoints = new Map<string, DockerEndpoint>();
  readonly #listeners: (() => void)[] = [];

  constructor(overlay: FakeOverlay) {
    this.overlay = overlay;
    overlay.hosts.push(this);
  }

  networks(): readonly OverlayNetwork[] {
    return [...this.overlay.networks.values()].map(
      ({ name, vni, mtu, pools, members, global }) => ({
        name,
        vni,
        mtu,
        pools,
        docker_id: global ?? members.get(this),
        docker_scope: global === undefined ? ('local' as const) : ('global' as const),
      }),
    );
  }

  async join(wish: DockerNetwork): Promise<OverlayNetwork> {
    await this.#begin('join', wish.name);
    const old = this.overlay.networks.get(wish.name);
    const wished = wish.pools === 'auto' ? [] : wish.pools;
    const differs =
      (wish.vni !== undefined && wish.vni !== old?.vni) ||
      wished.some((pool) => old?.pools.every(({ subnet }) => subnet !== pool.subnet));
    if (old !== undefined && differs) throw new SwitchError('NETWORK_MISMATCH', wish.name);
    const vnis = [...this.overlay.networks.values()].map(({ vni }) => vni);
    if (old === undefined && wish.vni !== undefined && vnis.includes(wish.vni)) {
      throw new SwitchError('VNI_TAKEN', wish.name);
    }
    const network = old ?? {
      ...this.overlay.add(wish.name, wish.vni ?? Math.max(255, ...vnis) + 1, ''),
      mtu: wish.mtu ?? 1450,
      pools: wish.pools === 'auto' ? [{ subnet: await this.freeSubnet([]) }] : wish.pools,
    };
    if (wish.scope === 'global') network.global = wish.id;
    else network.members.set(this, wish.id);
    this.overlay.networks.set(wish.name, network);
    this.overlay.changed();
    return this.#network(wish.name);
  }

  async freeSubnet(except: readonly string[]): Promise<string> {
    const taken = new Set([
      ...except,
      ...this.networks().flatMap(({ pools }) => pools.map((p) => p.subnet)),
    ]);
    const first = 100 * this.overlay.hosts.indexOf(this);
    for (let n = 0; n < 256; n++) {
      const subnet = `10.99.${(first + n) % 256}.0/24`;
      if (!taken.has(subnet)) return subnet;
    }
    throw new SwitchError('NO_FREE_SUBNET', '');
  }

  async leave(name: string): Promise<void> {
    await this.#begin('leave', name);
    const network = this.overlay.networks.get(name);
    network?.members.delete(this);
    if (network?.members.size === 0) this.overlay.networks.delete(name);
    this.overlay.changed();
  }

  async reserve(
    name: string,
    wish: { family: 4 | 6; address?: string | undefined; use: 'endpoint' | 'gateway' | 'reserved' },
  ): Promise<string> {
    await this.#begin('reserve', name);
    const network = this.#network(name);
    const { addresses } = this.overlay.networks.get(name)!;
    const pool = network.pools.find(({ subnet }) => subnet.includes(':') === (wish.family === 6));
    const subnet = parseCidr(pool?.subnet ?? '');
    if (pool === undefined || subnet === undefined) throw new SwitchError('NO_POOL', name);
    const give = (address: string) => {
      addresses.set(address, { host: this, use: wish.use });
      return `${address}/${subnet.prefix}`;
    };
    if (wish.address !== undefined) {
      if (!contains(subnet, parseIp(wish.address)!))
        throw new SwitchError('ADDRESS_OUTSIDE', wish.address);
      const holder = addresses.get(wish.address);
      const inUse = [...this.#endpoints.values()].some(({ addresses: its }) =>
        its.some((text) => text.startsWith(`${wish.address}/`)),
      );
      if (holder !== undefined && (holder.host !== this || inUse || holder.use !== 'endpoint')) {
        throw new SwitchError('ADDRESS_TAKEN', wish.address);
      }
      return give(wish.address);
    }
    for (let n = 2n; n < 254n; n++) {
      const address = fromNumber(toNumber(subnet) + n, subnet.family);
      if (!addresses.has(address) && address !== pool.gateway) return give(address);
    }
    throw new SwitchError('NO_FREE_ADDRESS', name);
  }

  async release(name: string, address: string): Promise<void> {
    await this.#begin('release', name);
    const addresses = this.overlay.networks.get(name)?.addresses;
    if (addresses?.get(address)?.host === this) addresses.delete(address);
  }

  async attach(endpoint: DockerEndpoint): Promise<{ ifname: string }> {
    await this.#begin('attach', endpoint.id);
    this.#network(endpoint.network);
    this.#endpoints.set(endpoint.id, endpoint);
    this.overlay.changed();
    return { ifname: endpoint.ifname };
  }

  async detach(id: string): Promise<void> {
    await this.#begin('detach', id);
    this.#endpoints.delete(id);
    this.overlay.changed();
  }

  endpoints(): readonly DockerEndpoint[] {
    return [...this.#endpoints.values()];
  }

  async rename(id: string, name: string, aliases: readonly string[]): Promise<void> {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    this.#endpoints.set(id, { ...endpoint, name, aliases });
    this.overlay.changed();
  }

  names(network: string) {
    return this.overlay.hosts
      .flatMap((host) => host.endpoints())
      .filter((endpoint) => endpoint.network === network && endpoint.name !== undefined)
      .flatMap(({ name, aliases, addresses }) =>
        [name!, ...aliases].map((one) => ({
          name: one,
          addresses: addresses.map((address) => address.split('/', 1)[0]!),
        })),
      );
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  async #begin(method: Method, subject: string): Promise<void> {
    this.calls.push(`${method} ${subject}`);
    const trouble = this.trouble.get(method);
    if (trouble instanceof SwitchError) throw trouble;
    await trouble;
  }

  #network(name: string): OverlayNetwork {
    const network = this.networks().find((one) => one.name === name);
    if (network === undefined) throw new SwitchError('NETWORK_UNKNOWN', name);
    return network;
  }
}

/** Keeps what was saved as the JSON that a file would hold. */
export class FakeMemory implements Memory {
  text: string | undefined;

  async load(): Promise<unknown> {
    return this.text === undefined ? undefined : JSON.parse(this.text);
  }

  async save(value: unknown): Promise<void> {
    this.text = JSON.stringify(value);
  }
}
