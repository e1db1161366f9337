//! What a worker writes down of a packet: facts, no words. It goes to the writer by two bounded rings, one of records
//! and one of bytes.

use std::net::SocketAddr;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::counter::DropReason;
use crate::note::Note;
use crate::switch::{FloodClass, Origin, PortId};

/// What a frame is known by from where it entered to where its copies leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Mark {
    /// epb_packetid; 0 = none.
    pub(super) id: u64,
    /// Where it entered; `None`: this host made it.
    pub(super) from: Option<PortId>,
    /// Captures whose filter it passes, one bit each.
    pub(super) matched: u8,
    /// Captures that were told to take what enters where it entered.
    pub(super) followed: u8,
    /// Captures whose filter is to judge the superframe that it becomes part of.
    pub(super) unjudged: u8,
    /// Captures that take that superframe as what entered.
    pub(super) awaited: u8,
}

impl Mark {
    /// Of a frame that no capture wants.
    pub(in crate::engine) const NONE: Self = Self {
        id: 0,
        from: None,
        matched: 0,
        followed: 0,
        unjudged: 0,
        awaited: 0,
    };

    /// Whether a capture may show both as one packet.
    pub(in crate::engine) fn may_join(&self, other: Self) -> bool {
        (self.from, self.unjudged, self.awaited) == (other.from, other.unjudged, other.awaited)
    }

    /// Captures that may want it.
    pub(super) fn wanted(&self) -> u8 {
        self.matched | self.unjudged
    }

    /// Of several frames that leave as one: known as the first, wanted by whoever wants any.
    pub(in crate::engine) fn join(&mut self, other: Self) {
        self.matched |= other.matched;
        self.followed |= other.followed;
    }
}

/// What became of a frame, of a copy of it, or of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Fate {
    /// The switch sends it to one port, because of an FDB entry of this origin.
    To {
        port: PortId,
        origin: Option<Origin>,
    },
    /// The switch sends it to so many ports.
    Flood { class: FloodClass, copies: u32 },
    /// It was for this host, or for nobody else.
    Consumed,
    /// This host answered it, as the note says.
    Answered(Note),
    /// It left. `limit`: the largest IP packet that the path to the VTEP carries, if that is known.
    Sent { limit: Option<u32> },
    /// It was dropped. `limit`: the length in bytes that it exceeds, where that is the reason.
    Dropped {
        reason: DropReason,
        limit: Option<u32>,
    },
}

impl Fate {
    /// Dropped for a reason that needs no number.
    pub(in crate::engine) fn dropped(reason: DropReason) -> Self {
        Self::Dropped {
            reason,
            limit: None,
        }
    }

    pub(super) fn is_dropped(self) -> bool {
        matches!(self, Self::Dropped { .. })
    }
}

impl From<Result<(), DropReason>> for Fate {
    fn from(outcome: Result<(), DropReason>) -> Self {
        outcome.map_or_else(Self::dropped, |()| Self::Sent { limit: None })
    }
}

/// Where a packet was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Place {
    Port(PortId),
    /// Before a tunnel is known.
    Underlay,
}

/// An interface of a capture: a port, or else the underlay, and whether above Ethernet.
pub(super) type PlaceKey = (Option<PortId>, bool);

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An Ethernet frame.
    Frame,
    /// A UDP payload, in this envelope.
    Datagram(Envelope),
    /// An IP packet.
    Packet,
}

/// IP and UDP header of a datagram, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Envelope {
    pub(in crate::engine) source: SocketAddr,
    pub(in crate::engine) destination: SocketAddr,
    /// Type of service or traffic class.
    pub(in crate::engine) tos: u8,
    /// `None` = not known.
    pub(in crate::engine) ttl: Option<u8>,
    /// Whether there is a UDP checksum.
    pub(in crate::engine) has_checksum: bool,
    /// Whether it may be fragmented on its way.
    pub(in crate::engine) may_fragment: bool,
}

/// One packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// Nanoseconds since 1970.
    pub(super) at: u64,
    pub(super) mark: Mark,
    pub(super) place: Place,
    /// Into the switch, or out of it.
    pub(super) is_outbound: bool,
    pub(super) form: Form,
    pub(super) fate: Fate,
    /// Frames that it counts for.
    pub(super) frames: u32,
    /// Its length, bytes.
    pub(super) len: u32,
    /// Bytes of it that were kept: the next ones in the ring of bytes.
    pub(super) kept: u32,
}

impl Record {
    /// Whether its bytes begin above Ethernet.
    pub(super) fn is_outer(&self) -> bool {
        self.form != Form::Frame
    }

    /// Its interface: a port, or else the underlay, and whether above Ethernet.
    pub(super) fn place_key(&self) -> PlaceKey {
        let port = match self.place {
            Place::Port(id) => Some(id),
            Place::Underlay => None,
        };
        (port, self.is_outer())
    }
}

/// A worker's end of both rings.
pub(super) struct RecordProducer {
    records: Producer<Record>,
    bytes: Producer<u8>,
}

/// The writer's end.
pub(super) struct RecordConsumer {
    records: Consumer<Record>,
    bytes: Consumer<u8>,
}

/// Rings for `records` records with `bytes` bytes in all.
pub(super) fn record_rings(records: usize, bytes: usize) -> (RecordProducer, RecordConsumer) {
    let (record_producer, record_consumer) = RingBuffer::new(records);
    let (byte_producer, byte_consumer) = RingBuffer::new(bytes);
    let producer = RecordProducer {
        records: record_producer,
        bytes: byte_producer,
    };
    let consumer = RecordConsumer {
        records: record_consumer,
        bytes: byte_consumer,
    };
    (producer, consumer)
}

impl RecordProducer {
    /// Adds a record with its bytes, which lie in pieces and of which the first `kept` count, or as many as there are;
    /// false if there is no room for it.
    pub(super) fn push(&mut self, mut record: Record, pieces: &[&[u8]]) -> bool {
        let there: usize = pieces.iter().map(|piece| piece.len()).sum();
        // Were it more, everything after it would be read from the wrong place.
        record.kept = record.kept.min(there as u32);
        if self.records.is_full() || self.bytes.slots() < record.kept as usize {
            return false;
        }
        let mut left = record.kept as usize;
        for piece in pieces {
            let taken = &piece[..piece.len().min(left)];
            // There was room for all of them, and nobody else adds.
            let _ = self.bytes.push_entire_slice(taken);
            left -= taken.len();
        }
        // Last, so that whoever sees the record finds its bytes.
        self.records.push(record).is_ok()
    }
}

impl RecordConsumer {
    /// Takes the oldest record; `bytes` becomes what was kept.
    pub(super) fn pop(&mut self, bytes: &mut Vec<u8>) -> Option<Record> {
        let record = self.records.pop().ok()?;
        bytes.resize(record.kept as usize, 0);
        // They were there before the record.
        let _ = self.bytes.pop_entire_slice(bytes);
        Some(record)
    }

    /// When the oldest record was made.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.records.peek().ok().map(|record| record.at)
    }

    /// Whether an eighth or more of either ring is in use.
    pub(super) fn is_filling(&self) -> bool {
        let records = self.records.slots() >= self.records.buffer().capacity() / 8;
        records || self.bytes.slots() >= self.bytes.buffer().capacity() / 8
    }
}
