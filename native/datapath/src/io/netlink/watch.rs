//! Hearing of it when packets may go another way.

use super::super::sys::{Errno, file};
use crate::error::{Error, ErrorCode};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// Hears of changes of routes, rules, next hops and interfaces (their features among them), of both IP versions, in the
/// namespace in which it was opened. Non-blocking; readable when there is something to take.
///
/// A path MTU that routers report makes no such noise.
pub struct RouteWatch(Socket);

impl RouteWatch {
    /// Hears of what changes from now on. Errors: `NO_FILES`, `IO`.
    pub fn open() -> Result<Self, Error> {
        let to_error = |syscall| {
            move |e: std::io::Error| {
                Errno::from(e).into_error(ErrorCode::Io, "route watch", syscall)
            }
        };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(to_error("socket"))?;
        socket.set_non_blocking(true).map_err(to_error("FIONBIO"))?;
        socket
            .bind(&SocketAddr::new(0, 0))
            .map_err(to_error("bind"))?;
        for group in GROUPS {
            socket
                .add_membership(group)
                .map_err(to_error("NETLINK_ADD_MEMBERSHIP"))?;
        }
        Ok(Self(socket))
    }

    /// Whether something has changed since the last call, or may have: more than there was room for.
    pub fn take(&self) -> bool {
        let mut changed = false;
        // What a message says does not matter, and its rest is thrown away.
        for _ in 0..MAX_MESSAGES {
            match file::read(self.0.as_fd(), &mut [0; 16]) {
                Ok(_) | Err(Errno(libc::ENOBUFS)) => changed = true,
                Err(_) => break,
            }
        }
        changed
    }
}

impl AsFd for RouteWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// RTNLGRP_LINK, _IPV4_ROUTE, _IPV4_RULE, _IPV6_ROUTE, _IPV6_RULE and _NEXTHOP (linux/rtnetlink.h).
const GROUPS: [u32; 6] = [1, 7, 8, 11, 19, 32];
/// Bound on one call, so that a flood of changes cannot hold the caller: the rest is a change for the next one.
const MAX_MESSAGES: usize = 4096;
