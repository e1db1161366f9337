use super::*;
use crate::wire::sample::{DONT_FRAGMENT, Sample, Transport};
use crate::wire::sample::{MORE_FRAGMENTS, Network as SampleNetwork};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::collection::vec;
use proptest::prelude::*;

const VXLAN: &[u8] = &[8, 0, 0, 0, 0, 1, 0, 0];
const CWR: u8 = tcp::CWR;
const ACK: u8 = 0x10;
const PSH: u8 = tcp::PSH;
const FIN: u8 = tcp::FIN;
const TIMESTAMP: &[u8] = &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

fn gso_header(sample: &Sample, size: u16) -> VnetHeader {
    VnetHeader {
        needs_csum: true,
        gso: match (sample.is_tcp(), sample.is_v6()) {
            (true, false) => Gso::TcpV4,
            (true, true) => Gso::TcpV6,
            (false, _) => Gso::Udp,
        },
        hdr_len: sample.header_len() as u16,
        gso_size: size,
        csum_start: sample.transport_offset() as u16,
        csum_offset: (sample.checksum_field().unwrap() - sample.transport_offset()) as u16,
        ..VnetHeader::NONE
    }
}

/// The datagrams of a split, and that the run's numbers agree with them.
fn split_frame(frame: &[u8], header: &VnetHeader, prefix: &[u8]) -> Vec<Vec<u8>> {
    let superframe = Superframe::parse(frame, header).unwrap();
    let mut out = vec![0xaa; superframe.split_len(prefix.len()) + 5];
    let run = superframe.split(frame, prefix, &mut out).unwrap();
    assert_eq!(run.len, superframe.split_len(prefix.len()));
    assert_eq!(run.count, superframe.segments() as usize);
    assert_eq!(run.stride, prefix.len() + superframe.segment_len());
    assert_eq!(&out[run.len..], [0xaa; 5], "written behind the run");
    let datagrams: Vec<_> = out[..run.len]
        .chunks(run.stride)
        .map(<[u8]>::to_vec)
        .collect();
    assert_eq!(datagrams.len(), run.count);
    datagrams
}

fn split(sample: &Sample, size: u16) -> Vec<Vec<u8>> {
    split_frame(&sample.partial_frame(), &gso_header(sample, size), &[])
}

/// The obvious segmenter: one sample per piece of payload, each written out from its fields.
fn segments(superframe: &Sample, size: usize) -> Vec<Sample> {
    let mut pieces: Vec<_> = superframe.payload.chunks(size).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let last = pieces.len() - 1;
    let mut segments = vec![];
    for (index, piece) in pieces.into_iter().enumerate() {
        let mut segment = superframe.clone();
        segment.payload = piece.to_vec();
        if let SampleNetwork::V4 { id, .. } = &mut segment.network {
            *id = id.wrapping_add(index as u16);
        }
        if let Transport::Tcp { seq, flags, .. } = &mut segment.transport {
            *seq = seq.wrapping_add((index * size) as u32);
            if index != 0 {
                *flags &= !CWR;
            }
            if index != last {
                *flags &= !(FIN | PSH);
            }
        }
        segments.push(segment);
    }
    segments
}

fn assert_as_segmented(sample: &Sample, size: u16) {
    let expected: Vec<_> = segments(sample, size.into())
        .iter()
        .map(Sample::frame)
        .collect();
    assert_eq!(split(sample, size), expected);
}

/// What etherparse reads in a datagram: payload, after it found every length and checksum right.
fn judged(frame: &[u8]) -> Vec<u8> {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    match (
        packet.net.as_ref().unwrap(),
        packet.transport.as_ref().unwrap(),
    ) {
        (NetSlice::Ipv4(ip), transport) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            judged_transport(transport, |t| match t {
                TransportSlice::Tcp(tcp) => {
                    tcp.calc_checksum_ipv4(header.source, header.destination)
                }
                TransportSlice::Udp(udp) => udp.to_header().calc_checksum_ipv4_raw(
                    header.source,
                    header.destination,
                    udp.payload(),
                ),
                _ => panic!("neither TCP nor UDP"),
            })
        }
        (NetSlice::Ipv6(ip), transport) => {
            let header = ip.header().to_header();
            judged_transport(transport, |t| match t {
                TransportSlice::Tcp(tcp) => {
                    tcp.calc_checksum_ipv6(header.source, header.destination)
                }
                TransportSlice::Udp(udp) => udp.to_header().calc_checksum_ipv6_raw(
                    header.source,
                    header.destination,
                    udp.payload(),
                ),
                _ => panic!("neither TCP nor UDP"),
            })
        }
        _ => panic!("not IP"),
    }
}

fn judged_transport<E: std::fmt::Debug>(
    transport: &TransportSlice<'_>,
    checksum: impl Fn(&TransportSlice<'_>) -> Result<u16, E>,
) -> Vec<u8> {
    let expected = checksum(transport).unwrap();
    match transport {
        TransportSlice::Tcp(tcp) => {
            assert_eq!(tcp.checksum(), expected);
            tcp.payload().to_vec()
        }
        TransportSlice::Udp(udp) => {
            assert_eq!(usize::from(udp.length()), 8 + udp.payload().len());
            assert_eq!(udp.checksum(), expected);
            udp.payload().to_vec()
        }
        _ => panic!("neither TCP nor UDP"),
    }
}

fn tcp_sample(flags: u8, payload_len: usize) -> Sample {
    let payload: Vec<u8> = (0..payload_len).map(|n| (n * 7) as u8).collect();
    Sample {
        transport: Transport::Tcp {
            seq: 0xffff_ff00,
            flags,
            options: TIMESTAMP.to_vec(),
        },
        ..Sample::tcp_v4(&payload)
    }
}

/// Of every TCP/IPv4 segment without tags: payload length, ID, sequence number, flags.
fn tcp_v4_facts(frames: &[Vec<u8>]) -> Vec<(usize, u16, u32, u8)> {
    let facts = |frame: &Vec<u8>| {
        let id = u16::from_be_bytes([frame[18], frame[19]]);
        let seq = u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]]);
        (judged(frame).len(), id, seq, frame[47])
    };
    frames.iter().map(facts).collect()
}

#[test]
fn h138_tcp_v4_as_the_kernel_does_it() {
    let frames = split(&tcp_sample(CWR | ACK | PSH | FIN, 3500), 1448);
    let expected = [
        (1448, 0x1234, 0xffff_ff00, CWR | ACK),
        (1448, 0x1235, 0x0000_04a8, ACK),
        (604, 0x1236, 0x0000_0a50, ACK | PSH | FIN),
    ];
    assert_eq!(tcp_v4_facts(&frames), expected);
    for frame in &frames {
        assert_eq!(frame[15], 0x08, "TOS is copied");
        assert_eq!(frame[20] & 0x40, 0x40, "DF is copied");
    }
    assert_as_segmented(&tcp_sample(CWR | ACK | PSH | FIN, 3500), 1448);
}

#[test]
fn h139_the_id_increments_without_df_too() {
    let mut sample = tcp_sample(ACK, 3000);
    sample.network = SampleNetwork::V4 {
        id: 0xffff,
        fragment: 0,
        options: vec![],
    };
    let ids: Vec<_> = tcp_v4_facts(&split(&sample, 1448))
        .iter()
        .map(|f| f.1)
        .collect();
    assert_eq!(ids, [0xffff, 0, 1]);
}

#[test]
fn h140_the_ecn_bit_changes_nothing() {
    let sample = tcp_sample(CWR | ACK, 3500);
    let frame = sample.partial_frame();
    let header = gso_header(&sample, 1448);
    let with_ecn = VnetHeader {
        ecn: true,
        ..header
    };
    assert_eq!(
        split_frame(&frame, &with_ecn, &[]),
        split_frame(&frame, &header, &[])
    );
}

#[test]
fn h141_tcp_v6_with_and_without_extension_headers() {
    let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    let long: &[u8] = &[0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for extensions in [&[][..], &[(0, options)], &[(0, options), (60, long)]] {
        let sample = tcp_sample(ACK | PSH, 3500).on_v6(extensions);
        assert_as_segmented(&sample, 1428);
        let stream: Vec<u8> = split(&sample, 1428)
            .iter()
            .flat_map(|f| judged(f))
            .collect();
        assert_eq!(stream, sample.payload);
    }
}

#[test]
fn h141_behind_a_routing_header_the_final_destination_is_summed() {
    let routing: &[u8] = &[0, 0, 4, 1, 0, 0, 0, 0];
    let destination = 14 + 24..14 + 40;
    for sample in [tcp_sample(ACK, 3500), Sample::udp_v4(&[1; 3500])] {
        let sample = sample.on_v6(&[(43, routing)]);
        let mut frame = sample.partial_frame();
        let last_hop = frame[destination.clone()].to_vec();
        frame[destination.clone()].fill(0x33);
        let mut frames = split_frame(&frame, &gso_header(&sample, 1428), &[]);
        for frame in &mut frames {
            assert_eq!(frame[destination.clone()], [0x33; 16]);
            frame[destination.clone()].copy_from_slice(&last_hop);
        }
        let expected: Vec<_> = segments(&sample, 1428).iter().map(Sample::frame).collect();
        assert_eq!(frames, expected);
    }
}

#[test]
fn h142_without_needs_csum_the_checksum_is_computed_all_the_same() {
    let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    let v4 = tcp_sample(ACK, 3500);
    for sample in [
        v4.clone().on_v6(&[]),
        v4.clone().on_v6(&[(60, options)]),
        v4,
    ] {
        let header = gso_header(&sample, 1428);
        let unset = VnetHeader {
            needs_csum: false,
            csum_start: 0,
            csum_offset: 0,
            ..header
        };
        let mut frame = sample.partial_frame();
        let expected = split_frame(&frame, &header, &[]);
        let field = sample.checksum_field().unwrap();
        frame[field..field + 2].copy_from_slice(&[0xde, 0xad]);
        assert_eq!(split_frame(&frame, &unset, &[]), expected);
    }
}

#[test]
fn h143_a_payload_of_one_segment_is_one_segment() {
    for size in [500, 501, 65535] {
        let sample = tcp_sample(CWR | ACK | PSH | FIN, 500);
        assert_eq!(split(&sample, size), [sample.frame()]);
        let superframe = Superframe::parse(&sample.frame(), &gso_header(&sample, size)).unwrap();
        assert_eq!(superframe.segments(), 1);
        assert_eq!(superframe.segment_len(), sample.header_len() + 500);
    }
    let empty = tcp_sample(ACK | FIN, 0);
    assert_eq!(split(&empty, 1448), [empty.frame()]);
}

#[test]
fn h144_udp_becomes_datagrams_of_their_own() {
    let sample = Sample::udp_v4(&[0x5a; 3000]);
    let frames = split(&sample, 1400);
    let lens: Vec<_> = frames.iter().map(|f| judged(f).len()).collect();
    assert_eq!(lens, [1400, 1400, 200]);
    assert_as_segmented(&sample, 1400);
    assert_as_segmented(&sample.on_v6(&[]), 1380);
}

#[test]
fn h144_e89_a_udp_checksum_of_zero_becomes_ones() {
    let mut sample = Sample::udp_v4(&[0; 20]);
    // the first segment's last word makes its sum 0xffff
    let without = sample.clone();
    let first = &segments(&without, 10)[0];
    let field = first.checksum_field().unwrap();
    sample.payload[8..10].copy_from_slice(&first.frame()[field..field + 2]);
    let frames = split(&sample, 10);
    assert_eq!(frames[0][field..field + 2], [0xff, 0xff]);
    assert_as_segmented(&sample, 10);
}

#[test]
fn h135_a_checksum_field_beyond_the_frame_is_malformed() {
    let sample = tcp_sample(ACK, 3500);
    let frame = sample.partial_frame();
    let parse = |csum_start: usize| {
        let header = VnetHeader {
            csum_start: csum_start as u16,
            ..gso_header(&sample, 1448)
        };
        Superframe::parse(&frame, &header)
    };
    assert!(parse(frame.len() - 18).is_ok());
    assert_eq!(parse(frame.len() - 17), Err(Malformed));
    assert_eq!(parse(65535), Err(Malformed));
}

#[test]
fn what_is_inside_a_tunnel_of_the_sender_is_told_by_where_the_sum_begins() {
    let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    for inside in [tcp_sample(ACK, 3500), Sample::udp_v4(&[0x5a; 3000])] {
        for own in [
            inside.clone(),
            inside.clone().on_v6(&[(60, options)]),
            inside.clone().tagged(&[(0x8100, 7)]),
        ] {
            let header = gso_header(&own, 1000);
            assert!(!Superframe::is_tunneled(&own.partial_frame(), &header));
        }
        let header = gso_header(&inside, 1000);
        let mut gre = Sample::udp_v4(&[&[0, 0, 8, 0], &inside.partial_frame()[14..]].concat());
        gre.transport = Transport::Other(47);
        let vxlan =
            Sample::udp_v4(&[&[8, 0, 0, 0, 0, 1, 0, 0], &inside.partial_frame()[..]].concat());
        for (outer, around) in [(gre, 24), (vxlan, 50)] {
            let tunneled = VnetHeader {
                csum_start: header.csum_start + around,
                ..header
            };
            assert!(Superframe::is_tunneled(&outer.frame(), &tunneled));
        }
    }
}

#[test]
fn h136_a_segment_size_of_zero_is_malformed() {
    let sample = tcp_sample(ACK, 3500);
    let parsed = Superframe::parse(&sample.partial_frame(), &gso_header(&sample, 0));
    assert_eq!(parsed, Err(Malformed));
}

#[test]
fn h137_hdr_len_is_ignored() {
    let sample = tcp_sample(ACK, 3500);
    let frame = sample.partial_frame();
    let header = gso_header(&sample, 1448);
    for hdr_len in [0, 14, 1000, 65535] {
        let other = VnetHeader { hdr_len, ..header };
        assert_eq!(
            Superframe::parse(&frame, &other),
            Superframe::parse(&frame, &header)
        );
    }
}

#[test]
fn a_protocol_that_is_not_the_kind_said_is_malformed() {
    let tcp = tcp_sample(ACK, 3000);
    let udp = Sample::udp_v4(&[1; 3000]);
    let samples = [tcp.clone(), tcp.on_v6(&[]), udp.clone(), udp.on_v6(&[])];
    let kinds = [Gso::TcpV4, Gso::TcpV6, Gso::Udp, Gso::Udp];
    for (sample, right) in samples.iter().zip(kinds) {
        for gso in [Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::Udp] {
            let header = VnetHeader {
                gso,
                ..gso_header(sample, 1000)
            };
            let parsed = Superframe::parse(&sample.partial_frame(), &header);
            assert_eq!(parsed.is_ok(), gso == right, "{gso:?} {right:?}");
        }
    }
}

#[test]
fn what_is_no_whole_packet_is_malformed() {
    let mut fragment = tcp_sample(ACK, 3000);
    fragment.network = SampleNetwork::V4 {
        id: 1,
        fragment: MORE_FRAGMENTS,
        options: vec![],
    };
    let header = gso_header(&fragment, 1000);
    assert_eq!(
        Superframe::parse(&fragment.partial_frame(), &header),
        Err(Malformed)
    );

    let piece: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 1];
    let fragment = tcp_sample(ACK, 3000).on_v6(&[(44, piece)]);
    let header = gso_header(&fragment, 1000);
    assert_eq!(
        Superframe::parse(&fragment.partial_frame(), &header),
        Err(Malformed)
    );

    let sample = tcp_sample(ACK, 3000);
    let frame = sample.partial_frame();
    let header = VnetHeader {
        needs_csum: false,
        ..gso_header(&sample, 1000)
    };
    assert!(Superframe::parse(&frame, &header).is_ok());
    for len in 0..frame.len() {
        assert_eq!(Superframe::parse(&frame[..len], &header), Err(Malformed));
    }
}

#[test]
fn tags_and_prefix_are_repeated_and_padding_is_not() {
    let sample = tcp_sample(ACK | PSH, 3500).tagged(&[(0x88a8, 9), (0x8100, 7)]);
    let mut frame = sample.partial_frame();
    frame.extend([0x77; 9]);
    let datagrams = split_frame(&frame, &gso_header(&sample, 1448), VXLAN);
    let expected: Vec<_> = segments(&sample, 1448)
        .iter()
        .map(|segment| [VXLAN, &segment.frame()].concat())
        .collect();
    assert_eq!(datagrams, expected);
}

#[test]
fn h152_the_largest_superframe_overflows_nothing() {
    for (sample, size) in [
        (tcp_sample(ACK | PSH, 65535 - 52), 1448),
        (tcp_sample(ACK | PSH, 65535 - 52), 1),
        (Sample::udp_v4(&vec![3; 65535 - 28]), 1472),
        (tcp_sample(ACK | PSH, 65535 - 32).on_v6(&[]), 1428),
    ] {
        let frames = split(&sample, size);
        let stream: Vec<u8> = frames.iter().flat_map(|f| judged(f)).collect();
        assert_eq!(stream, sample.payload);
    }
}

#[test]
fn h152_a_superframe_longer_than_its_length_field_can_say() {
    let sample = tcp_sample(ACK | PSH, 200_000);
    let mut frame = sample.partial_frame();
    frame[16..18].fill(0);
    let expected: Vec<_> = segments(&sample, 1448).iter().map(Sample::frame).collect();
    assert!(split_frame(&frame, &gso_header(&sample, 1448), &[]) == expected);

    let largest = 65535 - 52;
    assert!(Superframe::parse(&frame, &gso_header(&sample, largest)).is_ok());
    let too_large = gso_header(&sample, largest + 1);
    assert_eq!(Superframe::parse(&frame, &too_large), Err(Malformed));
}

#[test]
fn without_room_nothing_is_written() {
    let sample = tcp_sample(ACK, 3500);
    let frame = sample.partial_frame();
    let superframe = Superframe::parse(&frame, &gso_header(&sample, 1448)).unwrap();
    let mut out = vec![0xaa; superframe.split_len(VXLAN.len()) - 1];
    assert_eq!(superframe.split(&frame, VXLAN, &mut out), Err(NoRoom));
    assert!(out.iter().all(|&byte| byte == 0xaa));
}

/// TCP and UDP over both versions, with tags, options and extension headers.
fn any_sample() -> impl Strategy<Value = Sample> {
    let options = || vec(any::<[u8; 4]>(), 0..=10).prop_map(|words| words.concat());
    let transport = prop_oneof![
        (any::<u32>(), any::<u8>(), options()).prop_map(|(seq, flags, options)| {
            Transport::Tcp {
                seq,
                flags,
                options,
            }
        }),
        Just(Transport::Udp),
    ];
    let extension = (prop_oneof![Just(0u8), Just(43), Just(60)], any::<[u8; 6]>())
        .prop_map(|(number, bytes)| (number, [&[0, 0], &bytes[..]].concat()));
    let network = prop_oneof![
        (any::<u16>(), any::<bool>(), options()).prop_map(|(id, df, options)| {
            SampleNetwork::V4 {
                id,
                fragment: if df { DONT_FRAGMENT } else { 0 },
                options,
            }
        }),
        (0u32..0x10_0000, vec(extension, 0..=4))
            .prop_map(|(label, extensions)| SampleNetwork::V6 { label, extensions }),
    ];
    let tag = (prop_oneof![Just(0x8100u16), Just(0x88a8)], any::<u16>());
    (
        vec(tag, 0..=2),
        network,
        transport,
        vec(any::<u8>(), 0..5000),
    )
        .prop_map(|(tags, network, transport, payload)| Sample {
            tags,
            network,
            transport,
            payload,
        })
}

proptest! {
    #[test]
    fn h138_h144_any_superframe_splits_as_the_obvious_segmenter_does(
        sample in any_sample(),
        size in 1u16..3000,
        prefix in vec(any::<u8>(), 0..12),
    ) {
        let frame = sample.partial_frame();
        let datagrams = split_frame(&frame, &gso_header(&sample, size), &prefix);
        let expected: Vec<_> = segments(&sample, size.into())
            .iter()
            .map(|segment| [&prefix, &segment.frame()[..]].concat())
            .collect();
        prop_assert_eq!(datagrams, expected);
    }

    #[test]
    fn g115_the_first_segment_alone_is_the_first_of_all(sample in any_sample(), size in 1u16..3000) {
        let frame = sample.partial_frame();
        let superframe = Superframe::parse(&frame, &gso_header(&sample, size)).unwrap();
        let first = split(&sample, size).swap_remove(0);
        let mut out = vec![0xaa; superframe.segment_len()];
        prop_assert_eq!(superframe.first(&frame, &mut out), Ok(first.len()));
        prop_assert_eq!(&out, &first);
        prop_assert_eq!(superframe.first(&frame, &mut out[1..]), Err(NoRoom));
    }

    #[test]
    fn h138_h144_etherparse_finds_every_segment_right(
        sample in any_sample(),
        size in 1u16..3000,
    ) {
        // it insists on an order of extension headers (RFC 8200 §4.1) that senders need not keep
        let mut sample = sample;
        if let SampleNetwork::V6 { extensions, .. } = &mut sample.network {
            extensions.clear();
        }
        let stream: Vec<u8> = split(&sample, size).iter().flat_map(|f| judged(f)).collect();
        prop_assert_eq!(stream, sample.payload);
    }

    #[test]
    fn c53_any_frame_is_refused_or_split_without_loss(
        sample in any_sample(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        gso_type in prop_oneof![Just(Gso::TcpV4), Just(Gso::TcpV6), Just(Gso::Udp)],
        fields: [u16; 4],
    ) {
        let mut frame = sample.partial_frame();
        let headers = sample.header_len();
        for (at, byte) in damage {
            frame[at.index(headers)] = byte;
        }
        frame.truncate(headers + cut.index(frame.len() - headers + 1));
        let [hdr_len, gso_size, csum_start, csum_offset] = fields;
        let header = VnetHeader {
            gso: gso_type,
            needs_csum: csum_start % 2 == 0,
            hdr_len,
            gso_size,
            csum_start: csum_start % 5000,
            csum_offset: csum_offset % 20,
            ..VnetHeader::NONE
        };
        if let Ok(superframe) = Superframe::parse(&frame, &header) {
            let mut out = vec![0; superframe.split_len(VXLAN.len())];
            let run = superframe.split(&frame, VXLAN, &mut out).unwrap();
            prop_assert_eq!(run.len, out.len());
            let per_datagram = VXLAN.len() + superframe.header_len();
            let payload: Vec<u8> =
                out.chunks(run.stride).flat_map(|d| d[per_datagram..].to_vec()).collect();
            let end = superframe.header_len() + payload.len();
            prop_assert_eq!(payload, &frame[superframe.header_len()..end]);
        }
    }

    #[test]
    fn c53_any_bytes_are_refused_or_parsed(frame in vec(any::<u8>(), 0..200), size: u16) {
        let header = VnetHeader { gso: Gso::TcpV4, gso_size: size, ..VnetHeader::NONE };
        let _ = Superframe::parse(&frame, &header);
    }
}
