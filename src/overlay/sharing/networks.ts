// Decisions about networks: made, joined, removed in two steps, known to a host's Docker or not.

import { isDeepStrictEqual } from 'node:util';
import { SwitchError } from '../../model/error.js';
import type { Pool } from '../../model/network.js';
import {
  type EndpointRecord,
  encode,
  keys,
  type NetworkRecord,
  RECORD_VERSION,
} from '../../store/records.js';
import { withoutParts } from '../../store/runtimeState.js';
import type { Transaction } from '../../store/store.js';
import { freeSubnets, freeVnis, pick } from '../ipam.js';
import type { NetworkWish } from '../shared.js';
import type { View } from './mirror.js';
import type { Decide, Decision } from './transactor.js';
import { pack, type Unit } from './unit.js';

/** What a network is made of beside the wish. */
export interface Making {
  /** Random. */
  readonly id: string;
  /** The highest VNI that this host has ever seen in use. */
  readonly highestVni: number;
  /** What only this host knows to be taken. */
  readonly occupied: Occupied;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export interface Occupied {
  /** CIDR text: those of its interfaces. */
  readonly subnets: readonly string[];
  /** Those of its configuration file. */
  readonly vnis: readonly number[];
}

/** Throws NETWORK_EXISTS, VNI_TAKEN, NO_FREE_VNI, NO_FREE_SUBNET. */
export function createNetwork(wish: NetworkWish, making: Making): Decide<NetworkRecord> {
  const { name } = wish.network;
  return (view, attempt) => {
    if (!view.has(keys.network(name))) return make(wish, making, view, attempt);
    const record = view.state.networks.get(name);
    // Ours, of an attempt whose answer was lost.
    if (record?.id === making.id) return { result: record };
    const why = record?.removing ? 'it is being removed' : undefined;
    throw new SwitchError('NETWORK_EXISTS', name, {
      why: record === undefined ? 'the store has something else under its name' : why,
    });
  };
}

/**
 * `unsettled`: the one of that name is on its way out, or on its way back into a store that has lost it.
 * `stale`: it is an earlier one of Docker's cluster, which has forgotten it.
 */
export type Joined = NetworkRecord | 'unsettled' | 'stale';

/** Throws NETWORK_MISMATCH and what `createNetwork` throws. */
export function joinNetwork(wish: NetworkWish, making: Making): Decide<Joined> {
  const create = createNetwork(wish, making);
  return (view, attempt) => {
    const record = view.state.networks.get(wish.network.name);
    if (record === undefined) return create(view, attempt);
    const isLost = view.text(keys.network(wish.network.name)) === undefined;
    if (isLost || record.removing) return { result: 'unsettled' };
    if (wish.owner === 'docker-cluster' && record.owner === wish.owner) {
      if (wish.docker_id !== record.docker_id) return { result: 'stale' };
    }
    requireMatch(wish, record);
    return { result: record };
  };
}

/** First step of a removal: nobody attaches any more. Throws NETWORK_UNKNOWN, NETWORK_IN_USE. */
export function markRemoving(name: string, usersOf: UsersOf): Decide<void> {
  return (view) => {
    const record = existing(view, name);
    requireUnused(view, name, usersOf);
    return record.removing ? { result: undefined } : rewrite(view, { ...record, removing: true });
  };
}

/**
 * Second step: all that belongs to the network goes, and the network last; or, when it is in use
 * after all, the first step is taken back.
 */
export function finishRemoval(name: string, usersOf: UsersOf): Decide<'more' | 'done' | 'back'> {
  return (view) => {
    const record = view.state.networks.get(name);
    if (record?.removing === undefined || view.text(keys.network(name)) === undefined) {
      return { result: record === undefined ? 'done' : 'back' };
    }
    if (usersOf(view, name).length > 0) {
      const { removing: _, ...back } = record;
      return { ...rewrite(view, back), result: 'back' };
    }
    const isAsIs = view.unchanged(keys.network(name));
    const units = belongings(view, name).map(
      (key): Unit => ({ conditions: [isAsIs], writes: [{ key, remove: true }] }),
    );
    const last: Unit = {
      conditions: [isAsIs],
      writes: claims(view, record).map((key) => ({ key, remove: true })),
    };
    const transaction = pack(units, MOST_BELONGINGS) ?? pack([last]);
    return {
      ...(transaction && { transaction }),
      result: units.length > 0 ? 'more' : 'done',
    };
  };
}

/** Who keeps a network from being removed, for people. */
export type UsersOf = (view: View, network: string) => readonly string[];

/** Throws NETWORK_UNKNOWN. */
export function enter(network: string, vtep: string, dockerId: string): Decide<void> {
  return (view) => {
    if (existing(view, network).removing) throw new SwitchError('NETWORK_UNKNOWN', network);
    const key = keys.member(network, vtep);
    const value = encode({ version: RECORD_VERSION, docker_id: dockerId });
    if (view.text(key) === value) return { result: undefined };
    return {
      transaction: {
        conditions: [view.unchanged(keys.network(network)), view.unchanged(key)],
        writes: [{ key, value }],
      },
      result: undefined,
    };
  };
}

export function leave(network: string, vtep: string): Decide<void> {
  const key = keys.member(network, vtep);
  return (view) => {
    if (view.text(key) === undefined) return { result: undefined };
    return {
      transaction: { conditions: [view.unchanged(key)], writes: [{ key, remove: true }] },
      result: undefined,
    };
  };
}

/** Whether a network that Docker made is known to no Docker any more. */
export function isAbandoned(view: View, name: string): boolean {
  const owner = view.state.networks.get(name)?.owner;
  return owner === 'docker' && !view.state.members.has(name) && !view.state.endpoints.has(name);
}

/** Leaves room for the condition. */
const MOST_BELONGINGS = 60;

function make(
  wish: NetworkWish,
  making: Making,
  view: View,
  attempt: number,
): Decision<NetworkRecord> {
  const { name } = wish.network;
  const vni = chooseVni(wish, making, view, attempt);
  const subnet = wish.pools === 'auto' ? chooseSubnet(name, making, view, attempt) : undefined;
  const pools: readonly Pool[] = wish.pools === 'auto' ? [] : wish.pools;
  const record: NetworkRecord = {
    version: RECORD_VERSION,
    id: making.id,
    network: withoutParts({ ...wish.network, vni }),
    pools: subnet === undefined ? pools : [{ subnet }],
    owner: wish.owner,
    ...(wish.docker_id !== undefined && { docker_id: wish.docker_id }),
  };
  return { transaction: creation(record, subnet), result: record };
}

/** All keys of a new network. `subnet`: the automatic one, if it has one. */
export function creation(record: NetworkRecord, subnet: string | undefined): Transaction {
  const { name, vni } = record.network;
  const claim = encode({ version: RECORD_VERSION, network: name });
  const writes = [
    { key: keys.network(name), value: encode(record) },
    { key: keys.vni(vni), value: claim },
    ...(subnet === undefined ? [] : [{ key: keys.subnet(subnet), value: claim }]),
  ];
  return { conditions: writes.map(({ key }) => ({ key, absent: true })), writes };
}

function chooseVni(wish: NetworkWish, making: Making, view: View, attempt: number): number {
  const { name, vni } = wish.network;
  const owners = new Map(
    [...view.state.networks].map(([owner, { network }]) => [network.vni, owner]),
  );
  const taken = { has: (item: number) => owners.has(item) || view.has(keys.vni(item)) };
  if (vni !== undefined) {
    if (!taken.has(vni)) return vni;
    const owner = owners.get(vni);
    const why = owner === undefined ? undefined : `network ${owner} has it`;
    throw new SwitchError('VNI_TAKEN', `network ${name} the VNI ${vni}`, { why });
  }
  const highest = Math.max(making.highestVni, ...owners.keys());
  const occupied = new Set(making.occupied.vnis);
  const free = freeVnis({ has: (item) => occupied.has(item) || taken.has(item) }, highest);
  const chosen = pick(free, attempt, making.random);
  if (chosen === undefined) throw new SwitchError('NO_FREE_VNI', name);
  return chosen;
}

function chooseSubnet(name: string, making: Making, view: View, attempt: number): string {
  const pools = [...view.state.networks.values()].flatMap((record) => record.pools);
  const taken = [...making.occupied.subnets, ...pools.map((pool) => pool.subnet)];
  const free = freeSubnets(taken, { has: (subnet) => view.has(keys.subnet(subnet)) });
  const subnet = pick(free, attempt, making.random);
  if (subnet === undefined) throw new SwitchError('NO_FREE_SUBNET', name);
  return subnet;
}

function requireMatch(wish: NetworkWish, record: NetworkRecord): void {
  const { name, vni } = wish.network;
  const differs = (why: string) => new SwitchError('NETWORK_MISMATCH', name, { why });
  if (vni !== undefined && vni !== record.network.vni) {
    throw differs(`the store has it with VNI ${record.network.vni}, not ${vni}`);
  }
  if (wish.pools === 'auto') return;
  const subnets = (pools: readonly Pool[]) => pools.map(({ subnet }) => subnet).sort();
  if (!isDeepStrictEqual(subnets(wish.pools), subnets(record.pools))) {
    const text = (pools: readonly Pool[]) => subnets(pools).join(' and ') || 'no subnet';
    throw differs(`the store has it with ${text(record.pools)}, not ${text(wish.pools)}`);
  }
}

function existing(view: View, name: string): NetworkRecord {
  const record = view.state.networks.get(name);
  if (record === undefined || view.text(keys.network(name)) === undefined) {
    throw new SwitchError('NETWORK_UNKNOWN', name);
  }
  return record;
}

function requireUnused(view: View, name: string, usersOf: UsersOf): void {
  const users = usersOf(view, name);
  if (users.length === 0) return;
  const more = users.length > 5 ? ` and ${users.length - 5} more` : '';
  throw new SwitchError('NETWORK_IN_USE', name, { detail: users.slice(0, 5).join(', ') + more });
}

function rewrite(
  view: View,
  record: NetworkRecord,
): { transaction: Transaction; result: undefined } {
  const key = keys.network(record.network.name);
  return {
    transaction: {
      conditions: [view.unchanged(key)],
      writes: [{ key, value: encode(record) }],
    },
    result: undefined,
  };
}

/** Valid records below the network; garbage is left alone. */
function belongings(view: View, name: string): string[] {
  const { endpoints, addresses, members } = view.state;
  return [
    ...[...(endpoints.get(name)?.keys() ?? [])].map((id) => keys.endpoint(name, id)),
    ...[...(addresses.get(name)?.keys() ?? [])].map((ip) => keys.address(name, ip)),
    ...[...(members.get(name)?.keys() ?? [])].map((vtep) => keys.member(name, vtep)),
  ].filter((key) => view.text(key) !== undefined);
}

/** The network's own key and what it has claimed. */
function claims(view: View, record: NetworkRecord): string[] {
  const { name, vni } = record.network;
  const claim = encode({ version: RECORD_VERSION, network: name });
  const claimed = [keys.vni(vni), ...record.pools.map(({ subnet }) => keys.subnet(subnet))];
  return [keys.network(name), ...claimed.filter((key) => view.text(key) === claim)];
}

/** `web on h2 (10.200.0.2)` */
export function endpointText(view: View, id: string, endpoint: EndpointRecord): string {
  return `${endpoint.name ?? id} on ${hostText(view, endpoint.host)}`;
}

/** `h2 (10.200.0.2)` */
export function hostText(view: View, vtep: string): string {
  const name = view.state.hosts.get(vtep)?.name ?? vtep;
  return name === vtep ? vtep : `${name} (${vtep})`;
}
