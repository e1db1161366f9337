use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const LIMITS: FdbLimits = FdbLimits {
    max_macs: 1000,
    evict_oldest: false,
    ageing_secs: 300,
};

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0242_0000_0000 + n)
}

fn port(n: u16) -> PortId {
    PortId::new(n)
}

fn fdb(limits: FdbLimits) -> Fdb {
    Fdb::new(limits)
}

#[test]
fn d54_d55_d56_the_newest_frame_says_where_a_station_is() {
    let fdb = fdb(LIMITS);
    assert_eq!(fdb.learn(mac(1), port(1), 10, 0), Learn::Learned);
    assert_eq!(fdb.learn(mac(1), port(1), 10, 1), Learn::Known);
    assert_eq!(
        fdb.learn(mac(1), port(2), 10, 2),
        Learn::Moved { from: port(1) }
    );
    assert_eq!(fdb.lookup(mac(1)), Some(port(2)));
    assert_eq!(
        (fdb.learned(Some(port(1))), fdb.learned(Some(port(2)))),
        (0, 1)
    );
    assert_eq!((fdb.stats().learned, fdb.stats().moved), (1, 1));
}

#[test]
fn d57_data_traffic_does_not_touch_static_entries() {
    let fdb = fdb(FdbLimits {
        max_macs: 1,
        ..LIMITS
    });
    fdb.set(mac(1), port(1), Origin::Static, 0);
    fdb.set(mac(2), port(1), Origin::Control, 0);
    assert_eq!(
        fdb.learn(mac(1), port(2), 10, 5),
        Learn::Conflict { owner: port(1) }
    );
    assert_eq!(
        fdb.learn(mac(2), port(2), 10, 5),
        Learn::Conflict { owner: port(1) }
    );
    assert_eq!(
        fdb.learn(mac(3), port(2), 10, 5),
        Learn::Learned,
        "they do not count against the limit"
    );
    for _ in 0..4 {
        fdb.age(10_000, 4);
    }
    assert_eq!(fdb.lookup(mac(1)), Some(port(1)));
    assert_eq!(fdb.lookup(mac(2)), Some(port(1)));
    assert_eq!(fdb.lookup(mac(3)), None);
}

#[test]
fn d60_d61_an_entry_goes_within_a_second_of_its_age_and_only_its_own_frames_keep_it() {
    let fdb = fdb(LIMITS);
    fdb.learn(mac(1), port(1), 10, 0);
    fdb.learn(mac(2), port(1), 10, 0);
    fdb.learn(mac(1), port(1), 10, 100);
    for now in 0..=401 {
        assert_eq!(
            fdb.lookup(mac(2)).is_some(),
            now < 301,
            "looked up at {now}"
        );
        assert_eq!(
            fdb.lookup(mac(1)).is_some(),
            now < 401,
            "looked up at {now}"
        );
        for _ in 0..4 {
            fdb.age(now, 4);
        }
    }
    assert_eq!(fdb.stats().aged, 2);
}

#[test]
fn o252_a_clock_that_goes_back_expires_nothing() {
    let fdb = fdb(LIMITS);
    fdb.learn(mac(1), port(1), 10, 1000);
    for now in [0, 999, 1000, 1299] {
        fdb.age(now, 1);
        assert_eq!(fdb.lookup(mac(1)), Some(port(1)), "at {now}");
    }
    fdb.age(1300, 1);
    assert_eq!(fdb.lookup(mac(1)), None);
}

#[test]
fn d62_ageing_zero_never_ages() {
    let fdb = fdb(FdbLimits {
        ageing_secs: 0,
        ..LIMITS
    });
    fdb.learn(mac(1), port(1), 10, 0);
    fdb.age(u32::MAX, 1);
    assert_eq!(fdb.lookup(mac(1)), Some(port(1)));
}

#[test]
fn d66_a_full_port_or_network_learns_nothing_new_but_keeps_what_it_has() {
    let fdb = fdb(FdbLimits {
        max_macs: 5,
        ..LIMITS
    });
    for n in 0..3 {
        assert_eq!(fdb.learn(mac(n), port(1), 3, 0), Learn::Learned);
    }
    assert_eq!(
        fdb.learn(mac(9), port(1), 3, 0),
        Learn::Full,
        "the port is full"
    );
    assert_eq!(fdb.learn(mac(10), port(2), 3, 0), Learn::Learned);
    assert_eq!(fdb.learn(mac(11), port(2), 3, 0), Learn::Learned);
    assert_eq!(
        fdb.learn(mac(12), port(2), 3, 0),
        Learn::Full,
        "the network is full"
    );
    assert_eq!(
        fdb.learn(mac(10), port(1), 3, 0),
        Learn::Full,
        "a move needs room as well"
    );
    assert_eq!(fdb.lookup(mac(10)), Some(port(2)));
    assert_eq!(fdb.stats().full, 3);
    assert_eq!(fdb.learned(None), 5);
}

#[test]
fn d67_eviction_takes_the_offenders_own_oldest() {
    let fdb = fdb(FdbLimits {
        max_macs: 4,
        evict_oldest: true,
        ..LIMITS
    });
    fdb.learn(mac(100), port(2), 10, 0);
    for n in 0..3 {
        fdb.learn(mac(n), port(1), 3, n as u32);
    }
    fdb.learn(mac(0), port(1), 3, 50);
    assert_eq!(fdb.learn(mac(7), port(1), 3, 51), Learn::Learned);
    assert_eq!(fdb.lookup(mac(1)), None, "the longest silent of the port");
    for n in [0, 2, 7] {
        assert_eq!(fdb.lookup(mac(n)), Some(port(1)));
    }
    for n in 1000..5000 {
        assert_eq!(fdb.learn(mac(n), port(1), 3, 60), Learn::Learned);
    }
    assert_eq!(
        fdb.lookup(mac(100)),
        Some(port(2)),
        "another port's entry is never evicted"
    );
    assert_eq!(fdb.learned(Some(port(1))), 3);
    assert_eq!(
        fdb.learn(mac(6000), port(3), 3, 61),
        Learn::Full,
        "a port without entries has none to give"
    );
}

#[test]
fn d67_eviction_works_for_entries_learned_before_it_was_asked_for() {
    let fdb = fdb(FdbLimits {
        max_macs: 2,
        ..LIMITS
    });
    fdb.learn(mac(1), port(1), 9, 5);
    fdb.learn(mac(2), port(1), 9, 4);
    fdb.set_limits(FdbLimits {
        max_macs: 2,
        evict_oldest: true,
        ..LIMITS
    });
    assert_eq!(fdb.learn(mac(3), port(1), 9, 6), Learn::Learned);
    assert_eq!(
        (fdb.lookup(mac(1)), fdb.lookup(mac(2))),
        (Some(port(1)), None)
    );
}

#[test]
fn d68_a_hundred_thousand_random_macs_stay_within_bounds_and_leave_others_alone() {
    let fdb = fdb(FdbLimits {
        max_macs: 16_384,
        ..LIMITS
    });
    fdb.learn(mac(0x0fff_ffff), port(2), 1024, 0);
    for n in 0..100_000u64 {
        fdb.learn(
            MacAddr::from_u64(0x0200_0000_0000 | n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff),
            port(1),
            1024,
            0,
        );
    }
    assert_eq!(fdb.learned(Some(port(1))), 1024);
    assert_eq!(fdb.lookup(mac(0x0fff_ffff)), Some(port(2)));
    assert!(fdb.table.load().slots.len() <= 8192);
}

#[test]
fn d73_a_replaced_entry_is_at_no_moment_unknown() {
    let fdb = Arc::new(fdb(LIMITS));
    fdb.set(mac(1), port(1), Origin::Static, 0);
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (reader, finished) = (fdb.clone(), done.clone());
        let read = scope.spawn(move || {
            let mut reads = 0u64;
            while !finished.load(Ordering::Relaxed) || reads == 0 {
                assert!(reader.lookup(mac(1)).is_some());
                reads += 1;
            }
        });
        for n in 0..20_000u16 {
            fdb.set(mac(1), port(n % 100), Origin::Static, 0);
            // Growth and tombstones move everything to a new table now and then.
            fdb.learn(mac(u64::from(n)), port(200), u32::MAX, 0);
            if n % 3 == 0 {
                fdb.remove(mac(u64::from(n)), |e| e.origin == Origin::Learned);
            }
        }
        done.store(true, Ordering::Relaxed);
        read.join().unwrap();
    });
}

#[test]
fn d73_a_reader_never_gets_a_port_where_the_station_was_not() {
    let fdb = Arc::new(fdb(LIMITS));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (reader, finished) = (fdb.clone(), done.clone());
        let read = scope.spawn(move || {
            while !finished.load(Ordering::Relaxed) {
                let found = reader.lookup(mac(1));
                assert!(found.is_none_or(|p| p == port(7)), "{found:?}");
            }
        });
        for n in 2..60_000 {
            // The slot of one is cleared and taken by the other, over and over.
            fdb.learn(mac(1), port(7), 10, 0);
            fdb.remove(mac(1), |_| true);
            fdb.learn(mac(n % 50 + 2), port(9), 100, 0);
            fdb.remove(mac(n % 50 + 2), |_| true);
        }
        done.store(true, Ordering::Relaxed);
        read.join().unwrap();
    });
}

#[test]
fn d67_a_port_without_entries_does_not_search_for_one_to_evict() {
    let fdb = fdb(FdbLimits {
        max_macs: 2,
        evict_oldest: true,
        ..LIMITS
    });
    fdb.learn(mac(1), port(1), 9, 0);
    fdb.learn(mac(2), port(1), 9, 0);
    assert_eq!(fdb.learn(mac(3), port(2), 9, 0), Learn::Full);
    assert!(!fdb.write().ports.contains_key(&port(2)));
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
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mac = 1..40u64;
    let port = 0..4u16;
    let step = prop_oneof![
        10 => (mac.clone(), port.clone()).prop_map(|(mac, port)| Step::Learn { mac, port }),
        2 => (mac.clone(), port.clone(), any::<bool>())
            .prop_map(|(mac, port, origin)| Step::Set { mac, port, origin }),
        2 => mac.prop_map(|mac| Step::Remove { mac }),
        1 => port.prop_map(|port| Step::FlushPort { port }),
        2 => Just(Step::Age),
        2 => (0..200u32).prop_map(|secs| Step::Wait { secs }),
    ];
    proptest::collection::vec(step, 0..400)
}

/// The obvious table: a map, searched whole for everything.
#[derive(Default)]
struct Model(BTreeMap<u64, (PortId, Origin, u32)>);

impl Model {
    fn learned(&self, at: Option<PortId>) -> u32 {
        let own = |&&(p, o, _): &&(PortId, Origin, u32)| {
            o == Origin::Learned && at.is_none_or(|at| at == p)
        };
        self.0.values().filter(own).count() as u32
    }

    fn learn(&mut self, mac: u64, at: PortId, limits: (u32, u32), now: u32) -> Learn {
        let (port_max, max) = limits;
        match self.0.get(&mac).copied() {
            Some((p, origin, _)) if p == at => {
                self.0.insert(mac, (p, origin, now));
                Learn::Known
            }
            Some((p, origin, _)) if origin != Origin::Learned => Learn::Conflict { owner: p },
            Some(_) if self.learned(Some(at)) >= port_max => Learn::Full,
            Some((p, ..)) => {
                self.0.insert(mac, (at, Origin::Learned, now));
                Learn::Moved { from: p }
            }
            None if self.learned(Some(at)) >= port_max || self.learned(None) >= max => Learn::Full,
            None => {
                self.0.insert(mac, (at, Origin::Learned, now));
                Learn::Learned
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_plain_map(steps in steps(), port_max in 1..20u32, max in 1..40u32) {
        let fdb = fdb(FdbLimits { max_macs: max, evict_oldest: false, ageing_secs: 100 });
        let mut model = Model::default();
        let mut now = 0u32;
        for step in steps {
            match step {
                Step::Learn { mac: m, port: p } => {
                    let got = fdb.learn(mac(m), port(p), port_max, now);
                    prop_assert_eq!(got, model.learn(m, port(p), (port_max, max), now));
                }
                Step::Set { mac: m, port: p, origin } => {
                    let origin = if origin { Origin::Static } else { Origin::Control };
                    fdb.set(mac(m), port(p), origin, now);
                    model.0.insert(m, (port(p), origin, now));
                }
                Step::Remove { mac: m } => {
                    prop_assert_eq!(fdb.remove(mac(m), |_| true), model.0.remove(&m).is_some());
                }
                Step::FlushPort { port: p } => {
                    let before = model.0.len();
                    model.0.retain(|_, e| e.0 != port(p));
                    prop_assert_eq!(fdb.flush(|e| e.port == port(p)), before - model.0.len());
                }
                Step::Age => {
                    for _ in 0..3 {
                        fdb.age(now, 3);
                    }
                    model.0.retain(|_, e| e.1 != Origin::Learned || now - e.2 < 100);
                }
                Step::Wait { secs } => now += secs,
            }
            prop_assert_eq!(fdb.learned(None), model.learned(None));
        }
        let mut entries = fdb.entries();
        entries.sort_by_key(|e| e.mac);
        let expected: Vec<_> = model
            .0
            .iter()
            .map(|(&m, &(port, origin, seen_secs))| Entry { mac: mac(m), port, origin, seen_secs })
            .collect();
        prop_assert_eq!(entries, expected);
    }

    #[test]
    fn eviction_never_exceeds_a_limit_nor_touches_others(macs in proptest::collection::vec((0..200u64, 0..3u16), 0..500)) {
        let fdb = fdb(FdbLimits { max_macs: 20, evict_oldest: true, ageing_secs: 0 });
        fdb.set(mac(0), port(9), Origin::Static, 0);
        for (now, (m, p)) in macs.into_iter().enumerate() {
            let others = |fdb: &Fdb| -> u32 { (0..3).filter(|&q| q != p).map(|q| fdb.learned(Some(port(q)))).sum() };
            let before = others(&fdb);
            let outcome = fdb.learn(mac(m), port(p), 10, now as u32);
            let moved = u32::from(matches!(outcome, Learn::Moved { .. }));
            prop_assert_eq!(others(&fdb), before - moved);
            prop_assert!(fdb.learned(None) <= 20);
            prop_assert!(fdb.learned(Some(port(p))) <= 10);
        }
        prop_assert_eq!(fdb.lookup(mac(0)), Some(port(9)));
        let by_scan = fdb.entries().iter().filter(|e| e.origin == Origin::Learned).count();
        prop_assert_eq!(by_scan as u32, fdb.learned(None));
    }
}
