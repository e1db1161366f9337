//! The UDP underlay on the loopback: batches, runs, fallbacks, limits. Needs no rights.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::ErrorCode;
use datapath::io::Refusal;
use datapath::io::underlay::{
    Burst, Part, RxBatch, RxSocket, SendErrorOrigin, SendRefusal, Transmit, TxPool, TxScratch,
};
use io_support::{Datagram, Outbox, eventually, is_ready, receive, rx_spec, tx_spec, wait_for};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// What is switched off.
#[derive(Debug, Clone, Copy)]
struct Switches {
    v6: bool,
    gso: bool,
    gro: bool,
    sendmmsg: bool,
    recvmmsg: bool,
}

fn open(switches: Switches) -> (RxSocket, TxPool) {
    let local: IpAddr = if switches.v6 {
        Ipv6Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::LOCALHOST.into()
    };
    let mut rx = rx_spec((local, 0));
    rx.gro = switches.gro;
    rx.recvmmsg = switches.recvmmsg;
    let mut tx = tx_spec(local);
    tx.gso = switches.gso;
    tx.sendmmsg = switches.sendmmsg;
    (RxSocket::open(&rx).unwrap(), TxPool::open(&tx).unwrap())
}

fn open_v4() -> (RxSocket, TxPool) {
    open(Switches {
        v6: false,
        gso: true,
        gro: true,
        sendmmsg: true,
        recvmmsg: true,
    })
}

fn switches() -> impl Strategy<Value = Switches> {
    any::<[bool; 5]>().prop_map(|[v6, gso, gro, sendmmsg, recvmmsg]| Switches {
        v6,
        gso,
        gro,
        sendmmsg,
        recvmmsg,
    })
}

/// Payload length, length of datagrams (0 = one), length of pieces; type of service.
fn shapes() -> impl Strategy<Value = Vec<((usize, u16, usize), u8)>> {
    let single = (0usize..2000, Just(0u16), 1usize..700);
    let run = (1u16..1500, 2usize..=64, 100usize..3000)
        .prop_flat_map(|(segment, count, piece)| {
            let most = usize::from(segment) * count;
            (
                usize::from(segment) + 1..=most.max(usize::from(segment) + 1),
                Just(segment),
                Just(piece),
            )
        })
        .prop_map(|(len, segment, piece)| (len.min(65507), segment, piece));
    let tos = prop_oneof![Just(0), any::<u8>()];
    proptest::collection::vec((prop_oneof![single, run], tos), 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The oracle cuts every run by hand; whatever is switched off, the same datagrams arrive in the same order.
    #[test]
    fn a22_s261_e97_f111_any_burst_arrives_whole_and_in_order(switches in switches(), shapes in shapes()) {
        let (rx, tx) = open(switches);
        prop_assert_eq!(tx.gso(), switches.gso);
        prop_assert_eq!(rx.gro(), switches.gro);
        let source = SocketAddr::new(rx.local().ip(), tx.ports()[0]);
        // Without root the receive buffer may hold no more than one run.
        let at_once = if rx.receive_buffer() < 8 << 20 { 1 } else { shapes.len() };
        for shapes in shapes.chunks(at_once) {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for (i, &((len, segment, piece), tos)) in shapes.iter().enumerate() {
                let payload: Vec<u8> = (0..len).map(|j| (i * 31 + j * 7 + j / 256) as u8).collect();
                // The kernel takes 1024 pieces at most.
                outbox.push(rx.local(), segment, &payload, piece.max(len / 1000 + 1));
                outbox.transmits[i].tos = tos;
                let cut = if segment == 0 { len } else { segment.into() };
                let datagrams: Vec<&[u8]> = match len {
                    0 => vec![&[]],
                    _ => payload.chunks(cut).collect(),
                };
                expected.extend(datagrams.into_iter().map(|p| Datagram { source, tos, payload: p.to_vec() }));
            }
            let results = outbox.send(&tx);
            prop_assert!(results.iter().all(|(.., result)| result.is_ok()), "{:?}", results);
            prop_assert_eq!(results.iter().map(|(_, n, _)| n).sum::<u32>(), outbox.datagrams());
            prop_assert!(results.windows(2).all(|w| w[0].0 <= w[1].0), "reported in order");
            prop_assert_eq!(receive(&rx, expected.len()), expected);
        }
        prop_assert_eq!(rx.recv(&mut RxBatch::new(1, 64)), Err(Refusal::WouldBlock));
        prop_assert!(!tx.downgraded());
    }
}

#[test]
fn a_run_arrives_coalesced_where_the_kernel_can() {
    let (rx, tx) = open_v4();
    let mut outbox = Outbox::default();
    outbox.push(rx.local(), 1000, &[7; 9500], 9500);
    assert_eq!(outbox.send(&tx), [(0, 10, Ok(()))]);
    wait_for(&rx);
    let mut batch = RxBatch::new(4, 65536);
    assert_eq!(rx.recv(&mut batch), Ok(1));
    let (meta, bytes) = (batch.meta(0), batch.entry(0));
    assert_eq!((meta.len, meta.stride, bytes.len()), (9500, 1000, 9500));
    assert_eq!(meta.source.port(), tx.ports()[0]);
}

#[test]
fn one_port_per_socket_and_the_burst_chooses_the_socket() {
    let (rx, _) = open_v4();
    let mut spec = tx_spec(Ipv4Addr::LOCALHOST);
    spec.pool = 16;
    let tx = TxPool::open(&spec).unwrap();
    assert_eq!(tx.ports().len(), 16);
    let mut outbox = Outbox::default();
    outbox.push(rx.local(), 0, b"hello", 5);
    let burst = Burst {
        socket: 3,
        arena: &outbox.arena,
        parts: &outbox.parts,
        transmits: &outbox.transmits,
    };
    tx.send(&mut TxScratch::new(), burst, |_, result| {
        assert_eq!(result, Ok(()));
    });
    assert_eq!(receive(&rx, 1)[0].source.port(), tx.ports()[3]);
}

#[test]
fn a20_truncated_datagrams_say_so() {
    for recvmmsg in [true, false] {
        let (rx, tx) = open(Switches {
            v6: false,
            gso: true,
            gro: true,
            sendmmsg: true,
            recvmmsg,
        });
        let mut outbox = Outbox::default();
        outbox.push(rx.local(), 0, &[1; 200], 200);
        outbox.push(rx.local(), 0, &[2; 100], 100);
        outbox.send(&tx);
        let mut batch = RxBatch::new(8, 100);
        let mut seen = Vec::new();
        while seen.len() < 2 {
            wait_for(&rx);
            for i in 0..rx.recv(&mut batch).unwrap() {
                let (meta, bytes) = (batch.meta(i), batch.entry(i));
                seen.push((meta.truncated, bytes.to_vec()));
            }
        }
        assert_eq!(seen, [(true, vec![1; 100]), (false, vec![2; 100])]);
    }
}

#[test]
fn a21_what_a_full_receive_queue_loses_is_counted() {
    let mut spec = rx_spec((Ipv4Addr::LOCALHOST, 0));
    spec.receive_buffer = 4096;
    let rx = RxSocket::open(&spec).unwrap();
    let tx = TxPool::open(&tx_spec(Ipv4Addr::LOCALHOST)).unwrap();
    let mut outbox = Outbox::default();
    for _ in 0..500 {
        outbox.push(rx.local(), 0, &[0; 100], 100);
    }
    outbox.send(&tx);
    let mut batch = RxBatch::new(64, 2048);
    let (mut sent, mut received) = (500, 0);
    // The count travels with datagrams that were queued after the loss, so one more must follow.
    let mut last = Outbox::default();
    last.push(rx.local(), 0, b"last", 4);
    loop {
        match rx.recv(&mut batch) {
            Ok(n) => {
                received += n as u32;
                let (meta, bytes) = (batch.meta(n - 1), batch.entry(n - 1));
                if bytes == b"last" && meta.overflows + received == sent {
                    assert!(meta.overflows > 0);
                    return;
                }
            }
            Err(_) => {
                last.send(&tx);
                sent += 1;
                assert!(
                    sent < 10_000,
                    "received {received} of {sent} and the rest is not counted"
                );
            }
        }
    }
}

#[test]
fn a24_e97_an_unreachable_port_is_reported_and_blamed_on_no_other_transmit() {
    for sendmmsg in [true, false] {
        let (rx, tx) = open(Switches {
            v6: false,
            gso: true,
            gro: true,
            sendmmsg,
            recvmmsg: true,
        });
        let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let nobody = closed.local_addr().unwrap();
        drop(closed);
        let mut outbox = Outbox::default();
        for i in 0..40u8 {
            outbox.push(nobody, 0, &[i], 1);
            outbox.push(rx.local(), 0, &[i], 1);
        }
        let results = outbox.send(&tx);
        assert_eq!(results.len(), 80);
        assert!(results.iter().all(|(.., r)| r.is_ok()), "{results:?}");
        let arrived: Vec<u8> = receive(&rx, 40).iter().map(|d| d.payload[0]).collect();
        assert_eq!(arrived, (0..40).collect::<Vec<u8>>());

        let mut scratch = TxScratch::new();
        let mut errors = Vec::new();
        eventually("an error report", || {
            tx.drain_errors(&mut scratch, 0, |error| errors.push(error));
            !errors.is_empty()
        });
        for error in errors {
            assert_eq!(error.destination, nobody);
            assert_eq!(error.origin, SendErrorOrigin::Icmp);
            // ICMP destination unreachable, port unreachable.
            assert_eq!((error.kind, error.code), (3, 3));
            assert_eq!((error.errno, error.mtu), (111, None));
        }
        let socket = tx.sockets().next().unwrap();
        eventually("a quiet socket", || {
            tx.drain_errors(&mut scratch, 0, |_| {});
            !is_ready(&socket)
        });
    }
}

#[test]
fn datagrams_to_a_source_port_are_refused_unseen() {
    let (_, tx) = open_v4();
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger
        .send_to(b"hello", (Ipv4Addr::LOCALHOST, tx.ports()[0]))
        .unwrap();
    assert!(!is_ready(&tx.sockets().next().unwrap()));
}

#[test]
fn e80_taken_source_ports_are_passed_over() {
    // Somebody's port with its neighbours as range: the pool gets what is free and never that one.
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut spec = tx_spec(Ipv4Addr::LOCALHOST);
    spec.ports = port - 2..=port;
    spec.pool = 3;
    let tx = TxPool::open(&spec).unwrap();
    assert!((1..=2).contains(&tx.ports().len()));
    assert!(tx.ports().iter().all(|p| (port - 2..port).contains(p)));

    spec.ports = port..=port;
    let error = TxPool::open(&spec).unwrap_err();
    assert_eq!(error.code, ErrorCode::PortInUse);
    assert_eq!(error.subject, format!("127.0.0.1:{port}"));
}

#[test]
fn a_taken_port_and_a_foreign_address_are_named() {
    let (rx, _) = open_v4();
    let error = RxSocket::open(&rx_spec(rx.local())).unwrap_err();
    assert_eq!(error.code, ErrorCode::PortInUse);
    assert_eq!(error.subject, rx.local().to_string());
    let foreign: IpAddr = "192.0.2.1".parse().unwrap();
    let error = RxSocket::open(&rx_spec((foreign, 4789))).unwrap_err();
    assert_eq!(error.code, ErrorCode::AddressNotLocal);
    let error = TxPool::open(&tx_spec(foreign)).unwrap_err();
    assert_eq!(error.code, ErrorCode::AddressNotLocal);
    let mut spec = rx_spec(("fe80::1".parse::<IpAddr>().unwrap(), 4789));
    spec.scope = Some("vs-none".into());
    let error = RxSocket::open(&spec).unwrap_err();
    assert_eq!(error.code, ErrorCode::AddressNotLocal);
}

#[test]
fn sockets_that_share_a_port_get_every_datagram_once() {
    let mut spec = rx_spec((Ipv4Addr::LOCALHOST, 0));
    spec.reuse_port = true;
    let first = RxSocket::open(&spec).unwrap();
    spec.local = first.local();
    let second = RxSocket::open(&spec).unwrap();
    let mut pool = tx_spec(Ipv4Addr::LOCALHOST);
    pool.pool = 16;
    let tx = TxPool::open(&pool).unwrap();
    let mut outbox = Outbox::default();
    outbox.push(first.local(), 0, b"x", 1);
    for socket in 0..16 {
        let burst = Burst {
            socket,
            arena: &outbox.arena,
            parts: &outbox.parts,
            transmits: &outbox.transmits,
        };
        tx.send(&mut TxScratch::new(), burst, |_, r| assert_eq!(r, Ok(())));
    }
    let mut batch = RxBatch::new(16, 64);
    let mut received = 0;
    eventually("16 datagrams", || {
        received += first.recv(&mut batch).unwrap_or(0);
        received += second.recv(&mut batch).unwrap_or(0);
        received >= 16
    });
    assert_eq!(received, 16);
}

#[test]
fn e88_without_checksum_runs_are_cut_by_us() {
    let (rx, _) = open_v4();
    let mut spec = tx_spec(Ipv4Addr::LOCALHOST);
    spec.checksum = false;
    let tx = TxPool::open(&spec).unwrap();
    assert!(!tx.gso());
    let mut outbox = Outbox::default();
    outbox.push(rx.local(), 100, &[1; 250], 30);
    let results = outbox.send(&tx);
    assert_eq!(results, [(0, 1, Ok(())), (0, 1, Ok(())), (0, 1, Ok(()))]);
    let lens: Vec<_> = receive(&rx, 3).iter().map(|d| d.payload.len()).collect();
    assert_eq!(lens, [100, 100, 50]);
    assert!(!tx.downgraded(), "it was never on");

    spec.local = Ipv6Addr::LOCALHOST.into();
    assert_eq!(TxPool::open(&spec).unwrap_err().code, ErrorCode::BadValue);
}

#[test]
fn runs_beyond_the_limits_pass_datagram_by_datagram_without_a_downgrade() {
    let (rx, tx) = open_v4();
    let mut outbox = Outbox::default();
    // More than 65507 bytes together; more segments than any kernel takes at once.
    outbox.push(rx.local(), 9000, &[1; 72_000], 72_000);
    outbox.push(rx.local(), 10, &[2; 6000], 6000);
    let results = outbox.send(&tx);
    assert_eq!(results.len(), 8 + 600);
    assert!(results.iter().all(|(_, n, r)| (*n, *r) == (1, Ok(()))));
    assert_eq!(receive(&rx, 608).len(), 608);
    assert!(tx.gso() && !tx.downgraded());
}

#[test]
fn parts_outside_the_arena_and_sockets_outside_the_pool_do_no_harm() {
    let (rx, tx) = open_v4();
    let transmit = Transmit {
        destination: rx.local(),
        parts: 0..1,
        segment_size: 0,
        ttl: None,
        tos: 0,
        datagrams: 1,
        bytes: 9,
        tag: 0,
    };
    let burst = Burst {
        socket: 0,
        arena: &[1, 2, 3],
        parts: &[Part { offset: 2, len: 9 }],
        transmits: &[transmit],
    };
    tx.send(&mut TxScratch::new(), burst, |_, r| assert_eq!(r, Ok(())));
    assert_eq!(receive(&rx, 1)[0].payload, []);
    let mut results = Vec::new();
    let outside = Burst { socket: 1, ..burst };
    tx.send(&mut TxScratch::new(), outside, |_, r| results.push(r));
    assert_eq!(results, [Err(SendRefusal::Other(9))]);
}
