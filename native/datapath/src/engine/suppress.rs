//! ARP and ND suppression where frames enter, and announcements when the control plane knows better than before.
//!
//! What is sent are frames that this host makes, each out of one local port and learned by nobody.

use std::net::IpAddr;
use std::sync::mpsc::Sender;

use super::capture::Fate;
use super::history::Happening;
use super::outbox::Held;
use super::topology::{Network, Port, PortIo, Topology};
use super::worker::{EventKind, Worker};
use crate::config::NeighborSpec;
use crate::counter::DropReason;
use crate::event::Event;
use crate::note::Note;
use crate::switch::neighbor::{self, Claim, Handling, NOTICE_LEN, Notice};
use crate::switch::{Neighbors, Verdict};
use crate::wire::ethernet::Ethernet;

/// Neighbors of one network that its stations are to hear of.
pub(crate) struct News {
    /// Index into the networks of the picture that is the newest when this is sent.
    network: usize,
    neighbors: Vec<NeighborSpec>,
}

/// What is to be told about `new` to those who knew `old`, in pieces that hold a worker up for about a millisecond.
pub(super) fn news(old: &Topology, new: &Topology) -> Vec<News> {
    let mut all = Vec::new();
    for (index, network) in new.networks.iter().enumerate() {
        let same_name = |n: &&Network| n.spec.name == network.spec.name;
        let Some(before) = old.networks.iter().find(same_name) else {
            continue;
        };
        let changed = neighbor::changed(&before.spec, &network.spec);
        let at_once = PIECE_FRAMES.div_ceil(network.spec.ports.len().max(1));
        all.extend(changed.chunks(at_once).map(|piece| News {
            network: index,
            neighbors: piece.to_vec(),
        }));
    }
    all
}

impl Worker {
    /// The verdict about a frame that entered at `port` and concerns the network's neighbors; `None` if it has been dealt
    /// with. What `verdict` drops or consumes stays so.
    pub(super) fn suppress(
        &mut self,
        topology: &Topology,
        (port, neighbors): (&Port, &Neighbors),
        held: &Held,
        verdict: Verdict,
    ) -> Option<Verdict> {
        let (Some(frame), Verdict::To(_) | Verdict::Flood(_)) =
            (Ethernet::new(self.outbox.frame(held)), verdict)
        else {
            return Some(verdict);
        };
        let network = &topology.networks[port.network];
        let notes = &port.counters[self.index].notes;
        match neighbors.judge(&frame) {
            Handling::Forward(note) => {
                if let Some(note) = note {
                    notes.add(note, held.segments);
                }
                Some(verdict)
            }
            Handling::KeepHere(note) => {
                notes.add(note, held.segments);
                Some(verdict.kept_here())
            }
            Handling::Refuse(reason, claim) => {
                self.tell_claim(network, port, claim);
                Some(Verdict::Drop(reason))
            }
            Handling::Answer(note, notice) => {
                let now_us = self.shared.epoch.elapsed().as_micros() as u64;
                if !port.health.answered.take(now_us) {
                    return Some(Verdict::Drop(DropReason::ArpRateLimited));
                }
                let frames = held.segments;
                let fate = (Fate::Answered(note), [].as_slice());
                self.recorder
                    .decide((port.id, frames), fate, self.outbox.frame(held));
                let subject = subject_of(notice.ip()) ^ (port.network as u64) << 32;
                if self.limiter.admits(EventKind::Answered, subject) {
                    let (ip, mac) = (notice.ip(), notice.owner());
                    self.record(topology, port, Happening::Answered { ip, mac });
                }
                self.send_notice(topology, port, (&notice, note));
                // Last, so that whoever reads where the question went also reads the answer.
                network.counters[self.index].consumed.add(held.segments);
                None
            }
        }
    }

    /// Tells the local ports of a network, but for an owner's own, of neighbors that have changed; then says it is done.
    pub(super) fn announce(&mut self, news: &News, done: &Sender<()>) {
        let topology = self.topology.clone();
        self.recorder.begin_batch();
        if let Some(network) = topology.networks.get(news.network).filter(|n| n.spec.up) {
            for neighbor in &news.neighbors {
                let notice = Notice::announcement(neighbor);
                let note = match neighbor.ip {
                    IpAddr::V4(_) => Note::ArpGarpSent,
                    IpAddr::V6(_) => Note::NdNaSent,
                };
                let behind = network.bridge.fdb().lookup(neighbor.mac);
                for port in topology.present_ports() {
                    // Its own station would take an address that is still tentative for a duplicate (RFC 4862 §5.4.4).
                    let is_owner = port.member.mac == Some(neighbor.mac) || behind == Some(port.id);
                    let is_local = !matches!(port.io, PortIo::Tunnel(_));
                    if port.network == news.network && is_local && !is_owner {
                        self.send_notice(&topology, port, (&notice, note));
                    }
                }
            }
        }
        // Nobody listens any more if the control side gave up waiting.
        let _ = done.send(());
    }

    fn send_notice(&mut self, topology: &Topology, port: &Port, (notice, note): (&Notice, Note)) {
        let mut frame = [0; NOTICE_LEN];
        let len = notice.emit(&mut frame);
        self.send_made(topology, port, &frame[..len]);
        port.counters[self.index].notes.add(note, 1);
    }

    fn tell_claim(&mut self, network: &Network, port: &Port, claim: Claim) {
        if self
            .limiter
            .admits(EventKind::IpConflict, subject_of(claim.ip))
        {
            self.shared.events.push(Event::IpConflict {
                network: network.spec.name.clone(),
                port: port.name.to_string(),
                ip: claim.ip,
                claimant: claim.claimant,
                owner: claim.owner,
            });
        }
    }
}

/// A number for an address, to limit events by.
fn subject_of(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64 ^ u128::from(ip) as u64,
    }
}

/// Announcements in one piece.
const PIECE_FRAMES: usize = 1024;
