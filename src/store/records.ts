// What the store holds: one JSON value for each key, every one with `version`. A value of another
// shape, or under a key that does not fit it, is garbage: reported, left alone, and as good as absent.
//
//   hosts/VTEP                 a host; under its lease, so present = alive
//   networks/NAME              a network
//   vnis/VNI                   whose VNI it is
//   subnets/ADDRESS_PREFIX     whose automatic subnet it is
//   members/NAME/VTEP          a host on which Docker knows the network (local scope)
//   addresses/NAME/IP          who has the address
//   endpoints/NAME/ID          an attached container
//
// Only the host is under a lease: what belongs to a dead host counts no longer, but stays reserved
// for it, so that a host that was cut off for a minute finds its addresses still its own.

import type { Network, Pool } from '../model/network.js';

export const RECORD_VERSION = 1;

export interface HostRecord {
  readonly version: typeof RECORD_VERSION;
  /** Host name, for people. */
  readonly name: string;
  /** UDP port of its VTEP. */
  readonly port: number;
  /** Random, from its daemon's state directory: two machines with one VTEP address differ in it. */
  readonly machine: string;
  readonly lease: string;
}

export interface NetworkRecord {
  readonly version: typeof RECORD_VERSION;
  /** Random: a network that is removed and made again under its name is another one. */
  readonly id: string;
  /** Its `ports` and `fdb` are empty: they belong to hosts. */
  readonly network: Network;
  readonly pools: readonly Pool[];
  /**
   * Who ends it: `people` with `network rm`; `docker` by the last host on which Docker forgets it;
   * `docker-cluster` by the one `docker network rm` that Docker's own cluster store spreads.
   */
  readonly owner: 'people' | 'docker' | 'docker-cluster';
  /** Docker's NetworkID; only with `docker-cluster`, where it is the same on all hosts. */
  readonly docker_id?: string | undefined;
  /** Being removed: nobody attaches any more. */
  readonly removing?: true | undefined;
}

/** `vnis/` and `subnets/` */
export interface ClaimRecord {
  readonly version: typeof RECORD_VERSION;
  readonly network: string;
}

export interface MemberRecord {
  readonly version: typeof RECORD_VERSION;
  /** Docker's NetworkID on that host. */
  readonly docker_id: string;
}

export type AddressUse = 'endpoint' | 'gateway' | 'reserved';

export interface AddressRecord {
  readonly version: typeof RECORD_VERSION;
  /** VTEP of the host that took it. */
  readonly host: string;
  readonly use: AddressUse;
}

export interface EndpointRecord {
  readonly version: typeof RECORD_VERSION;
  /** VTEP of the host that it is on. */
  readonly host: string;
  readonly mac: string;
  /** With prefix length. */
  readonly addresses: readonly string[];
  /** Of the container, or of the port. */
  readonly name?: string | undefined;
  /** Other names under which containers of the network find it. */
  readonly aliases: readonly string[];
}
