//! VXLAN header (RFC 7348 §5).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |R|R|R|R|I|R|R|R|            Reserved                           |
//! |                VXLAN Network Identifier (VNI) |   Reserved    |
//! ```
//!
//! I must be set for a valid VNI. The R bits are sent as zero and ignored on receipt; whether a network is stricter
//! than that is the receiver's choice, so [`Header::reserved`] shows them.

use std::fmt;

/// VXLAN network identifier, 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// `None` if `value` needs more than 24 bits.
    pub fn new(value: u32) -> Option<Self> {
        (value <= 0x00ff_ffff).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The 64 bits of a VXLAN header, as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header(u64);

impl Header {
    /// The header at the start of `datagram`; `None` if that is shorter than [`HEADER_LEN`].
    pub fn read(datagram: &[u8]) -> Option<Self> {
        datagram
            .first_chunk()
            .map(|bytes| Self(u64::from_be_bytes(*bytes)))
    }

    /// Whether the I flag is set. Without it the datagram carries no VNI and is to be dropped.
    pub fn has_vni(self) -> bool {
        self.0 & I_FLAG != 0
    }

    /// The VNI field.
    pub fn vni(self) -> Vni {
        Vni((self.0 >> VNI_SHIFT) as u32 & 0x00ff_ffff)
    }

    /// The header with the I flag and the VNI masked out: 0 for a plain header. The first byte of the wire is the
    /// highest.
    pub fn reserved(self) -> u64 {
        self.0 & !(I_FLAG | VNI_MASK)
    }

    /// The plain header of `vni`: `08 00 00 00 vv vv vv 00`.
    pub fn emit(vni: Vni) -> [u8; HEADER_LEN] {
        (I_FLAG | u64::from(vni.0) << VNI_SHIFT).to_be_bytes()
    }
}

/// The whole header.
pub const HEADER_LEN: usize = 8;

/// The UDP port assigned to VXLAN.
pub const UDP_PORT: u16 = 4789;

const I_FLAG: u64 = 0x0800_0000_0000_0000;
const VNI_SHIFT: u32 = 8;
const VNI_MASK: u64 = 0x00ff_ffff << VNI_SHIFT;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn e77_the_header_sent_is_the_plain_one() {
        let vni = Vni::new(0x12_3456).unwrap();
        assert_eq!(Header::emit(vni), [8, 0, 0, 0, 0x12, 0x34, 0x56, 0]);
    }

    #[test]
    fn b25_without_the_i_flag_there_is_no_vni() {
        assert!(
            !Header::read(&[0xf7, 0, 0, 0, 0, 0, 1, 0])
                .unwrap()
                .has_vni()
        );
        assert!(
            Header::read(&[0x08, 0, 0, 0, 0, 0, 1, 0])
                .unwrap()
                .has_vni()
        );
    }

    #[test]
    fn b26_b27_b28_every_reserved_bit_shows_and_no_other() {
        for bit in 0..64 {
            let mut bytes = Header::emit(Vni::new(0x00ff_00ff).unwrap());
            let plain = Header::read(&bytes).unwrap();
            assert_eq!(plain.reserved(), 0);
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            let header = Header::read(&bytes).unwrap();
            let in_vni = (32..56).contains(&bit);
            if bit == 4 || in_vni {
                assert_eq!(header.reserved(), 0, "bit {bit}");
                assert_eq!(header.vni() != plain.vni(), in_vni);
            } else {
                assert_eq!(header.reserved(), 1 << (63 - bit), "bit {bit}");
                assert_eq!(header.vni(), plain.vni());
                assert!(header.has_vni());
            }
        }
    }

    #[test]
    fn b30_the_vni_is_24_bits() {
        for value in [0, 1, 0x80_0000, 0xff_ffff] {
            let vni = Vni::new(value).unwrap();
            assert_eq!(vni.get(), value);
            assert_eq!(Header::read(&Header::emit(vni)).unwrap().vni(), vni);
        }
        assert_eq!(Vni::new(0x0100_0000), None);
        assert_eq!(Vni::new(u32::MAX), None);
    }

    #[test]
    fn a6_fewer_than_8_bytes_are_no_header() {
        for len in 0..HEADER_LEN {
            assert_eq!(Header::read(&[0xff; HEADER_LEN][..len]), None);
        }
    }

    proptest! {
        #[test]
        fn the_parts_make_up_the_header(bytes: [u8; 8], rest: Vec<u8>) {
            let header = Header::read(&[&bytes[..], &rest].concat()).unwrap();
            let i_flag = if header.has_vni() { 1 << 59 } else { 0 };
            let whole = header.reserved() | i_flag | u64::from(header.vni().get()) << 8;
            prop_assert_eq!(whole, u64::from_be_bytes(bytes));
        }
    }
}
