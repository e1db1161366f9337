/**
 * dockerd as a plugin meets it: the calls of libnetwork in their order, with its roll-backs, and the part
 * of its API that a plugin asks. What it does is what Docker 20.10 was seen to do.
 */

import { randomBytes } from 'node:crypto';
import { createServer, request, type Server } from 'node:http';
import { parseIp } from '../../src/model/ip.js';

/** What a plugin answered, or how it refused. */
export class Refusal extends Error {}

interface Pool {
  readonly id: string;
  readonly subnet: string;
  gateway: string;
  readonly aux: readonly string[];
}

interface Network {
  readonly id: string;
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly ipam: string;
  readonly pools: readonly Pool[];
}

interface Endpoint {
  readonly id: string;
  readonly networkId: string;
  readonly addresses: readonly { readonly pool: Pool; readonly address: string }[];
}

interface Container {
  readonly id: string;
  readonly name: string;
  readonly hostsPath: string;
  aliases: readonly string[];
  endpoints: Endpoint[];
}

export interface NetworkWish {
  readonly name: string;
  /** One for each family. */
  readonly subnets?: readonly string[];
  readonly gateway?: string;
  readonly aux?: readonly string[];
  readonly options?: Readonly<Record<string, string>>;
  readonly ipamOptions?: Readonly<Record<string, string>>;
  /** Name of the IPAM driver; `default` is Docker's own, which gives what `address` of `run` says. */
  readonly ipam?: string;
}

/** Docker's cluster store: what dockerds of one cluster have in common. */
export class FakeClusterStore {
  readonly networks = new Map<string, Network>();
  readonly dockerds: FakeDockerd[] = [];
  readonly making = new Set<string>();
}

export interface FakeDockerdOptions {
  readonly plugin: string;
  readonly api: string;
  readonly cluster?: FakeClusterStore;
}

export class FakeDockerd {
  readonly #plugin: string;
  readonly #api: string;
  readonly #cluster: FakeClusterStore | undefined;
  readonly networks: Map<string, Network>;
  readonly containers = new Map<string, Container>();
  /** Their endpoints are being made or deleted. */
  readonly busy = new Set<{ readonly endpoints: readonly { readonly networkId: string }[] }>();
  /** Every call that was sent, with its request. */
  readonly sent: { readonly call: string; readonly body: unknown }[] = [];
  /** Names of networks that do not exist yet. */
  readonly #making = new Set<string>();
  #server: Server | undefined;

  constructor({ plugin, api, cluster }: FakeDockerdOptions) {
    this.#plugin = plugin;
    this.#api = api;
    this.#cluster = cluster;
    this.networks = cluster?.networks ?? new Map();
    cluster?.dockerds.push(this);
  }

  /** Serves its API. */
  async start(): Promise<void> {
    const server = createServer((ask, answer) => {
      const found = this.#get(ask.url ?? '');
      answer.statusCode = found === undefined ? 404 : 200;
      answer.setHeader('content-type', 'application/json');
      answer.end(JSON.stringify(found ?? { message: 'no such thing' }));
    });
    this.#server = server;
    await new Promise<void>((listening) => server.listen(this.#api, listening));
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }

  /** One call as dockerd's plugin client makes it. Throws `Refusal`. */
  async call<T = Record<string, unknown>>(name: string, body?: unknown): Promise<T> {
    this.sent.push({ call: name, body });
    const text = body === undefined ? '' : JSON.stringify(body);
    const { status, answer } = await post(this.#plugin, `/${name}`, text);
    const { Err: error } = answer as { Err?: string };
    if (status !== 200 || error) throw new Refusal(`${name}: ${error ?? JSON.stringify(answer)}`);
    return answer as T;
  }

  /** What its first use of a plugin begins with. */
  async activate(): Promise<void> {
    await this.call('Plugin.Activate');
    await this.call('NetworkDriver.GetCapabilities');
    await this.call('IpamDriver.GetCapabilities');
    await this.call('IpamDriver.GetDefaultAddressSpaces');
  }

  /** `docker network create`; gives the NetworkID. Names are unique: dockerd sees to that. */
  async createNetwork(wish: NetworkWish): Promise<string> {
    const names = this.#cluster?.making ?? this.#making;
    const isTaken = [...this.networks.values()].some(({ name }) => name === wish.name);
    if (isTaken || names.has(wish.name)) throw new Refusal(`network ${wish.name} already exists`);
    names.add(wish.name);
    try {
      return await this.#makeNetwork(wish);
    } finally {
      names.delete(wish.name);
    }
  }

  async #makeNetwork(wish: NetworkWish): Promise<string> {
    const ipam = wish.ipam ?? 'vswitch';
    const given: Pool[] = [];
    const id = randomBytes(32).toString('hex');
    try {
      const subnets = wish.subnets ?? [''];
      const v4 = subnets.filter((subnet) => !subnet.includes(':'));
      const v6 = subnets.filter((subnet) => subnet.includes(':'));
      for (const subnet of v4.length > 0 ? v4 : [''])
        given.push(await this.#pool(ipam, wish, subnet));
      for (const subnet of v6) given.push(await this.#pool(ipam, wish, subnet));
      const data = given.map((pool) => ({
        AddressSpace: ipam === 'default' ? 'LocalDefault' : 'vswitch-local',
        Gateway: pool.gateway,
        Pool: pool.subnet,
      }));
      await this.call('NetworkDriver.CreateNetwork', {
        NetworkID: id,
        Options: {
          'com.docker.network.enable_ipv6': v6.length > 0,
          'com.docker.network.generic': wish.options ?? {},
        },
        IPv4Data: data.filter(({ Pool: subnet }) => !subnet.includes(':')),
        IPv6Data: data.filter(({ Pool: subnet }) => subnet.includes(':')),
      });
    } catch (error) {
      for (const pool of given) await this.#releasePool(ipam, pool);
      throw error;
    }
    const options = wish.options ?? {};
    this.networks.set(id, { id, name: wish.name, options, ipam, pools: given });
    return id;
  }

  /** `docker network rm` */
  async removeNetwork(id: string): Promise<void> {
    const network = this.#network(id);
    await this.call('NetworkDriver.DeleteNetwork', { NetworkID: id });
    this.networks.delete(id);
    for (const pool of network.pools) await this.#releasePool(network.ipam, pool);
  }

  /** `docker run --name NAME --net NETWORK`; connects it where it runs already. */
  async run(name: string, networkId: string, address?: string): Promise<Endpoint> {
    const network = this.#network(networkId);
    const start = { endpoints: [{ networkId }] };
    this.busy.add(start);
    try {
      return await this.#connect(name, network, address);
    } finally {
      this.busy.delete(start);
    }
  }

  async #connect(name: string, network: Network, address: string | undefined): Promise<Endpoint> {
    const endpoint = await this.#createEndpoint(network, address);
    try {
      await this.call('NetworkDriver.Join', {
        NetworkID: network.id,
        EndpointID: endpoint.id,
        SandboxKey: `/var/run/docker/netns/${name}`,
        Options: {},
      });
    } catch (error) {
      await this.#deleteEndpoint(network, endpoint);
      throw error;
    }
    const container = this.containers.get(name) ?? {
      id: randomBytes(32).toString('hex'),
      name,
      hostsPath: '',
      aliases: [],
      endpoints: [],
    };
    container.endpoints.push(endpoint);
    this.containers.set(name, container);
    return endpoint;
  }

  /** `docker rm -f` */
  async remove(name: string): Promise<void> {
    const container = this.containers.get(name);
    if (container === undefined) return;
    this.containers.delete(name);
    this.busy.add(container);
    for (const endpoint of container.endpoints) {
      await this.call('NetworkDriver.Leave', {
        NetworkID: endpoint.networkId,
        EndpointID: endpoint.id,
      });
      await this.#deleteEndpoint(this.#network(endpoint.networkId), endpoint);
    }
    this.busy.delete(container);
  }

  /** By this host's containers or, with a cluster store, by anybody's. */
  isInUse(networkId: string): boolean {
    const all = this.#cluster?.dockerds ?? [this];
    return all.some(({ containers, busy }) =>
      [...containers.values(), ...busy].some(({ endpoints }) =>
        endpoints.some((endpoint) => endpoint.networkId === networkId),
      ),
    );
  }

  async #pool(ipam: string, wish: NetworkWish, subnet: string): Promise<Pool> {
    const v6 = subnet.includes(':');
    if (ipam === 'default')
      return { id: '', subnet, gateway: `${subnet.replace(/0\/\d+$/, '1')}/24`, aux: [] };
    const answer = await this.call<{ PoolID: string; Pool: string; Data: Record<string, string> }>(
      'IpamDriver.RequestPool',
      {
        AddressSpace: 'vswitch-local',
        Pool: subnet,
        SubPool: '',
        Options: wish.ipamOptions ?? {},
        V6: v6,
      },
    );
    const aux = v6 ? [] : (wish.aux ?? []);
    const gateway = answer.Data['com.docker.network.gateway']!;
    const pool = { id: answer.PoolID, subnet: answer.Pool, gateway, aux };
    if (wish.gateway !== undefined && !v6) {
      const options = { RequestAddressType: 'com.docker.network.gateway' };
      pool.gateway = await this.#address(pool, wish.gateway, options);
    }
    for (const address of aux) await this.#address(pool, address, {});
    return pool;
  }

  async #releasePool(ipam: string, pool: Pool): Promise<void> {
    if (ipam === 'default') return;
    for (const address of [pool.gateway.split('/', 1)[0], ...pool.aux]) {
      await this.call('IpamDriver.ReleaseAddress', { PoolID: pool.id, Address: address });
    }
    await this.call('IpamDriver.ReleasePool', { PoolID: pool.id });
  }

  async #address(pool: Pool, address: string, options: Record<string, string>): Promise<string> {
    const answer = await this.call<{ Address: string }>('IpamDriver.RequestAddress', {
      PoolID: pool.id,
      Address: address,
      Options: options,
    });
    return answer.Address;
  }

  async #createEndpoint(network: Network, wish: string | undefined): Promise<Endpoint> {
    const addresses: { pool: Pool; address: string }[] = [];
    const id = randomBytes(32).toString('hex');
    try {
      for (const pool of network.pools) {
        const isWished = wish !== undefined && wish.includes(':') === pool.subnet.includes(':');
        const text = isWished ? wish : '';
        const address =
          network.ipam === 'default' ? `${text}/24` : await this.#address(pool, text, {});
        addresses.push({ pool, address });
      }
      await this.call('NetworkDriver.CreateEndpoint', {
        NetworkID: network.id,
        EndpointID: id,
        Interface: {
          Address: addresses.find(({ address }) => !address.includes(':'))?.address ?? '',
          AddressIPv6: addresses.find(({ address }) => address.includes(':'))?.address ?? '',
          MacAddress: '',
        },
        Options: {
          'com.docker.network.endpoint.exposedports': [],
          'com.docker.network.portmap': null,
        },
      });
    } catch (error) {
      await this.#releaseAddresses(network, addresses);
      throw error;
    }
    return { id, networkId: network.id, addresses };
  }

  async #deleteEndpoint(network: Network, { id, addresses }: Endpoint): Promise<void> {
    await this.call('NetworkDriver.DeleteEndpoint', { NetworkID: network.id, EndpointID: id });
    await this.#releaseAddresses(network, addresses);
  }

  async #releaseAddresses(network: Network, addresses: Endpoint['addresses']): Promise<void> {
    if (network.ipam === 'default') return;
    for (const { pool, address } of addresses) {
      const plain = parseIp(address.split('/', 1)[0]!)!.address;
      await this.call('IpamDriver.ReleaseAddress', { PoolID: pool.id, Address: plain });
    }
  }

  #network(id: string): Network {
    const network = this.networks.get(id);
    if (network === undefined) throw new Error(`network ${id} not found`);
    return network;
  }

  #get(path: string): unknown {
    const [, kind, id] = path.split('/');
    if (path === '/info') return { ClusterStore: this.#cluster === undefined ? '' : 'etcd://x' };
    if (path === '/networks') return [...this.networks.values()].map((one) => this.#view(one));
    if (path === '/containers/json') {
      return [...this.containers.values()].map((container) => ({
        Id: container.id,
        Names: [`/${container.name}`],
        NetworkSettings: { Networks: this.#attachments(container) },
      }));
    }
    if (kind === 'networks') {
      const network = this.networks.get(id ?? '');
      return network && this.#view(network);
    }
    const container = [...this.containers.values()].find((one) => one.id === id);
    return (
      container && {
        Id: container.id,
        HostsPath: container.hostsPath,
        NetworkSettings: { Networks: this.#attachments(container) },
      }
    );
  }

  #view({ id, name, options, ipam, pools }: Network): unknown {
    return {
      Id: id,
      Name: name,
      Scope: this.#cluster === undefined ? 'local' : 'global',
      Options: options,
      IPAM: {
        Driver: ipam,
        Options: null,
        Config: pools.map(({ subnet, gateway }) => ({
          Subnet: subnet,
          Gateway: gateway.split('/')[0],
        })),
      },
    };
  }

  #attachments({ endpoints, aliases }: Container): unknown {
    return Object.fromEntries(
      endpoints.map(({ id, networkId }) => [
        this.networks.get(networkId)?.name ?? networkId,
        { EndpointID: id, Aliases: aliases },
      ]),
    );
  }
}

/** An empty Host, no content type: as Go's plugin client sends it. */
function post(
  socketPath: string,
  path: string,
  body: string,
): Promise<{ status: number; answer: unknown }> {
  return new Promise((resolve, reject) => {
    const headers = {
      Host: '',
      Accept: 'application/vnd.docker.plugins.v1.2+json',
      'User-Agent': 'Go-http-client/1.1',
      'Content-Length': Buffer.byteLength(body),
    };
    const asked = request(
      { socketPath, path, method: 'POST', headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          try {
            resolve({ status: response.statusCode ?? 0, answer: JSON.parse(text) });
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}
