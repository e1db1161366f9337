//! Asking the kernel which way packets go.

use super::super::sys::Errno;
use super::{Netlink, to_error};
use crate::error::Error;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;

/// A question about packets that this host sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteQuery {
    /// Their destination.
    pub to: IpAddr,
    /// Their source.
    pub from: IpAddr,
    /// The interface of a link-local destination.
    pub scope: Option<u32>,
}

/// The way they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The interface by which they leave.
    pub ifindex: u32,
    /// The longest packet of this route, where it has a limit of its own (a path MTU that routers reported, or one that
    /// was configured). Otherwise that of the interface holds.
    pub mtu: Option<u32>,
}

impl Netlink {
    /// The route, by all rules but those that ask for ports, marks or users. `None` when there is none, when it refuses
    /// (`prohibit`, `blackhole`), and when the destination is this host or no single one. Errors: `IO`.
    pub fn route(&mut self, query: &RouteQuery) -> Result<Option<Route>, Error> {
        let mut message = RouteMessage::default();
        let (family, bits) = match query.to {
            IpAddr::V4(_) => (AddressFamily::Inet, 32),
            IpAddr::V6(_) => (AddressFamily::Inet6, 128),
        };
        message.header.address_family = family;
        message.header.destination_prefix_length = bits;
        message.header.source_prefix_length = bits;
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::from(query.to)),
            RouteAttribute::Source(RouteAddress::from(query.from)),
        ];
        message
            .attributes
            .extend(query.scope.map(RouteAttribute::Oif));
        let mut found = None;
        let request = RouteNetlinkMessage::GetRoute(message);
        match self.request(request, 0, |reply| {
            if let RouteNetlinkMessage::NewRoute(route) = reply {
                found = to_route(&route);
            }
        }) {
            Ok(()) => Ok(found),
            Err(Errno(
                libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL | libc::ENODEV,
            )) => Ok(None),
            Err(errno) => Err(to_error(errno, &query.to.to_string(), "RTM_GETROUTE")),
        }
    }
}

fn to_route(message: &RouteMessage) -> Option<Route> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let attributes = &message.attributes;
    let ifindex = attributes.iter().find_map(|a| match a {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })?;
    let metrics = attributes.iter().find_map(|a| match a {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    });
    let mtu = metrics.into_iter().flatten().find_map(|m| match m {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    Some(Route { ifindex, mtu })
}
