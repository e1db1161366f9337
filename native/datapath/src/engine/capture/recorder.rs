//! What a worker does for captures: it knows what entered until its fate is known, and writes down what is wanted.
//!
//! With no capture running every call is one test of one byte. What entered is copied when it is written down, from
//! where it lies; earlier only if it is about to be changed there.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::entering::Entering;
use super::intake::{Intake, Lost};
use super::record::{Envelope, Fate, Form, Mark, Place, Record};
use super::{CaptureSlot, MAX_CAPTURES};
use crate::engine::topology::{Port, Topology};
use crate::switch::PortId;
use crate::wire::vxlan;

/// A worker's part in all captures.
pub(in crate::engine) struct Recorder {
    pub(super) intakes: [Option<Box<Intake>>; MAX_CAPTURES],
    /// The slots in use, one bit each.
    pub(super) on: u8,
    /// Those of them that have a filter.
    filtered: u8,
    /// That want only what is dropped.
    drops_only: u8,
    /// That take datagrams.
    pub(super) outer: u8,
    /// Nanoseconds since 1970, when the batch began.
    pub(super) now: u64,
    /// Of the frame that came last.
    last_id: u64,
    pub(super) entering: Entering,
    /// Where what lies in pieces is put together.
    pub(super) joined: Vec<u8>,
}

impl Recorder {
    /// Of the worker with this number.
    pub(in crate::engine) fn new(worker: usize) -> Self {
        Self {
            intakes: std::array::from_fn(|_| None),
            on: 0,
            filtered: 0,
            drops_only: 0,
            outer: 0,
            now: 0,
            last_id: (worker as u64) << WORKER_SHIFT,
            entering: Entering {
                mark: Mark::NONE,
                form: Form::Frame,
                len: 0,
                is_secured: false,
                bytes: Vec::new(),
            },
            joined: Vec::new(),
        }
    }

    /// Whether any capture runs.
    #[inline]
    pub(in crate::engine) fn is_on(&self) -> bool {
        self.on != 0
    }

    /// A capture begins.
    pub(in crate::engine) fn add(
        &mut self,
        slot: CaptureSlot,
        mut intake: Box<Intake>,
        topology: &Topology,
    ) {
        intake.look_at(topology);
        let session = &intake.session;
        let bit_if = |is_so: bool| if is_so { slot.bit() } else { 0 };
        self.filtered |= bit_if(session.filter_text().is_some());
        self.drops_only |= bit_if(session.drops_only);
        self.outer |= bit_if(session.selection.side.has_outer());
        self.intakes[slot.index()] = Some(intake);
        self.on |= slot.bit();
    }

    /// A capture ends; what was lost of it.
    pub(in crate::engine) fn remove(&mut self, slot: CaptureSlot) -> Lost {
        for bits in [
            &mut self.on,
            &mut self.filtered,
            &mut self.drops_only,
            &mut self.outer,
        ] {
            *bits &= !slot.bit();
        }
        let intake = self.intakes[slot.index()].take();
        intake.map_or_else(Lost::new, |intake| intake.finish())
    }

    /// There is a new picture.
    pub(in crate::engine) fn look_at(&mut self, topology: &Topology) {
        for intake in self.intakes.iter_mut().flatten() {
            intake.look_at(topology);
        }
    }

    /// A batch begins: what is seen in it is seen at this moment.
    #[inline]
    pub(in crate::engine) fn begin_batch(&mut self) {
        if self.is_on() {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            self.now = since.map_or(0, |d| d.as_nanos() as u64);
        }
    }

    /// A frame enters at a port.
    #[inline]
    pub(in crate::engine) fn frame_enters(&mut self, port: &Port, frame: &[u8]) -> Mark {
        if !self.is_on() {
            return Mark::NONE;
        }
        self.enter(Form::Frame, frame);
        self.entered_at(port)
    }

    /// A datagram came. Where to is not known yet.
    #[inline]
    pub(in crate::engine) fn datagram_arrives(
        &mut self,
        payload: &[u8],
        envelope: impl FnOnce() -> Envelope,
    ) {
        if self.is_on() {
            self.enter(Form::Datagram(envelope()), payload);
        }
    }

    /// A packet came from the underlay that is no datagram.
    #[inline]
    pub(in crate::engine) fn packet_arrives(&mut self, packet: &[u8]) {
        if self.is_on() {
            self.enter(Form::Packet, packet);
        }
    }

    /// The datagram that arrived came by this tunnel, so its frame enters there.
    #[inline]
    pub(in crate::engine) fn arrived_by(&mut self, tunnel: &Port) -> Mark {
        if self.is_on() {
            self.entered_at(tunnel)
        } else {
            Mark::NONE
        }
    }

    /// This host made a frame.
    #[inline]
    pub(in crate::engine) fn frame_is_made(&mut self, frame: &[u8]) -> Mark {
        match self.is_on() {
            true => Mark {
                id: self.fresh_id(),
                matched: self.matching(self.on, frame, frame.len() as u32),
                ..Mark::NONE
            },
            false => Mark::NONE,
        }
    }

    /// What entered is about to be changed where it lies, which is `bytes`.
    #[inline]
    pub(in crate::engine) fn secure(&mut self, bytes: &[u8]) {
        if self.entering.mark.wanted() & self.on != 0 && !self.entering.is_secured {
            self.copy(bytes);
        }
    }

    /// What entered at `place` has met this fate. `targets` are the ports that it is sent to; `bytes` is where it lies.
    #[inline]
    pub(in crate::engine) fn decide(
        &mut self,
        (place, frames): (PortId, u64),
        (fate, targets): (Fate, &[PortId]),
        bytes: &[u8],
    ) {
        if self.entering.mark.wanted() & self.on != 0 {
            self.judge(bytes);
            self.write_decided((place, frames), (fate, targets), bytes);
        }
    }

    pub(super) fn write_decided(
        &mut self,
        (place, frames): (PortId, u64),
        (fate, targets): (Fate, &[PortId]),
        bytes: &[u8],
    ) {
        let Entering { mark, form, .. } = self.entering;
        for slot in CaptureSlot::among(mark.matched & self.on) {
            let Some(intake) = &self.intakes[slot.index()] else {
                continue;
            };
            let at = intake.scope.at(place);
            let side = intake.selection().side;
            let goes_to_named = || {
                let mut targets = targets.iter();
                targets.any(|&target| intake.scope.at(target).is_named)
            };
            let is_frame = side.has_inner() && at.enters;
            let is_datagram = side.has_outer()
                && matches!(form, Form::Datagram(_))
                && (at.enters || goes_to_named());
            let place = Place::Port(place);
            if is_frame {
                self.write_entering(slot, (place, frames), (fate, Form::Frame), bytes);
            }
            if is_datagram {
                self.write_entering(slot, (place, frames), (fate, form), bytes);
            }
        }
        self.entering.mark = Mark::NONE;
    }

    /// What arrived was refused before it had a tunnel; of the network with this index, if that is known. `bytes` is
    /// where it lies.
    #[inline]
    pub(in crate::engine) fn refuse(
        &mut self,
        fate: Fate,
        (network, datagrams): (Option<usize>, u64),
        bytes: &[u8],
    ) {
        if self.is_on() {
            self.write_refused(fate, (network, datagrams), bytes);
        }
    }

    fn enter(&mut self, form: Form, bytes: &[u8]) {
        // Frames of datagrams may be merged, and what is merged is judged as one.
        let unjudged = match form {
            Form::Datagram(_) => self.on & self.filtered & !self.outer,
            Form::Frame | Form::Packet => 0,
        };
        let frame = Entering::frame_in(form, bytes);
        let matched = self.matching(self.on & !unjudged, frame, frame.len() as u32);
        let id = self.fresh_id();
        let entering = &mut self.entering;
        entering.mark = Mark {
            id,
            matched,
            unjudged,
            ..Mark::NONE
        };
        entering.form = form;
        entering.len = bytes.len() as u32;
        entering.is_secured = false;
    }

    fn copy(&mut self, bytes: &[u8]) {
        let snaplen = CaptureSlot::among(self.on)
            .filter_map(|slot| self.intakes[slot.index()].as_ref())
            .map(|intake| intake.session.snaplen as usize)
            .max()
            .unwrap_or(0);
        let kept = match self.filtered {
            0 => snaplen.saturating_add(vxlan::HEADER_LEN).max(LEAST_KEPT),
            // A filter looks as far as it likes.
            _ => usize::MAX,
        };
        let kept = kept.min(bytes.len());
        let entering = &mut self.entering;
        entering.is_secured = true;
        entering.bytes.clear();
        entering.bytes.extend_from_slice(&bytes[..kept]);
    }

    /// Has the filters judge what entered by itself.
    pub(super) fn judge(&mut self, bytes: &[u8]) {
        let Entering { mark, form, .. } = self.entering;
        if mark.unjudged != 0 {
            let frame = Entering::frame_in(form, self.entering.as_it_came(bytes));
            let matched = self.matching(mark.unjudged & self.on, frame, frame.len() as u32);
            self.entering.mark.matched |= matched;
            self.entering.mark.unjudged = 0;
        }
    }

    /// Those of `slots` that want more than what is dropped.
    pub(super) fn wanting_all(&self, slots: u8) -> u8 {
        slots & self.on & !self.drops_only
    }

    fn entered_at(&mut self, port: &Port) -> Mark {
        let mut mark = self.entering.mark;
        mark.from = Some(port.id);
        for slot in CaptureSlot::among(mark.wanted()) {
            if let Some(intake) = &self.intakes[slot.index()] {
                if !intake.scope.concerns(port.network) {
                    mark.matched &= !slot.bit();
                    mark.unjudged &= !slot.bit();
                } else if intake.scope.at(port.id).is_named {
                    mark.followed |= slot.bit();
                }
            }
        }
        self.entering.mark = mark;
        mark
    }

    /// Captures among `slots` whose filter the frame of `len` bytes passes, which begins with these; of an empty one
    /// nothing can be said but that there is no filter.
    pub(super) fn matching(&self, slots: u8, frame: &[u8], len: u32) -> u8 {
        CaptureSlot::among(slots & self.filtered)
            .filter(|slot| {
                let intake = self.intakes[slot.index()].as_ref();
                intake.is_some_and(|intake| intake.session.matches(frame, len))
            })
            .fold(slots & !self.filtered, |matched, slot| matched | slot.bit())
    }

    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn write_entering(
        &mut self,
        slot: CaptureSlot,
        (place, frames): (Place, u64),
        (fate, form): (Fate, Form),
        bytes: &[u8],
    ) {
        let Some(intake) = &mut self.intakes[slot.index()] else {
            return;
        };
        if intake.session.drops_only && !fate.is_dropped() {
            return;
        }
        let entering = &self.entering;
        let is_frame_of_datagram =
            matches!((form, entering.form), (Form::Frame, Form::Datagram(_)));
        let skipped = if is_frame_of_datagram {
            vxlan::HEADER_LEN
        } else {
            0
        };
        let bytes = entering.as_it_came(bytes).get(skipped..).unwrap_or(&[]);
        let record = Record {
            at: self.now,
            mark: entering.mark,
            place,
            is_outbound: false,
            form,
            fate,
            frames: frames as u32,
            len: entering.len.saturating_sub(skipped as u32),
            kept: 0,
        };
        intake.take(record, &[bytes]);
    }

    #[cold]
    fn write_refused(
        &mut self,
        fate: Fate,
        (network, datagrams): (Option<usize>, u64),
        bytes: &[u8],
    ) {
        self.judge(bytes);
        let Entering { mark, form, .. } = self.entering;
        let source = match form {
            Form::Datagram(Envelope { source, .. }) => Some(source),
            Form::Frame | Form::Packet => None,
        };
        let source = source.map(|s: SocketAddr| s.ip());
        for slot in CaptureSlot::among(mark.matched & self.on) {
            let intake = self.intakes[slot.index()].as_ref();
            if intake.is_some_and(|intake| intake.scope.takes_refused(source, network)) {
                self.write_entering(slot, (Place::Underlay, datagrams), (fate, form), bytes);
            }
        }
        self.entering.mark = Mark::NONE;
    }
}

/// Bits of an ID that count.
const WORKER_SHIFT: u32 = 48;
/// Up to the addresses of a frame in a datagram.
const LEAST_KEPT: usize = 64;
