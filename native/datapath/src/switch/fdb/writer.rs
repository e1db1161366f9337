//! What the writers of a table share: its limits, and who has how many entries.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::table::{Slot, Table};
use super::{Change, Entry, Fdb, FdbStats, Journal, Learn, Origin};
use crate::config::FdbLimits;
use crate::switch::port::PortId;
use crate::wire::mac::MacAddr;

/// Who wants an entry.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) port: PortId,
    pub(super) port_max: u32,
    pub(super) now_secs: u32,
}

/// What becomes of an offer.
pub(super) struct Outcome {
    pub(super) learn: Learn,
    /// `Free` where none is needed.
    pub(super) room: Room,
}

/// Whether there is room for an entry more behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// If the port's oldest goes.
    ByEviction,
    None,
}

pub(super) struct Writer {
    pub(super) limits: FdbLimits,
    pub(super) learned: u32,
    pub(super) occupied: usize,
    pub(super) tombstones: usize,
    pub(super) sweep: usize,
    pub(super) ports: HashMap<PortId, PortEntries>,
    pub(super) stats: FdbStats,
    pub(super) journal: Option<Arc<dyn Journal>>,
}

/// Learned entries behind one port; `order` is kept only where eviction may need it.
#[derive(Default)]
pub(super) struct PortEntries {
    pub(super) learned: u32,
    order: VecDeque<MacAddr>,
}

/// The next few in line behind a port.
struct Head {
    /// Those that are there, oldest name first.
    sample: Vec<Entry>,
    /// Names at the head of the line that were looked at for it.
    names: usize,
    /// The line, where it had to be drawn up anew.
    line: Option<VecDeque<MacAddr>>,
}

impl Head {
    /// The least recently heard.
    fn oldest(&self) -> Option<Entry> {
        self.sample.iter().min_by_key(|e| e.seen_secs).copied()
    }
}

impl Writer {
    pub(super) fn new(limits: FdbLimits) -> Self {
        Self {
            limits,
            learned: 0,
            occupied: 0,
            tombstones: 0,
            sweep: 0,
            ports: HashMap::new(),
            stats: FdbStats::default(),
            journal: None,
        }
    }

    pub(super) fn tell(&self, change: Change) {
        if let Some(journal) = &self.journal {
            journal.record(change);
        }
    }

    pub(super) fn tell_of(&self, entry: Option<Entry>, change: impl FnOnce(Entry) -> Change) {
        if let Some(entry) = entry {
            self.tell(change(entry));
        }
    }

    /// What an offer comes to, given what is known of its station.
    pub(super) fn judge(&self, entry: Option<Entry>, offer: Offer) -> Outcome {
        let (learn, room) = match entry {
            Some(entry) if entry.port == offer.port => (Learn::Known, Room::Free),
            Some(entry) if entry.origin != Origin::Learned => {
                (Learn::Conflict { owner: entry.port }, Room::Free)
            }
            Some(entry) => {
                let moved = Learn::Moved { from: entry.port };
                (moved, self.room(offer, false))
            }
            None => (Learn::Learned, self.room(offer, true)),
        };
        match room {
            Room::None => Outcome {
                learn: Learn::Full,
                room,
            },
            Room::Free | Room::ByEviction => Outcome { learn, room },
        }
    }

    /// Whether `offer.port` may have one more learned entry; `grows` if the network's number grows with it.
    fn room(&self, offer: Offer, grows: bool) -> Room {
        let behind = self.ports.get(&offer.port).map_or(0, |p| p.learned);
        let full = behind >= offer.port_max || (grows && self.learned >= self.limits.max_macs);
        match full {
            false => Room::Free,
            true if self.limits.evict_oldest && behind > 0 => Room::ByEviction,
            true => Room::None,
        }
    }

    /// Who would be evicted next behind `port`.
    pub(super) fn oldest(&self, fdb: &Fdb, table: &Table, port: PortId) -> Option<Entry> {
        self.head(fdb, table, port).oldest()
    }

    /// Evicts the least recently heard of the first few in line behind `port`.
    pub(super) fn evict_oldest(&mut self, fdb: &Fdb, table: &Table, port: PortId) {
        let head = self.head(fdb, table, port);
        let oldest = head.oldest();
        let entries = self.ports.entry(port).or_default();
        if let Some(line) = head.line {
            entries.order = line;
        }
        entries.order.drain(..head.names.min(entries.order.len()));
        for spared in head.sample.iter().rev() {
            if Some(spared.mac) != oldest.map(|e| e.mac) {
                entries.order.push_front(spared.mac);
            }
        }
        let Some(oldest) = oldest else { return };
        if let Some((slot, _)) = table.find(oldest.mac, fdb.hash(oldest.mac)) {
            let evicted = self.clear(slot);
            self.tell_of(evicted, Change::Evicted);
        }
        self.stats.evicted += 1;
    }

    /// The first few live entries of the line behind `port`.
    fn head(&self, fdb: &Fdb, table: &Table, port: PortId) -> Head {
        let kept = self.ports.get(&port).map(|p| &p.order);
        let (found, names) =
            kept.map_or_else(Default::default, |order| sample(order, (fdb, table), port));
        if !found.is_empty() {
            return Head {
                sample: found,
                names,
                line: None,
            };
        }
        // The line ran out (or was not kept until now): draw it up anew, oldest first.
        let mut behind: Vec<Entry> = table.slots.iter().filter_map(Slot::read).collect();
        behind.retain(|e| e.port == port && e.origin == Origin::Learned);
        behind.sort_by_key(|e| e.seen_secs);
        let line = behind.into_iter().map(|e| e.mac).collect();
        let (found, names) = sample(&line, (fdb, table), port);
        Head {
            sample: found,
            names,
            line: Some(line),
        }
    }

    pub(super) fn remember(&mut self, mac: MacAddr, port: PortId) {
        self.learned += 1;
        let evicts = self.limits.evict_oldest;
        let entries = self.ports.entry(port).or_default();
        entries.learned += 1;
        if evicts {
            entries.order.push_back(mac);
            // Stale names would pile up where stations come and go below the limit; `evict_oldest` can do without.
            if entries.order.len() > 2 * entries.learned as usize + EVICTION_SAMPLE {
                entries.order.pop_front();
            }
        }
    }

    pub(super) fn forget(&mut self, port: PortId) {
        self.learned = self.learned.saturating_sub(1);
        if let Some(entries) = self.ports.get_mut(&port) {
            entries.learned = entries.learned.saturating_sub(1);
            if entries.learned == 0 {
                self.ports.remove(&port);
            }
        }
    }

    /// Empties a slot; what was in it.
    pub(super) fn clear(&mut self, slot: &Slot) -> Option<Entry> {
        let entry = slot.read()?;
        if entry.origin == Origin::Learned {
            self.forget(entry.port);
        }
        slot.clear();
        self.occupied -= 1;
        self.tombstones += 1;
        Some(entry)
    }
}

/// The first few live entries in `line`, and how many names were looked at for them; names of stations that have moved,
/// aged or been flushed since count for nothing.
fn sample(
    line: &VecDeque<MacAddr>,
    (fdb, table): (&Fdb, &Table),
    port: PortId,
) -> (Vec<Entry>, usize) {
    let mut sample: Vec<Entry> = Vec::with_capacity(EVICTION_SAMPLE);
    let mut names = 0;
    for &mac in line {
        if sample.len() == EVICTION_SAMPLE {
            break;
        }
        names += 1;
        let live = table
            .find(mac, fdb.hash(mac))
            .and_then(|(slot, _)| slot.read())
            .filter(|e| e.port == port && e.origin == Origin::Learned);
        if let Some(entry) = live
            && sample.iter().all(|e| e.mac != mac)
        {
            sample.push(entry);
        }
    }
    (sample, names)
}

/// How many of a port's oldest names are compared; a moved or refreshed station stands at the head only by age of learning.
const EVICTION_SAMPLE: usize = 8;
