use super::*;
use crate::offload::Superframe;
use crate::wire::sample::{Sample, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a port would be given for `frames`, in order: superframes split again, so that it can be compared with what
/// came. Also how many writes it took.
fn through(frames: &[Vec<u8>]) -> (Vec<Vec<u8>>, usize) {
    let mut out = Vec::new();
    let mut writes = 0;
    let mut open: Option<Merge> = None;
    for (entry, frame) in frames.iter().enumerate() {
        let at = Piece {
            entry: entry as u32,
            offset: 0,
            len: frame.len() as u32,
        };
        let segment = Segment::examine(frame);
        if let (Some(merge), Some(segment)) = (&mut open, &segment)
            && merge.offer(segment, frame, at) == Offer::Joined
        {
            continue;
        }
        if let Some(mut merge) = open.take() {
            writes += 1;
            written(frames, &mut merge, &mut out);
        }
        open = segment.and_then(|segment| Merge::start(&segment, frame, at));
        if open.is_none() {
            writes += 1;
            out.push(frame.clone());
        }
    }
    if let Some(mut merge) = open {
        writes += 1;
        written(frames, &mut merge, &mut out);
    }
    (out, writes)
}

fn bytes(frames: &[Vec<u8>], piece: Piece) -> &[u8] {
    &frames[piece.entry as usize][piece.offset as usize..][..piece.len as usize]
}

fn superframe(frames: &[Vec<u8>], merge: &mut Merge) -> (VnetHeader, Vec<u8>) {
    let payloads: Vec<u8> = merge
        .payloads()
        .to_vec()
        .iter()
        .flat_map(|&p| bytes(frames, p).to_vec())
        .collect();
    let vnet = merge.finish();
    (vnet, [merge.headers(), &payloads].concat())
}

fn written(frames: &[Vec<u8>], merge: &mut Merge, out: &mut Vec<Vec<u8>>) {
    if merge.segments() == 1 {
        return out.push(bytes(frames, merge.frame()).to_vec());
    }
    let segments = merge.segments();
    let (vnet, frame) = superframe(frames, merge);
    out.extend(split(&frame, &vnet));
    assert_eq!(
        Superframe::parse(&frame, &vnet).unwrap().segments() as usize,
        segments
    );
}

fn split(frame: &[u8], vnet: &VnetHeader) -> Vec<Vec<u8>> {
    let plan = Superframe::parse(frame, vnet).unwrap();
    let mut out = vec![0; plan.split_len(0)];
    let run = plan.split(frame, &[], &mut out).unwrap();
    out[..run.len]
        .chunks(run.stride)
        .map(<[u8]>::to_vec)
        .collect()
}

fn vnet_of(sample: &Sample, gso_size: u16) -> VnetHeader {
    VnetHeader {
        needs_csum: true,
        gso: match (sample.is_tcp(), sample.is_v6()) {
            (true, false) => Gso::TcpV4,
            (true, true) => Gso::TcpV6,
            (false, _) => Gso::Udp,
        },
        hdr_len: sample.header_len() as u16,
        gso_size,
        csum_start: sample.transport_offset() as u16,
        csum_offset: (sample.checksum_field().unwrap() - sample.transport_offset()) as u16,
        ..VnetHeader::NONE
    }
}

fn samples(len: usize) -> [Sample; 4] {
    let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
    [
        Sample::tcp_v4(&payload),
        Sample::udp_v4(&payload),
        Sample::tcp_v4(&payload).on_v6(&[]),
        Sample::udp_v4(&payload).on_v6(&[]),
    ]
    .map(|mut sample| {
        if let Transport::Tcp { flags, .. } = &mut sample.transport {
            *flags = tcp::ACK | tcp::PSH;
        }
        sample
    })
}

#[test]
fn h147_merge_of_split_is_the_original() {
    for sample in samples(10_000) {
        let vnet = vnet_of(&sample, 1400);
        let whole = sample.partial_frame();
        let frames = split(&whole, &vnet);
        assert_eq!(frames.len(), 8);
        let mut merge: Option<Merge> = None;
        for (entry, frame) in frames.iter().enumerate() {
            let at = Piece {
                entry: entry as u32,
                offset: 0,
                len: frame.len() as u32,
            };
            let segment = Segment::examine(frame).unwrap();
            match &mut merge {
                None => merge = Merge::start(&segment, frame, at),
                Some(merge) => assert_eq!(merge.offer(&segment, frame, at), Offer::Joined),
            }
        }
        let (merged_vnet, merged) = superframe(&frames, merge.as_mut().unwrap());
        assert_eq!(merged, whole);
        assert_eq!(merged_vnet, vnet);
    }
}

/// Two frames of 100 bytes of payload, the second continuing the first.
fn pair(sample: &Sample) -> [Vec<u8>; 2] {
    let frames = split(&sample.partial_frame(), &vnet_of(sample, 100));
    frames.try_into().unwrap()
}

fn offer(first: &[u8], second: &[u8]) -> Offer {
    let at = |frame: &[u8]| Piece {
        entry: 0,
        offset: 0,
        len: frame.len() as u32,
    };
    let segment = Segment::examine(first).unwrap();
    let mut merge = Merge::start(&segment, first, at(first)).unwrap();
    merge.offer(&Segment::examine(second).unwrap(), second, at(second))
}

/// Changes a byte of the IP or TCP header and repairs what the change made wrong.
fn changed(sample: &Sample, frame: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at] = value;
    let network = sample.network_offset();
    let transport = sample.transport_offset();
    if !sample.is_v6() {
        ipv4::fill_checksum(&mut frame[network..transport]);
    }
    if let Some(field) = sample.checksum_field() {
        frame[field..field + 2].fill(0);
        let addresses = if sample.is_v6() { 8..40 } else { 12..20 };
        let len = frame.len() - transport;
        let sum = Sum::pseudo_header(&frame[network..][addresses], sample.protocol(), len)
            + Sum::of(&frame[transport..]);
        frame[field..field + 2].copy_from_slice(&udp::transmitted(sum.checksum()).to_be_bytes());
    }
    frame
}

#[test]
fn h147_what_differs_is_not_merged() {
    for sample in samples(200) {
        let [first, second] = pair(&sample);
        assert_eq!(offer(&first, &second), Offer::Joined);
        let (network, transport) = (sample.network_offset(), sample.transport_offset());
        let mut differences = if sample.is_v6() {
            vec![
                ("traffic class", network + 1, Offer::Breaks),
                ("hop limit", network + 7, Offer::Breaks),
                ("address", network + 20, Offer::Foreign),
            ]
        } else {
            vec![
                ("TOS", network + 1, Offer::Breaks),
                ("TTL", network + 8, Offer::Breaks),
                ("address", network + 13, Offer::Foreign),
            ]
        };
        differences.push(("port", transport + 1, Offer::Foreign));
        differences.push(("MAC", 3, Offer::Foreign));
        if sample.is_tcp() {
            differences.push(("sequence", transport + 7, Offer::Breaks));
            differences.push(("acknowledgment", transport + 11, Offer::Breaks));
            differences.push(("window", transport + 15, Offer::Breaks));
            if sample.header_len() > transport + 20 {
                differences.push(("option", transport + 21, Offer::Breaks));
            }
        }
        for (what, at, outcome) in differences {
            let other = changed(&sample, &second, at, second[at] ^ 0x40);
            assert_eq!(offer(&first, &other), outcome, "{what}");
        }
    }
}

#[test]
fn h147_flags_other_than_ack_and_push_stay_alone() {
    let sample = &samples(200)[0];
    let [first, second] = pair(sample);
    let flags = sample.transport_offset() + tcp::FLAGS;
    for bit in [0x01, 0x02, 0x04, 0x20, 0x40, 0x80] {
        let marked = changed(sample, &second, flags, second[flags] | bit);
        assert_eq!(
            offer(&first, &marked),
            Offer::Breaks,
            "{bit:#x} joins nothing"
        );
        let segment = Segment::examine(&marked).unwrap();
        let at = Piece {
            entry: 0,
            offset: 0,
            len: 0,
        };
        assert!(
            Merge::start(&segment, &marked, at).is_none(),
            "{bit:#x} begins nothing"
        );
    }
}

#[test]
fn h147_a_push_and_a_short_segment_close() {
    let sample = &samples(250)[0];
    let frames = split(&sample.partial_frame(), &vnet_of(sample, 100));
    let flags = sample.transport_offset() + tcp::FLAGS;
    let pushed = changed(sample, &frames[0], flags, tcp::ACK | tcp::PSH);
    assert_eq!(offer(&pushed, &frames[1]), Offer::Breaks);
    let mut unpushed = frames.clone();
    unpushed[2] = changed(sample, &frames[2], flags, tcp::ACK);
    let mut next = frames[2].clone();
    let seq = sample.transport_offset() + tcp::SEQ;
    let after = be32(&next, seq).wrapping_add(50);
    next[seq..seq + 4].copy_from_slice(&after.to_be_bytes());
    unpushed.push(changed(sample, &next, 0, next[0]));
    assert_eq!(
        through(&unpushed).1,
        2,
        "after the short one another write begins"
    );
}

#[test]
fn h147_what_cannot_be_verified_is_left_alone() {
    for sample in samples(200) {
        let [first, mut second] = pair(&sample);
        *second.last_mut().unwrap() ^= 1;
        assert_eq!(offer(&first, &second), Offer::Breaks, "payload");
        let mut unsummed = second.clone();
        let field = sample.checksum_field().unwrap();
        unsummed[field..field + 2].fill(0);
        assert_eq!(offer(&first, &unsummed), Offer::Breaks, "no checksum");
    }
}

#[test]
fn h148_identifications_count_up_or_stay_where_fragmentation_is_forbidden() {
    let sample = &samples(200)[0];
    let [first, second] = pair(sample);
    let network = sample.network_offset();
    let id = |frame: &[u8], id: u8, dont_fragment: bool| {
        let fragment = if dont_fragment { 0x40 } else { 0 };
        changed(
            sample,
            &changed(sample, frame, network + 6, fragment),
            network + 5,
            id,
        )
    };
    for (dont_fragment, step, outcome) in [
        (true, 1, Offer::Joined),
        (true, 0, Offer::Joined),
        (true, 2, Offer::Breaks),
        (false, 1, Offer::Joined),
        (false, 0, Offer::Breaks),
        (false, 7, Offer::Breaks),
    ] {
        let pair = [
            id(&first, 5, dont_fragment),
            id(&second, 5 + step, dont_fragment),
        ];
        assert_eq!(
            offer(&pair[0], &pair[1]),
            outcome,
            "DF {dont_fragment}, step {step}"
        );
    }
}

#[test]
fn options_fragments_and_other_protocols_have_no_part_in_it() {
    let frame = samples(100)[0].frame();
    let mut fragment = frame.clone();
    fragment[20] |= 0x20;
    assert_eq!(Segment::examine(&fragment), None);
    let mut icmp = frame.clone();
    icmp[23] = 1;
    assert_eq!(Segment::examine(&icmp), None);
    assert_eq!(Segment::examine(&frame[..13]), None);
}

/// Frames as a receiver sees them: some flows, mostly in order, of mostly equal size, some of them odd.
fn traffic() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = (0usize..3, 0usize..4, 1usize..300, 40u16..200, 0u8..12);
    vec(piece, 1..12).prop_map(|pieces| {
        let mut frames = Vec::new();
        for (flow, kind, len, gso_size, odd) in pieces {
            let mut sample = samples(len)[kind].clone();
            if let Transport::Tcp { seq, .. } = &mut sample.transport {
                *seq = 1000 * flow as u32;
            }
            let mut split = split(&sample.partial_frame(), &vnet_of(&sample, gso_size));
            match odd {
                0 => split.reverse(),
                1 => *split[0].last_mut().unwrap() ^= 1,
                2 => split[0].extend([0; 5]),
                _ => {}
            }
            frames.extend(split);
        }
        frames
    })
}

proptest! {
    #[test]
    fn h147_splitting_again_gives_what_came(frames in traffic()) {
        let (out, writes) = through(&frames);
        prop_assert!(writes <= frames.len());
        let trimmed: Vec<_> = out.iter().map(|f| canonical(f)).collect();
        let expected: Vec<_> = frames.iter().map(|f| canonical(f)).collect();
        prop_assert_eq!(trimmed, expected);
    }

    #[test]
    fn c53_any_bytes_are_examined_within_bounds(bytes in vec(any::<u8>(), 0..200)) {
        let at = Piece { entry: 0, offset: 0, len: bytes.len() as u32 };
        if let Some(segment) = Segment::examine(&bytes)
            && let Some(mut merge) = Merge::start(&segment, &bytes, at)
        {
            merge.offer(&segment, &bytes, at);
            merge.finish();
        }
    }
}

/// Without what is nobody's: padding behind the IP packet, and the identification where fragmentation is forbidden.
fn canonical(frame: &[u8]) -> Vec<u8> {
    let (ip, offset) = Ip::carried_by(&Ethernet::new(frame).unwrap()).unwrap();
    let mut frame = frame[..offset + ip.packet_len().unwrap()].to_vec();
    if matches!(ip, Ip::V4(_)) && frame[offset + ipv4::FRAGMENT] & DONT_FRAGMENT != 0 {
        frame[offset + ipv4::ID..][..2].fill(0);
        ipv4::fill_checksum(&mut frame[offset..offset + ipv4::HEADER_LEN]);
    }
    frame
}
