//! What the tests of the engine share: desired states, frames, and a rig that runs a datapath whose ports and underlay
//! are queues in memory. No rights, no sockets, no waiting for time.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test file has its own copy and uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod balance;
pub mod capture;
pub mod desired;
pub mod frame;
pub mod fuzz;
pub mod model;
pub mod neighbors;
pub mod pcapng;
pub mod rig;

pub use balance::{Book, assert_balanced};
pub use capture::{Reader, capture_spec};
pub use desired::{A, C, E, STRANGER, VTEP, desired, network, vni};
pub use frame::{
    ArpFields, BROADCAST, EXPERIMENTAL, Flow, Icmpv6Fields, arp, ethernet, mac, numbered, sequence,
    tagged, vxlan,
};
pub use rig::Rig;
