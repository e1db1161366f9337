// What the store knows of the containers of a network, in the datapath's terms. Pure.

import type { FdbSpec, NeighborSpec } from '../datapath/seam.js';
import type { Network } from '../model/network.js';
import type { RemoteView, Station } from './remote.js';

/** The containers of a network of the store, on all hosts. */
export interface NetworkNeighbors {
  readonly remote: RemoteView;
  /** On this host, whether the store has them yet or not. */
  readonly local: readonly Station[];
}

/** Entries for the containers of living hosts. A static entry for the MAC, or a container here, wins. */
export function controlFdb(
  network: Network,
  { remote, local }: NetworkNeighbors,
  self: string,
): FdbSpec[] {
  const fixed = network.fdb.map((entry) => entry.mac);
  const here = network.ports.flatMap((port) => (port.mac === undefined ? [] : [port.mac]));
  const taken = new Set<string>([...fixed, ...here, ...local.map((station) => station.mac)]);
  return remote.stations
    .filter(
      ({ mac, state, vtep }) => state === 'live' && !taken.has(mac) && isReachable(vtep, self),
    )
    .map(({ mac, vtep, udpPort }) => ({
      mac,
      origin: 'control',
      to: { tunnel: { remote: vtep, udpPort, vni: network.vni } },
    }));
}

/** Who has which address; a container here wins over one elsewhere. */
export function neighborsOf({ remote, local }: NetworkNeighbors, stale: boolean): NeighborSpec[] {
  const neighbors = new Map<string, NeighborSpec>();
  const add = (ip: string, neighbor: Omit<NeighborSpec, 'ip' | 'router'>) => {
    if (!neighbors.has(ip)) neighbors.set(ip, { ip, ...neighbor, router: false });
  };
  for (const { mac, ips } of local) {
    for (const ip of ips) add(ip, { mac, local: true, state: 'live' });
  }
  for (const { mac, ips, state } of remote.stations) {
    const now = state === 'live' && stale ? 'stale' : state;
    for (const ip of ips) add(ip, { mac, local: false, state: now });
  }
  return [...neighbors.values()];
}

/** Tunnels need both ends in one family. */
export function isReachable(vtep: string, self: string): boolean {
  return vtep.includes(':') === self.includes(':');
}
