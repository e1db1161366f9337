//! Any bytes from anywhere, and networks that treat them in different ways.

use super::desired::{A, C, STRANGER, VTEP, desired, network};
use super::frame::{BROADCAST, EXPERIMENTAL, Flow, ethernet, mac, tagged, vxlan};
use datapath::config::{Desired, ReservedBits, VlanPolicy};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::SocketAddr;

/// Networks that treat bits, tags and strangers in different ways, and ports of different MTUs.
pub fn state(workers: usize) -> Desired {
    let plain = network("plain", 1).port("a").port("b").peer(A).peer(C);
    let strict = network("strict", 2)
        .port_with("c", |p| p.mtu = 68)
        .port_with("d", |p| p.mtu = 9000)
        .peer(A)
        .with(|n| {
            n.reserved_bits = ReservedBits::DropExcept(0xff);
            n.rules.vlan = VlanPolicy::Allow(vec![1..=100]);
            n.fdb_limits.max_macs = 8;
            n.fdb_limits.evict_oldest = true;
        });
    let open = network("open", 3)
        .port_with("e", |p| p.hairpin = true)
        .with(|n| {
            n.open_peers = true;
            n.rules.vlan = VlanPolicy::Allow(vec![]);
        });
    let mut state = desired([plain, strict, open]);
    state.engine.workers = workers;
    state
}

pub const PORTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A sound frame with some bytes changed and perhaps its end cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let sound = (0..7usize, vec(any::<u8>(), 0..2000)).prop_map(|(kind, payload)| {
        let (v4, v6) = (Flow::v4(mac(1), mac(2)), Flow::v6(mac(2), BROADCAST));
        match kind {
            0 => v4.udp(&payload),
            1 => v4.tcp(&payload),
            2 => v4.tcp_partial(&payload),
            3 => v6.tcp_partial(&payload),
            4 => v6.udp(&payload),
            5 => tagged(&v4.tcp_partial(&payload), 0x8100, 0x2000),
            _ => ethernet(BROADCAST, mac(3), EXPERIMENTAL, &payload),
        }
    });
    let damage = vec((0..80usize, any::<u8>()), 0..4);
    (sound, damage, 0..200usize).prop_map(|(mut frame, damage, cut)| {
        for (at, byte) in damage {
            if let Some(at) = frame.get_mut(at) {
                *at = byte;
            }
        }
        frame.truncate(if cut < 100 { cut } else { frame.len() });
        frame
    })
}

pub fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => vec(any::<u8>(), 0..100),
        1 => vec(any::<u8>(), 1000..3000),
        4 => damaged(),
    ]
}

pub fn payload() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        6 => (1..4u32).prop_map(|vni| vxlan(vni, &[])),
        1 => any::<u32>().prop_map(|vni| vxlan(vni, &[])),
        1 => any::<[u8; 8]>().prop_map(|bytes| bytes.to_vec()),
        1 => (1..4u32, 0..64u32).prop_map(|(vni, bit)| {
            let mut header = vxlan(vni, &[]);
            header[bit as usize / 8] ^= 1 << (bit % 8);
            header
        }),
        1 => vec(any::<u8>(), 0..8),
    ];
    (header, frame()).prop_map(|(header, frame)| match header.len() {
        8 => [header, frame].concat(),
        _ => header,
    })
}

pub fn source() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        6 => Just(A),
        3 => Just(C),
        1 => Just(STRANGER),
        1 => Just(SocketAddr::new(VTEP, 4789)),
        1 => any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        1 => any::<([u16; 8], u16)>().prop_map(SocketAddr::from),
    ]
}
