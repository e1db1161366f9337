// What was added through the API, apart from the configuration file. Flat rows, so that a port can
// be added to a network of the file too. Pure: every edit gives a new state.

import * as z from 'zod';
import { list, mapping, name } from '../config/leaf.js';
import { fdbSchema, networkSchema, peerSchema, portSchema } from '../config/networkSchema.js';
import { isZeroMac, type Mac } from '../model/mac.js';
import type { ProcessStamp } from '../model/netns.js';
import type { FdbStatic, Network, Peer, Port } from '../model/network.js';

export interface PortRow {
  readonly network: string;
  readonly port: Port;
  /** The process that the port's `netns` named when it was added; absent = it names none. */
  readonly process?: ProcessStamp | undefined;
}

export interface PeerRow {
  readonly network: string;
  readonly peer: Peer;
}

export interface FdbRow {
  readonly network: string;
  readonly entry: FdbStatic;
}

export interface RuntimeState {
  /** Their `ports`, `peers` and `fdb` are empty: those are rows of their own. */
  readonly networks: readonly Network[];
  readonly ports: readonly PortRow[];
  readonly peers: readonly PeerRow[];
  readonly fdb: readonly FdbRow[];
}

/** Raised when older programs could misread what newer ones write. */
export const STATE_VERSION = 1;

const processSchema = mapping({
  pid: z.int().min(1),
  start: z.string(),
  boot: z.string(),
  namespace: z.string(),
}) satisfies z.ZodType<ProcessStamp>;

/** The state file's shape. */
export const stateSchema = mapping({
  version: z.literal(STATE_VERSION, { error: String(STATE_VERSION) }),
  networks: list(networkSchema, 'networks'),
  ports: list(
    mapping({ network: name(), port: portSchema, process: processSchema.optional() }),
    'ports',
  ),
  peers: list(mapping({ network: name(), peer: peerSchema }), 'peers'),
  fdb: list(mapping({ network: name(), entry: fdbSchema }), 'FDB entries'),
});

export const emptyState: RuntimeState = { networks: [], ports: [], peers: [], fdb: [] };

/** Adds a network; its ports, peers and entries become rows. */
export function withNetwork(state: RuntimeState, network: Network): RuntimeState {
  const { name: owner } = network;
  return {
    networks: [...state.networks, { ...network, ports: [], peers: [], fdb: [] }],
    ports: [...state.ports, ...network.ports.map((port) => ({ network: owner, port }))],
    peers: [...state.peers, ...network.peers.map((peer) => ({ network: owner, peer }))],
    fdb: [...state.fdb, ...network.fdb.map((entry) => ({ network: owner, entry }))],
  };
}

/** Removes a network and every row of it. */
export function withoutNetwork(state: RuntimeState, network: string): RuntimeState {
  const others = (row: { readonly network: string }) => row.network !== network;
  return {
    networks: state.networks.filter((item) => item.name !== network),
    ports: state.ports.filter(others),
    peers: state.peers.filter(others),
    fdb: state.fdb.filter(others),
  };
}

export function withPort(state: RuntimeState, row: PortRow): RuntimeState {
  return { ...state, ports: [...state.ports, row] };
}

/** Removes a port and the entries that lead to it. */
export function withoutPort(state: RuntimeState, port: string): RuntimeState {
  return {
    ...state,
    ports: state.ports.filter((row) => row.port.name !== port),
    fdb: state.fdb.filter((row) => row.entry.port !== port),
  };
}

export function withPeer(state: RuntimeState, row: PeerRow): RuntimeState {
  return { ...state, peers: [...state.peers, row] };
}

export function withoutPeer(state: RuntimeState, row: PeerRow): RuntimeState {
  const other = (item: PeerRow) => item.network !== row.network || !samePeer(item.peer, row.peer);
  return { ...state, peers: state.peers.filter(other) };
}

/** Adds an entry in the place of those with its key. */
export function withFdb(state: RuntimeState, row: FdbRow): RuntimeState {
  const rest = state.fdb.filter(
    (item) => item.network !== row.network || !sameFdb(item.entry, row.entry),
  );
  return { ...state, fdb: [...rest, row] };
}

/** Removes the entries of a MAC. */
export function withoutFdb(state: RuntimeState, network: string, mac: Mac): RuntimeState {
  return {
    ...state,
    fdb: state.fdb.filter((row) => row.network !== network || row.entry.mac !== mac),
  };
}

/** Whether both name the same tunnel of one network. */
export function samePeer(a: Peer, b: Peer): boolean {
  return a.address === b.address && a.port === b.port && a.vni === b.vni;
}

/** Whether one entry takes the other's place: the same MAC; in the flood list also the same VTEP. */
export function sameFdb(a: FdbStatic, b: FdbStatic): boolean {
  if (a.mac !== b.mac) return false;
  return !isZeroMac(a.mac) || (a.vtep === b.vtep && a.udp_port === b.udp_port && a.vni === b.vni);
}
