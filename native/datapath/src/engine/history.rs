//! What has changed what the switch does, or happened for the first time: a bounded log for people who ask later.
//!
//! Any thread writes, rarely: nothing that happens per frame comes here. Nobody waits for the reader. The oldest of 65,536
//! lines go first (some 8 MB). So that a flood of new MACs cannot wash the rest out, what traffic causes is written 256
//! times at once and 64 times a second at each port; beyond that it is counted, and told as one line per port and second.
//!
//! Lines about the FDB are written under its lock, in the order of its changes, and each says what was there before. So
//! the FDB of any moment since which the history is complete follows from the one of today by taking its lines back.

mod comings;
mod log;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use comings::tell_comings;

use super::topology::{Port, Topology};
use crate::counter::DropReason;
use crate::event::unix_ms;
use crate::switch::PortId;
use crate::switch::fdb::{Change, Entry, Journal, Origin};
use crate::wire::mac::MacAddr;
use log::Log;

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
    /// People or the control plane made an entry, perhaps in the place of another, whose port is `None` if it led to this
    /// host itself.
    Set {
        mac: MacAddr,
        origin: Origin,
        before: Option<(Origin, Option<Arc<str>>)>,
    },
    /// They took it away.
    Removed { mac: MacAddr, origin: Origin },
    /// A station was not learned: `full` or `conflict`. The first frame in ten seconds.
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
    /// So many lines about this port were not written.
    Omitted { count: u64 },
}

impl Happening {
    /// Whether whoever sends frames can make it happen as often as he likes.
    fn is_caused_by_traffic(&self) -> bool {
        matches!(
            self,
            Self::Learned { .. }
                | Self::Moved { .. }
                | Self::Aged { .. }
                | Self::Evicted { .. }
                | Self::Refused { .. }
                | Self::Answered { .. }
                | Self::Dropped { .. }
        )
    }
}

/// Where it happened. Names are shared with those who have them, so that a line costs no copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// Absent: at the underlay, before a network is known.
    pub network: Option<Arc<str>>,
    /// As in the counters; absent: at no port, or, of an FDB entry, this host itself.
    pub port: Option<Arc<str>>,
}

impl Place {
    /// A port's.
    pub(super) fn of(topology: &Topology, port: &Port) -> Self {
        Self {
            network: Some(topology.networks[port.network].name.clone()),
            port: Some(port.name.clone()),
        }
    }
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

/// A piece of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Oldest first.
    pub lines: Vec<Line>,
    /// Unix time in milliseconds from which on every line is still there: none was lost to newer ones, none omitted.
    pub complete_since_ms: u64,
}

/// The log.
#[derive(Debug)]
pub struct History {
    log: Mutex<Log>,
    /// By port number. Numbers are not used again soon, so that a port that has just gone still has its name.
    names: Mutex<Vec<Option<Arc<str>>>>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            log: Mutex::new(Log::new(unix_ms())),
            names: Mutex::default(),
        }
    }
}

impl History {
    /// Adds a line. `now_ms` is Unix time in milliseconds.
    pub fn record(&self, now_ms: u64, place: Place, happening: Happening) {
        self.log().record(now_ms, place, happening);
    }

    /// Tells what was omitted. To be called several times a second.
    pub(crate) fn tick(&self, now_ms: u64) {
        self.log().tick(now_ms);
    }

    /// A copy of every line from `seq` on.
    pub fn since(&self, seq: u64) -> Past {
        self.log().since(seq)
    }

    /// Learns the names of ports, before anything happens at them.
    pub(super) fn name_ports(&self, topology: &Topology) {
        let mut names = self.names();
        for port in topology.present_ports() {
            let at = usize::from(port.id.get());
            if names.len() <= at {
                names.resize(at + 1, None);
            }
            names[at] = Some(port.name.clone());
        }
    }

    /// `None`: this host itself.
    fn name(&self, port: PortId) -> Option<Arc<str>> {
        self.names().get(usize::from(port.get()))?.clone()
    }

    // Whoever panicked left whole lines and names behind.

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> MutexGuard<'_, Vec<Option<Arc<str>>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what the FDB of one network tells.
pub(super) struct Diary {
    /// The network's name.
    pub(super) network: Arc<str>,
    pub(super) history: Arc<History>,
}

impl Journal for Diary {
    fn record(&self, change: Change) {
        let name = |port| self.history.name(port);
        let (port, happening) = match change {
            Change::Learned(Entry { mac, port, .. }) => (port, Happening::Learned { mac }),
            Change::Moved {
                entry: Entry { mac, port, .. },
                from,
            } => {
                let from = name(from).unwrap_or_default();
                (port, Happening::Moved { mac, from })
            }
            Change::Aged(Entry { mac, port, .. }) => (port, Happening::Aged { mac }),
            Change::Evicted(Entry { mac, port, .. }) => (port, Happening::Evicted { mac }),
            Change::Removed(Entry {
                mac, port, origin, ..
            }) => match origin {
                Origin::Learned => (port, Happening::Flushed { mac }),
                Origin::Static | Origin::Control => (port, Happening::Removed { mac, origin }),
            },
            Change::Set {
                entry: Entry {
                    mac, port, origin, ..
                },
                before,
            } => {
                let before = before.map(|e| (e.origin, name(e.port)));
                let set = Happening::Set {
                    mac,
                    origin,
                    before,
                };
                (port, set)
            }
        };
        let place = Place {
            network: Some(self.network.clone()),
            port: name(port),
        };
        self.history.record(unix_ms(), place, happening);
    }
}
