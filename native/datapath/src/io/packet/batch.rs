//! Packets without offload header that one `recvmmsg` has brought, given out one by one.

use super::super::sys::Errno;
use super::super::sys::receive::ReceiveRing;
use super::auxdata;
use super::socket::Taken;
use crate::wire::ethernet::{self, TAG_LEN};
use std::os::fd::BorrowedFd;

/// Memory for packets of one socket at a time. One serves all sockets of a thread, if each is read until it
/// [is empty](Self::is_empty). It is touched only as far as packets fill it.
#[derive(Debug)]
pub struct PacketBatch {
    ring: ReceiveRing,
    /// The first that was not given out yet.
    next: usize,
}

impl PacketBatch {
    /// Empty.
    pub fn new() -> Self {
        Self {
            ring: ReceiveRing::new(PACKETS, LONGEST, CACHE_SKEW),
            next: 0,
        }
    }

    /// Whether everything that was received has been given out.
    pub fn is_empty(&self) -> bool {
        self.next == self.ring.filled()
    }

    /// Receives at least one packet; what was not given out is lost. An error that comes behind packets is told at the
    /// next call.
    pub(super) fn fill(&mut self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        self.next = 0;
        self.ring.receive_many(fd, PACKETS).map(drop)
    }

    /// Gives out the next packet: its bytes into `frame`. `None` when it is empty.
    pub(super) fn take(&mut self, frame: &mut [u8]) -> Option<Taken> {
        if self.is_empty() {
            return None;
        }
        let packet = self.ring.get(self.next);
        self.next += 1;
        let len = packet.payload.len().min(frame.len());
        frame[..len].copy_from_slice(&packet.payload[..len]);
        Some(Taken {
            len,
            truncated: packet.truncated || len < packet.payload.len(),
            kind: packet.name.get(KIND_AT).copied().unwrap_or_default(),
            told: auxdata::read(packet.control),
        })
    }
}

impl Default for PacketBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// More save next to nothing: the call itself is a fifth of what one packet costs.
const PACKETS: usize = 32;
/// The longest packet that IP has, in a frame with a tag (an outer one comes beside it).
const LONGEST: usize = ethernet::HEADER_LEN + TAG_LEN + 65_535;
/// Bytes between buffers, so that their starts do not compete for the same cache sets.
const CACHE_SKEW: usize = 1600;
/// `sll_pkttype` in `struct sockaddr_ll`.
const KIND_AT: usize = 10;
