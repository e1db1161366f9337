//! What the engine puts on the wire.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{Desired, TunnelKey};
use datapath::wire::mac::MacAddr;
use engine_support::{
    A, BROADCAST, C, EXPERIMENTAL, Flow, Rig, VTEP, arp, desired, ethernet, mac, network, numbered,
    vni, vxlan,
};
use std::collections::{HashMap, HashSet};

fn one_peer() -> Desired {
    desired([network("n", 256).port("p").peer(A)])
}

/// The source port of each frame, sent one by one from port `p`.
fn source_ports(desired: &Desired, frames: &[Vec<u8>]) -> Vec<u16> {
    let mut rig = Rig::new(desired);
    let mut port_of = |frame: &Vec<u8>| {
        rig.frame("p", frame);
        let sent = rig.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(&sent[0].payload[8..], frame);
        sent[0].source.port()
    };
    frames.iter().map(&mut port_of).collect()
}

fn assert_one_port(frames: &[Vec<u8>]) {
    let ports: HashSet<_> = source_ports(&one_peer(), frames).into_iter().collect();
    assert_eq!(ports.len(), 1, "{ports:?}");
}

/// Chi-square over the pool of 16 below the 0.1 % point of 15 degrees of freedom, nine tenths of the pool used.
fn assert_spread(frames: &[Vec<u8>]) {
    let mut bins: HashMap<u16, usize> = HashMap::new();
    for port in source_ports(&one_peer(), frames) {
        *bins.entry(port).or_default() += 1;
    }
    assert!(bins.keys().all(|port| (49152..49168).contains(port)));
    assert!(bins.len() >= 15, "{bins:?}");
    let expected = frames.len() as f64 / 16.0;
    let seen: f64 = bins.values().map(|&n| (n as f64 - expected).powi(2)).sum();
    let unseen = (16 - bins.len()) as f64 * expected.powi(2);
    let chi_square = (seen + unseen) / expected;
    assert!(chi_square < 37.70, "{chi_square:.1} {bins:?}");
}

#[test]
fn e77_e94_the_header_is_plain_and_the_frame_untouched() {
    for number in [1, 256, 0x12_3456, 0xff_ffff] {
        let mut rig = Rig::new(&desired([network("n", number).port("p").peer(A)]));
        let frames = [
            ethernet(mac(2), mac(1), EXPERIMENTAL, &[]),
            ethernet(mac(2), mac(1), EXPERIMENTAL, &[0xee]),
            arp(mac(1), 2),
            Flow::v4(mac(1), mac(2)).tcp(&[3; 1400]),
        ];
        for frame in &frames {
            rig.frame("p", frame);
            let sent = rig.sent();
            assert_eq!(sent.len(), 1);
            let [_, a, b, c] = u32::to_be_bytes(number);
            assert_eq!(sent[0].payload[..8], [8, 0, 0, 0, a, b, c, 0]);
            assert_eq!(&sent[0].payload[8..], frame);
            assert_eq!(sent[0].destination, A);
            assert_eq!(sent[0].source.ip(), VTEP);
        }
        rig.assert_drops(&[]);
    }
}

#[test]
fn e78_d74_the_udp_port_is_that_of_the_tunnel() {
    let odd = "10.200.0.7:8472".parse().unwrap();
    let usual = network("n1", 1).port("p1").peer(A);
    let other = network("n2", 2)
        .port("p2")
        .peer(odd)
        .peer(C)
        .with(|n| n.udp_port = 8472);
    let mut rig = Rig::new(&desired([usual, other]));
    let frame = numbered(BROADCAST, mac(1), 1);
    rig.frame("p1", &frame);
    rig.frame("p2", &frame);
    let expected = [
        (A, vxlan(1, &frame)),
        (C, vxlan(2, &frame)),
        (odd, vxlan(2, &frame)),
    ];
    assert_eq!(rig.sent_to(), expected);

    // What comes in is told apart by our UDP port, whatever port is sent to.
    rig.payload(C, 8472, &vxlan(2, &numbered(BROADCAST, mac(9), 2)));
    assert_eq!(rig.taken("p2").len(), 1);
    rig.payload(C, 4789, &vxlan(2, &frame));
    rig.assert_drops(&[("underlay", "rx.vni_unknown", 1)]);
}

#[test]
fn d74_an_entrys_own_vni_and_port_go_on_the_wire() {
    let key = TunnelKey {
        remote: "10.200.0.7:8472".parse().unwrap(),
        vni: vni(77),
    };
    let base = network("n", 256).port("p").peer(A).tunnel(key, false);
    let target = datapath::config::FdbTarget::Tunnel(key);
    let mut rig = Rig::new(&desired([base.entry(mac(2), target)]));
    let (known, flooded) = (numbered(mac(2), mac(1), 1), numbered(BROADCAST, mac(1), 2));
    rig.frame("p", &known);
    assert_eq!(rig.sent_to(), [(key.remote, vxlan(77, &known))]);
    rig.frame("p", &flooded);
    assert_eq!(rig.sent_to(), [(A, vxlan(256, &flooded))]);
    rig.assert_drops(&[]);
}

#[test]
fn d74_a_flood_to_tunnels_of_different_vnis_keeps_each_copy_whole() {
    let other = TunnelKey {
        remote: C,
        vni: vni(77),
    };
    let mixed = network("n", 256).port("p").peer(A).tunnel(other, true);
    let mut rig = Rig::new(&desired([mixed]));
    // Several in one batch, so that copies lie beside later frames.
    let frames: Vec<_> = (0..200).map(|n| numbered(BROADCAST, mac(1), n)).collect();
    for frame in &frames {
        rig.frame("p", frame);
    }
    let mut expected: Vec<_> = frames
        .iter()
        .flat_map(|f| [(A, vxlan(256, f)), (C, vxlan(77, f))])
        .collect();
    expected.sort();
    assert_eq!(rig.sent_to(), expected);
    rig.assert_drops(&[]);
}

#[test]
fn e79_source_ports_are_of_the_configured_pool() {
    let mut narrow = one_peer();
    narrow.vtep.source_ports = 60000..=60003;
    narrow.vtep.source_port_pool = 4;
    let flow = Flow::v4(mac(1), mac(2));
    let frames: Vec<_> = (1000..1100)
        .map(|port| flow.sent_from(port).udp(b"x"))
        .collect();
    let used: HashSet<_> = source_ports(&narrow, &frames).into_iter().collect();
    assert_eq!(used, HashSet::from([60000, 60001, 60002, 60003]));
}

#[test]
fn e81_a_flow_has_one_source_port() {
    for flow in [Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2))] {
        let udp: Vec<_> = (0..20)
            .map(|n| flow.udp(&vec![n; 10 * usize::from(n)]))
            .collect();
        assert_one_port(&udp);
        let tcp: Vec<_> = (0..20)
            .map(|n| flow.tcp(&vec![n; 10 * usize::from(n)]))
            .collect();
        assert_one_port(&tcp);
    }
}

#[test]
fn e81_a_flow_has_one_source_port_to_every_vtep_and_after_an_apply() {
    let state = desired([network("n", 256).port("p").peer(A).peer(C)]);
    let mut rig = Rig::new(&state);
    let frame = Flow::v4(mac(1), mac(2)).udp(b"x");
    rig.frame("p", &frame);
    let mut sent = rig.sent();
    let more = network("m", 257).port("q");
    let mut grown = state.clone();
    grown.networks.push(more.0);
    rig.apply(&grown).unwrap();
    rig.frame("p", &frame);
    sent.extend(rig.sent());
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|d| d.source == sent[0].source));
}

#[test]
fn e82_flows_spread_over_the_pool() {
    for flow in [Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2))] {
        let by_port: Vec<_> = (0..400)
            .map(|n| flow.sent_from(32768 + n).tcp(b"x"))
            .collect();
        assert_spread(&by_port);
    }
    let by_address: Vec<_> = (0..400u32)
        .map(|n| {
            let mut flow = Flow::v4(mac(1), mac(2));
            let [_, _, c, d] = n.to_be_bytes();
            flow.src.1 = [10, 1, c, d].into();
            flow.udp(b"x")
        })
        .collect();
    assert_spread(&by_address);
}

#[test]
fn e83_all_fragments_of_a_datagram_have_one_source_port() {
    let whole = Flow::v4(mac(1), mac(2)).udp(&[7; 64]);
    let fragment = |offset_and_flags: u16, payload: &[u8]| {
        let mut frame = [&whole[..34], payload].concat();
        let total = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
        frame[20..22].copy_from_slice(&offset_and_flags.to_be_bytes());
        frame[24..26].fill(0);
        let header = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0;
        frame[24..26].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
        frame
    };
    let more = 0x2000;
    assert_one_port(&[
        fragment(more, &whole[34..66]),
        fragment(more | 4, &[0xab; 32]),
        fragment(8, &[0xcd; 8]),
    ]);
}

#[test]
fn e84_all_fragments_of_an_ipv6_datagram_have_one_source_port() {
    let whole = Flow::v6(mac(1), mac(2)).udp(&[7; 64]);
    let fragment = |offset_and_more: u16, payload: &[u8]| {
        let [a, b] = offset_and_more.to_be_bytes();
        let header = [17, 0, a, b, 0, 0, 0, 9];
        let mut frame = [&whole[..54], &header, payload].concat();
        let len = (frame.len() - 54) as u16;
        frame[18..20].copy_from_slice(&len.to_be_bytes());
        frame[20] = 44;
        frame
    };
    assert_one_port(&[
        fragment(1, &whole[54..86]),
        fragment(4 << 3 | 1, &[0xab; 32]),
        fragment(8 << 3, &[0xcd; 8]),
    ]);
}

#[test]
fn e86_what_is_not_ip_is_told_apart_by_macs_and_ethertype() {
    let frames: Vec<_> = (0..20u8)
        .map(|n| ethernet(mac(2), mac(1), 0x88cc, &vec![n; usize::from(n)]))
        .collect();
    assert_one_port(&frames);
    let many: Vec<_> = (0..400)
        .map(|n| numbered(mac(0x1000 + n), mac(1), 0))
        .collect();
    assert_spread(&many);
    assert_one_port(&(0..20).map(|n| arp(mac(1), n)).collect::<Vec<_>>());
}

#[test]
fn e87_both_directions_have_one_source_port_if_symmetric() {
    let mut symmetric = one_peer();
    symmetric.vtep.symmetric_hash = true;
    let there_and_back = |flow: Flow| {
        // Destinations stay unknown, so both directions leave through the tunnel.
        let answer = Flow {
            src: (MacAddr([0x02, 9, 9, 9, 9, 9]), flow.dst.1, flow.dst.2),
            dst: (MacAddr([0x02, 8, 8, 8, 8, 8]), flow.src.1, flow.src.2),
        };
        [flow.tcp(b"x"), answer.tcp(b"y")]
    };
    let mut differ = 0;
    for n in 0..50 {
        let flow = Flow::v4(mac(1), mac(2)).sent_from(20000 + n);
        let same = source_ports(&symmetric, &there_and_back(flow));
        assert_eq!(same[0], same[1]);
        let plain = source_ports(&one_peer(), &there_and_back(flow));
        differ += usize::from(plain[0] != plain[1]);
    }
    assert!(
        differ > 25,
        "without the option directions differ: {differ}"
    );
}
