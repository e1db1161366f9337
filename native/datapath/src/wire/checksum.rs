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
