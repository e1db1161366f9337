//! Frames of a tunnel that leave to a local port as one (`merges.rs`): a capture of frames shows one packet, as captures
//! in a kernel do behind its GRO. It stands at the tunnel and counts for all its frames, and the filter is judged on it
//! as it is: its lengths, its headers, and of its payload what the first frame brought. A capture of datagrams shows
//! each for itself, and its frame with it.

use super::CaptureSlot;
use super::leaving::Leaving;
use super::record::{Fate, Form, Mark, Place, Record};
use super::recorder::Recorder;
use crate::engine::topology::{Network, Port, Topology};
use crate::switch::{Origin, PortId};
use crate::wire::ethernet::Ethernet;

impl Recorder {
    /// What entered at this tunnel may become part of a superframe. Leaves to be decided now what does not wait for it.
    pub(super) fn await_superframe(&mut self, tunnel: PortId) -> Mark {
        let waiting = self.on & !self.outer;
        let mark = self.entering.mark;
        let awaited = CaptureSlot::among(self.wanting_all(mark.wanted() & waiting))
            .filter(|slot| {
                let intake = self.intakes[slot.index()].as_ref();
                intake.is_some_and(|intake| intake.scope.at(tunnel).enters)
            })
            .fold(0, |awaited, slot| awaited | slot.bit());
        self.entering.mark = Mark {
            matched: mark.matched & !waiting,
            unjudged: mark.unjudged & !waiting,
            ..mark
        };
        Mark {
            matched: mark.matched & waiting,
            unjudged: mark.unjudged & waiting,
            awaited,
            ..mark
        }
    }

    /// What captures have waited for has left at `target`, or should have: as one superframe, or the one frame that it has
    /// remained. What they know it by from here on.
    #[inline]
    pub(in crate::engine) fn is_merged(
        &mut self,
        place: (&Topology, &Port),
        mark: Mark,
        leaving: &Leaving<'_>,
    ) -> Mark {
        let judging = match leaving.fate.is_dropped() {
            true => mark.unjudged,
            false => self.wanting_all(mark.unjudged),
        };
        match (judging | mark.awaited) & self.on {
            0 => mark,
            _ => self.write_awaited(place, (mark, judging), leaving),
        }
    }

    /// The frame that captures have waited with is about to leave by itself.
    #[inline]
    pub(in crate::engine) fn stays_alone(
        &mut self,
        place: (&Topology, &Port),
        mark: Mark,
        frame: &[u8],
    ) -> Mark {
        if (mark.unjudged | mark.awaited) & self.on == 0 {
            return mark;
        }
        let leaving = Leaving {
            pieces: &[frame],
            len: frame.len(),
            frames: 1,
            fate: Fate::Sent { limit: None },
        };
        self.write_awaited(place, (mark, mark.unjudged), &leaving)
    }

    fn write_awaited(
        &mut self,
        (topology, target): (&Topology, &Port),
        (mark, judging): (Mark, u8),
        leaving: &Leaving<'_>,
    ) -> Mark {
        let matched = mark.matched | self.judge_pieces(judging & self.on, leaving);
        let (Some(from), Some(&first)) = (mark.from, leaving.pieces.first()) else {
            return Mark { matched, ..mark };
        };
        let awaited = mark.awaited & matched & self.on;
        if awaited != 0 {
            let network = &topology.networks[target.network];
            let record = Record {
                at: self.now,
                mark,
                place: Place::Port(from),
                is_outbound: false,
                form: Form::Frame,
                fate: Fate::To {
                    port: target.id,
                    origin: origin_of(network, first, target.id),
                },
                frames: leaving.frames as u32,
                len: leaving.len as u32,
                kept: 0,
            };
            for slot in CaptureSlot::among(awaited) {
                if let Some(intake) = &mut self.intakes[slot.index()] {
                    intake.take(record, leaving.pieces);
                }
            }
        }
        Mark {
            matched,
            unjudged: 0,
            awaited: 0,
            ..mark
        }
    }

    fn judge_pieces(&mut self, slots: u8, leaving: &Leaving<'_>) -> u8 {
        if slots == 0 {
            return 0;
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        // Its headers, and the payload of its first frame.
        for piece in leaving.pieces.iter().take(2) {
            joined.extend_from_slice(piece);
        }
        let matched = self.matching(slots, &joined, leaving.len as u32);
        self.joined = joined;
        matched
    }
}

/// Whether what leaves to this port may leave as part of a superframe.
pub(super) fn is_mergeable(port: &Port) -> bool {
    port.io.link(0).is_some_and(|link| link.vnet_hdr)
}

/// Why frames for the destination of this one go to the port, if the FDB still says so.
pub(super) fn origin_of(network: &Network, frame: &[u8], port: PortId) -> Option<Origin> {
    let entry = network.bridge.fdb().entry(Ethernet::new(frame)?.dst())?;
    (entry.port == port).then_some(entry.origin)
}
