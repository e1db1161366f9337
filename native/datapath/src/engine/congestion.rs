//! What the network between the VTEPs said about congestion, brought into the frame (RFC 6040 §4.2).

use super::topology::{Port, Topology};
use super::worker::{EventKind, Worker};
use crate::counter::DropReason;
use crate::event::Event;
use crate::wire::ecn::{self, Ecn};

impl Worker {
    /// Brings `outer`, the ECN field of the datagram's IP header, into its `frame`, or says why the frame is dropped.
    /// Where `outer` is Not-ECT there is nothing to bring: not to be called then.
    pub(super) fn propagate_congestion(
        &mut self,
        topology: &Topology,
        tunnel: &Port,
        outer: Ecn,
        frame: &mut [u8],
    ) -> Result<(), DropReason> {
        let network = &topology.networks[tunnel.network];
        let own = &network.counters[self.index];
        let Some(crossing) = ecn::propagate(frame, outer) else {
            if outer == Ecn::Ce {
                own.ecn_nonip.add(1);
            }
            return Ok(());
        };
        if ecn::is_odd(crossing.inner, outer) {
            let subject = u64::from(tunnel.id.get());
            if self.limiter.admits(EventKind::EcnOdd, subject) {
                self.shared.events.push(Event::EcnOdd {
                    network: network.spec.name.clone(),
                    from: tunnel.name.to_string(),
                    inner: crossing.inner,
                    outer,
                });
            }
            if crossing.becomes.is_some() {
                own.ecn_odd.add(1);
            }
        }
        match crossing.becomes {
            Some(_) => Ok(()),
            None => Err(DropReason::EcnCeNotect),
        }
    }
}
