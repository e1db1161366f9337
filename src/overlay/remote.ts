// What a network's other hosts are to this one. Pure: equal input gives equal output.

import type { EndpointRecord } from '../store/records.js';
import type { SharedHost, SharedState } from './shared.js';

/** An attached container: one MAC, and the addresses (without prefix length) that stand for it. */
export interface Station {
  readonly mac: string;
  readonly ips: readonly string[];
}

export interface RemoteStation extends Station {
  /** Address of the VTEP that it is behind. */
  readonly vtep: string;
  readonly udpPort: number;
  /** `dead`: its host is lost; no frame is sent to it by name and nobody answers for it. */
  readonly state: 'live' | 'dead';
}

export interface RemoteVtep {
  readonly address: string;
  readonly udpPort: number;
}

export interface RemoteView {
  /** Flooded to and allowed to send: hosts with endpoints here that are live or lost not long ago. */
  readonly vteps: readonly RemoteVtep[];
  /** Every MAC once, and every address once. */
  readonly stations: readonly RemoteStation[];
  /** Those of this host. */
  readonly local: readonly Station[];
}

/**
 * The network as seen from the host with the VTEP address `self`. Where the store has a MAC or an
 * address twice (a container that moves), this host's own comes first, then live hosts, then lost
 * ones, each by ID. A network that is not in `state` has nothing.
 */
export function remoteOf(state: SharedState, network: string, self: string): RemoteView {
  const endpoints = [...(state.endpoints.get(network) ?? [])]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, record]) => record);
  const udpPort = state.networks.get(network)?.network.port;
  const taken = new Set<string>();
  const local = endpoints.filter(({ host }) => host === self).flatMap((own) => claim(own, taken));

  const foreign = endpoints.flatMap((record): Foreign[] => {
    const host = state.hosts.get(record.host);
    return host === undefined || record.host === self ? [] : [{ record, host }];
  });
  const stationsOf = (wanted: SharedHost['state']): RemoteStation[] =>
    foreign
      .filter(({ host }) => host.state === wanted)
      .flatMap(({ record, host }) =>
        claim(record, taken).map((station) => ({
          ...station,
          vtep: host.address,
          udpPort: udpPort ?? host.port,
          state: wanted === 'live' ? 'live' : 'dead',
        })),
      );
  const heard = new Map(
    foreign.filter(({ host }) => host.heard).map(({ host }) => [host.address, host.port]),
  );
  return {
    vteps: [...heard].sort().map(([address, port]) => ({ address, udpPort: udpPort ?? port })),
    stations: [...stationsOf('live'), ...stationsOf('lost')],
    local,
  };
}

interface Foreign {
  readonly record: EndpointRecord;
  readonly host: SharedHost;
}

/** The record's station without what others have claimed; none when its MAC is. */
function claim(record: EndpointRecord, taken: Set<string>): Station[] {
  if (taken.has(record.mac)) return [];
  taken.add(record.mac);
  const ips = record.addresses.flatMap((address) => address.split('/').slice(0, 1));
  const free = ips.filter((ip) => !taken.has(ip));
  for (const ip of free) taken.add(ip);
  return [{ mac: record.mac, ips: free }];
}
