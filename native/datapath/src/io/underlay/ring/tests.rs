//! What the kernel is left with, and kernels that lack what a ring needs.

use super::*;
use crate::io::sys::bpf;
use crate::io::sys::seccomp::{Denied, deny};

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

/// The loopback of every namespace.
const LOOPBACK: u32 = 1;
