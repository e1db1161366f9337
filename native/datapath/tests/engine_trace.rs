//! A trace against what becomes of the same frame: first it is asked for, then the frame is sent, and everything that was
//! foretold is compared with everything that was counted, sent and learned.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;
mod trace_support;

use datapath::counter::DropReason;
use datapath::engine::trace::{Ending, Kind, Outcome, Step, Trace};
use datapath::engine::{Counters, FdbPlace};
use datapath::io::underlay::{SendError, SendErrorOrigin};
use datapath::note::Note;
use datapath::wire::mac::MacAddr;
use engine_support::{A, Book, Rig};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use trace_support::{PORTS, Sent, sent, world};

/// All that can be seen of a switch; (network or place, what) -> count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    counts: BTreeMap<(String, String), u64>,
    /// (network, MAC) -> place
    stations: BTreeMap<(String, MacAddr), String>,
}

impl Seen {
    fn of(rig: &Rig, counters: &Counters) -> Self {
        let mut counts = counters.ledger();
        // These are told by place.
        let drops = |(_, what): &(String, String)| {
            DropReason::ALL.iter().any(|r| r.name() == what)
                || Note::ALL.iter().any(|n| n.name() == what)
        };
        counts.retain(|key, _| !drops(key) && !key.1.ends_with("bytes"));
        counts.retain(|key, _| !["rx frames", "tx frames"].contains(&key.1.as_str()));
        for ((place, reason), n) in counters.drops() {
            counts.insert((place, reason.into()), n);
        }
        for network in &counters.networks {
            for port in &network.ports {
                let mut enter = |what: &str, n: u64| {
                    let place = format!("{} {}", network.name, port.name);
                    *counts.entry((place, what.into())).or_default() += n;
                };
                enter("rx", port.frames.rx_frames);
                enter("tx", port.frames.tx_frames);
                for &(note, n) in &port.frames.notes {
                    enter(note.name(), n);
                }
            }
        }
        counts.retain(|_, n| *n > 0);
        let lines = rig.datapath.fdb(None).into_iter().filter(|l| l.active);
        let stations = lines.map(|line| {
            let place = match line.place {
                FdbPlace::Port(name) => name,
                FdbPlace::Vtep(remote, vni) if vni.get() == 77 => format!("{remote}/77"),
                FdbPlace::Vtep(remote, _) => remote.to_string(),
                FdbPlace::Local => "local".into(),
            };
            ((line.network, line.mac), place)
        });
        Self {
            counts,
            stations: stations.collect(),
        }
    }

    fn count(&mut self, place: impl Into<String>, what: impl Into<String>, n: u64) {
        *self.counts.entry((place.into(), what.into())).or_default() += n;
    }

    /// What the frame that was traced will change.
    fn foretell(&mut self, sent: &Sent, trace: &Trace) {
        let network = trace.network.as_deref().unwrap_or("").to_owned();
        let is_datagram = matches!(sent, Sent::Datagram(_));
        if is_datagram {
            self.count("", "datagrams", 1);
        }
        let find = |kind| trace.steps.iter().find(|s| s.kind == kind);
        let sender = find(Kind::Sender).and_then(|s| s.port.clone());
        let ingress = find(Kind::Enters).and_then(|s| s.port.clone()).or(sender);
        let place = |port: &str| format!("{network} {port}");
        if let Some(ingress) = &ingress {
            self.count(place(ingress), "rx", 1);
        }
        match trace.ending {
            Ending::To => self.count(&network, "unicast", 1),
            Ending::Flood => {
                self.count(&network, "flooded", 1);
                self.count(&network, "replicated", trace.copies.len() as u64);
            }
            Ending::Consumed => self.count(&network, "consumed", 1),
            Ending::Drop(reason) => {
                let place = match (&ingress, network.as_str()) {
                    (Some(ingress), _) => ingress.to_string(),
                    (None, "") => "underlay".into(),
                    (None, network) => format!("network {network}"),
                };
                self.count(place, reason.name(), 1);
            }
        }
        for copy in &trace.copies {
            match copy.reason {
                Some(reason) => self.count(&*copy.port, reason.name(), 1),
                None => self.count(place(&copy.port), "tx", 1),
            }
            if let Some(note) = copy.note {
                self.count(place(&copy.port), note.name(), 1);
            }
        }
        for step in &trace.steps {
            self.foretell_of(step, (&network, ingress.as_deref().unwrap_or("")));
        }
        self.counts.retain(|_, n| *n > 0);
    }

    fn foretell_of(&mut self, step: &Step, (network, ingress): (&str, &str)) {
        let place = format!("{network} {ingress}");
        if let Some(note) = step.note {
            self.count(&place, note.name(), 1);
            let is_told = matches!(note, Note::PtbSent | Note::Ptb6Sent);
            if is_told || step.outcome == Some(Outcome::Answered) {
                self.count(network, "generated", 1);
                self.count(&place, "tx", 1);
            }
            if note == Note::Ptb6Sent && step.mtu == Some(1280) {
                // By how much less is not said.
                self.counts.remove(&(place, Note::Ptb6Least.name().into()));
            }
        }
        match (step.kind, step.outcome) {
            (Kind::Reserved, Some(Outcome::Ignored)) => self.count(network, "reserved ignored", 1),
            (Kind::Learn, Some(outcome)) => {
                let key = (network.to_owned(), step.mac.unwrap());
                if let Some(evicted) = step.evicted {
                    self.stations.remove(&(network.to_owned(), evicted));
                    self.count(network, "evicted", 1);
                }
                match outcome {
                    Outcome::Learned => {
                        assert_eq!(self.stations.insert(key, ingress.into()), None);
                        self.count(network, "learned", 1);
                    }
                    Outcome::Moved => {
                        let was = self.stations.insert(key, ingress.into());
                        assert_eq!(was, step.from);
                        self.count(network, "moved", 1);
                    }
                    Outcome::Full => self.count(network, "full", 1),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Counts about which a trace says nothing of its own.
fn without_asides(mut seen: Seen) -> Seen {
    seen.counts.retain(|(_, what), _| {
        !["ecn odd", "ecn nonip", Note::Ptb6Least.name()].contains(&what.as_str())
            && !what.starts_with("worker ")
    });
    seen
}

fn check(rig: &mut Rig, sent: &Sent) -> Trace {
    let before = rig.settle();
    let before = Seen::of(rig, &before);
    let trace = sent.ask(rig);
    let after_trace = rig.datapath.counters().unwrap();
    assert_eq!(Seen::of(rig, &after_trace), before, "a trace leaves none");
    sent.send(rig);
    let counters = rig.settle();
    let mut foretold = before;
    foretold.foretell(sent, &trace);
    let after = Seen::of(rig, &counters);
    assert_eq!(
        without_asides(foretold),
        without_asides(after),
        "{trace:#?}"
    );
    check_datagrams(rig, &trace);
    check_frames(rig, sent, &trace);
    trace
}

fn check_datagrams(rig: &mut Rig, trace: &Trace) {
    let sent = rig.sent().into_iter();
    let mut sent: Vec<_> = sent
        .map(|d| {
            let [_, _, _, _, a, b, c, _] = *d.payload.first_chunk().unwrap();
            let vni = u32::from_be_bytes([0, a, b, c]);
            (d.destination, d.source.port(), vni, d.payload.len() + 28)
        })
        .collect();
    let left = trace.copies.iter().filter(|c| c.reason.is_none());
    let mut foretold: Vec<_> = left
        .filter_map(|copy| {
            let outer = copy.outer?;
            Some((
                outer.remote,
                outer.source_port,
                outer.vni.get(),
                copy.length,
            ))
        })
        .collect();
    sent.sort_unstable();
    foretold.sort_unstable();
    assert_eq!(foretold, sent, "{trace:#?}");
}

/// Lengths of what left at local ports; of what this host made itself there is one more at the port of entry.
fn check_frames(rig: &mut Rig, sent: &Sent, trace: &Trace) {
    for (n, port) in PORTS.iter().enumerate() {
        let lengths: Vec<_> = rig.taken(port).iter().map(Vec::len).collect();
        let copy = trace.copies.iter().find(|c| *c.port == **port);
        let Some(copy) = copy.filter(|c| c.reason.is_none()) else {
            continue;
        };
        let is_own = matches!(sent, Sent::Frame(at, _) if *at == n);
        // A kernel peer's superframe leaves in segments.
        if !is_own && lengths.len() == 1 {
            assert_eq!(lengths, [copy.length], "{trace:#?}");
        }
    }
}

fn report_path(rig: &mut Rig, mtu: u32) {
    let underlay = rig.datapath.memory_underlay().unwrap();
    underlay
        .reports
        .push(SendError {
            destination: A,
            errno: 90,
            origin: SendErrorOrigin::Icmp,
            kind: 3,
            code: 4,
            mtu: Some(mtu),
        })
        .unwrap();
    rig.wait_until("the report is taken in", |_, counters| {
        let tunnel = counters.port("10.200.0.2:4789");
        tunnel.path_mtu.is_some_and(|now| now <= mtu)
    });
}

/// Ten thousand frames in a hundred worlds.
#[test]
fn a_trace_says_what_becomes_of_the_frame() {
    let config = ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let seen = RefCell::new(BTreeSet::new());
    let outcome = TestRunner::new(config).run(&(world(), vec(sent(), 100)), |(world, frames)| {
        let mut rig = Rig::new(&world.state());
        if let Some(mtu) = world.reported {
            report_path(&mut rig, mtu);
        }
        for sent in &frames {
            let trace = check(&mut rig, sent);
            let steps = trace.steps.iter();
            let named = steps.map(|s| (s.kind.name(), s.outcome.map_or("", Outcome::name)));
            seen.borrow_mut().extend(named);
        }
        Ok(())
    });
    outcome.unwrap();
    let missed: Vec<_> = USUAL
        .iter()
        .filter(|usual| !seen.borrow().contains(usual))
        .collect();
    assert!(missed.is_empty(), "not among the frames: {missed:?}");
}

/// What ten thousand such frames never fail to meet with.
const USUAL: &[(&str, &str)] = &[
    ("enters", ""),
    ("datagram", "vxlan"),
    ("datagram", "dropped"),
    ("network", "up"),
    ("network", "down"),
    ("network", "unknown"),
    ("sender", "peer"),
    ("sender", "new"),
    ("sender", "dropped"),
    ("reserved", "ignored"),
    ("reserved", "dropped"),
    ("frame", "dropped"),
    ("vlan", "kept"),
    ("vlan", "stripped"),
    ("vlan", "dropped"),
    ("congestion", "marked"),
    ("congestion", "unchanged"),
    ("congestion", "notIp"),
    ("congestion", "dropped"),
    ("guard", "allowed"),
    ("guard", "dropped"),
    ("size", "dropped"),
    ("addresses", "dropped"),
    ("learn", "known"),
    ("learn", "learned"),
    ("learn", "moved"),
    ("learn", "conflict"),
    ("learn", "full"),
    ("learn", "off"),
    ("lookup", "found"),
    ("lookup", "here"),
    ("lookup", "unknown"),
    ("lookup", "broadcast"),
    ("lookup", "multicast"),
    ("neighbor", "forwarded"),
    ("neighbor", "keptHere"),
    ("neighbor", "answered"),
    ("flood", "copies"),
    ("tooBig", "told"),
    ("tooBig", "untold"),
];
