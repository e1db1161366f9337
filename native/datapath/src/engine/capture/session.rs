//! What a capture was told and how it fares: shared by workers, writer and control side.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::names::Names;
use super::record::{Envelope, Form};
use super::scope::Selection;
use super::{CaptureSpec, CaptureStatus};
use crate::engine::capture_filter;
use crate::error::{Error, ErrorCode};
use crate::filter::Filter;
use crate::io::poll::Waker;
use crate::wire::ethernet;

/// A filter as it was given, and compiled.
pub(in crate::engine) struct CaptureFilter {
    text: String,
    filter: Filter,
}

impl CaptureFilter {
    /// May take long: names in it are looked up. So nothing may be locked meanwhile. Errors: `BAD_FILTER`.
    pub(in crate::engine) fn compile(text: &str) -> Result<Self, Error> {
        let filter = capture_filter::compile(text)
            .map_err(|words| Error::new(ErrorCode::BadFilter, text).with_detail(words))?;
        let text = text.to_owned();
        Ok(Self { text, filter })
    }
}

/// A capture.
pub(in crate::engine) struct Session {
    pub(super) id: u32,
    pub(super) selection: Selection,
    pub(super) drops_only: bool,
    filter: Option<CaptureFilter>,
    names: Mutex<Names>,
    pub(super) snaplen: u32,
    pub(super) max_packets: u64,
    pub(super) packets: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) is_running: AtomicBool,
    /// Woken once: it shall end.
    pub(super) end: Waker,
    pub(super) is_ending: AtomicBool,
}

impl Session {
    /// Errors: `NO_FILES`.
    pub(super) fn new(
        id: u32,
        spec: &CaptureSpec,
        filter: Option<CaptureFilter>,
    ) -> Result<Self, Error> {
        Ok(Self {
            id,
            selection: Selection {
                network: spec.network.clone(),
                port: spec.port.clone(),
                peer: spec.peer,
                side: spec.side,
            },
            drops_only: spec.drops_only,
            filter,
            names: Mutex::default(),
            snaplen: spec.snaplen,
            max_packets: spec.max_packets.unwrap_or(u64::MAX),
            packets: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            is_running: AtomicBool::new(false),
            end: Waker::new()?,
            is_ending: AtomicBool::new(false),
        })
    }

    /// What ports are called. Locked for moments only.
    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        // Whoever panicked left whole names behind.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the capture end soon. Any number of times.
    pub(super) fn ask_to_end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.end.wake();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// The filter as it was given.
    pub(super) fn filter_text(&self) -> Option<&str> {
        self.filter.as_ref().map(|f| f.text.as_str())
    }

    /// Whether the frame of `len` bytes, which begins with these, is of those that are wanted; of what is none nothing
    /// can be said.
    pub(super) fn matches(&self, frame: &[u8], len: u32) -> bool {
        match &self.filter {
            None => true,
            Some(CaptureFilter { filter, .. }) => {
                frame.len() >= ethernet::HEADER_LEN && filter.matches(frame, len)
            }
        }
    }

    /// Bytes that are kept of a packet, not counting headers that are made later.
    pub(super) fn kept_of(&self, form: Form) -> u32 {
        match form {
            Form::Frame | Form::Packet => self.snaplen,
            Form::Datagram(envelope) => {
                let headers = Envelope::header_len(&envelope) as u32;
                self.snaplen.saturating_sub(headers)
            }
        }
    }

    pub(super) fn status(&self) -> CaptureStatus {
        CaptureStatus {
            id: self.id,
            compiler: self.filter.as_ref().map(|f| f.filter.compiler()),
            is_running: self.is_running.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
