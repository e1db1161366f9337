//! What the outer IP header says for the frame inside: hop limit, DSCP, ECN (RFC 6040 §4.1, RFC 2983 §3).

use crate::config::{EcnMode, VtepSpec};
use crate::wire::ecn::Ecn;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::Ip;

/// How the outer header follows the inner one; the same for all datagrams of a VTEP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OuterRule {
    inherit_ttl: bool,
    /// `None`: copied.
    tos: Option<u8>,
    ecn: EcnMode,
}

/// What a datagram's outer header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outer {
    /// TTL or hop limit; `None` is the socket's.
    pub(crate) ttl: Option<u8>,
    /// Type of service or traffic class.
    pub(crate) tos: u8,
}

impl OuterRule {
    pub(crate) fn of(vtep: &VtepSpec) -> Self {
        Self::new(vtep.ttl, vtep.tos, vtep.ecn)
    }

    /// The parts of a [`VtepSpec`].
    pub(crate) const fn new(ttl: Option<u8>, tos: Option<u8>, ecn: EcnMode) -> Self {
        Self {
            inherit_ttl: ttl.is_none(),
            tos,
            ecn,
        }
    }

    /// The outer header for `frame`. One without an IP header is sent as one of the default TTL, DSCP 0 and Not-ECT.
    pub(crate) fn apply(&self, frame: &[u8]) -> Outer {
        let ip = Ethernet::new(frame).and_then(|ethernet| Ip::carried_by(&ethernet));
        let inner = ip.map(|(ip, _)| (ip.ttl(), ip.tos()));
        let tos = inner.map_or(0, |(_, tos)| tos);
        let ecn = match (self.ecn, Ecn::of(tos)) {
            (EcnMode::Compat, _) => Ecn::NotEct,
            // RFC 3168 §9.1.1, full functionality: a mark belongs to the tunnel that made it.
            (EcnMode::Linux, Ecn::Ce) => Ecn::Ect0,
            (EcnMode::Normal | EcnMode::Linux, ecn) => ecn,
        };
        // TTL 0 is none: nothing may be sent with it.
        let ttl = inner.map(|(ttl, _)| ttl).filter(|&ttl| ttl > 0);
        Outer {
            ttl: self.inherit_ttl.then(|| ttl.unwrap_or(DEFAULT_TTL)),
            tos: ecn.in_tos(self.tos.unwrap_or(tos)),
        }
    }
}

/// RFC 1700's default, where an inner TTL is to be copied and there is none.
const DEFAULT_TTL: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ip;
    use crate::wire::sample::{Sample, TTL};

    const NORMAL: OuterRule = OuterRule::new(Some(64), Some(0), EcnMode::Normal);

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
            assert_eq!(rule.apply(&frame).tos, outer, "inner {inner:#04x}");
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
    fn e90_f112_the_ttl_is_copied_where_there_is_one() {
        let inherit_ttl = true;
        let rule = OuterRule {
            inherit_ttl,
            tos: None,
            ..NORMAL
        };
        for mut frame in frames(0) {
            assert_eq!(rule.apply(&frame).ttl, Some(TTL));
            assert_eq!(NORMAL.apply(&frame).ttl, None);
            let (ip, at) = Ip::carried_by(&Ethernet::new(&frame).unwrap()).unwrap();
            let ttl_at = at + if matches!(ip, Ip::V4(_)) { 8 } else { 7 };
            frame[ttl_at] = 0;
            assert_eq!(rule.apply(&frame).ttl, Some(64));
        }
        let mut arp = frames(0xff).swap_remove(0);
        arp[12..14].copy_from_slice(&0x0806u16.to_be_bytes());
        for frame in [&arp[..], &[0; 14], &[0; 3], &[]] {
            let plain = Outer {
                ttl: Some(64),
                tos: 0,
            };
            assert_eq!(rule.apply(frame), plain);
        }
    }
}
