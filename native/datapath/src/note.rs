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
    ArpProxied, "arp.proxied", "An ARP request was answered here for a station elsewhere.";
    ArpShaMismatch, "arp.sha_mismatch", "The same, of a request that names another sender than the frame: the frame's was answered.";
    ArpProbeAnswered, "arp.probe_answered", "A station probed for an address that another has, and was told so.";
    ArpGarp, "arp.garp", "A station announced its own address; where that is known no tunnel got it.";
    ArpGarpSent, "arp.garp_sent", "A station was told that an address is now at another MAC or place.";
    ArpFlooded, "arp.flooded", "An ARP request for an address that is not known here was forwarded.";
    ArpLocal, "arp.local", "An ARP request was left to be answered by a station of this host.";
    ArpUnicast, "arp.unicast_fwd", "An ARP request to one station was forwarded, because it asks whether that is alive.";
    ArpReply, "arp.reply_fwd", "An ARP reply was forwarded.";
    ArpNotParsed, "arp.notparsed", "Something other than ARP for IPv4 over Ethernet was forwarded.";
    ArpStale, "arp.stale", "An ARP request was forwarded, because what is known of the address is old.";
    ArpOwnerDead, "arp.owner_dead", "An ARP request was forwarded, because the host of the station that has the address is gone.";
    NdProxied, "nd.proxied", "A neighbor solicitation was answered here for a station elsewhere.";
    NdDadAnswered, "nd.dad_answered", "A station looked for a duplicate of an address that another has, and was told so.";
    NdNaSent, "nd.na_sent", "A station was told that an IPv6 address is now at another MAC or place.";
    NdFlooded, "nd.flooded", "A neighbor solicitation for an address that is not known here was forwarded.";
    NdLocal, "nd.local", "A neighbor solicitation was left to be answered by a station of this host.";
    NdUnicast, "nd.unicast_fwd", "A neighbor solicitation to one station was forwarded, because it asks whether that is alive.";
    NdInvalid, "nd.invalid", "A neighbor message that nodes must ignore (RFC 4861) was forwarded and nothing else.";
    NdStale, "nd.stale", "A neighbor solicitation was forwarded, because what is known of the address is old.";
    NdOwnerDead, "nd.owner_dead", "A neighbor solicitation was forwarded, because the host of the station that has the address is gone.";
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
