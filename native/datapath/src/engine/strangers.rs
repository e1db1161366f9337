//! Datagrams of senders that have no tunnel: refused in a closed network, parked in an open one until the keeper
//! (`keeper.rs`) has answered.

use super::arrival::Arrival;
use super::decap::{Sitting, whole};
use super::keeper::{MAX_LEARNED, Parked, Stranger};
use super::topology::{Network, Topology};
use super::worker::Worker;
use crate::counter::DropReason;
use crate::wire::ethernet::Ethernet;
use crate::wire::flow::inner_ip_len_ok;
use crate::wire::vxlan;

impl Worker {
    /// A datagram whose sender has no tunnel: dropped in a closed network, parked in an open one.
    pub(super) fn stranger(
        &mut self,
        topology: &Topology,
        network: &Network,
        (arrival, bytes): (&Arrival, &[u8]),
    ) {
        let frame = &bytes[vxlan::HEADER_LEN..];
        let refusal = match check_stranger(&self.topology, network, arrival, frame) {
            Err(reason) => reason,
            Ok(()) if arrival.parked => DropReason::VtepLimit,
            Ok(()) => {
                let parked = Parked {
                    stranger: Stranger {
                        network: network.spec.name.clone(),
                        remote: arrival.source.ip(),
                    },
                    source: arrival.source,
                    udp_port: arrival.udp_port,
                    tos: arrival.tos,
                    bytes: bytes.to_vec(),
                };
                if self.posts.parking.park(self.index, parked) {
                    return;
                }
                DropReason::VtepLimit
            }
        };
        self.refuse_in_network((topology, network), refusal, bytes);
    }

    /// Sends on what has waited for a tunnel that is there now. Must precede any other datagram after a swap.
    pub(super) fn unpark(&mut self, now_secs: u32) {
        let topology = self.topology.clone();
        let has_tunnel = |stranger: &Stranger| {
            let mut networks = topology.networks.iter();
            networks.any(|n| {
                n.spec.name == stranger.network && n.tunnels.contains_key(&stranger.remote)
            })
        };
        let released = self.posts.parking.release(has_tunnel);
        self.resume(&topology, released, now_secs);
    }

    /// The keeper has answered: what of this sender still waits gets no tunnel.
    pub(super) fn answered(&mut self, stranger: &Stranger, now_secs: u32) {
        let topology = self.topology.clone();
        let released = self.posts.parking.release(|s| s == stranger);
        self.resume(&topology, released, now_secs);
    }

    fn resume(&mut self, topology: &Topology, released: Vec<Parked>, now_secs: u32) {
        self.recorder.begin_batch();
        for mut parked in released {
            let mut arrival = Arrival::of(parked.source, parked.udp_port);
            arrival.tos = parked.tos;
            arrival.parked = true;
            let at = whole(&parked.bytes);
            let mut sitting = Sitting::new(topology, now_secs);
            self.sort(&mut sitting, &arrival, (&mut parked.bytes, at));
            self.finish_merges(topology, &parked.bytes);
        }
        self.flush(topology);
    }
}

/// Whether the sender of `frame`, who has no tunnel, may get one.
pub(super) fn check_stranger(
    topology: &Topology,
    network: &Network,
    arrival: &Arrival,
    frame: &[u8],
) -> Result<(), DropReason> {
    let sender = (network.spec.udp_port, arrival.source.ip());
    match network.spec.open_peers {
        false if topology.vteps.contains(&sender) => Err(DropReason::VtepVniDenied),
        false => Err(DropReason::VtepUnknown),
        // Who sends no proper frame shall not have a tunnel for it.
        true if !is_proper(frame) => Err(DropReason::VtepUnknown),
        true if network.learned_vteps >= MAX_LEARNED => Err(DropReason::VtepLimit),
        true => Ok(()),
    }
}

/// Whether a frame is one that a station may have sent.
fn is_proper(frame: &[u8]) -> bool {
    Ethernet::new(frame).is_some_and(|e| !e.src().is_multicast() && !e.src().is_zero())
        && inner_ip_len_ok(frame)
}
