//! Which places of the picture a capture takes packets from.

use std::net::IpAddr;

use super::Side;
use crate::engine::topology::{Port, PortIo, Topology};
use crate::switch::PortId;

/// What a capture was told, as names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Selection {
    pub(super) network: Option<String>,
    pub(super) port: Option<String>,
    pub(super) peer: Option<IpAddr>,
    pub(super) side: Side,
}

/// What is taken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Taken {
    /// What enters.
    pub(super) enters: bool,
    /// What leaves, or should have.
    pub(super) leaves: bool,
    /// What should have left but was dropped, and what this host made.
    pub(super) drops: bool,
    /// Datagrams that leave, of whatever frames.
    pub(super) datagrams: bool,
    /// It was named, so what has to do with it is followed elsewhere.
    pub(super) is_named: bool,
}

/// The selection, worked out for one picture.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// By port number.
    ports: Vec<Taken>,
    /// By index into the networks.
    networks: Vec<bool>,
    /// Datagrams that no tunnel got.
    refused: bool,
    /// The same if their network is not known either.
    underlay: bool,
    peer: Option<IpAddr>,
}

impl Selection {
    /// What is taken at a port of a network of this name.
    ///
    /// Without port and peer each frame stands once, where it entered, and each copy that was dropped. With both: what
    /// passes at either.
    pub(super) fn at(&self, network: &str, port: &Port) -> Taken {
        let in_network = self.network.as_deref().is_none_or(|name| name == network);
        let (is_named, is_tunnel) = match &port.io {
            PortIo::Tunnel(key) => (self.peer == Some(key.remote.ip()), true),
            _ => (self.port.as_deref() == Some(&*port.name), false),
        };
        let is_everywhere = self.port.is_none() && self.peer.is_none();
        let is_taken = in_network && (is_named || is_everywhere);
        Taken {
            enters: is_taken,
            leaves: is_taken && is_named,
            drops: is_taken,
            datagrams: is_taken && is_tunnel,
            is_named: is_taken && is_named,
        }
    }

    /// Whether anything of the network can be wanted.
    pub(super) fn concerns(&self, network: &str) -> bool {
        self.network.as_deref().is_none_or(|name| name == network)
    }

    /// Whether datagrams are taken that no tunnel got.
    pub(super) fn takes_refused(&self) -> bool {
        self.port.is_none() || self.peer.is_some()
    }

    /// For this picture.
    pub(super) fn scope(&self, topology: &Topology) -> Scope {
        let networks = topology.networks.iter();
        Scope {
            ports: topology
                .ports
                .iter()
                .map(|port| {
                    port.as_ref().map_or_else(Taken::default, |port| {
                        self.at(&topology.networks[port.network].name, port)
                    })
                })
                .collect(),
            networks: networks.map(|n| self.concerns(&n.name)).collect(),
            refused: self.takes_refused(),
            underlay: self.network.is_none(),
            peer: self.peer,
        }
    }
}

impl Scope {
    pub(super) fn at(&self, port: PortId) -> Taken {
        let at = usize::from(port.get());
        self.ports.get(at).copied().unwrap_or_default()
    }

    /// Whether a packet of this network can be wanted at all.
    pub(super) fn concerns(&self, network: usize) -> bool {
        self.networks.get(network).copied().unwrap_or(false)
    }

    /// Whether a datagram from `source` is taken that no tunnel got, whose network is this one if any is known.
    pub(super) fn takes_refused(&self, source: Option<IpAddr>, network: Option<usize>) -> bool {
        let from_peer = self.peer.is_none_or(|peer| source == Some(peer));
        let in_network = match network {
            Some(network) => self.concerns(network),
            None => self.underlay,
        };
        self.refused && from_peer && in_network
    }
}
