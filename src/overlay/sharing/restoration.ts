// What this host brings back to a store that has lost its contents. Endpoints follow by themselves.

import { encode, type Item, keys, type NetworkRecord } from '../../store/records.js';
import { freeVnis } from '../ipam.js';
import type { Difference } from './endpoints.js';
import type { Mirror } from './mirror.js';
import { creation } from './networks.js';
import type { Unit } from './unit.js';

/** What the others do not bring back in this time is gone. */
export const HOLD_MS = 60_000;

type Lost<K extends Item['kind']> = Extract<Item, { readonly kind: K }>;

/**
 * Every network, if it is this host's turn; then this host's memberships and addresses and the
 * networks' gateways. Several hosts may do so at once: each key is written once.
 *
 * A VNI that another network has by now is replaced: containers that go on matter more than its number.
 *
 * @param isTurn whether this host brings the network back now; those that it uses come first
 */
export function restoration(
  mirror: Mirror,
  self: string,
  isTurn: (network: string) => boolean,
  highestVni: number,
): Difference {
  const held = mirror.held();
  const units: Unit[] = [];
  const conflicts: string[] = [];
  const of = <K extends Item['kind']>(kind: K) =>
    held.filter((item): item is Lost<K> => item.kind === kind);
  const taken = { has: (vni: number) => mirror.has(keys.vni(vni)) };
  for (const { network, record } of of('network').filter((item) => isTurn(item.network))) {
    const { vni } = record.network;
    if (mirror.text(keys.vni(vni)) === undefined) {
      units.push(networkUnit(mirror, record, vni));
      continue;
    }
    const [other] = freeVnis(taken, highestVni);
    const end = other === undefined ? 'and there is no other' : `it gets ${other}`;
    conflicts.push(`network ${network}: another has its VNI ${vni} by now; ${end}`);
    if (other !== undefined) units.push(networkUnit(mirror, record, other));
  }
  const isThere = (network: string) => mirror.text(keys.network(network)) !== undefined;
  const add = (network: string, key: string, item: Lost<'member' | 'address'>) => {
    const conditions = [mirror.unchanged(keys.network(network)), { key, absent: true } as const];
    if (isThere(network)) units.push({ conditions, writes: [{ key, value: encode(item.record) }] });
  };
  for (const item of of('member').filter(({ vtep }) => vtep === self)) {
    add(item.network, keys.member(item.network, self), item);
  }
  for (const item of of('address')) {
    const { host, use } = item.record;
    if (host === self || use !== 'endpoint')
      add(item.network, keys.address(item.network, item.ip), item);
  }
  return { units, conflicts };
}

/**
 * As it was, with what it had claimed, except a subnet that another has claimed meanwhile: two networks
 * may have one. Its removal has to be begun anew.
 */
function networkUnit(mirror: Mirror, { removing: _, ...record }: NetworkRecord, vni: number): Unit {
  const claimed = record.pools.find(({ subnet }) => {
    const key = keys.subnet(subnet);
    return mirror.item(key) !== undefined && mirror.text(key) === undefined;
  });
  return creation({ ...record, network: { ...record.network, vni } }, claimed?.subnet);
}
