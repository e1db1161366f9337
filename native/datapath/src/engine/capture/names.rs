//! What ports are called, also those that are no more.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::topology::{PortIo, Topology};
use crate::switch::PortId;

/// The names of one picture, and of what earlier ones had.
#[derive(Default)]
pub(super) struct Names {
    ports: HashMap<PortId, PortName>,
    seen: Option<Arc<Topology>>,
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
    /// Learns the names of this picture; false if it is the one seen last.
    pub(super) fn look_at(&mut self, topology: &Arc<Topology>) -> bool {
        if self
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, topology))
        {
            return false;
        }
        for port in topology.present_ports() {
            let network = &topology.networks[port.network];
            let (vni, is_tunnel) = match &port.io {
                PortIo::Tunnel(key) => (key.vni, true),
                PortIo::Tap { .. } | PortIo::Memory { .. } => (network.spec.vni, false),
            };
            let name = PortName {
                network: network.name.clone(),
                vni: vni.get(),
                port: port.name.clone(),
                is_tunnel,
            };
            self.ports.insert(port.id, name);
        }
        self.seen = Some(topology.clone());
        true
    }

    pub(super) fn port(&self, id: PortId) -> Option<&PortName> {
        self.ports.get(&id)
    }
}
