//! Open networks: a VTEP that nobody configured gets its tunnel with its first valid datagram.
//!
//! A worker never changes the picture that it works with. So it lets the datagram wait and asks the keeper, a thread of
//! its own, which adds the tunnel to the picture, hands the new one to every worker and then answers. With a new picture
//! a worker first sends on what has waited, so a sender's datagrams stay in order; what an answer finds still without a
//! tunnel is dropped by name. Forged senders cost a bounded queue and a bounded number of tunnels: what finds no room is
//! dropped by name, and tunnels that stay silent are taken back.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::Inner;
use super::topology::{PortIo, Topology};
use crate::config::{NetworkSpec, TunnelKey};
use crate::switch::PortId;

/// A sender without a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stranger {
    /// Name of the network that it sends to.
    pub(crate) network: String,
    pub(crate) remote: IpAddr,
}

/// A worker asks for a stranger's tunnel.
pub(crate) struct Request {
    /// Index of the worker that is answered.
    pub(crate) worker: usize,
    pub(crate) stranger: Stranger,
}

/// A datagram whose sender has no tunnel yet.
pub(crate) struct Parked {
    pub(crate) stranger: Stranger,
    pub(crate) source: SocketAddr,
    pub(crate) udp_port: u16,
    pub(crate) tos: u8,
    pub(crate) bytes: Vec<u8>,
}

/// Where a worker's datagrams wait, oldest first.
pub(crate) struct Parking {
    waiting: Vec<Parked>,
    requests: SyncSender<Request>,
}

impl Parking {
    /// An empty one whose requests go to `requests`.
    pub(crate) fn new(requests: SyncSender<Request>) -> Self {
        Self {
            waiting: Vec::new(),
            requests,
        }
    }

    /// Parks a datagram of `worker`, and asks for its sender's tunnel if nobody has; false if there is no room.
    pub(crate) fn park(&mut self, worker: usize, parked: Parked) -> bool {
        if self.waiting.len() >= PARKED {
            return false;
        }
        let asked = self.waiting.iter().any(|p| p.stranger == parked.stranger);
        let stranger = parked.stranger.clone();
        if !asked
            && self
                .requests
                .try_send(Request { worker, stranger })
                .is_err()
        {
            return false;
        }
        self.waiting.push(parked);
        true
    }

    /// Takes out what waits no longer, oldest first.
    pub(crate) fn release(&mut self, which: impl Fn(&Stranger) -> bool) -> Vec<Parked> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (released, still) = waiting.partition(|p| which(&p.stranger));
        self.waiting = still;
        released
    }
}

/// The way to the keeper and its other end.
pub(crate) fn requests() -> (SyncSender<Request>, Receiver<Request>) {
    sync_channel(PARKED)
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
    pub(crate) fn add(&mut self, network: &NetworkSpec, remote: IpAddr) -> Option<TunnelKey> {
        let key = key_of(network, remote);
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

/// The tunnel that a sender gets.
pub(crate) fn key_of(network: &NetworkSpec, remote: IpAddr) -> TunnelKey {
    TunnelKey {
        // Where a sender sends from says nothing about where it listens (RFC 7348 §5).
        remote: SocketAddr::new(remote, network.udp_port),
        vni: network.vni,
    }
}

/// The keeper's thread: ends when the last worker has.
pub(crate) fn run(datapath: &Weak<Inner>, requests: &Receiver<Request>) {
    let mut look = Instant::now() + LOOK_INTERVAL;
    let mut paths = Instant::now() + PATHS_INTERVAL;
    loop {
        let next = look.min(paths);
        let request = match requests.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(datapath) = datapath.upgrade() else {
            return;
        };
        if let Some(request) = request {
            datapath.admit(request);
        }
        if Instant::now() >= look {
            datapath.forget_silent();
            look = Instant::now() + LOOK_INTERVAL;
        }
        if Instant::now() >= paths {
            datapath.look_at_paths();
            paths = Instant::now() + PATHS_INTERVAL;
        }
    }
}

/// VTEPs that an open network learns; more are refused as `rx.vtep_limit`.
pub(crate) const MAX_LEARNED: usize = 256;
/// Datagrams that wait at one worker, and requests that wait for the keeper.
const PARKED: usize = 256;
/// How long a learned VTEP may be silent, once to twice.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How often the kernel is asked for the MTU of the paths.
const PATHS_INTERVAL: Duration = Duration::from_secs(5);
