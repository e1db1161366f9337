//! The offload header in front of every frame of a TAP opened with `IFF_VNET_HDR`: `struct virtio_net_hdr`
//! (virtio 1.2 §5.1.6, legacy form of 10 bytes in the byte order of the machine).
//!
//! ```text
//! | flags (1) | gso_type (1) | hdr_len (2) | gso_size (2) | csum_start (2) | csum_offset (2) |
//! ```

use super::Malformed;

/// What is still to be done to the frame behind this header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VnetHeader {
    /// The checksum field holds only the pseudo header's sum: sum from `csum_start` to the end of the packet is to be
    /// stored at `csum_start + csum_offset`.
    pub needs_csum: bool,
    /// Of which kind the superframe is.
    pub gso: Gso,
    /// The superframe's TCP header has CWR set, for its first segment only.
    pub ecn: bool,
    /// Bytes of all headers; a hint that is not to be relied upon.
    pub hdr_len: u16,
    /// Payload bytes of each segment but the last.
    pub gso_size: u16,
    /// Where the sum begins, from the start of the frame.
    pub csum_start: u16,
    /// Where the checksum field is, from `csum_start`.
    pub csum_offset: u16,
}

/// Which superframe follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    /// None: an ordinary frame.
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams of equal size over either IP version (USO).
    Udp,
}

impl VnetHeader {
    /// Nothing left to do.
    pub const NONE: Self = Self {
        needs_csum: false,
        gso: Gso::None,
        ecn: false,
        hdr_len: 0,
        gso_size: 0,
        csum_start: 0,
        csum_offset: 0,
    };

    /// Reads a header. Flags other than `NEEDS_CSUM` are ignored: `DATA_VALID` promises nothing that we pass on, and
    /// the kernel ignores it on TAP writes. A GSO type that we never offer (UFO among them) is malformed.
    pub fn read(bytes: &[u8; HEADER_LEN]) -> Result<Self, Malformed> {
        let [flags, gso_type, fields @ ..] = bytes;
        let field = |n: usize| u16::from_ne_bytes([fields[2 * n], fields[2 * n + 1]]);
        let ecn = gso_type & GSO_ECN != 0;
        let gso = match gso_type & !GSO_ECN {
            GSO_NONE if !ecn => Gso::None,
            GSO_TCPV4 => Gso::TcpV4,
            GSO_TCPV6 => Gso::TcpV6,
            GSO_UDP_L4 => Gso::Udp,
            _ => return Err(Malformed),
        };
        Ok(Self {
            needs_csum: flags & NEEDS_CSUM != 0,
            gso,
            ecn,
            hdr_len: field(0),
            gso_size: field(1),
            csum_start: field(2),
            csum_offset: field(3),
        })
    }

    /// The bytes to write in front of the frame.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let flags = if self.needs_csum { NEEDS_CSUM } else { 0 };
        let gso_type = self.gso_type();
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        [flags, gso_type, a, b, c, d, e, f, g, h]
    }

    /// The byte `gso_type`.
    pub(super) fn gso_type(&self) -> u8 {
        let kind = match self.gso {
            Gso::None => GSO_NONE,
            Gso::TcpV4 => GSO_TCPV4,
            Gso::TcpV6 => GSO_TCPV6,
            Gso::Udp => GSO_UDP_L4,
        };
        if self.ecn { kind | GSO_ECN } else { kind }
    }

    /// The header for the same frame after its link header grew by `bytes` (a tag: 4, a stripped one: -4). Positions that are not
    /// used (0) stay so; none leaves its 16 bits.
    #[must_use]
    pub fn shifted(self, bytes: i16) -> Self {
        let shift = |position: u16| match position {
            0 => 0,
            _ => position.saturating_add_signed(bytes),
        };
        Self {
            hdr_len: shift(self.hdr_len),
            csum_start: shift(self.csum_start),
            ..self
        }
    }
}

/// The whole header.
pub const HEADER_LEN: usize = 10;

// linux/virtio_net.h
pub(super) const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(flags: u8, gso_type: u8, fields: [u16; 4]) -> [u8; HEADER_LEN] {
        let mut bytes = [flags, gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        for (at, field) in bytes[2..].chunks_mut(2).zip(fields) {
            at.copy_from_slice(&field.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn the_fields_are_where_the_kernel_has_them() {
        let read = VnetHeader::read(&bytes(1, 0x81, [66, 1448, 34, 16])).unwrap();
        let expected = VnetHeader {
            needs_csum: true,
            gso: Gso::TcpV4,
            ecn: true,
            hdr_len: 66,
            gso_size: 1448,
            csum_start: 34,
            csum_offset: 16,
        };
        assert_eq!(read, expected);
        assert_eq!(VnetHeader::NONE.emit(), [0; HEADER_LEN]);
    }

    #[test]
    fn h149_data_valid_is_ignored_on_read_and_never_written() {
        assert_eq!(VnetHeader::read(&bytes(2, 0, [0; 4])), Ok(VnetHeader::NONE));
    }

    #[test]
    fn h145_types_that_are_not_offered_are_malformed() {
        let known = [0, 1, 4, 5, 0x81, 0x84, 0x85];
        for gso_type in 0..=255 {
            let read = VnetHeader::read(&bytes(0, gso_type, [0; 4]));
            assert_eq!(read.is_ok(), known.contains(&gso_type), "{gso_type:#x}");
        }
    }

    #[test]
    fn a_shift_moves_positions_and_nothing_else() {
        let header = VnetHeader::read(&bytes(1, 1, [70, 1448, 38, 16])).unwrap();
        let stripped = VnetHeader::read(&bytes(1, 1, [66, 1448, 34, 16])).unwrap();
        assert_eq!(header.shifted(-4), stripped);
        assert_eq!(stripped.shifted(4), header);
        assert_eq!(VnetHeader::NONE.shifted(-4), VnetHeader::NONE);
    }

    proptest! {
        #[test]
        fn c53_any_header_is_answered_and_what_was_read_is_written(bytes: [u8; HEADER_LEN]) {
            if let Ok(header) = VnetHeader::read(&bytes) {
                let written = header.emit();
                prop_assert_eq!(&written[1..], &bytes[1..]);
                prop_assert_eq!(written[0], bytes[0] & 1);
            }
        }
    }
}
