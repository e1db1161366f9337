//! Open networks: a VTEP that nobody configured gets its tunnel with its first valid datagram.
//!
//! A worker never changes the picture that it works with. So it parks the datagram with the keeper, a thread of its
//! own, which adds the tunnel to the picture, hands the new one to every worker and then gives the datagram back.
//! Forged senders cost a bounded queue and a bounded number of tunnels: what finds no room is dropped by name, and
//! tunnels that stay silent are taken back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use super::Inner;
use super::topology::{PortIo, Topology};
use crate::config::{NetworkSpec, TunnelKey};
use crate::switch::PortId;

/// A datagram whose sender has no tunnel yet.
pub(crate) struct Parked {
    /// Index of the worker that gets it back.
    pub(crate) worker: usize,
    /// Name of its network.
    pub(crate) network: String,
    pub(crate) source: SocketAddr,
    pub(crate) udp_port: u16,
    pub(crate) bytes: Vec<u8>,
}

/// Where workers park.
#[derive(Clone)]
pub(crate) struct Parking(SyncSender<Parked>);

impl Parking {
    /// A place to park and its other end.
    pub(crate) fn new() -> (Self, Receiver<Parked>) {
        let (sender, receiver) = sync_channel(PARKED);
        (Self(sender), receiver)
    }

    /// Parks a datagram; false if there is no room.
    pub(crate) fn park(&self, parked: Parked) -> bool {
        match self.0.try_send(parked) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// The tunnels that open networks have got this way, by network name.
#[derive(Default, Clone)]
pub(crate) struct LearnedVteps(HashMap<String, Vec<Learned>>);

#[derive(Clone)]
struct Learned {
    key: TunnelKey,
    /// Frames that had come from it when it was last looked at.
    frames_then: Option<u64>,
}

impl LearnedVteps {
    /// Those of a network; none if it is not open.
    pub(crate) fn of(&self, network: &NetworkSpec) -> Vec<TunnelKey> {
        match self.0.get(&network.name) {
            Some(learned) if network.open_peers => learned.iter().map(|l| l.key).collect(),
            _ => Vec::new(),
        }
    }

    /// Adds a sender; `None` if it is known, the network is not open, or it has as many as it may have.
    pub(crate) fn add(&mut self, network: &NetworkSpec, source: SocketAddr) -> Option<TunnelKey> {
        // Where a sender sends from says nothing about where it listens (RFC 7348 §5).
        let remote = SocketAddr::new(source.ip(), network.udp_port);
        let key = TunnelKey {
            remote,
            vni: network.vni,
        };
        let learned = self.0.entry(network.name.clone()).or_default();
        let known = learned.iter().any(|l| l.key == key);
        if known || !network.open_peers || learned.len() >= MAX_LEARNED {
            return None;
        }
        learned.push(Learned {
            key,
            frames_then: None,
        });
        Some(key)
    }

    /// Without networks that are gone, closed or different.
    pub(crate) fn kept_for(&self, networks: &[NetworkSpec]) -> Self {
        let mut kept = self.clone();
        kept.0.retain(|name, learned| {
            let network = networks.iter().find(|n| n.name == *name && n.open_peers);
            let same = |l: &Learned, n: &NetworkSpec| {
                n.vni == l.key.vni && n.udp_port == l.key.remote.port()
            };
            learned.retain(|l| network.is_some_and(|n| same(l, n)));
            !learned.is_empty()
        });
        kept
    }

    /// Takes out those that have sent nothing since the last call, and behind which no station is known.
    pub(crate) fn take_silent(&mut self, topology: &Topology) -> Vec<PortId> {
        let mut silent = Vec::new();
        for port in topology.present_ports() {
            let PortIo::Tunnel(key) = &port.io else {
                continue;
            };
            let network = &topology.networks[port.network];
            let Some(learned) = self.0.get_mut(&network.spec.name) else {
                continue;
            };
            let Some(at) = learned.iter().position(|l| l.key == *key) else {
                continue;
            };
            let frames: u64 = port.counters.iter().map(|c| c.rx_frames.get()).sum();
            let is_silent = learned[at].frames_then == Some(frames);
            if is_silent && network.bridge.fdb().learned(Some(port.id)) == 0 {
                learned.remove(at);
                silent.push(port.id);
            } else {
                learned[at].frames_then = Some(frames);
            }
        }
        silent
    }
}

/// The keeper's thread: ends when the last worker has.
pub(crate) fn run(datapath: &Weak<Inner>, parked: &Receiver<Parked>) {
    let mut look = Instant::now() + LOOK_INTERVAL;
    loop {
        let datagram = match parked.recv_timeout(look.saturating_duration_since(Instant::now())) {
            Ok(datagram) => Some(datagram),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(datapath) = datapath.upgrade() else {
            return;
        };
        if let Some(datagram) = datagram {
            datapath.admit(datagram);
        }
        if Instant::now() >= look {
            datapath.forget_silent();
            look = Instant::now() + LOOK_INTERVAL;
        }
    }
}

/// VTEPs that an open network learns; more are refused as `rx.vtep_limit`.
pub(crate) const MAX_LEARNED: usize = 256;
const PARKED: usize = 256;
/// How long a learned VTEP may be silent, once to twice.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
