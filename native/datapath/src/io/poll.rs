//! Waiting for descriptors, and waking a worker that waits.

use super::sys::{Errno, event};
use crate::error::{Error, ErrorCode};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// A level-triggered set of descriptors to wait for.
///
/// A descriptor that is closed leaves the set by itself.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    /// Descriptor -> token, for [`Poller::watch_exactly`].
    watched: HashMap<RawFd, u64>,
}

impl Poller {
    /// An empty set. Errors: `NO_FILES`.
    pub fn new() -> Result<Self, Error> {
        event::epoll_create()
            .map(|epoll| Self {
                epoll,
                watched: HashMap::new(),
            })
            .map_err(|e| e.into_error(ErrorCode::Io, "epoll", "epoll_create1"))
    }

    /// Reports `fd` under `token` whenever it is readable, in error or hung up. Errors: `NO_FILES`, `IO` when it is
    /// already in the set.
    pub fn add(&self, fd: &impl AsFd, token: u64) -> Result<(), Error> {
        event::epoll_add(self.epoll.as_fd(), fd.as_fd(), token)
            .map_err(|e| e.into_error(ErrorCode::Io, "epoll", "epoll_ctl"))
    }

    /// Makes the set exactly these, each under its index as token; opens nothing. What was in the set and is closed by
    /// now must not have been closed before the last call of this. Errors: `NO_FILES`, `IO`; the set is then a part.
    pub fn watch_exactly(&mut self, wanted: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let mut before = std::mem::take(&mut self.watched);
        for (fd, token) in wanted.iter().zip(0u64..) {
            match before.remove(&fd.as_raw_fd()) {
                Some(same) if same == token => {}
                Some(_) => {
                    self.remove(fd);
                    self.add(fd, token)?;
                }
                None => self.add(fd, token)?,
            }
            self.watched.insert(fd.as_raw_fd(), token);
        }
        for fd in before.into_keys() {
            // One that is closed has left by itself.
            let _ = event::epoll_delete(self.epoll.as_fd(), fd);
        }
        Ok(())
    }

    /// Takes `fd` out of the set; nothing happens when it is not in it.
    pub fn remove(&self, fd: &impl AsFd) {
        let _ = event::epoll_delete(self.epoll.as_fd(), fd.as_fd().as_raw_fd());
    }

    /// Waits until a descriptor is ready, at most `timeout` (`None` = for ever, zero = only looks; rounded up to
    /// whole milliseconds). `ready` then holds what is ready, nothing after the timeout or a signal.
    pub fn wait(&self, ready: &mut Ready, timeout: Option<Duration>) -> Result<(), Error> {
        let timeout_ms = timeout.map_or(-1, |t| {
            i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        ready.len = 0;
        match event::epoll_wait(self.epoll.as_fd(), &mut ready.events, timeout_ms) {
            Ok(n) => ready.len = n,
            Err(Errno(libc::EINTR)) => {}
            Err(e) => return Err(e.into_error(ErrorCode::Io, "epoll", "epoll_wait")),
        }
        Ok(())
    }
}

/// Readable while something in the set is.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What [`Poller::wait`] found. Its memory is used again by every wait.
pub struct Ready {
    events: Vec<libc::epoll_event>,
    len: usize,
}

/// One ready descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The token given to [`Poller::add`].
    pub token: u64,
    /// Reading gives something (or an error).
    pub readable: bool,
    /// An error or hang-up is pending; it is reported until it is fetched or the descriptor removed.
    pub error: bool,
}

impl Ready {
    /// Room for `capacity` descriptors per wait; what does not fit is reported by the next one.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity.max(1)],
            len: 0,
        }
    }

    /// The ready descriptors of the last wait.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.events[..self.len].iter().map(|event| {
            let bits = event.events;
            Event {
                token: event.u64,
                readable: bits & libc::EPOLLIN as u32 != 0,
                error: bits & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0,
            }
        })
    }
}

/// From now on the calling thread runs when others have less to do (nice 10). Where that is not allowed nothing changes.
pub fn yield_to_others() {
    let _ = event::set_nice(10);
}

/// Ends another thread's wait: readable from `wake` until `drain`.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// Not woken. Errors: `NO_FILES`.
    pub fn new() -> Result<Self, Error> {
        event::eventfd()
            .map(Self)
            .map_err(|e| e.into_error(ErrorCode::Io, "eventfd", "eventfd"))
    }

    /// Makes it readable. From any thread; any number of calls count as one.
    pub fn wake(&self) {
        // The only failure is a counter at its maximum, which is readable all the same.
        let _ = event::eventfd_signal(self.0.as_fd());
    }

    /// Makes it not readable.
    pub fn drain(&self) {
        // Fails when it was not readable, which is what the caller wants.
        let _ = event::eventfd_clear(self.0.as_fd());
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(poller: &Poller) -> Vec<Event> {
        let mut ready = Ready::with_capacity(8);
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        ready.iter().collect()
    }

    #[test]
    fn a_waker_is_readable_from_wake_to_drain() {
        let (poller, waker) = (Poller::new().unwrap(), Waker::new().unwrap());
        poller.add(&waker, 7).unwrap();
        assert_eq!(look(&poller), []);
        waker.wake();
        waker.wake();
        let woken = Event {
            token: 7,
            readable: true,
            error: false,
        };
        assert_eq!(look(&poller), [woken]);
        assert_eq!(look(&poller), [woken], "level triggered");
        waker.drain();
        assert_eq!(look(&poller), []);
    }

    #[test]
    fn a_wake_ends_a_wait_without_time_limit() {
        let (poller, waker) = (Poller::new().unwrap(), Waker::new().unwrap());
        poller.add(&waker, 1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| waker.wake());
            let mut ready = Ready::with_capacity(1);
            while ready.iter().count() == 0 {
                poller.wait(&mut ready, None).unwrap();
            }
        });
    }

    #[test]
    fn removed_and_closed_descriptors_are_silent() {
        let poller = Poller::new().unwrap();
        let (removed, closed) = (Waker::new().unwrap(), Waker::new().unwrap());
        for waker in [&removed, &closed] {
            poller.add(waker, 1).unwrap();
            waker.wake();
        }
        poller.remove(&removed);
        poller.remove(&removed);
        drop(closed);
        assert_eq!(look(&poller), []);
    }

    #[test]
    fn watching_exactly_adds_renumbers_and_removes() {
        let mut poller = Poller::new().unwrap();
        let [a, b, c] = [(); 3].map(|()| Waker::new().unwrap());
        [&a, &b, &c].into_iter().for_each(Waker::wake);
        let tokens = |poller: &Poller| {
            let mut tokens: Vec<_> = look(poller).iter().map(|e| e.token).collect();
            tokens.sort_unstable();
            tokens
        };
        poller.watch_exactly(&[a.as_fd(), b.as_fd()]).unwrap();
        assert_eq!(tokens(&poller), [0, 1]);
        poller.watch_exactly(&[b.as_fd(), c.as_fd()]).unwrap();
        assert_eq!(tokens(&poller), [0, 1]);
        b.drain();
        assert_eq!(tokens(&poller), [1], "b is 0 now, and a is not watched");
        poller.watch_exactly(&[c.as_fd()]).unwrap();
        drop(b);
        assert_eq!(tokens(&poller), [0]);
        poller.watch_exactly(&[]).unwrap();
        assert_eq!(tokens(&poller), [0u64; 0]);
    }

    #[test]
    fn adding_twice_is_an_error() {
        let (poller, waker) = (Poller::new().unwrap(), Waker::new().unwrap());
        poller.add(&waker, 1).unwrap();
        assert_eq!(poller.add(&waker, 2).unwrap_err().code, ErrorCode::Io);
    }
}
