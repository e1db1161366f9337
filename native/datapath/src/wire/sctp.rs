//! The common header of SCTP (RFC 9260 §3.1), as far as its checksum goes.
//!
//! ```text
//! | source port (2) | destination port (2) | verification tag (4) | checksum (4) |
//! ```
//!
//! The checksum is CRC32c (RFC 9260 appendix A) over all of the packet with the field zero, stored least significant byte
//! first. It has no pseudo header.

/// Stores the checksum of `packet`, which begins with the common header and ends where SCTP ends.
///
/// # Panics
/// If `packet` is shorter than [`HEADER_LEN`].
pub fn fill_checksum(packet: &mut [u8]) {
    let field = CHECKSUM..HEADER_LEN;
    packet[field.clone()].fill(0);
    let checksum = crc32c(packet);
    packet[field].copy_from_slice(&checksum.to_le_bytes());
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (if crc & 1 == 1 { CASTAGNOLI } else { 0 });
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// Bytes of the common header.
pub const HEADER_LEN: usize = 12;
/// Where the checksum is in it.
pub const CHECKSUM: usize = 8;
/// The polynomial, reflected.
const CASTAGNOLI: u32 = 0x82f6_3b78;
static TABLE: [u32; 256] = table();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_that_of_the_examples_in_rfc_3720() {
        let counting: Vec<u8> = (0..32).collect();
        let examples: [(&[u8], u32); 4] = [
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&counting, 0x46dd_794e),
            (b"123456789", 0xe306_9283),
        ];
        for (bytes, crc) in examples {
            assert_eq!(crc32c(bytes), crc);
        }
    }

    #[test]
    fn what_stood_in_the_field_does_not_count() {
        let mut packet: Vec<u8> = (0..40).collect();
        fill_checksum(&mut packet);
        let checksum = packet[CHECKSUM..HEADER_LEN].to_vec();
        fill_checksum(&mut packet);
        assert_eq!(packet[CHECKSUM..HEADER_LEN], checksum);
        packet[CHECKSUM..HEADER_LEN].fill(0);
        assert_eq!(crc32c(&packet).to_le_bytes().to_vec(), checksum);
    }
}
