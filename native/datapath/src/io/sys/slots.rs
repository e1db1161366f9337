//! The memory of a packet ring (TPACKET_V2), shared with the kernel.
//!
//! ```text
//! slot   | tpacket2_hdr (32) | ... | virtio_net_hdr (10) | frame ... |     the frame begins at tp_mac
//! ```
//!
//! Whose a slot is, says its first word: the kernel fills only slots of its own and touches none that it has given.
//! Every access here asks that word first.

use super::{Errno, packet};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// How slots lie in the memory: in blocks, none across the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) struct Layout {
    /// A power of two, at least a page.
    pub(in crate::io) block_len: usize,
    /// At least 1.
    pub(in crate::io) blocks: usize,
    /// A multiple of [`SLOT_ALIGN`], at least [`MIN_SLOT_LEN`] and at most `block_len`.
    pub(in crate::io) slot_len: usize,
}

impl Layout {
    fn per_block(self) -> usize {
        self.block_len / self.slot_len
    }

    pub(in crate::io) fn count(self) -> usize {
        self.blocks * self.per_block()
    }

    fn offset(self, slot: usize) -> usize {
        slot / self.per_block() * self.block_len + slot % self.per_block() * self.slot_len
    }
}

/// The slots, mapped until dropped.
#[derive(Debug)]
pub(in crate::io) struct Slots {
    memory: NonNull<u8>,
    layout: Layout,
}

/// A slot that the kernel has filled.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) struct Filled<'a> {
    /// TP_STATUS_…
    pub(in crate::io) status: u32,
    /// The frame was longer than the slot.
    pub(in crate::io) truncated: bool,
    pub(in crate::io) vnet: [u8; VNET_LEN],
    pub(in crate::io) frame: &'a [u8],
}

// SAFETY: the mapping belongs to this value alone, and what it is does not depend on the thread.
unsafe impl Send for Slots {}

impl Slots {
    /// Gives the packet socket `fd` its ring, which is what these slots are.
    ///
    /// Errors: EINVAL for a layout that breaks its own rules, EBUSY when the socket has a ring, ENOMEM.
    pub(in crate::io) fn make(fd: BorrowedFd<'_>, layout: Layout) -> Result<Self, Errno> {
        let sizes = MIN_SLOT_LEN..=layout.block_len;
        let fits = sizes.contains(&layout.slot_len) && layout.slot_len.is_multiple_of(SLOT_ALIGN);
        let len = layout.blocks.checked_mul(layout.block_len);
        let (true, true, Some(len @ 1..)) = (fits, layout.block_len.is_power_of_two(), len) else {
            return Err(Errno(libc::EINVAL));
        };
        packet::set_receive_ring(
            fd,
            layout.blocks as u32,
            layout.block_len as u32,
            layout.slot_len as u32,
        )?;
        // SAFETY: a new mapping at an address of the kernel's choice. Nobody else has mapped this ring: the kernel makes
        // none for a socket whose ring is mapped.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(memory.cast())
            .map(|memory| Self { memory, layout })
            .ok_or(Errno(libc::ENOMEM))
    }

    pub(in crate::io) fn count(&self) -> usize {
        self.layout.count()
    }

    /// Whether the slot is filled, and if so, whether its frame was longer and is whole in the socket's queue, behind
    /// those of earlier slots.
    pub(in crate::io) fn is_queued(&self, slot: usize) -> Option<bool> {
        let status = self.given(slot)?;
        Some(status & libc::TP_STATUS_COPY != 0)
    }

    /// What is in the slot; `None` while it is the kernel's.
    pub(in crate::io) fn get(&self, slot: usize) -> Option<Filled<'_>> {
        let place = self.place(slot)?;
        // SAFETY: `place` says that the bytes lie within the slot, which is ours until `release`, and that borrows
        // `self` exclusively, as `frame_mut` does.
        let (vnet, frame) = unsafe {
            let frame = self.start(slot).add(place.at);
            (
                frame.sub(VNET_LEN).cast::<[u8; VNET_LEN]>().read(),
                std::slice::from_raw_parts(frame, place.len),
            )
        };
        Some(Filled {
            status: place.status,
            truncated: place.truncated,
            vnet,
            frame,
        })
    }

    /// The frame in the slot, to change; `None` while it is the kernel's.
    pub(in crate::io) fn frame_mut(&mut self, slot: usize) -> Option<&mut [u8]> {
        let place = self.place(slot)?;
        // SAFETY: as in `get`; `self` is borrowed exclusively.
        Some(unsafe { std::slice::from_raw_parts_mut(self.start(slot).add(place.at), place.len) })
    }

    /// Gives the slot back to the kernel, which may fill it at once.
    pub(in crate::io) fn release(&mut self, slot: usize) {
        // Release: what we read and wrote in the slot happens before the kernel sees that it is free.
        self.status(slot)
            .store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }

    /// The slot's status if the slot is ours.
    fn given(&self, slot: usize) -> Option<u32> {
        // Acquire: what the kernel wrote into the slot before it gave it is seen after this.
        let status = self.status(slot).load(Ordering::Acquire);
        (status & libc::TP_STATUS_USER != 0).then_some(status)
    }

    fn place(&self, slot: usize) -> Option<Place> {
        let status = self.given(slot)?;
        // SAFETY: the slot begins with the header, is aligned for it and longer than it, and is ours.
        let header = unsafe { self.start(slot).cast::<libc::tpacket2_hdr>().read() };
        let (at, len) = (usize::from(header.tp_mac), header.tp_snaplen as usize);
        let is_within = at >= HEADER_LEN + VNET_LEN && at + len <= self.layout.slot_len;
        Some(Place {
            status,
            truncated: header.tp_len > header.tp_snaplen || !is_within,
            at: if is_within { at } else { HEADER_LEN + VNET_LEN },
            len: if is_within { len } else { 0 },
        })
    }

    fn status(&self, slot: usize) -> &AtomicU32 {
        // SAFETY: the slot begins with this word, aligned; whoever else writes it, the kernel, does so atomically.
        unsafe { AtomicU32::from_ptr(self.start(slot).cast()) }
    }

    fn start(&self, slot: usize) -> *mut u8 {
        assert!(slot < self.count(), "slot within the ring");
        // SAFETY: the slot was just checked, so this lies within the mapping.
        unsafe { self.memory.as_ptr().add(self.layout.offset(slot)) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let len = self.layout.blocks * self.layout.block_len;
        // SAFETY: the mapping was made in `make` with this length; nothing borrows from it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), len) };
    }
}

/// Where a frame lies in its slot; checked to be within.
struct Place {
    status: u32,
    truncated: bool,
    at: usize,
    len: usize,
}

/// Slots begin at multiples of this (TPACKET_ALIGNMENT).
pub(in crate::io) const SLOT_ALIGN: usize = 16;
/// What a frame's slot holds before the frame with PACKET_VNET_HDR and an Ethernet header: `tpacket2_hdr`,
/// `sockaddr_ll`, at least 16 bytes for the link header aligned to 16, less the 14 that it takes, `virtio_net_hdr`.
pub(in crate::io) const SLOT_OVERHEAD: usize = 76;
/// A slot for the shortest frame that anybody asks for.
pub(in crate::io) const MIN_SLOT_LEN: usize = 128;
const HEADER_LEN: usize = size_of::<libc::tpacket2_hdr>();
/// `virtio_net_hdr`.
pub(in crate::io) const VNET_LEN: usize = 10;

const _: () = assert!(HEADER_LEN + VNET_LEN <= SLOT_OVERHEAD && SLOT_OVERHEAD < MIN_SLOT_LEN);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_never_cross_the_end_of_a_block_and_never_overlap() {
        for slot_len in [2048, 69_904, 9_104, 1 << 20] {
            let layout = Layout {
                block_len: 1 << 20,
                blocks: 3,
                slot_len,
            };
            let mut end = 0;
            for slot in 0..layout.count() {
                let start = layout.offset(slot);
                assert!(start >= end);
                end = start + slot_len;
                assert_eq!(start / layout.block_len, (end - 1) / layout.block_len);
                assert!(start.is_multiple_of(SLOT_ALIGN));
            }
            assert!(end <= layout.blocks * layout.block_len);
        }
    }
}
