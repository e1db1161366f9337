//! Packet ports: an interface that is there already (an end of a veth pair, a NIC) read and written through an AF_PACKET
//! socket. What a host without `/dev/net/tun` has instead of a TAP.
//!
//! The interface stays its owner's: nothing of it is set, but for as long as the socket is open it hears frames for every
//! MAC. Its own stack hears them too: the switch's end of a veth pair should have no addresses, and IPv6 and ARP off.

mod auxdata;
mod batch;
mod socket;

pub use batch::PacketBatch;
pub use socket::{PacketRead, PacketSocket};

use super::netlink::{InterfaceAddress, Netlink};
use super::netns;
use super::sys::Errno;
use super::sys::packet;
use super::sys::socket::{self as options, SocketOption};
use super::tap::{Offloads, VNET_HEADER_LEN};
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
    /// Our VTEP, whose interface in our own namespace is refused: its datagrams would be frames of the network that they
    /// carry, without end.
    pub vtep: IpAddr,
}

/// An interface with an open packet socket. Dropping it leaves the interface as it was.
#[derive(Debug)]
pub struct PacketInterface {
    /// What moves frames.
    pub socket: PacketSocket,
    /// Interface index in its namespace.
    pub ifindex: u32,
    /// Frames are preceded by an offload header.
    pub vnet_hdr: bool,
    /// Which superframes may be written.
    pub offloads: Offloads,
    /// What it was opened with.
    pub spec: PacketSpec,
}

impl PacketInterface {
    /// Opens a socket on an interface that exists; whether it is up does not matter.
    ///
    /// Errors: `NO_INTERFACE` when there is none of that name; `NETNS_GONE`; `NO_NET_ADMIN` when CAP_NET_RAW is missing;
    /// `INTERFACE_UNFIT` for one without Ethernet headers, or with the VTEP's address; `NO_FILES`, `IO`.
    pub fn open(spec: &PacketSpec) -> Result<Self, Error> {
        netns::within(spec.netns.as_deref(), || open_here(spec)).map_err(|e| match &spec.netns {
            Some(path) => e.about(format!("{} in {}", spec.ifname, path.display())),
            None => e.about(&spec.ifname),
        })
    }
}

fn open_here(spec: &PacketSpec) -> Result<PacketInterface, Error> {
    let mut netlink = Netlink::open()?;
    let link = netlink
        .link(&spec.ifname)?
        .ok_or_else(|| Error::new(ErrorCode::NoInterface, ""))?;
    let has_vtep = |on: &InterfaceAddress| (on.ifindex, on.ip) == (link.ifindex, spec.vtep);
    if spec.netns.is_none() && netlink.addresses()?.iter().any(has_vtep) {
        return Err(Error::new(ErrorCode::InterfaceUnfit, "").with_detail(
            "the interface has the VTEP's address, so tunnels would carry themselves",
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
        vnet_hdr,
        offloads: Offloads {
            checksum: vnet_hdr,
            tso: vnet_hdr,
            uso: header == Header::Sized,
        },
        spec: spec.clone(),
    })
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
