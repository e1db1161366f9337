//! The process by whose end a container's is known.

use super::super::netns;
use super::super::sys::{Errno, passing};
use crate::error::{Error, ErrorCode};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// A process of somebody else.
#[derive(Debug)]
pub enum Process {
    /// Readable once it has ended.
    Watched(OwnedFd),
    /// Where there are no such descriptors (before Linux 5.3, or a filter of system calls refuses them): to be looked for
    /// now and then.
    Named {
        /// As this machine's `/proc` has it.
        pid: u32,
        /// Clock ticks after boot, as in `/proc/PID/stat`.
        start: u64,
    },
}

impl Process {
    /// The process `pid`, if it lives in the calling thread's network namespace: its number may be another's by now.
    /// Errors: `NETNS_GONE` when it has ended or is elsewhere, `NO_FILES`.
    pub(super) fn here(pid: u32) -> Result<Self, Error> {
        let gone = || Error::new(ErrorCode::NetnsGone, format!("process {pid}"));
        let process = match passing::process(pid) {
            Ok(descriptor) => Self::Watched(descriptor),
            // EPERM is never the kernel's own, but what filters of before 5.3 answer to all that they do not know.
            Err(Errno(libc::ENOSYS | libc::EPERM)) => Self::Named {
                pid,
                start: start_of(pid).ok_or_else(gone)?,
            },
            Err(errno) => {
                return Err(errno.into_error(ErrorCode::NetnsGone, "process", "pidfd_open"));
            }
        };
        if netns::identity(Path::new(&format!("/proc/{pid}/ns/net")))? != netns::own()? {
            return Err(gone().with_detail("it is in another network namespace than we are"));
        }
        Ok(process)
    }

    /// That of a descriptor which somebody has sent; `None` if it is of anything else, whose readiness says nothing of any
    /// container.
    pub(super) fn of_descriptor(descriptor: OwnedFd) -> Option<Self> {
        let path = format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd());
        let text = std::fs::read_to_string(path).ok()?;
        let is_process = text.lines().any(|line| line.starts_with("Pid:"));
        is_process.then_some(Self::Watched(descriptor))
    }

    /// Whether it is known to have ended, without a descriptor that would tell.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Watched(_) => false,
            Self::Named { pid, start } => start_of(*pid) != Some(*start),
        }
    }
}

/// When the process started; `None` when there is none of that number.
fn start_of(pid: u32) -> Option<u64> {
    start_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat`; the second one, in parentheses, may hold anything.
pub(super) fn start_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}
