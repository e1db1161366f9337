//! Frames that do not fit: the port where they came in, or the path to a VTEP. Their senders are told by ICMP.
//!
//! The answer is a frame that this host makes, sent out of the port where the offender came from and learned by nobody.

use super::capture::Fate;
use super::dropping::source_of;
use super::outbox::Held;
use super::topology::{Port, PortIo, Topology};
use super::worker::Worker;
use crate::counter::DropReason;
use crate::note::Note;
use crate::offload::clamp_mss;
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::icmp::{self, Answer, V6_LEAST_MTU};
use crate::wire::vxlan;
use crate::wire::{ipv4, ipv6, udp};

/// Whether a frame that came in at `port`, or a superframe's longest of `len` bytes, is longer than its MTU allows. The kernel does not see to that: whoever holds
/// a TAP's other end may raise its MTU, and a raw socket need not keep to it.
pub(super) fn is_oversize(port: &Port, len: usize, ethernet: &Ethernet<'_>) -> bool {
    let mtu = port.io.mtu().unwrap_or(usize::MAX - ethernet::HEADER_LEN);
    // Nearly always it ends here, without a look at tags.
    len > mtu + ethernet::HEADER_LEN && len - ethernet.network().1 > mtu
}

impl Worker {
    /// Whether the frame may go out of `target`. Of one that does not fit the path, the copy is counted as dropped, and
    /// `narrowest` becomes the largest frame that fits all paths so far. A SYN's MSS is lowered to what fits.
    pub(super) fn passes(
        &mut self,
        topology: &Topology,
        target: &Port,
        held: &Held,
        narrowest: &mut Option<usize>,
    ) -> bool {
        if !matches!(target.io, PortIo::Tunnel(_)) {
            return true;
        }
        let room = room(topology, target);
        let counters = &target.counters[self.index];
        match check(topology, room, longest(held), self.outbox.frame(held)) {
            Ok(true) => {}
            Ok(false) => {
                counters.notes.add(Note::Fragmented, held.segments);
                return true;
            }
            Err(reason) => {
                let source = || source_of(self.outbox.frame(held));
                let dropped = (reason, held.segments);
                self.dropping.at_port((topology, target), dropped, source);
                let limit = Some(target.health.path.limit());
                self.refuse_copy(target, held, Fate::Dropped { reason, limit });
                *narrowest = Some(narrowest.map_or(room, |narrowest| narrowest.min(room)));
                return false;
            }
        }
        let is_clamping = topology.networks[target.network].spec.mss_clamp;
        // A superframe carries data, so it is no SYN.
        if is_clamping && held.superframe.is_none() {
            let is_partial = held.vnet.needs_csum;
            if clamp_mss(self.outbox.frame_mut(held), room, is_partial).is_some() {
                counters.notes.add(Note::MssClamped, 1);
            }
        }
        true
    }

    /// Whether the frame fits the path to the VTEP.
    pub(super) fn fits(&self, topology: &Topology, tunnel: &Port, held: &Held) -> bool {
        longest(held) <= room(topology, tunnel)
    }

    /// Tells the sender of a frame, which entered at `port`, that only frames of `room` bytes fit its way.
    pub(super) fn tell_too_big(
        &mut self,
        topology: &Topology,
        port: &Port,
        held: &Held,
        room: usize,
    ) {
        let offset = Ethernet::new(self.outbox.frame(held)).map_or(0, |e| e.network().1);
        self.tell(topology, port, held, room.saturating_sub(offset));
    }

    /// The same where the port itself is what it does not fit.
    pub(super) fn tell_oversize(&mut self, topology: &Topology, port: &Port, held: &Held) {
        self.tell(topology, port, held, port.io.mtu().unwrap_or(0));
    }

    fn tell(&mut self, topology: &Topology, port: &Port, held: &Held, mtu: usize) {
        let notes = &port.counters[self.index].notes;
        let told_more = (mtu as u32) < V6_LEAST_MTU;
        let (sent, mtu) = match to_be_told(self.outbox.frame(held), mtu) {
            Ok(told) => told,
            Err(Some(untold)) => return notes.add(untold, 1),
            Err(None) => return,
        };
        let now_us = self.shared.epoch.elapsed().as_micros() as u64;
        if !port.health.told.take(now_us) {
            return notes.add(Note::RateLimited, 1);
        }
        let frame = self.outbox.frame(held);
        let offender = match &held.superframe {
            Some(superframe) => {
                self.finish.resize(superframe.segment_len(), 0);
                match superframe.first(frame, &mut self.finish) {
                    Ok(len) => &self.finish[..len],
                    Err(_) => frame,
                }
            }
            None => frame,
        };
        let mut message = [0; icmp::MAX_LEN];
        let longest = port.io.mtu().unwrap_or(usize::MAX);
        let Some(len) = icmp::too_big(offender, mtu, longest, &mut message) else {
            return notes.add(Note::Suppressed, 1);
        };
        self.send_made(topology, port, &message[..len]);
        notes.add(sent, 1);
        if sent == Note::Ptb6Sent && told_more {
            notes.add(Note::Ptb6Least, 1);
        }
    }
}

/// Whether a frame whose longest part has `len` bytes fits the path that has `room` for so many. `false`: it does not, but is
/// to be sent all the same.
pub(super) fn check(
    topology: &Topology,
    room: usize,
    len: usize,
    frame: &[u8],
) -> Result<bool, DropReason> {
    if len <= room || topology.vtep.allow_outer_fragmentation {
        return Ok(len <= room);
    }
    Err(match icmp::answer(frame) {
        Answer::V4 | Answer::V6 | Answer::Withheld => DropReason::TooBig,
        Answer::MayFragment => DropReason::TooBigNodf,
        Answer::Nothing => DropReason::TooBigNoicmp,
    })
}

/// What the sender of a frame that is too big for `mtu` is told, and under which note; if nothing, the note, if there is one.
pub(super) fn to_be_told(frame: &[u8], mtu: usize) -> Result<(Note, u32), Option<Note>> {
    match icmp::answer(frame) {
        Answer::V4 => Ok((Note::PtbSent, mtu as u32)),
        Answer::V6 => Ok((Note::Ptb6Sent, (mtu as u32).max(V6_LEAST_MTU))),
        Answer::Withheld => Err(Some(Note::Suppressed)),
        Answer::MayFragment | Answer::Nothing => Err(None),
    }
}

/// Length of the longest frame that it will be on the wire.
pub(super) fn longest(held: &Held) -> usize {
    match &held.superframe {
        Some(superframe) => superframe.segment_len(),
        None => held.len(),
    }
}

/// The longest frame that the path to a tunnel's VTEP takes.
pub(super) fn room(topology: &Topology, tunnel: &Port) -> usize {
    (tunnel.health.path.limit() as usize).saturating_sub(overhead(topology))
}

/// What the outer IP packet has beside the frame, bytes.
pub(super) fn overhead(topology: &Topology) -> usize {
    let outer = match topology.vtep.address.is_ipv4() {
        true => ipv4::HEADER_LEN,
        false => ipv6::HEADER_LEN,
    };
    outer + udp::HEADER_LEN + vxlan::HEADER_LEN
}
