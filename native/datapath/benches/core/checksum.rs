//! The Internet checksum. Peers: the sum as RFC 1071 §4.1 writes it, and a copy without a sum.

use criterion::{BenchmarkId, Criterion, Throughput};
use datapath::wire::checksum::Sum;
use std::hint::black_box;

pub(crate) fn benches(c: &mut Criterion) {
    let mut sum = c.benchmark_group("checksum");
    for len in LENGTHS {
        let bytes = vec![0xa5; len];
        sum.throughput(Throughput::Elements(1));
        sum.bench_function(BenchmarkId::new("ours", format!("{len} bytes")), |b| {
            b.iter(|| Sum::of(black_box(&bytes)).checksum());
        });
        sum.bench_function(BenchmarkId::new("RFC 1071", format!("{len} bytes")), |b| {
            b.iter(|| obvious(black_box(&bytes)));
        });
    }
    sum.finish();
    let mut copying = c.benchmark_group("checksum while copying");
    for len in LENGTHS {
        let bytes = vec![0xa5; len];
        let mut out = vec![0; len];
        copying.throughput(Throughput::Elements(1));
        copying.bench_function(BenchmarkId::new("ours", format!("{len} bytes")), |b| {
            b.iter(|| Sum::copying(black_box(&bytes), black_box(&mut out)).checksum());
        });
        copying.bench_function(BenchmarkId::new("memcpy", format!("{len} bytes")), |b| {
            b.iter(|| black_box(&mut out).copy_from_slice(black_box(&bytes)));
        });
    }
    copying.finish();
}

fn obvious(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

const LENGTHS: [usize; 4] = [64, 576, 1500, 65_000];
