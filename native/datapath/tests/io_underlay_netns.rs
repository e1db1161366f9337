//! The UDP underlay on networks that tests make themselves: routes, path MTU, TTL, firewall, multicast. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::ErrorCode;
use datapath::io::Refusal;
use datapath::io::underlay::{
    MulticastSpec, RouteMtu, RxBatch, RxSocket, RxSpec, SendError, SendErrorOrigin, SendRefusal,
    TxPool, TxScratch, TxSpec,
};
use io_support::{Namespace, Outbox, eventually, receive, rx_spec, tx_spec};
use std::net::{IpAddr, SocketAddr};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn to(address: &str) -> SocketAddr {
    SocketAddr::new(ip(address), 4789)
}

fn open_rx(namespace: &Namespace, spec: &RxSpec) -> RxSocket {
    namespace.within(|| RxSocket::open(spec))
}

fn open_tx(namespace: &Namespace, spec: &TxSpec) -> TxPool {
    namespace.within(|| TxPool::open(spec))
}

/// The first error report that comes.
fn error_of(tx: &TxPool) -> SendError {
    let mut scratch = TxScratch::new();
    let mut first = None;
    eventually("an error report", || {
        tx.drain_errors(&mut scratch, 0, |error| {
            first.get_or_insert(error);
        });
        first.is_some()
    });
    first.unwrap()
}

fn results(outbox: &Outbox, tx: &TxPool) -> Vec<Result<(), SendRefusal>> {
    outbox.send(tx).into_iter().map(|(.., r)| r).collect()
}

/// A router between two hosts: 10.1.0.1 - (10.1.0.9, 10.2.0.9) - 10.2.0.2, the same with fd01:: and fd02::.
fn routed() -> [Namespace; 3] {
    let [left, router, right] = ["l", "m", "r"].map(Namespace::new);
    left.join(&router, "u1");
    right.join(&router, "u2");
    for forwarding in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
        router.exec(&format!("sysctl -qw {forwarding}"));
    }
    for (namespace, ifname, net, host) in [
        (&left, "u1", 1, 1),
        (&router, "u1", 1, 9),
        (&router, "u2", 2, 9),
        (&right, "u2", 2, 2),
    ] {
        namespace.add_address(ifname, &format!("10.{net}.0.{host}/24"));
        namespace.add_address(ifname, &format!("fd0{net}::{host}/64"));
    }
    for (namespace, net) in [(&left, 1), (&right, 2)] {
        namespace.ip(&format!("route add default via 10.{net}.0.9"));
        namespace.ip(&format!("-6 route add default via fd0{net}::9"));
    }
    [left, router, right]
}

#[test]
fn root_e95_e97_each_refusal_has_its_name_and_harms_no_other_transmit() {
    let (left, right) = Namespace::pair("refuse");
    left.ip("route add prohibit 192.0.2.1");
    left.ip("route add blackhole 192.0.2.2");
    left.ip("route add unreachable 192.0.2.3");
    let rx = open_rx(&right, &rx_spec(to("10.1.0.2")));
    for sendmmsg in [true, false] {
        let mut spec = tx_spec(ip("10.1.0.1"));
        spec.sendmmsg = sendmmsg;
        let tx = open_tx(&left, &spec);
        let mut outbox = Outbox::default();
        let cases = [
            ("10.1.0.2", 100, Ok(())),
            ("192.0.2.1", 100, Err(SendRefusal::Denied)),
            ("192.0.2.2", 100, Err(SendRefusal::NoRoute)),
            ("10.1.0.2", 101, Ok(())),
            ("192.0.2.3", 100, Err(SendRefusal::NoRoute)),
            ("198.51.100.1", 100, Err(SendRefusal::NoRoute)),
            // 1500 - 20 - 8: the largest that is not fragmented.
            ("10.1.0.2", 1472, Ok(())),
            ("10.1.0.2", 1473, Err(SendRefusal::TooBig)),
            ("10.1.0.2", 102, Ok(())),
        ];
        for (address, len, _) in cases {
            outbox.push(to(address), 0, &vec![1; len], len);
        }
        let results = left.within(|| Ok(results(&outbox, &tx)));
        assert_eq!(results, cases.map(|(.., result)| result));
        let lens: Vec<_> = receive(&rx, 4).iter().map(|d| d.payload.len()).collect();
        assert_eq!(lens, [100, 101, 1472, 102]);
        assert!(tx.gso() && !tx.downgraded());
    }
}

#[test]
fn root_g113_runs_are_not_fragmented_either() {
    let (left, right) = Namespace::pair("runs");
    let rx = open_rx(&right, &rx_spec(to("10.1.0.2")));
    let tx = open_tx(&left, &tx_spec(ip("10.1.0.1")));
    let mut outbox = Outbox::default();
    outbox.push(to("10.1.0.2"), 1472, &[1; 1472 * 3 + 10], 999);
    outbox.push(to("10.1.0.2"), 1473, &[2; 1473 * 2 + 10], 999);
    let too_big = Err(SendRefusal::TooBig);
    // The second run is tried datagram by datagram: its short last one passes.
    assert_eq!(
        outbox.send(&tx),
        [
            (0, 4, Ok(())),
            (1, 1, too_big),
            (1, 1, too_big),
            (1, 1, Ok(()))
        ]
    );
    let lens: Vec<_> = receive(&rx, 5).iter().map(|d| d.payload.len()).collect();
    assert_eq!(lens, [1472, 1472, 1472, 10, 10]);
    assert!(tx.gso());
}

#[test]
fn root_e98_the_firewall_refuses_one_destination_only() {
    let (left, right) = Namespace::pair("fw");
    right.ip("address add 10.1.0.3/24 dev u0");
    left.exec("nft add table ip t");
    left.exec("nft add chain ip t out { type filter hook output priority 0 ; }");
    left.exec("nft add rule ip t out ip daddr 10.1.0.3 drop");
    let rx = open_rx(&right, &rx_spec(to("10.1.0.2")));
    let tx = open_tx(&left, &tx_spec(ip("10.1.0.1")));
    let mut outbox = Outbox::default();
    for address in ["10.1.0.2", "10.1.0.3", "10.1.0.2"] {
        outbox.push(to(address), 100, &[5; 150], 150);
    }
    let denied = Err(SendRefusal::Denied);
    assert_eq!(results(&outbox, &tx), [Ok(()), denied, Ok(())]);
    assert_eq!(receive(&rx, 4).len(), 4);
}

#[test]
fn root_e100_our_address_goes_and_comes_back() {
    let (left, right) = Namespace::pair("addr");
    let rx = open_rx(&right, &rx_spec(to("10.1.0.2")));
    let tx = open_tx(&left, &tx_spec(ip("10.1.0.1")));
    let mut outbox = Outbox::default();
    outbox.push(to("10.1.0.2"), 0, &[1; 100], 100);
    outbox.push(to("10.1.0.2"), 100, &[1; 250], 100);
    // A second address keeps the route, so that it is the source that is missing.
    left.ip("address add 10.1.0.7/16 dev u0");
    left.ip("address del 10.1.0.1/24 dev u0");
    let down = Err(SendRefusal::LocalDown);
    // A missing address and a missing route look alike; which it is is asked where the thread is.
    let without = left.within(|| Ok(results(&outbox, &tx)));
    assert_eq!(without, [down; 2]);
    assert!(!left.within(|| Ok(tx.local_present())));
    left.ip("address add 10.1.0.1/24 dev u0");
    assert_eq!(results(&outbox, &tx), [Ok(()); 2]);
    assert_eq!(receive(&rx, 4).len(), 4);
    assert!(
        tx.gso(),
        "a missing address says nothing about segmentation"
    );
}

#[test]
fn root_e100_a_missing_ipv6_address_is_seen_when_asked_for() {
    let (left, _right) = Namespace::pair("addr6");
    let tx = open_tx(&left, &tx_spec(ip("fd01::1")));
    let present = || left.within(|| Ok(tx.local_present()));
    assert!(present());
    left.ip("address del fd01::1/64 dev u0");
    assert!(!present());
    left.add_address("u0", "fd01::1/64");
    assert!(present());
}

#[test]
fn root_e97_a_queue_that_takes_no_more_is_full() {
    let (left, _right) = Namespace::pair("full");
    left.exec("tc qdisc add dev u0 root tbf rate 8kbit burst 2000 limit 3000");
    let tx = open_tx(&left, &tx_spec(ip("10.1.0.1")));
    let mut outbox = Outbox::default();
    for _ in 0..50 {
        outbox.push(to("10.1.0.2"), 0, &[1; 1000], 1000);
    }
    let results = results(&outbox, &tx);
    assert_eq!(results.len(), 50);
    let sent = results.iter().take_while(|r| r.is_ok()).count();
    assert!((1..50).contains(&sent), "{results:?}");
    assert!(results[sent..].iter().all(|r| *r == Err(SendRefusal::Full)));
}

#[test]
fn root_g122_path_mtu_reports_name_the_destination_and_the_mtu() {
    let [left, router, right] = routed();
    router.ip("link set u2 mtu 1400");
    right.ip("link set u2 mtu 1400");
    for (local, remote, overhead) in [("10.1.0.1", "10.2.0.2", 28), ("fd01::1", "fd02::2", 48)] {
        let rx = open_rx(&right, &rx_spec(to(remote)));
        let tx = open_tx(&left, &tx_spec(ip(local)));
        let mut outbox = Outbox::default();
        outbox.push(to(remote), 0, &[1; 1401], 1401);
        assert_eq!(results(&outbox, &tx), [Ok(())]);
        let error = error_of(&tx);
        assert_eq!(error.destination, to(remote));
        assert_ne!(error.origin, SendErrorOrigin::Local);
        assert_eq!(error.mtu, Some(1400));
        // From now on our own stack knows.
        outbox.push(to(remote), 0, &vec![2; 1400 - overhead], 1400);
        outbox.push(to(remote), 0, &vec![3; 1401 - overhead], 1400);
        let too_big = Err(SendRefusal::TooBig);
        assert_eq!(results(&outbox, &tx), [too_big, Ok(()), too_big]);
        let error = error_of(&tx);
        assert_eq!(error.destination.ip(), ip(remote));
        assert_eq!(
            (error.origin, error.mtu),
            (SendErrorOrigin::Local, Some(1400))
        );
        // Whoever asks is told as well.
        let told = left.within(|| Ok(RouteMtu::open(ip(local), None).unwrap().to(to(remote))));
        assert_eq!(told, Some(1400));
        assert_eq!(receive(&rx, 1)[0].payload.len(), 1400 - overhead);
        assert_eq!(rx.recv(&mut RxBatch::new(1, 64)), Err(Refusal::WouldBlock));
    }
}

#[test]
fn root_g128_the_mtu_of_a_route_is_asked_of_the_kernel() {
    let (left, _right) = Namespace::pair("route");
    let asked = |remote: &str| {
        left.within(|| Ok(RouteMtu::open(ip("10.1.0.1"), None).unwrap().to(to(remote))))
    };
    assert_eq!(asked("10.1.0.2"), Some(1500));
    assert_eq!(asked("203.0.113.1"), None, "no route");
    left.ip("route add 10.1.0.2/32 dev u0 mtu 1400");
    assert_eq!(asked("10.1.0.2"), Some(1400));
    left.ip("link set u0 mtu 1300");
    assert_eq!(asked("10.1.0.3"), Some(1300));
    assert!(left.within(|| Ok(RouteMtu::open(ip("10.1.0.99"), None).is_none())));
}

#[test]
fn root_g114_with_leave_to_fragment_what_is_too_big_arrives_whole() {
    let (left, right) = Namespace::pair("frag");
    for (local, remote) in [("10.1.0.1", "10.1.0.2"), ("fd01::1", "fd01::2")] {
        let rx = open_rx(&right, &rx_spec(to(remote)));
        let mut spec = tx_spec(ip(local));
        spec.fragment = true;
        let tx = open_tx(&left, &spec);
        let mut outbox = Outbox::default();
        outbox.push(to(remote), 0, &[1; 3000], 3000);
        // A run of segments that no packet of the link holds goes one by one, and the kernel goes on segmenting others.
        outbox.push(to(remote), 2000, &[2; 6000], 6000);
        let results = results(&outbox, &tx);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let lens: Vec<_> = receive(&rx, 4).iter().map(|d| d.payload.len()).collect();
        assert_eq!(lens, [3000, 2000, 2000, 2000]);
    }
}

#[test]
fn root_e90_ttl_of_the_pool_and_of_a_transmit() {
    let [left, _router, right] = routed();
    for (local, remote) in [("10.1.0.1", "10.2.0.2"), ("fd01::1", "fd02::2")] {
        let rx = open_rx(&right, &rx_spec(to(remote)));
        let mut spec = tx_spec(ip(local));
        // The router uses up one hop: 1 does not arrive, 2 does.
        spec.ttl = Some(1);
        let tx = open_tx(&left, &spec);
        let mut outbox = Outbox::default();
        outbox.push(to(remote), 0, b"pool", 4);
        assert_eq!(results(&outbox, &tx), [Ok(())]);
        let error = error_of(&tx);
        assert_eq!(error.destination, to(remote));
        let exceeded = match error.origin {
            SendErrorOrigin::Icmp => 11,
            _ => 3,
        };
        assert_eq!((error.kind, error.code), (exceeded, 0));

        let mut outbox = Outbox::default();
        outbox.push(to(remote), 0, b"its own", 7);
        outbox.push(to(remote), 3, b"its own run", 11);
        for transmit in &mut outbox.transmits {
            transmit.ttl = Some(2);
        }
        assert_eq!(results(&outbox, &tx), [Ok(()); 2]);
        let payloads: Vec<_> = receive(&rx, 5).into_iter().map(|d| d.payload).collect();
        assert_eq!(payloads.concat(), b"its ownits own run");
    }
}

#[test]
fn root_e99_the_source_address_is_ours_among_several() {
    let (left, right) = Namespace::pair("src");
    left.ip("address add 10.1.0.77/24 dev u0");
    let rx = open_rx(&right, &rx_spec(to("10.1.0.2")));
    for local in ["10.1.0.77", "10.1.0.1"] {
        let tx = open_tx(&left, &tx_spec(ip(local)));
        let mut outbox = Outbox::default();
        outbox.push(to("10.1.0.2"), 0, b"x", 1);
        assert_eq!(results(&outbox, &tx), [Ok(())]);
        let expected = SocketAddr::new(ip(local), tx.ports()[0]);
        assert_eq!(receive(&rx, 1)[0].source, expected);
    }
}

#[test]
fn root_l212_link_local_addresses_with_their_interface() {
    let (left, right) = Namespace::pair("ll");
    left.add_address("u0", "fe80::1/64");
    right.add_address("u0", "fe80::2/64");
    let mut rx = rx_spec(to("fe80::2"));
    assert!(
        right
            .within(|| Ok(RxSocket::open(&rx)))
            .is_err_and(|e| e.code != ErrorCode::PortInUse),
        "no address without its interface"
    );
    rx.scope = Some("u0".into());
    let rx = open_rx(&right, &rx);
    let mut tx = tx_spec(ip("fe80::1"));
    tx.scope = Some("u0".into());
    let tx = open_tx(&left, &tx);
    let mut outbox = Outbox::default();
    // The socket's own interface stands in for the destination's.
    outbox.push(to("fe80::2"), 0, b"x", 1);
    assert_eq!(results(&outbox, &tx), [Ok(())]);
    assert_eq!(receive(&rx, 1)[0].source.ip(), ip("fe80::1"));
}

#[test]
fn root_a13_a14_groups_reach_members_only_and_never_ourselves() {
    for (group, other, local, remote) in [
        ("239.1.1.1", "239.1.1.2", "10.1.0.1", "10.1.0.2"),
        ("ff05::101", "ff05::102", "fd01::1", "fd01::2"),
    ] {
        let (left, right) = Namespace::pair("group");
        let unicast = open_rx(&right, &rx_spec(to(remote)));
        let mut members = [&left, &right].map(|namespace| {
            let rx = open_rx(namespace, &rx_spec(to(group)));
            namespace.within(|| rx.join(ip(group), "u0"));
            rx
        });
        // The other group arrives at the host too, for another socket.
        let neighbour = open_rx(&right, &rx_spec(to(other)));
        right.within(|| neighbour.join(ip(other), "u0"));
        let tx = open_tx(&left, &tx_spec(ip(local)));
        let multicast = MulticastSpec {
            interface: "u0".into(),
            ttl: 1,
        };
        left.within(|| tx.use_multicast(&multicast));
        let mut outbox = Outbox::default();
        outbox.push(to(other), 0, b"other", 5);
        outbox.push(to(group), 0, b"group", 5);
        assert_eq!(results(&outbox, &tx), [Ok(()); 2]);
        let [ours, theirs] = &mut members;
        let received = receive(theirs, 1);
        assert_eq!(received[0].payload, b"group");
        assert_eq!(received[0].source.ip(), ip(local));
        assert_eq!(receive(&neighbour, 1)[0].payload, b"other");
        for silent in [ours, theirs, &unicast, &neighbour] {
            let mut batch = RxBatch::new(1, 64);
            assert_eq!(silent.recv(&mut batch), Err(Refusal::WouldBlock));
        }
        let wrong = if ip(group).is_ipv4() {
            "ff05::101"
        } else {
            "239.1.1.1"
        };
        let error = right
            .within(|| Ok(unicast.join(ip(wrong), "u0")))
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::BadValue);
    }
}
