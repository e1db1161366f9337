//! Packets that are too big, for the port where they come in or for the path to a VTEP; what their senders are told; and
//! what the network says of the paths.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{Desired, VlanPolicy};
use datapath::engine::Counters;
use datapath::event::Event;
use datapath::io::underlay::{SendError, SendErrorOrigin};
use datapath::note::Note;
use datapath::wire::mac::MacAddr;
use engine_support::{
    A, Book, C, EXPERIMENTAL, Flow, Rig, STRANGER, arp, desired, ethernet, mac, network, tagged,
    vxlan,
};
use etherparse::{
    Icmpv4Header, Icmpv4Type, Icmpv6Type, NetSlice, SlicedPacket, TransportSlice, icmpv4, icmpv6,
};
use std::net::SocketAddr;

/// A network whose port takes far more than its tunnels, and a second tunnel of its own.
fn wide() -> Desired {
    let wide = network("n", 256).port_with("p", |p| p.mtu = 9000).peer(A);
    desired([wide.with(|n| n.rules.vlan = VlanPolicy::Allow(vec![]))])
}

/// A UDP packet of so many bytes, IP header included, DF as asked.
fn packet(flow: &Flow, len: usize, df: bool) -> Vec<u8> {
    let headers = if flow.src.1.is_ipv4() { 28 } else { 48 };
    let mut frame = flow.udp(&vec![7; len - headers]);
    if flow.src.1.is_ipv4() {
        frame[20] = if df { 0x40 } else { 0 };
        fill_checksum(&mut frame, 14);
    }
    frame
}

fn fill_checksum(frame: &mut [u8], at: usize) {
    let header = etherparse::Ipv4Header::from_slice(&frame[at..]).unwrap().0;
    frame[at + 10..at + 12].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
}

fn four() -> Flow {
    Flow::v4(mac(1), mac(2))
}

fn six() -> Flow {
    Flow::v6(mac(1), mac(2))
}

/// The MTU that a too-big message tells. Everything else about it is checked against the packet that it is about.
#[track_caller]
fn told(message: &[u8], about: &[u8]) -> u32 {
    assert_eq!(message[..6], about[6..12], "to its sender");
    assert_eq!(message[6..12], about[..6], "from where it was going");
    let [ours, theirs] = [message, about].map(|frame| SlicedPacket::from_ethernet(frame).unwrap());
    assert_eq!(ours.vlan_ids(), theirs.vlan_ids());
    let at = 14 + 4 * ours.vlan_ids().len();
    assert_eq!(message[12..at], about[12..at]);
    match (
        ours.net.unwrap(),
        theirs.net.unwrap(),
        ours.transport.unwrap(),
    ) {
        (NetSlice::Ipv4(ip), NetSlice::Ipv4(about_ip), TransportSlice::Icmpv4(icmp)) => {
            let header = ip.header();
            assert_eq!(header.source_addr(), about_ip.header().destination_addr());
            assert_eq!(header.destination_addr(), about_ip.header().source_addr());
            assert_eq!(
                header.header_checksum(),
                header.to_header().calc_header_checksum()
            );
            let Icmpv4Type::DestinationUnreachable(
                icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu },
            ) = icmp.icmp_type()
            else {
                panic!("{:?}", icmp.icmp_type());
            };
            let whole = Icmpv4Header::with_checksum(icmp.icmp_type(), icmp.payload());
            assert_eq!(icmp.checksum(), whole.checksum);
            assert_eq!(icmp.payload(), &about[at..][..icmp.payload().len()]);
            assert_eq!(header.total_len(), 576);
            next_hop_mtu.into()
        }
        (NetSlice::Ipv6(ip), NetSlice::Ipv6(about_ip), TransportSlice::Icmpv6(icmp)) => {
            let (header, about_header) = (ip.header(), about_ip.header());
            assert_eq!(header.source_addr(), about_header.destination_addr());
            assert_eq!(header.destination_addr(), about_header.source_addr());
            assert!(icmp.is_checksum_valid(header.source(), header.destination()));
            let Icmpv6Type::PacketTooBig { mtu } = icmp.icmp_type() else {
                panic!("{:?}", icmp.icmp_type());
            };
            let _ = icmpv6::TYPE_PACKET_TOO_BIG;
            assert_eq!(icmp.payload(), &about[at..][..icmp.payload().len()]);
            assert_eq!(header.payload_length(), 1240);
            mtu
        }
        other => panic!("{other:?}"),
    }
}

fn noted(counters: &Counters, port: &str, note: Note) -> u64 {
    let notes = &counters.port(port).frames.notes;
    notes
        .iter()
        .find(|(n, _)| *n == note)
        .map_or(0, |&(_, n)| n)
}

/// Waits until a note has been made so often.
fn wait_for(rig: &mut Rig, port: &str, note: Note, times: u64) {
    rig.wait_until(note.name(), |_, counters| {
        noted(counters, port, note) >= times
    });
    assert_eq!(noted(&rig.settle(), port, note), times);
}

/// Sends a frame and returns what comes back, once it is known that all has come.
fn answers(rig: &mut Rig, frame: &[u8]) -> Vec<Vec<u8>> {
    rig.frame("p", frame);
    // One worker takes them in order: once this one is counted, the other has been answered.
    rig.frame("p", &ethernet(mac(0xfe), mac(1), EXPERIMENTAL, b"mark"));
    rig.settle();
    rig.taken("p")
}

/// The network says that the path to `remote` takes no more than `mtu`.
fn report(rig: &Rig, remote: SocketAddr, mtu: u32) {
    let error = SendError {
        destination: remote,
        errno: 90,
        origin: SendErrorOrigin::Icmp,
        kind: 3,
        code: 4,
        mtu: Some(mtu),
    };
    rig.datapath
        .memory_underlay()
        .unwrap()
        .reports
        .push(error)
        .unwrap();
}

fn path_mtu(counters: &Counters, remote: SocketAddr) -> u32 {
    counters.port(&remote.to_string()).path_mtu.unwrap()
}

fn lower(rig: &mut Rig, remote: SocketAddr, mtu: u32) {
    report(rig, remote, mtu);
    rig.wait_until("a lower path MTU", |_, c| path_mtu(c, remote) == mtu);
}

#[test]
fn g115_g130_an_ipv4_packet_that_just_does_not_fit_is_answered_with_the_mtu_that_does() {
    let mut rig = Rig::new(&wide());
    let (fits, too_big) = (packet(&four(), 1450, true), packet(&four(), 1451, true));
    rig.frame("p", &fits);
    assert_eq!(rig.sent_to(), [(A, vxlan(256, &fits))]);
    assert_eq!(rig.sent_to(), []);
    rig.frame("p", &too_big);
    wait_for(&mut rig, "p", Note::PtbSent, 1);
    let answers = rig.taken("p");
    assert_eq!(answers.len(), 1);
    assert_eq!(told(&answers[0], &too_big), 1450);
    assert_eq!(rig.sent_to(), []);
    assert_eq!(rig.settle().network("n").generated, 1);
    rig.assert_drops(&[("10.200.0.2:4789", "tx.too_big", 1)]);
}

#[test]
fn g116_g130_an_ipv6_packet_that_just_does_not_fit_is_answered_with_the_mtu_that_does() {
    let mut rig = Rig::new(&wide());
    let (fits, too_big) = (packet(&six(), 1450, true), packet(&six(), 1451, true));
    rig.frame("p", &fits);
    assert_eq!(rig.sent_to(), [(A, vxlan(256, &fits))]);
    rig.frame("p", &too_big);
    wait_for(&mut rig, "p", Note::Ptb6Sent, 1);
    assert_eq!(told(&rig.taken("p")[0], &too_big), 1450);
    assert_eq!(noted(&rig.settle(), "p", Note::Ptb6Least), 0);
    rig.assert_drops(&[("10.200.0.2:4789", "tx.too_big", 1)]);
}

#[test]
fn g130_a_vlan_tag_takes_its_four_bytes_and_is_in_the_answer() {
    let mut rig = Rig::new(&wide());
    let tag = |frame: &[u8]| tagged(frame, 0x8100, 7);
    let fits = tag(&packet(&four(), 1446, true));
    let too_big = tag(&packet(&four(), 1447, true));
    rig.frame("p", &fits);
    assert_eq!(rig.sent_to(), [(A, vxlan(256, &fits))]);
    rig.frame("p", &too_big);
    wait_for(&mut rig, "p", Note::PtbSent, 1);
    assert_eq!(told(&rig.taken("p")[0], &too_big), 1446);
}

#[test]
fn g116_below_1280_an_ipv6_sender_is_told_1280() {
    let mut rig = Rig::new(&wide());
    lower(&mut rig, A, 1300);
    let too_big = packet(&six(), 1400, true);
    rig.frame("p", &too_big);
    wait_for(&mut rig, "p", Note::Ptb6Least, 1);
    assert_eq!(told(&rig.taken("p")[0], &too_big), 1280);
}

#[test]
fn g118_g119_what_may_be_fragmented_or_has_no_icmp_is_dropped_with_a_name_of_its_own() {
    let mut rig = Rig::new(&wide());
    let to = |dst: MacAddr| Flow {
        dst: (dst, [10, 0, 0, 2].into(), 443),
        ..four()
    };
    assert_eq!(
        answers(&mut rig, &packet(&four(), 1451, false)),
        [] as [Vec<u8>; 0]
    );
    for silent in [
        ethernet(mac(2), mac(1), EXPERIMENTAL, &[0; 1451]),
        packet(&to(MacAddr::BROADCAST), 1451, true),
        packet(&to(MacAddr([1, 0, 0x5e, 0, 0, 1])), 1451, true),
    ] {
        assert_eq!(answers(&mut rig, &silent), [] as [Vec<u8>; 0]);
    }
    rig.assert_drops(&[
        ("10.200.0.2:4789", "tx.too_big_nodf", 1),
        ("10.200.0.2:4789", "tx.too_big_noicmp", 3),
    ]);
    assert_eq!(rig.settle().network("n").generated, 0);
}

#[test]
fn g120_no_icmp_about_a_later_fragment() {
    let mut rig = Rig::new(&wide());
    let mut fragment = packet(&four(), 1451, true);
    fragment[21] = 8;
    fill_checksum(&mut fragment, 14);
    rig.frame("p", &fragment);
    wait_for(&mut rig, "p", Note::Suppressed, 1);
    assert_eq!(rig.taken("p").len(), 0);
    rig.assert_drops(&[("10.200.0.2:4789", "tx.too_big", 1)]);
}

#[test]
fn g121_a_port_is_told_a_hundred_times_a_second() {
    let two = network("n", 256)
        .port_with("p", |p| p.mtu = 9000)
        .port_with("q", |p| p.mtu = 9000);
    let mut rig = Rig::new(&desired([two.peer(A)]));
    let too_big = packet(&four(), 1451, true);
    for _ in 0..1000 {
        rig.frame("p", &too_big);
    }
    rig.wait_until("all answered or not", |_, c| {
        noted(c, "p", Note::PtbSent) + noted(c, "p", Note::RateLimited) == 1000
    });
    let counters = rig.settle();
    let sent = noted(&counters, "p", Note::PtbSent);
    assert!((100..1000).contains(&sent), "{sent}");
    assert_eq!(rig.taken("p").len() as u64, sent);
    // Another port has tokens of its own.
    let other = Flow {
        src: (mac(3), [10, 0, 0, 3].into(), 1),
        ..four()
    };
    rig.frame("q", &packet(&other, 1451, true));
    wait_for(&mut rig, "q", Note::PtbSent, 1);
}

#[test]
fn g122_a_report_lowers_the_path_of_its_vtep_only() {
    let state = network("n", 256).port("p").peer(A).peer(C);
    let more = network("m", 257).port("q").peer(A);
    let mut rig = Rig::new(&desired([state, more]));
    report(&rig, A, 1300);
    rig.wait_until("a lower path MTU", |_, c| path_mtu(c, A) == 1300);
    let counters = rig.settle();
    assert_eq!(path_mtu(&counters, C), 1500);
    let of_a = |n: &datapath::engine::NetworkReport| {
        let mut ports = n.ports.iter();
        ports.find(|p| p.name == A.to_string()).unwrap().path_mtu
    };
    assert!(counters.networks.iter().all(|n| of_a(n) == Some(1300)));
    assert_eq!(noted(&counters, &A.to_string(), Note::PmtuChange), 1);
    let change = |network: &str| Event::PathMtu {
        network: network.into(),
        remote: A.ip(),
        from: 1500,
        to: 1300,
    };
    assert_eq!(rig.events(), [change("n"), change("m")]);
    let too_big = packet(&four(), 1251, true);
    rig.datagram(A, 256, &ethernet(mac(1), mac(2), EXPERIMENTAL, b"here"));
    rig.settle();
    rig.taken("p");
    rig.frame("p", &too_big);
    wait_for(&mut rig, "p", Note::PtbSent, 1);
    let answers = rig.taken("p");
    assert_eq!(told(&answers[answers.len() - 1], &too_big), 1250);
    // It lasts from one desired state to the next.
    let grown = desired([
        network("n", 256).port("p").peer(A).peer(C),
        network("m", 257).port("q").peer(A),
        network("o", 258),
    ]);
    rig.apply(&grown).unwrap();
    assert_eq!(path_mtu(&rig.settle(), A), 1300);
}

#[test]
fn g123_a_report_about_somebody_who_is_no_vtep_is_ignored() {
    let mut rig = Rig::new(&wide());
    let other_port = SocketAddr::new(A.ip(), 4790);
    for wrong in [STRANGER, other_port] {
        report(&rig, wrong, 1300);
    }
    rig.wait_until("both ignored", |_, c| {
        c.underlay_notes == [(Note::InIgnored, 2)]
    });
    assert_eq!(path_mtu(&rig.settle(), A), 1500);
}

#[test]
fn g124_no_report_lowers_a_path_below_576() {
    let mut rig = Rig::new(&wide());
    report(&rig, A, 68);
    rig.wait_until("the least", |_, c| path_mtu(c, A) == 576);
    assert_eq!(noted(&rig.settle(), &A.to_string(), Note::InFloor), 1);
    assert_eq!(rig.events().len(), 1);
}

#[test]
fn g127_a_syn_is_clamped_to_its_tunnel_and_only_there() {
    let syn = |mss: u16| {
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2(mac(1).0, mac(2).0)
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(40000, 443, 7, 65535)
            .syn()
            .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(mss)])
            .unwrap()
            .write(&mut frame, &[])
            .unwrap();
        frame
    };
    let state = |clamp| {
        let network = network("n", 256).port("p").port("q").peer(A);
        desired([network.with(|n| n.mss_clamp = clamp)])
    };
    for (clamp, path, expected, clamped) in [
        (true, 1500, 1410, 0),
        (true, 1300, 1210, 1),
        (false, 1300, 1410, 0),
    ] {
        let mut rig = Rig::new(&state(clamp));
        if path < 1500 {
            lower(&mut rig, A, path);
        }
        rig.frame("p", &syn(1410));
        assert_eq!(rig.sent_to(), [(A, vxlan(256, &syn(expected)))]);
        assert_eq!(
            noted(&rig.settle(), &A.to_string(), Note::MssClamped),
            clamped
        );
    }
}

#[test]
fn g128_another_underlay_mtu_is_taken_over() {
    let mut rig = Rig::new(&wide());
    let mut jumbo = wide();
    jumbo.underlay_mtu = 9000;
    rig.apply(&jumbo).unwrap();
    assert_eq!(path_mtu(&rig.settle(), A), 9000);
    let fits = packet(&four(), 8950, true);
    rig.frame("p", &fits);
    assert_eq!(rig.sent_to(), [(A, vxlan(256, &fits))]);
    rig.assert_drops(&[]);
}

#[test]
fn g129_a_frame_longer_than_its_port_is_answered_and_goes_nowhere() {
    let state = network("n", 256).port("p").port_with("q", |q| q.mtu = 9000);
    let mut rig = Rig::new(&desired([
        state.with(|n| n.rules.vlan = VlanPolicy::Allow(vec![]))
    ]));
    let fits = packet(&four(), 1450, true);
    rig.frame("p", &fits);
    let tagged_fits = tagged(&fits, 0x8100, 7);
    rig.frame("p", &tagged_fits);
    assert_eq!(rig.taken("q"), [fits, tagged_fits]);
    let too_big = packet(&four(), 1451, true);
    rig.frame("p", &too_big);
    rig.frame("p", &packet(&four(), 1451, false));
    rig.frame(
        "p",
        &arp(mac(1), 2)
            .into_iter()
            .chain([0; 1500])
            .collect::<Vec<_>>(),
    );
    wait_for(&mut rig, "p", Note::PtbSent, 1);
    let answers = rig.taken("p");
    assert_eq!(answers.len(), 1);
    assert_eq!(told(&answers[0], &too_big), 1450);
    assert_eq!(rig.taken("q").len(), 0);
    rig.assert_drops(&[("p", "rx.port_oversize", 3)]);
}

#[test]
fn g132_a_flood_goes_where_it_fits_and_is_answered_once() {
    let state = network("n", 256)
        .port("p")
        .peer(A)
        .peer(C)
        .peer(engine_support::E);
    let mut rig = Rig::new(&desired([state]));
    lower(&mut rig, A, 1400);
    lower(&mut rig, C, 1300);
    let unknown = packet(&four(), 1400, true);
    rig.frame("p", &unknown);
    wait_for(&mut rig, "p", Note::PtbSent, 1);
    assert_eq!(rig.sent_to(), [(engine_support::E, vxlan(256, &unknown))]);
    let answers = rig.taken("p");
    assert_eq!(answers.len(), 1);
    assert_eq!(told(&answers[0], &unknown), 1250, "what fits them all");
    rig.assert_drops(&[
        ("10.200.0.2:4789", "tx.too_big", 1),
        ("10.200.0.3:4789", "tx.too_big", 1),
    ]);
}

#[test]
fn g114_with_leave_to_fragment_everything_is_sent_and_counted() {
    let mut state = wide();
    state.vtep.allow_outer_fragmentation = true;
    let mut rig = Rig::new(&state);
    let too_big = packet(&four(), 1451, true);
    rig.frame("p", &too_big);
    assert_eq!(rig.sent_to(), [(A, vxlan(256, &too_big))]);
    assert_eq!(noted(&rig.settle(), &A.to_string(), Note::Fragmented), 1);
    assert_eq!(rig.taken("p").len(), 0);
    rig.assert_drops(&[]);
}
