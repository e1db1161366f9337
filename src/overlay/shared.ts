// What all hosts know together, as this host last saw it, and what this host tells the others.

import type { Network, Pool } from '../model/network.js';
import type {
  AddressRecord,
  AddressUse,
  EndpointRecord,
  MemberRecord,
  NetworkRecord,
} from '../store/records.js';

/** Everything valid in the store, garbage left out. Replaced whole at every change. */
export interface SharedState {
  /** By VTEP address, our own included. */
  readonly hosts: ReadonlyMap<string, SharedHost>;
  readonly networks: ReadonlyMap<string, NetworkRecord>;
  /** Names of the networks that have claimed them. */
  readonly vnis: ReadonlyMap<number, string>;
  /** By network, then by VTEP address. */
  readonly members: ReadonlyMap<string, ReadonlyMap<string, MemberRecord>>;
  /** By network, then by address. */
  readonly addresses: ReadonlyMap<string, ReadonlyMap<string, AddressRecord>>;
  /** By network, then by ID. */
  readonly endpoints: ReadonlyMap<string, ReadonlyMap<string, EndpointRecord>>;
}

/**
 * `lost`: its lease has ended, but it left endpoints, addresses or memberships. Its entries are
 * withdrawn; for a while it may still send and is flooded to, because a host that only lost the
 * store goes on forwarding.
 */
export interface SharedHost {
  readonly address: string;
  /** UDP port of its VTEP. */
  readonly port: number;
  /** For people; its address when nobody knows it any more. */
  readonly name: string;
  readonly state: 'live' | 'lost';
  /** Flooded to and allowed to send: while it is live, and for 10 minutes of this host's clock after. */
  readonly heard: boolean;
}

/** A container on this host as the others shall see it. */
export interface LocalEndpoint {
  readonly network: string;
  /** Unique among all hosts. */
  readonly id: string;
  readonly mac: string;
  /** With prefix length. */
  readonly addresses: readonly string[];
  readonly name?: string | undefined;
  readonly aliases: readonly string[];
}

/** A network to make. Without `vni` the one after the highest in use, from 256; `pools` as they shall be. */
export interface NetworkWish {
  readonly network: Omit<Network, 'vni'> & { readonly vni?: number | undefined };
  /** `auto`: one free IPv4 subnet is chosen. */
  readonly pools: readonly Pool[] | 'auto';
  readonly owner: NetworkRecord['owner'];
  readonly docker_id?: string | undefined;
}

export interface AddressWish {
  readonly family: 4 | 6;
  /** Exactly this one; without it the next free one. */
  readonly address?: string | undefined;
  readonly use: AddressUse;
}

export interface StoreHealth {
  /** `connecting`: never reached since the start. `degraded`: what we know may be old. */
  readonly state: 'connecting' | 'connected' | 'degraded';
  /** Unix milliseconds since when. */
  readonly since: number;
  /** Why it is not connected. */
  readonly detail?: string | undefined;
  /** Milliseconds since the store has last shown that we know all; absent: never. 0 with `local`. */
  readonly age?: number | undefined;
  /** Keys under our prefix that are garbage, and why; at most 100 of them. */
  readonly garbage: readonly { readonly key: string; readonly why: string }[];
  /** Endpoints of ours that could not be told, such as an address that another host has by now. */
  readonly conflicts: readonly string[];
}

/**
 * This host's part in the store. The store is a matter of time: what is told here holds at once on this
 * host, and reaches the others when the store can be reached.
 */
export interface Sharing {
  readonly state: SharedState;
  readonly health: StoreHealth;
  /** Calls back after every change of `state` or `health`; calls close to each other are one. */
  onChange(listener: () => void): void;

  /** Begins. Resolves after the first snapshot, or after 3 s without one; never throws for the store's sake. */
  start(): Promise<void>;
  /** Tells nobody: the lease runs out, or the next start takes it up again. */
  stop(): Promise<void>;
  /**
   * Everything of this host goes from the store now, and stays away until it announces, enters or
   * reserves something again. Throws STORE_*.
   */
  withdraw(): Promise<void>;

  /** Throws NETWORK_EXISTS, VNI_TAKEN, NO_FREE_VNI, NO_FREE_SUBNET, STORE_*. Two hosts at once: one wins. */
  createNetwork(wish: NetworkWish): Promise<NetworkRecord>;
  /**
   * The network of that name as it is, or a new one. Throws NETWORK_MISMATCH when it is there and differs
   * in what the wish names (VNI, subnet).
   */
  joinNetwork(wish: NetworkWish): Promise<NetworkRecord>;
  /**
   * Throws NETWORK_UNKNOWN, NETWORK_IN_USE (with who uses it), STORE_*. Endpoints use it, those that this
   * host announces too (announce without them first), and hosts whose Docker knows it if Docker made it.
   */
  removeNetwork(name: string): Promise<void>;
  /** Docker on this host knows the network under that ID. */
  enter(network: string, dockerId: string): Promise<void>;
  /** Docker on this host forgot it; the last one removes the network if Docker owns it. */
  leave(network: string): Promise<void>;

  /**
   * Gives CIDR text. For an endpoint: one that no host has, and not soon again one that was given back.
   * Gateways and reserved addresses are the network's: every host is given the same, and they stay until
   * the network goes. An address that we chose goes back when no endpoint has it within a minute. Throws
   * ADDRESS_TAKEN, ADDRESS_OUTSIDE, NO_FREE_ADDRESS, NO_POOL, NETWORK_UNKNOWN, STORE_*.
   */
  reserve(network: string, wish: AddressWish): Promise<string>;
  /** Nothing happens when it is free, another host's, the network's, or an announced endpoint's. */
  release(network: string, address: string): Promise<void>;

  /** All endpoints of this host, whole; the store follows. */
  announce(endpoints: readonly LocalEndpoint[]): void;
  /** Forgets a host that will not come back, with its endpoints and addresses. Throws HOST_UNKNOWN, HOST_ALIVE. */
  forgetHost(address: string): Promise<void>;
}

export const EMPTY_STATE: SharedState = {
  hosts: new Map(),
  networks: new Map(),
  vnis: new Map(),
  members: new Map(),
  addresses: new Map(),
  endpoints: new Map(),
};
