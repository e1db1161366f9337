//! Desired state: passive data that the control plane hands down whole. Nothing here acts.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::wire::mac::MacAddr;
use crate::wire::vxlan::Vni;

/// Everything that this host's datapath should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Our own tunnel end point; may not change while running.
    pub vtep: VtepSpec,
    /// How the engine runs; honoured at the first apply.
    pub engine: EngineSpec,
    /// Largest IP packet that the underlay carries, bytes, as far as the kernel knows no better for a VTEP.
    pub underlay_mtu: u32,
    /// The networks with members here.
    pub networks: Vec<NetworkSpec>,
}

/// Our own VTEP.
#[derive(Debug, Clone, PartialEq)]
pub struct VtepSpec {
    /// Bound by every socket, so always the outer source.
    pub address: IpAddr,
    /// Interface that a link-local address belongs to.
    pub scope_interface: Option<String>,
    /// Outer TTL or hop limit; `None` copies it from the inner packet.
    pub ttl: Option<u8>,
    /// Outer type of service or traffic class, of which the upper six bits count; `None` copies those of the inner packet.
    pub tos: Option<u8>,
    /// What the lower two bits say.
    pub ecn: EcnMode,
    /// Whether the outer UDP checksum is filled (RFC 7348 §5 allows zero over IPv4).
    pub udp_checksum: bool,
    /// Datagrams larger than the path are left to be fragmented, which RFC 7348 §4.3 forbids.
    pub allow_outer_fragmentation: bool,
    /// Range for the pool of source ports.
    pub source_ports: RangeInclusive<u16>,
    /// Number of sockets in the pool.
    pub source_port_pool: usize,
    /// Both directions of a flow choose the same source port.
    pub symmetric_hash: bool,
    /// Keep the underlay in memory: no socket is opened.
    pub memory: bool,
}

/// The outer ECN field of what we send (RFC 6040 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcnMode {
    /// Normal mode: that of the inner packet.
    Normal,
    /// Compatibility mode: always Not-ECT, for remote VTEPs that do not bring it back into the frame.
    Compat,
    /// As the kernel does (RFC 3168 §9.1.1): that of the inner packet, but ECT(0) instead of CE.
    Linux,
}

/// How the engine runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSpec {
    /// Marks the TAPs that we make.
    pub owner: String,
    /// Number of workers; 0 chooses by the number of CPUs.
    pub workers: usize,
    /// Facilities that may be used if the kernel has them.
    pub features: Features,
    /// Stay awake for a moment after work, as long as that pays.
    pub spin: bool,
    /// By which way datagrams cross the kernel; where it cannot be, by sockets.
    pub underlay: UnderlayPath,
}

/// By which way datagrams cross the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnderlayPath {
    /// UDP sockets, both ways.
    #[default]
    Udp,
    /// Received through a packet ring, past the stack; sent by sockets.
    Ring,
    /// The same, and TCP sent as it comes, for the kernel or the NIC to segment inside the tunnel.
    TunnelGso,
}

impl UnderlayPath {
    /// As the configuration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Ring => "ring",
            Self::TunnelGso => "tunnel-gso",
        }
    }
}

/// Kernel facilities; `false` forces one off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the kernel's own")]
pub struct Features {
    pub udp_gso: bool,
    pub udp_gro: bool,
    pub vnet_hdr: bool,
    pub multi_queue: bool,
    pub recvmmsg: bool,
    pub sendmmsg: bool,
}

/// One network's part on this host.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSpec {
    /// What the user calls it; identity across applies.
    pub name: String,
    /// Its VNI on the wire.
    pub vni: Vni,
    /// UDP port on which its datagrams arrive.
    pub udp_port: u16,
    /// Administrative state: a network that is down drops what comes for it.
    pub up: bool,
    /// Lower the MSS in TCP SYNs that leave through a tunnel to what the tunnel takes.
    pub mss_clamp: bool,
    /// What its bridge does with frames.
    pub rules: BridgeRules,
    /// Limits and ageing of its FDB.
    pub fdb_limits: FdbLimits,
    /// What happens to datagrams with reserved bits set.
    pub reserved_bits: ReservedBits,
    /// Outer type of service of frames that come from a port with a VLAN tag, by the tag's PCP; `None` is as of frames
    /// without one: the VTEP's.
    pub pcp_tos: [Option<u8>; 8],
    /// Accept senders that are not among `tunnels`.
    pub open_peers: bool,
    /// Multicast group of the underlay that carries BUM frames.
    pub group: Option<GroupSpec>,
    /// Where containers attach.
    pub ports: Vec<PortSpec>,
    /// Remote VTEPs.
    pub tunnels: Vec<TunnelSpec>,
    /// Entries that learning may not touch.
    pub fdb: Vec<FdbSpec>,
    /// Who has which address, each address once. ARP and ND about those elsewhere are answered; empty: ARP and ND are
    /// left alone.
    pub neighbors: Vec<NeighborSpec>,
}

/// Forwarding rules of a bridge.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeRules {
    /// Learn source MACs.
    pub learning: bool,
    /// With learning off: refuse a frame whose source has an entry elsewhere.
    pub strict_source: bool,
    /// Drop unicast to unknown destinations instead of flooding it.
    pub drop_unknown_unicast: bool,
    /// What happens to tagged frames.
    pub vlan: VlanPolicy,
    /// What happens to priority tags (VID 0) where `vlan` is `Discard`.
    pub priority_tag: PriorityTag,
    /// Bit n lets 01:80:c2:00:00:0n through; bits 0, 1 and 2 have no effect.
    pub group_forward_mask: u16,
}

/// What a network does with VLAN tags inside (RFC 7348 §6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VlanPolicy {
    /// Drop every tagged frame.
    Discard,
    /// Keep tags of these VIDs byte for byte; empty allows all.
    Allow(Vec<RangeInclusive<u16>>),
}

/// What a network that discards tags does with VID 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorityTag {
    /// Take the tag off and go on.
    Strip,
    /// Drop the frame.
    Drop,
}

/// Size and age of an FDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbLimits {
    /// Learned entries per network.
    pub max_macs: u32,
    /// At a limit: replace the offending port's own oldest entry instead of refusing.
    pub evict_oldest: bool,
    /// Seconds after which a silent learned entry goes; 0 = never.
    pub ageing_secs: u32,
}

/// Reserved bits of the VXLAN header on receipt (RFC 7348 §5 says: ignored).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservedBits {
    /// Accept and count.
    Ignore,
    /// Drop, except for bits in the mask over the 64 bits of the header.
    DropExcept(u64),
}

/// A multicast group as flood target (RFC 7348 §4.2).
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// The group.
    pub address: IpAddr,
    /// Interface on which it is joined.
    pub interface: String,
    /// TTL of what we send to it.
    pub ttl: u8,
}

/// A place where a container attaches.
#[derive(Debug, Clone, PartialEq)]
pub struct PortSpec {
    /// Unique in the whole datapath; identity across applies.
    pub name: String,
    /// What is behind it.
    pub kind: PortKind,
    /// Largest layer 3 packet, bytes.
    pub mtu: u32,
    /// Gets unknown unicast.
    pub flood_unknown: bool,
    /// Gets broadcast.
    pub flood_broadcast: bool,
    /// May get back what it sent.
    pub hairpin: bool,
    /// Learned entries behind it.
    pub max_macs: u32,
    /// What may be sent from it; `None` is anything.
    pub guard: Option<GuardSpec>,
}

/// Whose frames may enter at a port: port security.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardSpec {
    /// Source MACs.
    pub macs: Vec<MacAddr>,
    /// Source addresses; the link-local addresses of the MACs (RFC 4291 appendix A) are allowed beside them.
    pub addresses: Vec<IpAddr>,
}

/// What is behind a port.
#[derive(Debug, Clone, PartialEq)]
pub enum PortKind {
    /// A TAP in a network namespace.
    Tap(TapPort),
    /// An interface that is there already, through an AF_PACKET socket.
    Packet(PacketPort),
    /// A queue in memory, for tests.
    Memory,
}

/// The interface of a packet port. Nothing of it is ours to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketPort {
    /// Path of its network namespace; `None` is ours.
    pub netns: Option<PathBuf>,
    /// Its name there.
    pub ifname: String,
}

/// The TAP of a port.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TapPort {
    /// Path of its network namespace; `None` is ours.
    pub netns: Option<PathBuf>,
    /// Its name there.
    pub ifname: String,
    /// Its MAC; the kernel chooses if absent.
    pub mac: Option<MacAddr>,
    /// Its addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Set where somebody else moves the TAP (Docker does): path of the namespace that it is moved to and back from,
    /// which need not be there yet. `netns` is `None` then, and name, MAC and addresses are theirs to change.
    pub sandbox: Option<PathBuf>,
    /// Set where somebody else made the TAP, inside a container, and handed it over: by what it is known, 32 hexadecimal
    /// digits. `netns` is `None` then, and MAC, MTU and addresses are for him to set as this says.
    pub handover: Option<String>,
}

/// A remote VTEP; its three values together are its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TunnelKey {
    /// Address and UDP port (with the scope of a link-local address).
    pub remote: SocketAddr,
    /// VNI that is sent to it.
    pub vni: Vni,
}

/// A remote VTEP of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelSpec {
    /// Which one.
    pub key: TunnelKey,
    /// Whether it gets BUM frames.
    pub flood: bool,
}

/// An FDB entry made by configuration or control plane.
#[derive(Debug, Clone, PartialEq)]
pub struct FdbSpec {
    /// The station.
    pub mac: MacAddr,
    /// True: owned by the control plane; false: static.
    pub control: bool,
    /// Where it is.
    pub target: FdbTarget,
}

/// Where a configured FDB entry leads.
#[derive(Debug, Clone, PartialEq)]
pub enum FdbTarget {
    /// A port of the same network, by name.
    Port(String),
    /// A tunnel of the same network.
    Tunnel(TunnelKey),
    /// This host itself: frames are consumed.
    Local,
}

/// What the control plane knows of one address of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighborSpec {
    /// The address.
    pub ip: IpAddr,
    /// The station that has it.
    pub mac: MacAddr,
    /// Its owner is behind a port of this host, so it answers for itself.
    pub local: bool,
    /// How much the knowledge is worth.
    pub state: NeighborState,
    /// Its owner is a router (R flag of neighbor advertisements, RFC 4861 §4.4).
    pub router: bool,
}

/// What knowledge of a neighbor is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighborState {
    /// The control plane vouches for it.
    Live,
    /// The control plane has not been heard of for long, so the owner is asked itself.
    Stale,
    /// The owner's host is gone: nobody answers for it.
    Dead,
}
