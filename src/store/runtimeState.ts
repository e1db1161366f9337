// What was added through the API and belongs to this host alone. Flat rows: each may be about a
// network of the file or of the store. Pure: every edit gives a new state.

import * as z from 'zod';
import { cidr, list, mapping, name } from '../config/leaf.js';
import {
  fdbSchema,
  networkSchema,
  peerSchema,
  poolSchema,
  portSchema,
  ticketSchema,
} from '../config/networkSchema.js';
import { isZeroMac, type Mac } from '../model/mac.js';
import type { ProcessStamp } from '../model/netns.js';
import type { FdbStatic, Network, Peer, Pool, Port } from '../model/network.js';

export interface PortRow {
  readonly network: string;
  readonly port: Port;
  /** The process that the port's `netns` named when it was added; absent = it names none. */
  readonly process?: ProcessStamp | undefined;
  /** Of a container whose interface somebody else configures. */
  readonly endpoint?: ContainerEndpoint | undefined;
}

/** What a port cannot say about the container behind it. */
export interface ContainerEndpoint {
  /** Unique among all hosts. */
  readonly id: string;
  /** With prefix length; not ours to set. */
  readonly addresses: readonly string[];
  readonly name?: string | undefined;
  /** Other names under which containers of the network find it. */
  readonly aliases: readonly string[];
}

export interface PeerRow {
  readonly network: string;
  readonly peer: Peer;
}

export interface FdbRow {
  readonly network: string;
  readonly entry: FdbStatic;
}

/** A network as all hosts know it. */
export interface SharedNetwork {
  /** Its `ports`, `peers` and `fdb` are empty: they belong to hosts. */
  readonly network: Network;
  readonly pools: readonly Pool[];
}

export interface RuntimeState {
  readonly ports: readonly PortRow[];
  readonly peers: readonly PeerRow[];
  readonly fdb: readonly FdbRow[];
  /** Networks of the store that rows are about, as last seen: a start without store goes on with them. */
  readonly remembered: readonly SharedNetwork[];
  /** Networks of an older state file that are still to be moved into the store. */
  readonly unshared: readonly SharedNetwork[];
}

/** Raised when older programs could misread what newer ones write. */
export const STATE_VERSION = 2;

const processSchema = mapping({
  pid: z.int().min(1),
  start: z.string(),
  boot: z.string(),
  namespace: z.string(),
}) satisfies z.ZodType<ProcessStamp>;

const endpointSchema = mapping({
  id: z.string().min(1),
  addresses: list(cidr(), 'addresses with prefix length'),
  name: z.string().optional(),
  aliases: z.array(z.string()),
}) satisfies z.ZodType<ContainerEndpoint>;

const portRowSchema = mapping({
  network: name(),
  port: portSchema.extend({
    sandbox: z.string().startsWith('/').optional(),
    handover: ticketSchema.optional(),
  }),
  process: processSchema.optional(),
  endpoint: endpointSchema.optional(),
}) satisfies z.ZodType<PortRow>;

const sharedNetworks = list(
  mapping({ network: networkSchema, pools: list(poolSchema, 'pools') }),
  'networks',
);

const rows = {
  ports: list(portRowSchema, 'ports'),
  peers: list(mapping({ network: name(), peer: peerSchema }), 'peers'),
  fdb: list(mapping({ network: name(), entry: fdbSchema }), 'FDB entries'),
};

/** The state file's shape, also that of version 1. */
export const stateSchema = z.preprocess(
  upgraded,
  mapping({
    version: z.literal(STATE_VERSION, { error: String(STATE_VERSION) }),
    ...rows,
    remembered: sharedNetworks,
    unshared: sharedNetworks,
  }),
);

/** In version 1 networks were this host's own. */
function upgraded(raw: unknown): unknown {
  const first = raw as { version?: unknown; networks?: unknown } | null;
  if (first?.version !== 1 || !Array.isArray(first.networks)) return raw;
  const { networks, ...rest } = first;
  const unshared = networks.map((network: { subnet?: string } | null) => ({
    network,
    pools: poolsOfSubnet(network?.subnet),
  }));
  return { ...rest, version: STATE_VERSION, remembered: [], unshared };
}

export const emptyState: RuntimeState = {
  ports: [],
  peers: [],
  fdb: [],
  remembered: [],
  unshared: [],
};

/** The one pool that a network with this subnet has. */
export function poolsOfSubnet(subnet: string | undefined): Pool[] {
  return subnet === undefined ? [] : [{ subnet }];
}

/** What all hosts may know of a network: without the parts that are rows of one host. */
export function withoutParts<N extends Omit<Network, 'vni'>>(network: N): N {
  return { ...network, ports: [], peers: [], fdb: [] };
}

/** Adds the ports, peers and entries of `network` as rows. */
export function withPartsOf(
  state: RuntimeState,
  { name: owner, ports, peers, fdb }: Pick<Network, 'name' | 'ports' | 'peers' | 'fdb'>,
): RuntimeState {
  return {
    ...state,
    ports: [...state.ports, ...ports.map((port) => ({ network: owner, port }))],
    peers: [...state.peers, ...peers.map((peer) => ({ network: owner, peer }))],
    fdb: [...state.fdb, ...fdb.map((entry) => ({ network: owner, entry }))],
  };
}

/** Removes every row of a network. */
export function withoutNetwork(state: RuntimeState, network: string): RuntimeState {
  const others = (row: { readonly network: string }) => row.network !== network;
  const another = (item: SharedNetwork) => item.network.name !== network;
  return {
    ports: state.ports.filter(others),
    peers: state.peers.filter(others),
    fdb: state.fdb.filter(others),
    remembered: state.remembered.filter(another),
    unshared: state.unshared.filter(another),
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
