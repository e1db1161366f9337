//! Desired state -> a new picture. Everything that can fail is opened here, before anything running is touched; what is
//! unchanged is carried over: descriptors, numbers, counters, FDB.

pub(super) mod entries;
mod report;
mod sockets;
pub(super) mod taps;

pub use report::ApplyReport;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::handover::Shelf;
use super::history::{Diary, History};
use super::keeper::LearnedVteps;
use super::topology::{MemoryPort, Network, Port, PortIo, Topology, per_worker, vteps_of};
use crate::config::{
    Desired, NetworkSpec, PacketPort, PortKind, PortSpec, TapPort, TunnelKey, TunnelSpec,
};
use crate::error::{Error, ErrorCode};
use crate::io::packet::{PacketInterface, PacketSpec};
use crate::io::tap::{Mark, Tap, TapSpec, remove};
use crate::io::underlay::{has_recvmmsg, has_sendmmsg};
use crate::switch::{Bridge, Fdb, Guard, Member, Neighbors, PortId};
use crate::wire::mac::MacAddr;

/// The state that an apply starts from.
pub(super) struct Previous<'a> {
    pub(super) desired: &'a Desired,
    pub(super) topology: &'a Topology,
}

/// What goes on from one apply to the next.
pub(super) struct Carried<'a> {
    pub(super) previous: Option<Previous<'a>>,
    pub(super) learned: &'a LearnedVteps,
    pub(super) workers: usize,
    pub(super) history: &'a Arc<History>,
    pub(super) shelf: &'a Shelf,
}

/// The numbers given to ports, so that none is used again soon: the FDB may still name a port that has just gone.
#[derive(Default)]
pub(super) struct PortIds {
    next: u16,
}

impl PortIds {
    /// A number that is not taken, for one of about `wanted` ports.
    pub(super) fn fresh(&mut self, wanted: usize, taken: impl Fn(PortId) -> bool) -> PortId {
        let span = (wanted * ID_SPAN_FACTOR).clamp(MIN_ID_SPAN, usize::from(u16::MAX)) as u16;
        let start = self.next % span;
        let id = (0..PortId::LOCAL.get())
            .map(|i| PortId::new(start.wrapping_add(i) % PortId::LOCAL.get()))
            .find(|&id| !taken(id))
            .unwrap_or(PortId::new(start));
        self.next = id.get().wrapping_add(1);
        id
    }
}

/// What [`build`] made.
pub(super) struct Built {
    pub(super) topology: Topology,
    pub(super) report: ApplyReport,
    /// Facilities that were asked for and are done without.
    pub(super) refused: Vec<Error>,
}

/// Builds a topology for `desired`. On an error nothing that runs has changed and nothing made on the way is left.
pub(super) fn build(
    desired: &Desired,
    carried: Carried<'_>,
    ids: &mut PortIds,
) -> Result<Built, Error> {
    check(desired)?;
    let mut builder = Builder {
        desired,
        carried,
        ids,
        ports: Vec::new(),
        made: Vec::new(),
        changed_taps: Vec::new(),
        refused: Vec::new(),
    };
    let before = builder.carried.previous.as_ref().map(|p| p.desired);
    match builder.build() {
        Ok(topology) => Ok(Built {
            topology,
            report: ApplyReport::between(before, desired),
            refused: builder.refused,
        }),
        Err(error) => {
            builder.undo();
            Err(error)
        }
    }
}

/// What the control plane should have refused already.
fn check(desired: &Desired) -> Result<(), Error> {
    let bad = |subject: String, detail: &str| {
        Err(Error::new(ErrorCode::BadValue, subject).with_detail(detail))
    };
    let (mut names, mut vnis, mut ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    let group = desired.networks.iter().find_map(|n| n.group.as_ref());
    for network in &desired.networks {
        let subject = || format!("network {}", network.name);
        if !names.insert(&network.name) {
            return bad(subject(), "this name is used twice");
        }
        if !vnis.insert((network.udp_port, network.vni)) {
            return bad(subject(), "its VNI and UDP port are used twice");
        }
        if let (Some(group), Some(first)) = (&network.group, group)
            && (&group.interface, group.ttl) != (&first.interface, first.ttl)
        {
            return bad(
                subject(),
                "all multicast groups share one interface and one TTL",
            );
        }
        if let Some(port) = network.ports.iter().find(|p| !ports.insert(&p.name)) {
            return bad(format!("port {}", port.name), "this name is used twice");
        }
        if let Some(port) = network.ports.iter().find(|p| taps::is_nowhere(&p.kind)) {
            let detail = "it has a sandbox, so it begins in our own namespace";
            return bad(format!("port {}", port.name), detail);
        }
        let foreign = |t: &&TunnelSpec| t.key.remote.is_ipv4() != desired.vtep.address.is_ipv4();
        if let Some(tunnel) = network.tunnels.iter().find(foreign) {
            return bad(
                tunnel.key.remote.to_string(),
                "the VTEP is of the other address family",
            );
        }
        let mut tunnels = HashSet::new();
        if let Some(tunnel) = network.tunnels.iter().find(|t| !tunnels.insert(t.key)) {
            return bad(
                tunnel.key.remote.to_string(),
                "the VTEP is a peer twice, so it would get every flood twice",
            );
        }
    }
    Ok(())
}

struct Builder<'a> {
    desired: &'a Desired,
    carried: Carried<'a>,
    ids: &'a mut PortIds,
    ports: Vec<Option<Port>>,
    /// TAP devices that this apply created.
    made: Vec<Arc<Tap>>,
    /// TAPs that this apply reconfigured, with what they should be and what they were.
    changed_taps: Vec<(Arc<Tap>, TapSpec, TapSpec)>,
    /// What was asked for and is done without.
    refused: Vec<Error>,
}

/// A TAP that is carried over but should be different.
struct Stale {
    tap: Arc<Tap>,
    new: TapSpec,
    old: TapSpec,
}

impl Builder<'_> {
    fn build(&mut self) -> Result<Topology, Error> {
        let desired = self.desired;
        let old = self.carried.previous.as_ref().map(|p| &p.topology.underlay);
        let underlay = sockets::open(desired, old, self.carried.workers, &mut |error| {
            self.refused.push(error);
        })?;
        let mut networks = Vec::new();
        let mut reconfigure = Vec::new();
        for (index, spec) in desired.networks.iter().enumerate() {
            let mut members = Vec::new();
            for port in &spec.ports {
                let (port, stale) = self.open_port(index, spec, port)?;
                reconfigure.extend(stale);
                members.push(self.place(port));
            }
            let mut tunnels = HashMap::new();
            for tunnel in self.tunnels_of(spec) {
                let port = self.tunnel(index, spec, tunnel);
                let remote = tunnel.key.remote.ip();
                // A VTEP may be listed with more than one UDP port or VNI, but its datagrams do not say which of them
                // they belong to: those like everybody's are the best guess, and where answers should go.
                let is_usual =
                    (tunnel.key.remote.port(), tunnel.key.vni) == (spec.udp_port, spec.vni);
                if is_usual || !tunnels.contains_key(&remote) {
                    tunnels.insert(remote, port.id);
                }
                members.push(self.place(port));
            }
            networks.push(self.network(spec, members, tunnels));
        }
        // Last, because unlike an open it touches what runs.
        for Stale { tap, new, old } in reconfigure {
            self.changed_taps
                .push((tap.clone(), new.clone(), old.clone()));
            tap.reconfigure(&old, &new)?;
        }
        sockets::choose_multicast(desired, &underlay)?;
        let vnis = desired.networks.iter().enumerate();
        Ok(Topology {
            vtep: desired.vtep.clone(),
            underlay,
            underlay_mtu: desired.underlay_mtu,
            vnis: vnis.map(|(i, n)| ((n.udp_port, n.vni), i)).collect(),
            vteps: vteps_of(&networks),
            networks,
            ports: std::mem::take(&mut self.ports),
            counters: match &self.carried.previous {
                Some(previous) => previous.topology.counters.clone(),
                None => per_worker(self.carried.workers),
            },
            retired: match &self.carried.previous {
                Some(previous) => previous.topology.retired.clone(),
                None => Arc::default(),
            },
        })
    }

    fn network(
        &self,
        spec: &NetworkSpec,
        members: Vec<Member>,
        tunnels: HashMap<IpAddr, PortId>,
    ) -> Network {
        let old = self.old_network(&spec.name);
        let name = old.map_or_else(|| spec.name.as_str().into(), |n| n.name.clone());
        let new_fdb = || {
            Fdb::new(spec.fdb_limits).told_to(Arc::new(Diary {
                network: Arc::clone(&name),
                history: self.carried.history.clone(),
            }))
        };
        let fdb = match old {
            // Another VNI is another network, whatever its name: its stations are to be learned anew.
            Some(n) if (n.spec.vni, n.spec.udp_port) == (spec.vni, spec.udp_port) => {
                n.bridge.fdb().clone()
            }
            Some(n) => Arc::new(new_fdb().counting_from(n.bridge.fdb().stats())),
            None => Arc::new(new_fdb()),
        };
        let neighbors = match old {
            Some(n) if n.spec.neighbors == spec.neighbors => n.neighbors.clone(),
            _ if spec.neighbors.is_empty() => None,
            _ => Some(Arc::new(Neighbors::new(&spec.neighbors))),
        };
        Network {
            name,
            neighbors,
            bridge: Bridge::new(spec.rules.clone(), members, fdb),
            tunnels,
            learned_vteps: self.carried.learned.of(spec).len(),
            counters: old.map_or_else(|| per_worker(self.carried.workers), |n| n.counters.clone()),
            retired: old.map_or_else(Arc::default, |n| n.retired.clone()),
            spec: Arc::new(spec.clone()),
        }
    }

    fn place(&mut self, port: Port) -> Member {
        let index = usize::from(port.id.get());
        if self.ports.len() <= index {
            self.ports.resize_with(index + 1, || None);
        }
        let member = port.member.clone();
        self.ports[index] = Some(port);
        member
    }

    /// A port, carried over or opened, and, if its TAP is carried over but should be different, how.
    fn open_port(
        &mut self,
        network: usize,
        owner: &NetworkSpec,
        spec: &PortSpec,
    ) -> Result<(Port, Option<Stale>), Error> {
        let old = self.old_port(owner, |p| *p.name == *spec.name && same_place(&p.io, spec));
        let mut stale = None;
        let io = match (&spec.kind, self.still_open(spec)) {
            (PortKind::Tap(place), Some(PortIo::Tap { tap, spec: was })) => {
                if let PortKind::Tap(old_place) = &was.kind
                    && (old_place != place || was.mtu != spec.mtu)
                {
                    let (new, old) = (self.tap_spec(spec, place), self.tap_spec(&was, old_place));
                    stale = Some(Stale {
                        tap: tap.clone(),
                        new,
                        old,
                    });
                }
                PortIo::Tap {
                    tap,
                    spec: spec.clone(),
                }
            }
            (PortKind::Tap(place), _) => {
                let wanted = self.tap_spec(spec, place);
                let opened = match &place.handover {
                    Some(ticket) => self.carried.shelf.tap(ticket, &wanted),
                    None => Tap::open(&wanted),
                };
                let tap = Arc::new(opened.map_err(|e| e.about(format!("port {}", spec.name)))?);
                if !tap.reattached {
                    self.made.push(tap.clone());
                }
                PortIo::Tap {
                    tap,
                    spec: spec.clone(),
                }
            }
            (PortKind::Packet(_), Some(PortIo::Packet { interface, .. })) => PortIo::Packet {
                interface,
                spec: spec.clone(),
            },
            (PortKind::Packet(place), _) => PortIo::Packet {
                interface: Arc::new(self.packet_interface(spec, place)?),
                spec: spec.clone(),
            },
            (PortKind::Memory, Some(PortIo::Memory { queue, .. })) => PortIo::Memory {
                queue,
                spec: spec.clone(),
            },
            (PortKind::Memory, _) => PortIo::Memory {
                queue: Arc::new(MemoryPort::new(MEMORY_FRAMES)?),
                spec: spec.clone(),
            },
        };
        self.refuse_twice(spec, &io)?;
        let mac = match (&io, &spec.kind) {
            (PortIo::Tap { .. }, PortKind::Tap(TapPort { mac: Some(mac), .. })) => Some(*mac),
            (PortIo::Tap { tap, .. }, _) => Some(MacAddr(tap.mac())),
            _ => None,
        };
        let id = old.as_ref().map_or_else(|| self.fresh_id(), |p| p.id);
        let member = Member {
            id,
            split_group: None,
            flood_unknown: spec.flood_unknown,
            flood_broadcast: spec.flood_broadcast,
            flood_multicast: true,
            hairpin: spec.hairpin,
            max_macs: spec.max_macs,
            mac,
        };
        let mut port = self.port(old, network, spec.name.clone(), member, io);
        port.guard = spec.guard.as_ref().map(|guard| Arc::new(Guard::new(guard)));
        Ok((port, stale))
    }

    fn tunnel(&mut self, network: usize, owner: &NetworkSpec, spec: TunnelSpec) -> Port {
        let key = spec.key;
        let old = self.old_port(owner, |p| matches!(&p.io, PortIo::Tunnel(k) if *k == key));
        let id = old.as_ref().map_or_else(|| self.fresh_id(), |p| p.id);
        let mut port = tunnel_port(owner, spec, (id, network), self.carried.workers);
        if let Some(old) = old {
            port.counters = old.counters;
            port.health = old.health;
        }
        port
    }

    fn port(
        &self,
        old: Option<Port>,
        network: usize,
        name: String,
        member: Member,
        io: PortIo,
    ) -> Port {
        let (counters, health) = match old {
            Some(port) => (port.counters, port.health),
            None => (per_worker(self.carried.workers), Arc::default()),
        };
        Port {
            id: member.id,
            name: name.into(),
            network,
            member,
            io,
            guard: None,
            counters,
            health,
        }
    }

    /// The previous port of the same network (by name and wire identity) that `is` the one.
    fn old_port(&self, owner: &NetworkSpec, is: impl Fn(&Port) -> bool) -> Option<Port> {
        let topology = self.carried.previous.as_ref()?.topology;
        let found = topology.present_ports().find(|p| {
            let spec = &topology.networks[p.network].spec;
            spec.name == owner.name
                && (spec.vni, spec.udp_port) == (owner.vni, owner.udp_port)
                && !p.health.is_gone()
                && is(p)
        });
        found.cloned()
    }

    /// What is behind the previous port of that name, in whatever network, if it is the same thing and still there.
    fn still_open(&self, spec: &PortSpec) -> Option<PortIo> {
        let topology = self.carried.previous.as_ref()?.topology;
        let same =
            |p: &&Port| *p.name == *spec.name && !p.health.is_gone() && same_place(&p.io, spec);
        topology.present_ports().find(same).map(|p| p.io.clone())
    }

    fn old_network(&self, name: &str) -> Option<&Network> {
        self.carried
            .previous
            .as_ref()?
            .topology
            .networks
            .iter()
            .find(|n| n.spec.name == name)
    }

    /// The network's tunnels: configured, learned, and its multicast group, which is a tunnel to flood to.
    fn tunnels_of(&self, spec: &NetworkSpec) -> Vec<TunnelSpec> {
        let group = spec.group.as_ref().map(|g| TunnelSpec {
            key: TunnelKey {
                remote: SocketAddr::new(g.address, spec.udp_port),
                vni: spec.vni,
            },
            flood: true,
        });
        let mut tunnels: Vec<_> = spec.tunnels.iter().copied().chain(group).collect();
        for key in self.carried.learned.of(spec) {
            if tunnels.iter().all(|t| t.key.remote.ip() != key.remote.ip()) {
                tunnels.push(TunnelSpec { key, flood: false });
            }
        }
        tunnels
    }

    fn fresh_id(&mut self) -> PortId {
        let taken = |id: PortId| {
            let at =
                |ports: &[Option<Port>]| matches!(ports.get(usize::from(id.get())), Some(Some(_)));
            at(&self.ports)
                || self
                    .carried
                    .previous
                    .as_ref()
                    .is_some_and(|p| at(&p.topology.ports))
        };
        let networks = &self.desired.networks;
        let wanted = networks
            .iter()
            .map(|n| n.ports.len() + n.tunnels.len())
            .sum();
        self.ids.fresh(wanted, taken)
    }

    fn tap_spec(&self, spec: &PortSpec, place: &TapPort) -> TapSpec {
        let engine = &self.desired.engine;
        taps::spec(engine, self.carried.workers, &spec.name, spec.mtu, place)
    }

    fn packet_interface(
        &self,
        spec: &PortSpec,
        place: &PacketPort,
    ) -> Result<PacketInterface, Error> {
        let features = self.desired.engine.features;
        let wanted = PacketSpec {
            netns: place.netns.clone(),
            ifname: place.ifname.clone(),
            vnet_hdr: features.vnet_hdr,
            recvmmsg: features.recvmmsg && has_recvmmsg(),
            sendmmsg: features.sendmmsg && has_sendmmsg(),
            vtep: self.desired.vtep.address,
        };
        PacketInterface::open(&wanted).map_err(|e| e.within(format!("port {}", spec.name)))
    }

    /// Refuses a packet port on the interface of another; names do not tell, for a namespace has many.
    fn refuse_twice(&self, spec: &PortSpec, io: &PortIo) -> Result<(), Error> {
        let PortIo::Packet { interface, .. } = io else {
            return Ok(());
        };
        let taken = self.ports.iter().flatten().find(|port| {
            matches!(&port.io, PortIo::Packet { interface: other, .. } if other.is_same(interface))
        });
        match taken {
            None => Ok(()),
            Some(port) => Err(
                Error::new(ErrorCode::InterfaceUnfit, format!("port {}", spec.name))
                    .with_detail(format!("it is the interface of port {}", port.name)),
            ),
        }
    }

    /// Takes back what this apply has done to the outside.
    fn undo(&mut self) {
        for (tap, new, old) in self.changed_taps.drain(..) {
            // Best effort: the error that led here is the one to report.
            let _ = tap.reconfigure(&new, &old);
        }
        self.ports.clear();
        for tap in self.made.drain(..) {
            let spec = tap.spec();
            if let Some(mark) = Mark::parse(&spec.alias) {
                let _ = remove(spec.netns.as_deref(), &spec.ifname, mark);
            }
        }
    }
}

fn same_place(io: &PortIo, spec: &PortSpec) -> bool {
    match (io, &spec.kind) {
        (PortIo::Tap { spec: was, .. }, PortKind::Tap(place)) => matches!(
            &was.kind,
            PortKind::Tap(old) if taps::is_same(old, place)
        ),
        (PortIo::Packet { spec: was, .. }, PortKind::Packet(_)) => was.kind == spec.kind,
        (PortIo::Memory { .. }, PortKind::Memory) => true,
        _ => false,
    }
}

/// A tunnel that has just been made.
pub(super) fn tunnel_port(
    owner: &NetworkSpec,
    spec: TunnelSpec,
    (id, network): (PortId, usize),
    workers: usize,
) -> Port {
    Port {
        id,
        name: tunnel_name(owner, spec.key).into(),
        network,
        member: Member {
            id,
            split_group: Some(TUNNELS),
            flood_unknown: spec.flood,
            flood_broadcast: spec.flood,
            flood_multicast: spec.flood,
            hairpin: false,
            max_macs: u32::MAX,
            mac: None,
        },
        io: PortIo::Tunnel(spec.key),
        guard: None,
        counters: per_worker(workers),
        health: Arc::default(),
    }
}

fn tunnel_name(owner: &NetworkSpec, key: TunnelKey) -> String {
    if key.vni == owner.vni {
        key.remote.to_string()
    } else {
        format!("{}/{}", key.remote, key.vni.get())
    }
}

/// Split-horizon group of all tunnels of a network.
const TUNNELS: u8 = 1;
const MEMORY_FRAMES: usize = 65_536;
/// Numbers go round in a space some times larger than the number of ports, so that the port table stays small.
const ID_SPAN_FACTOR: usize = 4;
const MIN_ID_SPAN: usize = 256;
