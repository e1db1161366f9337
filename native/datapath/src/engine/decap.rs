//! Out of a datagram into the switch (decapsulation, RFC 7348 §4.1 and §5).

use std::net::IpAddr;

use super::arrival::Arrival;
use super::capture::Fate;
use super::dropping::source_of;
use super::merges::{Arrived, Received};
use super::topology::{Network, Port, Receiver, Topology, Underlay};
use super::worker::{EventKind, Worker};
use crate::config::ReservedBits;
use crate::counter::DropReason;
use crate::event::Event;
use crate::io::underlay::RingRefusal;
use crate::offload::{Piece, is_whole_udp};
use crate::switch::Admission;
use crate::wire::ecn::Ecn;
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::flow::inner_ip_len_ok;
use crate::wire::vnet::{Gso, VnetHeader};
use crate::wire::vxlan::{self, Vni};

impl Worker {
    /// Reads a batch of datagrams from the underlay and sends each frame on its way.
    pub(super) fn serve_receiver(&mut self, index: usize, now_secs: u32) {
        let topology = self.topology.clone();
        let mut sitting = Sitting::new(&topology, now_secs);
        self.recorder.begin_batch();
        match &topology.underlay {
            Underlay::Udp { receivers, .. } => {
                if let Some(receiver) = receivers.get(index) {
                    self.serve_socket(&mut sitting, receiver);
                }
            }
            Underlay::Memory(memory) => {
                for mut datagram in memory.inward.take() {
                    let arrival = Arrival {
                        tos: datagram.tos,
                        ..Arrival::of(datagram.source, datagram.destination.port())
                    };
                    let at = whole(&datagram.payload);
                    self.datagrams(&mut sitting, &arrival, (&mut datagram.payload, at));
                    self.finish_merges(&topology, &datagram.payload);
                }
            }
        }
        self.flush(&topology);
    }

    fn serve_socket(&mut self, sitting: &mut Sitting<'_>, receiver: &Receiver) {
        let topology = sitting.topology;
        let Some(mut batch) = self.received.take() else {
            return;
        };
        // A refusal means: nothing there.
        let count = receiver.sockets[self.index].recv(&mut batch).unwrap_or(0);
        for entry in 0..count {
            let meta = batch.meta(entry);
            self.count_overflows(topology, receiver, meta.overflows);
            let at = Piece {
                entry: entry as u32,
                offset: 0,
                len: meta.len as u32,
            };
            let arrival = Arrival {
                group: receiver.group.as_ref().map(|g| g.address),
                stride: meta.stride.max(1),
                tos: meta.tos,
                ..Arrival::of(meta.source, receiver.udp_port)
            };
            let vouched = match meta.truncated {
                true => Err((DropReason::Truncated, 1)),
                false => vouch(sitting, arrival, batch.entry(entry)),
            };
            match vouched {
                Ok(arrival) => self.datagrams(sitting, &arrival, (&mut batch, at)),
                Err((reason, count)) => {
                    let envelope = || arrival.envelope(topology);
                    let payload = batch.entry(entry);
                    self.recorder.datagram_arrives(payload, envelope);
                    self.recorder
                        .refuse(Fate::dropped(reason), (None, count), payload);
                    self.refuse(topology, reason, count);
                }
            }
        }
        self.finish_merges(topology, &batch);
        self.received = Some(batch);
    }

    /// Reads a batch from the packet ring of a receiver and sends each frame on its way.
    pub(super) fn serve_ring(&mut self, index: usize, now_secs: u32) {
        let topology = self.topology.clone();
        let mut sitting = Sitting::new(&topology, now_secs);
        let Some((receiver, tapped)) = topology.tapped(index) else {
            return;
        };
        let mut guard = tapped.lock();
        let Some(ring) = guard.as_mut() else {
            return self.stop_watching(tapped);
        };
        self.recorder.begin_batch();
        let mut batch = ring.next_batch(RING_BATCH);
        tapped.took(batch.len());
        for entry in 0..batch.len() {
            let outer = match batch.outer(entry) {
                Ok(outer) => outer,
                Err(refusal) => {
                    let reason = reason_of(refusal);
                    let packet = packet_in(batch.entry(entry));
                    self.recorder.packet_arrives(packet);
                    self.recorder
                        .refuse(Fate::dropped(reason), (None, 1), packet);
                    self.refuse(&topology, reason, 1);
                    continue;
                }
            };
            let at = Piece {
                entry: entry as u32,
                offset: outer.payload.start as u32,
                len: outer.payload.len() as u32,
            };
            // Unlike a socket it says whose segments these are, so there is nothing to vouch for.
            let arrival = Arrival {
                stride: outer.stride.max(1),
                tos: outer.tos,
                undone: outer.inner,
                ..Arrival::of(outer.source, receiver.udp_port)
            };
            self.datagrams(&mut sitting, &arrival, (&mut batch, at));
        }
        self.finish_merges(&topology, &batch);
        drop(batch);
        drop(guard);
        self.flush(&topology);
    }

    /// Takes the datagrams apart that came as one.
    fn datagrams<R: Received>(
        &mut self,
        sitting: &mut Sitting<'_>,
        arrival: &Arrival,
        (received, all): (&mut R, Piece),
    ) {
        let end = all.offset + all.len;
        let stride = u32::try_from(arrival.stride).unwrap_or(u32::MAX);
        let mut at = all;
        let mut count = 0;
        // An empty datagram is one all the same.
        while count == 0 || at.offset < end {
            at.len = stride.min(end - at.offset);
            self.sort(sitting, arrival, (&mut *received, at));
            at.offset += at.len.max(1);
            count += 1;
        }
        sitting.topology.counters[self.index].datagrams.add(count);
    }

    pub(super) fn refuse(&self, topology: &Topology, reason: DropReason, datagrams: u64) {
        topology.counters[self.index].datagrams.add(datagrams);
        self.dropping.at_underlay(topology, reason, datagrams);
    }

    /// Finds a datagram's network and tunnel, and sends its frame on its way.
    pub(super) fn sort<R: Received>(
        &mut self,
        sitting: &mut Sitting<'_>,
        arrival: &Arrival,
        (received, at): (&mut R, Piece),
    ) {
        let topology = sitting.topology;
        let bytes = received.bytes(at);
        self.recorder
            .datagram_arrives(bytes, || arrival.envelope(topology));
        let found = match self.find_network(sitting, arrival, bytes) {
            Ok((_, header)) if arrival.first.is_some_and(|first| first != header.vni()) => {
                Err(DropReason::GroAmbiguous)
            }
            found => found,
        };
        let (network, header) = match found {
            Ok(found) => found,
            Err(reason) => {
                self.recorder
                    .refuse(Fate::dropped(reason), (None, 1), bytes);
                return self.dropping.at_underlay(topology, reason, 1);
            }
        };
        if !network.spec.up {
            return self.refuse_in_network((topology, network), DropReason::VniDown, bytes);
        }
        let Some(tunnel) = sitting.tunnel(network, arrival) else {
            return self.stranger(topology, network, (arrival, bytes));
        };
        self.source = source_of(&bytes[vxlan::HEADER_LEN..]);
        let mark = self.recorder.arrived_by(tunnel);
        let own = &network.counters[self.index];
        let counters = &tunnel.counters[self.index];
        let (all, at) = (at, without_front(at, vxlan::HEADER_LEN));
        counters.rx_frames.add(1);
        counters.rx_bytes.add(u64::from(at.len));
        match check_reserved(header.reserved(), network.spec.reserved_bits) {
            Ok(true) => {}
            Ok(false) => own.reserved_ignored.add(1),
            Err(reason) => {
                return self.refuse_frame((topology, tunnel), (reason, 1), received.bytes(all));
            }
        }
        let arrived = Arrived {
            received,
            at,
            undone: arrival.undone,
            outer_ecn: Ecn::of(arrival.tos),
            mark,
        };
        self.frame_from_tunnel((topology, tunnel), (arrived, all), sitting.now_secs);
    }

    fn frame_from_tunnel<R: Received>(
        &mut self,
        (topology, tunnel): (&Topology, &Port),
        (mut arrived, all): (Arrived<'_, R>, Piece),
        now_secs: u32,
    ) {
        let outer_ecn = arrived.outer_ecn;
        let Arrived { received, at, .. } = &mut arrived;
        let network = &topology.networks[tunnel.network];
        let frame = received.bytes(*at);
        let admitted = check_frame(frame).and_then(|frame| network.bridge.admit(&frame));
        match admitted {
            Ok(Admission::AsIs) => {}
            Ok(Admission::StripTag) => {
                self.recorder.secure(received.bytes(all));
                ethernet::strip_tag(received.bytes_mut(*at));
                *at = without_front(*at, ethernet::TAG_LEN);
            }
            Err(reason) => {
                return self.refuse_frame((topology, tunnel), (reason, 1), received.bytes(all));
            }
        }
        // The others change no frame (RFC 6040 §4.2).
        if matches!(outer_ecn, Ecn::Ce | Ecn::Ect1) {
            self.recorder.secure(received.bytes(all));
        }
        if outer_ecn != Ecn::NotEct
            && let Err(reason) =
                self.propagate_congestion(topology, tunnel, outer_ecn, received.bytes_mut(*at))
        {
            return self.refuse_frame((topology, tunnel), (reason, 1), received.bytes(all));
        }
        let Some(ethernet) = Ethernet::new(received.bytes(*at)) else {
            let dropped = (DropReason::TooShortInner, 1);
            return self.refuse_frame((topology, tunnel), dropped, received.bytes(all));
        };
        let decision = network.bridge.forward(&tunnel.member, &ethernet, now_secs);
        let src = ethernet.src();
        self.tell_learning(topology, tunnel, src, decision.learn);
        if self.recorder.is_on() {
            let told = (decision.verdict, 1);
            let bytes = received.bytes(all);
            arrived.mark = self.recorder.is_told((topology, tunnel), told, bytes);
        }
        self.conclude(topology, tunnel, decision.verdict, 1, |worker, target| {
            worker.emit_received(topology, (tunnel, target), &mut arrived);
        });
    }

    /// Counts a datagram that reached the network but no tunnel of it, and lies in `bytes`.
    pub(super) fn refuse_in_network(
        &mut self,
        (topology, network): (&Topology, &Network),
        reason: DropReason,
        bytes: &[u8],
    ) {
        if self.recorder.is_on() {
            let mut networks = topology.networks.iter();
            let index = networks.position(|n| std::ptr::eq(n, network));
            self.recorder
                .refuse(Fate::dropped(reason), (index, 1), bytes);
        }
        self.dropping.at_network(network, reason);
    }

    /// The network of a datagram, or why there is none.
    fn find_network<'t>(
        &mut self,
        sitting: &mut Sitting<'t>,
        arrival: &Arrival,
        bytes: &[u8],
    ) -> Result<(&'t Network, vxlan::Header), DropReason> {
        let header = check_datagram(sitting.topology, arrival, bytes)?;
        let Some(network) = sitting.network(arrival, header.vni()) else {
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

    fn count_overflows(&self, topology: &Topology, receiver: &Receiver, total: u32) {
        let lost = receiver.overflows_since(self.index, total);
        if lost > 0 {
            self.refuse(topology, DropReason::SockOverflow, lost);
        }
    }
}

/// What stays the same while a batch is sorted, and what was found last: datagrams of one sender come together.
pub(super) struct Sitting<'t> {
    topology: &'t Topology,
    now_secs: u32,
    network: Option<((u16, Vni), &'t Network)>,
    tunnel: Option<(&'t Network, IpAddr, &'t Port)>,
}

impl<'t> Sitting<'t> {
    pub(super) fn new(topology: &'t Topology, now_secs: u32) -> Self {
        Self {
            topology,
            now_secs,
            network: None,
            tunnel: None,
        }
    }

    pub(super) fn network(&mut self, arrival: &Arrival, vni: Vni) -> Option<&'t Network> {
        let key = (arrival.udp_port, vni);
        if let Some((last, network)) = self.network
            && last == key
        {
            return Some(network);
        }
        let index = *self.topology.vnis.get(&key)?;
        let network = self.topology.networks.get(index)?;
        self.network = Some((key, network));
        Some(network)
    }

    /// The tunnel to the sender.
    pub(super) fn tunnel(&mut self, network: &'t Network, arrival: &Arrival) -> Option<&'t Port> {
        let remote = arrival.source.ip();
        if let Some((of, last, tunnel)) = self.tunnel
            && last == remote
            && std::ptr::eq(of, network)
        {
            return Some(tunnel);
        }
        let tunnel = self.topology.port(*network.tunnels.get(&remote)?)?;
        self.tunnel = Some((network, remote, tunnel));
        Some(tunnel)
    }
}

/// Decides whether what the kernel says are several datagrams is so; if that cannot be told, how many are lost.
///
/// It says the same (by `UDP_GRO`) of one datagram from a kernel vxlan peer on this machine that carries a whole
/// superframe of UDP. Cutting that would take a container's payload for datagrams, and so let it send into any
/// network; not cutting several would hand other containers' frames to it. The lengths inside tell, but may be
/// forged. So only such a peer's are taken for a superframe, and of what is cut from such a peer's datagrams
/// nothing may be of another network than the first, for it never sends several as one.
fn vouch(
    sitting: &mut Sitting<'_>,
    arrival: Arrival,
    bytes: &[u8],
) -> Result<Arrival, (DropReason, u64)> {
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
    let tunnel = sitting
        .network(&arrival, header.vni())
        .and_then(|network| sitting.tunnel(network, &arrival));
    let is_kernel_here = tunnel.is_some_and(|t| t.health.is_unfinished());
    match (is_whole_udp(frame), is_kernel_here) {
        (true, true) => Ok(Arrival {
            undone: VnetHeader {
                needs_csum: true,
                gso: Gso::Udp,
                gso_size: u16::try_from(arrival.stride).unwrap_or(0),
                ..VnetHeader::NONE
            },
            stride: len,
            ..arrival
        }),
        (true, false) => Err((
            DropReason::GroAmbiguous,
            len.div_ceil(arrival.stride) as u64,
        )),
        (false, true) => Ok(Arrival {
            first: Some(header.vni()),
            ..arrival
        }),
        (false, false) => Ok(arrival),
    }
}

/// The VXLAN header of a datagram that may be meant for us.
pub(super) fn check_datagram(
    topology: &Topology,
    arrival: &Arrival,
    bytes: &[u8],
) -> Result<vxlan::Header, DropReason> {
    check_source(arrival.source.ip(), topology.vtep.address)?;
    let header = vxlan::Header::read(bytes).ok_or(DropReason::TooShortVxlan)?;
    match header.has_vni() {
        true => Ok(header),
        false => Err(DropReason::VxlanNoI),
    }
}

/// Whether no reserved bit is set. RFC 7348 §5: they are ignored on receipt; the kernel drops them.
pub(super) fn check_reserved(bits: u64, rule: ReservedBits) -> Result<bool, DropReason> {
    match rule {
        ReservedBits::DropExcept(mask) if bits & !mask != 0 => Err(DropReason::VxlanRsvdDrop),
        ReservedBits::DropExcept(_) | ReservedBits::Ignore => Ok(bits == 0),
    }
}

/// What came out of a tunnel, if it is long enough for the headers that it says it has.
pub(super) fn check_frame(frame: &[u8]) -> Result<Ethernet<'_>, DropReason> {
    let ethernet = Ethernet::new(frame).ok_or(DropReason::TooShortInner)?;
    match inner_ip_len_ok(frame) {
        true => Ok(ethernet),
        false => Err(DropReason::InnerIpShort),
    }
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

/// What a frame of the underlay carries.
fn packet_in(frame: &[u8]) -> &[u8] {
    let offset = Ethernet::new(frame).map(|ethernet| ethernet.network().1);
    offset.and_then(|at| frame.get(at..)).unwrap_or(&[])
}

pub(super) fn whole(bytes: &[u8]) -> Piece {
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

fn reason_of(refusal: RingRefusal) -> DropReason {
    match refusal {
        RingRefusal::Truncated => DropReason::Truncated,
        RingRefusal::IpHeader => DropReason::OuterIpBad,
        RingRefusal::UdpLength => DropReason::OuterUdpLength,
        RingRefusal::UdpChecksum => DropReason::OuterUdpChecksum,
        RingRefusal::Superframe => DropReason::GroAmbiguous,
    }
}

/// Slots per batch: some superframes' worth of packets, so that merges are seldom cut off at its end.
const RING_BATCH: usize = 256;
