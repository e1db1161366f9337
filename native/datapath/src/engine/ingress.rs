//! Into the switch from an interface or a memory queue; and what is done with a decision, whencesoever the frame came.

use std::sync::Arc;

use super::capture::Fate;
use super::dropping::source_of;
use super::history::{Happening, Place};
use super::outbox::{BATCH_FRAMES, Held};
use super::port_end;
use super::too_big::{is_oversize, longest};
use super::topology::{Port, PortIo, Topology};
use super::worker::{EventKind, Shared, Worker};
use crate::counter::DropReason;
use crate::event::{Event, unix_ms};
use crate::io::Refusal;
use crate::io::packet::PacketInterface;
use crate::offload::{Superframe, completable, complete, is_left_crc};
use crate::switch::{Admission, Learn, Neighbors, PortId, Verdict};
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::mac::MacAddr;
use crate::wire::vnet::{self, Gso, VnetHeader};

impl Worker {
    /// Reads a batch of frames from a port and sends each on its way.
    pub(super) fn serve_port(&mut self, id: PortId, now_secs: u32) {
        let topology = self.topology.clone();
        let Some(port) = topology.port(id) else {
            return;
        };
        self.recorder.begin_batch();
        // What is lost fills nothing, so reads are counted too; what has been received is given out all the same.
        let mut reads = 0;
        while reads < BATCH_FRAMES || !self.packets.is_empty() {
            if self.outbox.is_full() {
                if self.packets.is_empty() {
                    break;
                }
                self.flush(&topology);
            }
            reads += 1;
            match self.read(port) {
                Ok((vnet, len)) => self.frame_from_port(&topology, port, (vnet, len), now_secs),
                Err(Refusal::WouldBlock) => break,
                Err(Refusal::Lost) => self.lost((&topology, port), DropReason::ReadFailed, 1),
                Err(Refusal::Unfinished) => {
                    self.lost((&topology, port), DropReason::OffloadUnknown, 1);
                }
                Err(Refusal::Other(_)) if port.health.bears_another_fault() => {
                    self.lost((&topology, port), DropReason::ReadFailed, 1);
                }
                Err(refusal) => {
                    self.port_gone(&topology, port, refusal);
                    break;
                }
            }
        }
        self.flush(&topology);
    }

    fn read(&mut self, port: &Port) -> Result<([u8; vnet::HEADER_LEN], usize), Refusal> {
        let room = self.outbox.room();
        if let Some(link) = port.io.link(self.index) {
            return link.read(&mut self.packets, room);
        }
        let vnet = VnetHeader::NONE.emit();
        match &port.io {
            PortIo::Memory { queue, .. } => {
                let frame = queue.inward.pop().ok_or(Refusal::WouldBlock)?;
                let len = frame.len();
                let room = room.get_mut(..len).ok_or(Refusal::TOO_LONG)?;
                room.copy_from_slice(&frame);
                Ok((vnet, len))
            }
            _ => Err(Refusal::WouldBlock),
        }
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
        self.recorder.begin_batch();
        self.frame_from_port(&topology, port, (VnetHeader::NONE.emit(), len), now_secs);
        self.flush(&topology);
    }

    fn frame_from_port(
        &mut self,
        topology: &Topology,
        port: &Port,
        read: ([u8; vnet::HEADER_LEN], usize),
        now_secs: u32,
    ) {
        let (mut held, examined) = self.take_in(port, read);
        match examined.and_then(|()| self.admit((topology, port), &mut held)) {
            Ok(()) => self.send_on(topology, port, held, now_secs),
            Err(reason) => self.refuse_held((topology, port), reason, &held),
        }
    }

    /// Counts a frame that entered at `port` and lies in the outbox as dropped there.
    fn refuse_held(&mut self, place: (&Topology, &Port), reason: DropReason, held: &Held) {
        let (_, port) = place;
        let fate = match reason {
            DropReason::PortOversize => Fate::Dropped {
                reason,
                limit: port.io.mtu().map(|mtu| mtu as u32),
            },
            _ => Fate::dropped(reason),
        };
        let bytes = self.outbox.frame(held);
        self.recorder
            .decide((port.id, held.segments), (fate, &[]), bytes);
        self.count_refused(place, (reason, held.segments));
    }

    /// Counts frames that entered at `port` as dropped there; what entered lies in `bytes`.
    pub(super) fn refuse_frame(
        &mut self,
        (topology, port): (&Topology, &Port),
        (reason, frames): (DropReason, u64),
        bytes: &[u8],
    ) {
        let fate = Fate::dropped(reason);
        self.recorder.decide((port.id, frames), (fate, &[]), bytes);
        self.count_refused((topology, port), (reason, frames));
    }

    fn count_refused(
        &self,
        (topology, port): (&Topology, &Port),
        (reason, frames): (DropReason, u64),
    ) {
        let source = self.source;
        self.dropping
            .at_port((topology, port), (reason, frames), || source);
    }

    /// Counts a frame that has been read; what it is, and why its offload header does not do, if so.
    fn take_in(
        &mut self,
        port: &Port,
        (vnet, len): ([u8; vnet::HEADER_LEN], usize),
    ) -> (Held, Result<(), DropReason>) {
        let counters = &port.counters[self.index];
        let vnet = VnetHeader::read(&vnet).ok();
        let mut held = self.outbox.hold(len, vnet.unwrap_or(VnetHeader::NONE));
        self.source = source_of(self.outbox.frame(&held));
        held.mark = self.recorder.frame_enters(port, self.outbox.frame(&held));
        let examined = match vnet {
            Some(_) => self.examine(&mut held),
            None => Err(DropReason::VnetHdrBad),
        };
        counters.rx_frames.add(held.segments);
        counters.rx_bytes.add(len as u64);
        (held, examined)
    }

    /// Makes a frame what goes on, or says why it does not.
    fn admit(
        &mut self,
        (topology, port): (&Topology, &Port),
        held: &mut Held,
    ) -> Result<(), DropReason> {
        let network = &topology.networks[port.network];
        if !network.spec.up {
            return Err(DropReason::NetworkDown);
        }
        let ethernet = Ethernet::new(self.outbox.frame(held)).ok_or(DropReason::TooShortInner)?;
        match network.bridge.admit(&ethernet)? {
            Admission::AsIs => {}
            Admission::StripTag => {
                self.recorder.secure(self.outbox.frame(held));
                ethernet::strip_tag(self.outbox.frame_mut(held));
                self.outbox.shorten_front(held, ethernet::TAG_LEN);
                self.examine(held)?;
            }
        }
        let ethernet = Ethernet::new(self.outbox.frame(held)).ok_or(DropReason::TooShortInner)?;
        if let Some(guard) = &port.guard {
            guard.check(&ethernet)?;
        }
        if is_oversize(port, longest(held), &ethernet) {
            self.tell_oversize(topology, port, held);
            return Err(DropReason::PortOversize);
        }
        Ok(())
    }

    /// Asks the switch about a frame and carries out what it says.
    fn send_on(&mut self, topology: &Topology, port: &Port, mut frame: Held, now_secs: u32) {
        let network = &topology.networks[port.network];
        let Some(ethernet) = Ethernet::new(self.outbox.frame(&frame)) else {
            return self.refuse_held((topology, port), DropReason::TooShortInner, &frame);
        };
        let decision = network.bridge.forward(&port.member, &ethernet, now_secs);
        let src = ethernet.src();
        let neighbors = network.neighbors.as_ref();
        let neighbors = neighbors.filter(|_| Neighbors::concern(&ethernet));
        self.tell_learning(topology, port, src, decision.learn);
        let mut verdict = decision.verdict;
        if let Some(neighbors) = neighbors {
            match self.suppress(topology, (port, neighbors), &frame, verdict) {
                Some(changed) => verdict = changed,
                None => return,
            }
        }
        if self.recorder.is_on() {
            let bytes = self.outbox.frame(&frame);
            let told = (verdict, frame.segments);
            self.recorder.is_told((topology, port), told, bytes);
        }
        let mut narrowest = None;
        self.conclude(topology, port, verdict, frame.segments, |worker, target| {
            if worker.passes(topology, target, &frame, &mut narrowest) {
                worker.emit(topology, target, &mut frame);
            }
        });
        if let Some(room) = narrowest {
            self.tell_too_big(topology, port, &frame, room);
        }
    }

    /// Checks a frame's offload header against the frame, and does at once what no other header could ask for.
    fn examine(&mut self, held: &mut Held) -> Result<(), DropReason> {
        let frame = self.outbox.frame(held);
        if held.vnet.gso == Gso::None {
            if !completable(frame, &held.vnet) {
                return Err(DropReason::VnetHdrBad);
            }
            if is_left_crc(frame, &held.vnet) {
                self.recorder.secure(frame);
                let done = complete(self.outbox.frame_mut(held), &held.vnet);
                done.map_err(|_| DropReason::VnetHdrBad)?;
                held.vnet = VnetHeader::NONE;
            }
            return Ok(());
        }
        if Superframe::is_tunneled(frame, &held.vnet) {
            return Err(DropReason::OffloadUnknown);
        }
        let superframe =
            Superframe::parse(frame, &held.vnet).map_err(|_| DropReason::VnetHdrBad)?;
        held.segments = u64::from(superframe.segments());
        held.superframe = Some(superframe);
        Ok(())
    }

    /// Carries out a verdict and counts it; `emit` sends one copy out of a port.
    pub(super) fn conclude(
        &mut self,
        topology: &Topology,
        ingress: &Port,
        verdict: Verdict,
        segments: u64,
        mut emit: impl FnMut(&mut Self, &Port),
    ) {
        let network = &topology.networks[ingress.network];
        let own = &network.counters[self.index];
        let refuse = |worker: &Self, reason| {
            let place = (topology, ingress);
            worker
                .dropping
                .at_port(place, (reason, segments), || worker.source);
        };
        match verdict {
            Verdict::To(id) => match topology.port(id) {
                Some(target) => {
                    own.unicast.add(segments);
                    emit(self, target);
                }
                None => refuse(self, DropReason::NoTarget),
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
                    return match network.bridge.no_flood_reason(&ingress.member, class) {
                        Some(reason) => refuse(self, reason),
                        None => own.consumed.add(segments),
                    };
                }
                // In this order, so that whoever reads a frame as decided also reads its copies.
                own.replicated.add(copies * segments);
                own.flooded.add(segments);
            }
            Verdict::Punt => own.consumed.add(segments),
            Verdict::Drop(reason) => refuse(self, reason),
        }
    }

    pub(super) fn tell_learning(
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
                .map_or_else(String::new, |p| p.name.to_string())
        };
        // What was learned the FDB tells itself.
        let refusal = match learn {
            Some(Learn::Full) => Some("full"),
            Some(Learn::Conflict { .. }) => Some("conflict"),
            _ => None,
        };
        if let Some(reason) = refusal
            && self.limiter.admits(EventKind::Refused, mac.to_u64())
        {
            let happening = Happening::Refused { mac, reason };
            self.record(topology, ingress, happening);
        }
        let event = match learn {
            Some(Learn::Moved { from })
                if self.limiter.admits(EventKind::MacMoved, mac.to_u64()) =>
            {
                Event::MacMoved {
                    network: network.spec.name.clone(),
                    mac,
                    from: name(from),
                    to: ingress.name.to_string(),
                }
            }
            Some(Learn::Full)
                if self
                    .limiter
                    .admits(EventKind::FdbFull, u64::from(ingress.id.get())) =>
            {
                Event::FdbFull {
                    network: network.spec.name.clone(),
                    port: ingress.name.to_string(),
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
                    from: ingress.name.to_string(),
                }
            }
            _ => return,
        };
        self.shared.events.push(event);
    }

    /// Writes into the history what has happened at a port.
    pub(super) fn record(&self, topology: &Topology, port: &Port, happening: Happening) {
        let place = Place::of(topology, port);
        self.shared.history.record(unix_ms(), place, happening);
    }

    /// Counts frames that came to `port` but were never seen here.
    fn lost(&self, (topology, port): (&Topology, &Port), reason: DropReason, frames: u64) {
        port.counters[self.index].rx_frames.add(frames);
        self.dropping
            .at_port((topology, port), (reason, frames), || None);
    }

    /// Asks each packet port of this worker what its socket does not tell by itself: what its queue had no room for, and
    /// that an interface that was down is gone.
    pub(super) fn look_at_packet_ports(&mut self) {
        let topology = self.topology.clone();
        for port in topology.present_ports() {
            let PortIo::Packet { interface, .. } = &port.io else {
                continue;
            };
            if !self.owns(port.id) || port.health.is_gone() {
                continue;
            }
            self.take_overrun((&topology, port), interface);
            if interface.socket.is_gone() {
                self.port_gone(&topology, port, Refusal::Gone);
            }
        }
    }

    /// Counts what packet ports of this worker that `next` has no more have lost since they were last asked: who closes
    /// their sockets asks nothing.
    pub(super) fn leave_packet_ports(&self, next: &Topology) {
        for port in self.topology.present_ports() {
            let PortIo::Packet { interface, .. } = &port.io else {
                continue;
            };
            let stays = next.present_ports().any(|p| {
                matches!(&p.io, PortIo::Packet { interface: same, .. } if Arc::ptr_eq(same, interface))
            });
            if !stays && self.owns(port.id) && !port.health.is_gone() {
                self.take_overrun((&*self.topology, port), interface);
            }
        }
    }

    /// Counts what the queue of a packet port had no room for since it was last asked.
    fn take_overrun(&self, place: (&Topology, &Port), interface: &PacketInterface) {
        match interface.socket.take_drops() {
            0 => {}
            frames => self.lost(place, DropReason::PortOverrun, frames.into()),
        }
    }

    fn port_gone(&mut self, topology: &Topology, port: &Port, refusal: Refusal) {
        match &port.io {
            PortIo::Tap { tap, .. } => tap.queues.iter().for_each(|q| self.stop_watching(q)),
            PortIo::Packet { interface, .. } => {
                self.stop_watching(&interface.socket);
                self.take_overrun((topology, port), interface);
            }
            PortIo::Memory { .. } | PortIo::Tunnel(_) => {}
        }
        if !port.health.mark_gone() {
            return;
        }
        let detail = match refusal {
            Refusal::Other(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
            Refusal::Gone
            | Refusal::Down
            | Refusal::Lost
            | Refusal::Unfinished
            | Refusal::WouldBlock => "device disappeared".into(),
        };
        let Shared {
            history, events, ..
        } = &*self.shared;
        port_end::tell((topology, port), detail, (history, events));
    }
}
