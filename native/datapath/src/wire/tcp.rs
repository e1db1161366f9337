//! TCP header (RFC 9293 §3.1), as much as splitting needs.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |          Source Port          |       Destination Port        |
//! |                        Sequence Number                        |
//! |                    Acknowledgment Number                      |
//! | Offset| Rsrvd |C|E|U|A|P|R|S|F|            Window             |
//! |           Checksum            |         Urgent Pointer        |
//! |                    Options, to 60 bytes                       |
//! ```

use super::{be16, be32};

/// A TCP segment whose header, options included, is there in full.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a>(&'a [u8]);

impl<'a> Tcp<'a> {
    /// `None` if `segment` is shorter than its header or the data offset is less than 5 words.
    pub fn new(segment: &'a [u8]) -> Option<Self> {
        if segment.len() < HEADER_LEN {
            return None;
        }
        let view = Self(segment);
        (view.header_len() >= HEADER_LEN && view.header_len() <= segment.len()).then_some(view)
    }

    /// Bytes of the header with options, 20 to 60.
    pub fn header_len(&self) -> usize {
        usize::from(self.0[DATA_OFFSET] >> 4) * 4
    }

    /// The eight flags, [`FIN`] to [`CWR`].
    pub fn flags(&self) -> u8 {
        self.0[FLAGS]
    }

    /// The checksum field.
    pub fn checksum(&self) -> u16 {
        be16(self.0, CHECKSUM)
    }
}

/// Moves the sequence number of a header of at least [`HEADER_LEN`] bytes on by `bytes`.
pub fn advance_seq(header: &mut [u8], bytes: u32) {
    let seq = be32(header, SEQ).wrapping_add(bytes);
    header[SEQ..SEQ + 4].copy_from_slice(&seq.to_be_bytes());
}

/// Clears `flags` in a header of at least [`HEADER_LEN`] bytes.
pub fn clear_flags(header: &mut [u8], flags: u8) {
    header[FLAGS] &= !flags;
}

/// Header without options.
pub const HEADER_LEN: usize = 20;

/// Offset of the checksum field.
pub const CHECKSUM: usize = 16;

/// The sender has no more data.
pub const FIN: u8 = 0x01;

/// The first segment of a connection's direction; may carry the MSS option.
pub const SYN: u8 = 0x02;

/// The acknowledgment number means something.
pub const ACK: u8 = 0x10;

/// Deliver to the application at once.
pub const PSH: u8 = 0x08;

/// Congestion window reduced (RFC 3168 §6.1).
pub const CWR: u8 = 0x80;

/// Offset of the sequence number.
pub const SEQ: usize = 4;

const DATA_OFFSET: usize = 12;
/// Offset of the flags.
pub const FLAGS: usize = 13;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const HEADER: [u8; 24] = [
        0x9c, 0x40, 0x01, 0xbb, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, 0x60, 0x99, 0x72, 0x10, 0xab,
        0xcd, 0, 0, 2, 4, 5, 0xb4,
    ];

    #[test]
    fn the_fields_and_their_writers() {
        let tcp = Tcp::new(&HEADER).unwrap();
        assert_eq!(tcp.header_len(), 24);
        assert_eq!(tcp.flags(), CWR | 0x10 | PSH | FIN);
        assert_eq!(tcp.checksum(), 0xabcd);

        let mut header = HEADER;
        advance_seq(&mut header, 0x20);
        assert_eq!(header[4..8], [0, 0, 0, 0x10]);
        clear_flags(&mut header, CWR | FIN);
        assert_eq!(header[13], 0x18);
        header[4..8].copy_from_slice(&HEADER[4..8]);
        header[13] = HEADER[13];
        assert_eq!(header, HEADER);
    }

    proptest! {
        #[test]
        fn c53_any_bytes_are_read_within_bounds(mut bytes in vec(any::<u8>(), 0..80), words in 0u8..16) {
            if let Some(offset) = bytes.get_mut(DATA_OFFSET) {
                *offset = words << 4 | *offset & 0x0f;
            }
            let has_room = bytes.len() >= 20 && bytes.len() >= usize::from(words) * 4;
            prop_assert_eq!(Tcp::new(&bytes).is_some(), words >= 5 && has_room);
        }
    }
}
