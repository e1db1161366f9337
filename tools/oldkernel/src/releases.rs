//! What each release of Linux brought that a program can ask for by value, from the kernel's sources and man pages
//! (syscalls(2), socket(7), ip(7), udp(7), packet(7)).
//!
//! Only what a release lacks is refused; nothing that it had and later ones dropped comes back.

use crate::filter::{Refusal, Test};
use std::ops::RangeInclusive;

/// Major, minor and patch level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(u8, u8, u8);

/// How old the kernel shall look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// As this release from kernel.org: what a distribution added to its kernel of that name is missing.
    Release(Release),
    /// As it is.
    Own,
}

/// The releases that can be asked for, with the first number that is no system call of x86_64 there. Up to 5.0 the
/// numbers were given in order of time.
const LEVELS: [(&str, Release, u32); 5] = [
    ("2.6.32", Release(2, 6, 32), 299), // behind perf_event_open; without recvmmsg, sendmmsg, setns
    ("3.2", Release(3, 2, 0), 312),     // behind process_vm_writev
    ("3.10", Release(3, 10, 0), 314),   // behind finit_module; without getrandom, memfd_create, bpf
    ("3.16", Release(3, 16, 0), 317),   // behind renameat2
    ("4.14", Release(4, 14, 0), 333),   // behind statx; without io_uring, clone3, pidfd_open
];

/// Brought getrandom(2).
pub(crate) const GETRANDOM: Release = Release(3, 17, 0);

/// Socket options that came together: level, names, release.
struct Options(i32, RangeInclusive<i32>, Release);

const OPTIONS: &[Options] = &[
    Options(libc::SOL_SOCKET, 15..=15, Release(3, 9, 0)), // SO_REUSEPORT
    Options(libc::SOL_SOCKET, 40..=40, Release(2, 6, 33)), // SO_RXQ_OVFL
    Options(libc::SOL_SOCKET, 41..=43, Release(3, 4, 0)), // SO_WIFI_STATUS, PEEK_OFF, NOFCS
    Options(libc::SOL_SOCKET, 44..=44, Release(3, 9, 0)), // SO_LOCK_FILTER
    Options(libc::SOL_SOCKET, 45..=45, Release(3, 10, 0)), // SO_SELECT_ERR_QUEUE
    Options(libc::SOL_SOCKET, 46..=46, Release(3, 11, 0)), // SO_BUSY_POLL
    Options(libc::SOL_SOCKET, 47..=48, Release(3, 14, 0)), // SO_MAX_PACING_RATE, BPF_EXTENSIONS
    Options(libc::SOL_SOCKET, 49..=50, Release(3, 19, 0)), // SO_INCOMING_CPU, ATTACH_BPF
    Options(libc::SOL_SOCKET, 51..=52, Release(4, 5, 0)), // SO_ATTACH_REUSEPORT_CBPF, EBPF
    Options(libc::SOL_SOCKET, 53..=57, Release(4, 12, 0)), // SO_CNX_ADVICE, MEMINFO, COOKIE and others
    Options(libc::SOL_SOCKET, 58..=60, Release(4, 14, 0)), // SO_PEERGROUPS, ZEROCOPY
    Options(libc::SOL_SOCKET, 61..=i32::MAX, Release(4, 19, 0)), // SO_TXTIME and all behind it
    Options(libc::IPPROTO_IP, 21..=22, Release(2, 6, 36)), // IP_MINTTL, NODEFRAG
    Options(libc::IPPROTO_IP, 23..=24, Release(4, 2, 0)),  // IP_CHECKSUM, BIND_ADDRESS_NO_PORT
    Options(libc::IPPROTO_IP, 25..=25, Release(4, 10, 0)), // IP_RECVFRAGSIZE
    Options(libc::IPPROTO_IP, 26..=31, Release(5, 9, 0)),  // IP_RECVERR_RFC4884
    Options(libc::IPPROTO_IP, 50..=50, Release(3, 4, 0)),  // IP_UNICAST_IF
    Options(libc::IPPROTO_IP, 51..=63, Release(6, 3, 0)),  // IP_LOCAL_PORT_RANGE, PROTOCOL
    Options(libc::IPPROTO_IPV6, 29..=30, Release(4, 20, 0)), // IPV6_MULTICAST_ALL
    Options(libc::IPPROTO_IPV6, 31..=33, Release(5, 9, 0)), // IPV6_RECVERR_RFC4884
    Options(libc::IPPROTO_IPV6, 60..=62, Release(2, 6, 35)), // IPV6_RECVPATHMTU, DONTFRAG
    Options(libc::IPPROTO_IPV6, 70..=70, Release(3, 17, 0)), // IPV6_AUTOFLOWLABEL
    Options(libc::IPPROTO_IPV6, 73..=75, Release(2, 6, 37)), // IPV6_MINHOPCOUNT, ORIGDSTADDR
    Options(libc::IPPROTO_IPV6, 76..=76, Release(3, 4, 0)), // IPV6_UNICAST_IF
    Options(libc::IPPROTO_IPV6, 77..=77, Release(4, 10, 0)), // IPV6_RECVFRAGSIZE
    Options(libc::IPPROTO_IPV6, 78..=79, Release(4, 15, 0)), // IPV6_FREEBIND
    Options(libc::IPPROTO_TCP, 15..=18, Release(2, 6, 37)), // TCP_THIN_*, USER_TIMEOUT
    Options(libc::IPPROTO_TCP, 19..=24, Release(3, 9, 0)), // TCP_REPAIR, FASTOPEN, TIMESTAMP
    Options(libc::IPPROTO_TCP, 25..=25, Release(3, 12, 0)), // TCP_NOTSENT_LOWAT
    Options(libc::IPPROTO_TCP, 26..=32, Release(4, 14, 0)), // TCP_CC_INFO, ULP and others
    Options(libc::IPPROTO_TCP, 33..=i32::MAX, Release(4, 15, 0)),
    Options(libc::SOL_UDP, 101..=102, Release(3, 16, 0)), // UDP_NO_CHECK6_TX, RX
    Options(libc::SOL_UDP, 103..=103, Release(4, 18, 0)), // UDP_SEGMENT
    Options(libc::SOL_UDP, 104..=104, Release(5, 0, 0)),  // UDP_GRO
    Options(libc::SOL_PACKET, 15..=17, Release(2, 6, 37)), // PACKET_VNET_HDR, TIMESTAMP
    Options(libc::SOL_PACKET, 18..=18, Release(3, 1, 0)), // PACKET_FANOUT
    Options(libc::SOL_PACKET, 19..=20, Release(3, 14, 0)), // PACKET_TX_HAS_OFF, QDISC_BYPASS
    Options(libc::SOL_PACKET, 21..=22, Release(4, 3, 0)), // PACKET_ROLLOVER_STATS, FANOUT_DATA
    Options(libc::SOL_PACKET, 23..=i32::MAX, Release(4, 20, 0)), // PACKET_IGNORE_OUTGOING, VNET_HDR_SZ
    Options(libc::SOL_NETLINK, 6..=7, Release(3, 10, 0)),        // NETLINK_RX_RING
    Options(libc::SOL_NETLINK, 8..=10, Release(4, 3, 0)),        // NETLINK_LISTEN_ALL_NSID, CAP_ACK
    Options(libc::SOL_NETLINK, 11..=11, Release(4, 12, 0)),      // NETLINK_EXT_ACK
    Options(libc::SOL_NETLINK, 12..=i32::MAX, Release(4, 20, 0)), // NETLINK_GET_STRICT_CHK
];

/// Address families that came together.
const FAMILIES: &[(RangeInclusive<u32>, Release)] = &[
    (38..=38, Release(2, 6, 38)),       // AF_ALG
    (39..=39, Release(3, 1, 0)),        // AF_NFC
    (40..=40, Release(3, 9, 0)),        // AF_VSOCK
    (41..=43, Release(4, 11, 0)),       // AF_KCM, QIPCRTR, SMC
    (44..=u32::MAX, Release(4, 18, 0)), // AF_XDP, MCTP
];

/// TUN ioctls by their number behind the letter T.
const TUN_IOCTLS: &[(RangeInclusive<u32>, Release)] = &[
    (213..=216, Release(2, 6, 34)), // TUNATTACHFILTER, SETVNETHDRSZ
    (217..=217, Release(3, 8, 0)),  // TUNSETQUEUE
    (218..=219, Release(3, 11, 0)), // TUNSETIFINDEX, GETFILTER
    (220..=223, Release(4, 2, 0)),  // TUNSETVNETLE, BE
    (224..=225, Release(4, 16, 0)), // TUNSETSTEERINGEBPF, FILTEREBPF
    (226..=255, Release(5, 0, 0)),  // TUNSETCARRIER, GETDEVNETNS
];

/// Bits of unshare(2) and clone(2) that name a namespace.
const NAMESPACES: &[(i32, Release)] = &[
    (libc::CLONE_NEWUSER, Release(3, 8, 0)),
    (libc::CLONE_NEWCGROUP, Release(4, 6, 0)),
];

/// The level of that name.
pub(crate) fn level(name: &str) -> Result<Level, String> {
    if name == "own" {
        return Ok(Level::Own);
    }
    match LEVELS.iter().find(|(known, ..)| *known == name) {
        Some((_, release, _)) => Ok(Level::Release(*release)),
        None => {
            let names = LEVELS.map(|(known, ..)| known).join(", ");
            Err(format!("there are {names} and own"))
        }
    }
}

/// All that `level` lacks.
pub(crate) fn refusals(level: Level) -> Vec<Refusal> {
    let Level::Release(release) = level else {
        return Vec::new();
    };
    let newer = |since: &Release| *since > release;
    let mut all = Vec::new();
    if let Some((.., first)) = LEVELS.iter().find(|(_, known, _)| *known == release) {
        all.push(Refusal {
            calls: *first..=u32::MAX,
            tests: Vec::new(),
            errno: libc::ENOSYS,
        });
    }
    let options = OPTIONS.iter().filter(|Options(.., since)| newer(since));
    all.extend(options.map(|Options(level, names, _)| option(*level, names)));
    for (families, _) in FAMILIES.iter().filter(|(_, since)| newer(since)) {
        let test = Test::within(0, families.clone());
        all.push(Refusal::of(libc::SYS_socket, [test], libc::EAFNOSUPPORT));
    }
    for (family, protocol, _) in ECHO_SOCKETS.iter().filter(|(.., since)| newer(since)) {
        let datagrams = Test::within(1, DATAGRAMS..=DATAGRAMS).masked(SOCKET_TYPE);
        let tests = [
            Test::equal(0, *family),
            datagrams,
            Test::equal(2, *protocol),
        ];
        all.push(Refusal::of(libc::SYS_socket, tests, libc::EPROTONOSUPPORT));
    }
    for (numbers, _) in TUN_IOCTLS.iter().filter(|(_, since)| newer(since)) {
        let requests = TUN_LETTER | numbers.start()..=TUN_LETTER | numbers.end();
        let test = Test::within(1, requests).masked(IOCTL_LETTER_AND_NUMBER);
        all.push(Refusal::of(libc::SYS_ioctl, [test], libc::EINVAL));
    }
    if newer(&USO) {
        let request = Test::equal(1, libc::TUNSETOFFLOAD as i32);
        let bits = Test::any_bit(2, !OFFLOADS_BEFORE_USO);
        all.push(Refusal::of(libc::SYS_ioctl, [request, bits], libc::EINVAL));
    }
    for (bit, _) in NAMESPACES.iter().filter(|(_, since)| newer(since)) {
        for call in [libc::SYS_unshare, libc::SYS_clone] {
            let test = Test::any_bit(0, *bit as u32);
            all.push(Refusal::of(call, [test], libc::EINVAL));
        }
    }
    if newer(&BPF_LINKS) {
        let test = Test::within(0, BPF_COMMANDS_BEFORE_LINKS..=u32::MAX);
        all.push(Refusal::of(libc::SYS_bpf, [test], libc::EINVAL));
    }
    all
}

/// Asking for one of these is as asking for what does not exist.
fn option(level: i32, names: &RangeInclusive<i32>) -> Refusal {
    let names = *names.start() as u32..=*names.end() as u32;
    Refusal {
        calls: libc::SYS_setsockopt as u32..=libc::SYS_getsockopt as u32,
        tests: vec![Test::equal(1, level), Test::within(2, names)],
        errno: libc::ENOPROTOOPT,
    }
}

/// ICMP as datagrams, for echo requests without privilege: family, protocol, release.
const ECHO_SOCKETS: &[(i32, i32, Release)] = &[
    (libc::AF_INET, libc::IPPROTO_ICMP, Release(3, 0, 0)),
    (libc::AF_INET6, libc::IPPROTO_ICMPV6, Release(3, 11, 0)),
];
const DATAGRAMS: u32 = libc::SOCK_DGRAM as u32;
/// The bits of a socket's type that are not SOCK_CLOEXEC and SOCK_NONBLOCK.
const SOCKET_TYPE: u32 = 0xf;
/// A request of ioctl(2) without its direction and the length of its argument.
const IOCTL_LETTER_AND_NUMBER: u32 = 0xffff;
const TUN_LETTER: u32 = (b'T' as u32) << 8;
/// TUN_F_USO4 and all bits behind it.
const USO: Release = Release(6, 2, 0);
/// TUN_F_CSUM, TSO4, TSO6, TSO_ECN and UFO.
const OFFLOADS_BEFORE_USO: u32 = 0x1f;
/// BPF_LINK_CREATE; what is behind BPF_OBJ_GET_INFO_BY_FD came between 4.15 and here and goes with it.
const BPF_LINKS: Release = Release(5, 7, 0);
const BPF_COMMANDS_BEFORE_LINKS: u32 = 16;

#[cfg(test)]
mod tests;
