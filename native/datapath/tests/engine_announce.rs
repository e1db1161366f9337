//! What stations are told when the control plane knows better than before.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{FdbTarget, NeighborState, TunnelKey};
use datapath::wire::mac::MacAddr;
use engine_support::desired::{Network, at_port};
use engine_support::neighbors::{Advertisement, assert_noted, lab, request, send, state};
use engine_support::{ArpFields, BROADCAST, Book, C, Rig, desired, mac};

#[test]
fn k206_stations_hear_that_a_neighbor_has_another_mac() {
    let mut rig = Rig::new(&state());
    let mut moved = lab();
    for neighbor in moved.0.neighbors.iter_mut().filter(|n| n.mac == mac(2)) {
        neighbor.mac = mac(22);
    }
    rig.apply(&desired([moved.clone()])).unwrap();
    let told = ArpFields {
        operation: 1,
        sender: (mac(22), [10, 0, 0, 2]),
        target: (MacAddr::ZERO, [10, 0, 0, 2]),
    };
    let told_v6 = Advertisement {
        mac: mac(22),
        ..Advertisement::of(2, 0x20)
    };
    let told = [told.frame(BROADCAST, mac(22)), told_v6.to_all()];
    assert_eq!([rig.taken("p"), rig.taken("q")], [told.clone(), told]);
    assert_eq!(rig.sent_to(), []);
    assert_noted(&mut rig, &[("arp.garp_sent", 1), ("nd.na_sent", 1)]);
    assert_eq!(rig.settle().network("n").generated, 4);
    // The same again is no news.
    rig.apply(&desired([moved])).unwrap();
    assert_eq!(rig.taken("p").len() + rig.taken("q").len(), 0);
}

#[test]
fn k206_stations_hear_that_a_neighbor_has_moved_or_come_but_not_that_it_went() {
    let mut rig = Rig::new(&state());
    let heard = |rig: &mut Rig, network: Network| {
        rig.apply(&desired([network])).unwrap();
        [rig.taken("p").len(), rig.taken("q").len()]
    };
    let peer = lab().0.tunnels[0].key;
    let elsewhere = |network: Network| {
        network.peer(C).with(|n| {
            let entry = n.fdb.iter_mut().find(|e| e.mac == mac(2)).unwrap();
            entry.target = FdbTarget::Tunnel(TunnelKey { remote: C, ..peer });
        })
    };
    // Two addresses each; to another host, gone, and back.
    assert_eq!(heard(&mut rig, elsewhere(lab())), [2, 2]);
    let without = elsewhere(lab()).with(|n| n.neighbors.retain(|n| n.mac != mac(2)));
    assert_eq!(heard(&mut rig, without), [0, 0]);
    assert_eq!(heard(&mut rig, elsewhere(lab())), [2, 2]);
    // Here, where its own port is spared; and what is not live is no news.
    let here = elsewhere(lab()).with(|n| {
        n.fdb.iter_mut().find(|e| e.mac == mac(2)).unwrap().target = at_port("q");
        for neighbor in &mut n.neighbors {
            neighbor.local |= neighbor.mac == mac(2);
        }
    });
    assert_eq!(heard(&mut rig, here.clone()), [2, 0]);
    let old = here.with(|n| {
        for neighbor in &mut n.neighbors {
            neighbor.mac = mac(33);
            neighbor.state = NeighborState::Stale;
        }
    });
    assert_eq!(heard(&mut rig, old), [0, 0]);
}

#[test]
fn k206_there_is_no_news_where_nothing_was_known() {
    let mut rig = Rig::new(&desired([lab().with(|n| n.neighbors.clear())]));
    rig.apply(&state()).unwrap();
    assert_eq!(rig.taken("p").len() + rig.taken("q").len(), 0);
    let counters = rig.settle();
    assert_eq!(counters.network("n").generated, 0);
}

#[test]
fn k185_what_was_told_last_is_what_is_answered_by() {
    let mut rig = Rig::new(&state());
    let mut other = lab();
    for neighbor in other.0.neighbors.iter_mut().filter(|n| n.mac == mac(2)) {
        neighbor.mac = mac(22);
    }
    for (network, answers) in [
        (lab(), vec![mac(2)]),
        (other, vec![mac(22)]),
        (lab().with(|n| n.neighbors.clear()), vec![]),
        (lab(), vec![mac(2)]),
    ] {
        rig.apply(&desired([network])).unwrap();
        rig.taken("p");
        let back = send(&mut rig, &request(1, 2)).back;
        let told: Vec<_> = back.iter().map(|frame| frame[22..28].to_vec()).collect();
        let expected: Vec<_> = answers.iter().map(|mac| mac.0.to_vec()).collect();
        assert_eq!(told, expected);
    }
}
