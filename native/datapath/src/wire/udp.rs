//! UDP header (RFC 768).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |          Source Port          |       Destination Port        |
//! |            Length             |           Checksum            |
//! ```

use super::be16;

/// A UDP datagram of at least [`HEADER_LEN`] bytes.
#[derive(Debug, Clone, Copy)]
pub struct Udp<'a>(&'a [u8]);

impl<'a> Udp<'a> {
    /// `None` if `datagram` is shorter than [`HEADER_LEN`].
    pub fn new(datagram: &'a [u8]) -> Option<Self> {
        (datagram.len() >= HEADER_LEN).then_some(Self(datagram))
    }

    /// Port of the sender.
    pub fn source_port(&self) -> u16 {
        be16(self.0, 0)
    }

    /// Port that it is for.
    pub fn destination_port(&self) -> u16 {
        be16(self.0, 2)
    }

    /// The length field: header and payload. May say anything.
    pub fn claimed_len(&self) -> u16 {
        be16(self.0, LEN)
    }

    /// The checksum field; 0 means there is none.
    pub fn checksum(&self) -> u16 {
        be16(self.0, CHECKSUM)
    }
}

/// Writes the length field (header and payload) of a header of at least [`HEADER_LEN`] bytes.
pub fn set_len(header: &mut [u8], len: u16) {
    header[LEN..LEN + 2].copy_from_slice(&len.to_be_bytes());
}

/// What to send for a computed checksum: 0 would say that there is none, so it becomes its other form 0xffff.
pub fn transmitted(checksum: u16) -> u16 {
    match checksum {
        0 => 0xffff,
        other => other,
    }
}

/// The whole header.
pub const HEADER_LEN: usize = 8;

/// Offset of the checksum field.
pub const CHECKSUM: usize = 6;

const LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_and_their_writer() {
        let mut header = [0x9c, 0x40, 0x12, 0xb5, 0, 8, 0xab, 0xcd];
        assert_eq!(Udp::new(&header).unwrap().checksum(), 0xabcd);
        assert_eq!(Udp::new(&header).unwrap().source_port(), 40000);
        assert_eq!(Udp::new(&header).unwrap().destination_port(), 4789);
        set_len(&mut header, 0x1234);
        assert_eq!(Udp::new(&header).unwrap().claimed_len(), 0x1234);
        assert_eq!(header, [0x9c, 0x40, 0x12, 0xb5, 0x12, 0x34, 0xab, 0xcd]);
        assert!(Udp::new(&header[..7]).is_none());
    }

    #[test]
    fn e89_a_checksum_of_zero_is_sent_as_ones() {
        assert_eq!(transmitted(0), 0xffff);
        assert_eq!(transmitted(1), 1);
        assert_eq!(transmitted(0xffff), 0xffff);
    }
}
