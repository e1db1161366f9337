//! From a frame in the ring to a datagram: what the kernel's IP and UDP layers would have checked, checked here.

use super::super::super::sys::sockaddr::scoped;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::ip::{Ip, PROTOCOL_UDP};
use crate::wire::ipv6;
use crate::wire::udp::{self, Udp};
use crate::wire::vnet::{self, Gso, VnetHeader};
use crate::wire::vxlan;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// A datagram in the ring, or several of one sender that came as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outer {
    /// Sender.
    pub source: SocketAddr,
    /// TOS byte or traffic class: DSCP (RFC 2474) and ECN (RFC 3168).
    pub tos: u8,
    /// Where the UDP payload lies in the slot's bytes.
    pub payload: Range<usize>,
    /// Distance of datagrams that came as one; only the last may be shorter. Equal to the length of the payload for a
    /// single datagram, so 0 for an empty one.
    pub stride: usize,
    /// What a kernel vxlan device on this machine has left undone of the frame inside, as a TAP would say it: positions
    /// count from the frame, which begins behind the VXLAN header, and lie within it. `hdr_len` is 0.
    /// [`VnetHeader::NONE`] for a frame that is finished, as all are that crossed a wire.
    pub inner: VnetHeader,
}

/// Why a packet in the ring is no datagram. Behind an ordinary socket the kernel refuses the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RingRefusal {
    /// The frame was longer than the slot; its end is lost.
    Truncated,
    /// The checksum of the IPv4 header is wrong, or a length in the IP header does not fit the frame.
    IpHeader,
    /// The UDP length is below 8 or beyond the IP payload.
    UdpLength,
    /// The UDP checksum is wrong, or missing over IPv6 (RFC 8200 section 8.1).
    UdpChecksum,
    /// The kernel says that the packet is a superframe, but not of what.
    Superframe,
}

/// A frame of the ring with what the kernel says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tapped<'a> {
    /// From the Ethernet header on.
    pub(super) frame: &'a [u8],
    pub(super) truncated: bool,
    /// Somebody has verified the UDP checksum.
    pub(super) is_checksum_valid: bool,
    /// The `virtio_net_hdr`; positions count from the Ethernet header.
    pub(super) vnet: [u8; vnet::HEADER_LEN],
    /// The interface, for link-local addresses of IPv6.
    pub(super) ifindex: u32,
}

impl Tapped<'_> {
    /// Reads the headers and verifies what is not known to be right. Constant time, except for a checksum to verify.
    pub(super) fn read(&self) -> Result<Outer, RingRefusal> {
        if self.truncated {
            return Err(RingRefusal::Truncated);
        }
        let vnet = VnetHeader::read(&self.vnet).map_err(|_| RingRefusal::Superframe)?;
        let ethernet = Ethernet::new(self.frame).ok_or(RingRefusal::IpHeader)?;
        let (ip, ip_at) = Ip::carried_by(&ethernet).ok_or(RingRefusal::IpHeader)?;
        let in_packet = transport(&ip).ok_or(RingRefusal::IpHeader)?;
        let udp_at = ip_at + in_packet.start;
        let datagram = datagram(&ip, in_packet)?;
        let payload = udp_at + udp::HEADER_LEN..udp_at + datagram.len();

        let is_partial = vnet.needs_csum && usize::from(vnet.csum_start) >= udp_at;
        verify(&ip, datagram, self.is_checksum_valid || is_partial)?;
        let (stride, inner) = superframe(&vnet, udp_at, &payload)?;
        Ok(Outer {
            source: self.source(&ip, datagram),
            tos: ip.tos(),
            payload,
            stride,
            inner,
        })
    }

    fn source(&self, ip: &Ip<'_>, datagram: &[u8]) -> SocketAddr {
        let port = Udp::new(datagram).map_or(0, |udp| udp.source_port());
        match ip {
            Ip::V4(ip) => SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip.src())), port),
            Ip::V6(ip) => {
                let ip = Ipv6Addr::from(ip.src());
                let scope = if ip.is_unicast_link_local() {
                    self.ifindex
                } else {
                    0
                };
                scoped(IpAddr::V6(ip), port, scope)
            }
        }
    }
}

/// Where the IP payload lies in the packet, without what the link added behind it. `None` if the header is wrong, or
/// does not lead to UDP at once.
fn transport(ip: &Ip<'_>) -> Option<Range<usize>> {
    let there = ip.bytes().len();
    let range = match ip {
        Ip::V4(ip) if !ip.is_checksum_valid() => return None,
        Ip::V4(ip) if ip.protocol() == PROTOCOL_UDP => ip.header_len()..usize::from(ip.total_len()),
        Ip::V6(ip) if ip.next_header() == PROTOCOL_UDP => {
            ipv6::HEADER_LEN..ipv6::HEADER_LEN + usize::from(ip.payload_len())
        }
        _ => return None,
    };
    (range.start <= range.end && range.end <= there).then_some(range)
}

/// UDP header and payload, as long as the UDP length says.
fn datagram<'a>(ip: &Ip<'a>, in_packet: Range<usize>) -> Result<&'a [u8], RingRefusal> {
    let bytes = &ip.bytes()[in_packet];
    let udp = Udp::new(bytes).ok_or(RingRefusal::UdpLength)?;
    let len = match (ip, usize::from(udp.claimed_len())) {
        // So Linux reads a jumbogram (RFC 2675 section 4).
        (Ip::V6(_), 0) => bytes.len(),
        (_, len) => len,
    };
    bytes
        .get(..len)
        .filter(|datagram| datagram.len() >= udp::HEADER_LEN)
        .ok_or(RingRefusal::UdpLength)
}

fn verify(ip: &Ip<'_>, datagram: &[u8], is_known: bool) -> Result<(), RingRefusal> {
    let checksum = Udp::new(datagram).map_or(0, |udp| udp.checksum());
    let is_right = match (ip, checksum) {
        (Ip::V4(_), 0) => true,
        (Ip::V6(_), 0) => false,
        _ if is_known => true,
        _ => {
            let header = Sum::pseudo_header(ip.addresses(), PROTOCOL_UDP, datagram.len());
            (header + Sum::of(datagram)).fold() == 0xffff
        }
    };
    if is_right {
        Ok(())
    } else {
        Err(RingRefusal::UdpChecksum)
    }
}

/// Distance of datagrams, and what is undone of the frame inside.
///
/// A superframe's checksum is partial, and where it begins tells of whom: at the outer UDP header these are datagrams,
/// beyond it is one datagram with a superframe inside.
fn superframe(
    vnet: &VnetHeader,
    udp_at: usize,
    payload: &Range<usize>,
) -> Result<(usize, VnetHeader), RingRefusal> {
    let csum_start = usize::from(vnet.csum_start);
    let is_outer = vnet.needs_csum && csum_start == udp_at;
    let is_inner = vnet.needs_csum && csum_start > udp_at;
    let size = usize::from(vnet.gso_size);
    match vnet.gso {
        Gso::Udp if is_outer && size > 0 => Ok((size.min(payload.len()), VnetHeader::NONE)),
        _ if is_inner => {
            let frame_at = payload.start + vxlan::HEADER_LEN;
            let field_end = csum_start + usize::from(vnet.csum_offset) + 2;
            let is_within = csum_start >= frame_at + ethernet::HEADER_LEN
                && field_end <= payload.end
                && (vnet.gso == Gso::None || size > 0);
            let inner = VnetHeader {
                hdr_len: 0,
                csum_start: csum_start.saturating_sub(frame_at) as u16,
                ..*vnet
            };
            match is_within {
                true => Ok((payload.len(), inner)),
                false => Err(RingRefusal::Superframe),
            }
        }
        Gso::None => Ok((payload.len(), VnetHeader::NONE)),
        _ => Err(RingRefusal::Superframe),
    }
}

#[cfg(test)]
mod tests;
