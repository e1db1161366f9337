use super::*;
use crate::config::FdbLimits;
use crate::switch::fdb::{Fdb, Foreseen, Origin};
use crate::wire::mac::MacAddr;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Kept(Mutex<Vec<Change>>);

impl Journal for Kept {
    fn record(&self, change: Change) {
        self.0.lock().unwrap().push(change);
    }
}

impl Kept {
    fn all(&self) -> Vec<Change> {
        self.0.lock().unwrap().clone()
    }
}

/// What can be done to a table.
#[derive(Debug, Clone)]
enum Step {
    Learn { mac: u64, port: u16 },
    Set { mac: u64, port: u16, origin: bool },
    Remove { mac: u64 },
    FlushPort { port: u16 },
    Age,
    Wait { secs: u32 },
    Limits { evicts: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (mac, port) = (1..30u64, 0..4u16);
    let step = prop_oneof![
        16 => (mac.clone(), port.clone()).prop_map(|(mac, port)| Step::Learn { mac, port }),
        2 => (mac.clone(), port.clone(), any::<bool>())
            .prop_map(|(mac, port, origin)| Step::Set { mac, port, origin }),
        2 => mac.prop_map(|mac| Step::Remove { mac }),
        1 => port.prop_map(|port| Step::FlushPort { port }),
        2 => Just(Step::Age),
        2 => (0..100u32).prop_map(|secs| Step::Wait { secs }),
        1 => any::<bool>().prop_map(|evicts| Step::Limits { evicts }),
    ];
    proptest::collection::vec(step, 0..200)
}

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0242_0000_0000 + n)
}

type Places = BTreeMap<MacAddr, (PortId, Origin)>;

fn places(fdb: &Fdb) -> Places {
    let entries = fdb.entries().into_iter();
    entries.map(|e| (e.mac, (e.port, e.origin))).collect()
}

/// Takes changes back, the last first.
fn undo(places: &mut Places, changes: &[Change]) {
    for change in changes.iter().rev() {
        let (mac, before) = match *change {
            Change::Learned(entry) => (entry.mac, None),
            Change::Moved { entry, from } => (entry.mac, Some((from, Origin::Learned))),
            Change::Aged(e) | Change::Evicted(e) | Change::Removed(e) => {
                (e.mac, Some((e.port, e.origin)))
            }
            Change::Set { entry, before } => (entry.mac, before.map(|e| (e.port, e.origin))),
        };
        match before {
            Some(before) => places.insert(mac, before),
            None => places.remove(&mac),
        };
    }
}

proptest! {
    #[test]
    fn the_table_of_any_moment_follows_from_todays_and_the_changes(
        steps in steps(),
        port_max in 1..10u32,
        max_macs in 1..20u32,
        evict_oldest: bool,
    ) {
        let journal = Arc::new(Kept::default());
        let mut limits = FdbLimits { max_macs, evict_oldest, ageing_secs: 60 };
        let fdb = Fdb::new(limits).told_to(journal.clone());
        let mut now = 0;
        let mut moments = Vec::new();
        for step in steps {
            match step {
                Step::Learn { mac: m, port } => {
                    let port = PortId::new(port);
                    let then = journal.all().len();
                    let foreseen = fdb.foresee(mac(m), port, port_max);
                    let learn = fdb.learn(mac(m), port, port_max, now);
                    let evicted = journal.all()[then..].iter().find_map(|change| match change {
                        Change::Evicted(entry) => Some(entry.mac),
                        _ => None,
                    });
                    prop_assert_eq!(foreseen, Foreseen { learn, evicted });
                }
                Step::Set { mac: m, port, origin } => {
                    let origin = if origin { Origin::Static } else { Origin::Control };
                    fdb.set(mac(m), PortId::new(port), origin, now);
                }
                Step::Remove { mac: m } => {
                    fdb.remove(mac(m), |_| true);
                }
                Step::FlushPort { port } => {
                    fdb.flush(|e| e.port == PortId::new(port));
                }
                Step::Age => fdb.age(now, 1),
                Step::Wait { secs } => now += secs,
                Step::Limits { evicts } => {
                    limits.evict_oldest = evicts;
                    fdb.set_limits(limits);
                }
            }
            moments.push((journal.all().len(), places(&fdb)));
        }
        let all = journal.all();
        let today = places(&fdb);
        for (then, expected) in &moments {
            let mut rebuilt = today.clone();
            undo(&mut rebuilt, &all[*then..]);
            prop_assert_eq!(&rebuilt, expected);
        }
        fdb.retire();
        let mut rebuilt = Places::new();
        undo(&mut rebuilt, &journal.all()[all.len()..]);
        prop_assert_eq!(&rebuilt, &today);
        fdb.learn(mac(99), PortId::new(1), 100, now);
        prop_assert_eq!(journal.all().len(), all.len() + today.len());
    }
}

#[test]
fn what_stays_as_it_was_is_no_change() {
    let journal = Arc::new(Kept::default());
    let limits = FdbLimits {
        max_macs: 1,
        evict_oldest: false,
        ageing_secs: 0,
    };
    let fdb = Fdb::new(limits).told_to(journal.clone());
    let port = PortId::new(1);
    fdb.set(mac(1), port, Origin::Control, 0);
    fdb.set(mac(1), port, Origin::Control, 9);
    fdb.learn(mac(2), port, 10, 0);
    fdb.learn(mac(2), port, 10, 1);
    fdb.learn(mac(3), port, 10, 1);
    fdb.learn(mac(1), PortId::new(2), 10, 1);
    assert_eq!(journal.all().len(), 2);
}
