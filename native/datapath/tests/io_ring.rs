//! The packet ring on networks that tests make themselves, beside an ordinary socket. Needs root and Linux 6.6.
//!
//! ```text
//! left 10.1.0.1, fd01::1  -- veth u0 --  right 10.1.0.2, fd01::2: ring and socket on port 4789
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;
mod ring_support;

use datapath::error::ErrorCode;
use datapath::io::Refusal;
use datapath::io::netns;
use datapath::io::underlay::ring::{Ring, RingSpec, SlotSpec, place, probe};
use datapath::io::underlay::{RxSocket, TxPool};
use datapath::wire::vnet::{Gso, VnetHeader};
use io_support::{Namespace, Outbox, eventually, is_ready, receive, rx_spec, tx_spec, wait_for};
use ring_support::{SHORT, open, spec, take, take_now};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Stdio;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn socket(namespace: &Namespace, local: &str) -> RxSocket {
    namespace.within(|| RxSocket::open(&rx_spec(at(local))))
}

/// An ordinary sender. It fragments what is longer than the MTU.
fn sender(namespace: &Namespace, local: &str) -> UdpSocket {
    namespace.within(|| Ok(UdpSocket::bind(at(local)).unwrap()))
}

#[test]
fn root_a2_datagrams_come_to_the_ring_alone_and_byte_for_byte() {
    let (left, right) = Namespace::pair("ring");
    for (from, to) in [
        ("10.1.0.1:50000", "10.1.0.2:4789"),
        ("[fd01::1]:50000", "[fd01::2]:4789"),
    ] {
        let rx = socket(&right, to);
        let mut ring = open(&right, to);
        let tx = sender(&left, from);
        let payloads: Vec<Vec<u8>> = [0, 1, 8, 100, 1452]
            .iter()
            .map(|&len| (0..len).map(|n| n as u8).collect())
            .collect();
        assert!(!is_ready(&ring));
        for payload in &payloads {
            tx.send_to(payload, to).unwrap();
        }
        // In several batches, so that slots are given back in between.
        let mut taken = Vec::new();
        for max in [1, 1, 2, 1] {
            taken.extend(take(&mut ring, max, max));
        }
        assert_eq!(taken.len(), payloads.len());
        for (outer, payload) in taken.iter().zip(&payloads) {
            let outer = outer.as_ref().unwrap();
            assert_eq!(&outer.payload, payload);
            assert_eq!((outer.source, outer.stride), (at(from), payload.len()));
            assert_eq!(outer.inner, VnetHeader::NONE);
        }
        assert!(!is_ready(&ring), "all slots are given back");
        assert!(!is_ready(&rx), "dropped behind the ring");

        // Then the stack has them again.
        drop(ring);
        tx.send_to(&payloads[3], to).unwrap();
        let [again] = &receive(&rx, 1)[..] else {
            panic!("one datagram");
        };
        assert_eq!((&again.payload, again.source), (&payloads[3], at(from)));
    }
}

#[test]
fn root_a9_a15_a18_what_is_not_the_rings_comes_to_ordinary_sockets() {
    let (left, right) = Namespace::pair("rest");
    right.add_address("u0", "10.1.0.3/24");
    right.add_address("u0", "fd01::3/64");
    for (from, to, port, address) in [
        (
            "10.1.0.1:0",
            "10.1.0.2:4789",
            "10.1.0.2:4790",
            "10.1.0.3:4789",
        ),
        (
            "[fd01::1]:0",
            "[fd01::2]:4789",
            "[fd01::2]:4790",
            "[fd01::3]:4789",
        ),
    ] {
        let ours = socket(&right, to);
        let others = [port, address].map(|local| socket(&right, local));
        let mut ring = open(&right, to);
        let tx = sender(&left, from);
        for (rx, to) in others.iter().zip([port, address]) {
            tx.send_to(to.as_bytes(), to).unwrap();
            assert_eq!(receive(rx, 1)[0].payload, to.as_bytes());
        }
        // Longer than the MTU: fragments, which the stack puts together.
        tx.send_to(&[7; 3000], to).unwrap();
        assert_eq!(receive(&ours, 1)[0].payload, [7; 3000]);
        // None of these went through the ring.
        tx.send_to(b"last", to).unwrap();
        let first = take(&mut ring, 1, 8).remove(0).unwrap();
        assert_eq!(first.payload, b"last");
        assert!(!is_ready(&ours));
    }
}

#[test]
fn root_a22_a_run_is_one_slot_with_its_stride() {
    let (left, right) = Namespace::pair("run");
    for (from, to) in [("10.1.0.1", "10.1.0.2:4789"), ("fd01::1", "[fd01::2]:4789")] {
        let from: IpAddr = from.parse().unwrap();
        let tx = left.within(|| TxPool::open(&tx_spec(from)));
        let payload: Vec<u8> = (0..44 * 1400 + 10).map(|n: u32| (n / 7) as u8).collect();
        let mut outbox = Outbox::default();
        outbox.push(at(to), 1400, &payload, 60_000);

        let mut ring = open(&right, to);
        outbox.send(&tx);
        let run = take(&mut ring, 1, 8).remove(0).unwrap();
        assert_eq!(run.stride, 1400);
        assert!(run.payload == payload);
        assert_eq!(run.inner, VnetHeader::NONE);
        drop(ring);
    }
}

#[test]
fn root_what_is_longer_than_a_slot_comes_whole_and_in_its_place() {
    let (left, right) = Namespace::pair("long");
    let to = "10.1.0.2:4789";
    let tx = left.within(|| TxPool::open(&tx_spec("10.1.0.1".parse::<IpAddr>().unwrap())));
    let mut outbox = Outbox::default();
    let payloads: Vec<Vec<u8>> = (0..200u32)
        .map(|n| {
            let segments = if n % 3 == 0 { 1 } else { 1 + n as usize % 44 };
            (0..1000 * segments)
                .map(|i| (i as u32 / 5 + n) as u8)
                .collect()
        })
        .collect();
    for payload in &payloads {
        let segment = if payload.len() == 1000 { 0 } else { 1000 };
        outbox.push(at(to), segment, payload, payload.len());
    }
    let mut ring = open(&right, to);
    outbox.send(&tx);
    let taken = take(&mut ring, payloads.len(), 1000);
    for (payload, outer) in payloads.iter().zip(taken) {
        let outer = outer.unwrap();
        assert!(&outer.payload == payload, "{} bytes", payload.len());
        assert_eq!(outer.stride, payload.len().min(1000));
    }
    assert_eq!(ring.overflows(), 0);
    assert!(!is_ready(&ring));
}

#[test]
fn root_a_kernel_vxlan_peer_says_what_it_left_undone() {
    let (left, right) = Namespace::pair("peer");
    left.ip("link add vx7 type vxlan id 7 dstport 4789 remote 10.1.0.2 local 10.1.0.1");
    left.ip("link set vx7 up");
    left.ip("address add 10.9.0.1/24 dev vx7");
    left.ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev vx7 nud permanent");
    let mut ring = open(&right, "10.1.0.2:4789");
    let tx = left.within(|| TxPool::open(&tx_spec("10.9.0.1".parse::<IpAddr>().unwrap())));
    let mut outbox = Outbox::default();
    outbox.push(at("10.9.0.2:9"), 0, &[1; 100], 100);
    outbox.push(at("10.9.0.2:9"), 1000, &[2; 5500], 5500);
    outbox.send(&tx);

    // The peer's stack says things of its own, as neighbour discovery.
    let mut inner = Vec::new();
    while inner.len() < 2 {
        let taken = take(&mut ring, 1, 8).into_iter().map(Result::unwrap);
        inner.extend(taken.filter(|o| o.payload.len() > 100 && o.payload[8 + 23] == 17));
    }
    let partial = VnetHeader {
        needs_csum: true,
        csum_start: 34,
        csum_offset: 6,
        ..VnetHeader::NONE
    };
    assert_eq!(inner[0].inner, partial);
    let superframe = VnetHeader {
        gso: Gso::Udp,
        gso_size: 1000,
        ..partial
    };
    assert_eq!(inner[1].inner, superframe);
    for outer in &inner {
        assert_eq!(outer.stride, outer.payload.len(), "one datagram each");
    }
    assert_eq!(inner[1].payload.len(), 8 + 14 + 20 + 8 + 5500);
}

#[test]
fn root_a21_a_full_ring_counts_what_it_loses() {
    let (left, right) = Namespace::pair("full");
    let to = "10.1.0.2:4789";
    let rx = socket(&right, to);
    let short = spec(&right, to, SHORT);
    let mut ring = right.within(|| Ring::open(&short));
    let slots = ring.spec().slots.count;
    let tx = sender(&left, "10.1.0.1:0");
    let number = |n: usize| (n as u32).to_be_bytes();
    for n in 0..slots + 5 {
        tx.send_to(&number(n), to).unwrap();
    }
    eventually("five losses", || ring.overflows() == 5);
    let taken = take(&mut ring, slots, slots);
    for (n, outer) in taken.into_iter().enumerate() {
        assert_eq!(
            outer.unwrap().payload,
            number(n),
            "in order, the oldest kept"
        );
    }
    assert!(ring.next_batch(1).is_empty());
    // Around the end of the ring, several times.
    for n in 0..3 * slots {
        tx.send_to(&number(n), to).unwrap();
        assert_eq!(take(&mut ring, 1, 8).remove(0).unwrap().payload, number(n));
    }
    assert_eq!(ring.overflows(), 5, "the sum of all");
    assert!(!is_ready(&rx), "a full ring gives the stack nothing");
}

#[test]
fn root_a_batch_keeps_its_slots_and_may_change_them() {
    let (left, right) = Namespace::pair("batch");
    let to = "10.1.0.2:4789";
    let short = spec(&right, to, SHORT);
    let mut ring = right.within(|| Ring::open(&short));
    let sent = ring.spec().slots.count + 4;
    let tx = sender(&left, "10.1.0.1:0");
    tx.send_to(b"held", to).unwrap();
    wait_for(&ring);
    {
        let mut batch = ring.next_batch(8);
        assert_eq!(batch.len(), 1);
        let payload = batch.outer(0).unwrap().payload;
        batch.entry_mut(0)[payload.clone()].make_ascii_uppercase();
        for n in 0..sent {
            tx.send_to(&[n as u8], to).unwrap();
        }
        assert_eq!(&batch.entry(0)[payload], b"HELD");
    }
    let mut taken = Vec::new();
    eventually("every datagram taken or counted", || {
        taken.extend(take_now(&mut ring, 3).into_iter().map(Result::unwrap));
        taken.len() + ring.overflows() as usize == sent
    });
    for (n, outer) in taken.iter().enumerate().take(sent - 5) {
        assert_eq!(outer.payload, [n as u8]);
    }
}

#[test]
fn root_a_ring_tells_of_an_interface_that_goes_down_or_away() {
    let (left, right) = Namespace::pair("down");
    let to = "10.1.0.2:4789";
    let mut ring = open(&right, to);
    assert_eq!(ring.take_error(), None);
    right.ip("link set u0 down");
    wait_for(&ring);
    assert_eq!(ring.take_error(), Some(Refusal::Down));
    assert_eq!(ring.take_error(), None);
    assert!(!is_ready(&ring));

    right.ip("link set u0 up");
    let tx = sender(&left, "10.1.0.1:0");
    let mut came = false;
    eventually("datagrams again", || {
        let _ = tx.send_to(b"up", to);
        came |= !ring.next_batch(8).is_empty();
        came
    });
    right.ip("link delete u0");
    wait_for(&ring);
    assert_eq!(ring.take_error(), Some(Refusal::Gone));
}

#[test]
fn root_the_place_of_an_address_is_its_interface() {
    let (_left, right) = Namespace::pair("place");
    right.ip("link add d0 type veth peer name d1");
    right.ip("link set d0 mtu 9000 up");
    right.ip("address add 10.7.0.1/24 dev d0");
    let find = |ip: &str, scope: Option<&str>| {
        let ip = ip.parse().unwrap();
        right.within(|| Ok(place(ip, scope)))
    };
    for ip in ["10.1.0.2", "fd01::2"] {
        let found = find(ip, None).unwrap();
        assert_eq!(found.ifname, "u0");
        assert_eq!(found.slots, SlotSpec::fitting(1500));
    }
    assert_eq!(find("10.7.0.1", None).unwrap().ifname, "d0");
    assert_eq!(find("127.0.0.1", Some("lo")).unwrap().ifname, "lo");
    for (ip, scope) in [("10.1.0.1", None), ("10.1.0.2", Some("d0"))] {
        let error = find(ip, scope).unwrap_err();
        assert_eq!(error.code, ErrorCode::AddressNotLocal);
    }
}

#[test]
fn root_a_process_that_is_killed_leaves_nothing_behind() {
    let to = "10.1.0.2:4789";
    if let Some(namespace) = std::env::var_os(KILLED) {
        let ring = netns::within(Some(namespace.as_ref()), || {
            let place = place(at(to).ip(), None)?;
            Ring::open(&RingSpec {
                local: at(to),
                ifindex: place.ifindex,
                slots: SHORT,
            })
        });
        let _ring = ring.unwrap();
        println!("\nopen");
        // Until the parent ends this process.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let (left, right) = Namespace::pair("kill");
    let rx = socket(&right, to);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("root_a_process_that_is_killed_leaves_nothing_behind")
        .env(KILLED, right.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "open"));
    let tx = sender(&left, "10.1.0.1:0");
    tx.send_to(b"into the ring", to).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("datagrams at the ordinary socket", || {
        tx.send_to(b"after", to).unwrap();
        is_ready(&rx)
    });
    assert_eq!(receive(&rx, 1)[0].payload, b"after");
}

#[test]
fn root_what_makes_no_ring_is_refused() {
    let (_left, right) = Namespace::pair("bad");
    let good = spec(&right, "10.1.0.2:4789", SHORT);
    let code = |change: fn(&mut RingSpec)| {
        let mut bad = good;
        change(&mut bad);
        right.within(|| Ok(Ring::open(&bad))).unwrap_err().code
    };
    assert_eq!(code(|s| s.slots.len = 100), ErrorCode::BadValue);
    assert_eq!(code(|s| s.slots.len = 2 << 20), ErrorCode::BadValue);
    assert_eq!(code(|s| s.slots.count = 0), ErrorCode::BadValue);
    assert_eq!(code(|s| s.slots.count = usize::MAX), ErrorCode::BadValue);
    assert_eq!(code(|s| s.local = at("0.0.0.0:4789")), ErrorCode::BadValue);
    assert_eq!(
        code(|s| s.local = at("239.0.0.1:4789")),
        ErrorCode::BadValue
    );
    assert_eq!(code(|s| s.ifindex = 4711), ErrorCode::AddressNotLocal);
    right.ip("tuntap add mode tun name ip0");
    let mut without_ethernet = good;
    without_ethernet.ifindex = right.within(|| {
        let mut netlink = datapath::io::netlink::Netlink::open()?;
        Ok(netlink.link("ip0")?.unwrap().ifindex)
    });
    let refused = right.within(|| Ok(Ring::open(&without_ethernet)));
    assert_eq!(refused.unwrap_err().code, ErrorCode::NoRing);
}

#[test]
fn root_the_probe_leaves_nothing_and_names_missing_rights() {
    if std::env::var_os(CHILD).is_some() {
        let error = probe().unwrap_err();
        assert_eq!(error.code, ErrorCode::NoNetAdmin);
        println!("{error}");
        return;
    }
    let namespace = Namespace::new("probe");
    namespace.within(probe);
    assert_eq!(namespace.ip("-o link show").lines().count(), 1);
    for (capabilities, missing) in [("-all", "CAP_NET_RAW"), ("-all,+net_raw", "CAP_BPF")] {
        let output = std::process::Command::new("setpriv")
            .arg(format!("--bounding-set={capabilities}"))
            .args(["--inh-caps=-all", "--no-new-privs"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("root_the_probe_leaves_nothing_and_names_missing_rights")
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(missing), "{said}");
    }
}

/// Set in the process without capabilities.
const CHILD: &str = "RING_TEST_CHILD";
/// Set in the process that is killed, to the path of its namespace.
const KILLED: &str = "RING_TEST_KILLED";
