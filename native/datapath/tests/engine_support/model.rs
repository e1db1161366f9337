//! A switch as one would explain it on paper: one map per network, no batches, no workers, no counters but drops by name.
//! It judges the engine.

use super::desired::VTEP;
use super::frame::vxlan;
use datapath::config::{Desired, FdbTarget, NetworkSpec, PriorityTag, TunnelKey, VlanPolicy};
use datapath::wire::mac::MacAddr;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// Where a frame comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Port(String),
    Tunnel(TunnelKey),
    Local,
}

/// What the outside sees of a switch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames by port, in order.
    pub frames: BTreeMap<String, Vec<Vec<u8>>>,
    /// Datagrams, sorted.
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// Drops since the beginning, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Network, station, place; sorted.
    pub stations: Vec<(String, MacAddr, String)>,
}

/// The model. Networks are closed, never age, and ignore reserved bits.
#[derive(Default)]
pub struct Model {
    networks: Vec<Network>,
    frames: BTreeMap<String, Vec<Vec<u8>>>,
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    drops: BTreeMap<&'static str, u64>,
}

struct Network {
    spec: NetworkSpec,
    fdb: HashMap<MacAddr, Entry>,
}

#[derive(Clone)]
struct Entry {
    place: Place,
    learned: bool,
}

impl Model {
    pub fn apply(&mut self, desired: &Desired) {
        let mut old = std::mem::take(&mut self.networks);
        for spec in &desired.networks {
            let wire = (spec.vni, spec.udp_port);
            let same =
                |n: &Network| n.spec.name == spec.name && (n.spec.vni, n.spec.udp_port) == wire;
            let mut fdb = match old.iter().position(same) {
                Some(at) => old.swap_remove(at).fdb,
                None => HashMap::new(),
            };
            // Ports of the same name in another network are other ports.
            fdb.retain(|_, entry| entry.learned && is_there(spec, &entry.place));
            for entry in &spec.fdb {
                let place = match &entry.target {
                    FdbTarget::Port(name) => Place::Port(name.clone()),
                    FdbTarget::Tunnel(key) => Place::Tunnel(*key),
                    FdbTarget::Local => Place::Local,
                };
                if is_there(spec, &place) {
                    let learned = false;
                    fdb.insert(entry.mac, Entry { place, learned });
                }
            }
            let spec = spec.clone();
            self.networks.push(Network { spec, fdb });
        }
    }

    pub fn frame(&mut self, port: &str, frame: &[u8]) {
        let owns = |n: &Network| n.spec.ports.iter().any(|p| p.name == port);
        let network = self.networks.iter().position(owns).unwrap();
        if !self.networks[network].spec.up {
            return self.drop("rx.network_down");
        }
        self.enter(network, Place::Port(port.into()), frame);
    }

    pub fn datagram(&mut self, source: SocketAddr, udp_port: u16, payload: &[u8]) {
        if source.ip() == VTEP {
            return self.drop("rx.outer_src_self");
        }
        let Some((header, frame)) = payload.split_first_chunk::<8>() else {
            return self.drop("rx.too_short_vxlan");
        };
        if header[0] & 0x08 == 0 {
            return self.drop("rx.vxlan_no_i");
        }
        let vni = u32::from_be_bytes([0, header[4], header[5], header[6]]);
        let wire = |n: &Network| n.spec.vni.get() == vni && n.spec.udp_port == udp_port;
        let Some(network) = self.networks.iter().position(wire) else {
            return self.drop("rx.vni_unknown");
        };
        let spec = &self.networks[network].spec;
        if !spec.up {
            return self.drop("rx.vni_down");
        }
        let from = |t: &&datapath::config::TunnelSpec| t.key.remote.ip() == source.ip();
        let Some(tunnel) = spec.tunnels.iter().find(from) else {
            let on_this_socket = |n: &&Network| n.spec.udp_port == udp_port;
            let mut others = self.networks.iter().filter(on_this_socket);
            return match others.any(|n| n.spec.tunnels.iter().any(|t| from(&t))) {
                true => self.drop("rx.vtep_vni_denied"),
                false => self.drop("rx.vtep_unknown"),
            };
        };
        let place = Place::Tunnel(tunnel.key);
        self.enter(network, place, frame);
    }

    /// What the outside has seen since the last call.
    pub fn seen(&mut self) -> Seen {
        let mut stations: Vec<_> = self
            .networks
            .iter()
            .flat_map(|n| {
                let name = n.spec.name.clone();
                n.fdb
                    .iter()
                    .map(move |(&mac, e)| (name.clone(), mac, e.place.text()))
            })
            .collect();
        stations.sort();
        let mut datagrams = std::mem::take(&mut self.datagrams);
        datagrams.sort();
        Seen {
            frames: std::mem::take(&mut self.frames),
            datagrams,
            drops: self.drops.clone(),
            stations,
        }
    }

    fn drop(&mut self, reason: &'static str) {
        *self.drops.entry(reason).or_default() += 1;
    }

    fn enter(&mut self, network: usize, from: Place, frame: &[u8]) {
        let outcome = self.networks[network].decide(&from, frame);
        match outcome {
            Err(reason) => self.drop(reason),
            Ok((frame, places)) => {
                for place in places {
                    self.leave(network, place, &frame);
                }
            }
        }
    }

    fn leave(&mut self, network: usize, place: Place, frame: &[u8]) {
        let ports = &self.networks[network].spec.ports;
        match place {
            Place::Local => {}
            // Whatever is so long here is no IP.
            Place::Tunnel(_) if frame.len() > LONGEST => self.drop("tx.too_big_noicmp"),
            Place::Tunnel(key) => {
                let datagram = vxlan(key.vni.get(), frame);
                self.datagrams.push((key.remote, datagram));
            }
            Place::Port(name) => {
                let port = ports.iter().find(|p| p.name == name).unwrap();
                if frame.len() > link_header(frame) + port.mtu as usize {
                    return self.drop("tx.port_mtu");
                }
                self.frames.entry(name).or_default().push(frame.to_vec());
            }
        }
    }
}

impl Network {
    /// The frame as it goes on, and where; or why not.
    fn decide(
        &mut self,
        from: &Place,
        frame: &[u8],
    ) -> Result<(Vec<u8>, Vec<Place>), &'static str> {
        let frame = self.admit(frame)?;
        if let Place::Port(name) = from {
            let port = self.spec.ports.iter().find(|p| p.name == *name).unwrap();
            if frame.len() > link_header(&frame) + port.mtu as usize {
                return Err("rx.port_oversize");
            }
        }
        let [dst, src] = [0, 6].map(|at| MacAddr(frame[at..at + 6].try_into().unwrap()));
        if src.0[0] & 1 == 1 {
            return Err("rx.src_mac_mcast");
        }
        if src == MacAddr::ZERO {
            return Err("rx.src_mac_zero");
        }
        if dst == MacAddr::ZERO {
            return Err("rx.dst_mac_zero");
        }
        if let [0x01, 0x80, 0xc2, 0, 0, n @ 0..=15] = dst.0
            && (n < 3 || self.spec.rules.group_forward_mask >> n & 1 == 0)
        {
            return Err("rx.l2ctrl_filtered");
        }
        self.learn(src, from)?;
        if src == dst {
            return Err("rx.src_eq_dst");
        }
        let places = if dst.0[0] & 1 == 1 {
            self.flood(from, dst)?
        } else {
            self.forward(from, dst)?
        };
        Ok((frame, places))
    }

    fn admit(&self, frame: &[u8]) -> Result<Vec<u8>, &'static str> {
        if frame.len() < link_header(frame) {
            return Err("rx.too_short_inner");
        }
        if link_header(frame) == 14 {
            return Ok(frame.to_vec());
        }
        let vid = u16::from_be_bytes([frame[14], frame[15]]) & 0xfff;
        match (&self.spec.rules.vlan, self.spec.rules.priority_tag) {
            (VlanPolicy::Allow(vids), _) => {
                let allowed = vids.is_empty() || vids.iter().any(|r| r.contains(&vid));
                allowed
                    .then(|| frame.to_vec())
                    .ok_or("rx.inner_vlan_denied")
            }
            (VlanPolicy::Discard, PriorityTag::Strip) if vid == 0 => {
                Ok([&frame[..12], &frame[16..]].concat())
            }
            (VlanPolicy::Discard, PriorityTag::Drop) if vid == 0 => Err("rx.inner_prio_tag"),
            (VlanPolicy::Discard, _) => Err("rx.inner_vlan"),
        }
    }

    fn learn(&mut self, src: MacAddr, from: &Place) -> Result<(), &'static str> {
        let known = self.fdb.get(&src).cloned();
        if known.as_ref().is_some_and(|e| e.place == *from) {
            return Ok(());
        }
        let rules = &self.spec.rules;
        if !rules.learning {
            return match known {
                Some(_) if rules.strict_source => Err("rx.fdb_static_conflict"),
                _ => Ok(()),
            };
        }
        if known.as_ref().is_some_and(|e| !e.learned) {
            return Err("rx.fdb_static_conflict");
        }
        let learned = || self.fdb.values().filter(|e| e.learned);
        let behind = learned().filter(|e| e.place == *from).count();
        let port_full = match from {
            Place::Port(name) => {
                let port = self.spec.ports.iter().find(|p| p.name == *name);
                behind >= port.unwrap().max_macs as usize
            }
            Place::Tunnel(_) | Place::Local => false,
        };
        let network_full = learned().count() >= self.spec.fdb_limits.max_macs as usize;
        if !port_full && (known.is_some() || !network_full) {
            let (place, learned) = (from.clone(), true);
            self.fdb.insert(src, Entry { place, learned });
        }
        Ok(())
    }

    fn forward(&self, from: &Place, dst: MacAddr) -> Result<Vec<Place>, &'static str> {
        let Some(Entry { place, .. }) = self.fdb.get(&dst) else {
            if self.spec.rules.drop_unknown_unicast {
                return Err("tx.uu_suppressed");
            }
            return self.flood(from, dst);
        };
        match (from, place) {
            (Place::Tunnel(_), Place::Tunnel(_)) => Err("tx.split_horizon"),
            (Place::Port(a), Place::Port(b)) if a == b => {
                let port = self.spec.ports.iter().find(|p| p.name == *a).unwrap();
                let back = port.hairpin.then(|| vec![place.clone()]);
                back.ok_or("tx.hairpin")
            }
            _ => Ok(vec![place.clone()]),
        }
    }

    fn flood(&self, from: &Place, dst: MacAddr) -> Result<Vec<Place>, &'static str> {
        let multicast = dst.0[0] & 1 == 1;
        let ports = self.spec.ports.iter().filter(|p| match dst {
            MacAddr::BROADCAST => p.flood_broadcast,
            _ => multicast || p.flood_unknown,
        });
        let mut places: Vec<_> = ports.map(|p| Place::Port(p.name.clone())).collect();
        places.retain(|place| place != from);
        let tunnels = self.spec.tunnels.iter().filter(|t| t.flood);
        let mut tunnels: Vec<_> = tunnels.map(|t| Place::Tunnel(t.key)).collect();
        tunnels.retain(|place| place != from);
        if !matches!(from, Place::Tunnel(_)) {
            places.append(&mut tunnels);
        }
        if !places.is_empty() {
            return Ok(places);
        }
        Err(if tunnels.is_empty() {
            "tx.no_target"
        } else {
            "tx.split_horizon"
        })
    }
}

impl Place {
    /// As the engine's FDB is shown: port, VTEP with VNI, or `local`.
    pub fn text(&self) -> String {
        match self {
            Self::Port(name) => name.clone(),
            Self::Tunnel(key) => format!("{}/{}", key.remote, key.vni),
            Self::Local => "local".into(),
        }
    }
}

fn is_there(spec: &NetworkSpec, place: &Place) -> bool {
    match place {
        Place::Port(name) => spec.ports.iter().any(|p| p.name == *name),
        Place::Tunnel(key) => spec.tunnels.iter().any(|t| t.key == *key),
        Place::Local => true,
    }
}

/// What an underlay of 1500 bytes carries behind the headers of IPv4, UDP and VXLAN.
const LONGEST: usize = 1500 - 20 - 8 - 8;

/// Length of the Ethernet header with a tag, if the frame says that it has one.
fn link_header(frame: &[u8]) -> usize {
    match frame.get(12..14) {
        Some([0x81, 0x00] | [0x88, 0xa8]) => 18,
        _ => 14,
    }
}
