//! ICMP echo (RFC 792, RFC 4443 §4): asking a host whether it is there.

use super::sys::file;
use super::sys::receive::ReceiveRing;
use super::sys::send::{Outgoing, SendList};
use super::sys::sockaddr::{decode, scoped};
use super::sys::socket::{self, IcmpKind};
use crate::wire::be16;
use crate::wire::checksum::Sum;
use crate::wire::ipv4::Ipv4;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Sends echo requests from one address and receives the answers to them. Non-blocking; readable while there are some.
pub struct EchoSocket {
    socket: OwnedFd,
    kind: IcmpKind,
    is_ipv6: bool,
    /// Tells our requests from those of others at a raw socket; at others the kernel does.
    identifier: u16,
    list: SendList,
    ring: ReceiveRing,
}

impl EchoSocket {
    /// Bound to `local`, with the interface of a link-local address. `None` where the kernel lets us send no echo
    /// requests at all, or the address is on no interface at this moment.
    pub fn open(local: IpAddr, scope: Option<&str>) -> Option<Self> {
        let ifindex = scope.map_or(Some(0), |name| file::interface_index(name).ok())?;
        let local = scoped(local, 0, ifindex);
        [IcmpKind::Echo, IcmpKind::Raw]
            .into_iter()
            .find_map(|kind| Self::of_kind(&local, kind))
    }

    fn of_kind(local: &SocketAddr, kind: IcmpKind) -> Option<Self> {
        let socket = socket::icmp_socket(local, kind).ok()?;
        let is_ipv6 = local.is_ipv6();
        if kind == IcmpKind::Raw {
            // Without it there is more to read and to pass over.
            let _ = socket::receive_icmp_only(socket.as_fd(), local, answer_type(is_ipv6));
        }
        socket::bind(socket.as_fd(), local).ok()?;
        Some(Self {
            socket,
            kind,
            is_ipv6,
            identifier: std::process::id() as u16,
            list: SendList::new(),
            ring: ReceiveRing::new(BATCH, MESSAGE_LEN, 0),
        })
    }

    /// Sends a request to `remote`, whose port does not matter; whether it has left.
    pub fn ask(&mut self, remote: SocketAddr, sequence: u16) -> bool {
        let scope = match remote {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(v6) => v6.scope_id(),
        };
        let destination = scoped(remote.ip(), 0, scope);
        let message = self.request(sequence);
        let outgoing = Outgoing {
            destination: &destination,
            segment_size: 0,
            ttl: None,
            tos: 0,
        };
        let messages = std::iter::once((outgoing, std::iter::once(&message[..])));
        let sent = self.list.send(self.socket.as_fd(), false, messages);
        sent.is_ok()
    }

    /// Takes out the answers that have come: from whom, and with which sequence number. Who cares should know what was
    /// asked, since anybody can send an answer.
    pub fn answers(&mut self, mut each: impl FnMut(IpAddr, u16)) {
        while let Ok(1..) = self.ring.receive_each(self.socket.as_fd(), 0) {
            for i in 0..self.ring.filled() {
                let received = self.ring.get(i);
                if let Some(from) = decode(received.name)
                    && let Some(sequence) = self.answer(received.payload)
                {
                    each(from.ip(), sequence);
                }
            }
        }
    }

    fn request(&self, sequence: u16) -> [u8; HEADER_LEN + PAYLOAD.len()] {
        let mut message = [0; HEADER_LEN + PAYLOAD.len()];
        message[0] = if self.is_ipv6 { 128 } else { 8 };
        message[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        message[6..8].copy_from_slice(&sequence.to_be_bytes());
        message[HEADER_LEN..].copy_from_slice(PAYLOAD);
        if !self.is_ipv6 {
            // With IPv6 the kernel fills it, as the addresses belong to it.
            let checksum = Sum::of(&message).checksum();
            message[2..4].copy_from_slice(&checksum.to_be_bytes());
        }
        message
    }

    /// The sequence number, if `message` is an answer to us.
    fn answer(&self, message: &[u8]) -> Option<u16> {
        // A raw IPv4 socket alone hands out the IP header too.
        let icmp = match (self.kind, self.is_ipv6) {
            (IcmpKind::Raw, false) => message.get(Ipv4::new(message)?.header_len()..)?,
            _ => message,
        };
        let header: &[u8; HEADER_LEN] = icmp.first_chunk()?;
        let is_ours = self.kind == IcmpKind::Echo || be16(header, 4) == self.identifier;
        let is_answer = header[0] == answer_type(self.is_ipv6) && header[1] == 0;
        (is_answer && is_ours).then(|| be16(header, 6))
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn answer_type(is_ipv6: bool) -> u8 {
    if is_ipv6 { 129 } else { 0 }
}

/// Type, code, checksum, identifier, sequence number.
const HEADER_LEN: usize = 8;
/// For people who see it on the wire.
const PAYLOAD: &[u8] = b"vswitchd: VTEP there?";
const BATCH: usize = 16;
/// The longest IPv4 header and our message.
const MESSAGE_LEN: usize = 60 + HEADER_LEN + PAYLOAD.len();
