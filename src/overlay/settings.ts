// What the switch follows from, all together: the file, the store, and what was added here. Pure.

import { type ProcessStamp, processIn } from '../model/netns.js';
import type { Network } from '../model/network.js';
import { type RuntimeState, type SharedNetwork, sameFdb } from '../store/runtimeState.js';
import { endpointsOf, guardsOf, stationsOf } from './endpoints.js';
import { type Merged, merge } from './merge.js';
import type { NetworkNeighbors } from './neighbors.js';
import { type Intent, peerKey } from './plan.js';
import { remoteOf } from './remote.js';
import type { LocalEndpoint, SharedState, Sharing } from './shared.js';

/** What does not change through the API. */
export interface Base extends Pick<Intent, 'vtep' | 'datapath' | 'owner' | 'underlayMtu'> {
  /** Networks of the configuration file. */
  readonly file: readonly Network[];
  /** Whether there is a file at all that could be loaded again. */
  readonly hasFile: boolean;
}

/** What this host knows of the store. */
export interface Knowledge {
  readonly networks: readonly SharedNetwork[];
  readonly state: SharedState;
  /** So old that nothing is answered in its name any more. */
  readonly stale: boolean;
}

/** All that the switch follows from. */
export interface Settings {
  readonly base: Base;
  readonly runtime: RuntimeState;
  readonly knowledge: Knowledge;
  /** After a purge the file is not in effect until it is loaded again. */
  readonly purged: boolean;
  readonly merged: Merged;
}

/** Milliseconds without the store until neighbors are no longer answered for. */
export const STALE_MS = 5 * 60_000;

/** `now` in Unix milliseconds. Before the store was reached for the first time, what was remembered holds. */
export function knowledgeOf(sharing: Sharing, runtime: RuntimeState, now: number): Knowledge {
  const { state, health } = sharing;
  const known: readonly SharedNetwork[] =
    health.state === 'connecting' ? runtime.remembered : inOrder(state);
  const names = new Set(known.map(({ network }) => network.name));
  return {
    networks: [...known, ...runtime.unshared.filter(({ network }) => !names.has(network.name))],
    state,
    stale: health.state !== 'connected' && now - health.since > STALE_MS,
  };
}

/**
 * Where two have one VNI, who has claimed it comes first: it is in effect, on every host. That such two are there
 * nobody of us has done.
 */
function inOrder({ networks, vnis }: SharedState): SharedNetwork[] {
  const rank = ({ network }: SharedNetwork) => (vnis.get(network.vni) === network.name ? 0 : 1);
  return [...networks.values()].sort(
    (a, b) => rank(a) - rank(b) || (a.network.name < b.network.name ? -1 : 1),
  );
}

export function settingsOf(parts: Omit<Settings, 'merged'>): Settings {
  const { base, runtime, knowledge, purged } = parts;
  const file = purged ? [] : base.file;
  return { ...parts, merged: merge(base.vtep, { file, shared: knowledge.networks, runtime }) };
}

/** Containers on this host, as the others shall see them. */
export function announcedBy({ base, runtime, merged }: Settings): LocalEndpoint[] {
  return endpointsOf(merged, runtime.ports, base.vtep.address);
}

/**
 * Networks of the store on which nothing hangs here are left out: a host costs what it uses, however
 * many networks there are.
 */
export function intentOf(settings: Settings): Intent {
  const { base, runtime, merged, purged, knowledge } = settings;
  const { vtep, datapath, owner, underlayMtu } = base;
  const networks = merged.networks.filter(
    (network) => !merged.shared.has(network.name) || isUsed(network),
  );
  const endpoints = announcedBy(settings);
  const around = new Map<string, NetworkNeighbors>();
  for (const { name } of networks) {
    if (!merged.shared.has(name)) continue;
    around.set(name, {
      remote: remoteOf(knowledge.state, name, vtep.address),
      local: stationsOf(endpoints, name),
    });
  }
  const planned = new Set(networks.flatMap(({ ports }) => ports.map((port) => port.name)));
  return {
    ...{ vtep, datapath, owner, underlayMtu, networks },
    processes: processesOf(runtime, purged ? [] : base.file),
    around,
    stale: knowledge.stale,
    guards: guardsOf(merged, runtime.ports),
    // Nobody asked for their end: what makes them impossible may pass.
    dormant: runtime.ports.map(({ port }) => port).filter(({ name }) => !planned.has(name)),
  };
}

/** The networks of the store that rows are about. */
export function rememberedOf({ runtime, merged }: Settings): SharedNetwork[] {
  const used = new Set(
    [...runtime.ports, ...runtime.peers, ...runtime.fdb].map((row) => row.network),
  );
  return [...merged.shared.values()]
    .filter(({ network }) => used.has(network.name))
    .map(({ network, pools }) => ({ network, pools }));
}

/** Without the rows that the file repeats; the same object when there are none. */
export function withoutRepeated(runtime: RuntimeState, { file, vtep }: Base): RuntimeState {
  const networks = new Map(file.map((network) => [network.name, network]));
  const ports = new Set(file.flatMap((network) => network.ports.map((port) => port.name)));
  const left: RuntimeState = {
    remembered: runtime.remembered,
    unshared: runtime.unshared.filter(({ network }) => !networks.has(network.name)),
    ports: runtime.ports.filter((row) => !ports.has(row.port.name)),
    peers: runtime.peers.filter(({ network: name, peer }) => {
      const network = networks.get(name);
      if (network === undefined) return true;
      const key = peerKey(peer, network, vtep);
      return !network.peers.some((other) => peerKey(other, network, vtep) === key);
    }),
    fdb: runtime.fdb.filter(
      ({ network, entry }) => !networks.get(network)?.fdb.some((other) => sameFdb(other, entry)),
    ),
  };
  const count = (state: RuntimeState) =>
    state.unshared.length + state.ports.length + state.peers.length + state.fdb.length;
  return count(left) === count(runtime) ? runtime : left;
}

function isUsed({ ports, peers, fdb }: Network): boolean {
  return ports.length + peers.length + fdb.length > 0;
}

function processesOf(
  runtime: RuntimeState,
  file: readonly Network[],
): Map<string, ProcessStamp | undefined> {
  const filed = new Set(file.flatMap((network) => network.ports.map((port) => port.name)));
  const processes = new Map<string, ProcessStamp | undefined>();
  for (const { port, process } of runtime.ports) {
    if (processIn(port.netns) !== undefined && !filed.has(port.name)) {
      processes.set(port.name, process);
    }
  }
  return processes;
}
