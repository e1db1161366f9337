//! The other side of the handover, run inside the container by its own user.

use super::super::listening::at_address;
use super::super::sys::{Errno, passing};
use super::super::tap::Made;
use super::{Answer, GREETING_LEN, MAGIC, OFFER_LEN, Process, TICKET_LEN, Ticket};
use crate::error::{Error, ErrorCode};
use std::os::fd::{AsFd, OwnedFd};
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
/// over at the socket `path`. When this fails nothing is left. Blocks, for some seconds if he who takes it is silent.
///
/// Errors: `NETNS_GONE` when the process has ended or is elsewhere, `HANDOVER_REFUSED` with the reason as detail,
/// `NO_NET_ADMIN`, `NO_TUN`, `IFNAME_TAKEN`, `NO_FILES`, `IO`.
pub fn give(path: &Path, pid: u32, ifname: &str) -> Result<Given, Error> {
    let taker = Taker::find(path)?;
    let mut greeting = [0; GREETING_LEN];
    match taker.hear(&mut greeting)? {
        GREETING_LEN if greeting.starts_with(&MAGIC) => {}
        1 => return Err(taker.refusal(reason(greeting[0]))),
        _ => return Err(taker.refusal(OTHER_VERSION)),
    }
    let mut ticket = [0; TICKET_LEN];
    ticket.copy_from_slice(&greeting[5..]);
    let process = Process::here(pid)?;
    let made = Made::new(ifname, usize::from(greeting[3]), greeting[4] != 0)?;
    taker.offer(&made, &process)?;
    let mut answer = [0];
    taker.hear(&mut answer)?;
    if answer[0] != Answer::Taken as u8 {
        return Err(taker.refusal(reason(answer[0])));
    }
    Ok(Given {
        ticket: Ticket(ticket),
        ifindex: made.ifindex,
        connection: taker.socket,
    })
}

/// Who takes TAPs at a path.
struct Taker<'a> {
    path: &'a Path,
    socket: OwnedFd,
}

impl<'a> Taker<'a> {
    fn find(path: &'a Path) -> Result<Self, Error> {
        let found = at_address(path, |address| passing::connect(address, PATIENCE_SECS));
        let socket = found.map_err(|errno| {
            let subject = path.display().to_string();
            errno
                .into_error(ErrorCode::HandoverRefused, subject, "connect")
                .with_detail(NOBODY)
        })?;
        Ok(Self { path, socket })
    }

    /// The next message: how long it is, never 0.
    fn hear(&self, message: &mut [u8]) -> Result<usize, Error> {
        match passing::receive(self.socket.as_fd(), message) {
            Ok((0, _)) => Err(self.refusal(HUNG_UP)),
            Ok((len, _)) => Ok(len),
            Err(Errno(libc::EMSGSIZE)) => Err(self.refusal(OTHER_VERSION)),
            Err(errno) => Err(failure(self.path, errno, "recvmsg")),
        }
    }

    fn offer(&self, made: &Made, process: &Process) -> Result<(), Error> {
        let mut offer = [0; OFFER_LEN];
        offer[..3].copy_from_slice(&MAGIC);
        // As many as were wanted at most, which is one byte too.
        offer[3] = made.queues.len() as u8;
        offer[4..8].copy_from_slice(&made.ifindex.to_be_bytes());
        let mut passed: Vec<_> = made.queues.iter().map(AsFd::as_fd).collect();
        match process {
            Process::Watched(descriptor) => passed.push(descriptor.as_fd()),
            Process::Named { pid, start } => {
                offer[8..12].copy_from_slice(&pid.to_be_bytes());
                offer[12..].copy_from_slice(&start.to_be_bytes());
            }
        }
        passing::send(self.socket.as_fd(), &offer, &passed)
            .map_err(|errno| failure(self.path, errno, "sendmsg"))
    }

    fn refusal(&self, why: &str) -> Error {
        refusal(self.path, why)
    }
}

fn failure(path: &Path, errno: Errno, syscall: &'static str) -> Error {
    match errno.0 {
        libc::EPIPE | libc::ECONNRESET => refusal(path, HUNG_UP),
        libc::EAGAIN => refusal(path, SILENT),
        _ => errno.into_error(ErrorCode::Io, path.display().to_string(), syscall),
    }
}

fn refusal(path: &Path, why: &str) -> Error {
    Error::new(ErrorCode::HandoverRefused, path.display().to_string()).with_detail(why)
}

fn reason(answer: u8) -> &'static str {
    match Answer::of(answer) {
        Some(Answer::Full) => "as many TAPs as may are being handed over or wait for their ports",
        Some(Answer::NoTap) => "what it got is no TAP of the kind that it wants",
        Some(Answer::NoProcess) => "what it got to see the container's end by is no process",
        Some(Answer::NoResources) => {
            "it has no room for the descriptors: too many files are open, or a security module forbids it"
        }
        Some(Answer::Taken | Answer::Malformed) | None => OTHER_VERSION,
    }
}

const OTHER_VERSION: &str = "the two are of different versions";
const HUNG_UP: &str = "vswitchd ended the connection";
const SILENT: &str = "vswitchd does not answer";
const NOBODY: &str = "no vswitchd listens there, or it is another user's; if one runs, its log says why it takes no TAPs";
const PATIENCE_SECS: i64 = 10;
