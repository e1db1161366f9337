//! What the engine does with datagrams before it looks at the frame inside.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::ReservedBits;
use datapath::event::Event;
use engine_support::{
    A, BROADCAST, Book, C, Rig, STRANGER, desired, mac, network, numbered, vni, vxlan,
};
use std::net::{IpAddr, SocketAddr};

/// One network of VNI 256 with a port and two peers.
fn rig() -> Rig {
    Rig::new(&desired([network("n", 256).port("p").peer(A).peer(C)]))
}

fn hello() -> Vec<u8> {
    numbered(BROADCAST, mac(1), 1)
}

/// The header of VNI 256 with these bits set besides.
fn with_bits(bits: u64) -> Vec<u8> {
    let plain = u64::from_be_bytes(vxlan(256, &[]).try_into().unwrap());
    [&(plain | bits).to_be_bytes()[..], &hello()].concat()
}

/// The seven reserved flags one at a time, the 24-bit field, the last byte.
fn every_reserved_bit() -> impl Iterator<Item = u64> {
    let flags = (56..64).filter(|&bit| bit != 59);
    flags.chain(32..56).chain(0..8).map(|bit| 1 << bit)
}

#[test]
fn a6_fewer_than_8_bytes_are_a_counted_drop_and_teach_nothing() {
    let mut rig = rig();
    for len in 0..8 {
        rig.payload(A, 4789, &vxlan(256, &hello())[..len]);
    }
    assert!(rig.taken("p").is_empty());
    rig.assert_drops(&[("underlay", "rx.too_short_vxlan", 8)]);
    assert_eq!(rig.settle().network("n").macs, 0);
}

#[test]
fn a7_fewer_than_14_bytes_of_frame_are_a_counted_drop_and_teach_nothing() {
    let mut rig = rig();
    for len in 0..14 {
        rig.datagram(A, 256, &hello()[..len]);
    }
    assert!(rig.taken("p").is_empty());
    rig.assert_drops(&[("10.200.0.2:4789", "rx.too_short_inner", 14)]);
    assert_eq!(rig.settle().network("n").macs, 0);
}

#[test]
fn a8_the_source_port_of_a_datagram_decides_nothing() {
    let mut rig = rig();
    for port in [0, 53, 4789, 65535] {
        rig.datagram(SocketAddr::new(A.ip(), port), 256, &hello());
    }
    assert_eq!(rig.taken("p"), vec![hello(); 4]);
    rig.assert_drops(&[]);
}

#[test]
fn a10_j178_our_own_address_is_no_sender() {
    let mut rig = rig();
    rig.datagram("10.200.0.1:50000".parse().unwrap(), 256, &hello());
    rig.assert_drops(&[("underlay", "rx.outer_src_self", 1)]);
    assert!(rig.taken("p").is_empty());
    assert_eq!(rig.settle().network("n").macs, 0);
}

#[test]
fn a11_addresses_that_are_no_hosts_are_no_senders() {
    // Open, so that nothing but the address speaks against them.
    let open = network("n", 256).port("p").with(|n| n.open_peers = true);
    let mut rig = Rig::new(&desired([open]));
    let invalid = [
        "0.0.0.0",
        "127.0.0.1",
        "127.255.0.9",
        "224.0.0.1",
        "239.1.2.3",
        "255.255.255.255",
        "::",
        "::1",
        "ff02::1",
        "::ffff:127.0.0.1",
    ];
    for address in invalid {
        let address: IpAddr = address.parse().unwrap();
        rig.datagram(SocketAddr::new(address, 4789), 256, &hello());
    }
    rig.assert_drops(&[("underlay", "rx.outer_src_invalid", invalid.len() as u64)]);
    let counters = rig.settle();
    assert_eq!(counters.network("n").macs, 0);
    assert_eq!(counters.network("n").ports.len(), 1, "no tunnel was made");
}

#[test]
fn a23_a_duplicate_is_delivered_twice() {
    let mut rig = rig();
    rig.datagram(A, 256, &hello());
    rig.datagram(A, 256, &hello());
    assert_eq!(rig.taken("p"), [hello(), hello()]);
    rig.assert_drops(&[]);
}

#[test]
fn b25_i_flag_clear_is_dropped_by_name() {
    let mut rig = rig();
    for flags in [0x00, 0xf7] {
        let mut payload = vxlan(256, &hello());
        payload[0] = flags;
        rig.payload(A, 4789, &payload);
    }
    rig.assert_drops(&[("underlay", "rx.vxlan_no_i", 2)]);
    assert!(rig.taken("p").is_empty());
}

#[test]
fn b26_b27_b28_b33_reserved_bits_are_ignored_and_counted() {
    let mut rig = rig();
    for bit in every_reserved_bit() {
        rig.payload(A, 4789, &with_bits(bit));
    }
    // A group policy ID is but reserved bits here.
    rig.payload(A, 4789, &with_bits(0x8000_1234_0000_0000));
    let count = every_reserved_bit().count() as u64 + 1;
    assert_eq!(rig.taken("p"), vec![hello(); count as usize]);
    rig.assert_drops(&[]);
    assert_eq!(rig.settle().network("n").reserved_ignored, count);
}

#[test]
fn b26_b27_b28_reserved_bits_are_dropped_where_that_is_asked_for() {
    let strict = |n: &mut datapath::config::NetworkSpec| {
        n.reserved_bits = ReservedBits::DropExcept(0);
    };
    let mut rig = Rig::new(&desired([network("n", 256).port("p").peer(A).with(strict)]));
    for bit in every_reserved_bit() {
        rig.payload(A, 4789, &with_bits(bit));
    }
    let count = every_reserved_bit().count() as u64;
    rig.assert_drops(&[("10.200.0.2:4789", "rx.vxlan_rsvd_drop", count)]);
    assert_eq!(rig.settle().network("n").macs, 0);
    rig.datagram(A, 256, &hello());
    assert_eq!(rig.taken("p"), [hello()]);
    assert_eq!(rig.settle().network("n").reserved_ignored, 0);
}

#[test]
fn b29_bits_of_the_mask_are_tolerated_and_no_others() {
    let mask = 0x8000_ffff_0000_0000;
    let masked = network("n", 256)
        .port("p")
        .peer(A)
        .with(|n| n.reserved_bits = ReservedBits::DropExcept(mask));
    let mut rig = Rig::new(&desired([masked]));
    let (mut passed, mut dropped) = (0, 0);
    for bit in every_reserved_bit() {
        rig.payload(A, 4789, &with_bits(bit));
        rig.payload(A, 4789, &with_bits(mask | bit));
        if bit & mask != 0 {
            passed += 2;
        } else {
            dropped += 2;
        }
    }
    assert_eq!(rig.taken("p").len(), passed);
    rig.assert_drops(&[("10.200.0.2:4789", "rx.vxlan_rsvd_drop", dropped)]);
    assert_eq!(rig.settle().network("n").reserved_ignored, passed as u64);
}

#[test]
fn b30_all_24_bits_of_the_vni_count_and_no_more() {
    let numbers = [0x00_0001, 0x00_0100, 0x01_0000, 0x80_0000, 0xff_ffff];
    let one = |n: u32| {
        let name = format!("n{n:06x}");
        network(&name, n).port(&format!("p{n:06x}")).peer(A)
    };
    let mut rig = Rig::new(&desired(numbers.map(one)));
    for number in numbers {
        let mut payload = vxlan(number, &numbered(BROADCAST, mac(1), number));
        // The byte behind the VNI is not part of it.
        payload[7] = 0xff;
        rig.payload(A, 4789, &payload);
    }
    for number in numbers {
        let frames = rig.taken(&format!("p{number:06x}"));
        assert_eq!(frames, [numbered(BROADCAST, mac(1), number)]);
    }
    rig.assert_drops(&[]);
}

#[test]
fn b31_an_unknown_vni_is_dropped_teaches_nothing_and_is_told_once() {
    let mut rig = rig();
    for number in [0, 1, 255, 257, 0x10100, 0xff_ffff] {
        rig.datagram(A, number, &hello());
        rig.datagram(A, number, &hello());
    }
    // Known, but not on this UDP port.
    rig.payload(A, 8472, &vxlan(256, &hello()));
    rig.assert_drops(&[("underlay", "rx.vni_unknown", 13)]);
    let counters = rig.settle();
    assert_eq!(counters.network("n").macs, 0);
    let told = rig.events().to_vec();
    let event = |number| Event::VniUnknown {
        vni: vni(number),
        remote: A.ip(),
    };
    let expected = [0, 1, 255, 257, 0x10100, 0xff_ffff, 256];
    assert_eq!(told, expected.map(event));
}

#[test]
fn b32_a_network_that_is_down_takes_nothing() {
    let up = network("n", 256).port("p").peer(A);
    let down = up.clone().with(|n| n.up = false);
    let mut rig = Rig::new(&desired([down]));
    rig.datagram(A, 256, &hello());
    rig.datagram(STRANGER, 256, &hello());
    rig.frame("p", &hello());
    rig.assert_drops(&[("network n", "rx.vni_down", 2), ("p", "rx.network_down", 1)]);
    assert_eq!(rig.settle().network("n").macs, 0);

    rig.apply(&desired([up])).unwrap();
    rig.datagram(A, 256, &hello());
    assert_eq!(rig.taken("p"), [hello()]);
}

#[test]
fn m215_who_is_not_a_peer_is_dropped_by_name_and_teaches_nothing() {
    let mut rig = rig();
    rig.datagram(STRANGER, 256, &hello());
    rig.datagram(STRANGER, 256, &[]);
    rig.assert_drops(&[("network n", "rx.vtep_unknown", 2)]);
    assert!(rig.taken("p").is_empty());
    assert_eq!(rig.settle().network("n").macs, 0);
    assert!(rig.sent().is_empty(), "and gets no answer");
}

#[test]
fn m216_a_peer_of_one_network_is_a_stranger_to_another() {
    let first = network("n1", 1).port("p1").peer(A);
    let second = network("n2", 2).port("p2").peer(C);
    let mut rig = Rig::new(&desired([first, second]));
    rig.datagram(A, 2, &hello());
    rig.datagram(C, 1, &hello());
    rig.datagram(STRANGER, 1, &hello());
    rig.assert_drops(&[
        ("network n1", "rx.vtep_vni_denied", 1),
        ("network n1", "rx.vtep_unknown", 1),
        ("network n2", "rx.vtep_vni_denied", 1),
    ]);
    assert!(rig.taken("p1").is_empty() && rig.taken("p2").is_empty());
    let counters = rig.settle();
    assert_eq!(counters.network("n1").macs + counters.network("n2").macs, 0);
}

#[test]
fn m216_a_peer_on_another_udp_port_is_no_peer_at_all() {
    let first = network("n1", 1).port("p1").peer(A);
    let second = network("n2", 2).port("p2").with(|n| n.udp_port = 8472);
    let mut rig = Rig::new(&desired([first, second]));
    rig.payload(A, 8472, &vxlan(2, &hello()));
    rig.assert_drops(&[("network n2", "rx.vtep_unknown", 1)]);
}
