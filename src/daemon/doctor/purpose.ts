// What a configuration asks of the machine, whether a daemon runs it or not.

import type { PeerView } from '../../control/views.js';
import { type Network, udpPortOf, type VtepSettings } from '../../model/network.js';
import { VXLAN_PORT } from '../../model/vtep.js';
import type { Purpose } from './facts.js';

/** Nothing is configured: whether the usual port is free, and which ports are possible. */
export const NO_PURPOSE: Purpose = {
  udpPorts: new Set([VXLAN_PORT]),
  peers: [],
  makesTaps: false,
  opensPackets: false,
};

export interface Configured {
  readonly vtep: VtepSettings;
  readonly networks: readonly Network[];
  /** VTEPs of other hosts; one may stand for several networks. */
  readonly peers: readonly Pick<PeerView, 'address' | 'path_mtu'>[];
  readonly servesDocker: boolean;
  readonly store?: Purpose['store'];
}

export function purposeOf({ vtep, networks, peers, servesDocker, store }: Configured): Purpose {
  const paths = new Map<string, number | undefined>();
  for (const { address, path_mtu: own } of peers) {
    const known = paths.get(address);
    paths.set(address, own === undefined ? known : Math.min(own, known ?? own));
  }
  const ports = networks.flatMap((network) => network.ports);
  return {
    vtep: vtep.address,
    udpPorts: new Set([vtep.port, ...networks.map((network) => udpPortOf(network, vtep))]),
    peers: [...paths].map(([address, pathMtu]) => ({
      address,
      ...(pathMtu === undefined ? {} : { pathMtu }),
    })),
    makesTaps:
      servesDocker || ports.some(({ kind, handover }) => kind === 'tap' && handover === undefined),
    opensPackets: ports.some(({ kind }) => kind === 'packet'),
    ...(store === undefined ? {} : { store }),
  };
}
