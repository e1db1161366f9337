// The networks of this host: those of the file, beside them those of the store, and in both what was
// added through the API. The file wins: what does not fit beside it is left out (not forgotten) and told.

import { additionsTo } from '../config/crossCheck.js';
import type { Network, VtepSettings } from '../model/network.js';
import { formatVtep } from '../model/vtep.js';
import type { RuntimeState, SharedNetwork } from '../store/runtimeState.js';

/** A network of the store, or a runtime addition, that is not in effect. */
export interface Skipped {
  readonly what: string;
  readonly why: string;
}

export interface Merged {
  readonly networks: readonly Network[];
  /** Those of the networks that are the store's, by name. */
  readonly shared: ReadonlyMap<string, SharedNetwork>;
  readonly skipped: readonly Skipped[];
}

export interface Sources {
  /** Free of problems in themselves. */
  readonly file: readonly Network[];
  readonly shared: readonly SharedNetwork[];
  readonly runtime: Pick<RuntimeState, 'ports' | 'peers' | 'fdb'>;
}

/** Costs in proportion to what is there. */
export function merge(vtep: VtepSettings, { file, shared, runtime }: Sources): Merged {
  const skipped: Skipped[] = [];
  const additions = additionsTo(vtep, file);
  const networks = new Map(file.map((network) => [network.name, network]));
  const admit = (what: string, why: string | undefined): boolean => {
    if (why !== undefined) skipped.push({ what, why: `it needs ${why}` });
    return why === undefined;
  };
  const inNetwork = (name: string, judge: (network: Network) => string | undefined) => {
    const network = networks.get(name);
    return network === undefined ? `the network ${name}` : judge(network);
  };
  // In an order in which nothing comes before what it leans on.
  const effective = shared.filter(({ network }) => {
    const fits = admit(`network ${network.name}`, additions.network(network));
    if (fits) networks.set(network.name, network);
    return fits;
  });
  const admitted: Sources['runtime'] = {
    ports: runtime.ports.filter(({ network, port }) =>
      admit(
        `port ${port.name}`,
        inNetwork(network, (to) => additions.port(port, to)),
      ),
    ),
    peers: runtime.peers.filter(({ network, peer }) =>
      admit(
        `peer ${formatVtep(peer)} of network ${network}`,
        inNetwork(network, (to) => additions.peer(peer, to)),
      ),
    ),
    fdb: runtime.fdb.filter(({ network, entry }) =>
      admit(
        `FDB entry ${entry.mac} of network ${network}`,
        inNetwork(network, (to) => additions.fdb(entry, to)),
      ),
    ),
  };
  return {
    networks: assemble([...networks.values()], admitted),
    shared: new Map(effective.map((item) => [item.network.name, item])),
    skipped,
  };
}

function assemble(networks: readonly Network[], runtime: Sources['runtime']): Network[] {
  const ports = byNetwork(runtime.ports);
  const peers = byNetwork(runtime.peers);
  const fdb = byNetwork(runtime.fdb);
  return networks.map((network) => ({
    ...network,
    ports: [...network.ports, ...ports(network.name).map((row) => row.port)],
    peers: [...network.peers, ...peers(network.name).map((row) => row.peer)],
    fdb: [...network.fdb, ...fdb(network.name).map((row) => row.entry)],
  }));
}

function byNetwork<T extends { readonly network: string }>(
  rows: readonly T[],
): (network: string) => readonly T[] {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(row.network);
    if (group === undefined) groups.set(row.network, [row]);
    else group.push(row);
  }
  return (network) => groups.get(network) ?? [];
}
