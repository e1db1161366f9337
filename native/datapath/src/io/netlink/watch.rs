//! Hearing of it when packets may go another way.

use super::super::poll::Poller;
use super::super::sys::{Errno, file};
use super::ipsec;
use crate::error::{Error, ErrorCode};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// Hears of changes of routes, rules, next hops and interfaces (their features among them), of both IP versions, and of
/// IPsec policies, in the namespace in which it was opened. Non-blocking; readable when there is something to take.
///
/// A path MTU that routers report makes no such noise.
pub struct RouteWatch {
    sockets: Vec<Socket>,
    poller: Poller,
}

impl RouteWatch {
    /// Hears of what changes from now on. Errors: `NO_FILES`, `IO`.
    pub fn open() -> Result<Self, Error> {
        let routes = Socket::new(NETLINK_ROUTE).map_err(|e| to_error(e, "socket"))?;
        let mut sockets = vec![listening(routes, &ROUTE_GROUPS)?];
        if let Some(policies) = ipsec::socket()? {
            sockets.push(listening(policies, &[POLICY_GROUP])?);
        }
        let poller = Poller::new()?;
        for (token, socket) in sockets.iter().enumerate() {
            poller.add(socket, token as u64)?;
        }
        Ok(Self { sockets, poller })
    }

    /// Whether something has changed since the last call, or may have: more than there was room for.
    pub fn take(&self) -> bool {
        let mut changed = false;
        for socket in &self.sockets {
            // What a message says does not matter, and its rest is thrown away.
            for _ in 0..MAX_MESSAGES {
                match file::read(socket.as_fd(), &mut [0; 16]) {
                    Ok(_) | Err(Errno(libc::ENOBUFS)) => changed = true,
                    Err(_) => break,
                }
            }
        }
        changed
    }
}

impl AsFd for RouteWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

fn listening(mut socket: Socket, groups: &[u32]) -> Result<Socket, Error> {
    socket
        .set_non_blocking(true)
        .map_err(|e| to_error(e, "FIONBIO"))?;
    socket
        .bind(&SocketAddr::new(0, 0))
        .map_err(|e| to_error(e, "bind"))?;
    for &group in groups {
        socket
            .add_membership(group)
            .map_err(|e| to_error(e, "NETLINK_ADD_MEMBERSHIP"))?;
    }
    Ok(socket)
}

fn to_error(error: std::io::Error, syscall: &'static str) -> Error {
    Errno::from(error).into_error(ErrorCode::Io, "route watch", syscall)
}

/// RTNLGRP_LINK, _IPV4_ROUTE, _IPV4_RULE, _IPV6_ROUTE, _IPV6_RULE and _NEXTHOP (linux/rtnetlink.h).
const ROUTE_GROUPS: [u32; 6] = [1, 7, 8, 11, 19, 32];
/// XFRMNLGRP_POLICY (linux/xfrm.h).
const POLICY_GROUP: u32 = 4;
/// Bound on one call, so that a flood of changes cannot hold the caller: the rest is a change for the next one.
const MAX_MESSAGES: usize = 4096;
