//! Desired states with every value filled in; a test says only what it is about.

use datapath::config::{
    BridgeRules, Desired, EcnMode, EngineSpec, FdbLimits, FdbSpec, FdbTarget, Features,
    NeighborSpec, NeighborState, NetworkSpec, PortKind, PortSpec, PriorityTag, ReservedBits,
    TunnelKey, TunnelSpec, UnderlayPath, VlanPolicy, VtepSpec,
};
use datapath::wire::mac::MacAddr;
use datapath::wire::vxlan::{UDP_PORT, Vni};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Our own VTEP.
pub const VTEP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 200, 0, 1));
/// Remote VTEPs.
pub const A: SocketAddr = vtep(2);
pub const C: SocketAddr = vtep(3);
pub const E: SocketAddr = vtep(4);
/// A host that is nobody's peer.
pub const STRANGER: SocketAddr = vtep(99);

/// 10.200.0.`host`, VXLAN's UDP port.
pub const fn vtep(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 200, 0, host)), UDP_PORT)
}

pub fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

/// A memory underlay, one worker, these networks.
pub fn desired(networks: impl IntoIterator<Item = Network>) -> Desired {
    Desired {
        vtep: VtepSpec {
            address: VTEP,
            scope_interface: None,
            ttl: Some(64),
            tos: Some(0),
            ecn: EcnMode::Normal,
            udp_checksum: true,
            source_ports: 49152..=65535,
            source_port_pool: 16,
            symmetric_hash: false,
            memory: true,
            allow_outer_fragmentation: false,
        },
        engine: EngineSpec {
            owner: "engine test".into(),
            workers: 1,
            features: Features {
                udp_gso: true,
                udp_gro: true,
                vnet_hdr: true,
                multi_queue: true,
                recvmmsg: true,
                sendmmsg: true,
            },
            spin: true,
            underlay: UnderlayPath::Udp,
        },
        underlay_mtu: 1500,
        networks: networks.into_iter().map(|network| network.0).collect(),
    }
}

/// A network in the making.
#[derive(Clone)]
pub struct Network(pub NetworkSpec);

/// A closed network on VXLAN's UDP port that learns, never ages, and has nothing in it.
pub fn network(name: &str, number: u32) -> Network {
    Network(NetworkSpec {
        name: name.into(),
        vni: vni(number),
        udp_port: UDP_PORT,
        up: true,
        mss_clamp: true,
        rules: BridgeRules {
            learning: true,
            strict_source: true,
            drop_unknown_unicast: false,
            vlan: VlanPolicy::Discard,
            priority_tag: PriorityTag::Strip,
            group_forward_mask: 0,
        },
        fdb_limits: FdbLimits {
            max_macs: 16384,
            evict_oldest: false,
            ageing_secs: 0,
        },
        reserved_bits: ReservedBits::Ignore,
        pcp_tos: [None; 8],
        open_peers: false,
        group: None,
        ports: Vec::new(),
        tunnels: Vec::new(),
        fdb: Vec::new(),
        neighbors: Vec::new(),
    })
}

impl Network {
    /// With a memory port: MTU 1450, floods everything.
    pub fn port(self, name: &str) -> Self {
        self.port_with(name, |_| ())
    }

    /// With a memory port that differs from the default.
    pub fn port_with(mut self, name: &str, change: impl FnOnce(&mut PortSpec)) -> Self {
        let mut port = PortSpec {
            name: name.into(),
            kind: PortKind::Memory,
            mtu: 1450,
            flood_unknown: true,
            flood_broadcast: true,
            hairpin: false,
            max_macs: 1024,
            guard: None,
        };
        change(&mut port);
        self.0.ports.push(port);
        self
    }

    /// With a remote VTEP that gets BUM frames.
    pub fn peer(self, remote: SocketAddr) -> Self {
        let vni = self.0.vni;
        self.tunnel(TunnelKey { remote, vni }, true)
    }

    /// With a remote VTEP.
    pub fn tunnel(mut self, key: TunnelKey, flood: bool) -> Self {
        self.0.tunnels.push(TunnelSpec { key, flood });
        self
    }

    /// With a static entry.
    pub fn entry(mut self, mac: MacAddr, target: FdbTarget) -> Self {
        self.0.fdb.push(FdbSpec {
            mac,
            control: false,
            target,
        });
        self
    }

    /// With a neighbor that the control plane knows: elsewhere, live, no router.
    pub fn neighbor(self, ip: &str, mac: MacAddr) -> Self {
        self.neighbor_with(ip, mac, |_| ())
    }

    /// With a neighbor that differs from those.
    pub fn neighbor_with(
        mut self,
        ip: &str,
        mac: MacAddr,
        change: impl FnOnce(&mut NeighborSpec),
    ) -> Self {
        let mut neighbor = NeighborSpec {
            ip: ip.parse().unwrap(),
            mac,
            local: false,
            state: NeighborState::Live,
            router: false,
        };
        change(&mut neighbor);
        self.0.neighbors.push(neighbor);
        self
    }

    /// With anything else different.
    pub fn with(mut self, change: impl FnOnce(&mut NetworkSpec)) -> Self {
        change(&mut self.0);
        self
    }

    /// The tunnel to `remote` as an FDB target.
    pub fn at(&self, remote: SocketAddr) -> FdbTarget {
        FdbTarget::Tunnel(TunnelKey {
            remote,
            vni: self.0.vni,
        })
    }
}

/// A port as an FDB target.
pub fn at_port(name: &str) -> FdbTarget {
    FdbTarget::Port(name.into())
}
