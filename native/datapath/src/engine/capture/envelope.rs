//! The headers of a datagram as they were on the wire, as far as the sockets say: what they do not say is filled in.

use std::net::{IpAddr, SocketAddr};

use super::record::Envelope;
use crate::wire::checksum::Sum;
use crate::wire::ip::PROTOCOL_UDP;
use crate::wire::{ipv4, ipv6, udp};

impl Envelope {
    /// Length of what [`emit`](Self::emit) writes.
    pub(super) fn header_len(&self) -> usize {
        let ip = match (self.source, self.destination) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => ipv4::HEADER_LEN,
            _ => ipv6::HEADER_LEN,
        };
        ip + udp::HEADER_LEN
    }

    /// Writes IP and UDP header of a payload of `len` bytes, of which `kept` begins.
    ///
    /// The UDP checksum is right if all of the payload was kept; else it holds the sum of the pseudo header, as of a
    /// packet that the NIC is to finish. A TTL that is not known is 64. IPv4: ID 0 (RFC 6864 §4.1). What does not fit
    /// into a length field is 0 there, as of superframes (RFC 2675).
    pub(super) fn emit(&self, len: usize, kept: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let udp_len = udp::HEADER_LEN + len;
        let ttl = self.ttl.unwrap_or(LIKELY_TTL);
        let addresses = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let total_len = u16::try_from(ipv4::HEADER_LEN + udp_len).unwrap_or(0);
                let mut header = [0; ipv4::HEADER_LEN];
                header[0] = 0x45;
                header[8..10].copy_from_slice(&[ttl, PROTOCOL_UDP]);
                if !self.may_fragment {
                    header[ipv4::FRAGMENT] = DONT_FRAGMENT;
                }
                header[12..16].copy_from_slice(&source.octets());
                header[16..20].copy_from_slice(&destination.octets());
                ipv4::set_total_len(&mut header, total_len);
                ipv4::set_tos(&mut header, self.tos);
                ipv4::fill_checksum(&mut header);
                out.extend_from_slice(&header);
                start + ipv4::ADDRESSES..start + ipv4::HEADER_LEN
            }
            (source, destination) => {
                let mut header = [0; ipv6::HEADER_LEN];
                header[0] = 0x60;
                header[6..8].copy_from_slice(&[PROTOCOL_UDP, ttl]);
                header[8..24].copy_from_slice(&in_v6(source));
                header[24..40].copy_from_slice(&in_v6(destination));
                ipv6::set_payload_len(&mut header, u16::try_from(udp_len).unwrap_or(0));
                ipv6::set_traffic_class(&mut header, self.tos);
                out.extend_from_slice(&header);
                start + ipv6::ADDRESSES..start + ipv6::HEADER_LEN
            }
        };
        let mut header = [0; udp::HEADER_LEN];
        header[..2].copy_from_slice(&self.source.port().to_be_bytes());
        header[2..4].copy_from_slice(&self.destination.port().to_be_bytes());
        udp::set_len(&mut header, u16::try_from(udp_len).unwrap_or(0));
        if self.has_checksum {
            let pseudo_header = Sum::pseudo_header(&out[addresses], PROTOCOL_UDP, udp_len);
            let checksum = if kept.len() == len {
                udp::transmitted((pseudo_header + Sum::of(&header) + Sum::of(kept)).checksum())
            } else {
                udp::transmitted(pseudo_header.fold())
            };
            header[udp::CHECKSUM..].copy_from_slice(&checksum.to_be_bytes());
        }
        out.extend_from_slice(&header);
    }
}

fn in_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

const LIKELY_TTL: u8 = 64;
/// Of the byte at [`ipv4::FRAGMENT`].
const DONT_FRAGMENT: u8 = 0x40;
