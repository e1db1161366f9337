//! One network's part on this host: admits frames, learns where they come from, decides where they go. Pure.

use super::fdb::{Fdb, Learn};
use super::port::{Member, PortId};
use crate::config::{BridgeRules, PriorityTag, VlanPolicy};
use crate::counter::DropReason;
use crate::wire::ethernet::{Ethernet, is_link_local_control};
use crate::wire::mac::MacAddr;

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
    pub fn is_kept_here(self) -> bool {
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
        let (src, dst) = (frame.src(), frame.dst());
        if let Err(reason) = self.check_addresses(src, dst) {
            return Decision {
                verdict: Verdict::Drop(reason),
                learn: None,
            };
        }
        let learn = self.learn(ingress, src, now_secs);
        let verdict = match learn {
            Learn::Conflict { owner } => Verdict::Drop(self.conflict(src, owner)),
            _ if src == dst => Verdict::Drop(DropReason::SrcEqDst),
            _ => self.decide(ingress, dst),
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

    /// Why [`Bridge::flood`] names nobody.
    pub fn no_flood_reason(&self, ingress: &Member, class: FloodClass) -> DropReason {
        let kept_back =
            |m: &&Member| m.id != ingress.id && same_group(m, ingress) && wants(m, class);
        if self.members.iter().any(|m| kept_back(&m)) {
            DropReason::SplitHorizon
        } else {
            DropReason::NoTarget
        }
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

    fn learn(&self, ingress: &Member, src: MacAddr, now_secs: u32) -> Learn {
        if self.rules.learning {
            return self.fdb.learn(src, ingress.id, ingress.max_macs, now_secs);
        }
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

    fn decide(&self, ingress: &Member, dst: MacAddr) -> Verdict {
        if dst == MacAddr::BROADCAST {
            return Verdict::Flood(FloodClass::Broadcast);
        }
        if dst.is_multicast() {
            return Verdict::Flood(FloodClass::Multicast);
        }
        match self.fdb.lookup(dst) {
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
