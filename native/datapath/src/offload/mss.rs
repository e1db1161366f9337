//! Lowers the maximum segment size in TCP SYNs, so that both ends send segments that fit the tunnel even where ICMP gets
//! lost (RFC 9293 §3.7.1; MSS counts no options, RFC 6691).

use crate::wire::be16;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::{Ip, PROTOCOL_TCP};
use crate::wire::tcp::{self, Tcp};
use crate::wire::{ipv4, ipv6};

/// Lowers the MSS in `frame`, if it is a TCP SYN that offers more than fits a frame of `longest_frame` bytes; to what, if it
/// did. Never raises it. The TCP checksum stays as right or wrong as it was; `is_partial`: the field holds only the
/// pseudo header's sum (`NEEDS_CSUM`), which does not change.
///
/// Fragments, other segments than SYNs, and SYNs without the option or with a broken one are left alone.
pub fn clamp_mss(frame: &mut [u8], longest_frame: usize, is_partial: bool) -> Option<u16> {
    let (start, network_offset, ip_header) = syn(frame)?;
    let headers = network_offset + ip_header + tcp::HEADER_LEN;
    let most = longest_frame
        .checked_sub(headers)
        .filter(|&most| most > 0)?;
    let most = u16::try_from(most).unwrap_or(u16::MAX);
    let header = &mut frame[start..];
    let end = usize::from(header[DATA_OFFSET] >> 4) * 4;
    let mut at = tcp::HEADER_LEN;
    let mut lowered = false;
    while at < end {
        match header[at] {
            OPTION_END => break,
            OPTION_NONE => at += 1,
            kind => {
                let len = match header[..end].get(at + 1) {
                    Some(&len) if len >= 2 && at + usize::from(len) <= end => usize::from(len),
                    _ => break,
                };
                if kind == OPTION_MSS && len == MSS_LEN {
                    lowered |= lower(header, at + 2, most, is_partial);
                }
                at += len;
            }
        }
    }
    lowered.then_some(most)
}

/// Where the TCP header of a SYN begins and where the IP header does, and the least length of the latter.
fn syn(frame: &[u8]) -> Option<(usize, usize, usize)> {
    let ethernet = Ethernet::new(frame)?;
    let (ip, offset) = Ip::carried_by(&ethernet)?;
    if let Ip::V4(v4) = &ip
        && v4.protocol() != PROTOCOL_TCP
    {
        return None;
    }
    let transport = ip.transport()?;
    if transport.protocol != PROTOCOL_TCP || transport.is_fragment {
        return None;
    }
    let tcp = Tcp::new(ip.bytes().get(transport.offset..)?)?;
    if tcp.flags() & tcp::SYN == 0 {
        return None;
    }
    let ip_header = match ip {
        Ip::V4(_) => ipv4::HEADER_LEN,
        Ip::V6(_) => ipv6::HEADER_LEN,
    };
    Some((offset + transport.offset, offset, ip_header))
}

/// Lowers the value at `at` of a TCP header to `most`; whether it was larger.
fn lower(header: &mut [u8], at: usize, most: u16, is_partial: bool) -> bool {
    let old = be16(header, at);
    if old <= most {
        return false;
    }
    header[at..at + 2].copy_from_slice(&most.to_be_bytes());
    if !is_partial {
        // RFC 1624 eqn. 3. At an odd offset the bytes lie in two words, each in the other half (RFC 1071 §2 (B)).
        let turned = |word: u16| {
            if at.is_multiple_of(2) {
                word
            } else {
                word.swap_bytes()
            }
        };
        let checksum = be16(header, tcp::CHECKSUM);
        let sum = Sum::word(!checksum) + Sum::word(!turned(old)) + Sum::word(turned(most));
        header[tcp::CHECKSUM..tcp::CHECKSUM + 2].copy_from_slice(&sum.checksum().to_be_bytes());
    }
    true
}

const DATA_OFFSET: usize = 12;
const OPTION_END: u8 = 0;
const OPTION_NONE: u8 = 1;
const OPTION_MSS: u8 = 2;
const MSS_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample::{MORE_FRAGMENTS, Network, Sample, Transport};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;

    #[derive(Debug, Clone)]
    enum Option_ {
        Nop,
        Mss(u16),
        Other(u8, Vec<u8>),
    }

    fn bytes(options: &[Option_], most: Option<u16>) -> Vec<u8> {
        let mut bytes = vec![];
        for option in options {
            match option {
                Option_::Nop => bytes.push(1),
                Option_::Mss(mss) => {
                    let mss = most.map_or(*mss, |most| most.min(*mss));
                    bytes.extend([&[2, 4][..], &mss.to_be_bytes()].concat());
                }
                Option_::Other(kind, data) => {
                    bytes.extend([*kind, data.len() as u8 + 2]);
                    bytes.extend(data);
                }
            }
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn options() -> impl Strategy<Value = Vec<Option_>> {
        let option = prop_oneof![
            2 => Just(Option_::Nop),
            2 => any::<u16>().prop_map(Option_::Mss),
            1 => (3u8..40, vec(any::<u8>(), 0..6)).prop_map(|(kind, data)| Option_::Other(kind, data)),
        ];
        vec(option, 0..5)
    }

    /// The same segment with these options, made from scratch.
    fn segment(v6: bool, tagged: bool, flags: u8, options: Vec<u8>) -> Sample {
        let mut sample = Sample::tcp_v4(b"early data");
        sample.transport = Transport::Tcp {
            seq: 7,
            flags,
            options,
        };
        let sample = if v6 { sample.on_v6(&[]) } else { sample };
        sample.tagged(if tagged { &[(0x8100, 7)] } else { &[] })
    }

    proptest! {
        #[test]
        fn g127_a_syn_is_as_if_its_sender_had_said_less(
            v6: bool, tagged: bool, options in options(), longest in 0usize..3000, partial: bool, ack: bool,
        ) {
            let headers = 14 + if tagged { 4 } else { 0 } + if v6 { 60 } else { 40 };
            let most = longest.checked_sub(headers).filter(|&most| most > 0).map(|most| most as u16);
            let flags = if ack { SYN | ACK } else { SYN };
            let sent = segment(v6, tagged, flags, bytes(&options, None));
            let meant = segment(v6, tagged, flags, bytes(&options, most));
            let frame = |sample: &Sample| if partial { sample.partial_frame() } else { sample.frame() };
            let mut clamped = frame(&sent);
            let lowered = clamp_mss(&mut clamped, longest, partial).is_some();
            prop_assert_eq!(&clamped, &frame(&meant));
            prop_assert_eq!(lowered, clamped != frame(&sent));
        }

        #[test]
        fn g127_what_is_no_syn_is_untouched(v6: bool, flags: u8, options in options(), longest in 0usize..2000) {
            let sample = segment(v6, false, flags & !SYN, bytes(&options, None));
            let mut frame = sample.frame();
            prop_assert_eq!(clamp_mss(&mut frame, longest, false), None);
            prop_assert_eq!(frame, sample.frame());
        }

        #[test]
        fn c53_any_bytes_keep_their_length_and_all_but_six_bytes(
            tcp in vec(any::<u8>(), 0..80), words in 5u8..16, longest in 0usize..2000,
        ) {
            let mut sample = Sample::tcp_v4(&tcp);
            sample.transport = Transport::Other(6);
            if let Some(offset) = sample.payload.get_mut(12) {
                *offset = words << 4;
            }
            if let Some(flags) = sample.payload.get_mut(13) {
                *flags |= SYN;
            }
            let before = sample.frame();
            let mut frame = before.clone();
            clamp_mss(&mut frame, longest, false);
            prop_assert_eq!(frame.len(), before.len());
            prop_assert_eq!(&frame[..34], &before[..34]);
        }
    }

    #[test]
    fn g127_fragments_other_protocols_and_broken_options_are_untouched() {
        let syn = |options: &[u8]| segment(false, false, SYN, options.to_vec());
        let untouched = |frame: Vec<u8>| {
            let mut clamped = frame.clone();
            assert_eq!(clamp_mss(&mut clamped, 600, false), None);
            assert_eq!(clamped, frame);
        };
        let usual = [2, 4, 5, 0xb4];
        assert!(clamp_mss(&mut syn(&usual).frame(), 600, false).is_some());
        let mut fragment = syn(&usual);
        fragment.network = Network::V4 {
            id: 1,
            fragment: MORE_FRAGMENTS,
            options: vec![],
        };
        untouched(fragment.frame());
        untouched(
            segment(true, false, SYN, usual.to_vec())
                .on_v6(&[(44, &[0, 0, 0, 1, 0, 0, 0, 9])])
                .frame(),
        );
        untouched(Sample::udp_v4(&syn(&usual).frame()[34..]).frame());
        for broken in [
            &[][..],
            &[2, 3, 5, 0xb4],
            &[2, 8, 5, 0xb4],
            &[2, 0, 5, 0xb4],
            &[1, 1, 1, 2],
            &[0, 2, 4, 5],
        ] {
            untouched(syn(broken).frame());
        }
        for len in 0..syn(&usual).frame().len() {
            let mut cut = syn(&usual).frame()[..len].to_vec();
            clamp_mss(&mut cut, 600, false);
        }
    }
}
