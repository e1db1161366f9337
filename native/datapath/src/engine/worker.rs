//! A worker: one thread that owns its state and never waits for anybody.
//!
//! One turn: wait -> for each port or socket that has something, read a batch -> ask the switch once per superframe ->
//! write its datagrams into the arena -> send the runs -> release the arena -> if a tick is due, age.

use std::any::Any;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as CommandReceiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use super::capture::{CaptureSlot, Intake, Lost, Recorder};
use super::dropping::Dropping;
use super::history::History;
use super::keeper::{Parking, Stranger};
use super::load::Load;
use super::merges::Merges;
use super::outbox::{BATCH_FRAMES, Outbox};
use super::spin::Spin;
use super::suppress::News;
use super::topology::{PortCounters, PortIo, Topology, Underlay};
use crate::counter::Counter;
use crate::event::{Event, EventRing, unix_ms};
use crate::io::packet::PacketBatch;
use crate::io::poll::{Poller, Ready, Waker};
use crate::io::underlay::{RxBatch, TxScratch};
use crate::switch::PortId;
use crate::wire::mac::MacAddr;

/// What a worker is told between turns.
pub(crate) enum Command {
    /// Work with this picture from now on; `done` is told when the old one is no longer used.
    Swap {
        topology: Arc<Topology>,
        done: Sender<()>,
    },
    /// A frame enters the switch at a port.
    Inject { port: PortId, frame: Vec<u8> },
    /// Stations are to hear of neighbors; `done` is told when they have.
    Announce { news: News, done: Sender<()> },
    /// A capture begins; `done` is told when it has.
    Capture {
        slot: CaptureSlot,
        intake: Box<Intake>,
        done: Sender<()>,
    },
    /// It ends; `done` is told what was lost of it.
    EndCapture {
        slot: CaptureSlot,
        done: Sender<Lost>,
    },
    /// This sender has its tunnel now, or will get none.
    Answered(Stranger),
    /// End.
    Stop,
}

/// How a worker is reached, and what it reaches.
pub(crate) struct Posts {
    pub(crate) commands: CommandReceiver<Command>,
    /// Must be woken after every command.
    pub(crate) waker: Arc<Waker>,
    /// What waits for the keeper.
    pub(crate) parking: Parking,
}

/// What all workers and the control side share.
pub(crate) struct Shared {
    pub(crate) events: Arc<EventRing>,
    pub(crate) epoch: Instant,
    /// Workers stay awake for a moment after work, as long as that pays.
    pub(crate) spins: bool,
    pub(crate) meters: Box<[Meter]>,
    pub(crate) history: Arc<History>,
}

/// How busy a worker is.
#[derive(Default)]
pub(crate) struct Meter {
    pub(crate) turns: Counter,
    pub(crate) sleeps: Counter,
    /// Nanoseconds in which it neither slept nor spun.
    pub(crate) busy_ns: Counter,
    /// What it has counted at ports and networks that are no more; written by whoever takes them away.
    pub(crate) retired: PortCounters,
}

/// The worker.
pub(crate) struct Worker {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) topology: Arc<Topology>,
    pub(super) outbox: Outbox,
    /// Taken out while its datagrams are being looked at.
    pub(super) received: Option<RxBatch>,
    /// Frames of the packet port that is being read.
    pub(super) packets: PacketBatch,
    pub(super) send_scratch: TxScratch,
    /// Where a frame is finished in software for a port without offloads.
    pub(super) finish: Vec<u8>,
    pub(super) merges: Merges,
    pub(super) recorder: Recorder,
    pub(super) dropping: Dropping,
    /// Who the frame that entered last says it is from, before anything was changed.
    pub(super) source: Option<MacAddr>,
    pub(super) limiter: EventLimiter,
    pub(super) posts: Posts,
    poller: Poller,
    sources: Vec<Source>,
    spin: Spin,
    load: Load,
    next_tick: Instant,
}

/// What a worker waits for.
#[derive(Clone, Copy)]
enum Source {
    Commands,
    Port(PortId),
    Receiver(usize),
    /// The packet ring of a receiver.
    Ring(usize),
    SendErrors(usize),
    /// Word of routes and interfaces.
    Routes,
    /// What a memory underlay has instead of errors at sockets.
    Reports,
}

impl Worker {
    /// A worker that will see `topology`.
    pub(crate) fn new(
        index: usize,
        shared: Arc<Shared>,
        topology: Arc<Topology>,
        posts: Posts,
    ) -> Result<Self, crate::error::Error> {
        let next_tick = shared.epoch;
        let spin = Spin::new(shared.spins);
        let dropping = Dropping::new(index, shared.history.clone());
        let mut worker = Self {
            index,
            shared,
            topology,
            outbox: Outbox::new(),
            received: Some(RxBatch::new(BATCH_FRAMES, RECEIVE_LEN)),
            packets: PacketBatch::new(),
            send_scratch: TxScratch::new(),
            finish: Vec::new(),
            merges: Merges::default(),
            recorder: Recorder::new(index),
            dropping,
            source: None,
            limiter: EventLimiter::default(),
            posts,
            poller: Poller::new()?,
            sources: Vec::new(),
            spin,
            load: Load::default(),
            next_tick,
        };
        worker.watch_sources()?;
        Ok(worker)
    }

    /// Works until told to stop. A panic, which is a defect of ours, becomes one event.
    pub(crate) fn run(mut self) {
        let events = self.shared.clone();
        let index = self.index;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(move || self.work())) {
            let what = words_of(&*panic);
            events.events.push(Event::Fatal {
                detail: format!("worker {index}: {what}"),
            });
        }
    }

    fn work(&mut self) {
        let mut ready = Ready::with_capacity(READY);
        loop {
            let now = Instant::now();
            if let Some(worked) = self.load.works(now) {
                self.add_work(worked);
            }
            let busy = match self.turn(&ready, now) {
                Turn::Stopped => return,
                Turn::Busy => true,
                Turn::Idle => false,
            };
            if self.has_work(&mut ready)
                || (busy && self.spin.pays() && self.spin_for_work(&mut ready))
            {
                continue;
            }
            self.meter().sleeps.add(1);
            let now = Instant::now();
            let worked = self.load.rests(now);
            self.add_work(worked);
            let until_tick = self.next_tick.saturating_duration_since(now);
            self.wait(&mut ready, until_tick);
        }
    }

    /// Handles what is ready; the wait for it is the caller's.
    fn turn(&mut self, ready: &Ready, now: Instant) -> Turn {
        self.meter().turns.add(1);
        self.dropping.now_secs = self.secs(now);
        let mut busy = false;
        for event in ready.iter() {
            let Some(&source) = self.sources.get(event.token as usize) else {
                continue;
            };
            busy = true;
            match source {
                Source::Commands => {
                    self.posts.waker.drain();
                    if !self.obey(now) {
                        return Turn::Stopped;
                    }
                    // The sources may have been numbered anew; level-triggered polling reports the rest again.
                    break;
                }
                Source::Port(port) => self.serve_port(port, self.secs(now)),
                Source::Receiver(receiver) => self.serve_receiver(receiver, self.secs(now)),
                Source::Ring(receiver) if event.error => self.ring_trouble(receiver),
                Source::Ring(receiver) => self.serve_ring(receiver, self.secs(now)),
                Source::SendErrors(socket) if event.error => {
                    self.send_errors(socket, self.secs(now));
                }
                Source::SendErrors(_) => {}
                Source::Routes => self.routes_changed(),
                Source::Reports => self.memory_reports(self.secs(now)),
            }
        }
        self.tick(now);
        if busy { Turn::Busy } else { Turn::Idle }
    }

    /// Yields until something is ready or the spin runs out; whether something is.
    fn spin_for_work(&mut self, ready: &mut Ready) -> bool {
        let now = Instant::now();
        let worked = self.load.rests(now);
        self.add_work(worked);
        let deadline = now + Spin::LIMIT;
        let mut found = false;
        while !found && Instant::now() < deadline {
            std::thread::yield_now();
            found = self.has_work(ready);
        }
        self.spin.ended(found);
        found
    }

    fn add_work(&self, worked: Duration) {
        self.meter().busy_ns.add(worked.as_nanos() as u64);
    }

    fn obey(&mut self, now: Instant) -> bool {
        loop {
            match self.posts.commands.try_recv() {
                Ok(Command::Swap { topology, done }) => {
                    self.leave_packet_ports(&topology);
                    self.topology = topology;
                    self.recorder.look_at(&self.topology);
                    if let Err(error) = self.watch_sources() {
                        let detail = format!("worker {}: {error}", self.index);
                        self.shared.events.push(Event::Fatal { detail });
                    }
                    // Nobody listens any more if the control side gave up waiting.
                    let _ = done.send(());
                    self.unpark(self.secs(now));
                }
                Ok(Command::Inject { port, frame }) => self.inject(port, &frame, self.secs(now)),
                Ok(Command::Announce { news, done }) => self.announce(&news, &done),
                Ok(Command::Capture { slot, intake, done }) => {
                    self.recorder.add(slot, intake, &self.topology);
                    self.outbox.keeps_senders = true;
                    let _ = done.send(());
                }
                Ok(Command::EndCapture { slot, done }) => {
                    // Nobody listens any more if the writer gave up waiting.
                    let _ = done.send(self.recorder.remove(slot));
                    self.outbox.keeps_senders = self.recorder.is_on();
                }
                Ok(Command::Answered(stranger)) => self.answered(&stranger, self.secs(now)),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    /// Ages every FDB by a slice. One worker does it for all.
    fn tick(&mut self, now: Instant) {
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        self.limiter.tick();
        self.look_at_packet_ports();
        if self.index == 0 {
            for network in &self.topology.networks {
                network.bridge.fdb().age(self.secs(now), TICKS_PER_SEC);
            }
            self.shared.history.tick(unix_ms());
            self.look_at_rings();
            self.ask_routes();
            self.expire_paths(self.secs(now));
        }
    }

    /// Polls exactly what the topology has for this worker.
    fn watch_sources(&mut self) -> Result<(), crate::error::Error> {
        let mut watch = Watch::default();
        watch.add(self.posts.waker.as_fd(), Source::Commands);
        let topology = &self.topology;
        for port in topology.present_ports().filter(|p| !p.health.is_gone()) {
            match &port.io {
                // With several queues each worker has its own; with one the ports are dealt out.
                PortIo::Tap { tap, .. } if tap.queues.len() > 1 => {
                    if let Some(queue) = tap.queues.get(self.index) {
                        watch.add(queue.as_fd(), Source::Port(port.id));
                    }
                }
                PortIo::Tap { tap, .. } if self.owns(port.id) => {
                    watch.add(tap.queues[0].as_fd(), Source::Port(port.id));
                }
                PortIo::Packet { interface, .. } if self.owns(port.id) => {
                    watch.add(interface.socket.as_fd(), Source::Port(port.id));
                }
                PortIo::Memory { queue, .. } if self.owns(port.id) => {
                    watch.add(queue.inward.as_fd(), Source::Port(port.id));
                }
                PortIo::Tap { .. }
                | PortIo::Packet { .. }
                | PortIo::Memory { .. }
                | PortIo::Tunnel(_) => {}
            }
        }
        match &topology.underlay {
            Underlay::Udp {
                receivers,
                senders,
                injection,
            } => {
                for (i, receiver) in receivers.iter().enumerate() {
                    if let Some(socket) = receiver.sockets.get(self.index) {
                        watch.add(socket.as_fd(), Source::Receiver(i));
                    }
                }
                for (i, receiver) in receivers.iter().enumerate().filter(|_| self.index == 0) {
                    if let Some(ring) = &receiver.ring {
                        watch.add(ring.as_fd(), Source::Ring(i));
                    }
                }
                if let Some(injection) = injection.as_ref().filter(|_| self.index == 0) {
                    watch.add(injection.as_fd(), Source::Routes);
                }
                for (i, socket) in senders.sockets().enumerate().filter(|_| self.index == 0) {
                    watch.add(socket, Source::SendErrors(i));
                }
            }
            Underlay::Memory(memory) if self.index == 0 => {
                watch.add(memory.inward.as_fd(), Source::Receiver(0));
                watch.add(memory.reports.as_fd(), Source::Reports);
            }
            Underlay::Memory(_) => {}
        }
        self.poller.watch_exactly(&watch.descriptors)?;
        self.sources = watch.sources;
        Ok(())
    }

    pub(super) fn stop_watching(&self, fd: &impl AsFd) {
        self.poller.remove(fd);
    }

    /// Looks without waiting.
    fn has_work(&mut self, ready: &mut Ready) -> bool {
        self.wait(ready, Duration::ZERO);
        ready.iter().next().is_some()
    }

    fn wait(&mut self, ready: &mut Ready, timeout: Duration) {
        // It fails only for a bad descriptor of its own, which would be a defect of ours: told by the panic.
        #[expect(clippy::expect_used, reason = "see above")]
        self.poller
            .wait(ready, Some(timeout))
            .expect("epoll descriptor is open");
    }

    /// Whether this worker alone reads a port that has one queue.
    pub(super) fn owns(&self, port: PortId) -> bool {
        usize::from(port.get()) % self.shared.meters.len() == self.index
    }

    fn secs(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.shared.epoch).as_secs() as u32
    }

    fn meter(&self) -> &Meter {
        &self.shared.meters[self.index]
    }
}

/// What to poll: a source and its descriptor, at the same index.
#[derive(Default)]
struct Watch<'a> {
    descriptors: Vec<BorrowedFd<'a>>,
    sources: Vec<Source>,
}

impl<'a> Watch<'a> {
    fn add(&mut self, fd: BorrowedFd<'a>, source: Source) {
        self.descriptors.push(fd);
        self.sources.push(source);
    }
}

enum Turn {
    Busy,
    Idle,
    Stopped,
}

/// Lets each kind of event about each subject through once per ten seconds, answers once a minute.
#[derive(Default)]
pub(crate) struct EventLimiter {
    /// By kind, so that what one kind of trouble causes does not silence another.
    told: [HashMap<u64, u32>; KINDS],
    ticks: u32,
}

impl EventLimiter {
    /// Whether this event may be told now. `subject` is any number that identifies what it is about.
    pub(crate) fn admits(&mut self, kind: EventKind, subject: u64) -> bool {
        let told = &mut self.told[kind as usize];
        if told.len() >= MAX_REMEMBERED {
            return false;
        }
        match told.entry(subject) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(self.ticks);
                true
            }
        }
    }

    fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        let now = self.ticks;
        for (kind, told) in self.told.iter_mut().enumerate() {
            let ticks = match kind == EventKind::Answered as usize {
                true => ANSWERED_TICKS,
                false => TOLD_TICKS,
            };
            told.retain(|_, told| now.wrapping_sub(*told) < ticks);
        }
    }
}

/// Events that traffic can cause at will.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum EventKind {
    MacMoved,
    FdbFull,
    VniUnknown,
    SourceMacLocal,
    EcnOdd,
    IpConflict,
    /// A station is not learned.
    Refused,
    /// A question is answered.
    Answered,
}

/// What a panic says.
pub(super) fn words_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panic")
}

/// Descriptors reported per wait.
const READY: usize = 64;
const TICKS_PER_SEC: usize = 4;
const TICK: Duration = Duration::from_millis(1000 / TICKS_PER_SEC as u64);
const TOLD_TICKS: u32 = 10 * TICKS_PER_SEC as u32;
const ANSWERED_TICKS: u32 = 60 * TICKS_PER_SEC as u32;
const MAX_REMEMBERED: usize = 1024;
const KINDS: usize = EventKind::Answered as usize + 1;
/// Longest datagram: what 16 bits of UDP length can say.
const RECEIVE_LEN: usize = 65_536;
