//! What the workers see: one immutable picture of networks, ports and sockets, replaced whole by `apply`.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::apply::{PortIds, tunnel_port};
use super::bucket::Bucket;
use super::injection::Injection;
use super::path_mtu::PathMtu;
use super::tapped::TappedRing;
use crate::config::{
    GroupSpec, NetworkSpec, PortSpec, TunnelKey, TunnelSpec, UnderlayPath, VtepSpec,
};
use crate::counter::{Counter, Drops};
use crate::io::memory::{MemoryPair, MemoryUnderlay};
use crate::io::packet::PacketInterface;
use crate::io::tap::Tap;
use crate::io::underlay::{RxSocket, TxPool};
use crate::note::{Note, Notes};
use crate::switch::{Bridge, Guard, Member, Neighbors, PortId};
use crate::wire::vxlan::Vni;

/// The picture.
#[derive(Clone)]
pub(crate) struct Topology {
    pub(crate) vtep: VtepSpec,
    pub(crate) underlay: Underlay,
    /// Largest outer IP packet where the kernel knows no better, bytes.
    pub(crate) underlay_mtu: u32,
    pub(crate) networks: Vec<Network>,
    /// Indexed by `PortId`; holes are removed ports.
    pub(crate) ports: Vec<Option<Port>>,
    /// (UDP port, VNI) -> index into `networks`.
    pub(crate) vnis: HashMap<(u16, Vni), usize>,
    /// Every VTEP that is a peer of any network, with that network's UDP port.
    pub(crate) vteps: HashSet<(u16, IpAddr)>,
    pub(crate) counters: Arc<[UnderlayCounters]>,
    /// Datagrams that were counted at tunnels and networks that are no more.
    pub(crate) retired: Arc<Counter>,
}

impl Topology {
    pub(crate) fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(usize::from(id.get()))?.as_ref()
    }

    /// A receiver that has a packet ring.
    pub(crate) fn tapped(&self, receiver: usize) -> Option<(&Receiver, &TappedRing)> {
        let Underlay::Udp { receivers, .. } = &self.underlay else {
            return None;
        };
        let receiver = receivers.get(receiver)?;
        Some((receiver, receiver.ring.as_deref()?))
    }

    pub(crate) fn present_ports(&self) -> impl Iterator<Item = &Port> + Clone {
        self.ports.iter().flatten()
    }
}

impl Topology {
    /// The same with a tunnel more that does not flood; `None` if its network is not there or knows the VTEP.
    pub(crate) fn with_learned(
        &self,
        network: &str,
        key: TunnelKey,
        ids: &mut PortIds,
        workers: usize,
    ) -> Option<Self> {
        let index = self.networks.iter().position(|n| n.spec.name == network)?;
        let owner = &self.networks[index];
        if owner.tunnels.contains_key(&key.remote.ip()) {
            return None;
        }
        let id = ids.fresh(self.ports.len(), |id| self.port(id).is_some());
        let spec = TunnelSpec { key, flood: false };
        let port = tunnel_port(&owner.spec, spec, (id, index), workers);
        let mut changed = self.clone();
        let network = &mut changed.networks[index];
        network.bridge = network.bridge.with(port.member.clone());
        network.tunnels.insert(key.remote.ip(), id);
        network.learned_vteps += 1;
        let udp_port = network.spec.udp_port;
        changed.vteps.insert((udp_port, key.remote.ip()));
        let at = usize::from(id.get());
        if changed.ports.len() <= at {
            changed.ports.resize_with(at + 1, || None);
        }
        changed.ports[at] = Some(port);
        Some(changed)
    }

    /// The same without these learned tunnels.
    pub(crate) fn without(&self, tunnels: &[PortId]) -> Self {
        let mut changed = self.clone();
        for &id in tunnels {
            let Some(port) = changed
                .ports
                .get_mut(usize::from(id.get()))
                .and_then(Option::take)
            else {
                continue;
            };
            let network = &mut changed.networks[port.network];
            network.bridge = network.bridge.without(id);
            network.tunnels.retain(|_, tunnel| *tunnel != id);
            network.learned_vteps = network.learned_vteps.saturating_sub(1);
        }
        changed.vteps = vteps_of(&changed.networks);
        changed
    }
}

pub(super) fn vteps_of(networks: &[Network]) -> HashSet<(u16, IpAddr)> {
    let of_one = |n: &Network| {
        let udp_port = n.spec.udp_port;
        let remotes = n.tunnels.keys();
        remotes.map(|&ip| (udp_port, ip)).collect::<Vec<_>>()
    };
    networks.iter().flat_map(of_one).collect()
}

/// Where datagrams come from and go to.
#[derive(Clone)]
pub(crate) enum Underlay {
    Udp {
        receivers: Vec<Receiver>,
        senders: Arc<TxPool>,
        /// What TCP leaves by where it can, if it was asked for and the kernel has it.
        injection: Option<Arc<Injection>>,
    },
    Memory(Arc<MemoryUnderlay>),
}

impl Underlay {
    /// By which way datagrams cross the kernel.
    pub(crate) fn path(&self) -> UnderlayPath {
        match self {
            Self::Udp {
                injection: Some(injection),
                ..
            } if injection.is_at_work() => UnderlayPath::TunnelGso,
            Self::Udp { receivers, .. } if receivers.iter().any(Receiver::is_tapped) => {
                UnderlayPath::Ring
            }
            Self::Udp { .. } | Self::Memory(_) => UnderlayPath::Udp,
        }
    }
}

/// The sockets of one UDP port, or of one multicast group on it: one per worker.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) udp_port: u16,
    /// The group, where the sockets receive nothing else.
    pub(crate) group: Option<Group>,
    pub(crate) sockets: Vec<Arc<RxSocket>>,
    /// What takes most datagrams before the sockets see them, where it was asked for and the kernel has it.
    pub(crate) ring: Option<Arc<TappedRing>>,
    /// What each socket last said of its queue's overflows, in all.
    overflows: Arc<[AtomicU32]>,
}

/// A multicast group and the interface on which it is joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) address: IpAddr,
    pub(crate) interface: String,
}

impl From<&GroupSpec> for Group {
    fn from(spec: &GroupSpec) -> Self {
        Self {
            address: spec.address,
            interface: spec.interface.clone(),
        }
    }
}

impl Receiver {
    pub(crate) fn new(udp_port: u16, group: Option<Group>, sockets: Vec<Arc<RxSocket>>) -> Self {
        let overflows = sockets.iter().map(|_| AtomicU32::new(0)).collect();
        Self {
            udp_port,
            group,
            sockets,
            ring: None,
            overflows,
        }
    }

    /// Whether its packet ring is at work.
    pub(crate) fn is_tapped(&self) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.is_open())
    }

    /// Datagrams that a socket's queue had no room for since the last call, given the kernel's total.
    pub(crate) fn overflows_since(&self, socket: usize, total: u32) -> u64 {
        let last = self
            .overflows
            .get(socket)
            .map_or(total, |o| o.swap(total, Ordering::Relaxed));
        u64::from(total.wrapping_sub(last))
    }
}

/// A network's part on this host.
#[derive(Clone)]
pub(crate) struct Network {
    /// That of `spec`, shared with lines of the history.
    pub(crate) name: Arc<str>,
    pub(crate) spec: Arc<NetworkSpec>,
    pub(crate) bridge: Bridge,
    /// Who has which address, if the control plane knows any.
    pub(crate) neighbors: Option<Arc<Neighbors>>,
    /// Sender's address -> its tunnel.
    pub(crate) tunnels: HashMap<IpAddr, PortId>,
    /// How many of them it has learned because it is open.
    pub(crate) learned_vteps: usize,
    pub(crate) counters: Arc<[NetworkCounters]>,
    /// What ports that are no more have counted.
    pub(crate) retired: Arc<PortCounters>,
}

/// A port and what is behind it.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) id: PortId,
    /// As in the counters; shared with lines of the history.
    pub(crate) name: Arc<str>,
    /// Index into `Topology::networks`.
    pub(crate) network: usize,
    pub(crate) member: Member,
    pub(crate) io: PortIo,
    /// What may be sent from it; `None` is anything.
    pub(crate) guard: Option<Arc<Guard>>,
    /// One block per worker.
    pub(crate) counters: Arc<[PortCounters]>,
    pub(crate) health: Arc<Health>,
}

/// The frames of a memory port, both ways.
pub type MemoryPort = MemoryPair<Vec<u8>>;

/// What is behind a port.
#[derive(Clone)]
pub(crate) enum PortIo {
    Tap {
        tap: Arc<Tap>,
        spec: PortSpec,
    },
    Packet {
        interface: Arc<PacketInterface>,
        spec: PortSpec,
    },
    Memory {
        queue: Arc<MemoryPort>,
        spec: PortSpec,
    },
    Tunnel(TunnelKey),
}

impl PortIo {
    /// What it is, as the control plane calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Tap { .. } => "tap",
            Self::Packet { .. } => "packet",
            Self::Memory { .. } => "memory",
            Self::Tunnel(_) => "tunnel",
        }
    }

    /// Largest layer 3 packet that the port takes; a tunnel's limit is the path's, which the kernel knows.
    pub(crate) fn mtu(&self) -> Option<usize> {
        match self {
            Self::Tap { spec, .. } | Self::Packet { spec, .. } | Self::Memory { spec, .. } => {
                Some(spec.mtu as usize)
            }
            Self::Tunnel(_) => None,
        }
    }
}

/// What has befallen a port while it was in use. Any worker writes.
#[derive(Default)]
pub(crate) struct Health {
    /// What the path to the VTEP carries.
    pub(crate) path: PathMtu,
    /// Bounds how often senders behind the port are told of packets that are too big.
    pub(crate) told: Bucket<100, 100>,
    /// Bounds how often they are answered for others.
    pub(crate) answered: Bucket<1000, 1000>,
    gone: AtomicBool,
    injected: AtomicBool,
    unreachable: AtomicU64,
    unfinished: AtomicU32,
    faults: AtomicU32,
}

impl Health {
    /// Notes that the device is gone; true for the first to notice.
    pub(crate) fn mark_gone(&self) -> bool {
        !self.gone.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn set_injected(&self, is_injected: bool) {
        self.injected.store(is_injected, Ordering::Relaxed);
    }

    /// Whether TCP to the VTEP goes by the injector.
    pub(crate) fn is_injected(&self) -> bool {
        self.injected.load(Ordering::Relaxed)
    }

    /// Counts a failed read; false if there were so many that the port is as good as gone.
    pub(crate) fn bears_another_fault(&self) -> bool {
        self.faults.fetch_add(1, Ordering::Relaxed) < MAX_FAULTS
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn note_unreachable(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes whether the sender's stack left a frame's checksum to the receiver, as a kernel peer on the same machine
    /// does. By chance one frame in 2^16 looks so; several on end do not.
    pub(crate) fn note_unfinished(&self, is_unfinished: bool) {
        let score = self.unfinished.load(Ordering::Relaxed);
        if score < SURELY_UNFINISHED {
            let score = if is_unfinished { score + 1 } else { 0 };
            self.unfinished.store(score, Ordering::Relaxed);
        }
    }

    /// Whether the VTEP is a kernel on the same machine.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) >= SURELY_UNFINISHED
    }

    pub(crate) fn unreachable(&self) -> u64 {
        self.unreachable.load(Ordering::Relaxed)
    }
}

/// Frames through one port, in frames: a superframe of n segments counts n.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct PortCounters {
    pub(crate) rx_frames: Counter,
    pub(crate) rx_bytes: Counter,
    pub(crate) tx_frames: Counter,
    pub(crate) tx_bytes: Counter,
    pub(crate) drops: Drops,
    pub(crate) notes: Notes,
}

impl PortCounters {
    /// Adds everything that `other` has counted.
    pub(crate) fn absorb(&self, other: &Self) {
        self.rx_frames.add(other.rx_frames.get());
        self.rx_bytes.add(other.rx_bytes.get());
        self.tx_frames.add(other.tx_frames.get());
        self.tx_bytes.add(other.tx_bytes.get());
        for (reason, frames) in other.drops.nonzero() {
            self.drops.add(reason, frames);
        }
        for &note in Note::ALL {
            self.notes.add(note, other.notes.get(note));
        }
    }
}

/// Decisions of one network.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct NetworkCounters {
    /// Frames decided to one port.
    pub(crate) unicast: Counter,
    /// Frames decided to several.
    pub(crate) flooded: Counter,
    /// Copies of those.
    pub(crate) replicated: Counter,
    /// Frames for this host itself.
    pub(crate) consumed: Counter,
    /// Frames that this host made itself and sent out of a port.
    pub(crate) generated: Counter,
    /// Frames accepted with reserved VXLAN bits set.
    pub(crate) reserved_ignored: Counter,
    /// Frames accepted although their inner and outer ECN do not go together.
    pub(crate) ecn_odd: Counter,
    /// Frames marked as congested outside that have no IP header to bring it into.
    pub(crate) ecn_nonip: Counter,
    /// Datagrams that reached the network but no tunnel of it.
    pub(crate) drops: Drops,
}

/// Datagrams from the underlay before a network is known.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct UnderlayCounters {
    pub(crate) datagrams: Counter,
    pub(crate) drops: Drops,
    pub(crate) notes: Notes,
}

/// One block per worker.
pub(crate) fn per_worker<T: Default>(workers: usize) -> Arc<[T]> {
    (0..workers).map(|_| T::default()).collect()
}

const SURELY_UNFINISHED: u32 = 4;
const MAX_FAULTS: u32 = 1000;
