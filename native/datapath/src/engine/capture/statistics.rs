//! What was dropped at each place while a capture ran, as the counters say: also where there was no packet to take.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::scope::Selection;
use crate::counter::{DropReason, Drops};
use crate::engine::topology::Topology;
use crate::switch::PortId;

/// The counters of a selection since the capture began.
pub(super) struct Statistics {
    selection: Selection,
    seen: Arc<Topology>,
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
struct Place<'t> {
    port: Option<PortId>,
    /// Of each worker; there is one at least.
    drops: Vec<&'t Drops>,
}

/// Where a place's counters lie. They stay there as long as any picture has them.
type PlaceId = *const Drops;

impl Statistics {
    /// Of a capture that begins now.
    pub(super) fn new(selection: &Selection, topology: &Arc<Topology>) -> Self {
        let places = places(selection, topology);
        Self {
            selection: selection.clone(),
            seen: topology.clone(),
            before: places.iter().map(|p| (p.id(), p.count())).collect(),
        }
    }

    /// There is a new picture: what was dropped at places that it has no more, which no worker adds to now. What comes
    /// and goes between two calls is not seen.
    pub(super) fn look_at(&mut self, topology: &Arc<Topology>) -> Vec<Dropped> {
        if Arc::ptr_eq(&self.seen, topology) {
            return Vec::new();
        }
        let here = places(&self.selection, topology);
        let here: HashSet<_> = here.iter().map(Place::id).collect();
        let seen = std::mem::replace(&mut self.seen, topology.clone());
        let mut places = places(&self.selection, &seen);
        places.retain(|place| !here.contains(&place.id()));
        self.since(&places)
    }

    /// What was dropped at the places that there still are. Told once.
    pub(super) fn rest(&mut self) -> Vec<Dropped> {
        let seen = self.seen.clone();
        self.since(&places(&self.selection, &seen))
    }

    fn since(&mut self, places: &[Place<'_>]) -> Vec<Dropped> {
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

impl<'t> Place<'t> {
    fn new(port: Option<PortId>, drops: impl Iterator<Item = &'t Drops>) -> Option<Self> {
        let drops: Vec<_> = drops.collect();
        (!drops.is_empty()).then_some(Self { port, drops })
    }

    fn id(&self) -> PlaceId {
        self.drops.first().map_or(std::ptr::null(), |&first| first)
    }

    fn count(&self) -> HashMap<DropReason, u64> {
        let mut counted = HashMap::new();
        for (reason, count) in self.drops.iter().flat_map(|drops| drops.nonzero()) {
            *counted.entry(reason).or_default() += count;
        }
        counted
    }
}

/// The places of a selection: the underlay, networks, then ports.
fn places<'t>(selection: &Selection, topology: &'t Topology) -> Vec<Place<'t>> {
    let mut places = Vec::new();
    if selection.takes_refused() {
        if selection.network.is_none() {
            places.push(Place::new(None, topology.counters.iter().map(|c| &c.drops)));
        }
        let networks = topology.networks.iter();
        let concerned = networks.filter(|network| selection.concerns(&network.name));
        places.extend(concerned.map(|n| Place::new(None, n.counters.iter().map(|c| &c.drops))));
    }
    let taken = topology.present_ports().filter(|port| {
        let network = &topology.networks[port.network];
        selection.at(&network.name, port).enters
    });
    places.extend(taken.map(|p| Place::new(Some(p.id), p.counters.iter().map(|c| &c.drops))));
    places.into_iter().flatten().collect()
}
