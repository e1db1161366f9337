//! Where frames go: flooding, hairpin, consumption, order.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::FdbTarget;
use datapath::wire::mac::MacAddr;
use engine_support::desired::at_port;
use engine_support::{
    A, BROADCAST, Book, C, E, Flow, Rig, arp, desired, mac, network, numbered, sequence, vxlan,
};

const AT_A: &str = "10.200.0.2:4789";

fn group(n: u8) -> MacAddr {
    MacAddr([0x01, 0x00, 0x5e, 0, 0, n])
}

#[test]
fn i154_i155_the_mask_opens_all_but_the_first_three() {
    let open = network("n", 256)
        .port("p")
        .port("q")
        .peer(A)
        .with(|n| n.rules.group_forward_mask = 0xffff);
    let mut rig = Rig::new(&desired([open]));
    for n in 0..16 {
        let dst = MacAddr([0x01, 0x80, 0xc2, 0, 0, n]);
        rig.frame("p", &numbered(dst, mac(1), n.into()));
    }
    let through: Vec<u32> = (3..16).collect();
    assert_eq!(sequence(&rig.taken("q")), through);
    assert_eq!(rig.sent().len(), through.len());
    rig.assert_drops(&[("p", "rx.l2ctrl_filtered", 3)]);
}

#[test]
fn i155_the_mask_opens_single_addresses() {
    let open = network("n", 256)
        .port("p")
        .port("q")
        .with(|n| n.rules.group_forward_mask = 1 << 14);
    let mut rig = Rig::new(&desired([open]));
    for n in 0..16 {
        let dst = MacAddr([0x01, 0x80, 0xc2, 0, 0, n]);
        rig.frame("p", &numbered(dst, mac(1), n.into()));
    }
    assert_eq!(sequence(&rig.taken("q")), [14]);
    rig.assert_drops(&[("p", "rx.l2ctrl_filtered", 15)]);
}

#[test]
fn i156_i163_other_groups_are_flooded() {
    let mut rig = Rig::new(&desired([network("n", 256).port("p").port("q").peer(A)]));
    let groups = [
        MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x10]),
        MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x21]),
        group(1),
        MacAddr([0x33, 0x33, 0, 0, 0, 1]),
    ];
    for (dst, n) in groups.into_iter().zip(0..) {
        rig.frame("p", &numbered(dst, mac(1), n));
    }
    assert_eq!(sequence(&rig.taken("q")), [0, 1, 2, 3]);
    assert_eq!(rig.sent().len(), 4);
    rig.assert_drops(&[]);
    let counters = rig.settle();
    assert_eq!(counters.network("n").flooded, 4);
    assert_eq!(counters.network("n").replicated, 8);
}

#[test]
fn i158_a_frame_to_its_own_sender_is_dropped_but_taught_something() {
    let mut rig = Rig::new(&desired([network("n", 256).port("p").port("q").peer(A)]));
    rig.frame("p", &numbered(mac(1), mac(1), 0));
    rig.datagram(A, 256, &numbered(mac(2), mac(2), 0));
    rig.assert_drops(&[("p", "rx.src_eq_dst", 1), (AT_A, "rx.src_eq_dst", 1)]);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some("p"));
    assert_eq!(rig.place("n", mac(2)).as_deref(), Some(AT_A));
}

#[test]
fn i159_no_way_back_unless_hairpin() {
    let state = network("n", 256)
        .port("p")
        .port_with("hair", |p| p.hairpin = true)
        .peer(A);
    let mut rig = Rig::new(&desired([state]));
    for (port, n) in [("p", 10), ("hair", 20)] {
        rig.frame(port, &numbered(BROADCAST, mac(n), 0));
        rig.settle();
        rig.frame(port, &numbered(mac(n), mac(n + 1), 1));
    }
    assert_eq!(sequence(&rig.taken("hair")), [0, 1]);
    assert_eq!(sequence(&rig.taken("p")), [0]);
    rig.assert_drops(&[("p", "tx.hairpin", 1)]);
}

#[test]
fn i160_what_is_for_this_host_is_consumed() {
    let state = network("n", 256)
        .port("p")
        .port("q")
        .peer(A)
        .entry(mac(9), FdbTarget::Local);
    let mut rig = Rig::new(&desired([state]));
    rig.frame("p", &numbered(mac(9), mac(1), 0));
    rig.datagram(A, 256, &numbered(mac(9), mac(2), 0));
    assert_eq!(rig.settle().network("n").consumed, 2);
    assert!(rig.taken("q").is_empty() && rig.sent().is_empty());
    rig.assert_drops(&[]);
}

#[test]
fn i161_i162_i172_floods_reach_each_willing_port_once() {
    let state = network("n", 256)
        .port("p")
        .port("q")
        .port_with("no_unknown", |p| p.flood_unknown = false)
        .port_with("no_broadcast", |p| p.flood_broadcast = false)
        .peer(A)
        .peer(C);
    let mut rig = Rig::new(&desired([state]));
    rig.frame("p", &numbered(mac(99), mac(1), 1));
    rig.frame("p", &arp(mac(1), 7));
    rig.frame("p", &numbered(group(5), mac(1), 3));
    let [unknown, broadcast, multicast] = [
        numbered(mac(99), mac(1), 1),
        arp(mac(1), 7),
        numbered(group(5), mac(1), 3),
    ];
    let all = [unknown.clone(), broadcast.clone(), multicast.clone()];
    assert_eq!(rig.taken("q"), all);
    assert_eq!(rig.taken("no_unknown"), [broadcast, multicast.clone()]);
    assert_eq!(rig.taken("no_broadcast"), [unknown, multicast]);
    assert!(rig.taken("p").is_empty());
    let mut expected: Vec<_> = [A, C]
        .iter()
        .flat_map(|&to| all.iter().map(move |f| (to, vxlan(256, f))))
        .collect();
    expected.sort();
    assert_eq!(rig.sent_to(), expected);

    // From a VTEP: the ports only.
    rig.datagram(A, 256, &numbered(mac(99), mac(2), 4));
    assert_eq!(sequence(&rig.taken("p")), [4]);
    assert_eq!(sequence(&rig.taken("q")), [4]);
    assert!(rig.taken("no_unknown").is_empty());
    assert!(rig.sent().is_empty());
    rig.assert_drops(&[]);
}

#[test]
fn i171_order_inside_a_flow_is_kept_with_one_worker_and_with_two() {
    for workers in [1, 2] {
        let mut state = desired([network("n", 256).port("p").port("q").port("r").peer(A)]);
        state.engine.workers = workers;
        let mut rig = Rig::new(&state);
        rig.frame("q", &numbered(BROADCAST, mac(2), 0));
        rig.datagram(A, 256, &numbered(BROADCAST, mac(3), 0));
        rig.taken("q");
        rig.sent();
        // Three flows interleaved, several batches long, while the tables are swapped below them.
        let count = 3000;
        for n in 0..count {
            rig.frame("p", &numbered(mac(2), mac(1), n));
            rig.frame("p", &numbered(mac(3), mac(1), n));
            rig.datagram(A, 256, &numbered(mac(2), mac(3), count + n));
            if n % 1000 == 500 {
                rig.apply_live(&state).unwrap();
            }
        }
        let at_q = sequence(&rig.taken("q"));
        let (local, remote): (Vec<_>, Vec<_>) = at_q.into_iter().partition(|&n| n < count);
        assert_eq!(local, (0..count).collect::<Vec<_>>());
        assert_eq!(remote, (count..2 * count).collect::<Vec<_>>());
        let sent = rig.sent().into_iter().map(|d| d.payload[8..].to_vec());
        let sent = sequence(&sent.collect::<Vec<_>>());
        assert_eq!(sent, (0..count).collect::<Vec<_>>());
        rig.assert_drops(&[]);
    }
}

#[test]
fn i171_order_inside_a_flow_is_kept_when_many_flows_share_batches() {
    let mut rig = Rig::new(&desired([network("n", 256).port("p").peer(A)]));
    let flows: Vec<Flow> = (0..50)
        .map(|n| Flow::v4(mac(1), mac(2)).sent_from(1000 + n))
        .collect();
    for n in 0..40u8 {
        for flow in &flows {
            rig.frame("p", &flow.udp(&[n; 20]));
        }
    }
    let sent = rig.sent();
    assert_eq!(sent.len(), 2000);
    for flow in &flows {
        let ports = flow.udp(&[])[34..36].to_vec();
        let own = sent.iter().filter(|d| d.payload[8 + 34..8 + 36] == ports);
        let numbers: Vec<u8> = own.map(|d| *d.payload.last().unwrap()).collect();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    }
    rig.assert_drops(&[]);
}

#[test]
fn j173_a_broadcast_is_one_copy_to_each_vtep_of_the_flood_list() {
    let state = network("n", 256).port("p").peer(A).peer(C).peer(E);
    let mut rig = Rig::new(&desired([state]));
    let frame = arp(mac(1), 9);
    rig.frame("p", &frame);
    let copy = vxlan(256, &frame);
    assert_eq!(
        rig.sent_to(),
        [(A, copy.clone()), (C, copy.clone()), (E, copy)]
    );
    assert_eq!(rig.settle().network("n").replicated, 3);
    rig.assert_drops(&[]);
}

#[test]
fn j174_with_nobody_to_flood_to_the_drop_has_a_name() {
    let mut rig = Rig::new(&desired([network("n", 256).port("p")]));
    rig.frame("p", &numbered(mac(9), mac(1), 0));
    rig.frame("p", &numbered(BROADCAST, mac(1), 0));
    rig.assert_drops(&[("p", "tx.no_target", 2)]);
    assert_eq!(rig.settle().network("n").flooded, 0);
}

#[test]
fn j175_a_flood_that_could_only_go_back_to_vteps_is_split_horizon() {
    let mut rig = Rig::new(&desired([network("n", 256).peer(A).peer(C)]));
    rig.datagram(A, 256, &numbered(BROADCAST, mac(1), 0));
    rig.assert_drops(&[(AT_A, "tx.split_horizon", 1)]);
    assert!(rig.sent().is_empty());
}

#[test]
fn j179_unknown_unicast_may_be_suppressed_and_nothing_else() {
    let state = network("n", 256)
        .port("p")
        .port("q")
        .peer(A)
        .entry(mac(5), at_port("q"))
        .with(|n| n.rules.drop_unknown_unicast = true);
    let mut rig = Rig::new(&desired([state]));
    rig.frame("p", &numbered(mac(9), mac(1), 1));
    rig.datagram(A, 256, &numbered(mac(9), mac(2), 2));
    rig.frame("p", &numbered(BROADCAST, mac(1), 3));
    rig.frame("p", &numbered(group(1), mac(1), 4));
    rig.frame("p", &numbered(mac(5), mac(1), 5));
    assert_eq!(sequence(&rig.taken("q")), [3, 4, 5]);
    assert_eq!(rig.sent().len(), 2);
    rig.assert_drops(&[("p", "tx.uu_suppressed", 1), (AT_A, "tx.uu_suppressed", 1)]);
}

#[test]
fn an_injected_frame_enters_at_its_port() {
    let mut rig = Rig::new(&desired([network("n", 256).port("p").port("q").peer(A)]));
    let frame = arp(mac(1), 9);
    rig.datapath.inject("p", frame.clone()).unwrap();
    rig.expect_frames("p", 1);
    assert_eq!(rig.taken("q"), [frame]);
    assert!(rig.taken("p").is_empty());
    assert_eq!(rig.sent().len(), 1);
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some("p"));
    rig.datapath.inject("p", vec![1, 2, 3]).unwrap();
    rig.expect_frames("p", 1);
    rig.assert_drops(&[("p", "rx.too_short_inner", 1)]);
    assert!(rig.datapath.inject("nowhere", arp(mac(1), 9)).is_err());
}

#[test]
fn a_flush_forgets_what_was_learned_and_nothing_else() {
    let state = network("n", 256)
        .port("p")
        .port("q")
        .peer(A)
        .entry(mac(9), at_port("q"));
    let mut rig = Rig::new(&desired([state]));
    rig.frame("p", &arp(mac(1), 9));
    rig.frame("q", &arp(mac(2), 9));
    rig.datagram(A, 256, &arp(mac(3), 9));
    rig.settle();
    assert_eq!(rig.datapath.flush("n", Some("p")), 1);
    assert_eq!(rig.place("n", mac(1)), None);
    assert_eq!(rig.place("n", mac(2)).as_deref(), Some("q"));
    assert_eq!(rig.datapath.flush("n", Some(AT_A)), 1);
    assert_eq!(rig.datapath.flush("n", None), 1);
    assert_eq!(rig.datapath.flush("elsewhere", None), 0);
    assert_eq!(rig.place("n", mac(9)).as_deref(), Some("q"));
    assert_eq!(rig.settle().network("n").macs, 0);
}
