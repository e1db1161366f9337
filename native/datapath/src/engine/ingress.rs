//! Into the switch: from a TAP or a memory queue, or out of a datagram.

use std::net::{IpAddr, SocketAddr};

use super::keeper::Parked;
use super::outbox::Held;
use super::topology::{Network, Port, PortIo, Receiver, Topology, Underlay};
use super::worker::{EventKind, Worker};
use crate::config::ReservedBits;
use crate::counter::DropReason;
use crate::event::Event;
use crate::io::Refusal;
use crate::offload::{Superframe, completable};
use crate::switch::{Admission, Decision, Learn, PortId, Verdict};
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::flow::inner_ip_len_ok;
use crate::wire::mac::MacAddr;
use crate::wire::vnet::{self, Gso, VnetHeader};
use crate::wire::vxlan;

impl Worker {
    /// Reads a batch of frames from a port and sends each on its way.
    pub(super) fn serve_port(&mut self, id: PortId, now_secs: u32) {
        let topology = self.topology.clone();
        let Some(port) = topology.port(id) else {
            return;
        };
        while !self.outbox.is_full() {
            match read(port, self.index, self.outbox.room()) {
                Ok((vnet, len)) => self.frame_from_port(&topology, port, (vnet, len), now_secs),
                Err(Refusal::WouldBlock) => break,
                Err(refusal) => {
                    self.port_gone(&topology, port, refusal);
                    break;
                }
            }
        }
        self.flush(&topology);
    }

    /// A frame handed in by the control plane enters at a port.
    pub(super) fn inject(&mut self, id: PortId, frame: &[u8], now_secs: u32) {
        let topology = self.topology.clone();
        let Some(port) = topology.port(id) else {
            return;
        };
        let room = self.outbox.room();
        let len = frame.len().min(room.len());
        room[..len].copy_from_slice(&frame[..len]);
        self.frame_from_port(&topology, port, (VnetHeader::NONE.emit(), len), now_secs);
        self.flush(&topology);
    }

    fn frame_from_port(
        &mut self,
        topology: &Topology,
        port: &Port,
        (vnet, len): ([u8; vnet::HEADER_LEN], usize),
        now_secs: u32,
    ) {
        let network = &topology.networks[port.network];
        let counters = &port.counters[self.index];
        let vnet = VnetHeader::read(&vnet).ok();
        let mut held = self.outbox.hold(len, vnet.unwrap_or(VnetHeader::NONE));
        let sound = vnet.is_some() && self.examine(&mut held);
        counters.rx_frames.add(held.segments);
        counters.rx_bytes.add(len as u64);
        let admitted = if !sound {
            Err(DropReason::VnetHdrBad)
        } else if !network.spec.up {
            Err(DropReason::NetworkDown)
        } else {
            Ethernet::new(self.outbox.frame(&held))
                .ok_or(DropReason::TooShortInner)
                .and_then(|ethernet| network.bridge.admit(&ethernet))
        };
        match admitted {
            Ok(Admission::AsIs) => {}
            Ok(Admission::StripTag) => {
                ethernet::strip_tag(self.outbox.frame_mut(&held));
                self.outbox.shorten_front(&mut held, ethernet::TAG_LEN);
                self.examine(&mut held);
            }
            Err(reason) => return counters.drops.add(reason, held.segments),
        }
        let Some(ethernet) = Ethernet::new(self.outbox.frame(&held)) else {
            return counters.drops.add(DropReason::TooShortInner, held.segments);
        };
        let decision = network.bridge.forward(&port.member, &ethernet, now_secs);
        let src = ethernet.src();
        self.tell_learning(topology, port, src, decision.learn);
        let mut frame = held;
        self.conclude(
            topology,
            port,
            decision,
            frame.segments,
            |worker, target| {
                worker.emit(topology, target, &mut frame);
            },
        );
    }

    /// Checks a frame's offload header against the frame; false if it does not fit.
    fn examine(&self, held: &mut Held) -> bool {
        let frame = self.outbox.frame(held);
        if held.vnet.gso == Gso::None {
            return completable(frame, &held.vnet);
        }
        match Superframe::parse(frame, &held.vnet) {
            Ok(superframe) => {
                held.segments = u64::from(superframe.segments());
                held.superframe = Some(superframe);
                true
            }
            Err(_) => false,
        }
    }

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
                let socket = &receiver.sockets[self.index];
                // A refusal means: nothing there.
                let count = socket.recv(&mut batch).unwrap_or(0);
                let counters = &topology.counters[self.index];
                for i in 0..count {
                    let (meta, bytes) = batch.datagram_batch(i);
                    self.count_overflows(&topology, receiver, meta.overflows);
                    if meta.truncated {
                        counters.datagrams.add(1);
                        counters.drops.add(DropReason::Truncated, 1);
                        continue;
                    }
                    let arrival = Arrival {
                        source: meta.source,
                        udp_port: receiver.udp_port,
                        group: receiver.group,
                        parked: false,
                    };
                    // An empty datagram has no chunk, but is one all the same.
                    if bytes.is_empty() {
                        self.datagram(&topology, &arrival, bytes, now_secs);
                    }
                    for datagram in bytes.chunks_mut(meta.stride.max(1)) {
                        self.datagram(&topology, &arrival, datagram, now_secs);
                    }
                }
                self.received = Some(batch);
            }
            Underlay::Memory(memory) => {
                for mut datagram in memory.inward.take() {
                    let arrival = Arrival {
                        source: datagram.source,
                        udp_port: datagram.destination.port(),
                        group: None,
                        parked: false,
                    };
                    self.datagram(&topology, &arrival, &mut datagram.payload, now_secs);
                }
            }
        }
        self.flush(&topology);
    }

    fn datagram(
        &mut self,
        topology: &Topology,
        arrival: &Arrival,
        bytes: &mut [u8],
        now_secs: u32,
    ) {
        let counters = &topology.counters[self.index];
        counters.datagrams.add(1);
        self.sort(topology, arrival, bytes, now_secs);
    }

    /// Finds a datagram's network and tunnel, and sends its frame on its way.
    fn sort(&mut self, topology: &Topology, arrival: &Arrival, bytes: &mut [u8], now_secs: u32) {
        let (network, header) = match self.find_network(topology, arrival, bytes) {
            Ok(found) => found,
            Err(reason) => return topology.counters[self.index].drops.add(reason, 1),
        };
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
        let frame = &mut bytes[vxlan::HEADER_LEN..];
        counters.rx_frames.add(1);
        counters.rx_bytes.add(frame.len() as u64);
        // RFC 7348 §5: reserved bits are ignored on receipt; the kernel drops them.
        match (header.reserved(), network.spec.reserved_bits) {
            (0, _) => {}
            (_, ReservedBits::Ignore) => own.reserved_ignored.add(1),
            (bits, ReservedBits::DropExcept(mask)) if bits & !mask != 0 => {
                return counters.drops.add(DropReason::VxlanRsvdDrop, 1);
            }
            (_, ReservedBits::DropExcept(_)) => own.reserved_ignored.add(1),
        }
        self.frame_from_tunnel(topology, tunnel, frame, now_secs);
    }

    /// A datagram whose sender has no tunnel: dropped in a closed network, parked in an open one.
    fn stranger(&mut self, network: &Network, arrival: &Arrival, bytes: &[u8]) {
        let drops = &network.counters[self.index].drops;
        let refusal = match (network.spec.open_peers, arrival.parked) {
            (false, _) => DropReason::VtepUnknown,
            (true, true) => DropReason::VtepLimit,
            (true, false) => {
                let parked = Parked {
                    worker: self.index,
                    network: network.spec.name.clone(),
                    source: arrival.source,
                    udp_port: arrival.udp_port,
                    bytes: bytes.to_vec(),
                };
                if self.posts.parking.park(parked) {
                    return;
                }
                DropReason::VtepLimit
            }
        };
        drops.add(refusal, 1);
    }

    /// A datagram that was parked comes back, its sender having a tunnel now if it may have one.
    pub(super) fn unpark(&mut self, mut parked: Parked, now_secs: u32) {
        let topology = self.topology.clone();
        let arrival = Arrival {
            source: parked.source,
            udp_port: parked.udp_port,
            group: None,
            parked: true,
        };
        self.sort(&topology, &arrival, &mut parked.bytes, now_secs);
        self.flush(&topology);
    }

    fn frame_from_tunnel(
        &mut self,
        topology: &Topology,
        tunnel: &Port,
        frame: &mut [u8],
        now_secs: u32,
    ) {
        let network = &topology.networks[tunnel.network];
        let counters = &tunnel.counters[self.index];
        let admitted = match Ethernet::new(frame) {
            None => Err(DropReason::TooShortInner),
            Some(_) if !inner_ip_len_ok(frame) => Err(DropReason::InnerIpShort),
            Some(ethernet) => network.bridge.admit(&ethernet),
        };
        let frame = match admitted {
            Ok(Admission::AsIs) => frame,
            Ok(Admission::StripTag) => ethernet::strip_tag(frame),
            Err(reason) => return counters.drops.add(reason, 1),
        };
        let Some(ethernet) = Ethernet::new(frame) else {
            return counters.drops.add(DropReason::TooShortInner, 1);
        };
        let decision = network.bridge.forward(&tunnel.member, &ethernet, now_secs);
        let src = ethernet.src();
        self.tell_learning(topology, tunnel, src, decision.learn);
        self.conclude(topology, tunnel, decision, 1, |worker, target| {
            worker.emit_received(target, frame);
        });
    }

    /// Carries out a verdict and counts it; `emit` sends one copy out of a port.
    fn conclude(
        &mut self,
        topology: &Topology,
        ingress: &Port,
        decision: Decision,
        segments: u64,
        mut emit: impl FnMut(&mut Self, &Port),
    ) {
        let network = &topology.networks[ingress.network];
        let own = &network.counters[self.index];
        let drops = &ingress.counters[self.index].drops;
        match decision.verdict {
            Verdict::To(id) => match topology.port(id) {
                Some(target) => {
                    own.unicast.add(segments);
                    emit(self, target);
                }
                None => drops.add(DropReason::NoTarget, segments),
            },
            Verdict::Flood(class) => {
                let mut copies = 0;
                for member in network.bridge.flood(&ingress.member, class) {
                    if let Some(target) = topology.port(member.id) {
                        copies += 1;
                        emit(self, target);
                    }
                }
                if copies == 0 {
                    let reason = network.bridge.no_flood_reason(&ingress.member, class);
                    return drops.add(reason, segments);
                }
                own.flooded.add(segments);
                own.replicated.add(copies * segments);
            }
            Verdict::Punt => own.consumed.add(segments),
            Verdict::Drop(reason) => drops.add(reason, segments),
        }
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

    fn tell_learning(
        &mut self,
        topology: &Topology,
        ingress: &Port,
        mac: MacAddr,
        learn: Option<Learn>,
    ) {
        let network = &topology.networks[ingress.network];
        let name = |id: PortId| {
            topology
                .port(id)
                .map_or_else(String::new, |p| p.name.clone())
        };
        let event = match learn {
            Some(Learn::Moved { from })
                if self.limiter.admits(EventKind::MacMoved, mac.to_u64()) =>
            {
                Event::MacMoved {
                    network: network.spec.name.clone(),
                    mac,
                    from: name(from),
                    to: ingress.name.clone(),
                }
            }
            Some(Learn::Full)
                if self
                    .limiter
                    .admits(EventKind::FdbFull, u64::from(ingress.id.get())) =>
            {
                Event::FdbFull {
                    network: network.spec.name.clone(),
                    port: ingress.name.clone(),
                }
            }
            Some(Learn::Conflict { owner })
                if topology
                    .port(owner)
                    .is_some_and(|p| p.member.mac == Some(mac))
                    && self.limiter.admits(EventKind::SourceMacLocal, mac.to_u64()) =>
            {
                Event::SourceMacLocal {
                    network: network.spec.name.clone(),
                    mac,
                    from: ingress.name.clone(),
                }
            }
            _ => return,
        };
        self.shared.events.push(event);
    }

    fn port_gone(&mut self, topology: &Topology, port: &Port, refusal: Refusal) {
        if let PortIo::Tap { tap, .. } = &port.io {
            for queue in &tap.queues {
                self.stop_watching(queue);
            }
        }
        if !port.health.mark_gone() {
            return;
        }
        topology.networks[port.network]
            .bridge
            .fdb()
            .flush(|entry| entry.port == port.id);
        let detail = match refusal {
            Refusal::Other(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
            Refusal::Gone | Refusal::Down | Refusal::WouldBlock => "device disappeared".into(),
        };
        self.shared.events.push(Event::PortGone {
            port: port.name.clone(),
            detail,
        });
    }
}

/// Whence a datagram came.
struct Arrival {
    source: SocketAddr,
    udp_port: u16,
    /// The multicast group that it was sent to.
    group: Option<IpAddr>,
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

fn read(
    port: &Port,
    worker: usize,
    room: &mut [u8],
) -> Result<([u8; vnet::HEADER_LEN], usize), Refusal> {
    let mut vnet = VnetHeader::NONE.emit();
    match &port.io {
        PortIo::Tap { tap, .. } => {
            let len = tap.queues[worker % tap.queues.len()].read(&mut vnet, room)?;
            Ok((vnet, len))
        }
        PortIo::Memory { queue, .. } => {
            let frame = queue.inward.pop().ok_or(Refusal::WouldBlock)?;
            let len = frame.len().min(room.len());
            room[..len].copy_from_slice(&frame[..len]);
            Ok((vnet, len))
        }
        PortIo::Tunnel(_) => Err(Refusal::WouldBlock),
    }
}
