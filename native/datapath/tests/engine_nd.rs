//! Neighbor discovery about neighbors that the control plane knows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::event::Event;
use engine_support::neighbors::{
    ALL_NODES, ALL_NODES_MAC, Advertisement, Solicitation, Way, assert_noted, lab, send,
    solicitation, state, station,
};
use engine_support::{Book, Icmpv6Fields, Rig, desired, mac};

#[test]
fn k198_a_solicitation_for_a_station_elsewhere_is_answered_here() {
    let mut rig = Rig::new(&state());
    let plain = Advertisement::of(2, 0x60).to(station(1), mac(1));
    assert_eq!(
        send(&mut rig, &solicitation(1, 2).multicast()),
        Way::answered(plain.clone())
    );
    let router = Advertisement::of(6, 0xe0).to(station(1), mac(1));
    assert_eq!(
        send(&mut rig, &solicitation(1, 6).multicast()),
        Way::answered(router)
    );
    let mut without_mac = solicitation(1, 2);
    without_mac.options.clear();
    assert_eq!(
        send(&mut rig, &without_mac.multicast()),
        Way::answered(plain.clone())
    );
    // Where the option names another MAC that is the one to answer, unless it is a group.
    let mut other = solicitation(1, 2);
    other.options[2..].copy_from_slice(&mac(8).0);
    let to_other = Advertisement::of(2, 0x60).to(station(1), mac(8));
    assert_eq!(send(&mut rig, &other.multicast()), Way::answered(to_other));
    other.options[2..].fill(0xff);
    assert_eq!(send(&mut rig, &other.multicast()), Way::answered(plain));
    assert_noted(&mut rig, &[("nd.proxied", 5)]);
    let counters = rig.settle();
    let n = counters.network("n");
    assert_eq!((n.consumed, n.generated, n.flooded), (5, 5, 0));
}

#[test]
fn k187_a_solicitation_for_a_local_station_goes_to_that_and_not_into_tunnels() {
    let mut rig = Rig::new(&state());
    let frame = solicitation(1, 3).multicast();
    assert_eq!(send(&mut rig, &frame), Way::kept_here(&frame));
    assert_noted(&mut rig, &[("nd.local", 1)]);
}

#[test]
fn k199_a_solicitation_that_nodes_must_ignore_is_forwarded() {
    let mut rig = Rig::new(&state());
    let good = solicitation(1, 2);
    let mut bad_checksum = good.multicast();
    bad_checksum[56] ^= 1;
    let with = |change: fn(&mut Solicitation)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed.multicast()
    };
    let frames = [
        bad_checksum,
        with(|s| s.hop_limit = 254),
        with(|s| s.code = 1),
        with(|s| s.options[1] = 0),
        with(|s| s.options[1] = 2),
    ];
    for frame in &frames {
        assert_eq!(send(&mut rig, frame), Way::forwarded(frame));
    }
    assert_noted(&mut rig, &[("nd.invalid", frames.len() as u64)]);
}

#[test]
fn k200_a_station_that_looks_for_a_duplicate_is_told_of_it_as_everybody_would_be() {
    let mut rig = Rig::new(&state());
    let dad = solicitation(1, 2).for_nobody().multicast();
    let told = Advertisement::of(2, 0x20).to_all();
    assert_eq!(send(&mut rig, &dad), Way::answered(told));
    assert_noted(&mut rig, &[("nd.dad_answered", 1)]);
}

#[test]
fn k201_a_search_for_a_duplicate_of_a_free_address_is_flooded() {
    let mut rig = Rig::new(&state());
    let dad = solicitation(1, 99).for_nobody().multicast();
    assert_eq!(send(&mut rig, &dad), Way::forwarded(&dad));
    let plain = solicitation(1, 99).multicast();
    assert_eq!(send(&mut rig, &plain), Way::forwarded(&plain));
    assert_noted(&mut rig, &[("nd.flooded", 2)]);
}

#[test]
fn k202_a_solicitation_to_the_owner_itself_is_forwarded() {
    let mut rig = Rig::new(&state());
    let question = solicitation(1, 2).to(station(2), mac(2));
    assert_eq!(send(&mut rig, &question), Way::into_tunnel(&question));
    assert_noted(&mut rig, &[("nd.unicast_fwd", 1)]);
}

#[test]
fn k203_nothing_else_of_icmpv6_is_answered() {
    let mut rig = Rig::new(&state());
    // MLD queries, reports and dones, RS, RA, redirect, MLDv2 reports, an echo request.
    for kind in [130, 131, 132, 133, 134, 137, 143, 128] {
        let fields = Icmpv6Fields {
            src: station(1),
            dst: ALL_NODES,
            hop_limit: 255,
            kind,
            code: 0,
            body: [&[0; 4][..], &station(2).octets(), &[0; 16]].concat(),
        };
        let frame = fields.frame(ALL_NODES_MAC, mac(1));
        assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame), "{kind}");
    }
    assert_noted(&mut rig, &[]);
}

#[test]
fn k189_an_advertisement_of_an_address_that_another_has_is_dropped_and_told() {
    let mut rig = Rig::new(&state());
    let forged = Advertisement {
        mac: mac(9),
        ..Advertisement::of(2, 0x20)
    };
    let forged = forged.to_all();
    assert_eq!(send(&mut rig, &forged), Way::default());
    rig.assert_drops(&[("p", "nd.spoof", 1)]);
    let conflict = Event::IpConflict {
        network: "n".into(),
        port: "p".into(),
        ip: station(2).into(),
        claimant: mac(9),
        owner: mac(2),
    };
    assert_eq!(rig.events(), [conflict]);
}

#[test]
fn k193_advertisements_are_forwarded() {
    let known = lab().neighbor_with("fd00::1", mac(1), |n| n.local = true);
    let mut rig = Rig::new(&desired([known]));
    // So an owner answers whoever looks for a duplicate on another host.
    let to_all = Advertisement::of(1, 0x20).to_all();
    assert_eq!(send(&mut rig, &to_all), Way::forwarded(&to_all));
    let to_one = Advertisement::of(1, 0x60).to(station(2), mac(2));
    assert_eq!(send(&mut rig, &to_one), Way::into_tunnel(&to_one));
}
