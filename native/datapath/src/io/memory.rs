//! Twins of TAP and underlay made of queues, for tests: they need no rights and lose nothing unseen.

use super::Refusal;
use super::poll::Waker;
use super::underlay::SendError;
use crate::error::Error;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A bounded queue between threads that can be polled: its descriptor is readable while something is in it.
#[derive(Debug)]
pub struct MemoryQueue<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
    waker: Waker,
}

impl<T> MemoryQueue<T> {
    /// An empty queue for `capacity` items. Errors: `NO_FILES`.
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Ok(Self {
            items: Mutex::new(VecDeque::new()),
            capacity,
            waker: Waker::new()?,
        })
    }

    /// Appends; `WouldBlock` when full, and the item is lost, as a frame is at a full TAP.
    pub fn push(&self, item: T) -> Result<(), Refusal> {
        let mut items = self.lock();
        if items.len() >= self.capacity {
            return Err(Refusal::WouldBlock);
        }
        items.push_back(item);
        if items.len() == 1 {
            self.waker.wake();
        }
        Ok(())
    }

    /// Takes the oldest.
    pub fn pop(&self) -> Option<T> {
        let mut items = self.lock();
        let item = items.pop_front()?;
        if items.is_empty() {
            self.waker.drain();
        }
        Some(item)
    }

    /// Takes everything, oldest first.
    pub fn take(&self) -> Vec<T> {
        let mut items = self.lock();
        self.waker.drain();
        items.drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        // A panic elsewhere cannot leave the queue half changed.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> AsFd for MemoryQueue<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

/// Both directions of something that is not really there.
#[derive(Debug)]
pub struct MemoryPair<T> {
    /// From outside into the switch.
    pub inward: MemoryQueue<T>,
    /// From the switch to the outside.
    pub outward: MemoryQueue<T>,
}

impl<T> MemoryPair<T> {
    /// Two empty queues of `capacity` items each. Errors: `NO_FILES`.
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Ok(Self {
            inward: MemoryQueue::new(capacity)?,
            outward: MemoryQueue::new(capacity)?,
        })
    }
}

/// The twin of an underlay.
#[derive(Debug)]
pub struct MemoryUnderlay {
    /// What it receives.
    pub inward: MemoryQueue<MemoryDatagram>,
    /// What it has sent.
    pub outward: MemoryQueue<MemoryDatagram>,
    /// What the network says of datagrams sent earlier.
    pub reports: MemoryQueue<SendError>,
}

impl MemoryUnderlay {
    /// Empty queues of `capacity` items each. Errors: `NO_FILES`.
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Ok(Self {
            inward: MemoryQueue::new(capacity)?,
            outward: MemoryQueue::new(capacity)?,
            reports: MemoryQueue::new(capacity)?,
        })
    }
}

/// One UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryDatagram {
    /// Address and port of the sender.
    pub source: SocketAddr,
    /// Address and port that it goes to.
    pub destination: SocketAddr,
    /// Type of service or traffic class of its IP header.
    pub tos: u8,
    /// UDP payload: VXLAN header and frame.
    pub payload: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::super::poll::{Poller, Ready};
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Push(u8),
        Pop,
        Take,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => any::<u8>().prop_map(Step::Push),
            3 => Just(Step::Pop),
            1 => Just(Step::Take),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn behaves_as_a_bounded_vec_and_is_readable_exactly_when_not_empty(steps in steps()) {
            let queue = MemoryQueue::new(4).unwrap();
            let poller = Poller::new().unwrap();
            poller.add(&queue, 0).unwrap();
            let mut ready = Ready::with_capacity(1);
            let mut model: Vec<u8> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(n) if model.len() < 4 => {
                        prop_assert_eq!(queue.push(n), Ok(()));
                        model.push(n);
                    }
                    Step::Push(n) => prop_assert_eq!(queue.push(n), Err(Refusal::WouldBlock)),
                    Step::Pop => {
                        let expected = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(queue.pop(), expected);
                    }
                    Step::Take => prop_assert_eq!(queue.take(), std::mem::take(&mut model)),
                }
                poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
                prop_assert_eq!(ready.iter().count() == 1, !model.is_empty());
            }
        }
    }
}
