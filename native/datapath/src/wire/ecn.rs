//! Explicit congestion notification (RFC 3168) at the ends of a tunnel (RFC 6040).
//!
//! The field is the lower two bits of IPv4's type of service and of IPv6's traffic class; the upper six are the DSCP,
//! which a tunnel's end leaves alone here (the pipe model of RFC 2983 §3.1).

use super::ethernet::Ethernet;
use super::ip::{self, Ip};

/// The field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The transport does not understand ECN.
    NotEct = 0,
    /// It does.
    Ect1 = 1,
    /// It does.
    Ect0 = 2,
    /// A queue on the way was congested.
    Ce = 3,
}

impl Ecn {
    /// The field in a type of service or traffic class.
    pub fn of(tos: u8) -> Self {
        match tos & MASK {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// `tos` with this field in it; its DSCP stays.
    pub fn in_tos(self, tos: u8) -> u8 {
        tos & !MASK | self as u8
    }
}

impl std::fmt::Display for Ecn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotEct => "Not-ECT",
            Self::Ect1 => "ECT(1)",
            Self::Ect0 => "ECT(0)",
            Self::Ce => "CE",
        })
    }
}

/// What the field of a frame becomes at the end of the tunnel (RFC 6040 §4.2, figure 4); `None`: the frame is dropped,
/// for a queue was congested and its transport would not understand that.
pub fn decapsulate(inner: Ecn, outer: Ecn) -> Option<Ecn> {
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => None,
        (Ecn::NotEct, _) => Some(Ecn::NotEct),
        (_, Ecn::Ce) => Some(Ecn::Ce),
        (Ecn::Ect0, Ecn::Ect1) => Some(Ecn::Ect1),
        (inner, _) => Some(inner),
    }
}

/// Whether no tunnel and no queue that keeps to the standards makes this pair: the cells marked (!!!) in figure 4 of
/// RFC 6040, which operators should hear of.
pub fn is_odd(inner: Ecn, outer: Ecn) -> bool {
    match inner {
        Ecn::NotEct => outer != Ecn::NotEct,
        Ecn::Ce => outer == Ecn::Ect1,
        Ecn::Ect0 | Ecn::Ect1 => false,
    }
}

/// A frame at the end of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// The field as it came inside.
    pub inner: Ecn,
    /// What it is now, as of [`decapsulate`].
    pub becomes: Option<Ecn>,
}

/// Writes into the IP header inside `frame`, behind at most two VLAN tags, what [`decapsulate`] says; an IPv4 header
/// checksum stays as right or wrong as it was. Nothing else changes, and nothing at all where the frame is to be
/// dropped. `None` if there is no IP header, or a malformed one, and so no field.
pub fn propagate(frame: &mut [u8], outer: Ecn) -> Option<Crossing> {
    let (ip, offset) = Ip::carried_by(&Ethernet::new(frame)?)?;
    let tos = ip.tos();
    let inner = Ecn::of(tos);
    let becomes = decapsulate(inner, outer);
    if let Some(becomes) = becomes
        && becomes != inner
    {
        ip::set_tos(&mut frame[offset..], becomes.in_tos(tos));
    }
    Some(Crossing { inner, becomes })
}

const MASK: u8 = 0b11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::Ipv4;
    use crate::wire::sample::Sample;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const ALL: [Ecn; 4] = [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce];

    /// RFC 6040 figure 4, letter by letter; its columns are the outer header's Not-ECT, ECT(0), ECT(1), CE.
    const FIGURE_4: &str = "
        Not-ECT | Not-ECT | Not-ECT(!!!) | Not-ECT(!!!) | <drop>(!!!)
        ECT(0)  | ECT(0)  | ECT(0)       | ECT(1)       | CE
        ECT(1)  | ECT(1)  | ECT(1) (!)   | ECT(1)       | CE
        CE      | CE      | CE           | CE(!!!)      | CE
    ";

    /// (inner, outer, cell) of the figure.
    fn figure_4() -> Vec<(Ecn, Ecn, &'static str)> {
        let rows = FIGURE_4.lines().map(str::trim).filter(|l| !l.is_empty());
        let cells = rows.zip(ALL).flat_map(|(row, inner)| {
            let mut columns = row.split('|').map(str::trim);
            assert_eq!(columns.next(), Some(inner.to_string().as_str()));
            columns
                .zip(ALL)
                .map(move |(cell, outer)| (inner, outer, cell))
        });
        cells.collect()
    }

    #[test]
    fn f101_f102_f105_every_cell_is_that_of_the_rfc() {
        let cells = figure_4();
        assert_eq!(cells.len(), 16);
        for (inner, outer, cell) in cells {
            let becomes = match decapsulate(inner, outer) {
                Some(ecn) => ecn.to_string(),
                None => "<drop>".into(),
            };
            let mark = if is_odd(inner, outer) { "(!!!)" } else { "" };
            // (!) marks what is only potentially dangerous: no alarm.
            let cell = cell.trim_end_matches(" (!)");
            assert_eq!(becomes + mark, cell, "inner {inner}, outer {outer}");
        }
    }

    #[test]
    fn the_field_is_the_lower_two_bits() {
        for tos in 0..=255 {
            let ecn = Ecn::of(tos);
            assert_eq!(ecn as u8, tos & 3);
            assert_eq!(ecn.in_tos(tos), tos);
            assert_eq!(Ecn::Ce.in_tos(tos), tos | 3);
        }
    }

    #[test]
    fn f103_without_an_ip_header_there_is_no_field() {
        let mut arp = Sample::udp_v4(b"data").frame();
        arp[12..14].copy_from_slice(&0x0806u16.to_be_bytes());
        let mut of_another_version = Sample::udp_v4(b"data").frame();
        of_another_version[14] = 0x65;
        for mut frame in [arp, of_another_version, vec![0; 14], vec![0; 3]] {
            let before = frame.clone();
            assert_eq!(propagate(&mut frame, Ecn::Ce), None);
            assert_eq!(frame, before);
        }
    }

    fn samples() -> impl Strategy<Value = Sample> {
        let tags = vec(
            (prop_oneof![Just(0x8100u16), Just(0x88a8)], any::<u16>()),
            0..=2,
        );
        (vec(any::<u8>(), 0..40), any::<bool>(), tags).prop_map(|(payload, is_v6, tags)| {
            let sample = Sample::udp_v4(&payload);
            let sample = if is_v6 { sample.on_v6(&[]) } else { sample };
            sample.tagged(&tags)
        })
    }

    proptest! {
        #[test]
        fn f101_f102_f104_f109_the_field_alone_changes(
            sample in samples(), tos: u8, outer in proptest::sample::select(&ALL[..]), damage: u16,
        ) {
            let mut frame = sample.frame();
            let at = Ip::carried_by(&Ethernet::new(&frame).unwrap()).unwrap().1;
            let is_v4 = frame[at] >> 4 == 4;
            // From scratch, not by the way that is tested.
            let write = |frame: &mut [u8], tos: u8| {
                if is_v4 {
                    frame[at + 1] = tos;
                    frame[at + 10..at + 12].fill(0);
                    let sum: u32 = frame[at..at + 20].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
                    let folded = (sum & 0xffff) + (sum >> 16);
                    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
                    frame[at + 10..at + 12].copy_from_slice(&checksum.to_be_bytes());
                } else {
                    frame[at] = 0x60 | tos >> 4;
                    frame[at + 1] = tos << 4 | frame[at + 1] & 0x0f;
                }
            };
            write(&mut frame, tos);
            let inner = Ecn::of(tos);
            let becomes = decapsulate(inner, outer);
            let mut expected = frame.clone();
            write(&mut expected, becomes.unwrap_or(inner).in_tos(tos));
            let mut actual = frame.clone();
            prop_assert_eq!(propagate(&mut actual, outer), Some(Crossing { inner, becomes }));
            prop_assert_eq!(&actual, &expected);
            // A wrong checksum is not made right.
            if is_v4 {
                let mut damaged = frame;
                damaged[at + 11] ^= damage as u8;
                damaged[at + 10] ^= (damage >> 8) as u8;
                let valid = |frame: &[u8]| Ipv4::new(&frame[at..]).unwrap().is_checksum_valid();
                let before = valid(&damaged);
                propagate(&mut damaged, outer);
                prop_assert_eq!(valid(&damaged), before);
            }
        }

        #[test]
        fn c53_any_bytes_keep_their_length(mut frame in vec(any::<u8>(), 0..80), outer in proptest::sample::select(&ALL[..])) {
            let before = frame.clone();
            if propagate(&mut frame, outer).is_none() {
                prop_assert_eq!(frame, before);
            }
        }
    }
}
