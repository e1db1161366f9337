//! The thread that watches whether VTEPs are there: looks once a second who was heard, and asks all in turn by ICMP.
//!
//! It has a clock and a socket; what follows from them is `vteps`'s to say.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Inner;
use super::history::{Happening, Place};
use super::topology::{Port, PortIo, Topology, Underlay};
use super::vteps::{Change, VtepState};
use crate::config::TunnelKey;
use crate::error::Error;
use crate::event::unix_ms;
use crate::io::echo::EchoSocket;
use crate::io::poll::{Poller, Ready, Waker};

/// Ends the thread when it goes.
pub(crate) struct Ending {
    /// Nothing is ever sent: that it is gone says it.
    alive: Option<Sender<()>>,
    waker: Arc<Waker>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.alive = None;
        self.waker.wake();
    }
}

/// What the thread waits with.
pub(crate) struct Watcher {
    ending: Receiver<()>,
    /// In `poller`, which outlives no descriptor of it.
    waker: Arc<Waker>,
    poller: Poller,
    echo: Option<EchoSocket>,
}

impl Watcher {
    /// One that has looked at nothing. Errors: `NO_FILES`.
    pub(crate) fn new() -> Result<(Self, Ending), Error> {
        let (alive, ending) = channel();
        let waker = Arc::new(Waker::new()?);
        let poller = Poller::new()?;
        poller.add(&waker, 0)?;
        let watcher = Self {
            ending,
            waker: waker.clone(),
            poller,
            echo: None,
        };
        let alive = Some(alive);
        Ok((watcher, Ending { alive, waker }))
    }

    /// Watches until the other end goes.
    pub(crate) fn run(mut self, datapath: &Weak<Inner>) {
        let mut ready = Ready::with_capacity(2);
        let (mut look, mut open) = (Instant::now(), Instant::now());
        while matches!(self.ending.try_recv(), Err(TryRecvError::Empty)) {
            let Some(datapath) = datapath.upgrade() else {
                return;
            };
            let Some(topology) = datapath.topology() else {
                return;
            };
            self.hear(&datapath, &topology);
            let now = Instant::now();
            if now >= open {
                open = now + OPEN_INTERVAL;
                self.open(&topology);
            }
            if now >= look {
                look = now + LOOK_INTERVAL;
                let frames = frames_by_vtep(&topology);
                let since = now.saturating_duration_since(datapath.epoch);
                let changes = datapath.vteps().look(&frames, since, unix_ms());
                tell(&datapath, &topology, &changes);
            }
            let due = self.ask(&datapath, &topology);
            drop((datapath, topology));
            let next = due.map_or(look, |due| look.min(due));
            let wait = next.saturating_duration_since(Instant::now());
            if self.poller.wait(&mut ready, Some(wait)).is_err() {
                return;
            }
            self.waker.drain();
        }
    }

    /// Opens the socket where there is an underlay, once that is possible: the address may come later.
    fn open(&mut self, topology: &Topology) {
        let vtep = &topology.vtep;
        if self.echo.is_none() && matches!(topology.underlay, Underlay::Udp { .. }) {
            let opened = EchoSocket::open(vtep.address, vtep.scope_interface.as_deref());
            self.echo = opened.filter(|echo| self.poller.add(echo, 1).is_ok());
        }
    }

    /// Asks whose turn it is; when the next one's is, if we may ask at all.
    fn ask(&mut self, datapath: &Inner, topology: &Topology) -> Option<Instant> {
        let echo = self.echo.as_mut()?;
        let now = || datapath.epoch.elapsed();
        let next = datapath.vteps().next_to_ask(now());
        if let Some((remote, sequence)) = next
            && let Some(address) = address_of(topology, remote)
        {
            let at = now();
            let is_sent = echo.ask(address, sequence);
            datapath.vteps().asked(remote, sequence, is_sent, at);
        }
        datapath.vteps().due().map(|due| datapath.epoch + due)
    }

    /// Takes in the answers that have come.
    fn hear(&mut self, datapath: &Inner, topology: &Topology) {
        let Some(echo) = &mut self.echo else {
            return;
        };
        let mut changes = Vec::new();
        echo.answers(|remote, sequence| {
            let now = datapath.epoch.elapsed();
            changes.extend(datapath.vteps().answered(remote, sequence, now));
        });
        tell(datapath, topology, &changes);
    }
}

/// The history of every network that has such a peer.
fn tell(datapath: &Inner, topology: &Topology, changes: &[Change]) {
    for &(remote, state) in changes {
        let happening = match state {
            VtepState::Alive => Happening::VtepHeard,
            VtepState::Silent => Happening::VtepSilent,
            VtepState::Unknown => continue,
        };
        for (port, _) in tunnels(topology).filter(|(_, key)| key.remote.ip() == remote) {
            let network = topology.networks[port.network].name.clone();
            let place = Place {
                network: Some(network),
                port: Some(port.name.clone()),
            };
            datapath.history.record(unix_ms(), place, happening.clone());
        }
    }
}

/// Every VTEP that is a peer, and how many frames have come from it.
pub(super) fn frames_by_vtep(topology: &Topology) -> BTreeMap<IpAddr, u64> {
    let mut frames = BTreeMap::new();
    for (port, key) in tunnels(topology) {
        let came = port.counters.iter().map(|c| c.rx_frames.get());
        *frames.entry(key.remote.ip()).or_default() += came.sum::<u64>();
    }
    frames
}

/// With the scope that a link-local address needs.
fn address_of(topology: &Topology, remote: IpAddr) -> Option<SocketAddr> {
    let mut keys = tunnels(topology).map(|(_, key)| key.remote);
    keys.find(|address| address.ip() == remote)
}

/// Those that lead to one VTEP: a multicast group is none.
fn tunnels(topology: &Topology) -> impl Iterator<Item = (&Port, &TunnelKey)> {
    topology.present_ports().filter_map(|port| match &port.io {
        PortIo::Tunnel(key) if !key.remote.ip().is_multicast() => Some((port, key)),
        PortIo::Tunnel(_) | PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => {
            None
        }
    })
}

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const OPEN_INTERVAL: Duration = Duration::from_secs(10);
