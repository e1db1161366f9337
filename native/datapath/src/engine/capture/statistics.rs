//! What was dropped at each place while a capture ran, as the counters say: also where there was no packet to take.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use super::scope::Selection;
use crate::counter::{DropReason, Drops};
use crate::engine::topology::{NetworkCounters, PortCounters, Topology, UnderlayCounters};
use crate::switch::PortId;

/// The counters of a selection since the capture began. No picture is kept: it would keep the devices of ports that are
/// gone for as long as a reader stalls.
pub(super) struct Statistics {
    selection: Selection,
    seen: Weak<Topology>,
    places: Vec<Place>,
    /// What they were when the capture began, of places that were there then.
    before: HashMap<PlaceId, HashMap<DropReason, u64>>,
}

/// What was dropped at a place.
pub(super) struct Dropped {
    /// `None`: no tunnel got it.
    pub(super) port: Option<PortId>,
    pub(super) reason: DropReason,
    pub(super) frames: u64,
}

/// Where drops are counted.
struct Place {
    port: Option<PortId>,
    counters: Counters,
}

/// Of each worker.
enum Counters {
    Underlay(Arc<[UnderlayCounters]>),
    Network(Arc<[NetworkCounters]>),
    Port(Arc<[PortCounters]>),
}

/// Where a place's counters lie. They stay there as long as anybody has them.
type PlaceId = *const Drops;

impl Statistics {
    /// Of a capture that begins now.
    pub(super) fn new(selection: &Selection, topology: &Arc<Topology>) -> Self {
        let places = places(selection, topology);
        Self {
            selection: selection.clone(),
            seen: Arc::downgrade(topology),
            before: places.iter().map(|p| (p.id(), p.count())).collect(),
            places,
        }
    }

    /// There is a new picture: what was dropped at places that it has no more, which no worker adds to now. What comes
    /// and goes between two calls is not seen.
    pub(super) fn look_at(&mut self, topology: &Arc<Topology>) -> Vec<Dropped> {
        if std::ptr::eq(self.seen.as_ptr(), Arc::as_ptr(topology)) {
            return Vec::new();
        }
        self.seen = Arc::downgrade(topology);
        let here = places(&self.selection, topology);
        let ids: HashSet<_> = here.iter().map(Place::id).collect();
        let mut gone = std::mem::replace(&mut self.places, here);
        gone.retain(|place| !ids.contains(&place.id()));
        self.since(&gone)
    }

    /// What was dropped at the places that there still are. Told once.
    pub(super) fn rest(&mut self) -> Vec<Dropped> {
        let places = std::mem::take(&mut self.places);
        self.since(&places)
    }

    fn since(&mut self, places: &[Place]) -> Vec<Dropped> {
        let mut all = Vec::new();
        for place in places {
            let before = self.before.remove(&place.id()).unwrap_or_default();
            for (reason, count) in place.count() {
                let frames = count.saturating_sub(before.get(&reason).copied().unwrap_or(0));
                if frames > 0 {
                    let port = place.port;
                    all.push(Dropped {
                        port,
                        reason,
                        frames,
                    });
                }
            }
        }
        all
    }
}

impl Place {
    fn drops(&self) -> Vec<&Drops> {
        match &self.counters {
            Counters::Underlay(counters) => counters.iter().map(|c| &c.drops).collect(),
            Counters::Network(counters) => counters.iter().map(|c| &c.drops).collect(),
            Counters::Port(counters) => counters.iter().map(|c| &c.drops).collect(),
        }
    }

    fn id(&self) -> PlaceId {
        self.drops()
            .first()
            .map_or(std::ptr::null(), |&first| first)
    }

    fn count(&self) -> HashMap<DropReason, u64> {
        let mut counted = HashMap::new();
        for (reason, count) in self.drops().into_iter().flat_map(Drops::nonzero) {
            *counted.entry(reason).or_default() += count;
        }
        counted
    }
}

/// The places of a selection: the underlay, networks, then ports.
fn places(selection: &Selection, topology: &Topology) -> Vec<Place> {
    let mut places = Vec::new();
    if selection.takes_refused() {
        if selection.network.is_none() {
            places.push(Place {
                port: None,
                counters: Counters::Underlay(topology.counters.clone()),
            });
        }
        let networks = topology.networks.iter();
        let concerned = networks.filter(|network| selection.concerns(&network.name));
        places.extend(concerned.map(|network| Place {
            port: None,
            counters: Counters::Network(network.counters.clone()),
        }));
    }
    let taken = topology.present_ports().filter(|port| {
        let network = &topology.networks[port.network];
        selection.at(&network.name, port).enters
    });
    places.extend(taken.map(|port| Place {
        port: Some(port.id),
        counters: Counters::Port(port.counters.clone()),
    }));
    places
}
