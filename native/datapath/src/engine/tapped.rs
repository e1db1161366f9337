//! Looking after the packet rings: counting what they lose, and giving one up that no longer serves.
//!
//! A ring that is given up ends at once, so its datagrams come to the sockets. The next apply tries again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::topology::{Topology, Underlay};
use super::worker::Worker;
use crate::counter::DropReason;
use crate::error::{Error, ErrorCode};
use crate::event::Event;
use crate::io::netlink::IpsecPolicies;
use crate::io::underlay::{Ring, RingSpec};

/// A packet ring. The first worker reads it, so that a flow stays in order.
pub(crate) struct TappedRing {
    /// `None` once it was given up.
    ring: Mutex<Option<Ring>>,
    spec: RingSpec,
    /// The ring's own descriptor once more, to be polled without the lock.
    polled: OwnedFd,
    /// What it last said of its overflows, in all.
    overflows: AtomicU32,
    /// Packets taken out of it.
    taken: AtomicU64,
    idle: Mutex<Idle>,
}

/// When it was last looked at.
#[derive(Default)]
struct Idle {
    taken: u64,
    /// Looks in a row at which it had lost packets and given none.
    looks: u32,
}

impl TappedRing {
    /// Errors: `NO_FILES`, `NO_RING` and what else [`Ring::open`] says.
    pub(crate) fn open(spec: RingSpec) -> Result<Self, Error> {
        let ring = Ring::open(&spec)?;
        let polled = ring.as_fd().try_clone_to_owned().map_err(|e| {
            let error = Error::new(ErrorCode::NoFiles, "packet ring");
            error.with_detail(e.to_string())
        })?;
        Ok(Self {
            ring: Mutex::new(Some(ring)),
            spec,
            polled,
            overflows: AtomicU32::new(0),
            taken: AtomicU64::new(0),
            idle: Mutex::default(),
        })
    }

    /// Whether it serves this address on this interface. Its slots may have been chosen for another MTU: what is longer
    /// comes by the queue.
    pub(crate) fn serves(&self, spec: &RingSpec) -> bool {
        (self.spec.local, self.spec.ifindex) == (spec.local, spec.ifindex) && self.is_open()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// The ring, for the one worker that reads it: nobody else holds it for long.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Ring>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that packets were taken out of it.
    pub(crate) fn took(&self, packets: usize) {
        self.taken.fetch_add(packets as u64, Ordering::Relaxed);
    }

    /// Packets that it had no room for since the last call, and why it is to be given up, if it is.
    fn look(&self) -> (u64, Option<&'static str>) {
        let guard = self.lock();
        let Some(ring) = guard.as_ref() else {
            return (0, None);
        };
        let total = ring.overflows();
        let lost = u64::from(total.wrapping_sub(self.overflows.swap(total, Ordering::Relaxed)));
        if ring.is_gone() {
            return (lost, Some("its interface is gone"));
        }
        let taken = self.taken.load(Ordering::Relaxed);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // A superframe of a kind that the kernel has no offload header for leaves its slot taken for ever.
        let is_stuck = lost > 0 && taken == idle.taken && ring.is_empty();
        *idle = Idle {
            taken,
            looks: if is_stuck { idle.looks + 1 } else { 0 },
        };
        let given_up = idle.looks >= STUCK_LOOKS;
        (lost, given_up.then_some("the kernel no longer fills it"))
    }

    fn give_up(&self, why: &str) -> Event {
        *self.lock() = None;
        Event::Downgraded {
            detail: format!("packet ring: {why}, so datagrams come by the socket"),
        }
    }
}

impl AsFd for TappedRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.polled.as_fd()
    }
}

/// Gives the rings up if there is an IPsec policy: what it would have kept out comes through a ring.
pub(super) fn respect_ipsec(topology: &Topology) -> Vec<Event> {
    let open = rings(topology).filter(|ring| ring.is_open());
    let open: Vec<_> = open.collect();
    if open.is_empty() || !has_ipsec() {
        return Vec::new();
    }
    let why = "the host has IPsec policies";
    open.into_iter().map(|ring| ring.give_up(why)).collect()
}

/// Whether the namespace has any IPsec policy, or that cannot be told.
pub(super) fn has_ipsec() -> bool {
    IpsecPolicies::open()
        .and_then(|mut policies| policies.any())
        .unwrap_or(true)
}

impl Worker {
    /// Counts what the rings had no room for, and gives up those that no longer serve. Once per tick.
    pub(super) fn look_at_rings(&self) {
        for ring in rings(&self.topology) {
            let (lost, trouble) = ring.look();
            if lost > 0 {
                self.refuse(&self.topology, DropReason::RingOverflow, lost);
            }
            if let Some(why) = trouble {
                self.stop_watching(ring);
                self.shared.events.push(ring.give_up(why));
            }
        }
    }

    /// The kernel says that something is wrong with a ring: its interface is down. That it is gone is seen at the tick.
    pub(super) fn ring_trouble(&self, index: usize) {
        if let Some((_, ring)) = self.topology.tapped(index) {
            match ring.lock().as_ref() {
                Some(ring) => {
                    let _ = ring.take_error();
                }
                None => self.stop_watching(ring),
            }
        }
    }
}

fn rings(topology: &Topology) -> impl Iterator<Item = &TappedRing> {
    let receivers = match &topology.underlay {
        Underlay::Udp { receivers, .. } => receivers.as_slice(),
        Underlay::Memory(_) => &[],
    };
    receivers.iter().filter_map(|r| r.ring.as_deref())
}

/// One is by chance possible: what was lost was lost in the moment before.
const STUCK_LOOKS: u32 = 2;
