//! Offload: what a TAP leaves to us (splitting superframes, completing checksums) and what we leave to a TAP.
//!
//! | from | to | |
//! | --- | --- | --- |
//! | TAP, superframe | tunnel | [`Superframe::split`]: right datagrams, one after the other, in one buffer |
//! | TAP, partial checksum | tunnel | [`complete`] |
//! | packet port, SCTP without its CRC | any port | [`complete`], because no offload header tells of it ([`left_crc`]) |
//! | TAP, SYN | tunnel | [`clamp_mss`]: no larger segments than the tunnel takes |
//! | kernel vxlan peer on this machine | TAP | [`carry`]: its unfinished frames go on unfinished |
//!
//! Pure: bytes in, bytes out, no I/O, no allocation.

mod carry;
mod complete;
mod merge;
mod mss;
mod split;

pub use crate::wire::Malformed;
pub use carry::{carry, is_whole_udp};
pub use complete::{completable, complete, is_left_crc, left_crc};
pub use merge::{Merge, Offer, Piece, Segment};
pub use mss::clamp_mss;
pub use split::{NoRoom, Run, Superframe};
