//! What the history tells: everything that has changed, with what was before.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;
mod trace_support;

use datapath::config::{Desired, FdbTarget};
use datapath::counter::DropReason;
use datapath::engine::FdbPlace;
use datapath::engine::history::{Happening, Line};
use datapath::switch::Origin;
use datapath::wire::mac::MacAddr;
use engine_support::neighbors::lab;
use engine_support::{
    A, BROADCAST, C, EXPERIMENTAL, Rig, STRANGER, arp, desired, ethernet, mac, network, vni,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use trace_support::{PORTS, Sent, World, sent, world};

#[derive(Debug, Clone)]
enum Step {
    Frames(Vec<Sent>),
    /// The world becomes another; perhaps the first network has another VNI, or is not there.
    Apply(Box<World>, u32, bool),
    Flush(Option<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let vni = prop_oneof![4 => Just(256u32), 1 => Just(300)];
    let step = prop_oneof![
        4 => vec(sent(), 1..15).prop_map(Step::Frames),
        2 => (world(), vni, prop::bool::weighted(0.8))
            .prop_map(|(world, vni, there)| Step::Apply(Box::new(world), vni, there)),
        1 => prop::option::of(0..PORTS.len()).prop_map(Step::Flush),
    ];
    vec(step, 1..16)
}

/// (network, MAC) -> its entry's origin and port; `None` is this host itself.
type Stations = BTreeMap<(String, MacAddr), (Origin, Option<String>)>;

fn stations(rig: &Rig) -> Stations {
    let lines = rig.datapath.fdb(None).into_iter().filter(|l| l.active);
    let entries = lines.map(|line| {
        let place = match line.place {
            FdbPlace::Port(name) => Some(name),
            FdbPlace::Vtep(remote, vni) if vni != line.vni => Some(format!("{remote}/{vni}")),
            FdbPlace::Vtep(remote, _) => Some(remote.to_string()),
            FdbPlace::Local => None,
        };
        ((line.network, line.mac), (line.origin, place))
    });
    entries.collect()
}

/// Takes a line back.
fn undo(stations: &mut Stations, line: &Line) {
    let port = line.place.port.as_deref().map(str::to_owned);
    let (mac, before) = match &line.happening {
        Happening::Learned { mac } => (mac, None),
        Happening::Moved { mac, from } => (mac, Some((Origin::Learned, Some(from.to_string())))),
        Happening::Aged { mac } | Happening::Evicted { mac } | Happening::Flushed { mac } => {
            (mac, Some((Origin::Learned, port)))
        }
        Happening::Removed { mac, origin } => (mac, Some((*origin, port))),
        Happening::Set { mac, before, .. } => {
            let named = |port: &Option<_>| port.as_deref().map(str::to_owned);
            (
                mac,
                before.as_ref().map(|(origin, port)| (*origin, named(port))),
            )
        }
        _ => return,
    };
    let key = (line.place.network.as_deref().unwrap().to_owned(), *mac);
    match before {
        Some(before) => stations.insert(key, before),
        None => stations.remove(&key),
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fdb_of_any_moment_follows_from_todays_and_the_history(
        first in world(),
        steps in steps(),
    ) {
        let first = first.state();
        let mut rig = Rig::new(&first);
        let mut moments = Vec::new();
        for step in steps {
            match step {
                Step::Frames(frames) => for sent in frames {
                    let there = |n: usize| rig.datapath.memory_port(PORTS[n]).is_some();
                    if !matches!(sent, Sent::Frame(n, _) if !there(n)) {
                        sent.send(&mut rig);
                    }
                },
                Step::Apply(world, number, there) => {
                    let mut state = world.state();
                    state.vtep = first.vtep.clone();
                    set_vni(&mut state, number);
                    if !there {
                        state.networks.remove(0);
                    }
                    rig.apply(&state).unwrap();
                }
                Step::Flush(port) => {
                    rig.datapath.flush("n", port.map(|n| PORTS[n]));
                }
            }
            rig.settle();
            let lines = rig.datapath.history(0).lines;
            moments.push((lines.len(), stations(&rig)));
        }
        let past = rig.datapath.history(0);
        let is_omission = |l: &&Line| matches!(l.happening, Happening::Omitted { .. });
        prop_assert_eq!(past.lines.iter().find(is_omission), None);
        prop_assert!(past.lines.iter().zip(0..).all(|(l, n)| l.seq == n));
        let mut then = stations(&rig);
        let mut lines = past.lines;
        for (known, expected) in moments.into_iter().rev() {
            for line in lines.drain(known..).rev() {
                undo(&mut then, &line);
            }
            prop_assert_eq!(&then, &expected);
        }
    }
}

fn set_vni(state: &mut Desired, number: u32) {
    let first = &mut state.networks[0];
    let (then, now) = (first.vni, vni(number));
    first.vni = now;
    let tunnels = first.tunnels.iter_mut().map(|t| &mut t.key);
    let entries = first.fdb.iter_mut().filter_map(|e| match &mut e.target {
        FdbTarget::Tunnel(key) => Some(key),
        FdbTarget::Port(_) | FdbTarget::Local => None,
    });
    for key in tunnels.chain(entries).filter(|key| key.vni == then) {
        key.vni = now;
    }
}

/// The happenings since `seq`, as (port, what).
/// But for who is heard of: that is noticed once a second, and so sooner or later.
fn told(rig: &Rig, seq: u64) -> Vec<(String, Happening)> {
    let lines = rig.datapath.history(seq).lines.into_iter();
    let lines = lines.filter(|line| line.happening != Happening::VtepHeard);
    let port = |line: &Line| line.place.port.as_deref().unwrap_or("").to_owned();
    lines.map(|line| (port(&line), line.happening)).collect()
}

fn next(rig: &Rig) -> u64 {
    rig.datapath.history(0).lines.len() as u64
}

fn at(port: &str, happening: Happening) -> (String, Happening) {
    (port.into(), happening)
}

fn frame(from: u32) -> Vec<u8> {
    ethernet(BROADCAST, mac(from), EXPERIMENTAL, &[1; 40])
}

const A_NAME: &str = "10.200.0.2:4789";
const C_NAME: &str = "10.200.0.3:4789";

#[test]
fn ports_and_vteps_come_before_what_happens_there_and_go_with_it() {
    let with_q = network("n", 256).port("p").port("q").peer(A);
    let mut rig = Rig::new(&desired([with_q]));
    let up = [
        at("p", Happening::PortUp),
        at("q", Happening::PortUp),
        at(A_NAME, Happening::VtepUp),
    ];
    assert_eq!(told(&rig, 0), up);
    rig.frame("q", &frame(1));
    rig.datagram(A, 256, &frame(2));
    rig.settle();
    let then = next(&rig);
    let without = network("n", 256).port("p").peer(C);
    rig.apply(&desired([without])).unwrap();
    let mut gone = told(&rig, then);
    gone.sort_by_key(|(port, what)| (format!("{what:?}"), port.clone()));
    let mut expected = vec![
        at("q", Happening::Flushed { mac: mac(1) }),
        at(A_NAME, Happening::Flushed { mac: mac(2) }),
        at("q", Happening::PortDown { detail: None }),
        at(A_NAME, Happening::VtepDown),
        at(C_NAME, Happening::VtepUp),
    ];
    expected.sort_by_key(|(port, what)| (format!("{what:?}"), port.clone()));
    assert_eq!(gone, expected);
}

#[test]
fn a_vtep_that_an_open_network_learns_is_told() {
    let open = network("n", 256).port("p").with(|n| n.open_peers = true);
    let mut rig = Rig::new(&desired([open]));
    rig.datagram(STRANGER, 256, &frame(2));
    rig.settle();
    let expected = [
        at("p", Happening::PortUp),
        at("10.200.0.99:4789", Happening::VtepUp),
        at("10.200.0.99:4789", Happening::Learned { mac: mac(2) }),
    ];
    assert_eq!(told(&rig, 0), expected);
}

#[test]
fn what_the_control_plane_sets_says_what_was_there() {
    let bare = network("n", 256).port("p").peer(A);
    let mut rig = Rig::new(&desired([bare.clone()]));
    rig.frame("p", &frame(1));
    rig.settle();
    let then = next(&rig);
    let at_a = bare.at(A);
    let known = bare
        .clone()
        .entry(mac(1), at_a)
        .neighbor("10.0.0.1", mac(1));
    rig.apply(&desired([known.clone()])).unwrap();
    rig.apply(&desired([known])).unwrap();
    let before = Some((Origin::Learned, Some("p".into())));
    let ip = "10.0.0.1".parse().unwrap();
    let set = Happening::Set {
        mac: mac(1),
        origin: Origin::Static,
        before,
    };
    let neighbor = Happening::NeighborSet { ip, mac: mac(1) };
    assert_eq!(told(&rig, then), [at("", neighbor), at(A_NAME, set)]);
    let then = next(&rig);
    rig.apply(&desired([bare.neighbor("10.0.0.1", mac(7))]))
        .unwrap();
    let moved = [
        at("", Happening::NeighborRemoved { ip, mac: mac(1) }),
        at("", Happening::NeighborSet { ip, mac: mac(7) }),
        at(
            A_NAME,
            Happening::Removed {
                mac: mac(1),
                origin: Origin::Static,
            },
        ),
    ];
    assert_eq!(told(&rig, then), moved);
}

#[test]
fn who_is_not_learned_and_who_is_answered_is_told_once() {
    let lab = lab().with(|n| n.ports[0].max_macs = 1);
    let mut rig = Rig::new(&desired([lab]));
    let then = next(&rig);
    for _ in 0..3 {
        rig.frame("p", &arp(mac(1), 2));
        rig.frame("p", &frame(8));
        rig.frame("p", &frame(2));
    }
    rig.settle();
    let expected = [
        at("p", Happening::Learned { mac: mac(1) }),
        at(
            "p",
            Happening::Answered {
                ip: "10.0.0.2".parse().unwrap(),
                mac: mac(2),
            },
        ),
        at(
            "p",
            Happening::Refused {
                mac: mac(8),
                reason: "full",
            },
        ),
        at(
            "p",
            Happening::Refused {
                mac: mac(2),
                reason: "conflict",
            },
        ),
        at(
            "p",
            Happening::Dropped {
                reason: DropReason::FdbStaticConflict,
                mac: Some(mac(2)),
            },
        ),
    ];
    assert_eq!(told(&rig, then), expected);
}

/// As many stations as fit, and one happening elsewhere.
#[test]
fn a_flood_of_macs_does_not_wash_the_rest_out() {
    let wide = network("n", 256)
        .port_with("p", |p| p.max_macs = 5000)
        .port("q");
    let mut rig = Rig::new(&desired([wide]));
    let began = rig.datapath.history(0).complete_since_ms;
    rig.frame("q", &frame(1));
    rig.settle();
    for n in 10..4010 {
        rig.frame("p", &frame(n));
    }
    rig.settle();
    rig.wait_until("what was omitted is told", |rig, _| {
        let counts = told(rig, 0).into_iter().map(|(port, what)| match what {
            Happening::Learned { .. } if port == "p" => 1,
            Happening::Omitted { count } => count,
            _ => 0,
        });
        counts.sum::<u64>() == 4000
    });
    let lines = told(&rig, 0);
    assert!(lines.contains(&at("q", Happening::Learned { mac: mac(1) })));
    assert!(lines.len() < 2000, "{}", lines.len());
    assert!(rig.datapath.history(0).complete_since_ms > began);
}
