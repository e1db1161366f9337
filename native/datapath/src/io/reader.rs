//! Somebody outside who reads a stream of bytes that we write: awaited at a unix socket, never waited for for ever.

use super::Refusal;
use super::listening::Listening;
use super::poll::Waker;
use super::sys::{Errno, file, stream};
use crate::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// A place where one reader may connect. Dropped, its path is gone.
#[derive(Debug)]
pub struct ReaderSocket(Listening);

impl ReaderSocket {
    /// Makes the socket at `path`, for our own user alone (mode 0600). The path may be longer than a socket's address.
    ///
    /// Errors: `IO` when there is something at `path`, or its folder is not there; `NO_FILES`.
    pub fn bind(path: &Path) -> Result<Self, Error> {
        Listening::bind(libc::SOCK_STREAM, path).map(Self)
    }

    /// Waits for the one who connects, `limit` at most, or until `end` is woken: `None` then. The path is gone after it.
    pub fn accept(self, end: &Waker, limit: Duration) -> Option<Reader> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = [(self.0.as_fd(), libc::POLLIN), (end.as_fd(), libc::POLLIN)];
            let [caller, ended] = stream::poll(asked, millis(left)).ok()?;
            if ended != 0 {
                return None;
            }
            if caller != 0
                && let Ok(socket) = stream::accept(self.0.as_fd())
            {
                return Some(Reader(socket));
            }
            if left.is_zero() {
                return None;
            }
            if caller != 0 {
                // Without a free descriptor he stays at the door, where the next look finds him at once.
                stream::poll([(end.as_fd(), libc::POLLIN)], millis(RETRY)).ok()?;
            }
        }
    }
}

/// The reader. Dropped, he gets the end of the stream.
#[derive(Debug)]
pub struct Reader(OwnedFd);

/// What a wait has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// There is room for more bytes, if that was asked.
    pub has_room: bool,
    /// The reader is gone, or has shut down his side: he wants no more packets.
    pub has_ended: bool,
}

impl Reader {
    /// Waits, `limit` at most, until the reader has room (if `for_room`) or ends, or `end` is woken.
    pub fn wait(&self, for_room: bool, end: &Waker, limit: Duration) -> Readiness {
        let room = if for_room { libc::POLLOUT } else { 0 };
        let asked = [
            (self.0.as_fd(), libc::POLLIN | room),
            (end.as_fd(), libc::POLLIN),
        ];
        let [found, _] = stream::poll(asked, millis(limit)).unwrap_or_default();
        Readiness {
            has_room: found & libc::POLLOUT != 0,
            has_ended: found & !libc::POLLOUT != 0 && self.has_ended(),
        }
    }

    /// Waits, `limit` at most, until the reader has room; whether he has.
    pub fn wait_for_room(&self, limit: Duration) -> bool {
        let asked = [(self.0.as_fd(), libc::POLLOUT)];
        let [found] = stream::poll(asked, millis(limit)).unwrap_or_default();
        found & libc::POLLOUT != 0
    }

    /// Writes what fits. `WouldBlock` when nothing does, `Gone` when nobody reads any more.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Refusal> {
        loop {
            match stream::send(self.0.as_fd(), bytes) {
                Ok(written) => return Ok(written),
                Err(Errno(libc::EINTR)) => {}
                Err(Errno(libc::EAGAIN)) => return Err(Refusal::WouldBlock),
                Err(_) => return Err(Refusal::Gone),
            }
        }
    }

    /// What he says does not matter; that he can say no more does.
    fn has_ended(&self) -> bool {
        let mut words = [0; 64];
        loop {
            match file::read(self.0.as_fd(), &mut words) {
                Ok(0) => return true,
                Ok(_) | Err(Errno(libc::EINTR)) => {}
                Err(Errno(errno)) => return errno != libc::EAGAIN,
            }
        }
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// Until a reader whom we could not let in is tried again.
const RETRY: Duration = Duration::from_millis(20);
