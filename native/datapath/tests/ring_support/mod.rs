//! What the tests of the packet ring share.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file has its own copy and uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::io_support::{Namespace, wait_for};
use datapath::io::underlay::ring::{Ring, RingRefusal, RingSpec, SlotSpec, place};
use datapath::wire::vnet::VnetHeader;
use std::net::SocketAddr;

/// As few slots as there can be, for packets of 1500 bytes.
pub const SHORT: SlotSpec = SlotSpec {
    count: 1,
    len: 2048,
};

/// A ring for `local` on the interface that has the address.
pub fn spec(namespace: &Namespace, local: &str, slots: SlotSpec) -> RingSpec {
    let local: SocketAddr = local.parse().unwrap();
    let place = namespace.within(|| place(local.ip(), None));
    RingSpec {
        local,
        ifindex: place.ifindex,
        slots,
    }
}

/// The same with slots for everything, open.
pub fn open(namespace: &Namespace, local: &str) -> Ring {
    let spec = spec(namespace, local, SlotSpec::fitting(1500));
    namespace.within(|| Ring::open(&spec))
}

/// A datagram as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub source: SocketAddr,
    pub tos: u8,
    pub payload: Vec<u8>,
    pub stride: usize,
    pub inner: VnetHeader,
}

/// The next `count` of the ring, in batches of at most `max`.
pub fn take(ring: &mut Ring, count: usize, max: usize) -> Vec<Result<Taken, RingRefusal>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        wait_for(ring);
        taken.extend(take_now(ring, max.min(count - taken.len())));
    }
    taken
}

/// What is in the ring at this moment, at most `max`.
pub fn take_now(ring: &mut Ring, max: usize) -> Vec<Result<Taken, RingRefusal>> {
    let batch = ring.next_batch(max);
    (0..batch.len())
        .map(|i| {
            batch.outer(i).map(|outer| Taken {
                source: outer.source,
                tos: outer.tos,
                payload: batch.entry(i)[outer.payload].to_vec(),
                stride: outer.stride,
                inner: outer.inner,
            })
        })
        .collect()
}
