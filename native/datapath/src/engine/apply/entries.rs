//! Configured FDB entries: from names to ports.

use std::collections::HashMap;

use crate::config::{FdbTarget, TunnelKey};
use crate::engine::topology::{Network, Port, PortIo, Topology};
use crate::switch::{Origin, PortId};
use crate::wire::mac::MacAddr;

/// Makes the FDBs keep to their limits and hold exactly the configured entries beside the learned ones. Each entry
/// changes in one step.
pub(in crate::engine) fn install(topology: &Topology, now_secs: u32) {
    let mut places: Vec<Places<'_>> = topology
        .networks
        .iter()
        .map(|_| Places::default())
        .collect();
    for port in topology.present_ports().filter(|p| !p.health.is_gone()) {
        places[port.network].add(port);
    }
    for (network, places) in topology.networks.iter().zip(&places) {
        let wanted = places.resolve(network);
        let fdb = network.bridge.fdb();
        fdb.set_limits(network.spec.fdb_limits);
        for (&mac, &(port, origin)) in &wanted {
            fdb.set(mac, port, origin, now_secs);
        }
        // Entries that are configured no longer, and what was learned behind a port that is no more.
        fdb.flush(|e| match e.origin {
            Origin::Learned => network.bridge.member(e.port).is_none(),
            Origin::Static | Origin::Control => !wanted.contains_key(&e.mac),
        });
    }
}

/// A network's ports by what a configuration calls them.
#[derive(Default)]
struct Places<'a> {
    ports: HashMap<&'a str, PortId>,
    tunnels: HashMap<TunnelKey, PortId>,
    /// A TAP's own MAC is where the TAP is: nobody may claim it from elsewhere.
    own: Vec<(MacAddr, PortId)>,
}

impl<'a> Places<'a> {
    fn add(&mut self, port: &'a Port) {
        match &port.io {
            PortIo::Tunnel(key) => {
                self.tunnels.insert(*key, port.id);
            }
            PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => {
                self.ports.insert(&port.name, port.id);
            }
        }
        self.own.extend(port.member.mac.map(|mac| (mac, port.id)));
    }

    /// An entry whose port is not there stays in the specification and shows as inactive.
    fn resolve(&self, network: &Network) -> HashMap<MacAddr, (PortId, Origin)> {
        let own = self
            .own
            .iter()
            .map(|&(mac, port)| (mac, (port, Origin::Static)));
        let configured = network.spec.fdb.iter().filter_map(|entry| {
            let port = match &entry.target {
                FdbTarget::Local => PortId::LOCAL,
                FdbTarget::Port(name) => *self.ports.get(name.as_str())?,
                FdbTarget::Tunnel(key) => *self.tunnels.get(key)?,
            };
            let origin = if entry.control {
                Origin::Control
            } else {
                Origin::Static
            };
            Some((entry.mac, (port, origin)))
        });
        own.chain(configured).collect()
    }
}
