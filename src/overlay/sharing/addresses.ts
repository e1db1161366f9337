// Decisions about addresses: given, given back. A record for each address is what makes it one host's.

import { SwitchError } from '../../model/error.js';
import { parseIp } from '../../model/ip.js';
import type { Pool } from '../../model/network.js';
import {
  type AddressRecord,
  encode,
  keys,
  type NetworkRecord,
  RECORD_VERSION,
} from '../../store/records.js';
import type { Write } from '../../store/store.js';
import { familyOf, freeAddresses, inPool, isUsable, pick } from '../ipam.js';
import type { AddressWish } from '../shared.js';
import type { View } from './mirror.js';
import { hostText } from './networks.js';
import type { Decide, Decision } from './transactor.js';
import type { Unit } from './unit.js';

/** Who asks, and what that host knows beside the store. */
export interface Asker {
  /** VTEP address of this host. */
  readonly self: string;
  /** Whether an endpoint that this host announces has the address. */
  readonly isInUse: (network: string, ip: string) => boolean;
  /** The address of the network and family that was given last, as far as this host saw. */
  readonly last: (network: string, family: 4 | 6) => string | undefined;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * Gives the address without prefix length, and as CIDR text. Throws NETWORK_UNKNOWN, NO_POOL,
 * NO_FREE_ADDRESS, ADDRESS_TAKEN, ADDRESS_OUTSIDE.
 */
export function reserve(network: string, wish: AddressWish, asker: Asker): Decide<Reserved> {
  return (view, attempt) => {
    const record = view.state.networks.get(network);
    if (record === undefined || record.removing) throw new SwitchError('NETWORK_UNKNOWN', network);
    if (view.text(keys.network(network)) === undefined) {
      throw new SwitchError('NETWORK_UNKNOWN', network, { why: 'the store has lost it for now' });
    }
    const pool = record.pools.find((item) => familyOf(item) === wish.family);
    if (pool === undefined) throw new SwitchError('NO_POOL', network);
    const demand: Demand = { network, pool, record, use: wish.use, asker };
    const ip =
      wish.use === 'gateway'
        ? gatewayOf(demand, view, wish.address)
        : (wish.address ?? nextOf(demand, view, attempt));
    return take(demand, view, ip);
  };
}

export interface Reserved {
  readonly ip: string;
  readonly cidr: string;
}

/**
 * Nothing happens when it is free, in use, another host's, or the network's own. An endpoint on its way
 * out goes along: none stays without its address.
 */
export function release(network: string, ip: string, asker: Asker): Decide<void> {
  return (view) => {
    const unit = asker.isInUse(network, ip) ? undefined : freeing(view, network, ip, asker.self);
    if (unit === undefined) return { result: undefined };
    const left = endpointsAt(view, { network, ip }, asker.self);
    return {
      transaction: {
        conditions: [...unit.conditions, ...left.map((key) => view.unchanged(key))],
        writes: [...unit.writes, ...left.map((key) => ({ key, remove: true }) as const)],
      },
      result: undefined,
    };
  };
}

/** Gives back an address that this host took for an endpoint; `undefined` when it did not. */
export function freeing(view: View, network: string, ip: string, self: string): Unit | undefined {
  const key = keys.address(network, ip);
  const record = view.state.addresses.get(network)?.get(ip);
  if (view.text(key) === undefined || record?.host !== self || record.use !== 'endpoint') {
    return undefined;
  }
  return { conditions: [view.unchanged(key)], writes: [{ key, remove: true }] };
}

/**
 * Makes the address this host's: no unit when it is already, text when it cannot be. What a lost host
 * had for an endpoint is taken over, and its endpoints with it.
 */
export function taking(
  view: View,
  place: { readonly network: string; readonly ip: string },
  record: AddressRecord,
): Unit | undefined | string {
  const { network, ip } = place;
  const key = keys.address(network, ip);
  const value = encode(record);
  const owner = view.state.addresses.get(network)?.get(ip);
  const text = view.text(key);
  if (owner === undefined && text !== undefined) return 'the store has something else in its place';
  if (owner !== undefined && owner.host !== record.host) {
    if (view.isLive(owner.host)) return `host ${hostText(view, owner.host)} has it`;
    if (owner.use === 'endpoint') return takeover(view, place, owner.host, { key, value });
  }
  if (owner !== undefined && owner.use !== 'endpoint' && owner.use !== record.use) {
    return owner.use === 'gateway' ? "it is the network's gateway" : 'it is reserved';
  }
  if (text === value) return undefined;
  return { conditions: [view.unchanged(key)], writes: [{ key, value }] };
}

interface Demand {
  readonly network: string;
  readonly record: NetworkRecord;
  readonly pool: Pool;
  readonly use: AddressRecord['use'];
  readonly asker: Asker;
}

function nextOf({ network, pool, asker }: Demand, view: View, attempt: number): string {
  const taken = { has: (ip: string) => view.has(keys.address(network, ip)) };
  const free = freeAddresses(pool, taken, asker.last(network, familyOf(pool)));
  const ip = pick(free, attempt, asker.random);
  if (ip === undefined) throw new SwitchError('NO_FREE_ADDRESS', network);
  return ip;
}

/** All hosts have the same one; the first that asks chooses. */
function gatewayOf({ network, pool }: Demand, view: View, wished: string | undefined): string {
  const addresses = view.state.addresses.get(network) ?? new Map<string, AddressRecord>();
  const [given] = [...addresses].find(
    ([ip, { use }]) => use === 'gateway' && parseIp(ip)?.family === familyOf(pool),
  ) ?? [pool.gateway];
  if (wished !== undefined && given !== undefined && wished !== given) {
    throw new SwitchError('ADDRESS_TAKEN', wished, { why: `the network's gateway is ${given}` });
  }
  const taken = { has: (ip: string) => view.has(keys.address(network, ip)) };
  const [first] = freeAddresses({ subnet: pool.subnet }, taken);
  const ip = given ?? wished ?? first;
  if (ip === undefined) throw new SwitchError('NO_FREE_ADDRESS', network);
  return ip;
}

function take(demand: Demand, view: View, ip: string): Decision<Reserved> {
  const { network, pool, use, asker } = demand;
  if (!isUsable(pool, ip)) {
    throw new SwitchError('ADDRESS_OUTSIDE', ip, { detail: `its subnet is ${pool.subnet}` });
  }
  const result = { ip, cidr: inPool(pool, ip) };
  const owner = view.state.addresses.get(network)?.get(ip);
  // Those of the network are shared, whoever wrote them down.
  if (use !== 'endpoint' && owner?.use === use) return { result };
  if (asker.isInUse(network, ip)) {
    throw new SwitchError('ADDRESS_TAKEN', ip, { why: 'an endpoint of this host has it' });
  }
  const record: AddressRecord = { version: RECORD_VERSION, host: asker.self, use };
  const unit = taking(view, { network, ip }, record);
  if (typeof unit === 'string') throw new SwitchError('ADDRESS_TAKEN', ip, { why: unit });
  if (unit === undefined) return { result };
  // As long as we do not look lost, nobody takes it over before it is an endpoint's.
  const premises = [keys.network(network), keys.host(asker.self)];
  const conditions = [...premises.map((key) => view.unchanged(key)), ...unit.conditions];
  return { transaction: { conditions, writes: unit.writes }, result };
}

function takeover(
  view: View,
  { network, ip }: { readonly network: string; readonly ip: string },
  loser: string,
  write: Write & { readonly value: string },
): Unit {
  const lost = endpointsAt(view, { network, ip }, loser);
  return {
    conditions: [
      // It may have come back by now.
      { key: keys.host(loser), absent: true },
      view.unchanged(write.key),
      ...lost.map((key) => view.unchanged(key)),
    ],
    writes: [write, ...lost.map((key) => ({ key, remove: true }) as const)],
  };
}

/** Keys of the endpoints of a host that have the address. */
function endpointsAt(
  view: View,
  { network, ip }: { readonly network: string; readonly ip: string },
  vtep: string,
): string[] {
  return [...(view.state.endpoints.get(network) ?? [])]
    .filter(([, { host, addresses }]) => host === vtep && addresses.some((cidr) => isAt(cidr, ip)))
    .map(([id]) => keys.endpoint(network, id))
    .filter((key) => view.text(key) !== undefined);
}

const isAt = (cidr: string, ip: string) => cidr.startsWith(`${ip}/`);
