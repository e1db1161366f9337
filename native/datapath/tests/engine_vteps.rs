//! What is known of the VTEPs themselves. Over a memory underlay nobody is asked, but everybody is heard.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::engine::VtepState;
use datapath::engine::history::Happening;
use engine_support::{A, C, Rig, arp, desired, mac, network};

#[test]
fn who_is_heard_is_alive_in_every_network_that_has_it_as_a_peer() {
    let first = network("n1", 1).port("p").peer(A).peer(C);
    let second = network("n2", 2).port("q").peer(A);
    let mut rig = Rig::new(&desired([first.clone(), second]));
    let vteps = rig.settle().vteps;
    let addresses: Vec<_> = vteps.iter().map(|vtep| vtep.remote).collect();
    assert_eq!(addresses, [A.ip(), C.ip()], "each once, in order");
    rig.datagram(A, 1, &arp(mac(9), 1));
    rig.wait_until("it is heard", |_, now| {
        now.vteps[0].state == VtepState::Alive
    });
    let vteps = rig.settle().vteps;
    assert!(vteps[0].heard_at_ms.is_some());
    assert_eq!((vteps[0].asked, vteps[0].rtt), (0, None));
    assert_eq!(vteps[1].state, VtepState::Unknown);
    let lines = rig.datapath.history(0).lines;
    let heard = lines
        .iter()
        .filter(|line| line.happening == Happening::VtepHeard);
    let places: Vec<_> = heard
        .map(|line| {
            (
                line.place.network.as_deref().unwrap(),
                line.place.port.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [("n1", "10.200.0.2:4789"), ("n2", "10.200.0.2:4789")]
    );

    rig.apply(&desired([first])).unwrap();
    assert_eq!(rig.settle().vteps.len(), 2, "n1 still has both");
}
