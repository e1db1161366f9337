//! Random networks.

use super::super::engine_support::{A, C, E, desired, mac, network, vni};
use datapath::config::{
    Desired, FdbTarget, GuardSpec, NeighborState, PriorityTag, ReservedBits, TunnelKey, VlanPolicy,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What is different from one world to the next. Bits say yes or no.
#[derive(Debug, Clone)]
pub struct World {
    /// Learning, strict source, drop unknown unicast, forwards 01:80:c2:00:00:0e, up, clamps, open, evicts.
    network: u8,
    vlan: usize,
    reserved: usize,
    max_macs: u32,
    /// Of each port: floods unknown, floods broadcast, hairpin, few MACs, guarded; and its MTU.
    ports: [(u8, u32); 3],
    /// Station, where, by the control plane.
    entries: Vec<(u32, usize, bool)>,
    /// Station, local, state.
    neighbors: Vec<(u8, bool, usize)>,
    /// Fragments outside, symmetric hash, second network down.
    vtep: u8,
    pool: usize,
    underlay_mtu: u32,
    /// What the network has said of the path to A.
    pub reported: Option<u32>,
    workers: usize,
}

pub const PORTS: [&str; 4] = ["p", "q", "r", "s"];

impl World {
    pub fn state(&self) -> Desired {
        let bit = |bits: u8, n: u8| bits >> n & 1 == 1;
        let mut n = network("n", 256);
        for (name, &(bits, mtu)) in PORTS.iter().zip(&self.ports) {
            n = n.port_with(name, |p| {
                p.flood_unknown = bit(bits, 0);
                p.flood_broadcast = bit(bits, 1);
                p.hairpin = bit(bits, 2);
                p.max_macs = if bit(bits, 3) { 2 } else { 1000 };
                p.mtu = mtu;
                p.guard = bit(bits, 4).then(|| GuardSpec {
                    macs: vec![mac(1), mac(2)],
                    addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
                });
            });
        }
        let elsewhere = TunnelKey {
            remote: A,
            vni: vni(77),
        };
        n = n.peer(A).peer(C).tunnel(elsewhere, false);
        let (at_a, at_c) = (n.at(A), n.at(C));
        for &(station, target, control) in &self.entries {
            let target = match target {
                0..=2 => FdbTarget::Port(PORTS[target].into()),
                3 => at_a.clone(),
                4 => at_c.clone(),
                5 => FdbTarget::Tunnel(elsewhere),
                _ => FdbTarget::Local,
            };
            n = n.entry(mac(station), target);
            n.0.fdb.last_mut().unwrap().control = control;
        }
        for &(station, local, state) in &self.neighbors {
            for net in ["10.0.0.", "fd00::"] {
                n = n.neighbor_with(&format!("{net}{station}"), mac(station.into()), |n| {
                    n.local = local;
                    n.state = [
                        NeighborState::Live,
                        NeighborState::Stale,
                        NeighborState::Dead,
                    ][state];
                });
            }
        }
        let n = n.with(|n| {
            n.rules.learning = bit(self.network, 0);
            n.rules.strict_source = bit(self.network, 1);
            n.rules.drop_unknown_unicast = bit(self.network, 2);
            n.rules.group_forward_mask = u16::from(bit(self.network, 3)) << 14;
            n.up = bit(self.network, 4);
            n.mss_clamp = bit(self.network, 5);
            n.open_peers = bit(self.network, 6);
            n.fdb_limits.evict_oldest = bit(self.network, 7);
            n.fdb_limits.max_macs = self.max_macs;
            n.rules.vlan = match self.vlan {
                0 | 1 => VlanPolicy::Discard,
                2 => VlanPolicy::Allow(vec![]),
                _ => VlanPolicy::Allow(vec![7..=7, 100..=200]),
            };
            n.rules.priority_tag = [PriorityTag::Strip, PriorityTag::Drop][self.vlan.min(1)];
            n.reserved_bits = match self.reserved {
                0 => ReservedBits::Ignore,
                1 => ReservedBits::DropExcept(0),
                _ => ReservedBits::DropExcept(0xff),
            };
        });
        let m = network("m", 257).port("s").peer(A).peer(E);
        let m = m.with(|m| m.up = !bit(self.vtep, 2));
        let mut state = desired([n, m]);
        state.vtep.allow_outer_fragmentation = bit(self.vtep, 0);
        state.vtep.symmetric_hash = bit(self.vtep, 1);
        state.vtep.source_port_pool = self.pool;
        state.underlay_mtu = self.underlay_mtu;
        state.engine.workers = self.workers;
        state
    }
}

pub fn mostly(yes: u32) -> impl Strategy<Value = bool> {
    prop::bool::weighted(f64::from(yes) / 10.0)
}

/// Eight bits, each set with so many tenths.
fn bits(tenths: [u32; 8]) -> impl Strategy<Value = u8> {
    tenths.map(mostly).prop_map(|bits| {
        let numbered = bits.iter().enumerate();
        numbered.fold(0, |all, (n, &bit)| all | u8::from(bit) << n)
    })
}

pub fn world() -> impl Strategy<Value = World> {
    let mtu = || prop_oneof![6 => Just(1450u32), 2 => Just(9000), 1 => Just(600), 1 => Just(100)];
    let port = || (bits([9, 9, 2, 2, 1, 0, 0, 0]), mtu());
    let network = (
        bits([9, 5, 1, 5, 9, 8, 3, 5]),
        0..4usize,
        0..3usize,
        prop_oneof![1 => Just(3u32), 3 => Just(1000)],
    );
    let tables = (
        [port(), port(), port()],
        vec((0..8u32, 0..7usize, any::<bool>()), 0..4),
        prop_oneof![
            1 => Just(Vec::new()),
            3 => vec((1..8u8, mostly(3), prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(2)]), 1..6),
        ],
    );
    let vtep = (
        bits([1, 5, 1, 0, 0, 0, 0, 0]),
        1..17usize,
        prop_oneof![4 => Just(1500u32), 1 => Just(9000), 1 => Just(700)],
        prop::option::weighted(0.3, 576..1500u32),
        1..3usize,
    );
    (network, tables, vtep).prop_map(
        |((network, vlan, reserved, max_macs), (ports, entries, neighbors), vtep)| {
            let (vtep, pool, underlay_mtu, reported, workers) = vtep;
            World {
                network,
                vlan,
                reserved,
                max_macs,
                ports,
                entries: distinct(entries, |e| e.0),
                neighbors: distinct(neighbors, |n| n.0),
                vtep,
                pool,
                underlay_mtu,
                reported,
                workers,
            }
        },
    )
}

fn distinct<T, K: Ord>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let by_key: BTreeMap<K, T> = items.into_iter().map(|item| (key(&item), item)).collect();
    by_key.into_values().collect()
}
