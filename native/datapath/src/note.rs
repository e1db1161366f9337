//! What happened beside dropping: counted under one list of names, shown next to the drops.
//!
//! A note says nothing about where frames went, so no sum of the balance contains it.

use crate::counter::Counter;

macro_rules! notes {
    ($($variant:ident, $name:literal, $sentence:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the sentence of each is in the table")]
        pub enum Note { $($variant,)* }

        impl Note {
            /// Every one, in table order; the position is the index into [`Notes`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that operators see.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence for an engineer who never saw the code.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

notes! {
    PtbSent, "icmp.ptb_sent", "The sender of an IPv4 packet that is too big was told so.";
    Ptb6Sent, "icmp.ptb6_sent", "The sender of an IPv6 packet that is too big was told so.";
    Ptb6Least, "icmp.ptb6_least", "The path takes less than the 1280 bytes that IPv6 needs, and the sender was told 1280.";
    Suppressed, "icmp.suppressed", "A packet was too big, but ICMP about it is forbidden: an ICMP error, a later fragment, or from nobody.";
    RateLimited, "icmp.ratelimited", "A packet was too big, but its port has been told so too often of late.";
    InIgnored, "icmp.in_ignored", "An ICMP too-big came about a datagram to a place that is none of our VTEPs.";
    InFloor, "icmp.in_floor", "An ICMP too-big claimed less than any path carries; the least was taken instead.";
    PmtuChange, "vtep.pmtu_change", "The path to the VTEP carries more or less than before.";
    PmtuExpire, "vtep.pmtu_expire", "What was learned of the path to the VTEP has become old and is tried again.";
    MssClamped, "mss.clamped", "A TCP SYN offered segments that do not fit the tunnel, and its MSS was lowered.";
    Fragmented, "tx.fragmented", "A datagram was larger than its path and was left to be fragmented.";
}

/// One counter per note, with a single writer.
#[derive(Debug)]
pub struct Notes([Counter; Note::ALL.len()]);

impl Default for Notes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Notes {
    /// Counts `times`.
    pub fn add(&self, note: Note, times: u64) {
        self.0[note as usize].add(times);
    }

    /// The count of one.
    pub fn get(&self, note: Note) -> u64 {
        self.0[note as usize].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::DropReason;
    use std::collections::HashSet;

    #[test]
    fn every_note_has_a_name_that_no_drop_has_and_a_sentence() {
        let drops = DropReason::ALL.iter().map(|r| r.name());
        let names: HashSet<_> = Note::ALL.iter().map(|n| n.name()).chain(drops).collect();
        assert_eq!(names.len(), Note::ALL.len() + DropReason::ALL.len());
        assert!(Note::ALL.iter().all(|n| n.sentence().ends_with('.')));
    }

    #[test]
    fn index_is_table_order() {
        let notes = Notes::default();
        for (i, &note) in Note::ALL.iter().enumerate() {
            notes.add(note, i as u64 + 1);
        }
        for (i, &note) in Note::ALL.iter().enumerate() {
            assert_eq!(notes.get(note), i as u64 + 1);
        }
    }
}
