//! TAPs that others made, where we could not, and hand over: a container's own user makes one inside the container and
//! sends its descriptors (SCM_RIGHTS) to a unix socket of ours.
//!
//! ```text
//! we    "vh" version(1) queues(1) vnet_hdr(1) ticket(16)
//! he    "vh" version(1) 0(1) ifindex(4) pid(4) start(8)     with one descriptor for each queue, then one of the process
//! we    answer(1)                                           0, or why not
//! ```
//! Numbers are big endian. The TAP is found again by its ticket, which nobody can guess. It ends with its last
//! descriptor, so the one who handed it over keeps none.

use super::reader::shortened;
use super::sys::{Errno, file, passing, stream};
use crate::error::{Error, ErrorCode};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

mod giving;

pub use giving::{Given, give};

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
    fn draw() -> Result<Self, Error> {
        let mut bits = [0; TICKET_LEN];
        File::open(RANDOM)
            .and_then(|mut file| file.read_exact(&mut bits))
            .map_err(|e| Errno::from(e).into_error(ErrorCode::Io, RANDOM, "read"))?;
        Ok(Self(bits))
    }

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

/// A process of somebody else.
#[derive(Debug)]
pub enum Process {
    /// Readable once it has ended.
    Watched(OwnedFd),
    /// Where the kernel has no such descriptors (before Linux 5.3): to be looked for now and then.
    Named {
        /// As this machine's `/proc` has it.
        pid: u32,
        /// Clock ticks after boot, as in `/proc/PID/stat`.
        start: u64,
    },
}

impl Process {
    /// Whether it is known to have ended, without a descriptor that would tell.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Watched(_) => false,
            Self::Named { pid, start } => start_of(*pid) != Some(*start),
        }
    }
}

/// Field 22 of `/proc/PID/stat`; the second one, in parentheses, may hold anything.
fn start_of(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Where TAPs are handed over. Dropped, its path is gone.
#[derive(Debug)]
pub struct Counter {
    socket: OwnedFd,
    path: PathBuf,
}

impl Counter {
    /// Makes the socket at `path`, for our own user alone (mode 0600), in the place of one that an earlier process left:
    /// whoever calls this holds the lock that goes with the path. Errors: `IO`, `NO_FILES`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |syscall| {
            let subject = path.display().to_string();
            move |errno: Errno| errno.into_error(ErrorCode::Io, subject, syscall)
        };
        let is_left = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        if is_left {
            std::fs::remove_file(path)
                .map_err(Errno::from)
                .map_err(failed("unlink"))?;
        }
        let socket = stream::unix_socket(libc::SOCK_SEQPACKET, MODE).map_err(failed("socket"))?;
        let (_folder, short) = shortened(path).map_err(failed("open"))?;
        stream::listen_at(socket.as_fd(), short.as_os_str().as_bytes()).map_err(failed("bind"))?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Takes somebody who waits and tells him what is wanted; `None` if there is nobody (any more), or no descriptor
    /// for him.
    pub fn admit(&self, wanted: Wanted) -> Option<Guest> {
        let socket = stream::accept(self.socket.as_fd()).ok()?;
        let ticket = Ticket::draw().ok()?;
        let mut greeting = [0; GREETING_LEN];
        greeting[..3].copy_from_slice(&MAGIC);
        greeting[3] = wanted.queues;
        greeting[4] = wanted.vnet_hdr.into();
        greeting[5..].copy_from_slice(&ticket.0);
        stream::send(socket.as_fd(), &greeting).ok()?;
        Some(Guest {
            socket,
            ticket,
            wanted,
        })
    }

    /// Takes somebody who waits and sends him away: there is no room.
    pub fn turn_away(&self) {
        if let Ok(socket) = stream::accept(self.socket.as_fd()) {
            let _ = stream::send(socket.as_fd(), &[Answer::Full as u8]);
        }
    }
}

impl AsFd for Counter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // Somebody else may have taken it away.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Somebody who is about to hand a TAP over.
#[derive(Debug)]
pub struct Guest {
    socket: OwnedFd,
    /// By what his TAP will be known.
    pub ticket: Ticket,
    wanted: Wanted,
}

impl Guest {
    /// What he sent. Errors: the answer that he deserves.
    pub fn receive(&self) -> Result<Handed, Answer> {
        // One byte more than any message has, so that a longer one is noticed.
        let mut message = [0; OFFER_LEN + 1];
        let (len, mut passed) =
            passing::receive(self.socket.as_fd(), &mut message).map_err(|_| Answer::Malformed)?;
        if len != OFFER_LEN || !message.starts_with(&MAGIC) {
            return Err(Answer::Malformed);
        }
        let numbers = &message[4..OFFER_LEN];
        let (ifindex, pid) = (number::<4>(numbers, 0), number::<4>(numbers, 4));
        let start = number::<8>(numbers, 8);
        let queues: Vec<_> = passed
            .drain(..passed.len().min(self.wanted.queues.into()))
            .collect();
        let process = match (passed.pop(), passed.is_empty()) {
            (Some(process), true) => Process::Watched(process),
            (None, _) => Process::Named {
                pid: pid as u32,
                start,
            },
            _ => return Err(Answer::Malformed),
        };
        // Not every kernel has TAPs with many queues.
        if queues.is_empty() || !queues.iter().all(|q| self.is_wanted(q.as_fd())) {
            return Err(Answer::NoTap);
        }
        Ok(Handed {
            device: Device {
                queues,
                ifindex: ifindex as u32,
                vnet_hdr: self.wanted.vnet_hdr,
            },
            process,
        })
    }

    /// Tells him what came of it. He may be gone.
    pub fn answer(&self, answer: Answer) {
        let _ = stream::send(self.socket.as_fd(), &[answer as u8]);
    }

    fn is_wanted(&self, queue: BorrowedFd<'_>) -> bool {
        let mask = libc::IFF_TAP | libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        let mut wanted = libc::IFF_TAP | libc::IFF_NO_PI;
        if self.wanted.vnet_hdr {
            wanted |= libc::IFF_VNET_HDR;
        }
        // First what it is: an ioctl on something else may do anything, or wait for ever.
        file::is_character_device(queue, TUN_DEVICE)
            && file::tun_flags(queue).is_ok_and(|flags| flags & mask == wanted)
            && file::set_non_blocking(queue).is_ok()
    }
}

impl AsFd for Guest {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
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
}

impl Answer {
    fn of(byte: u8) -> Option<Self> {
        [Self::Taken, Self::Malformed, Self::NoTap, Self::Full]
            .into_iter()
            .find(|answer| *answer as u8 == byte)
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..at + N).unwrap_or_default();
    found
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

const MAGIC: [u8; 3] = *b"vh\x01";
const TICKET_LEN: usize = 16;
const GREETING_LEN: usize = 5 + TICKET_LEN;
const OFFER_LEN: usize = 4 + 4 + 4 + 8;
const MODE: u32 = 0o600;
const RANDOM: &str = "/dev/urandom";
/// Major and minor of `/dev/net/tun` (Linux: admin-guide/devices.txt).
const TUN_DEVICE: (u32, u32) = (10, 200);

#[cfg(test)]
mod tests;
