//! ARP and ND suppression: what becomes of a question that the control plane could answer. Pure.
//!
//! As the kernel's `neigh_suppress`: what is known is answered here, what is not known is forwarded. Other than there,
//! whoever probes for a duplicate (RFC 5227 §2.1.1, RFC 4862 §5.4) is answered too, in the form that the RFCs ask for: a
//! duplicate on another host would go unseen otherwise.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{FdbTarget, NeighborSpec, NeighborState, NetworkSpec};
use crate::counter::DropReason;
use crate::note::Note;
use crate::wire::arp::{self, Arp};
use crate::wire::ethernet::{self, ETHERTYPE_ARP, ETHERTYPE_IPV6, Ethernet, HEADER_LEN};
use crate::wire::ip::PROTOCOL_ICMPV6;
use crate::wire::ipv6::Ipv6;
use crate::wire::mac::MacAddr;
use crate::wire::nd::{self, ADVERTISEMENT_LEN, ALL_NODES, Advertisement, Nd, Solicitation};

/// The addresses of a network and who has them. Replaced whole when the control plane knows better.
#[derive(Debug, Default)]
pub struct Neighbors(HashMap<IpAddr, NeighborSpec>);

/// What to do with a frame that entered at a local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// What would be done anyway. The note says why it was not answered, if it could have been.
    Forward(Option<Note>),
    /// The same, but no copy of it goes into a tunnel.
    KeepHere(Note),
    /// Send this back out of the port, and the frame nowhere.
    Answer(Note, Notice),
    /// Drop it: it claims an address for a MAC that does not have it.
    Refuse(DropReason, Claim),
}

/// An address that somebody says is his.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub ip: IpAddr,
    /// Who says so.
    pub claimant: MacAddr,
    /// Who has it.
    pub owner: MacAddr,
}

/// A frame of our own that says who has an address, as if its owner said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    dst: MacAddr,
    owner: MacAddr,
    message: Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Arp(Arp),
    Nd(Advertisement),
}

impl Neighbors {
    /// Of several for one address the last counts.
    pub fn new(specs: &[NeighborSpec]) -> Self {
        Self(specs.iter().map(|spec| (spec.ip, spec.clone())).collect())
    }

    /// Whether [`Neighbors::judge`] has anything to say of a frame: a cheap first look, which takes most frames out.
    pub fn concern(frame: &Ethernet<'_>) -> bool {
        match frame.ethertype() {
            ETHERTYPE_ARP => true,
            ETHERTYPE_IPV6 => {
                let next_header = frame.bytes().get(HEADER_LEN + NEXT_HEADER);
                frame.dst().is_multicast() || next_header == Some(&PROTOCOL_ICMPV6)
            }
            _ => false,
        }
    }

    /// What to do with a frame that a station behind a local port sent. Tagged frames are like any other.
    pub fn judge(&self, frame: &Ethernet<'_>) -> Handling {
        let packet = &frame.bytes()[HEADER_LEN..];
        if frame.ethertype() == ETHERTYPE_ARP {
            return match Arp::read(packet) {
                Some(arp) => self.judge_arp(frame, &arp),
                None => Handling::Forward(Some(Note::ArpNotParsed)),
            };
        }
        let ip = (frame.ethertype() == ETHERTYPE_IPV6).then(|| Ipv6::new(packet));
        match ip.flatten().map(|ip| Nd::read(&ip)) {
            Some(Ok(Some(Nd::Solicitation(asked)))) => self.judge_solicitation(frame, &asked),
            Some(Ok(Some(Nd::Advertisement(told)))) => self.judge_advertisement(&told),
            Some(Err(nd::Invalid)) => Handling::Forward(Some(Note::NdInvalid)),
            Some(Ok(_)) | None => Handling::Forward(None),
        }
    }

    fn judge_arp(&self, frame: &Ethernet<'_>, arp: &Arp) -> Handling {
        let is_known = matches!(arp.operation, arp::REQUEST | arp::REPLY);
        if is_known && arp.sender_ip == arp.target_ip && is_askable(arp.target_ip) {
            return self.judge_announcement(frame, arp);
        }
        match arp.operation {
            // Whoever asks the owner itself wants to know whether it is alive.
            arp::REQUEST if !frame.dst().is_multicast() => {
                Handling::Forward(Some(Note::ArpUnicast))
            }
            arp::REQUEST if is_askable(arp.target_ip) => self.judge_request(frame, arp),
            arp::REQUEST => Handling::Forward(None),
            arp::REPLY => Handling::Forward(Some(Note::ArpReply)),
            _ => Handling::Forward(Some(Note::ArpNotParsed)),
        }
    }

    fn judge_announcement(&self, frame: &Ethernet<'_>, arp: &Arp) -> Handling {
        match self.false_claim(arp.sender_ip.into(), arp.sender_mac) {
            Err(claim) => Handling::Refuse(DropReason::ArpSpoof, claim),
            // Other hosts know it from the control plane.
            Ok(true) if frame.dst().is_multicast() => Handling::KeepHere(Note::ArpGarp),
            Ok(_) => Handling::Forward(Some(Note::ArpGarp)),
        }
    }

    fn judge_request(&self, frame: &Ethernet<'_>, arp: &Arp) -> Handling {
        let question = Question {
            target: arp.target_ip.into(),
            askers: [frame.src(), arp.sender_mac],
            is_probe: arp.sender_ip.is_unspecified(),
        };
        let owner = match self.owner(&question, &ARP) {
            Ok(owner) => owner,
            Err(handling) => return handling,
        };
        let note = match question.is_probe {
            true => Note::ArpProbeAnswered,
            false if arp.sender_mac != frame.src() => Note::ArpShaMismatch,
            false => Note::ArpProxied,
        };
        let notice = Notice {
            // Never to a MAC that only the packet names: it need not be behind that port.
            dst: frame.src(),
            owner: owner.mac,
            message: Message::Arp(Arp {
                operation: arp::REPLY,
                sender_mac: owner.mac,
                sender_ip: arp.target_ip,
                target_mac: arp.sender_mac,
                target_ip: arp.sender_ip,
            }),
        };
        Handling::Answer(note, notice)
    }

    fn judge_solicitation(&self, frame: &Ethernet<'_>, asked: &Solicitation) -> Handling {
        if !frame.dst().is_multicast() {
            return Handling::Forward(Some(Note::NdUnicast));
        }
        if asked.target.is_unspecified() || asked.target.is_loopback() {
            return Handling::Forward(None);
        }
        let asker = asked.link_layer.unwrap_or(frame.src());
        let question = Question {
            target: asked.target.into(),
            askers: [frame.src(), asker],
            is_probe: asked.is_dad(),
        };
        let owner = match self.owner(&question, &ND) {
            Ok(owner) => owner,
            Err(handling) => return handling,
        };
        // RFC 4861 §7.2.4: where the asker has no address yet everybody is told.
        if question.is_probe {
            return Handling::Answer(Note::NdDadAnswered, Notice::to_all(asked.target, owner));
        }
        let notice = Notice {
            dst: if asker.is_multicast() {
                frame.src()
            } else {
                asker
            },
            owner: owner.mac,
            message: Message::Nd(Advertisement {
                dst: asked.src,
                is_solicited: true,
                ..Notice::advertisement(asked.target, owner)
            }),
        };
        Handling::Answer(Note::NdProxied, notice)
    }

    /// Advertisements to everybody are what announcements are in ARP. They all go into tunnels too: with one of them an
    /// owner answers whoever probes for a duplicate, and that may be at a host without suppression.
    fn judge_advertisement(&self, told: &Advertisement) -> Handling {
        let Some(claimant) = told.link_layer.filter(|_| !told.is_solicited) else {
            return Handling::Forward(None);
        };
        match self.false_claim(told.target.into(), claimant) {
            Err(claim) => Handling::Refuse(DropReason::NdSpoof, claim),
            Ok(_) => Handling::Forward(None),
        }
    }

    /// Whether it is known that `claimant` has the address, or an error if it is known that another has.
    fn false_claim(&self, ip: IpAddr, claimant: MacAddr) -> Result<bool, Claim> {
        match self.0.get(&ip) {
            Some(owner) if owner.state != NeighborState::Live => Ok(false),
            Some(owner) if owner.mac == claimant => Ok(true),
            Some(owner) => Err(Claim {
                ip,
                claimant,
                owner: owner.mac,
            }),
            None => Ok(false),
        }
    }

    /// Who has the address, if that is to be answered here; what else to do if not.
    fn owner(&self, question: &Question, notes: &Unanswered) -> Result<&NeighborSpec, Handling> {
        let Some(owner) = self.0.get(&question.target) else {
            return Err(Handling::Forward(Some(notes.flooded)));
        };
        if owner.local {
            // A probe is seen by everybody, as it would be where nothing is known.
            return Err(match question.is_probe {
                true => Handling::Forward(Some(notes.local)),
                false => Handling::KeepHere(notes.local),
            });
        }
        // It has come here, but the control plane does not know yet: it must not be told that another has its address.
        if question.askers.contains(&owner.mac) {
            return Err(Handling::Forward(Some(notes.flooded)));
        }
        match owner.state {
            NeighborState::Live => Ok(owner),
            NeighborState::Stale => Err(Handling::Forward(Some(notes.stale))),
            NeighborState::Dead => Err(Handling::Forward(Some(notes.owner_dead))),
        }
    }
}

impl Notice {
    /// What tells every station that a neighbor has its address, with its MAC, from now on: an ARP announcement
    /// (RFC 5227 §2.3) or an unsolicited advertisement (RFC 4861 §7.2.6).
    pub fn announcement(neighbor: &NeighborSpec) -> Self {
        match neighbor.ip {
            IpAddr::V4(ip) => Self {
                dst: MacAddr::BROADCAST,
                owner: neighbor.mac,
                message: Message::Arp(Arp {
                    operation: arp::REQUEST,
                    sender_mac: neighbor.mac,
                    sender_ip: ip,
                    target_mac: MacAddr::ZERO,
                    target_ip: ip,
                }),
            },
            IpAddr::V6(ip) => Self::to_all(ip, neighbor),
        }
    }

    /// The address that it is about.
    pub fn ip(&self) -> IpAddr {
        match self.message {
            Message::Arp(arp) => arp.sender_ip.into(),
            Message::Nd(told) => told.target.into(),
        }
    }

    /// Who has that address.
    pub fn owner(&self) -> MacAddr {
        self.owner
    }

    /// Writes the frame to `out` and returns its length.
    pub fn emit(&self, out: &mut [u8; NOTICE_LEN]) -> usize {
        let ethertype = match self.message {
            Message::Arp(_) => ETHERTYPE_ARP,
            Message::Nd(_) => ETHERTYPE_IPV6,
        };
        let (header, payload) = out.split_at_mut(HEADER_LEN);
        header.copy_from_slice(&ethernet::emit(self.dst, self.owner, ethertype));
        let len = match &self.message {
            Message::Arp(arp) => {
                payload[..arp::LEN].copy_from_slice(&arp.emit());
                arp::LEN
            }
            Message::Nd(told) => {
                let mut packet = [0; ADVERTISEMENT_LEN];
                let len = told.emit(&mut packet);
                payload.copy_from_slice(&packet);
                len
            }
        };
        HEADER_LEN + len
    }

    fn to_all(ip: Ipv6Addr, owner: &NeighborSpec) -> Self {
        Self {
            dst: nd::multicast_mac(ALL_NODES),
            owner: owner.mac,
            message: Message::Nd(Self::advertisement(ip, owner)),
        }
    }

    fn advertisement(ip: Ipv6Addr, owner: &NeighborSpec) -> Advertisement {
        Advertisement {
            src: ip,
            dst: ALL_NODES,
            target: ip,
            is_router: owner.router,
            is_solicited: false,
            overrides: true,
            link_layer: Some(owner.mac),
        }
    }
}

/// The live neighbors of a network that have another MAC or place than before, or come anew. None if nothing was known
/// before: then nothing that is wrong now can have been told.
pub fn changed(old: &NetworkSpec, new: &NetworkSpec) -> Vec<NeighborSpec> {
    if old.neighbors.is_empty() || (&old.neighbors, &old.fdb) == (&new.neighbors, &new.fdb) {
        return Vec::new();
    }
    let was: HashMap<_, _> = old.neighbors.iter().map(|n| (n.ip, n)).collect();
    let (places_then, places_now) = (places(old), places(new));
    let is_same = |now: &NeighborSpec| {
        was.get(&now.ip).is_some_and(|then| {
            (then.mac, then.local) == (now.mac, now.local)
                && places_then.get(&then.mac) == places_now.get(&now.mac)
        })
    };
    let live = new
        .neighbors
        .iter()
        .filter(|n| n.state == NeighborState::Live);
    live.filter(|now| !is_same(now)).cloned().collect()
}

fn places(spec: &NetworkSpec) -> HashMap<MacAddr, &FdbTarget> {
    spec.fdb
        .iter()
        .map(|entry| (entry.mac, &entry.target))
        .collect()
}

/// Who asks for whom.
struct Question {
    target: IpAddr,
    /// The MACs that the asker goes by.
    askers: [MacAddr; 2],
    /// It asks only to know whether the address is free.
    is_probe: bool,
}

/// How it is noted that a question was not answered here.
struct Unanswered {
    flooded: Note,
    local: Note,
    stale: Note,
    owner_dead: Note,
}

const ARP: Unanswered = Unanswered {
    flooded: Note::ArpFlooded,
    local: Note::ArpLocal,
    stale: Note::ArpStale,
    owner_dead: Note::ArpOwnerDead,
};

const ND: Unanswered = Unanswered {
    flooded: Note::NdFlooded,
    local: Note::NdLocal,
    stale: Note::NdStale,
    owner_dead: Note::NdOwnerDead,
};

/// Whether anybody can have the address.
fn is_askable(ip: Ipv4Addr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast())
}

/// Room for any [`Notice`].
pub const NOTICE_LEN: usize = HEADER_LEN + ADVERTISEMENT_LEN;

/// Offset in the IPv6 header.
const NEXT_HEADER: usize = 6;

#[cfg(test)]
mod tests;
