//! The whole way of a frame: from a port through a running engine into a datagram, with queues in memory instead of TAP
//! and socket. The peer is a thread that takes from one such queue and puts into another: what the queues alone cost.

use crate::desired::{A, desired, network};
use crate::fdb::macs;
use crate::frame::{Flow, mac};
use criterion::{BenchmarkId, Criterion, Throughput};
use datapath::Datapath;
use datapath::io::memory::MemoryQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub(crate) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine, port to datagram");
    group.throughput(Throughput::Elements(BATCH.into()));
    for size in [64, 1_400] {
        for stations in [1, 1_000, 100_000] {
            let frames = frames(size, stations);
            let parameter = format!("{size} bytes, {}", macs(stations));
            let datapath = running(stations);
            let port = datapath.memory_port("p").unwrap();
            let underlay = datapath.memory_underlay().unwrap();
            group.bench_function(BenchmarkId::new("ours", &parameter), |b| {
                b.iter(|| pass(&frames, &port.inward, &underlay.outward));
            });
            group.bench_function(BenchmarkId::new("queues alone", &parameter), |b| {
                with_mover(|inward, outward| b.iter(|| pass(&frames, inward, outward)));
            });
        }
    }
    group.finish();
}

/// Puts all frames in and waits until all are out.
fn pass<T>(frames: &[Vec<u8>], inward: &MemoryQueue<Vec<u8>>, outward: &MemoryQueue<T>) {
    for frame in frames {
        inward.push(frame.clone()).unwrap();
    }
    let mut left = frames.len();
    while left > 0 {
        match outward.pop() {
            Some(_) => left -= 1,
            None => thread::yield_now(),
        }
    }
}

fn with_mover(work: impl FnOnce(&MemoryQueue<Vec<u8>>, &MemoryQueue<Vec<u8>>)) {
    let queue = || Arc::new(MemoryQueue::<Vec<u8>>::new(2 * BATCH as usize).unwrap());
    let (inward, outward, ended) = (queue(), queue(), Arc::new(AtomicBool::new(false)));
    let mover = thread::spawn({
        let (inward, outward, ended) = (inward.clone(), outward.clone(), ended.clone());
        move || {
            while !ended.load(Ordering::Relaxed) {
                match inward.pop() {
                    Some(frame) => outward.push(frame).unwrap(),
                    None => thread::yield_now(),
                }
            }
        }
    });
    work(&inward, &outward);
    ended.store(true, Ordering::Relaxed);
    mover.join().unwrap();
}

/// One port and one tunnel, behind which are so many stations.
fn running(stations: u32) -> Datapath {
    let mut network = network("bench", 256).port("p").peer(A);
    let target = network.at(A);
    for n in 0..stations {
        network = network.entry(mac(n), target.clone());
    }
    let datapath = Datapath::new();
    datapath.apply(&desired([network])).unwrap();
    datapath.start(Box::new(|| ())).unwrap();
    datapath
}

/// UDP of one flow for each station, as many stations as there are frames.
fn frames(size: usize, stations: u32) -> Vec<Vec<u8>> {
    let scattered = |n: u32| (u64::from(n) * 2_654_435_761 % u64::from(stations)) as u32;
    let payload = vec![7; size - HEADERS];
    let to = |n| Flow::v4(mac(u32::MAX), mac(scattered(n))).udp(&payload);
    (0..BATCH).map(to).collect()
}

const BATCH: u32 = 256;
/// Ethernet, IPv4, UDP.
const HEADERS: usize = 42;
