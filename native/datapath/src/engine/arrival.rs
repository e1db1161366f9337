//! Whence a datagram came.

use std::net::{IpAddr, SocketAddr};

use super::capture::Envelope;
use super::topology::Topology;
use crate::wire::vnet::VnetHeader;
use crate::wire::vxlan::Vni;

/// Whence a datagram came, or several that came as one.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) source: SocketAddr,
    pub(super) udp_port: u16,
    /// The multicast group that it was sent to.
    pub(super) group: Option<IpAddr>,
    /// Distance of the datagrams that came as one, at least 1.
    pub(super) stride: usize,
    /// Type of service or traffic class of the IP header; datagrams that came as one share it.
    pub(super) tos: u8,
    /// As in [`Arrived`](super::merges::Arrived).
    pub(super) undone: VnetHeader,
    /// Of datagrams that came as one: the network of the first, if its sender is a kernel on this machine, which never
    /// sends several as one.
    pub(super) first: Option<Vni>,
    /// It has been with the keeper.
    pub(super) parked: bool,
}

impl Arrival {
    /// One finished datagram, to nobody but us.
    pub(super) fn of(source: SocketAddr, udp_port: u16) -> Self {
        Self {
            source,
            udp_port,
            group: None,
            stride: usize::MAX,
            tos: 0,
            undone: VnetHeader::NONE,
            first: None,
            parked: false,
        }
    }

    /// The headers that it came with.
    pub(super) fn envelope(&self, topology: &Topology) -> Envelope {
        let local = self.group.unwrap_or(topology.vtep.address);
        Envelope {
            source: self.source,
            destination: SocketAddr::new(local, self.udp_port),
            tos: self.tos,
            ttl: None,
            has_checksum: true,
            may_fragment: false,
        }
    }
}
