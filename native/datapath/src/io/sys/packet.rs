//! AF_PACKET sockets: making them, binding them, receiving one packet, and asking for a ring.

use super::socket::{self, SocketOption};
use super::{Errno, check, check_len};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A non-blocking packet socket that gives whole frames. It receives nothing before [`bind`].
pub(in crate::io) fn packet_socket() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the descriptor returned is new and owned by nobody else.
    unsafe {
        let fd = check(libc::socket(libc::AF_PACKET, kind, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Receives from now on what arrives at the interface, of every protocol.
pub(in crate::io) fn bind(fd: BorrowedFd<'_>, ifindex: u32) -> Result<(), Errno> {
    let mut address = no_address();
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = i32::try_from(ifindex).map_err(|_| Errno(libc::ENODEV))?;
    // SAFETY: the pointer and length describe a sockaddr_ll that lives for the call.
    check(unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// The interface that a socket is bound to.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) struct BoundTo {
    /// -1 once the interface is gone.
    pub(in crate::io) ifindex: i32,
    /// ARPHRD_…
    pub(in crate::io) hardware: u16,
}

pub(in crate::io) fn bound_to(fd: BorrowedFd<'_>) -> Result<BoundTo, Errno> {
    let mut address = no_address();
    let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `address`.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut len) })?;
    Ok(BoundTo {
        ifindex: address.sll_ifindex,
        hardware: address.sll_hatype,
    })
}

/// Has the interface hear frames for every MAC for as long as the socket is open.
pub(in crate::io) fn set_promiscuous(fd: BorrowedFd<'_>, ifindex: u32) -> Result<(), Errno> {
    let membership = libc::packet_mreq {
        mr_ifindex: i32::try_from(ifindex).map_err(|_| Errno(libc::ENODEV))?,
        mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let option = SocketOption(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP);
    socket::set(fd, option, &membership)
}

/// A packet as `recvmsg` gave it.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) struct Taken {
    /// Bytes in both buffers.
    pub(in crate::io) len: usize,
    /// It was longer than the buffers.
    pub(in crate::io) truncated: bool,
    /// PACKET_HOST, PACKET_OUTGOING ...
    pub(in crate::io) kind: u8,
    /// Bytes of `control` that are filled.
    pub(in crate::io) control_len: usize,
}

/// Room for control messages, aligned as the kernel wants them.
#[derive(Debug)]
#[repr(C, align(8))]
pub(in crate::io) struct ControlRoom(pub(in crate::io) [u8; 64]);

/// Receives one packet: its first bytes into `head` (which may be empty), the rest into `body`, what else the kernel says
/// of it into `control`.
pub(in crate::io) fn receive(
    fd: BorrowedFd<'_>,
    head: &mut [u8],
    body: &mut [u8],
    control: &mut ControlRoom,
) -> Result<Taken, Errno> {
    let mut slices = [
        libc::iovec {
            iov_base: head.as_mut_ptr().cast(),
            iov_len: head.len(),
        },
        libc::iovec {
            iov_base: body.as_mut_ptr().cast(),
            iov_len: body.len(),
        },
    ];
    let mut from = no_address();
    // SAFETY: msghdr is plain data for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    message.msg_iov = slices.as_mut_ptr();
    message.msg_iovlen = slices.len() as _;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: name, slices and control are valid for writing, of the lengths given, and borrowed exclusively during the
    // call.
    let len = check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) })?;
    Ok(Taken {
        len,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        kind: from.sll_pkttype,
        control_len: message.msg_controllen as _,
    })
}

/// Sends packets, each `head` (which may be empty) and a frame, with one `sendmmsg`: the first of them, at most
/// [`MAX_SENT`]; how many, at least one unless there are none. An error is that of the first.
pub(in crate::io) fn send_some<'a>(
    fd: BorrowedFd<'_>,
    head: &'a [u8],
    frames: impl Iterator<Item = &'a [u8]>,
) -> Result<usize, Errno> {
    let slice = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut slices = [[slice(head), slice(&[])]; MAX_SENT];
    // SAFETY: mmsghdr is plain data for which all zeroes is a valid value.
    let mut messages: [libc::mmsghdr; MAX_SENT] = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut count = 0;
    for ((message, slices), frame) in messages.iter_mut().zip(&mut slices).zip(frames) {
        slices[1] = slice(frame);
        message.msg_hdr.msg_iov = slices.as_mut_ptr();
        message.msg_hdr.msg_iovlen = slices.len() as _;
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the first `count` messages point to slices of `head` and of frames, all borrowed for the call. The kernel
    // only reads them and writes msg_len.
    let sent =
        check(unsafe { libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count, flags as _) })?;
    Ok(sent as usize)
}

/// Asks for a receive ring of `blocks` blocks of `block_len` bytes, each cut into slots of `slot_len` bytes.
pub(in crate::io) fn set_receive_ring(
    fd: BorrowedFd<'_>,
    blocks: u32,
    block_len: u32,
    slot_len: u32,
) -> Result<(), Errno> {
    let request = libc::tpacket_req {
        tp_block_size: block_len,
        tp_block_nr: blocks,
        tp_frame_size: slot_len,
        tp_frame_nr: blocks * (block_len / slot_len),
    };
    let option = SocketOption(libc::SOL_PACKET, libc::PACKET_RX_RING);
    socket::set(fd, option, &request)
}

/// Packets lost to a full ring or queue since this was last asked.
pub(in crate::io) fn take_drops(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    // SAFETY: tpacket_stats is plain data for which all zeroes is a valid value.
    let mut statistics: libc::tpacket_stats = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `statistics`.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut len,
        )
    })?;
    Ok(statistics.tp_drops)
}

fn no_address() -> libc::sockaddr_ll {
    // SAFETY: sockaddr_ll is plain data for which all zeroes is a valid value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Packets of one call at most: a superframe has that many segments, seldom more.
const MAX_SENT: usize = 64;
