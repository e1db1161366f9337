//! IPv4 or IPv6, for those who do not care which.

use super::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use super::ipv4::{self, Ipv4};
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

    /// Whether this is a piece of a larger packet and not the first: what begins at `transport` is the middle of
    /// something.
    pub fn is_later_piece(&self, transport: &Transport) -> bool {
        match self {
            Self::V4(ip) => ip.fragment_offset() != 0,
            Self::V6(ip) => transport.is_fragment && ip.fragment_offset(transport) != 0,
        }
    }

    /// Type of service or traffic class.
    pub fn tos(&self) -> u8 {
        match self {
            Self::V4(ip) => ip.tos(),
            Self::V6(ip) => ip.traffic_class(),
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

/// Writes type of service or traffic class of a packet that an [`Ip`] can be made from. An IPv4 header checksum stays
/// as right or wrong as it was. A packet of another version is left as it is.
pub fn set_tos(packet: &mut [u8], tos: u8) {
    match packet.first().map(|first| first >> 4) {
        Some(4) => ipv4::set_tos(packet, tos),
        Some(6) => ipv6::set_traffic_class(packet, tos),
        _ => {}
    }
}

/// Protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

/// Protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// Protocol number of ICMP for IPv6.
pub const PROTOCOL_ICMPV6: u8 = 58;

/// SCTP.
pub const PROTOCOL_SCTP: u8 = 132;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample::{Sample, TTL};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn ip(frame: &[u8]) -> Option<(Ip<'_>, usize)> {
        Ip::carried_by(&Ethernet::new(frame).unwrap())
    }

    fn packet_len(frame: &[u8]) -> Option<usize> {
        ip(frame).unwrap().0.packet_len()
    }

    #[test]
    fn both_versions_are_found_behind_tags() {
        let tags = [(0x88a8, 5), (0x8100, 6)];
        for sample in [Sample::udp_v4(b"data"), Sample::udp_v4(b"data").on_v6(&[])] {
            let sample = sample.tagged(&tags);
            let frame = sample.frame();
            let (ip, offset) = ip(&frame).unwrap();
            assert_eq!(offset, 22);
            assert_eq!(ip.ttl(), TTL);
            assert_eq!(ip.packet_len(), Some(frame.len() - 22));
            let transport = Transport {
                protocol: PROTOCOL_UDP,
                offset: sample.transport_offset() - 22,
                is_fragment: false,
            };
            assert_eq!(ip.transport(), Some(transport));
        }
    }

    #[test]
    fn the_ethertype_decides_and_the_header_must_agree() {
        let mut frame = Sample::udp_v4(b"data").frame();
        assert!(ip(&frame).is_some());
        frame[12..14].copy_from_slice(&0x86ddu16.to_be_bytes());
        assert!(ip(&frame).is_none());
        frame[12..14].copy_from_slice(&0x0806u16.to_be_bytes());
        assert!(ip(&frame).is_none());
    }

    #[test]
    fn padding_is_not_part_of_the_packet() {
        for sample in [Sample::udp_v4(b"data"), Sample::udp_v4(b"data").on_v6(&[])] {
            let mut frame = sample.frame();
            let packet = frame.len() - 14;
            frame.extend([0; 14]);
            assert_eq!(packet_len(&frame), Some(packet));
        }
    }

    #[test]
    fn c41_a_packet_longer_than_its_frame_has_no_length() {
        for sample in [Sample::udp_v4(b"data"), Sample::udp_v4(b"data").on_v6(&[])] {
            let frame = sample.frame();
            assert_eq!(packet_len(&frame[..frame.len() - 1]), None);
        }
        let mut shorter_than_its_header = Sample::udp_v4(b"data").frame();
        shorter_than_its_header[16..18].copy_from_slice(&[0, 19]);
        assert_eq!(packet_len(&shorter_than_its_header), None);
    }

    #[test]
    fn length_zero_means_all_that_is_there_except_for_a_jumbogram() {
        let mut v4 = Sample::udp_v4(b"data").frame();
        v4[16..18].fill(0);
        assert_eq!(packet_len(&v4), Some(v4.len() - 14));
        let mut v6 = Sample::udp_v4(b"data").on_v6(&[]).frame();
        v6[18..20].fill(0);
        assert_eq!(packet_len(&v6), Some(v6.len() - 14));
        let jumbo: &[u8] = &[0, 0, 0xc2, 4, 0, 1, 0, 0];
        let mut jumbogram = Sample::udp_v4(b"data").on_v6(&[(0, jumbo)]).frame();
        jumbogram[18..20].fill(0);
        assert_eq!(packet_len(&jumbogram), None);
    }

    proptest! {
        #[test]
        fn c53_any_bytes_are_read_within_bounds(mut frame in vec(any::<u8>(), 14..120), is_v6: bool) {
            let (ethertype, version) = if is_v6 { (0x86ddu16, 0x60) } else { (0x0800, 0x45) };
            frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
            if let Some(first) = frame.get_mut(14) {
                *first = version;
            }
            if let Some((ip, offset)) = ip(&frame) {
                prop_assert_eq!(offset + ip.bytes().len(), frame.len());
                prop_assert!(ip.packet_len().is_none_or(|len| len <= ip.bytes().len()));
                prop_assert!(ip.transport().is_none_or(|t| t.offset <= ip.bytes().len()));
            }
        }
    }
}
