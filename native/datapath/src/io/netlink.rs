//! Interfaces and addresses of the calling thread's network namespace, over rtnetlink.
//!
//! Blocking, for setting up only. Every request waits for its acknowledgement.

use super::sys::Errno;
use crate::error::{Error, ErrorCode};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoTun, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use std::net::IpAddr;

mod ipsec;
mod route;
mod watch;

pub use ipsec::IpsecPolicies;
pub use route::{Route, RouteQuery};
pub use watch::RouteWatch;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Its index, unique in its namespace.
    pub ifindex: u32,
    /// Its name.
    pub ifname: String,
    /// Its MAC, if it has one of 6 bytes.
    pub mac: Option<[u8; 6]>,
    /// Its MTU, bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// What somebody wrote on it (IFLA_IFALIAS).
    pub alias: Option<String>,
    /// What it is made on, an interface of the same namespace: of a VLAN or macvlan; of a veth its other end.
    pub base: Option<u32>,
    /// The bridge, bond or VRF that it belongs to.
    pub master: Option<u32>,
    /// Its driver as rtnetlink names it: `tun`, `veth`, `vxlan` ... Hardware has none.
    pub kind: Option<String>,
    /// Of a `vxlan` device.
    pub vxlan: Option<VxlanLink>,
    /// Of a multi-queue `tun` device: queues that some process holds open.
    pub open_queues: Option<u32>,
}

/// Settings of a kernel vxlan device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VxlanLink {
    /// VXLAN network identifier.
    pub vni: u32,
    /// UDP port that it listens on.
    pub udp_port: u16,
}

/// An address with the interface that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Interface.
    pub ifindex: u32,
    /// Address.
    pub ip: IpAddr,
    /// Length of the prefix that is on the link.
    pub prefix_len: u8,
}

/// A connection to the namespace in which it was opened.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Errors: `NO_FILES`, `IO`.
    pub fn open() -> Result<Self, Error> {
        let mut socket = Socket::new(NETLINK_ROUTE)
            .map_err(|e| Errno::from(e).into_error(ErrorCode::Io, "netlink", "socket"))?;
        socket
            .bind_auto()
            .map_err(|e| Errno::from(e).into_error(ErrorCode::Io, "netlink", "bind"))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// The interface of that name. Errors: `IO`.
    pub fn link(&mut self, ifname: &str) -> Result<Option<Link>, Error> {
        let mut message = LinkMessage::default();
        message
            .attributes
            .push(LinkAttribute::IfName(ifname.into()));
        match self.look_up(message) {
            // EINVAL and ERANGE for names that no interface can have.
            Err(Errno(libc::EINVAL | libc::ERANGE)) => Ok(None),
            other => other.map_err(|e| to_error(e, ifname, "RTM_GETLINK")),
        }
    }

    /// The interface of that index. Errors: `IO`.
    pub fn link_at(&mut self, ifindex: u32) -> Result<Option<Link>, Error> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        self.look_up(message)
            .map_err(|e| to_error(e, "interface", "RTM_GETLINK"))
    }

    /// Every interface. Errors: `IO`.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let mut links = Vec::new();
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        self.request(message, NLM_F_DUMP, |reply| {
            if let RouteNetlinkMessage::NewLink(link) = reply {
                links.push(to_link(link));
            }
        })
        .map_err(|e| to_error(e, "interfaces", "RTM_GETLINK"))?;
        Ok(links)
    }

    /// Every address of every interface. Errors: `IO`.
    pub fn addresses(&mut self) -> Result<Vec<InterfaceAddress>, Error> {
        let mut addresses = Vec::new();
        let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.request(message, NLM_F_DUMP, |reply| {
            if let RouteNetlinkMessage::NewAddress(address) = reply {
                addresses.extend(to_address(&address));
            }
        })
        .map_err(|e| to_error(e, "addresses", "RTM_GETADDR"))?;
        Ok(addresses)
    }

    /// Sets the MAC. Errors: `NO_NET_ADMIN`, `BAD_VALUE` for a group address or all zero, `IO`.
    pub fn set_mac(&mut self, ifindex: u32, mac: [u8; 6]) -> Result<(), Error> {
        self.set(ifindex, LinkAttribute::Address(mac.to_vec()))
            .map_err(|errno| match errno.0 {
                libc::EADDRNOTAVAIL | libc::EINVAL => {
                    errno.into_error(ErrorCode::BadValue, "MAC", "RTM_SETLINK")
                }
                _ => to_error(errno, "MAC", "RTM_SETLINK"),
            })
    }

    /// Sets the MTU. Errors: `NO_NET_ADMIN`, `MTU_IMPOSSIBLE`, `IO`.
    pub fn set_mtu(&mut self, ifindex: u32, mtu: u32) -> Result<(), Error> {
        let subject = format!("MTU {mtu}");
        self.set(ifindex, LinkAttribute::Mtu(mtu))
            .map_err(|errno| match errno.0 {
                libc::EINVAL | libc::ERANGE => {
                    errno.into_error(ErrorCode::MtuImpossible, subject, "RTM_SETLINK")
                }
                _ => to_error(errno, &subject, "RTM_SETLINK"),
            })
    }

    /// Writes `alias` on the interface. Errors: `NO_NET_ADMIN`, `IO` (EINVAL above 255 bytes).
    pub fn set_alias(&mut self, ifindex: u32, alias: &str) -> Result<(), Error> {
        self.set(ifindex, LinkAttribute::IfAlias(alias.into()))
            .map_err(|e| to_error(e, alias, "RTM_SETLINK"))
    }

    /// Limits how long a superframe the stack makes for this interface, bytes with its headers. Errors:
    /// `NO_NET_ADMIN`, `IO` where the kernel does not let this be set.
    pub fn set_gso_max_size(&mut self, ifindex: u32, bytes: u32) -> Result<(), Error> {
        self.set(ifindex, LinkAttribute::GsoMaxSize(bytes))
            .map_err(|e| to_error(e, "gso_max_size", "RTM_SETLINK"))
    }

    /// Sets the interface up or down. Errors: `NO_NET_ADMIN`, `IO`.
    pub fn set_up(&mut self, ifindex: u32, up: bool) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        message.header.change_mask = LinkFlags::Up;
        message.header.flags = if up {
            LinkFlags::Up
        } else {
            LinkFlags::empty()
        };
        self.request(RouteNetlinkMessage::SetLink(message), NLM_F_ACK, |_| {})
            .map_err(|e| to_error(e, "interface flags", "RTM_SETLINK"))
    }

    /// Makes a pair of veth interfaces whose names the kernel chooses. Errors: `NO_NET_ADMIN`, `IO` (EOPNOTSUPP: the
    /// kernel has no veth).
    pub fn add_veth(&mut self) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        let kind = vec![LinkInfo::Kind(InfoKind::Veth)];
        message.attributes.push(LinkAttribute::LinkInfo(kind));
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        self.request(RouteNetlinkMessage::NewLink(message), flags, |_| {})
            .map_err(|e| to_error(e, "veth", "RTM_NEWLINK"))
    }

    /// Deletes the interface. Errors: `NO_NET_ADMIN`, `IO`.
    pub fn delete_link(&mut self, ifindex: u32) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        self.request(RouteNetlinkMessage::DelLink(message), NLM_F_ACK, |_| {})
            .map_err(|e| to_error(e, "interface", "RTM_DELLINK"))
    }

    /// Adds an address, usable at once (IPv6 without duplicate address detection). One that is there already is fine.
    /// Errors: `NO_NET_ADMIN`, `IO` (EACCES: IPv6 is disabled on the interface).
    pub fn add_address(&mut self, address: InterfaceAddress) -> Result<(), Error> {
        let mut message = address_message(address);
        if address.ip.is_ipv6() {
            // Twice: kernels before 3.14 know only the header's flags.
            message.header.flags = AddressHeaderFlags::Nodad;
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        match self.request(RouteNetlinkMessage::NewAddress(message), flags, |_| {}) {
            Ok(()) | Err(Errno(libc::EEXIST)) => Ok(()),
            Err(errno) => Err(address_error(errno, address, "RTM_NEWADDR")),
        }
    }

    /// Takes an address away. One that is not there is fine. Errors: `NO_NET_ADMIN`, `IO`.
    pub fn remove_address(&mut self, address: InterfaceAddress) -> Result<(), Error> {
        let message = RouteNetlinkMessage::DelAddress(address_message(address));
        match self.request(message, NLM_F_ACK, |_| {}) {
            Ok(()) | Err(Errno(libc::EADDRNOTAVAIL)) => Ok(()),
            Err(errno) => Err(address_error(errno, address, "RTM_DELADDR")),
        }
    }

    fn look_up(&mut self, message: LinkMessage) -> Result<Option<Link>, Errno> {
        let mut found = None;
        let result = self.request(RouteNetlinkMessage::GetLink(message), 0, |reply| {
            if let RouteNetlinkMessage::NewLink(link) = reply {
                found = Some(to_link(link));
            }
        });
        match result {
            Ok(()) => Ok(found),
            Err(Errno(libc::ENODEV)) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn set(&mut self, ifindex: u32, attribute: LinkAttribute) -> Result<(), Errno> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        message.attributes.push(attribute);
        self.request(RouteNetlinkMessage::SetLink(message), NLM_F_ACK, |_| {})
    }

    /// Sends one request and gives every answer to `on_reply` until the kernel says that it is done.
    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut on_reply: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), Errno> {
        self.sequence += 1;
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        // Only a lookup answers with one message and nothing behind it.
        let single = flags & (NLM_F_DUMP | NLM_F_ACK) == 0;
        let mut buffer: Vec<u8> = Vec::with_capacity(RECEIVE_LEN);
        loop {
            buffer.clear();
            self.socket.recv(&mut buffer, 0)?;
            for raw in split(&buffer) {
                // What this library cannot read concerns an attribute newer than it; the message is passed over.
                let Ok(reply) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(raw) else {
                    if single {
                        return Err(Errno(libc::EBADMSG));
                    }
                    continue;
                };
                if reply.header.sequence_number != self.sequence {
                    continue;
                }
                match reply.payload {
                    NetlinkPayload::Error(error) => {
                        return match error.raw_code() {
                            0 => Ok(()),
                            code => Err(Errno(-code)),
                        };
                    }
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::InnerMessage(inner) => {
                        on_reply(inner);
                        if single {
                            return Ok(());
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The messages of one datagram: each begins with its length and is padded to 4 bytes.
fn split(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = u32::from_ne_bytes(rest.first_chunk().copied()?) as usize;
        let message = rest.get(..len).filter(|_| len >= NETLINK_HEADER_LEN)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

fn to_link(message: LinkMessage) -> Link {
    let mut link = Link {
        ifindex: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    let mut base_is_elsewhere = false;
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::Link(ifindex) => link.base = Some(ifindex),
            LinkAttribute::LinkNetNsId(_) => base_is_elsewhere = true,
            LinkAttribute::Controller(ifindex) => link.master = Some(ifindex),
            LinkAttribute::IfName(name) => link.ifname = name,
            LinkAttribute::Address(mac) => link.mac = mac.try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::LinkInfo(infos) => read_info(&mut link, infos),
            _ => {}
        }
    }
    link.base = link.base.filter(|_| !base_is_elsewhere);
    link
}

fn read_info(link: &mut Link, infos: Vec<LinkInfo>) {
    for info in infos {
        match info {
            LinkInfo::Kind(InfoKind::Other(kind)) => link.kind = Some(kind),
            LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
            LinkInfo::Data(InfoData::Vxlan(settings)) => link.vxlan = Some(to_vxlan(&settings)),
            LinkInfo::Data(InfoData::Tun(settings)) => link.open_queues = open_queues(&settings),
            _ => {}
        }
    }
}

fn to_vxlan(settings: &[InfoVxlan]) -> VxlanLink {
    let mut vxlan = VxlanLink::default();
    for setting in settings {
        match *setting {
            InfoVxlan::Id(vni) => vxlan.vni = vni,
            InfoVxlan::Port(udp_port) => vxlan.udp_port = udp_port,
            _ => {}
        }
    }
    vxlan
}

fn open_queues(settings: &[InfoTun]) -> Option<u32> {
    settings.iter().find_map(|setting| {
        let InfoTun::Other(nla) = setting else {
            return None;
        };
        if netlink_packet_core::Nla::kind(nla) != IFLA_TUN_NUM_QUEUES {
            return None;
        }
        let mut value = [0; 4];
        if netlink_packet_core::Nla::value_len(nla) != value.len() {
            return None;
        }
        netlink_packet_core::Nla::emit_value(nla, &mut value);
        Some(u32::from_ne_bytes(value))
    })
}

fn to_address(message: &AddressMessage) -> Option<InterfaceAddress> {
    // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is always ours.
    let mut found = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => found = Some(*ip),
            AddressAttribute::Address(ip) => found = found.or(Some(*ip)),
            _ => {}
        }
    }
    found.map(|ip| InterfaceAddress {
        ifindex: message.header.index,
        ip,
        prefix_len: message.header.prefix_len,
    })
}

fn address_message(address: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address.ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = address.prefix_len;
    message.header.scope = AddressScope::Universe;
    message.header.index = address.ifindex;
    message.attributes = vec![
        AddressAttribute::Local(address.ip),
        AddressAttribute::Address(address.ip),
    ];
    message
}

fn address_error(errno: Errno, address: InterfaceAddress, request: &'static str) -> Error {
    let subject = format!("{}/{}", address.ip, address.prefix_len);
    match errno.0 {
        libc::EACCES => errno
            .into_error(ErrorCode::Io, subject, request)
            .with_detail("IPv6 is disabled on this interface"),
        libc::EINVAL => errno.into_error(ErrorCode::BadValue, subject, request),
        _ => to_error(errno, &subject, request),
    }
}

fn to_error(errno: Errno, subject: &str, request: &'static str) -> Error {
    let code = match errno.0 {
        libc::EPERM => ErrorCode::NoNetAdmin,
        _ => ErrorCode::Io,
    };
    errno.into_error(code, subject, request)
}

/// The kernel fills at most 32 KiB per datagram of a dump.
const RECEIVE_LEN: usize = 64 << 10;
const NETLINK_HEADER_LEN: usize = 16;
/// linux/if_link.h; not in the library.
const IFLA_TUN_NUM_QUEUES: u16 = 8;
