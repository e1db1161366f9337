//! Sending past the sockets: superframes that stay whole inside their tunnel, so that the kernel, or the NIC, cuts them.
//!
//! ```text
//! Injector -write-> TAP -tcx ingress-> bpf_redirect_neigh -> qdisc of the underlay interface -> NIC
//! ```
//!
//! A UDP socket can only send datagrams that have been cut already. A TAP with offload headers for tunnels (Linux 6.17)
//! takes the whole outer frame with the inner superframe, the same as kernel vxlan would make it. A program on that TAP
//! hands each packet to the underlay interface, and the kernel looks up route and neighbour for it. No sysctl is
//! touched, nothing is forwarded; the TAP has no address and, its carrier being off, no life of its own. It ends with
//! its descriptor, and so does the program, so a crash leaves nothing behind.
//!
//! What falls away with the socket is what the stack does on its way:
//!
//! * netfilter's OUTPUT and POSTROUTING chains, and marks.
//! * IPsec: a policy that blocks does so, but one that asks for encryption is passed by; see [`PathCheck`].
//! * every answer. A write succeeds whatever becomes of the packet: no route, no neighbour, a full queue are all silent.
//! * the MTU. The kernel sends segments of the size it is told, and drops what the interface does not take; see
//!   [`Head::packet_len`] and [`PathCheck`].
//! * the choice of the interface. The kernel takes the destination for a neighbour when there is no route by the
//!   interface that it is told; see [`PathCheck`].
//!
//! What routers report about a packet (a path MTU, an unreachable host) reaches the socket that has its source port: if
//! that is one of a [`TxPool`](super::TxPool), the report is in the pool's error queue, as if the pool had sent it.

mod path;
mod redirect;
mod trial;

pub use path::{PathCheck, segments_tunnels};
pub use trial::probe;

use super::super::netlink::Netlink;
use super::super::sys::socket;
use super::super::sys::{Errno, file};
use super::super::tap::open_tun;
use super::{SendRefusal, by_family};
use crate::error::{Error, ErrorCode};
use crate::wire::encap::Head;
use crate::wire::vnet_tunnel::HEADER_LEN;
use redirect::Redirect;
use std::fs::File;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// How to open an [`Injector`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectorSpec {
    /// Source address of everything sent.
    pub local: IpAddr,
    /// The underlay interface, which everything leaves by; see [`place`](super::ring::place()).
    pub ifindex: u32,
    /// Outer TTL or hop limit; `None` = the system's.
    pub ttl: Option<u8>,
}

/// Hands outer frames to the kernel. Any thread may use it.
///
/// Dropping it takes its TAP away. The underlay interface must not change while it is open: one that is gone loses
/// everything silently.
#[derive(Debug)]
pub struct Injector {
    _redirect: Redirect,
    tap: File,
    ifname: String,
    ttl: u8,
}

impl Injector {
    /// Opens it in the calling thread's namespace.
    ///
    /// Errors: `NO_TUN`, `NO_NET_ADMIN` when CAP_NET_ADMIN or CAP_BPF is missing; `NO_TUNNEL_GSO` when the kernel has no
    /// offload header for tunnels, no tcx or no `bpf_redirect_neigh`: in these cases ordinary sockets serve.
    /// `NO_FILES`, `IO`.
    pub fn open(spec: &InjectorSpec) -> Result<Self, Error> {
        Self::open_unnamed(spec).map_err(|e| e.about(format!("tunnel offload for {}", spec.local)))
    }

    fn open_unnamed(spec: &InjectorSpec) -> Result<Self, Error> {
        let ttl = match spec.ttl {
            Some(ttl) => ttl,
            None => default_ttl(spec.local)?,
        };
        let tap = open_tun()?;
        let fd = tap.as_fd();
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        let ifname = file::tun_attach(fd, NAME, flags).map_err(|e| to_error(e, "TUNSETIFF"))?;
        file::tun_set_vnet_little_endian(fd).map_err(|e| to_error(e, "TUNSETVNETLE"))?;
        file::tun_set_vnet_header_len(fd, HEADER_LEN as i32)
            .map_err(|e| to_error(e, "TUNSETVNETHDRSZ"))?;
        file::tun_set_offload(fd, OFFLOADS).map_err(|e| to_error(e, "TUNSETOFFLOAD"))?;
        // Without a carrier IPv6 and the daemons of the host leave it alone; we may write nevertheless.
        file::tun_set_carrier(fd, false).map_err(|e| to_error(e, "TUNSETCARRIER"))?;
        let ifindex = file::interface_index(&ifname).map_err(|e| to_error(e, "if_nametoindex"))?;
        let redirect = Redirect::attach(ifindex, spec.ifindex)?;
        Netlink::open()?.set_up(ifindex, true)?;
        Ok(Self {
            _redirect: redirect,
            tap,
            ifname,
            ttl,
        })
    }

    /// Sends `frame`, whole, behind the head that was made for it. One system call.
    ///
    /// `TooBig` for more than [`MAX_FRAME_LEN`](crate::wire::encap::MAX_FRAME_LEN), `Full` when there is no memory,
    /// `Other` when the kernel does not take it; after that it is no use to try it again with this injector. EINVAL says
    /// that the head fits no such frame, EIO and EBADFD that somebody took the TAP down or away.
    pub fn send(&self, head: &Head, frame: &[u8]) -> Result<(), SendRefusal> {
        file::write_packet(self.tap.as_fd(), head.bytes(), &[IoSlice::new(frame)])
            .map(|_| ())
            .map_err(|Errno(errno)| match errno {
                libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => SendRefusal::Full,
                libc::EMSGSIZE => SendRefusal::TooBig,
                other => SendRefusal::Other(other),
            })
    }

    /// Outer TTL or hop limit: that of the spec, or the system's when it was opened.
    pub fn ttl(&self) -> u8 {
        self.ttl
    }

    /// Name of its TAP, chosen by the kernel.
    pub fn ifname(&self) -> &str {
        &self.ifname
    }
}

/// What a socket of this family would send with.
fn default_ttl(local: IpAddr) -> Result<u8, Error> {
    let option = by_family(local, libc::IP_TTL, libc::IPV6_UNICAST_HOPS);
    socket::udp_socket(&SocketAddr::new(local, 0))
        .and_then(|socket| socket::get_int(socket.as_fd(), option))
        .and_then(|ttl| u8::try_from(ttl).map_err(|_| Errno(libc::ERANGE)))
        .map_err(|e| e.into_error(ErrorCode::Io, "", "getsockopt"))
}

fn to_error(errno: Errno, syscall: &'static str) -> Error {
    match errno.0 {
        libc::EPERM | libc::EACCES => errno
            .into_error(ErrorCode::NoNetAdmin, "", syscall)
            .with_detail("a TAP needs CAP_NET_ADMIN"),
        libc::EINVAL | libc::ENOTTY => errno
            .into_error(ErrorCode::NoTunnelGso, "", syscall)
            .with_detail("superframes inside tunnels need Linux 6.17"),
        _ => errno.into_error(ErrorCode::Io, "", syscall),
    }
}

/// The kernel puts a free number in place of %d.
const NAME: &str = "vswtx%d";

// linux/if_tun.h
const TUN_F_CSUM: u32 = 0x01;
const TUN_F_TSO4: u32 = 0x02;
const TUN_F_TSO6: u32 = 0x04;
const TUN_F_UDP_TUNNEL_GSO: u32 = 0x80;
const TUN_F_UDP_TUNNEL_GSO_CSUM: u32 = 0x100;
/// For a reader, and what a writer may leave undone is the same in tunnels.
const OFFLOADS: u32 =
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_UDP_TUNNEL_GSO | TUN_F_UDP_TUNNEL_GSO_CSUM;
