//! What the core costs per frame, away from the kernel: `npm run bench -- --core`, or `cargo bench -p datapath`.
//!
//! In each group `ours` stands beside a peer that is measured in the same run with the same input: the obvious way to do
//! it, or the least that any way must do. Their ratio says more than nanoseconds of one machine. `Throughput::Elements`
//! is frames (bytes of one frame for checksums count as one), so that nanoseconds per frame can be told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot be set up ends"
)]

mod bridge;
mod checksum;
mod engine;
mod fdb;
mod flow;
mod merge;
mod split;

#[path = "../../tests/engine_support/desired.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the tests of the engine use the rest"
)]
mod desired;
#[path = "../../tests/engine_support/frame.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the tests of the engine use the rest"
)]
mod frame;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

/// Short: the whole takes about a minute and a half, and runs differ by some per cent.
fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(400))
        .sample_size(20)
        .nresamples(2000)
        .without_plots()
}

criterion_group! {
    name = core;
    config = criterion();
    targets = split::benches, merge::benches, engine::benches, bridge::benches, fdb::benches, checksum::benches, flow::benches
}
criterion_main!(core);
