//! From a tunnel to a local port: frames of one flow that arrive together leave as one superframe.
//!
//! A TAP write costs about a microsecond whatever its length, so writing forty frames at once is what makes receiving
//! fast. Some superframes are in the making at once, by port and flow; all are written before the batch of datagrams
//! that they lie in is given back, so nothing waits for more to come. Whatever does not continue its flow is written
//! after what is there of the flow: no order inside a flow changes.

use std::io::IoSlice;

use super::capture::{Leaving, Mark};
use super::delivery::{self, Delivery, Departing};
use super::dropping::source_of;
use super::link::Link;
use super::topology::{Port, Topology};
use super::worker::Worker;
use crate::counter::DropReason;
use crate::io::underlay::{RingBatch, RxBatch};
use crate::offload::{Merge, Offer, Piece, Segment, Superframe, carry};
use crate::switch::PortId;
use crate::wire::ecn::Ecn;
use crate::wire::ethernet;
use crate::wire::vnet::{Gso, VnetHeader};

/// Memory that datagrams were received into.
pub(super) trait Received {
    fn bytes(&self, at: Piece) -> &[u8];
    fn bytes_mut(&mut self, at: Piece) -> &mut [u8];
}

impl Received for RxBatch {
    fn bytes(&self, at: Piece) -> &[u8] {
        &self.entry(at.entry as usize)[at.offset as usize..(at.offset + at.len) as usize]
    }

    fn bytes_mut(&mut self, at: Piece) -> &mut [u8] {
        &mut self.entry_mut(at.entry as usize)[at.offset as usize..(at.offset + at.len) as usize]
    }
}

impl Received for RingBatch<'_> {
    fn bytes(&self, at: Piece) -> &[u8] {
        &self.entry(at.entry as usize)[at.offset as usize..(at.offset + at.len) as usize]
    }

    fn bytes_mut(&mut self, at: Piece) -> &mut [u8] {
        &mut self.entry_mut(at.entry as usize)[at.offset as usize..(at.offset + at.len) as usize]
    }
}

/// One datagram.
impl Received for Vec<u8> {
    fn bytes(&self, at: Piece) -> &[u8] {
        &self[at.offset as usize..(at.offset + at.len) as usize]
    }

    fn bytes_mut(&mut self, at: Piece) -> &mut [u8] {
        &mut self[at.offset as usize..(at.offset + at.len) as usize]
    }
}

/// A frame where it was received.
pub(super) struct Arrived<'r, R> {
    pub(super) received: &'r mut R,
    pub(super) at: Piece,
    /// What a kernel peer on this machine has left undone, as far as the kernel here says so: of a superframe that came
    /// whole, of which kind it is and how large its segments are.
    pub(super) undone: VnetHeader,
    /// ECN of the IP header of the datagram.
    pub(super) outer_ecn: Ecn,
    /// What captures know it by.
    pub(super) mark: Mark,
}

/// Superframes in the making. Empty between batches.
#[derive(Default)]
pub(super) struct Merges {
    open: Vec<(PortId, Merge, Mark)>,
    /// Written ones, for their memory.
    spare: Vec<Merge>,
}

impl Worker {
    /// Sends a frame that came by `tunnel` out of a local port, now or as part of a superframe, and counts the outcome.
    pub(super) fn emit_received<R: Received>(
        &mut self,
        topology: &Topology,
        (tunnel, port): (&Port, &Port),
        arrived: &mut Arrived<'_, R>,
    ) {
        let at = arrived.at;
        if let Some(link) = port.io.link(self.index)
            && link.vnet_hdr
            && self.merge(topology, (tunnel, port, link), arrived)
        {
            return;
        }
        let frame = arrived.received.bytes(at);
        let departing = Departing {
            mark: self
                .recorder
                .stays_alone((topology, port), arrived.mark, frame),
            ..departing(port, frame, &arrived.undone)
        };
        let mut delivery = Delivery {
            worker: self.index,
            topology,
            dropping: &self.dropping,
            finish: &mut self.finish,
            recorder: &mut self.recorder,
        };
        delivery.deliver(port, &departing);
    }

    /// Writes every superframe in the making. `received` is what their pieces point into.
    pub(super) fn finish_merges<R: Received>(&mut self, topology: &Topology, received: &R) {
        while !self.merges.open.is_empty() {
            self.write_merge(topology, 0, received);
        }
    }

    /// Makes the frame part of a superframe if it can be. If not, what must go before it has gone.
    fn merge<R: Received>(
        &mut self,
        topology: &Topology,
        (tunnel, port, link): (&Port, &Port, Link<'_>),
        arrived: &Arrived<'_, R>,
    ) -> bool {
        let (received, at) = (&*arrived.received, arrived.at);
        let frame = received.bytes(at);
        let Some(segment) = Segment::examine(frame) else {
            while let Some(i) = self.merges.open.iter().position(|(id, ..)| *id == port.id) {
                self.write_merge(topology, i, received);
            }
            return false;
        };
        if segment.is_mergeable() {
            tunnel.health.note_unfinished(segment.is_partial());
        }
        for i in 0..self.merges.open.len() {
            let (id, merge, mark) = &mut self.merges.open[i];
            if *id != port.id {
                continue;
            }
            if !mark.may_join(arrived.mark) {
                self.write_merge(topology, i, received);
                break;
            }
            match merge.offer(&segment, frame, at) {
                Offer::Joined => {
                    mark.join(arrived.mark);
                    return true;
                }
                Offer::Foreign => {}
                Offer::Breaks => {
                    self.write_merge(topology, i, received);
                    break;
                }
            }
        }
        // UDP superframes only where the kernel knows them; nothing that is too long for the port.
        let mtu = port.io.mtu().unwrap_or(usize::MAX);
        if !segment.is_mergeable()
            || frame.len() > mtu + ethernet::HEADER_LEN
            || !(segment.is_tcp() || link.uso)
        {
            return false;
        }
        if self.merges.open.len() == MAX_OPEN {
            self.write_merge(topology, 0, received);
        }
        let merge = match self.merges.spare.pop() {
            Some(mut merge) => {
                merge.restart(&segment, received.bytes(at), at);
                merge
            }
            None => match Merge::start(&segment, received.bytes(at), at) {
                Some(merge) => merge,
                None => return false,
            },
        };
        self.merges.open.push((port.id, merge, arrived.mark));
        true
    }

    /// Writes one superframe, or the one frame that it has remained, and counts the outcome.
    fn write_merge<R: Received>(&mut self, topology: &Topology, index: usize, received: &R) {
        let (id, mut merge, mark) = self.merges.open.remove(index);
        if let Some(port) = topology.port(id)
            && let Some(link) = port.io.link(self.index)
        {
            let outcome = if port.health.is_gone() {
                Err(DropReason::PortGone)
            } else {
                write(link, &mut merge, received)
            };
            if self.recorder.is_on() {
                self.record_merge((topology, port), (&merge, mark), (received, outcome));
            }
            let counted = (merge.segments() as u64, merge.frames_len() as u64);
            self.dropping
                .conclude((topology, port), counted, outcome, || {
                    source_of(received.bytes(merge.frame()))
                });
        }
        self.merges.spare.push(merge);
    }
}

/// A frame that came by a tunnel on its way out of a local port. `undone` as in [`Arrived`].
pub(super) fn departing<'a>(port: &Port, frame: &'a [u8], undone: &VnetHeader) -> Departing<'a> {
    // A kernel peer on the same machine leaves checksums to us, and superframes whole (native/README.md).
    let mut vnet = port
        .io
        .mtu()
        .map_or(VnetHeader::NONE, |mtu| carry(frame, mtu));
    if undone.gso != Gso::None && vnet.needs_csum {
        vnet = VnetHeader {
            gso: undone.gso,
            gso_size: undone.gso_size,
            ..vnet
        };
    }
    let superframe = match vnet.gso {
        Gso::None => None,
        _ => Superframe::parse(frame, &vnet).ok(),
    };
    Departing {
        frame,
        vnet,
        superframe,
        segments: 1,
        mark: Mark::NONE,
    }
}

impl Worker {
    /// Tells the captures what left, or should have.
    fn record_merge<R: Received>(
        &mut self,
        (topology, port): (&Topology, &Port),
        (merge, mark): (&Merge, Mark),
        (received, outcome): (&R, Result<(), DropReason>),
    ) {
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(merge.segments() + 1);
        if merge.segments() == 1 {
            pieces.push(received.bytes(merge.frame()));
        } else {
            pieces.push(merge.headers());
            pieces.extend(merge.payloads().iter().map(|&at| received.bytes(at)));
        }
        let leaving = Leaving {
            pieces: &pieces,
            len: pieces.iter().map(|piece| piece.len()).sum(),
            frames: merge.segments() as u64,
            fate: delivery::fate_at(port, outcome),
        };
        let mark = self.recorder.is_merged((topology, port), mark, &leaving);
        self.recorder.leaves(port.id, mark, &leaving);
    }
}

fn write<R: Received>(link: Link<'_>, merge: &mut Merge, received: &R) -> Result<(), DropReason> {
    let count = merge.segments();
    if count == 1 {
        let frame = received.bytes(merge.frame());
        let vnet = merge.lone_header();
        return link.send(vnet, &[IoSlice::new(frame)]);
    }
    let mut slices = [IoSlice::new(&[]); Merge::MAX_SEGMENTS + 1];
    let vnet = merge.finish();
    slices[0] = IoSlice::new(merge.headers());
    for (slice, &payload) in slices[1..].iter_mut().zip(merge.payloads()) {
        *slice = IoSlice::new(received.bytes(payload));
    }
    link.send(vnet, &slices[..=count])
}

/// Flows of one batch that are merged side by side; beyond that the oldest is written.
const MAX_OPEN: usize = 16;
