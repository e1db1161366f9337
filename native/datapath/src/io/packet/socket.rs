//! The socket of a packet port: moving packets.

use super::super::Refusal;
use super::super::sys::packet::{self, ControlRoom};
use super::super::sys::{Errno, file};
use super::super::tap::VNET_HEADER_LEN;
use super::auxdata::{self, Auxdata};
use super::batch::PacketBatch;
use crate::wire::ethernet::TAG_LEN;
use crate::wire::vnet::VnetHeader;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::slice::Chunks;
use std::sync::atomic::{AtomicBool, Ordering};

/// An AF_PACKET socket on one interface. Non-blocking; any thread may use it, each packet is whole.
#[derive(Debug)]
pub struct PacketSocket {
    pub(super) fd: OwnedFd,
    /// Packets are preceded by a `virtio_net_hdr` of [`VNET_HEADER_LEN`] bytes.
    pub(super) vnet_hdr: bool,
    pub(super) recvmmsg: bool,
    pub(super) sendmmsg: bool,
    /// What came last was more than a packet: a superframe, and more of them are likely.
    pub(super) last_was_long: AtomicBool,
}

/// A packet as it was received.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// Its bytes, the offload header among them.
    pub(super) len: usize,
    /// It was longer than the room for it.
    pub(super) truncated: bool,
    /// PACKET_HOST, PACKET_OUTGOING ...
    pub(super) kind: u8,
    pub(super) told: Auxdata,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketRead {
    /// Length of the frame.
    pub len: usize,
    /// Its checksum is partial and no offload header says so: the socket has none.
    pub is_unfinished: bool,
}

impl PacketSocket {
    /// Reads one frame or superframe, with its VLAN tag where that belongs, and its offload header (all zero when the
    /// socket has none). Give it 65536 bytes and room for a VLAN tag.
    ///
    /// Short frames without offload header come by `batch`: many with one call, then given out one by one, so read until
    /// `batch` is empty. Others come one by one into `frame`, because copying a superframe costs more than a call.
    ///
    /// `Gone` when the interface is no more, or in another namespace now; while it is down there is nothing to read.
    /// `Lost` for a frame that does not fit, `Unfinished` for one that the kernel has no offload header for.
    pub fn read(
        &self,
        batch: &mut PacketBatch,
        (vnet, frame): (&mut [u8; VNET_HEADER_LEN], &mut [u8]),
    ) -> Result<PacketRead, Refusal> {
        let mut skipped = 0;
        // What has been received must be given out, or it would be taken for another socket's.
        while skipped < MAX_SKIPPED || !batch.is_empty() {
            skipped += 1;
            match self.receive(batch, vnet, frame) {
                // What the host itself sends on the interface, where the kernel cannot keep that from us.
                Ok(taken) if taken.kind == PACKET_OUTGOING => {}
                Ok(taken) if taken.truncated => return Err(Refusal::Lost),
                Ok(taken) => return self.complete((vnet, frame), taken),
                // Once per change; it hides what is queued.
                Err(Errno(libc::ENETDOWN)) if !self.is_gone() => {}
                Err(Errno(libc::ENETDOWN)) => return Err(Refusal::Gone),
                Err(Errno(libc::EAGAIN)) => return Err(Refusal::WouldBlock),
                Err(Errno(libc::EINVAL)) if self.vnet_hdr => return Err(Refusal::Unfinished),
                Err(Errno(errno)) => return Err(Refusal::Other(errno)),
            }
        }
        // More of the same may wait, but so do others; polling tells of it again.
        Err(Refusal::WouldBlock)
    }

    /// Writes one frame or superframe made of `parts`; `vnet` is left out when the socket has no offload header.
    ///
    /// [`Refusal::TOO_LONG`] for a frame that is longer than the interface's MTU allows; of superframes the kernel does
    /// not check that.
    pub fn write(
        &self,
        vnet: &[u8; VNET_HEADER_LEN],
        parts: &[IoSlice<'_>],
    ) -> Result<(), Refusal> {
        let head: &[u8] = if self.vnet_hdr { vnet } else { &[] };
        match file::write_packet(self.as_fd(), head, parts) {
            Ok(_) => Ok(()),
            Err(errno) => Err(refusal(errno)),
        }
    }

    /// Writes a prefix of `frames`, for which nothing is left to do, and returns its length, which is at least one. An
    /// error is that of the first, as of [`write`](Self::write). Nothing is written of no frames.
    pub fn write_some(&self, mut frames: Chunks<'_, u8>) -> Result<usize, Refusal> {
        let vnet = VnetHeader::NONE.emit();
        if !self.sendmmsg {
            let first = frames
                .next()
                .map(|frame| self.write(&vnet, &[IoSlice::new(frame)]));
            return first.map_or(Ok(0), |written| written.map(|()| 1));
        }
        let head: &[u8] = if self.vnet_hdr { &vnet } else { &[] };
        packet::send_some(self.as_fd(), head, frames).map_err(refusal)
    }

    /// Frames are preceded by an offload header.
    pub fn vnet_hdr(&self) -> bool {
        self.vnet_hdr
    }

    /// Whether its interface is no more, or in another namespace now. It never comes back to this socket.
    pub fn is_gone(&self) -> bool {
        packet::bound_to(self.as_fd()).is_ok_and(|to| to.ifindex < 0)
    }

    /// Frames that its queue had no room for since this was last asked, superframes as one. Before Linux 4.20 what the host
    /// itself sends there is among them: it takes room in the queue until it is read and left out.
    pub fn take_drops(&self) -> u32 {
        packet::take_drops(self.as_fd()).unwrap_or(0)
    }

    fn receive(
        &self,
        batch: &mut PacketBatch,
        vnet: &mut [u8; VNET_HEADER_LEN],
        frame: &mut [u8],
    ) -> Result<Taken, Errno> {
        if self.vnet_hdr {
            return self.receive_one(vnet, frame);
        }
        *vnet = VnetHeader::NONE.emit();
        let taken = if let Some(taken) = batch.take(frame) {
            taken
        } else if self.recvmmsg && !self.last_was_long.load(Ordering::Relaxed) {
            batch.fill(self.as_fd())?;
            batch.take(frame).ok_or(Errno(libc::EAGAIN))?
        } else {
            self.receive_one(&mut [], frame)?
        };
        self.last_was_long
            .store(taken.len > SHORT, Ordering::Relaxed);
        Ok(taken)
    }

    fn receive_one(&self, head: &mut [u8], frame: &mut [u8]) -> Result<Taken, Errno> {
        let mut control = ControlRoom([0; _]);
        let received = packet::receive(self.as_fd(), head, frame, &mut control)?;
        Ok(Taken {
            len: received.len,
            truncated: received.truncated,
            kind: received.kind,
            told: auxdata::read(control.0.get(..received.control_len).unwrap_or(&[])),
        })
    }

    fn complete(
        &self,
        (vnet, frame): (&mut [u8; VNET_HEADER_LEN], &mut [u8]),
        taken: Taken,
    ) -> Result<PacketRead, Refusal> {
        let head = if self.vnet_hdr { VNET_HEADER_LEN } else { 0 };
        let mut len = taken.len.saturating_sub(head);
        if let Some(tag) = taken.told.tag {
            len = put_back(tag, frame, len).ok_or(Refusal::Lost)?;
            // One that cannot be read is refused by who reads it next.
            if let Ok(header) = VnetHeader::read(vnet) {
                *vnet = header.shifted(TAG_LEN as i16).emit();
            }
        }
        Ok(PacketRead {
            len,
            is_unfinished: taken.told.is_unfinished && !self.vnet_hdr,
        })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn refusal(errno: Errno) -> Refusal {
    match errno.0 {
        libc::EAGAIN | libc::ENOBUFS => Refusal::WouldBlock,
        libc::ENETDOWN => Refusal::Down,
        libc::ENXIO | libc::ENODEV => Refusal::Gone,
        other => Refusal::Other(other),
    }
}

/// Puts the tag behind the addresses of a frame of `len` bytes; its length then, if there is room.
fn put_back(tag: [u8; TAG_LEN], frame: &mut [u8], len: usize) -> Option<usize> {
    let frame = frame.get_mut(..len + TAG_LEN)?;
    let rest = frame.get_mut(ADDRESSES_LEN..)?;
    rest.copy_within(..len.checked_sub(ADDRESSES_LEN)?, TAG_LEN);
    rest[..TAG_LEN].copy_from_slice(&tag);
    Some(len + TAG_LEN)
}

/// Frames up to this are short: copying one costs next to nothing, and nobody's MTU but a data centre's is above it.
const SHORT: usize = 2048;
/// What one read passes over at most.
const MAX_SKIPPED: usize = 64;
/// Two MACs.
const ADDRESSES_LEN: usize = 12;
// linux/if_packet.h
const PACKET_OUTGOING: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_back_between_addresses_and_ethertype() {
        let mut frame: Vec<u8> = (0..24).collect();
        assert_eq!(put_back([0x81, 0, 0, 5], &mut frame, 20), Some(24));
        let expected: Vec<u8> = (0..12).chain([0x81, 0, 0, 5]).chain(12..20).collect();
        assert_eq!(frame, expected);
    }

    #[test]
    fn a_tag_without_room_or_place_is_refused() {
        assert_eq!(put_back([0; 4], &mut [0; 63], 60), None);
        assert_eq!(put_back([0; 4], &mut [0; 63], 11), None);
    }
}
