//! Learning, moving, ageing, limits: the forwarding database as traffic and applies make it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{FdbTarget, TunnelKey};
use datapath::engine::Counters;
use datapath::event::Event;
use datapath::switch::Origin;
use datapath::wire::mac::MacAddr;
use engine_support::desired::at_port;
use engine_support::{
    A, BROADCAST, Book, C, Rig, desired, mac, network, numbered, sequence, vni, vxlan,
};
use std::thread;

const AT_A: &str = "10.200.0.2:4789";
const AT_C: &str = "10.200.0.3:4789";

/// Two ports and two peers.
fn lab() -> engine_support::desired::Network {
    network("n", 256).port("p").port("q").peer(A).peer(C)
}

fn hello(src: MacAddr) -> Vec<u8> {
    numbered(BROADCAST, src, 0)
}

/// Learned and moved so far in network `n`.
fn learning(counters: &Counters) -> (u64, u64) {
    let stats = counters.network("n").fdb;
    (stats.learned, stats.moved)
}

#[test]
fn d54_a_source_is_learned_where_it_sends() {
    let mut rig = Rig::new(&desired([lab()]));
    rig.datagram(A, 256, &hello(mac(1)));
    rig.datagram(C, 256, &numbered(mac(77), mac(2), 0));
    rig.frame("p", &hello(mac(3)));
    let counters = rig.settle();
    assert_eq!(learning(&counters), (3, 0));
    assert_eq!(counters.network("n").macs, 3);
    assert_eq!(counters.port(AT_A).macs, 1);
    assert_eq!(counters.port("p").macs, 1);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some(AT_A));
    assert_eq!(rig.place("n", mac(2)).as_deref(), Some(AT_C));
    assert_eq!(rig.place("n", mac(3)).as_deref(), Some("p"));

    // And is found there.
    rig.sent();
    rig.taken("q");
    rig.frame("p", &numbered(mac(1), mac(3), 1));
    assert_eq!(
        rig.sent().iter().map(|d| d.destination).collect::<Vec<_>>(),
        [A]
    );
    rig.datagram(A, 256, &numbered(mac(3), mac(1), 2));
    assert_eq!(sequence(&rig.taken("p"))[2..], [2]);
    assert!(rig.taken("q").is_empty());
    rig.assert_drops(&[]);
}

#[test]
fn d54_a_vtep_with_two_udp_ports_is_answered_at_the_networks_own() {
    let other = TunnelKey {
        remote: "10.200.0.2:4790".parse().unwrap(),
        vni: vni(256),
    };
    for first in [true, false] {
        let base = network("n", 256).port("p");
        let both = match first {
            true => base.tunnel(other, true).peer(A),
            false => base.peer(A).tunnel(other, true),
        };
        let mut rig = Rig::new(&desired([both]));
        rig.datagram(A, 256, &numbered(BROADCAST, mac(2), 1));
        rig.settle();
        let answer = numbered(mac(2), mac(1), 2);
        rig.frame("p", &answer);
        assert_eq!(rig.sent_to(), [(A, vxlan(256, &answer))]);
    }
}

#[test]
fn d55_d56_a_station_is_where_its_newest_frame_came_from() {
    let mut rig = Rig::new(&desired([lab()]));
    let station = mac(1);
    let mut at: Option<&str> = None;
    let mut moves = 0;
    // Every kind of move: VTEP to VTEP, to a port, port to port, back to a VTEP.
    for (n, place) in [AT_A, AT_C, "p", "q", AT_A, "q", AT_C]
        .into_iter()
        .enumerate()
    {
        match place {
            "p" | "q" => rig.frame(place, &numbered(BROADCAST, station, n as u32)),
            _ => rig.datagram(place.parse().unwrap(), 256, &hello(station)),
        }
        let counters = rig.settle();
        moves += u64::from(at.is_some());
        at = Some(place);
        assert_eq!(rig.place("n", station).as_deref(), at);
        assert_eq!(learning(&counters), (1, moves));
        assert_eq!(counters.network("n").macs, 1, "one table, one entry");
        let behind = |name: &str| counters.port(name).macs;
        assert_eq!(["p", "q", AT_A, AT_C].map(behind).iter().sum::<u32>(), 1);
    }
    // The first move is told, the others are too many to tell.
    let told = Event::MacMoved {
        network: "n".into(),
        mac: station,
        from: AT_A.into(),
        to: AT_C.into(),
    };
    assert_eq!(rig.events(), [told]);
    rig.assert_drops(&[]);
}

#[test]
fn d57_a_static_station_sends_from_nowhere_else() {
    let state = lab()
        .entry(mac(1), lab().at(A))
        .entry(mac(2), at_port("p"))
        .entry(mac(3), FdbTarget::Local);
    let mut rig = Rig::new(&desired([state]));
    rig.datagram(C, 256, &hello(mac(1)));
    rig.frame("q", &hello(mac(1)));
    rig.frame("q", &hello(mac(2)));
    rig.datagram(A, 256, &hello(mac(2)));
    rig.frame("p", &hello(mac(3)));
    let conflict = "rx.fdb_static_conflict";
    rig.assert_drops(&[
        (AT_A, conflict, 1),
        (AT_C, conflict, 1),
        ("p", conflict, 1),
        ("q", conflict, 2),
    ]);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some(AT_A));
    assert_eq!(rig.place("n", mac(2)).as_deref(), Some("p"));
    assert_eq!(rig.place("n", mac(3)).as_deref(), Some("local"));
    assert_eq!(learning(&rig.settle()), (0, 0));

    // From its own place it may, and it stays static.
    rig.datagram(A, 256, &hello(mac(1)));
    rig.frame("p", &hello(mac(2)));
    assert_eq!(rig.taken("q").len(), 2);
    assert_eq!(rig.line("n", mac(1)).unwrap().origin, Origin::Static);
    assert_eq!(learning(&rig.settle()), (0, 0));
}

#[test]
fn d58_d59_without_learning_the_table_stays_and_a_wrong_source_is_dropped_if_strict() {
    for strict in [true, false] {
        let state = lab().entry(mac(1), lab().at(A)).with(|n| {
            n.rules.learning = false;
            n.rules.strict_source = strict;
        });
        let mut rig = Rig::new(&desired([state]));
        rig.datagram(C, 256, &hello(mac(1)));
        rig.datagram(C, 256, &hello(mac(2)));
        rig.frame("p", &numbered(mac(1), mac(3), 0));
        assert_eq!(learning(&rig.settle()), (0, 0));
        assert_eq!(rig.settle().network("n").macs, 0);
        let delivered = if strict { 1 } else { 2 };
        assert_eq!(rig.taken("p").len(), delivered);
        assert_eq!(
            rig.sent().iter().map(|d| d.destination).collect::<Vec<_>>(),
            [A]
        );
        let conflict = [(AT_C, "rx.fdb_static_conflict", 1)];
        rig.assert_drops(if strict { &conflict } else { &[] });
    }
}

#[test]
fn d60_d61_a_silent_station_is_forgotten_though_frames_go_to_it() {
    // Whole seconds are counted, so at one second a station could be forgotten a moment after it was heard.
    let state = lab()
        .with(|n| n.fdb_limits.ageing_secs = 2)
        .entry(mac(9), lab().at(C));
    let mut rig = Rig::new(&desired([state]));
    // One after the other, so that the table has been swept more than once since station 2 was learned.
    for silent in [mac(1), mac(4)] {
        rig.datagram(A, 256, &hello(silent));
        rig.settle();
        assert_eq!(rig.place("n", silent).as_deref(), Some(AT_A));
        rig.wait_until("ageing", |rig, _| {
            rig.frame("p", &numbered(silent, mac(2), 0));
            rig.place("n", silent).is_none()
        });
    }
    let counters = rig.settle();
    assert_eq!(counters.network("n").fdb.aged, 2);
    assert_eq!(learning(&counters), (3, 0), "station 2 kept sending");
    assert_eq!(rig.place("n", mac(2)).as_deref(), Some("p"));
    assert_eq!(rig.place("n", mac(9)).as_deref(), Some(AT_C), "static");
    let sent = rig.sent();
    assert_eq!(sent[0].destination, A);
    rig.frame("p", &numbered(mac(1), mac(2), 0));
    assert_eq!(rig.sent().len(), 2, "unknown, so flooded");
}

#[test]
fn d63_a_removed_port_takes_what_was_learned_behind_it_with_it() {
    let state = |with_p: bool| {
        let network = network("n", 256)
            .port("q")
            .peer(A)
            .entry(mac(8), at_port("p"));
        desired([if with_p { network.port("p") } else { network }])
    };
    let mut rig = Rig::new(&state(true));
    rig.frame("p", &hello(mac(1)));
    rig.frame("q", &hello(mac(2)));
    rig.apply(&state(false)).unwrap();
    assert_eq!(rig.place("n", mac(1)), None);
    assert_eq!(rig.place("n", mac(2)).as_deref(), Some("q"));
    let line = rig.line("n", mac(8)).unwrap();
    assert!(!line.active && line.origin == Origin::Static);
    assert_eq!(rig.settle().network("n").macs, 1);
    rig.frame("q", &numbered(mac(8), mac(2), 0));
    assert_eq!(rig.sent().len(), 3, "nowhere known, so flooded");

    rig.apply(&state(true)).unwrap();
    assert!(rig.line("n", mac(8)).unwrap().active);
    rig.frame("q", &numbered(mac(8), mac(2), 7));
    assert_eq!(sequence(&rig.taken("p")), [7]);
    assert!(rig.sent().is_empty());
    assert_eq!(rig.place("n", mac(1)), None);
}

#[test]
fn d64_a_removed_vtep_takes_what_was_learned_behind_it_with_it() {
    let with_c = lab().entry(mac(8), lab().at(C));
    let without = network("n", 256)
        .port("p")
        .port("q")
        .peer(A)
        .entry(mac(8), lab().at(C));
    let mut rig = Rig::new(&desired([with_c.clone()]));
    rig.datagram(A, 256, &hello(mac(1)));
    rig.datagram(C, 256, &hello(mac(2)));
    rig.apply(&desired([without])).unwrap();
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some(AT_A));
    assert_eq!(rig.place("n", mac(2)), None);
    assert!(!rig.line("n", mac(8)).unwrap().active);
    rig.datagram(C, 256, &hello(mac(2)));
    rig.assert_drops(&[("network n", "rx.vtep_unknown", 1)]);
    assert_eq!(rig.place("n", mac(2)), None);
    rig.apply(&desired([with_c])).unwrap();
    assert!(rig.line("n", mac(8)).unwrap().active);
    assert_eq!(rig.place("n", mac(2)), None);
}

#[test]
fn d65_networks_know_nothing_of_each_others_stations() {
    let first = network("n1", 1).port("p1").peer(A);
    let second = network("n2", 2).port("p2").peer(A).peer(C);
    let mut rig = Rig::new(&desired([first, second]));
    rig.datagram(A, 1, &hello(mac(1)));
    rig.datagram(C, 2, &hello(mac(1)));
    rig.settle();
    assert_eq!(rig.place("n1", mac(1)).as_deref(), Some(AT_A));
    assert_eq!(rig.place("n2", mac(1)).as_deref(), Some(AT_C));
    rig.assert_drops(&[]);
}

#[test]
fn d66_at_a_limit_frames_pass_unlearned_and_it_is_told_once() {
    let state = lab()
        .port_with("small", |p| p.max_macs = 2)
        .entry(mac(50), at_port("small"))
        .with(|n| n.fdb_limits.max_macs = 4);
    let mut rig = Rig::new(&desired([state]));
    for n in 0..5 {
        rig.frame("small", &numbered(BROADCAST, mac(n), n));
    }
    let counters = rig.settle();
    assert_eq!(sequence(&rig.taken("p")), [0, 1, 2, 3, 4]);
    assert_eq!(counters.port("small").macs, 2);
    assert_eq!(counters.network("n").fdb.full, 3);
    // The network has room for two more, wherever they are.
    for n in 10..15 {
        rig.datagram(A, 256, &hello(mac(n)));
    }
    let counters = rig.settle();
    assert_eq!(counters.network("n").macs, 4);
    assert_eq!(counters.network("n").fdb.full, 6);
    assert_eq!(rig.place("n", mac(0)).as_deref(), Some("small"));
    assert_eq!(rig.place("n", mac(4)), None);
    assert_eq!(
        rig.place("n", mac(50)).as_deref(),
        Some("small"),
        "static ones do not count"
    );
    let full = |port: &str| Event::FdbFull {
        network: "n".into(),
        port: port.into(),
    };
    assert_eq!(rig.events(), [full("small"), full(AT_A)]);
    rig.assert_drops(&[]);
}

#[test]
fn d67_eviction_takes_only_the_offenders_own() {
    let state = lab()
        .port_with("small", |p| p.max_macs = 2)
        .with(|n| n.fdb_limits.evict_oldest = true)
        .entry(mac(50), at_port("small"));
    let mut rig = Rig::new(&desired([state]));
    rig.frame("p", &hello(mac(100)));
    rig.datagram(A, 256, &hello(mac(101)));
    rig.settle();
    for n in 0..10 {
        rig.frame("small", &hello(mac(n)));
    }
    let counters = rig.settle();
    assert_eq!(counters.port("small").macs, 2);
    assert_eq!(counters.network("n").fdb.evicted, 8);
    assert_eq!(
        rig.place("n", mac(9)).as_deref(),
        Some("small"),
        "the newest"
    );
    assert_eq!(rig.place("n", mac(50)).as_deref(), Some("small"), "static");
    assert_eq!(rig.place("n", mac(100)).as_deref(), Some("p"));
    assert_eq!(rig.place("n", mac(101)).as_deref(), Some(AT_A));
    rig.assert_drops(&[]);
}

#[test]
fn d68_a_port_full_of_forged_sources_costs_the_others_nothing() {
    let state = lab().with(|n| n.rules.drop_unknown_unicast = true);
    let mut rig = Rig::new(&desired([state]));
    rig.frame("p", &hello(mac(1)));
    rig.frame("q", &hello(mac(2)));
    rig.taken("p");
    rig.sent();
    let forged = rig.datapath.memory_port("q").unwrap();
    for round in 0..2 {
        for n in 0..50_000 {
            let source = mac(1_000_000 + round * 50_000 + n);
            forged.inward.push(numbered(mac(3), source, n)).unwrap();
        }
        rig.expect_frames("q", 50_000);
        rig.frame("p", &numbered(mac(2), mac(1), round));
        rig.settle();
    }
    let counters = rig.settle();
    assert_eq!(counters.port("q").macs, 1024);
    assert_eq!(counters.network("n").macs, 1025);
    assert_eq!(sequence(&rig.taken("q"))[1..], [0, 1]);
    rig.assert_drops(&[("q", "tx.uu_suppressed", 100_000)]);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some("p"));
}

#[test]
fn d73_a_replaced_entry_is_at_no_moment_unknown() {
    let at = |remote| desired([lab().entry(mac(1), lab().at(remote))]);
    let mut rig = Rig::new(&at(A));
    let queue = rig.datapath.memory_port("p").unwrap();
    let count = 20_000;
    let sender = thread::spawn(move || {
        for n in 0..count {
            while queue.inward.push(numbered(mac(1), mac(2), n)).is_err() {
                thread::yield_now();
            }
        }
    });
    let mut applies = 0;
    while !sender.is_finished() || applies < 4 {
        applies += 1;
        rig.apply_live(&at(if applies % 2 == 0 { A } else { C }))
            .unwrap();
    }
    sender.join().unwrap();
    rig.expect_frames("p", u64::from(count));
    let counters = rig.settle();
    assert_eq!(counters.network("n").unicast, u64::from(count));
    assert_eq!(counters.network("n").flooded, 0);
    assert_eq!(rig.sent().len(), count as usize);
    assert!(rig.taken("q").is_empty());
    rig.assert_drops(&[]);
}

#[test]
fn d75_j175_what_came_from_a_vtep_goes_to_no_vtep() {
    let mut rig = Rig::new(&desired([lab()]));
    rig.datagram(A, 256, &hello(mac(1)));
    rig.datagram(C, 256, &hello(mac(2)));
    rig.taken("p");
    // To a station behind the same VTEP, then behind another.
    rig.datagram(A, 256, &numbered(mac(1), mac(3), 0));
    rig.datagram(A, 256, &numbered(mac(2), mac(1), 0));
    rig.assert_drops(&[(AT_A, "tx.split_horizon", 2)]);
    // Unknown: to the ports only.
    rig.datagram(A, 256, &numbered(mac(9), mac(1), 5));
    assert_eq!(sequence(&rig.taken("p")), [5]);
    assert!(rig.sent().is_empty());
}
