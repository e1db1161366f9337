use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// A block as a reader takes it apart that knows only §3.1 and §3.5: what stands before the options is the caller's
/// to say.
struct Read {
    kind: u32,
    body: Vec<u8>,
    options: Vec<(u16, Vec<u8>)>,
}

/// Reads one block at the start of `bytes`; `fixed` tells the length of a body without its options.
fn read(order: ByteOrder, bytes: &[u8], fixed: impl Fn(&[u8]) -> usize) -> (Read, &[u8]) {
    let kind = u32_at(order, bytes, 0);
    let total = u32_at(order, bytes, 4) as usize;
    assert_eq!(total % 4, 0);
    assert_eq!(u32_at(order, bytes, total - 4) as usize, total);
    let inside = &bytes[8..total - 4];
    let (body, mut rest) = inside.split_at(fixed(inside));
    let mut options = Vec::new();
    while !rest.is_empty() {
        let (code, len) = (u16_at(order, rest, 0), u16_at(order, rest, 2) as usize);
        if code == 0 {
            assert_eq!(len, 0);
            assert_eq!(rest.len(), 4, "nothing follows opt_endofopt");
            assert!(!options.is_empty());
            break;
        }
        options.push((code, rest[4..4 + len].to_vec()));
        let padding = &rest[4 + len..4 + len.next_multiple_of(4)];
        assert!(padding.iter().all(|byte| *byte == 0));
        rest = &rest[4 + len.next_multiple_of(4)..];
        assert!(!rest.is_empty(), "options end with opt_endofopt");
    }
    let block = Read {
        kind,
        body: body.to_vec(),
        options,
    };
    (block, &bytes[total..])
}

fn u16_at(order: ByteOrder, bytes: &[u8], at: usize) -> u16 {
    let bytes = [bytes[at], bytes[at + 1]];
    match order {
        ByteOrder::Little => u16::from_le_bytes(bytes),
        ByteOrder::Big => u16::from_be_bytes(bytes),
    }
}

fn u32_at(order: ByteOrder, bytes: &[u8], at: usize) -> u32 {
    let (a, b) = (u16_at(order, bytes, at), u16_at(order, bytes, at + 2));
    match order {
        ByteOrder::Little => u32::from(a) | u32::from(b) << 16,
        ByteOrder::Big => u32::from(a) << 16 | u32::from(b),
    }
}

fn packet_len(order: ByteOrder) -> impl Fn(&[u8]) -> usize {
    move |body| 20 + (u32_at(order, body, 12) as usize).next_multiple_of(4)
}

fn packet<'a>(bytes: &'a [u8], comments: &'a [&'a str]) -> EnhancedPacket<'a> {
    EnhancedPacket {
        interface: 1,
        time: 0x0001_0203_0405_0607,
        wire_len: 1500,
        bytes,
        direction: None,
        packet_id: None,
        drop_count: None,
        comments,
        custom: &[],
    }
}

fn orders() -> impl Strategy<Value = ByteOrder> {
    prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)]
}

#[test]
fn a_section_header_written_out() {
    let mut out = Vec::new();
    let header = SectionHeader {
        application: Some("vs"),
        ..SectionHeader::default()
    };
    header.encode(ByteOrder::Big, &mut out);
    #[rustfmt::skip]
    assert_eq!(out, [
        0x0a, 0x0d, 0x0d, 0x0a,  0, 0, 0, 40,
        0x1a, 0x2b, 0x3c, 0x4d,  0, 1, 0, 0,
        0xff, 0xff, 0xff, 0xff,  0xff, 0xff, 0xff, 0xff,
        0, 4, 0, 2,  b'v', b's', 0, 0,
        0, 0, 0, 0,  0, 0, 0, 40,
    ]);
}

#[test]
fn a_packet_written_out() {
    let mut out = Vec::new();
    packet(&[0xaa; 5], &[]).encode(ByteOrder::Little, &mut out);
    #[rustfmt::skip]
    assert_eq!(out, [
        6, 0, 0, 0,  40, 0, 0, 0,
        1, 0, 0, 0,
        3, 2, 1, 0,  7, 6, 5, 4,
        5, 0, 0, 0,  0xdc, 5, 0, 0,
        0xaa, 0xaa, 0xaa, 0xaa,  0xaa, 0, 0, 0,
        40, 0, 0, 0,
    ]);
}

#[test]
fn an_interface_says_its_unit_and_its_filter() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let mut out = Vec::new();
        let interface = InterfaceDescription {
            link_type: LinkType::RawIp,
            snaplen: 96,
            resolution: Resolution::Nanos,
            name: Some("net1/c1"),
            description: Some("VNI 256"),
            filter: Some("tcp"),
            os: Some("Linux"),
            comments: &["one", "two"],
        };
        interface.encode(order, &mut out);
        let (block, rest) = read(order, &out, |_| 8);
        assert!(rest.is_empty());
        assert_eq!(block.kind, 1);
        assert_eq!(u16_at(order, &block.body, 0), 101);
        assert_eq!(u32_at(order, &block.body, 4), 96);
        let told = [
            (2, &b"net1/c1"[..]),
            (3, b"VNI 256"),
            (9, &[9]),
            (11, b"\0tcp"),
            (12, b"Linux"),
            (1, b"one"),
            (1, b"two"),
        ];
        let told = told.map(|(code, value)| (code, value.to_vec()));
        assert_eq!(block.options, told);
    }
}

#[test]
fn a_packet_says_which_way_it_went() {
    let mut out = Vec::new();
    let told = EnhancedPacket {
        direction: Some(Direction::Outbound),
        packet_id: Some(7),
        drop_count: Some(9),
        custom: &[Custom {
            enterprise: 32473,
            text: "verdict=flood",
        }],
        ..packet(b"frame", &["why"])
    };
    told.encode(ByteOrder::Big, &mut out);
    let (block, _) = read(ByteOrder::Big, &out, packet_len(ByteOrder::Big));
    let custom = [&32473u32.to_be_bytes()[..], b"verdict=flood"].concat();
    let options = vec![
        (2, vec![0, 0, 0, 2]),
        (4, vec![0, 0, 0, 0, 0, 0, 0, 9]),
        (5, vec![0, 0, 0, 0, 0, 0, 0, 7]),
        (1, b"why".to_vec()),
        (2988, custom),
    ];
    assert_eq!(block.options, options);
}

#[test]
fn statistics_have_their_times_upper_half_first() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let mut out = Vec::new();
        let statistics = InterfaceStatistics {
            interface: 3,
            time: 5,
            start: Some(0x0000_0002_0000_0001),
            end: Some(4),
            received: Some(10),
            dropped: Some(0),
            comments: &[],
        };
        statistics.encode(order, &mut out);
        let (block, _) = read(order, &out, |_| 12);
        assert_eq!(block.kind, 5);
        let start = &block.options[0].1;
        assert_eq!((u32_at(order, start, 0), u32_at(order, start, 4)), (2, 1));
        let codes: Vec<u16> = block.options.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [2, 3, 4, 5]);
        assert_eq!(block.options[2].1, order.u64(10));
    }
}

#[test]
fn a_packet_has_at_least_the_length_of_what_was_kept() {
    let mut out = Vec::new();
    let short = EnhancedPacket {
        wire_len: 2,
        ..packet(b"frame", &[])
    };
    short.encode(ByteOrder::Big, &mut out);
    assert_eq!(out[20..28], [0, 0, 0, 5, 0, 0, 0, 5]);
}

#[test]
fn what_readers_refuse_is_cut() {
    let mut out = Vec::new();
    let (bytes, text) = (vec![1; LONGEST_PACKET + 1], "\u{20ac}".repeat(30_000));
    let comments = vec![&text[..]; 400];
    packet(&bytes, &comments).encode(ByteOrder::Little, &mut out);
    assert!(out.len() <= 16 << 20, "{}", out.len());
    let (block, rest) = read(ByteOrder::Little, &out, packet_len(ByteOrder::Little));
    assert!(rest.is_empty());
    assert_eq!(block.body.len(), 20 + LONGEST_PACKET);
    assert!(block.options.len() > 200);
    for (_, comment) in &block.options {
        // 65,535 is a multiple of three.
        assert_eq!(std::str::from_utf8(comment).unwrap().len(), 65_535);
    }
}

#[test]
fn a_text_is_cut_between_characters() {
    for (prefix, kept) in [("", 65_535), ("a", 65_533), ("ab", 65_534)] {
        let mut out = Vec::new();
        let text = prefix.to_owned() + &"\u{20ac}".repeat(30_000);
        packet(b"", &[&text]).encode(ByteOrder::Big, &mut out);
        let (block, _) = read(ByteOrder::Big, &out, packet_len(ByteOrder::Big));
        assert_eq!(block.options[0].1, text.as_bytes()[..kept]);
    }
}

proptest! {
    #[test]
    fn any_packets_are_read_again(
        order in orders(),
        packets in vec((vec(any::<u8>(), 0..70), any::<u32>(), any::<u64>(), vec("\\PC{0,9}", 0..3)), 0..5),
    ) {
        let mut out = Vec::new();
        for (bytes, wire_len, time, comments) in &packets {
            let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
            let packet = EnhancedPacket { wire_len: *wire_len, time: *time, ..packet(bytes, &comments) };
            packet.encode(order, &mut out);
        }
        let mut rest = &out[..];
        for (bytes, wire_len, time, comments) in &packets {
            let block;
            (block, rest) = read(order, rest, packet_len(order));
            prop_assert_eq!(block.kind, 6);
            let halves = (u32_at(order, &block.body, 4), u32_at(order, &block.body, 8));
            prop_assert_eq!(u64::from(halves.0) << 32 | u64::from(halves.1), *time);
            prop_assert_eq!(u32_at(order, &block.body, 12) as usize, bytes.len());
            prop_assert_eq!(u32_at(order, &block.body, 16), (*wire_len).max(bytes.len() as u32));
            prop_assert_eq!(&block.body[20..20 + bytes.len()], &bytes[..]);
            let comments: Vec<_> = comments.iter().map(|text| (1, text.as_bytes().to_vec())).collect();
            prop_assert_eq!(block.options, comments);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn any_texts_stand_in_a_section(order in orders(), text in ".{0,20}", comment in ".{0,20}") {
        let mut out = Vec::new();
        let header = SectionHeader {
            hardware: Some(&text),
            os: None,
            application: Some(&text),
            comments: &[&comment],
        };
        header.encode(order, &mut out);
        let (block, rest) = read(order, &out, |_| 16);
        prop_assert!(rest.is_empty());
        prop_assert_eq!(block.kind, 0x0a0d_0d0a);
        prop_assert_eq!(u32_at(order, &block.body, 0), 0x1a2b_3c4d);
        let told = [(2, &text), (4, &text), (1, &comment)];
        prop_assert_eq!(block.options, told.map(|(code, text)| (code, text.as_bytes().to_vec())));
    }
}
