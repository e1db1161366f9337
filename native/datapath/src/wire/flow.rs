//! What the outer header takes from the frame inside: the flow hash behind the UDP source port (RFC 7348 §5).

use super::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use super::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP};
use super::{be16, ipv4, ipv6};

/// Hash of the flow that `frame` belongs to, well spread in all its bits; the same on every host and in every run.
///
/// | frame | hashed |
/// | --- | --- |
/// | TCP, UDP, SCTP, DCCP, UDP-Lite | IP addresses, protocol, ports |
/// | other IP, unreadable extension headers, a packet longer than its frame, a bad IPv4 header checksum | IP addresses, protocol, IPv6 flow label |
/// | a fragment, the first one too | IP addresses, protocol |
/// | not IP, or a malformed IP header | MAC addresses, ethertype |
///
/// All behind at most two VLAN tags. If `symmetric`, both directions of a flow have the same hash, and the flow label,
/// which is chosen per direction, is left out. It is also left out where there are ports, because Linux changes the
/// label of a connection that loses packets. Fewer than 14 bytes are one flow.
pub fn flow_hash(frame: &[u8], symmetric: bool) -> u32 {
    let Some(ethernet) = Ethernet::new(frame) else {
        return 0;
    };
    let flow = match Ip::carried_by(&ethernet) {
        Some((ip, _)) => Flow::of_ip(&ip),
        None => Flow::of_frame(&ethernet),
    };
    if symmetric {
        flow.without_direction().hash()
    } else {
        flow.hash()
    }
}

/// Whether `frame` has room for the fixed IP header that its ethertype, behind tags, announces; true for all other
/// ethertypes, false for fewer than 14 bytes.
pub fn inner_ip_len_ok(frame: &[u8]) -> bool {
    let Some(ethernet) = Ethernet::new(frame) else {
        return false;
    };
    let (ethertype, offset) = ethernet.network();
    let needed = match ethertype {
        ETHERTYPE_IPV4 => ipv4::HEADER_LEN,
        ETHERTYPE_IPV6 => ipv6::HEADER_LEN,
        _ => 0,
    };
    frame.len() - offset >= needed
}

/// What distinguishes one flow from another.
struct Flow {
    src: Side,
    dst: Side,
    ethertype: u16,
    protocol: u8,
    /// Per direction; 0 if there is none.
    label: u32,
}

/// One end of a flow: address (MAC or IP) and port, 0 if there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Side {
    address: u128,
    port: u16,
}

impl Flow {
    fn of_frame(ethernet: &Ethernet<'_>) -> Self {
        let (ethertype, _) = ethernet.network();
        Self {
            src: Side::without_port(ethernet.src().to_u64()),
            dst: Side::without_port(ethernet.dst().to_u64()),
            ethertype,
            protocol: 0,
            label: 0,
        }
    }

    fn of_ip(ip: &Ip<'_>) -> Self {
        let mut flow = match ip {
            Ip::V4(ip) => Self {
                src: Side::without_port(ip.src()),
                dst: Side::without_port(ip.dst()),
                ethertype: ETHERTYPE_IPV4,
                protocol: ip.protocol(),
                label: 0,
            },
            Ip::V6(ip) => Self {
                src: Side::without_port(ip.src()),
                dst: Side::without_port(ip.dst()),
                ethertype: ETHERTYPE_IPV6,
                protocol: ip.next_header(),
                label: ip.flow_label(),
            },
        };
        if !is_trustworthy(ip) {
            return flow;
        }
        let Some(transport) = ip.transport() else {
            return flow;
        };
        flow.protocol = transport.protocol;
        if transport.is_fragment {
            flow.label = 0;
        } else if has_ports(transport.protocol)
            && let Some(ports) = ip.bytes().get(transport.offset..transport.offset + 4)
        {
            flow.src.port = be16(ports, 0);
            flow.dst.port = be16(ports, 2);
            flow.label = 0;
        }
        flow
    }

    fn without_direction(self) -> Self {
        Self {
            src: self.src.min(self.dst),
            dst: self.src.max(self.dst),
            label: 0,
            ..self
        }
    }

    fn hash(&self) -> u32 {
        let ports = u64::from(self.src.port) << 16 | u64::from(self.dst.port);
        let kind = u64::from(self.ethertype) << 8 | u64::from(self.protocol);
        let words = [
            self.src.address as u64,
            (self.src.address >> 64) as u64,
            self.dst.address as u64,
            (self.dst.address >> 64) as u64,
            kind << 32 | ports,
            u64::from(self.label),
        ];
        let mut hash = 0;
        for word in words {
            hash = mix(hash ^ word);
        }
        (hash >> 32) as u32
    }
}

impl Side {
    fn without_port(address: impl Into<u128>) -> Self {
        Self {
            address: address.into(),
            port: 0,
        }
    }
}

/// Whether what lies behind the IP header can be the transport header of a packet that somebody will accept.
fn is_trustworthy(ip: &Ip<'_>) -> bool {
    let is_header_intact = match ip {
        Ip::V4(ip) => ip.is_checksum_valid(),
        Ip::V6(_) => true,
    };
    is_header_intact && ip.packet_len().is_some()
}

/// The protocols whose header begins with source and destination port.
fn has_ports(protocol: u8) -> bool {
    const DCCP: u8 = 33;
    const SCTP: u8 = 132;
    const UDP_LITE: u8 = 136;
    matches!(
        protocol,
        PROTOCOL_TCP | PROTOCOL_UDP | DCCP | SCTP | UDP_LITE
    )
}

/// One round of a multiplicative hash: every bit of `value` reaches the upper half, which is folded back.
fn mix(value: u64) -> u64 {
    // 2^64 / golden ratio (Knuth, TAOCP 6.4)
    let product = (value ^ value >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 29
}

#[cfg(test)]
mod tests;
