//! A network of whose neighbors something is known, how they ask for each other, and where that goes.
//!
//! ```text
//!   p, q ── n (VNI 256) ══ A
//! ```

use super::balance::Book;
use super::desired::{A, Network, at_port, desired, network};
use super::frame::{ArpFields, BROADCAST, Icmpv6Fields, mac, vxlan};
use super::rig::Rig;
use datapath::config::{Desired, NeighborState};
use datapath::engine::Counters;
use datapath::wire::mac::MacAddr;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// Station 1 is behind p. Who has 10.0.0.N and fd00::N is station N: 2 is elsewhere, 3 behind q, 4 stale, 5 dead, 6 a
/// router elsewhere.
pub fn lab() -> Network {
    let mut lab = network("n", 256).port("p").port("q").peer(A);
    let at_peer = lab.at(A);
    lab = lab.entry(mac(2), at_peer).entry(mac(3), at_port("q"));
    for net in ["10.0.0.", "fd00::"] {
        let ip = |n: u8| format!("{net}{n}");
        lab = lab
            .neighbor(&ip(2), mac(2))
            .neighbor_with(&ip(3), mac(3), |n| n.local = true)
            .neighbor_with(&ip(4), mac(4), |n| n.state = NeighborState::Stale)
            .neighbor_with(&ip(5), mac(5), |n| n.state = NeighborState::Dead)
            .neighbor_with(&ip(6), mac(6), |n| n.router = true);
    }
    lab
}

pub fn state() -> Desired {
    desired([lab()])
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Way {
    /// Out of the port where it came in.
    pub back: Vec<Vec<u8>>,
    pub other_port: Vec<Vec<u8>>,
    pub tunnel: Vec<Vec<u8>>,
}

impl Way {
    pub fn answered(with: Vec<u8>) -> Self {
        Self {
            back: vec![with],
            ..Self::default()
        }
    }

    pub fn forwarded(frame: &[u8]) -> Self {
        Self {
            tunnel: vec![vxlan(256, frame)],
            ..Self::kept_here(frame)
        }
    }

    pub fn kept_here(frame: &[u8]) -> Self {
        Self {
            other_port: vec![frame.to_vec()],
            ..Self::default()
        }
    }

    pub fn into_tunnel(frame: &[u8]) -> Self {
        Self {
            tunnel: vec![vxlan(256, frame)],
            ..Self::default()
        }
    }
}

/// Station 1 sends `frame`.
pub fn send(rig: &mut Rig, frame: &[u8]) -> Way {
    rig.frame("p", frame);
    Way {
        back: rig.taken("p"),
        other_port: rig.taken("q"),
        tunnel: rig
            .sent_to()
            .into_iter()
            .map(|(_, payload)| payload)
            .collect(),
    }
}

/// All notes of port p.
pub fn noted(counters: &Counters) -> BTreeMap<&'static str, u64> {
    let notes = &counters.port("p").frames.notes;
    notes.iter().map(|(note, n)| (note.name(), *n)).collect()
}

#[track_caller]
pub fn assert_noted(rig: &mut Rig, expected: &[(&'static str, u64)]) {
    assert_eq!(noted(&rig.settle()), expected.iter().copied().collect());
}

pub fn request(sender: u8, target: u8) -> Vec<u8> {
    asked(sender, [10, 0, 0, sender], target).frame(BROADCAST, mac(sender.into()))
}

pub fn asked(sender: u8, sender_ip: [u8; 4], target: u8) -> ArpFields {
    ArpFields {
        operation: 1,
        sender: (mac(sender.into()), sender_ip),
        target: (MacAddr::ZERO, [10, 0, 0, target]),
    }
}

pub fn reply(owner: u8, to: (MacAddr, [u8; 4])) -> Vec<u8> {
    let fields = ArpFields {
        operation: 2,
        sender: (mac(owner.into()), [10, 0, 0, owner]),
        target: to,
    };
    fields.frame(to.0, mac(owner.into()))
}

pub const NOBODY: [u8; 4] = [0; 4];

/// A solicitation as its fields.
#[derive(Debug, Clone)]
pub struct Solicitation {
    pub src_mac: MacAddr,
    pub src: Ipv6Addr,
    pub target: Ipv6Addr,
    pub options: Vec<u8>,
    pub hop_limit: u8,
    pub code: u8,
}

pub fn station(n: u8) -> Ipv6Addr {
    format!("fd00::{n}").parse().unwrap()
}

/// As the kernel asks.
pub fn solicitation(sender: u8, target: u8) -> Solicitation {
    let src_mac = mac(sender.into());
    Solicitation {
        src_mac,
        src: station(sender),
        target: station(target),
        options: [&[1, 1][..], &src_mac.0].concat(),
        hop_limit: 255,
        code: 0,
    }
}

impl Solicitation {
    pub fn for_nobody(self) -> Self {
        Self {
            src: Ipv6Addr::UNSPECIFIED,
            options: vec![],
            ..self
        }
    }

    /// To the target's solicited-node group (RFC 4291 §2.7.1).
    pub fn multicast(&self) -> Vec<u8> {
        let [.., a, b, c] = self.target.octets();
        let [high, low] = [0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c)];
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, high, low);
        self.to(group, MacAddr([0x33, 0x33, 0xff, a, b, c]))
    }

    pub fn to(&self, dst: Ipv6Addr, dst_mac: MacAddr) -> Vec<u8> {
        let fields = Icmpv6Fields {
            src: self.src,
            dst,
            hop_limit: self.hop_limit,
            kind: 135,
            code: self.code,
            body: [&[0; 4][..], &self.target.octets(), &self.options].concat(),
        };
        fields.frame(dst_mac, self.src_mac)
    }
}

/// An advertisement of station `owner`'s address for `mac`, flags as they lie.
#[derive(Debug, Clone, Copy)]
pub struct Advertisement {
    pub owner: u8,
    pub mac: MacAddr,
    pub flags: u8,
}

impl Advertisement {
    /// By the owner itself.
    pub fn of(owner: u8, flags: u8) -> Self {
        let mac = mac(owner.into());
        Self { owner, mac, flags }
    }

    pub fn to(&self, dst: Ipv6Addr, dst_mac: MacAddr) -> Vec<u8> {
        let ip = station(self.owner);
        let head = [self.flags, 0, 0, 0];
        let fields = Icmpv6Fields {
            src: ip,
            dst,
            hop_limit: 255,
            kind: 136,
            code: 0,
            body: [&head[..], &ip.octets(), &[2, 1], &self.mac.0].concat(),
        };
        fields.frame(dst_mac, self.mac)
    }

    pub fn to_all(self) -> Vec<u8> {
        self.to(ALL_NODES, ALL_NODES_MAC)
    }
}

pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
