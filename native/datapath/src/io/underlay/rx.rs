//! Receiving datagrams, many per call, and coalesced by the kernel where it can.

use super::super::Refusal;
use super::super::sys::cmsg::messages;
use super::super::sys::receive::ReceiveRing;
use super::super::sys::sockaddr::{decode, scoped};
use super::super::sys::socket::{self, SocketOption};
use super::super::sys::{Errno, file};
use super::{bind, by_family, open, require, scope_index, set_buffer};
use crate::error::{Error, ErrorCode};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// How to open an [`RxSocket`].
#[derive(Debug, Clone)]
pub struct RxSpec {
    /// Address and port to bind; a multicast group to receive only what is sent to it.
    pub local: SocketAddr,
    /// The interface of a link-local IPv6 address.
    pub scope: Option<String>,
    /// Several sockets share the port and the kernel spreads flows over them.
    pub reuse_port: bool,
    /// Let the kernel coalesce datagrams of a flow (`UDP_GRO`), where it can.
    pub gro: bool,
    /// Receive many datagrams per call, where the kernel can.
    pub recvmmsg: bool,
    /// Receive buffer to ask for, bytes.
    pub receive_buffer: usize,
}

/// A bound UDP socket that only receives. Non-blocking.
#[derive(Debug)]
pub struct RxSocket {
    socket: OwnedFd,
    local: SocketAddr,
    receive_buffer: usize,
    gro: bool,
    recvmmsg: AtomicBool,
}

impl RxSocket {
    /// Errors: `PORT_IN_USE`, `ADDRESS_NOT_LOCAL`, `NO_FILES`, `IO`.
    pub fn open(spec: &RxSpec) -> Result<Self, Error> {
        let scope = scope_index(spec.scope.as_deref())?;
        let local = scoped(spec.local.ip(), spec.local.port(), scope);
        let socket = open(&local)?;
        let fd = socket.as_fd();
        if local.is_ipv6() {
            // Or an IPv6 wildcard would take the IPv4 port too.
            let option = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY);
            require(fd, option, 1, &local)?;
        }
        if spec.reuse_port {
            let option = SocketOption(libc::SOL_SOCKET, libc::SO_REUSEPORT);
            require(fd, option, 1, &local)?;
        }
        let receive_buffer = set_buffer(
            fd,
            SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE),
            SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUF),
            spec.receive_buffer,
        )
        .map_err(|e| e.into_error(ErrorCode::Io, local.to_string(), "setsockopt"))?;
        // Without it the overflow count stays 0 (Linux before 2.6.33).
        let _ = socket::set_int(fd, SocketOption(libc::SOL_SOCKET, libc::SO_RXQ_OVFL), 1);
        // A socket bound to the wildcard or a shared group must hear only the groups that it joined itself. Linux
        // before 2.6.31 (IPv4) and 4.20 (IPv6) has no such option; binding to the group covers those.
        let all_groups = by_family(local.ip(), libc::IP_MULTICAST_ALL, libc::IPV6_MULTICAST_ALL);
        let _ = socket::set_int(fd, all_groups, 0);
        // Without it (IPv6 on Linux before 2.6.14) the TOS stays 0.
        let told_tos = by_family(local.ip(), libc::IP_RECVTOS, libc::IPV6_RECVTCLASS);
        let _ = socket::set_int(fd, told_tos, 1);
        let gro =
            spec.gro && socket::set_int(fd, SocketOption(libc::SOL_UDP, libc::UDP_GRO), 1).is_ok();
        bind(fd, &local)?;
        let local = socket::local_address(fd)
            .map_err(|e| e.into_error(ErrorCode::Io, local.to_string(), "getsockname"))?;
        Ok(Self {
            socket,
            local,
            receive_buffer,
            gro,
            recvmmsg: AtomicBool::new(spec.recvmmsg),
        })
    }

    /// The address bound, with the port that the kernel chose if 0 was asked for.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The receive buffer that was granted, bytes; less than asked for without CAP_NET_ADMIN.
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Whether the kernel coalesces.
    pub fn gro(&self) -> bool {
        self.gro
    }

    /// Whether many datagrams are received per call: as asked for, until the kernel says that it cannot.
    pub fn recvmmsg(&self) -> bool {
        self.recvmmsg.load(Ordering::Relaxed)
    }

    /// Receives what `group` is sent on the interface `ifname`. Errors: `ADDRESS_NOT_LOCAL` when there is no such
    /// interface, `BAD_VALUE` when `group` is of the other family, `IO`.
    pub fn join(&self, group: IpAddr, ifname: &str) -> Result<(), Error> {
        if group.is_ipv4() != self.local.is_ipv4() {
            return Err(Error::new(ErrorCode::BadValue, group.to_string())
                .with_detail("the group is of another address family than the socket"));
        }
        let ifindex = file::interface_index(ifname)
            .map_err(|e| e.into_error(ErrorCode::AddressNotLocal, ifname, "if_nametoindex"))?;
        let joined = match group {
            IpAddr::V4(v4) => socket::join_v4(self.socket.as_fd(), v4, ifindex),
            IpAddr::V6(v6) => socket::join_v6(self.socket.as_fd(), v6, ifindex),
        };
        joined
            .map_err(|e| e.into_error(ErrorCode::Io, format!("{group} on {ifname}"), "setsockopt"))
    }

    /// Fills `batch` with what is queued, without waiting, and returns how many entries it has, at least one.
    /// `WouldBlock`: nothing is queued. Whatever was in `batch` before is gone.
    pub fn recv(&self, batch: &mut RxBatch) -> Result<usize, Refusal> {
        for _ in 0..PENDING_ERRORS {
            match self.recv_once(batch) {
                Ok(0) => break,
                Ok(n) => return Ok(n),
                Err(Errno(libc::EAGAIN)) => return Err(Refusal::WouldBlock),
                Err(Errno(libc::ENOSYS)) if self.recvmmsg() => {
                    self.recvmmsg.store(false, Ordering::Relaxed);
                }
                Err(Errno(errno)) if is_pending(errno) => {}
                Err(Errno(errno)) => return Err(Refusal::Other(errno)),
            }
        }
        Err(Refusal::WouldBlock)
    }

    fn recv_once(&self, batch: &mut RxBatch) -> Result<usize, Errno> {
        if self.recvmmsg() {
            batch.0.receive_many(self.socket.as_fd(), usize::MAX)
        } else {
            batch.0.receive_each(self.socket.as_fd(), 0)
        }
    }
}

impl AsFd for RxSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Buffers that [`RxSocket::recv`] fills. Memory is touched only as far as datagrams reach.
pub struct RxBatch(ReceiveRing);

/// What is known of an entry besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RxMeta {
    /// Sender.
    pub source: SocketAddr,
    /// Bytes received.
    pub len: usize,
    /// Distance of coalesced datagrams; only the last may be shorter. Equal to `len` for a single datagram,
    /// so 0 for an empty one.
    pub stride: usize,
    /// The datagram was longer than the buffer; its end is lost.
    pub truncated: bool,
    /// Type of service or traffic class of the IP header; coalesced datagrams share it.
    pub tos: u8,
    /// Datagrams that this socket has ever lost to a full receive queue. Wraps around.
    pub overflows: u32,
}

impl RxBatch {
    /// Room for `buffers` entries of `buffer_len` bytes each; 65536 holds whatever the kernel coalesces.
    pub fn new(buffers: usize, buffer_len: usize) -> Self {
        Self(ReceiveRing::new(buffers.max(1), buffer_len, CACHE_SKEW))
    }

    /// Bytes of entry `i` of the last [`RxSocket::recv`]: one datagram, or several of equal `stride` one behind the
    /// other. `i` must be below what `recv` returned.
    pub fn entry(&self, i: usize) -> &[u8] {
        self.0.get(i).payload
    }

    /// The same, to change.
    pub fn entry_mut(&mut self, i: usize) -> &mut [u8] {
        self.0.payload_mut(i)
    }

    /// What is known of entry `i` besides its bytes.
    pub fn meta(&self, i: usize) -> RxMeta {
        let received = self.0.get(i);
        let mut meta = RxMeta {
            source: decode(received.name).unwrap_or(NO_SOURCE),
            len: received.payload.len(),
            stride: received.payload.len(),
            truncated: received.truncated,
            tos: 0,
            overflows: 0,
        };
        for message in messages(received.control) {
            match (message.level, message.kind, message.int()) {
                (libc::SOL_UDP, libc::UDP_GRO, Some(stride)) if stride > 0 => {
                    meta.stride = (stride as usize).min(meta.len);
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, Some(total)) => {
                    meta.overflows = total as u32;
                }
                // One byte, unlike the others.
                (libc::IPPROTO_IP, libc::IP_TOS, _) => {
                    meta.tos = message.data.first().copied().unwrap_or(0);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, Some(class)) => meta.tos = class as u8,
                _ => {}
            }
        }
        meta
    }
}

/// An ICMP error of another conversation, reported by the next receive; the queue behind it is intact.
fn is_pending(errno: i32) -> bool {
    matches!(
        errno,
        libc::EINTR
            | libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EPROTO
            | libc::EACCES
            | libc::EMSGSIZE
    )
}

/// Pending errors passed over by one call. One is reported at a time; new ones could arrive as fast as we read.
const PENDING_ERRORS: usize = 4;
/// Bytes between buffers: at a distance of 64 KiB their starts compete for the same cache sets.
const CACHE_SKEW: usize = 1600;
/// Stands for a sender of no known family; no valid VTEP.
const NO_SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
