//! Frames that came in datagrams are examined and merged for one TAP write. The peer copies them one behind the other.

use crate::frame::{Flow, mac};
use criterion::{BenchmarkId, Criterion, Throughput};
use datapath::offload::{Merge, Offer, Piece, Segment, Superframe};
use datapath::wire::vnet::{Gso, VnetHeader};
use std::hint::black_box;

pub(crate) fn benches(c: &mut Criterion) {
    for (name, gso) in [("TCP/IPv4", Gso::TcpV4), ("UDP/IPv4", Gso::Udp)] {
        let mut group = c.benchmark_group(format!("examine and merge {name}"));
        for count in [1, 8, 44] {
            let frames = frames(gso, count);
            let mut merge =
                Merge::start(&examined(&frames[0]), &frames[0], piece(0, &frames)).unwrap();
            group.throughput(Throughput::Elements(count as u64));
            let parameter = format!("{count} of {} bytes", frames[0].len());
            group.bench_function(BenchmarkId::new("ours", &parameter), |b| {
                b.iter(|| merge_all(&mut merge, black_box(&frames)));
            });
            let mut out = vec![0; frames.iter().map(Vec::len).sum()];
            group.bench_function(BenchmarkId::new("memcpy", &parameter), |b| {
                b.iter(|| copy_all(black_box(&frames), black_box(&mut out)));
            });
        }
        group.finish();
    }
}

fn merge_all(merge: &mut Merge, frames: &[Vec<u8>]) -> VnetHeader {
    let first = examined(&frames[0]);
    assert!(merge.restart(&first, &frames[0], piece(0, frames)));
    for (index, frame) in frames.iter().enumerate().skip(1) {
        let offer = merge.offer(&examined(frame), frame, piece(index, frames));
        assert_eq!(offer, Offer::Joined);
    }
    match frames.len() {
        1 => merge.lone_header(),
        _ => merge.finish(),
    }
}

fn copy_all(frames: &[Vec<u8>], out: &mut [u8]) {
    let mut rest = out;
    for frame in frames {
        let (place, later) = rest.split_at_mut(frame.len());
        place.copy_from_slice(frame);
        rest = later;
    }
}

fn examined(frame: &[u8]) -> Segment {
    Segment::examine(frame).unwrap()
}

fn piece(index: usize, frames: &[Vec<u8>]) -> Piece {
    Piece {
        entry: index as u32,
        offset: 0,
        len: frames[index].len() as u32,
    }
}

/// The frames of a superframe of so many segments.
fn frames(gso: Gso, count: usize) -> Vec<Vec<u8>> {
    let flow = Flow::v4(mac(1), mac(2));
    let payload = vec![7; count * SEGMENT];
    let frame = match gso {
        Gso::Udp => flow.udp(&payload),
        _ => flow.tcp(&payload),
    };
    let header = VnetHeader {
        gso,
        gso_size: SEGMENT as u16,
        ..VnetHeader::NONE
    };
    let plan = Superframe::parse(&frame, &header).unwrap();
    let mut out = vec![0; plan.split_len(0)];
    let run = plan.split(&frame, &[], &mut out).unwrap();
    out.chunks(run.stride).map(<[u8]>::to_vec).collect()
}

const SEGMENT: usize = 1400;
