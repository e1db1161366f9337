//! What ports are called, also those that are no more.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::topology::{PortIo, Topology};
use crate::switch::PortId;

/// The names of one picture, and of what earlier ones had. They keep no picture: it would keep the devices of its ports.
#[derive(Clone, Default)]
pub(super) struct Names {
    ports: HashMap<PortId, PortName>,
    /// How many pictures there have been.
    pictures: u64,
}

/// What a port is called.
#[derive(Debug, Clone)]
pub(super) struct PortName {
    pub(super) network: Arc<str>,
    /// That of the network, or what a tunnel sends.
    pub(super) vni: u32,
    /// As in the counters.
    pub(super) port: Arc<str>,
    pub(super) is_tunnel: bool,
}

impl Names {
    /// Learns the names of this picture. To be called before anything happens at its ports.
    pub(super) fn look_at(&mut self, topology: &Topology) {
        self.pictures += 1;
        for port in topology.present_ports() {
            let network = &topology.networks[port.network];
            let (vni, is_tunnel) = match &port.io {
                PortIo::Tunnel(key) => (key.vni, true),
                PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => {
                    (network.spec.vni, false)
                }
            };
            let name = PortName {
                network: network.name.clone(),
                vni: vni.get(),
                port: port.name.clone(),
                is_tunnel,
            };
            self.ports.insert(port.id, name);
        }
    }

    /// Takes over what `other` has learned since; whether that is anything.
    pub(super) fn catch_up(&mut self, other: &Self) -> bool {
        let is_behind = self.pictures != other.pictures;
        if is_behind {
            self.clone_from(other);
        }
        is_behind
    }

    pub(super) fn port(&self, id: PortId) -> Option<&PortName> {
        self.ports.get(&id)
    }
}
