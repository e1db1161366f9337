//! Asking another host by ICMP echo, with the kernel at the other end. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::Error;
use datapath::io::echo::EchoSocket;
use io_support::{Namespace, eventually};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

fn open(namespace: &Namespace, local: &str, scope: Option<&str>) -> Option<EchoSocket> {
    let local: IpAddr = local.parse().unwrap();
    namespace.within(|| Ok::<_, Error>(EchoSocket::open(local, scope)))
}

/// The first answers that come to `count` of them.
fn answers(echo: &mut EchoSocket, count: usize) -> Vec<(IpAddr, u16)> {
    let mut answers = Vec::new();
    eventually("answers", || {
        echo.answers(|from, sequence| answers.push((from, sequence)));
        answers.len() >= count
    });
    answers
}

/// Groups that may ask without CAP_NET_RAW: all, so that the kernel's own echo socket serves, or none, so that a raw
/// one does.
const GROUPS: [&str; 2] = ["0 2147483647", "1 0"];

fn let_ask(namespace: &Namespace, groups: &str) {
    namespace.within(|| {
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", groups).unwrap();
        Ok(())
    });
}

#[test]
fn root_the_kernel_answers_over_both_families_and_by_both_sockets() {
    let (left, _right) = Namespace::pair("echo");
    for groups in GROUPS {
        let_ask(&left, groups);
        for (local, remote) in [("10.1.0.1", "10.1.0.2"), ("fd01::1", "fd01::2")] {
            let mut echo = open(&left, local, None).unwrap();
            let remote: IpAddr = remote.parse().unwrap();
            for sequence in [7, u16::MAX] {
                assert!(echo.ask(SocketAddr::new(remote, 4789), sequence));
                assert_eq!(answers(&mut echo, 1), [(remote, sequence)]);
            }
        }
    }
}

#[test]
fn root_a_link_local_address_is_asked_on_its_interface() {
    let (left, right) = Namespace::pair("echol");
    let link_local = |namespace: &Namespace| {
        let shown = namespace.ip("-6 -o addr show dev u0 scope link");
        let cidr = shown
            .split_whitespace()
            .find(|word| word.starts_with("fe80"))
            .unwrap();
        cidr.split('/').next().unwrap().to_owned()
    };
    let (local, remote) = (link_local(&left), link_local(&right));
    let index: u32 = left
        .exec("cat /sys/class/net/u0/ifindex")
        .trim()
        .parse()
        .unwrap();
    let remote = SocketAddrV6::new(remote.parse().unwrap(), 4789, 0, index);
    let mut echo = None;
    eventually("the address to be usable", || {
        echo = open(&left, &local, Some("u0"));
        echo.is_some()
    });
    let mut echo = echo.unwrap();
    assert!(echo.ask(remote.into(), 3));
    assert_eq!(answers(&mut echo, 1), [((*remote.ip()).into(), 3)]);
}

#[test]
fn root_what_is_not_ours_is_not_taken_for_an_answer() {
    let (left, right) = Namespace::pair("echoo");
    let remote: SocketAddr = "10.1.0.2:0".parse().unwrap();
    let_ask(&left, GROUPS[1]);
    let mut echo = open(&left, "10.1.0.1", None).unwrap();
    // Somebody else's requests, both ways, and an unreachable error.
    left.exec("ping -n -c 3 -i 0.01 10.1.0.2");
    right.exec("ping -n -c 3 -i 0.01 10.1.0.1");
    assert!(echo.ask(remote, 5));
    assert_eq!(answers(&mut echo, 1), [(remote.ip(), 5)]);
}

#[test]
fn root_without_the_address_or_a_route_nothing_is_asked() {
    let (left, _right) = Namespace::pair("echon");
    assert!(open(&left, "10.9.0.1", None).is_none());
    assert!(open(&left, "fe80::1", Some("nosuch")).is_none());
    let mut echo = open(&left, "10.1.0.1", None).unwrap();
    assert!(!echo.ask("192.0.2.1:0".parse().unwrap(), 1));
}
