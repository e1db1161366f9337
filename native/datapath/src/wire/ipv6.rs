//! IPv6 header and its extension headers (RFC 8200 §3, §4).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |Version| Traffic Class |           Flow Label                  |
//! |         Payload Length        |  Next Header  |   Hop Limit   |
//! |                  Source Address (16 bytes)                    |
//! |                Destination Address (16 bytes)                 |
//! ```
//!
//! An extension header begins with the number of the next one, then (except the fragment header) its own length.

use super::ip::Transport;
use super::{be16, be32};

/// An IPv6 packet whose fixed header is there in full.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6<'a>(&'a [u8]);

impl<'a> Ipv6<'a> {
    /// `None` if the version is not 6 or `packet` is shorter than [`HEADER_LEN`].
    pub fn new(packet: &'a [u8]) -> Option<Self> {
        (packet.len() >= HEADER_LEN && packet[0] >> 4 == 6).then_some(Self(packet))
    }

    /// Traffic class: DSCP (RFC 2474) and ECN (RFC 3168).
    pub fn traffic_class(&self) -> u8 {
        (be16(self.0, 0) >> 4) as u8
    }

    /// Flow label, 20 bits (RFC 6437).
    pub fn flow_label(&self) -> u32 {
        be32(self.0, 0) & 0x000f_ffff
    }

    /// The length field: everything behind the fixed header. May say anything.
    pub fn payload_len(&self) -> u16 {
        be16(self.0, PAYLOAD_LEN)
    }

    /// Number of the header behind the fixed one.
    pub fn next_header(&self) -> u8 {
        self.0[NEXT_HEADER]
    }

    /// Hop limit.
    pub fn hop_limit(&self) -> u8 {
        self.0[HOP_LIMIT]
    }

    /// Source address.
    pub fn src(&self) -> u128 {
        self.address(ADDRESSES)
    }

    /// Destination address.
    pub fn dst(&self) -> u128 {
        self.address(ADDRESSES + 16)
    }

    /// Source and destination as they lie, 32 bytes, for the pseudo header.
    pub fn addresses(&self) -> &'a [u8] {
        &self.0[ADDRESSES..HEADER_LEN]
    }

    /// What the extension headers lead to, after at most [`MAX_EXTENSIONS`] of them. Of a piece of a larger packet
    /// the walk ends behind the fragment header. A fragment header with offset 0 and no more fragments is a whole
    /// packet (RFC 6946). `None` if there are more headers, or one of them is cut off.
    pub fn transport(&self) -> Option<Transport> {
        let mut protocol = self.next_header();
        let mut offset = HEADER_LEN;
        for _ in 0..=MAX_EXTENSIONS {
            if !is_extension(protocol) {
                return Some(Transport {
                    protocol,
                    offset,
                    is_fragment: false,
                });
            }
            let header = self.0.get(offset..offset + EXTENSION_UNIT)?;
            let units = usize::from(header[1]);
            let len = match protocol {
                FRAGMENT => EXTENSION_UNIT,
                // RFC 4302 §2.2: the authentication header counts in 4 bytes, minus 2
                AUTHENTICATION => (units + 2) * 4,
                _ => (units + 1) * EXTENSION_UNIT,
            };
            let is_fragment =
                protocol == FRAGMENT && be16(header, 2) & FRAGMENT_OFFSET_AND_MORE != 0;
            protocol = header[0];
            offset += len;
            if offset > self.0.len() {
                return None;
            }
            if is_fragment {
                return Some(Transport {
                    protocol,
                    offset,
                    is_fragment,
                });
            }
        }
        None
    }

    /// Where in the larger packet a piece begins, in units of 8 bytes, by the fragment header that [`transport`] ended
    /// behind.
    ///
    /// [`transport`]: Self::transport
    pub(super) fn fragment_offset(&self, transport: &Transport) -> u16 {
        let header = transport.offset.saturating_sub(FRAGMENT_LEN);
        be16(self.0, header + 2) >> 3
    }

    /// The bytes that the view was made from.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    fn address(&self, at: usize) -> u128 {
        u128::from(be32(self.0, at)) << 96
            | u128::from(be32(self.0, at + 4)) << 64
            | u128::from(be32(self.0, at + 8)) << 32
            | u128::from(be32(self.0, at + 12))
    }
}

/// Writes the traffic class of a header of at least [`HEADER_LEN`] bytes.
pub fn set_traffic_class(header: &mut [u8], class: u8) {
    header[0] = header[0] & 0xf0 | class >> 4;
    header[1] = class << 4 | header[1] & 0x0f;
}

/// Writes the length field of a header of at least [`HEADER_LEN`] bytes.
pub fn set_payload_len(header: &mut [u8], len: u16) {
    header[PAYLOAD_LEN..PAYLOAD_LEN + 2].copy_from_slice(&len.to_be_bytes());
}

/// The headers that have the common extension format (RFC 7045 §2), except ESP, behind which nothing can be read.
pub fn is_extension(protocol: u8) -> bool {
    const HOST_IDENTITY: u8 = 139;
    const SHIM6: u8 = 140;
    matches!(
        protocol,
        HOP_BY_HOP
            | ROUTING
            | FRAGMENT
            | AUTHENTICATION
            | DESTINATION_OPTIONS
            | MOBILITY
            | HOST_IDENTITY
            | SHIM6
    )
}

/// The fixed header.
pub const HEADER_LEN: usize = 40;

/// Extension headers that are walked over before the rest is left unread.
pub const MAX_EXTENSIONS: usize = 8;

/// Number of the hop-by-hop options header.
pub const HOP_BY_HOP: u8 = 0;

/// Number of the fragment header.
pub const FRAGMENT: u8 = 44;

/// Bytes of the fragment header.
pub const FRAGMENT_LEN: usize = EXTENSION_UNIT;

const ROUTING: u8 = 43;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;

const PAYLOAD_LEN: usize = 4;
const NEXT_HEADER: usize = 6;
const HOP_LIMIT: usize = 7;
/// Offset of both addresses, which end the header.
pub const ADDRESSES: usize = 8;

const EXTENSION_UNIT: usize = 8;
const FRAGMENT_OFFSET_AND_MORE: u16 = 0xfff9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample::Sample;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const OPTIONS: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    const LONG_OPTIONS: &[u8] = &[0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    /// 4 bytes longer than its length of 4 says.
    const AUTHENTICATION_HEADER: &[u8] = &[
        0, 4, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    const ATOMIC: &[u8] = &[0, 0xff, 0x00, 0x06, 0, 0, 0, 1];
    const FIRST_PIECE: &[u8] = &[0, 0, 0x00, 0x01, 0, 0, 0, 1];
    const LAST_PIECE: &[u8] = &[0, 0, 0x00, 0x08, 0, 0, 0, 1];

    fn packet(extensions: &[(u8, &[u8])]) -> Vec<u8> {
        Sample::udp_v4(b"data").on_v6(extensions).frame()[14..].to_vec()
    }

    fn transport(extensions: &[(u8, &[u8])]) -> Option<Transport> {
        Ipv6::new(&packet(extensions)).unwrap().transport()
    }

    fn udp_at(offset: usize) -> Option<Transport> {
        Some(Transport {
            protocol: 17,
            offset,
            is_fragment: false,
        })
    }

    #[test]
    fn the_fields_of_a_plain_header() {
        let mut bytes = packet(&[]);
        bytes[..4].copy_from_slice(&[0x6a, 0xb1, 0x23, 0x45]);
        let ip = Ipv6::new(&bytes).unwrap();
        assert_eq!((ip.traffic_class(), ip.flow_label()), (0xab, 0x1_2345));
        assert_eq!(ip.payload_len(), 12);
        assert_eq!((ip.next_header(), ip.hop_limit()), (17, 63));
        assert_eq!(ip.src().to_be_bytes(), bytes[8..24]);
        assert_eq!(ip.dst().to_be_bytes(), bytes[24..40]);
        assert_eq!(ip.addresses(), &bytes[8..40]);
        set_payload_len(&mut bytes, 0xabcd);
        assert_eq!(bytes[4..6], [0xab, 0xcd]);
    }

    #[test]
    fn e84_extension_headers_are_walked_over() {
        assert_eq!(transport(&[]), udp_at(40));
        assert_eq!(transport(&[(HOP_BY_HOP, OPTIONS)]), udp_at(48));
        for number in [ROUTING, DESTINATION_OPTIONS, MOBILITY, 139, 140] {
            assert_eq!(transport(&[(number, LONG_OPTIONS)]), udp_at(56), "{number}");
        }
        assert_eq!(
            transport(&[(AUTHENTICATION, AUTHENTICATION_HEADER)]),
            udp_at(64)
        );
        let all = [
            (HOP_BY_HOP, OPTIONS),
            (ROUTING, LONG_OPTIONS),
            (AUTHENTICATION, AUTHENTICATION_HEADER),
        ];
        assert_eq!(transport(&all), udp_at(40 + 8 + 16 + 24));
    }

    #[test]
    fn e84_no_more_than_eight() {
        assert_eq!(transport(&[(DESTINATION_OPTIONS, OPTIONS); 8]), udp_at(104));
        assert_eq!(transport(&[(DESTINATION_OPTIONS, OPTIONS); 9]), None);
    }

    #[test]
    fn e84_the_walk_ends_behind_the_fragment_header() {
        let piece = |offset| {
            Some(Transport {
                protocol: 17,
                offset,
                is_fragment: true,
            })
        };
        assert_eq!(transport(&[(FRAGMENT, FIRST_PIECE)]), piece(48));
        assert_eq!(transport(&[(FRAGMENT, LAST_PIECE)]), piece(48));
        assert_eq!(
            transport(&[(HOP_BY_HOP, OPTIONS), (FRAGMENT, LAST_PIECE)]),
            piece(56)
        );
        assert_eq!(transport(&[(FRAGMENT, ATOMIC)]), udp_at(48));
    }

    #[test]
    fn a_header_that_is_cut_off_leads_nowhere() {
        let bytes = packet(&[(HOP_BY_HOP, LONG_OPTIONS)]);
        for len in 40..56 {
            assert_eq!(Ipv6::new(&bytes[..len]).unwrap().transport(), None);
        }
        assert_eq!(Ipv6::new(&bytes[..56]).unwrap().transport(), udp_at(56));
    }

    #[test]
    fn a_wrong_version_or_length_is_no_header() {
        let mut bytes = packet(&[]);
        assert!(Ipv6::new(&bytes[..39]).is_none());
        assert!(Ipv6::new(&bytes[..40]).is_some());
        bytes[0] = 0x45;
        assert!(Ipv6::new(&bytes).is_none());
    }

    proptest! {
        #[test]
        fn c53_any_bytes_are_walked_within_bounds(
            mut bytes in vec(any::<u8>(), 40..400),
            chain in vec(0usize..8, 0..10),
        ) {
            let numbers = [0, 43, 44, 51, 60, 135, 139, 140];
            bytes[0] = 0x60;
            bytes[NEXT_HEADER] = chain.first().map_or(17, |&n| numbers[n]);
            // short headers, so that several fit
            for (n, link) in chain.iter().skip(1).enumerate() {
                if let Some(at) = bytes.get_mut(40 + 8 * n..42 + 8 * n) {
                    at.copy_from_slice(&[numbers[*link], 0]);
                }
            }
            if let Some(transport) = Ipv6::new(&bytes).unwrap().transport() {
                prop_assert!(transport.offset <= bytes.len());
                prop_assert!(transport.is_fragment || !is_extension(transport.protocol));
            }
        }
    }
}
