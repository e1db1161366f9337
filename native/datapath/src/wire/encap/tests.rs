use super::*;
use crate::wire::sample::{Sample, naive_sum};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::collection::vec;
use proptest::prelude::*;

const V4: [&str; 2] = ["10.1.0.1", "10.1.0.2"];
const V6: [&str; 2] = ["fd01::1", "fd01::2"];

fn outer([local, remote]: [&str; 2]) -> OuterHeader {
    OuterHeader {
        local: local.parse().unwrap(),
        destination: SocketAddr::new(remote.parse().unwrap(), 4789),
        source_port: 50_000,
        ttl: 7,
        tos: 0xb9,
        vni: Vni::new(0x12_3456).unwrap(),
        checksum: true,
    }
}

fn tcp(payload: usize) -> [Sample; 4] {
    let v4 = Sample::tcp_v4(&vec![7; payload]);
    let v6 = v4.clone().on_v6(&[]);
    let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    let with_extension = v4.clone().on_v6(&[(60, options)]);
    let tagged = v4.clone().tagged(&[(0x8100, 7)]);
    [v4, v6, with_extension, tagged]
}

fn superframe(sample: &Sample, gso_size: u16) -> VnetHeader {
    VnetHeader {
        needs_csum: true,
        gso: if sample.is_v6() {
            Gso::TcpV6
        } else {
            Gso::TcpV4
        },
        ecn: false,
        hdr_len: 0,
        gso_size,
        csum_start: 0,
        csum_offset: 0,
    }
}

/// The 16 bits, little endian, of an offload header.
fn field(head: &Head, at: usize) -> usize {
    usize::from(u16::from_le_bytes([head.bytes()[at], head.bytes()[at + 1]]))
}

/// Checks the outer headers with another parser, and the checksum field with the slow sum.
fn judge(outer: &OuterHeader, head: &Head, frame: &[u8]) {
    let packet = [&head.bytes()[24..], frame].concat();
    let read = SlicedPacket::from_ethernet(&packet).unwrap();
    let Some(TransportSlice::Udp(datagram)) = read.transport else {
        panic!("{read:?}")
    };
    assert_eq!(datagram.source_port(), outer.source_port);
    assert_eq!(datagram.destination_port(), outer.destination.port());
    assert_eq!(usize::from(datagram.length()), 16 + frame.len());
    assert_eq!(
        datagram.payload(),
        [&[8, 0, 0, 0, 0x12, 0x34, 0x56, 0], frame].concat()
    );
    let mut pseudo_header = match read.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let ip = ip.header();
            assert_eq!(ip.header_checksum(), ip.to_header().calc_header_checksum());
            assert!(ip.dont_fragment() && !ip.more_fragments());
            assert_eq!(ip.fragments_offset().value(), 0);
            let tos = ip.dcp().value() << 2 | ip.ecn().value();
            assert_eq!((ip.ttl(), tos), (outer.ttl, outer.tos));
            assert_eq!(IpAddr::V4(ip.source_addr()), outer.local);
            assert_eq!(IpAddr::V4(ip.destination_addr()), outer.destination.ip());
            [ip.source(), ip.destination()].concat()
        }
        NetSlice::Ipv6(ip) => {
            let ip = ip.header();
            assert_eq!((ip.hop_limit(), ip.traffic_class()), (outer.ttl, outer.tos));
            assert_eq!(ip.flow_label().value(), 0);
            assert_eq!(IpAddr::V6(ip.source_addr()), outer.local);
            assert_eq!(IpAddr::V6(ip.destination_addr()), outer.destination.ip());
            [ip.source(), ip.destination()].concat()
        }
        other => panic!("{other:?}"),
    };
    pseudo_header.extend([0, PROTOCOL_UDP]);
    pseudo_header.extend(datagram.length().to_be_bytes());
    let expected = match outer.checksum {
        true => naive_sum(&pseudo_header),
        false => 0,
    };
    assert_eq!(datagram.checksum(), expected);
}

#[test]
fn e89_an_ordinary_frame_leaves_its_outer_checksum_to_the_kernel() {
    for addresses in [V4, V6] {
        let outer = outer(addresses);
        let frame = Sample::udp_v4(b"payload").frame();
        let head = outer.before(&frame, &VnetHeader::NONE).unwrap();
        judge(&outer, &head, &frame);
        let ip_len = if outer.local.is_ipv4() { 20 } else { 40 };
        assert_eq!(head.bytes()[..2], [1, 0]);
        assert_eq!([6, 8].map(|at| field(&head, at)), [14 + ip_len, 6]);
        assert_eq!(head.packet_len(), ip_len + 16 + frame.len());
    }
}

#[test]
fn without_a_checksum_nothing_is_left_to_do() {
    let mut outer = outer(V4);
    outer.checksum = false;
    let frame = Sample::udp_v4(b"payload").frame();
    let head = outer.before(&frame, &VnetHeader::NONE).unwrap();
    judge(&outer, &head, &frame);
    assert_eq!(head.bytes()[..2], [0, 0]);
    let [sample, ..] = tcp(5000);
    let frame = sample.partial_frame();
    let head = outer.before(&frame, &superframe(&sample, 1000)).unwrap();
    judge(&outer, &head, &frame);
    assert_eq!(head.bytes()[..2], [1, 0x21]);
    let over_v6 = OuterHeader {
        checksum: false,
        ..super::tests::outer(V6)
    };
    assert!(over_v6.before(&frame, &VnetHeader::NONE).is_none());
}

#[test]
fn a_superframe_is_described_by_where_its_headers_are() {
    for (addresses, ip_len, family) in [(V4, 20, 0x20), (V6, 40, 0x40)] {
        for sample in tcp(5000) {
            let outer = outer(addresses);
            let frame = sample.partial_frame();
            let head = outer.before(&frame, &superframe(&sample, 1000)).unwrap();
            judge(&outer, &head, &frame);
            let inner = if sample.is_v6() { 4 } else { 1 };
            assert_eq!(head.bytes()[..2], [9, inner | family]);
            let start = 14 + ip_len + 16;
            let expected = [
                start + sample.header_len(),
                1000,
                start + sample.transport_offset(),
                16,
            ];
            assert_eq!([2, 4, 6, 8].map(|at| field(&head, at)), expected);
            assert_eq!(field(&head, 20), 14 + ip_len);
            assert_eq!(field(&head, 22), start + sample.network_offset());
            assert_eq!(
                head.packet_len(),
                ip_len + 16 + sample.header_len() + 1000,
                "the longest of its segments"
            );
        }
    }
}

#[test]
fn ecn_of_the_superframe_stays() {
    let [sample, ..] = tcp(5000);
    let vnet = VnetHeader {
        ecn: true,
        ..superframe(&sample, 1000)
    };
    let head = outer(V4).before(&sample.partial_frame(), &vnet).unwrap();
    assert_eq!(head.bytes()[1], 0xa1);
}

#[test]
fn what_the_kernel_would_get_wrong_is_refused() {
    let [sample, on_v6, ..] = tcp(5000);
    let frame = sample.partial_frame();
    let vnet = superframe(&sample, 1000);
    let outer = outer(V4);
    let is_taken = |frame: &[u8], vnet: VnetHeader| outer.before(frame, &vnet).is_some();
    assert!(is_taken(&frame, vnet));
    let partial = VnetHeader {
        gso: Gso::None,
        ..vnet
    };
    let complete = VnetHeader {
        needs_csum: false,
        ..vnet
    };
    let without_size = VnetHeader {
        gso_size: 0,
        ..vnet
    };
    let as_udp = VnetHeader {
        gso: Gso::Udp,
        ..vnet
    };
    for wrong in [partial, complete, without_size, as_udp] {
        assert!(!is_taken(&frame, wrong), "{wrong:?}");
    }
    let single = VnetHeader {
        gso_size: 5000,
        ..vnet
    };
    assert!(!is_taken(&frame, single));
    let of_two = VnetHeader {
        gso_size: 4999,
        ..vnet
    };
    assert!(is_taken(&frame, of_two));
    assert!(!is_taken(&on_v6.partial_frame(), vnet));
    assert!(!is_taken(&Sample::udp_v4(&[1; 5000]).partial_frame(), vnet));
    assert!(!is_taken(&[&frame[..], &[0]].concat(), vnet));
    assert!(!is_taken(&frame[..frame.len() - 1], vnet));
    let other_family = OuterHeader {
        local: V6[0].parse().unwrap(),
        ..outer
    };
    assert!(other_family.before(&frame, &vnet).is_none());
}

#[test]
fn the_longest_frame_fits_and_no_longer_one() {
    for addresses in [V4, V6] {
        let frame = Sample::udp_v4(&[1; MAX_FRAME_LEN - 42]).frame();
        let head = outer(addresses).before(&frame, &VnetHeader::NONE).unwrap();
        judge(&outer(addresses), &head, &frame);
        assert!(head.bytes().len() - 24 + frame.len() <= 65_535);
        let longer = [&frame[..], &[0]].concat();
        let refused = outer(addresses).before(&longer, &VnetHeader::NONE);
        assert!(refused.is_none());
    }
}

proptest! {
    #[test]
    fn c53_any_frame_is_answered(frame in vec(any::<u8>(), 0..200), gso in 0..4, needs_csum: bool, gso_size: u16) {
        let gso = [Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::Udp][gso as usize];
        let vnet = VnetHeader { needs_csum, gso, gso_size, ..VnetHeader::NONE };
        let head = outer(V4).before(&frame, &vnet);
        prop_assert!(head.is_some() || needs_csum || gso != Gso::None);
    }

    #[test]
    fn the_writer_agrees_with_a_reader(payload in 2001..3000usize, gso_size in 1..2000u16, ttl: u8, tos: u8, source_port: u16) {
        for sample in tcp(payload) {
            for addresses in [V4, V6] {
                let outer = OuterHeader { ttl, tos, source_port, ..outer(addresses) };
                let (whole, complete) = (sample.partial_frame(), sample.frame());
                judge(&outer, &outer.before(&whole, &superframe(&sample, gso_size)).unwrap(), &whole);
                judge(&outer, &outer.before(&complete, &VnetHeader::NONE).unwrap(), &complete);
            }
        }
    }
}
