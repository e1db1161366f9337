//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//! | hardware type 1 (2) | protocol type 0x0800 (2) | 6 (1) | 4 (1) | operation (2) |
//! | sender MAC (6) | sender IP (4) | target MAC (6) | target IP (4) |
//! ```

use std::net::Ipv4Addr;

use super::be16;
use super::mac::MacAddr;

/// An ARP packet. Any field may say anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// [`REQUEST`], [`REPLY`], or another (RARP, InARP).
    pub operation: u16,
    /// Who says so.
    pub sender_mac: MacAddr,
    /// What address that is; 0.0.0.0 in a probe (RFC 5227 §2.1.1).
    pub sender_ip: Ipv4Addr,
    /// Unknown, hence meaningless, in a request.
    pub target_mac: MacAddr,
    /// Who is asked for, or told. The sender's own in an announcement (RFC 5227 §2.3), often called gratuitous ARP.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// The packet at the start of `payload`, what lies behind it being padding. `None` if that is shorter than [`LEN`],
    /// or the packet is about other addresses than those of IPv4 and Ethernet.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let packet: &[u8; LEN] = payload.first_chunk()?;
        if packet[..OPERATION] != IPV4_OVER_ETHERNET {
            return None;
        }
        let mac = |at: usize| {
            let b = &packet[at..];
            MacAddr([b[0], b[1], b[2], b[3], b[4], b[5]])
        };
        let ip = |at: usize| {
            let b = &packet[at..];
            Ipv4Addr::new(b[0], b[1], b[2], b[3])
        };
        Some(Self {
            operation: be16(packet, OPERATION),
            sender_mac: mac(SENDER),
            sender_ip: ip(SENDER + 6),
            target_mac: mac(TARGET),
            target_ip: ip(TARGET + 6),
        })
    }

    /// The bytes behind the Ethernet header.
    pub fn emit(&self) -> [u8; LEN] {
        let mut packet = [0; LEN];
        packet[..OPERATION].copy_from_slice(&IPV4_OVER_ETHERNET);
        packet[OPERATION..SENDER].copy_from_slice(&self.operation.to_be_bytes());
        packet[SENDER..SENDER + 6].copy_from_slice(&self.sender_mac.0);
        packet[SENDER + 6..TARGET].copy_from_slice(&self.sender_ip.octets());
        packet[TARGET..TARGET + 6].copy_from_slice(&self.target_mac.0);
        packet[TARGET + 6..].copy_from_slice(&self.target_ip.octets());
        packet
    }
}

/// The whole packet.
pub const LEN: usize = 28;

/// Who has the target address?
pub const REQUEST: u16 = 1;

/// The sender has it.
pub const REPLY: u16 = 2;

/// Hardware type, protocol type, and the lengths of their addresses.
const IPV4_OVER_ETHERNET: [u8; OPERATION] = [0, 1, 0x08, 0x00, 6, 4];
const OPERATION: usize = 6;
const SENDER: usize = 8;
const TARGET: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Field by field as RFC 826 has them.
    const BYTES: [u8; LEN] = [
        0, 1, 8, 0, 6, 4, 0, 2, 2, 0x42, 10, 0, 0, 1, 10, 0, 0, 1, 2, 0x42, 10, 0, 0, 2, 10, 0, 0,
        2,
    ];

    #[test]
    fn the_fields_are_where_the_rfc_has_them() {
        let arp = Arp {
            operation: REPLY,
            sender_mac: MacAddr([2, 0x42, 10, 0, 0, 1]),
            sender_ip: [10, 0, 0, 1].into(),
            target_mac: MacAddr([2, 0x42, 10, 0, 0, 2]),
            target_ip: [10, 0, 0, 2].into(),
        };
        assert_eq!(Arp::read(&BYTES), Some(arp));
        assert_eq!(arp.emit(), BYTES);
    }

    #[test]
    fn k195_other_kinds_of_addresses_and_cut_packets_are_not_read() {
        for at in 0..OPERATION {
            let mut bytes = BYTES;
            bytes[at] ^= 2;
            assert_eq!(Arp::read(&bytes), None, "{at}");
        }
        for len in 0..LEN {
            assert_eq!(Arp::read(&BYTES[..len]), None);
        }
    }

    proptest! {
        #[test]
        fn c53_any_bytes_are_answered_and_what_was_read_is_written(
            mut bytes in vec(any::<u8>(), 0..60),
            is_arp: bool,
        ) {
            if is_arp && bytes.len() >= OPERATION {
                bytes[..OPERATION].copy_from_slice(&BYTES[..OPERATION]);
            }
            match Arp::read(&bytes) {
                Some(arp) => prop_assert_eq!(&arp.emit()[..], &bytes[..LEN]),
                None => prop_assert!(!is_arp || bytes.len() < LEN),
            }
        }
    }
}
