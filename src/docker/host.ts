// What Docker's drivers ask of this host; the daemon provides it. Every method answers, or throws a
// `SwitchError`, within 4 s: a plugin that hangs blocks every later `docker run` on that network.

import type { Mac } from '../model/mac.js';
import type { Pool } from '../model/network.js';

/** A network as Docker's options describe it. */
export interface DockerNetwork {
  readonly name: string;
  readonly scope: 'local' | 'global';
  /** Docker's NetworkID. */
  readonly id: string;
  readonly vni?: number | undefined;
  readonly mtu?: number | undefined;
  /** VTEPs for use without a store. */
  readonly peers: readonly string[];
  /** `auto`: those of the network as it is, or one that we choose. Others must be the network's own. */
  readonly pools: readonly Pool[] | 'auto';
  /** Only what the container's own address says may be sent. */
  readonly port_security: boolean;
}

/** A network of the overlay. */
export interface OverlayNetwork {
  readonly name: string;
  readonly vni: number;
  readonly mtu: number;
  readonly pools: readonly Pool[];
  /** Docker's NetworkID on this host, or in Docker's cluster: that is its scope. */
  readonly docker_id?: string | undefined;
  readonly docker_scope?: 'local' | 'global' | undefined;
}

/** A container's interface. */
export interface DockerEndpoint {
  /** Docker's EndpointID. */
  readonly id: string;
  /** Name of the overlay's network. */
  readonly network: string;
  readonly mac: Mac;
  /** With prefix length; set by Docker, not by us. */
  readonly addresses: readonly string[];
  /** Of the TAP while it is in our namespace. */
  readonly ifname: string;
  /** Path of the network namespace to which Docker moves the TAP. */
  readonly sandbox: string;
  /** Of the container, as far as known. */
  readonly name?: string | undefined;
  readonly aliases: readonly string[];
}

export interface DockerHost {
  networks(): readonly OverlayNetwork[];
  /**
   * Makes the network, or joins the one of that name. Any number of times. Throws NETWORK_MISMATCH,
   * VNI_TAKEN, STORE_*.
   */
  join(network: DockerNetwork): Promise<OverlayNetwork>;
  /**
   * The subnet that a new IPv4 network would get now: free in the store and on this host, and none of
   * `except`. Two hosts that ask at once are given different ones, as far as chance can do that. Throws NO_FREE_SUBNET.
   */
  freeSubnet(except: readonly string[]): Promise<string>;
  /** Docker has removed the network here (local scope) or everywhere (global). Unknown ones are no error. */
  leave(name: string): Promise<void>;

  /** Gives CIDR text; with `address` exactly that one. */
  reserve(
    network: string,
    wish: {
      readonly family: 4 | 6;
      readonly address?: string | undefined;
      readonly use: 'endpoint' | 'gateway' | 'reserved';
    },
  ): Promise<string>;
  release(network: string, address: string): Promise<void>;

  /** Makes the TAP in our namespace and its port; all hosts learn of it. Any number of times. */
  attach(endpoint: DockerEndpoint): Promise<{ readonly ifname: string }>;
  /** Removes port and TAP, wherever the TAP is. Unknown ones are no error. */
  detach(id: string): Promise<void>;
  /** Those attached, also by an earlier run of the daemon. */
  endpoints(): readonly DockerEndpoint[];
  /** Its container's names have become known. */
  rename(id: string, name: string, aliases: readonly string[]): Promise<void>;

  /** Names in a network on all hosts, and the addresses they stand for, without prefix length. */
  names(
    network: string,
  ): readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** After any change of networks, endpoints or names. */
  onChange(listener: () => void): void;
}

/** A JSON value that outlives the process: what Docker never tells again. */
export interface Memory {
  /** `undefined` when there is none yet or it was broken. */
  load(): Promise<unknown>;
  save(value: unknown): Promise<void>;
}
