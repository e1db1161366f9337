//! Whether what is injected would arrive: the questions that a socket would have asked.

use super::super::super::netlink::{IpsecPolicies, Netlink, RouteQuery};
use super::super::super::sys::{ethtool, socket};
use super::InjectorSpec;
use crate::error::{Error, ErrorCode};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// Asks about the ways of one [`Injector`](super::Injector). Blocking: for when routes change
/// ([`RouteWatch`](super::super::super::netlink::RouteWatch)), not per frame.
pub struct PathCheck {
    netlink: Netlink,
    policies: IpsecPolicies,
    spec: InjectorSpec,
}

impl PathCheck {
    /// In the calling thread's namespace. Errors: `NO_FILES`, `IO`.
    pub fn open(spec: &InjectorSpec) -> Result<Self, Error> {
        Ok(Self {
            netlink: Netlink::open()?,
            policies: IpsecPolicies::open()?,
            spec: *spec,
        })
    }

    /// The longest IP packet that may be injected for `destination`: the MTU of the interface, or the route's or path's
    /// if that is known to be less. `None` when nothing may be: the route leaves by another interface, there is none, it
    /// refuses, or `destination` is this host or a group; and as long as the host has any IPsec policy, because what is
    /// injected would leave in the clear where one asks for encryption. Errors: `NO_NET_ADMIN`, `IO`.
    ///
    /// Rules that ask for marks, users or ports are not asked as a socket would have asked them.
    pub fn mtu_to(&mut self, destination: IpAddr) -> Result<Option<u32>, Error> {
        let InjectorSpec { local, ifindex, .. } = self.spec;
        if destination.is_multicast() || destination.is_ipv4() != local.is_ipv4() {
            return Ok(None);
        }
        if self.policies.any()? {
            return Ok(None);
        }
        let is_link_local = matches!(destination, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let route = self.netlink.route(&RouteQuery {
            to: destination,
            from: local,
            scope: is_link_local.then_some(ifindex),
        })?;
        let Some(route) = route.filter(|route| route.ifindex == ifindex) else {
            return Ok(None);
        };
        let link = self.netlink.link_at(ifindex)?;
        Ok(link.map(|link| link.mtu.min(route.mtu.unwrap_or(u32::MAX))))
    }
}

/// Whether the interface cuts superframes of TCP inside UDP tunnels itself, or hands them on whole. Otherwise the kernel
/// does it in software before: right as well, but not faster than cutting them ourselves.
///
/// In the calling thread's namespace. Errors: `ADDRESS_NOT_LOCAL` when there is no such interface, `NO_FILES`, `IO`.
pub fn segments_tunnels(ifname: &str) -> Result<bool, Error> {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let features = socket::udp_socket(&any)
        .and_then(|socket| ethtool::has_features(socket.as_fd(), ifname, &FEATURES));
    match features {
        // Drivers may have no ethtool at all.
        Err(errno) if errno.0 == libc::EOPNOTSUPP => Ok(false),
        other => other.map_err(|errno| {
            let code = match errno.0 {
                libc::ENODEV => ErrorCode::AddressNotLocal,
                _ => ErrorCode::Io,
            };
            errno.into_error(code, ifname, "SIOCETHTOOL")
        }),
    }
}

const FEATURES: [&str; 4] = [
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
];
