//! Out of the switch to a local port: an interface or a memory queue.

use std::io::IoSlice;
use std::slice::Chunks;

use super::capture::{Fate, Leaving, Mark, Recorder};
use super::dropping::{Dropping, source_of};
use super::link::Link;
use super::topology::{Port, PortIo, Topology};
use super::worker::Worker;
use crate::counter::DropReason;
use crate::io::memory::MemoryQueue;
use crate::offload::{Run, Superframe, complete};
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::vnet::VnetHeader;

/// A frame on its way to a local port, in whatever memory it lies.
pub(super) struct Departing<'a> {
    pub(super) frame: &'a [u8],
    /// What is left to do for it.
    pub(super) vnet: VnetHeader,
    pub(super) superframe: Option<Superframe>,
    /// Frames that it counts for.
    pub(super) segments: u64,
    /// What captures know it by.
    pub(super) mark: Mark,
}

impl<'a> Departing<'a> {
    /// One frame, for which nothing is left to do.
    pub(super) fn finished(frame: &'a [u8], mark: Mark) -> Self {
        Self {
            frame,
            vnet: VnetHeader::NONE,
            superframe: None,
            segments: 1,
            mark,
        }
    }
}

/// What a worker needs to hand frames to local ports.
pub(super) struct Delivery<'w> {
    /// Its number.
    pub(super) worker: usize,
    pub(super) topology: &'w Topology,
    pub(super) dropping: &'w Dropping,
    /// Where a frame is finished in software for a port without offloads.
    pub(super) finish: &'w mut Vec<u8>,
    pub(super) recorder: &'w mut Recorder,
}

impl Worker {
    /// Sends a frame that this host made out of a local port.
    pub(super) fn send_made(&mut self, topology: &Topology, port: &Port, frame: &[u8]) {
        // In this order, so that whoever reads what left also reads whence it came.
        topology.networks[port.network].counters[self.index]
            .generated
            .add(1);
        let mark = self.recorder.frame_is_made(frame);
        let mut delivery = Delivery {
            worker: self.index,
            topology,
            dropping: &self.dropping,
            finish: &mut self.finish,
            recorder: &mut self.recorder,
        };
        delivery.deliver(port, &Departing::finished(frame, mark));
    }
}

impl Delivery<'_> {
    /// Hands a frame to a local port, doing in software what the port cannot, and counts the outcome.
    pub(super) fn deliver(&mut self, port: &Port, departing: &Departing<'_>) {
        let out = match way_out(port, self.worker, departing) {
            Ok(out) => out,
            Err(reason) => return self.conclude(port, departing, Err(reason)),
        };
        let outcome = match (&out, departing.superframe) {
            (Out::Link(link), _) if link.vnet_hdr => {
                link.send(departing.vnet, &[IoSlice::new(departing.frame)])
            }
            (_, None) if departing.vnet.needs_csum => {
                // In a copy: the next port of a flood must see the frame as it came to know what is left to do for it.
                self.finish.clear();
                self.finish.extend_from_slice(departing.frame);
                let completed = complete(self.finish, &departing.vnet);
                completed
                    .map_err(|_| DropReason::PortRefused)
                    .and_then(|()| out.write(self.finish))
            }
            (_, None) => out.write(departing.frame),
            (_, Some(superframe)) => {
                self.finish.resize(superframe.split_len(0), 0);
                match superframe.split(departing.frame, &[], self.finish) {
                    Ok(run) => return self.deliver_segments((port, &out), departing, &run),
                    Err(_) => Err(DropReason::PortRefused),
                }
            }
        };
        self.conclude(port, departing, outcome);
    }

    /// Writes what a superframe was split into, which lies in `finish`.
    fn deliver_segments(
        &mut self,
        (port, out): (&Port, &Out<'_>),
        departing: &Departing<'_>,
        run: &Run,
    ) {
        let finish = std::mem::take(self.finish);
        let segments = finish[..run.len].chunks(run.stride);
        if departing.segments == run.count as u64 {
            out.write_each(segments, |frame, outcome| {
                let segment = Departing {
                    frame,
                    segments: 1,
                    ..*departing
                };
                self.conclude(port, &segment, outcome);
            });
        } else {
            // One frame for the switch (a peer left it whole): one outcome, a loss if any part is lost.
            let mut whole = Ok(());
            out.write_each(segments, |_, outcome| whole = whole.and(outcome));
            self.conclude(port, departing, whole);
        }
        *self.finish = finish;
    }

    /// Counts what became of a frame.
    fn conclude(
        &mut self,
        port: &Port,
        departing: &Departing<'_>,
        outcome: Result<(), DropReason>,
    ) {
        let Departing {
            frame,
            segments,
            mark,
            ..
        } = *departing;
        let pieces = [frame];
        let leaving = Leaving {
            pieces: &pieces,
            len: frame.len(),
            frames: segments,
            fate: fate_at(port, outcome),
        };
        self.recorder.leaves(port.id, mark, &leaving);
        let counted = (segments, frame.len() as u64);
        let place = (self.topology, port);
        self.dropping
            .conclude(place, counted, outcome, || source_of(frame));
    }
}

/// Whether the port takes such a frame, as far as that can be told before it is tried.
pub(super) fn check(port: &Port, departing: &Departing<'_>) -> Result<(), DropReason> {
    if port.health.is_gone() {
        return Err(DropReason::PortGone);
    }
    if longest(departing) > port.io.mtu().unwrap_or(usize::MAX) {
        return Err(DropReason::PortMtu);
    }
    Ok(())
}

fn way_out<'a>(
    port: &'a Port,
    worker: usize,
    departing: &Departing<'_>,
) -> Result<Out<'a>, DropReason> {
    check(port, departing)?;
    match (port.io.link(worker), &port.io) {
        (Some(link), _) => Ok(Out::Link(link)),
        (None, PortIo::Memory { queue, .. }) => Ok(Out::Memory(&queue.outward)),
        // The switch never sends what came from a tunnel to a tunnel.
        (None, _) => Err(DropReason::PortRefused),
    }
}

/// What a local port takes.
enum Out<'a> {
    /// Everything where frames have an offload header, else finished frames.
    Link(Link<'a>),
    /// Finished frames.
    Memory(&'a MemoryQueue<Vec<u8>>),
}

impl Out<'_> {
    fn write(&self, frame: &[u8]) -> Result<(), DropReason> {
        match self {
            Self::Link(link) => link.send(VnetHeader::NONE, &[IoSlice::new(frame)]),
            Self::Memory(queue) => queue
                .push(frame.to_vec())
                .map_err(|_| DropReason::PortQueue),
        }
    }

    /// Writes finished frames in order; `done` is told of each what became of it.
    fn write_each<'f>(
        &self,
        frames: Chunks<'f, u8>,
        mut done: impl FnMut(&'f [u8], Result<(), DropReason>),
    ) {
        match self {
            Self::Link(link) => link.send_each(frames, done),
            Self::Memory(_) => frames.for_each(|frame| done(frame, self.write(frame))),
        }
    }
}

/// What became of a frame at a local port, for captures.
pub(super) fn fate_at(port: &Port, outcome: Result<(), DropReason>) -> Fate {
    match outcome {
        Err(reason @ DropReason::PortMtu) => Fate::Dropped {
            reason,
            limit: port.io.mtu().map(|mtu| mtu as u32),
        },
        other => other.into(),
    }
}

/// Length of the longest layer 3 packet that the frame will be on the port's link.
fn longest(departing: &Departing<'_>) -> usize {
    let len = match &departing.superframe {
        Some(superframe) => superframe.segment_len(),
        None => departing.frame.len(),
    };
    let tagged = Ethernet::new(departing.frame).is_some_and(|e| e.tag().is_some());
    let headers = ethernet::HEADER_LEN + if tagged { ethernet::TAG_LEN } else { 0 };
    len.saturating_sub(headers)
}
