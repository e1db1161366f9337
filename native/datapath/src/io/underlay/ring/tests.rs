//! What the kernel is left with, and kernels that lack what a ring needs.

use super::*;
use crate::io::sys::bpf::{self, Instruction};
use crate::io::sys::seccomp::{Denied, deny};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// A ring on the loopback, in the calling thread's namespace.
fn on_loopback(port: u16) -> Result<Ring, Error> {
    Ring::open(&RingSpec {
        local: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        ifindex: LOOPBACK,
        slots: SlotSpec {
            count: 1,
            len: 2048,
        },
    })
}

#[test]
fn root_a_ring_has_one_program_and_leaves_none() {
    netns::within_new(|| {
        let count = || bpf::tcx_ingress_count(LOOPBACK).unwrap();
        assert_eq!(count(), 0);
        let first = on_loopback(4789)?;
        assert_eq!(count(), 1);
        let second = on_loopback(8472)?;
        assert_eq!(count(), 2);
        drop(first);
        assert_eq!(count(), 1);
        drop(second);
        assert_eq!(count(), 0);
        Ok(())
    })
    .unwrap();
}

#[test]
fn root_a_kernel_that_lacks_something_says_which() {
    // BPF_LINK_CREATE alone: the third argument is the length of its structure.
    let link = Some(32);
    let cases = [
        (libc::SYS_bpf, link, libc::EINVAL, ErrorCode::NoRing),
        (libc::SYS_bpf, link, libc::EPERM, ErrorCode::NoNetAdmin),
        (libc::SYS_bpf, None, libc::ENOSYS, ErrorCode::NoRing),
        (libc::SYS_bpf, None, libc::EPERM, ErrorCode::NoNetAdmin),
        (
            libc::SYS_socket,
            None,
            libc::EAFNOSUPPORT,
            ErrorCode::NoRing,
        ),
        (libc::SYS_socket, None, libc::EPERM, ErrorCode::NoNetAdmin),
        (
            libc::SYS_setsockopt,
            None,
            libc::ENOPROTOOPT,
            ErrorCode::NoRing,
        ),
        (libc::SYS_setsockopt, None, libc::ENOMEM, ErrorCode::NoFiles),
    ];
    for (syscall, third_argument, errno, code) in cases {
        let error = netns::within_new(|| {
            deny(Denied {
                syscall,
                errno,
                third_argument,
            })
            .unwrap();
            Ok(on_loopback(4789).unwrap_err())
        })
        .unwrap();
        assert_eq!((error.code, error.errno), (code, Some(errno)), "{error}");
        assert!(error.subject.contains("127.0.0.1:4789"), "{error}");
    }
}

/// Another program on the interface may end the row of programs there: "this packet may pass".
#[test]
fn root_ours_is_asked_before_programs_that_were_there() {
    netns::within_new(|| {
        Netlink::open()?.set_up(LOOPBACK, true)?;
        let pass = [Instruction::new(0xb7, 0, 0), Instruction::new(0x95, 0, 0)];
        let pass = bpf::load_classifier(&pass, c"pass", c"Apache-2.0").unwrap();
        let _link = bpf::link_tcx_ingress(pass.as_fd(), LOOPBACK).unwrap();

        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 4789)).unwrap();
        receiver.set_nonblocking(true).unwrap();
        let mut ring = on_loopback(4789)?;
        receiver.send_to(b"ours", ("127.0.0.1", 4789)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while ring.next_batch(1).is_empty() {
            assert!(Instant::now() < deadline, "nothing came");
            std::thread::yield_now();
        }
        // To another of our addresses, and so past the ring: what came before it would be there before it.
        let rest = UdpSocket::bind("127.0.0.2:4789").unwrap();
        receiver.send_to(b"theirs", ("127.0.0.2", 4789)).unwrap();
        assert_eq!(rest.recv(&mut [0; 16]).unwrap(), 6);
        let error = receiver.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        Ok(())
    })
    .unwrap();
}

/// The loopback of every namespace.
const LOOPBACK: u32 = 1;
