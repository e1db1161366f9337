//! What came and went from one picture to the next: ports, VTEPs, neighbors.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Happening, History, Place};
use crate::config::NeighborSpec;
use crate::engine::topology::{Network, Port, PortIo, Topology};
use crate::wire::mac::MacAddr;

/// Writes a line for each difference. `now_ms` is Unix time in milliseconds.
pub(in crate::engine) fn tell_comings(
    history: &History,
    (old, new): (Option<&Topology>, &Topology),
    now_ms: u64,
) {
    if let Some(old) = old {
        let is_gone = |port: &&Port| !has(new, port);
        // Of one that was gone before it has been told.
        let told = old.present_ports().filter(is_gone);
        for port in told.filter(|port| !port.health.is_gone()) {
            let down = Happening::PortDown { detail: None };
            tell_port(history, (old, port), (down, Happening::VtepDown), now_ms);
        }
    }
    let is_new = |port: &&Port| old.is_none_or(|old| !has(old, port));
    for port in new.present_ports().filter(is_new) {
        let up = (Happening::PortUp, Happening::VtepUp);
        tell_port(history, (new, port), up, now_ms);
    }
    tell_neighbors(history, (old, new), now_ms);
}

fn has(topology: &Topology, port: &Port) -> bool {
    topology
        .port(port.id)
        .is_some_and(|there| Arc::ptr_eq(&there.counters, &port.counters))
}

fn tell_port(
    history: &History,
    (topology, port): (&Topology, &Port),
    (local, vtep): (Happening, Happening),
    now_ms: u64,
) {
    let happening = match &port.io {
        // A multicast group is nobody's VTEP.
        PortIo::Tunnel(key) if key.remote.ip().is_multicast() => return,
        PortIo::Tunnel(_) => vtep,
        PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => local,
    };
    history.record(now_ms, Place::of(topology, port), happening);
}

fn tell_neighbors(history: &History, (old, new): (Option<&Topology>, &Topology), now_ms: u64) {
    let (then, now) = (old.map_or_else(HashMap::new, by_name), by_name(new));
    let names: HashSet<&Arc<str>> = then.keys().chain(now.keys()).copied().collect();
    for name in names {
        let known = |network: Option<&&Network>| {
            network.map_or_else(HashMap::new, |n| owners(&n.spec.neighbors))
        };
        let (then, now) = (then.get(name), now.get(name));
        if let (Some(then), Some(now)) = (then, now)
            && then.spec.neighbors == now.spec.neighbors
        {
            continue;
        }
        let (then, now) = (known(then), known(now));
        let tell = |happening| {
            let place = Place {
                network: Some(name.clone()),
                port: None,
            };
            history.record(now_ms, place, happening);
        };
        for (&ip, &mac) in then.iter().filter(|&(ip, mac)| now.get(ip) != Some(mac)) {
            tell(Happening::NeighborRemoved { ip, mac });
        }
        for (&ip, &mac) in now.iter().filter(|&(ip, mac)| then.get(ip) != Some(mac)) {
            tell(Happening::NeighborSet { ip, mac });
        }
    }
}

fn by_name(topology: &Topology) -> HashMap<&Arc<str>, &Network> {
    topology.networks.iter().map(|n| (&n.name, n)).collect()
}

fn owners(neighbors: &[NeighborSpec]) -> HashMap<IpAddr, MacAddr> {
    neighbors.iter().map(|n| (n.ip, n.mac)).collect()
}
