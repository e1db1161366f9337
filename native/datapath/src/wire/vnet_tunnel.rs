//! The offload header for frames inside UDP tunnels: `struct virtio_net_hdr_v1_hash_tunnel` (virtio 1.4 §5.1.6,
//! linux/virtio_net.h; Linux 6.17), all of it little endian.
//!
//! ```text
//! | virtio_net_hdr (10) | num_buffers (2) | hash_value (4) | hash_report (2) | padding (2) |
//! | outer_th_offset (2) | inner_nh_offset (2) |
//! ```
//!
//! Linux reads the last two as little endian always, the first ten bytes only after `TUNSETVNETLE`.

use super::vnet::{self, Gso, VnetHeader};

/// What is still to be done to a packet whose payload may be a tunnel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelVnetHeader {
    /// Positions from the start of the outer frame. In a tunnel: checksum and segments are those of the inner frame.
    pub vnet: VnetHeader,
    /// `None`: the packet is not to be segmented, or has no tunnel. Then `vnet` says everything.
    pub tunnel: Option<Tunnel>,
}

/// Where the headers are of a superframe in a UDP tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// The outer IP header is one of IPv6.
    pub is_outer_v6: bool,
    /// Every segment gets an outer UDP checksum; the field holds the pseudo header's sum. Otherwise the field is 0.
    pub has_checksum: bool,
    /// Where the outer UDP header begins, from the start of the outer frame.
    pub outer_transport: u16,
    /// Where the inner IP header begins, from the start of the outer frame.
    pub inner_network: u16,
}

impl TunnelVnetHeader {
    /// The bytes to write in front of the outer frame.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let VnetHeader {
            needs_csum,
            hdr_len,
            gso_size,
            csum_start,
            csum_offset,
            ..
        } = self.vnet;
        let mut flags = if needs_csum { vnet::NEEDS_CSUM } else { 0 };
        let mut gso_type = self.vnet.gso_type();
        let mut positions = [0; 2];
        if let Some(tunnel) = &self.tunnel {
            if tunnel.has_checksum {
                flags |= UDP_TUNNEL_CSUM;
            }
            gso_type |= if tunnel.is_outer_v6 {
                UDP_TUNNEL_IPV6
            } else {
                UDP_TUNNEL_IPV4
            };
            positions = [tunnel.outer_transport, tunnel.inner_network];
        }
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = flags;
        bytes[1] = gso_type;
        let fields = [hdr_len, gso_size, csum_start, csum_offset];
        write(&mut bytes[2..vnet::HEADER_LEN], &fields);
        write(&mut bytes[OUTER_TRANSPORT..], &positions);
        bytes
    }
}

fn write(bytes: &mut [u8], fields: &[u16]) {
    for (to, field) in bytes.chunks_exact_mut(2).zip(fields) {
        to.copy_from_slice(&field.to_le_bytes());
    }
}

/// Whether the kernel segments such a superframe: TCP only; of others it makes datagrams that few NICs can.
pub fn is_segmented_in_tunnels(gso: Gso) -> bool {
    matches!(gso, Gso::TcpV4 | Gso::TcpV6)
}

/// The whole header.
pub const HEADER_LEN: usize = 24;

// linux/virtio_net.h
const UDP_TUNNEL_CSUM: u8 = 8;
const UDP_TUNNEL_IPV4: u8 = 0x20;
const UDP_TUNNEL_IPV6: u8 = 0x40;
const OUTER_TRANSPORT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    const SUPERFRAME: VnetHeader = VnetHeader {
        needs_csum: true,
        gso: Gso::TcpV4,
        ecn: true,
        hdr_len: 0x0102,
        gso_size: 0x0304,
        csum_start: 0x0506,
        csum_offset: 0x0708,
    };

    #[test]
    fn the_fields_are_where_the_kernel_has_them() {
        let mut tunnel = Tunnel {
            is_outer_v6: false,
            has_checksum: true,
            outer_transport: 0x090a,
            inner_network: 0x0b0c,
        };
        let emit = |tunnel| {
            TunnelVnetHeader {
                vnet: SUPERFRAME,
                tunnel,
            }
            .emit()
        };
        let fields = [2, 1, 4, 3, 6, 5, 8, 7];
        let bytes = emit(Some(tunnel));
        assert_eq!(bytes[..2], [0x09, 0xa1]);
        assert_eq!(bytes[2..10], fields);
        assert_eq!(bytes[10..20], [0; 10]);
        assert_eq!(bytes[20..], [0x0a, 0x09, 0x0c, 0x0b]);
        tunnel.is_outer_v6 = true;
        tunnel.has_checksum = false;
        assert_eq!(emit(Some(tunnel))[..2], [0x01, 0xc1]);
        let without = emit(None);
        assert_eq!(without[..2], [0x01, 0x81]);
        assert_eq!(without[2..10], fields);
        assert_eq!(without[10..], [0; 14]);
    }
}
