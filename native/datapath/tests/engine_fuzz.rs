//! Any bytes from anywhere: nothing panics, and everything is counted exactly once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::error::ErrorCode;
use datapath::io::memory::MemoryDatagram;
use datapath::wire::mac::MacAddr;
use engine_support::fuzz::{PORTS, frame, payload, source, state};
use engine_support::{A, BROADCAST, C, EXPERIMENTAL, Flow, Rig, VTEP, ethernet, mac};
use proptest::collection::vec;
use proptest::prelude::*;

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
