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

mod table;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::port::PortId;
use crate::config::FdbLimits;
use crate::wire::mac::MacAddr;
use table::{Slot, Table, port_of};

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
        Self::with_history(limits, FdbStats::default())
    }

    /// An empty table that goes on counting where another ended.
    pub fn with_history(limits: FdbLimits, stats: FdbStats) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::with_slots(0)),
            writer: Mutex::new(Writer {
                limits,
                learned: 0,
                occupied: 0,
                tombstones: 0,
                sweep: 0,
                ports: HashMap::new(),
                stats,
            }),
            seed: RandomState::new().hash_one(0u8),
        }
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
        let found = table
            .find(mac, hash)
            .map(|(slot, _)| slot)
            .and_then(|slot| slot.read().map(|entry| (slot, entry)));
        if let Some((slot, entry)) = found {
            if entry.port == offer.port {
                slot.touch(offer.now_secs);
                return Learn::Known;
            }
            if entry.origin != Origin::Learned {
                return Learn::Conflict { owner: entry.port };
            }
            if !writer.make_room(self, &table, offer, false) {
                writer.stats.full += 1;
                return Learn::Full;
            }
            writer.forget(entry.port);
            writer.remember(mac, offer.port);
            slot.replace(Entry {
                port: offer.port,
                seen_secs: offer.now_secs,
                ..entry
            });
            writer.stats.moved += 1;
            return Learn::Moved { from: entry.port };
        }
        if !writer.make_room(self, &table, offer, true) {
            writer.stats.full += 1;
            return Learn::Full;
        }
        writer.remember(mac, offer.port);
        writer.stats.learned += 1;
        let entry = Entry {
            mac,
            port: offer.port,
            origin: Origin::Learned,
            seen_secs: offer.now_secs,
        };
        self.insert(&mut writer, table, hash, entry);
        Learn::Learned
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
        let Some((slot, _)) = table.find(mac, hash) else {
            return self.insert(&mut writer, table, hash, entry);
        };
        if let Some(old) = slot.read()
            && old.origin == Origin::Learned
        {
            writer.forget(old.port);
        }
        slot.replace(entry);
    }

    /// Removes the entry of `mac` if `which` says so; whether it did.
    pub fn remove(&self, mac: MacAddr, which: impl Fn(&Entry) -> bool) -> bool {
        let mut writer = self.write();
        let table = self.table.load_full();
        match table.find(mac, self.hash(mac)) {
            Some((slot, _)) if slot.read().is_some_and(|e| which(&e)) => {
                writer.clear(slot);
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
                writer.clear(slot);
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
                writer.clear(slot);
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

/// Who wants an entry.
#[derive(Clone, Copy)]
struct Offer {
    port: PortId,
    port_max: u32,
    now_secs: u32,
}

struct Writer {
    limits: FdbLimits,
    learned: u32,
    occupied: usize,
    tombstones: usize,
    sweep: usize,
    ports: HashMap<PortId, PortEntries>,
    stats: FdbStats,
}

/// Learned entries behind one port; `order` is kept only where eviction may need it.
#[derive(Default)]
struct PortEntries {
    learned: u32,
    order: VecDeque<MacAddr>,
}

impl Writer {
    /// Whether `offer.port` may have one more learned entry; `grows` if the network's number grows with it.
    fn make_room(&mut self, fdb: &Fdb, table: &Table, offer: Offer, grows: bool) -> bool {
        let behind = self.ports.get(&offer.port).map_or(0, |p| p.learned);
        let full = behind >= offer.port_max || (grows && self.learned >= self.limits.max_macs);
        !full || (self.limits.evict_oldest && self.evict_oldest(fdb, table, offer.port))
    }

    /// Evicts the least recently heard of the first few in line behind `port`.
    fn evict_oldest(&mut self, fdb: &Fdb, table: &Table, port: PortId) -> bool {
        if self.ports.get(&port).is_none_or(|p| p.learned == 0) {
            return false;
        }
        let sample = match self.sample(fdb, table, port) {
            // The line ran out (or was not kept until now): draw it up anew, oldest first.
            sample if sample.is_empty() => {
                let mut behind: Vec<Entry> = table.slots.iter().filter_map(Slot::read).collect();
                behind.retain(|e| e.port == port && e.origin == Origin::Learned);
                behind.sort_by_key(|e| e.seen_secs);
                let order = behind.into_iter().map(|e| e.mac).collect();
                self.ports.entry(port).or_default().order = order;
                self.sample(fdb, table, port)
            }
            sample => sample,
        };
        let Some(oldest) = sample.iter().min_by_key(|e| e.seen_secs).copied() else {
            return false;
        };
        if let Some(entries) = self.ports.get_mut(&port) {
            for spared in sample.iter().filter(|e| e.mac != oldest.mac).rev() {
                entries.order.push_front(spared.mac);
            }
        }
        if let Some((slot, _)) = table.find(oldest.mac, fdb.hash(oldest.mac)) {
            self.clear(slot);
        }
        self.stats.evicted += 1;
        true
    }

    /// Takes the first few live entries out of the line behind `port`; names of stations that have moved, aged or been
    /// flushed since fall away.
    fn sample(&mut self, fdb: &Fdb, table: &Table, port: PortId) -> Vec<Entry> {
        let mut sample: Vec<Entry> = Vec::with_capacity(EVICTION_SAMPLE);
        let Some(entries) = self.ports.get_mut(&port) else {
            return sample;
        };
        while sample.len() < EVICTION_SAMPLE {
            let Some(mac) = entries.order.pop_front() else {
                break;
            };
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
        sample
    }

    fn remember(&mut self, mac: MacAddr, port: PortId) {
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

    fn forget(&mut self, port: PortId) {
        self.learned = self.learned.saturating_sub(1);
        if let Some(entries) = self.ports.get_mut(&port) {
            entries.learned = entries.learned.saturating_sub(1);
            if entries.learned == 0 {
                self.ports.remove(&port);
            }
        }
    }

    fn clear(&mut self, slot: &Slot) {
        let Some(entry) = slot.read() else { return };
        if entry.origin == Origin::Learned {
            self.forget(entry.port);
        }
        slot.clear();
        self.occupied -= 1;
        self.tombstones += 1;
    }
}

/// How many of a port's oldest names are compared; a moved or refreshed station stands at the head only by age of learning.
const EVICTION_SAMPLE: usize = 8;

#[cfg(test)]
mod tests;
