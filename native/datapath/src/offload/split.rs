//! Splits a superframe into the datagrams that carry its segments.
//!
//! ```text
//! superframe   | link | IP | TCP or UDP | payload ........................................ |
//! run          | prefix | link | IP' | TCP' | payload | prefix | link | IP' | TCP' | payload | prefix | ... | short |
//!              |<-------------- stride --------------->|
//! ```
//!
//! The prefix is the same in every datagram (the VXLAN header, or nothing). Headers are copied and then changed as
//! segmentation demands, as Linux does it (`tcp_gso_segment`, `__udp_gso_segment`, `inet_gso_segment`).

use crate::wire::Malformed;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::wire::ipv4;
use crate::wire::ipv6;
use crate::wire::tcp::{self, Tcp};
use crate::wire::udp::{self, Udp};
use crate::wire::vnet::{Gso, VnetHeader};

/// The plan of a split: where the headers of a superframe are and how large its segments become. Borrows nothing, so the
/// frame may move between [`parse`](Self::parse) and [`split`](Self::split), but not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superframe {
    network: Network,
    protocol: Protocol,
    /// Sum of the pseudo header but for its length.
    pseudo_header: Sum,
    network_offset: usize,
    transport_offset: usize,
    header_len: usize,
    payload_len: usize,
    segment_size: usize,
}

/// What a split wrote: datagrams one after the other, [`stride`](Self::stride) bytes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Bytes of every datagram but the last, which may be shorter.
    pub stride: usize,
    /// Datagrams.
    pub count: usize,
    /// Bytes of all datagrams.
    pub len: usize,
}

/// The buffer is shorter than [`Superframe::split_len`], or the frame shorter than the one that was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

impl Superframe {
    /// Reads the headers of `frame`, at most two VLAN tags among them. `header.hdr_len` is ignored, and so is where it
    /// says the checksum is (a superframe's checksum is always partial), except that this must be inside the frame.
    ///
    /// # Errors
    /// [`Malformed`] if `header.gso` is `None` or another protocol than the frame's, if the segment size is 0, if the
    /// packet is a fragment or longer than the frame, or if a segment would be an IP packet of more than 65535 bytes.
    pub fn parse(frame: &[u8], header: &VnetHeader) -> Result<Self, Malformed> {
        let csum_end = usize::from(header.csum_start) + usize::from(header.csum_offset) + 2;
        if header.gso_size == 0 || (header.needs_csum && csum_end > frame.len()) {
            return Err(Malformed);
        }
        let ethernet = Ethernet::new(frame).ok_or(Malformed)?;
        let (ip, network_offset) = Ip::carried_by(&ethernet).ok_or(Malformed)?;
        let packet_len = ip.packet_len().ok_or(Malformed)?;
        let position = ip.transport().ok_or(Malformed)?;
        let packet = &ip.bytes()[..packet_len];
        let segment = packet.get(position.offset..).ok_or(Malformed)?;
        if position.is_fragment {
            return Err(Malformed);
        }
        let network = Network::of(&ip);
        let protocol = Protocol::of(header.gso, network, position.protocol).ok_or(Malformed)?;
        let transport_len = protocol.header_len(segment).ok_or(Malformed)?;
        let transport_offset = network_offset + position.offset;
        let has_extensions = network == Network::V6 && position.offset > ipv6::HEADER_LEN;
        let pseudo_header = if has_extensions && header.needs_csum {
            protocol.pseudo_header_in(segment)
        } else {
            Sum::pseudo_header(ip.addresses(), position.protocol, 0)
        };
        let superframe = Self {
            network,
            protocol,
            pseudo_header,
            network_offset,
            transport_offset,
            header_len: transport_offset + transport_len,
            payload_len: segment.len() - transport_len,
            segment_size: usize::from(header.gso_size),
        };
        let longest_packet = superframe.segment_len() - network_offset;
        if longest_packet > usize::from(u16::MAX) {
            return Err(Malformed);
        }
        Ok(superframe)
    }

    /// Whether `frame` carries a tunnel of its sender's own (VXLAN, GRE, IP in IP) and is a superframe of what is inside.
    /// The kernel gives it out under the name of that, and does not say what is around it: only the sum begins further in
    /// than the transport header of the outer packet.
    pub fn is_tunneled(frame: &[u8], header: &VnetHeader) -> bool {
        let outer = Ethernet::new(frame)
            .and_then(|ethernet| Ip::carried_by(&ethernet))
            .and_then(|(ip, offset)| Some(offset + ip.transport()?.offset));
        header.gso != Gso::None
            && header.needs_csum
            && outer.is_some_and(|transport| usize::from(header.csum_start) > transport)
    }

    /// How many frames it becomes, at least 1.
    pub fn segments(&self) -> u32 {
        // at most 2^32 bytes of payload: memory of one read
        self.payload_len.div_ceil(self.segment_size).max(1) as u32
    }

    /// Bytes of link, IP and transport headers, which every segment repeats.
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// Payload bytes of every segment but the last.
    pub fn segment_size(&self) -> usize {
        self.segment_size
    }

    /// Bytes of the longest frame that it becomes.
    pub fn segment_len(&self) -> usize {
        self.header_len + self.segment_size.min(self.payload_len)
    }

    /// Bytes that [`split`](Self::split) writes with a prefix of `prefix_len` bytes.
    pub fn split_len(&self, prefix_len: usize) -> usize {
        self.segments() as usize * (prefix_len + self.header_len) + self.payload_len
    }

    /// Writes the datagrams `prefix` + segment to the start of `out`. Checksums are complete in every segment.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`split_len`](Self::split_len), or `frame` than the one that was parsed;
    /// nothing is written then.
    pub fn split(&self, frame: &[u8], prefix: &[u8], out: &mut [u8]) -> Result<Run, NoRoom> {
        let len = self.split_len(prefix.len());
        let out = out.get_mut(..len).ok_or(NoRoom)?;
        let frame = frame
            .get(..self.header_len + self.payload_len)
            .ok_or(NoRoom)?;
        let (headers, mut payload) = frame.split_at(self.header_len);
        let stride = prefix.len() + self.segment_len();
        for (index, datagram) in out.chunks_mut(stride).enumerate() {
            let (datagram_prefix, segment) = datagram.split_at_mut(prefix.len());
            datagram_prefix.copy_from_slice(prefix);
            let (piece, later) = payload.split_at(segment.len() - self.header_len);
            payload = later;
            let is_last = later.is_empty();
            self.write_segment(headers, piece, Place { index, is_last }, segment);
        }
        Ok(Run {
            stride,
            count: self.segments() as usize,
            len,
        })
    }

    /// Writes the first segment alone to the start of `out`, as [`split`](Self::split) would, and returns its length.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`segment_len`](Self::segment_len), or `frame` than the one that was parsed.
    pub fn first(&self, frame: &[u8], out: &mut [u8]) -> Result<usize, NoRoom> {
        let len = self.segment_len();
        let out = out.get_mut(..len).ok_or(NoRoom)?;
        let (headers, piece) = frame.get(..len).ok_or(NoRoom)?.split_at(self.header_len);
        let is_last = self.segments() == 1;
        self.write_segment(headers, piece, Place { index: 0, is_last }, out);
        Ok(len)
    }

    fn write_segment(&self, headers: &[u8], payload: &[u8], place: Place, segment: &mut [u8]) {
        let (segment_headers, segment_payload) = segment.split_at_mut(self.header_len);
        segment_headers.copy_from_slice(headers);
        let payload_sum = Sum::copying(payload, segment_payload);

        let (network, transport) = segment_headers[self.network_offset..]
            .split_at_mut(self.transport_offset - self.network_offset);
        let transport_len = transport.len() + payload.len();
        self.network.write(network, transport_len, place.index);
        match self.protocol {
            Protocol::Tcp => write_tcp(transport, self.segment_size, place),
            Protocol::Udp => udp::set_len(transport, transport_len as u16),
        }
        self.protocol.write_checksum(transport, |transport| {
            self.pseudo_header + Sum::word(transport_len as u16) + Sum::of(transport) + payload_sum
        });
    }
}

/// Which segment of the superframe it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: usize,
    is_last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    V4,
    V6,
}

impl Network {
    fn of(ip: &Ip<'_>) -> Self {
        match ip {
            Ip::V4(_) => Self::V4,
            Ip::V6(_) => Self::V6,
        }
    }

    /// Makes `headers`, all that IP has, right for a segment with `transport_len` bytes behind them.
    fn write(self, headers: &mut [u8], transport_len: usize, index: usize) {
        match self {
            Self::V4 => {
                ipv4::set_total_len(headers, (headers.len() + transport_len) as u16);
                ipv4::advance_id(headers, index as u16);
                ipv4::fill_checksum(headers);
            }
            Self::V6 => {
                let extensions_len = headers.len() - ipv6::HEADER_LEN;
                ipv6::set_payload_len(headers, (extensions_len + transport_len) as u16);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    fn of(gso: Gso, network: Network, number: u8) -> Option<Self> {
        match (gso, network, number) {
            (Gso::TcpV4, Network::V4, PROTOCOL_TCP) => Some(Self::Tcp),
            (Gso::TcpV6, Network::V6, PROTOCOL_TCP) => Some(Self::Tcp),
            (Gso::Udp, _, PROTOCOL_UDP) => Some(Self::Udp),
            _ => None,
        }
    }

    fn header_len(self, segment: &[u8]) -> Option<usize> {
        match self {
            Self::Tcp => Tcp::new(segment).map(|tcp| tcp.header_len()),
            Self::Udp => Udp::new(segment).map(|_| udp::HEADER_LEN),
        }
    }

    /// The sum that the sender left in the checksum field of `segment`, but for the length. Behind extension headers
    /// only the sender knows it: with a routing header (RFC 8200 §8.1) or a home address (RFC 6275 §11.3.1) the
    /// addresses summed are not those in the IP header.
    fn pseudo_header_in(self, segment: &[u8]) -> Sum {
        let field = self.checksum_field();
        let len = Sum::pseudo_header(&[], 0, segment.len());
        Sum::of(&segment[field..field + 2]) + Sum::word(len.checksum())
    }

    fn checksum_field(self) -> usize {
        match self {
            Self::Tcp => tcp::CHECKSUM,
            Self::Udp => udp::CHECKSUM,
        }
    }

    /// Stores the checksum of what `sum` answers for `header` with the field zero.
    fn write_checksum(self, header: &mut [u8], sum: impl FnOnce(&[u8]) -> Sum) {
        let field = self.checksum_field();
        header[field..field + 2].fill(0);
        let checksum = match self {
            Self::Tcp => sum(header).checksum(),
            Self::Udp => udp::transmitted(sum(header).checksum()),
        };
        header[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// RFC 3168 §6.1.2: CWR once per window, so on the first segment only; FIN and PSH belong to the last byte.
fn write_tcp(header: &mut [u8], segment_size: usize, place: Place) {
    let mut cleared = 0;
    if place.index > 0 {
        cleared |= tcp::CWR;
    }
    if !place.is_last {
        cleared |= tcp::FIN | tcp::PSH;
    }
    tcp::advance_seq(header, (place.index * segment_size) as u32);
    tcp::clear_flags(header, cleared);
}

#[cfg(test)]
mod tests;
