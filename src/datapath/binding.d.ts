// Generated from native/binding by `npm run build`. Never edited.

/** Everything that moves frames. idle -> running -> stopped; no way back. */
export declare class Datapath {
  /** Opens nothing. */
  constructor()
  /**
   * Makes the whole desired state true: opens first, then swaps, then closes. A failure leaves the old state
   * running and names the culprit.
   */
  apply(desired: DesiredState): Promise<ApplyReport>
  /** Starts the workers. `wake` means that the event ring is no longer empty; it does not keep the process alive. */
  start(wake: () => void): void
  /** Takes up to `max` events, and behind them, if any were lost since the last call, one that says how many. */
  drain(max: number): Array<DatapathEvent>
  /**
   * Makes the TAP of a port with a sandbox in our own network namespace: marked, down, without addresses, as the
   * apply with that port will want to adopt it. One that is there with the same mark is fine.
   */
  makeTap(tap: NewTap): Promise<void>
  /** From now on takes TAPs that others made and hand over at the unix socket `path`. */
  receiveHandovers(path: string): void
  /** A copy of every counter. */
  counters(): Counters
  /** A copy of the forwarding database of one network, or of all. */
  fdb(network?: string | undefined | null): Array<FdbEntry>
  /** Forgets learned entries of a network, or of one port of it; returns how many. */
  fdbFlush(network: string, port?: string | undefined | null): number
  /** Begins a capture: pcapng to whoever connects to `spec.socket`, written by a thread of its own. */
  capture(spec: CaptureSpec): Promise<CaptureStatus>
  /** Captures that run. */
  captures(): Array<CaptureStatus>
  /** Ends a capture: its reader gets what it has and the statistics; whether there was one of this ID. */
  endCapture(id: number): boolean
  /** The way that a frame would take at this moment, without sending or learning anything. */
  trace(request: TraceRequest): Trace
  /** What has happened, from this line on; bounded, the oldest goes first. */
  history(fromSeq: number): History
  /** A frame enters the switch at this port. */
  inject(port: string, frame: Uint8Array): void
  /** Stops the workers and closes everything; TAPs stay. Any number of times. */
  stop(): Promise<void>
  /** What a memory port was given by the switch since the last call. */
  memoryTake(port: string): Array<Uint8Array>
  /** Datagrams arrive at the memory underlay. */
  underlayInject(datagrams: Array<MemoryDatagram>): void
  /** What the memory underlay was given to send since the last call. */
  underlayTake(): Array<MemoryDatagram>
}

/** A TAP that somebody else has now, who gives it up when this process ends before a port of his has it. */
export declare class GivenTap {
  /** By what it is known to him: 32 hexadecimal digits. */
  get ticket(): string
  /** Its index in our network namespace. */
  get ifindex(): number
  /** Gives the TAP its alias, MAC, MTU and addresses, and sets it up. Blocks. */
  furnish(furniture: Furniture): void
}

/** A held lock. The kernel releases it when the process dies. */
export declare class Lock {
  /** Lets go. Any number of times. */
  release(): void
}

/** What an apply did. Names are `network NAME`, `port NAME`, `tunnel NETWORK REMOTE:PORT/VNI`. */
export interface ApplyReport {
  kept: Array<string>
  added: Array<string>
  removed: Array<string>
  changed: Array<string>
}

/** What a capture takes; what is absent restricts nothing. */
export interface CaptureSpec {
  network?: string
  /** A local port. */
  port?: string
  /** Address of a VTEP. */
  peer?: string
  /** Frames, the datagrams around them, or both, linked by one packet ID. */
  side: 'inner' | 'outer' | 'both'
  /** Only what is dropped. */
  dropsOnly: boolean
  /** In libpcap's syntax, about the frame: a datagram is taken if the frame inside it is. */
  filter?: string
  /** The capture ends by itself after so many packets. */
  maxPackets?: number
  /** Bytes kept of each packet, at least 1. */
  snaplen: number
  /** Path of the unix socket on which the one who reads it is awaited, for ten seconds; nothing may be there. */
  socket: string
}

/** A capture that runs, or waits for its reader. It is over when the reader goes, or shuts down his side. */
export interface CaptureStatus {
  id: number
  state: 'waiting' | 'running'
  /** Who made the filter's program. */
  compiler: 'libpcap' | 'built-in' | 'none'
  /** Written, or on the way to the reader. */
  packets: number
  /** For which there was no room, because the reader is too slow. */
  lost: number
  bytes: number
}

/** Every counter at one moment. They go back only when the process starts anew. */
export interface Counters {
  /** Unix milliseconds. */
  startedAt: number
  workers: Array<WorkerCounters>
  underlay: UnderlayCounters
  networks: Array<NetworkCounters>
  /** Every VTEP that is a peer of a network, in the order of their addresses. */
  vteps: Array<VtepReport>
}

/** Something that happened; which fields are set depends on `type`. */
export interface DatapathEvent {
  type: 'portGone' | 'macMoved' | 'fdbFull' | 'vniUnknown' | 'sourceMacLocal' | 'ecnOdd' | 'ipConflict' | 'pathMtu' | 'downgraded' | 'fatal' | 'lost'
  /** Unix milliseconds. */
  at: number
  network?: string
  port?: string
  mac?: string
  ip?: string
  /** MAC of who has `ip`. */
  owner?: string
  from?: string
  to?: string
  vni?: number
  remote?: string
  detail?: string
  count?: number
}

/** Everything that this host's datapath should be. */
export interface DesiredState {
  vtep: VtepSpec
  engine: EngineSpec
  /** Largest IP packet that the underlay carries, bytes, where the kernel knows no better for a VTEP. */
  underlayMtu: number
  networks: Array<NetworkSpec>
}

/** How many frames were dropped for a reason such as `rx.vni_unknown`; never zero. */
export interface DropCount {
  reason: string
  frames: number
}

/** One drop reason. */
export interface DropReasonInfo {
  name: string
  stage: 'ingress' | 'egress' | 'underlay'
  /** For an engineer who never saw the code. */
  sentence: string
}

/** The one list of drop reasons. */
export declare function dropReasons(): Array<DropReasonInfo>

/** How the engine runs; honoured at the first apply. Features: false = forced off, true = used where probed. */
export interface EngineSpec {
  /** Marks the TAPs that we make (interface alias `vswitchd <owner> <port>`). */
  owner: string
  /** 0 = auto. */
  workers: number
  udpGso: boolean
  udpGro: boolean
  vnetHdr: boolean
  multiQueue: boolean
  recvmmsg: boolean
  sendmmsg: boolean
  /** Stay awake for a moment after work, as long as that pays. */
  spin: boolean
  /** By which way datagrams cross the kernel; where it cannot be, by sockets. */
  underlay: 'udp' | 'ring' | 'tunnel-gso'
}

/** Something that makes the datapath faster and that it can do without. */
export interface Facility {
  name: string
  available: boolean
  /** Why not. */
  detail?: string
}

/** One line of a forwarding database. */
export interface FdbEntry {
  network: string
  vni: number
  mac: string
  origin: 'learned' | 'static' | 'control'
  /** False: configured, but its port is not there. */
  active: boolean
  port?: string
  remote?: string
  udpPort?: number
  tunnelVni?: number
  /** Frames to it are consumed by this host. */
  local: boolean
  idleSecs: number
}

/** An FDB entry made by configuration or control plane. */
export interface FdbSpec {
  mac: string
  origin: 'static' | 'control'
  to: FdbTarget
}

/** Exactly one is set; `local: true` = consumed by this host. */
export interface FdbTarget {
  port?: string
  tunnel?: TunnelRef
  local?: boolean
}

/** How an interface of our network namespace shall be. */
export interface Furniture {
  ifname: string
  /** Whose TAP it is, and for which port: written on it. */
  owner: string
  port: string
  /** Absent = as it is. */
  mac?: string
  mtu: number
  /** CIDR. */
  addresses: Array<string>
}

/**
 * Makes the TAP `ifname`, down, in our network namespace, which must be that of the process `pid`, and hands it over at
 * the unix socket `path`. When this throws nothing is left. Blocks.
 */
export declare function giveTap(path: string, pid: number, ifname: string): GivenTap

/** A multicast group of the underlay. */
export interface GroupSpec {
  address: string
  interface: string
  ttl: number
}

/** Whose frames may enter at a port. */
export interface GuardSpec {
  macs: Array<string>
  /** Without prefix length; the link-local addresses of the MACs are allowed beside them. */
  addresses: Array<string>
}

/** A piece of the history. */
export interface History {
  /** Oldest first. */
  lines: Array<HistoryLine>
  /** Unix time in milliseconds from which on every line is still there. */
  completeSince: number
}

/** Something that changed what the switch does, or that it did for the first time. */
export interface HistoryLine {
  /** Counts up by one from line to line. */
  seq: number
  /** Unix time in milliseconds. */
  at: number
  kind: 'learned' | 'moved' | 'aged' | 'evicted' | 'flushed' | 'set' | 'removed' | 'refused' | 'answered' | 'neighborSet' | 'neighborRemoved' | 'dropped' | 'portUp' | 'portDown' | 'vtepUp' | 'vtepDown' | 'vtepHeard' | 'vtepSilent' | 'pathMtu' | 'omitted'
  network?: string
  mac?: string
  ip?: string
  /** Port name; tunnels as in the counters. */
  port?: string
  /** Where it was before. */
  from?: string
  /** Of the FDB entry. */
  origin?: 'learned' | 'static' | 'control'
  /** `set`: of the entry that it took the place of. */
  fromOrigin?: 'learned' | 'static' | 'control'
  reason?: string
  /** `omitted`: how many lines of this port were not kept. */
  count?: number
  detail?: string
}

/** An interface of our network namespace. */
export interface Interface {
  ifname: string
  mtu: number
  up: boolean
  addresses: Array<string>
}

/** The interfaces of our network namespace at this moment. Cheap enough for a steady rate. */
export declare function interfaces(): Array<Interface>

/** Takes the lock of a file; throws LOCKED when another process holds it. */
export declare function lockFile(path: string): Lock

/** A datagram of the memory underlay. */
export interface MemoryDatagram {
  source: string
  sourcePort: number
  destination: string
  destinationPort: number
  /** Type of service or traffic class of the IP header; absent = 0. */
  tos?: number
  payload: Uint8Array
}

/** What the control plane knows of one address of a network. */
export interface NeighborSpec {
  ip: string
  mac: string
  /** Where its owner is: behind a local port (never answered for), or elsewhere. */
  local: boolean
  /** live: answered. stale: forwarded (arp.stale). dead: its host is gone, forwarded (arp.owner_dead). */
  state: 'live' | 'stale' | 'dead'
  /** R flag of neighbor advertisements. */
  router: boolean
}

/**
 * One network. As sums over its ports and `retired`, in frames:
 * rxFrames = ingress drops + consumed + unicast + flooded;
 * unicast + replicated + generated = txFrames + egress drops.
 */
export interface NetworkCounters {
  name: string
  vni: number
  ports: Array<PortCounters>
  retired: RetiredCounters
  unicast: number
  flooded: number
  replicated: number
  consumed: number
  /** Made by this host itself, such as ICMP. */
  generated: number
  /** Of datagrams that reached this network but no tunnel of it. */
  drops: Array<DropCount>
  macs: number
  learned: number
  moved: number
  aged: number
  evicted: number
  full: number
  rsvdIgnored: number
  /** Frames accepted although their inner and outer ECN do not go together. */
  ecnOdd: number
  /** Frames marked as congested outside that have no IP header. */
  ecnNonip: number
}

/** One network's part on this host. */
export interface NetworkSpec {
  name: string
  vni: number
  udpPort: number
  up: boolean
  /** Lower the MSS in TCP SYNs that leave through a tunnel to what the tunnel takes. */
  mssClamp: boolean
  learning: boolean
  /** 0 = never. */
  ageingSecs: number
  maxMacs: number
  evictOldest: boolean
  /** Learning off and an entry elsewhere: drop. */
  strictSource: boolean
  dropUnknownUnicast: boolean
  reservedBits: 'ignore' | 'drop'
  /** 16 hex digits over the 8 header bytes: bits tolerated although `drop`. */
  reservedBitsMask: string
  innerVlan: 'discard' | 'allow'
  /** Empty with `allow` = all. */
  innerVlans: Array<VlanRange>
  priorityTag: 'strip' | 'drop'
  /** Bit n opens 01:80:c2:00:00:0n. */
  groupForwardMask: number
  /** Outer type of service of frames with a VLAN tag, by its PCP, at most one of each; the VTEP's for all others. */
  pcpTos: Array<PcpTos>
  /** Any VTEP may send to us: tunnels appear on the first valid datagram, bounded. */
  openPeers: boolean
  /** Multicast underlay. */
  group?: GroupSpec
  ports: Array<PortSpec>
  tunnels: Array<TunnelSpec>
  fdb: Array<FdbSpec>
  /**
   * Who has which address, each address once; ARP and ND about those elsewhere are answered. Empty = ARP and ND are
   * left alone.
   */
  neighbors: Array<NeighborSpec>
}

/** The TAP of a port with a sandbox. */
export interface NewTap {
  port: string
  ifname: string
  mac: string
  mtu: number
}

/** How often something happened beside dropping, such as `icmp.ptb_sent`; never zero. */
export interface NoteCount {
  note: string
  times: number
  /** For an engineer who never saw the code. */
  sentence: string
}

/** Tells the service manager whose socket this is, as sd_notify(3) does. */
export declare function notifyServiceManager(socket: string, state: string): void

/** A TAP that carries an owner's mark. */
export interface OwnedTap {
  /** A path of its namespace; absent = our own. */
  netns?: string
  ifname: string
  /** The port that it was made for. */
  port: string
}

/** Every TAP of this owner in any namespace of this machine that can be reached. */
export declare function ownedTaps(owner: string): Promise<Array<OwnedTap>>

/** A type of service for a PCP. */
export interface PcpTos {
  /** 0-7. */
  pcp: number
  tos: number
}

/** One port. rx = entered the switch here. A superframe of n segments counts n frames. */
export interface PortCounters {
  /** Port name; tunnels: `REMOTE:PORT` (and `/VNI` where it differs from the network's). */
  name: string
  kind: 'tap' | 'packet' | 'memory' | 'tunnel'
  /** gone: its network namespace or device disappeared. */
  state: 'up' | 'gone'
  ifname?: string
  ifindex?: number
  netns?: string
  mac?: string
  mtu?: number
  /** Tunnels: the largest outer IP packet that the path carries, as far as is known. */
  pathMtu?: number
  rxFrames: number
  rxBytes: number
  txFrames: number
  txBytes: number
  /** Learned entries behind it. */
  macs: number
  /** Tunnels: ICMP unreachable errors seen for this VTEP. */
  unreachable: number
  drops: Array<DropCount>
  notes: Array<NoteCount>
}

/** A place where a container attaches. */
export interface PortSpec {
  /** Unique in the whole daemon. */
  name: string
  kind: 'tap' | 'packet' | 'memory'
  /** Path such as /run/netns/c1 or /proc/123/ns/net; absent = our own. */
  netns?: string
  /** TAP and packet. */
  ifname?: string
  mac?: string
  mtu: number
  /** CIDR. */
  addresses: Array<string>
  floodUnknown: boolean
  floodBroadcast: boolean
  hairpin: boolean
  maxMacs: number
  /** What may be sent from it; absent = anything. */
  guard?: GuardSpec
  /**
   * TAP only: path of the network namespace to which somebody else moves it. It is made by `makeTap`, and apply
   * adopts it by its mark, there or in our own; name, MAC and addresses are theirs to change.
   */
  sandbox?: string
  /**
   * TAP only: ticket under which it was handed over. It is inside a container, where name, MAC, MTU and addresses
   * are for the one who handed it over to set; apply only takes its descriptors.
   */
  handover?: string
}

/** Tries everything. Takes milliseconds and leaves nothing behind. */
export declare function probe(): Probe

/** What this machine offers; every facility was really tried. */
export interface Probe {
  /** A TAP can be made. */
  tun: boolean
  /** Why not: JSON as in an error's message. */
  tunError?: string
  /** We hold CAP_NET_ADMIN in our network namespace. */
  netAdmin: boolean
  facilities: Array<Facility>
  /** Kernel vxlan devices in our network namespace. */
  vxlanDevices: Array<VxlanDevice>
  interfaces: Array<Interface>
}

/**
 * Removes a TAP for good; false when it was not there, or is not that of this owner's port. Without `ifname` it is one
 * that somebody else moves: whatever its name, in `netns` or else in our own.
 */
export declare function removeTap(netns: string | undefined | null, ifname: string | undefined | null, owner: string, port: string): Promise<boolean>

/** Folded from ports that were removed. */
export interface RetiredCounters {
  rxFrames: number
  txFrames: number
  drops: Array<DropCount>
  notes: Array<NoteCount>
}

/** Range and size of the pool of source ports. */
export interface SourcePorts {
  min: number
  max: number
  pool: number
}

/** The way of one frame, had it come at this moment. Nothing was sent, learned or counted. */
export interface Trace {
  network?: string
  /** In the order in which the switch takes them. */
  steps: Array<TraceStep>
  /** Of the frame itself: what the switch says of it. */
  verdict: 'to' | 'flood' | 'consumed' | 'drop'
  /** With `drop`: why. */
  reason?: string
  /** One for each port where a copy would leave, or be dropped. */
  copies: Array<TraceCopy>
}

/** A copy of the traced frame at the port where it leaves. */
export interface TraceCopy {
  /** Port name; tunnels as in the counters. */
  port: string
  kind: 'tap' | 'packet' | 'memory' | 'tunnel'
  /** Absent = it would be sent. */
  reason?: string
  /** `mss.clamped`, `tx.fragmented`. */
  note?: string
  /** With `mss.clamped`: the MSS that the SYN leaves with. */
  mss?: number
  /** Tunnels: address of the VTEP, its UDP port, and ours. */
  remote?: string
  udpPort?: number
  sourcePort?: number
  /** Tunnels: in the VXLAN header. */
  vni?: number
  /** Tunnels: the largest outer IP packet that the path carries, bytes. */
  pathMtu?: number
  /** Bytes of the outer IP packet, or, at a local port, of the frame. */
  length: number
}

/** A datagram's envelope. */
export interface TracedDatagram {
  source: string
  sourcePort: number
  /** Our UDP port. */
  udpPort: number
  /** Type of service or traffic class of the IP header. */
  tos: number
}

/** A frame, or a datagram with one in it, whose way is asked for. */
export interface TraceRequest {
  /** The local port where a frame enters. Exactly one of `port` and `datagram` is there. */
  port?: string
  /** Whence and whereto a datagram comes. */
  datagram?: TracedDatagram
  /** The frame without FCS, or the datagram's payload: VXLAN header and frame. */
  bytes: Uint8Array
}

/** One decision. Which fields are set depends on `kind`: the table stands at `TraceStep` in `src/datapath/seam.ts`. */
export interface TraceStep {
  kind: 'enters' | 'datagram' | 'network' | 'sender' | 'reserved' | 'frame' | 'vlan' | 'congestion' | 'guard' | 'size' | 'addresses' | 'learn' | 'lookup' | 'neighbor' | 'flood' | 'tooBig'
  port?: string
  mac?: string
  ip?: string
  remote?: string
  vni?: number
  vid?: number
  from?: string
  /** Of an FDB entry. */
  origin?: 'learned' | 'static' | 'control'
  /** MAC of a station that would be forgotten for it. */
  evicted?: string
  /** What came of the decision, in one word. */
  outcome?: string
  /** Drop reason. */
  reason?: string
  note?: string
  /** Bytes. */
  mtu?: number
  /** Bytes. */
  length?: number
  detail?: string
}

/** A tunnel by its identity. */
export interface TunnelRef {
  remote: string
  udpPort: number
  vni: number
}

/** A remote VTEP; address, UDP port and VNI are its identity. */
export interface TunnelSpec {
  remote: string
  udpPort: number
  vni: number
  /** Gets broadcast, unknown unicast and multicast. */
  flood: boolean
}

/** The underlay. datagrams = drops + retired + sum over networks (drops + tunnels' rxFrames). */
export interface UnderlayCounters {
  datagrams: number
  drops: Array<DropCount>
  notes: Array<NoteCount>
  /** Datagrams that were counted at tunnels and networks that are no more. */
  retired: number
  sourcePorts: Array<number>
  /** Granted by the kernel, bytes; 0 without sockets. */
  receiveBuffer: number
  /** By which way datagrams cross the kernel: what is in use, not what was asked for. */
  path: 'udp' | 'ring' | 'tunnel-gso'
}

/** VLAN IDs, both ends included. */
export interface VlanRange {
  first: number
  last: number
}

/** What is known of a remote VTEP itself. */
export interface VtepReport {
  remote: string
  /** Unix milliseconds at which the last datagram from it was noticed, to the second. */
  heardAt?: number
  /** ICMP echo requests to it, and those answered; both zero where we may not send any. */
  asked: number
  answered: number
  /** Of the last answer, and the mean over the last eight or so. */
  rttUs?: number
  meanRttUs?: number
  /** silent: it answered once, and is neither heard of nor answers any more; unknown: not heard of, and it never answered. */
  state: 'alive' | 'silent' | 'unknown'
}

/** Our own tunnel end point. Fixed after the first apply: a change is refused with VTEP_CHANGED. */
export interface VtepSpec {
  /** IPv4 or IPv6; bound, and always the outer source. */
  address: string
  /** Interface of a link-local IPv6 address. */
  scopeInterface?: string
  /** Outer TTL or hop limit; absent = copied from the inner packet. */
  ttl?: number
  /** Outer type of service or traffic class, of which the upper six bits count; absent = those of the inner packet. */
  tos?: number
  /** Outer ECN: of the inner packet, none, or of the inner packet with ECT(0) for CE. */
  ecn: 'normal' | 'compat' | 'linux'
  /** May be false on an IPv4 underlay only. */
  udpChecksum: boolean
  /** Datagrams larger than the path are left to be fragmented, which RFC 7348 section 4.3 forbids. */
  allowOuterFragmentation: boolean
  /** The pool of sockets whose ports carry the flows. */
  sourcePorts: SourcePorts
  /** Both directions of a flow choose the same source port. */
  symmetricHash: boolean
  /** The underlay is kept in memory (tests): no socket is opened. */
  memory: boolean
}

/** A vxlan device of the kernel: while it is up it holds its UDP port on every address. */
export interface VxlanDevice {
  ifname: string
  vni: number
  udpPort: number
  up: boolean
}

/** One worker. */
export interface WorkerCounters {
  turns: number
  sleeps: number
  /** Microseconds in which it neither slept nor spun. */
  busyUs: number
  /** Entered the switch by it, over all ports and tunnels. */
  rxFrames: number
  txFrames: number
  drops: Array<DropCount>
}
