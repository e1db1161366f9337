//! Sending runs of datagrams from a pool of source ports.

use super::super::sys::Errno;
use super::super::sys::receive::ReceiveRing;
use super::super::sys::send::{Outgoing, SendList};
use super::super::sys::sockaddr::scoped;
use super::super::sys::socket::{self, SocketOption};
use super::{SendError, bind, by_family, errors, open, require, scope_index, set_buffer};
use crate::error::{Error, ErrorCode};
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

mod sending;

/// How to open a [`TxPool`].
#[derive(Debug, Clone)]
pub struct TxSpec {
    /// Source address of everything sent.
    pub local: IpAddr,
    /// The interface of a link-local IPv6 address.
    pub scope: Option<String>,
    /// Where source ports are taken from.
    pub ports: RangeInclusive<u16>,
    /// How many of them.
    pub pool: usize,
    /// Outer TTL or hop limit of unicast; `None` = the system's, unless a [`Transmit`] carries its own.
    pub ttl: Option<u8>,
    /// Let datagrams that are larger than the path be fragmented (DF clear). RFC 7348 §4.3 forbids a VTEP to do so.
    pub fragment: bool,
    /// UDP checksum. Without it (IPv4 only) the kernel cannot segment, so `gso` is off too.
    pub checksum: bool,
    /// Let the kernel segment runs (`UDP_SEGMENT`), where it can.
    pub gso: bool,
    /// Send many datagrams per call, where the kernel can.
    pub sendmmsg: bool,
}

/// How multicast leaves. It is never looped back to this host.
#[derive(Debug, Clone)]
pub struct MulticastSpec {
    /// Name of the interface.
    pub interface: String,
    /// TTL or hop limit.
    pub ttl: u8,
}

/// Sockets that only send, each bound to another source port. Non-blocking; nothing they are sent reaches them.
#[derive(Debug)]
pub struct TxPool {
    sockets: Vec<OwnedFd>,
    ports: Vec<u16>,
    local: SocketAddr,
    marks: bool,
    gso: AtomicBool,
    downgraded: AtomicBool,
    sendmmsg: AtomicBool,
    /// Datagrams that are too long for their path are fragmented.
    fragments: bool,
}

/// One send: a datagram, or a run of them to one destination.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// VTEP that it goes to.
    pub destination: SocketAddr,
    /// Its bytes: this range of [`Burst::parts`], one after the other, at most 1024 of them.
    pub parts: Range<u32>,
    /// 0 = one datagram; otherwise a run of datagrams of this many bytes of which the last may be shorter, at most 64
    /// of them and 65507 bytes together.
    pub segment_size: u16,
    /// TTL or hop limit instead of the pool's, where the pool [`marks`](TxPool::marks).
    pub ttl: Option<u8>,
    /// Type of service or traffic class, where the pool [`marks`](TxPool::marks).
    pub tos: u8,
    /// How many datagrams it is.
    pub datagrams: u32,
    /// Length of all its parts together.
    pub bytes: u32,
    /// The caller's own mark.
    pub tag: u32,
}

/// A piece of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: u32,
    /// Its length, bytes.
    pub len: u32,
}

/// What one call of [`TxPool::send`] sends. All parts lie inside the arena, all ranges inside the parts; what does
/// not is sent as if it were empty.
#[derive(Debug, Clone, Copy)]
pub struct Burst<'a> {
    /// Index of the socket, below [`TxPool::ports`]'s length.
    pub socket: usize,
    /// Memory that the parts point into.
    pub arena: &'a [u8],
    /// Pieces that the transmits are made of.
    pub parts: &'a [Part],
    /// In the order in which they leave.
    pub transmits: &'a [Transmit],
}

/// Why a transmit was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendRefusal {
    /// The socket or the queue behind it takes no more at this moment.
    Full,
    /// No route to the destination.
    NoRoute,
    /// The local firewall or a policy route refused it.
    Denied,
    /// Larger than the path allows; never fragmented.
    TooBig,
    /// Our own address is on no interface at this moment.
    LocalDown,
    /// Any other errno.
    Other(i32),
}

/// Working memory of one sending thread.
pub struct TxScratch {
    list: SendList,
    single_parts: Vec<Part>,
    singles: Vec<Transmit>,
    errors: ReceiveRing,
}

impl TxScratch {
    /// Empty; grows to the largest burst.
    #[expect(
        clippy::new_without_default,
        reason = "made once per thread, on purpose"
    )]
    pub fn new() -> Self {
        Self {
            list: SendList::new(),
            single_parts: Vec::new(),
            singles: Vec::new(),
            errors: ReceiveRing::new(1, ERROR_QUOTE, 0),
        }
    }
}

impl TxPool {
    /// Binds the pool's sockets to free ports of the range. When fewer are free than asked for the pool is smaller.
    ///
    /// Errors: `PORT_IN_USE` when none is free, `ADDRESS_NOT_LOCAL`, `BAD_VALUE` for IPv6 without checksum,
    /// `NO_FILES`, `IO`.
    pub fn open(spec: &TxSpec) -> Result<Self, Error> {
        if spec.local.is_ipv6() && !spec.checksum {
            return Err(Error::new(ErrorCode::BadValue, spec.local.to_string())
                .with_detail("IPv6 needs the UDP checksum"));
        }
        let scope = scope_index(spec.scope.as_deref())?;
        let mut pool = Self {
            sockets: Vec::with_capacity(spec.pool),
            ports: Vec::with_capacity(spec.pool),
            local: scoped(spec.local, 0, scope),
            marks: false,
            gso: AtomicBool::new(false),
            downgraded: AtomicBool::new(false),
            sendmmsg: AtomicBool::new(spec.sendmmsg),
            fragments: spec.fragment,
        };
        let mut in_use = None;
        for port in rotated(&spec.ports, port_seed(spec.local)) {
            if pool.sockets.len() == spec.pool.max(1) {
                break;
            }
            match open_socket(spec, &scoped(spec.local, port, scope)) {
                Ok(socket) => {
                    pool.sockets.push(socket);
                    pool.ports.push(port);
                }
                Err(error) if error.code == ErrorCode::PortInUse => in_use = Some(error),
                Err(error) => return Err(error),
            }
        }
        let Some(first) = pool.sockets.first() else {
            return Err(in_use.unwrap_or_else(|| {
                Error::new(ErrorCode::BadValue, format!("{:?}", spec.ports))
                    .with_detail("the range of source ports is empty")
            }));
        };
        let segment = SocketOption(libc::SOL_UDP, libc::UDP_SEGMENT);
        let gso = spec.gso && spec.checksum && socket::get_int(first.as_fd(), segment).is_ok();
        pool.gso = AtomicBool::new(gso);
        pool.marks = can_mark(first.as_fd(), &scoped(spec.local, pool.ports[0], scope));
        Ok(pool)
    }

    /// Sends to multicast groups by this interface, and with this TTL, from now on. Errors: `ADDRESS_NOT_LOCAL` when
    /// there is no such interface, `IO`.
    pub fn use_multicast(&self, spec: &MulticastSpec) -> Result<(), Error> {
        self.sockets
            .iter()
            .try_for_each(|socket| set_multicast(socket.as_fd(), &self.local, spec))
    }

    /// The source ports, by socket.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The sockets, by index; poll them for errors and then call [`drain_errors`](Self::drain_errors).
    pub fn sockets(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }

    /// Whether a transmit's own TTL and TOS are honoured. Without it, on IPv4 with Linux before 3.13, datagrams leave with
    /// the pool's TTL and TOS 0.
    pub fn marks(&self) -> bool {
        self.marks
    }

    /// Whether runs should be sent as one transmit. Once false it stays false.
    pub fn gso(&self) -> bool {
        self.gso.load(Ordering::Relaxed)
    }

    /// Whether many datagrams are sent per call: as asked for, until the kernel says that it cannot.
    pub fn sendmmsg(&self) -> bool {
        self.sendmmsg.load(Ordering::Relaxed)
    }

    /// Whether the kernel claimed to segment and then did not, so that `gso` was given up. Told once.
    pub fn downgraded(&self) -> bool {
        // Asked at every flush: a load leaves the cache line where it is.
        self.downgraded.load(Ordering::Relaxed) && self.downgraded.swap(false, Ordering::Relaxed)
    }

    /// Whether our address is on an interface of the calling thread's namespace at this moment. IPv4 refuses to send
    /// without it (`LocalDown`); IPv6 goes on sending, so that only this tells.
    pub fn local_present(&self) -> bool {
        socket::udp_socket(&self.local)
            .is_ok_and(|probe| socket::bind(probe.as_fd(), &self.local).is_ok())
    }

    /// Reads what was reported about datagrams sent earlier from `socket`, until its error queue is empty.
    pub fn drain_errors(
        &self,
        scratch: &mut TxScratch,
        socket: usize,
        report: impl FnMut(SendError),
    ) {
        if let Some(socket) = self.sockets.get(socket) {
            errors::drain(socket.as_fd(), &mut scratch.errors, report);
        }
    }
}

/// One socket of the pool, bound to `local`.
fn open_socket(spec: &TxSpec, local: &SocketAddr) -> Result<OwnedFd, Error> {
    let socket = open(local)?;
    let fd = socket.as_fd();
    let ip = local.ip();
    let syscall = |e: Errno| e.into_error(ErrorCode::Io, local.to_string(), "setsockopt");
    socket::refuse_all_input(fd).map_err(syscall)?;
    // RFC 7348 section 4.3: a VTEP must not fragment.
    let discovery = match spec.fragment {
        false => libc::IP_PMTUDISC_DO,
        true => libc::IP_PMTUDISC_DONT,
    };
    let discover = by_family(ip, libc::IP_MTU_DISCOVER, libc::IPV6_MTU_DISCOVER);
    require(fd, discover, discovery, local)?;
    let report = by_family(ip, libc::IP_RECVERR, libc::IPV6_RECVERR);
    require(fd, report, 1, local)?;
    set_buffer(
        fd,
        SocketOption(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE),
        SocketOption(libc::SOL_SOCKET, libc::SO_SNDBUF),
        SEND_BUFFER,
    )
    .map_err(syscall)?;
    if !spec.checksum {
        let option = SocketOption(libc::SOL_SOCKET, libc::SO_NO_CHECK);
        require(fd, option, 1, local)?;
    }
    if let Some(ttl) = spec.ttl {
        let option = by_family(ip, libc::IP_TTL, libc::IPV6_UNICAST_HOPS);
        require(fd, option, ttl.into(), local)?;
    }
    bind(fd, local)?;
    Ok(socket)
}

/// Whether the kernel takes a TOS with a datagram. The one sent to find out goes to its own socket, which receives none.
fn can_mark(socket: BorrowedFd<'_>, own: &SocketAddr) -> bool {
    let marked = Outgoing {
        destination: own,
        segment_size: 0,
        ttl: None,
        tos: ANY_TOS,
    };
    let sent = SendList::new().send(socket, false, std::iter::once((marked, std::iter::empty())));
    // Any other error is about the way, not about the TOS.
    sent != Err(Errno(libc::EINVAL))
}

fn set_multicast(
    fd: BorrowedFd<'_>,
    local: &SocketAddr,
    spec: &MulticastSpec,
) -> Result<(), Error> {
    let ip = local.ip();
    let ifindex = scope_index(Some(&spec.interface))?;
    let ttl = by_family(ip, libc::IP_MULTICAST_TTL, libc::IPV6_MULTICAST_HOPS);
    require(fd, ttl, spec.ttl.into(), local)?;
    let looped = by_family(ip, libc::IP_MULTICAST_LOOP, libc::IPV6_MULTICAST_LOOP);
    require(fd, looped, 0, local)?;
    match ip {
        IpAddr::V4(_) => socket::multicast_interface_v4(fd, ifindex)
            .map_err(|e| e.into_error(ErrorCode::Io, spec.interface.clone(), "setsockopt")),
        IpAddr::V6(_) => {
            let option = SocketOption(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF);
            require(fd, option, ifindex as i32, local)
        }
    }
}

/// The range from `seed` on and then from its start.
fn rotated(range: &RangeInclusive<u16>, seed: u32) -> impl Iterator<Item = u16> + use<> {
    let (first, last) = (u32::from(*range.start()), u32::from(*range.end()));
    let count = (last + 1).saturating_sub(first);
    (0..count).map(move |i| (first + (seed % count + i) % count) as u16)
}

/// Differs between processes and between addresses, so that daemons side by side seldom compete for ports.
fn port_seed(local: IpAddr) -> u32 {
    let octets = match local {
        IpAddr::V4(v4) => u32::from(v4),
        IpAddr::V6(v6) => v6.to_bits() as u32,
    };
    std::process::id()
        .wrapping_mul(PORT_SEED_STEP)
        .wrapping_add(octets.wrapping_mul(PORT_SEED_STEP))
}

/// Send buffer to ask for, bytes: some sixty runs.
const SEND_BUFFER: usize = 4 << 20;
/// Bytes of a failed datagram that we take back with the report; none are looked at.
const ERROR_QUOTE: usize = 256;
/// A TOS that is not the socket's.
const ANY_TOS: u8 = 0x04;
/// A prime near the default pool size, so that neighbouring process ids do not overlap.
const PORT_SEED_STEP: u32 = 17;
