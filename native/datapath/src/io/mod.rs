//! Where frames and datagrams touch the kernel: every system call and every `unsafe` of the datapath.
//!
//! `tap`, `packet` and `underlay` move bytes; `memory` is their twin for tests. `reader` takes what captures write. `echo`
//! asks other hosts whether they are there. `handover` takes TAPs that others made. `poll` waits. `netns`, `netlink`,
//! `lock`, `libpcap`, `service` and `probe` are for setting up and never run per frame. `sys` holds the raw calls;
//! nothing outside this folder sees it.
//!
//! Two manners of failing: setting up returns an [`Error`](crate::error::Error) that an operator reads; moving frames
//! returns a [`Refusal`] that the engine counts.

pub mod echo;
pub mod handover;
pub mod libpcap;
mod listening;
pub mod lock;
pub mod memory;
pub mod netlink;
pub mod netns;
pub mod packet;
pub mod poll;
pub mod probe;
pub mod reader;
pub mod service;
mod sys;
pub mod tap;
pub mod underlay;

/// Why the kernel gave or took no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing to read, or no room to write, at this moment.
    WouldBlock,
    /// The device behind the descriptor no longer exists; it never comes back.
    Gone,
    /// The device is administratively down.
    Down,
    /// There was a frame that cannot be handed over, and it is lost; the next one may do.
    Lost,
    /// There was a frame of which its sender left something undone that cannot be told or done here, and it is lost; the
    /// next one may do.
    Unfinished,
    /// Any other errno.
    Other(i32),
}

impl Refusal {
    /// Longer than there is room for.
    pub const TOO_LONG: Self = Self::Other(libc::EMSGSIZE);
}
