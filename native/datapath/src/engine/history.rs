//! What has changed what the switch does, or happened for the first time: a bounded log for people who ask later.
//!
//! Any thread writes, rarely: nothing that happens per frame comes here. Nobody waits for the reader. The oldest lines
//! go first; so that a flood of new MACs cannot wash the rest out, each port has a budget per second, beyond which its
//! lines are only counted.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::counter::DropReason;
use crate::switch::fdb::Origin;
use crate::wire::mac::MacAddr;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Happening {
    /// A station was heard for the first time.
    Learned { mac: MacAddr },
    /// A station was heard at another port than before.
    Moved { mac: MacAddr, from: Arc<str> },
    /// A station was not heard for as long as the network remembers.
    Aged { mac: MacAddr },
    /// A newer station of the same port took its place.
    Evicted { mac: MacAddr },
    /// Somebody had it forgotten, or its port went.
    Flushed { mac: MacAddr },
    /// People or the control plane made an entry, perhaps in the place of another.
    Set {
        mac: MacAddr,
        origin: Origin,
        before: Option<(Origin, Arc<str>)>,
    },
    /// They took it away.
    Removed { mac: MacAddr, origin: Origin },
    /// A station was not learned.
    Refused { mac: MacAddr, reason: &'static str },
    /// A question about an address was answered here, for the first time in a minute.
    Answered { ip: IpAddr, mac: MacAddr },
    /// The control plane says who has an address.
    NeighborSet { ip: IpAddr, mac: MacAddr },
    /// It no longer says so.
    NeighborRemoved { ip: IpAddr, mac: MacAddr },
    /// Frames are dropped at this place for a reason that was not seen there for a minute; of the first one.
    Dropped {
        reason: DropReason,
        mac: Option<MacAddr>,
    },
    /// A local port was attached.
    PortUp,
    /// It was removed, or its device or namespace went.
    PortDown { detail: Option<String> },
    /// A VTEP became a peer.
    VtepUp,
    /// It is none any more.
    VtepDown,
    /// It is heard again, or answers.
    VtepHeard,
    /// It is not heard any more, nor does it answer.
    VtepSilent,
    /// Its path carries another size of IP packets, bytes.
    PathMtu { from: u32, to: u32 },
}

/// Where it happened. Names are shared with those who have them, so that a line costs no copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Absent: at the underlay, before a network is known.
    pub network: Option<Arc<str>>,
    /// As in the counters; absent: at no port.
    pub port: Option<Arc<str>>,
}

/// A happening with its place and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counts up by one from line to line.
    pub seq: u64,
    /// Unix time in milliseconds.
    pub at_ms: u64,
    /// Where.
    pub place: Place,
    /// What.
    pub happening: Happening,
}

/// The log.
#[derive(Debug, Default)]
pub struct History {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<Line>,
    next: u64,
}

impl History {
    /// Adds a line.
    pub fn record(&self, at_ms: u64, place: Place, happening: Happening) {
        let mut inner = self.lock();
        if inner.lines.len() == CAPACITY {
            inner.lines.pop_front();
        }
        let seq = inner.next;
        inner.next += 1;
        inner.lines.push_back(Line {
            seq,
            at_ms,
            place,
            happening,
        });
    }

    /// A copy of every line from `seq` on, oldest first.
    pub fn since(&self, seq: u64) -> Vec<Line> {
        let inner = self.lock();
        inner
            .lines
            .iter()
            .filter(|l| l.seq >= seq)
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked left whole lines behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CAPACITY: usize = 65_536;
