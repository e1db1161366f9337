//! Copies of counters and FDBs for the control plane.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::liveness;
use super::path_mtu::UNLIMITED;
use super::topology::{Network, Port, PortCounters, PortIo, Topology, Underlay};
use super::vteps::{VtepReport, Vteps};
use super::worker::{Meter, Shared};
use crate::config::{FdbTarget, UnderlayPath};
use crate::counter::{DropReason, Drops};
use crate::note::{Note, Notes};
use crate::switch::PortId;
use crate::switch::fdb::{FdbStats, Origin};
use crate::wire::mac::MacAddr;
use crate::wire::vxlan::Vni;

/// Drop reasons that have happened, with their counts.
pub type DropCounts = Vec<(DropReason, u64)>;

/// What else has happened, with its counts.
pub type NoteCounts = Vec<(Note, u64)>;

/// Everything that is counted, at one moment.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Each worker's part.
    pub workers: Vec<WorkerReport>,
    /// Datagrams, before a network is known.
    pub datagrams: u64,
    /// Those that no network got.
    pub underlay_drops: DropCounts,
    /// What happened that concerns no tunnel.
    pub underlay_notes: NoteCounts,
    /// Those that were counted at tunnels and networks that are no more.
    pub retired_datagrams: u64,
    /// The pool of source ports.
    pub source_ports: Vec<u16>,
    /// Granted receive buffer, bytes; 0 without sockets.
    pub receive_buffer: usize,
    /// By which way datagrams cross the kernel: what is in use, not what was asked for.
    pub path: UnderlayPath,
    /// Every network.
    pub networks: Vec<NetworkReport>,
    /// Every VTEP that is a peer of a network, by address.
    pub vteps: Vec<VtepReport>,
}

/// What one worker did.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub struct WorkerReport {
    pub turns: u64,
    pub sleeps: u64,
    /// Time in which it neither slept nor spun.
    pub busy: Duration,
    pub rx_frames: u64,
    pub tx_frames: u64,
    /// Of frames and datagrams that it had in hand, wherever they are counted.
    pub drops: DropCounts,
}

/// One network's counters; the balance that they keep stands in native/README.md.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "named as in `NetworkCounters`")]
pub struct NetworkReport {
    pub name: String,
    pub vni: Vni,
    pub ports: Vec<PortReport>,
    pub retired: FrameCounts,
    pub unicast: u64,
    pub flooded: u64,
    pub replicated: u64,
    pub consumed: u64,
    pub generated: u64,
    pub reserved_ignored: u64,
    pub ecn_odd: u64,
    pub ecn_nonip: u64,
    pub drops: DropCounts,
    pub macs: u32,
    pub fdb: FdbStats,
}

/// One port's counters.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PortReport {
    pub name: String,
    pub kind: &'static str,
    pub gone: bool,
    pub interface: Option<InterfaceReport>,
    pub mtu: Option<usize>,
    /// A tunnel's: the largest outer IP packet that its path carries, as far as is known, bytes.
    pub path_mtu: Option<u32>,
    pub frames: FrameCounts,
    pub macs: u32,
    pub unreachable: u64,
}

/// What interface a port has.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub struct InterfaceReport {
    pub ifname: String,
    pub ifindex: u32,
    pub netns: Option<PathBuf>,
    /// `None` where it says nothing of the station behind the port.
    pub mac: Option<MacAddr>,
}

/// Frames in and out of something.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct FrameCounts {
    pub rx_frames: u64,
    pub rx_bytes: u64,
    pub tx_frames: u64,
    pub tx_bytes: u64,
    pub drops: DropCounts,
    pub notes: NoteCounts,
}

/// A line of a forwarding database.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub struct FdbLine {
    pub network: String,
    pub vni: Vni,
    pub mac: MacAddr,
    pub origin: Origin,
    /// False: configured, but its port is not there.
    pub active: bool,
    pub place: FdbPlace,
    pub idle_secs: u32,
}

/// Where a station is.
#[derive(Debug, Clone)]
pub enum FdbPlace {
    /// Behind a port of this host.
    Port(String),
    /// Behind a VTEP, which is sent this VNI.
    Vtep(SocketAddr, Vni),
    /// This host itself.
    Local,
}

pub(super) fn counters(topology: &Topology, shared: &Shared, vteps: &Vteps) -> Counters {
    let (source_ports, receive_buffer) = match &topology.underlay {
        Underlay::Udp {
            receivers, senders, ..
        } => {
            let sockets = receivers.iter().flat_map(|r| &r.sockets);
            (
                senders.ports().to_vec(),
                sockets.map(|s| s.receive_buffer()).min().unwrap_or(0),
            )
        }
        Underlay::Memory(_) => (Vec::new(), 0),
    };
    Counters {
        workers: shared
            .meters
            .iter()
            .enumerate()
            .map(|(index, meter)| worker(topology, index, meter))
            .collect(),
        datagrams: topology.counters.iter().map(|c| c.datagrams.get()).sum(),
        retired_datagrams: topology.retired.get(),
        underlay_notes: sum_notes(topology.counters.iter().map(|c| &c.notes)),
        underlay_drops: sum_drops(topology.counters.iter().map(|c| &c.drops)),
        source_ports,
        receive_buffer,
        path: topology.underlay.path(),
        networks: topology
            .networks
            .iter()
            .enumerate()
            .map(|(i, n)| network(topology, i, n))
            .collect(),
        vteps: liveness::frames_by_vtep(topology)
            .into_keys()
            .map(|remote| vteps.report(remote))
            .collect(),
    }
}

pub(super) fn fdb(topology: &Topology, name: Option<&str>, now_secs: u32) -> Vec<FdbLine> {
    let wanted = topology
        .networks
        .iter()
        .filter(|n| name.is_none_or(|name| n.spec.name == name));
    wanted
        .flat_map(|network| fdb_of(topology, network, now_secs))
        .collect()
}

fn fdb_of(topology: &Topology, network: &Network, now_secs: u32) -> Vec<FdbLine> {
    let mut entries = network.bridge.fdb().entries();
    entries.sort_by_key(|e| e.mac);
    let line = |mac, origin, active, place, idle_secs| FdbLine {
        network: network.spec.name.clone(),
        vni: network.spec.vni,
        mac,
        origin,
        active,
        place,
        idle_secs,
    };
    let mut lines: Vec<_> = entries
        .iter()
        .filter_map(|e| {
            let idle = now_secs.saturating_sub(e.seen_secs);
            Some(line(
                e.mac,
                e.origin,
                true,
                place_of(topology, e.port)?,
                idle,
            ))
        })
        .collect();
    // Configured entries that are not in the table: their port is gone or not there yet.
    for spec in &network.spec.fdb {
        let origin = if spec.control {
            Origin::Control
        } else {
            Origin::Static
        };
        let at = entries.binary_search_by_key(&spec.mac, |e| e.mac);
        if at.is_ok_and(|i| entries[i].origin == origin) {
            continue;
        }
        let place = match &spec.target {
            FdbTarget::Port(name) => FdbPlace::Port(name.clone()),
            FdbTarget::Tunnel(key) => FdbPlace::Vtep(key.remote, key.vni),
            FdbTarget::Local => FdbPlace::Local,
        };
        lines.push(line(spec.mac, origin, false, place, 0));
    }
    lines
}

fn place_of(topology: &Topology, id: PortId) -> Option<FdbPlace> {
    if id == PortId::LOCAL {
        return Some(FdbPlace::Local);
    }
    let port = topology.port(id)?;
    Some(match &port.io {
        PortIo::Tunnel(key) => FdbPlace::Vtep(key.remote, key.vni),
        PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => {
            FdbPlace::Port(port.name.to_string())
        }
    })
}

fn worker(topology: &Topology, index: usize, meter: &Meter) -> WorkerReport {
    let ports = topology
        .present_ports()
        .filter_map(|p| p.counters.get(index));
    let at_ports = ports.chain([&meter.retired]);
    let networks = topology
        .networks
        .iter()
        .filter_map(|n| n.counters.get(index));
    let elsewhere = networks
        .map(|c| &c.drops)
        .chain(topology.counters.get(index).map(|c| &c.drops));
    WorkerReport {
        turns: meter.turns.get(),
        sleeps: meter.sleeps.get(),
        busy: Duration::from_nanos(meter.busy_ns.get()),
        rx_frames: at_ports.clone().map(|c| c.rx_frames.get()).sum(),
        tx_frames: at_ports.clone().map(|c| c.tx_frames.get()).sum(),
        drops: sum_drops(at_ports.map(|c| &c.drops).chain(elsewhere)),
    }
}

fn network(topology: &Topology, index: usize, network: &Network) -> NetworkReport {
    let sum = |pick: fn(&super::topology::NetworkCounters) -> u64| -> u64 {
        network.counters.iter().map(pick).sum()
    };
    let fdb = network.bridge.fdb();
    NetworkReport {
        name: network.spec.name.clone(),
        vni: network.spec.vni,
        ports: topology
            .present_ports()
            .filter(|p| p.network == index)
            .map(|p| port(p, network))
            .collect(),
        retired: frame_counts(std::slice::from_ref(&*network.retired)),
        unicast: sum(|c| c.unicast.get()),
        flooded: sum(|c| c.flooded.get()),
        replicated: sum(|c| c.replicated.get()),
        consumed: sum(|c| c.consumed.get()),
        generated: sum(|c| c.generated.get()),
        reserved_ignored: sum(|c| c.reserved_ignored.get()),
        ecn_odd: sum(|c| c.ecn_odd.get()),
        ecn_nonip: sum(|c| c.ecn_nonip.get()),
        drops: sum_drops(network.counters.iter().map(|c| &c.drops)),
        macs: fdb.learned(None),
        fdb: fdb.stats(),
    }
}

fn port(port: &Port, network: &Network) -> PortReport {
    let interface = match &port.io {
        PortIo::Tap { tap, .. } => Some(tap_report(tap)),
        PortIo::Packet { interface, .. } => Some(InterfaceReport {
            ifname: interface.spec.ifname.clone(),
            ifindex: interface.ifindex,
            netns: interface.spec.netns.clone(),
            mac: None,
        }),
        PortIo::Memory { .. } | PortIo::Tunnel(_) => None,
    };
    PortReport {
        name: port.name.to_string(),
        kind: port.io.kind(),
        gone: port.health.is_gone(),
        interface,
        mtu: port.io.mtu(),
        path_mtu: Some(port.health.path.limit()).filter(|&mtu| mtu != UNLIMITED),
        frames: port_counts(port),
        macs: network.bridge.fdb().learned(Some(port.id)),
        unreachable: port.health.unreachable(),
    }
}

fn tap_report(tap: &crate::io::tap::Tap) -> InterfaceReport {
    let mac = Some(MacAddr(tap.mac()));
    let (ifname, netns) = tap.place();
    InterfaceReport {
        ifname,
        ifindex: tap.ifindex,
        netns,
        mac,
    }
}

/// With what the path to a VTEP counts by itself.
fn port_counts(port: &Port) -> FrameCounts {
    let mut counts = frame_counts(&port.counters);
    let noted = port.health.path.notes().into_iter();
    counts.notes.extend(noted.filter(|&(_, n)| n > 0));
    counts
}

fn frame_counts(blocks: &[PortCounters]) -> FrameCounts {
    FrameCounts {
        rx_frames: blocks.iter().map(|c| c.rx_frames.get()).sum(),
        rx_bytes: blocks.iter().map(|c| c.rx_bytes.get()).sum(),
        tx_frames: blocks.iter().map(|c| c.tx_frames.get()).sum(),
        tx_bytes: blocks.iter().map(|c| c.tx_bytes.get()).sum(),
        drops: sum_drops(blocks.iter().map(|c| &c.drops)),
        notes: sum_notes(blocks.iter().map(|c| &c.notes)),
    }
}

fn sum_notes<'a>(blocks: impl Iterator<Item = &'a Notes> + Clone) -> NoteCounts {
    let count = |note| blocks.clone().map(|n| n.get(note)).sum();
    Note::ALL
        .iter()
        .map(|&n| (n, count(n)))
        .filter(|&(_, n)| n > 0)
        .collect()
}

fn sum_drops<'a>(blocks: impl Iterator<Item = &'a Drops> + Clone) -> DropCounts {
    let count = |reason| blocks.clone().map(|d| d.get(reason)).sum();
    DropReason::ALL
        .iter()
        .map(|&r| (r, count(r)))
        .filter(|&(_, n)| n > 0)
        .collect()
}
