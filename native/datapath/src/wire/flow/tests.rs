use super::*;
use crate::wire::ethernet::strip_tag;
use crate::wire::sample::{DONT_FRAGMENT, MORE_FRAGMENTS, Network, Sample, Transport};
use proptest::collection::vec;
use proptest::prelude::*;

const POOL: usize = 16;

fn directed(frame: &[u8]) -> u32 {
    flow_hash(frame, false)
}

fn symmetric(frame: &[u8]) -> u32 {
    flow_hash(frame, true)
}

/// The frame after `change`, with a right IPv4 header checksum.
fn changed(frame: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = frame.to_vec();
    change(&mut frame);
    if frame[12..14] == [0x08, 0x00] {
        ipv4::fill_checksum(&mut frame[14..34]);
    }
    frame
}

fn with_ports(frame: &[u8], transport: usize, ports: (u16, u16)) -> Vec<u8> {
    changed(frame, |frame| {
        frame[transport..transport + 2].copy_from_slice(&ports.0.to_be_bytes());
        frame[transport + 2..transport + 4].copy_from_slice(&ports.1.to_be_bytes());
    })
}

/// The same frame on its way back: addresses and ports (if it has any) exchanged.
fn answered(frame: &[u8], address_len: usize, transport: Option<usize>) -> Vec<u8> {
    changed(frame, |frame| {
        let addresses = if address_len == 4 { 26 } else { 22 };
        frame[..12].rotate_left(6);
        frame[addresses..addresses + 2 * address_len].rotate_left(address_len);
        if let Some(transport) = transport {
            frame[transport..transport + 4].rotate_left(2);
        }
    })
}

fn v4_piece(fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut sample = Sample::udp_v4(payload);
    sample.network = Network::V4 {
        id: 7,
        fragment,
        options: vec![],
    };
    sample.frame()
}

/// Later pieces have no ports: their first bytes are payload.
fn v6_piece(fragment: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let header = [0, 0, fragment[0], fragment[1], 0, 0, 0, 9];
    let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    let mut sample = Sample::udp_v4(payload).on_v6(&[(0, options), (44, &header)]);
    sample.transport = Transport::Other(17);
    sample.frame()
}

/// Chi-square of `hashes` over the pool must stay below the 0.1 % point of 15 degrees of freedom.
fn assert_spread(what: &str, hashes: impl Iterator<Item = u32>) {
    let mut bins = [0usize; POOL];
    hashes.for_each(|hash| bins[hash as usize % POOL] += 1);
    let expected = bins.iter().sum::<usize>() as f64 / POOL as f64;
    let chi_square: f64 = bins
        .iter()
        .map(|&n| (n as f64 - expected).powi(2) / expected)
        .sum();
    assert!(chi_square < 37.70, "{what}: {chi_square:.1} {bins:?}");
    let used = bins.iter().filter(|&&n| n > 0).count();
    assert!(used * 10 >= POOL * 9, "{what}: {used} of {POOL} used");
}

#[test]
fn e81_the_frames_of_a_flow_have_one_hash() {
    let first = directed(&Sample::tcp_v4(b"").frame());
    for n in 0..20u32 {
        let mut sample = Sample::tcp_v4(&vec![n as u8; 10 * n as usize]);
        sample.network = Network::V4 {
            id: n as u16,
            fragment: DONT_FRAGMENT,
            options: vec![1; 4 * (n as usize % 3)],
        };
        sample.transport = Transport::Tcp {
            seq: n * 1448,
            flags: n as u8,
            options: vec![1; 4 * (n as usize % 4)],
        };
        assert_eq!(directed(&sample.frame()), first);
        assert_eq!(directed(&sample.partial_frame()), first);
    }
}

#[test]
fn e81_every_part_of_the_5_tuple_counts() {
    for sample in [Sample::tcp_v4(b"data"), Sample::tcp_v4(b"data").on_v6(&[])] {
        let frame = sample.frame();
        let network = sample.network_offset();
        let tuple: &[usize] = if sample.is_v6() {
            &[8, 15, 16, 23, 24, 31, 32, 39, 40, 41, 42, 43]
        } else {
            &[12, 15, 16, 19, 20, 21, 22, 23]
        };
        for at in tuple {
            let other = changed(&frame, |frame| frame[network + at] ^= 1);
            assert_ne!(directed(&other), directed(&frame), "byte {at}");
            assert_ne!(symmetric(&other), symmetric(&frame), "byte {at}");
        }
    }
    let tcp = Sample::tcp_v4(b"12345678");
    let mut udp = tcp.clone();
    udp.transport = Transport::Udp;
    assert_ne!(directed(&tcp.frame()), directed(&udp.frame()));
}

#[test]
fn e81_ports_count_for_every_protocol_that_has_them() {
    let do_ports_count = |protocol| {
        let mut sample = Sample::udp_v4(b"ports or not");
        sample.transport = Transport::Other(protocol);
        let frame = sample.frame();
        directed(&frame) != directed(&with_ports(&frame, 34, (1, 2)))
    };
    let with_ports: Vec<u8> = (0..=255).filter(|&n| do_ports_count(n)).collect();
    assert_eq!(with_ports, [6, 17, 33, 132, 136]);
}

#[test]
fn e82_flows_spread_evenly_over_the_pool() {
    let v4 = Sample::udp_v4(b"data").frame();
    let v6 = Sample::udp_v4(b"data").on_v6(&[]).frame();
    for flows in [200u16, 1600] {
        for hash in [directed, symmetric] {
            let over = |frames: &dyn Fn(u16) -> Vec<u8>, what: &str| {
                assert_spread(what, (0..flows).map(|n| hash(&frames(n))));
            };
            over(
                &|n| with_ports(&v4, 34, (40000 + n, 443)),
                "v4 source ports",
            );
            over(
                &|n| with_ports(&v4, 34, (32768 + 2 * n, 443)),
                "v4 even source ports",
            );
            over(
                &|n| with_ports(&v4, 34, (40000, 1 + n)),
                "v4 destination ports",
            );
            over(
                &|n| with_ports(&v4, 34, (5000 + n, 5000 + n)),
                "v4 equal ports",
            );
            over(
                &|n| with_ports(&v6, 54, (40000 + n, 443)),
                "v6 source ports",
            );
            over(&|n| with_ports(&v6, 54, (n << 5, 443)), "v6 ports 32 apart");
            over(
                &|n| changed(&v4, |f| f[28..30].copy_from_slice(&n.to_be_bytes())),
                "v4 sources",
            );
            over(
                &|n| changed(&v6, |f| f[52..54].copy_from_slice(&n.to_be_bytes())),
                "v6 destinations",
            );
            over(
                &|n| {
                    let mut arp = [0xff; 42];
                    arp[10..12].copy_from_slice(&n.to_be_bytes());
                    arp[12..14].copy_from_slice(&[0x08, 0x06]);
                    arp.to_vec()
                },
                "MAC addresses",
            );
        }
    }
}

#[test]
fn e83_all_fragments_of_a_datagram_have_one_hash() {
    let first = v4_piece(MORE_FRAGMENTS, b"ports and data");
    for fragment in [MORE_FRAGMENTS | 185, 370, MORE_FRAGMENTS] {
        let later = with_ports(&v4_piece(fragment, b"data"), 34, (fragment, 1));
        assert_eq!(directed(&later), directed(&first));
        assert_eq!(symmetric(&later), symmetric(&first));
    }
    let other_host = changed(&first, |frame| frame[33] ^= 1);
    assert_ne!(directed(&other_host), directed(&first));
}

#[test]
fn e84_all_fragments_of_an_ipv6_datagram_have_one_hash() {
    let first = v6_piece([0, 1], b"ports and data");
    for fragment in [[0x05, 0xc9], [0x0b, 0x90]] {
        let later = v6_piece(fragment, b"other bytes");
        assert_eq!(directed(&later), directed(&first));
        assert_eq!(symmetric(&later), symmetric(&first));
    }
    let labelled = changed(&first, |frame| frame[17] = 0x42);
    assert_eq!(directed(&labelled), directed(&first));
    let whole = |payload: &[u8]| v6_piece([0, 0], payload);
    assert_ne!(directed(&whole(b"abcd")), directed(&whole(b"bbcd")));
}

#[test]
fn e84_extension_headers_are_skipped_up_to_eight() {
    let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
    let port_counts = |count: usize| {
        let sample = Sample::udp_v4(b"data").on_v6(&vec![(60, options); count]);
        let frame = sample.frame();
        let other = with_ports(&frame, sample.transport_offset(), (1, 2));
        directed(&frame) != directed(&other)
    };
    assert!(port_counts(0) && port_counts(1) && port_counts(8));
    assert!(!port_counts(9));

    let plain = Sample::udp_v4(b"data").on_v6(&[]).frame();
    let extended = Sample::udp_v4(b"data").on_v6(&[(60, options)]).frame();
    assert_eq!(directed(&plain), directed(&extended));
}

#[test]
fn e85_the_flow_label_counts_only_where_nothing_else_tells_flows_apart() {
    let hashes = |sample: Sample, hash: fn(&[u8]) -> u32| {
        let frame = sample.on_v6(&[]).frame();
        let labelled = changed(&frame, |frame| frame[17] = 0x42);
        (hash(&frame), hash(&labelled))
    };
    let mut esp = Sample::udp_v4(b"spi and data");
    esp.transport = Transport::Other(50);

    let (plain, labelled) = hashes(esp.clone(), directed);
    assert_ne!(plain, labelled);
    let (plain, labelled) = hashes(esp, symmetric);
    assert_eq!(plain, labelled);
    let (plain, labelled) = hashes(Sample::tcp_v4(b"data"), directed);
    assert_eq!(plain, labelled);
}

#[test]
fn e86_other_than_ip_is_hashed_by_macs_and_ethertype() {
    let arp: Vec<u8> = (0..12).chain([0x08, 0x06]).chain(20..48).collect();
    for at in 0..14 {
        let other = changed(&arp, |frame| frame[at] ^= 0x10);
        assert_ne!(directed(&other), directed(&arp), "byte {at}");
    }
    for at in 14..42 {
        let other = changed(&arp, |frame| frame[at] ^= 1);
        assert_eq!(directed(&other), directed(&arp), "byte {at}");
    }
    assert_eq!(directed(&arp[..14]), directed(&arp));
}

#[test]
fn e86_a_malformed_ip_header_is_hashed_like_other_than_ip() {
    let mut frame = Sample::udp_v4(b"data").frame();
    frame[14] = 0x44;
    let other_ports = with_ports_unchecked(&frame);
    assert_eq!(directed(&frame), directed(&other_ports));
    frame[6] ^= 2;
    assert_ne!(directed(&frame), directed(&other_ports));
}

#[test]
fn e87_both_directions_have_one_hash_if_symmetric() {
    let esp = Sample {
        transport: Transport::Other(50),
        ..Sample::udp_v4(b"spi and data")
    };
    for sample in [Sample::tcp_v4(b"data"), esp] {
        let transport = sample.checksum_field().map(|_| 34);
        let frame = sample.frame();
        let answer = answered(&frame, 4, transport);
        assert_eq!(symmetric(&frame), symmetric(&answer));
        assert_ne!(directed(&frame), directed(&answer));

        let frame = sample.on_v6(&[]).frame();
        let answer = answered(&frame, 16, transport.map(|_| 54));
        assert_eq!(symmetric(&frame), symmetric(&answer));
        assert_ne!(directed(&frame), directed(&answer));
    }
}

#[test]
fn e87_a_port_stays_with_its_address() {
    let frame = Sample::tcp_v4(b"data").frame();
    let ports_exchanged = with_ports(&frame, 34, (443, 40000));
    assert_ne!(symmetric(&frame), symmetric(&ports_exchanged));
}

#[test]
fn c41_a_bad_ip_header_hides_the_ports() {
    let frame = Sample::udp_v4(b"data").frame();
    let wrong_checksum = |frame: &[u8]| {
        let mut frame = frame.to_vec();
        frame[24] ^= 1;
        frame
    };
    let too_long = |frame: &[u8]| changed(frame, |frame| frame[16] = 1);
    let other = with_ports(&frame, 34, (1, 2));
    assert_ne!(directed(&frame), directed(&other));
    assert_eq!(
        directed(&wrong_checksum(&frame)),
        directed(&wrong_checksum(&other))
    );
    assert_eq!(directed(&too_long(&frame)), directed(&too_long(&other)));
    let other_host = changed(&frame, |frame| frame[33] ^= 1);
    assert_ne!(
        directed(&too_long(&frame)),
        directed(&too_long(&other_host))
    );
}

#[test]
fn tags_are_looked_through() {
    for sample in [Sample::udp_v4(b"data"), Sample::udp_v4(b"data").on_v6(&[])] {
        let mut tagged = sample.clone().tagged(&[(0x88a8, 9), (0x8100, 7)]).frame();
        let plain = sample.frame();
        assert_eq!(directed(&tagged), directed(&plain));
        assert_eq!(directed(strip_tag(&mut tagged)), directed(&plain));
    }
}

#[test]
fn c40_an_ip_frame_without_room_for_its_header_is_short() {
    for (sample, least) in [
        (Sample::udp_v4(b"data"), 20),
        (Sample::udp_v4(b"data").on_v6(&[]), 40),
    ] {
        for tags in [&[][..], &[(0x8100, 7)]] {
            let sample = sample.clone().tagged(tags);
            let frame = sample.frame();
            let enough = sample.network_offset() + least;
            assert!(inner_ip_len_ok(&frame) && inner_ip_len_ok(&frame[..enough]));
            for len in sample.network_offset()..enough {
                assert!(!inner_ip_len_ok(&frame[..len]), "{len}");
            }
        }
    }
    let lldp = [&[0; 12][..], &[0x88, 0xcc]].concat();
    assert!(inner_ip_len_ok(&lldp));
    assert!(!inner_ip_len_ok(&lldp[..13]));
}

fn with_ports_unchecked(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[34..38].fill(7);
    frame
}

proptest! {
    #[test]
    fn c53_any_bytes_have_a_hash(mut frame in vec(any::<u8>(), 0..200), ethertype in 0usize..5) {
        let ethertypes = [0x0800u16, 0x86dd, 0x8100, 0x88a8, 0x0806];
        if let Some(at) = frame.get_mut(12..14) {
            at.copy_from_slice(&ethertypes[ethertype].to_be_bytes());
        }
        prop_assert_eq!(directed(&frame), directed(&frame));
        let _ = (symmetric(&frame), inner_ip_len_ok(&frame));
    }

    #[test]
    fn e87_any_two_ends_have_one_hash_if_symmetric(
        macs: [u8; 12],
        addresses: [u8; 32],
        ports: (u16, u16),
        is_v6: bool,
    ) {
        let sample = Sample::udp_v4(b"data");
        let sample = if is_v6 { sample.on_v6(&[]) } else { sample };
        let (at, address_len) = if is_v6 { (22, 16) } else { (26, 4) };
        let frame = changed(&sample.frame(), |frame| {
            frame[..12].copy_from_slice(&macs);
            frame[at..at + 2 * address_len].copy_from_slice(&addresses[..2 * address_len]);
        });
        let transport = sample.transport_offset();
        let frame = with_ports(&frame, transport, ports);
        let answer = answered(&frame, address_len, Some(transport));
        prop_assert_eq!(symmetric(&frame), symmetric(&answer));
    }
}
