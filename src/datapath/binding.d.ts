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
  /** A copy of every counter. */
  counters(): Counters
  /** A copy of the forwarding database of one network, or of all. */
  fdb(network?: string | undefined | null): Array<FdbEntry>
  /** Forgets learned entries of a network, or of one port of it; returns how many. */
  fdbFlush(network: string, port?: string | undefined | null): number
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

/** Every counter at one moment. They go back only when the process starts anew. */
export interface Counters {
  /** Unix milliseconds. */
  startedAt: number
  workers: Array<WorkerCounters>
  underlay: UnderlayCounters
  networks: Array<NetworkCounters>
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
  kind: 'tap' | 'memory' | 'tunnel'
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
  kind: 'tap' | 'memory'
  /** Path such as /run/netns/c1 or /proc/123/ns/net; absent = our own. */
  netns?: string
  /** TAP only. */
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
}
