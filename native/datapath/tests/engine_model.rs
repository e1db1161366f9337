//! The whole engine against a switch as one would explain it on paper: random applies, frames and datagrams.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{Desired, FdbTarget, PriorityTag, TunnelKey, VlanPolicy};
use datapath::engine::FdbPlace;
use datapath::wire::mac::MacAddr;
use engine_support::desired::Network;
use engine_support::model::{Model, Seen};
use engine_support::{
    A, Book, C, E, EXPERIMENTAL, Rig, STRANGER, VTEP, desired, ethernet, mac, network, tagged, vni,
    vxlan,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A frame of a small world, so that the same stations turn up everywhere.
#[derive(Debug, Clone)]
struct Sent {
    dst: usize,
    src: usize,
    /// TPID and control.
    tag: Option<(u16, u16)>,
    len: usize,
}

#[derive(Debug, Clone)]
enum Step {
    /// Network and port by index, and several frames at once.
    Frames(usize, usize, Vec<Sent>),
    /// Sender, header (0 and 1: that network's; others: something wrong), frames.
    Datagrams(usize, usize, Vec<Sent>),
    Apply(usize, Change),
}

/// One thing that an apply changes about a network.
#[derive(Debug, Clone)]
enum Change {
    TogglePort(usize),
    TogglePeer(usize),
    ToggleEntry(usize, usize),
    PortSettings(usize, u8),
    Rules(u8),
    Limit(u32),
    Vlan(u8),
    Up(bool),
    Wire(u32),
}

/// What a network is made from.
#[derive(Clone)]
struct Plan {
    ports: [bool; 3],
    /// Bits: spares unknown unicast, spares broadcast, hairpin, small MTU, few MACs.
    settings: [u8; 3],
    peers: [bool; 3],
    /// Target by station.
    entries: BTreeMap<usize, usize>,
    /// Bits: no learning, not strict, drops unknown unicast, opens 01:80:c2:00:00:0e.
    rules: u8,
    max_macs: u32,
    vlan: u8,
    up: bool,
    vni: u32,
}

const PEERS: [SocketAddr; 3] = [A, C, E];

impl Plan {
    fn new(vni: u32) -> Self {
        Self {
            ports: [true; 3],
            settings: [0; 3],
            peers: [true, true, false],
            entries: BTreeMap::new(),
            rules: 0,
            max_macs: 1000,
            vlan: 0,
            up: true,
            vni,
        }
    }

    fn change(&mut self, change: &Change) {
        match *change {
            Change::TogglePort(n) => self.ports[n] ^= true,
            Change::TogglePeer(n) => self.peers[n] ^= true,
            Change::ToggleEntry(station, target) => {
                if self.entries.remove(&station).is_none() {
                    self.entries.insert(station, target);
                }
            }
            Change::PortSettings(n, settings) => self.settings[n] = settings,
            Change::Rules(rules) => self.rules = rules,
            Change::Limit(limit) => self.max_macs = limit,
            Change::Vlan(vlan) => self.vlan = vlan,
            Change::Up(up) => self.up = up,
            Change::Wire(vni) => self.vni = vni,
        }
    }

    fn network(&self, index: usize) -> Network {
        // The networks have different numbers at all times.
        let mut made = network(&format!("n{index}"), self.vni * 2 + index as u32);
        for n in (0..3).filter(|&n| self.ports[n]) {
            let bit = |bit: u8| self.settings[n] >> bit & 1 == 1;
            made = made.port_with(&port_name(index, n), |p| {
                p.flood_unknown = !bit(0);
                p.flood_broadcast = !bit(1);
                p.hairpin = bit(2);
                p.mtu = if bit(3) { 100 } else { 1450 };
                p.max_macs = if bit(4) { 2 } else { 1024 };
            });
        }
        for n in (0..3).filter(|&n| self.peers[n]) {
            made = made.peer(PEERS[n]);
        }
        let elsewhere = TunnelKey {
            remote: "10.200.0.7:8472".parse().unwrap(),
            vni: vni(77),
        };
        made = made.tunnel(elsewhere, false);
        for (&station, &target) in &self.entries {
            let target = match target {
                0..=2 => FdbTarget::Port(port_name(index, target)),
                3..=5 => made.at(PEERS[target - 3]),
                6 => FdbTarget::Tunnel(elsewhere),
                _ => FdbTarget::Local,
            };
            made = made.entry(mac(station as u32), target);
        }
        let bit = |bit: u8| self.rules >> bit & 1 == 1;
        made.with(|n| {
            n.up = self.up;
            n.rules.learning = !bit(0);
            n.rules.strict_source = !bit(1);
            n.rules.drop_unknown_unicast = bit(2);
            n.rules.group_forward_mask = u16::from(bit(3)) << 14;
            n.fdb_limits.max_macs = self.max_macs;
            n.rules.priority_tag = match self.vlan {
                0 => PriorityTag::Strip,
                _ => PriorityTag::Drop,
            };
            n.rules.vlan = match self.vlan {
                0 | 1 => VlanPolicy::Discard,
                2 => VlanPolicy::Allow(vec![]),
                _ => VlanPolicy::Allow(vec![7..=7, 100..=200]),
            };
        })
    }
}

fn port_name(network: usize, port: usize) -> String {
    format!("n{network}p{port}")
}

fn address(index: usize) -> MacAddr {
    match index {
        0..8 => mac(index as u32),
        8 => MacAddr::BROADCAST,
        9 => MacAddr([0x33, 0x33, 0, 0, 0, 1]),
        10 => MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x0e]),
        11 => MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x00]),
        _ => MacAddr::ZERO,
    }
}

impl Sent {
    /// The frame; its last bytes tell it from all others.
    fn frame(&self, number: u32) -> Vec<u8> {
        let mut payload = vec![0xa5; self.len];
        payload.extend(number.to_be_bytes());
        let frame = ethernet(address(self.dst), address(self.src), EXPERIMENTAL, &payload);
        match self.tag {
            None => frame,
            Some((tpid, control)) => tagged(&frame, tpid, control),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let tag = prop_oneof![
        8 => Just(None),
        1 => (
            prop_oneof![Just(0x8100), Just(0x88a8)],
            prop_oneof![Just(0), Just(0xa000), Just(7), Just(150), Just(300)],
        ).prop_map(Some),
    ];
    let src = prop_oneof![20 => 0..8usize, 1 => 8..13usize];
    let dst = prop_oneof![6 => 0..8usize, 3 => 8..13usize];
    let len = prop_oneof![8 => 0..60usize, 1 => 90..110usize, 1 => Just(1446), 1 => Just(1447)];
    (dst, src, tag, len).prop_map(|(dst, src, tag, len)| Sent { dst, src, tag, len })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..3usize).prop_map(Change::TogglePort),
        3 => (0..3usize).prop_map(Change::TogglePeer),
        4 => (0..8usize, 0..8usize).prop_map(|(s, t)| Change::ToggleEntry(s, t)),
        3 => (0..3usize, 0..32u8).prop_map(|(n, s)| Change::PortSettings(n, s)),
        2 => (0..16u8).prop_map(Change::Rules),
        1 => prop_oneof![Just(3), Just(1000)].prop_map(Change::Limit),
        1 => (0..4u8).prop_map(Change::Vlan),
        1 => any::<bool>().prop_map(Change::Up),
        1 => (100..103u32).prop_map(Change::Wire),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..2usize, 0..3usize, vec(sent(), 1..6)).prop_map(|(n, p, f)| Step::Frames(n, p, f)),
        4 => (0..5usize, prop_oneof![9 => 0..2usize, 1 => 2..5usize], vec(sent(), 1..6))
            .prop_map(|(from, header, f)| Step::Datagrams(from, header, f)),
        2 => (0..2usize, change()).prop_map(|(n, c)| Step::Apply(n, c)),
    ];
    vec(step, 1..60)
}

/// The engine and the model side by side.
struct Bench {
    plans: [Plan; 2],
    workers: usize,
    rig: Rig,
    model: Model,
    number: u32,
}

impl Bench {
    fn new(workers: usize) -> Self {
        let plans = [Plan::new(100), Plan::new(100)];
        let state = wanted(&plans, workers);
        let mut model = Model::default();
        model.apply(&state);
        let rig = Rig::new(&state);
        Self {
            plans,
            workers,
            rig,
            model,
            number: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Frames(network, port, frames) => {
                if !self.plans[*network].ports[*port] {
                    return;
                }
                let port = port_name(*network, *port);
                for frame in self.numbered(frames) {
                    self.rig.frame(&port, &frame);
                    self.model.frame(&port, &frame);
                }
            }
            Step::Datagrams(sender, header, frames) => {
                let own = SocketAddr::new(VTEP, 4789);
                let sender = [A, C, E, STRANGER, own][*sender];
                let vnis = [0, 1].map(|n| self.plans[n].vni * 2 + n as u32);
                for frame in self.numbered(frames) {
                    let (udp_port, payload) = match header {
                        0 | 1 => (4789, vxlan(vnis[*header], &frame)),
                        2 => (4789, vxlan(1, &frame)),
                        3 => (8472, vxlan(vnis[0], &frame)),
                        // Runts of all lengths.
                        _ => (4789, vxlan(vnis[0], &frame)[..frame.len() % 30].to_vec()),
                    };
                    self.rig.payload(sender, udp_port, &payload);
                    self.model.datagram(sender, udp_port, &payload);
                }
            }
            Step::Apply(network, change) => {
                self.rig.tell(format!("n{network}: {change:?}"));
                self.plans[*network].change(change);
                let state = wanted(&self.plans, self.workers);
                self.rig.apply(&state).unwrap();
                self.model.apply(&state);
            }
        }
        let seen = self.seen();
        assert_eq!(seen, self.model.seen());
    }

    fn numbered(&mut self, frames: &[Sent]) -> Vec<Vec<u8>> {
        let numbers = self.number..;
        self.number += frames.len() as u32;
        frames
            .iter()
            .zip(numbers)
            .map(|(f, n)| f.frame(n))
            .collect()
    }

    fn seen(&mut self) -> Seen {
        let counters = self.rig.settle();
        let mut drops = BTreeMap::new();
        for ((_, reason), n) in counters.drops() {
            *drops.entry(reason).or_default() += n;
        }
        let ports = counters.networks.iter().flat_map(|n| &n.ports);
        let mut frames = BTreeMap::new();
        for port in ports.filter(|p| p.kind == "memory") {
            let taken = self.rig.taken(&port.name);
            if !taken.is_empty() {
                frames.insert(port.name.clone(), taken);
            }
        }
        let lines = self.rig.datapath.fdb(None).into_iter();
        let mut stations: Vec<_> = lines
            .filter(|line| line.active)
            .map(|line| {
                let place = match line.place {
                    FdbPlace::Port(name) => name,
                    FdbPlace::Vtep(remote, vni) => format!("{remote}/{vni}"),
                    FdbPlace::Local => "local".into(),
                };
                (line.network, line.mac, place)
            })
            .collect();
        stations.sort();
        Seen {
            frames,
            datagrams: self.rig.sent_to(),
            drops,
            stations,
        }
    }
}

fn wanted(plans: &[Plan; 2], workers: usize) -> Desired {
    let mut state = desired([0, 1].map(|n| plans[n].network(n)));
    state.engine.workers = workers;
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Both networks have the same stations, the same VTEPs and the same sockets, and each of them behaves as if the other
    /// were not there: the model has no way to let anything cross.
    #[test]
    fn m226_d65_random_traffic_over_two_networks_goes_where_a_plain_switch_sends_it(
        steps in steps(),
        workers in 1..3usize,
    ) {
        let mut bench = Bench::new(workers);
        for step in &steps {
            bench.step(step);
        }
    }
}
