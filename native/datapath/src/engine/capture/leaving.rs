//! What a worker writes down of what leaves, or should have.

use super::CaptureSlot;
use super::intake::Intake;
use super::record::{Envelope, Fate, Form, Mark, Place, Record};
use super::recorder::Recorder;
use super::scope::Taken;
use crate::switch::PortId;

/// A frame on its way out, and what became of it.
pub(in crate::engine) struct Leaving<'a> {
    /// Its bytes, in pieces.
    pub(in crate::engine) pieces: &'a [&'a [u8]],
    /// Its length, bytes.
    pub(in crate::engine) len: usize,
    /// Frames that it counts for.
    pub(in crate::engine) frames: u64,
    pub(in crate::engine) fate: Fate,
}

impl Recorder {
    /// A frame leaves at a port, or should have.
    #[inline]
    pub(in crate::engine) fn leaves(&mut self, port: PortId, mark: Mark, leaving: &Leaving<'_>) {
        if mark.matched & self.on != 0 {
            self.write_leaving((port, mark), (Form::Frame, leaving), wants_frame);
        }
    }

    /// A frame should have left by a tunnel, but was dropped before there was a datagram.
    #[inline]
    pub(in crate::engine) fn never_leaves(
        &mut self,
        port: PortId,
        mark: Mark,
        leaving: &Leaving<'_>,
    ) {
        if mark.matched & self.on != 0 {
            self.write_leaving((port, mark), (Form::Frame, leaving), wants_either);
        }
    }

    /// A datagram leaves by a tunnel, or should have.
    pub(super) fn datagram_leaves(
        &mut self,
        port: PortId,
        mark: Mark,
        (envelope, leaving): (Envelope, &Leaving<'_>),
    ) {
        let form = Form::Datagram(envelope);
        self.write_leaving((port, mark), (form, leaving), wants_datagram);
    }

    fn write_leaving(
        &mut self,
        (port, mark): (PortId, Mark),
        (form, leaving): (Form, &Leaving<'_>),
        wants: fn(&Intake, Taken, Wanting) -> bool,
    ) {
        for slot in CaptureSlot::among(mark.matched & self.on) {
            let Some(intake) = &mut self.intakes[slot.index()] else {
                continue;
            };
            let is_dropped = leaving.fate.is_dropped();
            let wanting = Wanting {
                is_dropped,
                is_made_here: mark.from.is_none(),
                is_followed: mark.followed & slot.bit() != 0,
            };
            if (intake.session.drops_only && !is_dropped)
                || !wants(intake, intake.scope.at(port), wanting)
            {
                continue;
            }
            let record = Record {
                at: self.now,
                mark,
                place: Place::Port(port),
                is_outbound: true,
                form,
                fate: leaving.fate,
                frames: leaving.frames as u32,
                len: leaving.len as u32,
                kept: 0,
            };
            intake.take(record, leaving.pieces);
        }
    }
}

/// What is to be known of something that leaves.
#[derive(Clone, Copy)]
struct Wanting {
    is_dropped: bool,
    is_made_here: bool,
    is_followed: bool,
}

fn wants_frame(intake: &Intake, at: Taken, what: Wanting) -> bool {
    let by_side = intake.selection().side.has_inner();
    by_side && (at.leaves || (at.drops && (what.is_dropped || what.is_made_here)))
}

fn wants_datagram(intake: &Intake, at: Taken, what: Wanting) -> bool {
    intake.selection().side.has_outer() && (at.datagrams || what.is_followed)
}

/// The frame stands for the datagram that it did not become.
fn wants_either(intake: &Intake, at: Taken, what: Wanting) -> bool {
    wants_frame(intake, at, what) || wants_datagram(intake, at, what)
}
