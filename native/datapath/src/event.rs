//! What the datapath tells the control plane: a bounded ring with a count of what did not fit.
//!
//! When the ring, or one subject's share of it, is full, the newest event is dropped and counted, so that one noisy
//! port cannot silence the rest. Nothing here waits for the reader.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::wire::ecn::Ecn;
use crate::wire::mac::MacAddr;
use crate::wire::vxlan::Vni;

/// Something that an operator or the reconcile loop wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Event {
    /// A port's device or namespace disappeared; its learned entries are flushed.
    PortGone { port: String, detail: String },
    /// A station is now somewhere else.
    MacMoved {
        network: String,
        mac: MacAddr,
        from: String,
        to: String,
    },
    /// A new MAC was not learned because a limit is reached.
    FdbFull { network: String, port: String },
    /// Datagrams arrive for a VNI that no network here has.
    VniUnknown { vni: Vni, remote: IpAddr },
    /// One of our own MACs arrives from outside: a loop or a forgery.
    SourceMacLocal {
        network: String,
        mac: MacAddr,
        from: String,
    },
    /// Inner and outer ECN do not go together (RFC 6040 §4.2): something on the way sets what it should not.
    EcnOdd {
        network: String,
        from: String,
        inner: Ecn,
        outer: Ecn,
    },
    /// A station says that it has an address, which belongs to another.
    IpConflict {
        network: String,
        port: String,
        ip: IpAddr,
        claimant: MacAddr,
        owner: MacAddr,
    },
    /// The path to a VTEP carries another size of IP packets than before, bytes.
    PathMtu {
        network: String,
        remote: IpAddr,
        from: u32,
        to: u32,
    },
    /// The kernel refused a facility, which is now off.
    Downgraded { detail: String },
    /// A defect of ours ended a worker.
    Fatal { detail: String },
}

impl Event {
    /// Who pays for it when the ring fills.
    fn subject(&self) -> &str {
        match self {
            Self::PortGone { port, .. }
            | Self::FdbFull { port, .. }
            | Self::IpConflict { port, .. } => port,
            Self::MacMoved { to, .. } => to,
            Self::SourceMacLocal { from, .. } | Self::EcnOdd { from, .. } => from,
            Self::VniUnknown { .. } | Self::PathMtu { .. } => "underlay",
            Self::Downgraded { .. } | Self::Fatal { .. } => "engine",
        }
    }
}

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// The ring. Any thread pushes, one reader drains.
pub struct EventRing {
    inner: Mutex<Inner>,
    wake: Mutex<Option<Wake>>,
}

/// Called when the ring stops being empty; must not block.
pub type Wake = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Inner {
    queue: VecDeque<Stamped>,
    shares: HashMap<String, usize>,
    lost: u64,
}

impl Default for EventRing {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            wake: Mutex::new(None),
        }
    }
}

impl EventRing {
    /// Sets who is told that the ring is no longer empty; at once when it is not.
    pub fn on_wake(&self, wake: Option<Wake>) {
        let mut current = lock(&self.wake);
        *current = wake;
        // Nobody was told of what came before, and what comes behind it tells nobody.
        let has_events = !lock(&self.inner).queue.is_empty();
        if has_events && let Some(wake) = &*current {
            wake();
        }
    }

    /// Adds an event, or counts it as lost.
    pub fn push(&self, event: Event) {
        let was_empty = {
            let mut inner = lock(&self.inner);
            let share = inner.shares.get(event.subject()).copied().unwrap_or(0);
            if inner.queue.len() >= CAPACITY || share >= SHARE {
                inner.lost += 1;
                return;
            }
            inner.shares.insert(event.subject().to_owned(), share + 1);
            inner.queue.push_back(Stamped {
                at_ms: unix_ms(),
                event,
            });
            inner.queue.len() == 1
        };
        if was_empty && let Some(wake) = &*lock(&self.wake) {
            wake();
        }
    }

    /// Takes up to `max` events, oldest first, and how many were lost since the last call.
    pub fn drain(&self, max: usize) -> (Vec<Stamped>, u64) {
        let mut inner = lock(&self.inner);
        let take = max.min(inner.queue.len());
        let taken: Vec<_> = inner.queue.drain(..take).collect();
        if inner.queue.is_empty() {
            inner.shares.clear();
        } else {
            for stamped in &taken {
                if let Some(share) = inner.shares.get_mut(stamped.event.subject()) {
                    *share = share.saturating_sub(1);
                }
            }
        }
        (taken, std::mem::take(&mut inner.lost))
    }
}

// A reader or writer that panicked leaves whole events behind, so the ring stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of day, milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64)
}

const CAPACITY: usize = 1024;
const SHARE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn full(port: &str) -> Event {
        Event::FdbFull {
            network: "n".into(),
            port: port.into(),
        }
    }

    #[test]
    fn one_noisy_port_cannot_silence_the_rest() {
        let ring = EventRing::default();
        for _ in 0..SHARE + 10 {
            ring.push(full("noisy"));
        }
        ring.push(full("quiet"));
        let (events, lost) = ring.drain(usize::MAX);
        assert_eq!(events.len(), SHARE + 1);
        assert_eq!(lost, 10);
        assert_eq!(events[SHARE].event, full("quiet"));
        assert_eq!(ring.drain(1), (vec![], 0));
    }

    #[test]
    fn share_is_given_back_by_draining() {
        let ring = EventRing::default();
        for _ in 0..SHARE {
            ring.push(full("p"));
        }
        assert_eq!(ring.drain(10).0.len(), 10);
        for _ in 0..20 {
            ring.push(full("p"));
        }
        assert_eq!(ring.drain(usize::MAX).1, 10);
    }

    #[test]
    fn wakes_once_per_filling() {
        let ring = EventRing::default();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = woken.clone();
        ring.on_wake(Some(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })));
        ring.push(full("a"));
        ring.push(full("a"));
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        ring.drain(usize::MAX);
        ring.push(full("a"));
        assert_eq!(woken.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn whoever_comes_to_a_ring_with_events_is_told_at_once() {
        let ring = EventRing::default();
        ring.push(full("a"));
        let woken = Arc::new(AtomicUsize::new(0));
        let count = woken.clone();
        ring.on_wake(Some(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })));
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}
