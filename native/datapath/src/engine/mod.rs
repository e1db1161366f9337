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
use crate::io::memory::MemoryDatagram;
use crate::io::poll::Waker;
use crate::switch::Origin;

use apply::{PortIds, Previous};
pub use topology::MemoryPort;
use topology::{PortIo, Topology, Underlay};
use worker::{Command, Meter, Shared, Worker};

/// A datapath: everything that moves frames, behind one handle. All methods may be called from any thread.
pub struct Datapath {
    state: Mutex<State>,
    events: Arc<EventRing>,
    epoch: Instant,
}

#[derive(Default)]
struct State {
    phase: Phase,
    ids: PortIds,
    current: Option<Current>,
    workers: Vec<Handle>,
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
        Self {
            state: Mutex::default(),
            events: Arc::default(),
            epoch: Instant::now(),
        }
    }

    /// Makes this host's datapath what `desired` says: whole state in, differences worked out here.
    ///
    /// Opens first, then swaps, then closes. Unchanged ports are not touched. On an error the old state runs on and
    /// what this call made is gone again; the error's subject names the culprit.
    ///
    /// Closing a port leaves its persistent TAP device where it is: [`crate::io::tap::remove`] takes it away.
    pub fn apply(&self, desired: &Desired) -> Result<ApplyReport, Error> {
        let mut state = self.lock();
        if state.phase == Phase::Stopped {
            return Err(Error::new(ErrorCode::Stopped, "datapath"));
        }
        let State {
            ids,
            current,
            workers,
            ..
        } = &mut *state;
        if let Some(current) = &current
            && current.desired.vtep != desired.vtep
        {
            return Err(Error::new(ErrorCode::VtepChanged, "vtep"));
        }
        let count = current.as_ref().map_or_else(
            || worker_count(desired.engine.workers),
            |c| c.shared.meters.len(),
        );
        let previous = current.as_ref().map(|c| Previous {
            desired: &c.desired,
            topology: &c.topology,
        });
        let (topology, report) = apply::build(desired, previous, ids, count)?;
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

    /// Starts the workers. `wake` is called, from a worker, when there are events to drain; it must not block.
    pub fn start(&self, wake: Wake) -> Result<(), Error> {
        let mut state = self.lock();
        if state.phase != Phase::Idle {
            return Err(Error::new(ErrorCode::Stopped, "datapath").with_detail("started before"));
        }
        let Some(current) = &state.current else {
            return Err(Error::new(ErrorCode::BadValue, "datapath").with_detail("nothing applied"));
        };
        self.events.on_wake(Some(wake));
        let mut workers = Vec::new();
        for index in 0..current.shared.meters.len() {
            let (commands, mailbox) = channel();
            let waker = Arc::new(Waker::new()?);
            let worker = Worker::new(
                index,
                current.shared.clone(),
                current.topology.clone(),
                (mailbox, waker.clone()),
            )?;
            let thread = std::thread::Builder::new()
                .name(format!("vswitch-{index}"))
                .spawn(move || worker.run())
                .map_err(|e| {
                    let errno = e.raw_os_error().unwrap_or(0);
                    Error::from_syscall(ErrorCode::NoFiles, "worker", "clone", errno)
                })?;
            workers.push(Handle {
                thread,
                commands,
                waker,
            });
        }
        state.workers = workers;
        state.phase = Phase::Running;
        Ok(())
    }

    /// Takes up to `max` events, and how many were lost since the last call.
    pub fn drain(&self, max: usize) -> (Vec<Stamped>, u64) {
        self.events.drain(max)
    }

    /// A copy of every counter; `None` before the first apply.
    pub fn counters(&self) -> Option<Counters> {
        let state = self.lock();
        state
            .current
            .as_ref()
            .map(|c| report::counters(&c.topology, &c.shared))
    }

    /// A copy of the forwarding database of one network, or of all.
    pub fn fdb(&self, network: Option<&str>) -> Vec<FdbLine> {
        let state = self.lock();
        let now = self.now_secs();
        state
            .current
            .as_ref()
            .map_or_else(Vec::new, |c| report::fdb(&c.topology, network, now))
    }

    /// Forgets what was learned in a network, or behind one port of it; how many entries.
    pub fn flush(&self, network: &str, port: Option<&str>) -> usize {
        let state = self.lock();
        let Some(current) = &state.current else {
            return 0;
        };
        let topology = &current.topology;
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
        let state = self.lock();
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
        let (workers, current) = {
            let mut state = self.lock();
            state.phase = Phase::Stopped;
            self.events.on_wake(None);
            (std::mem::take(&mut state.workers), state.current.take())
        };
        for worker in &workers {
            worker.tell(Command::Stop);
        }
        for worker in workers {
            // It has caught its own panic and told it as an event.
            let _ = worker.thread.join();
        }
        drop(current);
    }

    /// The queues of a memory port.
    pub fn memory_port(&self, name: &str) -> Option<Arc<MemoryPort>> {
        let state = self.lock();
        let topology = &state.current.as_ref()?.topology;
        topology
            .present_ports()
            .find(|p| p.name == name)
            .and_then(|p| match &p.io {
                PortIo::Memory { queue, .. } => Some(queue.clone()),
                PortIo::Tap { .. } | PortIo::Tunnel(_) => None,
            })
    }

    /// A datagram arrives at the memory underlay; false if there is none or it is full.
    pub fn underlay_inject(&self, datagram: MemoryDatagram) -> bool {
        match self.underlay() {
            Some(Underlay::Memory(memory)) => memory.inward.push(datagram).is_ok(),
            _ => false,
        }
    }

    /// What the memory underlay was given to send since the last call.
    pub fn underlay_take(&self) -> Vec<MemoryDatagram> {
        match self.underlay() {
            Some(Underlay::Memory(memory)) => memory.outward.take(),
            _ => Vec::new(),
        }
    }

    fn underlay(&self) -> Option<Underlay> {
        self.lock()
            .current
            .as_ref()
            .map(|c| c.topology.underlay.clone())
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
