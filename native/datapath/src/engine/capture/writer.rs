//! The thread of one capture: it takes what the workers wrote down and hands it to the reader.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::intake::{Intake, Lost};
use super::record::{RecordConsumer, record_rings};
use super::scribe::Scribe;
use super::session::Session;
use super::{BYTES, CaptureSlot, RECORDS};
use crate::engine::Inner;
use crate::engine::running::Crew;
use crate::engine::worker::Command;
use crate::io::Refusal;
use crate::io::poll::yield_to_others;
use crate::io::reader::{Reader, ReaderSocket};

/// What the thread needs.
pub(super) struct Writer {
    pub(super) session: Arc<Session>,
    pub(super) slot: CaptureSlot,
    pub(super) datapath: Weak<Inner>,
    pub(super) crew: Crew,
}

/// The stream to the reader.
struct Outlet {
    reader: Reader,
    /// Not yet written.
    pending: Vec<u8>,
    is_broken: bool,
}

impl Writer {
    /// Waits for the reader, then writes until the capture ends, and how much of it there was.
    pub(super) fn run(self, socket: ReaderSocket) {
        // Moving frames comes first where they compete for a CPU.
        yield_to_others();
        let Some(reader) = socket.accept(&self.session.end, READER_LIMIT) else {
            return;
        };
        let Some(view) = self.datapath.upgrade().and_then(|d| d.view.load_full()) else {
            return;
        };
        let mut scribe = Scribe::new(self.session.clone(), &view.topology);
        let mut outlet = Outlet::new(reader);
        scribe.begin(&view.topology, &mut outlet.pending);
        drop(view);
        let started = now();
        let mut rings = self.begin();
        self.session.is_running.store(true, Ordering::Relaxed);
        self.write(&mut rings, (&mut scribe, &mut outlet));
        let deadline = Instant::now() + LAST_LIMIT;
        for lost in self.end() {
            for (key, lost) in lost {
                scribe.lose(key, lost, &mut outlet.pending);
            }
        }
        // Nothing is added any more.
        let mut bytes = Vec::new();
        while !outlet.is_broken
            && Instant::now() < deadline
            && self.write_some(&mut rings, (&mut scribe, &mut outlet), &mut bytes)
        {
            outlet.write_all();
        }
        self.lose_the_rest(&mut rings, (&mut scribe, &mut outlet));
        if let Some(view) = self.datapath.upgrade().and_then(|d| d.view.load_full()) {
            scribe.look_at(&view.topology, &mut outlet.pending);
        }
        scribe.end(started, now(), &mut outlet.pending);
        outlet.write_all();
    }

    /// Counts what there was no time for.
    fn lose_the_rest(
        &self,
        rings: &mut [RecordConsumer],
        (scribe, outlet): (&mut Scribe, &mut Outlet),
    ) {
        let is_full = self.session.packets.load(Ordering::Relaxed) >= self.session.max_packets;
        let mut bytes = Vec::new();
        for ring in rings.iter_mut().filter(|_| !is_full) {
            while let Some(record) = ring.pop(&mut bytes) {
                scribe.lose(record.place_key(), 1, &mut outlet.pending);
                self.session.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Has every worker begin.
    fn begin(&self) -> Vec<RecordConsumer> {
        let workers = self.crew.len();
        let (done, dones) = channel();
        let rings = (0..workers).map(|worker| {
            let (producer, consumer) = record_rings(RECORDS / workers, BYTES / workers);
            let command = Command::Capture {
                slot: self.slot,
                intake: Box::new(Intake::new(self.session.clone(), producer)),
                done: done.clone(),
            };
            self.crew.tell(worker, command);
            consumer
        });
        let rings = rings.collect();
        drop(done);
        // A worker that ended by a defect drops its end, and says so in an event.
        while dones.recv_timeout(WORKER_LIMIT).is_ok() {}
        rings
    }

    /// Writes as it comes until the end.
    fn write(&self, rings: &mut [RecordConsumer], (scribe, outlet): (&mut Scribe, &mut Outlet)) {
        let mut bytes = Vec::new();
        loop {
            let is_filling = rings.iter().any(RecordConsumer::is_filling);
            let has_more = outlet.pending.len() < ENOUGH
                && self.write_some(rings, (&mut *scribe, &mut *outlet), &mut bytes);
            outlet.write();
            let pause = match (has_more, outlet.pending.is_empty(), is_filling) {
                (true, true, _) => Duration::ZERO,
                (_, _, true) => SHORT_PAUSE,
                _ => PAUSE,
            };
            let for_room = !outlet.pending.is_empty();
            let found = outlet.reader.wait(for_room, &self.session.end, pause);
            let is_full = self.session.packets.load(Ordering::Relaxed) >= self.session.max_packets;
            if found.has_ended || outlet.is_broken || is_full || self.session.is_ending() {
                return;
            }
        }
    }

    /// Takes a portion of what the workers wrote down, in order of time; whether there may be more.
    fn write_some(
        &self,
        rings: &mut [RecordConsumer],
        (scribe, outlet): (&mut Scribe, &mut Outlet),
        bytes: &mut Vec<u8>,
    ) -> bool {
        let session = &self.session;
        let before = outlet.pending.len();
        if let Some(datapath) = self.datapath.upgrade()
            && let Some(view) = datapath.view.load_full()
        {
            scribe.look_at(&view.topology, &mut outlet.pending);
        }
        let mut has_more = true;
        while outlet.pending.len() < before + PORTION {
            let oldest = rings
                .iter_mut()
                .filter_map(|ring| Some((ring.next_at()?, ring)))
                .min_by_key(|(at, _)| *at);
            let Some(record) = oldest.and_then(|(_, ring)| ring.pop(bytes)) else {
                has_more = false;
                break;
            };
            if session.packets.load(Ordering::Relaxed) < session.max_packets {
                scribe.write(&record, bytes, &mut outlet.pending);
                session.packets.fetch_add(1, Ordering::Relaxed);
            }
        }
        let written = outlet.pending.len() - before;
        session.bytes.fetch_add(written as u64, Ordering::Relaxed);
        has_more
    }

    /// Has every worker end; what each has lost.
    fn end(&self) -> Vec<Lost> {
        let (done, dones): (Sender<Lost>, _) = channel();
        for worker in 0..self.crew.len() {
            let (slot, done) = (self.slot, done.clone());
            self.crew.tell(worker, Command::EndCapture { slot, done });
        }
        drop(done);
        // A worker that ended by a defect drops its end, and says so in an event.
        let lost = (0..self.crew.len()).map_while(|_| dones.recv_timeout(WORKER_LIMIT).ok());
        lost.collect()
    }
}

impl Outlet {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            pending: Vec::new(),
            is_broken: false,
        }
    }

    /// Writes what fits.
    fn write(&mut self) {
        let mut written = 0;
        while written < self.pending.len() {
            match self.reader.write(&self.pending[written..]) {
                Ok(bytes) => written += bytes,
                Err(Refusal::WouldBlock) => break,
                Err(_) => {
                    self.is_broken = true;
                    written = self.pending.len();
                }
            }
        }
        self.pending.drain(..written);
    }

    /// Writes everything, unless the reader takes nothing for a while.
    fn write_all(&mut self) {
        self.write();
        while !self.pending.is_empty() {
            if !self.reader.wait_for_room(STALL_LIMIT) {
                self.is_broken = true;
                return;
            }
            self.write();
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_nanos() as u64)
}

/// How long a reader is awaited.
const READER_LIMIT: Duration = Duration::from_secs(10);
/// How long what is left is written when the capture ends; what is left then is lost.
const LAST_LIMIT: Duration = Duration::from_secs(2);
/// How long a reader may take nothing then.
const STALL_LIMIT: Duration = Duration::from_secs(1);
const WORKER_LIMIT: Duration = Duration::from_secs(5);
/// While there is nothing.
const PAUSE: Duration = Duration::from_millis(20);
/// While there is much.
const SHORT_PAUSE: Duration = Duration::from_millis(1);
/// Bytes that wait for the reader before the rings are left alone.
const ENOUGH: usize = 256 * 1024;
/// Bytes that are made at once.
const PORTION: usize = 64 * 1024;
