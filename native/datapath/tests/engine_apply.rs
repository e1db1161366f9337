//! What applies do to a running engine: they change what they name and nothing else, and failing they change nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::Datapath;
use datapath::config::{Desired, PortKind, TapPort};
use datapath::engine::WorkerReport;
use datapath::error::ErrorCode;
use engine_support::desired::{Network, at_port};
use engine_support::{
    A, BROADCAST, Book, C, Rig, STRANGER, arp, assert_balanced, desired, mac, network, numbered,
    sequence,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const AT_A: &str = "10.200.0.2:4789";

fn lab() -> Network {
    network("n", 256).port("p").port("q").peer(A)
}

/// Sends numbered frames from station 1 to station 2 into a port until told to end; the number of frames.
struct Stream {
    ended: Arc<AtomicBool>,
    sender: JoinHandle<u32>,
}

impl Stream {
    fn into_port(rig: &Rig, port: &str) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (queue, stop) = (rig.datapath.memory_port(port).unwrap(), ended.clone());
        let sender = thread::spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) && number < 50_000 {
                let frame = numbered(mac(2), mac(1), number);
                if queue.inward.push(frame).is_ok() {
                    number += 1;
                }
                // The other side has one of two CPUs at most.
                if number % 16 == 0 {
                    thread::yield_now();
                }
            }
            number
        });
        Self { ended, sender }
    }

    fn end(self) -> u32 {
        self.ended.store(true, Ordering::Relaxed);
        self.sender.join().unwrap()
    }
}

/// Makes station 1 known behind `from` and station 2 behind `to`, and takes what that sent.
fn introduce(rig: &mut Rig, from: &str, to: &str) {
    rig.frame(from, &numbered(BROADCAST, mac(1), 0));
    rig.frame(to, &numbered(BROADCAST, mac(2), 0));
    rig.taken(from);
    rig.taken(to);
    rig.sent();
}

#[test]
fn n242_a_change_of_one_port_costs_the_others_nothing() {
    for workers in [1, 2] {
        let state = |network: Network| {
            let mut state = desired([network]);
            state.engine.workers = workers;
            state
        };
        let mut rig = Rig::new(&state(lab().port("x")));
        introduce(&mut rig, "p", "q");
        let before = rig.settle();
        let stream = Stream::into_port(&rig, "p");
        for round in 0..30 {
            let changed = match round % 3 {
                0 => lab(),
                1 => lab().port_with("x", |p| p.mtu = 1000 + round),
                _ => lab().port_with("x", |p| p.flood_unknown = false),
            };
            rig.apply_live(&state(changed)).unwrap();
        }
        let count = stream.end();
        rig.expect_frames("p", count.into());
        assert_eq!(sequence(&rig.taken("q")), (0..count).collect::<Vec<_>>());
        rig.assert_drops(&[]);
        let after = rig.settle();
        assert_eq!(after.network("n").fdb, before.network("n").fdb);
        assert_eq!(after.network("n").flooded, before.network("n").flooded);
        assert_eq!(rig.place("n", mac(1)).as_deref(), Some("p"));
        assert_eq!(rig.place("n", mac(2)).as_deref(), Some("q"));
    }
}

#[test]
fn n242_the_report_names_what_changed() {
    let mut rig = Rig::new(&desired([lab().port("x"), network("m", 9)]));
    let changed = network("n", 256)
        .port("p")
        .port_with("q", |p| p.mtu = 1000)
        .peer(A)
        .peer(C);
    let report = rig.apply(&desired([changed])).unwrap();
    assert_eq!(
        report.kept,
        ["network n", "port p", "tunnel n 10.200.0.2:4789/256"]
    );
    assert_eq!(report.changed, ["port q"]);
    assert_eq!(report.added, ["tunnel n 10.200.0.3:4789/256"]);
    assert_eq!(report.removed, ["network m", "port x"]);
}

#[test]
fn n242_changed_port_settings_hold_from_then_on() {
    let with = |mtu| desired([network("n", 256).port("p").port_with("q", |p| p.mtu = mtu)]);
    let mut rig = Rig::new(&with(1450));
    let frame = engine_support::ethernet(BROADCAST, mac(1), 0x88b5, &[0; 1000]);
    rig.frame("p", &frame);
    assert_eq!(rig.taken("q").len(), 1);
    rig.apply(&with(999)).unwrap();
    rig.frame("p", &frame);
    rig.assert_drops(&[("q", "tx.port_mtu", 1)]);
}

#[test]
fn n243_a_change_of_the_vni_resets_that_network_only() {
    for (vni, udp_port) in [(77, 4789), (256, 8472)] {
        let other = || network("m", 9).port("mp").port("mq").peer(A);
        let mut rig = Rig::new(&desired([lab().port("x"), other()]));
        introduce(&mut rig, "p", "q");
        introduce(&mut rig, "mp", "mq");
        rig.datagram(A, 256, &numbered(BROADCAST, mac(3), 0));
        rig.datagram(STRANGER, 256, &numbered(BROADCAST, mac(3), 0));
        let before = rig.settle();
        assert_eq!(before.network("n").macs, 3);

        let renumbered = network("n", vni)
            .port("p")
            .port("q")
            .peer(A)
            .with(|n| n.udp_port = udp_port);
        let stream = Stream::into_port(&rig, "mp");
        rig.apply_live(&desired([renumbered, other()])).unwrap();
        let count = stream.end();
        rig.expect_frames("mp", count.into());

        // The other network noticed nothing.
        assert_eq!(sequence(&rig.taken("mq")), (0..count).collect::<Vec<_>>());
        let after = rig.settle();
        assert_eq!(after.network("m").fdb, before.network("m").fdb);
        assert_eq!(after.network("m").flooded, before.network("m").flooded);
        // This one knows nobody, and its sums have not gone back (the rig checks that they balance).
        assert_eq!(after.network("n").macs, 0);
        for station in [mac(1), mac(2), mac(3)] {
            assert_eq!(rig.place("n", station), None);
        }
        // The old number is nobody's, the new one works.
        rig.datagram(A, 256, &numbered(BROADCAST, mac(3), 1));
        rig.payload(A, udp_port, &engine_support::vxlan(vni, &arp(mac(3), 1)));
        rig.settle();
        assert_eq!(rig.taken("p")[1..], [arp(mac(3), 1)]);
        assert_eq!(rig.settle().underlay_drops.len(), 1);
        rig.frame("p", &arp(mac(1), 9));
        assert_eq!(rig.sent().len(), 1);
    }
}

#[test]
fn o249_a_full_queue_costs_only_its_own_port() {
    let state = desired([network("n", 256).port("p").port("slow").port("q").peer(A)]);
    let mut rig = Rig::new(&state);
    // Nobody reads what leaves through `slow`.
    let (room, excess) = (65_536, 500);
    let queue = rig.datapath.memory_port("p").unwrap();
    let (mut put, mut read) = (0, 0);
    while put < room + excess {
        let batch = 20_000.min(room + excess - put);
        for n in 0..batch {
            queue
                .inward
                .push(numbered(BROADCAST, mac(1), put + n))
                .unwrap();
        }
        rig.expect_frames("p", batch.into());
        let frames = rig.taken("q");
        assert_eq!(sequence(&frames), (put..put + batch).collect::<Vec<_>>());
        read += rig.sent().len();
        put += batch;
    }
    assert_eq!(read, put as usize);
    rig.assert_drops(&[("slow", "tx.port_queue", excess.into())]);
    assert_eq!(rig.taken("slow").len(), room as usize);
    rig.frame("p", &numbered(BROADCAST, mac(1), 9));
    assert_eq!(sequence(&rig.taken("slow")), [9]);
}

#[test]
fn o249_a_full_underlay_costs_no_port() {
    let mut rig = Rig::new(&desired([lab()]));
    let (room, excess) = (65_536, 500);
    let queue = rig.datapath.memory_port("p").unwrap();
    let mut put = 0;
    while put < room + excess {
        let batch = 20_000.min(room + excess - put);
        for n in 0..batch {
            queue.inward.push(numbered(BROADCAST, mac(1), n)).unwrap();
        }
        rig.expect_frames("p", batch.into());
        assert_eq!(rig.taken("q").len(), batch as usize);
        put += batch;
    }
    rig.assert_drops(&[(AT_A, "tx.sock_full", excess.into())]);
}

#[test]
fn o253_counters_of_removed_ports_stay_in_their_network() {
    let mut rig = Rig::new(&desired([lab().port("x").peer(C)]));
    rig.frame("x", &arp(mac(1), 9));
    rig.frame("x", &[1, 2, 3]);
    rig.datagram(C, 256, &arp(mac(2), 9));
    rig.datagram(C, 256, &[1, 2, 3]);
    rig.frame("p", &arp(mac(3), 9));
    let before = rig.settle();
    rig.apply(&desired([lab()])).unwrap();
    let after = rig.settle();
    let retired = &after.network("n").retired;
    assert_eq!((retired.rx_frames, retired.tx_frames), (4, 4));
    assert_eq!(retired.drops.len(), 1);
    assert_eq!(before.ledger(), after.ledger());

    // Whoever comes under the same name begins at zero, and what retires again adds up.
    rig.apply(&desired([lab().port("x")])).unwrap();
    assert_eq!(rig.settle().port("x").frames.rx_frames, 0);
    rig.frame("x", &arp(mac(1), 9));
    rig.apply(&desired([lab()])).unwrap();
    assert_eq!(rig.settle().network("n").retired.rx_frames, 5);
    // The rig has checked at every step that no sum went back.
}

#[test]
fn workers_keep_the_counts_of_networks_that_are_no_more() {
    for workers in [1, 2] {
        let state = |networks: &[Network]| {
            let mut state = desired(networks.iter().cloned());
            state.engine.workers = workers;
            state
        };
        let gone = network("gone", 300).peer(A).port("x");
        let mut rig = Rig::new(&state(&[lab(), gone]));
        rig.frame("x", &arp(mac(1), 9));
        rig.frame("x", &[1, 2, 3]);
        rig.datagram(A, 300, &arp(mac(2), 9));
        // At the network, as it knows no such sender, and at nobody.
        rig.datagram(STRANGER, 300, &arp(mac(2), 9));
        rig.datagram(A, 301, &arp(mac(2), 9));
        let counts = |rig: &mut Rig| {
            let workers = rig.settle().workers;
            let sum = |pick: fn(&WorkerReport) -> u64| workers.iter().map(pick).sum::<u64>();
            let drops = sum(|w| w.drops.iter().map(|(_, n)| n).sum());
            (sum(|w| w.rx_frames), sum(|w| w.tx_frames), drops)
        };
        let before = counts(&mut rig);
        assert_eq!(before, (3, 2, 3));
        rig.apply(&state(&[lab()])).unwrap();
        assert_eq!(counts(&mut rig), before);
        let busy: Duration = rig.settle().workers.iter().map(|w| w.busy).sum();
        assert!(busy > Duration::ZERO);
    }
}

#[test]
fn o253_a_port_that_moves_to_another_network_leaves_its_counts_behind() {
    let first = network("n1", 1).peer(A).port("stays");
    let second = network("n2", 2).peer(A);
    let mut rig = Rig::new(&desired([first.clone().port("p"), second.clone()]));
    rig.frame("p", &arp(mac(1), 9));
    rig.settle();
    rig.apply(&desired([first, second.port("p")])).unwrap();
    let counters = rig.settle();
    assert_eq!(counters.network("n1").retired.rx_frames, 1);
    assert_eq!(counters.network("n1").macs, 0);
    rig.sent();
    rig.frame("p", &arp(mac(1), 9));
    assert_eq!(rig.sent()[0].payload[6], 2, "the new network's VNI");
    assert_eq!(rig.place("n2", mac(1)).as_deref(), Some("p"));
    rig.assert_drops(&[]);
}

#[test]
fn a_refused_apply_leaves_everything_running_as_it_was() {
    let mut rig = Rig::new(&desired([lab()]));
    introduce(&mut rig, "p", "q");
    let refuse = |rig: &mut Rig, state: &Desired, code: ErrorCode, subject: &str| {
        let error = rig.apply(state).unwrap_err();
        assert_eq!((error.code, error.subject.as_str()), (code, subject));
    };
    let bad = ErrorCode::BadValue;
    refuse(&mut rig, &desired([lab(), lab()]), bad, "network n");
    let same_wire = network("m", 256);
    refuse(&mut rig, &desired([lab(), same_wire]), bad, "network m");
    let same_port = network("m", 9).port("q");
    refuse(&mut rig, &desired([lab(), same_port]), bad, "port q");
    refuse(&mut rig, &desired([lab().port("p")]), bad, "port p");
    let v6 = lab().peer("[fd00::2]:4789".parse().unwrap());
    refuse(&mut rig, &desired([v6]), bad, "[fd00::2]:4789");
    let mut moved = desired([lab()]);
    moved.vtep.address = STRANGER.ip();
    refuse(&mut rig, &moved, ErrorCode::VtepChanged, "vtep");
    // Refused late, when the rest of the new state was already worked out.
    let nowhere = network("m", 9).port_with("t", |p| {
        p.kind = PortKind::Tap(TapPort {
            netns: Some("/nonexistent/netns".into()),
            ifname: "eth0".into(),
            mac: None,
            addresses: Vec::new(),
            sandbox: None,
            handover: None,
        });
    });
    let limited = network("n", 256).port("q").peer(C).with(|n| {
        n.fdb_limits.max_macs = 0;
        n.rules.drop_unknown_unicast = true;
    });
    let error = rig.apply(&desired([limited, nowhere])).unwrap_err();
    assert_eq!(error.subject, "port t");

    // The old state: both ports, the one peer, both stations, the old limits and rules.
    rig.frame("p", &numbered(mac(2), mac(1), 5));
    assert_eq!(sequence(&rig.taken("q")), [5]);
    rig.datagram(A, 256, &numbered(mac(99), mac(3), 6));
    assert_eq!(sequence(&rig.taken("p")), [6]);
    assert_eq!(rig.place("n", mac(3)).as_deref(), Some(AT_A));
    rig.datagram(C, 256, &arp(mac(4), 1));
    rig.assert_drops(&[("network n", "rx.vtep_unknown", 1)]);
}

#[test]
fn a_vtep_named_twice_is_refused() {
    let mut rig = Rig::new(&desired([lab()]));
    let error = rig.apply(&desired([lab().peer(A)])).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadValue);
    rig.frame("p", &arp(mac(1), 9));
    assert_eq!(rig.sent().len(), 1, "one copy");
}

#[test]
fn frames_wait_for_the_start() {
    let mut rig = Rig::idle(&desired([lab()]));
    rig.frame("p", &arp(mac(1), 9));
    rig.datagram(A, 256, &arp(mac(2), 9));
    assert_balanced(&rig.datapath.counters().unwrap());
    rig.start();
    assert_eq!(rig.taken("q").len(), 2);
    assert_eq!(rig.sent().len(), 1);
    rig.assert_drops(&[]);
}

#[test]
fn there_is_no_way_back_from_stopped() {
    let state = desired([lab().entry(mac(9), at_port("q"))]);
    let mut rig = Rig::new(&state);
    rig.frame("p", &arp(mac(1), 9));
    rig.stop();
    rig.datapath.stop();
    assert!(rig.datapath.counters().is_none());
    assert!(rig.datapath.fdb(None).is_empty());
    assert!(rig.datapath.memory_port("p").is_none());
    assert!(rig.datapath.memory_underlay().is_none());
    assert_eq!(rig.datapath.flush("n", None), 0);
    let refused = [
        rig.datapath.apply(&state).unwrap_err(),
        rig.datapath.start(Box::new(|| ())).unwrap_err(),
    ];
    assert!(refused.iter().all(|e| e.code == ErrorCode::Stopped));
    assert!(rig.datapath.inject("p", arp(mac(1), 9)).is_err());
    rig.datapath.stop();
}

#[test]
fn what_never_ran_can_be_asked_and_stopped() {
    let datapath = Datapath::new();
    assert!(datapath.counters().is_none());
    assert!(datapath.memory_port("p").is_none());
    let error = datapath.start(Box::new(|| ())).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadValue);
    datapath.apply(&desired([lab()])).unwrap();
    assert!(datapath.inject("p", arp(mac(1), 9)).is_err());
    datapath.stop();
    datapath.stop();
    assert_eq!(
        datapath.apply(&desired([lab()])).unwrap_err().code,
        ErrorCode::Stopped
    );
}
