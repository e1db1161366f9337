use super::*;
use crate::{filter, named, system};

/// A call of this kernel with its arguments as numbers, and what it says.
fn attempt(number: libc::c_long, arguments: [u64; 4]) -> i32 {
    let [a, b, c, d] = arguments;
    // SAFETY: every call of these tests is refused by the filter or given descriptor -1 and no valid pointer, so the
    // kernel reads and writes no memory of ours.
    let result = unsafe { libc::syscall(number, a, b, c, d) };
    if result >= 0 {
        return 0;
    }
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

/// Runs `test` on a thread that has this filter.
fn under(refusals: Vec<Refusal>, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            system::install(&filter::compile(&refusals)).unwrap();
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn at(name: &str, test: impl FnOnce() + Send) {
    under(refusals(level(name).unwrap()), test);
}

const NO_FD: u64 = u64::MAX;

fn option_error(level: i32, name: i32) -> i32 {
    let (level, name) = (level as u64, name as u64);
    let set = attempt(libc::SYS_setsockopt, [NO_FD, level, name, 0]);
    assert_eq!(set, attempt(libc::SYS_getsockopt, [NO_FD, level, name, 0]));
    set
}

#[test]
fn system_calls_end_where_the_release_ended() {
    let calls: [(libc::c_long, [&str; 5]); 6] = [
        (libc::SYS_recvmmsg, ["no", "yes", "yes", "yes", "yes"]),
        (libc::SYS_setns, ["no", "yes", "yes", "yes", "yes"]),
        (
            libc::SYS_process_vm_readv,
            ["no", "yes", "yes", "yes", "yes"],
        ),
        (libc::SYS_renameat2, ["no", "no", "no", "yes", "yes"]),
        (libc::SYS_statx, ["no", "no", "no", "no", "yes"]),
        (libc::SYS_pidfd_open, ["no", "no", "no", "no", "no"]),
    ];
    for (i, (name, ..)) in LEVELS.iter().enumerate() {
        at(name, || {
            for (number, known) in calls {
                let error = attempt(number, [NO_FD, 0, 0, 0]);
                let expected = known[i] == "yes";
                assert_eq!(error != libc::ENOSYS, expected, "{number} at {name}");
            }
        });
    }
}

#[test]
fn what_every_release_had_is_left_alone() {
    for (name, ..) in LEVELS {
        at(name, || {
            assert_eq!(attempt(libc::SYS_getppid, [0; 4]), 0);
            assert_eq!(attempt(libc::SYS_epoll_create1, [0; 4]), 0);
            let udp = [libc::AF_INET as u64, libc::SOCK_DGRAM as u64, 0, 0];
            assert_eq!(attempt(libc::SYS_socket, udp), 0);
            assert_eq!(option_error(libc::SOL_SOCKET, libc::SO_RCVBUF), libc::EBADF);
            assert_eq!(
                option_error(libc::IPPROTO_IP, libc::IP_RECVERR),
                libc::EBADF
            );
            let offloads = u64::from(OFFLOADS_BEFORE_USO);
            let request = [NO_FD, libc::TUNSETOFFLOAD, offloads, 0];
            assert_eq!(attempt(libc::SYS_ioctl, request), libc::EBADF);
            // A terminal's request has the same letter.
            let terminal = [NO_FD, libc::TIOCGWINSZ, 0, 0];
            assert_eq!(attempt(libc::SYS_ioctl, terminal), libc::EBADF);
        });
    }
}

#[test]
fn socket_options_appear_with_their_release() {
    let options = [
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, "3.2"),
        (libc::SOL_SOCKET, libc::SO_REUSEPORT, "3.10"),
        (libc::SOL_SOCKET, libc::SO_BUSY_POLL, "3.16"),
        (libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, "4.14"),
        (libc::SOL_SOCKET, libc::SO_ZEROCOPY, "4.14"),
        (libc::SOL_UDP, 101, "3.16"),
        (libc::SOL_UDP, libc::UDP_SEGMENT, "never"),
        (libc::SOL_UDP, libc::UDP_GRO, "never"),
        (libc::SOL_PACKET, libc::PACKET_VNET_HDR, "3.2"),
        (libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, "3.16"),
        (libc::IPPROTO_IPV6, 29, "never"),
    ];
    for (option_level, option, first) in options {
        let mut known = false;
        for (name, ..) in LEVELS {
            known |= name == first;
            let expected = if known {
                libc::EBADF
            } else {
                libc::ENOPROTOOPT
            };
            at(name, || {
                let error = option_error(option_level, option);
                assert_eq!(error, expected, "{option_level} {option} at {name}");
            });
        }
    }
}

#[test]
fn sockets_of_newer_kinds_are_refused() {
    at("2.6.32", || {
        let echo = [
            libc::AF_INET as u64,
            libc::SOCK_DGRAM as u64 | 0x80000,
            1,
            0,
        ];
        assert_eq!(attempt(libc::SYS_socket, echo), libc::EPROTONOSUPPORT);
    });
    for (name, ..) in LEVELS {
        at(name, || {
            let xdp = [libc::AF_XDP as u64, libc::SOCK_RAW as u64, 0, 0];
            assert_eq!(attempt(libc::SYS_socket, xdp), libc::EAFNOSUPPORT);
        });
    }
}

#[test]
fn tun_requests_and_bits_of_later_releases_are_invalid() {
    let request = |request, argument| attempt(libc::SYS_ioctl, [NO_FD, request, argument, 0]);
    at("2.6.32", || {
        assert_eq!(request(libc::TUNSETVNETHDRSZ, 0), libc::EINVAL);
        assert_eq!(request(libc::TUNSETQUEUE, 0), libc::EINVAL);
        assert_eq!(request(libc::TUNSETIFF, 0), libc::EBADF);
    });
    at("3.10", || {
        assert_eq!(request(libc::TUNSETVNETHDRSZ, 0), libc::EBADF);
        assert_eq!(request(libc::TUNSETVNETLE, 0), libc::EINVAL);
        assert_eq!(
            request(libc::TUNSETOFFLOAD, u64::from(libc::TUN_F_USO4)),
            libc::EINVAL
        );
    });
}

#[test]
fn bpf_is_unknown_then_young() {
    at("3.16", || {
        assert_eq!(attempt(libc::SYS_bpf, [28, 0, 0, 0]), libc::ENOSYS)
    });
    at("4.14", || {
        assert_eq!(attempt(libc::SYS_bpf, [28, 0, 0, 0]), libc::EINVAL);
        assert_ne!(attempt(libc::SYS_bpf, [5, 0, 0, 0]), libc::ENOSYS);
    });
}

#[test]
fn a_single_facility_is_refused_as_asked() {
    let refused = ["recvmmsg=EPERM", "UDP_GRO=EINVAL", "TUNSETOFFLOAD=EIO"];
    let refused = refused.map(|text| named::refusal(text).unwrap());
    under(refused.into(), || {
        assert_eq!(attempt(libc::SYS_recvmmsg, [NO_FD, 0, 0, 0]), libc::EPERM);
        assert_eq!(attempt(libc::SYS_sendmmsg, [NO_FD, 0, 0, 0]), libc::EBADF);
        assert_eq!(option_error(libc::SOL_UDP, libc::UDP_GRO), libc::EINVAL);
        assert_eq!(option_error(libc::SOL_UDP, libc::UDP_SEGMENT), libc::EBADF);
        let offload = [NO_FD, libc::TUNSETOFFLOAD, 0, 0];
        assert_eq!(attempt(libc::SYS_ioctl, offload), libc::EIO);
    });
}

#[test]
fn what_is_not_known_is_told_with_what_is() {
    assert!(level("3.11").unwrap_err().contains("3.10"));
    for text in ["recvmmsg", "recvmmsg=ENOENT", "write=EPERM"] {
        assert!(named::refusal(text).is_err(), "{text}");
    }
}
