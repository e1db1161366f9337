//! "Too big" messages: ICMP type 3 code 4 (RFC 792, RFC 1191 §4) and ICMPv6 type 2 (RFC 4443 §3.2).
//!
//! ```text
//! | link, addresses swapped | IP, source = the packet's destination | type code checksum | unused, MTU | quote of the packet |
//! ```
//!
//! A switch has no address of its own, so the message says that it comes from where the packet was going, as Linux does
//! for its tunnels.

use super::be16;
use super::checksum::Sum;
use super::ethernet::{Ethernet, HEADER_LEN};
use super::ip::{Ip, PROTOCOL_ICMPV6};
use super::ipv4;
use super::ipv6;

/// What a sender is to be told when its packet does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// ICMP type 3 code 4.
    V4,
    /// ICMPv6 type 2.
    V6,
    /// It should know, but must not be answered: the packet is an ICMP error, a fragment but not the first, or of no
    /// single sender (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)).
    Withheld,
    /// IPv4 that may be fragmented: whoever cannot fragment it has nothing to say.
    MayFragment,
    /// No IP, or for many: nobody would understand.
    Nothing,
}

/// What to answer to the sender of `frame`, whose packet is longer than a link further on takes.
pub fn answer(frame: &[u8]) -> Answer {
    let Some(ethernet) = Ethernet::new(frame) else {
        return Answer::Nothing;
    };
    let Some((ip, _)) = Ip::carried_by(&ethernet) else {
        return Answer::Nothing;
    };
    if ethernet.dst().is_multicast() || is_for_many(&ip) {
        return Answer::Nothing;
    }
    if let Ip::V4(v4) = &ip
        && !v4.dont_fragment()
    {
        return Answer::MayFragment;
    }
    let from_nobody = ethernet.src().is_multicast() || ethernet.src().is_zero();
    if from_nobody || !has_one_sender(&ip) || is_later_fragment(&ip) || is_icmp_error(&ip) {
        return Answer::Withheld;
    }
    match ip {
        Ip::V4(_) => Answer::V4,
        Ip::V6(_) => Answer::V6,
    }
}

/// Writes to `out` the frame that tells the sender of `frame` that the largest packet for that destination is `mtu`
/// bytes, and returns its length. Tags are those of `frame`. The message is an IP packet of at most `longest` bytes and
/// of at most 576 (IPv4, RFC 1812 §4.3.2.3) or 1280 (IPv6, RFC 4443 §2.4 (c)) of them.
///
/// Whether it may be sent is [`answer`]'s to say. `None` if `frame` carries no IP, or `longest` has no room for headers.
pub fn too_big(frame: &[u8], mtu: u32, longest: usize, out: &mut [u8; MAX_LEN]) -> Option<usize> {
    let ethernet = Ethernet::new(frame)?;
    let (ip, offset) = Ip::carried_by(&ethernet)?;
    let packet = &ip.bytes()[..ip.packet_len().unwrap_or(ip.bytes().len())];
    let (link, message) = out.split_at_mut(offset);
    link.copy_from_slice(&frame[..offset]);
    link[..6].copy_from_slice(&ethernet.src().0);
    link[6..12].copy_from_slice(&ethernet.dst().0);
    let (header_len, most) = match ip {
        Ip::V4(_) => (ipv4::HEADER_LEN, V4_LEN),
        Ip::V6(_) => (ipv6::HEADER_LEN, V6_LEN),
    };
    let room = most.min(longest).checked_sub(header_len + ICMP_LEN)?;
    let quote = &packet[..packet.len().min(room)];
    let len = header_len + ICMP_LEN + quote.len();
    let (header, icmp) = message[..len].split_at_mut(header_len);
    icmp[ICMP_LEN..].copy_from_slice(quote);
    match &ip {
        Ip::V4(_) => {
            let [high, low] = (mtu.min(u32::from(u16::MAX)) as u16).to_be_bytes();
            icmp[..ICMP_LEN].copy_from_slice(&[3, 4, 0, 0, 0, 0, high, low]);
            fill(icmp, Sum::default());
            write_v4(header, ip.addresses(), len);
        }
        Ip::V6(_) => {
            let [a, b, c, d] = mtu.to_be_bytes();
            icmp[..ICMP_LEN].copy_from_slice(&[2, 0, 0, 0, a, b, c, d]);
            let pseudo = Sum::pseudo_header(ip.addresses(), PROTOCOL_ICMPV6, icmp.len());
            fill(icmp, pseudo);
            write_v6(header, ip.addresses(), icmp.len());
        }
    }
    Some(offset + len)
}

fn write_v4(header: &mut [u8], addresses: &[u8], len: usize) {
    let (src, dst) = addresses.split_at(4);
    let [high, low] = (len as u16).to_be_bytes();
    // Precedence 6, internetwork control (RFC 1812 §4.3.2.5); DF, so the ID means nothing (RFC 6864 §4.1).
    header[..12].copy_from_slice(&[0x45, 0xc0, high, low, 0, 0, 0x40, 0, TTL, ICMP, 0, 0]);
    header[12..16].copy_from_slice(dst);
    header[16..20].copy_from_slice(src);
    ipv4::fill_checksum(header);
}

fn write_v6(header: &mut [u8], addresses: &[u8], payload_len: usize) {
    let (src, dst) = addresses.split_at(16);
    let [high, low] = (payload_len as u16).to_be_bytes();
    header[..8].copy_from_slice(&[0x60, 0, 0, 0, high, low, PROTOCOL_ICMPV6, TTL]);
    header[8..24].copy_from_slice(dst);
    header[24..40].copy_from_slice(src);
}

fn fill(icmp: &mut [u8], pseudo_header: Sum) {
    let checksum = (pseudo_header + Sum::of(icmp)).checksum();
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
}

fn is_for_many(ip: &Ip<'_>) -> bool {
    match ip {
        // Multicast, class E and the limited broadcast; a subnet's own broadcast has a broadcast MAC.
        Ip::V4(ip) => ip.dst() >> 29 == 0b111,
        Ip::V6(ip) => ip.dst() >> 120 == 0xff,
    }
}

/// RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e.6).
fn has_one_sender(ip: &Ip<'_>) -> bool {
    match ip {
        Ip::V4(ip) => matches!(ip.src() >> 24, 1..=126 | 128..=223),
        Ip::V6(ip) => ip.src() > 1 && ip.src() >> 120 != 0xff,
    }
}

fn is_later_fragment(ip: &Ip<'_>) -> bool {
    match ip {
        Ip::V4(ip) => ip.fragment_offset() != 0,
        Ip::V6(ip) => ip.transport().is_some_and(|transport| {
            // The walk ends right behind the fragment header.
            let header = transport.offset.checked_sub(ipv6::FRAGMENT_LEN);
            let field = header.and_then(|at| ip.bytes().get(at + 2..at + 4));
            transport.is_fragment && field.is_some_and(|field| be16(field, 0) >> 3 != 0)
        }),
    }
}

/// Whether it is, or may be, an ICMP error or a redirect.
fn is_icmp_error(ip: &Ip<'_>) -> bool {
    let Some(transport) = ip.transport() else {
        return true;
    };
    let kind = ip.bytes().get(transport.offset);
    match (ip, transport.protocol) {
        (Ip::V4(_), ICMP) => kind.is_none_or(|kind| matches!(kind, 3 | 4 | 5 | 11 | 12)),
        (Ip::V6(_), PROTOCOL_ICMPV6) => kind.is_none_or(|kind| matches!(kind, 0..=127 | 137)),
        _ => false,
    }
}

/// Room for any message of [`too_big`]: two tags and the longest packet.
pub const MAX_LEN: usize = HEADER_LEN + 8 + V6_LEN;

/// Least MTU of IPv6 (RFC 8200 §5): no smaller one is ever told.
pub const V6_LEAST_MTU: u32 = 1280;

const ICMP_LEN: usize = 8;
const V4_LEN: usize = 576;
const V6_LEN: usize = 1280;
const TTL: u8 = 64;
const ICMP: u8 = 1;

#[cfg(test)]
mod tests;
