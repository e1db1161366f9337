//! Congestion marks and DSCP across the tunnel (RFC 6040, RFC 2983): what the outer header of a datagram does to the frame
//! inside, and the other way round.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{Desired, EcnMode, NetworkSpec, VlanPolicy};
use datapath::event::Event;
use datapath::wire::ecn::Ecn;
use engine_support::{A, BROADCAST, Book, C, Flow, Rig, arp, desired, mac, network, tagged};
use etherparse::{EtherType, Ethernet2Slice, Ipv4Header, Ipv6Header};
use proptest::prelude::*;

const TUNNEL: &str = "10.200.0.2:4789";
const CUSTOMER: u16 = 0x8100;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// What becomes of a frame: the field that it has then, or nothing.
type Cell = Option<u8>;

/// RFC 6040 figure 4: the inner field, and what it becomes with an outer one of Not-ECT, ECT(0), ECT(1), CE.
const FIGURE_4: [(u8, [Cell; 4]); 4] = [
    (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
    (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
    (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
    (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
];
const COLUMNS: [u8; 4] = [NOT_ECT, ECT_0, ECT_1, CE];

/// (inner, outer, what it becomes), all sixteen.
fn cells() -> impl Iterator<Item = (u8, u8, Cell)> {
    let rows = FIGURE_4.into_iter();
    rows.flat_map(|(inner, row)| {
        COLUMNS
            .into_iter()
            .zip(row)
            .map(move |(o, b)| (inner, o, b))
    })
}

fn becomes(inner: u8, outer: u8) -> Cell {
    let found = cells().find(|&(i, o, _)| (i, o) == (inner, outer));
    found.unwrap().2
}

/// Accepted, but marked (!!!).
fn is_odd(inner: u8, outer: u8) -> bool {
    [(NOT_ECT, ECT_0), (NOT_ECT, ECT_1), (CE, ECT_1)].contains(&(inner, outer))
}

fn rig_with(change: impl FnOnce(&mut NetworkSpec)) -> Rig {
    let network = network("n", 256).port("p").peer(A).with(change);
    Rig::new(&desired([network]))
}

/// The frame with another type of service or traffic class, its IP header written anew by `etherparse`.
fn with_tos(frame: &[u8], tos: u8) -> Vec<u8> {
    let link = match &frame[12..14] {
        [0x81, 0x00] => 18,
        _ => 14,
    };
    let mut out = frame[..link].to_vec();
    let inner = [&frame[..12], &frame[link - 2..]].concat();
    let ethernet = Ethernet2Slice::from_slice_without_fcs(&inner).unwrap();
    if ethernet.ether_type() == EtherType::IPV4 {
        let (mut ip, rest) = Ipv4Header::from_slice(ethernet.payload_slice()).unwrap();
        ip.dscp = (tos >> 2).try_into().unwrap();
        ip.ecn = (tos & 3).try_into().unwrap();
        ip.header_checksum = ip.calc_header_checksum();
        ip.write(&mut out).unwrap();
        out.extend(rest);
    } else {
        let (mut ip, rest) = Ipv6Header::from_slice(ethernet.payload_slice()).unwrap();
        ip.traffic_class = tos;
        ip.write(&mut out).unwrap();
        out.extend(rest);
    }
    out
}

/// Both versions, UDP and TCP.
fn frames() -> Vec<Vec<u8>> {
    let flows = [Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2))];
    let both = |flow: &Flow| [flow.udp(b"payload"), flow.tcp(b"payload")];
    flows.iter().flat_map(both).collect()
}

/// Panics unless every cell of the figure holds for the frames as `shape` makes them, with any DSCP.
fn assert_figure(mut rig: Rig, shape: impl Fn(Vec<u8>) -> Vec<u8>) {
    let (mut odd, mut dropped) = (0, 0);
    for frame in frames() {
        for (inner, outer, becomes) in cells() {
            for dscp in [0, 0xb8] {
                let sent = shape(with_tos(&frame, dscp | inner));
                // The outer DSCP is nothing to the inner one.
                rig.marked(A, 0x28 | outer, 256, &sent);
                let expected = becomes.map(|ecn| shape(with_tos(&frame, dscp | ecn)));
                let got = rig.taken("p");
                assert_eq!(
                    got,
                    Vec::from_iter(expected),
                    "inner {inner:02b}, outer {outer:02b}"
                );
                odd += u64::from(is_odd(inner, outer));
                dropped += u64::from(becomes.is_none());
            }
        }
    }
    rig.assert_drops(&[(TUNNEL, "rx.ecn_ce_notect", dropped)]);
    let network = rig.settle().network("n").clone();
    assert_eq!((network.ecn_odd, network.ecn_nonip), (odd, 0));
}

#[test]
fn f101_f102_f105_f109_all_cells_with_any_inner_packet() {
    assert_figure(rig_with(|_| ()), |frame| frame);
}

#[test]
fn f104_all_cells_behind_a_vlan_tag() {
    let allowed = rig_with(|n| n.rules.vlan = VlanPolicy::Allow(vec![]));
    assert_figure(allowed, |frame| tagged(&frame, CUSTOMER, 0xa007));
}

#[test]
fn f104_a_priority_tag_that_comes_off_changes_nothing() {
    let mut rig = rig_with(|_| ());
    let frame = Flow::v4(mac(1), mac(2)).udp(b"payload");
    let sent = tagged(&with_tos(&frame, ECT_0), CUSTOMER, 0xa000);
    rig.marked(A, CE, 256, &sent);
    assert_eq!(rig.taken("p"), [with_tos(&frame, CE)]);
}

#[test]
fn f101_a_wrong_header_checksum_is_not_made_right() {
    let mut rig = rig_with(|_| ());
    let mut sent = with_tos(&Flow::v4(mac(1), mac(2)).udp(b"payload"), ECT_0);
    sent[24] ^= 0x11;
    rig.marked(A, CE, 256, &sent);
    let got = rig.taken("p").remove(0);
    assert_eq!(got[15], CE);
    let ip = Ipv4Header::from_slice(&got[14..]).unwrap().0;
    assert_ne!(ip.header_checksum, ip.calc_header_checksum());
}

#[test]
fn f103_frames_that_are_not_ip_pass_unchanged() {
    let mut rig = rig_with(|_| ());
    let arp = arp(mac(1), 9);
    // Says IPv4, and has another version.
    let mut malformed = Flow::v4(mac(1), mac(2)).udp(b"payload");
    malformed[14] = 0x65;
    for outer in COLUMNS {
        for frame in [&arp, &malformed] {
            rig.marked(A, outer, 256, frame);
            assert_eq!(rig.taken("p"), std::slice::from_ref(frame));
        }
    }
    rig.assert_drops(&[]);
    let network = rig.settle().network("n").clone();
    assert_eq!((network.ecn_odd, network.ecn_nonip), (0, 2));
}

#[test]
fn f101_what_is_dropped_teaches_nothing() {
    let mut rig = rig_with(|_| ());
    rig.marked(A, CE, 256, &Flow::v4(mac(1), mac(2)).udp(b"payload"));
    rig.assert_drops(&[(TUNNEL, "rx.ecn_ce_notect", 1)]);
    assert_eq!(rig.settle().network("n").macs, 0);
}

#[test]
fn f105_an_odd_pair_is_told_once_for_each_vtep() {
    let network = network("n", 256).port("p").peer(A).peer(C);
    let mut rig = Rig::new(&desired([network]));
    let frame = Flow::v4(mac(1), mac(2)).udp(b"payload");
    for _ in 0..3 {
        rig.marked(A, ECT_1, 256, &frame);
        rig.marked(C, CE, 256, &frame);
    }
    assert_eq!(rig.settle().network("n").ecn_odd, 3);
    let event = |from: &str, outer| Event::EcnOdd {
        network: "n".into(),
        from: from.into(),
        inner: Ecn::NotEct,
        outer,
    };
    let is_odd = |e: &&Event| matches!(e, Event::EcnOdd { .. });
    let told: Vec<_> = rig.events().iter().filter(is_odd).cloned().collect();
    let expected = [event(TUNNEL, Ecn::Ect1), event("10.200.0.3:4789", Ecn::Ce)];
    assert_eq!(told, expected);
}

#[test]
fn f101_every_port_of_a_flood_gets_the_mark() {
    let network = network("n", 256).port("p").port("q").peer(A);
    let mut rig = Rig::new(&desired([network]));
    let frame = Flow::v6(mac(1), BROADCAST).udp(b"payload");
    rig.marked(A, CE, 256, &with_tos(&frame, ECT_1));
    let expected = [with_tos(&frame, CE)];
    assert_eq!(rig.taken("p"), expected);
    assert_eq!(rig.taken("q"), expected);
}

#[test]
fn f101_the_mark_of_a_stranger_waits_with_its_datagram() {
    let mut rig = rig_with(|n| n.open_peers = true);
    let frame = Flow::v4(mac(1), mac(2)).udp(b"payload");
    rig.marked(C, CE, 256, &with_tos(&frame, ECT_0));
    assert_eq!(rig.taken("p"), [with_tos(&frame, CE)]);
}

#[test]
fn f101_each_segment_of_a_kernels_superframe_gets_the_mark() {
    for flow in [Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2))] {
        let mut rig = rig_with(|_| ());
        let superframe = with_tos(&flow.tcp_partial(&[7; 4000]), ECT_0);
        rig.marked(A, CE, 256, &superframe);
        let segments = rig.taken("p");
        assert_eq!(segments.len(), 3);
        for segment in &segments {
            assert_eq!(*segment, with_tos(segment, CE));
        }
    }
}

fn sending(change: impl FnOnce(&mut Desired)) -> Rig {
    let mut state = desired([network("n", 256).port("p").peer(A)]);
    change(&mut state);
    Rig::new(&state)
}

/// The outer type of service of each frame, which leaves unchanged.
fn outer_tos(rig: &mut Rig, frames: &[Vec<u8>]) -> Vec<u8> {
    let outer = |frame: &Vec<u8>| {
        rig.frame("p", frame);
        let sent = rig.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].payload[8..], *frame);
        sent[0].tos
    };
    frames.iter().map(outer).collect()
}

#[test]
fn e92_f106_f107_f108_the_outer_header_follows_the_inner_one_as_configured() {
    let modes = [
        (EcnMode::Normal, COLUMNS),
        (EcnMode::Compat, [NOT_ECT; 4]),
        (EcnMode::Linux, [NOT_ECT, ECT_0, ECT_1, ECT_0]),
    ];
    for (ecn, fields) in modes {
        for (tos, dscp) in [(Some(0), 0), (Some(0x28), 0x28), (None, 0xb8)] {
            let mut rig = sending(|d| (d.vtep.ecn, d.vtep.tos) = (ecn, tos));
            for frame in frames() {
                let sent = COLUMNS.map(|inner| with_tos(&frame, 0xb8 | inner));
                let tags = sent.clone().map(|frame| tagged(&frame, CUSTOMER, 0xa000));
                assert_eq!(outer_tos(&mut rig, &sent), fields.map(|ecn| dscp | ecn));
                // The tag comes off, the frame does not change otherwise.
                for (tagged, ecn) in tags.iter().zip(fields) {
                    rig.frame("p", tagged);
                    assert_eq!(rig.sent()[0].tos, dscp | ecn);
                }
            }
            assert_eq!(outer_tos(&mut rig, &[arp(mac(1), 9)]), [tos.unwrap_or(0)]);
        }
    }
}

#[test]
fn f110_the_pcp_chooses_the_dscp_also_of_a_tag_that_comes_off() {
    let frame = with_tos(&Flow::v4(mac(1), mac(2)).udp(b"payload"), 0x88 | ECT_0);
    for vlan in [VlanPolicy::Discard, VlanPolicy::Allow(vec![])] {
        let mut rig = rig_with(|n| {
            n.rules.vlan = vlan;
            n.pcp_tos[5] = Some(0xb8);
        });
        let mut outer = |frame: &[u8]| {
            rig.frame("p", frame);
            rig.sent().remove(0).tos
        };
        assert_eq!(outer(&tagged(&frame, CUSTOMER, 5 << 13)), 0xb8 | ECT_0);
        assert_eq!(outer(&tagged(&frame, CUSTOMER, 6 << 13)), ECT_0);
        assert_eq!(outer(&frame), ECT_0);
    }
}

#[test]
fn f106_each_copy_of_a_flood_and_each_segment_has_the_field() {
    let mut rig = Rig::new(&desired([network("n", 256).port("p").peer(A).peer(C)]));
    rig.frame("p", &with_tos(&Flow::v4(mac(1), BROADCAST).udp(b"x"), CE));
    let marks: Vec<_> = rig.sent().iter().map(|d| d.tos).collect();
    assert_eq!(marks, [CE, CE]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Frames of many kinds in one batch: none gets what belongs to another.
    #[test]
    fn f101_f102_f111_in_a_batch_each_keeps_its_own(
        arrivals in proptest::collection::vec((0..4usize, any::<u8>(), any::<u8>()), 1..60),
    ) {
        let mut rig = rig_with(|_| ());
        let frames = frames();
        let mut expected = Vec::new();
        let mut dropped = 0;
        for (n, &(kind, inner, outer)) in arrivals.iter().enumerate() {
            let mut frame = frames[kind].clone();
            *frame.last_mut().unwrap() = n as u8;
            rig.marked(A, outer, 256, &with_tos(&frame, inner));
            match becomes(inner & 3, outer & 3) {
                Some(ecn) => expected.push(with_tos(&frame, inner & !3 | ecn)),
                None => dropped += 1,
            }
        }
        prop_assert_eq!(rig.taken("p"), expected);
        let all = [(TUNNEL, "rx.ecn_ce_notect", dropped)];
        rig.assert_drops(if dropped > 0 { &all } else { &[] });
        // Back through the tunnel: mac(2) answers nobody, so all of it floods to the one peer.
        let mut back = sending(|_| ());
        for (n, &(kind, inner, _)) in arrivals.iter().enumerate() {
            let mut frame = with_tos(&frames[kind], inner);
            *frame.last_mut().unwrap() = n as u8;
            back.frame("p", &frame);
        }
        for datagram in back.sent() {
            let n = usize::from(*datagram.payload.last().unwrap());
            prop_assert_eq!(datagram.tos, arrivals[n].1 & 3);
        }
    }
}
