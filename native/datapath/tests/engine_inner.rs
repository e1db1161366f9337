//! What the engine does with the frame inside a datagram: refuses what no station may send, hands on the rest byte for
//! byte, finishes what a kernel on the same machine left unfinished.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{NetworkSpec, PriorityTag, VlanPolicy};
use datapath::wire::mac::MacAddr;
use engine_support::frame::tcp_segment;
use engine_support::{
    A, BROADCAST, Book, EXPERIMENTAL, Flow, Rig, arp, desired, ethernet, mac, network, numbered,
    tagged,
};

const TUNNEL: &str = "10.200.0.2:4789";
const CUSTOMER: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;

fn rig_with(change: impl FnOnce(&mut NetworkSpec)) -> Rig {
    let network = network("n", 256).port("p").peer(A).with(change);
    Rig::new(&desired([network]))
}

fn rig() -> Rig {
    rig_with(|_| ())
}

/// Panics unless `frames` leave through the port unchanged, and nothing is dropped.
fn assert_passes(frames: &[Vec<u8>]) {
    let mut rig = rig();
    for frame in frames {
        rig.datagram(A, 256, frame);
    }
    assert_eq!(rig.taken("p"), frames);
    rig.assert_drops(&[]);
}

/// Panics unless `frames` are all dropped for `reason` and teach nothing, from the tunnel and from the port.
fn assert_refused(reason: &str, frames: &[Vec<u8>]) {
    let mut rig = rig();
    for frame in frames {
        rig.datagram(A, 256, frame);
        rig.frame("p", frame);
    }
    let count = frames.len() as u64;
    rig.assert_drops(&[(TUNNEL, reason, count), ("p", reason, count)]);
    assert!(rig.taken("p").is_empty() && rig.sent().is_empty());
    assert_eq!(rig.settle().network("n").macs, 0);
}

#[test]
fn c39_c52_short_frames_that_are_not_ip_pass_without_padding() {
    let payload: Vec<u8> = (1..=46).collect();
    let lens = [0, 1, 2, 3, 31, 45, 46];
    let frames = lens.map(|len| ethernet(BROADCAST, mac(1), 0x88cc, &payload[..len]));
    assert_passes(&frames);
    assert_passes(&[ethernet(BROADCAST, mac(1), 0x0806, &[]), arp(mac(1), 9)]);
}

#[test]
fn c40_an_ip_frame_without_room_for_its_header_is_dropped() {
    let mut rig = rig();
    for (ethertype, header) in [(0x0800, 20), (0x86dd, 40)] {
        for len in 0..header {
            let frame = ethernet(BROADCAST, mac(1), ethertype, &vec![0x45; len]);
            rig.datagram(A, 256, &frame);
        }
    }
    rig.assert_drops(&[(TUNNEL, "rx.inner_ip_short", 60)]);
    assert_eq!(rig.settle().network("n").macs, 0);
    // With that room it is a frame like any other, nonsense or not.
    let frame = ethernet(BROADCAST, mac(1), 0x0800, &[0x45; 20]);
    rig.datagram(A, 256, &frame);
    assert_eq!(rig.taken("p"), [frame]);
}

#[test]
fn c41_a_switch_is_no_validator() {
    let good = Flow::v4(mac(1), mac(2)).udp(b"payload");
    let changed = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] ^= byte;
        frame
    };
    // The version, the total length, the header checksum, the UDP length, the UDP checksum.
    let damaged = [14, 16, 24, 38, 40].map(|at| changed(at, 0x5a));
    assert_passes(&damaged);
}

#[test]
fn c42_i157_groups_are_no_sources() {
    let sources = [
        "01:00:5e:00:00:01",
        "33:33:00:00:00:01",
        "03:00:00:00:00:00",
    ];
    let parsed = sources.map(|text| text.parse().unwrap());
    let all = parsed.into_iter().chain([MacAddr::BROADCAST]);
    let frames: Vec<_> = all.map(|src| numbered(BROADCAST, src, 1)).collect();
    assert_refused("rx.src_mac_mcast", &frames);
}

#[test]
fn c43_i157_d72_nobody_is_no_source() {
    assert_refused("rx.src_mac_zero", &[numbered(BROADCAST, MacAddr::ZERO, 1)]);
}

#[test]
fn c45_nobody_is_no_destination() {
    assert_refused("rx.dst_mac_zero", &[numbered(MacAddr::ZERO, mac(1), 1)]);
}

#[test]
fn c46_i153_i154_i155_link_local_control_is_filtered() {
    let addresses = (0..16).map(|n| MacAddr([0x01, 0x80, 0xc2, 0, 0, n]));
    let frames: Vec<_> = addresses.map(|dst| numbered(dst, mac(1), 1)).collect();
    assert_refused("rx.l2ctrl_filtered", &frames);
}

#[test]
fn c47_c50_tagged_frames_are_dropped_unless_allowed() {
    let frame = numbered(BROADCAST, mac(1), 1);
    let frames = [
        tagged(&frame, CUSTOMER, 7),
        tagged(&frame, CUSTOMER, 4095),
        tagged(&frame, SERVICE, 7),
        tagged(&tagged(&frame, CUSTOMER, 7), SERVICE, 8),
    ];
    assert_refused("rx.inner_vlan", &frames);
}

#[test]
fn c48_c50_allowed_tags_are_kept_byte_for_byte_and_others_dropped() {
    let listed = VlanPolicy::Allow(vec![7..=7, 100..=200]);
    let mut rig = rig_with(|n| n.rules.vlan = listed);
    let frame = numbered(BROADCAST, mac(1), 1);
    let allowed = [
        frame.clone(),
        tagged(&frame, CUSTOMER, 0xf007),
        tagged(&frame, CUSTOMER, 100),
        tagged(&frame, SERVICE, 200),
        // The outermost tag decides.
        tagged(&tagged(&frame, CUSTOMER, 99), SERVICE, 7),
    ];
    let denied = [
        tagged(&frame, CUSTOMER, 0),
        tagged(&frame, CUSTOMER, 8),
        tagged(&frame, SERVICE, 99),
        tagged(&frame, CUSTOMER, 201),
        tagged(&tagged(&frame, CUSTOMER, 7), SERVICE, 99),
    ];
    for frame in allowed.iter().chain(&denied) {
        rig.datagram(A, 256, frame);
    }
    assert_eq!(rig.taken("p"), allowed);
    rig.assert_drops(&[(TUNNEL, "rx.inner_vlan_denied", denied.len() as u64)]);
    for frame in &allowed {
        rig.frame("p", frame);
    }
    let sent: Vec<_> = rig
        .sent()
        .into_iter()
        .map(|d| d.payload[8..].to_vec())
        .collect();
    let mut expected = allowed.to_vec();
    expected.sort();
    let mut sent = sent;
    sent.sort();
    assert_eq!(sent, expected);
}

#[test]
fn c48_an_empty_list_allows_every_tag() {
    let mut rig = rig_with(|n| n.rules.vlan = VlanPolicy::Allow(vec![]));
    let frame = numbered(BROADCAST, mac(1), 1);
    let frames = [0, 1, 4095].map(|vid| tagged(&frame, CUSTOMER, vid));
    for frame in &frames {
        rig.datagram(A, 256, frame);
    }
    assert_eq!(rig.taken("p"), frames);
    rig.assert_drops(&[]);
}

#[test]
fn c49_a_priority_tag_comes_off_or_is_dropped() {
    let frame = Flow::v4(mac(1), BROADCAST).udp(b"payload");
    let with_priority = tagged(&frame, CUSTOMER, 0xa000);
    let mut strips = rig();
    strips.datagram(A, 256, &with_priority);
    assert_eq!(strips.taken("p"), vec![frame.clone()]);
    strips.frame("p", &with_priority);
    let sent = strips.sent();
    assert_eq!(sent[0].payload[8..], frame);
    strips.assert_drops(&[]);

    let mut drops = rig_with(|n| n.rules.priority_tag = PriorityTag::Drop);
    drops.datagram(A, 256, &with_priority);
    drops.frame("p", &with_priority);
    drops.assert_drops(&[
        (TUNNEL, "rx.inner_prio_tag", 1),
        ("p", "rx.inner_prio_tag", 1),
    ]);
}

#[test]
fn c49_a_frame_that_ends_inside_its_tag_is_too_short() {
    let mut rig = rig();
    let bare = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[]);
    let shortest = tagged(&bare, CUSTOMER, 0);
    for len in 14..=18 {
        rig.datagram(A, 256, &shortest[..len]);
    }
    assert_eq!(rig.taken("p"), [bare]);
    rig.assert_drops(&[(TUNNEL, "rx.too_short_inner", 4)]);
}

#[test]
fn c51_a_frame_too_long_for_one_port_is_dropped_there_only() {
    let mtus = network("n", 256)
        .port_with("small", |p| p.mtu = 100)
        .port_with("large", |p| p.mtu = 1450)
        .peer(A)
        .with(|n| n.rules.vlan = VlanPolicy::Allow(vec![]));
    let mut rig = Rig::new(&desired([mtus]));
    let fits = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[7; 100]);
    let tagged_fits = tagged(&fits, CUSTOMER, 5);
    let exceeds = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[7; 101]);
    let tagged_exceeds = tagged(&exceeds, CUSTOMER, 5);
    for frame in [&fits, &tagged_fits, &exceeds, &tagged_exceeds] {
        rig.datagram(A, 256, frame);
    }
    assert_eq!(rig.taken("small"), [fits.clone(), tagged_fits.clone()]);
    let all = [fits, tagged_fits, exceeds, tagged_exceeds];
    assert_eq!(rig.taken("large"), all);
    rig.assert_drops(&[("small", "tx.port_mtu", 2)]);
    // The same between two ports.
    rig.frame("large", &all[2]);
    assert_eq!(rig.sent().len(), 1);
    rig.assert_drops(&[("small", "tx.port_mtu", 3)]);
}

#[test]
fn a_partial_checksum_from_a_kernel_peer_is_completed() {
    for flow in [Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2))] {
        let mut rig = rig();
        rig.datagram(A, 256, &flow.tcp_partial(b"some payload"));
        assert_eq!(rig.taken("p"), [flow.tcp(b"some payload")]);
        rig.assert_drops(&[]);
    }
}

#[test]
fn h152_an_unsegmented_tcp_frame_from_a_kernel_peer_is_split_to_the_ports_mtu() {
    for flow in [Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2))] {
        for len in [1500, 4000, 65_495] {
            let payload: Vec<u8> = (0..len).map(|n| (n * 7 % 251) as u8).collect();
            let mut rig = rig();
            rig.datagram(A, 256, &flow.tcp_partial(&payload));
            let segments: Vec<_> = rig.taken("p").iter().map(|f| tcp_segment(f)).collect();
            assert!(segments.len() > 1);
            let mut joined: Vec<u8> = Vec::new();
            for segment in &segments {
                assert!(segment.packet_len <= 1450, "{}", segment.packet_len);
                assert_eq!(segment.sequence as usize, 1000 + joined.len());
                joined.extend(&segment.payload);
            }
            assert_eq!(joined, payload);
            rig.assert_drops(&[]);
        }
    }
}

#[test]
fn c51_every_port_of_a_flood_gets_segments_of_its_own_mtu() {
    // Both orders of port numbers: what one port needs must not change what the next one gets.
    for names in [["a", "b", "c"], ["c", "b", "a"]] {
        let mut network = network("n", 256).peer(A);
        for name in names {
            network = network.port_with(name, |p| {
                p.mtu = match name {
                    "a" => 9000,
                    "b" => 1450,
                    _ => 576,
                };
            });
        }
        let mut rig = Rig::new(&desired([network]));
        let payload = [9; 4000];
        rig.datagram(A, 256, &Flow::v4(mac(1), mac(2)).tcp_partial(&payload));
        for (port, mtu, count) in [("a", 9000, 1), ("b", 1450, 3), ("c", 576, 8)] {
            let segments: Vec<_> = rig.taken(port).iter().map(|f| tcp_segment(f)).collect();
            assert_eq!(segments.len(), count, "{port} of {names:?}");
            assert!(segments.iter().all(|s| s.packet_len <= mtu));
            let len: usize = segments.iter().map(|s| s.payload.len()).sum();
            assert_eq!(len, payload.len());
        }
        rig.assert_drops(&[]);
    }
}

#[test]
fn c51_a_finished_frame_longer_than_the_mtu_is_dropped_not_split() {
    let mut rig = rig();
    for flow in [Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2))] {
        rig.datagram(A, 256, &flow.tcp(&[1; 4000]));
        rig.datagram(A, 256, &flow.udp(&[1; 4000]));
    }
    assert!(rig.taken("p").is_empty());
    rig.assert_drops(&[("p", "tx.port_mtu", 4)]);
}
