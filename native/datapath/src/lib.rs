//! The datapath of vswitchd: moves Ethernet frames between TAPs and VXLAN tunnels.
//!
//! `wire` (headers) <- `switch` (decisions, pure), `offload` (split, complete) and `filter` (of captures) <- `engine`
//! (workers, the loop turn) -> `io` (system calls and all `unsafe`). `switch`, `filter` and `io` never name each other:
//! they meet in `engine`.

pub mod config;
pub mod counter;
pub mod engine;
pub mod error;
pub mod event;
pub mod filter;
pub mod io;
pub mod note;
pub mod offload;
pub mod switch;
pub mod wire;

pub use engine::Datapath;
