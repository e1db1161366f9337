//! From records to blocks of pcapng.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::names::Names;
use super::record::{Form, PlaceKey, Record};
use super::session::Session;
use super::statistics::{Dropped, Statistics};
use super::words::{Phrases, Told};
use crate::counter::DropReason;
use crate::engine::topology::Topology;
use crate::switch::PortId;
use crate::wire::pcapng::{
    ByteOrder, Custom, Direction, EnhancedPacket, InterfaceDescription, InterfaceStatistics,
    LinkType, Resolution, SectionHeader,
};
use crate::wire::vxlan::UDP_PORT;

/// The section of one capture in the making.
pub(super) struct Scribe {
    session: Arc<Session>,
    names: Names,
    statistics: Statistics,
    interfaces: Vec<Interface>,
    /// By place and whether above Ethernet; an index into `interfaces`.
    known: HashMap<PlaceKey, usize>,
    phrases: Phrases,
    packet: Vec<u8>,
}

/// What the section says of an interface at its end.
struct Interface {
    name: String,
    written: u64,
    lost: u64,
    /// Frames that were dropped there, whether they were written or not.
    drops: BTreeMap<DropReason, u64>,
}

impl Scribe {
    /// Of a capture that begins now.
    pub(super) fn new(session: Arc<Session>, topology: &Arc<Topology>) -> Self {
        Self {
            statistics: Statistics::new(&session.selection, topology),
            session,
            names: Names::default(),
            interfaces: Vec::new(),
            known: HashMap::new(),
            phrases: Phrases::default(),
            packet: Vec::new(),
        }
    }

    /// What there is to see now.
    pub(super) fn look_at(&mut self, topology: &Arc<Topology>, out: &mut Vec<u8>) {
        let dropped = self.statistics.look_at(topology);
        self.count_dropped(dropped, out);
    }

    /// Begins the section.
    pub(super) fn begin(&self, topology: &Topology, out: &mut Vec<u8>) {
        let hints = decode_hints(topology);
        let hints: Vec<&str> = hints.iter().map(String::as_str).collect();
        SectionHeader {
            hardware: Some(std::env::consts::ARCH),
            os: Some(std::env::consts::OS),
            application: Some(concat!("vswitchd ", env!("CARGO_PKG_VERSION"))),
            comments: &hints,
        }
        .encode(ByteOrder::NATIVE, out);
    }

    /// Appends a packet, of which `kept` was kept, and its interface before it if it is the first there.
    pub(super) fn write(&mut self, record: &Record, kept: &[u8], out: &mut Vec<u8>) {
        let interface = self.interface(record.place_key(), out);
        self.interfaces[interface].written += 1;
        let told = Told {
            record,
            bytes: kept,
            names: &self.names,
        };
        let phrase = self.phrases.of(&told);
        self.packet.clear();
        let mut wire_len = record.len;
        if let Form::Datagram(envelope) = &record.form {
            envelope.emit(record.len as usize, kept, &mut self.packet);
            wire_len = wire_len.saturating_add(self.packet.len() as u32);
        }
        self.packet.extend_from_slice(kept);
        self.packet.truncate(self.session.snaplen as usize);
        EnhancedPacket {
            interface: interface as u32,
            time: record.at,
            wire_len,
            bytes: &self.packet,
            direction: Some(match record.is_outbound {
                true => Direction::Outbound,
                false => Direction::Inbound,
            }),
            packet_id: Some(record.mark.id),
            drop_count: None,
            comments: &[&phrase.comment],
            custom: &[Custom {
                enterprise: EXAMPLE_ENTERPRISE,
                text: &phrase.pairs,
            }],
        }
        .encode(ByteOrder::NATIVE, out);
    }

    /// The interface of a place, described to the reader when it is new.
    pub(super) fn interface(&mut self, key: PlaceKey, out: &mut Vec<u8>) -> usize {
        // Each time: a record may have been made since the last one at a port that has come meanwhile.
        if self.names.catch_up(&self.session.names()) {
            // A number may stand for another port now.
            self.known.clear();
            self.phrases.forget();
        }
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let (name, description) = self.described(key);
        let same = self.interfaces.iter().position(|i| i.name == name);
        let index = same.unwrap_or_else(|| {
            let filter = self.session.filter_text();
            InterfaceDescription {
                link_type: if key.1 {
                    LinkType::RawIp
                } else {
                    LinkType::Ethernet
                },
                snaplen: self.session.snaplen,
                resolution: Resolution::Nanos,
                name: Some(&name),
                description: Some(&description),
                filter,
                os: None,
                comments: &[],
            }
            .encode(ByteOrder::NATIVE, out);
            self.interfaces.push(Interface {
                name,
                written: 0,
                lost: 0,
                drops: BTreeMap::new(),
            });
            self.interfaces.len() - 1
        });
        self.known.insert(key, index);
        index
    }

    /// Whether the port is spoken of above Ethernet alone.
    fn is_outer_only(&self, port: Option<PortId>) -> bool {
        self.known.contains_key(&(port, true)) && !self.known.contains_key(&(port, false))
    }

    fn count_dropped(&mut self, all: Vec<Dropped>, out: &mut Vec<u8>) {
        for dropped in all {
            let port = dropped.port;
            let is_outer = port.is_none() || self.is_outer_only(port);
            let index = self.interface((port, is_outer), out);
            let drops = &mut self.interfaces[index].drops;
            *drops.entry(dropped.reason).or_default() += dropped.frames;
        }
    }

    /// Counts packets of a place that were lost.
    pub(super) fn lose(&mut self, key: PlaceKey, lost: u64, out: &mut Vec<u8>) {
        let index = self.interface(key, out);
        self.interfaces[index].lost += lost;
    }

    /// Ends the section: a block of statistics for each interface.
    pub(super) fn end(mut self, started: u64, now: u64, out: &mut Vec<u8>) {
        let dropped = self.statistics.rest();
        self.count_dropped(dropped, out);
        for (index, interface) in self.interfaces.iter().enumerate() {
            let drops = interface.drops.iter().map(|(reason, &count)| {
                let frames = if count == 1 { "frame" } else { "frames" };
                format!("{}: {count} {frames}", reason.name())
            });
            let drops: Vec<String> = drops.collect();
            let drops: Vec<&str> = drops.iter().map(String::as_str).collect();
            InterfaceStatistics {
                interface: index as u32,
                time: now,
                start: Some(started),
                end: Some(now),
                received: Some(interface.written + interface.lost),
                dropped: Some(interface.lost),
                comments: &drops,
            }
            .encode(ByteOrder::NATIVE, out);
        }
    }

    fn described(&self, (port, is_outer): PlaceKey) -> (String, String) {
        let Some(id) = port else {
            let description = "Datagrams that reached no tunnel of any network; their headers are made anew from what the sockets say";
            return ("underlay".into(), description.into());
        };
        let Some(name) = self.names.port(id) else {
            return (format!("#{}", id.get()), "A port that is no more".into());
        };
        let (network, port, vni) = (&name.network, &name.port, name.vni);
        match (name.is_tunnel, is_outer) {
            (false, _) => (
                format!("{network}/{port} (VNI {vni})"),
                format!("Port {port} of network {network}: frames into the switch and out of it"),
            ),
            (true, false) => (
                format!("{network}/{port} (VNI {vni})"),
                format!(
                    "Tunnel of network {network} to VTEP {port}: frames out of datagrams and into them"
                ),
            ),
            (true, true) => (
                format!("{network}/{port} outer (VNI {vni})"),
                format!(
                    "Tunnel of network {network} to VTEP {port}: datagrams; their headers are made anew from what the sockets say"
                ),
            ),
        }
    }
}

/// How to have datagrams on other UDP ports decoded.
fn decode_hints(topology: &Topology) -> Vec<String> {
    let ports = topology.networks.iter().map(|n| n.spec.udp_port);
    let mut ports: Vec<u16> = ports.filter(|&port| port != UDP_PORT).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
        .iter()
        .map(|port| format!("VXLAN on UDP port {port}: tshark -d udp.port=={port},vxlan"))
        .collect()
}

/// The number that RFC 5612 keeps for documentation: vswitchd has none of its own.
const EXAMPLE_ENTERPRISE: u32 = 32473;
