//! What the kernel offers, asked before anything depends on it. A filter of system calls may refuse with any errno, so
//! each is asked in a way to which one answer alone means yes.

use super::super::sys::socket::{self, SocketOption};
use super::super::sys::{receive, send};
use super::open;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

/// Whether one call can receive many datagrams (Linux 2.6.33).
pub fn has_recvmmsg() -> bool {
    receive::has_recvmmsg()
}

/// Whether one call can send many datagrams (Linux 3.0).
pub fn has_sendmmsg() -> bool {
    send::has_sendmmsg()
}

/// Whether several sockets can share a UDP port, each with its flows (Linux 3.9).
pub fn has_reuse_port() -> bool {
    let option = SocketOption(libc::SOL_SOCKET, libc::SO_REUSEPORT);
    open(&SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))
        .is_ok_and(|socket| socket::set_int(socket.as_fd(), option, 1).is_ok())
}
