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
mod egress;
mod ingress;
mod keeper;
mod outbox;
mod report;
mod spin;
mod topology;
mod worker;

pub use apply::ApplyReport;
pub use report::{
    Counters, DropCounts, FdbLine, FdbPlace, FrameCounts, NetworkReport, PortReport, TapReport,
};

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::Desired;
use crate::error::{Error, ErrorCode};
use crate::event::{EventRing, Stamped, Wake};
use crate::io::memory::MemoryUnderlay;
use crate::io::poll::Waker;
use crate::switch::Origin;

use apply::{Carried, PortIds, Previous};
use keeper::{LearnedVteps, Parked, Parking};
pub use topology::MemoryPort;
use topology::{PortIo, Topology, Underlay};
use worker::{Command, Meter, Posts, Shared, Worker};

/// A datapath: everything that moves frames, behind one handle. All methods may be called from any thread.
pub struct Datapath(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    events: Arc<EventRing>,
    epoch: Instant,
}

#[derive(Default)]
struct State {
    phase: Phase,
    ids: PortIds,
    current: Option<Current>,
    learned: LearnedVteps,
    workers: Vec<Handle>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Running,
    Stopped,
}

struct Current {
    desired: Desired,
    topology: Arc<Topology>,
    shared: Arc<Shared>,
}

struct Handle {
    thread: JoinHandle<()>,
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

impl Handle {
    fn tell(&self, command: Command) {
        // A worker that has ended by a defect has said so in an event.
        let _ = self.commands.send(command);
        self.waker.wake();
    }
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
            events: Arc::default(),
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
        if state.phase == Phase::Stopped {
            return Err(Error::new(ErrorCode::Stopped, "datapath"));
        }
        if let Some(current) = &state.current
            && current.desired.vtep != desired.vtep
        {
            return Err(Error::new(ErrorCode::VtepChanged, "vtep"));
        }
        state.learned.keep_only(&desired.networks);
        self.0.install(&mut state, desired)
    }

    /// Starts the workers. `wake` is called, from a worker, when there are events to drain; it must not block.
    pub fn start(&self, wake: Wake) -> Result<(), Error> {
        let mut state = self.0.lock();
        if state.phase != Phase::Idle {
            return Err(Error::new(ErrorCode::Stopped, "datapath").with_detail("started before"));
        }
        let Some(current) = &state.current else {
            return Err(Error::new(ErrorCode::BadValue, "datapath").with_detail("nothing applied"));
        };
        self.0.events.on_wake(Some(wake));
        let (parking, parked) = Parking::new();
        let mut workers = Vec::new();
        for index in 0..current.shared.meters.len() {
            let (commands, mailbox) = channel();
            let waker = Arc::new(Waker::new()?);
            let posts = Posts {
                commands: mailbox,
                waker: waker.clone(),
                parking: parking.clone(),
            };
            let worker = Worker::new(
                index,
                current.shared.clone(),
                current.topology.clone(),
                posts,
            )?;
            let thread = spawn(format!("vswitch-{index}"), move || worker.run())?;
            workers.push(Handle {
                thread,
                commands,
                waker,
            });
        }
        let inner = Arc::downgrade(&self.0);
        state.keeper = Some(spawn("vswitch-keeper".into(), move || {
            keeper::run(&inner, &parked)
        })?);
        state.workers = workers;
        state.phase = Phase::Running;
        Ok(())
    }

    /// Takes up to `max` events, and how many were lost since the last call.
    pub fn drain(&self, max: usize) -> (Vec<Stamped>, u64) {
        self.0.events.drain(max)
    }

    /// A copy of every counter; `None` before the first apply.
    pub fn counters(&self) -> Option<Counters> {
        let state = self.0.lock();
        state
            .current
            .as_ref()
            .map(|c| report::counters(&c.topology, &c.shared))
    }

    /// A copy of the forwarding database of one network, or of all.
    pub fn fdb(&self, network: Option<&str>) -> Vec<FdbLine> {
        let state = self.0.lock();
        let now = self.0.now_secs();
        state
            .current
            .as_ref()
            .map_or_else(Vec::new, |c| report::fdb(&c.topology, network, now))
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
                .is_some_and(|p| port.is_none_or(|port| p.name == port))
        };
        found
            .bridge
            .fdb()
            .flush(|e| e.origin == Origin::Learned && named(e.port))
    }

    /// A frame enters the switch at a port. Errors: `BAD_VALUE` if there is no such port or nothing runs.
    pub fn inject(&self, port: &str, frame: Vec<u8>) -> Result<(), Error> {
        let state = self.0.lock();
        let topology = state.current.as_ref().map(|c| c.topology.clone());
        let found = topology
            .as_ref()
            .and_then(|t| t.present_ports().find(|p| p.name == port));
        let (Some(found), Some(worker)) = (found, state.workers.first()) else {
            return Err(Error::new(ErrorCode::BadValue, format!("port {port}"))
                .with_detail("no such port is running"));
        };
        worker.tell(Command::Inject {
            port: found.id,
            frame,
        });
        Ok(())
    }

    /// Stops and joins the workers and closes everything. TAP devices stay. May be called any number of times.
    pub fn stop(&self) {
        let (workers, keeper, current) = {
            let mut state = self.0.lock();
            state.phase = Phase::Stopped;
            self.0.events.on_wake(None);
            (
                std::mem::take(&mut state.workers),
                state.keeper.take(),
                state.current.take(),
            )
        };
        for worker in &workers {
            worker.tell(Command::Stop);
        }
        for thread in workers.into_iter().map(|w| w.thread).chain(keeper) {
            // It has caught its own panic and told it as an event.
            let _ = thread.join();
        }
        drop(current);
    }

    /// The queues of a memory port.
    pub fn memory_port(&self, name: &str) -> Option<Arc<MemoryPort>> {
        let topology = self.0.topology()?;
        topology
            .present_ports()
            .find(|p| p.name == name)
            .and_then(|p| match &p.io {
                PortIo::Memory { queue, .. } => Some(queue.clone()),
                PortIo::Tap { .. } | PortIo::Tunnel(_) => None,
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
    /// Replaces the running picture by one for `desired`.
    fn install(&self, state: &mut State, desired: &Desired) -> Result<ApplyReport, Error> {
        let State {
            ids,
            current,
            learned,
            workers,
            ..
        } = state;
        let count = current.as_ref().map_or_else(
            || worker_count(desired.engine.workers),
            |c| c.shared.meters.len(),
        );
        let previous = current.as_ref().map(|c| Previous {
            desired: &c.desired,
            topology: &c.topology,
        });
        let carried = Carried {
            previous,
            learned,
            workers: count,
        };
        let (topology, report) = apply::build(desired, carried, ids)?;
        let topology = Arc::new(topology);
        let shared = match &current {
            Some(current) => current.shared.clone(),
            None => Arc::new(Shared {
                events: self.events.clone(),
                epoch: self.epoch,
                meters: (0..count).map(|_| Meter::default()).collect(),
            }),
        };
        swap(workers, &topology);
        apply::install_entries(&topology, self.now_secs());
        if let Some(old) = current.take() {
            retire(&old.topology, &topology);
        }
        *current = Some(Current {
            desired: desired.clone(),
            topology,
            shared,
        });
        Ok(report)
    }

    /// Gives a parked datagram's sender its tunnel, and the datagram back to its worker, which drops it by name if
    /// there is still none.
    fn admit(&self, datagram: Parked) {
        let mut state = self.lock();
        let desired = state.current.as_ref().map(|c| c.desired.clone());
        if let Some(desired) = desired
            && let Some(network) = desired.networks.iter().find(|n| n.name == datagram.network)
            && state.learned.add(network, datagram.source)
        {
            // Nothing is opened that was not open, so this does not fail; if it did, the datagram would be dropped.
            let _ = self.install(&mut state, &desired);
        }
        if let Some(worker) = state.workers.get(datagram.worker) {
            worker.tell(Command::Unpark(datagram));
        }
    }

    fn topology(&self) -> Option<Arc<Topology>> {
        self.lock().current.as_ref().map(|c| c.topology.clone())
    }

    fn now_secs(&self) -> u32 {
        self.epoch.elapsed().as_secs() as u32
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

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(body)
        .map_err(|e| {
            Error::from_syscall(
                ErrorCode::NoFiles,
                name,
                "clone",
                e.raw_os_error().unwrap_or(0),
            )
        })
}

/// Gives every worker the new picture and waits until none uses the old one.
fn swap(workers: &[Handle], topology: &Arc<Topology>) {
    let (done, dones) = channel();
    for worker in workers {
        worker.tell(Command::Swap {
            topology: topology.clone(),
            done: done.clone(),
        });
    }
    drop(done);
    for _ in workers {
        if dones.recv_timeout(SWAP_LIMIT).is_err() {
            // A worker that ended by a defect; its `fatal` event is on the way.
            return;
        }
    }
}

/// Keeps the counts of ports that are no more, so that a network's sums never go back.
fn retire(old: &Topology, new: &Topology) {
    for port in old.present_ports() {
        let carried = new
            .port(port.id)
            .is_some_and(|p| Arc::ptr_eq(&p.counters, &port.counters));
        let name = &old.networks[port.network].spec.name;
        let network = new.networks.iter().find(|n| n.spec.name == *name);
        if let (false, Some(network)) = (carried, network) {
            for block in &*port.counters {
                network.retired.absorb(block);
            }
        }
    }
}

/// On one or two CPUs one worker is the fastest: more only wake each other. Beyond that half of the CPUs, at most four.
fn worker_count(wanted: usize) -> usize {
    if wanted > 0 {
        return wanted.min(MAX_WORKERS);
    }
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0..=2 => 1,
        cpus => (cpus / 2).min(AUTO_WORKERS),
    }
}

const AUTO_WORKERS: usize = 4;
const MAX_WORKERS: usize = 64;
const SWAP_LIMIT: Duration = Duration::from_secs(5);
