//! Receiving past the stack: an AF_PACKET ring in shared memory (TPACKET_V2), and a program that drops behind it what it
//! has taken.
//!
//! ```text
//! NIC -> ring (its filter takes the datagrams to the VTEP) -> tcx (drops the same) -> IP, UDP -> ordinary socket
//! ```
//!
//! The tap copies a packet before the program behind it drops the packet, so routing, the lookup of the socket, its queue
//! and the receiving system calls fall away. What the filter does not take goes to the ordinary socket: fragments, IP
//! options, extension headers, VLAN tags, other addresses, other interfaces. That socket must stay open and be read.
//!
//! A packet longer than a slot, a superframe, waits whole in the socket's own queue: its slot only keeps its place among
//! the others (PACKET_COPY_THRESH). So slots are as short as packets on a wire are, and many.
//!
//! What also falls away is what the stack does on the way: netfilter's INPUT chain, IPsec policies, `rp_filter` and its
//! list of impossible senders. What IP and UDP check in a packet is checked by [`Batch::outer`].
//!
//! While a ring is being opened a datagram may come to both, never to none; when one is closed, what is in it is lost.

mod drop_program;
mod filter;
mod outer;
mod place;

pub use outer::{Outer, RingRefusal};
pub use place::{Place, SlotSpec, place};

use super::super::Refusal;
use super::super::netlink::Netlink;
use super::super::netns;
use super::super::sys::Errno;
use super::super::sys::packet;
use super::super::sys::receive::ReceiveRing;
use super::super::sys::slots::{Filled, Layout, MIN_SLOT_LEN, SLOT_ALIGN, Slots, VNET_LEN};
use super::super::sys::socket::{self, SocketOption};
use super::set_buffer;
use crate::error::{Error, ErrorCode};
use crate::wire::ethernet;
use drop_program::{Attached, DropProgram};
use filter::Match;
use outer::Tapped;
use place::BLOCK_LEN;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// How to open a [`Ring`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSpec {
    /// The VTEP: datagrams to this address and port are the ring's. No group, no wildcard.
    pub local: SocketAddr,
    /// The interface on which they arrive, one with Ethernet headers; see [`place()`].
    pub ifindex: u32,
    /// Its memory.
    pub slots: SlotSpec,
}

/// An open ring with its program. Non-blocking; readable while a slot is filled.
///
/// Dropping it gives the datagrams back to the stack.
#[derive(Debug)]
pub struct Ring {
    // Dropped in this order: the program first, so that from then on datagrams reach the ordinary socket.
    _program: Attached,
    slots: Slots,
    socket: OwnedFd,
    spec: RingSpec,
    /// The slot that the kernel fills next after those that it has filled.
    next: usize,
    /// Of the last batch: frames that were longer than a slot, each behind its `virtio_net_hdr`.
    long: ReceiveRing,
    /// Of the last batch, by slot: which of `long` it stands for.
    stands_for: Vec<Option<usize>>,
    overflows: AtomicU32,
}

impl Ring {
    /// Opens it in the calling thread's namespace.
    ///
    /// Errors: `NO_NET_ADMIN` when CAP_NET_RAW, CAP_NET_ADMIN or CAP_BPF is missing; `NO_RING` when the kernel has no such
    /// ring or no tcx, or the interface no Ethernet headers: in these cases an ordinary socket serves. `BAD_VALUE` for
    /// slots that make no ring, or a `local` that is no unicast address; `ADDRESS_NOT_LOCAL` when there is no such
    /// interface; `NO_FILES`; `IO`.
    pub fn open(spec: &RingSpec) -> Result<Self, Error> {
        Self::open_unnamed(spec).map_err(|e| e.about(format!("packet ring for {}", spec.local)))
    }

    fn open_unnamed(spec: &RingSpec) -> Result<Self, Error> {
        let layout = layout(spec)?;
        let packets = Match::datagrams_to(&spec.local);
        let socket = packet::packet_socket().map_err(|e| to_error(e, "socket"))?;
        let fd = socket.as_fd();
        // Before everything else, or packets of others would be in the ring already.
        packets
            .attach(fd)
            .map_err(|e| to_error(e, "SO_ATTACH_FILTER"))?;
        let slots = make_slots(fd, layout)?;
        let program = DropProgram::load(&packets)?;
        packet::bind(fd, spec.ifindex).map_err(|e| match e.0 {
            libc::ENODEV | libc::ENXIO => e.into_error(ErrorCode::AddressNotLocal, "", "bind"),
            _ => to_error(e, "bind"),
        })?;
        let bound_to = packet::bound_to(fd).map_err(|e| to_error(e, "getsockname"))?;
        if !matches!(
            bound_to.hardware,
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK
        ) {
            return Err(Error::new(ErrorCode::NoRing, "")
                .with_detail("the interface has no Ethernet headers"));
        }
        // Last: from here on the stack no longer gets what the ring takes.
        let program = program.attach(spec.ifindex)?;
        Ok(Self {
            _program: program,
            slots,
            socket,
            spec: *spec,
            next: 0,
            long: ReceiveRing::new(LONG_FRAMES, LONG_LEN, CACHE_SKEW),
            stands_for: Vec::with_capacity(MAX_BATCH),
            overflows: AtomicU32::new(0),
        })
    }

    /// What it was opened with; `slots.count` is what it has.
    pub fn spec(&self) -> RingSpec {
        RingSpec {
            slots: SlotSpec {
                count: self.slots.count(),
                ..self.spec.slots
            },
            ..self.spec
        }
    }

    /// The oldest filled slots, at most `max` and [`MAX_BATCH`]. A system call only if a frame is longer than a slot. They go back to the kernel when the batch is
    /// dropped. There may be none although the ring is readable: while the kernel still fills the oldest on one CPU and
    /// has filled the one after it on another.
    pub fn next_batch(&mut self, max: usize) -> Batch<'_> {
        self.stands_for.clear();
        let mut long = 0;
        for i in 0..max.min(MAX_BATCH).min(self.slots.count()) {
            let stands_for = match self.slots.is_queued(self.slot(i)) {
                None => break,
                Some(false) => None,
                Some(true) if long == self.long.capacity() => break,
                Some(true) => {
                    long += 1;
                    Some(long - 1)
                }
            };
            self.stands_for.push(stands_for);
        }
        if long > 0 {
            self.receive_long(long);
        }
        let len = self.stands_for.len();
        Batch { ring: self, len }
    }

    /// Takes `count` frames out of the queue. What is missing afterwards, which nothing should, counts as cut off.
    fn receive_long(&mut self, count: usize) {
        // An error that is pending (the interface was down) comes instead of them, once.
        for _ in 0..=PENDING_ERRORS {
            match self.long.receive_many(self.socket.as_fd(), count) {
                Ok(received) if received == count => return,
                Err(Errno(errno)) if errno != libc::EAGAIN => {}
                // Fewer than there are slots for them: or slots to come would be given the frames of others.
                Ok(_) | Err(_) => break,
            }
        }
        while self.long.receive_many(self.socket.as_fd(), count).is_ok() {}
    }

    /// Whether no slot is filled.
    pub fn is_empty(&self) -> bool {
        self.slots.is_queued(self.slot(0)).is_none()
    }

    /// Whether its interface no longer exists.
    pub fn is_gone(&self) -> bool {
        packet::bound_to(self.socket.as_fd()).is_ok_and(|to| to.ifindex < 0)
    }

    /// Packets that this ring has ever lost for want of a free slot, superframes as one. Wraps around. A system call: to
    /// be asked once per tick, not per batch. Called by one thread at a time, or the result may lack the other's share.
    pub fn overflows(&self) -> u32 {
        let new = packet::take_drops(self.socket.as_fd()).unwrap_or(0);
        self.overflows
            .fetch_add(new, Ordering::Relaxed)
            .wrapping_add(new)
    }

    /// Why the ring is in error (see [`Poller`](super::super::poll::Poller)), and ends that state: `Down` when the
    /// interface was, which it may no longer be; `Gone` when it no longer exists. `None` when nothing is wrong.
    pub fn take_error(&self) -> Option<Refusal> {
        let fd = self.socket.as_fd();
        let option = SocketOption(libc::SOL_SOCKET, libc::SO_ERROR);
        let errno = socket::get_int(fd, option).unwrap_or(libc::EBADF);
        match errno {
            _ if self.is_gone() => Some(Refusal::Gone),
            0 => None,
            libc::ENETDOWN => Some(Refusal::Down),
            other => Some(Refusal::Other(other)),
        }
    }

    /// The slot `i` after the next one.
    fn slot(&self, i: usize) -> usize {
        (self.next + i) % self.slots.count()
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Filled slots, oldest first; ours until this is dropped.
#[derive(Debug)]
pub struct Batch<'r> {
    ring: &'r mut Ring,
    len: usize,
}

impl Batch<'_> {
    /// Number of slots.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of slot `i`, which must be below `len`: a frame, from its Ethernet header on.
    pub fn entry(&self, i: usize) -> &[u8] {
        self.filled(i).map_or(&[], |filled| filled.frame)
    }

    /// The same, to change. After a change of anything but the UDP payload, `outer` no longer holds.
    pub fn entry_mut(&mut self, i: usize) -> &mut [u8] {
        assert!(i < self.len, "index within the batch");
        let slot = self.ring.slot(i);
        match self.ring.stands_for[i] {
            Some(long) if long < self.ring.long.filled() => self
                .ring
                .long
                .payload_mut(long)
                .get_mut(VNET_LEN..)
                .unwrap_or_default(),
            _ => self.ring.slots.frame_mut(slot).unwrap_or_default(),
        }
    }

    /// The datagram in slot `i`, which must be below `len`. Verifies the UDP checksum where nobody has: to be asked
    /// once, and before the payload is changed.
    pub fn outer(&self, i: usize) -> Result<Outer, RingRefusal> {
        let filled = self.filled(i).ok_or(RingRefusal::Truncated)?;
        Tapped {
            frame: filled.frame,
            truncated: filled.truncated,
            is_checksum_valid: filled.status & libc::TP_STATUS_CSUM_VALID != 0,
            vnet: filled.vnet,
            ifindex: self.ring.spec.ifindex,
        }
        .read()
    }

    fn filled(&self, i: usize) -> Option<Filled<'_>> {
        assert!(i < self.len, "index within the batch");
        let filled = self.ring.slots.get(self.ring.slot(i))?;
        let Some(long) = self.ring.stands_for[i].filter(|&long| long < self.ring.long.filled())
        else {
            return Some(filled);
        };
        let whole = self.ring.long.get(long);
        let (vnet, frame) = whole.payload.split_first_chunk()?;
        Some(Filled {
            truncated: whole.truncated,
            vnet: *vnet,
            frame,
            ..filled
        })
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for i in 0..self.len {
            let slot = self.ring.slot(i);
            self.ring.slots.release(slot);
        }
        self.ring.next = self.ring.slot(self.len);
    }
}

/// Whether a ring can be opened here, by opening one: on `lo`, in a network namespace of its own where one may be made,
/// else in ours for a port that nobody sends to. Leaves nothing behind. Errors: those of [`Ring::open`].
pub fn probe() -> Result<(), Error> {
    netns::within_new(|| Ok(open_on_loopback())).unwrap_or_else(|_| open_on_loopback())
}

fn open_on_loopback() -> Result<(), Error> {
    let lo = Netlink::open()?.link("lo")?;
    let lo = lo.ok_or_else(|| Error::new(ErrorCode::NoRing, "lo"))?;
    Ring::open(&RingSpec {
        local: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        ifindex: lo.ifindex,
        slots: SlotSpec {
            count: 1,
            len: MIN_SLOT_LEN,
        },
    })
    .map(drop)
}

fn layout(spec: &RingSpec) -> Result<Layout, Error> {
    let SlotSpec { count, len } = spec.slots;
    let ip = spec.local.ip();
    let problem = if ip.is_unspecified() || ip.is_multicast() {
        "a ring receives what is sent to one address"
    } else if !(MIN_SLOT_LEN..=BLOCK_LEN).contains(&len) {
        "a slot has 128 bytes to 1 MiB"
    } else if !(1..=MAX_SLOTS).contains(&count) {
        "a ring has 1 to 65536 slots"
    } else {
        let slot_len = len.next_multiple_of(SLOT_ALIGN);
        let block_len = (count * slot_len)
            .next_power_of_two()
            .clamp(MIN_BLOCK_LEN, BLOCK_LEN);
        return Ok(Layout {
            block_len,
            blocks: count.div_ceil(block_len / slot_len),
            slot_len,
        });
    };
    Err(Error::new(ErrorCode::BadValue, "").with_detail(problem))
}

/// Gives the socket its ring. The order matters: each of these is refused once there is one.
fn make_slots(fd: BorrowedFd<'_>, layout: Layout) -> Result<Slots, Error> {
    let set = |name, value| socket::set_int(fd, SocketOption(libc::SOL_PACKET, name), value);
    set(libc::PACKET_VERSION, TPACKET_V2).map_err(|e| to_error(e, "PACKET_VERSION"))?;
    set(libc::PACKET_VNET_HDR, 1).map_err(|e| to_error(e, "PACKET_VNET_HDR"))?;
    set(PACKET_IGNORE_OUTGOING, 1).map_err(|e| to_error(e, "PACKET_IGNORE_OUTGOING"))?;
    set(libc::PACKET_COPY_THRESH, 1).map_err(|e| to_error(e, "PACKET_COPY_THRESH"))?;
    set_buffer(
        fd,
        SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE),
        SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUF),
        QUEUE_LEN,
    )
    .map_err(|e| to_error(e, "SO_RCVBUF"))?;
    Slots::make(fd, layout).map_err(|e| to_error(e, "PACKET_RX_RING"))
}

fn to_error(errno: Errno, syscall: &'static str) -> Error {
    match errno.0 {
        libc::EPERM | libc::EACCES => errno
            .into_error(ErrorCode::NoNetAdmin, "", syscall)
            .with_detail("a packet socket needs CAP_NET_RAW"),
        libc::ENOPROTOOPT | libc::EINVAL | libc::EAFNOSUPPORT => {
            errno.into_error(ErrorCode::NoRing, "", syscall)
        }
        _ => errno.into_error(ErrorCode::Io, "", syscall),
    }
}

// linux/if_packet.h
const TPACKET_V2: i32 = 1;
const PACKET_IGNORE_OUTGOING: i32 = 23;
/// A multiple of every page size in use.
const MIN_BLOCK_LEN: usize = 64 << 10;
const MAX_SLOTS: usize = 1 << 16;
/// Slots of one batch at most.
const MAX_BATCH: usize = 1024;
const PENDING_ERRORS: usize = 2;
/// Frames longer than a slot in one batch.
const LONG_FRAMES: usize = 64;
/// The longest packet that IP has, its link header and what the kernel says of it.
const LONG_LEN: usize = VNET_LEN + ethernet::HEADER_LEN + 65_535;
/// Bytes between buffers, so that their starts do not compete for the same cache sets.
const CACHE_SKEW: usize = 1600;
/// Bytes of long frames that may wait: some hundred.
const QUEUE_LEN: usize = 8 << 20;

#[cfg(test)]
mod tests;
