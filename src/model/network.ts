// What an operator may say about a network. A setting has one name everywhere: in the file, in the
// API, in the state file and here (therefore snake_case). Units: seconds, bytes, counts.
// These are complete values: defaults are filled in, text is canonical.

import type { Mac } from './mac.js';

/** A remote VTEP of a network: in its flood list, and allowed to send to it. */
export interface Peer {
  readonly address: string;
  /** UDP port there; absent = the network's own. */
  readonly port?: number | undefined;
  /** VNI there; absent = the network's own. */
  readonly vni?: number | undefined;
}

/** A static forwarding entry. Exactly one of `vtep`, `port` and `local` is set. */
export interface FdbStatic {
  readonly mac: Mac;
  /** Address of a remote VTEP. With the all-zero MAC it joins the flood list, as in `bridge fdb`. */
  readonly vtep?: string | undefined;
  /** Name of a port of this network. */
  readonly port?: string | undefined;
  /** Frames to this MAC are for this host itself. */
  readonly local?: true | undefined;
  /** Overrides for `vtep`. */
  readonly vni?: number | undefined;
  readonly udp_port?: number | undefined;
}

/** What is behind a port. */
export type PortKind = 'tap' | 'packet' | 'memory';

/** A place where frames of this host enter and leave a network. */
export interface Port {
  /** Unique in the whole daemon. */
  readonly name: string;
  /** `packet` is an interface that is there already, through an AF_PACKET socket; nothing of it is ours to set. */
  readonly kind: PortKind;
  /** Name, path or PID; absent = the daemon's own network namespace. */
  readonly netns?: string | undefined;
  /** Never absent with `packet`. Absent = `eth0` in a namespace of its own, else the port's name. */
  readonly ifname?: string | undefined;
  /**
   * Path of the network namespace to which somebody else moves the TAP from our own, and where it may
   * have another name. Such a TAP is adopted, never made; its addresses are not ours to set.
   */
  readonly sandbox?: string | undefined;
  /**
   * Ticket of a TAP that was made inside a container by its user and handed over: 32 hexadecimal digits. It is nowhere
   * that we can reach, and goes for good with the container or the daemon; `netns` and `sandbox` are absent.
   */
  readonly handover?: string | undefined;
  /** With `packet` only told to other hosts, as the station behind it. */
  readonly mac?: Mac | undefined;
  /** Absent = the network's. */
  readonly mtu?: number | undefined;
  readonly addresses: readonly string[];
  /** Gets frames with unknown destination. */
  readonly flood: boolean;
  /** Gets broadcast. */
  readonly broadcast: boolean;
  /** May get back what it sent. */
  readonly hairpin: boolean;
  /** Most MACs learned here. */
  readonly max_macs: number;
}

export interface MulticastGroup {
  readonly address: string;
  readonly interface: string;
  readonly ttl: number;
}

/** Priority code point of a VLAN tag, as a key. */
export type Pcp = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7';

export interface Network {
  readonly name: string;
  readonly vni: number;
  /** UDP port of this network's datagrams; absent = the VTEP's. */
  readonly port?: number | undefined;
  readonly subnet?: string | undefined;
  readonly up: boolean;
  readonly peers: readonly Peer[];
  /** Anybody may send to this network; absent = only with a multicast group. */
  readonly open?: boolean | undefined;
  readonly learning: boolean;
  /** Seconds without a frame from a MAC until it is forgotten; 0 = never. */
  readonly ageing: number;
  readonly max_macs: number;
  readonly mac_limit: 'refuse' | 'evict-oldest';
  readonly strict_source: boolean;
  readonly unknown_unicast: 'flood' | 'drop';
  readonly reserved_bits: 'ignore' | 'drop';
  readonly reserved_bits_mask: string;
  readonly inner_vlan: 'discard' | 'allow' | readonly (number | string)[];
  readonly priority_tag: 'strip' | 'drop';
  readonly group_fwd_mask: number;
  /** Outer DSCP of frames with a VLAN tag, by its PCP; the VTEP's for all others. */
  readonly pcp_tos: Readonly<Partial<Record<Pcp, number | undefined>>>;
  readonly allow_vni_zero: boolean;
  /** Lower the MSS in TCP SYNs that leave through a tunnel to what the tunnel takes. */
  readonly mss_clamp: 'auto' | 'off';
  /** Answer ARP and ND for stations that the store knows on other hosts. */
  readonly neigh_suppress: 'auto' | 'off';
  /** Ports whose addresses are of the store's pools, or Docker's, send under those alone. */
  readonly port_security: 'auto' | 'off';
  /** Of the inner frame's payload; absent = derived from the underlay. */
  readonly mtu?: number | undefined;
  readonly group?: MulticastGroup | undefined;
  readonly fdb: readonly FdbStatic[];
  readonly ports: readonly Port[];
}

/** Where addresses come from; at most one for each family. */
export interface Pool {
  readonly subnet: string;
  readonly gateway?: string | undefined;
  /** Containers get addresses from here only; within `subnet`. */
  readonly range?: string | undefined;
}

/** The pool of sockets whose ports carry the flows. */
export interface SourcePorts {
  readonly min: number;
  readonly max: number;
  readonly pool: number;
}

/** This host's own tunnel end point. */
export interface VtepSettings {
  readonly address: string;
  readonly port: number;
  readonly ttl: number | 'inherit';
  /** Outer DSCP, as the type of service that it stands in. */
  readonly tos: number | 'inherit';
  readonly ecn: 'normal' | 'compat' | 'linux';
  readonly udp_checksum: boolean;
  readonly source_ports: SourcePorts;
  readonly symmetric_hash: boolean;
  /** Datagrams larger than the path to a VTEP are sent all the same and fragmented (RFC 7348 section 4.3 forbids it). */
  readonly allow_outer_fragmentation: boolean;
  /** Scope of a link-local IPv6 address. */
  readonly interface?: string | undefined;
}

/** Facilities of the kernel; and `spin`: a worker stays awake for a moment after work, as long as that pays. */
export type Feature =
  | 'udp_gso'
  | 'udp_gro'
  | 'vnet_hdr'
  | 'multi_queue'
  | 'recvmmsg'
  | 'sendmmsg'
  | 'spin';

export interface DatapathSettings {
  readonly workers: 'auto' | number;
  /** By which way datagrams cross the kernel. `auto` is `udp`: only there do the host's firewall rules hold. */
  readonly underlay: 'auto' | 'udp' | 'ring' | 'tunnel-gso';
  readonly features: Readonly<Record<Feature, 'auto' | 'off'>>;
}

/** Whether there is an interface behind the port, in a network namespace. */
export function hasInterface({ kind }: Pick<Port, 'kind'>): boolean {
  return kind !== 'memory';
}

/** Name of the interface that a port gets: `eth0` in a container, where it is alone. */
export function ifnameOf(port: Port): string {
  const isOurs = port.netns === undefined && port.handover === undefined;
  return port.ifname ?? (isOurs ? port.name : 'eth0');
}

export function udpPortOf(network: Network, vtep: VtepSettings): number {
  return network.port ?? vtep.port;
}

/** Bytes that VXLAN adds to a frame's payload: inner Ethernet 14, VXLAN 8, UDP 8, IP 20 or 40. */
export function overheadOf(vtepAddress: string): number {
  return vtepAddress.includes(':') ? 70 : 50;
}
