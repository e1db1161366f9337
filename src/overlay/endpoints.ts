// The containers of this host in networks of the store: what others learn of them, and what they may
// send. Pure.

import type { GuardSpec } from '../datapath/seam.js';
import { contains, parseCidr } from '../model/ip.js';
import type { Mac } from '../model/mac.js';
import { hasInterface, type Pool, type Port } from '../model/network.js';
import type { PortRow } from '../store/runtimeState.js';
import type { Merged } from './merge.js';
import type { Station } from './remote.js';
import type { LocalEndpoint } from './shared.js';

/** Those with a MAC; without addresses they tell at least where it is. `self` is our VTEP address. */
export function endpointsOf(
  merged: Pick<Merged, 'networks' | 'shared'>,
  rows: readonly PortRow[],
  self: string,
): LocalEndpoint[] {
  return attached(merged, rows).map(({ network, mac, row }) => {
    const { port, endpoint } = row;
    return endpoint === undefined
      ? {
          ...{ network, id: `${self}/${port.name}`, mac, addresses: port.addresses },
          ...{ name: port.name, aliases: [] },
        }
      : { network, mac, ...endpoint };
  });
}

export function stationsOf(endpoints: readonly LocalEndpoint[], network: string): Station[] {
  return endpoints
    .filter((endpoint) => endpoint.network === network)
    .map(({ mac, addresses }) => ({ mac, ips: addresses.map(withoutPrefix) }));
}

/** By port name: what managed ports may send. Managed = the addresses are of the network's pools, or Docker's. */
export function guardsOf(
  merged: Pick<Merged, 'networks' | 'shared'>,
  rows: readonly PortRow[],
): Map<string, GuardSpec> {
  const guards = new Map<string, GuardSpec>();
  for (const { network, mac, row } of attached(merged, rows)) {
    const shared = merged.shared.get(network);
    const addresses = addressesOf(row);
    const managed =
      row.endpoint !== undefined ||
      addresses.every((address) => poolOf(shared?.pools ?? [], address) !== undefined);
    if (managed && addresses.length > 0 && shared?.network.port_security === 'auto') {
      guards.set(row.port.name, { macs: [mac], addresses: addresses.map(withoutPrefix) });
    }
  }
  return guards;
}

/** With prefix length. */
export function addressesOf({ port, endpoint }: PortRow): readonly string[] {
  return endpoint?.addresses ?? port.addresses;
}

/** The pool that an address with prefix length is of. */
export function poolOf(pools: readonly Pool[], address: string): Pool | undefined {
  const cidr = parseCidr(address);
  if (cidr === undefined) return undefined;
  return pools.find(({ subnet }) => {
    const range = parseCidr(subnet);
    return range !== undefined && contains(range, cidr);
  });
}

export function withoutPrefix(address: string): string {
  return address.replace(/\/.*$/, '');
}

interface Attached {
  readonly network: string;
  readonly mac: Mac;
  readonly row: PortRow;
}

/** Ports of networks of the store that are in effect, and known by name to others. */
function attached(
  { networks, shared }: Pick<Merged, 'networks' | 'shared'>,
  rows: readonly PortRow[],
): Attached[] {
  const byName = new Map(rows.map((row) => [row.port.name, row]));
  return networks
    .filter(({ name }) => shared.has(name))
    .flatMap(({ name, ports }) => ports.flatMap((port) => standing(name, port, byName)));
}

function standing(
  network: string,
  { name, kind, mac }: Port,
  rows: ReadonlyMap<string, PortRow>,
): Attached[] {
  const row = rows.get(name);
  return row === undefined || !hasInterface({ kind }) || mac === undefined
    ? []
    : [{ network, mac, row }];
}
