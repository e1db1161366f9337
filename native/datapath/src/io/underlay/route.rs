//! What the kernel knows of the way to a VTEP: the MTU of route and link, and what it has learned of the path.

use super::super::sys::socket;
use super::{by_family, open, scope_index};
use crate::io::sys::sockaddr::scoped;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Asks for MTUs in the network namespace where it was made. Sends nothing.
#[derive(Debug)]
pub struct RouteMtu(OwnedFd);

impl RouteMtu {
    /// For datagrams from `local`, with the interface of a link-local address. `None` where no socket can be had, or the
    /// address is on no interface at this moment.
    pub fn open(local: IpAddr, scope: Option<&str>) -> Option<Self> {
        let local = scoped(local, 0, scope_index(scope).ok()?);
        let socket = open(&local).ok()?;
        socket::bind(socket.as_fd(), &local).ok()?;
        Some(Self(socket))
    }

    /// The largest IP packet to `remote`, bytes; `None` without a route.
    pub fn to(&self, remote: SocketAddr) -> Option<u32> {
        let fd = self.0.as_fd();
        socket::connect(fd, &remote).ok()?;
        let option = by_family(remote.ip(), libc::IP_MTU, libc::IPV6_MTU);
        u32::try_from(socket::get_int(fd, option).ok()?).ok()
    }
}
