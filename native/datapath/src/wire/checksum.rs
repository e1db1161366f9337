//! The Internet checksum (RFC 1071): ones-complement sum of 16-bit words.
//!
//! The sum does not care about byte order (RFC 1071 §2 (B)), so words are added as the machine reads them and only the
//! folded result is turned round. It does not care about the width of the adder either (§2 (C)): four bytes at a time
//! go into 64 bits, which cannot overflow before 16 GiB.

use std::ops::Add;

/// A sum still unfolded. Sums of pieces add up to the sum of the whole if every piece but the last has an even length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(u64);

impl Sum {
    /// Sum of `bytes`; an odd last byte is padded with zero behind it.
    pub fn of(bytes: &[u8]) -> Self {
        let (blocks, tail) = bytes.as_chunks::<BLOCK>();
        let mut lanes = Lanes::default();
        for block in blocks {
            lanes.add(block);
        }
        lanes.total() + Self::of_tail(tail)
    }

    /// Copies `from` to `to` and sums it on the way. Both have the same length.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn copying(from: &[u8], to: &mut [u8]) -> Self {
        assert_eq!(
            from.len(),
            to.len(),
            "a copy has the length of its original"
        );
        let (from_blocks, from_tail) = from.as_chunks::<BLOCK>();
        let (to_blocks, to_tail) = to.as_chunks_mut::<BLOCK>();
        let mut lanes = Lanes::default();
        for (from, to) in from_blocks.iter().zip(to_blocks) {
            *to = *from;
            lanes.add(from);
        }
        to_tail.copy_from_slice(from_tail);
        lanes.total() + Self::of_tail(from_tail)
    }

    /// Sum of the pseudo header of TCP and UDP (RFC 9293 §3.1, RFC 8200 §8.1): `addresses` are source and destination as
    /// they lie in the IP header of either version, `len` is the length of transport header and payload.
    pub fn pseudo_header(addresses: &[u8], protocol: u8, len: usize) -> Self {
        let len = len as u64;
        Self::of(addresses)
            + Self::word(u16::from(protocol))
            + Self::word(len as u16)
            + Self::word((len >> 16) as u16)
    }

    /// Sum of one word.
    pub fn word(word: u16) -> Self {
        Self(u64::from(word.to_be()))
    }

    /// The sum folded into 16 bits, not complemented: 0xffff over anything that includes its own right checksum.
    pub fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::from_be(sum as u16)
    }

    /// What belongs into a checksum field that was zero while summing.
    pub fn checksum(self) -> u16 {
        !self.fold()
    }

    fn of_tail(tail: &[u8]) -> Self {
        let (words, odd) = tail.as_chunks::<2>();
        let sum: u64 = words
            .iter()
            .map(|&w| u64::from(u16::from_ne_bytes(w)))
            .sum();
        let last = odd.first().map_or(0, |&byte| u16::from_ne_bytes([byte, 0]));
        Self(sum + u64::from(last))
    }
}

impl Add for Sum {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// Independent partial sums, so that the compiler can keep them in vector registers.
#[derive(Default)]
struct Lanes([u64; BLOCK / 4]);

impl Lanes {
    fn add(&mut self, block: &[u8; BLOCK]) {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in self.0.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }

    fn total(self) -> Sum {
        Sum(self.0.iter().sum())
    }
}

const BLOCK: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample::naive_sum;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).fold(), 0xddf2);
        assert_eq!(Sum::of(&bytes).checksum(), 0x220d);
    }

    #[test]
    fn nothing_sums_to_zero_and_ones_stay_ones() {
        assert_eq!(Sum::of(&[]).fold(), 0);
        assert_eq!(Sum::of(&[0; 100]).fold(), 0);
        assert_eq!(Sum::of(&[0xff; 65536]).fold(), 0xffff);
        assert_eq!(Sum::of(&[0x12]).fold(), 0x1200);
    }

    #[test]
    fn the_pseudo_header_is_that_of_the_rfcs() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 7];
        let rfc_9293 = [&v4[..], &[0, 6, 0x12, 0x34]].concat();
        assert_eq!(
            Sum::pseudo_header(&v4, 6, 0x1234).fold(),
            naive_sum(&rfc_9293)
        );
        let v6: Vec<u8> = (100..132).collect();
        let rfc_8200 = [&v6[..], &[0, 1, 0x12, 0x34, 0, 0, 0, 17]].concat();
        assert_eq!(
            Sum::pseudo_header(&v6, 17, 0x1_1234).fold(),
            naive_sum(&rfc_8200)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_sum_as_the_slow_way(bytes in vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(Sum::of(&bytes).fold(), naive_sum(&bytes));
        }

        #[test]
        fn pieces_add_up(bytes in vec(any::<u8>(), 0..300), at: usize) {
            let (a, b) = bytes.split_at((at % (bytes.len() + 1)) & !1);
            prop_assert_eq!((Sum::of(a) + Sum::of(b)).fold(), naive_sum(&bytes));
        }

        #[test]
        fn copying_copies_and_sums(bytes in vec(any::<u8>(), 0..300)) {
            let mut copy = vec![0xaa; bytes.len()];
            prop_assert_eq!(Sum::copying(&bytes, &mut copy).fold(), naive_sum(&bytes));
            prop_assert_eq!(copy, bytes);
        }

        #[test]
        fn what_includes_its_checksum_sums_to_ones(mut bytes in vec(any::<u8>(), 2..300)) {
            bytes[..2].fill(0);
            let checksum = Sum::of(&bytes).checksum();
            bytes[..2].copy_from_slice(&checksum.to_be_bytes());
            prop_assert_eq!(Sum::of(&bytes).fold(), 0xffff);
        }
    }
}
