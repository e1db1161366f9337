//! Frames from a kernel vxlan peer on the same machine.
//!
//! When no NIC lies between the peer and us (veth, loopback), the kernel leaves inner checksums partial and superframes
//! whole, and nothing in the datagram says so. What says so is the checksum field: it holds the folded sum of the
//! pseudo header. A complete frame looks the same once in 2^16; the TAP's owner then skips a verification, no more.

use crate::wire::checksum::Sum;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::wire::tcp::{self, Tcp};
use crate::wire::udp::{self, Udp};
use crate::wire::vnet::{Gso, VnetHeader};

/// The offload header with which `frame`, as it lay in a datagram, is to be written to a TAP whose MTU (longest IP
/// packet, no link header) is `port_mtu`.
///
/// * TCP or UDP with a partial checksum: `needs_csum`.
/// * and TCP longer than `port_mtu`: a superframe whose segments fill the MTU.
/// * everything else, fragments and malformed packets among it: [`VnetHeader::NONE`].
///
/// Reads headers only, never the payload.
pub fn carry(frame: &[u8], port_mtu: usize) -> VnetHeader {
    carried(frame, port_mtu).unwrap_or(VnetHeader::NONE)
}

fn carried(frame: &[u8], port_mtu: usize) -> Option<VnetHeader> {
    let (ip, ip_offset) = Ip::carried_by(&Ethernet::new(frame)?)?;
    let packet = ip.bytes().get(..ip.packet_len()?)?;
    let transport = ip.transport().filter(|t| !t.is_fragment)?;
    let segment = packet.get(transport.offset..)?;
    let (field, csum_offset, tcp) = match transport.protocol {
        PROTOCOL_TCP => {
            let tcp = Tcp::new(segment)?;
            (tcp.checksum(), tcp::CHECKSUM, Some(tcp))
        }
        PROTOCOL_UDP => (Udp::new(segment)?.checksum(), udp::CHECKSUM, None),
        _ => return None,
    };
    let pseudo_header = Sum::pseudo_header(ip.addresses(), transport.protocol, segment.len());
    if field != pseudo_header.fold() {
        return None;
    }
    let partial = VnetHeader {
        needs_csum: true,
        csum_start: u16::try_from(ip_offset + transport.offset).ok()?,
        csum_offset: csum_offset as u16,
        ..VnetHeader::NONE
    };
    let superframe = tcp.filter(|_| packet.len() > port_mtu).and_then(|tcp| {
        let headers = transport.offset + tcp.header_len();
        Some(VnetHeader {
            gso: match ip {
                Ip::V4(_) => Gso::TcpV4,
                Ip::V6(_) => Gso::TcpV6,
            },
            ecn: tcp.flags() & tcp::CWR != 0,
            hdr_len: u16::try_from(ip_offset + headers).ok()?,
            gso_size: segment_size(port_mtu, headers)?,
            ..partial
        })
    });
    Some(superframe.unwrap_or(partial))
}

/// Payload that fits behind `headers` bytes of IP and TCP; `None` if there is no room for any.
fn segment_size(port_mtu: usize, headers: usize) -> Option<u16> {
    u16::try_from(port_mtu.checked_sub(headers)?)
        .ok()
        .filter(|&size| size > 0)
}
