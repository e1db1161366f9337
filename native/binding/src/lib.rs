//! Node-API surface of the datapath: converts and delegates.
//!
//! Everything that crosses is plain data and rare: MACs, addresses and paths as text, counters as numbers (exact to
//! 2^53). Frames cross only where a test or the control plane hands one in or takes one out by name. Loaded on the
//! main thread only: thread-safe functions in worker_threads crash Node.

#![cfg_attr(
    test,
    allow(dead_code, reason = "nothing is exported from a test binary")
)]
#![allow(unreachable_pub, reason = "exported to JavaScript, not to Rust")]

mod datapath;
mod desired;
mod failure;
mod handover;
mod host;
mod observe;
mod reports;
