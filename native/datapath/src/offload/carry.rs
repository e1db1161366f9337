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

/// Whether `frame`, all of it, is one UDP packet with a partial checksum: what a superframe of UDP looks like that a
/// kernel peer on this machine has left whole.
pub fn is_whole_udp(frame: &[u8]) -> bool {
    let Some((ip, offset)) = Ethernet::new(frame).and_then(|e| Ip::carried_by(&e)) else {
        return false;
    };
    let header = carry(frame, usize::MAX);
    header.needs_csum
        && ip.packet_len() == Some(frame.len() - offset)
        && ip.transport().is_some_and(|t| t.protocol == PROTOCOL_UDP)
}

/// Payload that fits behind `headers` bytes of IP and TCP; `None` if there is no room for any.
fn segment_size(port_mtu: usize, headers: usize) -> Option<u16> {
    u16::try_from(port_mtu.checked_sub(headers)?)
        .ok()
        .filter(|&size| size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::{Superframe, complete};
    use crate::wire::sample::{MORE_FRAGMENTS, Network, Sample, Transport};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const MTU: usize = 1450;

    fn samples(payload: &[u8]) -> Vec<Sample> {
        let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
        let mut samples = vec![];
        for sample in [Sample::tcp_v4(payload), Sample::udp_v4(payload)] {
            samples.push(sample.clone());
            samples.push(sample.clone().on_v6(&[]));
            samples.push(sample.clone().on_v6(&[(60, options)]));
            samples.push(sample.tagged(&[(0x8100, 7)]));
        }
        samples
    }

    #[test]
    fn a_partial_checksum_is_carried_on_as_partial() {
        for sample in samples(b"some payload") {
            let mut frame = sample.partial_frame();
            let header = carry(&frame, MTU);
            let start = sample.transport_offset();
            let expected = VnetHeader {
                needs_csum: true,
                csum_start: start as u16,
                csum_offset: (sample.checksum_field().unwrap() - start) as u16,
                ..VnetHeader::NONE
            };
            assert_eq!(header, expected);
            assert_eq!(complete(&mut frame, &header), Ok(()));
            assert_eq!(frame, sample.frame());
        }
    }

    #[test]
    fn a_complete_frame_needs_nothing() {
        for sample in samples(b"some payload") {
            assert_eq!(carry(&sample.frame(), MTU), VnetHeader::NONE);
        }
        for sample in samples(&[1; 5000]) {
            assert_eq!(carry(&sample.frame(), MTU), VnetHeader::NONE);
        }
    }

    #[test]
    fn tcp_longer_than_the_mtu_is_a_superframe_that_fills_it() {
        for sample in samples(&[1; 5000]) {
            let frame = sample.partial_frame();
            let header = carry(&frame, MTU);
            if !sample.is_tcp() {
                assert_eq!(header.gso, Gso::None);
                assert!(header.needs_csum);
                continue;
            }
            assert_eq!(usize::from(header.hdr_len), sample.header_len());
            let superframe = Superframe::parse(&frame, &header).unwrap();
            assert_eq!(superframe.segment_len(), MTU + sample.network_offset());
            assert_eq!(superframe.segments(), 4);
        }
    }

    #[test]
    fn the_mtu_itself_is_no_superframe() {
        for sample in [
            Sample::tcp_v4(&[1; MTU - 40]),
            Sample::tcp_v4(&[1; MTU - 60]).on_v6(&[]),
        ] {
            for sample in [sample.clone(), sample.tagged(&[(0x8100, 7)])] {
                let mut frame = sample.partial_frame();
                frame.extend([0; 3]);
                assert_eq!(carry(&frame, MTU).gso, Gso::None);
                assert_ne!(carry(&frame, MTU - 1).gso, Gso::None);
            }
        }
    }

    #[test]
    fn cwr_is_said_in_the_header() {
        let mut sample = Sample::tcp_v4(&[1; 5000]);
        assert!(!carry(&sample.partial_frame(), MTU).ecn);
        sample.transport = Transport::Tcp {
            seq: 1,
            flags: tcp::CWR | 0x10,
            options: vec![],
        };
        assert!(carry(&sample.partial_frame(), MTU).ecn);
    }

    #[test]
    fn a_length_field_of_zero_means_the_whole_frame() {
        for (sample, len_field) in [
            (Sample::tcp_v4(&[1; 70_000]), 16),
            (Sample::tcp_v4(&[1; 70_000]).on_v6(&[]), 18),
        ] {
            let mut frame = sample.partial_frame();
            assert_eq!(carry(&frame, MTU), VnetHeader::NONE);
            frame[len_field..len_field + 2].fill(0);
            let superframe = Superframe::parse(&frame, &carry(&frame, MTU)).unwrap();
            let payload = MTU - (sample.header_len() - 14);
            assert_eq!(
                superframe.segments() as usize,
                70_000usize.div_ceil(payload)
            );
        }
    }

    #[test]
    fn an_mtu_without_room_for_payload_makes_no_superframe() {
        let frame = Sample::tcp_v4(&[1; 100]).partial_frame();
        for mtu in [0, 39, 40] {
            let header = carry(&frame, mtu);
            assert!(header.needs_csum);
            assert_eq!(header.gso, Gso::None);
        }
        assert_eq!(carry(&frame, 41).gso_size, 1);
    }

    #[test]
    fn padding_is_not_part_of_the_packet() {
        for sample in samples(b"x") {
            let mut frame = sample.partial_frame();
            frame.extend([0xee; 20]);
            assert!(carry(&frame, MTU).needs_csum);
        }
    }

    #[test]
    fn fragments_and_other_protocols_need_nothing() {
        let mut fragment = Sample::udp_v4(b"data");
        fragment.network = Network::V4 {
            id: 1,
            fragment: MORE_FRAGMENTS,
            options: vec![],
        };
        assert_eq!(carry(&fragment.partial_frame(), MTU), VnetHeader::NONE);
        let piece: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 1];
        let fragment = Sample::udp_v4(b"data").on_v6(&[(44, piece)]);
        assert_eq!(carry(&fragment.partial_frame(), MTU), VnetHeader::NONE);
        let mut icmp = Sample::udp_v4(&[8, 0, 0, 0, 1, 2, 3, 4]);
        icmp.transport = Transport::Other(1);
        assert_eq!(carry(&icmp.frame(), MTU), VnetHeader::NONE);
        assert_eq!(carry(&[0; 60], MTU), VnetHeader::NONE);
    }

    #[test]
    fn a_cut_frame_needs_nothing() {
        for sample in samples(b"some payload") {
            let frame = sample.partial_frame();
            for len in 0..frame.len() {
                assert_eq!(carry(&frame[..len], MTU), VnetHeader::NONE);
            }
        }
    }

    proptest! {
        #[test]
        fn c53_any_damage_is_answered_with_what_can_be_done(
            payload in vec(any::<u8>(), 0..3000),
            which in 0usize..8,
            damage in vec((0usize..60, any::<u8>()), 0..4),
            mtu in 0usize..2000,
        ) {
            let sample = &samples(&payload)[which];
            let mut frame = sample.partial_frame();
            for (at, byte) in damage {
                if let Some(at) = frame.get_mut(at) {
                    *at = byte;
                }
            }
            let header = carry(&frame, mtu);
            if header.gso != Gso::None {
                let superframe = Superframe::parse(&frame, &header).unwrap();
                prop_assert!(superframe.segments() > 1);
            }
            prop_assert_eq!(complete(&mut frame, &header), Ok(()));
        }
    }
}
