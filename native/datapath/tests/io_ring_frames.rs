//! The packet ring against frames of every kind, written by hand into a TAP: what ring and socket receive together is what
//! a socket without a ring receives. Needs root and Linux 6.6.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;
mod ring_support;

use datapath::io::Refusal;
use datapath::io::tap::Tap;
use datapath::io::underlay::ring::{Ring, RingRefusal};
use datapath::io::underlay::{RxBatch, RxSocket};
use datapath::wire::vnet::{Gso, VnetHeader};
use etherparse::PacketBuilder;
use io_support::tap::{self, MAC};
use io_support::{Datagram, Namespace, rx_spec};
use proptest::prelude::*;
use ring_support::{open, take_now};
use std::io::IoSlice;
use std::net::SocketAddr;

const PEER_MAC: [u8; 6] = [2, 0x42, 10, 0, 0, 2];
const LOCALS: [&str; 2] = ["10.0.0.1:4789", "[fd00::1]:4789"];

/// A host behind a TAP. What is written there has arrived when the write returns.
struct Host {
    namespace: Namespace,
    tap: Tap,
    sockets: Vec<RxSocket>,
    rings: Vec<Ring>,
}

impl Host {
    fn new(label: &str) -> Self {
        let namespace = Namespace::new(label);
        let tap = Tap::open(&tap::spec(&namespace)).unwrap();
        let open = |local: &str| {
            let local: SocketAddr = local.parse().unwrap();
            namespace.within(|| RxSocket::open(&rx_spec(local)))
        };
        // The route to our own address of IPv6 comes some moments after it.
        io_support::eventually("the address", || {
            namespace
                .ip("-6 route show table local")
                .contains("local fd00::1 ")
        });
        Self {
            sockets: LOCALS.map(open).into(),
            rings: Vec::new(),
            tap,
            namespace,
        }
    }

    fn with_rings(mut self) -> Self {
        self.rings = LOCALS.map(|local| open(&self.namespace, local)).into();
        self
    }

    fn write(&self, vnet: &VnetHeader, frame: &[u8]) {
        let parts = [IoSlice::new(frame)];
        self.tap.queues[0].write(&vnet.emit(), &parts).unwrap();
    }

    /// What the sockets have.
    fn by_socket(&self) -> Vec<Datagram> {
        let mut batch = RxBatch::new(8, 65536);
        let mut datagrams = Vec::new();
        for rx in &self.sockets {
            loop {
                match rx.recv(&mut batch) {
                    Ok(count) => datagrams.extend((0..count).map(|i| Datagram {
                        source: batch.meta(i).source,
                        tos: batch.meta(i).tos,
                        payload: batch.entry(i).to_vec(),
                    })),
                    Err(Refusal::WouldBlock) => break,
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
        datagrams
    }

    /// What the rings have.
    fn by_ring(&mut self) -> Vec<Result<Datagram, RingRefusal>> {
        let taken = self.rings.iter_mut().flat_map(|ring| take_now(ring, 8));
        taken
            .map(|taken| {
                taken.map(|t| Datagram {
                    source: t.source,
                    tos: t.tos,
                    payload: t.payload,
                })
            })
            .collect()
    }
}

fn good(is_v6: bool, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(PEER_MAC, MAC);
    let ip = match is_v6 {
        false => link.ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64),
        true => {
            let mut ends = [[0; 16]; 2];
            for (n, end) in ends.iter_mut().enumerate() {
                end[0] = 0xfd;
                end[15] = 2 - n as u8;
            }
            link.ipv6(ends[0], ends[1], 64)
        }
    };
    let mut frame = Vec::new();
    ip.udp(40000, 4789).write(&mut frame, payload).unwrap();
    frame
}

/// A frame with `tag` behind its addresses.
fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let [high, low] = vlan.to_be_bytes();
    [&frame[..12], &[0x81, 0, high, low], &frame[12..]].concat()
}

/// An IPv4 frame with options of no meaning, its checksum right.
fn with_options(mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(34..34, [1, 1, 1, 1]);
    frame[14] = 0x46;
    let len = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&len.to_be_bytes());
    mend(&mut frame);
    frame
}

/// An IPv6 frame with an empty header of options for the destination.
fn with_extension(mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(54..54, [17, 0, 1, 4, 0, 0, 0, 0]);
    frame[20] = 60;
    let len = (frame.len() - 54) as u16;
    frame[18..20].copy_from_slice(&len.to_be_bytes());
    frame
}

/// Makes the IPv4 header's checksum right.
fn mend(frame: &mut [u8]) {
    let header_len = usize::from(frame[14] & 15) * 4;
    frame[24..26].fill(0);
    let sum: u32 = frame[14..14 + header_len]
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn root_a17_what_needs_the_stack_is_left_to_it() {
    let mut host = Host::new("kinds").with_rings();
    let expect = |host: &mut Host, frame: &[u8], ring: usize, socket: usize| {
        host.write(&VnetHeader::NONE, frame);
        let counts = (host.by_ring().len(), host.by_socket().len());
        assert_eq!(counts, (ring, socket), "{frame:x?}");
    };
    for is_v6 in [false, true] {
        let frame = good(is_v6, b"payload");
        expect(&mut host, &frame, 1, 0);
        // A priority tag, which the stack ignores; a tag of a network that we are not in; a frame for somebody else.
        expect(&mut host, &tagged(&frame, 0), 0, 1);
        expect(&mut host, &tagged(&frame, 5), 0, 0);
        let mut to_other = frame.clone();
        to_other[..6].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        expect(&mut host, &to_other, 0, 0);
        let mut broadcast = frame.clone();
        broadcast[..6].fill(0xff);
        expect(&mut host, &broadcast, 0, 1);
        let mut to_port = frame.clone();
        let port = if is_v6 { 56 } else { 36 };
        to_port[port] ^= 1;
        expect(&mut host, &to_port, 0, 0);
    }
    expect(&mut host, &with_options(good(false, b"x")), 0, 1);
    expect(&mut host, &with_extension(good(true, b"x")), 0, 1);
}

#[test]
fn root_a1_a3_checksums_are_judged_as_the_stack_judges_them() {
    let (mut with, without) = (Host::new("sum").with_rings(), Host::new("plain"));
    for is_v6 in [false, true] {
        let checksum_at = if is_v6 { 60 } else { 40 };
        let wrong = |xor: u8| {
            let mut frame = good(is_v6, b"checked");
            frame[checksum_at] ^= xor;
            frame
        };
        let mut none = good(is_v6, b"checked");
        none[checksum_at..checksum_at + 2].fill(0);
        let partial = VnetHeader {
            needs_csum: true,
            csum_start: checksum_at as u16 - 6,
            csum_offset: 6,
            ..VnetHeader::NONE
        };
        let refused = [Err(RingRefusal::UdpChecksum)];
        for (frame, vnet, is_right) in [
            (wrong(0), VnetHeader::NONE, true),
            (wrong(1), VnetHeader::NONE, false),
            (none, VnetHeader::NONE, !is_v6),
            // A sender on this machine left it to be finished; nobody verifies it.
            (wrong(1), partial, true),
        ] {
            with.write(&vnet, &frame);
            without.write(&vnet, &frame);
            let expected: Vec<_> = without.by_socket().into_iter().map(Ok).collect();
            assert_eq!(expected.len(), usize::from(is_right));
            let received = with.by_ring();
            match is_right {
                true => assert_eq!(received, expected),
                false => assert_eq!(received, refused),
            }
            assert_eq!(with.by_socket(), []);
        }
    }
}

#[test]
fn root_a_superframe_of_nobody_knows_what_is_refused() {
    let mut host = Host::new("gso").with_rings();
    // TCP in name, so that the segments' size has a meaning, and datagrams in truth: a machine behind a TAP may lie.
    let lie = VnetHeader {
        needs_csum: true,
        gso: Gso::TcpV4,
        gso_size: 100,
        hdr_len: 54,
        csum_start: 34,
        csum_offset: 16,
        ..VnetHeader::NONE
    };
    host.write(&lie, &good(false, &[0; 1000]));
    assert_eq!(host.by_ring(), [Err(RingRefusal::Superframe)]);
    assert_eq!(host.by_socket(), []);
}

#[test]
fn root_whatever_comes_a_ring_changes_nothing_of_what_is_received() {
    let hosts = std::cell::RefCell::new((Host::new("with").with_rings(), Host::new("wo")));
    let (through_ring, beside) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1500)
    };
    proptest!(config, |(frame in frames())| {
        let (with, without) = &mut *hosts.borrow_mut();
        with.write(&VnetHeader::NONE, &frame);
        without.write(&VnetHeader::NONE, &frame);
        let expected = without.by_socket();
        let by_ring: Vec<_> = with.by_ring().into_iter().filter_map(Result::ok).collect();
        let by_socket = with.by_socket();
        through_ring.set(through_ring.get() + by_ring.len());
        beside.set(beside.get() + by_socket.len());
        prop_assert_eq!([by_ring, by_socket].concat(), expected, "{:x?}", frame);
    });
    // Both ways were gone often, or this would say little.
    assert!(
        through_ring.get() > 100 && beside.get() > 20,
        "{through_ring:?} {beside:?}"
    );
}

/// Frames that are right but for a byte or two, the header's checksum mended or not. Sources stay as they are: which ones
/// are impossible is decided behind the ring.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let shape = prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(2)];
    let change = prop_oneof![
        // Ethernet type, then the IP header but for its source, then UDP.
        (12usize..26, any::<u8>()),
        (
            30usize..34,
            prop_oneof![Just(10u8), Just(0), Just(1), Just(2)]
        ),
        (34usize..70, any::<u8>()),
        (
            prop_oneof![Just(15usize), Just(20), Just(21), Just(22)],
            any::<u8>()
        ),
    ];
    let parts = (
        any::<bool>(),
        shape,
        proptest::collection::vec(change, 0..3),
        any::<bool>(),
        0usize..30,
        0usize..4,
    );
    parts.prop_map(|(is_v6, shape, changes, is_mended, len, padding)| {
        let mut frame = good(is_v6, &vec![0xa5; len]);
        frame = match (shape, is_v6) {
            (1, false) => with_options(frame),
            (1, true) => with_extension(frame),
            (2, _) => tagged(&frame, 0),
            _ => frame,
        };
        for (at, value) in changes {
            // Of IPv6 the source lies where IPv4 has its destination.
            let is_source = is_v6 && (22..38).contains(&at);
            if let Some(byte) = frame.get_mut(at).filter(|_| !is_source) {
                *byte = value;
            }
        }
        frame.extend(vec![0x5a; padding]);
        if is_mended
            && frame[12..14] == [8, 0]
            && frame.len() >= 14 + usize::from(frame[14] & 15) * 4
        {
            mend(&mut frame);
        }
        frame
    })
}

#[test]
fn root_an_error_that_is_pending_mixes_up_no_long_frames() {
    let mut host = Host::new("step").with_rings();
    let name = io_support::tap::spec(&host.namespace).ifname;
    let long = |n: u8| good(false, &[n; 3000]);
    let taken = |host: &mut Host| {
        let taken = take_now(&mut host.rings[0], 8).into_iter();
        taken.map(|t| t.unwrap().payload[0]).collect::<Vec<_>>()
    };
    host.write(&VnetHeader::NONE, &long(1));
    host.write(&VnetHeader::NONE, &long(2));
    // Its reader was told of the ring before the interface went down.
    host.namespace.ip(&format!("link set {name} down"));
    assert_eq!(taken(&mut host), [1, 2]);
    host.namespace.ip(&format!("link set {name} up"));
    for n in 3..8 {
        host.write(&VnetHeader::NONE, &long(n));
        assert_eq!(taken(&mut host), [n]);
    }
    assert!(
        !io_support::is_ready(&host.rings[0]),
        "nothing is left behind"
    );
}
