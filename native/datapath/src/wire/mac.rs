//! MAC addresses (IEEE 802, EUI-48).

use std::fmt;
use std::str::FromStr;

/// A MAC address, its six bytes in the order of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// 00:00:00:00:00:00: nobody's address.
    pub const ZERO: Self = Self([0; 6]);

    /// ff:ff:ff:ff:ff:ff: every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether this addresses a group (broadcast included): the I/G bit, lowest of the first byte.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether all bits are zero.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The address as a number below 2^48, first byte on the wire highest.
    pub fn to_u64(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The address from the lower 48 bits; the upper 16 are ignored.
    pub fn from_u64(value: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
        Self([a, b, c, d, e, f])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = MacParseError;

    /// Six groups of exactly two hex digits of either case, joined by colons or by dashes, not a mixture.
    fn from_str(text: &str) -> Result<Self, MacParseError> {
        let text: &[u8; 17] = text.as_bytes().try_into().map_err(|_| MacParseError)?;
        let separator = text[2];
        if separator != b':' && separator != b'-' {
            return Err(MacParseError);
        }
        let mut mac = [0; 6];
        for (byte, group) in mac.iter_mut().zip(text.chunks(3)) {
            if group.get(2).is_some_and(|&end| end != separator) {
                return Err(MacParseError);
            }
            *byte = hex_digit(group[0])? << 4 | hex_digit(group[1])?;
        }
        Ok(Self(mac))
    }
}

/// The text is not a MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacParseError;

impl fmt::Display for MacParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a MAC address is six pairs of hex digits, like 02:42:0a:00:00:01")
    }
}

impl std::error::Error for MacParseError {}

fn hex_digit(digit: u8) -> Result<u8, MacParseError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(MacParseError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn display_is_lower_case_with_colons() {
        let mac = MacAddr([0x02, 0x42, 0x0A, 0, 0, 0xFF]);
        assert_eq!(mac.to_string(), "02:42:0a:00:00:ff");
    }

    #[test]
    fn the_number_has_the_first_byte_highest() {
        let mac = MacAddr([0x01, 0x02, 0x03, 0x04, 0x05, 0x06]);
        assert_eq!(mac.to_u64(), 0x0102_0304_0506);
        assert_eq!(MacAddr::from_u64(0xFFFF_0102_0304_0506), mac);
    }

    #[test]
    fn groups_are_multicast_and_stations_are_not() {
        assert!(MacAddr::BROADCAST.is_multicast());
        assert!(MacAddr([0x33, 0x33, 0, 0, 0, 1]).is_multicast());
        assert!(!MacAddr([0x02, 0xff, 0xff, 0xff, 0xff, 0xff]).is_multicast());
        assert!(MacAddr::ZERO.is_zero() && !MacAddr::ZERO.is_multicast());
    }

    #[test]
    fn text_that_is_not_strictly_a_mac_is_refused() {
        let refused = [
            "",
            "02:42:0a:00:00",
            "02:42:0a:00:00:1",
            "02:42:0a:00:00:001",
            "02:42:0a:00:00:0g",
            "02:42:0a-00:00:01",
            "0242.0a00.0001",
            "02420a000001",
            " 02:42:0a:00:00:01",
            "+2:42:0a:00:00:01",
            "02:42:0a:00:00:0\u{e9}",
        ];
        for text in refused {
            assert_eq!(text.parse::<MacAddr>(), Err(MacParseError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_and_number_round_trip(bytes: [u8; 6]) {
            let mac = MacAddr(bytes);
            prop_assert_eq!(mac.to_string().parse(), Ok(mac));
            prop_assert_eq!(mac.to_string().to_uppercase().replace(':', "-").parse(), Ok(mac));
            prop_assert_eq!(MacAddr::from_u64(mac.to_u64()), mac);
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = text.parse::<MacAddr>();
        }
    }
}
