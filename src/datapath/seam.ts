// The contract with the native part, as plain data: MACs as '02:42:0a:00:00:01', IPs and paths as
// text, counters as numbers (exact to 2^53). What the addon exports must fit `Addon`.

import type { HappeningKind } from '../model/historySentences.js';
import type { StepKind } from '../model/traceSentences.js';

/** Everything that this host shall do. */
export interface DesiredState {
  vtep: VtepSpec;
  engine: EngineSpec;
  /** Largest IP packet that the underlay carries, bytes, where the kernel knows no better for a VTEP. */
  underlayMtu: number;
  networks: NetworkSpec[];
}

/** Our own tunnel end point. Fixed after the first apply: a change is refused with VTEP_CHANGED. */
export interface VtepSpec {
  /** Bound, and always the outer source. */
  address: string;
  /** Interface of a link-local IPv6 address. */
  scopeInterface?: string;
  /** Outer TTL or hop limit; absent = copied from the inner packet. */
  ttl?: number;
  /** Outer type of service or traffic class, of which the upper six bits count; absent = those of the inner packet. */
  tos?: number;
  /** Outer ECN: of the inner packet, none, or of the inner packet with ECT(0) for CE. */
  ecn: 'normal' | 'compat' | 'linux';
  /** May be false on an IPv4 underlay only. */
  udpChecksum: boolean;
  /** Datagrams larger than the path are left to be fragmented. */
  allowOuterFragmentation: boolean;
  /** The pool of sockets whose ports carry the flows. */
  sourcePorts: { min: number; max: number; pool: number };
  /** Both directions of a flow choose the same source port. */
  symmetricHash: boolean;
  /** The underlay is kept in memory (tests): no socket is opened. */
  memory: boolean;
}

/** Honoured at the first apply. Features: false = forced off, true = used when probed. */
export interface EngineSpec {
  /** Marks the TAPs that we make (interface alias `vswitchd <owner> <port>`): the control socket's path. */
  owner: string;
  /** 0 = auto. */
  workers: number;
  udpGso: boolean;
  udpGro: boolean;
  vnetHdr: boolean;
  multiQueue: boolean;
  recvmmsg: boolean;
  sendmmsg: boolean;
  /** Stay awake for a moment after work, as long as that pays. */
  spin: boolean;
  /** By which way datagrams cross the kernel; where it cannot be, by sockets. */
  underlay: 'udp' | 'ring' | 'tunnel-gso';
}

export interface NetworkSpec {
  name: string;
  vni: number;
  udpPort: number;
  up: boolean;
  /** Lower the MSS in TCP SYNs that leave through a tunnel. */
  mssClamp: boolean;
  learning: boolean;
  /** 0 = never. */
  ageingSecs: number;
  maxMacs: number;
  evictOldest: boolean;
  /** Learning off and a static entry elsewhere: drop. */
  strictSource: boolean;
  dropUnknownUnicast: boolean;
  reservedBits: 'ignore' | 'drop';
  /** 16 hex digits over the 8 header bytes: bits tolerated although `drop`. */
  reservedBitsMask: string;
  innerVlan: 'discard' | 'allow';
  /** Empty with `allow` = all. */
  innerVlans: VlanRange[];
  priorityTag: 'strip' | 'drop';
  /** Bit n opens 01:80:c2:00:00:0n. */
  groupForwardMask: number;
  /** Outer type of service of frames with a VLAN tag, by its PCP, at most one of each; the VTEP's for all others. */
  pcpTos: { pcp: number; tos: number }[];
  /** Any VTEP may send to us: tunnels appear on the first valid datagram, bounded. */
  openPeers: boolean;
  /** Multicast underlay. */
  group?: { address: string; interface: string; ttl: number };
  ports: PortSpec[];
  tunnels: TunnelSpec[];
  fdb: FdbSpec[];
  /** Who has which address, each address once; ARP and ND about those elsewhere are answered. Empty = ARP and ND are left alone. */
  neighbors: NeighborSpec[];
}

export interface VlanRange {
  first: number;
  last: number;
}

export interface PortSpec {
  /** Unique in the whole daemon. */
  name: string;
  kind: 'tap' | 'packet' | 'memory';
  /** Path such as /run/netns/c1 or /proc/123/ns/net; absent = our own. */
  netns?: string;
  /** TAP and packet. */
  ifname?: string;
  mac?: string;
  mtu: number;
  /** CIDR. */
  addresses: string[];
  floodUnknown: boolean;
  floodBroadcast: boolean;
  hairpin: boolean;
  maxMacs: number;
  /** What may be sent from it; absent = anything. */
  guard?: GuardSpec;
  /**
   * TAP only: path of the network namespace to which somebody else (Docker) moves it, and from which
   * he brings it back. Made by `makeTap`; apply only adopts it, by its mark: in the sandbox, which need
   * not be there yet, or else in our own namespace (none: TAP_GONE). Name, MAC, addresses and up
   * state are not touched; `netns` is absent. Neither a move nor another `sandbox` reopens it.
   */
  sandbox?: string;
  /**
   * TAP only: ticket under which it was handed over (none such any more: HANDOVER_GONE). MAC, MTU and addresses
   * are for `furnishTap` inside its container; `netns` and `sandbox` are absent.
   */
  handover?: string;
}

/** Whose frames may enter at a port: sources of Ethernet, IP, ARP and neighbor discovery. */
export interface GuardSpec {
  macs: string[];
  /** Without prefix length; the link-local addresses of the MACs are allowed beside them. */
  addresses: string[];
}

/** A TAP that somebody else has now, who gives it up when this process ends before a port of his has it. */
export interface GivenTap {
  /** By what it is known to him: 32 hexadecimal digits. */
  ticket: string;
  /** Its index in our network namespace. */
  ifindex: number;
  /** Gives it alias, MAC, MTU and addresses, and sets it up. Blocks. */
  furnish(furniture: Furniture): void;
}

/** How a TAP of our network namespace shall be. */
export interface Furniture {
  ifname: string;
  /** Whose TAP it is, and for which port: written on it. */
  owner: string;
  port: string;
  /** Absent = as it is. */
  mac?: string;
  mtu: number;
  /** CIDR. */
  addresses: string[];
}

/** The TAP of a port with a sandbox. */
export interface NewTap {
  port: string;
  ifname: string;
  mac: string;
  mtu: number;
}

/** Identity: all but `flood`. */
export interface TunnelSpec {
  remote: string;
  udpPort: number;
  vni: number;
  flood: boolean;
}

export interface FdbSpec {
  mac: string;
  origin: 'static' | 'control';
  to: FdbTarget;
}

/** Exactly one is set; `local: true` = consumed by this host. */
export interface FdbTarget {
  port?: string;
  tunnel?: { remote: string; udpPort: number; vni: number };
  local?: boolean;
}

/** What the control plane knows of one address of a network. */
export interface NeighborSpec {
  ip: string;
  mac: string;
  /** Where its owner is: behind a local port (never answered for), or elsewhere. */
  local: boolean;
  /** live: answered. stale: forwarded (arp.stale). dead: its host is gone, forwarded (arp.owner_dead). */
  state: 'live' | 'stale' | 'dead';
  /** R flag of neighbor advertisements. */
  router: boolean;
}

/** Names are `network NAME`, `port NAME`, `tunnel NETWORK REMOTE:PORT/VNI`. */
export interface ApplyReport {
  kept: string[];
  added: string[];
  removed: string[];
  changed: string[];
}

/** `reason` such as 'rx.vni_unknown'; non-zero only. */
export interface DropCount {
  reason: string;
  frames: number;
}

/** What happened beside dropping, such as 'icmp.ptb_sent'; non-zero only. */
export interface NoteCount {
  note: string;
  times: number;
  sentence: string;
}

/** From the switch's view: rx = entered the switch here. */
export interface PortCounters {
  /** Port name; tunnels: `REMOTE:PORT` (and `/VNI` where it differs from the network's). */
  name: string;
  kind: 'tap' | 'packet' | 'memory' | 'tunnel';
  /** gone: its network namespace or device disappeared. */
  state: 'up' | 'gone';
  ifname?: string;
  ifindex?: number;
  netns?: string;
  mac?: string;
  mtu?: number;
  /** Tunnels: the largest outer IP packet that the path carries, as far as is known. */
  pathMtu?: number;
  rxFrames: number;
  rxBytes: number;
  txFrames: number;
  txBytes: number;
  macs: number;
  /** Tunnels: ICMP unreachable errors seen for this VTEP. */
  unreachable: number;
  drops: DropCount[];
  notes: NoteCount[];
}

/**
 * In frames, as sums over the ports and `retired`:
 * rxFrames = ingress drops + consumed + unicast + flooded;
 * unicast + replicated + generated = txFrames + egress drops.
 */
export interface NetworkCounters {
  name: string;
  vni: number;
  ports: PortCounters[];
  /** Folded from ports that were removed. */
  retired: { rxFrames: number; txFrames: number; drops: DropCount[]; notes: NoteCount[] };
  unicast: number;
  flooded: number;
  replicated: number;
  consumed: number;
  /** Made by this host itself, such as ICMP. */
  generated: number;
  /** Of datagrams that reached this network but no tunnel of it. */
  drops: DropCount[];
  macs: number;
  learned: number;
  moved: number;
  aged: number;
  evicted: number;
  full: number;
  rsvdIgnored: number;
  /** Frames accepted although their inner and outer ECN do not go together. */
  ecnOdd: number;
  /** Frames marked as congested outside that have no IP header. */
  ecnNonip: number;
}

/** datagrams = drops + retired + sum over networks (drops + tunnels' rxFrames). */
export interface UnderlayCounters {
  datagrams: number;
  drops: DropCount[];
  notes: NoteCount[];
  /** Datagrams that were counted at tunnels and networks that are no more. */
  retired: number;
  sourcePorts: number[];
  receiveBuffer: number;
  /** By which way datagrams cross the kernel: what is in use, not what was asked for. */
  path: 'udp' | 'ring' | 'tunnel-gso';
}

export interface Counters {
  /** Unix milliseconds. */
  startedAt: number;
  workers: WorkerCounters[];
  underlay: UnderlayCounters;
  networks: NetworkCounters[];
  /** Every VTEP that is a peer of a network, in the order of their addresses. */
  vteps: VtepReport[];
}

export interface WorkerCounters {
  turns: number;
  sleeps: number;
  /** Microseconds in which it neither slept nor spun. */
  busyUs: number;
  /** Entered the switch by it, over all ports and tunnels. */
  rxFrames: number;
  txFrames: number;
  drops: DropCount[];
}

/** What is known of a remote VTEP itself. */
export interface VtepReport {
  remote: string;
  /** Unix milliseconds at which the last datagram from it was noticed, to the second. */
  heardAt?: number;
  /** ICMP echo requests to it, and those answered; both zero where we may not send any. */
  asked: number;
  answered: number;
  /** Of the last answer, and the mean over the last eight or so. */
  rttUs?: number;
  meanRttUs?: number;
  /** silent: it answered once, and is neither heard of nor answers any more; unknown: not heard of, and it never answered. */
  state: 'alive' | 'silent' | 'unknown';
}

/** What a capture takes; what is absent restricts nothing. */
export interface CaptureSpec {
  network?: string;
  /** A local port. */
  port?: string;
  /** Address of a VTEP. */
  peer?: string;
  /** Frames, the datagrams around them, or both, linked by one packet ID. */
  side: 'inner' | 'outer' | 'both';
  /** Only what is dropped. */
  dropsOnly: boolean;
  /** In libpcap's syntax, about the frame: a datagram is taken if the frame inside it is. */
  filter?: string;
  /** The capture ends by itself after so many packets. */
  maxPackets?: number;
  /** Bytes kept of each packet, at least 1. */
  snaplen: number;
  /** Path of the unix socket on which the one who reads it is awaited, for ten seconds; nothing may be there. */
  socket: string;
}

/** A capture that runs, or waits for its reader. It is over when the reader goes, or shuts down his side. */
export interface CaptureStatus {
  id: number;
  state: 'waiting' | 'running';
  /** Who made the filter's program. */
  compiler: 'libpcap' | 'built-in' | 'none';
  /** Written, or on the way to the reader. */
  packets: number;
  /** For which there was no room, because the reader is too slow. */
  lost: number;
  bytes: number;
}

/** A frame, or a datagram with one in it, whose way is asked for. */
export interface TraceRequest {
  /** The local port where a frame enters. Exactly one of `port` and `datagram` is there. */
  port?: string;
  /** Whence and whereto a datagram comes. */
  datagram?: TracedDatagram;
  /** The frame without FCS, or the datagram's payload: VXLAN header and frame. */
  bytes: Uint8Array;
}

export interface TracedDatagram {
  source: string;
  sourcePort: number;
  /** Our UDP port. */
  udpPort: number;
  /** Type of service or traffic class of the IP header. */
  tos: number;
}

/** The way of one frame, had it come at this moment. Nothing was sent, learned or counted. */
export interface Trace {
  network?: string;
  /** In the order in which the switch takes them. */
  steps: TraceStep[];
  /** Of the frame itself: what the switch says of it. */
  verdict: 'to' | 'flood' | 'consumed' | 'drop';
  /** With `drop`: why. */
  reason?: string;
  /** One for each port where a copy would leave, or be dropped. */
  copies: TraceCopy[];
}

/**
 * One decision. In this order, but a decision that there was nothing to take about has no step (an untagged frame none
 * of `vlan`). A step with `reason`, a drop reason, is the last but for `tooBig`. Where `port` stands beside `remote` it
 * is the tunnel's name in the counters. `note` is a name from the list of notes, as in the counters.
 *
 * | kind | asks | fields | outcome |
 * | --- | --- | --- | --- |
 * | `enters` | at a local port | port, length (of the frame) | |
 * | `datagram` | is it VXLAN from another host | remote, length (of the UDP payload), reason | `vxlan`, `dropped` |
 * | `network` | whose is the VNI, is the network up | vni, reason | `up`, `unknown`, `down` |
 * | `sender` | is the VTEP a peer | remote, port, reason | `peer`, `new` (an open network makes its tunnel now), `dropped` |
 * | `reserved` | bits of the VXLAN header that must be 0 | detail (all 64 bits, hexadecimal), reason | `ignored`, `dropped` |
 * | `frame` | is it long enough for its headers | length, reason | `dropped` |
 * | `vlan` | its tag | vid, reason | `kept`, `stripped`, `dropped` |
 * | `congestion` | the outer ECN (RFC 6040) | from (inner ECN), detail (outer ECN), reason | `marked`, `unchanged`, `notIp`, `dropped` |
 * | `guard` | may the port send this | port, mac (source), reason | `allowed`, `dropped` |
 * | `size` | does it fit the port where it enters | port, length (of the packet), mtu, note (see `tooBig`), reason | `dropped` |
 * | `addresses` | are its MACs such as a bridge forwards | mac (the culprit), reason | `dropped` |
 * | `learn` | where is its source | mac, port, origin and from (`moved`: the port before; `conflict`: the owner's, absent = this host), evicted, reason | `known`, `learned`, `moved`, `conflict`, `full`, `off` (the network does not learn) |
 * | `lookup` | where is its destination | mac, port and origin (`found`), remote (a tunnel), reason | `found`, `here` (this host itself), `unknown`, `broadcast`, `multicast` |
 * | `neighbor` | can its ARP or neighbor discovery be answered here | ip, mac (who has it by the table), from (`dropped` by a false claim: who claims it), note, reason | `forwarded`, `keptHere` (no tunnel gets it), `answered`, `dropped` |
 * | `flood` | who gets a copy | detail (`broadcast`, `multicast`, `unknownUnicast`), reason | `copies`, `keptHere` (it concerns nobody else: consumed), `dropped` |
 * | `tooBig` | is the sender of what fits no path told | port, mtu (that it is told), note (`icmp.ptb_sent`, `icmp.ptb6_sent`, `icmp.suppressed`, `icmp.ratelimited`) | `told`, `untold` |
 */
export interface TraceStep {
  kind: StepKind;
  port?: string;
  mac?: string;
  ip?: string;
  remote?: string;
  vni?: number;
  vid?: number;
  from?: string;
  /** Of an FDB entry. */
  origin?: FdbEntry['origin'];
  /** MAC of a station that would be forgotten for it. */
  evicted?: string;
  /** What came of the decision, in one word. */
  outcome?: string;
  /** Drop reason. */
  reason?: string;
  note?: string;
  /** Bytes. */
  mtu?: number;
  /** Bytes. */
  length?: number;
  detail?: string;
}

/** A copy of the traced frame at the port where it leaves. */
export interface TraceCopy {
  /** Port name; tunnels as in the counters. */
  port: string;
  kind: 'tap' | 'packet' | 'memory' | 'tunnel';
  /** Absent = it would be sent. */
  reason?: string;
  /** `mss.clamped`, `tx.fragmented`. */
  note?: string;
  /** With `mss.clamped`: the MSS that the SYN leaves with. */
  mss?: number;
  /** Tunnels: address of the VTEP, its UDP port, and ours. */
  remote?: string;
  udpPort?: number;
  sourcePort?: number;
  /** Tunnels: in the VXLAN header. */
  vni?: number;
  /** Tunnels: the largest outer IP packet that the path carries, bytes. */
  pathMtu?: number;
  /** Bytes of the outer IP packet, or, at a local port, of the frame. */
  length: number;
}

/** Something that changed what the switch does, or that it did for the first time. */
export interface HistoryLine {
  /** Counts up by one from line to line. */
  seq: number;
  /** Unix time in milliseconds. */
  at: number;
  kind: HappeningKind;
  network?: string;
  mac?: string;
  ip?: string;
  /** Port name; tunnels as in the counters. */
  port?: string;
  /** Where it was before. */
  from?: string;
  /** Of the FDB entry. */
  origin?: FdbEntry['origin'];
  /** `set`: of the entry that it took the place of. */
  fromOrigin?: FdbEntry['origin'];
  reason?: string;
  /** `omitted`: how many lines of this port were not kept. */
  count?: number;
  detail?: string;
}

/** A piece of the history. */
export interface History {
  /** Oldest first. */
  lines: HistoryLine[];
  /** Unix time in milliseconds from which on every line is still there. */
  completeSince: number;
}

export interface FdbEntry {
  network: string;
  vni: number;
  mac: string;
  origin: 'learned' | 'static' | 'control';
  active: boolean;
  port?: string;
  remote?: string;
  udpPort?: number;
  tunnelVni?: number;
  local: boolean;
  idleSecs: number;
}

export type EventType =
  | 'portGone'
  | 'macMoved'
  | 'fdbFull'
  | 'vniUnknown'
  | 'sourceMacLocal'
  | 'ecnOdd'
  | 'ipConflict'
  | 'pathMtu'
  | 'downgraded'
  | 'fatal'
  | 'lost';

/** Which of the fields are set depends on `type`; newer addons may know more types. */
export interface DatapathEvent {
  type: EventType | (string & {});
  at: number;
  network?: string;
  port?: string;
  mac?: string;
  ip?: string;
  /** MAC of who has `ip`. */
  owner?: string;
  from?: string;
  to?: string;
  vni?: number;
  remote?: string;
  detail?: string;
  count?: number;
}

/** What this machine offers; every probe really tries. */
export interface Probe {
  tun: boolean;
  tunError?: string;
  netAdmin: boolean;
  facilities: { name: string; available: boolean; detail?: string }[];
  /** Kernel vxlan devices in our network namespace. */
  vxlanDevices: { ifname: string; vni: number; udpPort: number; up: boolean }[];
  interfaces: Interface[];
}

/** Of our network namespace. */
export interface Interface {
  ifname: string;
  mtu: number;
  up: boolean;
  addresses: string[];
}

export interface OwnedTap {
  netns?: string;
  ifname: string;
  port: string;
}

export interface MemoryDatagram {
  source: string;
  sourcePort: number;
  destination: string;
  destinationPort: number;
  /** Type of service or traffic class of the IP header; absent = 0. */
  tos?: number;
  payload: Uint8Array;
}

/** idle -> running -> stopped; no way back. */
export interface NativeDatapath {
  /** Opens first, then swaps: a failure leaves the old state running. */
  apply(desired: DesiredState): Promise<ApplyReport>;
  /** `wake` means that the event ring is no longer empty; it does not keep the process alive. */
  start(wake: () => void): void;
  /**
   * Makes the TAP of a port with a sandbox in our own namespace: marked, down, as the apply with that
   * port will adopt it. One that is there with our mark is fine; else IFNAME_TAKEN. After the first
   * apply only: that says with how many queues.
   */
  makeTap(tap: NewTap): Promise<void>;
  /**
   * From now on takes TAPs that others made and hand over at this unix socket, which only our user may use. After
   * the first apply only. A TAP waits a minute for its port.
   */
  receiveHandovers(path: string): void;
  drain(max: number): DatapathEvent[];
  counters(): Counters;
  fdb(network?: string): FdbEntry[];
  /** Forgets learned entries only; returns how many. */
  fdbFlush(network: string, port?: string): number;
  /** Begins a capture: pcapng to whoever connects to `spec.socket`, written by a thread of its own. */
  capture(spec: CaptureSpec): Promise<CaptureStatus>;
  /** Captures that run. */
  captures(): CaptureStatus[];
  /** Ends a capture: its reader gets what it has and the statistics; whether there was one of this ID. */
  endCapture(id: number): boolean;
  /** The way that a frame would take at this moment, without sending or learning anything. */
  trace(request: TraceRequest): Trace;
  /** What has happened, from this line on; bounded, the oldest goes first. */
  history(fromSeq: number): History;
  /** A frame enters the switch at this port. */
  inject(port: string, frame: Uint8Array): void;
  /** TAPs stay. Any number of times. */
  stop(): Promise<void>;
  /** What a memory port received. */
  memoryTake(port: string): Uint8Array[];
  /** Memory underlay only. */
  underlayInject(datagrams: MemoryDatagram[]): void;
  underlayTake(): MemoryDatagram[];
}

/** Rejections and throws are `Error` with a message of JSON `{code, subject, syscall?, errno?, detail?}`. */
export interface Addon {
  readonly Datapath: new () => NativeDatapath;
  probe(): Probe;
  /** Cheap enough for a steady rate. */
  interfaces(): Interface[];
  dropReasons(): { name: string; stage: 'ingress' | 'egress' | 'underlay'; sentence: string }[];
  /**
   * Makes the TAP `ifname`, down, in our network namespace, which must be that of the process `pid`, and hands it over
   * at the unix socket `path`. When this throws nothing is left. Blocks.
   */
  giveTap(path: string, pid: number, ifname: string): GivenTap;
  /** Throws LOCKED when another process holds it (flock). */
  lockFile(path: string): { release(): void };
  /** One datagram of sd_notify(3): `socket` as in NOTIFY_SOCKET, a path or `@` and an abstract name. Throws IO. */
  notifyServiceManager(socket: string, state: string): void;
  /** All namespaces of this machine reachable through /run/netns and /proc. */
  ownedTaps(owner: string): Promise<OwnedTap[]>;
  /**
   * Only a TAP that bears exactly the mark of `owner` and `port`. False: was not there, or is another's.
   * Without `ifname`, for ports with a sandbox: whatever its name, in `netns` or else in our own.
   */
  removeTap(
    netns: string | undefined,
    ifname: string | undefined,
    owner: string,
    port: string,
  ): Promise<boolean>;
}
