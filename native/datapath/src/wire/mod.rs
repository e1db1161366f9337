//! Headers: bytes become meaning here, and only here.
//!
//! One header per file. A view (`Ethernet`, `Ipv4`, `Tcp`, ...) borrows bytes and is made by `new`, which checks
//! lengths once and answers `None` for anything shorter than the header claims to be; after that no reader can go
//! out of bounds. A view guarantees the *lengths* of its own header and nothing else: field values, checksums and
//! what follows the header may still be nonsense, because a switch is not a validator.
//!
//! `pcapng` alone is no header but a file format that headers and frames are written to; it appends to a `Vec`.
//!
//! No I/O, no allocation elsewhere, no `unsafe`. Nothing here panics on any input; the few functions that write into a header
//! say which length they need.

pub mod arp;
pub mod checksum;
pub mod ecn;
pub mod encap;
pub mod ethernet;
pub mod flow;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod mac;
pub mod nd;
pub mod pcapng;
#[cfg(test)]
pub(crate) mod sample;
pub mod sctp;
pub mod tcp;
pub mod udp;
pub mod vnet;
pub mod vnet_tunnel;
pub mod vxlan;

/// The offload header says something that the frame behind it is not (counted as `rx.vnet_hdr_bad`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the offload header does not fit the frame behind it")
    }
}

impl std::error::Error for Malformed {}

/// The 16 bits in network order at byte `at`, which must lie within `bytes`.
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The 32 bits in network order at byte `at`, which must lie within `bytes`.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
