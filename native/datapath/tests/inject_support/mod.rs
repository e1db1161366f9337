//! What the tests of the injector share: a peer that is the kernel, and just enough TCP to talk to it.

#![allow(unreachable_pub, dead_code, reason = "a part of each test file")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use crate::io_support::{Namespace, eventually, receive, rx_spec};
use datapath::error::{Error, ErrorCode};
use datapath::io::netlink::Netlink;
use datapath::io::underlay::RxSocket;
use datapath::io::underlay::inject::{Injector, InjectorSpec};
use datapath::wire::encap::OuterHeader;
use datapath::wire::vnet::{Gso, VnetHeader};
use datapath::wire::vxlan::Vni;
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

pub const VNI: u32 = 42;
const OURS: [u8; 6] = [2, 0xaa, 0xbb, 0xcc, 0xdd, 1];
const THEIRS: [u8; 6] = [2, 0xaa, 0xbb, 0xcc, 0xdd, 2];
const OUR_PORT: u16 = 40_000;
const THEIR_PORT: u16 = 5000;

/// An IP version, with the addresses of both ends in underlay and overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family(bool);

pub const V4: Family = Family(false);
pub const V6: Family = Family(true);

impl Family {
    fn choose(self, v4: &str, v6: &str) -> IpAddr {
        if self.0 { v6 } else { v4 }.parse().unwrap()
    }

    pub fn local(self) -> IpAddr {
        self.choose("10.1.0.1", "fd01::1")
    }

    pub fn vtep(self) -> SocketAddr {
        SocketAddr::new(self.choose("10.1.0.2", "fd01::2"), 4789)
    }

    fn ours(self) -> IpAddr {
        self.choose("192.168.9.1", "fd09::1")
    }

    fn theirs(self) -> IpAddr {
        self.choose("192.168.9.2", "fd09::2")
    }

    /// A TCP frame from us to them, all checksums right.
    fn frame(self, segment: &Segment, payload: &[u8]) -> Vec<u8> {
        let link = PacketBuilder::ethernet2(OURS, THEIRS);
        let ip = match (self.ours(), self.theirs()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), 64),
            (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), 64),
            _ => panic!("two families"),
        };
        let tcp = ip.tcp(OUR_PORT, THEIR_PORT, segment.seq, 60_000);
        let tcp = match segment.ack {
            None => tcp.syn(),
            Some(ack) => tcp.ack(ack).psh(),
        };
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        frame
    }

    fn header_len(self) -> usize {
        14 + if self.0 { 40 } else { 20 } + 20
    }

    /// The same with only the pseudo header's sum in the checksum field.
    fn partial(self, segment: &Segment, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.frame(segment, payload);
        let transport = self.header_len() - 20;
        let len = frame.len() - transport;
        let mut summed = frame[if self.0 { 22 } else { 26 }..transport].to_vec();
        summed.extend((len as u32).to_be_bytes());
        summed.extend([0, 0, 0, 6]);
        let mut sum: u32 = summed
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        frame[transport + 16..transport + 18].copy_from_slice(&(sum as u16).to_be_bytes());
        frame
    }

    /// A superframe that belongs to no connection.
    pub fn partial_frame(self, payload: &[u8]) -> Vec<u8> {
        let segment = Segment {
            seq: 1,
            ack: Some(1),
        };
        self.partial(&segment, payload)
    }
}

struct Segment {
    seq: u32,
    ack: Option<u32>,
}

/// Who cuts the superframe, by what the interface is told to do itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cutting {
    /// Nobody on the way: it arrives whole.
    Nobody,
    /// The kernel, in software; the checksums stay partial as on the way to a NIC.
    Kernel,
    /// The kernel, and it sums as well.
    SummingKernel,
}

impl Cutting {
    pub fn set_up(self, namespace: &Namespace) {
        if self != Self::Nobody {
            namespace.exec(
                "ethtool -K u0 tso off gso off tx-udp-segmentation off \
                 tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off",
            );
        }
        if self == Self::SummingKernel {
            namespace.exec("ethtool -K u0 tx off");
        }
    }
}

pub mod vxlan {
    pub fn header(vni: u32) -> [u8; 8] {
        let [_, a, b, c] = vni.to_be_bytes();
        [8, 0, 0, 0, a, b, c, 0]
    }
}

/// The kernel as the other end of both underlay and overlay, with a listener.
pub struct Peer {
    pub left: Namespace,
    pub right: Namespace,
    listener: TcpListener,
}

impl Peer {
    pub fn new(underlay: Family, overlay: Family) -> Self {
        let (left, right) = Namespace::pair("inject");
        let (local, remote) = (underlay.vtep().ip(), underlay.local());
        right.ip(&format!(
            "link add vx type vxlan id {VNI} local {local} remote {remote} dstport 4789 dev u0 udp6zerocsumrx"
        ));
        right.ip("link set vx address 02:aa:bb:cc:dd:02 up");
        let (theirs, ours) = (overlay.theirs(), overlay.ours());
        let len = if overlay == V6 { 64 } else { 24 };
        right.add_address("vx", &format!("{theirs}/{len}"));
        right.ip(&format!(
            "neighbour add {ours} lladdr 02:aa:bb:cc:dd:01 dev vx nud permanent"
        ));
        let listener = right.within(|| {
            TcpListener::bind((theirs, THEIR_PORT))
                .map_err(|e| Error::new(ErrorCode::Io, e.to_string()))
        });
        Self {
            left,
            right,
            listener,
        }
    }

    /// Packets that have come to the peer.
    pub fn arrived(&self) -> u64 {
        let count = self
            .right
            .exec("cat /sys/class/net/u0/statistics/rx_packets");
        count.trim().parse().unwrap()
    }
}

/// Our end of one TCP connection.
pub struct Stack<'a> {
    injector: &'a Injector,
    underlay: Family,
    overlay: Family,
    seq: u32,
    ack: u32,
    far: TcpStream,
}

impl<'a> Stack<'a> {
    pub fn connect(peer: &Peer, injector: &'a Injector, underlay: Family, overlay: Family) -> Self {
        let local = SocketAddr::new(underlay.local(), 4789);
        let rx = peer.left.within(|| RxSocket::open(&rx_spec(local)));
        let syn = Segment {
            seq: 1000,
            ack: None,
        };
        send(injector, underlay, &overlay.frame(&syn, &[]));
        let theirs = loop {
            // The peer's neighbour discovery may come first.
            let datagram = receive(&rx, 1).remove(0);
            let packet = SlicedPacket::from_ethernet(&datagram.payload[8..]).unwrap();
            if let Some(TransportSlice::Tcp(tcp)) = packet.transport {
                assert!(tcp.syn() && tcp.ack() && tcp.acknowledgment_number() == 1001);
                break tcp.sequence_number();
            }
        };
        let established = Segment {
            seq: 1001,
            ack: Some(theirs.wrapping_add(1)),
        };
        send(injector, underlay, &overlay.frame(&established, &[]));
        peer.listener.set_nonblocking(true).unwrap();
        let mut far = None;
        eventually("a connection", || {
            far = peer.listener.accept().ok();
            far.is_some()
        });
        let (far, _) = far.unwrap();
        far.set_nonblocking(false).unwrap();
        far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self {
            injector,
            underlay,
            overlay,
            seq: 1001,
            ack: theirs.wrapping_add(1),
            far,
        }
    }

    pub fn send_superframe(&mut self, payload: &[u8], segment: u16) {
        let frame = self.overlay.partial(&self.next(payload.len()), payload);
        let vnet = superframe_header(self.overlay, segment);
        let head = outer(self.underlay, self.injector).before(&frame, &vnet);
        assert_eq!(self.injector.send(&head.unwrap(), &frame), Ok(()));
    }

    pub fn send_small(&mut self, payload: &[u8]) {
        let frame = self.overlay.frame(&self.next(payload.len()), payload);
        send(self.injector, self.underlay, &frame);
    }

    /// The next bytes that the peer's application gets.
    pub fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.far.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn next(&mut self, len: usize) -> Segment {
        let seq = self.seq;
        self.seq += len as u32;
        Segment {
            seq,
            ack: Some(self.ack),
        }
    }
}

/// Whether every counter of checksum errors, of /proc/net/snmp (names, then values) and snmp6, is 0.
pub fn has_no_checksum_errors(counters: &str) -> bool {
    let lines: Vec<Vec<&str>> = counters
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let in_tables = lines.windows(2).filter(|w| w[0][0] == w[1][0]).all(|w| {
        let mut columns = w[0].iter().zip(&w[1]);
        columns.all(|(name, value)| *name != "InCsumErrors" || *value == "0")
    });
    let in_list = lines
        .iter()
        .all(|line| !line[0].ends_with("InCsumErrors") || line[1] == "0");
    in_tables && in_list
}

fn send(injector: &Injector, underlay: Family, frame: &[u8]) {
    let head = outer(underlay, injector).before(frame, &VnetHeader::NONE);
    assert_eq!(injector.send(&head.unwrap(), frame), Ok(()));
}

pub fn outer(underlay: Family, injector: &Injector) -> OuterHeader {
    OuterHeader {
        local: underlay.local(),
        destination: underlay.vtep(),
        source_port: 50_000,
        ttl: injector.ttl(),
        tos: 0xb8,
        vni: Vni::new(VNI).unwrap(),
        checksum: true,
    }
}

pub fn superframe_header(overlay: Family, segment: u16) -> VnetHeader {
    VnetHeader {
        needs_csum: true,
        gso: if overlay == V6 {
            Gso::TcpV6
        } else {
            Gso::TcpV4
        },
        gso_size: segment,
        csum_start: (overlay.header_len() - 20) as u16,
        csum_offset: 16,
        ..VnetHeader::NONE
    }
}

pub fn index_of(namespace: &Namespace, ifname: &str) -> u32 {
    let link = namespace.within(|| Netlink::open()?.link(ifname));
    link.unwrap().ifindex
}

pub fn injector_for(namespace: &Namespace, local: IpAddr) -> Injector {
    let spec = InjectorSpec {
        local,
        ifindex: index_of(namespace, "u0"),
        ttl: None,
    };
    namespace.within(|| Injector::open(&spec))
}
