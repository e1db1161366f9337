//! The hash behind the outer source port. The peer hashes as many bytes with the standard library's hasher, without
//! looking for them.

use crate::frame::{Flow, mac, numbered};
use criterion::{BenchmarkId, Criterion, Throughput};
use datapath::wire::flow::flow_hash;
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

pub(crate) fn benches(c: &mut Criterion) {
    let (v4, v6) = (Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2)));
    let payload = [7; 1400];
    let mut group = c.benchmark_group("flow hash");
    group.throughput(Throughput::Elements(1));
    for (name, frame, hashed) in [
        ("TCP/IPv4", v4.tcp(&payload), 13),
        ("UDP/IPv6", v6.udp(&payload), 37),
        ("not IP", numbered(mac(2), mac(1), 0), 14),
    ] {
        group.bench_function(BenchmarkId::new("ours", name), |b| {
            b.iter(|| flow_hash(black_box(&frame), false));
        });
        group.bench_function(BenchmarkId::new("SipHash", name), |b| {
            b.iter(|| {
                let mut hasher = DefaultHasher::new();
                hasher.write(black_box(&frame[..hashed]));
                hasher.finish()
            });
        });
    }
    group.finish();
}
