//! What the switch says of a frame, as a capture tells it.

use super::entering::Entering;
use super::record::{Fate, Form, Mark};
use super::recorder::Recorder;
use super::superframes::{is_mergeable, origin_of};
use crate::counter::DropReason;
use crate::engine::topology::{Port, Topology};
use crate::switch::{PortId, Verdict};

impl Recorder {
    /// The switch says this of what entered at `ingress` and lies in `bytes`. To be called before any copy leaves, so
    /// that a reader sees the frame before its copies. What captures know the copies by.
    #[inline]
    pub(in crate::engine) fn is_told(
        &mut self,
        (topology, ingress): (&Topology, &Port),
        (verdict, frames): (Verdict, u64),
        bytes: &[u8],
    ) -> Mark {
        if self.entering.mark.wanted() & self.on == 0 {
            return Mark::NONE;
        }
        let mut awaited = Mark::NONE;
        if let Verdict::To(id) = verdict
            && let Some(target) = topology.port(id)
            && matches!(self.entering.form, Form::Datagram(_))
            && !self.entering.is_secured
            && is_mergeable(target)
        {
            awaited = self.await_superframe(ingress.id);
        }
        self.judge(bytes);
        let mark = self.entering.mark;
        if mark.matched & self.on != 0 {
            self.write_verdict((topology, ingress), (verdict, frames), bytes);
        }
        Mark {
            matched: mark.matched | awaited.matched,
            unjudged: awaited.unjudged,
            awaited: awaited.awaited,
            ..mark
        }
    }

    fn write_verdict(
        &mut self,
        (topology, ingress): (&Topology, &Port),
        (verdict, frames): (Verdict, u64),
        bytes: &[u8],
    ) {
        let network = &topology.networks[ingress.network];
        let is_all_wanted = self.wanting_all(self.entering.mark.matched) != 0;
        // Empty ones take no memory from the heap.
        let mut copies_to: Vec<PortId> = Vec::new();
        let mut target = None;
        let fate = match verdict {
            Verdict::To(port) if topology.port(port).is_some() => {
                if !is_all_wanted {
                    return;
                }
                let came = self.entering.as_it_came(bytes);
                let frame = Entering::frame_in(self.entering.form, came);
                target = Some(port);
                Fate::To {
                    port,
                    origin: origin_of(network, frame, port),
                }
            }
            Verdict::To(_) => Fate::dropped(DropReason::NoTarget),
            Verdict::Flood(class) => {
                let members = network.bridge.flood(&ingress.member, class);
                let members = members.map(|member| member.id);
                copies_to.extend(members.filter(|&id| topology.port(id).is_some()));
                if !copies_to.is_empty() {
                    let copies = copies_to.len() as u32;
                    Fate::Flood { class, copies }
                } else {
                    let reason = network.bridge.no_flood_reason(&ingress.member, class);
                    reason.map_or(Fate::Consumed, Fate::dropped)
                }
            }
            Verdict::Punt => Fate::Consumed,
            Verdict::Drop(reason) => Fate::dropped(reason),
        };
        let targets = match &target {
            Some(target) => std::slice::from_ref(target),
            None => &copies_to,
        };
        self.write_decided((ingress.id, frames), (fate, targets), bytes);
    }
}
