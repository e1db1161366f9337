//! Random networks, and random frames that enter them: biased so that something happens.
//!
//! ```text
//!   p, q, r ── n (VNI 256) ══ A, C, and A once more by VNI 77, which gets no floods
//!   s ── m (VNI 257) ══ A, E
//! ```

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test file has its own copy and uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod frame;
mod world;

pub use frame::frame;
pub use world::{PORTS, World, world};

use super::engine_support::{A, C, E, Rig, STRANGER, VTEP, vxlan};
use datapath::engine::trace::{Entrance, Trace};
use datapath::io::memory::MemoryDatagram;
use proptest::prelude::*;
use std::net::SocketAddr;

/// A frame that enters somewhere.
#[derive(Debug, Clone)]
pub enum Sent {
    Frame(usize, Vec<u8>),
    Datagram(MemoryDatagram),
}

pub fn sent() -> impl Strategy<Value = Sent> {
    let source = prop_oneof![
        8 => Just(A), 4 => Just(C), 2 => Just(E), 2 => Just(STRANGER),
        1 => Just(SocketAddr::new(VTEP, 4789)),
        1 => Just("127.0.0.1:4789".parse().unwrap()),
    ];
    let udp_port = prop_oneof![20 => Just(4789), 1 => Just(8472)];
    let tos = prop_oneof![2 => Just(0), 1 => any::<u8>()];
    let head = (
        prop_oneof![16 => Just(256), 4 => Just(257), 1 => Just(258)],
        // A bit of the header that is turned over.
        prop_oneof![30 => Just(None), 1 => Just(Some(4)), 2 => (0..64usize).prop_map(Some)],
    );
    let datagram = (
        source,
        udp_port,
        tos,
        head,
        frame(),
        prop_oneof![30 => Just(usize::MAX), 1 => 0..9usize],
    )
        .prop_map(|(source, udp_port, tos, (vni, flipped), frame, cut)| {
            let mut payload = vxlan(vni, &frame);
            if let Some(bit) = flipped {
                payload[bit / 8] ^= 0x80 >> (bit % 8);
            }
            payload.truncate(cut);
            Sent::Datagram(MemoryDatagram {
                source,
                destination: (VTEP, udp_port).into(),
                tos,
                payload,
            })
        });
    let port = prop_oneof![6 => 0..3usize, 1 => Just(3usize)];
    prop_oneof![
        3 => (port, frame()).prop_map(|(port, frame)| Sent::Frame(port, frame)),
        2 => datagram,
    ]
}

impl Sent {
    /// What is foretold of it.
    pub fn ask(&self, rig: &Rig) -> Trace {
        let (entrance, bytes) = match self {
            Self::Frame(port, frame) => (Entrance::Port(PORTS[*port].into()), frame),
            Self::Datagram(datagram) => {
                let entrance = Entrance::Datagram {
                    source: datagram.source,
                    udp_port: datagram.destination.port(),
                    tos: datagram.tos,
                };
                (entrance, &datagram.payload)
            }
        };
        rig.datapath.trace(&entrance, bytes).unwrap()
    }

    /// Sends it.
    pub fn send(&self, rig: &mut Rig) {
        match self {
            Self::Frame(port, frame) => rig.frame(PORTS[*port], frame),
            Self::Datagram(datagram) => rig.receive(datagram.clone()),
        }
    }
}
