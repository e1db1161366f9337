//! The slots of a forwarding database. Readers take no lock: what they act on is one 64-bit word, read once.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::{Entry, Origin};
use crate::switch::port::PortId;
use crate::wire::mac::MacAddr;

/// Open addressing with linear probing; a power of two slots, at most three fifths of them in use.
pub(super) struct Table {
    pub(super) slots: Box<[Slot]>,
}

impl Table {
    pub(super) fn with_slots(at_least: usize) -> Self {
        let slots = at_least.max(MIN_SLOTS).next_power_of_two();
        Self {
            slots: (0..slots).map(|_| Slot::default()).collect(),
        }
    }

    /// The slot of `mac` and the word that says so: another look at the slot may find another station there.
    pub(super) fn find(&self, mac: MacAddr, hash: u64) -> Option<(&Slot, u64)> {
        for slot in self.probe(hash) {
            let word = slot.word.load(Ordering::Acquire);
            if word == EMPTY {
                return None;
            }
            if word >> PORT_BITS == mac.to_u64() {
                return Some((slot, word));
            }
        }
        None
    }

    /// Puts an entry that is not in the table into its first free slot; whether that was a tombstone.
    pub(super) fn place(&self, hash: u64, entry: Entry) -> bool {
        for slot in self.probe(hash) {
            let word_now = slot.word.load(Ordering::Relaxed);
            if word_now == EMPTY || word_now == TOMBSTONE {
                slot.origin.store(entry.origin as u8, Ordering::Relaxed);
                slot.seen.store(entry.seen_secs, Ordering::Relaxed);
                slot.word
                    .store(word(entry.mac, entry.port), Ordering::Release);
                return word_now == TOMBSTONE;
            }
        }
        // `insert` keeps two fifths of the slots empty.
        false
    }

    fn probe(&self, hash: u64) -> impl Iterator<Item = &Slot> {
        let mask = self.slots.len() - 1;
        (0..self.slots.len()).map(move |i| &self.slots[(hash as usize).wrapping_add(i) & mask])
    }
}

#[derive(Default)]
pub(super) struct Slot {
    /// MAC above, port below: read and replaced whole.
    word: AtomicU64,
    seen: AtomicU32,
    origin: AtomicU8,
}

impl Slot {
    pub(super) fn read(&self) -> Option<Entry> {
        self.entry(self.word.load(Ordering::Acquire))
    }

    /// The entry that `word`, read from this slot, was.
    pub(super) fn entry(&self, word: u64) -> Option<Entry> {
        let mac = word >> PORT_BITS;
        if mac == 0 {
            return None;
        }
        let origin = match self.origin.load(Ordering::Acquire) {
            0 => Origin::Learned,
            1 => Origin::Static,
            _ => Origin::Control,
        };
        let seen_secs = self.seen.load(Ordering::Relaxed);
        Some(Entry {
            mac: MacAddr::from_u64(mac),
            port: port_of(word),
            origin,
            seen_secs,
        })
    }

    /// Puts another port, origin and second in place of what is there, the word last and whole.
    pub(super) fn replace(&self, entry: Entry) {
        self.origin.store(entry.origin as u8, Ordering::Release);
        self.seen.store(entry.seen_secs, Ordering::Relaxed);
        self.word
            .store(word(entry.mac, entry.port), Ordering::Release);
    }

    /// Empties the slot; probes go on over it.
    pub(super) fn clear(&self) {
        self.word.store(TOMBSTONE, Ordering::Release);
    }

    pub(super) fn touch(&self, now_secs: u32) {
        // A store only when the second changes keeps the cache line shared between workers.
        if self.seen.load(Ordering::Relaxed) != now_secs {
            self.seen.store(now_secs, Ordering::Relaxed);
        }
    }
}

fn word(mac: MacAddr, port: PortId) -> u64 {
    mac.to_u64() << PORT_BITS | u64::from(port.get())
}

/// The port in a word.
pub(super) fn port_of(word: u64) -> PortId {
    PortId::new(word as u16)
}

const PORT_BITS: u32 = 16;
const MIN_SLOTS: usize = 64;
/// The all-zero MAC is never an entry, so its words are free for these two.
const EMPTY: u64 = 0;
const TOMBSTONE: u64 = 1;
