//! The other side of the handover, run inside the container by its own user.

use super::super::reader::shortened;
use super::super::sys::{Errno, passing};
use super::super::tap::Made;
use super::{Answer, GREETING_LEN, MAGIC, OFFER_LEN, Process, TICKET_LEN, Ticket, start_of};
use crate::error::{Error, ErrorCode};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A TAP that is no longer ours. Dropped before a port has it, it is gone.
#[derive(Debug)]
pub struct Given {
    /// By what it is known to the one who has it now.
    pub ticket: Ticket,
    /// Its index in our network namespace.
    pub ifindex: u32,
    #[expect(dead_code, reason = "held for its end")]
    connection: OwnedFd,
}

/// Makes the TAP `ifname`, down, in our own network namespace, which must be that of the process `pid`, and hands it
/// over at the socket `path`. When this fails nothing is left.
///
/// Errors: `NETNS_GONE` when the process has ended or is elsewhere, `HANDOVER_REFUSED` with the reason as detail,
/// `NO_NET_ADMIN`, `NO_TUN`, `IFNAME_TAKEN`, `NO_FILES`, `IO`.
pub fn give(path: &Path, pid: u32, ifname: &str) -> Result<Given, Error> {
    let failed = |syscall| {
        let subject = path.display().to_string();
        move |errno: Errno| errno.into_error(ErrorCode::Io, subject, syscall)
    };
    let (_folder, short) = shortened(path).map_err(failed("open"))?;
    let socket =
        passing::connect(short.as_os_str().as_bytes(), PATIENCE_SECS).map_err(|errno| {
            let subject = path.display().to_string();
            errno
                .into_error(ErrorCode::HandoverRefused, subject, "connect")
                .with_detail("no vswitchd listens there, or it is another user's")
        })?;
    let mut greeting = [0; GREETING_LEN];
    let len = hear(socket.as_fd(), &mut greeting, path)?;
    if len == 1 {
        return Err(refused(path, greeting[0]));
    }
    if len != GREETING_LEN || greeting[..3] != MAGIC {
        return Err(refused(path, Answer::Malformed as u8));
    }
    let mut ticket = [0; TICKET_LEN];
    ticket.copy_from_slice(&greeting[5..]);
    let process = process_here(pid)?;
    let made = Made::new(ifname, usize::from(greeting[3]), greeting[4] != 0)?;
    let mut offer = [0; OFFER_LEN];
    offer[..3].copy_from_slice(&MAGIC);
    offer[4..8].copy_from_slice(&made.ifindex.to_be_bytes());
    if let Process::Named { pid, start } = &process {
        offer[8..12].copy_from_slice(&pid.to_be_bytes());
        offer[12..].copy_from_slice(&start.to_be_bytes());
    }
    let mut passed: Vec<_> = made.queues.iter().map(AsFd::as_fd).collect();
    if let Process::Watched(descriptor) = &process {
        passed.push(descriptor.as_fd());
    }
    passing::send(socket.as_fd(), &offer, &passed).map_err(failed("sendmsg"))?;
    let mut answer = [0];
    let len = hear(socket.as_fd(), &mut answer, path)?;
    if len != 1 || answer[0] != Answer::Taken as u8 {
        return Err(refused(path, answer[0]));
    }
    Ok(Given {
        ticket: Ticket(ticket),
        ifindex: made.ifindex,
        connection: socket,
    })
}

/// The length of what is said to us. Errors: `HANDOVER_REFUSED` when it is longer than it may be, `IO`.
fn hear(socket: BorrowedFd<'_>, words: &mut [u8], path: &Path) -> Result<usize, Error> {
    match passing::receive(socket, words) {
        Ok((len, _)) => Ok(len),
        Err(Errno(libc::EMSGSIZE)) => Err(refused(path, Answer::Malformed as u8)),
        Err(errno) => {
            let subject = path.display().to_string();
            Err(errno.into_error(ErrorCode::Io, subject, "recvmsg"))
        }
    }
}

/// The process, if it lives in our network namespace: its number may be another's by now.
fn process_here(pid: u32) -> Result<Process, Error> {
    let gone = || Error::new(ErrorCode::NetnsGone, format!("process {pid}"));
    let process = match passing::process(pid) {
        Ok(descriptor) => Process::Watched(descriptor),
        Err(Errno(libc::ENOSYS)) => Process::Named {
            pid,
            start: start_of(pid).ok_or_else(gone)?,
        },
        Err(errno) => return Err(errno.into_error(ErrorCode::NetnsGone, "process", "pidfd_open")),
    };
    let there = super::super::netns::identity(Path::new(&format!("/proc/{pid}/ns/net")))?;
    let here = super::super::netns::identity(Path::new("/proc/thread-self/ns/net"))?;
    if there != here {
        return Err(gone().with_detail("it is in another network namespace than we are"));
    }
    Ok(process)
}

fn refused(path: &Path, answer: u8) -> Error {
    let why = match Answer::of(answer) {
        Some(Answer::Full) => "as many TAPs as may are being handed over or wait for their ports",
        Some(Answer::NoTap) => "what it got is no TAP of the kind that it wants",
        Some(Answer::Taken | Answer::Malformed) | None => "the two are of different versions",
    };
    Error::new(ErrorCode::HandoverRefused, path.display().to_string()).with_detail(why)
}

const PATIENCE_SECS: i64 = 10;
