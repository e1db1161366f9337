//! A superframe from a TAP becomes a run of VXLAN datagrams. The peer only copies as many bytes.

use crate::desired::vni;
use crate::frame::{Flow, mac};
use criterion::{BenchmarkId, Criterion, Throughput};
use datapath::offload::Superframe;
use datapath::wire::vnet::{Gso, VnetHeader};
use datapath::wire::vxlan::Header;
use std::hint::black_box;

pub(crate) fn benches(c: &mut Criterion) {
    for kind in kinds() {
        let mut group = c.benchmark_group(format!("split and encapsulate {}", kind.name));
        for (len, segment_size) in [
            (1_400, 1_400),
            (14_000, 1_400),
            (63_000, 1_400),
            (63_000, 500),
        ] {
            let (frame, header) = kind.superframe(len, segment_size);
            let prefix = Header::emit(vni(256));
            let plan = Superframe::parse(&frame, &header).unwrap();
            let written = plan.split_len(prefix.len());
            let mut out = vec![0; written];
            let parameter = format!("{len} bytes by {segment_size}");
            group.throughput(Throughput::Elements(plan.segments().into()));
            group.bench_function(BenchmarkId::new("ours", &parameter), |b| {
                b.iter(|| {
                    let plan = Superframe::parse(black_box(&frame), &header).unwrap();
                    plan.split(black_box(&frame), &prefix, black_box(&mut out))
                        .unwrap()
                });
            });
            let source = vec![1; written];
            group.bench_function(BenchmarkId::new("memcpy", &parameter), |b| {
                b.iter(|| black_box(&mut out).copy_from_slice(black_box(&source)));
            });
        }
        group.finish();
    }
}

struct Kind {
    name: &'static str,
    flow: Flow,
    gso: Gso,
    transport_offset: u16,
}

fn kinds() -> [Kind; 4] {
    let (v4, v6) = (Flow::v4(mac(1), mac(2)), Flow::v6(mac(1), mac(2)));
    let kind = |name, flow, gso, transport_offset| Kind {
        name,
        flow,
        gso,
        transport_offset,
    };
    [
        kind("TCP/IPv4", v4, Gso::TcpV4, 34),
        kind("TCP/IPv6", v6, Gso::TcpV6, 54),
        kind("UDP/IPv4", v4, Gso::Udp, 34),
        kind("UDP/IPv6", v6, Gso::Udp, 54),
    ]
}

impl Kind {
    fn superframe(&self, len: usize, segment_size: u16) -> (Vec<u8>, VnetHeader) {
        let payload = vec![7; len];
        let (frame, csum_offset) = match self.gso {
            Gso::Udp => (self.flow.udp(&payload), 6),
            _ => (self.flow.tcp(&payload), 16),
        };
        let header = VnetHeader {
            needs_csum: true,
            gso: self.gso,
            gso_size: segment_size,
            csum_start: self.transport_offset,
            csum_offset,
            ..VnetHeader::NONE
        };
        (frame, header)
    }
}
