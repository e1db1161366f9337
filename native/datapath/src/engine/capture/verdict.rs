//! What the switch says of a frame, as a capture tells it.

use super::record::Fate;
use crate::counter::DropReason;
use crate::engine::topology::{Port, Topology};
use crate::engine::worker::Worker;
use crate::switch::{PortId, Verdict};

impl Worker {
    /// Tells the captures what the switch says of the frame that entered at `ingress`. To be called before any copy
    /// leaves, so that a reader sees the frame before its copies.
    pub(in crate::engine) fn record_verdict(
        &mut self,
        topology: &Topology,
        ingress: &Port,
        verdict: Verdict,
        frames: u64,
    ) {
        let network = &topology.networks[ingress.network];
        let mut targets: Vec<PortId> = Vec::new();
        let fate = match verdict {
            Verdict::To(port) if topology.port(port).is_some() => {
                let destination = self.recorder.destination();
                let entry = destination.and_then(|mac| network.bridge.fdb().entry(mac));
                let origin = entry.filter(|e| e.port == port).map(|e| e.origin);
                let fate = Fate::To { port, origin };
                return self.recorder.decide((ingress.id, frames), fate, &[port]);
            }
            Verdict::To(_) => Fate::dropped(DropReason::NoTarget),
            Verdict::Flood(class) => {
                let members = network.bridge.flood(&ingress.member, class);
                let members = members.map(|member| member.id);
                targets.extend(members.filter(|&id| topology.port(id).is_some()));
                if !targets.is_empty() {
                    let copies = targets.len() as u32;
                    Fate::Flood { class, copies }
                } else {
                    let reason = network.bridge.no_flood_reason(&ingress.member, class);
                    reason.map_or(Fate::Consumed, Fate::dropped)
                }
            }
            Verdict::Punt => Fate::Consumed,
            Verdict::Drop(reason) => Fate::dropped(reason),
        };
        self.recorder.decide((ingress.id, frames), fate, &targets);
    }
}
