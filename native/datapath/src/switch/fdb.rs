//! The forwarding database of one bridge: MAC -> port, one table for local ports and tunnels.
//!
//! It is more than a hash table for five reasons:
//!
//! 1. Every frame reads it twice and nearly none changes it. So a lookup takes no lock: a slot's MAC and port are one
//!    64-bit word, which is read and replaced whole, and a station that moves is never unknown in between.
//! 2. Source MACs are chosen by whoever sends. So the hash is seeded, the table is bounded, and at a limit the
//!    offender pays: its new MACs are refused, or replace its own oldest ones, never another port's.
//! 3. Entries of origin `static` and `control` belong to people and to the control plane: data traffic neither moves
//!    nor evicts nor ages them, and they do not count against the limits.
//! 4. Only traffic *from* a station keeps its entry alive; traffic *to* it does not, or a station that left would
//!    never be forgotten.
//! 5. Ageing walks the table in slices, so that a large table never holds up a frame.
//!
//! Writers share one mutex. Time is an argument: seconds of a monotonic clock.

mod journal;
mod table;
mod writer;

pub use journal::{Change, Journal};

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::port::PortId;
use crate::config::FdbLimits;
use crate::wire::mac::MacAddr;
use table::{Slot, Table, port_of};
use writer::{Offer, Outcome, Room, Writer};

/// Who made an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// Data traffic.
    Learned = 0,
    /// Configuration.
    Static = 1,
    /// The control plane.
    Control = 2,
}

impl Origin {
    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Static => "static",
            Self::Control => "control",
        }
    }
}

/// What became of a frame's source MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learn {
    /// Known at this port.
    Known,
    /// New.
    Learned,
    /// Known at another port until now.
    Moved {
        /// That port.
        from: PortId,
    },
    /// Held by a static or control entry at another port.
    Conflict {
        /// That port.
        owner: PortId,
    },
    /// Not learned: the port or the network has as many entries as it may have.
    Full,
}

/// What [`Fdb::learn`] would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreseen {
    /// What it would return.
    pub learn: Learn,
    /// The station that would be forgotten for it.
    pub evicted: Option<MacAddr>,
}

/// A copy of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The station.
    pub mac: MacAddr,
    /// Where it is.
    pub port: PortId,
    /// Who says so.
    pub origin: Origin,
    /// Second in which the station was last heard.
    pub seen_secs: u32,
}

/// What has happened to a table since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct FdbStats {
    pub learned: u64,
    pub moved: u64,
    pub aged: u64,
    pub evicted: u64,
    /// Frames whose source was not learned because of a limit.
    pub full: u64,
}

/// The table. Shared by all workers.
pub struct Fdb {
    table: ArcSwap<Table>,
    writer: Mutex<Writer>,
    /// Secret, so that nobody can choose MACs that collide.
    seed: u64,
}

impl Fdb {
    /// An empty table.
    pub fn new(limits: FdbLimits) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::with_slots(0)),
            writer: Mutex::new(Writer::new(limits)),
            seed: RandomState::new().hash_one(0u8),
        }
    }

    /// The same, counting on from where another table ended.
    #[must_use]
    pub fn counting_from(self, stats: FdbStats) -> Self {
        self.write().stats = stats;
        self
    }

    /// The same, telling every change of what it holds.
    #[must_use]
    pub fn told_to(self, journal: Arc<dyn Journal>) -> Self {
        self.write().journal = Some(journal);
        self
    }

    /// Tells the journal that every entry goes, and nothing from then on. Lookups go on: for who still uses a table whose
    /// network is no more.
    pub fn retire(&self) {
        let mut writer = self.write();
        for entry in self.entries() {
            writer.tell(Change::Removed(entry));
        }
        writer.journal = None;
    }

    /// Changes limits and ageing; entries beyond a lower limit stay until they age.
    pub fn set_limits(&self, limits: FdbLimits) {
        self.write().limits = limits;
    }

    /// The port behind which `mac` is.
    pub fn lookup(&self, mac: MacAddr) -> Option<PortId> {
        let table = self.table.load();
        let (_, word) = table.find(mac, self.hash(mac))?;
        Some(port_of(word))
    }

    /// The entry of `mac`.
    pub fn entry(&self, mac: MacAddr) -> Option<Entry> {
        let table = self.table.load();
        let (slot, word) = table.find(mac, self.hash(mac))?;
        slot.entry(word)
    }

    /// Notes that `mac`, a unicast address, sent a frame into `port`, which may hold up to `port_max` learned entries.
    pub fn learn(&self, mac: MacAddr, port: PortId, port_max: u32, now_secs: u32) -> Learn {
        let hash = self.hash(mac);
        {
            let table = self.table.load();
            if let Some((slot, word)) = table.find(mac, hash)
                && port_of(word) == port
            {
                slot.touch(now_secs);
                return Learn::Known;
            }
        }
        self.learn_slowly(
            mac,
            hash,
            Offer {
                port,
                port_max,
                now_secs,
            },
        )
    }

    fn learn_slowly(&self, mac: MacAddr, hash: u64, offer: Offer) -> Learn {
        let mut writer = self.write();
        let table = self.table.load_full();
        let found = table.find(mac, hash).map(|(slot, _)| slot);
        let entry = found.and_then(Slot::read);
        let Outcome { learn, room } = writer.judge(entry, offer);
        match learn {
            Learn::Known => {
                if let Some(slot) = found {
                    slot.touch(offer.now_secs);
                }
                return learn;
            }
            Learn::Conflict { .. } => return learn,
            Learn::Full => {
                writer.stats.full += 1;
                return learn;
            }
            Learn::Learned | Learn::Moved { .. } => {}
        }
        if room == Room::ByEviction {
            writer.evict_oldest(self, &table, offer.port);
        }
        writer.remember(mac, offer.port);
        let new = Entry {
            mac,
            port: offer.port,
            origin: Origin::Learned,
            seen_secs: offer.now_secs,
        };
        match found.zip(entry) {
            Some((slot, old)) => {
                writer.forget(old.port);
                slot.replace(new);
                writer.stats.moved += 1;
                writer.tell(Change::Moved {
                    entry: new,
                    from: old.port,
                });
            }
            None => {
                self.insert(&mut writer, table, hash, new);
                writer.stats.learned += 1;
                writer.tell(Change::Learned(new));
            }
        }
        learn
    }

    /// What [`Fdb::learn`] would do with the same arguments at this moment.
    pub fn foresee(&self, mac: MacAddr, port: PortId, port_max: u32) -> Foreseen {
        let writer = self.write();
        let table = self.table.load_full();
        let entry = table
            .find(mac, self.hash(mac))
            .and_then(|(slot, _)| slot.read());
        let offer = Offer {
            port,
            port_max,
            now_secs: 0,
        };
        let Outcome { learn, room } = writer.judge(entry, offer);
        let evicted = match room {
            Room::ByEviction => writer.oldest(self, &table, port),
            Room::Free | Room::None => None,
        };
        Foreseen {
            learn,
            evicted: evicted.map(|e| e.mac),
        }
    }

    /// Makes or replaces an entry of origin `static` or `control`, in one step: `mac` is at no moment unknown.
    pub fn set(&self, mac: MacAddr, port: PortId, origin: Origin, now_secs: u32) {
        let hash = self.hash(mac);
        let mut writer = self.write();
        let table = self.table.load_full();
        let entry = Entry {
            mac,
            port,
            origin,
            seen_secs: now_secs,
        };
        let found = table.find(mac, hash).map(|(slot, _)| slot);
        let before = found.and_then(Slot::read);
        if let Some(old) = before
            && old.origin == Origin::Learned
        {
            writer.forget(old.port);
        }
        match found {
            Some(slot) => slot.replace(entry),
            None => self.insert(&mut writer, table.clone(), hash, entry),
        }
        if before.is_none_or(|old| (old.port, old.origin) != (port, origin)) {
            writer.tell(Change::Set { entry, before });
        }
    }

    /// Removes the entry of `mac` if `which` says so; whether it did.
    pub fn remove(&self, mac: MacAddr, which: impl Fn(&Entry) -> bool) -> bool {
        let mut writer = self.write();
        let table = self.table.load_full();
        match table.find(mac, self.hash(mac)) {
            Some((slot, _)) if slot.read().is_some_and(|e| which(&e)) => {
                let removed = writer.clear(slot);
                writer.tell_of(removed, Change::Removed);
                true
            }
            _ => false,
        }
    }

    /// Removes every entry that `which` names; how many.
    pub fn flush(&self, which: impl Fn(&Entry) -> bool) -> usize {
        let mut writer = self.write();
        let table = self.table.load_full();
        let mut flushed = 0;
        for slot in &table.slots {
            if slot.read().is_some_and(|e| which(&e)) {
                let removed = writer.clear(slot);
                writer.tell_of(removed, Change::Removed);
                flushed += 1;
            }
        }
        flushed
    }

    /// Ages a `1/parts` slice of the table; called `parts` times in turn it has seen every entry once.
    pub fn age(&self, now_secs: u32, parts: usize) {
        let mut writer = self.write();
        let ageing = writer.limits.ageing_secs;
        if ageing == 0 {
            return;
        }
        let table = self.table.load_full();
        let parts = parts.max(1);
        let slice = table.slots.len().div_ceil(parts);
        let part = writer.sweep % parts;
        writer.sweep = part + 1;
        for slot in table.slots.iter().skip(part * slice).take(slice) {
            let stale = |e: &Entry| {
                e.origin == Origin::Learned && now_secs.saturating_sub(e.seen_secs) >= ageing
            };
            if slot.read().is_some_and(|e| stale(&e)) {
                let aged = writer.clear(slot);
                writer.tell_of(aged, Change::Aged);
                writer.stats.aged += 1;
            }
        }
    }

    /// A copy of every entry, in no order.
    pub fn entries(&self) -> Vec<Entry> {
        self.table
            .load()
            .slots
            .iter()
            .filter_map(Slot::read)
            .collect()
    }

    /// Number of learned entries, behind one port or in all.
    pub fn learned(&self, port: Option<PortId>) -> u32 {
        let writer = self.write();
        match port {
            None => writer.learned,
            Some(port) => writer.ports.get(&port).map_or(0, |p| p.learned),
        }
    }

    /// What has happened so far.
    pub fn stats(&self) -> FdbStats {
        self.write().stats
    }

    fn insert(&self, writer: &mut Writer, table: Arc<Table>, hash: u64, entry: Entry) {
        let mut table = table;
        if (writer.occupied + writer.tombstones + 1) * 5 > table.slots.len() * 3 {
            // Twice the live entries' need: growing and shedding tombstones are the same step.
            table = Arc::new(Table::with_slots((writer.occupied + 1) * 4));
            for old in self.table.load().slots.iter().filter_map(Slot::read) {
                table.place(self.hash(old.mac), old);
            }
            writer.tombstones = 0;
            self.table.store(table.clone());
        }
        if table.place(hash, entry) {
            writer.tombstones -= 1;
        }
        writer.occupied += 1;
    }

    fn hash(&self, mac: MacAddr) -> u64 {
        // One 64x64 multiply, folded, spreads 48 bits well.
        let wide = u128::from(mac.to_u64() ^ self.seed) * u128::from(self.seed | 1);
        (wide >> 64) as u64 ^ wide as u64
    }

    fn write(&self) -> MutexGuard<'_, Writer> {
        // Every change is a single store or ends in a consistent count, so a panicked writer leaves a usable table.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
