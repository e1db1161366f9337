//! Random frames.

use super::super::engine_support::{
    ArpFields, BROADCAST, EXPERIMENTAL, Flow, Icmpv6Fields, ethernet, mac, tagged,
};
use super::world::mostly;
use datapath::wire::mac::MacAddr;
use proptest::prelude::*;

/// Stations first, then what no station is.
fn address(n: usize) -> MacAddr {
    match n {
        0..8 => mac(n as u32),
        8 => BROADCAST,
        9 => MacAddr([0x33, 0x33, 0, 0, 0, 1]),
        10 => MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x0e]),
        11 => MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x00]),
        _ => MacAddr::ZERO,
    }
}

fn plain_frame() -> impl Strategy<Value = Vec<u8>> {
    let dst = prop_oneof![6 => 0..8usize, 3 => 8..13usize];
    let src = prop_oneof![20 => 0..8usize, 1 => 8..13usize];
    let len = prop_oneof![6 => 0..60usize, 2 => 500..800usize, 2 => 1380..1460usize, 1 => 8000..9100usize];
    let kind = 0..9usize;
    let ports = (1..4u16, 1..4u16);
    (dst, src, len, kind, ports, any::<u8>()).prop_map(|(dst, src, len, kind, ports, tos)| {
        let (dst, src) = (address(dst), address(src));
        let mut flow = match kind {
            0 | 1 | 2 | 7 => Flow::v4(src, dst),
            _ => Flow::v6(src, dst),
        };
        (flow.src.2, flow.dst.2) = ports;
        let payload = vec![7; len];
        let mut frame = match kind {
            0 | 3 => flow.udp(&payload),
            1 | 4 => flow.tcp(&payload),
            2 | 5 => syn(&flow),
            7 => flow.tcp_partial(&payload),
            _ => return ethernet(dst, src, EXPERIMENTAL, &payload),
        };
        match kind {
            // Of each ECN, with DF and without.
            0 | 1 => {
                frame[15] = tos & 3;
                frame[20] = tos & 0x40;
                fill_checksum(&mut frame);
            }
            3 | 4 => frame[15] |= tos << 4 & 0x30,
            _ => {}
        }
        frame
    })
}

fn fill_checksum(frame: &mut [u8]) {
    let header = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0;
    frame[24..26].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
}

/// A SYN that offers segments of 1460 bytes.
fn syn(flow: &Flow) -> Vec<u8> {
    let mut frame = flow.tcp(&[2, 4, 0x05, 0xb4]);
    let tcp = if flow.src.1.is_ipv4() { 34 } else { 54 };
    frame[tcp + 12] = 0x60;
    frame[tcp + 13] = 0x02;
    frame
}

/// ARP and neighbor discovery, whosoever may ask for whom.
fn neighborly() -> impl Strategy<Value = Vec<u8>> {
    let asker = (
        1..8u8,
        prop_oneof![3 => Just(None), 1 => (0..8u8).prop_map(Some)],
    );
    (asker, 1..8u8, 0..6usize, mostly(8)).prop_map(|((src, claimed), target, kind, multicast)| {
        let own = claimed.unwrap_or(src);
        let (src, v4) = (mac(src.into()), |n: u8| [10, 0, 0, n]);
        let dst = if multicast {
            BROADCAST
        } else {
            mac(target.into())
        };
        let arp = |operation, sender: [u8; 4], target: [u8; 4]| {
            let fields = ArpFields {
                operation,
                sender: (src, sender),
                target: (MacAddr::ZERO, target),
            };
            fields.frame(dst, src)
        };
        let v6 = |n: u8| format!("fd00::{n}").parse().unwrap();
        let nd = |kind, src_ip, flags: [u8; 4], target: u8| {
            let address: std::net::Ipv6Addr = v6(target);
            let option = [if kind == 135 { 1 } else { 2 }, 1];
            let body = [&flags[..], &address.octets(), &option, &src.0].concat();
            let fields = Icmpv6Fields {
                src: src_ip,
                dst: "ff02::1".parse().unwrap(),
                hop_limit: 255,
                kind,
                code: 0,
                body,
            };
            fields.frame(
                if multicast {
                    MacAddr([0x33, 0x33, 0, 0, 0, 1])
                } else {
                    dst
                },
                src,
            )
        };
        match kind {
            0 => arp(1, v4(own), v4(target)),
            1 => arp(1, [0; 4], v4(target)),
            2 => arp(2, v4(own), v4(own)),
            3 => arp(2, v4(own), v4(target)),
            4 => nd(135, v6(own), [0; 4], target),
            _ => nd(136, v6(own), [0x20, 0, 0, 0], own),
        }
    })
}

/// Most are sound, some tagged, some damaged or cut off.
pub fn frame() -> impl Strategy<Value = Vec<u8>> {
    let sound = prop_oneof![4 => plain_frame(), 3 => neighborly()];
    let tag = prop_oneof![
        8 => Just(None),
        1 => (
            prop_oneof![Just(0x8100), Just(0x88a8)],
            prop_oneof![Just(0), Just(0xa000), Just(7), Just(150), Just(300)],
        ).prop_map(Some),
    ];
    let damage = prop_oneof![12 => Just(None), 1 => (0..80usize, any::<u8>()).prop_map(Some)];
    let cut = prop_oneof![20 => Just(usize::MAX), 1 => 0..60usize];
    (sound, tag, damage, cut).prop_map(|(mut frame, tag, damage, cut)| {
        if let Some((tpid, control)) = tag {
            frame = tagged(&frame, tpid, control);
        }
        if let Some((at, byte)) = damage
            && let Some(at) = frame.get_mut(at)
        {
            *at = byte;
        }
        frame.truncate(cut);
        frame
    })
}
