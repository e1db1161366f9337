//! What the kernel lacks of what was asked for, and how an engine does without.

use super::topology::{PortIo, Topology, Underlay};
use crate::config::Desired;
use crate::io::underlay::{has_recvmmsg, has_reuse_port, has_sendmmsg};

/// How many workers serve `desired`. On one or two CPUs one is the fastest: more only wake each other. Beyond that half of
/// the CPUs, at most four. Without SO_REUSEPORT they could not share the underlay's ports, so there is one.
pub(super) fn worker_count(desired: &Desired) -> usize {
    let count = wanted_workers(desired.engine.workers);
    match count > 1 && !desired.vtep.memory && !has_reuse_port() {
        true => 1,
        false => count,
    }
}

/// One sentence for each facility that the engine goes without although it was not switched off.
pub(super) fn sentences(desired: &Desired, underlay: &Underlay) -> Vec<&'static str> {
    let Underlay::Udp {
        receivers, senders, ..
    } = underlay
    else {
        return Vec::new();
    };
    let features = desired.engine.features;
    let coalesces = receivers
        .iter()
        .flat_map(|receiver| &receiver.sockets)
        .all(|socket| socket.gro());
    let several = wanted_workers(desired.engine.workers) > 1;
    let lacks = [
        (features.recvmmsg && !has_recvmmsg(), RECVMMSG),
        (features.sendmmsg && !has_sendmmsg(), SENDMMSG),
        (several && !has_reuse_port(), SO_REUSEPORT),
        (
            features.udp_gso && desired.vtep.udp_checksum && !senders.gso(),
            UDP_SEGMENT,
        ),
        (features.udp_gro && features.vnet_hdr && !coalesces, UDP_GRO),
        (!senders.marks(), IP_TOS),
    ];
    let lacks = lacks.into_iter().filter(|(is_lacking, _)| *is_lacking);
    lacks.map(|(_, sentence)| sentence).collect()
}

/// The same of packet ports, if there are any that it concerns.
pub(super) fn of_packet_ports(topology: &Topology) -> Option<&'static str> {
    let is_untold = |io: &PortIo| matches!(io, PortIo::Packet { interface, .. } if interface.socket.vnet_hdr() && !interface.uso);
    topology
        .present_ports()
        .any(|port| is_untold(&port.io))
        .then_some(PACKET_VNET_HDR_SZ)
}

fn wanted_workers(wanted: usize) -> usize {
    if wanted > 0 {
        return wanted.min(MAX_WORKERS);
    }
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0..=2 => 1,
        cpus => (cpus / 2).min(AUTO_WORKERS),
    }
}

const AUTO_WORKERS: usize = 4;
const MAX_WORKERS: usize = 64;

const RECVMMSG: &str =
    "recvmmsg: the kernel has none, so each datagram is received by a call of its own";
const SENDMMSG: &str =
    "sendmmsg: the kernel has none, so each datagram is sent by a call of its own";
const SO_REUSEPORT: &str = "SO_REUSEPORT: the kernel has none, so there is one worker";
const UDP_SEGMENT: &str = "UDP_SEGMENT: the kernel has none, so runs are sent datagram by datagram";
const UDP_GRO: &str = "UDP_GRO: the kernel has none, so runs are received datagram by datagram";
const IP_TOS: &str = "IP_TOS: the kernel takes none with a datagram, so outer headers carry no ECN and no DSCP, and an inner TTL is not copied";
const PACKET_VNET_HDR_SZ: &str = "PACKET_VNET_HDR_SZ: the kernel has none (Linux 6.6), and before 6.2 it tells packet ports of no superframes of UDP: if rx.offload_unknown or rx.vnet_hdr_bad rises, switch them off where they are sent (ethtool -K IFNAME tx-udp-segmentation off; before 4.14 also: ufo off)";
