//! Ports from which not everything may be sent: where it is checked, what it is counted as, and what comes of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{Desired, GuardSpec, VlanPolicy};
use datapath::wire::mac::MacAddr;
use engine_support::{
    A, BROADCAST, EXPERIMENTAL, Flow, Rig, arp, desired, ethernet, mac, network, numbered, tagged,
};
use std::net::IpAddr;

const OWN: [u8; 4] = [10, 0, 0, 1];

/// Ports p, guarded for station 1 with 10.0.0.1, and q, where anything goes.
fn state() -> Desired {
    let guard = Some(GuardSpec {
        macs: vec![mac(1)],
        addresses: vec![OWN.into()],
    });
    desired([network("n", 256)
        .port_with("p", |p| p.guard = guard)
        .port("q")
        .peer(A)])
}

fn flow(src: MacAddr, ip: impl Into<IpAddr>) -> Flow {
    let mut flow = Flow::v4(src, BROADCAST);
    flow.src.1 = ip.into();
    flow
}

#[test]
fn m222_m223_who_pretends_to_be_another_is_dropped_and_not_learned() {
    let mut rig = Rig::new(&state());
    rig.frame("p", &numbered(BROADCAST, mac(2), 1));
    rig.frame("p", &flow(mac(2), OWN).udp(b"x"));
    rig.frame("p", &flow(mac(1), [10, 0, 0, 2]).udp(b"x"));
    rig.frame("p", &flow(mac(1), [10, 0, 0, 2]).tcp(b"x"));
    rig.assert_drops(&[("p", "rx.spoof_mac", 2), ("p", "rx.spoof_ip", 2)]);
    assert!(rig.taken("q").is_empty() && rig.sent().is_empty());
    assert_eq!(rig.place("n", mac(1)), None);
    assert_eq!(rig.place("n", mac(2)), None);

    let honest = flow(mac(1), OWN).udp(b"x");
    rig.frame("p", &honest);
    assert_eq!(rig.taken("q"), [honest]);
    assert_eq!(rig.sent().len(), 1);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some("p"));
}

#[test]
fn m223_m225_others_may_say_what_a_guarded_port_may_not() {
    let mut rig = Rig::new(&state());
    let rogue = flow(mac(1), OWN).sent_from(67).udp(b"offer");
    rig.frame("p", &rogue);
    rig.frame("q", &rogue);
    rig.datagram(A, 256, &rogue);
    rig.settle();
    let forged = arp(mac(3), 9);
    rig.frame("q", &forged);
    rig.assert_drops(&[("p", "rx.dhcp_guard", 1)]);
    assert_eq!(rig.taken("p"), [rogue.clone(), rogue.clone(), forged]);
    assert_eq!(rig.taken("q"), [rogue]);
}

#[test]
fn m222_m223_tags_hide_nothing() {
    let mut open = state();
    open.networks[0].rules.vlan = VlanPolicy::Allow(Vec::new());
    let mut rig = Rig::new(&open);
    let forged = flow(mac(1), [10, 0, 0, 2]).udp(b"x");
    let once = tagged(&forged, 0x8100, 7);
    rig.frame("p", &once);
    rig.frame("p", &tagged(&once, 0x88a8, 8));
    rig.frame("p", &tagged(&tagged(&once, 0x8100, 8), 0x88a8, 9));
    rig.frame("p", &tagged(&numbered(BROADCAST, mac(2), 1), 0x8100, 7));
    let honest = tagged(&flow(mac(1), OWN).udp(b"x"), 0x8100, 7);
    rig.frame("p", &honest);
    rig.assert_drops(&[("p", "rx.spoof_ip", 3), ("p", "rx.spoof_mac", 1)]);
    assert_eq!(rig.taken("q"), [honest]);

    // A priority tag comes off first.
    rig.apply(&state()).unwrap();
    rig.frame("p", &tagged(&forged, 0x8100, 0));
    rig.assert_drops(&[("p", "rx.spoof_ip", 4), ("p", "rx.spoof_mac", 1)]);
}

#[test]
fn n242_a_guard_holds_from_the_apply_that_brings_it() {
    let mut rig = Rig::new(&state());
    let other = ethernet(BROADCAST, mac(2), EXPERIMENTAL, b"x");
    rig.frame("p", &other);
    rig.assert_drops(&[("p", "rx.spoof_mac", 1)]);
    let mut wider = state();
    let port = &mut wider.networks[0].ports[0];
    port.guard.as_mut().unwrap().macs.push(mac(2));
    assert_eq!(rig.apply(&wider).unwrap().changed, ["port p"]);
    rig.frame("p", &other);
    let mut unguarded = state();
    unguarded.networks[0].ports[0].guard = None;
    rig.apply(&unguarded).unwrap();
    rig.frame("p", &numbered(BROADCAST, mac(3), 1));
    assert_eq!(rig.taken("q").len(), 2);
    rig.apply(&state()).unwrap();
    rig.frame("p", &other);
    rig.assert_drops(&[("p", "rx.spoof_mac", 2)]);
}
