//! The interface of a local port as one worker reads and writes it, of whatever kind it is.

use std::io::IoSlice;
use std::slice::Chunks;

use super::topology::PortIo;
use crate::counter::DropReason;
use crate::io::Refusal;
use crate::io::packet::{PacketBatch, PacketSocket};
use crate::io::tap::TapQueue;
use crate::offload::{carry, left_crc};
use crate::wire::vnet::{self, VnetHeader};

/// A queue of an interface, and what it takes.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    queue: Queue<'a>,
    /// Frames have an offload header: partial checksums and superframes of TCP pass as they are.
    pub(super) vnet_hdr: bool,
    /// Superframes of UDP do, too.
    pub(super) uso: bool,
    /// Longest packet of the stack behind it, as far as is known.
    mtu: usize,
}

#[derive(Clone, Copy)]
enum Queue<'a> {
    Tap(&'a TapQueue),
    Packet(&'a PacketSocket),
}

impl PortIo {
    /// The interface behind the port, if that is what there is.
    pub(super) fn link(&self, worker: usize) -> Option<Link<'_>> {
        match self {
            Self::Tap { tap, spec } => Some(Link {
                queue: Queue::Tap(&tap.queues[worker % tap.queues.len()]),
                vnet_hdr: tap.vnet_hdr,
                uso: tap.offloads.uso,
                mtu: spec.mtu as usize,
            }),
            Self::Packet { interface, spec } => Some(Link {
                queue: Queue::Packet(&interface.socket),
                vnet_hdr: interface.socket.vnet_hdr(),
                uso: interface.uso,
                mtu: spec.mtu.min(interface.mtu) as usize,
            }),
            Self::Memory { .. } | Self::Tunnel(_) => None,
        }
    }
}

impl Link<'_> {
    /// Reads one frame or superframe: its offload header and its length.
    ///
    /// Short frames of a packet port without offload header come by `batch`, which is to be empty before another link is read.
    pub(super) fn read(
        &self,
        batch: &mut PacketBatch,
        room: &mut [u8],
    ) -> Result<([u8; vnet::HEADER_LEN], usize), Refusal> {
        let mut vnet = VnetHeader::NONE.emit();
        match self.queue {
            Queue::Tap(queue) => {
                let len = queue.read(&mut vnet, room)?;
                Ok((vnet, len))
            }
            Queue::Packet(socket) => {
                let read = socket.read(batch, (&mut vnet, room))?;
                if read.is_unfinished {
                    vnet = undone(&room[..read.len], self.mtu)
                        .ok_or(Refusal::Unfinished)?
                        .emit();
                }
                Ok((vnet, read.len))
            }
        }
    }

    /// Writes a frame in pieces.
    pub(super) fn send(&self, vnet: VnetHeader, pieces: &[IoSlice<'_>]) -> Result<(), DropReason> {
        match self.queue {
            Queue::Tap(queue) => queue.write(&vnet.emit(), pieces),
            Queue::Packet(socket) => socket.write(&vnet.emit(), pieces),
        }
        .map_err(reason)
    }

    /// Writes finished frames in order; `done` is told of each what became of it.
    pub(super) fn send_each<'f>(
        &self,
        mut frames: Chunks<'f, u8>,
        mut done: impl FnMut(&'f [u8], Result<(), DropReason>),
    ) {
        while let Some(first) = frames.clone().next() {
            let sent = match self.queue {
                Queue::Tap(_) => self
                    .send(VnetHeader::NONE, &[IoSlice::new(first)])
                    .map(|()| 1),
                Queue::Packet(socket) => socket.write_some(frames.clone()).map_err(reason),
            };
            let (count, outcome) = match sent {
                Ok(count) => (count, Ok(())),
                Err(reason) => (1, Err(reason)),
            };
            for frame in frames.by_ref().take(count) {
                done(frame, outcome);
            }
        }
    }
}

fn reason(refusal: Refusal) -> DropReason {
    match refusal {
        Refusal::WouldBlock => DropReason::PortQueue,
        Refusal::Gone => DropReason::PortGone,
        Refusal::Down => DropReason::PortDown,
        Refusal::TOO_LONG => DropReason::PortMtu,
        Refusal::Lost | Refusal::Unfinished | Refusal::Other(_) => DropReason::PortRefused,
    }
}

/// What the sender of an unfinished frame without offload header has left undone, which the frame alone tells; `None` if
/// it does not: the checksum of another protocol, or of a packet inside a tunnel.
fn undone(frame: &[u8], mtu: usize) -> Option<VnetHeader> {
    Some(carry(frame, mtu))
        .filter(|vnet| vnet.needs_csum)
        .or_else(|| left_crc(frame))
}
