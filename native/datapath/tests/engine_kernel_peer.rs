//! The engine with the kernel's own vxlan on the same machine as its peer.
//!
//! ```text
//!   left: kernel vxlan 256 (10.9.0.1) --- veth --- right: vswitchd --- TAP in `container` (10.9.0.2)
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;
mod io_support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use datapath::Datapath;
use datapath::config::{Desired, PortKind, TapPort};
use datapath::counter::DropReason;
use datapath::engine::Counters;
use datapath::io::underlay::{Burst, RxSocket, TxPool, TxScratch};
use engine_support::balance::imbalance;
use engine_support::{desired, network};
use io_support::{Namespace, Outbox, eventually, receive, rx_spec, tx_spec};

const KERNEL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), 4789);
const RECEIVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2)), 5000);
const SEGMENT: u16 = 1000;

struct Bed {
    left: Namespace,
    _right: Namespace,
    container: Namespace,
    datapath: Datapath,
}

impl Bed {
    /// Network `net`, VNI 256, with the container's TAP; network `victim`, VNI 999, with a memory port. The kernel is
    /// a peer of both.
    fn new() -> Self {
        let (left, right) = Namespace::pair("kernel");
        let container = Namespace::new("kernelc");
        left.ip("link add vx type vxlan id 256 local 10.1.0.1 remote 10.1.0.2 dstport 4789 dev u0");
        left.ip("address add 10.9.0.1/24 dev vx");
        left.ip("link set vx up");
        let tap = PortKind::Tap(TapPort {
            netns: Some(container.path().into()),
            ifname: "eth0".into(),
            mac: None,
            addresses: vec![(RECEIVER.ip(), 24)],
            sandbox: None,
            handover: None,
        });
        let net = network("net", 256)
            .peer(KERNEL)
            .port_with("tap", |p| p.kind = tap);
        let victim = network("victim", 999).peer(KERNEL).port("m");
        let mut state: Desired = desired([net, victim]);
        state.vtep.memory = false;
        state.vtep.address = Ipv4Addr::new(10, 1, 0, 2).into();
        let datapath = Datapath::new();
        right.within(|| datapath.apply(&state));
        datapath.start(Box::new(|| ())).unwrap();
        Self {
            left,
            _right: right,
            container,
            datapath,
        }
    }

    fn counters(&self) -> Counters {
        self.datapath.counters().unwrap()
    }

    /// Sends `payload` from the kernel's side, in one call, in segments if it is longer than one.
    fn send(&self, payload: &[u8]) {
        let local: IpAddr = Ipv4Addr::new(10, 9, 0, 1).into();
        let tx = self.left.within(|| TxPool::open(&tx_spec(local)));
        let mut outbox = Outbox::default();
        let segment = if payload.len() > usize::from(SEGMENT) {
            SEGMENT
        } else {
            0
        };
        outbox.push(RECEIVER, segment, payload, payload.len());
        let burst = Burst {
            socket: 0,
            arena: &outbox.arena,
            parts: &outbox.parts,
            transmits: &outbox.transmits,
        };
        tx.send(&mut TxScratch::new(), burst, |_, outcome| {
            assert_eq!(outcome, Ok(()))
        });
    }

    fn ambiguous(&self) -> u64 {
        let drops = self.counters().underlay_drops;
        drops
            .iter()
            .filter(|(r, _)| *r == DropReason::GroAmbiguous)
            .map(|(_, n)| n)
            .sum()
    }
}

/// Nine segments whose payload holds, wherever a cut every `SEGMENT` bytes of the datagram would fall, a VXLAN header
/// of the other network and a broadcast frame.
fn hostile() -> Vec<u8> {
    let forged = engine_support::vxlan(
        999,
        &engine_support::ethernet(
            engine_support::BROADCAST,
            engine_support::mac(66),
            engine_support::EXPERIMENTAL,
            b"injected",
        ),
    );
    let mut payload = vec![b'.'; 9 * usize::from(SEGMENT)];
    // VXLAN, Ethernet, IPv4 and UDP headers are 50 bytes in front of the payload.
    for cut in 1..9 {
        let at = cut * usize::from(SEGMENT) - 50;
        payload[at..at + forged.len()].copy_from_slice(&forged);
    }
    payload
}

#[test]
fn root_m224_m226_the_payload_of_a_superframe_is_never_taken_for_datagrams() {
    let bed = Bed::new();
    bed.left.exec("ping -c 1 -W 5 10.9.0.2");
    // Nothing is known of the peer yet, so it cannot be told what this is.
    bed.send(&hostile());
    eventually("refused by name", || bed.ambiguous() > 0);
    let inbox = bed.datapath.memory_port("m").unwrap();
    assert_eq!(inbox.outward.take(), Vec::<Vec<u8>>::new());

    // Unfinished checksums tell a kernel on the same machine; then the superframe arrives as what it is.
    let rx = bed.container.within(|| RxSocket::open(&rx_spec(RECEIVER)));
    for n in 0..8 {
        bed.send(&[n; 100]);
    }
    assert_eq!(receive(&rx, 8).len(), 8);
    let refused = bed.ambiguous();
    let payload = hostile();
    bed.send(&payload);
    let segments: Vec<u8> = receive(&rx, 9)
        .into_iter()
        .flat_map(|d| d.payload)
        .collect();
    assert_eq!(segments, payload);
    assert_eq!(bed.ambiguous(), refused);
    assert_eq!(inbox.outward.take(), Vec::<Vec<u8>>::new());
    // The hosts' own neighbour discovery may still be on its way.
    eventually("balanced", || imbalance(&bed.counters()).is_none());
}
