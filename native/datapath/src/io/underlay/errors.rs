//! The error queue: what routers, the remote host or our own stack reported about datagrams sent earlier.

use super::super::sys::cmsg::{ControlMessage, messages};
use super::super::sys::receive::ReceiveRing;
use super::super::sys::sockaddr::decode;
use super::super::sys::socket::{self, SocketOption};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// A report about one datagram that we sent. The kernel has checked that the report quotes a socket of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendError {
    /// Where the datagram was to go.
    pub destination: SocketAddr,
    /// What the kernel makes of the report: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE ...
    pub errno: i32,
    /// Who reported.
    pub origin: SendErrorOrigin,
    /// ICMP type; 0 from our own stack.
    pub kind: u8,
    /// ICMP code; 0 from our own stack.
    pub code: u8,
    /// With EMSGSIZE: the largest IP packet that passes, bytes.
    pub mtu: Option<u32>,
}

/// Who reported a [`SendError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorOrigin {
    /// Our own stack.
    Local,
    /// An ICMP message.
    Icmp,
    /// An ICMPv6 message.
    Icmp6,
    /// Something else; the kernel's number.
    Other(u8),
}

/// Reads the queue of `fd` until it is empty, at most `MAX_ERRORS` reports.
pub(super) fn drain(fd: BorrowedFd<'_>, ring: &mut ReceiveRing, mut report: impl FnMut(SendError)) {
    for _ in 0..MAX_ERRORS {
        if ring.receive_each(fd, libc::MSG_ERRQUEUE).is_err() {
            // A report may be queued before the socket is marked; the mark alone would keep it readable for ever.
            let _ = socket::get_int(fd, SocketOption(libc::SOL_SOCKET, libc::SO_ERROR));
            return;
        }
        let received = ring.get(0);
        if let Some(destination) = decode(received.name)
            && let Some(error) = messages(received.control).find_map(|m| parse(destination, m))
        {
            report(error);
        }
    }
}

/// Reads a `sock_extended_err`: errno u32, origin u8, type u8, code u8, pad u8, info u32, data u32.
fn parse(destination: SocketAddr, message: ControlMessage<'_>) -> Option<SendError> {
    if !matches!(
        (message.level, message.kind),
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    ) {
        return None;
    }
    let [e0, e1, e2, e3, origin, kind, code, _, i0, i1, i2, i3, ..] = *message.data else {
        return None;
    };
    let errno = i32::from_ne_bytes([e0, e1, e2, e3]);
    let info = u32::from_ne_bytes([i0, i1, i2, i3]);
    Some(SendError {
        destination,
        errno,
        origin: match origin {
            libc::SO_EE_ORIGIN_LOCAL => SendErrorOrigin::Local,
            libc::SO_EE_ORIGIN_ICMP => SendErrorOrigin::Icmp,
            libc::SO_EE_ORIGIN_ICMP6 => SendErrorOrigin::Icmp6,
            other => SendErrorOrigin::Other(other),
        },
        kind,
        code,
        mtu: (errno == libc::EMSGSIZE).then_some(info),
    })
}

/// Bound on one drain, so that a flood of reports cannot hold a worker.
const MAX_ERRORS: usize = 256;
