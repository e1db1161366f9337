//! From the decision about a frame to its copies.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Ending, Kind, Outcome, Step, TracedCopy, TracedOuter, Tracer, Way};
use crate::config::TunnelKey;
use crate::counter::DropReason;
use crate::engine::capture::Mark;
use crate::engine::delivery::{self, Departing};
use crate::engine::egress;
use crate::engine::merges::departing;
use crate::engine::path_mtu::UNLIMITED;
use crate::engine::too_big::{check, overhead, room, to_be_told};
use crate::engine::topology::{Network, Port, PortIo, Topology};
use crate::note::Note;
use crate::offload::clamp_mss;
use crate::switch::bridge::Foreseen;
use crate::switch::neighbor::Handling;
use crate::switch::{FloodClass, Learn, Neighbors, PortId, Verdict};
use crate::wire::ethernet::Ethernet;
use crate::wire::flow::flow_hash;
use crate::wire::icmp;
use crate::wire::mac::MacAddr;
use crate::wire::vnet::VnetHeader;

impl Tracer {
    /// What the switch decides about an admitted frame that entered at `port`, and where its copies go.
    pub(super) fn forward(
        &mut self,
        topology: &Topology,
        port: &Port,
        frame: Vec<u8>,
    ) -> Way<Ending> {
        let Some(ethernet) = Ethernet::new(&frame) else {
            return Err(self.refuse(Step::new(Kind::Frame), DropReason::TooShortInner));
        };
        let network = &topology.networks[port.network];
        let (src, dst) = (ethernet.src(), ethernet.dst());
        let foreseen = network.bridge.foresee(&port.member, &ethernet);
        let mut verdict = foreseen.decision.verdict;
        self.explain_learning(topology, port, (src, dst), &foreseen)?;
        self.explain_lookup(topology, dst, &foreseen)?;
        let neighbors = network.neighbors.as_ref();
        let is_local = !matches!(port.io, PortIo::Tunnel(_));
        if let Some(neighbors) = neighbors.filter(|_| is_local && Neighbors::concern(&ethernet)) {
            verdict = self.suppress(port, (neighbors, &ethernet), verdict)?;
        }
        self.conclude(topology, port, verdict, frame)
    }

    fn explain_learning(
        &mut self,
        topology: &Topology,
        port: &Port,
        (src, dst): (MacAddr, MacAddr),
        foreseen: &Foreseen,
    ) -> Way<()> {
        let refusal = match foreseen.decision.verdict {
            Verdict::Drop(reason) => Some(reason),
            Verdict::To(_) | Verdict::Flood(_) | Verdict::Punt => None,
        };
        let addresses = |mac| Step {
            mac: Some(mac),
            ..Step::new(Kind::Addresses)
        };
        let Some(learn) = foreseen.decision.learn else {
            let reason = refusal.unwrap_or(DropReason::SrcMacZero);
            let is_src = matches!(reason, DropReason::SrcMacMcast | DropReason::SrcMacZero);
            let culprit = if is_src { src } else { dst };
            return Err(self.refuse(addresses(culprit), reason));
        };
        let network = &topology.networks[port.network];
        let step = Step {
            mac: Some(src),
            port: Some(port.name.clone()),
            evicted: foreseen.evicted,
            ..Step::new(Kind::Learn)
        };
        let name = |id| name_of(topology, id).map(|name| name.to_string());
        let step = match learn {
            Learn::Known if !network.bridge.learns() => step.came_to(Outcome::Off),
            Learn::Known => step.came_to(Outcome::Known),
            Learn::Learned => step.came_to(Outcome::Learned),
            Learn::Full => step.came_to(Outcome::Full),
            Learn::Moved { from } => Step {
                from: name(from),
                ..step.came_to(Outcome::Moved)
            },
            Learn::Conflict { owner } => {
                self.note(Step {
                    from: name(owner),
                    origin: network.bridge.fdb().entry(src).map(|e| e.origin),
                    reason: refusal,
                    ..step.came_to(Outcome::Conflict)
                });
                return Err(Ending::Drop(
                    refusal.unwrap_or(DropReason::FdbStaticConflict),
                ));
            }
        };
        self.note(step);
        match refusal {
            Some(reason @ DropReason::SrcEqDst) => Err(self.refuse(addresses(src), reason)),
            _ => Ok(()),
        }
    }

    fn explain_lookup(
        &mut self,
        topology: &Topology,
        dst: MacAddr,
        foreseen: &Foreseen,
    ) -> Way<()> {
        let step = Step {
            mac: Some(dst),
            ..Step::new(Kind::Lookup)
        };
        let found = foreseen.found.map(|entry| (entry.port, entry.origin));
        let verdict = foreseen.decision.verdict;
        let step = match (verdict, found) {
            (Verdict::Punt, found) => Step {
                origin: found.map(|(_, origin)| origin),
                ..step.came_to(Outcome::Here)
            },
            (Verdict::Flood(FloodClass::Broadcast | FloodClass::BroadcastHere), _) => {
                step.came_to(Outcome::Broadcast)
            }
            (Verdict::Flood(FloodClass::Multicast | FloodClass::MulticastHere), _) => {
                step.came_to(Outcome::Multicast)
            }
            (Verdict::Flood(FloodClass::UnknownUnicast), _)
            | (Verdict::Drop(DropReason::UuSuppressed), _)
            | (_, None) => step.came_to(Outcome::Unknown),
            (Verdict::To(_) | Verdict::Drop(_), Some((port, origin))) => Step {
                port: name_of(topology, port),
                remote: remote_of(topology, port),
                origin: Some(origin),
                ..step.came_to(Outcome::Found)
            },
        };
        match verdict {
            Verdict::Drop(reason) => {
                self.note(Step {
                    reason: Some(reason),
                    ..step
                });
                Err(Ending::Drop(reason))
            }
            Verdict::To(_) | Verdict::Flood(_) | Verdict::Punt => {
                self.note(step);
                Ok(())
            }
        }
    }

    /// As the worker's: what `verdict` drops or consumes stays so.
    fn suppress(
        &mut self,
        port: &Port,
        (neighbors, frame): (&Neighbors, &Ethernet<'_>),
        verdict: Verdict,
    ) -> Way<Verdict> {
        if !matches!(verdict, Verdict::To(_) | Verdict::Flood(_)) {
            return Ok(verdict);
        }
        let step = Step::new(Kind::Neighbor);
        match neighbors.judge(frame) {
            Handling::Forward(None) => Ok(verdict),
            Handling::Forward(note) => {
                self.note(Step {
                    note,
                    ..step.came_to(Outcome::Forwarded)
                });
                Ok(verdict)
            }
            Handling::KeepHere(note) => {
                self.note(Step {
                    note: Some(note),
                    ..step.came_to(Outcome::KeptHere)
                });
                Ok(verdict.kept_here())
            }
            Handling::Refuse(reason, claim) => {
                let step = Step {
                    ip: Some(claim.ip),
                    mac: Some(claim.owner),
                    from: Some(claim.claimant.to_string()),
                    ..step
                };
                Err(self.refuse(step, reason))
            }
            Handling::Answer(note, notice) => {
                let step = Step {
                    ip: Some(notice.ip()),
                    mac: Some(notice.owner()),
                    note: Some(note),
                    ..step
                };
                if !port.health.answered.has_one(self.now_us) {
                    let step = Step { note: None, ..step };
                    return Err(self.refuse(step, DropReason::ArpRateLimited));
                }
                self.note(step.came_to(Outcome::Answered));
                Err(Ending::Consumed)
            }
        }
    }

    fn conclude(
        &mut self,
        topology: &Topology,
        ingress: &Port,
        verdict: Verdict,
        mut frame: Vec<u8>,
    ) -> Way<Ending> {
        let network = &topology.networks[ingress.network];
        let (targets, ending): (Vec<&Port>, _) = match verdict {
            Verdict::To(id) => (topology.port(id).into_iter().collect(), Ending::To),
            Verdict::Flood(class) => {
                let members = network.bridge.flood(&ingress.member, class);
                let targets: Vec<_> = members.filter_map(|m| topology.port(m.id)).collect();
                self.explain_flood(network, ingress, class, targets.is_empty())?;
                (targets, Ending::Flood)
            }
            Verdict::Punt => return Ok(Ending::Consumed),
            Verdict::Drop(reason) => return Ok(Ending::Drop(reason)),
        };
        if targets.is_empty() {
            return Ok(Ending::Drop(DropReason::NoTarget));
        }
        let is_local = !matches!(ingress.io, PortIo::Tunnel(_));
        let mut narrowest: Option<usize> = None;
        for target in targets {
            let copy = match &target.io {
                PortIo::Tunnel(key) if is_local => {
                    let room = room(topology, target);
                    let copy = datagram(topology, (target, key), &mut frame);
                    if copy.reason.is_some() {
                        narrowest = Some(narrowest.map_or(room, |n| n.min(room)));
                    }
                    copy
                }
                PortIo::Tap { .. }
                | PortIo::Packet { .. }
                | PortIo::Memory { .. }
                | PortIo::Tunnel(_) => local(target, &frame, is_local),
            };
            self.copies.push(copy);
        }
        if let Some(room) = narrowest {
            let offset = Ethernet::new(&frame).map_or(0, |e| e.network().1);
            let (mtu, note) = self.told(ingress, &frame, room.saturating_sub(offset));
            let is_told = matches!(note, Some(Note::PtbSent | Note::Ptb6Sent));
            let outcome = if is_told {
                Outcome::Told
            } else {
                Outcome::Untold
            };
            self.note(Step {
                port: Some(ingress.name.clone()),
                mtu: Some(mtu),
                note,
                ..Step::new(Kind::TooBig).came_to(outcome)
            });
        }
        Ok(ending)
    }

    fn explain_flood(
        &mut self,
        network: &Network,
        ingress: &Port,
        class: FloodClass,
        reaches_nobody: bool,
    ) -> Way<()> {
        let class_name = match class {
            FloodClass::Broadcast | FloodClass::BroadcastHere => "broadcast",
            FloodClass::Multicast | FloodClass::MulticastHere => "multicast",
            FloodClass::UnknownUnicast => "unknownUnicast",
        };
        let step = Step {
            detail: Some(class_name.into()),
            ..Step::new(Kind::Flood)
        };
        if !reaches_nobody {
            self.note(step.came_to(Outcome::Copies));
            return Ok(());
        }
        match network.bridge.no_flood_reason(&ingress.member, class) {
            Some(reason) => Err(self.refuse(step, reason)),
            None => {
                self.note(step.came_to(Outcome::KeptHere));
                Err(Ending::Consumed)
            }
        }
    }

    /// The MTU that the sender of a frame that does not fit is told, and under which note that, or that it is not told, is
    /// counted.
    pub(super) fn told(&self, port: &Port, frame: &[u8], mtu: usize) -> (u32, Option<Note>) {
        let (sent, mtu) = match to_be_told(frame, mtu) {
            Ok(told) => told,
            Err(untold) => return (mtu as u32, untold),
        };
        if !port.health.told.has_one(self.now_us) {
            return (mtu, Some(Note::RateLimited));
        }
        let longest = port.io.mtu().unwrap_or(usize::MAX);
        let mut message = [0; icmp::MAX_LEN];
        let message = icmp::too_big(frame, mtu, longest, &mut message);
        (mtu, Some(message.map_or(Note::Suppressed, |_| sent)))
    }
}

/// A copy through a tunnel. A SYN's MSS is lowered in `frame`, as it is for the copies after it.
fn datagram(
    topology: &Topology,
    (tunnel, key): (&Port, &TunnelKey),
    frame: &mut [u8],
) -> TracedCopy {
    let room = room(topology, tunnel);
    let checked = check(topology, room, frame.len(), frame);
    let may_clamp = checked == Ok(true) && topology.networks[tunnel.network].spec.mss_clamp;
    let mss = may_clamp.then(|| clamp_mss(frame, room, false)).flatten();
    let note = match checked {
        Ok(false) => Some(Note::Fragmented),
        _ => mss.map(|_| Note::MssClamped),
    };
    let hash = flow_hash(frame, topology.vtep.symmetric_hash);
    let socket = egress::style(topology, tunnel).socket(hash);
    let limit = tunnel.health.path.limit();
    TracedCopy {
        reason: checked.err(),
        note,
        mss,
        outer: Some(TracedOuter {
            remote: key.remote,
            source_port: egress::source_port(topology, socket),
            vni: key.vni,
            path_mtu: (limit != UNLIMITED).then_some(limit),
        }),
        length: overhead(topology) + frame.len(),
        ..copy_at(tunnel)
    }
}

/// A copy out of a local port.
fn local(port: &Port, frame: &[u8], is_from_here: bool) -> TracedCopy {
    let departing = match is_from_here {
        true => Departing::finished(frame, Mark::NONE),
        false => departing(port, frame, &VnetHeader::NONE),
    };
    TracedCopy {
        reason: delivery::check(port, &departing).err(),
        length: frame.len(),
        ..copy_at(port)
    }
}

fn copy_at(port: &Port) -> TracedCopy {
    TracedCopy {
        port: port.name.clone(),
        kind: port.io.kind(),
        reason: None,
        note: None,
        mss: None,
        outer: None,
        length: 0,
    }
}

/// `None` is this host itself.
fn name_of(topology: &Topology, id: PortId) -> Option<Arc<str>> {
    topology.port(id).map(|p| p.name.clone())
}

fn remote_of(topology: &Topology, id: PortId) -> Option<IpAddr> {
    match &topology.port(id)?.io {
        PortIo::Tunnel(key) => Some(key.remote.ip()),
        PortIo::Tap { .. } | PortIo::Packet { .. } | PortIo::Memory { .. } => None,
    }
}
