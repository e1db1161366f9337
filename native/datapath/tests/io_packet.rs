//! Packet ports at both ends of a veth pair: what is written to one arrives at the other, by whichever calls. Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod io_support;

use datapath::io::Refusal;
use datapath::io::packet::{PacketBatch, PacketInterface, PacketSpec};
use io_support::{Namespace, wait_for};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};

/// Which calls and which header an end of the pair is opened with.
#[derive(Debug, Clone, Copy)]
struct Ways {
    vnet_hdr: bool,
    many: bool,
}

const ALL_WAYS: [Ways; 4] = [
    ways(false, false),
    ways(false, true),
    ways(true, false),
    ways(true, true),
];

const fn ways(vnet_hdr: bool, many: bool) -> Ways {
    Ways { vnet_hdr, many }
}

/// A veth pair with nobody else at its ends.
struct Pair(Namespace);

impl Pair {
    fn new(label: &str) -> Self {
        let namespace = Namespace::new(label);
        namespace.exec("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
        namespace.ip("link add name p0 mtu 65535 type veth peer name p1 mtu 65535");
        for ifname in ["p0", "p1"] {
            namespace.ip(&format!("link set dev {ifname} arp off up"));
        }
        Self(namespace)
    }

    fn open(&self, ifname: &str, ways: Ways) -> PacketInterface {
        PacketInterface::open(&PacketSpec {
            netns: Some(self.0.path().into()),
            ifname: ifname.into(),
            vnet_hdr: ways.vnet_hdr,
            recvmmsg: ways.many,
            sendmmsg: ways.many,
            vtep: IpAddr::V4(Ipv4Addr::LOCALHOST),
        })
        .unwrap()
    }
}

/// The next `count` frames, or what there is instead of them; `room` bytes for each.
fn read(interface: &PacketInterface, count: usize, room: usize) -> Vec<Result<Vec<u8>, Refusal>> {
    let mut batch = PacketBatch::new();
    let mut frame = vec![0; room];
    let mut seen = Vec::new();
    while seen.len() < count {
        match interface
            .socket
            .read(&mut batch, (&mut [0; 10], &mut frame))
        {
            Ok(read) => seen.push(Ok(frame[..read.len].to_vec())),
            Err(Refusal::WouldBlock) => wait_for(&interface.socket),
            Err(refusal) => seen.push(Err(refusal)),
        }
    }
    assert!(batch.is_empty(), "nobody else sends here");
    seen
}

fn write_each(interface: &PacketInterface, frames: &[Vec<u8>]) {
    for frame in frames {
        let written = interface.socket.write(&[0; 10], &[IoSlice::new(frame)]);
        assert_eq!(written, Ok(()));
    }
}

/// Short ones mostly, some longer than what is given out by the batch, some with VLAN tags.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![20 => 46..1500usize, 1 => 1900..2200usize, 1 => 2200..65_000usize];
    let tpid = prop_oneof![Just(0x8100u16), Just(0x88a8)];
    let tags = proptest::collection::vec((tpid, any::<u16>()), 0..3);
    (len, tags, any::<u8>()).prop_map(|(len, tags, seed)| {
        let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1];
        for (tpid, tci) in tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend([0x88, 0xb5]);
        frame.extend((0..len).map(|i| seed.wrapping_add(i as u8)));
        frame
    })
}

#[test]
fn root_whatever_is_written_arrives_whole_and_in_order_by_whichever_calls() {
    let pair = Pair::new("packets");
    let writer = pair.open("p0", ALL_WAYS[0]);
    let readers = ALL_WAYS.map(|ways| pair.open("p1", ways));
    let frames = proptest::collection::vec(any_frame(), 1..100);
    TestRunner::new(Config::with_cases(16))
        .run(&frames, |frames| {
            write_each(&writer, &frames);
            for (reader, ways) in readers.iter().zip(ALL_WAYS) {
                let seen = read(reader, frames.len(), 65_600);
                let expected: Vec<_> = frames.iter().cloned().map(Ok).collect();
                prop_assert!(seen == expected, "{ways:?}");
                prop_assert_eq!(reader.socket.take_drops(), 0);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn root_a_frame_without_room_is_lost_alone() {
    let pair = Pair::new("long");
    let writer = pair.open("p0", ALL_WAYS[0]);
    let frame = |len: usize| {
        let mut frame = vec![0; len];
        frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
        frame
    };
    let sent = [60, 1000, 1001, 1400, 70].map(frame);
    for ways in ALL_WAYS {
        let reader = pair.open("p1", ways);
        write_each(&writer, &sent);
        let expected: Vec<_> = sent
            .iter()
            .map(|frame| match frame.len() {
                ..=1000 => Ok(frame.clone()),
                _ => Err(Refusal::Lost),
            })
            .collect();
        assert_eq!(read(&reader, sent.len(), 1000), expected, "{ways:?}");
    }
}

#[test]
fn root_frames_are_written_as_far_as_they_can_be_and_the_first_error_is_told() {
    let pair = Pair::new("some");
    pair.0.ip("link set dev p0 mtu 1000");
    let reader = pair.open("p1", ALL_WAYS[1]);
    // The last one is shorter, as that of a run; those before are as long as the MTU allows.
    let fitting: Vec<u8> = (0..100 * 1014 + 80)
        .map(|i| if i % 1014 < 12 { 2 } else { i as u8 })
        .collect();
    for ways in ALL_WAYS {
        let writer = pair.open("p0", ways);
        let mut frames = fitting.chunks(1014);
        while frames.len() > 0 {
            let written = writer.socket.write_some(frames.clone()).unwrap();
            assert_eq!(written > 1, ways.many && frames.len() > 1, "{ways:?}");
            frames.by_ref().take(written).for_each(drop);
        }
        let expected: Vec<_> = fitting.chunks(1014).map(|frame| Ok(frame.into())).collect();
        let seen = read(&reader, expected.len(), 65_600);
        assert!(seen == expected, "{ways:?}");
        let too_long = writer.socket.write_some(fitting.chunks(1015));
        assert_eq!(too_long, Err(Refusal::TOO_LONG), "{ways:?}");
        assert_eq!(writer.socket.write_some([].chunks(1)), Ok(0));
    }
}
