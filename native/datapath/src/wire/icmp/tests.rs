use super::*;
use crate::wire::ethernet::{TPID_CUSTOMER, TPID_SERVICE};
use crate::wire::sample::{
    DONT_FRAGMENT, DST, MORE_FRAGMENTS, Network, SRC, Sample, Transport, naive_sum,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// The message written out slowly: what [`too_big`] must make of a sample.
fn oracle(sample: &Sample, mtu: u32, longest: usize) -> Vec<u8> {
    let frame = sample.frame();
    let at = sample.network_offset();
    let packet = &frame[at..];
    let mut message = [&SRC.0[..], &DST.0, &frame[12..at]].concat();
    if sample.is_v6() {
        let quote = &packet[..packet.len().min(1280.min(longest) - 48)];
        let mut icmp = [&[2, 0, 0, 0][..], &mtu.to_be_bytes(), quote].concat();
        let (src, dst) = (&packet[24..40], &packet[8..24]);
        let len = icmp.len() as u32;
        let pseudo = [src, dst, &len.to_be_bytes(), &[0, 0, 0, 58]].concat();
        let sum = !naive_sum(&[&pseudo[..], &icmp].concat());
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let len = (icmp.len() as u16).to_be_bytes();
        message.extend([0x60, 0, 0, 0, len[0], len[1], 58, 64]);
        message.extend([src, dst, &icmp].concat());
    } else {
        let quote = &packet[..packet.len().min(576.min(longest) - 28)];
        let mut icmp = [&[3, 4, 0, 0, 0, 0][..], &(mtu as u16).to_be_bytes(), quote].concat();
        let sum = !naive_sum(&icmp);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let len = (20 + icmp.len() as u16).to_be_bytes();
        let mut header = vec![0x45, 0xc0, len[0], len[1], 0, 0, 0x40, 0, 64, 1, 0, 0];
        header.extend([&packet[16..20], &packet[12..16]].concat());
        let sum = !naive_sum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        message.extend([header, icmp].concat());
    }
    message
}

fn message(frame: &[u8], mtu: u32, longest: usize) -> Option<Vec<u8>> {
    let mut out = [0xaa; MAX_LEN];
    too_big(frame, mtu, longest, &mut out).map(|len| out[..len].to_vec())
}

fn sample() -> impl Strategy<Value = Sample> {
    let tags = prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec![(TPID_CUSTOMER, 7)]),
        1 => Just(vec![(TPID_SERVICE, 9), (TPID_CUSTOMER, 7)]),
    ];
    let payload = prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(any::<u8>(), 500..600),
        vec(any::<u8>(), 1200..1500)
    ];
    (tags, any::<bool>(), any::<bool>(), payload).prop_map(|(tags, v6, tcp, payload)| {
        let sample = if tcp {
            Sample::tcp_v4(&payload)
        } else {
            Sample::udp_v4(&payload)
        };
        let sample = if v6 { sample.on_v6(&[]) } else { sample };
        sample.tagged(&tags)
    })
}

proptest! {
    #[test]
    fn g117_the_message_is_as_the_rfcs_write_it(sample in sample(), mtu in 68u32..65536, longest in 100usize..9000) {
        let made = message(&sample.frame(), mtu, longest);
        prop_assert_eq!(made, Some(oracle(&sample, mtu, longest)));
    }

    #[test]
    fn c53_any_frame_is_answered_within_bounds(mut frame in vec(any::<u8>(), 0..200), kind in 0usize..4, longest: u16) {
        let ethertype = [[8, 0], [0x86, 0xdd], [0x81, 0], [8, 6]][kind];
        if let Some(at) = frame.get_mut(12..14) {
            at.copy_from_slice(&ethertype);
        }
        if let Some(version) = frame.get_mut(14) {
            *version = if kind == 0 { 0x45 } else { 0x60 };
        }
        let answer = answer(&frame);
        let made = message(&frame, 1400, longest.into());
        prop_assert!(made.is_some() || longest < 48 || answer == Answer::Nothing);
    }
}

#[test]
fn g117_padding_is_not_quoted() {
    let sample = Sample::udp_v4(b"x");
    let mut frame = sample.frame();
    frame.extend([0xee; 17]);
    assert_eq!(
        message(&frame, 1400, 9000),
        Some(oracle(&sample, 1400, 9000))
    );
}

#[test]
fn g117_at_least_548_bytes_are_quoted_and_no_message_is_longer_than_576_or_1280() {
    let large = Sample::udp_v4(&[7; 3000]);
    assert_eq!(
        message(&large.frame(), 1400, 9000).map(|m| m.len()),
        Some(14 + 576)
    );
    let six = large.on_v6(&[]).tagged(&[(TPID_CUSTOMER, 7)]);
    assert_eq!(
        message(&six.frame(), 1400, 9000).map(|m| m.len()),
        Some(18 + 1280)
    );
}

#[test]
fn g115_g116_unicast_that_may_not_be_fragmented_is_answered() {
    assert_eq!(answer(&Sample::tcp_v4(b"x").frame()), Answer::V4);
    assert_eq!(answer(&Sample::udp_v4(b"x").on_v6(&[]).frame()), Answer::V6);
    assert_eq!(
        answer(&Sample::udp_v4(b"x").tagged(&[(TPID_CUSTOMER, 7)]).frame()),
        Answer::V4
    );
}

#[test]
fn g118_ipv4_without_df_is_not() {
    let mut sample = Sample::udp_v4(b"x");
    sample.network = Network::V4 {
        id: 1,
        fragment: 0,
        options: vec![],
    };
    assert_eq!(answer(&sample.frame()), Answer::MayFragment);
}

#[test]
fn g119_what_is_for_many_or_no_ip_is_not() {
    let four = Sample::udp_v4(b"x").frame();
    let six = Sample::udp_v4(b"x").on_v6(&[]).frame();
    let with = |frame: &[u8], at: usize, bytes: &[u8]| {
        let mut frame = frame.to_vec();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        answer(&frame)
    };
    for group in [[1, 0, 0x5e, 0, 0, 1], [0xff; 6]] {
        assert_eq!(with(&four, 0, &group), Answer::Nothing);
        assert_eq!(with(&six, 0, &group), Answer::Nothing);
    }
    for dst in [[224, 0, 0, 1], [239, 255, 0, 1], [240, 0, 0, 1], [255; 4]] {
        assert_eq!(with(&four, 30, &dst), Answer::Nothing);
    }
    assert_eq!(with(&six, 38, &[0xff, 2]), Answer::Nothing);
    assert_eq!(with(&four, 12, &[8, 6]), Answer::Nothing, "ARP");
    assert_eq!(
        with(&four, 14, &[0x65]),
        Answer::Nothing,
        "not what it says"
    );
    assert_eq!(answer(&four[..20]), Answer::Nothing);
    assert_eq!(answer(&four[..10]), Answer::Nothing);
}

#[test]
fn g120_errors_later_fragments_and_senders_that_are_nobody_get_no_answer() {
    let icmp = |v6: bool, kind: u8| {
        let mut sample = Sample::udp_v4(&[kind, 0, 0, 0, 0, 0, 0, 0]);
        sample.transport = Transport::Other(if v6 { 58 } else { 1 });
        answer(&if v6 { sample.on_v6(&[]) } else { sample }.frame())
    };
    for kind in 0..=255 {
        let is_error = matches!(kind, 3 | 4 | 5 | 11 | 12);
        assert_eq!(
            icmp(false, kind) == Answer::Withheld,
            is_error,
            "ICMP {kind}"
        );
        let is_error = kind < 128 || kind == 137;
        assert_eq!(
            icmp(true, kind) == Answer::Withheld,
            is_error,
            "ICMPv6 {kind}"
        );
    }
    let mut empty = Sample::udp_v4(b"");
    empty.transport = Transport::Other(1);
    assert_eq!(
        answer(&empty.frame()),
        Answer::Withheld,
        "its type cannot be read"
    );

    let fragment = |fragment: u16| {
        let mut sample = Sample::udp_v4(&[1; 64]);
        sample.network = Network::V4 {
            id: 1,
            fragment: DONT_FRAGMENT | fragment,
            options: vec![],
        };
        answer(&sample.frame())
    };
    assert_eq!(fragment(MORE_FRAGMENTS), Answer::V4);
    assert_eq!(fragment(MORE_FRAGMENTS | 1), Answer::Withheld);
    assert_eq!(fragment(185), Answer::Withheld);
    let fragment6 = |offset: u16| {
        let [a, b] = offset.to_be_bytes();
        answer(
            &Sample::udp_v4(&[1; 64])
                .on_v6(&[(44, &[0, 0, a, b, 0, 0, 0, 9])])
                .frame(),
        )
    };
    assert_eq!(fragment6(0), Answer::V6);
    assert_eq!(fragment6(1), Answer::V6);
    assert_eq!(fragment6(8), Answer::Withheld);
    assert_eq!(fragment6(185 << 3 | 1), Answer::Withheld);

    let from = |frame: Vec<u8>, at: usize, source: &[u8]| {
        let mut frame = frame;
        frame[at..at + source.len()].copy_from_slice(source);
        answer(&frame)
    };
    for source in [
        [0; 4],
        [0, 1, 2, 3],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [240, 0, 0, 1],
        [255; 4],
    ] {
        assert_eq!(
            from(Sample::udp_v4(b"x").frame(), 26, &source),
            Answer::Withheld,
            "{source:?}"
        );
    }
    let six = || Sample::udp_v4(b"x").on_v6(&[]).frame();
    let mut one = [0; 16];
    assert_eq!(from(six(), 22, &one), Answer::Withheld);
    one[15] = 1;
    assert_eq!(from(six(), 22, &one), Answer::Withheld);
    assert_eq!(from(six(), 22, &[0xff, 2]), Answer::Withheld);
    assert_eq!(from(six(), 6, &[0; 6]), Answer::Withheld, "source MAC");
    assert_eq!(from(six(), 6, &[1]), Answer::Withheld, "source MAC");
}
