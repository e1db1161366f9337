//! Frames as stations send them. `etherparse` writes and judges the IP ones, so that nothing of ours is its own oracle.

use datapath::wire::mac::MacAddr;
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use std::net::{IpAddr, Ipv6Addr};

pub const BROADCAST: MacAddr = MacAddr::BROADCAST;
/// IEEE 802 local experimental ethertype 1: nothing but bytes to a switch.
pub const EXPERIMENTAL: u16 = 0x88b5;

/// Station `n`.
pub fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([0x02, 0x42, a, b, c, d])
}

/// An Ethernet frame.
pub fn ethernet(dst: MacAddr, src: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst.0[..], &src.0, &ethertype.to_be_bytes(), payload].concat()
}

/// A frame that carries a number.
pub fn numbered(dst: MacAddr, src: MacAddr, number: u32) -> Vec<u8> {
    ethernet(dst, src, EXPERIMENTAL, &number.to_be_bytes())
}

/// The numbers of numbered frames.
pub fn sequence(frames: &[Vec<u8>]) -> Vec<u32> {
    let number = |frame: &Vec<u8>| u32::from_be_bytes(frame[14..18].try_into().unwrap());
    frames.iter().map(number).collect()
}

/// An ARP request by `src` for 10.0.0.`target`.
pub fn arp(src: MacAddr, target: u8) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, 1];
    let body = [
        &head[..],
        &src.0,
        &[10, 0, 0, 1],
        &[0; 6],
        &[10, 0, 0, target],
    ];
    ethernet(BROADCAST, src, 0x0806, &body.concat())
}

/// An ARP packet as its fields: operation, and (MAC, IP) of sender and target.
#[derive(Debug, Clone, Copy)]
pub struct ArpFields {
    pub operation: u16,
    pub sender: (MacAddr, [u8; 4]),
    pub target: (MacAddr, [u8; 4]),
}

impl ArpFields {
    /// Behind an Ethernet header.
    pub fn frame(&self, dst: MacAddr, src: MacAddr) -> Vec<u8> {
        let [high, low] = self.operation.to_be_bytes();
        let body = [
            &[0, 1, 8, 0, 6, 4, high, low][..],
            &self.sender.0.0,
            &self.sender.1,
            &self.target.0.0,
            &self.target.1,
        ];
        ethernet(dst, src, 0x0806, &body.concat())
    }
}

/// An ICMPv6 message as its fields, to be written by `etherparse`.
#[derive(Debug, Clone)]
pub struct Icmpv6Fields {
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    pub hop_limit: u8,
    pub kind: u8,
    pub code: u8,
    /// What stands behind the checksum.
    pub body: Vec<u8>,
}

impl Icmpv6Fields {
    /// Behind an Ethernet header, the checksum right.
    pub fn frame(&self, dst: MacAddr, src: MacAddr) -> Vec<u8> {
        let (head, body) = self.body.split_first_chunk::<4>().unwrap();
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(src.0, dst.0)
            .ipv6(self.src.octets(), self.dst.octets(), self.hop_limit)
            .icmpv6_raw(self.kind, self.code, *head)
            .write(&mut frame, body)
            .unwrap();
        frame
    }
}

/// `frame` with a VLAN tag.
pub fn tagged(frame: &[u8], tpid: u16, control: u16) -> Vec<u8> {
    let tag = [tpid.to_be_bytes(), control.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

/// A VXLAN datagram: plain header (RFC 7348 §5) and frame.
pub fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = vni.to_be_bytes();
    [&[8, 0, 0, 0, a, b, c, 0], frame].concat()
}

/// Two stations that talk over TCP or UDP.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    pub src: (MacAddr, IpAddr, u16),
    pub dst: (MacAddr, IpAddr, u16),
}

impl Flow {
    /// 10.0.0.1:40000 to 10.0.0.2:443.
    pub fn v4(src: MacAddr, dst: MacAddr) -> Self {
        Self {
            src: (src, [10, 0, 0, 1].into(), 40000),
            dst: (dst, [10, 0, 0, 2].into(), 443),
        }
    }

    /// [fd00::1]:40000 to [fd00::2]:443.
    pub fn v6(src: MacAddr, dst: MacAddr) -> Self {
        Self {
            src: (src, [0xfd00, 0, 0, 0, 0, 0, 0, 1].into(), 40000),
            dst: (dst, [0xfd00, 0, 0, 0, 0, 0, 0, 2].into(), 443),
        }
    }

    /// The same from another port.
    pub fn sent_from(mut self, port: u16) -> Self {
        self.src.2 = port;
        self
    }

    /// The other direction.
    pub fn answer(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
        }
    }

    pub fn udp(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        self.ip()
            .udp(self.src.2, self.dst.2)
            .write(&mut frame, payload)
            .unwrap();
        frame
    }

    pub fn tcp(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        self.ip()
            .tcp(self.src.2, self.dst.2, 1000, 65535)
            .ack(1)
            .write(&mut frame, payload)
            .unwrap();
        frame
    }

    /// As a kernel on the same machine hands it over: the checksum field holds the sum of the pseudo header only.
    pub fn tcp_partial(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.tcp(payload);
        let (addresses, tcp) = match self.src.1 {
            IpAddr::V4(_) => (26..34, 34),
            IpAddr::V6(_) => (22..54, 54),
        };
        let len = (frame.len() - tcp) as u16;
        let words = frame[addresses]
            .chunks(2)
            .map(|w| u16::from_be_bytes([w[0], w[1]]));
        let mut sum: u32 = words.chain([6, len]).map(u32::from).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        frame[tcp + 16..tcp + 18].copy_from_slice(&(sum as u16).to_be_bytes());
        frame
    }

    fn ip(&self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        let ethernet = PacketBuilder::ethernet2(self.src.0.0, self.dst.0.0);
        match (self.src.1, self.dst.1) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ethernet.ipv4(src.octets(), dst.octets(), 63),
            (IpAddr::V6(src), IpAddr::V6(dst)) => ethernet.ipv6(src.octets(), dst.octets(), 63),
            _ => panic!("a flow is of one address family"),
        }
    }
}

/// A TCP segment taken apart, its lengths and checksums having been found right.
pub struct Segment {
    pub packet_len: usize,
    pub sequence: u32,
    pub payload: Vec<u8>,
}

/// Panics unless `frame` is one whole TCP packet with right lengths and checksums.
pub fn tcp_segment(frame: &[u8]) -> Segment {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else {
        panic!("not TCP: {frame:02x?}");
    };
    let expected = match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            assert_eq!(
                header.to_header().calc_header_checksum(),
                header.header_checksum()
            );
            assert_eq!(usize::from(header.total_len()), frame.len() - 14);
            tcp.calc_checksum_ipv4(header.source(), header.destination())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            assert_eq!(usize::from(header.payload_length()), frame.len() - 54);
            tcp.calc_checksum_ipv6(header.source(), header.destination())
        }
        NetSlice::Arp(_) => panic!("not IP"),
    };
    assert_eq!(tcp.checksum(), expected.unwrap(), "TCP checksum");
    Segment {
        packet_len: frame.len() - 14,
        sequence: tcp.sequence_number(),
        payload: tcp.payload().to_vec(),
    }
}
