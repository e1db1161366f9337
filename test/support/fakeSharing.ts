/** A store that answers at once, or not at all, and other hosts that a test makes up. */

import { SwitchError } from '../../src/model/error.js';
import { firstFreeVni } from '../../src/model/vni.js';
import {
  type AddressWish,
  EMPTY_STATE,
  type LocalEndpoint,
  type NetworkWish,
  type SharedState,
  type Sharing,
  type StoreHealth,
} from '../../src/overlay/shared.js';
import type { EndpointRecord, NetworkRecord } from '../../src/store/records.js';

export class FakeSharing implements Sharing {
  state: SharedState = EMPTY_STATE;
  health: StoreHealth = { state: 'connected', since: 0, garbage: [], conflicts: [] };
  announced: readonly LocalEndpoint[] = [];
  readonly released: string[] = [];
  readonly #self: string;
  readonly #listeners: (() => void)[] = [];
  #given = 1;

  constructor(self: string) {
    this.#self = self;
  }

  /** What the store holds from now on. */
  become(state: Partial<SharedState>, health: Partial<StoreHealth> = {}): void {
    this.state = { ...this.state, ...state };
    this.health = { ...this.health, ...health };
    for (const listener of this.#listeners) listener();
  }

  /** A living host with one container in a network. */
  host(address: string, network: string, endpoint: Omit<EndpointRecord, 'host' | 'version'>): void {
    const record = { version: 1, host: address, ...endpoint } as const;
    const known = new Map(this.state.endpoints.get(network));
    const host = { address, port: 4789, name: address, state: 'live', heard: true } as const;
    this.become({
      hosts: new Map(this.state.hosts).set(address, host),
      endpoints: new Map(this.state.endpoints).set(network, known.set(`${address} 1`, record)),
    });
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async withdraw(): Promise<void> {}

  async createNetwork(wish: NetworkWish): Promise<NetworkRecord> {
    this.#reach();
    const { name } = wish.network;
    if (this.state.networks.has(name)) throw new SwitchError('NETWORK_EXISTS', name);
    const taken = new Set([...this.state.networks.values()].map(({ network }) => network.vni));
    // As hosts do whose file has VNI 256.
    const vni = wish.network.vni ?? firstFreeVni(new Set([...taken, 256]));
    if (vni === undefined || taken.has(vni)) throw new SwitchError('VNI_TAKEN', name);
    const record: NetworkRecord = {
      ...{ version: 1, id: name, owner: wish.owner, network: { ...wish.network, vni } },
      ...(wish.docker_id !== undefined && { docker_id: wish.docker_id }),
      pools: wish.pools === 'auto' ? [{ subnet: '10.112.0.0/24' }] : wish.pools,
    };
    this.become({ networks: new Map(this.state.networks).set(name, record) });
    return record;
  }

  async joinNetwork(wish: NetworkWish): Promise<NetworkRecord> {
    return this.state.networks.get(wish.network.name) ?? this.createNetwork(wish);
  }

  async removeNetwork(name: string): Promise<void> {
    this.#reach();
    if (!this.state.networks.has(name)) throw new SwitchError('NETWORK_UNKNOWN', name);
    const networks = new Map(this.state.networks);
    networks.delete(name);
    this.become({ networks });
  }

  async enter(network: string, dockerId: string): Promise<void> {
    const hosts = new Map(this.state.members.get(network));
    hosts.set(this.#self, { version: 1, docker_id: dockerId });
    this.become({ members: new Map(this.state.members).set(network, hosts) });
  }

  async leave(network: string): Promise<void> {
    const members = new Map(this.state.members);
    members.delete(network);
    this.become({ members });
    if (this.state.networks.get(network)?.owner === 'docker') await this.removeNetwork(network);
  }

  async reserve(network: string, { address }: AddressWish): Promise<string> {
    this.#reach();
    const pool = this.state.networks.get(network)?.pools[0];
    if (pool === undefined) throw new SwitchError('NO_POOL', network);
    const [base = '', prefix] = pool.subnet.split('/');
    return `${address ?? base.replace(/\d+$/, String(++this.#given))}/${prefix}`;
  }

  async release(_network: string, address: string): Promise<void> {
    this.released.push(address);
  }

  announce(endpoints: readonly LocalEndpoint[]): void {
    this.announced = endpoints;
  }

  async forgetHost(address: string): Promise<void> {
    if (!this.state.hosts.has(address)) throw new SwitchError('HOST_UNKNOWN', address);
  }

  #reach(): void {
    if (this.health.state !== 'connected') throw new SwitchError('STORE_DOWN', 'the fake');
  }
}
