//! What this machine offers. Every facility is really tried, none is guessed from a version.
//!
//! TAPs are tried in a throw-away network namespace where one may be made, else in our own under a name that the
//! kernel chooses; they end with their descriptors.

use super::netlink::{InterfaceAddress, Link, Netlink};
use super::netns;
use super::sys::file;
use super::sys::packet::packet_socket;
use super::sys::socket::{self, SocketOption};
use super::tap::{Offloads, knows, offload_mask, open_tun, use_short_header};
use super::underlay::{
    Burst, Part, RxBatch, RxSocket, RxSpec, Transmit, TxPool, TxScratch, TxSpec, has_recvmmsg,
    has_sendmmsg, inject, ring,
};
use crate::error::{Error, ErrorCode};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

/// What [`probe`] found.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// A TAP can be made.
    pub tun: bool,
    /// Why not.
    pub tun_error: Option<Error>,
    /// We hold CAP_NET_ADMIN in our network namespace.
    pub net_admin: bool,
    /// Optional facilities, in a fixed order.
    pub facilities: Vec<Facility>,
    /// Kernel vxlan devices in our network namespace: they may hold our UDP port.
    pub vxlan_devices: Vec<Link>,
    /// Every interface of our network namespace with its addresses.
    pub interfaces: Vec<(Link, Vec<InterfaceAddress>)>,
}

/// Something that the datapath can do without: it is faster with it, or has one more kind of port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facility {
    /// `vnet_hdr`, `tso`, `uso`, `multi_queue`, `recvmmsg`, `sendmmsg`, `udp_gso`, `udp_gro`,
    /// `rcvbuf_force`, `ring`, `tunnel_gso`; and what ports on interfaces need: `packet` (AF_PACKET sockets),
    /// `packet_vnet_hdr` (superframes through them) or `veth`.
    pub name: &'static str,
    /// Whether it works here.
    pub available: bool,
    /// Why not.
    pub detail: Option<String>,
}

/// Tries everything. Opens a few descriptors and closes them again; leaves nothing behind.
pub fn probe() -> Probe {
    let mut probe = Probe {
        net_admin: may_administrate(),
        ..Probe::default()
    };
    // A machine without sockets of this family shows itself as one without interfaces.
    if let Ok(mut netlink) = Netlink::open() {
        let links = netlink.links().unwrap_or_default();
        let addresses = netlink.addresses().unwrap_or_default();
        probe.vxlan_devices = links
            .iter()
            .filter(|l| l.vxlan.is_some())
            .cloned()
            .collect();
        probe.interfaces = joined(links, &addresses);
    }
    let tap = in_scratch(probe_tap);
    match &tap {
        Ok(_) => probe.tun = true,
        Err(error) => probe.tun_error = Some(error.clone()),
    }
    probe.facilities = match tap {
        Ok(facilities) => facilities,
        Err(error) => TAP_FACILITIES
            .map(|name| facility(name, Err(error.to_string())))
            .into(),
    };
    probe.facilities.extend(probe_underlay());
    let past_the_stack = [("ring", ring::probe()), ("tunnel_gso", inject::probe())];
    let facilities =
        past_the_stack.map(|(name, result)| facility(name, result.map_err(|e| e.to_string())));
    probe.facilities.extend(facilities);
    probe.facilities.extend(probe_packet());
    probe
}

/// Every interface of our network namespace with its addresses; none where they cannot be asked for. Cheap.
pub fn interfaces() -> Vec<(Link, Vec<InterfaceAddress>)> {
    let Ok(mut netlink) = Netlink::open() else {
        return Vec::new();
    };
    let links = netlink.links().unwrap_or_default();
    joined(links, &netlink.addresses().unwrap_or_default())
}

fn joined(links: Vec<Link>, addresses: &[InterfaceAddress]) -> Vec<(Link, Vec<InterfaceAddress>)> {
    let with_addresses = |link: Link| {
        let of_link = addresses.iter().filter(|a| a.ifindex == link.ifindex);
        let of_link = of_link.copied().collect();
        (link, of_link)
    };
    links.into_iter().map(with_addresses).collect()
}

/// Whether a change of an interface is allowed: setting lo up or down as it is already.
fn may_administrate() -> bool {
    let try_it = || {
        let mut netlink = Netlink::open()?;
        match netlink.link("lo")? {
            Some(lo) => netlink.set_up(lo.ifindex, lo.up),
            None => Err(Error::new(ErrorCode::Io, "lo")),
        }
    };
    try_it().is_ok()
}

/// Runs `work` in a new network namespace, or in ours where none may be made.
fn in_scratch<T: Send>(work: fn() -> Result<T, Error>) -> Result<T, Error> {
    match netns::within_new(|| Ok(work())) {
        Ok(result) => result,
        Err(_) => work(),
    }
}

fn probe_tap() -> Result<Vec<Facility>, Error> {
    let plain = libc::IFF_TAP | libc::IFF_NO_PI;
    scratch_tap(plain)?;
    let vnet = scratch_tap(plain | libc::IFF_VNET_HDR).and_then(|tap| {
        use_short_header(tap.as_fd())
            .map_err(|e| e.into_error(ErrorCode::Io, "TAP", "TUNSETVNETHDRSZ"))?;
        Ok(tap)
    });
    let offload = |offloads: Offloads| match &vnet {
        Ok(tap) => file::tun_set_offload(tap.as_fd(), offload_mask(offloads)).map_err(|e| {
            e.into_error(ErrorCode::Io, "TAP", "TUNSETOFFLOAD")
                .to_string()
        }),
        Err(error) => Err(error.to_string()),
    };
    let tso = Offloads {
        checksum: true,
        tso: true,
        uso: false,
    };
    let [name_vnet, name_tso, name_uso, name_queues] = TAP_FACILITIES;
    Ok(vec![
        facility(
            name_vnet,
            vnet.as_ref().map(|_| ()).map_err(Error::to_string),
        ),
        facility(name_tso, offload(tso)),
        facility(name_uso, offload(Offloads { uso: true, ..tso })),
        facility(name_queues, probe_queues(plain)),
    ])
}

fn probe_queues(plain: i32) -> Result<(), String> {
    let tap = scratch_tap(plain | libc::IFF_MULTI_QUEUE).map_err(|e| e.to_string())?;
    if knows(tap.as_fd(), libc::IFF_MULTI_QUEUE) {
        Ok(())
    } else {
        Err(NOT_THERE.into())
    }
}

/// A TAP that ends with its descriptor.
fn scratch_tap(flags: i32) -> Result<File, Error> {
    let tun = open_tun()?;
    file::tun_attach(tun.as_fd(), SCRATCH_NAME, flags).map_err(|e| {
        let code = match e.0 {
            libc::EPERM => ErrorCode::NoNetAdmin,
            _ => ErrorCode::Io,
        };
        e.into_error(code, "TAP", "TUNSETIFF")
    })?;
    Ok(tun)
}

/// One exchange with ourselves over the loopback, everything switched on: what the kernel does not have is off after.
fn probe_underlay() -> Vec<Facility> {
    let pair = open_pair();
    if let Ok((rx, tx)) = &pair {
        exchange(rx, tx);
    }
    let of_pair = |name, works: fn(&(RxSocket, TxPool)) -> bool| {
        let result = match &pair {
            Ok(pair) if works(pair) => Ok(()),
            Ok(_) => Err(NOT_THERE.into()),
            Err(error) => Err(error.to_string()),
        };
        facility(name, result)
    };
    vec![
        of_pair("recvmmsg", |_| has_recvmmsg()),
        of_pair("sendmmsg", |_| has_sendmmsg()),
        of_pair("udp_gso", |(_, tx)| tx.gso()),
        of_pair("udp_gro", |(rx, _)| rx.gro()),
        of_pair("rcvbuf_force", |(rx, _)| {
            let option = SocketOption(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
            socket::set_int(rx.as_fd(), option, 1 << 20).is_ok()
        }),
    ]
}

/// A packet socket, which receives nothing, and a veth pair in a namespace of its own.
fn probe_packet() -> [Facility; 3] {
    let socket = packet_socket().map_err(|e| e.into_error(ErrorCode::Io, "AF_PACKET", "socket"));
    let vnet_header = match &socket {
        Ok(socket) => {
            let option = SocketOption(libc::SOL_PACKET, libc::PACKET_VNET_HDR);
            socket::set_int(socket.as_fd(), option, 1)
                .map_err(|e| e.into_error(ErrorCode::Io, "AF_PACKET", "PACKET_VNET_HDR"))
        }
        Err(error) => Err(error.clone()),
    };
    let veth = netns::within_new(|| Netlink::open()?.add_veth());
    [
        ("packet", socket.map(drop)),
        ("packet_vnet_hdr", vnet_header),
        ("veth", veth),
    ]
    .map(|(name, result)| facility(name, result.map_err(|e| e.to_string())))
}

fn open_pair() -> Result<(RxSocket, TxPool), Error> {
    // Not 127.0.0.1: that is absent where lo is down.
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let rx = RxSocket::open(&RxSpec {
        local: SocketAddr::new(any, 0),
        scope: None,
        reuse_port: false,
        gro: true,
        recvmmsg: true,
        receive_buffer: 1 << 16,
    })?;
    let tx = TxPool::open(&TxSpec {
        local: any,
        scope: None,
        ports: 49152..=65535,
        pool: 1,
        ttl: None,
        fragment: false,
        checksum: true,
        gso: true,
        sendmmsg: true,
    })?;
    Ok((rx, tx))
}

/// Sends a run of two datagrams and receives what has arrived by then.
fn exchange(rx: &RxSocket, tx: &TxPool) {
    let run = Transmit {
        destination: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), rx.local().port()),
        parts: 0..1,
        segment_size: 8,
        ttl: None,
        tos: 0,
        datagrams: 2,
        bytes: 16,
        tag: 0,
    };
    let burst = Burst {
        socket: 0,
        arena: &[0; 16],
        parts: &[Part { offset: 0, len: 16 }],
        transmits: &[run],
    };
    // Nothing depends on the datagrams themselves: they do not arrive where lo is down.
    tx.send(&mut TxScratch::new(), burst, |_, _| {});
    let _ = rx.recv(&mut RxBatch::new(2, 64));
}

fn facility(name: &'static str, result: Result<(), String>) -> Facility {
    Facility {
        name,
        available: result.is_ok(),
        detail: result.err(),
    }
}

const TAP_FACILITIES: [&str; 4] = ["vnet_hdr", "tso", "uso", "multi_queue"];
const NOT_THERE: &str = "the kernel does not have it";
/// The kernel puts a free number in place of %d.
const SCRATCH_NAME: &str = "vsprobe%d";
