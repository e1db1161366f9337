//! What is known of the paths to VTEPs: asked of the kernel, and reported by the network.

use std::collections::HashMap;
use std::net::IpAddr;

use super::history::{Happening, History, Place};
use super::path_mtu::Change;
use super::topology::{Port, PortIo, Topology, Underlay};
use super::worker::Worker;
use crate::config::TunnelKey;
use crate::event::{Event, unix_ms};
use crate::io::underlay::{RouteMtu, SendError, SendErrorOrigin};
use crate::note::Note;

/// Asks the kernel what its routes to all VTEPs carry, and returns what has changed by that. To be called where no worker
/// waits: it takes two system calls a VTEP.
pub(super) fn ask(topology: &Topology, history: &History) -> Vec<Event> {
    let vtep = &topology.vtep;
    let routes = match &topology.underlay {
        Underlay::Udp { .. } => RouteMtu::open(vtep.address, vtep.scope_interface.as_deref()),
        Underlay::Memory(_) => None,
    };
    let mut asked = HashMap::new();
    let mut events = Vec::new();
    for (port, key) in tunnels(topology) {
        let mtu = *asked.entry(key.remote).or_insert_with(|| {
            // The way to a group is by the interface that was chosen for it, not by the routing table.
            let routes = routes.as_ref().filter(|_| !key.remote.ip().is_multicast());
            let known = routes.and_then(|routes| routes.to(key.remote));
            known.unwrap_or(topology.underlay_mtu)
        });
        let change = link_learned(port, mtu);
        events.extend(change.map(|change| told(topology, (port, key), change, history)));
    }
    events
}

impl Worker {
    /// Takes in what the network reported about datagrams sent earlier from a socket.
    pub(super) fn send_errors(&mut self, socket: usize, now_secs: u32) {
        let topology = self.topology.clone();
        let Underlay::Udp { senders, .. } = &topology.underlay else {
            return;
        };
        let (shared, index) = (&self.shared, self.index);
        senders.drain_errors(&mut self.send_scratch, socket, |error| {
            for event in reported(&topology, (index, &shared.history), &error, now_secs) {
                shared.events.push(event);
            }
        });
    }

    /// The same of a memory underlay.
    pub(super) fn memory_reports(&mut self, now_secs: u32) {
        let topology = self.topology.clone();
        let Underlay::Memory(memory) = &topology.underlay else {
            return;
        };
        for error in memory.reports.take() {
            let worker = (self.index, &*self.shared.history);
            for event in reported(&topology, worker, &error, now_secs) {
                self.shared.events.push(event);
            }
        }
    }

    /// Forgets what was reported of paths too long ago.
    pub(super) fn expire_paths(&mut self, now_secs: u32) {
        for (port, key) in tunnels(&self.topology) {
            if let Some(change) = port.health.path.expire(now_secs) {
                let history = &self.shared.history;
                let event = told(&self.topology, (port, key), change, history);
                self.shared.events.push(event);
            }
        }
    }
}

/// Counts a report at the tunnels that it is about. The kernel has checked that it quotes a socket of ours; that the
/// quoted datagram went to a VTEP of ours is checked here. `worker` is the only one that is given reports.
fn reported(
    topology: &Topology,
    (worker, history): (usize, &History),
    error: &SendError,
    now_secs: u32,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut is_ours = false;
    for (port, key) in tunnels(topology) {
        // Our own stack does not say which port was meant.
        let same_port =
            error.origin == SendErrorOrigin::Local || error.destination.port() == key.remote.port();
        if key.remote.ip() != error.destination.ip() || !same_port {
            continue;
        }
        is_ours = true;
        match error.mtu {
            Some(mtu) => {
                let least = least_mtu(key.remote.ip());
                let change = port.health.path.lower(mtu, least, now_secs);
                let told = |change| told(topology, (port, key), change, history);
                events.extend(change.map(told));
            }
            None => port.health.note_unreachable(),
        }
    }
    if !is_ours {
        topology.counters[worker].notes.add(Note::InIgnored, 1);
    }
    events
}

fn tunnels(topology: &Topology) -> impl Iterator<Item = (&Port, &TunnelKey)> {
    topology.present_ports().filter_map(|port| match &port.io {
        PortIo::Tunnel(key) => Some((port, key)),
        PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => None,
    })
}

/// The host's route to a VTEP takes packets of `mtu` bytes: what has changed by that.
pub(super) fn link_learned(tunnel: &Port, mtu: u32) -> Option<Change> {
    // Loopback has 65536, but no IPv4 packet is longer than this.
    tunnel.health.path.set_link(mtu.min(65_535))
}

/// The event of a path's change, which is also written into the history.
pub(super) fn told(
    topology: &Topology,
    (port, key): (&Port, &TunnelKey),
    change: Change,
    history: &History,
) -> Event {
    let Change { from, to } = change;
    let happening = Happening::PathMtu { from, to };
    history.record(unix_ms(), Place::of(topology, port), happening);
    Event::PathMtu {
        network: topology.networks[port.network].spec.name.clone(),
        remote: key.remote.ip(),
        from,
        to,
    }
}

/// What every path carries: 576 is what RFC 791 §3.2 lets every host take, 1280 is RFC 8200 §5.
fn least_mtu(remote: IpAddr) -> u32 {
    match remote {
        IpAddr::V4(_) => 576,
        IpAddr::V6(_) => 1280,
    }
}
