//! TAPs that others made and handed over: they wait on a shelf for their ports, and go when their containers end.
//!
//! ```text
//! at the counter --handed over--> waiting --apply with its ticket--> in use
//!    | too slow, or no TAP           | its guest goes, or a minute      | the port goes, or the container ends
//!    v                               v                                  v
//!   gone                            gone                               gone
//! ```
//! An open TAP keeps its network namespace alive, so nothing but the container's process says that it has ended. A
//! thread of its own (`desk`) waits for that, and at the counter. What strangers can make hang is done by others
//! (`errands`).

mod desk;
mod errands;
mod shelf;

pub(super) use shelf::Shelf;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::Inner;
use super::apply::taps;
use super::port_end;
use super::topology::{Port, PortIo};
use crate::config::{EngineSpec, PortKind};
use crate::error::{Error, ErrorCode};
use crate::io::handover::{Counter, Wanted};
use crate::io::poll::Waker;
use desk::Desk;

/// What a TAP must be like for an engine with so many workers.
pub(super) fn wanted(engine: &EngineSpec, workers: usize) -> Wanted {
    Wanted {
        queues: u8::try_from(taps::queues(engine, workers))
            .map_or(MAX_QUEUES, |n| n.min(MAX_QUEUES)),
        vnet_hdr: engine.features.vnet_hdr,
    }
}

/// The thread at the counter. Dropped, it takes nothing any more, the path is gone, and it is about to end: closing what
/// strangers have sent is not waited for.
pub(super) struct Reception {
    waker: Arc<Waker>,
    is_over: Arc<AtomicBool>,
    /// Nothing is ever sent: the other end goes when the work is done.
    done: Receiver<()>,
}

impl Reception {
    /// Opens the counter at `path`. Errors: `IO`, `NO_FILES`.
    pub(super) fn open(path: &Path, wanted: Wanted, inner: &Arc<Inner>) -> Result<Self, Error> {
        let waker = Arc::new(Waker::new()?);
        let is_over = Arc::new(AtomicBool::new(false));
        let desk = Desk::new(
            (Counter::open(path)?, wanted),
            (waker.clone(), is_over.clone()),
            Arc::downgrade(inner),
        )?;
        let (working, done) = channel();
        std::thread::Builder::new()
            .name("handover".into())
            .spawn(move || desk.run(working))
            .map_err(|_| Error::new(ErrorCode::NoFiles, "thread"))?;
        inner.shelf.look_after(waker.clone());
        Ok(Self {
            waker,
            is_over,
            done,
        })
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.waker.wake();
        // Fails as soon as the other end is gone.
        let _ = self.done.recv();
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
            let detail = "its container has ended".to_string();
            port_end::tell((&topology, port), detail, (&self.history, &self.events));
        }
    }
}

fn ticket_of(kind: &PortKind) -> Option<&str> {
    match kind {
        PortKind::Tap(place) => place.handover.as_deref(),
        PortKind::Packet(_) | PortKind::Memory => None,
    }
}

const MAX_QUEUES: u8 = 64;
