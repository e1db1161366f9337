//! Where switch, offload and io meet: workers, and the handle that the control plane holds.
//!
//! ```text
//!             apply          start                  stop
//!   (idle) ---------> idle ---------> running ------------> stopped
//!                      ^ apply           ^ | apply
//!                                        +-+
//! ```
//!
//! `apply` opens everything that the new state needs, then swaps one immutable picture for another at the workers,
//! then closes what is gone. A failed apply changes nothing. There is no way back from `stopped`.

mod apply;
mod arrival;
mod bucket;
mod capture;
pub mod capture_filter;
mod congestion;
mod decap;
mod delivery;
mod dropping;
mod egress;
mod handover;
pub mod history;
mod ingress;
mod injection;
mod keeper;
mod lacks;
mod link;
mod liveness;
mod load;
mod merges;
mod outbox;
mod outer;
mod path_mtu;
mod paths;
mod port_end;
mod report;
mod running;
mod spin;
mod strangers;
mod suppress;
mod tapped;
mod too_big;
mod topology;
pub mod trace;
mod vteps;
mod worker;

pub use apply::ApplyReport;
pub use capture::{CaptureSpec, CaptureStatus, Side};
pub use report::{
    Counters, DropCounts, FdbLine, FdbPlace, FrameCounts, InterfaceReport, NetworkReport,
    NoteCounts, PortReport, WorkerReport,
};
pub use topology::MemoryPort;
pub use vteps::{VtepReport, VtepState};

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;

use crate::config::{Desired, TapPort};
use crate::error::{Error, ErrorCode};
use crate::event::{Event, EventRing, Stamped, Wake, unix_ms};
use crate::io::memory::MemoryUnderlay;
use crate::io::tap::Tap;
use crate::switch::Origin;

use apply::{Carried, PortIds, Previous};
use capture::Captures;
use handover::{Reception, Shelf};
use history::{History, Past, tell_comings};
use keeper::{LearnedVteps, Request};
use outbox::MAX_FRAME;
use running::{Running, View, retire, retire_tables};
use topology::{PortIo, Topology, Underlay};
use trace::{Entrance, Trace};
use vteps::Vteps;
use worker::{Command, Meter, Shared};

/// A datapath: everything that moves frames, behind one handle. All methods may be called from any thread.
///
/// `apply`, `start` and `stop` take turns; nothing else waits for them.
pub struct Datapath(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// What those who only look see; always a whole one.
    view: ArcSwapOption<View>,
    events: Arc<EventRing>,
    history: Arc<History>,
    captures: Captures,
    shelf: Shelf,
    reception: Mutex<Option<Reception>>,
    /// Locked for moments only.
    vteps: Mutex<Vteps>,
    epoch: Instant,
}

#[derive(Default)]
struct State {
    is_stopped: bool,
    ids: PortIds,
    desired: Option<Arc<Desired>>,
    learned: LearnedVteps,
    running: Option<Running>,
    /// What the last apply has done without.
    refused: Vec<Error>,
}

impl Default for Datapath {
    fn default() -> Self {
        Self::new()
    }
}

impl Datapath {
    /// A datapath that has opened nothing.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            view: ArcSwapOption::empty(),
            events: Arc::default(),
            history: Arc::default(),
            captures: Captures::default(),
            shelf: Shelf::default(),
            reception: Mutex::default(),
            vteps: Mutex::default(),
            epoch: Instant::now(),
        }))
    }

    /// Makes this host's datapath what `desired` says: whole state in, differences worked out here.
    ///
    /// Opens first, then swaps, then closes. Unchanged ports are not touched. On an error the old state runs on and
    /// what this call made is gone again; the error's subject names the culprit.
    ///
    /// Closing a port leaves its persistent TAP device where it is: [`crate::io::tap::remove`] takes it away.
    pub fn apply(&self, desired: &Desired) -> Result<ApplyReport, Error> {
        let mut state = self.0.lock();
        if state.is_stopped {
            return Err(Error::new(ErrorCode::Stopped, "datapath"));
        }
        if let Some(current) = &state.desired
            && current.vtep != desired.vtep
        {
            return Err(Error::new(ErrorCode::VtepChanged, "vtep"));
        }
        let State {
            ids,
            desired: current,
            learned,
            running,
            refused,
            ..
        } = &mut *state;
        let still_learned = learned.kept_for(&desired.networks);
        let old = self.0.view.load_full();
        let workers = old
            .as_ref()
            .map_or_else(|| lacks::worker_count(desired), |v| v.workers());
        let previous = current
            .as_deref()
            .zip(old.as_deref())
            .map(|(desired, view)| Previous {
                desired,
                topology: &view.topology,
            });
        let carried = Carried {
            previous,
            learned: &still_learned,
            workers,
            history: &self.0.history,
            shelf: &self.0.shelf,
        };
        let apply::Built {
            topology,
            report,
            refused: now_refused,
        } = apply::build(desired, carried, ids)?;
        self.0.ask_paths(&topology);
        let topology = Arc::new(topology);
        for error in now_refused.iter().filter(|e| !refused.contains(e)) {
            let detail = format!("datapath underlay: {error}; UDP sockets serve");
            self.0.events.push(Event::Downgraded { detail });
        }
        *refused = now_refused;
        let shared = match &old {
            Some(view) => view.shared.clone(),
            None => Arc::new(Shared {
                events: self.0.events.clone(),
                epoch: self.0.epoch,
                spins: desired.engine.spin,
                meters: (0..workers).map(|_| Meter::default()).collect(),
                history: self.0.history.clone(),
            }),
        };
        if old.is_none() {
            let lacks = lacks::sentences(desired, &topology.underlay);
            if !lacks.is_empty() {
                let detail = lacks.join("; ");
                self.0.events.push(Event::Downgraded { detail });
            }
        }
        let lacked_before = old
            .as_ref()
            .and_then(|v| lacks::of_packet_ports(&v.topology));
        if let (Some(lack), None) = (lacks::of_packet_ports(&topology), lacked_before) {
            let detail = lack.into();
            self.0.events.push(Event::Downgraded { detail });
        }
        *learned = still_learned;
        *current = Some(Arc::new(desired.clone()));
        self.0.publish(
            running.as_ref(),
            View {
                topology: topology.clone(),
                shared: shared.clone(),
            },
        );
        for ticket in self.0.shelf.keep_for(desired) {
            self.0.container_ended(&ticket);
        }
        apply::entries::install(&topology, self.0.now_secs());
        if let Some(old) = old {
            retire(&old.topology, &topology, &shared.meters);
            if let Some(running) = running {
                running.announce(suppress::news(&old.topology, &topology));
            }
        }
        Ok(report)
    }

    /// Starts the workers. `wake` is called, from a worker, when there are events to drain; it must not block.
    pub fn start(&self, wake: Wake) -> Result<(), Error> {
        let mut state = self.0.lock();
        if state.is_stopped || state.running.is_some() {
            return Err(Error::new(ErrorCode::Stopped, "datapath").with_detail("started before"));
        }
        let Some(view) = self.0.view.load_full() else {
            return Err(Error::new(ErrorCode::BadValue, "datapath").with_detail("nothing applied"));
        };
        self.0.events.on_wake(Some(wake));
        state.running = Some(Running::start(&view, Arc::downgrade(&self.0))?);
        Ok(())
    }

    /// Takes up to `max` events, and how many were lost since the last call.
    pub fn drain(&self, max: usize) -> (Vec<Stamped>, u64) {
        self.0.events.drain(max)
    }

    /// Makes the TAP of a port with a sandbox in our own namespace, as the next apply with that port
    /// will want to adopt it: marked, down, without addresses. One that is there with the same mark is fine. Errors:
    /// `BAD_VALUE` before the first apply, `STOPPED`, and as [`Tap::make`].
    pub fn make_tap(&self, port: &str, mtu: u32, place: &TapPort) -> Result<(), Error> {
        let spec = {
            let state = self.0.lock();
            if state.is_stopped {
                return Err(Error::new(ErrorCode::Stopped, "datapath"));
            }
            let (Some(desired), Some(view)) = (&state.desired, self.0.view.load_full()) else {
                return Err(
                    Error::new(ErrorCode::BadValue, "datapath").with_detail("nothing applied")
                );
            };
            apply::taps::spec(&desired.engine, view.workers(), port, mtu, place)
        };
        Tap::make(&spec).map_err(|e| e.about(format!("port {port}")))
    }

    /// From now on takes TAPs that others made and hand over at the unix socket `path`, for ports with their tickets.
    /// Errors: `BAD_VALUE` before the first apply, or if called before; `STOPPED`, `IO`, `NO_FILES`.
    pub fn receive_handovers(&self, path: &Path) -> Result<(), Error> {
        let refused = |code, detail: &str| Err(Error::new(code, "handovers").with_detail(detail));
        let state = self.0.lock();
        if state.is_stopped {
            return refused(ErrorCode::Stopped, "the datapath was stopped");
        }
        let (Some(desired), Some(view)) = (&state.desired, self.0.view.load_full()) else {
            return refused(ErrorCode::BadValue, "nothing applied");
        };
        let mut reception = self.0.reception();
        if reception.is_some() {
            // The end of the first would take the path of the second away.
            return refused(ErrorCode::BadValue, "they are received already");
        }
        let wanted = handover::wanted(&desired.engine, view.workers());
        *reception = Some(Reception::open(path, wanted, &self.0)?);
        Ok(())
    }

    /// A copy of every counter; `None` before the first apply.
    pub fn counters(&self) -> Option<Counters> {
        let view = self.0.view.load_full()?;
        Some(report::counters(
            &view.topology,
            &view.shared,
            &self.0.vteps(),
        ))
    }

    /// A copy of the forwarding database of one network, or of all.
    pub fn fdb(&self, network: Option<&str>) -> Vec<FdbLine> {
        let now = self.0.now_secs();
        let view = self.0.view.load_full();
        view.map_or_else(Vec::new, |view| report::fdb(&view.topology, network, now))
    }

    /// Forgets what was learned in a network, or behind one port of it; how many entries.
    pub fn flush(&self, network: &str, port: Option<&str>) -> usize {
        let Some(topology) = self.0.topology() else {
            return 0;
        };
        let Some(found) = topology.networks.iter().find(|n| n.spec.name == network) else {
            return 0;
        };
        let named = |id| {
            topology
                .port(id)
                .is_some_and(|p| port.is_none_or(|port| &*p.name == port))
        };
        found
            .bridge
            .fdb()
            .flush(|e| e.origin == Origin::Learned && named(e.port))
    }

    /// A frame enters the switch at a port that is not a tunnel. Errors: `BAD_VALUE` if there is no such port, nothing
    /// runs, or the frame is longer than any can be.
    pub fn inject(&self, port: &str, frame: Vec<u8>) -> Result<(), Error> {
        let refused = |detail: &str| {
            Err(Error::new(ErrorCode::BadValue, format!("port {port}")).with_detail(detail))
        };
        if frame.len() > MAX_FRAME {
            return refused("the frame is too long");
        }
        let found = self.0.topology().and_then(|topology| {
            let mut ports = topology.present_ports();
            let same = |p: &&topology::Port| &*p.name == port && !matches!(p.io, PortIo::Tunnel(_));
            ports.find(same).map(|p| p.id)
        });
        let state = self.0.lock();
        match (found, &state.running) {
            (Some(port), Some(running)) => {
                running.tell(0, Command::Inject { port, frame });
                Ok(())
            }
            _ => refused("no such port is running"),
        }
    }

    /// The way that a frame would take at this moment, without sending, learning or counting anything: see [`trace`].
    /// Errors: `BAD_VALUE` if nothing was applied, there is no such port, or the bytes are more than any frame has.
    pub fn trace(&self, entrance: &Entrance, bytes: &[u8]) -> Result<Trace, Error> {
        let Some(topology) = self.0.topology() else {
            let error = Error::new(ErrorCode::BadValue, "trace");
            return Err(error.with_detail("nothing applied"));
        };
        let now_us = self.0.epoch.elapsed().as_micros() as u64;
        trace::trace(&topology, entrance, bytes, now_us)
    }

    /// What has happened, from this line on.
    pub fn history(&self, from_seq: u64) -> Past {
        self.0.history.since(from_seq)
    }

    /// Stops and joins the workers and closes everything. TAP devices stay. May be called any number of times.
    pub fn stop(&self) {
        let running = {
            let mut state = self.0.lock();
            state.is_stopped = true;
            self.0.events.on_wake(None);
            state.running.take()
        };
        self.0.captures.end_all();
        // Taken out first: its end is waited for, and it may just be looking at us.
        let reception = self.0.reception().take();
        drop(reception);
        if let Some(running) = running {
            running.stop();
        }
        self.0.view.store(None);
    }

    /// The queues of a memory port.
    pub fn memory_port(&self, name: &str) -> Option<Arc<MemoryPort>> {
        let topology = self.0.topology()?;
        topology
            .present_ports()
            .find(|p| &*p.name == name)
            .and_then(|p| match &p.io {
                PortIo::Memory { queue, .. } => Some(queue.clone()),
                PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Tunnel(_) => None,
            })
    }

    /// The queues of the memory underlay.
    pub fn memory_underlay(&self) -> Option<Arc<MemoryUnderlay>> {
        match &self.0.topology()?.underlay {
            Underlay::Memory(memory) => Some(memory.clone()),
            Underlay::Udp { .. } => None,
        }
    }
}

impl Inner {
    /// Gives a sender its tunnel, if it may have one, and answers the worker that asked.
    fn admit(&self, request: Request) {
        let Request { worker, stranger } = request;
        let mut state = self.lock();
        let State {
            ids,
            desired,
            learned,
            running,
            ..
        } = &mut *state;
        let (Some(desired), Some(running)) = (desired, running) else {
            return;
        };
        if let Some(network) = desired.networks.iter().find(|n| n.name == stranger.network)
            && let Some(view) = self.view.load_full()
            && let Some(key) = learned.add(network, stranger.remote)
            && let Some(topology) =
                view.topology
                    .with_learned(&network.name, key, ids, view.workers())
        {
            self.ask_paths(&topology);
            let shared = view.shared.clone();
            self.publish(
                Some(running),
                View {
                    topology: Arc::new(topology),
                    shared,
                },
            );
        }
        running.tell(worker, Command::Answered(stranger));
    }

    /// Takes the tunnels away again of learned VTEPs that have long said nothing and behind which nothing is known.
    fn forget_silent(&self) {
        let mut state = self.lock();
        let State {
            learned, running, ..
        } = &mut *state;
        let Some(view) = self.view.load_full() else {
            return;
        };
        let silent = learned.take_silent(&view.topology);
        if !silent.is_empty() {
            let topology = Arc::new(view.topology.without(&silent));
            let shared = view.shared.clone();
            self.publish(
                running.as_ref(),
                View {
                    topology: topology.clone(),
                    shared,
                },
            );
            retire(&view.topology, &topology, &view.shared.meters);
        }
    }

    /// Asks the kernel anew what the paths carry: its routes and links may have changed.
    fn look_at_paths(&self) {
        if let Some(view) = self.view.load_full() {
            self.ask_paths(&view.topology);
        }
    }

    fn ask_paths(&self, topology: &Topology) {
        for event in paths::ask(topology, &self.history) {
            self.events.push(event);
        }
        let injected = topology
            .injection()
            .map(|injection| injection.ask(topology, &self.history));
        let given_up = tapped::respect_ipsec(topology);
        for event in injected.into_iter().flatten().chain(given_up) {
            self.events.push(event);
        }
    }

    /// Shows the new picture to everybody, and returns when no worker uses the old one any more.
    fn publish(&self, running: Option<&Running>, view: View) {
        let old = self.topology();
        self.history.name_ports(&view.topology);
        self.captures.look_at(&view.topology);
        if let Some(old) = &old {
            retire_tables(old, &view.topology);
        }
        // Before, so that what happens at a port stands behind its coming.
        tell_comings(&self.history, (old.as_deref(), &view.topology), unix_ms());
        if let Some(running) = running {
            running.swap(&view.topology);
        }
        self.view.store(Some(Arc::new(view)));
    }

    fn topology(&self) -> Option<Arc<Topology>> {
        self.view.load_full().map(|view| view.topology.clone())
    }

    fn now_secs(&self) -> u32 {
        self.epoch.elapsed().as_secs() as u32
    }

    fn reception(&self) -> MutexGuard<'_, Option<Reception>> {
        // Replaced whole.
        self.reception
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn vteps(&self) -> MutexGuard<'_, Vteps> {
        // A panic elsewhere leaves numbers behind, whole ones.
        self.vteps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every step of `apply` leaves a usable state, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Datapath {
    fn drop(&mut self) {
        self.stop();
    }
}
