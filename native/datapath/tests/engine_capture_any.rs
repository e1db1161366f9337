//! Captures agree with the counters, whatever comes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::engine::{Counters, Side};
use engine_support::fuzz::{PORTS, frame, payload, source, state};
use engine_support::pcapng::{Drops, Packet, Section, told};
use engine_support::{Book, Reader, Rig, capture_spec};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What comes to a switch.
#[derive(Debug, Clone)]
enum Coming {
    Frame(usize, Vec<u8>),
    Datagram(SocketAddr, u16, Vec<u8>),
}

fn coming() -> impl Strategy<Value = Coming> {
    prop_oneof![
        (0..PORTS.len(), frame()).prop_map(|(port, frame)| Coming::Frame(port, frame)),
        (
            source(),
            prop_oneof![9 => Just(4789), 1 => any::<u16>()],
            payload()
        )
            .prop_map(|(source, port, payload)| Coming::Datagram(source, port, payload)),
    ]
}

fn send(rig: &mut Rig, coming: &[Coming]) -> Counters {
    for one in coming {
        match one {
            Coming::Frame(port, frame) => rig.frame(PORTS[*port], frame),
            Coming::Datagram(source, port, payload) => rig.payload(*source, *port, payload),
        }
    }
    rig.settle()
}

/// By place, as captures have places, and reason.
fn counted(counters: &Counters) -> Drops {
    let mut drops = Drops::new();
    for ((place, reason), n) in counters.drops() {
        let place = match place.split_once(' ') {
            Some(("network", _)) => "underlay".into(),
            _ => place,
        };
        *drops.entry((place, reason.into())).or_default() += n;
    }
    drops
}

fn captured(section: &Section) -> Drops {
    let mut drops = Drops::new();
    for packet in section
        .packets
        .iter()
        .filter(|p| p.pair("verdict") == "drop")
    {
        let key = (packet.pair("at").into(), packet.pair("reason").into());
        *drops.entry(key).or_default() += packet.frames();
    }
    drops
}

fn entered(section: &Section) -> impl Iterator<Item = &Packet> {
    section.packets.iter().filter(|p| !p.is_outbound)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_frame_is_captured_once_and_every_drop_by_its_name(
        comings in vec(coming(), 1..60),
        workers in 1..3usize,
    ) {
        let mut rig = Rig::new(&state(workers));
        let reader = Reader::start(&mut rig, &capture_spec(Side::Inner));
        let counters = send(&mut rig, &comings);
        let section = reader.end();
        let came: u64 = entered(&section).map(Packet::frames).sum();
        prop_assert_eq!(came, comings.len() as u64);
        let ids: BTreeSet<u64> = entered(&section).map(|p| p.id).collect();
        prop_assert_eq!(ids.len(), comings.len());
        prop_assert_eq!(captured(&section), counted(&counters));
        prop_assert_eq!(told(&section), counted(&counters));
        let made = section.packets.iter().filter(|p| p.pair("from") == "host");
        let generated: u64 = counters.networks.iter().map(|n| n.generated).sum();
        prop_assert_eq!(made.count() as u64, generated);
        for copy in section.packets.iter().filter(|p| p.is_outbound && p.pair("from") != "host") {
            prop_assert!(ids.contains(&copy.id), "{:?}", copy);
        }
        // As they came, to the byte.
        for (at, port) in PORTS.iter().enumerate() {
            let sent = comings.iter().filter_map(|c| match c {
                Coming::Frame(port, frame) if *port == at => Some(frame.clone()),
                _ => None,
            });
            let seen = entered(&section).filter(|p| p.pair("at") == *port);
            let seen: Vec<Vec<u8>> = seen.map(|p| p.bytes.clone()).collect();
            prop_assert_eq!(seen, sent.collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_datagram_is_captured_with_its_frame(comings in vec(coming(), 1..60)) {
        let mut rig = Rig::new(&state(1));
        let reader = Reader::start(&mut rig, &capture_spec(Side::Both));
        send(&mut rig, &comings);
        let section = reader.end();
        let is_outer = |p: &&Packet| section.interfaces.iter().any(|i| i.name == p.interface && i.link_type == 101);
        let frames: BTreeMap<u64, &Packet> =
            entered(&section).filter(|p| !is_outer(p)).map(|p| (p.id, p)).collect();
        let left: Vec<&Packet> = section.packets.iter().filter(is_outer).filter(|p| p.is_outbound).collect();
        for datagram in &left {
            prop_assert!(frames.contains_key(&datagram.id), "{:?}", datagram);
        }
        // What really left, in order: headers are rebuilt, the payload is what it is.
        let mut sent: Vec<Vec<u8>> = rig.sent().into_iter().map(|d| d.payload).collect();
        let mut seen: Vec<Vec<u8>> = left.iter().map(|p| p.bytes[28..].to_vec()).collect();
        sent.sort();
        seen.sort();
        prop_assert_eq!(seen, sent);
        let came = comings.iter().filter(|c| matches!(c, Coming::Datagram(..)));
        let outer = entered(&section).filter(is_outer);
        prop_assert_eq!(outer.count(), came.count());
    }
}
