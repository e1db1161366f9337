//! Finding and learning stations. The peer is the obvious table of a switch that has several networks and workers: one
//! hash map from network and MAC to port behind a lock for many readers.

use crate::desired::vni;
use crate::frame::mac;
use criterion::{BenchmarkId, Criterion, Throughput};
use datapath::config::FdbLimits;
use datapath::switch::fdb::{Fdb, Learn};
use datapath::switch::port::PortId;
use datapath::wire::mac::MacAddr;
use datapath::wire::vxlan::Vni;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::RwLock;

type Obvious = RwLock<HashMap<(Vni, MacAddr), (PortId, u32)>>;

pub(crate) fn benches(c: &mut Criterion) {
    let network = vni(256);
    for stations in [1, 1_000, 1_000_000] {
        let (ours, obvious) = (filled(stations), filled_obvious(stations));
        let asked = asked(stations);
        let parameter = macs(stations);

        let mut lookup = c.benchmark_group("FDB lookup");
        lookup.throughput(Throughput::Elements(asked.len() as u64));
        lookup.bench_function(BenchmarkId::new("ours", &parameter), |b| {
            b.iter(|| {
                asked
                    .iter()
                    .filter(|&&mac| ours.lookup(mac).is_some())
                    .count()
            });
        });
        lookup.bench_function(BenchmarkId::new("RwLock<HashMap>", &parameter), |b| {
            let find = |mac| obvious.read().unwrap().get(&(network, mac)).copied();
            b.iter(|| asked.iter().filter(|&&mac| find(mac).is_some()).count());
        });
        lookup.finish();

        let mut learn = c.benchmark_group("FDB learn, known");
        learn.throughput(Throughput::Elements(asked.len() as u64));
        learn.bench_function(BenchmarkId::new("ours", &parameter), |b| {
            let known = |mac| ours.learn(mac, PORT, u32::MAX, black_box(1)) == Learn::Known;
            b.iter(|| asked.iter().filter(|&&mac| known(mac)).count());
        });
        learn.bench_function(BenchmarkId::new("RwLock<HashMap>", &parameter), |b| {
            let place = black_box((PORT, 1));
            let known = |mac| {
                obvious
                    .write()
                    .unwrap()
                    .insert((network, mac), place)
                    .is_some()
            };
            b.iter(|| asked.iter().filter(|&&mac| known(mac)).count());
        });
        learn.finish();
    }
    let mut fill = c.benchmark_group("FDB learn, new");
    for stations in [1_000, 100_000] {
        fill.throughput(Throughput::Elements(stations.into()));
        fill.bench_function(BenchmarkId::new("ours", macs(stations)), |b| {
            b.iter_with_large_drop(|| filled(stations));
        });
        fill.bench_function(BenchmarkId::new("RwLock<HashMap>", macs(stations)), |b| {
            b.iter_with_large_drop(|| filled_obvious(stations));
        });
    }
    fill.finish();
}

/// A table that knows stations 0 to `stations`, all learned at one port.
pub(crate) fn filled(stations: u32) -> Fdb {
    let fdb = Fdb::new(FdbLimits {
        max_macs: u32::MAX,
        evict_oldest: false,
        ageing_secs: 300,
    });
    for n in 0..stations {
        fdb.learn(mac(n), PORT, u32::MAX, 0);
    }
    fdb
}

/// Stations in an order that no cache foresees.
pub(crate) fn asked(stations: u32) -> Vec<MacAddr> {
    let scattered = |n: u32| (u64::from(n) * 2_654_435_761 % u64::from(stations)) as u32;
    (0..ASKED).map(|n| mac(scattered(n))).collect()
}

pub(crate) fn macs(stations: u32) -> String {
    match stations {
        1 => "1 MAC".into(),
        n => format!("{n} MACs"),
    }
}

fn filled_obvious(stations: u32) -> Obvious {
    let table = Obvious::default();
    for n in 0..stations {
        table.write().unwrap().insert((vni(256), mac(n)), (PORT, 0));
    }
    table
}

/// The port behind which everybody is.
pub(crate) const PORT: PortId = PortId::new(2);
/// Enough that a table of a million does not become warm.
const ASKED: u32 = 65_536;
