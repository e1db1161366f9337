//! Captures: what the switch sees, and what becomes of it, as pcapng to somebody who reads.
//!
//! ```text
//! worker --(records, bytes: bounded rings)--> writer thread --(unix socket)--> reader
//! ```
//!
//! A worker writes down facts, without a system call, a lock or a wait; what the rings have no room for is lost and
//! counted. One thread per capture makes words and blocks of them and writes them to the reader, who may be as slow as
//! he likes. A capture keeps at most [`BYTES`] bytes and [`RECORDS`] records for him, all workers together.
//!
//! The reader connects to a unix socket: Node cannot hand a descriptor over, so we write to one that we got ourselves.
//! He is awaited for ten seconds; packets before he has come are not taken. A capture ends when the reader goes or shuts
//! down his side, when it is told to, when it has as many packets as it was to have, and when the datapath stops. But
//! for a reader that is gone, Interface Statistics Blocks then say of each interface what was lost on the way to the
//! reader, and in comments `REASON: N frames` what was dropped there, as the counters say.
//!
//! # What is taken
//!
//! Each frame once, where it entered the switch, with what the switch said of it; and each copy that was dropped, at the
//! port where that is counted; and what this host made, where it left. With a port or a VTEP named: all that enters and
//! leaves there instead. Frames are as they came, or as they left; a superframe is one packet. So are, to a capture of
//! frames alone, those that leave together to a local port as one superframe (`superframes.rs`).
//!
//! Datagrams (`outer`, `both`) are taken where they come and go; with a port named, those whose frame entered there or
//! goes there. What no tunnel got is a datagram whatever the side. One epb_packetid is common to a frame, its copies and
//! its datagrams.
//!
//! The filter is about the frame as it entered, also for its copies and datagrams; about a superframe as it is.

mod departures;
mod entering;
mod envelope;
mod handle;
mod intake;
mod leaving;
mod names;
mod record;
mod recorder;
mod scope;
mod scribe;
mod session;
mod statistics;
mod superframes;
mod verdict;
mod words;
mod writer;

pub(super) use departures::Departures;
pub(super) use intake::{Intake, Lost};
pub(super) use leaving::Leaving;
pub(super) use record::{Envelope, Fate, Mark};
pub(super) use recorder::Recorder;
pub(super) use session::CaptureFilter;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use super::Inner;
use super::running::Crew;
use super::topology::Topology;
use crate::error::{Error, ErrorCode};
use crate::filter::Compiler;
use crate::io::reader::ReaderSocket;
use session::Session;
use writer::Writer;

/// What a capture takes; what is absent restricts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureSpec {
    /// Name of a network.
    pub network: Option<String>,
    /// Name of a local port.
    pub port: Option<String>,
    /// Address of a VTEP.
    pub peer: Option<IpAddr>,
    /// Frames, datagrams, or both.
    pub side: Side,
    /// Only what is dropped.
    pub drops_only: bool,
    /// About the frame, in libpcap's syntax.
    pub filter: Option<String>,
    /// The capture ends by itself after so many packets.
    pub max_packets: Option<u64>,
    /// Bytes kept of each packet.
    pub snaplen: u32,
    /// Where the reader is awaited; nothing may be there.
    pub socket: PathBuf,
}

/// On which side of encapsulation packets are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// Frames.
    #[default]
    Inner,
    /// The datagrams around them.
    Outer,
    /// Both.
    Both,
}

impl Side {
    fn has_inner(self) -> bool {
        self != Self::Outer
    }

    fn has_outer(self) -> bool {
        self != Self::Inner
    }
}

/// A capture that runs, or waits for its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureStatus {
    /// Its number; none is used twice.
    pub id: u32,
    /// Who made the filter's program, if there is a filter.
    pub compiler: Option<Compiler>,
    /// The reader has come.
    pub is_running: bool,
    /// Written, or on the way to the reader.
    pub packets: u64,
    /// For which there was no room.
    pub lost: u64,
    /// Of pcapng.
    pub bytes: u64,
}

/// The captures of a datapath.
#[derive(Default)]
pub(super) struct Captures(Mutex<Registry>);

#[derive(Default)]
struct Registry {
    running: [Option<Running>; MAX_CAPTURES],
    last_id: u32,
}

struct Running {
    session: Arc<Session>,
    writer: JoinHandle<()>,
}

impl Captures {
    /// Begins a capture at these workers, which have this picture until [`look_at`](Self::look_at) says otherwise.
    ///
    /// Errors: `TOO_MANY_CAPTURES`, `BAD_VALUE` for a snaplen of 0, and as [`ReaderSocket::bind`].
    pub(super) fn begin(
        &self,
        (spec, filter): (&CaptureSpec, Option<CaptureFilter>),
        topology: &Topology,
        (datapath, crew): (Weak<Inner>, Crew),
    ) -> Result<CaptureStatus, Error> {
        if spec.snaplen == 0 {
            return Err(Error::new(ErrorCode::BadValue, "snaplen").with_detail("0 bytes"));
        }
        let mut registry = self.registry();
        let Some(slot) = registry.free_slot() else {
            let detail = format!("{MAX_CAPTURES} captures run");
            return Err(Error::new(ErrorCode::TooManyCaptures, "capture").with_detail(detail));
        };
        let id = registry.last_id + 1;
        let session = Arc::new(Session::new(id, spec, filter)?);
        session.names().look_at(topology);
        let socket = ReaderSocket::bind(&spec.socket)?;
        let writer = Writer {
            session: session.clone(),
            slot,
            datapath,
            crew,
        };
        let writer = std::thread::Builder::new()
            .name(format!("capture-{id}"))
            .spawn(move || writer.run(socket))
            .map_err(|error| {
                let errno = error.raw_os_error().unwrap_or(0);
                Error::from_syscall(ErrorCode::NoFiles, "capture", "clone", errno)
            })?;
        let status = session.status();
        registry.last_id = id;
        registry.running[slot.index()] = Some(Running { session, writer });
        Ok(status)
    }

    /// There will be a new picture. To be called before any worker has it, so that nothing is captured at a port that has
    /// no name yet.
    pub(super) fn look_at(&self, topology: &Topology) {
        for running in self.registry().running.iter().flatten() {
            running.session.names().look_at(topology);
        }
    }

    /// Those that run.
    pub(super) fn list(&self) -> Vec<CaptureStatus> {
        let registry = self.registry();
        let running = registry.running.iter().flatten();
        let running = running.filter(|r| !r.writer.is_finished());
        let mut list: Vec<_> = running.map(|r| r.session.status()).collect();
        list.sort_by_key(|status| status.id);
        list
    }

    /// Ends one soon; whether there is one of this number.
    pub(super) fn end(&self, id: u32) -> bool {
        let registry = self.registry();
        let mut running = registry.running.iter().flatten();
        let found = running.find(|r| r.session.id == id && !r.writer.is_finished());
        found.inspect(|r| r.session.ask_to_end()).is_some()
    }

    /// Ends all, and returns when they have. The workers must be there still.
    pub(super) fn end_all(&self) {
        let running = std::mem::take(&mut self.registry().running);
        for running in running.iter().flatten() {
            running.session.ask_to_end();
        }
        for running in running.into_iter().flatten() {
            // Its own defect would have been told by the panic itself.
            let _ = running.writer.join();
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Every change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn free_slot(&mut self) -> Option<CaptureSlot> {
        let is_over = |r: &Running| r.writer.is_finished();
        let free = |r: &Option<Running>| r.as_ref().is_none_or(is_over);
        let index = self.running.iter().position(free)?;
        Some(CaptureSlot(index as u8))
    }
}

/// The place of a capture among those that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CaptureSlot(u8);

impl CaptureSlot {
    fn index(self) -> usize {
        usize::from(self.0)
    }

    fn bit(self) -> u8 {
        1 << self.0
    }

    /// Those whose bit is set.
    fn among(mut bits: u8) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let slot = (bits != 0).then(|| Self(bits.trailing_zeros() as u8))?;
            bits &= !slot.bit();
            Some(slot)
        })
    }
}

/// How many there may be at once.
const MAX_CAPTURES: usize = 8;
/// Kept for the reader.
const BYTES: usize = 16 * 1024 * 1024;
/// Kept for the reader.
const RECORDS: usize = 32 * 1024;
