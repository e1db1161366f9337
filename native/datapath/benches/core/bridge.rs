//! The decision about a frame: admission, learning, lookup. The peer only reads and writes a hash map.

use crate::fdb::{PORT, asked, filled, macs};
use crate::frame::{mac, numbered};
use criterion::{BenchmarkId, Criterion, Throughput};
use datapath::switch::bridge::{Admission, Bridge, Verdict};
use datapath::switch::port::{Member, PortId};
use datapath::wire::ethernet::Ethernet;
use datapath::wire::mac::MacAddr;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

pub(crate) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("bridge decision");
    for stations in [1, 1_000, 100_000] {
        let members = vec![member(INGRESS), member(PORT)];
        let rules = crate::desired::network("bench", 256).0.rules;
        let bridge = Bridge::new(rules, members, Arc::new(filled(stations)));
        let source = mac(u32::MAX);
        let frames: Vec<_> = asked(stations)
            .iter()
            .map(|&dst| numbered(dst, source, 0))
            .collect();
        let ingress = bridge.member(INGRESS).unwrap();

        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_function(BenchmarkId::new("ours", macs(stations)), |b| {
            let forwarded = |frame: &&Vec<u8>| {
                let frame = Ethernet::new(frame).unwrap();
                bridge.admit(&frame) == Ok(Admission::AsIs)
                    && bridge.forward(ingress, &frame, 1).verdict == Verdict::To(PORT)
            };
            b.iter(|| assert_eq!(frames.iter().filter(forwarded).count(), frames.len()));
        });
        let obvious: RwLock<HashMap<MacAddr, PortId>> = RwLock::default();
        obvious
            .write()
            .unwrap()
            .extend((0..stations).map(|n| (mac(n), PORT)));
        group.bench_function(BenchmarkId::new("RwLock<HashMap>", macs(stations)), |b| {
            let forwarded = |frame: &&Vec<u8>| {
                let frame = Ethernet::new(frame).unwrap();
                obvious.write().unwrap().insert(frame.src(), INGRESS);
                obvious.read().unwrap().get(&frame.dst()) == Some(&PORT)
            };
            b.iter(|| assert_eq!(frames.iter().filter(forwarded).count(), frames.len()));
        });
    }
    group.finish();
}

fn member(id: PortId) -> Member {
    Member {
        id,
        split_group: None,
        flood_unknown: true,
        flood_broadcast: true,
        flood_multicast: true,
        hairpin: false,
        max_macs: u32::MAX,
        mac: None,
    }
}

const INGRESS: PortId = PortId::new(1);
