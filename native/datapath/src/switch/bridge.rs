//! One network's part on this host: admits frames, learns where they come from, decides where they go. Pure.

use super::fdb::{Entry, Fdb, Learn};
use super::port::{Member, PortId};
use crate::config::{BridgeRules, PriorityTag, VlanPolicy};
use crate::counter::DropReason;
use crate::wire::ethernet::{Ethernet, is_link_local_control};
use crate::wire::mac::MacAddr;

use std::cell::Cell;
use std::sync::Arc;

/// What to do with a frame. One verdict per superframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it out of this port.
    To(PortId),
    /// Send a copy out of every port that [`Bridge::flood`] names.
    Flood(FloodClass),
    /// It is for this host itself.
    Punt,
    /// Drop it.
    Drop(DropReason),
}

/// Why a frame is flooded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "802.1Q's own words")]
pub enum FloodClass {
    Broadcast,
    Multicast,
    UnknownUnicast,
    /// A broadcast that concerns no split-horizon group, so that no tunnel gets it.
    BroadcastHere,
    /// A multicast of that kind.
    MulticastHere,
}

impl Verdict {
    /// The same without a copy of a flooded frame to any split-horizon group.
    #[must_use]
    pub fn kept_here(self) -> Self {
        match self {
            Self::Flood(class) => Self::Flood(class.kept_here()),
            other => other,
        }
    }
}

impl FloodClass {
    /// The same without a copy to any split-horizon group. Unknown unicast stays what it is: its station may be anywhere.
    #[must_use]
    pub fn kept_here(self) -> Self {
        match self {
            Self::Broadcast | Self::BroadcastHere => Self::BroadcastHere,
            Self::Multicast | Self::MulticastHere => Self::MulticastHere,
            Self::UnknownUnicast => Self::UnknownUnicast,
        }
    }

    /// Whether it is of that kind, so that it is not amiss if nobody gets it.
    fn is_kept_here(self) -> bool {
        matches!(self, Self::BroadcastHere | Self::MulticastHere)
    }
}

/// A verdict and what was learned on the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What to do with the frame.
    pub verdict: Verdict,
    /// What became of its source MAC; `None` if learning was not reached.
    pub learn: Option<Learn>,
}

/// What [`Bridge::forward`] would do, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreseen {
    /// What it would return.
    pub decision: Decision,
    /// The station that would be forgotten to learn the source.
    pub evicted: Option<MacAddr>,
    /// The entry of the destination, if it was looked up and is there.
    pub found: Option<Entry>,
}

/// What must happen to a frame before it is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Nothing.
    AsIs,
    /// Its priority tag comes off.
    StripTag,
}

/// The bridge. Its members and rules are replaced by replacing the bridge; the FDB stays.
#[derive(Clone)]
pub struct Bridge {
    rules: BridgeRules,
    members: Vec<Member>,
    fdb: Arc<Fdb>,
}

impl Bridge {
    /// A bridge over an FDB that it may share with its predecessor.
    pub fn new(rules: BridgeRules, mut members: Vec<Member>, fdb: Arc<Fdb>) -> Self {
        members.sort_by_key(|m| m.id);
        Self {
            rules,
            members,
            fdb,
        }
    }

    /// The same with a member more.
    #[must_use]
    pub fn with(&self, member: Member) -> Self {
        let members = self.members.iter().cloned().chain([member]).collect();
        Self::new(self.rules.clone(), members, self.fdb.clone())
    }

    /// The same without a member.
    #[must_use]
    pub fn without(&self, id: PortId) -> Self {
        let members = self
            .members
            .iter()
            .filter(|m| m.id != id)
            .cloned()
            .collect();
        Self::new(self.rules.clone(), members, self.fdb.clone())
    }

    /// Its forwarding database.
    pub fn fdb(&self) -> &Arc<Fdb> {
        &self.fdb
    }

    /// The member with this number.
    pub fn member(&self, id: PortId) -> Option<&Member> {
        self.members
            .binary_search_by_key(&id, |m| m.id)
            .ok()
            .map(|i| &self.members[i])
    }

    /// Whether the bridge takes the frame at all: its VLAN tag (RFC 7348 §6.1).
    pub fn admit(&self, frame: &Ethernet<'_>) -> Result<Admission, DropReason> {
        if frame.has_broken_tag() {
            return Err(DropReason::TooShortInner);
        }
        let Some(tag) = frame.tag() else {
            return Ok(Admission::AsIs);
        };
        match &self.rules.vlan {
            VlanPolicy::Allow(vids) => {
                let allowed = vids.is_empty() || vids.iter().any(|range| range.contains(&tag.vid));
                if allowed {
                    Ok(Admission::AsIs)
                } else {
                    Err(DropReason::InnerVlanDenied)
                }
            }
            VlanPolicy::Discard if tag.vid == 0 => match self.rules.priority_tag {
                PriorityTag::Strip => Ok(Admission::StripTag),
                PriorityTag::Drop => Err(DropReason::InnerPrioTag),
            },
            VlanPolicy::Discard => Err(DropReason::InnerVlan),
        }
    }

    /// Decides about an admitted frame that entered at `ingress`, and learns its source.
    pub fn forward(&self, ingress: &Member, frame: &Ethernet<'_>, now_secs: u32) -> Decision {
        let learn = |src| self.fdb.learn(src, ingress.id, ingress.max_macs, now_secs);
        self.judge(ingress, frame, learn, |dst| self.fdb.lookup(dst))
    }

    /// What [`Bridge::forward`] would decide and learn at this moment.
    pub fn foresee(&self, ingress: &Member, frame: &Ethernet<'_>) -> Foreseen {
        let (evicted, found) = (Cell::new(None), Cell::new(None));
        let learn = |src| {
            let foreseen = self.fdb.foresee(src, ingress.id, ingress.max_macs);
            evicted.set(foreseen.evicted);
            foreseen.learn
        };
        let lookup = |dst| {
            let entry = self.fdb.entry(dst);
            let entry = entry.filter(|e| Some(e.mac) != evicted.get());
            found.set(entry);
            entry.map(|e| e.port)
        };
        Foreseen {
            decision: self.judge(ingress, frame, learn, lookup),
            evicted: evicted.get(),
            found: found.get(),
        }
    }

    /// Whether it learns source MACs.
    pub fn learns(&self) -> bool {
        self.rules.learning
    }

    /// The decision, given what becomes of a source that is to be learned and where a destination is.
    #[inline]
    fn judge(
        &self,
        ingress: &Member,
        frame: &Ethernet<'_>,
        learn: impl FnOnce(MacAddr) -> Learn,
        lookup: impl FnOnce(MacAddr) -> Option<PortId>,
    ) -> Decision {
        let (src, dst) = (frame.src(), frame.dst());
        if let Err(reason) = self.check_addresses(src, dst) {
            return Decision {
                verdict: Verdict::Drop(reason),
                learn: None,
            };
        }
        let learn = match self.rules.learning {
            true => learn(src),
            false => self.check_source(ingress, src),
        };
        let verdict = match learn {
            Learn::Conflict { owner } => Verdict::Drop(self.conflict(src, owner)),
            _ if src == dst => Verdict::Drop(DropReason::SrcEqDst),
            _ => self.decide(ingress, dst, lookup),
        };
        Decision {
            verdict,
            learn: Some(learn),
        }
    }

    /// The members that get a copy of a frame flooded from `ingress`.
    pub fn flood<'a>(
        &'a self,
        ingress: &'a Member,
        class: FloodClass,
    ) -> impl Iterator<Item = &'a Member> + 'a {
        self.members.iter().filter(move |member| {
            member.id != ingress.id && !same_group(member, ingress) && wants(member, class)
        })
    }

    /// Why [`Bridge::flood`] names nobody; `None` if that is not amiss.
    pub fn no_flood_reason(&self, ingress: &Member, class: FloodClass) -> Option<DropReason> {
        if class.is_kept_here() {
            return None;
        }
        let kept_back =
            |m: &&Member| m.id != ingress.id && same_group(m, ingress) && wants(m, class);
        Some(match self.members.iter().any(|m| kept_back(&m)) {
            true => DropReason::SplitHorizon,
            false => DropReason::NoTarget,
        })
    }

    fn check_addresses(&self, src: MacAddr, dst: MacAddr) -> Result<(), DropReason> {
        if src.is_multicast() {
            return Err(DropReason::SrcMacMcast);
        }
        if src.is_zero() {
            return Err(DropReason::SrcMacZero);
        }
        if dst.is_zero() {
            return Err(DropReason::DstMacZero);
        }
        match is_link_local_control(dst) {
            // 802.1Q table 8-1: bridge group address, pause and slow protocols never leave their link.
            Some(n) if n <= 2 || self.rules.group_forward_mask & 1 << n == 0 => {
                Err(DropReason::L2ctrlFiltered)
            }
            _ => Ok(()),
        }
    }

    /// What stands for learning where it is off.
    fn check_source(&self, ingress: &Member, src: MacAddr) -> Learn {
        match self.fdb.entry(src) {
            Some(entry) if entry.port != ingress.id && self.rules.strict_source => {
                Learn::Conflict { owner: entry.port }
            }
            _ => Learn::Known,
        }
    }

    fn conflict(&self, src: MacAddr, owner: PortId) -> DropReason {
        match self.member(owner) {
            Some(member) if member.mac == Some(src) => DropReason::SrcMacLocal,
            _ => DropReason::FdbStaticConflict,
        }
    }

    fn decide(
        &self,
        ingress: &Member,
        dst: MacAddr,
        lookup: impl FnOnce(MacAddr) -> Option<PortId>,
    ) -> Verdict {
        if dst == MacAddr::BROADCAST {
            return Verdict::Flood(FloodClass::Broadcast);
        }
        if dst.is_multicast() {
            return Verdict::Flood(FloodClass::Multicast);
        }
        match lookup(dst) {
            Some(PortId::LOCAL) => Verdict::Punt,
            Some(id) => match self.member(id) {
                Some(member) if same_group(member, ingress) => {
                    Verdict::Drop(DropReason::SplitHorizon)
                }
                Some(_) if id == ingress.id && !ingress.hairpin => {
                    Verdict::Drop(DropReason::Hairpin)
                }
                Some(_) => Verdict::To(id),
                // Its port went between the lookup and now: as good as unknown.
                None => self.unknown(),
            },
            None => self.unknown(),
        }
    }

    fn unknown(&self) -> Verdict {
        if self.rules.drop_unknown_unicast {
            Verdict::Drop(DropReason::UuSuppressed)
        } else {
            Verdict::Flood(FloodClass::UnknownUnicast)
        }
    }
}

fn same_group(a: &Member, b: &Member) -> bool {
    a.split_group.is_some() && a.split_group == b.split_group
}

fn wants(member: &Member, class: FloodClass) -> bool {
    match class {
        FloodClass::Broadcast => member.flood_broadcast,
        FloodClass::Multicast => member.flood_multicast,
        FloodClass::UnknownUnicast => member.flood_unknown,
        FloodClass::BroadcastHere => member.flood_broadcast && member.split_group.is_none(),
        FloodClass::MulticastHere => member.flood_multicast && member.split_group.is_none(),
    }
}

#[cfg(test)]
mod tests;
