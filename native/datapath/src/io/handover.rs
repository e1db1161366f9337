//! TAPs that others made, where we could not, and hand over: a container's own user makes one inside the container and
//! sends its descriptors (SCM_RIGHTS) to a unix socket of ours.
//!
//! ```text
//! we    "vh" version(1) queues(1) vnet_hdr(1) ticket(16)    queues that are wanted at most
//! he    "vh" version(1) queues(1) ifindex(4) pid(4) start(8)
//!           with one descriptor for each queue, then one of the process; without that pid and start count
//! we    answer(1)                                           0, or why not
//! ```
//! Numbers are big endian. The TAP is found again by its ticket, which nobody can guess. It ends with its last
//! descriptor, so the one who handed it over keeps none.

use std::os::fd::OwnedFd;

mod giving;
mod process;
mod taking;
#[cfg(test)]
mod tests;

pub use giving::{Given, give};
pub use process::Process;
pub use taking::{Counter, Guest};

/// What a TAP must be like that is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Queues to open, 1 to 64.
    pub queues: u8,
    /// Each packet is preceded by a `virtio_net_hdr`.
    pub vnet_hdr: bool,
}

/// By what a TAP that was handed over is known: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket([u8; TICKET_LEN]);

impl Ticket {
    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 2 * TICKET_LEN && text.bytes().all(|c| c.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What was handed over: a TAP, and by what its container's end is known.
#[derive(Debug)]
pub struct Handed {
    /// The TAP.
    pub device: Device,
    /// The process whose end is the container's.
    pub process: Process,
}

/// A TAP that somebody else has made.
#[derive(Debug)]
pub struct Device {
    /// Its queues, of the kind that was wanted; at least one.
    pub(super) queues: Vec<OwnedFd>,
    /// Its index in the container, as far as he who made it says the truth.
    pub(super) ifindex: u32,
    /// Frames are preceded by an offload header.
    pub(super) vnet_hdr: bool,
}

/// What came of a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Answer {
    /// The TAP waits for its port.
    Taken = 0,
    /// The message is none of this protocol.
    Malformed = 1,
    /// What was sent is no TAP of the kind that was wanted.
    NoTap = 2,
    /// So many wait for their ports, or are being handed over, that there is no room.
    Full = 3,
    /// There is no descriptor, no memory or no thread left for it.
    NoResources = 4,
    /// What was sent in the place of a process is none.
    NoProcess = 5,
}

impl Answer {
    fn of(byte: u8) -> Option<Self> {
        [
            Self::Taken,
            Self::Malformed,
            Self::NoTap,
            Self::Full,
            Self::NoResources,
            Self::NoProcess,
        ]
        .into_iter()
        .find(|answer| *answer as u8 == byte)
    }
}

const MAGIC: [u8; 3] = *b"vh\x01";
const TICKET_LEN: usize = 16;
const GREETING_LEN: usize = 5 + TICKET_LEN;
const OFFER_LEN: usize = 4 + 4 + 4 + 8;
