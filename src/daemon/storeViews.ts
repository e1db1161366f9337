// How the API shows what all hosts share, as this host last saw it.

import type { EndpointView, HostView, NeighborView, StatusView } from '../control/views.js';
import { neighborsOf } from '../overlay/neighbors.js';
import type { Overlay } from '../overlay/overlay.js';

/** Every endpoint that the store has; of this host also those that it could not be told yet. */
export function viewEndpoints(overlay: Overlay, name: string | undefined): EndpointView[] {
  const { state } = overlay.sharing;
  const self = overlay.base.vtep.address;
  const chosen = (network: string) => name === undefined || name === network;
  const here = overlay.announced
    .filter(({ network }) => chosen(network))
    .map((endpoint) => ({ ...endpoint, host: self, state: 'live' as const }));
  const elsewhere = [...state.endpoints]
    .filter(([network]) => chosen(network))
    .flatMap(([network, records]) =>
      [...records].map(([id, record]) => ({
        ...{ network, id, ...record },
        state: state.hosts.get(record.host)?.state ?? ('lost' as const),
      })),
    )
    .filter(({ host }) => host !== self);
  return [...here, ...elsewhere]
    .map(({ network, id, name: known, aliases, mac, addresses, host, state: now }) => ({
      ...{ network, id, mac, host, state: now },
      ...(known === undefined ? {} : { name: known }),
      aliases: [...aliases],
      addresses: [...addresses],
    }))
    .sort((a, b) => compare(a.network, b.network) || compare(a.name ?? a.id, b.name ?? b.id));
}

export function viewHosts({ sharing, base }: Overlay): HostView[] {
  const counts = new Map<string, number>();
  for (const records of sharing.state.endpoints.values()) {
    for (const { host } of records.values()) counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  return [...sharing.state.hosts.values()]
    .map(({ address, port, name, state }) => ({
      ...{ address, port, name, state },
      self: address === base.vtep.address,
      endpoints: counts.get(address) ?? 0,
    }))
    .sort((a, b) => compare(a.address, b.address));
}

/** What the datapath is told: only networks in use here, and none where `neigh_suppress` is off. */
export function viewNeighbors(overlay: Overlay, name: string | undefined): NeighborView[] {
  return overlay.networks
    .filter((item) => (name === undefined || item.name === name) && item.neigh_suppress !== 'off')
    .flatMap((network) => {
      const around = overlay.around.get(network.name);
      if (around === undefined) return [];
      const vteps = new Map(around.remote.stations.map(({ mac, vtep }) => [mac, vtep]));
      return neighborsOf(around, overlay.stale).map(({ ip, mac, local, state }): NeighborView => {
        const vtep = local ? undefined : vteps.get(mac);
        return {
          ...{ network: network.name, ip, mac, state: local ? 'local' : state },
          ...(vtep === undefined ? {} : { vtep }),
        };
      });
    });
}

export function viewStore({ sharing }: Overlay, name: string): StatusView['store'] {
  const { state, since, detail, garbage, conflicts } = sharing.health;
  return {
    ...{ name, state, since: new Date(since).toISOString() },
    ...(detail === undefined ? {} : { detail }),
    garbage: garbage.length,
    conflicts: [...conflicts],
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
