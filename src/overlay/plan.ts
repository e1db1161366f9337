// From settings to the datapath's desired state. Pure: equal input gives equal output.

import { vlanRange } from '../config/networkSchema.js';
import type {
  DesiredState,
  EngineSpec,
  FdbSpec,
  GuardSpec,
  NetworkSpec,
  PortSpec,
  TunnelSpec,
  VtepSpec,
} from '../datapath/seam.js';
import { parseIp } from '../model/ip.js';
import { isZeroMac } from '../model/mac.js';
import { netnsPath, type ProcessStamp } from '../model/netns.js';
import {
  type DatapathSettings,
  type FdbStatic,
  hasInterface,
  ifnameOf,
  type Network,
  overheadOf,
  type Peer,
  type Port,
  udpPortOf,
  type VtepSettings,
} from '../model/network.js';
import { controlFdb, isReachable, type NetworkNeighbors, neighborsOf } from './neighbors.js';

/** All that decides what this host shall do. */
export interface Intent {
  readonly vtep: VtepSettings;
  readonly datapath: DatapathSettings;
  /** The control socket's path: marks our TAPs. */
  readonly owner: string;
  /** From the file, the store and the API, already merged and checked. */
  readonly networks: readonly Network[];
  /** Of networks of the store, by name: the containers on all hosts. */
  readonly around?: ReadonlyMap<string, NetworkNeighbors>;
  /** The store is out of reach for so long that nothing is answered in its name. */
  readonly stale?: boolean;
  /** By port name: what may be sent there; anything where a port is not here. */
  readonly guards?: ReadonlyMap<string, GuardSpec>;
  /** Ports that are not among the networks' for now, but keep their TAPs. */
  readonly dormant?: readonly Port[];
  /**
   * For each port that was added through the API and is named by a PID: the process that was meant.
   * `undefined` = nobody knows, so that the port is not attached. Ports of the file are not here.
   */
  readonly processes?: ReadonlyMap<string, ProcessStamp | undefined>;
  /** Bytes; of the interface that has the VTEP address. */
  readonly underlayMtu: number;
}

export interface ResolvedPeer {
  readonly address: string;
  readonly port: number;
  readonly vni: number;
}

/** What is assumed when no interface has the VTEP address (yet): Ethernet's. */
export const DEFAULT_UNDERLAY_MTU = 1500;

/** The desired state for `intent`, without the ports named in `waiting` and what leads to them. */
export function plan(intent: Intent, waiting: ReadonlySet<string>): DesiredState {
  return {
    vtep: planVtep(intent.vtep),
    engine: planEngine(intent),
    underlayMtu: intent.underlayMtu,
    networks: intent.networks.map((network) => planNetwork(network, intent, waiting)),
  };
}

/** MTU of the interface that has the VTEP address. */
export function underlayMtuOf(
  address: string,
  interfaces: readonly { readonly mtu: number; readonly addresses: readonly string[] }[],
): number {
  return interfaces.find((link) => hasAddress(link, address))?.mtu ?? DEFAULT_UNDERLAY_MTU;
}

/** The largest MTU of a port whose packets fit the underlay whole. */
export function fittingMtu(intent: Pick<Intent, 'vtep' | 'underlayMtu'>): number {
  // Loopback has 65536, but no IPv4 packet is longer than 65535.
  return Math.min(intent.underlayMtu, 65535) - overheadOf(intent.vtep.address);
}

/** Whether the interface has this (canonical) address; its own may have prefix length and zone. */
export function hasAddress(
  link: { readonly addresses: readonly string[] },
  address: string,
): boolean {
  return link.addresses.some((text) => parseIp(text.replace(/[%/].*$/, ''))?.address === address);
}

/** The MTU that containers of this network get unless told otherwise. */
export function defaultMtu(network: Network, intent: Pick<Intent, 'vtep' | 'underlayMtu'>): number {
  return network.mtu ?? fittingMtu(intent);
}

/** Every peer once and complete; our own address is none. */
export function peersOf(network: Network, vtep: VtepSettings): ResolvedPeer[] {
  const peers = new Map<string, ResolvedPeer>();
  for (const peer of network.peers) {
    if (peer.address !== vtep.address) {
      peers.set(peerKey(peer, network, vtep), resolvePeer(peer, network, vtep));
    }
  }
  return [...peers.values()];
}

/** Equal for peers of a network that are one tunnel, however they were written. */
export function peerKey(peer: Peer, network: Network, vtep: VtepSettings): string {
  const { address, port, vni } = resolvePeer(peer, network, vtep);
  return `${address} ${port} ${vni}`;
}

function resolvePeer(peer: Peer, network: Network, vtep: VtepSettings): ResolvedPeer {
  const { address, port = udpPortOf(network, vtep), vni = network.vni } = peer;
  return { address, port, vni };
}

function planVtep(vtep: VtepSettings): VtepSpec {
  return {
    address: vtep.address,
    ...(vtep.interface === undefined ? {} : { scopeInterface: vtep.interface }),
    ...(vtep.ttl === 'inherit' ? {} : { ttl: vtep.ttl }),
    ...(vtep.tos === 'inherit' ? {} : { tos: vtep.tos }),
    ecn: vtep.ecn,
    udpChecksum: vtep.udp_checksum,
    sourcePorts: { ...vtep.source_ports },
    symmetricHash: vtep.symmetric_hash,
    allowOuterFragmentation: vtep.allow_outer_fragmentation,
    memory: false,
  };
}

function planEngine(intent: Intent): EngineSpec {
  const { workers, features, underlay } = intent.datapath;
  return {
    owner: intent.owner,
    workers: workers === 'auto' ? 0 : workers,
    udpGso: features.udp_gso === 'auto',
    udpGro: features.udp_gro === 'auto',
    vnetHdr: features.vnet_hdr === 'auto',
    multiQueue: features.multi_queue === 'auto',
    recvmmsg: features.recvmmsg === 'auto',
    sendmmsg: features.sendmmsg === 'auto',
    spin: features.spin === 'auto',
    underlay: underlay === 'auto' ? 'udp' : underlay,
  };
}

function planNetwork(network: Network, intent: Intent, waiting: ReadonlySet<string>): NetworkSpec {
  const ports = network.ports.filter((port) => !waiting.has(port.name));
  const udpPort = udpPortOf(network, intent.vtep);
  const names = new Set(ports.map((port) => port.name));
  const around = intent.around?.get(network.name);
  const control = around === undefined ? [] : controlFdb(network, around, intent.vtep.address);
  return {
    name: network.name,
    vni: network.vni,
    udpPort,
    up: network.up,
    mssClamp: network.mss_clamp === 'auto',
    learning: network.learning,
    ageingSecs: network.ageing,
    maxMacs: network.max_macs,
    evictOldest: network.mac_limit === 'evict-oldest',
    strictSource: network.strict_source,
    dropUnknownUnicast: network.unknown_unicast === 'drop',
    reservedBits: network.reserved_bits,
    reservedBitsMask: network.reserved_bits_mask,
    innerVlan: network.inner_vlan === 'discard' ? 'discard' : 'allow',
    innerVlans: vlansOf(network),
    priorityTag: network.priority_tag,
    groupForwardMask: network.group_fwd_mask,
    pcpTos: Object.entries(network.pcp_tos).flatMap(([pcp, tos]) =>
      tos === undefined ? [] : [{ pcp: Number(pcp), tos }],
    ),
    // A multicast group is how its members find each other, so it is open unless closed by word.
    openPeers: network.open ?? network.group !== undefined,
    ...(network.group === undefined ? {} : { group: { ...network.group } }),
    ports: ports.map((port) => planPort(port, network, intent)),
    tunnels: planTunnels(network, intent, control),
    fdb: [
      ...network.fdb
        .filter(
          (entry) => !isZeroMac(entry.mac) && (entry.port === undefined || names.has(entry.port)),
        )
        .map((entry) => planFdb(entry, network, udpPort)),
      ...control,
    ],
    neighbors:
      around === undefined || network.neigh_suppress === 'off'
        ? []
        : neighborsOf(around, intent.stale === true),
  };
}

function vlansOf(network: Network): NetworkSpec['innerVlans'] {
  if (typeof network.inner_vlan === 'string') return [];
  return network.inner_vlan.map(vlanRange).filter((range) => range !== undefined);
}

function planPort(port: Port, network: Network, intent: Intent): PortSpec {
  const guard = intent.guards?.get(port.name);
  return {
    name: port.name,
    kind: port.kind,
    ...(port.netns === undefined ? {} : { netns: netnsPath(port.netns) }),
    ...(hasInterface(port) ? { ifname: ifnameOf(port) } : {}),
    ...(port.sandbox === undefined ? {} : { sandbox: port.sandbox }),
    ...(port.handover === undefined ? {} : { handover: port.handover }),
    ...(port.mac === undefined ? {} : { mac: port.mac }),
    mtu: port.mtu ?? defaultMtu(network, intent),
    addresses: [...port.addresses],
    floodUnknown: port.flood,
    floodBroadcast: port.broadcast,
    hairpin: port.hairpin,
    maxMacs: port.max_macs,
    ...(guard === undefined ? {} : { guard }),
  };
}

/**
 * One tunnel for each VTEP, however often it is named; flooded to when it is a peer, has the zero MAC, or
 * when the store says that it has containers in the network.
 */
function planTunnels(
  network: Network,
  { vtep, around }: Intent,
  control: readonly FdbSpec[],
): TunnelSpec[] {
  const udpPort = udpPortOf(network, vtep);
  const tunnels = new Map<string, TunnelSpec>();
  const add = (tunnel: TunnelSpec) => {
    const key = `${tunnel.remote} ${tunnel.udpPort} ${tunnel.vni}`;
    tunnels.set(key, { ...tunnel, flood: tunnel.flood || tunnels.get(key)?.flood === true });
  };
  for (const { address, port, vni } of peersOf(network, vtep)) {
    add({ remote: address, udpPort: port, vni, flood: true });
  }
  for (const { address, udpPort: port } of around?.get(network.name)?.remote.vteps ?? []) {
    if (isReachable(address, vtep.address)) {
      add({ remote: address, udpPort: port, vni: network.vni, flood: true });
    }
  }
  for (const entry of network.fdb) {
    const tunnel = tunnelOf(entry, network, udpPort);
    if (tunnel !== undefined) add({ ...tunnel, flood: isZeroMac(entry.mac) });
  }
  for (const { to } of control) if (to.tunnel) add({ ...to.tunnel, flood: false });
  return [...tunnels.values()];
}

function planFdb(entry: FdbStatic, network: Network, udpPort: number): FdbSpec {
  const tunnel = tunnelOf(entry, network, udpPort);
  const to =
    entry.port !== undefined ? { port: entry.port } : tunnel ? { tunnel } : { local: true };
  return { mac: entry.mac, origin: 'static', to };
}

function tunnelOf(entry: FdbStatic, network: Network, udpPort: number) {
  if (entry.vtep === undefined) return undefined;
  return { remote: entry.vtep, udpPort: entry.udp_port ?? udpPort, vni: entry.vni ?? network.vni };
}
