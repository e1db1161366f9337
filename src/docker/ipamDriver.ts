// The IPAM driver: addresses for all hosts of a network, from the store.
//
// dockerd asks RequestPool (once for each subnet), then RequestAddress for --gateway and each
// --aux-address, then the network driver's CreateNetwork; later one RequestAddress before each
// CreateEndpoint and one ReleaseAddress after each DeleteEndpoint.

import { mapping, name } from '../config/leaf.js';
import { problemsOf } from '../config/problem.js';
import { SwitchError } from '../model/error.js';
import { parseCidr, parseIp } from '../model/ip.js';
import type { DockerHost } from './host.js';
import type { ReleaseAddress, RequestAddress, RequestPool } from './messages.js';
import { ADDRESS_SPACES, canonicalSubnet, type Pools } from './pools.js';
import type { Releases } from './releases.js';

const ADDRESS_TYPE = 'RequestAddressType';
const GATEWAY = 'com.docker.network.gateway';

/** `--ipam-opt` */
const optionsSchema = mapping({ network: name().optional() });

export interface IpamDriverParts {
  readonly host: DockerHost;
  readonly pools: Pools;
  readonly releases: Releases;
}

/** Its methods take checked requests and give what dockerd is answered; they throw `SwitchError`. */
export class IpamDriver {
  readonly #host: DockerHost;
  readonly #pools: Pools;
  readonly #releases: Releases;

  constructor({ host, pools, releases }: IpamDriverParts) {
    this.#host = host;
    this.#pools = pools;
    this.#releases = releases;
  }

  capabilities() {
    return { RequiresMACAddress: false, RequiresRequestReplay: false };
  }

  addressSpaces() {
    return {
      LocalDefaultAddressSpace: ADDRESS_SPACES.local,
      GlobalDefaultAddressSpace: ADDRESS_SPACES.global,
    };
  }

  async requestPool({ Pool, SubPool, Options, V6 }: RequestPool) {
    const { data, error } = optionsSchema.safeParse(Options);
    if (error !== undefined) {
      throw new SwitchError('DRIVER_OPTIONS', '', { problems: problemsOf(error.issues, Options) });
    }
    const { id, pool } = await this.#pools.request({
      family: V6 ? 6 : 4,
      subnet: Pool === undefined ? undefined : canonicalSubnet(Pool),
      range: SubPool === undefined ? undefined : canonicalSubnet(SubPool),
      network: data.network,
    });
    const prefix = parseCidr(pool.subnet)?.prefix;
    return { PoolID: id, Pool: pool.subnet, Data: { [GATEWAY]: `${pool.gateway}/${prefix}` } };
  }

  async releasePool(id: string) {
    await this.#pools.release(id);
    return {};
  }

  async requestAddress({ PoolID, Address, Options }: RequestAddress) {
    const pool = this.#pools.get(PoolID);
    const isGateway = Options[ADDRESS_TYPE] === GATEWAY;
    if (pool !== undefined && pool.networkId === undefined && (isGateway || Address)) {
      const use = isGateway ? 'gateway' : 'reserved';
      return { Address: await this.#pools.note(pool, use, Address ?? pool.gateway), Data: {} };
    }
    const network = await this.#pools.networkOf(PoolID);
    const address = Address === undefined ? undefined : addressOf(Address);
    const given = await this.#host.reserve(network.name, {
      family: PoolID.includes(':') ? 6 : 4,
      address,
      use: 'endpoint',
    });
    const plain = given.split('/', 1)[0] ?? given;
    this.#releases.cancel(network.name, plain);
    return { Address: given, Data: {} };
  }

  /** Never rejects for the store's sake: what cannot be given back now is given back later. */
  async releaseAddress({ PoolID, Address }: ReleaseAddress) {
    const pool = this.#pools.get(PoolID);
    const address = addressOf(Address);
    // Gateway and reserved addresses go with the network.
    if (address === pool?.gateway || pool?.reserved.includes(address)) return {};
    const network = await this.#pools.networkOf(PoolID).catch(unlessUnknown);
    if (network === undefined) return {};
    await this.#releases.add(network.name, address);
    return {};
  }
}

/** Canonical, with or without the prefix length that it came with. Throws BAD_VALUE. */
function addressOf(text: string): string {
  const ip = parseIp(text.split('/', 1)[0] ?? '');
  if (ip === undefined) throw new SwitchError('BAD_VALUE', `the address ${text}`);
  return ip.address;
}

/** Addresses of a network that is gone are gone with it. */
function unlessUnknown(error: unknown): undefined {
  const unknown = ['POOL_UNCLEAR', 'ENGINE_UNKNOWN'];
  if (!(error instanceof SwitchError) || !unknown.includes(error.code)) throw error;
}
