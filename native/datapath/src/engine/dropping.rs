//! Counting what is dropped, and telling the history of the first frame that meets a fate at a place.

use std::sync::Arc;

use super::history::{Happening, History, Place};
use super::topology::{Network, Port, Topology};
use crate::counter::{DropReason, Drops};
use crate::event::unix_ms;
use crate::wire::ethernet::Ethernet;
use crate::wire::mac::MacAddr;

/// Where a worker counts what it drops.
pub(super) struct Dropping {
    /// Index of the worker.
    worker: usize,
    history: Arc<History>,
    /// Since the start.
    pub(super) now_secs: u32,
}

impl Dropping {
    pub(super) fn new(worker: usize, history: Arc<History>) -> Self {
        Self {
            worker,
            history,
            now_secs: 0,
        }
    }

    /// Counts at a port. `source` is of the first frame, if that can be told.
    #[inline]
    pub(super) fn at_port(
        &self,
        (topology, port): (&Topology, &Port),
        (reason, frames): (DropReason, u64),
        source: impl FnOnce() -> Option<MacAddr>,
    ) {
        if self.is_news(&port.counters, |c| &c.drops, (reason, frames)) {
            self.tell(Place::of(topology, port), reason, source());
        }
    }

    /// Counts at a network, none of whose tunnels a datagram got to.
    pub(super) fn at_network(&self, network: &Network, reason: DropReason) {
        if self.is_news(&network.counters, |c| &c.drops, (reason, 1)) {
            let place = Place {
                network: Some(network.name.clone()),
                port: None,
            };
            self.tell(place, reason, None);
        }
    }

    /// Counts at the underlay, before a network is known.
    pub(super) fn at_underlay(&self, topology: &Topology, reason: DropReason, datagrams: u64) {
        if self.is_news(&topology.counters, |c| &c.drops, (reason, datagrams)) {
            self.tell(Place::default(), reason, None);
        }
    }

    /// Counts what became of some frames of so many bytes at a port.
    #[inline]
    pub(super) fn conclude(
        &self,
        place: (&Topology, &Port),
        (frames, bytes): (u64, u64),
        outcome: Result<(), DropReason>,
        source: impl FnOnce() -> Option<MacAddr>,
    ) {
        match outcome {
            Ok(()) => {
                let counters = &place.1.counters[self.worker];
                counters.tx_frames.add(frames);
                counters.tx_bytes.add(bytes);
            }
            Err(reason) => self.at_port(place, (reason, frames), source),
        }
    }

    /// Counts in this worker's block; whether no worker has used the reason for a minute.
    fn is_news<C>(
        &self,
        blocks: &[C],
        drops: impl Fn(&C) -> &Drops,
        (reason, frames): (DropReason, u64),
    ) -> bool {
        let own = drops(&blocks[self.worker]);
        own.add_at(reason, frames, self.now_secs) && {
            let mut others = blocks.iter().enumerate().filter(|(i, _)| *i != self.worker);
            !others.any(|(_, block)| drops(block).was_used(reason, self.now_secs))
        }
    }

    #[cold]
    fn tell(&self, place: Place, reason: DropReason, mac: Option<MacAddr>) {
        let happening = Happening::Dropped { reason, mac };
        self.history.record(unix_ms(), place, happening);
    }
}

/// Who a frame says it is from.
pub(super) fn source_of(frame: &[u8]) -> Option<MacAddr> {
    Ethernet::new(frame).map(|ethernet| ethernet.src())
}
