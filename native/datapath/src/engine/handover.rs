//! TAPs that others made and handed over: they wait on a shelf for their ports, and go when their containers end.
//!
//! ```text
//! at the counter --handed over--> waiting --apply with its ticket--> in use
//!    | too slow, or no TAP           | its guest goes, or a minute      | the port goes, or the container ends
//!    v                               v                                  v
//!   gone                            gone                               gone
//! ```
//! An open TAP keeps its network namespace alive, so nothing but the container's process says that it has ended. A
//! thread of its own waits for that, and at the counter.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Inner;
use super::apply::taps;
use super::history::{Happening, Place};
use super::topology::{Port, PortIo, Topology};
use crate::config::{Desired, EngineSpec, PortKind};
use crate::error::{Error, ErrorCode};
use crate::event::{Event, unix_ms};
use crate::io::handover::{Answer, Counter, Device, Guest, Handed, Process, Ticket, Wanted};
use crate::io::poll::{Poller, Ready, Waker};
use crate::io::tap::{Tap, TapSpec};

/// What a TAP must be like for an engine with so many workers.
pub(super) fn wanted(engine: &EngineSpec, workers: usize) -> Wanted {
    Wanted {
        queues: u8::try_from(taps::queues(engine, workers))
            .map_or(MAX_QUEUES, |n| n.min(MAX_QUEUES)),
        vnet_hdr: engine.features.vnet_hdr,
    }
}

/// What was handed over, by its ticket. Any thread may use it; only the reception takes something away, because it
/// has to stop watching it first.
#[derive(Default)]
pub(super) struct Shelf {
    items: Mutex<HashMap<Ticket, Item>>,
    /// Of the reception, while there is one.
    waker: Mutex<Option<Arc<Waker>>>,
}

struct Item {
    process: Process,
    /// Under which the reception waits for the process.
    token: u64,
    stage: Stage,
}

impl Item {
    /// Whether readiness of this token is its end.
    fn is_watched_by(&self, token: u64) -> bool {
        let of_guest = matches!(&self.stage, Stage::Waiting(w) if w.guest_token == token);
        of_guest || self.token == token
    }
}

enum Stage {
    /// Its port may come.
    Waiting(Waiting),
    /// The descriptors are a port's.
    InUse,
    /// Nobody wants it any more.
    Over,
}

struct Waiting {
    device: Device,
    /// Whoever handed it over stays until its port has come: if he goes before, nobody wants it.
    guest: Guest,
    guest_token: u64,
    until: Instant,
}

impl Shelf {
    /// The TAP of this ticket, with descriptors of its own. It stays on the shelf too, for an apply that fails. Errors:
    /// `HANDOVER_GONE`, and as [`Tap::of_handed`].
    pub(super) fn tap(&self, ticket: &str, spec: &TapSpec) -> Result<Tap, Error> {
        let items = self.items();
        let found = Ticket::parse(ticket).and_then(|ticket| items.get(&ticket));
        match found.map(|item| &item.stage) {
            Some(Stage::Waiting(waiting)) => Tap::of_handed(spec, &waiting.device),
            _ => Err(Error::new(ErrorCode::HandoverGone, &spec.ifname)),
        }
    }

    /// Ports have their TAPs now, and those that are no more need none. Returns tickets of ports whose containers have
    /// ended meanwhile.
    pub(super) fn keep_for(&self, desired: &Desired) -> Vec<String> {
        let ports = desired.networks.iter().flat_map(|n| &n.ports);
        let wanted: Vec<&String> = ports
            .filter_map(|port| match &port.kind {
                PortKind::Tap(place) => place.handover.as_ref(),
                PortKind::Packet(_) | PortKind::Memory => None,
            })
            .collect();
        let mut items = self.items();
        let mut used = HashSet::new();
        let mut ended = Vec::new();
        for text in wanted {
            match Ticket::parse(text).and_then(|t| Some((t, items.get_mut(&t)?))) {
                Some((ticket, item)) => {
                    item.stage = Stage::InUse;
                    used.insert(ticket);
                }
                None => ended.push(text.clone()),
            }
        }
        for (ticket, item) in items.iter_mut() {
            if matches!(item.stage, Stage::InUse) && !used.contains(ticket) {
                item.stage = Stage::Over;
            }
        }
        drop(items);
        if let Some(waker) = &*self.waker() {
            waker.wake();
        }
        ended
    }

    fn items(&self) -> MutexGuard<'_, HashMap<Ticket, Item>> {
        // Each change leaves whole items behind.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waker(&self) -> MutexGuard<'_, Option<Arc<Waker>>> {
        // Replaced whole.
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread at the counter. Dropped, it has ended.
pub(super) struct Reception {
    waker: Arc<Waker>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reception {
    /// Opens the counter at `path`. Errors: `IO`, `NO_FILES`.
    pub(super) fn open(path: &Path, wanted: Wanted, inner: Weak<Inner>) -> Result<Self, Error> {
        let counter = Counter::open(path)?;
        let (waker, poller) = (Arc::new(Waker::new()?), Poller::new()?);
        poller.add(&*waker, WAKER)?;
        poller.add(&counter, COUNTER)?;
        if let Some(inner) = inner.upgrade() {
            *inner.shelf.waker() = Some(waker.clone());
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let desk = Desk {
            counter,
            wanted,
            poller,
            waker: waker.clone(),
            is_over: is_over.clone(),
            inner,
            guests: HashMap::new(),
            next_token: COUNTER + 1,
        };
        let thread = std::thread::Builder::new()
            .name("handover".into())
            .spawn(move || desk.serve())
            .map_err(|_| Error::new(ErrorCode::NoFiles, "thread"))?;
        Ok(Self {
            waker,
            is_over,
            thread: Some(thread),
        })
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Desk {
    counter: Counter,
    wanted: Wanted,
    poller: Poller,
    waker: Arc<Waker>,
    is_over: Arc<AtomicBool>,
    inner: Weak<Inner>,
    /// By token, and until when they may stay.
    guests: HashMap<u64, (Guest, Instant)>,
    next_token: u64,
}

impl Desk {
    fn serve(mut self) {
        let mut ready = Ready::with_capacity(MAX_GUESTS);
        while !self.is_over.load(Ordering::Relaxed) {
            if self.poller.wait(&mut ready, Some(LOOK_INTERVAL)).is_err() {
                return;
            }
            let Some(inner) = self.inner.upgrade() else {
                return;
            };
            for event in ready.iter() {
                match event.token {
                    WAKER => self.waker.drain(),
                    COUNTER => self.admit(),
                    token => self.attend(&inner, token),
                }
            }
            self.tidy(&inner, Instant::now());
        }
    }

    fn admit(&mut self) {
        if self.guests.len() >= MAX_GUESTS {
            return self.counter.turn_away();
        }
        if let Some(guest) = self.counter.admit(self.wanted) {
            let token = self.token();
            if self.poller.add(&guest, token).is_ok() {
                self.guests
                    .insert(token, (guest, Instant::now() + GUEST_PATIENCE));
            }
        }
    }

    /// A guest has sent something or gone, or a process has ended.
    fn attend(&mut self, inner: &Inner, token: u64) {
        if let Some((guest, _)) = self.guests.remove(&token) {
            match guest.receive() {
                Ok(handed) => self.shelve(&inner.shelf, (guest, token), handed),
                Err(answer) => self.dismiss(&guest, answer),
            }
            return;
        }
        let mut items = inner.shelf.items();
        let ended = items.iter().find(|(_, item)| item.is_watched_by(token));
        if let Some(ticket) = ended.map(|(ticket, _)| *ticket) {
            let item = items.remove(&ticket);
            drop(items);
            self.end(inner, ticket, item);
        }
    }

    fn shelve(&mut self, shelf: &Shelf, (guest, guest_token): (Guest, u64), handed: Handed) {
        let mut items = shelf.items();
        let is_waiting = |item: &&Item| matches!(item.stage, Stage::Waiting(_));
        if items.values().filter(is_waiting).count() >= MAX_WAITING {
            return self.dismiss(&guest, Answer::Full);
        }
        let Handed { device, process } = handed;
        let token = self.token();
        if let Process::Watched(descriptor) = &process
            && self.poller.add(descriptor, token).is_err()
        {
            return self.dismiss(&guest, Answer::Malformed);
        }
        guest.answer(Answer::Taken);
        let ticket = guest.ticket;
        let stage = Stage::Waiting(Waiting {
            device,
            guest,
            guest_token,
            until: Instant::now() + PORT_PATIENCE,
        });
        let item = Item {
            process,
            token,
            stage,
        };
        items.insert(ticket, item);
    }

    fn dismiss(&self, guest: &Guest, answer: Answer) {
        guest.answer(answer);
        self.poller.remove(guest);
    }

    /// Sends away who is too slow, and gives up what nobody wants or has ended.
    fn tidy(&mut self, inner: &Inner, now: Instant) {
        let poller = &self.poller;
        self.guests.retain(|_, (guest, until)| {
            let may_stay = now < *until;
            if !may_stay {
                poller.remove(guest);
            }
            may_stay
        });
        let over: Vec<_> = {
            let mut items = inner.shelf.items();
            let is_over = |_: &Ticket, item: &mut Item| match &item.stage {
                Stage::Over => true,
                Stage::Waiting(waiting) if now >= waiting.until => true,
                _ => item.process.is_missing(),
            };
            items.extract_if(is_over).collect()
        };
        for (ticket, item) in over {
            self.end(inner, ticket, Some(item));
        }
    }

    fn end(&self, inner: &Inner, ticket: Ticket, item: Option<Item>) {
        let Some(item) = item else { return };
        if let Process::Watched(descriptor) = &item.process {
            // Before it is closed: others may have it open, and then it would stay in the set.
            self.poller.remove(descriptor);
        }
        match &item.stage {
            Stage::Waiting(waiting) => self.poller.remove(&waiting.guest),
            Stage::InUse => inner.container_ended(&ticket.to_string()),
            Stage::Over => {}
        }
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }
}

impl Inner {
    /// The container of the port with this ticket is no more, so the port cannot come back.
    pub(super) fn container_ended(&self, ticket: &str) {
        let Some(topology) = self.topology() else {
            return;
        };
        let is_its = |port: &&Port| matches!(&port.io, PortIo::Tap { spec, .. } if ticket_of(&spec.kind) == Some(ticket));
        if let Some(port) = topology.present_ports().find(is_its)
            && port.health.mark_gone()
        {
            tell_end(&topology, port, self);
        }
    }
}

fn tell_end(topology: &Topology, port: &Port, inner: &Inner) {
    let fdb = topology.networks[port.network].bridge.fdb();
    fdb.flush(|entry| entry.port == port.id);
    let detail = "its container has ended".to_string();
    let happening = Happening::PortDown {
        detail: Some(detail.clone()),
    };
    inner
        .history
        .record(unix_ms(), Place::of(topology, port), happening);
    inner.events.push(Event::PortGone {
        port: port.name.to_string(),
        detail,
    });
}

fn ticket_of(kind: &PortKind) -> Option<&str> {
    match kind {
        PortKind::Tap(place) => place.handover.as_deref(),
        PortKind::Packet(_) | PortKind::Memory => None,
    }
}

const WAKER: u64 = 0;
const COUNTER: u64 = 1;
const MAX_QUEUES: u8 = 64;
/// Who may be at the counter at once, and how long.
const MAX_GUESTS: usize = 16;
const GUEST_PATIENCE: Duration = Duration::from_secs(10);
/// How many TAPs may wait for their ports, and how long.
const MAX_WAITING: usize = 64;
const PORT_PATIENCE: Duration = Duration::from_secs(60);
/// How often what tells nothing by itself is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
