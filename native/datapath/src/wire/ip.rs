//! IPv4 or IPv6, for those who do not care which.

use super::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use super::ipv4::Ipv4;
use super::ipv6::{self, Ipv6};

/// An IP packet inside a frame.
#[derive(Debug, Clone, Copy)]
pub enum Ip<'a> {
    /// Version 4.
    V4(Ipv4<'a>),
    /// Version 6.
    V6(Ipv6<'a>),
}

/// Where the headers of IP end and what begins there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// Protocol number of what begins at `offset`.
    pub protocol: u8,
    /// Bytes from the start of the IP header; lies within the packet's bytes.
    pub offset: usize,
    /// Whether the packet is a piece of a larger one: there are no ports to read, or only in the first piece.
    pub is_fragment: bool,
}

impl<'a> Ip<'a> {
    /// The IP packet that `ethernet` carries behind its tags, and its offset in the frame. `None` if the ethertype is
    /// another or the IP header is malformed.
    pub fn carried_by(ethernet: &Ethernet<'a>) -> Option<(Self, usize)> {
        let (ethertype, offset) = ethernet.network();
        let packet = &ethernet.bytes()[offset..];
        let ip = match ethertype {
            ETHERTYPE_IPV4 => Self::V4(Ipv4::new(packet)?),
            ETHERTYPE_IPV6 => Self::V6(Ipv6::new(packet)?),
            _ => return None,
        };
        Some((ip, offset))
    }

    /// Bytes of the packet, its header included, without Ethernet padding. `None` if the length field says more than
    /// there is, or less than the header.
    ///
    /// A length field of 0 means all that there is: so Linux marks superframes that are longer than 16 bits can say
    /// (BIG TCP). An RFC 2675 jumbogram, which has 0 for its own reason, is refused.
    pub fn packet_len(&self) -> Option<usize> {
        let (claimed, least, there) = match self {
            Self::V4(ip) => (
                usize::from(ip.total_len()),
                ip.header_len(),
                ip.bytes().len(),
            ),
            Self::V6(ip) if ip.payload_len() > 0 => (
                ipv6::HEADER_LEN + usize::from(ip.payload_len()),
                ipv6::HEADER_LEN,
                ip.bytes().len(),
            ),
            Self::V6(ip) if ip.next_header() == ipv6::HOP_BY_HOP => return None,
            Self::V6(ip) => (0, 0, ip.bytes().len()),
        };
        match claimed {
            0 => Some(there),
            _ => (claimed >= least && claimed <= there).then_some(claimed),
        }
    }

    /// What the headers of IP lead to. `None` if IPv6 extension headers cannot be walked (see [`Ipv6::transport`]).
    pub fn transport(&self) -> Option<Transport> {
        match self {
            Self::V4(ip) => Some(Transport {
                protocol: ip.protocol(),
                offset: ip.header_len(),
                is_fragment: ip.is_fragment(),
            }),
            Self::V6(ip) => ip.transport(),
        }
    }

    /// Time to live or hop limit.
    pub fn ttl(&self) -> u8 {
        match self {
            Self::V4(ip) => ip.ttl(),
            Self::V6(ip) => ip.hop_limit(),
        }
    }

    /// Source and destination as they lie, 8 or 32 bytes, for the pseudo header.
    pub fn addresses(&self) -> &'a [u8] {
        match self {
            Self::V4(ip) => ip.addresses(),
            Self::V6(ip) => ip.addresses(),
        }
    }

    /// The packet and whatever lies behind it in the frame.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::V4(ip) => ip.bytes(),
            Self::V6(ip) => ip.bytes(),
        }
    }
}

/// Protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

/// Protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;
