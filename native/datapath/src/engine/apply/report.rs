//! What an apply did, as names.

use std::collections::BTreeMap;

use crate::config::{Desired, NetworkSpec, PortSpec, TunnelSpec};

/// What an apply did, by name: `network net1`, `port c1`, `tunnel net1 10.0.0.2:4789/256`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ApplyReport {
    pub kept: Vec<String>,
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

impl ApplyReport {
    /// The difference of two desired states.
    pub(super) fn between(before: Option<&Desired>, now: &Desired) -> Self {
        let old = before.map(inventory).unwrap_or_default();
        let new = inventory(now);
        let mut report = Self::default();
        for (name, thing) in &new {
            let list = match old.get(name) {
                None => &mut report.added,
                Some(was) if was == thing => &mut report.kept,
                Some(_) => &mut report.changed,
            };
            list.push(name.clone());
        }
        report.removed = old
            .into_keys()
            .filter(|name| !new.contains_key(name))
            .collect();
        report
    }
}

/// Something that has a name, with everything that was asked of it.
enum Thing<'a> {
    Network(&'a NetworkSpec),
    Port(&'a str, &'a PortSpec),
    Tunnel(&'a TunnelSpec),
}

impl PartialEq for Thing<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // Ports and tunnels are things of their own.
            (Self::Network(a), Self::Network(b)) => {
                (a.vni, a.udp_port, a.up, a.open_peers) == (b.vni, b.udp_port, b.up, b.open_peers)
                    && (&a.rules, a.fdb_limits, a.reserved_bits)
                        == (&b.rules, b.fdb_limits, b.reserved_bits)
                    && (&a.group, &a.fdb, a.pcp_tos) == (&b.group, &b.fdb, b.pcp_tos)
                    && a.neighbors == b.neighbors
            }
            (Self::Port(a_network, a), Self::Port(b_network, b)) => {
                (a_network, a) == (b_network, b)
            }
            (Self::Tunnel(a), Self::Tunnel(b)) => a == b,
            _ => false,
        }
    }
}

fn inventory(desired: &Desired) -> BTreeMap<String, Thing<'_>> {
    let mut things = BTreeMap::new();
    for network in &desired.networks {
        for port in &network.ports {
            things.insert(
                format!("port {}", port.name),
                Thing::Port(&network.name, port),
            );
        }
        for tunnel in &network.tunnels {
            let key = tunnel.key;
            let name = format!("tunnel {} {}/{}", network.name, key.remote, key.vni.get());
            things.insert(name, Thing::Tunnel(tunnel));
        }
        things.insert(format!("network {}", network.name), Thing::Network(network));
    }
    things
}
