//! The UDP side: datagrams in and out, in batches, with the kernel's segmentation offloads where it has them.
//!
//! `rx` receives on the VXLAN port. `tx` sends from a pool of sockets, each with a source port of its own, because an
//! ordinary UDP socket cannot choose the source port per datagram and RFC 7348 section 5 wants entropy there.
//! `ring` receives the same datagrams past the stack, and `inject` sends superframes past it that are still whole, where
//! the kernel lets them. `offers` asks what there is. `errors` reads what the network reported about datagrams sent earlier.

mod errors;
#[cfg(test)]
mod fallback_tests;
pub mod inject;
mod offers;
pub mod ring;
mod route;
mod rx;
mod tx;

pub use errors::{SendError, SendErrorOrigin};
pub use offers::{has_recvmmsg, has_reuse_port, has_sendmmsg};
pub use ring::{Batch as RingBatch, Ring, RingRefusal, RingSpec};
pub use route::RouteMtu;
pub use rx::{RxBatch, RxMeta, RxSocket, RxSpec};
pub use tx::{Burst, MulticastSpec, Part, SendRefusal, Transmit, TxPool, TxScratch, TxSpec};

use super::sys::socket::{self, SocketOption};
use super::sys::{Errno, file};
use crate::error::{Error, ErrorCode};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};

/// The interface index behind a scope name; 0 for none. Errors: `ADDRESS_NOT_LOCAL` when there is no such interface.
fn scope_index(scope: Option<&str>) -> Result<u32, Error> {
    match scope {
        None => Ok(0),
        Some(name) => file::interface_index(name)
            .map_err(|e| e.into_error(ErrorCode::AddressNotLocal, name, "if_nametoindex")),
    }
}

/// A socket of the family of `address`, not bound yet.
fn open(address: &SocketAddr) -> Result<OwnedFd, Error> {
    socket::udp_socket(address)
        .map_err(|e| e.into_error(ErrorCode::Io, address.to_string(), "socket"))
}

fn bind(fd: BorrowedFd<'_>, address: &SocketAddr) -> Result<(), Error> {
    socket::bind(fd, address).map_err(|e| {
        let code = match e.0 {
            libc::EADDRINUSE => ErrorCode::PortInUse,
            libc::EADDRNOTAVAIL | libc::ENODEV => ErrorCode::AddressNotLocal,
            _ => ErrorCode::Io,
        };
        e.into_error(code, address.to_string(), "bind")
    })
}

/// Sets an option that every kernel in question has.
fn require(
    fd: BorrowedFd<'_>,
    option: SocketOption,
    value: i32,
    address: &SocketAddr,
) -> Result<(), Error> {
    socket::set_int(fd, option, value)
        .map_err(|e| e.into_error(ErrorCode::Io, address.to_string(), "setsockopt"))
}

/// Asks for a buffer of `bytes`, beyond the system's limit where we may; returns what was granted, in the same units
/// (the kernel books twice as much for its own overhead).
pub(super) fn set_buffer(
    fd: BorrowedFd<'_>,
    force: SocketOption,
    ordinary: SocketOption,
    bytes: usize,
) -> Result<usize, Errno> {
    let wanted = i32::try_from(bytes).unwrap_or(i32::MAX / 2);
    socket::set_int(fd, force, wanted).or_else(|_| socket::set_int(fd, ordinary, wanted))?;
    Ok(socket::get_int(fd, ordinary)? as usize / 2)
}

/// The option of one name in both families.
fn by_family(ip: IpAddr, v4: i32, v6: i32) -> SocketOption {
    match ip {
        IpAddr::V4(_) => SocketOption(libc::IPPROTO_IP, v4),
        IpAddr::V6(_) => SocketOption(libc::IPPROTO_IPV6, v6),
    }
}
