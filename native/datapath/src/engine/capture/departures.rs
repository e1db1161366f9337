//! What leaves through tunnels, datagram by datagram, once it is known what became of it.

use std::net::SocketAddr;

use super::leaving::Leaving;
use super::record::{Envelope, Fate};
use super::recorder::Recorder;
use crate::engine::outbox::{Batch, Injected, Sender};
use crate::engine::path_mtu::UNLIMITED;
use crate::engine::topology::{Port, PortIo, Topology};
use crate::io::underlay::Transmit;
use crate::switch::PortId;
use crate::wire::vxlan;

/// A batch whose transmits are reported in order, each whole or in pieces.
pub(in crate::engine) struct Departures<'a> {
    topology: &'a Topology,
    batch: Batch<'a>,
    source: SocketAddr,
    /// The next datagram: its transmit, part, and place in the part.
    transmit: usize,
    part: usize,
    offset: usize,
    /// Frames of which a part has been reported, all alike.
    same: Option<Same>,
}

/// Datagrams of one frame that met one fate.
#[derive(Clone, Copy)]
struct Same {
    port: PortId,
    sender: Sender,
    fate: Fate,
    frames: u64,
}

impl<'a> Departures<'a> {
    /// Of a batch that leaves from the socket with this address.
    pub(in crate::engine) fn new(
        topology: &'a Topology,
        batch: Batch<'a>,
        source: SocketAddr,
    ) -> Self {
        Self {
            topology,
            batch,
            source,
            transmit: 0,
            part: batch
                .transmits
                .first()
                .map_or(0, |t| t.parts.start as usize),
            offset: 0,
            same: None,
        }
    }

    /// This is what became of the next datagrams, as many as `reported` has.
    pub(in crate::engine) fn report(
        &mut self,
        recorder: &mut Recorder,
        reported: &Transmit,
        outcome: Fate,
    ) {
        let port = PortId::new(reported.tag as u16);
        let fate = with_limit(outcome, self.topology.port(port));
        let envelope = Envelope {
            source: self.source,
            destination: reported.destination,
            tos: reported.tos,
            ttl: reported
                .ttl
                .or_else(|| self.ttl_to(port, reported.destination)),
            has_checksum: self.topology.vtep.udp_checksum,
            may_fragment: self.topology.vtep.allow_outer_fragmentation,
        };
        let mut left = reported.datagrams as usize;
        while left > 0 {
            // Only for captures of datagrams is each one looked at.
            let most = if recorder.outer == 0 { left } else { 1 };
            let Some((payload, sender, count)) = self.next(most) else {
                return;
            };
            left -= count;
            match &mut self.same {
                Some(same)
                    if (same.port, same.sender.mark.id, same.fate)
                        == (port, sender.mark.id, fate) =>
                {
                    same.frames += count as u64;
                }
                _ => {
                    self.finish(recorder);
                    self.same = Some(Same {
                        port,
                        sender,
                        fate,
                        frames: count as u64,
                    });
                }
            }
            if sender.mark.matched & recorder.outer != 0 {
                let leaving = Leaving {
                    pieces: &[payload],
                    len: payload.len(),
                    frames: 1,
                    fate,
                };
                recorder.datagram_leaves(port, sender.mark, (envelope, &leaving));
            }
        }
    }

    /// The end of the batch, or of one frame's datagrams.
    pub(in crate::engine) fn finish(&mut self, recorder: &mut Recorder) {
        let Some(same) = self.same.take() else {
            return;
        };
        let Sender { mark, offset, len } = same.sender;
        let frame = self.batch.arena.get(offset..offset + len).unwrap_or(&[]);
        let leaving = Leaving {
            pieces: &[frame],
            len,
            frames: same.frames,
            fate: same.fate,
        };
        recorder.leaves(same.port, mark, &leaving);
    }

    /// What the socket puts in where nothing else is said.
    fn ttl_to(&self, port: PortId, destination: SocketAddr) -> Option<u8> {
        if !destination.ip().is_multicast() {
            return self.topology.vtep.ttl;
        }
        let port = self.topology.port(port)?;
        let group = self.topology.networks[port.network].spec.group.as_ref();
        group.map(|group| group.ttl)
    }

    /// The next datagrams that lie in one part, up to `most` of them: their bytes, their sender, how many.
    fn next(&mut self, most: usize) -> Option<(&'a [u8], Sender, usize)> {
        let Batch {
            arena,
            parts,
            senders,
            transmits,
            ..
        } = self.batch;
        let transmit = transmits.get(self.transmit)?;
        let part = parts.get(self.part)?;
        let sender = *senders.get(self.part)?;
        let stride = match transmit.segment_size {
            0 => part.len as usize,
            size => usize::from(size),
        };
        let there = (part.len as usize).saturating_sub(self.offset);
        let count = there.div_ceil(stride.max(1)).clamp(1, most.max(1));
        let start = part.offset as usize + self.offset;
        let end = start + there.min(count * stride);
        let payload = arena.get(start..end)?;
        self.offset += count * stride;
        if self.offset >= part.len as usize {
            self.offset = 0;
            self.part += 1;
            if self.part >= transmit.parts.end as usize {
                self.transmit += 1;
                let next = transmits.get(self.transmit);
                self.part = next.map_or(self.part, |t| t.parts.start as usize);
            }
        }
        Some((payload, sender, count))
    }
}

impl Recorder {
    /// A superframe was handed to the kernel, which cuts it into datagrams: it is one packet here, inside and outside.
    pub(in crate::engine) fn superframe_leaves(
        &mut self,
        topology: &Topology,
        (injected, frame): (&Injected, &[u8]),
        outcome: Fate,
    ) {
        let Injected { port, header, .. } = injected;
        let fate = with_limit(outcome, topology.port(*port));
        let vxlan_header = vxlan::Header::emit(header.vni);
        let envelope = Envelope {
            source: SocketAddr::new(header.local, header.source_port),
            destination: header.destination,
            tos: header.tos,
            ttl: Some(header.ttl),
            has_checksum: header.checksum,
            may_fragment: false,
        };
        let leaving = |pieces: &[&[u8]], recorder: &mut Self, as_datagram: bool| {
            let leaving = Leaving {
                pieces,
                len: pieces.iter().map(|piece| piece.len()).sum(),
                frames: injected.frames,
                fate,
            };
            match as_datagram {
                true => recorder.datagram_leaves(*port, injected.mark, (envelope, &leaving)),
                false => recorder.leaves(*port, injected.mark, &leaving),
            }
        };
        leaving(&[frame], self, false);
        leaving(&[&vxlan_header, frame], self, true);
    }
}

/// With what the path to the VTEP carries, where that says something.
fn with_limit(fate: Fate, tunnel: Option<&Port>) -> Fate {
    let is_tunnel = |port: &&Port| matches!(port.io, PortIo::Tunnel(_));
    let limit = tunnel.filter(is_tunnel).map(|t| t.health.path.limit());
    let limit = limit.filter(|&limit| limit != UNLIMITED);
    match fate {
        Fate::Sent { .. } => Fate::Sent { limit },
        Fate::Dropped {
            reason: reason @ crate::counter::DropReason::TooBig,
            ..
        } => Fate::Dropped { reason, limit },
        other => other,
    }
}
