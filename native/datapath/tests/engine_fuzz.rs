//! Any bytes from anywhere: nothing panics, and everything is counted exactly once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{Desired, ReservedBits, VlanPolicy};
use datapath::error::ErrorCode;
use datapath::io::memory::MemoryDatagram;
use datapath::wire::mac::MacAddr;
use engine_support::{
    A, BROADCAST, C, EXPERIMENTAL, Flow, Rig, STRANGER, VTEP, desired, ethernet, mac, network,
    tagged, vxlan,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::SocketAddr;

/// Networks that treat bits, tags and strangers in different ways, and ports of different MTUs.
fn state(workers: usize) -> Desired {
    let plain = network("plain", 1).port("a").port("b").peer(A).peer(C);
    let strict = network("strict", 2)
        .port_with("c", |p| p.mtu = 68)
        .port_with("d", |p| p.mtu = 9000)
        .peer(A)
        .with(|n| {
            n.reserved_bits = ReservedBits::DropExcept(0xff);
            n.rules.vlan = VlanPolicy::Allow(vec![1..=100]);
            n.fdb_limits.max_macs = 8;
            n.fdb_limits.evict_oldest = true;
        });
    let open = network("open", 3)
        .port_with("e", |p| p.hairpin = true)
        .with(|n| {
            n.open_peers = true;
            n.rules.vlan = VlanPolicy::Allow(vec![]);
        });
    let mut state = desired([plain, strict, open]);
    state.engine.workers = workers;
    state
}

const PORTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A sound frame with some bytes changed and perhaps its end cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let sound = (0..7usize, vec(any::<u8>(), 0..2000)).prop_map(|(kind, payload)| {
        let (v4, v6) = (Flow::v4(mac(1), mac(2)), Flow::v6(mac(2), BROADCAST));
        match kind {
            0 => v4.udp(&payload),
            1 => v4.tcp(&payload),
            2 => v4.tcp_partial(&payload),
            3 => v6.tcp_partial(&payload),
            4 => v6.udp(&payload),
            5 => tagged(&v4.tcp_partial(&payload), 0x8100, 0x2000),
            _ => ethernet(BROADCAST, mac(3), EXPERIMENTAL, &payload),
        }
    });
    let damage = vec((0..80usize, any::<u8>()), 0..4);
    (sound, damage, 0..200usize).prop_map(|(mut frame, damage, cut)| {
        for (at, byte) in damage {
            if let Some(at) = frame.get_mut(at) {
                *at = byte;
            }
        }
        frame.truncate(if cut < 100 { cut } else { frame.len() });
        frame
    })
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => vec(any::<u8>(), 0..100),
        1 => vec(any::<u8>(), 1000..3000),
        4 => damaged(),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        6 => (1..4u32).prop_map(|vni| vxlan(vni, &[])),
        1 => any::<u32>().prop_map(|vni| vxlan(vni, &[])),
        1 => any::<[u8; 8]>().prop_map(|bytes| bytes.to_vec()),
        1 => (1..4u32, 0..64u32).prop_map(|(vni, bit)| {
            let mut header = vxlan(vni, &[]);
            header[bit as usize / 8] ^= 1 << (bit % 8);
            header
        }),
        1 => vec(any::<u8>(), 0..8),
    ];
    (header, frame()).prop_map(|(header, frame)| match header.len() {
        8 => [header, frame].concat(),
        _ => header,
    })
}

fn source() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        6 => Just(A),
        3 => Just(C),
        1 => Just(STRANGER),
        1 => Just(SocketAddr::new(VTEP, 4789)),
        1 => any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        1 => any::<([u16; 8], u16)>().prop_map(SocketAddr::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn c53_any_bytes_in_datagrams_are_counted_exactly_once(
        datagrams in vec((source(), prop_oneof![9 => Just(4789), 1 => any::<u16>()], payload()), 1..40),
        workers in 1..3usize,
    ) {
        let mut rig = Rig::new(&state(workers));
        for (source, port, payload) in &datagrams {
            rig.payload(*source, *port, payload);
        }
        // The rig waits for each to be counted, and looks for workers that died.
        let counters = rig.settle();
        prop_assert_eq!(counters.datagrams, datagrams.len() as u64);
        prop_assert!(rig.sent().is_empty(), "nothing goes from a VTEP to a VTEP");
    }

    #[test]
    fn c53_any_bytes_in_frames_are_counted_exactly_once(
        frames in vec((0..PORTS.len(), frame()), 1..40),
        workers in 1..3usize,
    ) {
        let mut rig = Rig::new(&state(workers));
        for (port, frame) in &frames {
            rig.frame(PORTS[*port], frame);
        }
        rig.settle();
        for datagram in rig.sent() {
            let MemoryDatagram { source, destination, payload, .. } = datagram;
            prop_assert!(source.ip() == VTEP && [A, C].contains(&destination));
            prop_assert_eq!(payload[0], 8);
        }
    }
}

/// The longest datagram and the longest frame there can be, and a frame that no link has.
#[test]
fn c53_the_longest_of_everything_is_counted() {
    let mut rig = Rig::new(&state(1));
    let longest = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[1; 65_507 - 22]);
    rig.datagram(A, 3, &longest);
    rig.datagram(A, 1, &longest);
    let partial = Flow::v4(mac(1), mac(2)).tcp_partial(&[2; 65_000]);
    rig.datagram(A, 2, &partial);
    rig.frame("a", &longest);
    rig.frame("e", &vec![3; 65_792]);
    rig.frame("a", &vec![4; 70_000]);
    let refused = rig.datapath.inject("b", vec![5; 100_000]).unwrap_err();
    assert_eq!(refused.code, ErrorCode::BadValue);
    rig.settle();
    // A port of 68 bytes of MTU gets segments of 28 bytes each.
    assert_eq!(rig.taken("c").len(), 65_000_usize.div_ceil(28));
    assert_eq!(rig.taken("d").len(), 65_000_usize.div_ceil(9000 - 40));
}

/// Every 14-byte frame whose addresses are odd in some way.
#[test]
fn c53_odd_addresses_are_counted() {
    let odd = [
        MacAddr::ZERO,
        MacAddr::BROADCAST,
        MacAddr([1; 6]),
        MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]),
        mac(1),
    ];
    let mut rig = Rig::new(&state(2));
    for dst in odd {
        for src in odd {
            for ethertype in [0, 0x0800, 0x86dd, 0x8100, 0x88a8, 0xffff] {
                let frame = ethernet(dst, src, ethertype, &[]);
                rig.datagram(A, 1, &frame);
                rig.frame("c", &frame);
            }
        }
    }
    assert_eq!(rig.settle().datagrams, 150);
}
