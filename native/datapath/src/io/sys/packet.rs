//! AF_PACKET sockets: making them, binding them, and asking for a ring.

use super::socket::{self, SocketOption};
use super::{Errno, check};
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

/// Packets lost to a full ring since this was last asked.
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
