//! Superframes sent whole inside their tunnel, to the kernel's own vxlan and to ordinary sockets. Needs root.
//!
//! ```text
//!   left: test's own TCP -> injector --- u0 (veth) u0 --- right: kernel vxlan, TCP listener
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod inject_support;
mod io_support;

use datapath::error::ErrorCode;
use datapath::io::netlink::RouteWatch;
use datapath::io::underlay::inject::{self, Injector, InjectorSpec, PathCheck, segments_tunnels};
use datapath::io::underlay::{RxSocket, SendRefusal, TxPool, TxScratch};
use datapath::offload::Superframe;
use datapath::wire::encap::{MAX_FRAME_LEN, OuterHeader};
use datapath::wire::vnet::VnetHeader;
use inject_support::{
    Cutting, Peer, Stack, V4, V6, VNI, has_no_checksum_errors, index_of, injector_for, outer,
    superframe_header, vxlan,
};
use io_support::{Namespace, eventually, is_ready, receive, rx_spec, tx_spec, wait_for};
use std::net::{IpAddr, SocketAddr};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// A TCP connection that the test opens by hand, and a superframe in it. The kernel at the other end delivers only what
/// has right lengths and checksums.
fn deliver(cutting: Cutting) {
    for underlay in [V4, V6] {
        for overlay in [V4, V6] {
            let peer = Peer::new(underlay, overlay);
            cutting.set_up(&peer.left);
            let injector = injector_for(&peer.left, underlay.local());
            let mut stack = Stack::connect(&peer, &injector, underlay, overlay);
            let before = peer.arrived();
            let data = payload(20_000);
            stack.send_superframe(&data, 1300);
            assert_eq!(stack.read(data.len()), data);
            let packets = peer.arrived() - before;
            match cutting {
                Cutting::Nobody => assert!(packets < 8, "{packets}: it stays whole"),
                _ => assert!(packets >= 16, "{packets}: 16 segments"),
            }
            // What comes after it in the flow is delivered too.
            stack.send_small(b"end");
            assert_eq!(stack.read(3), b"end");
            let errors = peer.right.exec("cat /proc/net/snmp /proc/net/snmp6");
            assert!(has_no_checksum_errors(&errors), "{errors}");
        }
    }
}

#[test]
fn root_a_superframe_reaches_a_kernel_peer_whole() {
    deliver(Cutting::Nobody);
}

#[test]
fn root_where_the_interface_cannot_cut_it_the_kernel_does() {
    deliver(Cutting::Kernel);
}

#[test]
fn root_and_fills_in_every_checksum_where_the_interface_cannot() {
    deliver(Cutting::SummingKernel);
}

#[test]
fn root_h138_the_datagrams_are_those_of_our_own_split() {
    for underlay in [V4, V6] {
        let (left, right) = Namespace::pair("injudp");
        Cutting::SummingKernel.set_up(&left);
        let injector = injector_for(&left, underlay.local());
        let rx = right.within(|| RxSocket::open(&rx_spec(underlay.vtep())));
        for overlay in [V4, V6] {
            let frame = overlay.partial_frame(&payload(9000));
            let vnet = superframe_header(overlay, 1300);
            let head = outer(underlay, &injector).before(&frame, &vnet).unwrap();
            assert_eq!(injector.send(&head, &frame), Ok(()));
            let superframe = Superframe::parse(&frame, &vnet).unwrap();
            let mut expected = vec![0; superframe.split_len(8)];
            let run = superframe
                .split(&frame, &vxlan::header(VNI), &mut expected)
                .unwrap();
            assert_eq!(run.count, 7);
            let datagrams = receive(&rx, run.count);
            let expected: Vec<&[u8]> = expected.chunks(run.stride).collect();
            let received: Vec<&[u8]> = datagrams.iter().map(|d| &d.payload[..]).collect();
            assert_eq!(received, expected);
            for datagram in &datagrams {
                assert_eq!(datagram.source, SocketAddr::new(underlay.local(), 50_000));
                assert_eq!(datagram.tos, 0xb8);
            }
        }
    }
}

#[test]
fn root_h152_the_longest_superframe_stays_whole() {
    for family in [V4, V6] {
        let (left, right) = Namespace::pair("injlong");
        let injector = injector_for(&left, family.local());
        let rx = right.within(|| RxSocket::open(&rx_spec(family.vtep())));
        let headers = family.partial_frame(&[]).len();
        let frame = family.partial_frame(&payload(MAX_FRAME_LEN - headers));
        let vnet = superframe_header(family, 1300);
        let head = outer(family, &injector).before(&frame, &vnet).unwrap();
        assert_eq!(injector.send(&head, &frame), Ok(()));
        let datagram = receive(&rx, 1).remove(0);
        assert_eq!(datagram.payload, [&vxlan::header(VNI), &frame[..]].concat());
    }
}

/// left - router - right: the second link is narrower than the segments.
#[test]
fn root_g122_what_routers_report_comes_to_the_socket_with_that_port() {
    let (left, router) = Namespace::pair("injmtu");
    let right = Namespace::new("injmtu");
    router.join(&right, "u1");
    router.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    router.add_address("u1", "10.2.0.9/24");
    router.add_address("u1", "fd02::9/64");
    router.ip("link set u1 mtu 1400");
    left.ip("route add 10.2.0.0/24 via 10.1.0.2");
    left.ip("-6 route add fd02::/64 via fd01::2");
    for (family, remote) in [(V4, "10.2.0.2"), (V6, "fd02::2")] {
        let pool = left.within(|| TxPool::open(&tx_spec(family.local())));
        let injector = injector_for(&left, family.local());
        let header = OuterHeader {
            destination: SocketAddr::new(ip(remote), 4789),
            source_port: pool.ports()[0],
            ..outer(family, &injector)
        };
        let frame = family.partial_frame(&payload(9000));
        let head = header.before(&frame, &superframe_header(family, 1340));
        let head = head.unwrap();
        assert!((1401..=1500).contains(&head.packet_len()));
        assert_eq!(injector.send(&head, &frame), Ok(()));
        let mut reported = None;
        eventually("a report", || {
            pool.drain_errors(&mut TxScratch::new(), 0, |error| reported = Some(error));
            reported.is_some()
        });
        let reported = reported.unwrap();
        assert_eq!(reported.destination, header.destination);
        assert_eq!(reported.mtu, Some(1400));
        let spec = InjectorSpec {
            local: family.local(),
            ifindex: index_of(&left, "u0"),
            ttl: None,
        };
        let mut check = left.within(|| PathCheck::open(&spec));
        assert_eq!(check.mtu_to(ip(remote)).unwrap(), Some(1400));
    }
}

#[test]
fn root_small_frames_arrive_as_they_are() {
    for underlay in [V4, V6] {
        for checksum in [true, false] {
            let (left, right) = Namespace::pair("injsmall");
            Cutting::SummingKernel.set_up(&left);
            let injector = injector_for(&left, underlay.local());
            let rx = right.within(|| RxSocket::open(&rx_spec(underlay.vtep())));
            let header = OuterHeader {
                checksum,
                ..outer(underlay, &injector)
            };
            for len in [0, 1, 46, 1000] {
                let frame = [&[0xff; 12][..], &[0x88, 0xb5], &payload(len)].concat();
                let Some(head) = header.before(&frame, &VnetHeader::NONE) else {
                    assert!(!checksum && underlay == V6);
                    continue;
                };
                assert_eq!(injector.send(&head, &frame), Ok(()));
                let datagrams = receive(&rx, 1);
                assert_eq!(
                    datagrams[0].payload,
                    [&vxlan::header(VNI), &frame[..]].concat()
                );
            }
        }
    }
}

#[test]
fn root_the_route_decides_what_may_be_injected() {
    let (left, right) = Namespace::pair("injroute");
    left.join(&right, "d0");
    left.add_address("d0", "10.2.0.1/24");
    left.add_address("d0", "fd02::1/64");
    left.ip("route add 10.3.0.0/16 via 10.1.0.2 mtu 1300");
    left.ip("route add prohibit 10.3.9.0/24");
    left.ip("-6 route add fd03::/64 via fd01::2 mtu 1300");
    left.ip("-6 route add prohibit fd03:0:0:0:9::/80");
    left.ip("link set u0 mtu 1400");
    right.add_address("u0", "fe80::2/64");
    let ask = |local: &str, cases: &[(&str, Option<u32>)]| {
        let spec = InjectorSpec {
            local: ip(local),
            ifindex: index_of(&left, "u0"),
            ttl: None,
        };
        let mut check = left.within(|| PathCheck::open(&spec));
        for &(destination, expected) in cases {
            let mtu = check.mtu_to(ip(destination)).unwrap();
            assert_eq!(mtu, expected, "{local} {destination}");
        }
    };
    ask(
        "10.1.0.1",
        &[
            ("10.1.0.2", Some(1400)),
            ("10.3.0.1", Some(1300)),
            ("10.3.9.1", None),
            ("10.2.0.2", None),
            ("198.51.100.1", None),
            ("10.1.0.1", None),
            ("10.1.0.255", None),
            ("127.0.0.1", None),
            ("239.1.1.1", None),
            ("fd01::2", None),
        ],
    );
    ask(
        "fd01::1",
        &[
            ("fd01::2", Some(1400)),
            ("fe80::2", Some(1400)),
            ("fd03::1", Some(1300)),
            ("fd03::9:0:0:1", None),
            ("fd02::2", None),
            ("2001:db8::1", None),
            ("fd01::1", None),
            ("ff02::1", None),
            ("10.1.0.2", None),
        ],
    );
    // Rules by source count.
    left.ip("rule add from 10.1.0.1 to 10.1.0.2 table 77");
    left.ip("route add 10.1.0.2 dev d0 table 77");
    ask("10.1.0.1", &[("10.1.0.2", None), ("10.1.0.3", Some(1400))]);
    // Past an IPsec policy, encryption would be passed by as well.
    left.ip(POLICY);
    ask("10.1.0.1", &[("10.1.0.3", None)]);
    ask("fd01::1", &[("fd01::2", None)]);
    left.ip("xfrm policy flush");
    ask("10.1.0.1", &[("10.1.0.3", Some(1400))]);
    // An address that is no longer ours leads nowhere.
    ask("10.1.0.77", &[("10.1.0.3", None)]);
}

#[test]
fn root_changes_of_the_way_are_heard() {
    let (left, _right) = Namespace::pair("injwatch");
    let watch = left.within(RouteWatch::open);
    // Of the namespace's own making.
    eventually("quiet", || !watch.take());
    for change in [
        "route add 10.3.0.0/24 via 10.1.0.2",
        "-6 route add fd03::/64 via fd01::2",
        "rule add from 10.1.0.1 table 77",
        "-6 rule add from fd01::1 table 77",
        "link set u0 mtu 1400",
        "address del 10.1.0.1/24 dev u0",
        "nexthop add id 7 dev u0",
        POLICY,
    ] {
        assert!(!watch.take());
        left.ip(change);
        wait_for(&watch);
        assert!(watch.take(), "{change}");
        eventually("quiet", || !watch.take() && !is_ready(&watch));
    }
    left.exec("ethtool -K u0 tx-udp_tnl-segmentation off");
    wait_for(&watch);
}

#[test]
fn root_the_interface_says_what_it_segments() {
    let (left, _right) = Namespace::pair("injfeat");
    let segments = || left.within(|| segments_tunnels("u0"));
    assert!(segments());
    for feature in [
        "tx-tcp-segmentation",
        "tx-tcp6-segmentation",
        "tx-udp_tnl-segmentation",
        "tx-udp_tnl-csum-segmentation",
    ] {
        left.exec(&format!("ethtool -K u0 {feature} off"));
        assert!(!segments(), "{feature}");
        left.exec(&format!("ethtool -K u0 {feature} on"));
        assert!(segments(), "{feature}");
    }
    let gone = left.within(|| Ok(segments_tunnels("u9"))).unwrap_err();
    assert_eq!(gone.code, ErrorCode::AddressNotLocal);
}

#[test]
fn root_the_tap_is_quiet_and_ends_with_the_injector() {
    let (left, _right) = Namespace::pair("injgone");
    let before = left.ip("-o link show");
    let injectors = [V4, V6].map(|underlay| injector_for(&left, underlay.local()));
    let names = [0, 1].map(|i| injectors[i].ifname().to_owned());
    assert_ne!(names[0], names[1]);
    for (injector, name) in injectors.iter().zip(&names) {
        assert!(name.starts_with("vswtx"), "{name}");
        assert_eq!(left.ip(&format!("-o address show dev {name}")), "");
        let dropped = format!("cat /sys/class/net/{name}/statistics/tx_dropped");
        let sent = format!("cat /sys/class/net/{name}/statistics/tx_packets");
        assert_eq!([dropped, sent].map(|c| left.exec(&c)), ["0\n", "0\n"]);
        assert_eq!(injector.ttl(), 64);
    }
    drop(injectors);
    eventually("gone", || left.ip("-o link show") == before);
}

#[test]
fn root_the_ttl_is_the_systems_or_ones_own() {
    let (left, _right) = Namespace::pair("injttl");
    left.exec("sysctl -qw net.ipv4.ip_default_ttl=99 net.ipv6.conf.all.hop_limit=98");
    for (underlay, ttl) in [(V4, 99), (V6, 98)] {
        assert_eq!(injector_for(&left, underlay.local()).ttl(), ttl);
    }
    let spec = InjectorSpec {
        local: V4.local(),
        ifindex: index_of(&left, "u0"),
        ttl: Some(3),
    };
    assert_eq!(left.within(|| Injector::open(&spec)).ttl(), 3);
}

#[test]
fn root_e97_what_the_kernel_does_not_take_is_refused() {
    let (left, _right) = Namespace::pair("injbad");
    let injector = injector_for(&left, V4.local());
    let frame = V4.partial_frame(&payload(9000));
    let vnet = superframe_header(V4, 1300);
    let head = outer(V4, &injector).before(&frame, &vnet).unwrap();
    // Another frame than the one that the head was made for: its headers are not there.
    let refused = injector.send(&head, &frame[..20]);
    assert_eq!(refused, Err(SendRefusal::Other(EINVAL)));
    left.ip(&format!("link set {} down", injector.ifname()));
    assert!(matches!(
        injector.send(&head, &frame),
        Err(SendRefusal::Other(_))
    ));
    left.ip(&format!("link delete {}", injector.ifname()));
    assert!(matches!(
        injector.send(&head, &frame),
        Err(SendRefusal::Other(_))
    ));
}

#[test]
fn root_the_probe_finds_it_and_leaves_nothing() {
    let namespace = Namespace::new("injprobe");
    let before = namespace.ip("-o link show");
    namespace.within(inject::probe);
    assert_eq!(namespace.ip("-o link show"), before);
}

#[test]
fn root_without_rights_the_reason_is_named() {
    if std::env::var_os(CHILD).is_some() {
        let error = inject::probe().unwrap_err();
        assert!(
            matches!(error.code, ErrorCode::NoTun | ErrorCode::NoNetAdmin),
            "{error}"
        );
        return;
    }
    let output = std::process::Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "root_without_rights_the_reason_is_named"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

const POLICY: &str =
    "xfrm policy add src 10.1.0.1/32 dst 10.7.0.2/32 dir out tmpl proto esp mode transport";
const EINVAL: i32 = 22;
/// Set in the process without capabilities.
const CHILD: &str = "INJECT_TEST_CHILD";
