//! Decisions: bridge, FDB, ports, verdicts. Pure: no I/O, and time is an argument.

pub mod bridge;
pub mod fdb;
pub mod guard;
pub mod neighbor;
pub mod port;

pub use bridge::{Admission, Bridge, Decision, FloodClass, Verdict};
pub use fdb::{Fdb, Learn, Origin};
pub use guard::Guard;
pub use neighbor::Neighbors;
pub use port::{Member, PortId};
