//! A trace against what becomes of the same frame: first it is asked for, then the frame is sent, and everything that was
//! foretold is compared with everything that was counted, sent and learned.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;

use datapath::config::{
    Desired, FdbTarget, GuardSpec, NeighborState, PriorityTag, ReservedBits, TunnelKey, VlanPolicy,
};
use datapath::counter::DropReason;
use datapath::engine::trace::{Ending, Entrance, Kind, Outcome, Step, Trace};
use datapath::engine::{Counters, FdbPlace};
use datapath::io::memory::MemoryDatagram;
use datapath::io::underlay::{SendError, SendErrorOrigin};
use datapath::note::Note;
use datapath::wire::mac::MacAddr;
use engine_support::{
    A, ArpFields, BROADCAST, Book, C, E, EXPERIMENTAL, Flow, Icmpv6Fields, Rig, STRANGER, VTEP,
    desired, ethernet, mac, network, tagged, vni, vxlan,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What is different from one world to the next. Bits say yes or no.
#[derive(Debug, Clone)]
struct World {
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
    reported: Option<u32>,
    workers: usize,
}

const PORTS: [&str; 4] = ["p", "q", "r", "s"];

impl World {
    /// p, q, r ── n (VNI 256) ══ A, C, and A by another VNI without floods; s ── m (VNI 257) ══ A, E
    fn state(&self) -> Desired {
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

fn mostly(yes: u32) -> impl Strategy<Value = bool> {
    prop::bool::weighted(f64::from(yes) / 10.0)
}

/// Eight bits, each set with so many tenths.
fn bits(tenths: [u32; 8]) -> impl Strategy<Value = u8> {
    tenths.map(mostly).prop_map(|bits| {
        let numbered = bits.iter().enumerate();
        numbered.fold(0, |all, (n, &bit)| all | u8::from(bit) << n)
    })
}

fn world() -> impl Strategy<Value = World> {
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
fn frame() -> impl Strategy<Value = Vec<u8>> {
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

/// A frame that enters somewhere.
#[derive(Debug, Clone)]
enum Sent {
    Frame(usize, Vec<u8>),
    Datagram(MemoryDatagram),
}

fn sent() -> impl Strategy<Value = Sent> {
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
    fn ask(&self, rig: &Rig) -> Trace {
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

    fn send(&self, rig: &mut Rig) {
        match self {
            Self::Frame(port, frame) => rig.frame(PORTS[*port], frame),
            Self::Datagram(datagram) => rig.receive(datagram.clone()),
        }
    }
}

/// All that can be seen of a switch; (network or place, what) -> count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    counts: BTreeMap<(String, String), u64>,
    /// (network, MAC) -> place
    stations: BTreeMap<(String, MacAddr), String>,
}

impl Seen {
    fn of(rig: &Rig, counters: &Counters) -> Self {
        let mut counts = counters.ledger();
        // These are told by place.
        let drops = |(_, what): &(String, String)| {
            DropReason::ALL.iter().any(|r| r.name() == what)
                || Note::ALL.iter().any(|n| n.name() == what)
        };
        counts.retain(|key, _| !drops(key) && !key.1.ends_with("bytes"));
        counts.retain(|key, _| !["rx frames", "tx frames"].contains(&key.1.as_str()));
        for ((place, reason), n) in counters.drops() {
            counts.insert((place, reason.into()), n);
        }
        for network in &counters.networks {
            for port in &network.ports {
                let mut enter = |what: &str, n: u64| {
                    let place = format!("{} {}", network.name, port.name);
                    *counts.entry((place, what.into())).or_default() += n;
                };
                enter("rx", port.frames.rx_frames);
                enter("tx", port.frames.tx_frames);
                for &(note, n) in &port.frames.notes {
                    enter(note.name(), n);
                }
            }
        }
        counts.retain(|_, n| *n > 0);
        let lines = rig.datapath.fdb(None).into_iter().filter(|l| l.active);
        let stations = lines.map(|line| {
            let place = match line.place {
                FdbPlace::Port(name) => name,
                FdbPlace::Vtep(remote, vni) if vni.get() == 77 => format!("{remote}/77"),
                FdbPlace::Vtep(remote, _) => remote.to_string(),
                FdbPlace::Local => "local".into(),
            };
            ((line.network, line.mac), place)
        });
        Self {
            counts,
            stations: stations.collect(),
        }
    }

    fn count(&mut self, place: impl Into<String>, what: impl Into<String>, n: u64) {
        *self.counts.entry((place.into(), what.into())).or_default() += n;
    }

    /// What the frame that was traced will change.
    fn foretell(&mut self, sent: &Sent, trace: &Trace) {
        let network = trace.network.as_deref().unwrap_or("").to_owned();
        let is_datagram = matches!(sent, Sent::Datagram(_));
        if is_datagram {
            self.count("", "datagrams", 1);
        }
        let find = |kind| trace.steps.iter().find(|s| s.kind == kind);
        let sender = find(Kind::Sender).and_then(|s| s.port.clone());
        let ingress = find(Kind::Enters).and_then(|s| s.port.clone()).or(sender);
        let place = |port: &str| format!("{network} {port}");
        if let Some(ingress) = &ingress {
            self.count(place(ingress), "rx", 1);
        }
        match trace.ending {
            Ending::To => self.count(&network, "unicast", 1),
            Ending::Flood => {
                self.count(&network, "flooded", 1);
                self.count(&network, "replicated", trace.copies.len() as u64);
            }
            Ending::Consumed => self.count(&network, "consumed", 1),
            Ending::Drop(reason) => {
                let place = match (&ingress, network.as_str()) {
                    (Some(ingress), _) => ingress.to_string(),
                    (None, "") => "underlay".into(),
                    (None, network) => format!("network {network}"),
                };
                self.count(place, reason.name(), 1);
            }
        }
        for copy in &trace.copies {
            match copy.reason {
                Some(reason) => self.count(&*copy.port, reason.name(), 1),
                None => self.count(place(&copy.port), "tx", 1),
            }
            if let Some(note) = copy.note {
                self.count(place(&copy.port), note.name(), 1);
            }
        }
        for step in &trace.steps {
            self.foretell_of(step, (&network, ingress.as_deref().unwrap_or("")));
        }
        self.counts.retain(|_, n| *n > 0);
    }

    fn foretell_of(&mut self, step: &Step, (network, ingress): (&str, &str)) {
        let place = format!("{network} {ingress}");
        if let Some(note) = step.note {
            self.count(&place, note.name(), 1);
            let is_told = matches!(note, Note::PtbSent | Note::Ptb6Sent);
            if is_told || step.outcome == Some(Outcome::Answered) {
                self.count(network, "generated", 1);
                self.count(&place, "tx", 1);
            }
            if note == Note::Ptb6Sent && step.mtu == Some(1280) {
                // By how much less is not said.
                self.counts.remove(&(place, Note::Ptb6Least.name().into()));
            }
        }
        match (step.kind, step.outcome) {
            (Kind::Reserved, Some(Outcome::Ignored)) => self.count(network, "reserved ignored", 1),
            (Kind::Learn, Some(outcome)) => {
                let key = (network.to_owned(), step.mac.unwrap());
                if let Some(evicted) = step.evicted {
                    self.stations.remove(&(network.to_owned(), evicted));
                    self.count(network, "evicted", 1);
                }
                match outcome {
                    Outcome::Learned => {
                        assert_eq!(self.stations.insert(key, ingress.into()), None);
                        self.count(network, "learned", 1);
                    }
                    Outcome::Moved => {
                        let was = self.stations.insert(key, ingress.into());
                        assert_eq!(was, step.from);
                        self.count(network, "moved", 1);
                    }
                    Outcome::Full => self.count(network, "full", 1),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Counts about which a trace says nothing of its own.
fn without_asides(mut seen: Seen) -> Seen {
    seen.counts.retain(|(_, what), _| {
        !["ecn odd", "ecn nonip", Note::Ptb6Least.name()].contains(&what.as_str())
    });
    seen
}

fn check(rig: &mut Rig, sent: &Sent) -> Trace {
    let before = rig.settle();
    let before = Seen::of(rig, &before);
    let trace = sent.ask(rig);
    let after_trace = rig.datapath.counters().unwrap();
    assert_eq!(Seen::of(rig, &after_trace), before, "a trace leaves none");
    sent.send(rig);
    let counters = rig.settle();
    let mut foretold = before;
    foretold.foretell(sent, &trace);
    let after = Seen::of(rig, &counters);
    assert_eq!(
        without_asides(foretold),
        without_asides(after),
        "{trace:#?}"
    );
    check_datagrams(rig, &trace);
    check_frames(rig, sent, &trace);
    trace
}

fn check_datagrams(rig: &mut Rig, trace: &Trace) {
    let sent = rig.sent().into_iter();
    let mut sent: Vec<_> = sent
        .map(|d| {
            let [_, _, _, _, a, b, c, _] = *d.payload.first_chunk().unwrap();
            let vni = u32::from_be_bytes([0, a, b, c]);
            (d.destination, d.source.port(), vni, d.payload.len() + 28)
        })
        .collect();
    let left = trace.copies.iter().filter(|c| c.reason.is_none());
    let mut foretold: Vec<_> = left
        .filter_map(|copy| {
            let outer = copy.outer?;
            Some((
                outer.remote,
                outer.source_port,
                outer.vni.get(),
                copy.length,
            ))
        })
        .collect();
    sent.sort_unstable();
    foretold.sort_unstable();
    assert_eq!(foretold, sent, "{trace:#?}");
}

/// Lengths of what left at local ports; of what this host made itself there is one more at the port of entry.
fn check_frames(rig: &mut Rig, sent: &Sent, trace: &Trace) {
    for (n, port) in PORTS.iter().enumerate() {
        let lengths: Vec<_> = rig.taken(port).iter().map(Vec::len).collect();
        let copy = trace.copies.iter().find(|c| *c.port == **port);
        let Some(copy) = copy.filter(|c| c.reason.is_none()) else {
            continue;
        };
        let is_own = matches!(sent, Sent::Frame(at, _) if *at == n);
        // A kernel peer's superframe leaves in segments.
        if !is_own && lengths.len() == 1 {
            assert_eq!(lengths, [copy.length], "{trace:#?}");
        }
    }
}

fn report_path(rig: &mut Rig, mtu: u32) {
    let underlay = rig.datapath.memory_underlay().unwrap();
    underlay
        .reports
        .push(SendError {
            destination: A,
            errno: 90,
            origin: SendErrorOrigin::Icmp,
            kind: 3,
            code: 4,
            mtu: Some(mtu),
        })
        .unwrap();
    rig.wait_until("the report is taken in", |_, counters| {
        let tunnel = counters.port("10.200.0.2:4789");
        tunnel.path_mtu.is_some_and(|now| now <= mtu)
    });
}

/// Ten thousand frames in a hundred worlds.
#[test]
fn a_trace_says_what_becomes_of_the_frame() {
    let config = ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let seen = RefCell::new(BTreeSet::new());
    let outcome = TestRunner::new(config).run(&(world(), vec(sent(), 100)), |(world, frames)| {
        let mut rig = Rig::new(&world.state());
        if let Some(mtu) = world.reported {
            report_path(&mut rig, mtu);
        }
        for sent in &frames {
            let trace = check(&mut rig, sent);
            let steps = trace.steps.iter();
            let named = steps.map(|s| (s.kind.name(), s.outcome.map_or("", Outcome::name)));
            seen.borrow_mut().extend(named);
        }
        Ok(())
    });
    outcome.unwrap();
    let missed: Vec<_> = USUAL
        .iter()
        .filter(|usual| !seen.borrow().contains(usual))
        .collect();
    assert!(missed.is_empty(), "not among the frames: {missed:?}");
}

/// What ten thousand such frames never fail to meet with.
const USUAL: &[(&str, &str)] = &[
    ("enters", ""),
    ("datagram", "vxlan"),
    ("datagram", "dropped"),
    ("network", "up"),
    ("network", "down"),
    ("network", "unknown"),
    ("sender", "peer"),
    ("sender", "new"),
    ("sender", "dropped"),
    ("reserved", "ignored"),
    ("reserved", "dropped"),
    ("frame", "dropped"),
    ("vlan", "kept"),
    ("vlan", "stripped"),
    ("vlan", "dropped"),
    ("congestion", "marked"),
    ("congestion", "unchanged"),
    ("congestion", "notIp"),
    ("congestion", "dropped"),
    ("guard", "allowed"),
    ("guard", "dropped"),
    ("size", "dropped"),
    ("addresses", "dropped"),
    ("learn", "known"),
    ("learn", "learned"),
    ("learn", "moved"),
    ("learn", "conflict"),
    ("learn", "full"),
    ("learn", "off"),
    ("lookup", "found"),
    ("lookup", "here"),
    ("lookup", "unknown"),
    ("lookup", "broadcast"),
    ("lookup", "multicast"),
    ("neighbor", "forwarded"),
    ("neighbor", "keptHere"),
    ("neighbor", "answered"),
    ("flood", "copies"),
    ("tooBig", "told"),
    ("tooBig", "untold"),
];
