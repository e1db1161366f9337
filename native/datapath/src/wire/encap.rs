//! All that stands in front of a frame on the underlay, for a kernel that is given whole packets:
//!
//! ```text
//! | offload header (24) | Ethernet (14) | IPv4 (20) or IPv6 (40) | UDP (8) | VXLAN (8) | frame |
//!                       |<---------------- outer frame ----------------------------------->
//! ```
//!
//! A superframe stays whole. The lengths then cover all of it, as the kernel wants them; it gives every segment its
//! own. The Ethernet addresses are left zero: who finds the route fills them in.

use super::checksum::Sum;
use super::ethernet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use super::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP};
use super::tcp::{self, Tcp};
use super::vnet::{Gso, VnetHeader};
use super::vnet_tunnel::{self, Tunnel, TunnelVnetHeader, is_segmented_in_tunnels};
use super::vxlan::{self, Vni};
use super::{ipv4, ipv6, udp};
use std::net::{IpAddr, SocketAddr};

/// The outer headers as their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OuterHeader {
    /// Outer source address.
    pub local: IpAddr,
    /// The remote VTEP, of the family of `local`.
    pub destination: SocketAddr,
    /// UDP port that stands for the flow (RFC 7348 §5).
    pub source_port: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Network.
    pub vni: Vni,
    /// Send a UDP checksum. Without: IPv4 only (RFC 8200 §8.1).
    pub checksum: bool,
}

/// The bytes in front of one frame. They belong to that frame and fit no other.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    bytes: [u8; MAX_HEAD_LEN],
    len: usize,
    packet_len: usize,
}

impl OuterHeader {
    /// The head of `frame`, a whole frame without FCS whose offload header is `vnet`.
    ///
    /// With `vnet.gso` TCP it is a superframe; where its parts lie is read from the frame, not from `vnet`. Otherwise
    /// its checksum must be complete.
    ///
    /// IPv4: no options, DF, ID 0 (RFC 6864 §4.1; segments are numbered on by the kernel). IPv6: flow label 0.
    ///
    /// `None` when the kernel would not do with it what is wanted, so that it has to be sent by another way: addresses
    /// of two families, no checksum over IPv6, longer than [`MAX_FRAME_LEN`], a partial checksum without a superframe
    /// or a superframe without one, a superframe of UDP, one whose headers do not agree with `vnet`, one with bytes
    /// behind its IP packet, one of a single segment (the kernel would not segment it and leave its outer checksum
    /// unfinished).
    pub fn before(&self, frame: &[u8], vnet: &VnetHeader) -> Option<Head> {
        if frame.len() > MAX_FRAME_LEN || (self.local.is_ipv6() && !self.checksum) {
            return None;
        }
        let outer_len = ethernet::HEADER_LEN + self.ip_header_len() + UDP_AND_VXLAN_LEN;
        let (offload, packet_len) = match vnet.gso {
            Gso::None if vnet.needs_csum => return None,
            Gso::None => {
                let offload = self.checksum_of_outer(outer_len);
                (offload, outer_len + frame.len() - ethernet::HEADER_LEN)
            }
            _ => {
                let superframe = Superframe::read(frame, vnet)?;
                let segment_len = superframe.header_len + usize::from(vnet.gso_size);
                let packet_len = outer_len + segment_len - ethernet::HEADER_LEN;
                (self.segmentation(&superframe, vnet, outer_len), packet_len)
            }
        };
        let mut head = Head {
            bytes: [0; MAX_HEAD_LEN],
            len: 0,
            packet_len,
        };
        head.push(&offload.emit());
        self.push_outer(&mut head, frame.len())?;
        Some(head)
    }

    fn ip_header_len(&self) -> usize {
        match self.local {
            IpAddr::V4(_) => ipv4::HEADER_LEN,
            IpAddr::V6(_) => ipv6::HEADER_LEN,
        }
    }

    fn checksum_of_outer(&self, outer_len: usize) -> TunnelVnetHeader {
        // The length of the headers, always: the kernel asks for that much memory in one piece, without it for all.
        let none = VnetHeader {
            hdr_len: outer_len as u16,
            ..VnetHeader::NONE
        };
        let vnet = match self.checksum {
            false => none,
            true => VnetHeader {
                needs_csum: true,
                csum_start: (outer_len - UDP_AND_VXLAN_LEN) as u16,
                csum_offset: udp::CHECKSUM as u16,
                ..none
            },
        };
        TunnelVnetHeader { vnet, tunnel: None }
    }

    fn segmentation(
        &self,
        superframe: &Superframe,
        vnet: &VnetHeader,
        outer_len: usize,
    ) -> TunnelVnetHeader {
        TunnelVnetHeader {
            vnet: VnetHeader {
                hdr_len: (outer_len + superframe.header_len) as u16,
                csum_start: (outer_len + superframe.transport) as u16,
                csum_offset: tcp::CHECKSUM as u16,
                ..*vnet
            },
            tunnel: Some(Tunnel {
                is_outer_v6: self.local.is_ipv6(),
                has_checksum: self.checksum,
                outer_transport: (outer_len - UDP_AND_VXLAN_LEN) as u16,
                inner_network: (outer_len + superframe.network) as u16,
            }),
        }
    }

    fn push_outer(&self, head: &mut Head, frame_len: usize) -> Option<()> {
        // At most 65535 by MAX_FRAME_LEN, as is what IPv4 adds.
        let udp_len = (UDP_AND_VXLAN_LEN + frame_len) as u16;
        let addresses = match (self.local, self.destination.ip()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                head.push(&[0; ETHERNET_ADDRESSES]);
                head.push(&ETHERTYPE_IPV4.to_be_bytes());
                let [a, b] = (udp_len + ipv4::HEADER_LEN as u16).to_be_bytes();
                let mut ip = [0; ipv4::HEADER_LEN];
                let (fields, addresses) = ip.split_at_mut(ipv4::ADDRESSES);
                let [df, _] = DONT_FRAGMENT.to_be_bytes();
                fields[..10].copy_from_slice(&[
                    0x45,
                    self.tos,
                    a,
                    b,
                    0,
                    0,
                    df,
                    0,
                    self.ttl,
                    PROTOCOL_UDP,
                ]);
                addresses[..4].copy_from_slice(&local.octets());
                addresses[4..].copy_from_slice(&remote.octets());
                let sum = Sum::of(addresses);
                ipv4::fill_checksum(&mut ip);
                head.push(&ip);
                sum
            }
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                head.push(&[0; ETHERNET_ADDRESSES]);
                head.push(&ETHERTYPE_IPV6.to_be_bytes());
                let [a, b] = udp_len.to_be_bytes();
                let mut fields = [0x60, 0, 0, 0, a, b, PROTOCOL_UDP, self.ttl];
                ipv6::set_traffic_class(&mut fields, self.tos);
                head.push(&fields);
                head.push(&local.octets());
                head.push(&remote.octets());
                Sum::of(&local.octets()) + Sum::of(&remote.octets())
            }
            _ => return None,
        };
        let checksum = match self.checksum {
            true => (addresses + Sum::pseudo_header(&[], PROTOCOL_UDP, udp_len.into())).fold(),
            false => 0,
        };
        for field in [self.source_port, self.destination.port(), udp_len, checksum] {
            head.push(&field.to_be_bytes());
        }
        head.push(&vxlan::Header::emit(self.vni));
        Some(())
    }
}

impl Head {
    /// What to write before the frame, its offload header included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Length of the longest IP packet that it becomes with its frame. Nothing behind compares it with an MTU, so the
    /// caller has to.
    pub fn packet_len(&self) -> usize {
        self.packet_len
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }
}

/// Where the headers of a TCP superframe begin, and where they all end, from the start of the frame.
struct Superframe {
    network: usize,
    transport: usize,
    header_len: usize,
}

impl Superframe {
    fn read(frame: &[u8], vnet: &VnetHeader) -> Option<Self> {
        if !is_segmented_in_tunnels(vnet.gso) || !vnet.needs_csum || vnet.gso_size == 0 {
            return None;
        }
        let (ip, network) = Ip::carried_by(&Ethernet::new(frame)?)?;
        let position = ip.transport().filter(|t| !t.is_fragment)?;
        let agrees = match ip {
            Ip::V4(_) => vnet.gso == Gso::TcpV4,
            Ip::V6(_) => vnet.gso == Gso::TcpV6,
        };
        let transport = network + position.offset;
        let is_whole = ip.packet_len()? == frame.len() - network;
        if !agrees || !is_whole || position.protocol != PROTOCOL_TCP {
            return None;
        }
        let header_len = transport + Tcp::new(frame.get(transport..)?)?.header_len();
        (frame.len() - header_len > usize::from(vnet.gso_size)).then_some(Self {
            network,
            transport,
            header_len,
        })
    }
}

/// The longest frame that can be given to the kernel in one piece: with all outer headers, those of IPv6 and Ethernet
/// among them, it has 65535 bytes, for the kernel's own longest superframe is shorter than 65536.
pub const MAX_FRAME_LEN: usize =
    u16::MAX as usize - ethernet::HEADER_LEN - ipv6::HEADER_LEN - UDP_AND_VXLAN_LEN;

const UDP_AND_VXLAN_LEN: usize = udp::HEADER_LEN + vxlan::HEADER_LEN;
const MAX_HEAD_LEN: usize =
    vnet_tunnel::HEADER_LEN + ethernet::HEADER_LEN + ipv6::HEADER_LEN + UDP_AND_VXLAN_LEN;
const ETHERNET_ADDRESSES: usize = 12;
/// Of IPv4's flags and fragment offset.
const DONT_FRAGMENT: u16 = 0x4000;

#[cfg(test)]
mod tests;
