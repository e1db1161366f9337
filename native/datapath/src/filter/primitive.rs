//! The primitives of pcap-filter(7) on Ethernet, as tests. Bytes are looked at in the order in which libpcap's programs
//! do it, so that a frame that is cut short is judged alike.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::expression::{Expression, Number};
use super::load::Width;
use crate::wire::mac::MacAddr;

/// Where what a primitive looks at begins: behind as many VLAN tags as the text has named before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Layers {
    pub(super) tags: usize,
}

/// Which of two addresses or ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Source,
    Destination,
    Either,
    Both,
}

/// IPv4 or IPv6 addresses with a common beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    V4(Ipv4Addr, u32),
    V6(Ipv6Addr, u32),
}

impl Layers {
    /// Ethertype, behind the tags.
    pub(super) fn ether_type(self, value: u32) -> Expression {
        Expression::equal(Number::At(Width::Half, ETHER_TYPE + 4 * self.tags), value)
    }

    /// One more tag, of this VLAN or of any.
    pub(super) fn vlan(self, id: Option<u32>) -> Expression {
        let types = [TAG, SERVICE_TAG, OLD_SERVICE_TAG].map(|value| self.ether_type(value));
        let tag = any_of(types);
        match id {
            Some(id) => {
                let control = Number::At(Width::Half, self.packet());
                tag.and(Expression::masked(control, 0x0fff, id))
            }
            None => tag,
        }
    }

    /// Carried by IPv4.
    pub(super) fn ipv4_protocol(self, protocol: u32) -> Expression {
        self.ether_type(IPV4)
            .and(Expression::equal(self.byte(9), protocol))
    }

    /// Carried by IPv6, be it in a fragment; other extension headers are not looked behind.
    pub(super) fn ipv6_protocol(self, protocol: u32) -> Expression {
        let next = self.byte(6);
        let in_fragment =
            Expression::equal(next, FRAGMENT).and(Expression::equal(self.byte(40), protocol));
        let carried = Expression::equal(next, protocol).or(in_fragment);
        self.ether_type(IPV6).and(carried)
    }

    /// To a group, by the IPv4 destination.
    pub(super) fn ipv4_multicast(self) -> Expression {
        self.ether_type(IPV4)
            .and(Expression::within(self.byte(16), 224, u32::MAX))
    }

    /// To a group, by the IPv6 destination.
    pub(super) fn ipv6_multicast(self) -> Expression {
        self.ether_type(IPV6)
            .and(Expression::equal(self.byte(24), 0xff))
    }

    /// IPv4 addresses, or those in ARP and RARP, by `ether_type`.
    pub(super) fn ipv4_addresses(
        self,
        ether_type: u32,
        direction: Direction,
        prefix: (Ipv4Addr, u32),
    ) -> Expression {
        let (source, destination) = match ether_type {
            IPV4 => (12, 16),
            _ => (14, 24),
        };
        let (value, mask) = (u32::from(prefix.0), ipv4_mask(prefix.1));
        let address = |at| Expression::masked(self.word(at), mask, value);
        self.ether_type(ether_type)
            .and(direction.of(address(source), address(destination)))
    }

    /// IPv6 addresses.
    pub(super) fn ipv6_addresses(
        self,
        direction: Direction,
        (address, len): (Ipv6Addr, u32),
    ) -> Expression {
        let (value, mask) = (u128::from(address), ipv6_mask(len));
        let address = |at: usize| {
            all_of([0, 4, 8, 12].map(|part: usize| {
                let shift = 96 - 8 * part;
                let (mask, value) = ((mask >> shift) as u32, (value >> shift) as u32);
                Expression::masked(self.word(at + part), mask, value)
            }))
        };
        self.ether_type(IPV6)
            .and(direction.of(address(8), address(24)))
    }

    /// Ports of `protocols` in packets that are whole or first fragments (IPv4), or have no extension header (IPv6).
    pub(super) fn ports(
        self,
        protocols: &[u32],
        direction: Direction,
        least: u32,
        most: u32,
    ) -> Expression {
        let port = |number| Expression::within(number, least, most);
        let v6_port = |at| port(Number::At(Width::Half, self.packet() + 40 + at));
        let ip = self.packet();
        let v4_port = |at| port(Number::BehindIpv4 { ip, at });
        let of_protocol = |at| {
            let is = |protocol: &u32| Expression::equal(self.byte(at), *protocol);
            any_of(protocols.iter().map(is))
        };
        let fragment = Number::At(Width::Half, ip + 6);
        let first = Expression::masked(fragment, 0x1fff, 0);
        let v6 = self
            .ether_type(IPV6)
            .and(of_protocol(6))
            .and(direction.of(v6_port(0), v6_port(2)));
        let v4 = self
            .ether_type(IPV4)
            .and(of_protocol(9))
            .and(first)
            .and(direction.of(v4_port(0), v4_port(2)));
        v6.or(v4)
    }

    fn packet(self) -> usize {
        ETHER_TYPE + 2 + 4 * self.tags
    }

    fn byte(self, at: usize) -> Number {
        Number::At(Width::Byte, self.packet() + at)
    }

    fn word(self, at: usize) -> Number {
        Number::At(Width::Word, self.packet() + at)
    }
}

/// The frame's own addresses.
pub(super) fn ether_addresses(direction: Direction, mac: MacAddr) -> Expression {
    let [a, b, c, d, e, f] = mac.0;
    let address = |at| {
        let end = u32::from_be_bytes([c, d, e, f]);
        let begin = u32::from(u16::from_be_bytes([a, b]));
        Expression::equal(Number::At(Width::Word, at + 2), end)
            .and(Expression::equal(Number::At(Width::Half, at), begin))
    };
    direction.of(address(6), address(0))
}

/// To more than one station.
pub(super) fn ether_multicast() -> Expression {
    Expression::masked(Number::At(Width::Byte, 0), 1, 1)
}

impl Direction {
    fn of(self, source: Expression, destination: Expression) -> Expression {
        match self {
            Self::Source => source,
            Self::Destination => destination,
            Self::Either => source.or(destination),
            Self::Both => source.and(destination),
        }
    }
}

impl Prefix {
    /// Whether nothing stands behind the common beginning.
    pub(super) fn is_network(self) -> bool {
        match self {
            Self::V4(address, len) => u32::from(address) & !ipv4_mask(len) == 0,
            Self::V6(address, len) => u128::from(address) & !ipv6_mask(len) == 0,
        }
    }
}

/// At least one of them; the first decides if it holds.
pub(super) fn any_of(expressions: impl IntoIterator<Item = Expression>) -> Expression {
    let joined = expressions.into_iter().reduce(Expression::or);
    joined.unwrap_or(Expression::Always)
}

fn all_of(expressions: impl IntoIterator<Item = Expression>) -> Expression {
    let joined = expressions.into_iter().reduce(Expression::and);
    joined.unwrap_or(Expression::Always)
}

fn ipv4_mask(len: u32) -> u32 {
    u32::MAX.checked_shl(32 - len.min(32)).unwrap_or(0)
}

fn ipv6_mask(len: u32) -> u128 {
    u128::MAX.checked_shl(128 - len.min(128)).unwrap_or(0)
}

pub(super) const IPV4: u32 = 0x0800;
pub(super) const IPV6: u32 = 0x86dd;
pub(super) const ARP: u32 = 0x0806;
pub(super) const RARP: u32 = 0x8035;
const TAG: u32 = 0x8100;
const SERVICE_TAG: u32 = 0x88a8;
const OLD_SERVICE_TAG: u32 = 0x9100;

pub(super) const ICMP: u32 = 1;
pub(super) const TCP: u32 = 6;
pub(super) const UDP: u32 = 17;
pub(super) const ICMPV6: u32 = 58;
pub(super) const SCTP: u32 = 132;
const FRAGMENT: u32 = 44;

const ETHER_TYPE: usize = 12;
