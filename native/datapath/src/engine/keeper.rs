//! Open networks: a VTEP that nobody configured gets its tunnel with its first datagram.
//!
//! A worker never changes the picture that it works with. So it parks the datagram with the keeper, a thread of its
//! own, which adds the tunnel to the picture, hands the new one to every worker and then gives the datagram back. What
//! the keeper cannot take at once is dropped by name, so a flood of forged senders costs a bounded queue and nothing
//! else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::Inner;
use crate::config::{NetworkSpec, TunnelKey};

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
#[derive(Default)]
pub(crate) struct LearnedVteps(HashMap<String, Vec<TunnelKey>>);

impl LearnedVteps {
    /// Those of a network; none if it is not open.
    pub(crate) fn of(&self, network: &NetworkSpec) -> &[TunnelKey] {
        match self.0.get(&network.name) {
            Some(keys) if network.open_peers => keys,
            _ => &[],
        }
    }

    /// Adds a sender; false if it is known, or the network has as many as it may have.
    pub(crate) fn add(&mut self, network: &NetworkSpec, source: SocketAddr) -> bool {
        // Where a sender sends from says nothing about where it listens (RFC 7348 §5).
        let remote = SocketAddr::new(source.ip(), network.udp_port);
        let key = TunnelKey {
            remote,
            vni: network.vni,
        };
        let keys = self.0.entry(network.name.clone()).or_default();
        if keys.len() >= MAX_LEARNED || keys.contains(&key) {
            return false;
        }
        keys.push(key);
        true
    }

    /// Forgets networks that are gone, closed or different.
    pub(crate) fn keep_only(&mut self, networks: &[NetworkSpec]) {
        self.0.retain(|name, keys| {
            let network = networks.iter().find(|n| n.name == *name && n.open_peers);
            keys.retain(|key| {
                network.is_some_and(|n| n.vni == key.vni && n.udp_port == key.remote.port())
            });
            !keys.is_empty()
        });
    }
}

/// The keeper's thread: ends when the last worker has.
pub(crate) fn run(datapath: &Weak<Inner>, parked: &Receiver<Parked>) {
    while let Ok(datagram) = parked.recv() {
        if let Some(datapath) = datapath.upgrade() {
            datapath.admit(datagram);
        }
    }
}

const PARKED: usize = 256;
/// VTEPs that an open network learns; more are refused as `rx.vtep_limit`.
const MAX_LEARNED: usize = 256;
