//! IPv4 header (RFC 791 §3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |Version|  IHL  |Type of Service|          Total Length         |
//! |         Identification        |Flags|      Fragment Offset    |
//! |  Time to Live |    Protocol   |         Header Checksum       |
//! |                       Source Address                          |
//! |                    Destination Address                        |
//! |                    Options, to 60 bytes                       |
//! ```

use super::checksum::Sum;
use super::{be16, be32};

/// An IPv4 packet whose header, options included, is there in full.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4<'a>(&'a [u8]);

impl<'a> Ipv4<'a> {
    /// `None` if version or header length are not those of IPv4, or `packet` is shorter than its header.
    pub fn new(packet: &'a [u8]) -> Option<Self> {
        if packet.len() < HEADER_LEN || packet[0] >> 4 != 4 {
            return None;
        }
        let view = Self(packet);
        (view.header_len() >= HEADER_LEN && view.header_len() <= packet.len()).then_some(view)
    }

    /// Bytes of the header with options, 20 to 60.
    pub fn header_len(&self) -> usize {
        usize::from(self.0[0] & 0x0f) * 4
    }

    /// Type of service: DSCP (RFC 2474) and ECN (RFC 3168).
    pub fn tos(&self) -> u8 {
        self.0[TOS]
    }

    /// The length field: header and payload. May say anything.
    pub fn total_len(&self) -> u16 {
        be16(self.0, TOTAL_LEN)
    }

    /// Whether this is a piece of a larger packet, the first piece included.
    pub fn is_fragment(&self) -> bool {
        const MORE_FRAGMENTS: u16 = 0x2000;
        const FRAGMENT_OFFSET: u16 = 0x1fff;
        be16(self.0, FRAGMENT) & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Whether it must not be fragmented on its way.
    pub fn dont_fragment(&self) -> bool {
        const DONT_FRAGMENT: u16 = 0x4000;
        be16(self.0, FRAGMENT) & DONT_FRAGMENT != 0
    }

    /// Where in the larger packet this piece begins, in units of 8 bytes; 0 for a whole packet.
    pub fn fragment_offset(&self) -> u16 {
        be16(self.0, FRAGMENT) & 0x1fff
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.0[TTL]
    }

    /// Protocol of the payload.
    pub fn protocol(&self) -> u8 {
        self.0[PROTOCOL]
    }

    /// Whether the header checksum is right.
    pub fn is_checksum_valid(&self) -> bool {
        Sum::of(&self.0[..self.header_len()]).fold() == 0xffff
    }

    /// Source address.
    pub fn src(&self) -> u32 {
        be32(self.0, ADDRESSES)
    }

    /// Destination address.
    pub fn dst(&self) -> u32 {
        be32(self.0, ADDRESSES + 4)
    }

    /// Source and destination as they lie, 8 bytes, for the pseudo header.
    pub fn addresses(&self) -> &'a [u8] {
        &self.0[ADDRESSES..HEADER_LEN]
    }

    /// The bytes that the view was made from.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// Writes the type of service of a header of at least [`HEADER_LEN`] bytes, and changes the checksum by the difference
/// (RFC 1624 §3, equation 3), so that a wrong one stays wrong.
pub fn set_tos(header: &mut [u8], tos: u8) {
    let before = be16(header, 0);
    header[TOS] = tos;
    let difference = Sum::word(!before) + Sum::word(be16(header, 0));
    let checksum = (Sum::word(!be16(header, CHECKSUM)) + difference).checksum();
    header[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// Writes the length field of a header of at least [`HEADER_LEN`] bytes.
pub fn set_total_len(header: &mut [u8], len: u16) {
    header[TOTAL_LEN..TOTAL_LEN + 2].copy_from_slice(&len.to_be_bytes());
}

/// Moves the identification of a header of at least [`HEADER_LEN`] bytes on by `packets`.
pub fn advance_id(header: &mut [u8], packets: u16) {
    let id = be16(header, ID).wrapping_add(packets);
    header[ID..ID + 2].copy_from_slice(&id.to_be_bytes());
}

/// Makes the header checksum right. `header` is exactly the header with its options.
pub fn fill_checksum(header: &mut [u8]) {
    header[CHECKSUM..CHECKSUM + 2].fill(0);
    let checksum = Sum::of(header).checksum();
    header[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// Header without options.
pub const HEADER_LEN: usize = 20;

const TOS: usize = 1;
const TOTAL_LEN: usize = 2;
/// Offset of the identification.
pub const ID: usize = 4;

/// Offset of the flags and the fragment offset.
pub const FRAGMENT: usize = 6;

const TTL: usize = 8;
const PROTOCOL: usize = 9;
const CHECKSUM: usize = 10;
/// Offset of both addresses, which end the header without options.
pub const ADDRESSES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// 192.0.2.1 -> 198.51.100.7, ICMP, DF, 4 bytes of payload; checksum worked out by hand.
    const PACKET: [u8; 24] = [
        0x45, 0x00, 0x00, 0x18, 0x12, 0x34, 0x40, 0x00, 0x40, 0x01, 0x3c, 0x75, 192, 0, 2, 1, 198,
        51, 100, 7, 8, 0, 0, 0,
    ];

    #[test]
    fn the_fields_of_a_plain_header() {
        let ip = Ipv4::new(&PACKET).unwrap();
        assert_eq!(ip.header_len(), 20);
        assert_eq!(ip.total_len(), 24);
        assert_eq!((ip.ttl(), ip.protocol()), (64, 1));
        let mut marked = PACKET;
        marked[1] = 0xb9;
        assert_eq!(Ipv4::new(&marked).unwrap().tos(), 0xb9);
        assert_eq!(ip.src().to_be_bytes(), [192, 0, 2, 1]);
        assert_eq!(ip.dst().to_be_bytes(), [198, 51, 100, 7]);
        assert_eq!(ip.addresses(), &PACKET[12..20]);
        assert!(!ip.is_fragment());
    }

    #[test]
    fn more_fragments_or_an_offset_make_a_fragment() {
        let is_fragment = |flags: u8, offset: u8| {
            let mut packet = PACKET;
            packet[6..8].copy_from_slice(&[flags, offset]);
            Ipv4::new(&packet).unwrap().is_fragment()
        };
        assert!(!is_fragment(0x00, 0));
        assert!(!is_fragment(0xc0, 0));
        assert!(is_fragment(0x20, 0));
        assert!(is_fragment(0x00, 1));
        assert!(is_fragment(0x10, 0));
    }

    #[test]
    fn a_wrong_version_or_length_is_no_header() {
        let is_header = |first: u8, len: usize| {
            let mut packet = PACKET;
            packet[0] = first;
            Ipv4::new(&packet[..len]).is_some()
        };
        assert!(is_header(0x45, 20));
        assert!(is_header(0x46, 24));
        assert!(!is_header(0x45, 19));
        assert!(!is_header(0x46, 23));
        assert!(!is_header(0x44, 24));
        assert!(!is_header(0x65, 24));
    }

    #[test]
    fn the_writers_write_their_field_alone() {
        let mut packet = PACKET;
        set_total_len(&mut packet, 0xabcd);
        advance_id(&mut packet, 0xffff);
        assert_eq!(packet[2..6], [0xab, 0xcd, 0x12, 0x33]);
        packet[2..6].copy_from_slice(&PACKET[2..6]);
        assert_eq!(packet, PACKET);
    }

    #[test]
    fn f101_the_checksum_follows_the_type_of_service() {
        let mut packet = PACKET;
        for tos in [0x03, 0xff, 0xb8, 0x00] {
            set_tos(&mut packet, tos);
            let mut expected = PACKET;
            expected[1] = tos;
            fill_checksum(&mut expected[..20]);
            assert_eq!(packet, expected);
            assert_eq!(Ipv4::new(&packet).unwrap().tos(), tos);
        }
        assert_eq!(packet, PACKET);
    }

    #[test]
    fn the_checksum_is_filled_and_judged() {
        assert!(Ipv4::new(&PACKET).unwrap().is_checksum_valid());
        let mut packet = PACKET;
        packet[8] -= 1;
        assert!(!Ipv4::new(&packet).unwrap().is_checksum_valid());
        fill_checksum(&mut packet[..20]);
        assert!(Ipv4::new(&packet).unwrap().is_checksum_valid());
        packet[8] += 1;
        fill_checksum(&mut packet[..20]);
        assert_eq!(packet, PACKET);
    }

    proptest! {
        #[test]
        fn c53_any_bytes_are_read_within_bounds(mut bytes in vec(any::<u8>(), 0..80), ihl in 0u8..16) {
            if let Some(first) = bytes.first_mut() {
                *first = 0x40 | ihl;
            }
            let view = Ipv4::new(&bytes);
            let has_room = bytes.len() >= 20 && bytes.len() >= usize::from(ihl) * 4;
            prop_assert_eq!(view.is_some(), ihl >= 5 && has_room);
            if let Some(ip) = view {
                prop_assert_eq!(ip.addresses().len(), 8);
                let sum = crate::wire::sample::naive_sum(&bytes[..ip.header_len()]);
                prop_assert_eq!(ip.is_checksum_valid(), sum == 0xffff);
            }
        }
    }
}
