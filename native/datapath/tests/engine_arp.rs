//! ARP about neighbors that the control plane knows: what is answered, what is forwarded, what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::VlanPolicy;
use datapath::event::Event;
use datapath::wire::mac::MacAddr;
use engine_support::neighbors::{
    NOBODY, Way, asked, assert_noted, lab, noted, reply, request, send, solicitation, state,
};
use engine_support::{A, ArpFields, BROADCAST, Book, Rig, desired, ethernet, mac, network, tagged};

#[test]
fn k185_a_request_for_a_station_elsewhere_is_answered_here() {
    let mut rig = Rig::new(&state());
    let answer = reply(2, (mac(1), [10, 0, 0, 1]));
    assert_eq!(send(&mut rig, &request(1, 2)), Way::answered(answer));
    assert_noted(&mut rig, &[("arp.proxied", 1)]);
    let counters = rig.settle();
    let n = counters.network("n");
    assert_eq!((n.consumed, n.generated, n.flooded), (1, 1, 0));
    // The asker is learned, and the answer has taught nothing new.
    assert_eq!(rig.place("n", mac(1)).as_deref(), Some("p"));
    assert_eq!(rig.place("n", mac(2)), Some(A.to_string()));
}

#[test]
fn k185_what_comes_out_of_a_tunnel_is_not_answered() {
    let mut rig = Rig::new(&state());
    let frame = request(7, 2);
    rig.datagram(A, 256, &frame);
    assert_eq!([rig.taken("p"), rig.taken("q")], [[frame.clone()], [frame]]);
    assert_eq!(rig.sent_to(), []);
    assert_eq!(rig.settle().network("n").generated, 0);
}

#[test]
fn k185_a_network_of_which_nothing_is_known_is_left_alone() {
    let mut rig = Rig::new(&desired([lab().with(|n| n.neighbors.clear())]));
    for frame in [request(1, 2), request(1, 1), solicitation(1, 2).multicast()] {
        assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame));
    }
    assert_noted(&mut rig, &[]);
}

#[test]
fn k186_a_request_for_nobody_known_is_flooded() {
    let mut rig = Rig::new(&state());
    let frame = request(1, 99);
    assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame));
    assert_noted(&mut rig, &[("arp.flooded", 1)]);
}

#[test]
fn k187_a_request_for_a_local_station_goes_to_that_and_not_into_tunnels() {
    let mut rig = Rig::new(&state());
    let frame = request(1, 3);
    assert_eq!(send(&mut rig, &frame), Way::kept_here(&frame));
    assert_noted(&mut rig, &[("arp.local", 1)]);
    // A probe is for everybody to see.
    let probe = asked(1, NOBODY, 3).frame(BROADCAST, mac(1));
    assert_eq!(send(&mut rig, &probe), Way::forwarded(&probe));
    assert_noted(&mut rig, &[("arp.local", 2)]);
}

#[test]
fn k188_an_announcement_is_never_answered_and_kept_out_of_tunnels_where_it_is_known() {
    let ours = lab().neighbor_with("10.0.0.1", mac(1), |n| n.local = true);
    let mut rig = Rig::new(&desired([ours]));
    for operation in [1, 2] {
        let announced = |n: u8| {
            let own = (mac(n.into()), [10, 0, 0, n]);
            let fields = ArpFields {
                operation,
                sender: own,
                target: own,
            };
            fields.frame(BROADCAST, mac(n.into()))
        };
        let known = announced(1);
        assert_eq!(send(&mut rig, &known), Way::kept_here(&known));
        let unknown = announced(8);
        assert_eq!(send(&mut rig, &unknown), Way::forwarded(&unknown));
        let stale = announced(4);
        assert_eq!(send(&mut rig, &stale), Way::forwarded(&stale));
    }
    assert_noted(&mut rig, &[("arp.garp", 6)]);
}

#[test]
fn k188_an_announcement_that_concerns_nobody_here_is_consumed() {
    let alone = network("n", 256).port("p").peer(A);
    let mut rig = Rig::new(&desired([
        alone.neighbor_with("10.0.0.1", mac(1), |n| n.local = true)
    ]));
    rig.frame("p", &request(1, 1));
    assert_eq!((rig.taken("p"), rig.sent_to()), (vec![], vec![]));
    assert_eq!(rig.settle().network("n").consumed, 1);
}

#[test]
fn k189_an_announcement_of_an_address_that_another_has_is_dropped_and_told() {
    let mut rig = Rig::new(&state());
    let forged = asked(9, [10, 0, 0, 2], 2).frame(BROADCAST, mac(9));
    for _ in 0..3 {
        assert_eq!(send(&mut rig, &forged), Way::default());
    }
    // To one station alone it would do the same harm.
    let (operation, own) = (2, (mac(9), [10, 0, 0, 3]));
    let fields = ArpFields {
        operation,
        sender: own,
        target: own,
    };
    assert_eq!(
        send(&mut rig, &fields.frame(mac(3), mac(9))),
        Way::default()
    );
    rig.assert_drops(&[("p", "arp.spoof", 4)]);
    let conflict = |n: u32| Event::IpConflict {
        network: "n".into(),
        port: "p".into(),
        ip: format!("10.0.0.{n}").parse().unwrap(),
        claimant: mac(9),
        owner: mac(n),
    };
    assert_eq!(rig.events(), [conflict(2), conflict(3)]);
}

#[test]
fn k189_an_address_whose_owner_is_gone_may_be_taken_over() {
    let mut rig = Rig::new(&state());
    let taken_over = asked(9, [10, 0, 0, 5], 5).frame(BROADCAST, mac(9));
    assert_eq!(send(&mut rig, &taken_over), Way::forwarded(&taken_over));
    assert_eq!(rig.events(), []);
}

#[test]
fn k190_a_probe_for_an_address_that_another_has_is_answered() {
    let mut rig = Rig::new(&state());
    let probe = asked(1, NOBODY, 2).frame(BROADCAST, mac(1));
    let answer = reply(2, (mac(1), NOBODY));
    assert_eq!(send(&mut rig, &probe), Way::answered(answer));
    assert_noted(&mut rig, &[("arp.probe_answered", 1)]);
}

#[test]
fn k190_a_station_that_has_moved_here_finds_no_duplicate_in_itself() {
    let mut rig = Rig::new(&desired([lab().with(|n| n.fdb.clear())]));
    let probe = asked(2, NOBODY, 2).frame(BROADCAST, mac(2));
    assert_eq!(send(&mut rig, &probe), Way::forwarded(&probe));
    let dad = solicitation(2, 2).for_nobody().multicast();
    assert_eq!(send(&mut rig, &dad), Way::forwarded(&dad));
    assert_noted(&mut rig, &[("arp.flooded", 1), ("nd.flooded", 1)]);
}

#[test]
fn k191_a_probe_for_a_free_address_is_flooded() {
    let mut rig = Rig::new(&state());
    let probe = asked(1, NOBODY, 99).frame(BROADCAST, mac(1));
    assert_eq!(send(&mut rig, &probe), Way::forwarded(&probe));
    assert_noted(&mut rig, &[("arp.flooded", 1)]);
}

#[test]
fn k192_a_request_to_the_owner_itself_is_forwarded() {
    let mut rig = Rig::new(&state());
    let question = asked(1, [10, 0, 0, 1], 2).frame(mac(2), mac(1));
    assert_eq!(send(&mut rig, &question), Way::into_tunnel(&question));
    assert_noted(&mut rig, &[("arp.unicast_fwd", 1)]);
}

#[test]
fn k193_replies_are_forwarded() {
    let mut rig = Rig::new(&state());
    let to_one = reply(1, (mac(2), [10, 0, 0, 2]));
    assert_eq!(send(&mut rig, &to_one), Way::into_tunnel(&to_one));
    let mut to_all = to_one.clone();
    to_all[..6].fill(0xff);
    assert_eq!(send(&mut rig, &to_all), Way::forwarded(&to_all));
    assert_noted(&mut rig, &[("arp.reply_fwd", 2)]);
}

#[test]
fn k194_addresses_that_nobody_can_have_are_not_answered_even_if_somebody_says_so() {
    let impossible = [[224, 0, 0, 5], [127, 0, 0, 1], [255; 4], [0; 4]];
    let mut network = lab();
    for [a, b, c, d] in impossible {
        network = network.neighbor(&format!("{a}.{b}.{c}.{d}"), mac(2));
    }
    for ip in ["::", "::1"] {
        network = network.neighbor(ip, mac(2));
    }
    let mut rig = Rig::new(&desired([network]));
    for target in impossible {
        let fields = ArpFields {
            target: (MacAddr::ZERO, target),
            ..asked(1, [10, 0, 0, 1], 0)
        };
        let frame = fields.frame(BROADCAST, mac(1));
        assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame), "{target:?}");
    }
    for target in ["::", "::1"] {
        let mut asked = solicitation(1, 2);
        asked.target = target.parse().unwrap();
        let frame = asked.multicast();
        assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame), "{target}");
    }
    assert_noted(&mut rig, &[]);
}

#[test]
fn k195_what_is_no_arp_for_ipv4_over_ethernet_is_forwarded() {
    let mut rig = Rig::new(&state());
    let good = request(1, 2);
    let mut count = 0;
    let strange = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    let cut = |len: usize| good[..len].to_vec();
    for frame in [
        strange(15, 6),  // hardware type
        strange(17, 1),  // protocol type
        strange(18, 8),  // hardware address length
        strange(19, 16), // protocol address length
        strange(21, 3),  // RARP request
        strange(21, 4),  // RARP reply
        cut(14 + 27),
        cut(14),
    ] {
        count += 1;
        assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame));
        assert_noted(&mut rig, &[("arp.notparsed", count)]);
    }
    // Padding is none of its business.
    let padded = [&good[..], &[0; 18]].concat();
    let answer = reply(2, (mac(1), [10, 0, 0, 1]));
    assert_eq!(send(&mut rig, &padded), Way::answered(answer));
}

#[test]
fn k196_the_answer_goes_to_the_sender_of_the_frame() {
    let mut rig = Rig::new(&state());
    let odd = asked(8, [10, 0, 0, 8], 2).frame(BROADCAST, mac(1));
    let mut answer = reply(2, (mac(8), [10, 0, 0, 8]));
    answer[..6].copy_from_slice(&mac(1).0);
    assert_eq!(send(&mut rig, &odd), Way::answered(answer));
    assert_noted(&mut rig, &[("arp.sha_mismatch", 1)]);
}

#[test]
fn k197_k204_who_may_be_gone_is_asked_itself() {
    let mut rig = Rig::new(&state());
    for target in [4, 5] {
        for frame in [request(1, target), solicitation(1, target).multicast()] {
            assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame));
        }
    }
    let expected = ["arp.owner_dead", "arp.stale", "nd.owner_dead", "nd.stale"];
    assert_noted(&mut rig, &expected.map(|note| (note, 1)));
}

#[test]
fn k205_a_port_is_answered_a_thousand_times_at_once() {
    let mut rig = Rig::new(&state());
    let mut asked = 0;
    while rig.settle().drops().is_empty() {
        // The bucket gains one a millisecond, so a fast machine needs one batch.
        for _ in 0..1100 {
            rig.frame("p", &request(1, 2));
        }
        asked += 1100;
        assert!(asked < 1_000_000, "no limit");
    }
    let counters = rig.settle();
    let limited = counters.drops()[&("p".to_owned(), "arp.ratelimited")];
    assert!(noted(&counters)["arp.proxied"] >= 1000);
    assert_eq!(noted(&counters)["arp.proxied"] + limited, asked);
    assert_eq!(rig.taken("p").len() as u64, asked - limited);
    // Another port is not concerned.
    rig.frame("q", &request(3, 2));
    assert_eq!(rig.taken("q").len(), 1);
}

#[test]
fn a_tagged_question_is_forwarded_as_it_came() {
    let all = lab().with(|n| n.rules.vlan = VlanPolicy::Allow(vec![]));
    let mut rig = Rig::new(&desired([all]));
    let frame = tagged(&request(1, 2), 0x8100, 7);
    assert_eq!(send(&mut rig, &frame), Way::forwarded(&frame));
    assert_noted(&mut rig, &[]);
}

#[test]
fn a_priority_tag_is_taken_off_before() {
    let mut rig = Rig::new(&state());
    let answer = reply(2, (mac(1), [10, 0, 0, 1]));
    let frame = tagged(&request(1, 2), 0x8100, 0xa000);
    assert_eq!(send(&mut rig, &frame), Way::answered(answer));
}

#[test]
fn what_the_bridge_drops_is_not_answered() {
    let mut rig = Rig::new(&state());
    // Station 3 has a static entry at q.
    assert_eq!(send(&mut rig, &request(3, 2)), Way::default());
    rig.assert_drops(&[("p", "rx.fdb_static_conflict", 1)]);
    let other = ethernet(BROADCAST, mac(1), 0x88b5, &[0; 46]);
    assert_eq!(send(&mut rig, &other), Way::forwarded(&other));
}
