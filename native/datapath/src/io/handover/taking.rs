//! Our side of the handover.

use super::super::listening::Listening;
use super::super::sys::{Errno, file, passing, stream};
use super::{
    Answer, Device, GREETING_LEN, Handed, MAGIC, OFFER_LEN, Process, TICKET_LEN, Ticket, Wanted,
};
use crate::error::{Error, ErrorCode};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Where TAPs are handed over. Dropped, its path is gone. Closing it can take as long as those like who wait there and have
/// sent descriptors.
#[derive(Debug)]
pub struct Counter {
    listening: Listening,
    /// Open all the time, so that there is a ticket whenever there is a descriptor for a guest.
    random: File,
}

impl Counter {
    /// Makes the socket at `path`, for our own user alone (mode 0600), in the place of one that an earlier process left:
    /// whoever calls this holds the lock that goes with the path. Errors: `IO`, as when there is something else at `path`;
    /// `NO_FILES`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let is_left = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        if is_left {
            std::fs::remove_file(path).map_err(|e| {
                Errno::from(e).into_error(ErrorCode::Io, path.display().to_string(), "unlink")
            })?;
        }
        let random = File::open(RANDOM)
            .map_err(|e| Errno::from(e).into_error(ErrorCode::Io, RANDOM, "open"))?;
        let listening = Listening::bind(libc::SOCK_SEQPACKET, path)?;
        Ok(Self { listening, random })
    }

    /// Takes somebody who waits, to be greeted; `None` if there is nobody (any more). Errors: `NO_FILES`, `IO`; he waits on
    /// then, so that the counter stays readable.
    pub fn accept(&self, wanted: Wanted) -> Result<Option<Guest>, Error> {
        let mut ticket = [0; TICKET_LEN];
        (&self.random)
            .read_exact(&mut ticket)
            .map_err(|e| Errno::from(e).into_error(ErrorCode::Io, RANDOM, "read"))?;
        match stream::accept(self.listening.as_fd()) {
            Ok(socket) => Ok(Some(Guest {
                socket,
                ticket: Ticket(ticket),
                wanted,
            })),
            Err(Errno(libc::EAGAIN | libc::ECONNABORTED | libc::EINTR)) => Ok(None),
            Err(errno) => Err(errno.into_error(ErrorCode::Io, "handover", "accept")),
        }
    }

    /// Takes the path away: nobody new comes.
    pub fn withdraw(&mut self) {
        self.listening.withdraw();
    }
}

impl AsFd for Counter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listening.as_fd()
    }
}

/// Somebody who is about to hand a TAP over. Closing him can take as long as he likes: what he has sent and nobody has
/// received is closed with him.
#[derive(Debug)]
pub struct Guest {
    socket: OwnedFd,
    /// By what his TAP will be known.
    pub ticket: Ticket,
    wanted: Wanted,
}

impl Guest {
    /// Tells him what is wanted. He may be gone, which is then readable.
    pub fn greet(&self) {
        let mut greeting = [0; GREETING_LEN];
        greeting[..3].copy_from_slice(&MAGIC);
        greeting[3] = self.wanted.queues;
        greeting[4] = self.wanted.vnet_hdr.into();
        greeting[5..].copy_from_slice(&self.ticket.0);
        let _ = stream::send(self.socket.as_fd(), &greeting);
    }

    /// What he sent. Can take as long as he likes, for looking at descriptors and closing them asks whoever serves them: a
    /// file system of his own (FUSE) answers when it wants to, and a TCP socket may linger. Errors: the answer that he
    /// deserves.
    pub fn receive(&self) -> Result<Handed, Answer> {
        // One byte more than any message has, so that a longer one is noticed.
        let mut message = [0; OFFER_LEN + 1];
        let (len, mut queues) =
            passing::receive(self.socket.as_fd(), &mut message).map_err(|errno| match errno {
                Errno(libc::EMFILE) => Answer::NoResources,
                _ => Answer::Malformed,
            })?;
        if len != OFFER_LEN || !message.starts_with(&MAGIC) {
            return Err(Answer::Malformed);
        }
        let count = usize::from(message[3]);
        if count > queues.len() || count > self.wanted.queues.into() {
            return Err(Answer::Malformed);
        }
        let mut rest = queues.split_off(count);
        let process = rest.pop();
        if !rest.is_empty() {
            return Err(Answer::Malformed);
        }
        // Not every kernel has TAPs with many queues.
        if queues.is_empty() || !queues.iter().all(|q| self.is_wanted(q.as_fd())) {
            return Err(Answer::NoTap);
        }
        let numbers = &message[4..OFFER_LEN];
        let (ifindex, pid) = (number::<4>(numbers, 0), number::<4>(numbers, 4));
        let start = number::<8>(numbers, 8);
        let pid = pid as u32;
        let process = match process {
            Some(descriptor) => Process::of_descriptor(descriptor).ok_or(Answer::NoProcess)?,
            None => Process::Named { pid, start },
        };
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
        // First what it is: an ioctl on something else may do anything.
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

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..at + N).unwrap_or_default();
    found
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

const RANDOM: &str = "/dev/urandom";
/// Major and minor of `/dev/net/tun` (Linux: admin-guide/devices.txt).
const TUN_DEVICE: (u32, u32) = (10, 200);
