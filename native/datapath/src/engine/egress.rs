//! Out of the switch: to a TAP or a memory queue, or through a tunnel.

use std::io::IoSlice;
use std::net::SocketAddr;

use super::capture::{Departures, Fate, Leaving, Mark, Recorder};
use super::dropping::{Dropping, source_of};
use super::outbox::{Batch, Held, Injected, Route, SendStyle};
use super::outer::OuterRule;
use super::topology::{Port, PortIo, Topology, Underlay};
use super::worker::Worker;
use crate::counter::DropReason;
use crate::io::Refusal;
use crate::io::memory::{MemoryDatagram, MemoryQueue};
use crate::io::tap::TapQueue;
use crate::io::underlay::{Burst, SendRefusal, Transmit};
use crate::offload::{Run, Superframe, complete};
use crate::switch::PortId;
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::vnet::VnetHeader;
use crate::wire::vxlan;

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
    /// Sends a frame that lies in the outbox out of `port`, and counts the outcome; what leaves through a tunnel is
    /// counted when it is flushed.
    pub(super) fn emit(&mut self, topology: &Topology, port: &Port, held: &mut Held) {
        let outcome = match &port.io {
            PortIo::Tunnel(key) => {
                let route = Route {
                    port: port.id,
                    destination: key.remote,
                    vni: key.vni,
                };
                let mut style = style(topology, port);
                // The kernel refuses to segment to more than the path takes, but may fragment.
                let fits = self.fits(topology, port, held);
                style.gso &= fits;
                self.finish_checksum(held).and_then(|()| {
                    if port.health.is_injected()
                        && fits
                        && self.inject_tcp(topology, held, route, style)
                    {
                        return Ok(());
                    }
                    self.outbox.encapsulate(held, route, style)
                })
            }
            PortIo::Tap { .. } | PortIo::Memory { .. } => {
                let departing = Departing {
                    vnet: held.vnet,
                    superframe: held.superframe,
                    segments: held.segments,
                    mark: held.mark,
                    frame: self.outbox.frame(held),
                };
                let mut delivery = Delivery {
                    worker: self.index,
                    topology,
                    dropping: &self.dropping,
                    finish: &mut self.finish,
                    recorder: &mut self.recorder,
                };
                delivery.deliver(port, &departing);
                return;
            }
        };
        if let Err(reason) = outcome {
            self.refuse_copy(port, held, Fate::dropped(reason));
            let source = || source_of(self.outbox.frame(held));
            let dropped = (reason, held.segments);
            self.dropping.at_port((topology, port), dropped, source);
        }
    }

    /// Tells the captures of a copy that was dropped before there was a datagram.
    pub(super) fn refuse_copy(&mut self, tunnel: &Port, held: &Held, fate: Fate) {
        let leaving = Leaving {
            pieces: &[self.outbox.frame(held)],
            len: held.len(),
            frames: held.segments,
            fate,
        };
        self.recorder.never_leaves(tunnel.id, held.mark, &leaving);
    }

    /// Sends everything in the outbox and counts it at its tunnels.
    pub(super) fn flush(&mut self, topology: &Topology) {
        let dropping = &self.dropping;
        let recorder = &mut self.recorder;
        match &topology.underlay {
            Underlay::Udp {
                senders, injection, ..
            } => {
                let mut is_refused = false;
                self.outbox.flush_injections(|injected, frame| {
                    let sent = match injection {
                        Some(injection) => injection.injector.send(&injected.head, frame),
                        None => Err(SendRefusal::LocalDown),
                    };
                    is_refused |= matches!(sent, Err(SendRefusal::Other(_)));
                    let Injected {
                        port,
                        frames,
                        bytes,
                        ..
                    } = *injected;
                    let outcome = sent.map_err(reason_of);
                    if recorder.is_on() {
                        let fate = Fate::from(outcome);
                        recorder.superframe_leaves(topology, (injected, frame), fate);
                    }
                    count_departure((topology, dropping), port, (frames, bytes), outcome);
                });
                if is_refused {
                    self.give_up_injecting(topology);
                }
                let scratch = &mut self.send_scratch;
                let recorder = &mut self.recorder;
                let dropping = &self.dropping;
                self.outbox.flush(|batch| {
                    let source_port = senders.ports().get(batch.socket).copied();
                    let mut departures = recorder
                        .is_on()
                        .then(|| departures(topology, batch, source_port.unwrap_or(0)));
                    let burst = Burst {
                        socket: batch.socket,
                        arena: batch.arena,
                        parts: batch.parts,
                        transmits: batch.transmits,
                    };
                    senders.send(scratch, burst, |transmit, outcome| {
                        let outcome = outcome.map_err(reason_of);
                        if let Some(departures) = &mut departures {
                            departures.report(recorder, transmit, outcome.into());
                        }
                        count_sent((topology, dropping), transmit, outcome);
                    });
                    if let Some(mut departures) = departures {
                        departures.finish(recorder);
                    }
                });
                if senders.downgraded() {
                    self.shared.events.push(crate::event::Event::Downgraded {
                        detail: "UDP_SEGMENT: the kernel refused a run, so datagrams are sent one by one".into(),
                    });
                }
            }
            Underlay::Memory(memory) => self.outbox.flush(|batch| {
                let source_port = source_port(topology, batch.socket);
                let source = (topology.vtep.address, source_port).into();
                let mut departures = recorder
                    .is_on()
                    .then(|| departures(topology, batch, source_port));
                for transmit in batch.transmits {
                    // Without GSO a transmit is one datagram of one part.
                    let part = batch.parts[transmit.parts.start as usize];
                    let payload = batch.arena[part.offset as usize..][..part.len as usize].to_vec();
                    let destination = transmit.destination;
                    let sent = memory.outward.push(MemoryDatagram {
                        source,
                        destination,
                        tos: transmit.tos,
                        payload,
                    });
                    let outcome = sent.map_err(|_| DropReason::SockFull);
                    if let Some(departures) = &mut departures {
                        departures.report(recorder, transmit, outcome.into());
                    }
                    count_sent((topology, dropping), transmit, outcome);
                }
                if let Some(mut departures) = departures {
                    departures.finish(recorder);
                }
            }),
        }
    }

    fn finish_checksum(&mut self, held: &mut Held) -> Result<(), DropReason> {
        if held.superframe.is_none() && held.vnet.needs_csum {
            let vnet = held.vnet;
            complete(self.outbox.frame_mut(held), &vnet).map_err(|_| DropReason::PortRefused)?;
            held.vnet = VnetHeader::NONE;
        }
        Ok(())
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
            (Out::Superframes(queue), _) => {
                write_tap(queue, departing.vnet, &[IoSlice::new(departing.frame)])
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
            for frame in segments {
                let segment = Departing {
                    frame,
                    segments: 1,
                    ..*departing
                };
                self.conclude(port, &segment, out.write(frame));
            }
        } else {
            // One frame for the switch (a peer left it whole): one outcome, a loss if any part is lost.
            let outcome = segments
                .map(|segment| out.write(segment))
                .fold(Ok(()), Result::and);
            self.conclude(port, departing, outcome);
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
    match &port.io {
        PortIo::Tap { tap, .. } => {
            let queue = &tap.queues[worker % tap.queues.len()];
            Ok(if tap.vnet_hdr {
                Out::Superframes(queue)
            } else {
                Out::Frames(queue)
            })
        }
        PortIo::Memory { queue, .. } => Ok(Out::Memory(&queue.outward)),
        // The switch never sends what came from a tunnel to a tunnel.
        PortIo::Tunnel(_) => Err(DropReason::PortRefused),
    }
}

/// What a local port takes.
enum Out<'a> {
    /// Everything, with an offload header.
    Superframes(&'a TapQueue),
    /// Finished frames.
    Frames(&'a TapQueue),
    /// The same, in memory.
    Memory(&'a MemoryQueue<Vec<u8>>),
}

impl Out<'_> {
    fn write(&self, frame: &[u8]) -> Result<(), DropReason> {
        match self {
            Self::Superframes(queue) | Self::Frames(queue) => {
                write_tap(queue, VnetHeader::NONE, &[IoSlice::new(frame)])
            }
            Self::Memory(queue) => queue
                .push(frame.to_vec())
                .map_err(|_| DropReason::PortQueue),
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

/// Writes a frame in pieces.
pub(super) fn write_tap(
    queue: &TapQueue,
    vnet: VnetHeader,
    pieces: &[IoSlice<'_>],
) -> Result<(), DropReason> {
    queue
        .write(&vnet.emit(), pieces)
        .map_err(|refusal| match refusal {
            Refusal::WouldBlock => DropReason::PortQueue,
            Refusal::Gone => DropReason::PortGone,
            Refusal::Down => DropReason::PortDown,
            Refusal::Other(_) => DropReason::PortRefused,
        })
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

fn count_sent(place: (&Topology, &Dropping), transmit: &Transmit, outcome: Result<(), DropReason>) {
    let port = PortId::new(transmit.tag as u16);
    let frames = u64::from(transmit.datagrams);
    let bytes = u64::from(transmit.bytes) - frames * vxlan::HEADER_LEN as u64;
    count_departure(place, port, (frames, bytes), outcome);
}

/// Counts what became at a tunnel of some frames of so many bytes.
fn count_departure(
    (topology, dropping): (&Topology, &Dropping),
    port: PortId,
    counted: (u64, u64),
    outcome: Result<(), DropReason>,
) {
    if let Some(port) = topology.port(port) {
        dropping.conclude((topology, port), counted, outcome, || None);
    }
}

/// The UDP port of a socket of the pool.
pub(super) fn source_port(topology: &Topology, socket: usize) -> u16 {
    match &topology.underlay {
        Underlay::Udp { senders, .. } => senders.ports().get(socket).copied().unwrap_or(0),
        Underlay::Memory(_) => {
            let first = topology.vtep.source_ports.start();
            first.saturating_add(socket as u16)
        }
    }
}

fn departures<'a>(topology: &'a Topology, batch: Batch<'a>, source_port: u16) -> Departures<'a> {
    let source = SocketAddr::new(topology.vtep.address, source_port);
    Departures::new(topology, batch, source)
}

/// How what goes through a tunnel leaves.
pub(super) fn style(topology: &Topology, tunnel: &Port) -> SendStyle {
    let (sockets, gso) = match &topology.underlay {
        Underlay::Udp { senders, .. } => (senders.ports().len(), senders.gso()),
        Underlay::Memory(_) => (topology.vtep.source_port_pool, false),
    };
    SendStyle {
        sockets,
        symmetric_hash: topology.vtep.symmetric_hash,
        outer: OuterRule::of(&topology.vtep, &topology.networks[tunnel.network].spec),
        gso,
    }
}

fn reason_of(refusal: SendRefusal) -> DropReason {
    match refusal {
        SendRefusal::Full => DropReason::SockFull,
        SendRefusal::NoRoute => DropReason::NoRoute,
        SendRefusal::Denied => DropReason::Eperm,
        SendRefusal::TooBig => DropReason::TooBig,
        SendRefusal::LocalDown => DropReason::LocalDown,
        SendRefusal::Other(_) => DropReason::SendFailed,
    }
}
