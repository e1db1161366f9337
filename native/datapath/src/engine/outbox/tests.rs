//! What becomes one run, and what must not.

use super::*;
use crate::wire::ip::{self, Ip};
use crate::wire::sample::Sample;
use proptest::prelude::*;

fn style() -> SendStyle {
    SendStyle {
        sockets: 1,
        symmetric_hash: false,
        outer: OuterRule::COPYING,
        gso: true,
    }
}

/// Number, type of service and TTL of a frame.
type Marked = (u8, u8, u8);

fn frame((number, tos, ttl): Marked) -> Vec<u8> {
    let mut frame = Sample::udp_v4(&[number]).frame();
    ip::set_tos(&mut frame[14..], tos);
    frame[22] = ttl;
    frame
}

fn marked(frame: &[u8]) -> Marked {
    let (ip, _) = Ip::carried_by(&crate::wire::ethernet::Ethernet::new(frame).unwrap()).unwrap();
    (frame[frame.len() - 1], ip.tos(), ip.ttl())
}

proptest! {
    #[test]
    fn f111_a_run_is_of_one_tos_and_one_ttl(
        marks in proptest::collection::vec((prop::sample::select(&[0u8, 2, 3, 0xba][..]), 1..3u8), 1..40),
    ) {
        let destination = ([192, 0, 2, 1], 4789).into();
        let route = Route { port: PortId::new(1), destination, vni: Vni::new(256).unwrap() };
        let mut outbox = Outbox::new();
        for (number, &(tos, ttl)) in marks.iter().enumerate() {
            let frame = frame((number as u8, tos, ttl));
            outbox.room()[..frame.len()].copy_from_slice(&frame);
            let mut held = outbox.hold(frame.len(), VnetHeader::NONE);
            outbox.encapsulate(&mut held, route, style()).unwrap();
        }
        let mut left: Vec<(Marked, OuterHeader)> = Vec::new();
        let mut runs = 0;
        outbox.flush(|batch| {
            runs = batch.transmits.len();
            for transmit in batch.transmits {
                let outer = OuterHeader { ttl: transmit.ttl, tos: transmit.tos };
                for part in &batch.parts[transmit.parts.start as usize..transmit.parts.end as usize] {
                    let datagram = &batch.arena[part.offset as usize..][..part.len as usize];
                    left.push((marked(&datagram[8..]), outer));
                }
            }
        });
        // In order, each with what is its own, and no run cut without a reason.
        let expected: Vec<_> = marks.iter().enumerate().map(|(number, &(tos, ttl))| {
            ((number as u8, tos, ttl), OuterHeader { ttl: Some(ttl), tos })
        }).collect();
        prop_assert_eq!(left, expected);
        let changes = marks.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert_eq!(runs, changes + 1);
    }
}
