//! Merges consecutive frames of one flow into a superframe, as a receiver's kernel would (GRO).
//!
//! ```text
//! frames       | link | IP | TCP or UDP | payload |   | link | IP | TCP | payload |   | link | IP | TCP | short |
//! superframe   | link | IP'| TCP' | payload | payload | short |
//! ```
//!
//! A writev of the changed headers and of the payloads where they lie is all that it takes, so nothing is copied but
//! some sixty bytes. What goes in must come out again when the superframe is split: the same frames, in order, with at
//! most another IPv4 identification where fragmentation is forbidden anyway. Hence the rules, each of which is Linux's
//! too (`tcp_gro_receive`, `udp_gro_receive_segment`, `inet_gro_receive`).

use crate::wire::checksum::Sum;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::wire::tcp::{self, Tcp};
use crate::wire::udp::{self, Udp};
use crate::wire::vnet::{Gso, VnetHeader};
use crate::wire::{be16, be32, ipv4, ipv6};

/// Bytes in memory of the caller's: it knows what `entry` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Which buffer.
    pub entry: u32,
    /// Where in it.
    pub offset: u32,
    /// How many bytes.
    pub len: u32,
}

/// A frame of which the flow is known, and whether it may be part of a superframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    is_v6: bool,
    is_tcp: bool,
    is_mergeable: bool,
    is_partial: bool,
    network_offset: usize,
    transport_offset: usize,
    header_len: usize,
    payload_len: usize,
}

impl Segment {
    /// Reads a frame's headers; sums its payload only if everything else allows a merge. `None`: no flow can be told,
    /// so whoever cares for order must treat it as part of all.
    pub fn examine(frame: &[u8]) -> Option<Self> {
        let (ip, network_offset) = Ip::carried_by(&Ethernet::new(frame)?)?;
        let packet = ip.bytes().get(..ip.packet_len()?)?;
        let position = ip.transport().filter(|t| !t.is_fragment)?;
        let segment = packet.get(position.offset..)?;
        let (is_tcp, header_len, allowed) = match position.protocol {
            PROTOCOL_TCP => {
                let tcp = Tcp::new(segment)?;
                // Anything but data and its end of a burst says something that must not wait or be said twice.
                let plain = tcp.flags() & !tcp::PSH == tcp::ACK;
                (true, tcp.header_len(), plain)
            }
            // Without a checksum nothing proves the payload, and the superframe would get one.
            PROTOCOL_UDP => (false, udp::HEADER_LEN, Udp::new(segment)?.checksum() != 0),
            _ => return None,
        };
        let (is_v6, plain_ip) = match ip {
            Ip::V4(ip) => (
                false,
                ip.header_len() == ipv4::HEADER_LEN && ip.is_checksum_valid(),
            ),
            Ip::V6(_) => (true, position.offset == ipv6::HEADER_LEN),
        };
        let mut examined = Self {
            is_v6,
            is_tcp,
            is_mergeable: false,
            is_partial: false,
            network_offset,
            transport_offset: network_offset + position.offset,
            header_len: network_offset + position.offset + header_len,
            payload_len: segment.len() - header_len,
        };
        let room = plain_ip && allowed && examined.payload_len > 0;
        if room && examined.header_len <= MAX_HEADERS {
            let pseudo_header =
                Sum::pseudo_header(ip.addresses(), examined.protocol(), segment.len());
            // Partial as a kernel peer on this machine leaves it (`carry`), or complete and right.
            examined.is_partial = be16(segment, examined.checksum_field()) == pseudo_header.fold();
            examined.is_mergeable =
                examined.is_partial || (pseudo_header + Sum::of(segment)).fold() == 0xffff;
        }
        Some(examined)
    }

    /// Whether it may be part of a superframe.
    pub fn is_mergeable(&self) -> bool {
        self.is_mergeable
    }

    /// Whether its checksum is left to the receiver.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// TCP, or else UDP.
    pub fn is_tcp(&self) -> bool {
        self.is_tcp
    }

    fn protocol(&self) -> u8 {
        if self.is_tcp {
            PROTOCOL_TCP
        } else {
            PROTOCOL_UDP
        }
    }

    /// Where both addresses are in the IP header.
    fn addresses(&self) -> std::ops::Range<usize> {
        if self.is_v6 {
            ipv6::ADDRESSES..ipv6::HEADER_LEN
        } else {
            ipv4::ADDRESSES..ipv4::HEADER_LEN
        }
    }

    fn checksum_field(&self) -> usize {
        if self.is_tcp {
            tcp::CHECKSUM
        } else {
            udp::CHECKSUM
        }
    }
}

/// A superframe in the making.
#[derive(Debug)]
pub struct Merge {
    /// The first frame's headers.
    headers: [u8; MAX_HEADERS],
    first: Segment,
    /// Payloads, in order.
    payloads: Vec<Piece>,
    /// The first frame, whole.
    frame: Piece,
    payload_len: usize,
    /// IPv4 identifications: how far each is from the one before, once there are two.
    id_step: Option<u16>,
    last_id: u16,
    is_closed: bool,
    /// Bytes of all frames that went in.
    frames_len: usize,
}

/// What became of a frame that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is part of the superframe.
    Joined,
    /// It is of the same flow but does not continue it: what is there must go before it.
    Breaks,
    /// It is of another flow.
    Foreign,
}

impl Merge {
    /// What the kernel takes for UDP; for TCP it leaves an IP packet of 64 KB at the usual sizes.
    pub const MAX_SEGMENTS: usize = 64;

    /// A superframe that begins with `frame`, which lies at `at`; `None` if the frame cannot be part of one.
    pub fn start(segment: &Segment, frame: &[u8], at: Piece) -> Option<Self> {
        let mut merge = Self {
            headers: [0; MAX_HEADERS],
            first: *segment,
            payloads: Vec::with_capacity(Self::MAX_SEGMENTS),
            frame: at,
            payload_len: 0,
            id_step: None,
            last_id: 0,
            is_closed: false,
            frames_len: 0,
        };
        merge.restart(segment, frame, at).then_some(merge)
    }

    /// The same in memory that is there already; false if the frame cannot be part of a superframe.
    pub fn restart(&mut self, segment: &Segment, frame: &[u8], at: Piece) -> bool {
        if !segment.is_mergeable {
            return false;
        }
        self.headers[..segment.header_len].copy_from_slice(&frame[..segment.header_len]);
        self.first = *segment;
        self.payloads.clear();
        self.frame = at;
        self.payload_len = 0;
        self.id_step = None;
        self.is_closed = false;
        self.frames_len = 0;
        self.add(segment, frame, at);
        true
    }

    /// Offers the next frame, which lies at `at`.
    pub fn offer(&mut self, segment: &Segment, frame: &[u8], at: Piece) -> Offer {
        if !self.is_same_flow(segment, frame) {
            return Offer::Foreign;
        }
        let fits = segment.is_mergeable
            && !self.is_closed
            && segment.header_len == self.first.header_len
            && segment.payload_len <= self.first.payload_len
            && self.payloads.len() < Self::MAX_SEGMENTS
            && self.headers_len() + self.payload_len + segment.payload_len <= MAX_PACKET;
        if !fits || !self.continues(segment, frame) {
            return Offer::Breaks;
        }
        self.add(segment, frame, at);
        Offer::Joined
    }

    /// Frames in it.
    pub fn segments(&self) -> usize {
        self.payloads.len()
    }

    /// Bytes of all frames in it.
    pub fn frames_len(&self) -> usize {
        self.frames_len
    }

    /// The first frame: all there is if there is one segment only, which is to be written as it came.
    pub fn frame(&self) -> Piece {
        self.frame
    }

    /// The payloads, in order.
    pub fn payloads(&self) -> &[Piece] {
        &self.payloads
    }

    /// The headers to write before the payloads, once [`finish`](Self::finish) has made them right.
    pub fn headers(&self) -> &[u8] {
        &self.headers[..self.first.header_len]
    }

    /// The offload header for the first frame as it came: a partial checksum stays partial.
    pub fn lone_header(&self) -> VnetHeader {
        let has_partial = self.first.is_partial;
        if has_partial {
            self.checksum_position()
        } else {
            VnetHeader::NONE
        }
    }

    /// Makes the headers right for two or more segments, and returns the offload header for all of it. Nothing can be
    /// offered afterwards.
    pub fn finish(&mut self) -> VnetHeader {
        let Segment {
            network_offset,
            transport_offset,
            header_len,
            ..
        } = self.first;
        let transport_len = header_len - transport_offset + self.payload_len;
        let (network, transport) = self.headers[network_offset..header_len]
            .split_at_mut(transport_offset - network_offset);
        // The lengths fit 16 bits: `offer` keeps the packet within MAX_PACKET.
        if self.first.is_v6 {
            ipv6::set_payload_len(network, transport_len as u16);
        } else {
            ipv4::set_total_len(network, (network.len() + transport_len) as u16);
            ipv4::fill_checksum(network);
        }
        if !self.first.is_tcp {
            udp::set_len(transport, transport_len as u16);
        }
        let partial = Sum::pseudo_header(
            &network[self.first.addresses()],
            self.first.protocol(),
            transport_len,
        )
        .fold();
        let field = self.first.checksum_field();
        transport[field..field + 2].copy_from_slice(&partial.to_be_bytes());
        VnetHeader {
            gso: match (self.first.is_tcp, self.first.is_v6) {
                (true, false) => Gso::TcpV4,
                (true, true) => Gso::TcpV6,
                (false, _) => Gso::Udp,
            },
            hdr_len: header_len as u16,
            gso_size: self.first.payload_len as u16,
            ..self.checksum_position()
        }
    }

    fn checksum_position(&self) -> VnetHeader {
        VnetHeader {
            needs_csum: true,
            csum_start: self.first.transport_offset as u16,
            csum_offset: self.first.checksum_field() as u16,
            ..VnetHeader::NONE
        }
    }

    fn add(&mut self, segment: &Segment, frame: &[u8], at: Piece) {
        self.payloads.push(Piece {
            offset: at.offset + segment.header_len as u32,
            len: segment.payload_len as u32,
            ..at
        });
        self.payload_len += segment.payload_len;
        self.frames_len += frame.len();
        if !segment.is_v6 {
            let id = be16(frame, segment.network_offset + ipv4::ID);
            if self.payloads.len() > 1 {
                self.id_step = Some(id.wrapping_sub(self.last_id));
            }
            self.last_id = id;
        }
        let flags = if segment.is_tcp {
            frame[segment.transport_offset + tcp::FLAGS]
        } else {
            0
        };
        if flags & tcp::PSH != 0 {
            self.headers[segment.transport_offset + tcp::FLAGS] |= tcp::PSH;
        }
        // A short one and one that is pushed are last.
        self.is_closed |= segment.payload_len < self.first.payload_len || flags & tcp::PSH != 0;
    }

    fn is_same_flow(&self, segment: &Segment, frame: &[u8]) -> bool {
        let first = &self.first;
        let addresses = first.network_offset + first.addresses().start
            ..first.network_offset + first.addresses().end;
        let ports = first.transport_offset..first.transport_offset + PORTS_LEN;
        (
            segment.is_v6,
            segment.is_tcp,
            segment.network_offset,
            segment.transport_offset,
        ) == (
            first.is_v6,
            first.is_tcp,
            first.network_offset,
            first.transport_offset,
        ) && self.headers[..first.network_offset] == frame[..first.network_offset]
            && self.headers[addresses.clone()] == frame[addresses]
            && self.headers[ports.clone()] == frame[ports]
    }

    /// Whether everything that all segments of a superframe share is the same, and what counts up is next.
    fn continues(&self, segment: &Segment, frame: &[u8]) -> bool {
        let network = self.first.network_offset;
        let (ours, theirs) = (&self.headers[network..], &frame[network..]);
        let same_network = if self.first.is_v6 {
            // Version, traffic class, flow label; next header and hop limit.
            ours[..4] == theirs[..4] && ours[6..8] == theirs[6..8]
        } else {
            // Version, TOS; flags and offset, TTL, protocol.
            ours[..2] == theirs[..2] && ours[6..10] == theirs[6..10] && self.id_follows(theirs)
        };
        same_network && (!segment.is_tcp || self.tcp_continues(segment, frame))
    }

    fn tcp_continues(&self, segment: &Segment, frame: &[u8]) -> bool {
        let transport = segment.transport_offset;
        let (ours, theirs) = (
            &self.headers[transport..segment.header_len],
            &frame[transport..segment.header_len],
        );
        let next = be32(ours, tcp::SEQ).wrapping_add(self.payload_len as u32);
        be32(theirs, tcp::SEQ) == next
            // Acknowledgment number and data offset, window, urgent pointer and options.
            && ours[8..tcp::FLAGS] == theirs[8..tcp::FLAGS]
            && ours[14..tcp::CHECKSUM] == theirs[14..tcp::CHECKSUM]
            && ours[tcp::CHECKSUM + 2..] == theirs[tcp::CHECKSUM + 2..]
    }

    /// Splitting counts identifications up from the first. That is what came if they count up; where fragmentation is
    /// forbidden (RFC 6864 §4.1: the field means nothing) they may also stay the same.
    fn id_follows(&self, network: &[u8]) -> bool {
        let step = be16(network, ipv4::ID).wrapping_sub(self.last_id);
        let allowed = step == 1 || (step == 0 && network[ipv4::FRAGMENT] & DONT_FRAGMENT != 0);
        allowed && self.id_step.is_none_or(|before| before == step)
    }

    fn headers_len(&self) -> usize {
        self.first.header_len - self.first.network_offset
    }
}

/// Link header with two tags, IPv6, TCP with all options.
const MAX_HEADERS: usize = 14 + 8 + 40 + 60;
const MAX_PACKET: usize = 65_535;
const PORTS_LEN: usize = 4;
/// RFC 791 §3.1, in the first byte of flags and fragment offset.
const DONT_FRAGMENT: u8 = 0x40;

#[cfg(test)]
mod tests;
