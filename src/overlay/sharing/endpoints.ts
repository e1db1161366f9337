// What has to change in the store so that it has exactly the endpoints that this host announces.

import { type EndpointRecord, encode, isWord, keys, RECORD_VERSION } from '../../store/records.js';
import { TRANSACTION_MAX } from '../../store/store.js';
import type { LocalEndpoint } from '../shared.js';
import { freeing, taking } from './addresses.js';
import type { View } from './mirror.js';
import type { Reservations } from './reservations.js';
import type { Unit } from './unit.js';

export interface Announcement {
  /** VTEP address of this host. */
  readonly self: string;
  readonly endpoints: readonly LocalEndpoint[];
  /** Addresses that were taken for endpoints to come. */
  readonly reservations: Pick<Reservations, 'isReserved' | 'isForgotten'>;
}

export interface Difference {
  /** Empty: the store has them all. */
  readonly units: readonly Unit[];
  /** What cannot be told, and why. */
  readonly conflicts: readonly string[];
}

/**
 * Endpoints that are missing or differ are written together with their addresses; others of this host
 * are removed together with theirs. Addresses that were taken and forgotten are given back.
 */
export function difference(view: View, announcement: Announcement): Difference {
  const { self, endpoints } = announcement;
  const wanted: Wanted = { endpoints: new Set(), addresses: new Map() };
  const conflicts: string[] = [];
  const news: Unit[] = [];
  for (const endpoint of endpoints) {
    const { network, id, name } = endpoint;
    const obstacle = obstacleOf(view, network);
    const unit = obstacle === undefined ? telling(view, endpoint, self, wanted.addresses) : NOTHING;
    const why = obstacle ?? (typeof unit === 'string' ? unit : undefined);
    if (why !== undefined) conflicts.push(`${name ?? id} in network ${network}: ${why}`);
    if (typeof unit === 'string') continue;
    wanted.endpoints.add(keys.endpoint(network, id));
    for (const ip of ipsOf(endpoint)) wanted.addresses.set(keys.address(network, ip), name ?? id);
    if (unit.writes.length > 0) news.push(unit);
  }
  const gone = withdrawals(view, announcement, wanted);
  return { units: [...gone, ...news, ...returns(view, announcement, wanted)], conflicts };
}

/** Addresses of an endpoint without prefix length. */
export function ipsOf({ addresses }: Pick<EndpointRecord, 'addresses'>): string[] {
  return addresses.flatMap((address) => address.split('/').slice(0, 1));
}

/**
 * Why the network takes no endpoint now. What it has of ours stays: that is what keeps a network from
 * being removed.
 */
function obstacleOf(view: View, network: string): string | undefined {
  if (view.text(keys.network(network)) === undefined) return 'the store does not have the network';
  return view.state.networks.get(network)?.removing && 'the network is being removed';
}

/** Writes the endpoint and takes its addresses, as far as that is not so; text when it cannot be. */
function telling(
  view: View,
  endpoint: LocalEndpoint,
  self: string,
  claimed: ReadonlyMap<string, string>,
): Unit | string {
  const { network, id } = endpoint;
  const owner = view.state.networks.get(network)?.owner;
  const parts: Unit[] = [];
  // Docker's own IPAM has given those; nobody else can judge them.
  const ips = owner === 'docker-cluster' ? [] : ipsOf(endpoint);
  for (const ip of ips) {
    const other = claimed.get(keys.address(network, ip));
    if (other !== undefined) return `${ip} is also the address of ${other} on this host`;
    const address = { version: RECORD_VERSION, host: self, use: 'endpoint' } as const;
    const part = taking(view, { network, ip }, address);
    if (typeof part === 'string') return `${ip}: ${part}`;
    if (part !== undefined) parts.push(part);
  }
  const key = keys.endpoint(network, id);
  const text = view.text(key);
  const before = view.state.endpoints.get(network)?.get(id);
  if (text !== undefined && before === undefined)
    return 'the store has something else in its place';
  if (before !== undefined && before.host !== self && view.isLive(before.host)) {
    return `host ${before.host} has one of that ID`;
  }
  const value = encode(recordOf(endpoint, self));
  if (text !== value) parts.push({ conditions: [view.unchanged(key)], writes: [{ key, value }] });
  if (parts.length === 0) return NOTHING;
  // Somebody may be taking over an address of ours just now, but only while we look lost.
  const premises = [
    ...[keys.host(self), keys.network(network)],
    ...ips.map((ip) => keys.address(network, ip)),
  ];
  const unit: Unit = {
    conditions: [
      ...premises.map((premise) => view.unchanged(premise)),
      ...parts.flatMap(({ conditions }) => conditions),
    ],
    writes: parts.flatMap(({ writes }) => writes),
  };
  const size = unit.conditions.length + unit.writes.length;
  return size > TRANSACTION_MAX ? 'it has too many addresses' : unit;
}

/** Removes endpoints of this host that are not wanted, and gives back their addresses. */
function withdrawals(view: View, announcement: Announcement, wanted: Wanted): Unit[] {
  const { self, reservations } = announcement;
  const units: Unit[] = [];
  for (const [network, endpoints] of view.state.endpoints) {
    for (const [id, endpoint] of endpoints) {
      const key = keys.endpoint(network, id);
      if (endpoint.host !== self || wanted.endpoints.has(key) || view.text(key) === undefined) {
        continue;
      }
      const freed = ipsOf(endpoint)
        .filter((ip) => !wanted.addresses.has(keys.address(network, ip)))
        .filter((ip) => !reservations.isReserved(network, ip))
        .flatMap((ip) => freeing(view, network, ip, self) ?? []);
      units.push({
        conditions: [view.unchanged(key), ...freed.flatMap(({ conditions }) => conditions)],
        writes: [{ key, remove: true }, ...freed.flatMap(({ writes }) => writes)],
      });
    }
  }
  return units;
}

/** Gives back addresses of this host that no endpoint has, nor will have. */
function returns(view: View, { self, reservations }: Announcement, wanted: Wanted): Unit[] {
  return [...view.state.addresses].flatMap(([network, addresses]) =>
    [...addresses]
      .filter(([, { host, use }]) => host === self && use === 'endpoint')
      .filter(([ip]) => !wanted.addresses.has(keys.address(network, ip)))
      .filter(([ip]) => reservations.isForgotten(network, ip))
      .flatMap(([ip]) => freeing(view, network, ip, self) ?? []),
  );
}

interface Wanted {
  /** Keys of endpoints that are told. */
  readonly endpoints: Set<string>;
  /** Keys of their addresses, and whose each is. */
  readonly addresses: Map<string, string>;
}

/** Names that no resolver could ask for are left out: with one the record would be garbage to all. */
function recordOf(endpoint: LocalEndpoint, host: string): EndpointRecord {
  const { mac, addresses, name, aliases } = endpoint;
  const named = name === undefined || !isWord(name) ? {} : { name };
  const known = aliases.filter(isWord);
  return { version: RECORD_VERSION, host, mac, addresses, ...named, aliases: known };
}

const NOTHING: Unit = { conditions: [], writes: [] };
