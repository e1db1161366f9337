// The pools of our IPAM driver. RequestPool is not told for which network, and RequestAddress is told the
// pool alone; CreateNetwork tells the subnet, but not the pool. So a subnet is in only one pool that
// still waits for its CreateNetwork: a second RequestPool for it waits until the first one's is done.
//
//   RequestPool -> waiting -> CreateNetwork with its subnet -> attached -> ReleasePool
//                     `----> ReleasePool, or nothing for a minute: dockerd died in between

import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { SwitchError } from '../model/error.js';
import {
  contains,
  type Family,
  formatCidr,
  fromNumber,
  parseCidr,
  parseIp,
  subnetOf,
  toNumber,
} from '../model/ip.js';
import type { Pool } from '../model/network.js';
import { isPassing, Lanes } from './deadline.js';
import type { Engine } from './engine.js';
import type { DockerHost, OverlayNetwork } from './host.js';
import type { IpamData } from './messages.js';
import type { Networks } from './networks.js';
import type { Notebook, PoolNote } from './notebook.js';

/** Tells in CreateNetwork that a pool is ours. */
export const ADDRESS_SPACES = { local: 'vswitch-local', global: 'vswitch-global' } as const;

/** How long a RequestPool waits for another one's CreateNetwork, in ms. */
const TURN_MS = 3_000;
/** When a CreateNetwork will not come any more, in ms. */
const ABANDONED_MS = 60_000;

export interface PoolWish {
  readonly family: Family;
  /** Canonical; absent: ours to choose. */
  readonly subnet?: string | undefined;
  readonly range?: string | undefined;
  /** For which network, where the user said so. */
  readonly network?: string | undefined;
}

export interface PoolsParts {
  readonly host: DockerHost;
  readonly engine: Engine;
  readonly notebook: Notebook;
  readonly networks: Networks;
  readonly driver: string;
  readonly now: () => number;
}

export class Pools {
  readonly #parts: PoolsParts;
  readonly #lanes = new Lanes();
  /** An event by PoolID when that pool no longer waits. */
  readonly #settled = new EventEmitter().setMaxListeners(0);

  constructor(parts: PoolsParts) {
    this.#parts = parts;
  }

  /** Throws NETWORK_MISMATCH, DRIVER_REFUSES, POOL_HELD, NO_FREE_SUBNET. */
  async request(wish: PoolWish): Promise<{ readonly id: string; readonly pool: PoolNote }> {
    const patience = AbortSignal.timeout(TURN_MS);
    for (;;) {
      const turn = await this.#lanes.run('choose', () => this.#choose(wish, patience.aborted));
      if (!('after' in turn)) return turn;
      await once(this.#settled, turn.after, { signal: patience }).catch(() => undefined);
    }
  }

  /** CreateNetwork has told which network got our pools. */
  async attach(networkId: string, data: readonly IpamData[]): Promise<void> {
    for (const { AddressSpace, Pool: subnet } of data) {
      if (!isOurs(AddressSpace)) continue;
      const found = this.#waiting().find(([, pool]) => pool.subnet === subnet);
      if (found === undefined) continue;
      const [id, pool] = found;
      pool.networkId = networkId;
      this.#settled.emit(id);
    }
    await this.#parts.notebook.save();
  }

  /** What came with a RequestAddress before the network exists: its gateway, and `--aux-address`. */
  async note(pool: PoolNote, use: 'gateway' | 'reserved', address: string): Promise<string> {
    const subnet = parseCidr(pool.subnet);
    const ip = parseIp(address);
    if (subnet === undefined || ip === undefined || !contains(subnet, ip)) {
      throw new SwitchError('ADDRESS_OUTSIDE', address, { why: `it is not in ${pool.subnet}` });
    }
    if (use === 'gateway') pool.gateway = ip.address;
    else pool.reserved.push(ip.address);
    await this.#parts.notebook.save();
    return `${ip.address}/${subnet.prefix}`;
  }

  /** Whether the network's addresses are known to come from here. */
  serve(networkId: string): boolean {
    const pools = [...this.#parts.notebook.notes.pools.values()];
    return pools.some((pool) => pool.networkId === networkId);
  }

  get(id: string): PoolNote | undefined {
    return this.#parts.notebook.notes.pools.get(id);
  }

  /** Unknown ones are no error. */
  async release(id: string): Promise<void> {
    this.#parts.notebook.notes.pools.delete(id);
    this.#settled.emit(id);
    await this.#parts.notebook.save();
  }

  /**
   * The network whose addresses the pool stands for. The pool may be one that another host gave, or that
   * we have forgotten: then its subnet must say it. Throws POOL_UNCLEAR, and what `Networks.resolve` throws.
   */
  async networkOf(id: string): Promise<OverlayNetwork> {
    const { host, networks, notebook } = this.#parts;
    const note = notebook.notes.pools.get(id);
    if (note?.networkId !== undefined) return networks.resolve(note.networkId);
    const { subnet, network } = note ?? readPoolId(id);
    const named = host.networks().find(({ name }) => name === network);
    if (named !== undefined) return named;
    const networkId = await this.#networkIdOf(subnet, network);
    if (networkId === undefined) throw new SwitchError('POOL_UNCLEAR', subnet);
    return networks.resolve(networkId);
  }

  async #networkIdOf(subnet: string, network: string | undefined): Promise<string | undefined> {
    const { host, engine, driver } = this.#parts;
    const only = (ids: readonly string[]) => (ids.length === 1 ? ids[0] : undefined);
    try {
      const mine = (await engine.networks()).filter(({ ipamDriver }) => ipamDriver === driver);
      const fit = mine.filter(({ name, pools }) =>
        network === undefined ? pools.some((pool) => pool.subnet === subnet) : name === network,
      );
      return only(fit.map(({ id }) => id));
    } catch (error) {
      if (!isPassing(error)) throw error;
      // dockerd restarts its containers before it answers anybody.
      const fit = host
        .networks()
        .filter(({ pools }) => pools.some((pool) => pool.subnet === subnet));
      const id = only(fit.flatMap(({ docker_id }) => docker_id ?? []));
      if (id === undefined) throw error;
      return id;
    }
  }

  /** A pool, or after which other pool's end to ask again. */
  async #choose(
    wish: PoolWish,
    isLate: boolean,
  ): Promise<{ readonly id: string; readonly pool: PoolNote } | { readonly after: string }> {
    const { notebook, now } = this.#parts;
    const chosen = this.#known(wish) ?? (await this.#fresh(wish));
    const holder = this.#waiting().find(([, pool]) => pool.subnet === chosen.subnet);
    if (holder !== undefined) {
      if (!isLate) return { after: holder[0] };
      // Docker asks again and again, and keeps all, until a chosen pool overlaps with nothing on the host.
      if (wish.subnet === undefined) throw new SwitchError('POOL_HELD', chosen.subnet);
      notebook.notes.pools.delete(holder[0]);
    }
    const id = [chosen.subnet, randomBytes(4).toString('hex'), wish.network]
      .filter((part) => part !== undefined)
      .join(',');
    const pool: PoolNote = {
      ...chosen,
      gateway: chosen.gateway ?? firstAddress(chosen.subnet),
      explicit: wish.subnet !== undefined,
      network: wish.network,
      reserved: [],
      at: now(),
    };
    notebook.notes.pools.set(id, pool);
    await notebook.save();
    return { id, pool };
  }

  /** What is decided: by the user, or by a network that exists. */
  #known({ family, subnet, range, network }: PoolWish): Pool | undefined {
    const there = this.#parts.host.networks().find(({ name }) => name === network);
    const pool = there?.pools.find((one) => familyOf(one) === family);
    if (subnet === undefined) return pool;
    if (pool !== undefined && pool.subnet !== subnet) {
      throw new SwitchError('NETWORK_MISMATCH', network ?? '', {
        why: `its subnet is ${pool.subnet}`,
        fix: 'leave --subnet out, or choose another name',
      });
    }
    return { subnet, range, gateway: pool?.gateway };
  }

  /**
   * A guess at what Docker shall show: the one network of the store that this host's Docker does not have,
   * for that is most likely being made here now; otherwise the subnet of a new one.
   */
  async #fresh({ family, network }: PoolWish): Promise<Pool> {
    const { host } = this.#parts;
    const held = this.#waiting().map(([, pool]) => pool.subnet);
    if (network === undefined) {
      const pools = host
        .networks()
        .filter(({ docker_id }) => docker_id === undefined)
        .flatMap((one) => one.pools.filter((pool) => familyOf(pool) === family))
        .filter(({ subnet }) => !held.includes(subnet));
      const [only, ...others] = pools;
      if (only !== undefined && others.length === 0) return only;
    }
    if (family === 6) {
      throw new SwitchError('DRIVER_REFUSES', 'an IPv6 network without a subnet', {
        fix: 'name one, such as --subnet fd00:1::/64',
      });
    }
    return { subnet: await host.freeSubnet(held) };
  }

  #waiting(): [string, PoolNote][] {
    const { notebook, now } = this.#parts;
    const { pools } = notebook.notes;
    const waiting = [...pools].filter(([, { networkId }]) => networkId === undefined);
    for (const [id, { at }] of waiting) if (now() - at > ABANDONED_MS) pools.delete(id);
    return waiting.filter(([id]) => pools.has(id));
  }
}

export function isOurs(addressSpace: string | undefined): boolean {
  return addressSpace === ADDRESS_SPACES.local || addressSpace === ADDRESS_SPACES.global;
}

function readPoolId(id: string): { subnet: string; network?: string | undefined } {
  const [subnet = id, , network] = id.split(',');
  return { subnet, network };
}

function familyOf({ subnet }: Pool): Family {
  return subnet.includes(':') ? 6 : 4;
}

/** Docker wants a gateway to show, and nothing of ours answers for it. */
function firstAddress(subnet: string): string {
  const cidr = parseCidr(subnet);
  if (cidr === undefined) throw new SwitchError('BAD_VALUE', subnet);
  return fromNumber(toNumber(cidr) + 1n, cidr.family);
}

/** `10.0.0.7/24` is `10.0.0.0/24`. Throws BAD_VALUE. */
export function canonicalSubnet(text: string): string {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new SwitchError('BAD_VALUE', `the subnet ${text}`);
  return formatCidr(subnetOf(cidr));
}
