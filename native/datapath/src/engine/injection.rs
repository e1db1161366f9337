//! TCP past the sockets, to the VTEPs for which that is right: superframes leave whole, and the kernel or the NIC cuts
//! them inside the tunnel (`io/underlay/inject.rs`).
//!
//! All TCP of such a VTEP goes this way and everything else by the sockets, so no flow is split between them; what the
//! injector does not take goes by the sockets together with all that follows it in its batch, which leaves later. The
//! injector answers for nothing: whether a VTEP is reached by the interface that it sends by is asked beforehand, and
//! again whenever routes or interfaces change. In between nothing is injected.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::history::History;
use super::outbox::{Held, Injecting, Route, SendStyle};
use super::paths::{link_learned, told};
use super::topology::{PortIo, Topology, Underlay};
use super::worker::Worker;
use crate::error::Error;
use crate::event::Event;
use crate::io::netlink::RouteWatch;
use crate::io::underlay::inject::{Injector, InjectorSpec, PathCheck, segments_tunnels};
use crate::io::underlay::ring::Place;
use crate::offload::complete;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::{Ip, PROTOCOL_TCP};
use crate::wire::vnet::VnetHeader;

/// An injector, and what is known of where it reaches.
pub(crate) struct Injection {
    pub(crate) injector: Injector,
    spec: InjectorSpec,
    ifname: String,
    watch: RouteWatch,
    /// One asks at a time.
    asking: Mutex<()>,
    /// Changes that were heard of.
    changes: AtomicU32,
    /// Something has changed since the VTEPs were asked about.
    is_stale: AtomicBool,
    /// The interface segments tunnels, and nothing was refused.
    is_at_work: AtomicBool,
    /// The kernel has refused a frame; it is never used again.
    is_broken: AtomicBool,
}

impl Injection {
    /// Errors: those of [`Injector::open`].
    pub(crate) fn open(spec: InjectorSpec, place: &Place) -> Result<Self, Error> {
        Ok(Self {
            watch: RouteWatch::open()?,
            injector: Injector::open(&spec)?,
            spec,
            ifname: place.ifname.clone(),
            asking: Mutex::default(),
            changes: AtomicU32::new(0),
            is_stale: AtomicBool::new(false),
            is_at_work: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
        })
    }

    /// What it was opened with.
    pub(crate) fn spec(&self) -> InjectorSpec {
        self.spec
    }

    /// Whether the interface is one that this is of use for, and the kernel has refused nothing.
    pub(crate) fn is_at_work(&self) -> bool {
        self.is_at_work.load(Ordering::Relaxed)
    }

    /// Notes that the kernel has refused a frame; true for the first.
    pub(crate) fn mark_broken(&self) -> bool {
        self.is_at_work.store(false, Ordering::Relaxed);
        !self.is_broken.swap(true, Ordering::Relaxed)
    }

    /// Finds out for which VTEPs it is right, and returns what has changed of the paths to them. To be called after the
    /// picture has changed and after `is_stale`. Blocking: some 30 us a VTEP.
    pub(crate) fn ask(&self, topology: &Topology, history: &History) -> Vec<Event> {
        let _alone = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.changes.load(Ordering::SeqCst);
        self.is_stale.store(false, Ordering::Relaxed);
        let is_of_use = !self.is_broken.load(Ordering::Relaxed)
            && !topology.vtep.allow_outer_fragmentation
            && segments_tunnels(&self.ifname).is_ok_and(|segments| segments);
        let mut paths = PathCheck::open(&self.spec).ok().filter(|_| is_of_use);
        let mut asked = HashMap::new();
        let mut events = Vec::new();
        for port in topology.present_ports() {
            let PortIo::Tunnel(key) = &port.io else {
                continue;
            };
            let mtu = *asked.entry(key.remote.ip()).or_insert_with_key(|&remote| {
                let paths = paths.as_mut()?;
                paths.mtu_to(remote).ok().flatten()
            });
            // Nobody behind the injector compares with it, so it must be known first.
            let change = mtu.and_then(|mtu| link_learned(port, mtu));
            events.extend(change.map(|change| told(topology, (port, key), change, history)));
            port.health.set_injected(mtu.is_some());
        }
        let reached = asked.values().flatten().count();
        self.is_at_work.store(
            is_of_use && (reached > 0 || asked.is_empty()),
            Ordering::Relaxed,
        );
        // What was heard of meanwhile may have made answers wrong; it has made this stale as well.
        if self.changes.load(Ordering::SeqCst) != changes {
            stop_injecting(topology);
        }
        events
    }
}

impl AsFd for Injection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

impl Topology {
    pub(crate) fn injection(&self) -> Option<&Injection> {
        match &self.underlay {
            Underlay::Udp { injection, .. } => injection.as_deref(),
            Underlay::Memory(_) => None,
        }
    }
}

impl Worker {
    /// Routes or interfaces have changed: nothing is injected until the VTEPs have been asked about.
    pub(super) fn routes_changed(&mut self) {
        let topology = self.topology.clone();
        if let Some(injection) = topology.injection()
            && injection.watch.take()
        {
            injection.changes.fetch_add(1, Ordering::SeqCst);
            injection.is_stale.store(true, Ordering::Relaxed);
            stop_injecting(&topology);
        }
    }

    /// Asks about the VTEPs if that is due: once per tick at most, however often routes change.
    pub(super) fn ask_routes(&self) {
        if let Some(injection) = self.topology.injection()
            && injection.is_stale.load(Ordering::Relaxed)
        {
            for event in injection.ask(&self.topology, &self.shared.history) {
                self.shared.events.push(event);
            }
        }
    }

    /// Queues the frame for the injector if it is of those that go this way.
    pub(super) fn inject_tcp(
        &mut self,
        topology: &Topology,
        held: &mut Held,
        route: Route,
        style: SendStyle,
    ) -> bool {
        let Underlay::Udp {
            senders,
            injection: Some(injection),
            ..
        } = &topology.underlay
        else {
            return false;
        };
        if !is_tcp(self.outbox.frame(held)) {
            return false;
        }
        if held.segments > MAX_SEGMENTS {
            self.outbox.keep_to_sockets();
            return false;
        }
        // A superframe of one segment is none.
        if held.superframe.is_some_and(|s| s.segments() == 1) {
            let vnet = held.vnet;
            if complete(self.outbox.frame_mut(held), &vnet).is_err() {
                return false;
            }
            held.superframe = None;
            held.vnet = VnetHeader::NONE;
        }
        let injecting = Injecting {
            local: topology.vtep.address,
            source_ports: senders.ports(),
            ttl: injection.injector.ttl(),
            checksum: topology.vtep.udp_checksum,
        };
        self.outbox.inject(held, route, (style, injecting))
    }

    /// The kernel has refused a frame that it should have taken: the sockets serve from now on.
    pub(super) fn give_up_injecting(&self, topology: &Topology) {
        if topology.injection().is_some_and(Injection::mark_broken) {
            stop_injecting(topology);
            self.shared.events.push(Event::Downgraded {
                detail: "tunnel offload: the kernel refused a frame, so TCP leaves by the sockets"
                    .into(),
            });
        }
    }
}

/// Of one superframe. A forged one of 64,000 would hold the kernel, and so the worker, for 40 ms.
const MAX_SEGMENTS: u64 = 256;

fn stop_injecting(topology: &Topology) {
    for port in topology.present_ports() {
        port.health.set_injected(false);
    }
}

fn is_tcp(frame: &[u8]) -> bool {
    Ethernet::new(frame)
        .and_then(|ethernet| Ip::carried_by(&ethernet))
        .and_then(|(ip, _)| ip.transport())
        .is_some_and(|t| t.protocol == PROTOCOL_TCP && !t.is_fragment)
}
