//! A capture's part at one worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::record::{PlaceKey, Record, RecordProducer};
use super::scope::{Scope, Selection};
use super::session::Session;
use crate::engine::topology::Topology;

/// What a worker needs to take packets for a capture.
pub(in crate::engine) struct Intake {
    pub(super) session: Arc<Session>,
    pub(super) scope: Scope,
    ring: RecordProducer,
    lost: Lost,
}

/// Packets for which there was no room, by interface.
pub(in crate::engine) type Lost = HashMap<PlaceKey, u64>;

impl Intake {
    pub(super) fn new(session: Arc<Session>, ring: RecordProducer) -> Self {
        Self {
            session,
            scope: Scope::default(),
            ring,
            lost: Lost::new(),
        }
    }

    pub(super) fn selection(&self) -> &Selection {
        &self.session.selection
    }

    /// From now on packets are taken from this picture.
    pub(super) fn look_at(&mut self, topology: &Topology) {
        self.scope = self.selection().scope(topology);
    }

    /// Takes a packet whose bytes lie in pieces, or counts it as lost. Never waits.
    pub(super) fn take(&mut self, record: Record, pieces: &[&[u8]]) {
        let kept = record.len.min(self.session.kept_of(record.form));
        if !self.ring.push(Record { kept, ..record }, pieces) {
            *self.lost.entry(record.place_key()).or_default() += 1;
            self.session.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The end: what was lost.
    pub(super) fn finish(self) -> Lost {
        self.lost
    }
}
