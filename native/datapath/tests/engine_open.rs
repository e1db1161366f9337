//! Open networks: whoever sends a valid datagram gets a tunnel, within bounds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::TunnelKey;
use datapath::counter::DropReason;
use engine_support::balance::count_of;
use engine_support::desired::Network;
use engine_support::{
    A, BROADCAST, Book, C, Rig, STRANGER, arp, desired, mac, network, numbered, sequence, vni,
    vxlan,
};
use std::net::SocketAddr;

const AT_STRANGER: &str = "10.200.0.99:4789";

fn open() -> Network {
    network("n", 256)
        .port("p")
        .port("q")
        .with(|n| n.open_peers = true)
}

/// The remote VTEPs that network `n` has tunnels to.
fn tunnels(rig: &mut Rig) -> Vec<String> {
    let counters = rig.settle();
    let ports = counters.network("n").ports.iter();
    let tunnels = ports.filter(|p| p.kind == "tunnel");
    tunnels.map(|p| p.name.clone()).collect()
}

/// Sender `n` of many.
fn sender(n: u32) -> SocketAddr {
    let [_, _, c, d] = n.to_be_bytes();
    SocketAddr::from(([10, 201, c, d], 4789))
}

#[test]
fn the_first_datagram_of_an_unknown_vtep_is_not_lost() {
    for workers in [1, 2] {
        let mut state = desired([open().peer(A)]);
        state.engine.workers = workers;
        let mut rig = Rig::new(&state);
        // It sends from any port; it listens where the network does.
        let source = SocketAddr::new(STRANGER.ip(), 55555);
        rig.datagram(source, 256, &numbered(BROADCAST, mac(1), 1));
        assert_eq!(sequence(&rig.taken("p")), [1]);
        assert_eq!(sequence(&rig.taken("q")), [1]);
        assert_eq!(tunnels(&mut rig), [A.to_string(), STRANGER.to_string()]);
        assert_eq!(rig.place("n", mac(1)).as_deref(), Some(AT_STRANGER));

        // What is for its stations goes to it; it is no flood target, for nobody asked for that.
        rig.frame("p", &numbered(mac(1), mac(2), 2));
        rig.frame("p", &arp(mac(2), 9));
        let expected = [
            (A, vxlan(256, &arp(mac(2), 9))),
            (STRANGER, vxlan(256, &numbered(mac(1), mac(2), 2))),
        ];
        assert_eq!(rig.sent_to(), expected);
        rig.datagram(STRANGER, 256, &numbered(mac(2), mac(1), 3));
        assert_eq!(sequence(&rig.taken("p")), [3]);
        rig.assert_drops(&[]);
    }
}

#[test]
fn only_a_valid_datagram_makes_a_tunnel() {
    let mut rig = Rig::new(&desired([open(), network("closed", 7).port("r")]));
    rig.payload(STRANGER, 4789, &[8, 0, 0]);
    rig.payload(STRANGER, 4789, &[0; 60]);
    rig.datagram(STRANGER, 99, &arp(mac(1), 9));
    rig.datagram(STRANGER, 7, &arp(mac(1), 9));
    rig.datagram(STRANGER, 256, &arp(mac(1), 9)[..13]);
    rig.datagram(STRANGER, 256, &arp(BROADCAST, 9));
    rig.datagram("10.200.0.1:4789".parse().unwrap(), 256, &arp(mac(1), 9));
    assert!(tunnels(&mut rig).is_empty());
    rig.assert_drops(&[
        ("network closed", "rx.vtep_unknown", 1),
        ("network n", "rx.vtep_unknown", 2),
        ("underlay", "rx.outer_src_self", 1),
        ("underlay", "rx.too_short_vxlan", 1),
        ("underlay", "rx.vni_unknown", 1),
        ("underlay", "rx.vxlan_no_i", 1),
    ]);
}

#[test]
fn a_learned_tunnel_outlives_other_changes_and_ends_with_openness() {
    let mut rig = Rig::new(&desired([open()]));
    rig.datagram(STRANGER, 256, &arp(mac(1), 9));
    rig.settle();
    rig.apply(&desired([open().port("r").peer(C)])).unwrap();
    assert_eq!(tunnels(&mut rig), [STRANGER.to_string(), C.to_string()]);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some(AT_STRANGER));
    let counted = rig.settle().port(AT_STRANGER).frames.rx_frames;
    assert_eq!(counted, 1);

    let closed = open().peer(C).with(|n| n.open_peers = false);
    rig.apply(&desired([closed])).unwrap();
    assert_eq!(tunnels(&mut rig), [C.to_string()]);
    assert_eq!(rig.place("n", mac(1)), None);
    rig.datagram(STRANGER, 256, &arp(mac(1), 9));
    rig.assert_drops(&[("network n", "rx.vtep_unknown", 1)]);
    // Opened again it begins without.
    rig.apply(&desired([open()])).unwrap();
    assert!(tunnels(&mut rig).is_empty());
}

#[test]
fn a_learned_tunnel_that_is_then_configured_becomes_a_peer() {
    let mut rig = Rig::new(&desired([open()]));
    rig.datagram(STRANGER, 256, &arp(mac(1), 9));
    rig.settle();
    rig.apply(&desired([open().peer(STRANGER)])).unwrap();
    assert_eq!(tunnels(&mut rig), [STRANGER.to_string()]);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some(AT_STRANGER));
    rig.frame("p", &arp(mac(2), 9));
    assert_eq!(rig.sent_to(), [(STRANGER, vxlan(256, &arp(mac(2), 9)))]);
    rig.assert_drops(&[]);
}

#[test]
fn a_learned_tunnel_of_another_vni_is_learned_anew() {
    let mut rig = Rig::new(&desired([open()]));
    rig.datagram(STRANGER, 256, &arp(mac(1), 9));
    rig.settle();
    let renumbered = open().with(|n| n.vni = vni(257));
    rig.apply(&desired([renumbered])).unwrap();
    assert!(tunnels(&mut rig).is_empty());
    rig.datagram(STRANGER, 257, &arp(mac(1), 9));
    assert_eq!(tunnels(&mut rig), [STRANGER.to_string()]);
    rig.frame("p", &numbered(mac(1), mac(2), 0));
    let expected = [(STRANGER, vxlan(257, &numbered(mac(1), mac(2), 0)))];
    assert_eq!(rig.sent_to(), expected);
    rig.assert_drops(&[]);
}

#[test]
fn a_sender_known_by_an_entry_of_its_own_vni_needs_no_other_tunnel() {
    let key = TunnelKey {
        remote: STRANGER,
        vni: vni(77),
    };
    let mut rig = Rig::new(&desired([open().tunnel(key, false)]));
    rig.datagram(STRANGER, 256, &arp(mac(1), 9));
    assert_eq!(tunnels(&mut rig), ["10.200.0.99:4789/77"]);
    rig.assert_drops(&[]);
}

#[test]
fn learned_tunnels_are_bounded_and_what_is_beyond_is_dropped_by_name() {
    let other = network("m", 9).port("mp").peer(A);
    let mut rig = Rig::new(&desired([open(), other]));
    // One by one, so that the limit is that of tunnels and not that of datagrams waiting for theirs.
    for n in 0..260 {
        rig.datagram(sender(n), 256, &numbered(BROADCAST, mac(n), n));
        rig.settle();
    }
    assert_eq!(tunnels(&mut rig).len(), 256);
    assert_eq!(sequence(&rig.taken("p")), (0..256).collect::<Vec<_>>());
    rig.assert_drops(&[("network n", "rx.vtep_limit", 4)]);
    assert_eq!(rig.settle().network("n").macs, 256);
    // Who has a tunnel keeps it, and another network is not concerned.
    rig.datagram(sender(7), 256, &numbered(BROADCAST, mac(7), 7));
    rig.datagram(A, 9, &arp(mac(1), 9));
    assert_eq!(rig.taken("p").len(), 1);
    assert_eq!(rig.taken("mp").len(), 1);
}

#[test]
fn a_flood_of_forged_senders_is_bounded_and_accounted_for() {
    let mut rig = Rig::new(&desired([open()]));
    let count = 5000;
    for n in 0..count {
        rig.datagram(sender(n), 256, &numbered(BROADCAST, mac(n), n));
    }
    let counters = rig.settle();
    let own = counters.network("n");
    let delivered = rig.taken("p").len() as u64;
    let limited = count_of(&own.drops, DropReason::VtepLimit);
    assert_eq!(delivered + limited, count.into());
    assert!(delivered <= 256 && own.ports.len() <= 2 + 256);
}

#[test]
fn i171_the_first_datagrams_of_an_unknown_vtep_stay_in_order() {
    let mut rig = Rig::new(&desired([open()]));
    for host in 0..200 {
        // Enough that some come while the tunnel is being made, and fewer than may wait.
        for n in 0..100 {
            rig.datagram(sender(host), 256, &numbered(BROADCAST, mac(host), n));
        }
        assert_eq!(sequence(&rig.taken("p")), (0..100).collect::<Vec<_>>());
    }
    rig.assert_drops(&[]);
}

#[test]
fn datagrams_that_wait_for_a_tunnel_survive_applies() {
    let mut rig = Rig::new(&desired([open()]));
    for n in 0..40 {
        rig.datagram(sender(n), 256, &numbered(BROADCAST, mac(n), n));
        let state = match n % 3 {
            0 => desired([open().port("r")]),
            1 => desired([open().peer(A)]),
            _ => desired([open().with(|n| n.open_peers = false)]),
        };
        rig.apply_live(&state).unwrap();
    }
    // Each was delivered or dropped by name, whatever it met: the rig checks that.
    let drops = rig.settle().network("n").drops.clone();
    let unexpected = |(reason, _): &&(DropReason, u64)| {
        !matches!(reason, DropReason::VtepUnknown | DropReason::VtepLimit)
    };
    assert_eq!(drops.iter().find(unexpected), None);
}
