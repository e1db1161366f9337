use super::*;
use etherparse::PacketBuilder;
use proptest::collection::vec;
use proptest::prelude::*;

const VXLAN: [u8; 8] = [8, 0, 0, 0, 0, 0, 7, 0];
const UDP_AT_V4: usize = 34;
const UDP_AT_V6: usize = 54;

/// A datagram over either IP version, every checksum right. `etherparse` writes it: nothing of ours is its own oracle.
fn frame(is_v6: bool, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let ip = match is_v6 {
        false => link.ipv4([192, 0, 2, 1], [192, 0, 2, 7], 1),
        true => link.ipv6([0x20; 16], [0x30; 16], 1),
    };
    let mut frame = Vec::new();
    ip.udp(40000, 4789).write(&mut frame, payload).unwrap();
    frame
}

fn payload(len: usize) -> Vec<u8> {
    VXLAN
        .iter()
        .copied()
        .chain((0..=255).cycle())
        .take(len)
        .collect()
}

fn tapped(frame: &[u8]) -> Tapped<'_> {
    Tapped {
        frame,
        truncated: false,
        is_checksum_valid: false,
        vnet: [0; 10],
        ifindex: 3,
    }
}

fn with_vnet<'a>(frame: &'a [u8], header: VnetHeader) -> Tapped<'a> {
    Tapped {
        vnet: header.emit(),
        ..tapped(frame)
    }
}

fn partial(gso: Gso, gso_size: u16, csum_start: usize) -> VnetHeader {
    VnetHeader {
        needs_csum: true,
        gso,
        gso_size,
        hdr_len: 200,
        csum_start: csum_start as u16,
        csum_offset: if gso == Gso::Udp { 6 } else { 16 },
        ..VnetHeader::NONE
    }
}

/// Writes the IPv4 header's checksum anew.
fn mended(mut frame: Vec<u8>) -> Vec<u8> {
    crate::wire::ipv4::fill_checksum(&mut frame[14..34]);
    frame
}

#[test]
fn a2_a_right_datagram_is_read() {
    for (is_v6, udp_at, source) in [
        (false, UDP_AT_V4, "192.0.2.1:40000"),
        (
            true,
            UDP_AT_V6,
            "[2020:2020:2020:2020:2020:2020:2020:2020]:40000",
        ),
    ] {
        for len in [0, 1, 8, 99, 1450] {
            let frame = frame(is_v6, &payload(len));
            let expected = Outer {
                source: source.parse().unwrap(),
                tos: 0,
                payload: udp_at + 8..udp_at + 8 + len,
                stride: len,
                inner: VnetHeader::NONE,
            };
            assert_eq!(tapped(&frame).read(), Ok(expected));
        }
    }
}

#[test]
fn the_traffic_class_is_read() {
    let mut v4 = frame(false, &VXLAN);
    v4[15] = 0xb9;
    assert_eq!(tapped(&mended(v4)).read().unwrap().tos, 0xb9);
    let mut v6 = frame(true, &VXLAN);
    v6[14..16].copy_from_slice(&[0x6b, 0x91]);
    assert_eq!(tapped(&v6).read().unwrap().tos, 0xb9);
}

#[test]
fn a_link_local_source_has_its_interface() {
    let mut frame = frame(true, &VXLAN);
    frame[22..38].copy_from_slice(&[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let known = Tapped {
        is_checksum_valid: true,
        ..tapped(&frame)
    };
    let SocketAddr::V6(source) = known.read().unwrap().source else {
        panic!("the source is an IPv6 address");
    };
    assert_eq!(
        (source.ip().to_string().as_str(), source.scope_id()),
        ("fe80::1", 3)
    );
}

#[test]
fn a3_a_wrong_checksum_is_refused_unless_the_kernel_vouches() {
    for (is_v6, udp_at) in [(false, UDP_AT_V4), (true, UDP_AT_V6)] {
        let mut frame = frame(is_v6, &payload(101));
        let last = frame.len() - 1;
        frame[last] ^= 1;
        assert_eq!(tapped(&frame).read(), Err(RingRefusal::UdpChecksum));
        let valid = Tapped {
            is_checksum_valid: true,
            ..tapped(&frame)
        };
        assert!(valid.read().is_ok());
        // From a sender on this machine, who left it to a NIC that is not there.
        let header = partial(Gso::None, 0, udp_at);
        let outer = with_vnet(&frame, header).read().unwrap();
        assert_eq!((outer.stride, outer.inner), (101, VnetHeader::NONE));
        // What is partial before the UDP header says nothing of its checksum.
        let header = partial(Gso::None, 0, udp_at - 2);
        assert_eq!(
            with_vnet(&frame, header).read(),
            Err(RingRefusal::UdpChecksum)
        );
    }
}

#[test]
fn a1_without_checksum_over_ipv4_only() {
    let mut v4 = frame(false, &payload(60));
    v4[UDP_AT_V4 + 6..UDP_AT_V4 + 8].fill(0);
    assert!(tapped(&v4).read().is_ok());
    let mut v6 = frame(true, &payload(60));
    v6[UDP_AT_V6 + 6..UDP_AT_V6 + 8].fill(0);
    let valid = Tapped {
        is_checksum_valid: true,
        ..tapped(&v6)
    };
    assert_eq!(valid.read(), Err(RingRefusal::UdpChecksum));
}

#[test]
fn a4_what_lies_behind_the_lengths_is_not_of_the_payload() {
    for is_v6 in [false, true] {
        let mut padded = frame(is_v6, &payload(20));
        let end = padded.len();
        padded.extend([0xaa; 6]);
        assert_eq!(tapped(&padded).read().unwrap().payload.end, end);
    }
    // UDP says 4 less than IP.
    let mut frame = frame(false, &payload(20));
    let end = frame.len();
    frame[UDP_AT_V4 + 4..UDP_AT_V4 + 8].copy_from_slice(&[0, 24, 0, 0]);
    let outer = tapped(&frame).read().unwrap();
    assert_eq!((outer.payload.end, outer.stride), (end - 4, 16));
}

#[test]
fn a5_lengths_that_do_not_fit_are_refused() {
    let with_udp_len = |is_v6, len: u16| {
        let at = if is_v6 { UDP_AT_V6 } else { UDP_AT_V4 };
        let mut frame = frame(is_v6, &payload(20));
        frame[at + 4..at + 6].copy_from_slice(&len.to_be_bytes());
        let valid = Tapped {
            is_checksum_valid: true,
            ..tapped(&frame)
        };
        valid.read().map(|outer| outer.stride)
    };
    for len in [1, 7, 29, 0xffff] {
        assert_eq!(with_udp_len(false, len), Err(RingRefusal::UdpLength));
        assert_eq!(with_udp_len(true, len), Err(RingRefusal::UdpLength));
    }
    assert_eq!(with_udp_len(false, 0), Err(RingRefusal::UdpLength));
    assert_eq!(with_udp_len(true, 0), Ok(20), "a jumbogram");
    assert_eq!(with_udp_len(false, 8), Ok(0));

    let with_total_len = |len: u16| {
        let mut frame = frame(false, &payload(20));
        frame[16..18].copy_from_slice(&len.to_be_bytes());
        tapped(&mended(frame)).read().unwrap_err()
    };
    assert_eq!(with_total_len(49), RingRefusal::IpHeader);
    assert_eq!(with_total_len(19), RingRefusal::IpHeader);
    assert_eq!(with_total_len(0), RingRefusal::IpHeader);
    assert_eq!(with_total_len(27), RingRefusal::UdpLength);
    let with_payload_len = |len: u8| {
        let mut frame = frame(true, &payload(20));
        frame[19] = len;
        tapped(&frame).read().unwrap_err()
    };
    assert_eq!(with_payload_len(29), RingRefusal::IpHeader);
    assert_eq!(with_payload_len(0), RingRefusal::UdpLength);
}

#[test]
fn a_wrong_header_checksum_is_refused_whatever_the_kernel_says() {
    let mut frame = frame(false, &payload(20));
    frame[22] -= 1;
    let valid = Tapped {
        is_checksum_valid: true,
        ..tapped(&frame)
    };
    assert_eq!(valid.read(), Err(RingRefusal::IpHeader));
}

#[test]
fn a20_what_was_cut_off_is_refused() {
    let frame = frame(false, &payload(20));
    let cut = Tapped {
        truncated: true,
        ..tapped(&frame)
    };
    assert_eq!(cut.read(), Err(RingRefusal::Truncated));
}

#[test]
fn a22_a_run_has_its_stride() {
    for (is_v6, udp_at) in [(false, UDP_AT_V4), (true, UDP_AT_V6)] {
        let frame = frame(is_v6, &payload(250));
        let stride = |size| {
            let header = partial(Gso::Udp, size, udp_at);
            with_vnet(&frame, header)
                .read()
                .map(|o| (o.stride, o.inner))
        };
        assert_eq!(stride(100), Ok((100, VnetHeader::NONE)));
        assert_eq!(stride(300), Ok((250, VnetHeader::NONE)));
        assert_eq!(stride(0), Err(RingRefusal::Superframe));
    }
}

#[test]
fn a_superframe_inside_has_its_positions() {
    let frame = frame(false, &payload(2000));
    let inner_at = UDP_AT_V4 + 8 + 8;
    for gso in [Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::Udp] {
        let header = partial(gso, 500, inner_at + 34);
        let outer = with_vnet(&frame, header).read().unwrap();
        assert_eq!(outer.stride, 2000);
        assert_eq!(outer.payload.start + 8, inner_at);
        let expected = VnetHeader {
            hdr_len: 0,
            csum_start: 34,
            ..header
        };
        assert_eq!(outer.inner, expected);
    }
}

#[test]
fn a_superframe_of_nobody_knows_what_is_refused() {
    let frame = frame(false, &payload(2000));
    let inner_at = UDP_AT_V4 + 8 + 8;
    let unsaid = |gso| VnetHeader {
        gso,
        gso_size: 500,
        ..VnetHeader::NONE
    };
    let cases = [
        unsaid(Gso::Udp),
        unsaid(Gso::TcpV4),
        partial(Gso::TcpV4, 500, UDP_AT_V4),
        partial(Gso::TcpV4, 0, inner_at + 34),
        // In the VXLAN header, in the inner Ethernet header, behind the end.
        partial(Gso::TcpV4, 500, inner_at - 1),
        partial(Gso::None, 0, inner_at + 13),
        partial(Gso::None, 0, frame.len() - 17),
    ];
    for header in cases {
        let read = with_vnet(&frame, header).read();
        assert_eq!(read, Err(RingRefusal::Superframe), "{header:?}");
    }
    let mut ufo = tapped(&frame);
    ufo.vnet[1] = 3;
    assert_eq!(ufo.read(), Err(RingRefusal::Superframe));
}

proptest! {
    #[test]
    fn one_wrong_bit_never_passes(is_v6: bool, len in 0usize..300, bit: prop::sample::Index) {
        let mut frame = frame(is_v6, &payload(len));
        let bit = bit.index((frame.len() - 14) * 8);
        frame[14 + bit / 8] ^= 1 << (bit % 8);
        let udp_at = if is_v6 { UDP_AT_V6 } else { UDP_AT_V4 };
        // The filter takes nothing whose next header is not UDP.
        prop_assume!(!(is_v6 && matches!(bit, 48..56)));
        // No sum covers traffic class, flow label and hop limit of IPv6.
        let is_free = is_v6 && matches!(bit, 0..4 | 8..32 | 56..64);
        let has_no_checksum = !is_v6 && frame[udp_at + 6..udp_at + 8] == [0, 0];
        prop_assert_eq!(tapped(&frame).read().is_ok(), is_free || has_no_checksum);
    }

    #[test]
    fn c53_any_bytes_are_read_within_bounds(
        mut bytes in vec(any::<u8>(), 0..200),
        is_v6: bool,
        is_framed in any::<bool>(),
        len in 0usize..120,
        vnet: [u8; 10],
        is_checksum_valid: bool,
    ) {
        if is_framed {
            // Headers that are right at first, then bytes that are not.
            let right = frame(is_v6, &payload(len));
            bytes.splice(0..0, right[..right.len() - len / 2].iter().copied());
        }
        let tapped = Tapped { is_checksum_valid, vnet, ..tapped(&bytes) };
        if let Ok(outer) = tapped.read() {
            prop_assert!(outer.payload.start <= outer.payload.end && outer.payload.end <= bytes.len());
            prop_assert!(outer.stride <= outer.payload.len());
            prop_assert_eq!(outer.stride == 0, outer.payload.is_empty());
            if outer.inner != VnetHeader::NONE {
                let frame = bytes.len() - (outer.payload.start + 8);
                let field = usize::from(outer.inner.csum_start) + usize::from(outer.inner.csum_offset);
                prop_assert!(field + 2 <= frame);
            }
        }
    }
}
