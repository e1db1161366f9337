//! What a capture takes, how it ends, and that nobody who reads it holds a worker up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::engine::{CaptureSpec, Side};
use datapath::error::ErrorCode;
use datapath::filter::Compiler;
use engine_support::pcapng::{Drops, Packet, Section, told};
use engine_support::{
    A, BROADCAST, C, EXPERIMENTAL, Flow, Reader, Rig, STRANGER, capture_spec, desired, ethernet,
    mac, network, vxlan,
};
use std::sync::Arc;

fn lan() -> Rig {
    Rig::new(&desired([network("n", 256)
        .port("p")
        .port("q")
        .peer(A)
        .peer(C)]))
}

fn hello(src: u32) -> Vec<u8> {
    ethernet(BROADCAST, mac(src), EXPERIMENTAL, b"hello")
}

fn at(section: &Section) -> Vec<(String, &str)> {
    let packets = section.packets.iter();
    let place = |p: &Packet| match p.is_outbound {
        true => format!("-> {}", p.interface),
        false => format!("{} ->", p.interface),
    };
    packets.map(|p| (place(p), p.comment.as_str())).collect()
}

#[test]
fn a_port_is_followed_both_ways() {
    let mut rig = lan();
    let spec = CaptureSpec {
        port: Some("p".into()),
        ..capture_spec(Side::Inner)
    };
    let reader = Reader::start(&mut rig, &spec);
    rig.frame("p", &hello(1));
    rig.settle();
    rig.frame("q", &hello(2));
    rig.datagram(A, 256, &ethernet(mac(2), mac(3), EXPERIMENTAL, b"not to p"));
    rig.datagram(STRANGER, 256, &hello(4));
    rig.settle();
    let section = reader.end();
    assert_eq!(
        at(&section),
        [
            ("n/p (VNI 256) ->".into(), "flood (broadcast) to 3 ports"),
            ("-> n/p (VNI 256)".into(), "sent; came from port q"),
        ]
    );
}

#[test]
fn a_vtep_is_followed_both_ways_and_datagrams_of_a_port_wherever_they_go() {
    let mut rig = lan();
    let peer = CaptureSpec {
        peer: Some(A.ip()),
        ..capture_spec(Side::Both)
    };
    let port = CaptureSpec {
        port: Some("p".into()),
        ..capture_spec(Side::Outer)
    };
    let peer = Reader::start(&mut rig, &peer);
    let port = Reader::start(&mut rig, &port);
    rig.frame("p", &hello(1));
    rig.settle();
    rig.datagram(A, 256, &ethernet(mac(1), mac(3), EXPERIMENTAL, b"to p"));
    rig.datagram(C, 256, &ethernet(mac(9), mac(4), EXPERIMENTAL, b"to all"));
    rig.settle();
    let (of_a, of_c) = ("n/10.200.0.2:4789", "n/10.200.0.3:4789");
    let places = |section: &Section| -> Vec<String> {
        at(section).into_iter().map(|(place, _)| place).collect()
    };
    assert_eq!(
        places(&peer.end()),
        [
            format!("-> {of_a} outer (VNI 256)"),
            format!("-> {of_a} (VNI 256)"),
            format!("{of_a} (VNI 256) ->"),
            format!("{of_a} outer (VNI 256) ->"),
        ]
    );
    assert_eq!(
        places(&port.end()),
        [
            format!("-> {of_a} outer (VNI 256)"),
            format!("-> {of_c} outer (VNI 256)"),
            format!("{of_a} outer (VNI 256) ->"),
            format!("{of_c} outer (VNI 256) ->"),
        ]
    );
}

#[test]
fn drops_only_and_a_network_leave_the_rest_out() {
    let mut rig = Rig::new(&desired([
        network("n", 1).port("p").port("q"),
        network("m", 2).port("r").peer(A),
    ]));
    let spec = CaptureSpec {
        network: Some("m".into()),
        drops_only: true,
        ..capture_spec(Side::Inner)
    };
    let reader = Reader::start(&mut rig, &spec);
    rig.frame("p", &hello(1));
    rig.frame("p", &ethernet(mac(5), mac(5), EXPERIMENTAL, b""));
    rig.frame("r", &hello(2));
    rig.frame("r", &ethernet(mac(5), mac(5), EXPERIMENTAL, b""));
    rig.datagram(STRANGER, 2, &hello(6));
    rig.datagram(A, 3, &hello(7));
    rig.settle();
    let section = reader.end();
    let reasons: Vec<_> = section.packets.iter().map(|p| p.pair("reason")).collect();
    assert_eq!(reasons, ["rx.src_eq_dst", "rx.vtep_unknown"]);
    let expected = [("r", "rx.src_eq_dst"), ("underlay", "rx.vtep_unknown")];
    let expected = expected.map(|(place, reason)| ((place.into(), reason.into()), 1));
    assert_eq!(told(&section), Drops::from(expected));
}

#[test]
fn what_ports_and_networks_dropped_before_they_went_is_told() {
    let n = || network("n", 256).port("q").peer(A);
    let m = network("m", 2).port("r").peer(A);
    let mut rig = Rig::new(&desired([n().port("p"), m]));
    let bad = ethernet(mac(5), mac(5), EXPERIMENTAL, b"");
    rig.frame("p", &bad);
    rig.datagram(STRANGER, 2, &hello(6));
    rig.settle();
    let reader = Reader::start(&mut rig, &capture_spec(Side::Inner));
    for port in ["p", "q", "r"] {
        rig.frame(port, &bad);
    }
    rig.datagram(STRANGER, 2, &hello(6));
    rig.settle();
    rig.apply_live(&desired([n()])).unwrap();
    rig.apply_live(&desired([n().port("p")])).unwrap();
    for port in ["p", "q"] {
        rig.frame(port, &bad);
    }
    rig.settle();
    let expected = [
        (("p", "rx.src_eq_dst"), 2),
        (("q", "rx.src_eq_dst"), 2),
        (("r", "rx.src_eq_dst"), 1),
        (("underlay", "rx.vtep_unknown"), 1),
    ];
    let expected = expected.map(|((place, reason), n)| ((place.into(), reason.into()), n));
    assert_eq!(told(&reader.end()), Drops::from(expected));
}

#[test]
fn a_filter_is_about_the_frame_inside_and_out() {
    let mut rig = lan();
    let spec = CaptureSpec {
        filter: Some("udp".into()),
        ..capture_spec(Side::Both)
    };
    let reader = Reader::start(&mut rig, &spec);
    assert_eq!(
        reader.status(&rig).unwrap().compiler,
        Some(Compiler::Libpcap)
    );
    rig.frame("p", &Flow::v4(mac(1), BROADCAST).udp(b"wanted"));
    rig.frame("p", &Flow::v4(mac(1), BROADCAST).tcp(b"not wanted"));
    rig.datagram(STRANGER, 256, &Flow::v4(mac(3), mac(4)).udp(b"wanted"));
    rig.payload(A, 4789, b"short");
    rig.settle();
    let section = reader.end();
    assert_eq!(section.packets.len(), 1 + 2 + 1);
    assert!(
        section
            .interfaces
            .iter()
            .all(|i| i.filter.as_deref() == Some("udp"))
    );
    let spec = CaptureSpec {
        filter: Some("no such thing".into()),
        ..capture_spec(Side::Inner)
    };
    let refused = rig.datapath.capture(&spec).unwrap_err();
    assert_eq!(refused.code, ErrorCode::BadFilter);
    assert!(refused.detail.is_some());
    assert!(!spec.socket.exists());
}

#[test]
fn a_packet_is_cut_to_the_snap_length_headers_included() {
    let mut rig = lan();
    for snaplen in [1, 20, 28, 40, 96] {
        let spec = CaptureSpec {
            snaplen,
            ..capture_spec(Side::Both)
        };
        let reader = Reader::start(&mut rig, &spec);
        rig.frame("p", &hello(1));
        rig.datagram(A, 256, &hello(2));
        rig.settle();
        let section = reader.end();
        let lens: Vec<_> = section
            .packets
            .iter()
            .map(|p| (p.len, p.bytes.len()))
            .collect();
        let (frame, datagram) = (hello(1).len(), hello(1).len() + 8 + 28);
        let cut = |len: usize| (len, len.min(snaplen as usize));
        let frame_and_two = [frame, datagram, datagram, frame, datagram];
        assert_eq!(lens, frame_and_two.map(cut), "{snaplen}");
    }
}

#[test]
fn a_capture_ends_with_its_last_packet() {
    let mut rig = lan();
    let spec = CaptureSpec {
        max_packets: Some(3),
        ..capture_spec(Side::Inner)
    };
    let reader = Reader::start(&mut rig, &spec);
    for n in 0..10 {
        rig.frame("p", &hello(n));
    }
    let id = reader.id;
    let section = reader.ended();
    assert_eq!(section.packets.len(), 3);
    assert!(section.interfaces[0].statistics.is_some());
    rig.wait_until("it is over", |rig, _| rig.datapath.captures().is_empty());
    assert!(!rig.datapath.end_capture(id));
}

#[test]
fn a_capture_ends_when_it_is_told_to_and_with_the_datapath() {
    let mut rig = lan();
    let told = Reader::start(&mut rig, &capture_spec(Side::Inner));
    let stopped = Reader::start(&mut rig, &capture_spec(Side::Inner));
    rig.frame("p", &hello(1));
    rig.settle();
    assert!(rig.datapath.end_capture(told.id));
    assert_eq!(told.ended().packets.len(), 1);
    rig.stop();
    let section = stopped.ended();
    assert_eq!(section.packets.len(), 1);
    assert!(section.interfaces[0].statistics.is_some());
    let refused = rig.datapath.capture(&capture_spec(Side::Inner));
    assert_eq!(refused.unwrap_err().code, ErrorCode::BadValue);
}

/// The longest wait: nobody comes. It must not keep the datapath from stopping.
#[test]
fn a_capture_that_nobody_reads_ends_with_the_datapath() {
    let mut rig = lan();
    let spec = capture_spec(Side::Inner);
    rig.datapath.capture(&spec).unwrap();
    assert!(spec.socket.exists());
    rig.stop();
    assert!(!spec.socket.exists());
}

#[test]
fn a_reader_who_goes_ends_his_capture() {
    let mut rig = lan();
    let reader = Reader::connect(&mut rig, &capture_spec(Side::Inner));
    drop(reader);
    rig.wait_until("it is over", |rig, _| rig.datapath.captures().is_empty());
    rig.frame("p", &hello(1));
}

/// He takes nothing, so nearly everything is lost, counted, and none of it is missed by the stations.
#[test]
fn a_reader_who_stalls_holds_nobody_up() {
    let mut rig = lan();
    let reader = Reader::connect(&mut rig, &capture_spec(Side::Inner));
    let frame = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[7; 1400]);
    let (rounds, frames) = (60, 1000);
    for _ in 0..rounds {
        for _ in 0..frames {
            rig.frame("p", &frame);
        }
        rig.settle();
        assert_eq!(rig.taken("q").len(), frames);
        rig.sent();
    }
    let status = reader.status(&rig).unwrap();
    assert!(status.lost > 0, "{status:?}");
    // The datapath ends although he still takes nothing.
    rig.stop();
}

/// What a capture knows of ports must not keep them: a TAP that is open cannot be opened again.
#[test]
fn a_reader_who_stalls_keeps_no_port() {
    let mut rig = lan();
    let reader = Reader::connect(&mut rig, &capture_spec(Side::Inner));
    let frame = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[7; 1400]);
    // When there is no room left the writer has long been waiting for him.
    while reader.status(&rig).unwrap().lost == 0 {
        for _ in 0..1000 {
            rig.frame("p", &frame);
        }
        rig.settle();
        rig.taken("q");
        rig.sent();
    }
    let port = Arc::downgrade(&rig.datapath.memory_port("q").unwrap());
    rig.apply(&desired([network("n", 256).port("p").peer(A).peer(C)]))
        .unwrap();
    rig.wait_until("nobody has the port any more", |_, _| {
        port.strong_count() == 0
    });
}

#[test]
fn ports_have_their_names_from_their_first_packet_on() {
    let mut rig = lan();
    let reader = Reader::start(&mut rig, &capture_spec(Side::Inner));
    let frame = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[7; 1400]);
    // Copies are dropped at the new port, for its MTU, while the others learn that it is there.
    for n in 0..50 {
        for _ in 0..1000 {
            rig.frame("p", &frame);
        }
        let new = format!("new-{n}");
        let now = network("n", 256).port("p").port("q").peer(A).peer(C);
        rig.apply_live(&desired([now.port_with(&new, |p| p.mtu = 68)]))
            .unwrap();
        rig.settle();
        rig.taken("q");
        rig.sent();
    }
    let section = reader.end();
    let names = section.interfaces.iter().map(|i| i.name.as_str());
    let nameless: Vec<_> = names.filter(|name| name.starts_with('#')).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    assert!(section.interfaces.len() > 2, "{}", section.interfaces.len());
}

#[test]
fn what_the_reader_was_too_slow_for_is_counted() {
    let mut rig = lan();
    let mut spec = capture_spec(Side::Inner);
    // So long that only a short name beside its folder leads there.
    let folder = spec.socket.join("x".repeat(120));
    std::fs::create_dir_all(&folder).unwrap();
    let outer = std::mem::replace(&mut spec.socket, folder.join("socket"));
    let status = rig.datapath.capture(&spec).unwrap();
    let mode = std::fs::metadata(&spec.socket).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o600
    );
    assert!(rig.datapath.end_capture(status.id));
    rig.wait_until("it is over", |rig, _| rig.datapath.captures().is_empty());
    std::fs::remove_dir_all(&outer).unwrap();

    spec.socket = outer;
    let reader = Reader::connect(&mut rig, &spec);
    let frame = ethernet(BROADCAST, mac(1), EXPERIMENTAL, &[7; 1400]);
    let frames = 30_000;
    for _ in 0..frames / 1000 {
        for _ in 0..1000 {
            rig.frame("p", &frame);
        }
        rig.settle();
        rig.taken("q");
        rig.sent();
    }
    let section = reader.read_to_the_end(&mut rig);
    let (received, lost, _) = section.interfaces[0].statistics.as_ref().unwrap();
    assert_eq!(*received, frames);
    assert_eq!(*lost + section.packets.len() as u64, frames);
    assert!(*lost > 0);
}

#[test]
fn there_are_only_so_many() {
    let mut rig = lan();
    let specs: Vec<_> = (0..9).map(|_| capture_spec(Side::Inner)).collect();
    for spec in &specs[..8] {
        rig.datapath.capture(spec).unwrap();
    }
    let refused = rig.datapath.capture(&specs[8]).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooManyCaptures);
    assert!(rig.datapath.end_capture(3));
    rig.wait_until("one is over", |rig, _| rig.datapath.captures().len() == 7);
    assert_eq!(rig.datapath.capture(&specs[8]).unwrap().id, 9);
}

#[test]
fn what_cannot_be_captured_is_refused() {
    let mut rig = lan();
    let refused = |change: &dyn Fn(&mut CaptureSpec)| {
        let mut spec = capture_spec(Side::Inner);
        change(&mut spec);
        let error = rig.datapath.capture(&spec).unwrap_err();
        (error.code, error.subject)
    };
    let bad = |subject: &str| (ErrorCode::BadValue, subject.to_owned());
    assert_eq!(refused(&|s| s.snaplen = 0), bad("snaplen"));
    assert_eq!(refused(&|s| s.network = Some("x".into())), bad("network x"));
    // A tunnel is no local port.
    let tunnel = "10.200.0.2:4789";
    assert_eq!(
        refused(&|s| s.port = Some(tunnel.into())),
        bad(&format!("port {tunnel}"))
    );
    assert_eq!(
        refused(&|s| s.socket = "/nonexistent/x".into()).0,
        ErrorCode::Io
    );
    assert_eq!(refused(&|s| s.socket = "/".into()).0, ErrorCode::Io);
    rig.settle();
}

#[test]
fn other_udp_ports_are_hinted_at() {
    let mut rig = Rig::new(&desired([network("n", 1)
        .port("p")
        .with(|n| n.udp_port = 8472)]));
    let reader = Reader::start(&mut rig, &capture_spec(Side::Outer));
    rig.payload(A, 8472, &vxlan(2, &hello(1)));
    rig.settle();
    let section = reader.end();
    assert_eq!(
        section.comments,
        ["VXLAN on UDP port 8472: tshark -d udp.port==8472,vxlan"]
    );
    assert_eq!(section.packets[0].bytes[22..24], 8472u16.to_be_bytes());
}
