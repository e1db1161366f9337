//! Receiving many datagrams with one call, into memory that stays where it is.

use super::sockaddr::RawAddress;
use super::{Errno, check, check_len};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// Whether the kernel, and whoever filters our calls, takes `recvmmsg`: asked with no socket.
pub(in crate::io) fn has_recvmmsg() -> bool {
    let none = std::ptr::null_mut();
    // SAFETY: a list of no messages is not written, and there is no descriptor -1.
    let asked = check(unsafe { libc::recvmmsg(-1, none, 0, 0, std::ptr::null_mut()) });
    asked == Err(Errno(libc::EBADF))
}

/// Room for the control messages of one datagram: stride, overflow count, or an error with its offender.
const CONTROL_LEN: usize = 192;

/// What one header points to besides the payload.
#[repr(C, align(8))]
struct Slot {
    control: [u8; CONTROL_LEN],
    iovec: libc::iovec,
    name: [u8; RawAddress::CAPACITY],
}

/// A heap slice that the kernel is given pointers into, so that no reference to the whole of it is ever made.
struct Pinned<T>(NonNull<[T]>);

impl<T> Pinned<T> {
    fn new(values: Vec<T>) -> Self {
        Self(NonNull::from(Box::leak(values.into_boxed_slice())))
    }

    /// Pointer to element `i`, which must exist.
    fn at(&self, i: usize) -> *mut T {
        assert!(i < self.0.len(), "index within the pinned slice");
        // SAFETY: the index was just checked; the allocation lives as long as `self`.
        unsafe { self.0.cast::<T>().as_ptr().add(i) }
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: the slice was leaked from a Box in `new` and is taken back once, here.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Buffers for receiving up to `buffers` datagrams at once.
pub(in crate::io) struct ReceiveRing {
    memory: Pinned<u8>,
    slots: Pinned<Slot>,
    headers: Vec<libc::mmsghdr>,
    buffer_len: usize,
    /// Distance of buffers.
    skewed_len: usize,
    /// Headers that the kernel has written since they were last prepared.
    dirty: usize,
    /// Headers that hold a datagram.
    filled: usize,
}

/// One received datagram (or several of one stride, coalesced).
pub(in crate::io) struct Received<'a> {
    /// `sockaddr` of the sender as the kernel wrote it.
    pub(in crate::io) name: &'a [u8],
    pub(in crate::io) control: &'a [u8],
    pub(in crate::io) truncated: bool,
    pub(in crate::io) payload: &'a [u8],
}

impl std::fmt::Debug for ReceiveRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveRing")
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

// SAFETY: the ring owns both allocations; the raw pointers in the headers point into them and nowhere else.
unsafe impl Send for ReceiveRing {}

impl ReceiveRing {
    /// Memory is touched only when datagrams arrive. `skew` bytes are left between buffers so that their starts do
    /// not fall into the same cache sets.
    pub(in crate::io) fn new(buffers: usize, buffer_len: usize, skew: usize) -> Self {
        let skewed_len = buffer_len + skew;
        let memory = Pinned::new(vec![0u8; buffers * skewed_len]);
        let slots = Pinned::new(
            (0..buffers)
                .map(|i| Slot {
                    control: [0; CONTROL_LEN],
                    iovec: libc::iovec {
                        iov_base: memory.at(i * skewed_len).cast(),
                        iov_len: buffer_len,
                    },
                    name: [0; RawAddress::CAPACITY],
                })
                .collect(),
        );
        let headers = (0..buffers)
            .map(|i| {
                // SAFETY: mmsghdr is plain data for which all zeroes is a valid value.
                let mut header: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
                let slot = slots.at(i);
                // SAFETY: `slot` is valid; only addresses of its fields are taken.
                unsafe {
                    header.msg_hdr.msg_name = (&raw mut (*slot).name).cast();
                    header.msg_hdr.msg_control = (&raw mut (*slot).control).cast();
                    header.msg_hdr.msg_iov = &raw mut (*slot).iovec;
                }
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Self {
            memory,
            slots,
            headers,
            buffer_len,
            skewed_len,
            dirty: buffers,
            filled: 0,
        }
    }

    /// How many datagrams it has room for.
    pub(in crate::io) fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// One `recvmmsg` without waiting, for at most `limit` datagrams. Afterwards `filled` datagrams can be taken.
    pub(in crate::io) fn receive_many(
        &mut self,
        fd: BorrowedFd<'_>,
        limit: usize,
    ) -> Result<usize, Errno> {
        self.prepare();
        // SAFETY: every header points to a slot and a buffer that live as long as `self` and are not borrowed now.
        let n = check(unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len().min(limit) as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        })? as usize;
        self.dirty = n;
        self.filled = n;
        Ok(n)
    }

    /// As many `recvmsg` calls as there are datagrams and buffers. Same result as [`receive_many`](Self::receive_many);
    /// an error after the first datagram is left for the next call.
    pub(in crate::io) fn receive_each(
        &mut self,
        fd: BorrowedFd<'_>,
        flags: i32,
    ) -> Result<usize, Errno> {
        self.prepare();
        while let Some(header) = self.headers.get_mut(self.filled) {
            // SAFETY: as in `receive_many`, for one header.
            let len = check_len(unsafe {
                libc::recvmsg(
                    fd.as_raw_fd(),
                    &raw mut header.msg_hdr,
                    libc::MSG_DONTWAIT | flags,
                )
            });
            match len {
                Ok(len) => header.msg_len = len as u32,
                Err(errno) if self.filled == 0 => {
                    self.dirty = 1;
                    return Err(errno);
                }
                Err(_) => break,
            }
            self.filled += 1;
        }
        self.dirty = (self.filled + 1).min(self.headers.len());
        Ok(self.filled)
    }

    /// Datagram `i` of the last receive; `i` is below what that returned.
    pub(in crate::io) fn get(&self, i: usize) -> Received<'_> {
        assert!(i < self.filled, "index below the number received");
        let header = &self.headers[i];
        let slot = self.slots.at(i);
        let len = (header.msg_len as usize).min(self.buffer_len);
        let memory = self.memory.at(i * self.skewed_len);
        // SAFETY: the pointers are valid for `self`, which is borrowed, and written only through an exclusive borrow of
        // it; `len` is at most the length of the buffer.
        let (slot, payload) = unsafe { (&*slot, std::slice::from_raw_parts(memory, len)) };
        let name_len = (header.msg_hdr.msg_namelen as usize).min(slot.name.len());
        #[allow(clippy::unnecessary_cast, reason = "32 bits wide in some C libraries")]
        let control_len = (header.msg_hdr.msg_controllen as usize).min(slot.control.len());
        Received {
            name: &slot.name[..name_len],
            control: &slot.control[..control_len],
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            payload,
        }
    }

    /// How many datagrams the last receive has left here.
    pub(in crate::io) fn filled(&self) -> usize {
        self.filled
    }

    /// The payload of datagram `i`, to change.
    pub(in crate::io) fn payload_mut(&mut self, i: usize) -> &mut [u8] {
        let len = self.get(i).payload.len();
        let memory = self.memory.at(i * self.skewed_len);
        // SAFETY: `get` has checked `i`; the memory is valid for `len` bytes and for `self`, which is borrowed
        // exclusively.
        unsafe { std::slice::from_raw_parts_mut(memory, len) }
    }

    /// Restores the lengths that the kernel overwrote.
    fn prepare(&mut self) {
        for header in &mut self.headers[..self.dirty] {
            header.msg_hdr.msg_namelen = RawAddress::CAPACITY as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            header.msg_hdr.msg_flags = 0;
        }
        self.dirty = 0;
        self.filled = 0;
    }
}
