//! Counters and the one list of drop reasons.
//!
//! Every frame that enters leaves, is consumed, or is dropped under exactly one of these names. The same name
//! stands in counters, logs, captures and `trace`.
//!
//! A counter has one writer (the worker that owns it) and any number of readers, so adding is a plain load and
//! store and reading never disturbs the writer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A 64-bit counter with a single writer. It never goes back.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker calls this.
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// The value at this moment.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where in a frame's way it is dropped, which says what it is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before a network is known: counted at the underlay socket, or at the network if only that is known.
    Underlay,
    /// Instead of a forwarding decision: counted at the port where the frame entered.
    Ingress,
    /// After the decision, one copy on its way out: counted at the port where the copy would have left.
    Egress,
}

macro_rules! drop_reasons {
    ($($variant:ident, $name:literal, $stage:ident, $sentence:literal;)*) => {
        /// Why a frame was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the sentence of each is in the table")]
        pub enum DropReason { $($variant,)* }

        impl DropReason {
            /// Every reason, in table order; the position is the index into a `Drops`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that operators see.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Where it is counted.
            pub fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage,)* }
            }

            /// One sentence for an engineer who never saw the code.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

drop_reasons! {
    SockOverflow, "rx.sock_overflow", Underlay, "The kernel's receive queue of the underlay socket was full.";
    RingOverflow, "rx.ring_overflow", Underlay, "The packet ring of the underlay had no free slot.";
    Truncated, "rx.truncated", Underlay, "The datagram was longer than the receive buffer.";
    OuterIpBad, "rx.outer_ip_bad", Underlay, "The outer IP header is damaged or lies about the length.";
    OuterUdpLength, "rx.outer_udp_len", Underlay, "The outer UDP length does not fit the packet.";
    OuterUdpChecksum, "rx.outer_udp_csum", Underlay, "The outer UDP checksum is wrong.";
    TooShortVxlan, "rx.too_short_vxlan", Underlay, "The datagram is shorter than the 8 bytes of a VXLAN header.";
    OuterSrcSelf, "rx.outer_src_self", Underlay, "The outer source is our own VTEP address.";
    OuterSrcInvalid, "rx.outer_src_invalid", Underlay, "The outer source is no unicast address of another host.";
    VxlanNoI, "rx.vxlan_no_i", Underlay, "The I flag of the VXLAN header is clear, so it carries no VNI.";
    VniUnknown, "rx.vni_unknown", Underlay, "No network here has this VNI on this UDP port.";
    GroupMismatch, "rx.group_mismatch", Underlay, "The datagram came to a multicast group that belongs to another network.";
    VniDown, "rx.vni_down", Underlay, "The network is administratively down.";
    VtepUnknown, "rx.vtep_unknown", Underlay, "The sender is not in the network's closed list of peers.";
    VtepVniDenied, "rx.vtep_vni_denied", Underlay, "The sender is a peer of other networks here, but not of the one whose VNI it used.";
    VtepLimit, "rx.vtep_limit", Underlay, "The network is open, but already has as many learned peers as it may have.";
    GroAmbiguous, "rx.gro_ambiguous", Underlay, "The kernel gave several datagrams as one, or one as several: which, cannot be told.";
    PortOversize, "rx.port_oversize", Ingress, "The frame is longer than the MTU of the port where it came in.";
    PortOverrun, "rx.port_overrun", Ingress, "The queue of the port where it came in was full; a superframe counts as one frame.";
    OffloadUnknown, "rx.offload_unknown", Ingress, "Its sender left to the interface what a packet port cannot do: a superframe of SCTP, of UDP before Linux 6.2, one inside a tunnel of its own, or a checksum of which nothing says where. Switch that off where it is sent (ethtool -K).";
    NetworkDown, "rx.network_down", Ingress, "The network of the port is administratively down.";
    ReadFailed, "rx.read_failed", Ingress, "The kernel had a frame at the port but could not hand it over.";
    VxlanRsvdDrop, "rx.vxlan_rsvd_drop", Ingress, "A reserved bit of the VXLAN header is set and this network drops those.";
    TooShortInner, "rx.too_short_inner", Ingress, "The frame is shorter than an Ethernet header.";
    InnerIpShort, "rx.inner_ip_short", Ingress, "The frame says IP but is shorter than an IP header.";
    EcnCeNotect, "rx.ecn_ce_notect", Ingress, "The underlay marked congestion on a packet whose transport does not understand that, so dropping it is what tells its sender (RFC 6040).";
    VnetHdrBad, "rx.vnet_hdr_bad", Ingress, "The offload header does not fit the frame behind it.";
    SpoofMac, "rx.spoof_mac", Ingress, "The source MAC is not one of those that may send from this port.";
    SpoofIp, "rx.spoof_ip", Ingress, "An address that the sender claims (IP, ARP or neighbor discovery) is not one of this port's, or cannot be read.";
    DhcpGuard, "rx.dhcp_guard", Ingress, "An answer of a DHCP server came from a port where none may be.";
    RaGuard, "rx.ra_guard", Ingress, "A router advertisement or redirect came from a port where no router may be.";
    SrcMacMcast, "rx.src_mac_mcast", Ingress, "The source MAC is a multicast address.";
    SrcMacZero, "rx.src_mac_zero", Ingress, "The source MAC is all zero.";
    SrcMacLocal, "rx.src_mac_local", Ingress, "The source MAC belongs to one of our own ports: a loop or a forgery.";
    SrcEqDst, "rx.src_eq_dst", Ingress, "Source and destination MAC are the same.";
    DstMacZero, "rx.dst_mac_zero", Ingress, "The destination MAC is all zero.";
    L2ctrlFiltered, "rx.l2ctrl_filtered", Ingress, "Link-local control frames (01:80:c2:00:00:0x) stay on their link.";
    InnerVlan, "rx.inner_vlan", Ingress, "The frame has a VLAN tag and this network discards tagged frames.";
    InnerVlanDenied, "rx.inner_vlan_denied", Ingress, "The frame's VLAN ID is not among those that this network allows.";
    InnerPrioTag, "rx.inner_prio_tag", Ingress, "The frame has a priority tag and this network drops those.";
    FdbStaticConflict, "rx.fdb_static_conflict", Ingress, "The source MAC has a static or control entry at another place.";
    ArpSpoof, "arp.spoof", Ingress, "The frame announces an address that belongs to another MAC.";
    NdSpoof, "nd.spoof", Ingress, "The neighbor advertisement claims an address that belongs to another MAC.";
    ArpRateLimited, "arp.ratelimited", Ingress, "The port has been answered for others too often of late: a question by ARP or neighbor discovery.";
    Hairpin, "tx.hairpin", Ingress, "The destination is behind the port where the frame came in.";
    SplitHorizon, "tx.split_horizon", Ingress, "What came from a tunnel never goes to a tunnel.";
    NoTarget, "tx.no_target", Ingress, "There is no other port to flood the frame to.";
    UuSuppressed, "tx.uu_suppressed", Ingress, "The destination is unknown and this network drops unknown unicast.";
    PortMtu, "tx.port_mtu", Egress, "The frame is longer than the MTU of the port where it would leave.";
    PortQueue, "tx.port_queue", Egress, "The queue of the port where it would leave is full.";
    PortGone, "tx.port_gone", Egress, "The port's network namespace or device has disappeared.";
    PortDown, "tx.port_down", Egress, "The interface behind the port is down.";
    PortRefused, "tx.port_refused", Egress, "The kernel refused the frame at the port where it would leave.";
    NoRoute, "tx.no_route", Egress, "The host has no route to the VTEP.";
    SockFull, "tx.sock_full", Egress, "The underlay socket could take no more at this moment.";
    Eperm, "tx.eperm", Egress, "The local firewall refused the datagram.";
    TooBig, "tx.too_big", Egress, "The datagram is larger than the path to the VTEP allows.";
    TooBigNodf, "tx.too_big_nodf", Egress, "As tx.too_big, of an IPv4 packet that may be fragmented, but not by a switch: its sender is not told.";
    TooBigNoicmp, "tx.too_big_noicmp", Egress, "As tx.too_big, of a frame that is no IP or for many, about which there is no ICMP.";
    LocalDown, "tx.local_down", Egress, "Our own VTEP address is not on any interface at this moment.";
    BatchFull, "tx.batch_full", Egress, "The batch had no room left to build the frame's datagrams.";
    SendFailed, "tx.send_failed", Egress, "The kernel refused the datagram for another reason.";
}

/// One counter per drop reason, and when it was last used.
#[derive(Debug)]
pub struct Drops {
    counts: [Counter; DropReason::ALL.len()],
    /// Seconds plus one; 0 = never.
    last: [AtomicU32; DropReason::ALL.len()],
}

impl Default for Drops {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Counter::default()),
            last: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

impl Drops {
    /// Counts `frames` under `reason`.
    pub fn add(&self, reason: DropReason, frames: u64) {
        self.counts[reason as usize].add(frames);
    }

    /// The same at this moment; true if for a minute before there was none.
    pub fn add_at(&self, reason: DropReason, frames: u64, now_secs: u32) -> bool {
        self.add(reason, frames);
        let is_news = !self.was_used(reason, now_secs);
        self.last[reason as usize].store(now_secs.saturating_add(1), Ordering::Relaxed);
        is_news
    }

    /// Whether anything was counted under the reason in the minute before, by [`add_at`](Self::add_at).
    pub fn was_used(&self, reason: DropReason, now_secs: u32) -> bool {
        match self.last[reason as usize].load(Ordering::Relaxed) {
            0 => false,
            last => now_secs.saturating_sub(last - 1) < QUIET_SECS,
        }
    }

    /// The count of one reason.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.counts[reason as usize].get()
    }

    /// Every reason that has happened, with its count.
    pub fn nonzero(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .map(|&reason| (reason, self.get(reason)))
            .filter(|&(_, n)| n > 0)
    }
}

/// After so many seconds without it a reason is news again.
const QUIET_SECS: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_reason_is_news_once_and_after_a_minute_without() {
        let drops = Drops::default();
        let news = |now| drops.add_at(DropReason::Hairpin, 1, now);
        assert_eq!(
            [0, 0, 59, 100, 159, 219, 278].map(news),
            [true, false, false, false, false, true, false]
        );
        assert!(drops.add_at(DropReason::NoTarget, 1, 278));
        assert_eq!(drops.get(DropReason::Hairpin), 7);
    }

    #[test]
    fn every_reason_has_a_name_of_its_own_and_a_sentence() {
        let names: HashSet<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
        for reason in DropReason::ALL {
            let prefix = if reason.stage() == Stage::Egress {
                "tx."
            } else {
                ""
            };
            assert!(reason.name().starts_with(prefix), "{}", reason.name());
            assert!(reason.sentence().ends_with('.'), "{}", reason.name());
        }
    }

    #[test]
    fn index_is_table_order() {
        let drops = Drops::default();
        for (i, &reason) in DropReason::ALL.iter().enumerate() {
            drops.add(reason, i as u64 + 1);
        }
        assert_eq!(drops.nonzero().count(), DropReason::ALL.len());
        for (i, &reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(drops.get(reason), i as u64 + 1);
        }
    }
}
