// The networks of this host: those of the file, and beside them what was added through the API.
// The file wins: what no longer fits beside it is left out (not forgotten) and told.

import { crossCheck, type Findings, type Placed } from '../config/crossCheck.js';
import type { Network, VtepSettings } from '../model/network.js';
import { formatVtep } from '../model/vtep.js';
import {
  emptyState,
  type RuntimeState,
  withFdb,
  withNetwork,
  withPeer,
  withPort,
} from '../store/runtimeState.js';

/** A runtime addition that is not in effect. */
export interface Skipped {
  readonly what: string;
  readonly why: string;
}

export interface Merged {
  readonly networks: readonly Network[];
  readonly skipped: readonly Skipped[];
}

/** One addition, as messages name it. */
interface Piece {
  readonly what: string;
  add(state: RuntimeState): RuntimeState;
}

/** `file` must be free of problems in itself. */
export function merge(vtep: VtepSettings, file: readonly Network[], runtime: RuntimeState): Merged {
  const all = assemble(file, runtime);
  if (strays(file, runtime).length === 0 && check(vtep, all).problems.length === 0) {
    return { networks: all, skipped: [] };
  }
  // Something does not fit: admit piece by piece, so that only the misfit stays out.
  const skipped: Skipped[] = [];
  let admitted = emptyState;
  for (const piece of piecesOf(runtime)) {
    const candidate = piece.add(admitted);
    const why =
      strays(file, candidate)[0] ?? check(vtep, assemble(file, candidate)).problems[0]?.allowed;
    if (why === undefined) admitted = candidate;
    else skipped.push({ what: piece.what, why: `it needs ${why}` });
  }
  return { networks: assemble(file, admitted), skipped };
}

function check(vtep: VtepSettings, networks: readonly Network[]): Findings {
  return crossCheck(
    vtep,
    networks.map((network): Placed => ({ path: [network.name], network })),
  );
}

/** What rows of networks that do not exist would need. */
function strays(file: readonly Network[], runtime: RuntimeState): string[] {
  const names = new Set([...file, ...runtime.networks].map((network) => network.name));
  return [...runtime.ports, ...runtime.peers, ...runtime.fdb]
    .filter((row) => !names.has(row.network))
    .map((row) => `the network ${row.network}`);
}

function assemble(file: readonly Network[], runtime: RuntimeState): Network[] {
  const ports = byNetwork(runtime.ports);
  const peers = byNetwork(runtime.peers);
  const fdb = byNetwork(runtime.fdb);
  return [...file, ...runtime.networks].map((network) => ({
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

/** In an order in which nothing comes before what it leans on. */
function piecesOf(runtime: RuntimeState): Piece[] {
  return [
    ...runtime.networks.map((network) => ({
      what: `network ${network.name}`,
      add: (state: RuntimeState) => withNetwork(state, network),
    })),
    ...runtime.ports.map((row) => ({
      what: `port ${row.port.name}`,
      add: (state: RuntimeState) => withPort(state, row),
    })),
    ...runtime.peers.map((row) => ({
      what: `peer ${formatVtep(row.peer)} of network ${row.network}`,
      add: (state: RuntimeState) => withPeer(state, row),
    })),
    ...runtime.fdb.map((row) => ({
      what: `FDB entry ${row.entry.mac} of network ${row.network}`,
      add: (state: RuntimeState) => withFdb(state, row),
    })),
  ];
}
