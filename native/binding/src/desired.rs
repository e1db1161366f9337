//! Desired state as JavaScript writes it, and its conversion to the datapath's own types. A value that does not fit is
//! `BAD_VALUE` with its place: the control plane should have refused it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use datapath::config as own;
use datapath::error::{Error, ErrorCode};
use datapath::wire::vxlan::Vni;
use napi_derive::napi;

/// Everything that this host's datapath should be.
#[napi(object)]
pub struct DesiredState {
    pub vtep: VtepSpec,
    pub engine: EngineSpec,
    /// Largest IP packet that the underlay carries, bytes, where the kernel knows no better for a VTEP.
    pub underlay_mtu: u32,
    pub networks: Vec<NetworkSpec>,
}

/// Our own tunnel end point. Fixed after the first apply: a change is refused with VTEP_CHANGED.
#[napi(object)]
pub struct VtepSpec {
    /// IPv4 or IPv6; bound, and always the outer source.
    pub address: String,
    /// Interface of a link-local IPv6 address.
    pub scope_interface: Option<String>,
    /// Outer TTL or hop limit; absent = copied from the inner packet.
    pub ttl: Option<u32>,
    /// Outer type of service or traffic class, of which the upper six bits count; absent = those of the inner packet.
    pub tos: Option<u32>,
    /// Outer ECN: of the inner packet, none, or of the inner packet with ECT(0) for CE.
    #[napi(ts_type = "'normal' | 'compat' | 'linux'")]
    pub ecn: String,
    /// May be false on an IPv4 underlay only.
    pub udp_checksum: bool,
    /// Datagrams larger than the path are left to be fragmented, which RFC 7348 section 4.3 forbids.
    pub allow_outer_fragmentation: bool,
    /// The pool of sockets whose ports carry the flows.
    pub source_ports: SourcePorts,
    /// Both directions of a flow choose the same source port.
    pub symmetric_hash: bool,
    /// The underlay is kept in memory (tests): no socket is opened.
    pub memory: bool,
}

/// Range and size of the pool of source ports.
#[napi(object)]
pub struct SourcePorts {
    pub min: u32,
    pub max: u32,
    pub pool: u32,
}

/// How the engine runs; honoured at the first apply. Features: false = forced off, true = used where probed.
#[napi(object)]
pub struct EngineSpec {
    /// Marks the TAPs that we make (interface alias `vswitchd <owner> <port>`).
    pub owner: String,
    /// 0 = auto.
    pub workers: u32,
    pub udp_gso: bool,
    pub udp_gro: bool,
    pub vnet_hdr: bool,
    pub multi_queue: bool,
    pub recvmmsg: bool,
    pub sendmmsg: bool,
    /// Stay awake for a moment after work, as long as that pays.
    pub spin: bool,
    /// By which way datagrams cross the kernel; where it cannot be, by sockets.
    #[napi(ts_type = "'udp' | 'ring' | 'tunnel-gso'")]
    pub underlay: String,
}

/// One network's part on this host.
#[napi(object)]
pub struct NetworkSpec {
    pub name: String,
    pub vni: u32,
    pub udp_port: u32,
    pub up: bool,
    /// Lower the MSS in TCP SYNs that leave through a tunnel to what the tunnel takes.
    pub mss_clamp: bool,
    pub learning: bool,
    /// 0 = never.
    pub ageing_secs: u32,
    pub max_macs: u32,
    pub evict_oldest: bool,
    /// Learning off and an entry elsewhere: drop.
    pub strict_source: bool,
    pub drop_unknown_unicast: bool,
    #[napi(ts_type = "'ignore' | 'drop'")]
    pub reserved_bits: String,
    /// 16 hex digits over the 8 header bytes: bits tolerated although `drop`.
    pub reserved_bits_mask: String,
    #[napi(ts_type = "'discard' | 'allow'")]
    pub inner_vlan: String,
    /// Empty with `allow` = all.
    pub inner_vlans: Vec<VlanRange>,
    #[napi(ts_type = "'strip' | 'drop'")]
    pub priority_tag: String,
    /// Bit n opens 01:80:c2:00:00:0n.
    pub group_forward_mask: u32,
    /// Outer type of service of frames with a VLAN tag, by its PCP, at most one of each; the VTEP's for all others.
    pub pcp_tos: Vec<PcpTos>,
    /// Any VTEP may send to us: tunnels appear on the first valid datagram, bounded.
    pub open_peers: bool,
    /// Multicast underlay.
    pub group: Option<GroupSpec>,
    pub ports: Vec<PortSpec>,
    pub tunnels: Vec<TunnelSpec>,
    pub fdb: Vec<FdbSpec>,
    /// Who has which address, each address once; ARP and ND about those elsewhere are answered. Empty = ARP and ND are
    /// left alone.
    pub neighbors: Vec<NeighborSpec>,
}

/// VLAN IDs, both ends included.
#[napi(object)]
pub struct VlanRange {
    pub first: u32,
    pub last: u32,
}

/// A type of service for a PCP.
#[napi(object)]
pub struct PcpTos {
    /// 0-7.
    pub pcp: u32,
    pub tos: u32,
}

/// A multicast group of the underlay.
#[napi(object)]
pub struct GroupSpec {
    pub address: String,
    pub interface: String,
    pub ttl: u32,
}

/// A place where a container attaches.
#[napi(object)]
pub struct PortSpec {
    /// Unique in the whole daemon.
    pub name: String,
    #[napi(ts_type = "'tap' | 'packet' | 'memory'")]
    pub kind: String,
    /// Path such as /run/netns/c1 or /proc/123/ns/net; absent = our own.
    pub netns: Option<String>,
    /// TAP and packet.
    pub ifname: Option<String>,
    pub mac: Option<String>,
    pub mtu: u32,
    /// CIDR.
    pub addresses: Vec<String>,
    pub flood_unknown: bool,
    pub flood_broadcast: bool,
    pub hairpin: bool,
    pub max_macs: u32,
    /// What may be sent from it; absent = anything.
    pub guard: Option<GuardSpec>,
    /// TAP only: path of the network namespace to which somebody else moves it. It is made by `makeTap`, and apply
    /// adopts it by its mark, there or in our own; name, MAC and addresses are theirs to change.
    pub sandbox: Option<String>,
    /// TAP only: ticket under which it was handed over. It is inside a container, where name, MAC, MTU and addresses
    /// are for the one who handed it over to set; apply only takes its descriptors.
    pub handover: Option<String>,
}

/// Whose frames may enter at a port.
#[napi(object)]
pub struct GuardSpec {
    pub macs: Vec<String>,
    /// Without prefix length; the link-local addresses of the MACs are allowed beside them.
    pub addresses: Vec<String>,
}

/// The TAP of a port with a sandbox.
#[napi(object)]
pub struct NewTap {
    pub port: String,
    pub ifname: String,
    pub mac: String,
    pub mtu: u32,
}

/// A remote VTEP; address, UDP port and VNI are its identity.
#[napi(object)]
pub struct TunnelSpec {
    pub remote: String,
    pub udp_port: u32,
    pub vni: u32,
    /// Gets broadcast, unknown unicast and multicast.
    pub flood: bool,
}

/// An FDB entry made by configuration or control plane.
#[napi(object)]
pub struct FdbSpec {
    pub mac: String,
    #[napi(ts_type = "'static' | 'control'")]
    pub origin: String,
    pub to: FdbTarget,
}

/// Exactly one is set; `local: true` = consumed by this host.
#[napi(object)]
pub struct FdbTarget {
    pub port: Option<String>,
    pub tunnel: Option<TunnelRef>,
    pub local: Option<bool>,
}

/// A tunnel by its identity.
#[napi(object)]
pub struct TunnelRef {
    pub remote: String,
    pub udp_port: u32,
    pub vni: u32,
}

/// What the control plane knows of one address of a network.
#[napi(object)]
pub struct NeighborSpec {
    pub ip: String,
    pub mac: String,
    /// Where its owner is: behind a local port (never answered for), or elsewhere.
    pub local: bool,
    /// live: answered. stale: forwarded (arp.stale). dead: its host is gone, forwarded (arp.owner_dead).
    #[napi(ts_type = "'live' | 'stale' | 'dead'")]
    pub state: String,
    /// R flag of neighbor advertisements.
    pub router: bool,
}

fn underlay(name: &str) -> Result<own::UnderlayPath, Error> {
    use own::UnderlayPath::{Ring, TunnelGso, Udp};
    [Udp, Ring, TunnelGso]
        .into_iter()
        .find(|path| path.name() == name)
        .ok_or_else(|| bad("datapath underlay", name))
}

impl DesiredState {
    pub(crate) fn convert(self) -> Result<own::Desired, Error> {
        let engine = self.engine;
        Ok(own::Desired {
            vtep: self.vtep.convert()?,
            underlay_mtu: self.underlay_mtu,
            engine: own::EngineSpec {
                owner: engine.owner,
                workers: engine.workers as usize,
                features: own::Features {
                    udp_gso: engine.udp_gso,
                    udp_gro: engine.udp_gro,
                    vnet_hdr: engine.vnet_hdr,
                    multi_queue: engine.multi_queue,
                    recvmmsg: engine.recvmmsg,
                    sendmmsg: engine.sendmmsg,
                },
                spin: engine.spin,
                underlay: underlay(&engine.underlay)?,
            },
            networks: self
                .networks
                .into_iter()
                .map(NetworkSpec::convert)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl VtepSpec {
    fn convert(self) -> Result<own::VtepSpec, Error> {
        let ports = self.source_ports;
        Ok(own::VtepSpec {
            address: parse(&self.address, "vtep address")?,
            scope_interface: self.scope_interface,
            ttl: self.ttl.map(|ttl| fit(ttl, "vtep ttl")).transpose()?,
            tos: self.tos.map(|tos| fit(tos, "vtep tos")).transpose()?,
            ecn: match self.ecn.as_str() {
                "normal" => own::EcnMode::Normal,
                "compat" => own::EcnMode::Compat,
                "linux" => own::EcnMode::Linux,
                other => return Err(bad("vtep ecn", other)),
            },
            udp_checksum: self.udp_checksum,
            allow_outer_fragmentation: self.allow_outer_fragmentation,
            source_ports: fit(ports.min, "source port")?..=fit(ports.max, "source port")?,
            source_port_pool: ports.pool as usize,
            symmetric_hash: self.symmetric_hash,
            memory: self.memory,
        })
    }
}

impl NetworkSpec {
    fn convert(self) -> Result<own::NetworkSpec, Error> {
        let place = format!("network {}", self.name);
        let reserved_bits = match self.reserved_bits.as_str() {
            "ignore" => own::ReservedBits::Ignore,
            "drop" => own::ReservedBits::DropExcept(
                u64::from_str_radix(&self.reserved_bits_mask, 16)
                    .map_err(|_| bad(&place, &self.reserved_bits_mask))?,
            ),
            other => return Err(bad(&place, other)),
        };
        let vlan = match self.inner_vlan.as_str() {
            "discard" => own::VlanPolicy::Discard,
            "allow" => own::VlanPolicy::Allow(
                self.inner_vlans
                    .iter()
                    .map(|range| Ok(fit(range.first, &place)?..=fit(range.last, &place)?))
                    .collect::<Result<_, Error>>()?,
            ),
            other => return Err(bad(&place, other)),
        };
        let priority_tag = match self.priority_tag.as_str() {
            "strip" => own::PriorityTag::Strip,
            "drop" => own::PriorityTag::Drop,
            other => return Err(bad(&place, other)),
        };
        let mut pcp_tos = [None; 8];
        for PcpTos { pcp, tos } in self.pcp_tos {
            let entry = pcp_tos.get_mut(pcp as usize);
            *entry.ok_or_else(|| bad(&place, &pcp.to_string()))? = Some(fit(tos, &place)?);
        }
        let group = self.group.map(|group| {
            Ok::<_, Error>(own::GroupSpec {
                address: parse(&group.address, &place)?,
                interface: group.interface,
                ttl: fit(group.ttl, &place)?,
            })
        });
        Ok(own::NetworkSpec {
            vni: vni(self.vni, &place)?,
            udp_port: fit(self.udp_port, &place)?,
            up: self.up,
            mss_clamp: self.mss_clamp,
            rules: own::BridgeRules {
                learning: self.learning,
                strict_source: self.strict_source,
                drop_unknown_unicast: self.drop_unknown_unicast,
                vlan,
                priority_tag,
                group_forward_mask: fit(self.group_forward_mask, &place)?,
            },
            fdb_limits: own::FdbLimits {
                max_macs: self.max_macs,
                evict_oldest: self.evict_oldest,
                ageing_secs: self.ageing_secs,
            },
            reserved_bits,
            pcp_tos,
            open_peers: self.open_peers,
            group: group.transpose()?,
            ports: self
                .ports
                .into_iter()
                .map(PortSpec::convert)
                .collect::<Result<_, _>>()?,
            tunnels: self
                .tunnels
                .into_iter()
                .map(|t| {
                    let key = TunnelRef {
                        remote: t.remote,
                        udp_port: t.udp_port,
                        vni: t.vni,
                    };
                    Ok(own::TunnelSpec {
                        key: key.convert(&place)?,
                        flood: t.flood,
                    })
                })
                .collect::<Result<_, Error>>()?,
            fdb: self
                .fdb
                .into_iter()
                .map(|f| f.convert(&place))
                .collect::<Result<_, _>>()?,
            neighbors: self
                .neighbors
                .into_iter()
                .map(|n| n.convert(&place))
                .collect::<Result<_, _>>()?,
            name: self.name,
        })
    }
}

impl PortSpec {
    fn convert(self) -> Result<own::PortSpec, Error> {
        let place = format!("port {}", self.name);
        let kind = match self.kind.as_str() {
            "memory" => own::PortKind::Memory,
            "packet" => own::PortKind::Packet(own::PacketPort {
                netns: self.netns.map(PathBuf::from),
                ifname: self.ifname.ok_or_else(|| bad(&place, "no ifname"))?,
            }),
            "tap" => own::PortKind::Tap(own::TapPort {
                netns: self.netns.map(PathBuf::from),
                ifname: self.ifname.ok_or_else(|| bad(&place, "no ifname"))?,
                mac: self.mac.map(|mac| parse(&mac, &place)).transpose()?,
                addresses: self
                    .addresses
                    .iter()
                    .map(|cidr| cidr_of(cidr, &place))
                    .collect::<Result<_, _>>()?,
                sandbox: self.sandbox.map(PathBuf::from),
                handover: self.handover,
            }),
            other => return Err(bad(&place, other)),
        };
        Ok(own::PortSpec {
            name: self.name,
            kind,
            mtu: self.mtu,
            flood_unknown: self.flood_unknown,
            flood_broadcast: self.flood_broadcast,
            hairpin: self.hairpin,
            max_macs: self.max_macs,
            guard: self.guard.map(|guard| guard.convert(&place)).transpose()?,
        })
    }
}

impl GuardSpec {
    fn convert(self, place: &str) -> Result<own::GuardSpec, Error> {
        Ok(own::GuardSpec {
            macs: all(&self.macs, place)?,
            addresses: all(&self.addresses, place)?,
        })
    }
}

impl NewTap {
    pub(crate) fn place(&self) -> Result<own::TapPort, Error> {
        let mac = parse(&self.mac, &format!("port {}", self.port))?;
        Ok(own::TapPort {
            netns: None,
            ifname: self.ifname.clone(),
            mac: Some(mac),
            addresses: Vec::new(),
            sandbox: None,
            handover: None,
        })
    }
}

impl FdbSpec {
    fn convert(self, place: &str) -> Result<own::FdbSpec, Error> {
        let target = match self.to {
            FdbTarget {
                port: Some(port),
                tunnel: None,
                ..
            } => own::FdbTarget::Port(port),
            FdbTarget {
                port: None,
                tunnel: Some(tunnel),
                ..
            } => own::FdbTarget::Tunnel(tunnel.convert(place)?),
            FdbTarget {
                port: None,
                tunnel: None,
                local: Some(true),
            } => own::FdbTarget::Local,
            _ => return Err(bad(place, &self.mac)),
        };
        let control = match self.origin.as_str() {
            "static" => false,
            "control" => true,
            other => return Err(bad(place, other)),
        };
        Ok(own::FdbSpec {
            mac: parse(&self.mac, place)?,
            control,
            target,
        })
    }
}

impl NeighborSpec {
    fn convert(self, place: &str) -> Result<own::NeighborSpec, Error> {
        Ok(own::NeighborSpec {
            ip: parse(&self.ip, place)?,
            mac: parse(&self.mac, place)?,
            local: self.local,
            state: match self.state.as_str() {
                "live" => own::NeighborState::Live,
                "stale" => own::NeighborState::Stale,
                "dead" => own::NeighborState::Dead,
                other => return Err(bad(place, other)),
            },
            router: self.router,
        })
    }
}

impl TunnelRef {
    fn convert(self, place: &str) -> Result<own::TunnelKey, Error> {
        let address: IpAddr = parse(&self.remote, place)?;
        Ok(own::TunnelKey {
            remote: SocketAddr::new(address, fit(self.udp_port, place)?),
            vni: vni(self.vni, place)?,
        })
    }
}

pub(crate) fn cidr_of(text: &str, place: &str) -> Result<(IpAddr, u8), Error> {
    let (address, prefix) = text.split_once('/').ok_or_else(|| bad(place, text))?;
    Ok((parse(address, place)?, parse(prefix, place)?))
}

fn vni(value: u32, place: &str) -> Result<Vni, Error> {
    Vni::new(value).ok_or_else(|| bad(place, &value.to_string()))
}

fn fit<T: TryFrom<u32>>(value: u32, place: &str) -> Result<T, Error> {
    T::try_from(value).map_err(|_| bad(place, &value.to_string()))
}

fn all<T: FromStr>(texts: &[String], place: &str) -> Result<Vec<T>, Error> {
    texts.iter().map(|text| parse(text, place)).collect()
}

pub(crate) fn parse<T: FromStr>(text: &str, place: &str) -> Result<T, Error> {
    text.parse().map_err(|_| bad(place, text))
}

fn bad(place: &str, value: &str) -> Error {
    Error::new(ErrorCode::BadValue, place).with_detail(format!("{value:?} does not fit"))
}
