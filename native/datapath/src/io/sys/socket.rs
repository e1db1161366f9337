//! Sockets: making, binding and setting options.

use super::sockaddr::{RawAddress, decode};
use super::{Errno, check};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A non-blocking UDP socket of the family of `address`, not bound.
pub(in crate::io) fn udp_socket(address: &SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    non_blocking(family, libc::SOCK_DGRAM, 0)
}

/// What a socket for ICMP sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) enum IcmpKind {
    /// Answers to its own echo requests, whose identifier the kernel chooses. For groups that
    /// `net.ipv4.ping_group_range` names.
    Echo,
    /// All that comes to its address. With CAP_NET_RAW.
    Raw,
}

/// A non-blocking socket for ICMP or ICMPv6, by the family of `address`, not bound.
pub(in crate::io) fn icmp_socket(address: &SocketAddr, kind: IcmpKind) -> Result<OwnedFd, Errno> {
    let (family, protocol) = match address {
        SocketAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_ICMP),
        SocketAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_ICMPV6),
    };
    let kind = match kind {
        IcmpKind::Echo => libc::SOCK_DGRAM,
        IcmpKind::Raw => libc::SOCK_RAW,
    };
    non_blocking(family, kind, protocol)
}

/// Has a raw ICMP socket of the family of `address` receive nothing but messages of `kind`.
pub(in crate::io) fn receive_icmp_only(
    fd: BorrowedFd<'_>,
    address: &SocketAddr,
    kind: u8,
) -> Result<(), Errno> {
    // A bit for each type that is refused.
    match address {
        SocketAddr::V4(_) => {
            let refused = !1u32.checked_shl(kind.into()).unwrap_or(0);
            set(fd, SocketOption(SOL_RAW, ICMP_FILTER), &refused)
        }
        SocketAddr::V6(_) => {
            let mut refused = [u32::MAX; 8];
            refused[usize::from(kind >> 5)] &= !(1 << (kind & 31));
            set(
                fd,
                SocketOption(libc::IPPROTO_ICMPV6, ICMPV6_FILTER),
                &refused,
            )
        }
    }
}

/// Linux's icmp.h and icmpv6.h; not in the C libraries' headers everywhere.
const SOL_RAW: i32 = 255;
const ICMP_FILTER: i32 = 1;
const ICMPV6_FILTER: i32 = 1;

fn non_blocking(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Errno> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the descriptor returned is new and owned by nobody else.
    unsafe {
        let fd = check(libc::socket(family, kind, protocol))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

pub(in crate::io) fn bind(fd: BorrowedFd<'_>, address: &SocketAddr) -> Result<(), Errno> {
    let raw = RawAddress::new(address);
    let bytes = raw.as_bytes();
    // SAFETY: the pointer and length describe a valid sockaddr that lives for the call.
    check(unsafe {
        libc::bind(
            fd.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Makes `address` the socket's only peer; any number of times.
pub(in crate::io) fn connect(fd: BorrowedFd<'_>, address: &SocketAddr) -> Result<(), Errno> {
    let raw = RawAddress::new(address);
    let bytes = raw.as_bytes();
    // SAFETY: the pointer and length describe a valid sockaddr that lives for the call.
    check(unsafe {
        libc::connect(
            fd.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// The address that the socket is bound to.
pub(in crate::io) fn local_address(fd: BorrowedFd<'_>) -> Result<SocketAddr, Errno> {
    let mut bytes = [0u8; RawAddress::CAPACITY];
    let mut len = bytes.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into a buffer of that length.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut len) })?;
    decode(&bytes).ok_or(Errno(libc::EAFNOSUPPORT))
}

/// One option of a socket: its level and its name.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) struct SocketOption(pub(in crate::io) i32, pub(in crate::io) i32);

/// Sets an option whose value is the plain data `value`.
pub(super) fn set<T>(fd: BorrowedFd<'_>, option: SocketOption, value: &T) -> Result<(), Errno> {
    // SAFETY: the pointer and length describe `value`, which lives for the call; the kernel only reads it.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            option.0,
            option.1,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

pub(in crate::io) fn set_int(
    fd: BorrowedFd<'_>,
    option: SocketOption,
    value: i32,
) -> Result<(), Errno> {
    set(fd, option, &value)
}

pub(in crate::io) fn get_int(fd: BorrowedFd<'_>, option: SocketOption) -> Result<i32, Errno> {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `value`.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            option.0,
            option.1,
            (&raw mut value).cast(),
            &raw mut len,
        )
    })?;
    Ok(value)
}

/// Joins an IPv4 group on the interface `ifindex`.
pub(in crate::io) fn join_v4(
    fd: BorrowedFd<'_>,
    group: Ipv4Addr,
    ifindex: u32,
) -> Result<(), Errno> {
    let request = membership_v4(group, ifindex);
    set(
        fd,
        SocketOption(libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP),
        &request,
    )
}

/// Joins an IPv6 group on the interface `ifindex`.
pub(in crate::io) fn join_v6(
    fd: BorrowedFd<'_>,
    group: Ipv6Addr,
    ifindex: u32,
) -> Result<(), Errno> {
    let request = libc::ipv6_mreq {
        ipv6mr_multiaddr: libc::in6_addr {
            s6_addr: group.octets(),
        },
        ipv6mr_interface: ifindex,
    };
    set(
        fd,
        SocketOption(libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP),
        &request,
    )
}

/// Chooses the interface by which IPv4 multicast leaves.
pub(in crate::io) fn multicast_interface_v4(fd: BorrowedFd<'_>, ifindex: u32) -> Result<(), Errno> {
    let request = membership_v4(Ipv4Addr::UNSPECIFIED, ifindex);
    set(
        fd,
        SocketOption(libc::IPPROTO_IP, libc::IP_MULTICAST_IF),
        &request,
    )
}

fn membership_v4(group: Ipv4Addr, ifindex: u32) -> libc::ip_mreqn {
    libc::ip_mreqn {
        imr_multiaddr: libc::in_addr {
            s_addr: u32::from_ne_bytes(group.octets()),
        },
        imr_address: libc::in_addr { s_addr: 0 },
        imr_ifindex: ifindex as libc::c_int,
    }
}

/// Attaches a classic BPF filter that refuses every packet.
pub(in crate::io) fn refuse_all_input(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    attach_filter(
        fd,
        &[libc::sock_filter {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: 0,
        }],
    )
}

/// Attaches a classic BPF filter: the socket receives nothing for which it returns 0.
pub(in crate::io) fn attach_filter(
    fd: BorrowedFd<'_>,
    program: &[libc::sock_filter],
) -> Result<(), Errno> {
    let len = u16::try_from(program.len()).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: sock_fprog is plain data for which all zeroes is a valid value.
    let mut filter: libc::sock_fprog = unsafe { MaybeUninit::zeroed().assume_init() };
    filter.len = len;
    // The kernel copies the instructions during the call.
    filter.filter = program.as_ptr().cast_mut();
    set(
        fd,
        SocketOption(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
        &filter,
    )
}
