//! Packets that one `recvmmsg` has brought, given out one by one.

use super::super::sys::Errno;
use super::super::sys::receive::ReceiveRing;
use super::super::tap::VNET_HEADER_LEN;
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

    /// Gives out the next packet: its first bytes into `head`, the rest into `body`. `None` when it is empty.
    pub(super) fn take(&mut self, head: &mut [u8], body: &mut [u8]) -> Option<Taken> {
        if self.is_empty() {
            return None;
        }
        let packet = self.ring.get(self.next);
        self.next += 1;
        let (into_head, rest) = packet
            .payload
            .split_at(head.len().min(packet.payload.len()));
        let into_body = &rest[..rest.len().min(body.len())];
        head[..into_head.len()].copy_from_slice(into_head);
        body[..into_body.len()].copy_from_slice(into_body);
        Some(Taken {
            len: into_head.len() + into_body.len(),
            truncated: packet.truncated || into_body.len() < rest.len(),
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
/// The longest packet that IP has, in a frame with an offload header and a tag in front (an outer one comes beside it).
const LONGEST: usize = VNET_HEADER_LEN + ethernet::HEADER_LEN + TAG_LEN + 65_535;
/// Bytes between buffers, so that their starts do not compete for the same cache sets.
const CACHE_SKEW: usize = 1600;
/// `sll_pkttype` in `struct sockaddr_ll`.
const KIND_AT: usize = 10;
