//! Kernels that lack what newer ones have: the same datagrams arrive, by more calls.

use super::*;
use crate::io::Refusal;
use crate::io::sys::seccomp::{Denied, deny};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Runs `test` on a thread on which `denied` fails.
fn without(denied: Denied, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            deny(denied).unwrap();
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn open_pair() -> (RxSocket, TxPool) {
    let rx = RxSpec {
        local: (Ipv4Addr::LOCALHOST, 0).into(),
        scope: None,
        reuse_port: false,
        gro: true,
        recvmmsg: true,
        receive_buffer: 1 << 20,
    };
    let tx = TxSpec {
        local: Ipv4Addr::LOCALHOST.into(),
        scope: None,
        ports: 49152..=65535,
        pool: 1,
        ttl: None,
        fragment: false,
        checksum: true,
        gso: true,
        sendmmsg: true,
    };
    (RxSocket::open(&rx).unwrap(), TxPool::open(&tx).unwrap())
}

/// Sends a run of three datagrams and one of its own behind it; returns what was reported.
fn send_run_and_one(
    tx: &TxPool,
    destination: SocketAddr,
) -> Vec<(u32, u32, Result<(), SendRefusal>)> {
    let transmit = |part: u32, segment_size, datagrams, bytes| Transmit {
        destination,
        parts: part..part + 1,
        segment_size,
        ttl: None,
        tos: 0,
        datagrams,
        bytes,
        tag: part,
    };
    let arena: Vec<u8> = (0..40).collect();
    let burst = Burst {
        socket: 0,
        arena: &arena,
        parts: &[Part { offset: 0, len: 25 }, Part { offset: 30, len: 5 }],
        transmits: &[transmit(0, 10, 3, 25), transmit(1, 0, 1, 5)],
    };
    let mut results = Vec::new();
    tx.send(&mut TxScratch::new(), burst, |t, r| {
        results.push((t.tag, t.datagrams, r));
    });
    results
}

/// First bytes and lengths of the datagrams that have arrived.
fn received(rx: &RxSocket, count: usize) -> Vec<(u8, usize)> {
    let mut batch = RxBatch::new(8, 65536);
    let mut datagrams = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while datagrams.len() < count {
        assert!(Instant::now() < deadline, "only {datagrams:?} came");
        match rx.recv(&mut batch) {
            Ok(n) => {
                for i in 0..n {
                    let (meta, bytes) = (batch.meta(i), batch.entry(i));
                    datagrams.extend(bytes.chunks(meta.stride).map(|d| (d[0], d.len())));
                }
            }
            Err(Refusal::WouldBlock) => std::thread::yield_now(),
            Err(other) => panic!("{other:?}"),
        }
    }
    datagrams
}

const ARRIVES: [(u8, usize); 4] = [(0, 10), (10, 10), (20, 5), (30, 5)];

#[test]
fn s262_without_sendmmsg_each_transmit_is_a_call() {
    let denied = Denied {
        syscall: libc::SYS_sendmmsg,
        errno: libc::ENOSYS,
        third_argument: None,
    };
    without(denied, || {
        let (rx, tx) = open_pair();
        assert!(tx.sendmmsg());
        let results = send_run_and_one(&tx, rx.local());
        assert_eq!(results, [(0, 3, Ok(())), (1, 1, Ok(()))]);
        assert_eq!(received(&rx, 4), ARRIVES);
        assert!(!tx.sendmmsg() && tx.gso());
    });
}

#[test]
fn s262_without_recvmmsg_each_datagram_is_a_call() {
    let denied = Denied {
        syscall: libc::SYS_recvmmsg,
        errno: libc::ENOSYS,
        third_argument: None,
    };
    without(denied, || {
        let (rx, tx) = open_pair();
        assert!(rx.recvmmsg());
        send_run_and_one(&tx, rx.local());
        assert_eq!(received(&rx, 4), ARRIVES);
        assert!(!rx.recvmmsg() && rx.gro());
    });
}

#[test]
fn s261_a_run_that_only_passes_in_pieces_turns_gso_off_once() {
    // One message is the run, three are its datagrams.
    let denied = Denied {
        syscall: libc::SYS_sendmmsg,
        errno: libc::EIO,
        third_argument: Some(1),
    };
    without(denied, || {
        let (rx, tx) = open_pair();
        let arena: Vec<u8> = (0..40).collect();
        let run = Transmit {
            destination: rx.local(),
            parts: 0..1,
            segment_size: 10,
            ttl: None,
            tos: 0,
            datagrams: 4,
            bytes: 40,
            tag: 9,
        };
        let burst = Burst {
            socket: 0,
            arena: &arena,
            parts: &[Part { offset: 0, len: 40 }],
            transmits: &[run],
        };
        let mut scratch = TxScratch::new();
        for _ in 0..2 {
            let mut results = Vec::new();
            tx.send(&mut scratch, burst, |t, r| {
                results.push((t.tag, t.datagrams, r))
            });
            assert_eq!(results, [(9, 1, Ok(())); 4]);
            assert_eq!(received(&rx, 4), [(0, 10), (10, 10), (20, 10), (30, 10)]);
        }
        assert!(!tx.gso());
        assert!(tx.downgraded());
        assert!(!tx.downgraded(), "told once");
    });
}

#[test]
fn a_refusal_that_is_not_about_the_run_leaves_gso_on() {
    let denied = Denied {
        syscall: libc::SYS_sendmmsg,
        errno: libc::EIO,
        third_argument: None,
    };
    without(denied, || {
        let (rx, tx) = open_pair();
        let results = send_run_and_one(&tx, rx.local());
        let refused = Err(SendRefusal::Other(libc::EIO));
        let pieces = [(0, 1, refused), (0, 1, refused), (0, 1, refused)];
        assert_eq!(results[..3], pieces);
        assert_eq!(results[3..], [(1, 1, refused)]);
        assert!(tx.gso() && !tx.downgraded());
    });
}

#[test]
fn e97_a_full_socket_refuses_the_rest_of_the_burst() {
    for errno in [libc::EAGAIN, libc::ENOBUFS] {
        let denied = Denied {
            syscall: libc::SYS_sendmmsg,
            errno,
            third_argument: None,
        };
        without(denied, || {
            let (rx, tx) = open_pair();
            let full = Err(SendRefusal::Full);
            let results = send_run_and_one(&tx, rx.local());
            assert_eq!(results, [(0, 3, full), (1, 1, full)]);
            assert!(tx.gso());
        });
    }
}

#[test]
fn an_error_pending_from_elsewhere_does_not_end_reception() {
    for (errno, expected) in [
        (libc::ECONNREFUSED, Refusal::WouldBlock),
        (libc::EHOSTUNREACH, Refusal::WouldBlock),
        (libc::EBADF, Refusal::Other(libc::EBADF)),
    ] {
        let denied = Denied {
            syscall: libc::SYS_recvmmsg,
            errno,
            third_argument: None,
        };
        without(denied, || {
            let (rx, _) = open_pair();
            assert_eq!(rx.recv(&mut RxBatch::new(1, 64)), Err(expected));
            assert!(rx.recvmmsg());
        });
    }
}

#[test]
fn without_the_right_to_force_the_ordinary_buffer_is_asked_for() {
    let denied = Denied {
        syscall: libc::SYS_setsockopt,
        errno: libc::EPERM,
        third_argument: Some(libc::SO_RCVBUFFORCE as u32),
    };
    without(denied, || {
        let socket = open(&(Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let granted = set_buffer(
            socket.as_fd(),
            SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE),
            SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUF),
            65536,
        );
        assert_eq!(granted, Ok(65536));
    });
}

#[test]
fn f111_without_a_tos_per_datagram_all_leave_with_the_sockets() {
    let denied = Denied {
        syscall: libc::SYS_sendmsg,
        errno: libc::EINVAL,
        third_argument: None,
    };
    without(denied, || {
        let (rx, tx) = open_pair();
        assert!(!tx.marks());
        let burst = |transmits| Burst {
            socket: 0,
            arena: b"x",
            parts: &[Part { offset: 0, len: 1 }],
            transmits,
        };
        let marked = [Transmit {
            destination: rx.local(),
            parts: 0..1,
            segment_size: 0,
            ttl: Some(1),
            tos: 0xbb,
            datagrams: 1,
            bytes: 1,
            tag: 0,
        }];
        let mut results = Vec::new();
        tx.send(&mut TxScratch::new(), burst(&marked), |_, r| {
            results.push(r)
        });
        assert_eq!(results, [Ok(())]);
        let mut batch = RxBatch::new(1, 64);
        while rx.recv(&mut batch).is_err() {
            std::thread::yield_now();
        }
        assert_eq!((batch.entry(0), batch.meta(0).tos), (&b"x"[..], 0));
    });
    assert!(open_pair().1.marks());
}

#[test]
fn s262_a_call_that_is_refused_in_whatever_way_is_not_offered() {
    assert!(has_recvmmsg() && has_sendmmsg() && has_reuse_port());
    for errno in [libc::ENOSYS, libc::EPERM, libc::EINVAL] {
        for (syscall, offered) in [
            (libc::SYS_recvmmsg, has_recvmmsg as fn() -> bool),
            (libc::SYS_sendmmsg, has_sendmmsg),
            (libc::SYS_setsockopt, has_reuse_port),
        ] {
            let denied = Denied {
                syscall,
                errno,
                third_argument: None,
            };
            without(denied, || assert!(!offered(), "{syscall} with {errno}"));
        }
    }
}
