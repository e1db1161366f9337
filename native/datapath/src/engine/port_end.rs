//! What follows when a port has lost its device for good.

use super::history::{Happening, History, Place};
use super::topology::{Port, Topology};
use crate::event::{Event, EventRing, unix_ms};

/// Forgets what was learned behind the port, and tells its end. To be called once: by whoever `mark_gone` answered true.
pub(super) fn tell(
    (topology, port): (&Topology, &Port),
    detail: String,
    (history, events): (&History, &EventRing),
) {
    let fdb = topology.networks[port.network].bridge.fdb();
    fdb.flush(|entry| entry.port == port.id);
    let happening = Happening::PortDown {
        detail: Some(detail.clone()),
    };
    history.record(unix_ms(), Place::of(topology, port), happening);
    events.push(Event::PortGone {
        port: port.name.to_string(),
        detail,
    });
}
