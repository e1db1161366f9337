//! What the outer IP header says for the frame inside: hop limit, DSCP, ECN (RFC 6040 §4.1, RFC 2983 §3).

use crate::config::{EcnMode, NetworkSpec, VtepSpec};
use crate::wire::ecn::Ecn;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::Ip;

/// How the outer header follows the inner one; the same for all datagrams of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OuterRule {
    inherit_ttl: bool,
    /// `None`: copied.
    tos: Option<u8>,
    ecn: EcnMode,
    /// Instead of `tos`, by the PCP of the frame's VLAN tag.
    pcp_tos: [Option<u8>; 8],
}

/// What a datagram's outer header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OuterHeader {
    /// TTL or hop limit; `None` is the socket's.
    pub(crate) ttl: Option<u8>,
    /// Type of service or traffic class.
    pub(crate) tos: u8,
}

impl OuterRule {
    pub(crate) fn of(vtep: &VtepSpec, network: &NetworkSpec) -> Self {
        Self {
            inherit_ttl: vtep.ttl.is_none(),
            tos: vtep.tos,
            ecn: vtep.ecn,
            pcp_tos: network.pcp_tos,
        }
    }

    /// The outer header for `frame`, which came with a VLAN tag of this `pcp`, if it came with one. One without an IP
    /// header is sent as one of the default TTL, DSCP 0 and Not-ECT.
    pub(crate) fn apply(&self, frame: &[u8], pcp: Option<u8>) -> OuterHeader {
        let ip = Ethernet::new(frame).and_then(|ethernet| Ip::carried_by(&ethernet));
        let inner = ip.map(|(ip, _)| (ip.ttl(), ip.tos()));
        let tos = inner.map_or(0, |(_, tos)| tos);
        let ecn = match (self.ecn, Ecn::of(tos)) {
            (EcnMode::Compat, _) => Ecn::NotEct,
            // RFC 3168 §9.1.1, full functionality: a mark belongs to the tunnel that made it.
            (EcnMode::Linux, Ecn::Ce) => Ecn::Ect0,
            (EcnMode::Normal | EcnMode::Linux, ecn) => ecn,
        };
        let by_pcp = pcp.and_then(|pcp| *self.pcp_tos.get(usize::from(pcp))?);
        // TTL 0 is none: nothing may be sent with it.
        let ttl = inner.map(|(ttl, _)| ttl).filter(|&ttl| ttl > 0);
        OuterHeader {
            ttl: self.inherit_ttl.then(|| ttl.unwrap_or(DEFAULT_TTL)),
            tos: ecn.in_tos(by_pcp.or(self.tos).unwrap_or(tos)),
        }
    }
}

#[cfg(test)]
impl OuterRule {
    /// Whatever can be copied is.
    pub(crate) const COPYING: Self = Self {
        inherit_ttl: true,
        tos: None,
        ecn: EcnMode::Normal,
        pcp_tos: [None; 8],
    };
}

/// RFC 1700's default, where an inner TTL is to be copied and there is none.
const DEFAULT_TTL: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ip;
    use crate::wire::sample::{Sample, TTL};

    const NORMAL: OuterRule = OuterRule {
        inherit_ttl: false,
        tos: Some(0),
        ecn: EcnMode::Normal,
        pcp_tos: [None; 8],
    };

    /// Frames of both versions, plain and tagged, with this type of service or traffic class.
    fn frames(tos: u8) -> Vec<Vec<u8>> {
        let v4 = Sample::udp_v4(b"data");
        let v6 = Sample::udp_v4(b"data").on_v6(&[]);
        let tagged = [v4.clone(), v6.clone()].map(|sample| sample.tagged(&[(0x8100, 5)]));
        let mut frames: Vec<_> = [v4, v6].iter().chain(&tagged).map(Sample::frame).collect();
        for frame in &mut frames {
            let (_, at) = Ip::carried_by(&Ethernet::new(frame).unwrap()).unwrap();
            ip::set_tos(&mut frame[at..], tos);
        }
        frames
    }

    fn assert_tos(rule: OuterRule, inner: u8, outer: u8) {
        for frame in frames(inner) {
            assert_eq!(rule.apply(&frame, None).tos, outer, "inner {inner:#04x}");
        }
    }

    #[test]
    fn f106_f107_normal_mode_copies_the_field() {
        for ecn in 0..4 {
            assert_tos(NORMAL, ecn, ecn);
        }
    }

    #[test]
    fn f107_compatibility_mode_says_not_ect() {
        let ecn = EcnMode::Compat;
        for inner in 0..4 {
            assert_tos(OuterRule { ecn, ..NORMAL }, inner, 0);
        }
    }

    #[test]
    fn f107_as_linux_a_congested_packet_leaves_as_ect_0() {
        let ecn = EcnMode::Linux;
        for (inner, outer) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
            assert_tos(OuterRule { ecn, ..NORMAL }, inner, outer);
        }
    }

    #[test]
    fn f108_the_dscp_is_zero_fixed_or_copied() {
        for ecn in 0..4 {
            let inner = 0xb8 | ecn;
            assert_tos(NORMAL, inner, ecn);
            let fixed = Some(0x28);
            let copied = None;
            assert_tos(
                OuterRule {
                    tos: fixed,
                    ..NORMAL
                },
                inner,
                0x28 | ecn,
            );
            assert_tos(
                OuterRule {
                    tos: copied,
                    ..NORMAL
                },
                inner,
                inner,
            );
        }
        let ecn = EcnMode::Compat;
        let tos = None;
        assert_tos(OuterRule { tos, ecn, ..NORMAL }, 0xbb, 0xb8);
    }

    #[test]
    fn f110_the_pcp_chooses_the_dscp_where_it_is_mapped() {
        let mut pcp_tos = [None; 8];
        pcp_tos[0] = Some(0x20);
        pcp_tos[5] = Some(0xb8);
        for (tos, unmapped) in [(Some(0x48), 0x48), (None, 0x88)] {
            let rule = OuterRule {
                tos,
                pcp_tos,
                ..NORMAL
            };
            let expected = [
                (None, unmapped),
                (Some(0), 0x20),
                (Some(5), 0xb8),
                (Some(7), unmapped),
            ];
            for (pcp, dscp) in expected {
                for ecn in 0..4 {
                    for frame in frames(0x88 | ecn) {
                        assert_eq!(rule.apply(&frame, pcp).tos, dscp | ecn, "PCP {pcp:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn e90_f112_the_ttl_is_copied_where_there_is_one() {
        let rule = OuterRule::COPYING;
        for mut frame in frames(0) {
            assert_eq!(rule.apply(&frame, None).ttl, Some(TTL));
            assert_eq!(NORMAL.apply(&frame, None).ttl, None);
            let (ip, at) = Ip::carried_by(&Ethernet::new(&frame).unwrap()).unwrap();
            let ttl_at = at + if matches!(ip, Ip::V4(_)) { 8 } else { 7 };
            frame[ttl_at] = 0;
            assert_eq!(rule.apply(&frame, None).ttl, Some(64));
        }
        let mut arp = frames(0xff).swap_remove(0);
        arp[12..14].copy_from_slice(&0x0806u16.to_be_bytes());
        for frame in [&arp[..], &[0; 14], &[0; 3], &[]] {
            let plain = OuterHeader {
                ttl: Some(64),
                tos: 0,
            };
            assert_eq!(rule.apply(frame, None), plain);
        }
    }
}
