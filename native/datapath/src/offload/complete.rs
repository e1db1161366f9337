//! Completes the checksum that a TAP's owner left to the device (`NEEDS_CSUM`).

use crate::wire::Malformed;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::{Ip, PROTOCOL_SCTP};
use crate::wire::sctp;
use crate::wire::udp;
use crate::wire::vnet::VnetHeader;

/// Stores in `frame` the checksum that `header` asks for, if it asks for one; the frame then needs no offload header.
/// For frames that are no superframes: [`Superframe::split`](super::Superframe::split) sees to the others itself.
///
/// The field already holds the sum of the pseudo header. Ethernet padding behind an IP packet is not summed. SCTP's is
/// CRC32c, which the kernel asks for in the same words ([`left_crc`]).
///
/// # Errors
/// [`Malformed`] if the field or the start of the sum is beyond the frame or in its padding. The frame is unchanged.
pub fn complete(frame: &mut [u8], header: &VnetHeader) -> Result<(), Malformed> {
    if !header.needs_csum {
        return Ok(());
    }
    let (start, field, end) = place(frame, header).ok_or(Malformed)?;
    if is_left_crc(frame, header) {
        sctp::fill_checksum(&mut frame[start..end]);
        return Ok(());
    }
    // 0 becomes 0xffff whatever the protocol, as in Linux (skb_checksum_help): UDP needs it, to the others both are 0
    let checksum = udp::transmitted(Sum::of(&frame[start..end]).checksum());
    frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

/// The offload header with which the checksum of `frame` would be left to us if it is one of SCTP, and no fragment.
///
/// Who makes a packet says beside its bytes that its checksum is no sum, and an offload header has no place for that: whoever
/// reads such a one sums. So what is read with it must be [`complete`]d before it goes anywhere.
pub fn left_crc(frame: &[u8]) -> Option<VnetHeader> {
    let (ip, ip_offset) = Ip::carried_by(&Ethernet::new(frame)?)?;
    let transport = ip.transport().filter(|t| !t.is_fragment)?;
    let is_whole = transport.offset + sctp::HEADER_LEN <= ip.packet_len()?;
    (transport.protocol == PROTOCOL_SCTP && is_whole).then_some(VnetHeader {
        needs_csum: true,
        csum_start: u16::try_from(ip_offset + transport.offset).ok()?,
        csum_offset: sctp::CHECKSUM as u16,
        ..VnetHeader::NONE
    })
}

/// Whether `header` asks for the CRC of `frame`.
pub fn is_left_crc(frame: &[u8], header: &VnetHeader) -> bool {
    let asks = header.needs_csum && usize::from(header.csum_offset) == sctp::CHECKSUM;
    asks && left_crc(frame).is_some_and(|left| left.csum_start == header.csum_start)
}

/// Whether [`complete`] would succeed.
pub fn completable(frame: &[u8], header: &VnetHeader) -> bool {
    !header.needs_csum || place(frame, header).is_some()
}

/// Where the sum begins, where its field is, and where the sum ends.
fn place(frame: &[u8], header: &VnetHeader) -> Option<(usize, usize, usize)> {
    let start = usize::from(header.csum_start);
    let field = start + usize::from(header.csum_offset);
    let end = packet_end(frame);
    (field + 2 <= end).then_some((start, field, end))
}

/// Where the IP packet in `frame` ends; the end of the frame if there is none, or its length field is wrong.
fn packet_end(frame: &[u8]) -> usize {
    Ethernet::new(frame)
        .and_then(|ethernet| Ip::carried_by(&ethernet))
        .and_then(|(ip, offset)| Some(offset + ip.packet_len()?))
        .unwrap_or(frame.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample::{Sample, Transport, naive_sum};
    use crate::wire::vnet::Gso;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn partial(sample: &Sample) -> (Vec<u8>, VnetHeader) {
        let start = sample.transport_offset();
        let header = VnetHeader {
            needs_csum: true,
            csum_start: start as u16,
            csum_offset: (sample.checksum_field().unwrap() - start) as u16,
            ..VnetHeader::NONE
        };
        (sample.partial_frame(), header)
    }

    #[test]
    fn h133_tcp_and_udp_of_both_versions_are_completed() {
        let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
        for sample in [Sample::tcp_v4(b"odd"), Sample::udp_v4(b"data")] {
            for sample in [
                sample.clone(),
                sample.clone().on_v6(&[]),
                sample.clone().on_v6(&[(60, options)]),
                sample.clone().tagged(&[(0x88a8, 9), (0x8100, 7)]),
            ] {
                let (mut frame, header) = partial(&sample);
                assert_eq!(complete(&mut frame, &header), Ok(()));
                assert_eq!(frame, sample.frame());
            }
        }
    }

    #[test]
    fn h133_e89_a_udp_checksum_of_zero_becomes_ones() {
        let mut sample = Sample::udp_v4(&[0; 10]);
        let field = sample.checksum_field().unwrap();
        let checksum = sample.frame()[field..field + 2].to_vec();
        sample.payload[8..10].copy_from_slice(&checksum);
        let (mut frame, header) = partial(&sample);
        assert_eq!(complete(&mut frame, &header), Ok(()));
        assert_eq!(frame[field..field + 2], [0xff, 0xff]);
    }

    #[test]
    fn h133_padding_behind_the_packet_is_not_summed() {
        for sample in [Sample::udp_v4(b"x"), Sample::udp_v4(b"x").on_v6(&[])] {
            let (mut frame, header) = partial(&sample);
            frame.extend([0xa5; 17]);
            assert_eq!(complete(&mut frame, &header), Ok(()));
            let packet = sample.frame();
            assert_eq!(&frame[..packet.len()], packet);
            assert_eq!(&frame[packet.len()..], [0xa5; 17]);
        }
    }

    #[test]
    fn a_complete_frame_is_left_alone() {
        let mut frame = Sample::udp_v4(b"data").frame();
        assert_eq!(complete(&mut frame, &VnetHeader::NONE), Ok(()));
        assert_eq!(frame, Sample::udp_v4(b"data").frame());
    }

    #[test]
    fn h151_other_protocols_are_summed_to_the_end_of_the_packet() {
        let mut icmp = Sample::udp_v4(&[8, 0, 0, 0, 1, 2, 3]);
        icmp.transport = Transport::Other(1);
        let mut frame = icmp.frame();
        let header = VnetHeader {
            needs_csum: true,
            csum_start: 34,
            csum_offset: 2,
            ..VnetHeader::NONE
        };
        assert_eq!(complete(&mut frame, &header), Ok(()));
        assert_eq!(naive_sum(&frame[34..]), 0xffff);
    }

    #[test]
    fn sctp_gets_its_crc_and_no_sum() {
        let mut sctp = Sample::udp_v4(&[0x31; 40]);
        sctp.transport = Transport::Other(132);
        for sample in [
            sctp.clone(),
            sctp.clone().on_v6(&[]),
            sctp.clone().tagged(&[(0x8100, 7)]),
        ] {
            let mut frame = sample.frame();
            let start = sample.transport_offset();
            let mut expected = frame.clone();
            sctp::fill_checksum(&mut expected[start..]);
            frame.extend([0xa5; 17]);
            let header = left_crc(&frame).unwrap();
            assert_eq!(usize::from(header.csum_start), start);
            assert!(is_left_crc(&frame, &header));
            assert_eq!(complete(&mut frame, &header), Ok(()));
            assert_eq!(frame[..expected.len()], expected);
            assert_eq!(frame[expected.len()..], [0xa5; 17]);
        }
    }

    #[test]
    fn what_is_no_whole_sctp_has_no_crc() {
        assert_eq!(left_crc(&Sample::udp_v4(&[0; 40]).frame()), None);
        let mut short = Sample::udp_v4(&[0; 11]);
        short.transport = Transport::Other(132);
        assert_eq!(left_crc(&short.frame()), None);
        let mut other_field = Sample::udp_v4(&[0; 40]);
        other_field.transport = Transport::Other(132);
        let frame = other_field.frame();
        let elsewhere = VnetHeader {
            csum_start: 35,
            ..left_crc(&frame).unwrap()
        };
        assert!(!is_left_crc(&frame, &elsewhere));
    }

    #[test]
    fn h135_a_field_beyond_the_frame_or_in_its_padding_is_malformed() {
        let (frame, header) = partial(&Sample::udp_v4(b"data"));
        let mut padded = frame.clone();
        padded.extend([0; 18]);
        for whole in [&frame, &padded] {
            for (csum_start, csum_offset) in [
                (frame.len() - 1, 0),
                (frame.len(), 0),
                (34, frame.len() - 34 - 1),
                (65535, 65535),
            ] {
                let header = VnetHeader {
                    csum_start: csum_start as u16,
                    csum_offset: csum_offset as u16,
                    ..header
                };
                let mut changed = whole.clone();
                assert_eq!(complete(&mut changed, &header), Err(Malformed));
                assert_eq!(&changed, whole);
            }
        }
        let last_word = VnetHeader {
            csum_start: frame.len() as u16 - 2,
            csum_offset: 0,
            ..header
        };
        assert_eq!(complete(&mut frame.clone(), &last_word), Ok(()));
    }

    proptest! {
        #[test]
        fn c53_any_frame_and_header_are_answered(
            mut frame in vec(any::<u8>(), 0..200),
            csum_start in 0u16..220,
            csum_offset in 0u16..220,
        ) {
            let header = VnetHeader { needs_csum: true, gso: Gso::None, csum_start, csum_offset, ..VnetHeader::NONE };
            let before = frame.clone();
            if complete(&mut frame, &header).is_err() {
                prop_assert_eq!(frame, before);
            } else {
                let field = usize::from(csum_start + csum_offset);
                prop_assert_eq!(&frame[..field], &before[..field]);
                prop_assert_eq!(&frame[field + 2..], &before[field + 2..]);
            }
        }
    }
}
