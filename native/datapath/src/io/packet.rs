//! Packet ports: an interface that is there already (an end of a veth pair, a NIC) read and written through an AF_PACKET
//! socket. What a host without `/dev/net/tun` has instead of a TAP.
//!
//! The interface stays its owner's: nothing of it is set, but for as long as the socket is open it hears frames for every
//! MAC. Its own stack hears them too: the switch's end of a veth pair should have no addresses, and IPv6 and ARP off.

mod auxdata;
mod batch;
mod beneath;
mod socket;

pub use batch::PacketBatch;
pub use socket::{PacketRead, PacketSocket};

use super::netlink::Netlink;
use super::netns::{self, Identity};
use super::sys::Errno;
use super::sys::packet;
use super::sys::socket::{self as options, SocketOption};
use super::tap::VNET_HEADER_LEN;
use super::underlay::set_buffer;
use crate::error::{Error, ErrorCode};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Which interface, and how it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketSpec {
    /// Network namespace; `None` = our own.
    pub netns: Option<PathBuf>,
    /// Interface name, at most 15 bytes.
    pub ifname: String,
    /// Each packet is to be preceded by a `virtio_net_hdr`, if the kernel can.
    pub vnet_hdr: bool,
    /// Short packets without that header may be received many at a time, which the kernel must be able to: `recvmmsg`, Linux 2.6.33.
    pub recvmmsg: bool,
    /// Frames may be sent many at a time, which the kernel must be able to: `sendmmsg`, Linux 3.0.
    pub sendmmsg: bool,
    /// Our VTEP. Interfaces of our own namespace that its datagrams pass are refused, because those would be frames of the
    /// network that they carry, without end: the one that has the address, and what that is made on or of.
    pub vtep: IpAddr,
}

/// An interface with an open packet socket. Dropping it leaves the interface as it was.
#[derive(Debug)]
pub struct PacketInterface {
    /// What moves frames.
    pub socket: PacketSocket,
    /// Interface index in its namespace.
    pub ifindex: u32,
    /// Its MTU when it was opened, bytes.
    pub mtu: u32,
    /// Superframes of UDP may be written, and are told of when read: Linux 6.6. Some kernels before tell of them too
    /// (6.2), without saying that they can.
    pub uso: bool,
    /// What it was opened with.
    pub spec: PacketSpec,
    /// `None` where the kernel does not tell namespaces apart.
    namespace: Option<Identity>,
}

impl PacketInterface {
    /// Opens a socket on an interface that exists; whether it is up does not matter.
    ///
    /// Errors: `NO_INTERFACE` when there is none of that name; `NETNS_GONE`; `NO_NET_ADMIN` when CAP_NET_RAW is missing;
    /// `INTERFACE_UNFIT` for one without Ethernet headers, or that datagrams of the VTEP pass; `NO_FILES`, `IO`.
    pub fn open(spec: &PacketSpec) -> Result<Self, Error> {
        let own = netns::own().ok();
        let namespace = match &spec.netns {
            Some(path) => netns::identity(path).ok(),
            None => own,
        };
        let is_own = spec.netns.is_none() || (own.is_some() && own == namespace);
        let opened = netns::within(spec.netns.as_deref(), || open_here(spec, is_own));
        match (opened, &spec.netns) {
            (Ok(interface), _) => Ok(Self {
                namespace,
                ..interface
            }),
            (Err(e), Some(path)) => Err(e.about(format!("{} in {}", spec.ifname, path.display()))),
            (Err(e), None) => Err(e.about(&spec.ifname)),
        }
    }

    /// Whether both are sockets on one interface, however its namespace was named.
    pub fn is_same(&self, other: &Self) -> bool {
        self.ifindex == other.ifindex
            && self.namespace.is_some()
            && self.namespace == other.namespace
    }
}

/// Opens it in the calling thread's namespace, which may be that of the VTEP.
fn open_here(spec: &PacketSpec, is_own: bool) -> Result<PacketInterface, Error> {
    let mut netlink = Netlink::open()?;
    let link = netlink
        .link(&spec.ifname)?
        .ok_or_else(|| Error::new(ErrorCode::NoInterface, ""))?;
    if is_own && carries(&mut netlink, spec.vtep, link.ifindex)? {
        return Err(Error::new(ErrorCode::InterfaceUnfit, "").with_detail(
            "datagrams of the VTEP pass the interface, so tunnels would carry themselves",
        ));
    }
    let fd = packet::packet_socket().map_err(|e| to_error(e, "socket"))?;
    let header = set_options(fd.as_fd(), spec)?;
    // Last but one, so that nothing is received without what was set before.
    packet::bind(fd.as_fd(), link.ifindex).map_err(|e| to_error(e, "bind"))?;
    let bound_to = packet::bound_to(fd.as_fd()).map_err(|e| to_error(e, "getsockname"))?;
    if bound_to.hardware != libc::ARPHRD_ETHER {
        return Err(Error::new(ErrorCode::InterfaceUnfit, "")
            .with_detail("the interface has no Ethernet headers"));
    }
    packet::set_promiscuous(fd.as_fd(), link.ifindex)
        .map_err(|e| to_error(e, "PACKET_ADD_MEMBERSHIP"))?;
    let vnet_hdr = header != Header::None;
    Ok(PacketInterface {
        socket: PacketSocket {
            fd,
            vnet_hdr,
            recvmmsg: spec.recvmmsg,
            sendmmsg: spec.sendmmsg,
            last_was_long: AtomicBool::new(false),
        },
        ifindex: link.ifindex,
        mtu: link.mtu,
        uso: header == Header::Sized,
        spec: spec.clone(),
        namespace: None,
    })
}

/// Whether datagrams of the VTEP pass an interface.
fn carries(netlink: &mut Netlink, vtep: IpAddr, ifindex: u32) -> Result<bool, Error> {
    let mut tops = netlink.addresses()?;
    tops.retain(|on| on.ip == vtep);
    if tops.is_empty() {
        return Ok(false);
    }
    let tops = tops.iter().map(|on| on.ifindex);
    Ok(beneath::is_beneath(&netlink.links()?, tops, ifindex))
}

/// Which offload header the kernel gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    None,
    /// That of Linux 2.6.37.
    Plain,
    /// The same, set by its size, which kernels can since 6.6: these know superframes of UDP, too (6.2).
    Sized,
}

fn set_options(fd: BorrowedFd<'_>, spec: &PacketSpec) -> Result<Header, Error> {
    let set = |name, value| options::set_int(fd, SocketOption(libc::SOL_PACKET, name), value);
    set(libc::PACKET_AUXDATA, 1).map_err(|e| to_error(e, "PACKET_AUXDATA"))?;
    // Linux 4.20; before, what is outgoing is left out when it is read.
    let _ = set(PACKET_IGNORE_OUTGOING, 1);
    for (force, plain, name) in BUFFERS {
        let [force, plain] = [force, plain].map(|option| SocketOption(libc::SOL_SOCKET, option));
        set_buffer(fd, force, plain, BUFFER_LEN).map_err(|e| to_error(e, name))?;
    }
    Ok(if !spec.vnet_hdr {
        Header::None
    } else if set(PACKET_VNET_HDR_SZ, VNET_HEADER_LEN as i32).is_ok() {
        Header::Sized
    } else if set(libc::PACKET_VNET_HDR, 1).is_ok() {
        Header::Plain
    } else {
        Header::None
    })
}

fn to_error(errno: Errno, syscall: &'static str) -> Error {
    match errno.0 {
        libc::EPERM | libc::EACCES => errno
            .into_error(ErrorCode::NoNetAdmin, "", syscall)
            .with_detail("a packet socket needs CAP_NET_RAW"),
        libc::ENODEV | libc::ENXIO => errno.into_error(ErrorCode::NoInterface, "", syscall),
        _ => errno.into_error(ErrorCode::Io, "", syscall),
    }
}

const BUFFERS: [(i32, i32, &str); 2] = [
    (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, "SO_RCVBUF"),
    (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, "SO_SNDBUF"),
];
/// With the default of 208 KiB one TCP stream of superframes loses some 4 % at the socket (native/README.md).
const BUFFER_LEN: usize = 8 << 20;
// linux/if_packet.h
const PACKET_IGNORE_OUTGOING: i32 = 23;
const PACKET_VNET_HDR_SZ: i32 = 24;
