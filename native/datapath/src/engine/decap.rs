//! Out of a datagram into the switch (decapsulation, RFC 7348 §4.1 and §5).

use std::net::{IpAddr, SocketAddr};

use super::keeper::{MAX_LEARNED, Parked, Stranger};
use super::merges::{Arrived, Received};
use super::topology::{Network, Port, Receiver, Topology, Underlay};
use super::worker::{EventKind, Worker};
use crate::config::ReservedBits;
use crate::counter::DropReason;
use crate::event::Event;
use crate::offload::{Piece, is_whole_udp};
use crate::switch::Admission;
use crate::wire::ecn::Ecn;
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::flow::inner_ip_len_ok;
use crate::wire::vxlan::{self, Vni};

impl Worker {
    /// Reads a batch of datagrams from the underlay and sends each frame on its way.
    pub(super) fn serve_receiver(&mut self, index: usize, now_secs: u32) {
        let topology = self.topology.clone();
        match &topology.underlay {
            Underlay::Udp { receivers, .. } => {
                let Some(receiver) = receivers.get(index) else {
                    return;
                };
                let Some(mut batch) = self.received.take() else {
                    return;
                };
                // A refusal means: nothing there.
                let count = receiver.sockets[self.index].recv(&mut batch).unwrap_or(0);
                for entry in 0..count {
                    let meta = batch.meta(entry);
                    self.count_overflows(&topology, receiver, meta.overflows);
                    let arrival = Arrival {
                        source: meta.source,
                        udp_port: receiver.udp_port,
                        group: receiver.group.as_ref().map(|g| g.address),
                        stride: meta.stride.max(1),
                        ecn: Ecn::of(meta.tos),
                        uso_size: 0,
                        first: None,
                        parked: false,
                    };
                    if meta.truncated {
                        let counters = &topology.counters[self.index];
                        counters.datagrams.add(1);
                        counters.drops.add(DropReason::Truncated, 1);
                        continue;
                    }
                    let count = meta.len.div_ceil(arrival.stride).max(1) as u64;
                    let arrival = match self.vouch(&topology, arrival, batch.entry(entry)) {
                        Ok(arrival) => arrival,
                        Err(reason) => {
                            let counters = &topology.counters[self.index];
                            counters.datagrams.add(count);
                            counters.drops.add(reason, count);
                            continue;
                        }
                    };
                    let mut at = Piece {
                        entry: entry as u32,
                        offset: 0,
                        len: 0,
                    };
                    // An empty datagram is one all the same.
                    while at.offset == 0 || (at.offset as usize) < meta.len {
                        at.len = arrival.stride.min(meta.len - at.offset as usize) as u32;
                        self.datagram(&topology, &arrival, (&mut batch, at), now_secs);
                        at.offset += at.len.max(1);
                    }
                }
                self.finish_merges(&topology, &batch);
                self.received = Some(batch);
            }
            Underlay::Memory(memory) => {
                for mut datagram in memory.inward.take() {
                    let arrival = Arrival {
                        source: datagram.source,
                        udp_port: datagram.destination.port(),
                        group: None,
                        stride: datagram.payload.len(),
                        ecn: Ecn::of(datagram.tos),
                        uso_size: 0,
                        first: None,
                        parked: false,
                    };
                    let at = whole(&datagram.payload);
                    self.datagram(&topology, &arrival, (&mut datagram.payload, at), now_secs);
                    self.finish_merges(&topology, &datagram.payload);
                }
            }
        }
        self.flush(&topology);
    }

    /// Decides whether what the kernel says are several datagrams is so.
    ///
    /// It says the same (by `UDP_GRO`) of one datagram from a kernel vxlan peer on this machine that carries a whole
    /// superframe of UDP. Cutting that would take a container's payload for datagrams, and so let it send into any
    /// network; not cutting several would hand other containers' frames to it. The lengths inside tell, but may be
    /// forged. So only such a peer's are taken for a superframe, and of what is cut from such a peer's datagrams
    /// nothing may be of another network than the first, for it never sends several as one.
    fn vouch(
        &self,
        topology: &Topology,
        arrival: Arrival,
        bytes: &[u8],
    ) -> Result<Arrival, DropReason> {
        let len = bytes.len();
        let frame = bytes.get(vxlan::HEADER_LEN..);
        let (Some(header), Some(frame)) = (vxlan::Header::read(bytes), frame) else {
            return Ok(arrival);
        };
        if arrival.stride >= len {
            return Ok(Arrival {
                stride: len.max(1),
                ..arrival
            });
        }
        let network = topology
            .vnis
            .get(&(arrival.udp_port, header.vni()))
            .and_then(|&index| topology.networks.get(index));
        let tunnel = network
            .and_then(|n| n.tunnels.get(&arrival.source.ip()))
            .and_then(|&id| topology.port(id));
        let is_kernel_here = tunnel.is_some_and(|t| t.health.is_unfinished());
        match (is_whole_udp(frame), is_kernel_here) {
            (true, true) => {
                let uso_size = u16::try_from(arrival.stride).unwrap_or(0);
                Ok(Arrival {
                    stride: len,
                    uso_size,
                    ..arrival
                })
            }
            (true, false) => Err(DropReason::GroAmbiguous),
            (false, true) => Ok(Arrival {
                first: Some(header.vni()),
                ..arrival
            }),
            (false, false) => Ok(arrival),
        }
    }

    fn datagram<R: Received>(
        &mut self,
        topology: &Topology,
        arrival: &Arrival,
        place: (&mut R, Piece),
        now_secs: u32,
    ) {
        topology.counters[self.index].datagrams.add(1);
        self.sort(topology, arrival, place, now_secs);
    }

    /// Finds a datagram's network and tunnel, and sends its frame on its way.
    fn sort<R: Received>(
        &mut self,
        topology: &Topology,
        arrival: &Arrival,
        (received, at): (&mut R, Piece),
        now_secs: u32,
    ) {
        let bytes = received.bytes(at);
        let (network, header) = match self.find_network(topology, arrival, bytes) {
            Ok(found) => found,
            Err(reason) => return topology.counters[self.index].drops.add(reason, 1),
        };
        if arrival.first.is_some_and(|first| first != header.vni()) {
            return topology.counters[self.index]
                .drops
                .add(DropReason::GroAmbiguous, 1);
        }
        let own = &network.counters[self.index];
        if !network.spec.up {
            return own.drops.add(DropReason::VniDown, 1);
        }
        let tunnel = network
            .tunnels
            .get(&arrival.source.ip())
            .and_then(|&id| topology.port(id));
        let Some(tunnel) = tunnel else {
            return self.stranger(network, arrival, bytes);
        };
        let counters = &tunnel.counters[self.index];
        let at = without_front(at, vxlan::HEADER_LEN);
        counters.rx_frames.add(1);
        counters.rx_bytes.add(u64::from(at.len));
        // RFC 7348 §5: reserved bits are ignored on receipt; the kernel drops them.
        match (header.reserved(), network.spec.reserved_bits) {
            (0, _) => {}
            (_, ReservedBits::Ignore) => own.reserved_ignored.add(1),
            (bits, ReservedBits::DropExcept(mask)) if bits & !mask != 0 => {
                return counters.drops.add(DropReason::VxlanRsvdDrop, 1);
            }
            (_, ReservedBits::DropExcept(_)) => own.reserved_ignored.add(1),
        }
        let arrived = Arrived {
            received,
            at,
            uso_size: arrival.uso_size,
            outer_ecn: arrival.ecn,
        };
        self.frame_from_tunnel(topology, tunnel, arrived, now_secs);
    }

    /// A datagram whose sender has no tunnel: dropped in a closed network, parked in an open one.
    fn stranger(&mut self, network: &Network, arrival: &Arrival, bytes: &[u8]) {
        let drops = &network.counters[self.index].drops;
        let refusal = match network.spec.open_peers {
            false => DropReason::VtepUnknown,
            // Who sends no proper frame shall not have a tunnel for it.
            true if !is_proper(&bytes[vxlan::HEADER_LEN..]) => DropReason::VtepUnknown,
            true if arrival.parked || network.learned_vteps >= MAX_LEARNED => DropReason::VtepLimit,
            true => {
                let parked = Parked {
                    stranger: Stranger {
                        network: network.spec.name.clone(),
                        remote: arrival.source.ip(),
                    },
                    source: arrival.source,
                    udp_port: arrival.udp_port,
                    ecn: arrival.ecn,
                    bytes: bytes.to_vec(),
                };
                if self.posts.parking.park(self.index, parked) {
                    return;
                }
                DropReason::VtepLimit
            }
        };
        drops.add(refusal, 1);
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
        for mut parked in released {
            let arrival = Arrival {
                source: parked.source,
                udp_port: parked.udp_port,
                group: None,
                stride: parked.bytes.len(),
                ecn: parked.ecn,
                uso_size: 0,
                first: None,
                parked: true,
            };
            let at = whole(&parked.bytes);
            self.sort(topology, &arrival, (&mut parked.bytes, at), now_secs);
            self.finish_merges(topology, &parked.bytes);
        }
        self.flush(topology);
    }

    fn frame_from_tunnel<R: Received>(
        &mut self,
        topology: &Topology,
        tunnel: &Port,
        mut arrived: Arrived<'_, R>,
        now_secs: u32,
    ) {
        let outer_ecn = arrived.outer_ecn;
        let Arrived { received, at, .. } = &mut arrived;
        let network = &topology.networks[tunnel.network];
        let counters = &tunnel.counters[self.index];
        let frame = received.bytes(*at);
        let admitted = match Ethernet::new(frame) {
            None => Err(DropReason::TooShortInner),
            Some(_) if !inner_ip_len_ok(frame) => Err(DropReason::InnerIpShort),
            Some(ethernet) => network.bridge.admit(&ethernet),
        };
        match admitted {
            Ok(Admission::AsIs) => {}
            Ok(Admission::StripTag) => {
                ethernet::strip_tag(received.bytes_mut(*at));
                *at = without_front(*at, ethernet::TAG_LEN);
            }
            Err(reason) => return counters.drops.add(reason, 1),
        }
        if outer_ecn != Ecn::NotEct
            && let Err(reason) =
                self.propagate_congestion(topology, tunnel, outer_ecn, received.bytes_mut(*at))
        {
            return counters.drops.add(reason, 1);
        }
        let Some(ethernet) = Ethernet::new(received.bytes(*at)) else {
            return counters.drops.add(DropReason::TooShortInner, 1);
        };
        let decision = network.bridge.forward(&tunnel.member, &ethernet, now_secs);
        let src = ethernet.src();
        self.tell_learning(topology, tunnel, src, decision.learn);
        self.conclude(topology, tunnel, decision, 1, |worker, target| {
            worker.emit_received(topology, (tunnel, target), &mut arrived);
        });
    }

    /// The network of a datagram, or why there is none.
    fn find_network<'t>(
        &mut self,
        topology: &'t Topology,
        arrival: &Arrival,
        bytes: &[u8],
    ) -> Result<(&'t Network, vxlan::Header), DropReason> {
        check_source(arrival.source.ip(), topology.vtep.address)?;
        let header = vxlan::Header::read(bytes).ok_or(DropReason::TooShortVxlan)?;
        if !header.has_vni() {
            return Err(DropReason::VxlanNoI);
        }
        let network = topology
            .vnis
            .get(&(arrival.udp_port, header.vni()))
            .and_then(|&index| topology.networks.get(index));
        let Some(network) = network else {
            let remote = arrival.source.ip();
            if self
                .limiter
                .admits(EventKind::VniUnknown, u64::from(header.vni().get()))
            {
                self.shared.events.push(Event::VniUnknown {
                    vni: header.vni(),
                    remote,
                });
            }
            return Err(DropReason::VniUnknown);
        };
        let group = network.spec.group.as_ref().map(|g| g.address);
        if arrival.group.is_some() && arrival.group != group {
            return Err(DropReason::GroupMismatch);
        }
        Ok((network, header))
    }

    fn count_overflows(&mut self, topology: &Topology, receiver: &Receiver, total: u32) {
        let lost = receiver.overflows_since(self.index, total);
        if lost > 0 {
            let counters = &topology.counters[self.index];
            counters.datagrams.add(lost);
            counters.drops.add(DropReason::SockOverflow, lost);
        }
    }
}

/// Whence a datagram came.
struct Arrival {
    source: SocketAddr,
    udp_port: u16,
    /// The multicast group that it was sent to.
    group: Option<IpAddr>,
    /// Distance of the datagrams that came as one.
    stride: usize,
    /// Of the IP header; datagrams that came as one share it.
    ecn: Ecn,
    /// As in [`Arrived`].
    uso_size: u16,
    /// Of datagrams that came as one: the network of the first, if its sender is a kernel on this machine, which never
    /// sends several as one.
    first: Option<Vni>,
    /// It has been with the keeper.
    parked: bool,
}

/// RFC 7348 names no filter, but no host sends from these; the kernel's IP layer drops most of them before us.
fn check_source(source: IpAddr, own: IpAddr) -> Result<(), DropReason> {
    let source = source.to_canonical();
    if source == own {
        return Err(DropReason::OuterSrcSelf);
    }
    let invalid = source.is_unspecified() || source.is_loopback() || source.is_multicast();
    if invalid || source == IpAddr::from([255, 255, 255, 255]) {
        return Err(DropReason::OuterSrcInvalid);
    }
    Ok(())
}

/// Whether a frame is one that a station may have sent.
fn is_proper(frame: &[u8]) -> bool {
    Ethernet::new(frame).is_some_and(|e| !e.src().is_multicast() && !e.src().is_zero())
        && inner_ip_len_ok(frame)
}

fn whole(bytes: &[u8]) -> Piece {
    Piece {
        entry: 0,
        offset: 0,
        len: bytes.len() as u32,
    }
}

fn without_front(at: Piece, bytes: usize) -> Piece {
    let bytes = (bytes as u32).min(at.len);
    Piece {
        offset: at.offset + bytes,
        len: at.len - bytes,
        ..at
    }
}
