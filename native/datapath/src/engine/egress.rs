//! Out of the switch: to a local port (`delivery.rs`), or through a tunnel.

use std::net::SocketAddr;

use super::capture::{Departures, Fate, Leaving};
use super::delivery::{Delivery, Departing};
use super::dropping::{Dropping, source_of};
use super::outbox::{Batch, Held, Injected, Route, SendStyle};
use super::outer::OuterRule;
use super::topology::{Port, PortIo, Topology, Underlay};
use super::worker::Worker;
use crate::counter::DropReason;
use crate::io::memory::MemoryDatagram;
use crate::io::underlay::{Burst, SendRefusal, Transmit};
use crate::offload::complete;
use crate::switch::PortId;
use crate::wire::vnet::VnetHeader;
use crate::wire::vxlan;

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
            PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => {
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
