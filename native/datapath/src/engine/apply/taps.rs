//! What the TAP of a port is to be like, and whether two are the same.

use crate::config::{EngineSpec, PortKind, TapPort};
use crate::io::tap::{Mark, Offloads, TapSpec};

/// The TAP of a port as an engine with so many workers wants it.
pub(in crate::engine) fn spec(
    engine: &EngineSpec,
    workers: usize,
    port: &str,
    mtu: u32,
    place: &TapPort,
) -> TapSpec {
    let owner = &engine.owner;
    TapSpec {
        netns: place.netns.clone(),
        ifname: place.ifname.clone(),
        mac: place.mac.map(|mac| mac.0),
        mtu,
        addresses: place.addresses.clone(),
        alias: Mark { owner, port }.alias(),
        queues: queues(engine, workers),
        vnet_hdr: engine.features.vnet_hdr,
        offloads: Offloads {
            checksum: true,
            tso: true,
            uso: true,
        },
        sandbox: place.sandbox.clone(),
        is_handed: place.handover.is_some(),
    }
}

/// How many queues a TAP gets.
pub(in crate::engine) fn queues(engine: &EngineSpec, workers: usize) -> usize {
    if engine.features.multi_queue {
        workers
    } else {
        1
    }
}

/// Whether an open TAP is the one that is wanted. One that somebody else moves is known by its mark alone, wherever it
/// is and whatever its name.
pub(super) fn is_same(old: &TapPort, new: &TapPort) -> bool {
    match (&old.sandbox, &new.sandbox) {
        (Some(_), Some(_)) => true,
        (None, None) => {
            (&old.netns, &old.ifname, &old.handover) == (&new.netns, &new.ifname, &new.handover)
        }
        _ => false,
    }
}

/// Whether a TAP is said to be made in one namespace and moved to another.
pub(super) fn is_nowhere(kind: &PortKind) -> bool {
    matches!(kind, PortKind::Tap(tap) if tap.sandbox.is_some() && tap.netns.is_some())
}
