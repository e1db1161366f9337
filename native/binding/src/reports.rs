//! What the datapath tells, as JavaScript reads it.

use datapath::config::UnderlayPath;
use datapath::counter::Stage;
use datapath::engine as own;
use datapath::event::{Event, Stamped};
use napi_derive::napi;
use std::time::Duration;

/// What an apply did. Names are `network NAME`, `port NAME`, `tunnel NETWORK REMOTE:PORT/VNI`.
#[napi(object)]
pub struct ApplyReport {
    pub kept: Vec<String>,
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

/// How many frames were dropped for a reason such as `rx.vni_unknown`; never zero.
#[napi(object)]
pub struct DropCount {
    pub reason: String,
    pub frames: f64,
}

/// How often something happened beside dropping, such as `icmp.ptb_sent`; never zero.
#[napi(object)]
pub struct NoteCount {
    pub note: String,
    pub times: f64,
    /// For an engineer who never saw the code.
    pub sentence: String,
}

/// One port. rx = entered the switch here. A superframe of n segments counts n frames.
#[napi(object)]
pub struct PortCounters {
    /// Port name; tunnels: `REMOTE:PORT` (and `/VNI` where it differs from the network's).
    pub name: String,
    #[napi(ts_type = "'tap' | 'packet' | 'memory' | 'tunnel'")]
    pub kind: String,
    /// gone: its network namespace or device disappeared.
    #[napi(ts_type = "'up' | 'gone'")]
    pub state: String,
    pub ifname: Option<String>,
    pub ifindex: Option<u32>,
    pub netns: Option<String>,
    pub mac: Option<String>,
    pub mtu: Option<u32>,
    /// Tunnels: the largest outer IP packet that the path carries, as far as is known.
    pub path_mtu: Option<u32>,
    pub rx_frames: f64,
    pub rx_bytes: f64,
    pub tx_frames: f64,
    pub tx_bytes: f64,
    /// Learned entries behind it.
    pub macs: u32,
    /// Tunnels: ICMP unreachable errors seen for this VTEP.
    pub unreachable: f64,
    pub drops: Vec<DropCount>,
    pub notes: Vec<NoteCount>,
}

/// Folded from ports that were removed.
#[napi(object)]
pub struct RetiredCounters {
    pub rx_frames: f64,
    pub tx_frames: f64,
    pub drops: Vec<DropCount>,
    pub notes: Vec<NoteCount>,
}

/// One network. As sums over its ports and `retired`, in frames:
/// rxFrames = ingress drops + consumed + unicast + flooded;
/// unicast + replicated + generated = txFrames + egress drops.
#[napi(object)]
pub struct NetworkCounters {
    pub name: String,
    pub vni: u32,
    pub ports: Vec<PortCounters>,
    pub retired: RetiredCounters,
    pub unicast: f64,
    pub flooded: f64,
    pub replicated: f64,
    pub consumed: f64,
    /// Made by this host itself, such as ICMP.
    pub generated: f64,
    /// Of datagrams that reached this network but no tunnel of it.
    pub drops: Vec<DropCount>,
    pub macs: u32,
    pub learned: f64,
    pub moved: f64,
    pub aged: f64,
    pub evicted: f64,
    pub full: f64,
    pub rsvd_ignored: f64,
    /// Frames accepted although their inner and outer ECN do not go together.
    pub ecn_odd: f64,
    /// Frames marked as congested outside that have no IP header.
    pub ecn_nonip: f64,
}

/// The underlay. datagrams = drops + retired + sum over networks (drops + tunnels' rxFrames).
#[napi(object)]
pub struct UnderlayCounters {
    pub datagrams: f64,
    pub drops: Vec<DropCount>,
    pub notes: Vec<NoteCount>,
    /// Datagrams that were counted at tunnels and networks that are no more.
    pub retired: f64,
    pub source_ports: Vec<u32>,
    /// Granted by the kernel, bytes; 0 without sockets.
    pub receive_buffer: u32,
    /// By which way datagrams cross the kernel: what is in use, not what was asked for.
    #[napi(ts_type = "'udp' | 'ring' | 'tunnel-gso'")]
    pub path: String,
}

/// One worker.
#[napi(object)]
pub struct WorkerCounters {
    pub turns: f64,
    pub sleeps: f64,
    /// Microseconds in which it neither slept nor spun.
    pub busy_us: f64,
    /// Entered the switch by it, over all ports and tunnels.
    pub rx_frames: f64,
    pub tx_frames: f64,
    pub drops: Vec<DropCount>,
}

/// What is known of a remote VTEP itself.
#[napi(object)]
pub struct VtepReport {
    pub remote: String,
    /// Unix milliseconds at which the last datagram from it was noticed, to the second.
    pub heard_at: Option<f64>,
    /// ICMP echo requests to it, and those answered; both zero where we may not send any.
    pub asked: f64,
    pub answered: f64,
    /// Of the last answer, and the mean over the last eight or so.
    pub rtt_us: Option<f64>,
    pub mean_rtt_us: Option<f64>,
    /// silent: it answered once, and is neither heard of nor answers any more; unknown: not heard of, and it never answered.
    #[napi(ts_type = "'alive' | 'silent' | 'unknown'")]
    pub state: String,
}

/// Every counter at one moment. They go back only when the process starts anew.
#[napi(object)]
pub struct Counters {
    /// Unix milliseconds.
    pub started_at: f64,
    pub workers: Vec<WorkerCounters>,
    pub underlay: UnderlayCounters,
    pub networks: Vec<NetworkCounters>,
    /// Every VTEP that is a peer of a network, in the order of their addresses.
    pub vteps: Vec<VtepReport>,
}

/// One line of a forwarding database.
#[napi(object)]
pub struct FdbEntry {
    pub network: String,
    pub vni: u32,
    pub mac: String,
    #[napi(ts_type = "'learned' | 'static' | 'control'")]
    pub origin: String,
    /// False: configured, but its port is not there.
    pub active: bool,
    pub port: Option<String>,
    pub remote: Option<String>,
    pub udp_port: Option<u32>,
    pub tunnel_vni: Option<u32>,
    /// Frames to it are consumed by this host.
    pub local: bool,
    pub idle_secs: u32,
}

/// Something that happened; which fields are set depends on `type`.
#[napi(object)]
#[derive(Default)]
pub struct DatapathEvent {
    #[napi(
        js_name = "type",
        ts_type = "'portGone' | 'macMoved' | 'fdbFull' | 'vniUnknown' | 'sourceMacLocal' | 'ecnOdd' | 'ipConflict' | 'pathMtu' | 'downgraded' | 'fatal' | 'lost'"
    )]
    pub kind: String,
    /// Unix milliseconds.
    pub at: f64,
    pub network: Option<String>,
    pub port: Option<String>,
    pub mac: Option<String>,
    pub ip: Option<String>,
    /// MAC of who has `ip`.
    pub owner: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub vni: Option<u32>,
    pub remote: Option<String>,
    pub detail: Option<String>,
    pub count: Option<f64>,
}

impl From<own::ApplyReport> for ApplyReport {
    fn from(report: own::ApplyReport) -> Self {
        let own::ApplyReport {
            kept,
            added,
            removed,
            changed,
        } = report;
        Self {
            kept,
            added,
            removed,
            changed,
        }
    }
}

impl Counters {
    pub(crate) fn new(started_at_ms: u64, counters: own::Counters) -> Self {
        Self {
            started_at: started_at_ms as f64,
            workers: counters.workers.into_iter().map(Into::into).collect(),
            underlay: UnderlayCounters {
                datagrams: counters.datagrams as f64,
                drops: drops(counters.underlay_drops),
                notes: notes(counters.underlay_notes),
                retired: counters.retired_datagrams as f64,
                source_ports: counters.source_ports.into_iter().map(u32::from).collect(),
                receive_buffer: counters.receive_buffer as u32,
                path: counters.path.name().to_owned(),
            },
            networks: counters.networks.into_iter().map(Into::into).collect(),
            vteps: counters.vteps.into_iter().map(Into::into).collect(),
        }
    }

    /// Before anything was applied.
    pub(crate) fn empty(started_at_ms: u64) -> Self {
        Self {
            started_at: started_at_ms as f64,
            workers: Vec::new(),
            underlay: UnderlayCounters {
                datagrams: 0.0,
                drops: Vec::new(),
                notes: Vec::new(),
                retired: 0.0,
                source_ports: Vec::new(),
                receive_buffer: 0,
                path: UnderlayPath::Udp.name().to_owned(),
            },
            networks: Vec::new(),
            vteps: Vec::new(),
        }
    }
}

impl From<own::WorkerReport> for WorkerCounters {
    fn from(worker: own::WorkerReport) -> Self {
        Self {
            turns: worker.turns as f64,
            sleeps: worker.sleeps as f64,
            busy_us: worker.busy.as_micros() as f64,
            rx_frames: worker.rx_frames as f64,
            tx_frames: worker.tx_frames as f64,
            drops: drops(worker.drops),
        }
    }
}

impl From<own::VtepReport> for VtepReport {
    fn from(vtep: own::VtepReport) -> Self {
        let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
        Self {
            remote: vtep.remote.to_string(),
            heard_at: vtep.heard_at_ms.map(|ms| ms as f64),
            asked: vtep.asked as f64,
            answered: vtep.answered as f64,
            rtt_us: vtep.rtt.map(micros),
            mean_rtt_us: vtep.mean_rtt.map(micros),
            state: match vtep.state {
                own::VtepState::Alive => "alive",
                own::VtepState::Silent => "silent",
                own::VtepState::Unknown => "unknown",
            }
            .into(),
        }
    }
}

impl From<own::NetworkReport> for NetworkCounters {
    fn from(network: own::NetworkReport) -> Self {
        Self {
            name: network.name,
            vni: network.vni.get(),
            ports: network.ports.into_iter().map(Into::into).collect(),
            retired: RetiredCounters {
                rx_frames: network.retired.rx_frames as f64,
                tx_frames: network.retired.tx_frames as f64,
                drops: drops(network.retired.drops),
                notes: notes(network.retired.notes),
            },
            unicast: network.unicast as f64,
            flooded: network.flooded as f64,
            replicated: network.replicated as f64,
            consumed: network.consumed as f64,
            generated: network.generated as f64,
            drops: drops(network.drops),
            macs: network.macs,
            learned: network.fdb.learned as f64,
            moved: network.fdb.moved as f64,
            aged: network.fdb.aged as f64,
            evicted: network.fdb.evicted as f64,
            full: network.fdb.full as f64,
            rsvd_ignored: network.reserved_ignored as f64,
            ecn_odd: network.ecn_odd as f64,
            ecn_nonip: network.ecn_nonip as f64,
        }
    }
}

impl From<own::PortReport> for PortCounters {
    fn from(port: own::PortReport) -> Self {
        let interface = port.interface.as_ref();
        Self {
            kind: port.kind.into(),
            state: if port.gone { "gone" } else { "up" }.into(),
            ifname: interface.map(|i| i.ifname.clone()),
            ifindex: interface.map(|i| i.ifindex),
            netns: interface
                .and_then(|i| i.netns.as_ref())
                .map(|p| p.display().to_string()),
            mac: interface.and_then(|i| i.mac).map(|mac| mac.to_string()),
            mtu: port.mtu.map(|mtu| mtu as u32),
            path_mtu: port.path_mtu,
            rx_frames: port.frames.rx_frames as f64,
            rx_bytes: port.frames.rx_bytes as f64,
            tx_frames: port.frames.tx_frames as f64,
            tx_bytes: port.frames.tx_bytes as f64,
            macs: port.macs,
            unreachable: port.unreachable as f64,
            drops: drops(port.frames.drops),
            notes: notes(port.frames.notes),
            name: port.name,
        }
    }
}

impl From<own::FdbLine> for FdbEntry {
    fn from(line: own::FdbLine) -> Self {
        let mut entry = Self {
            network: line.network,
            vni: line.vni.get(),
            mac: line.mac.to_string(),
            origin: line.origin.name().into(),
            active: line.active,
            port: None,
            remote: None,
            udp_port: None,
            tunnel_vni: None,
            local: false,
            idle_secs: line.idle_secs,
        };
        match line.place {
            own::FdbPlace::Port(name) => entry.port = Some(name),
            own::FdbPlace::Vtep(remote, vni) => {
                entry.remote = Some(remote.ip().to_string());
                entry.udp_port = Some(remote.port().into());
                entry.tunnel_vni = Some(vni.get());
            }
            own::FdbPlace::Local => entry.local = true,
        }
        entry
    }
}

impl From<Stamped> for DatapathEvent {
    fn from(stamped: Stamped) -> Self {
        let event = Self {
            at: stamped.at_ms as f64,
            ..Self::default()
        };
        match stamped.event {
            Event::PortGone { port, detail } => Self {
                kind: "portGone".into(),
                port: Some(port),
                detail: Some(detail),
                ..event
            },
            Event::MacMoved {
                network,
                mac,
                from,
                to,
            } => Self {
                kind: "macMoved".into(),
                network: Some(network),
                mac: Some(mac.to_string()),
                from: Some(from),
                to: Some(to),
                ..event
            },
            Event::FdbFull { network, port } => Self {
                kind: "fdbFull".into(),
                network: Some(network),
                port: Some(port),
                ..event
            },
            Event::VniUnknown { vni, remote } => Self {
                kind: "vniUnknown".into(),
                vni: Some(vni.get()),
                remote: Some(remote.to_string()),
                ..event
            },
            Event::SourceMacLocal { network, mac, from } => Self {
                kind: "sourceMacLocal".into(),
                network: Some(network),
                mac: Some(mac.to_string()),
                from: Some(from),
                ..event
            },
            Event::EcnOdd {
                network,
                from,
                inner,
                outer,
            } => Self {
                kind: "ecnOdd".into(),
                network: Some(network),
                from: Some(from),
                detail: Some(format!("inner {inner}, outer {outer}")),
                ..event
            },
            Event::IpConflict {
                network,
                port,
                ip,
                claimant,
                owner,
            } => Self {
                kind: "ipConflict".into(),
                network: Some(network),
                port: Some(port),
                ip: Some(ip.to_string()),
                mac: Some(claimant.to_string()),
                owner: Some(owner.to_string()),
                ..event
            },
            Event::PathMtu {
                network,
                remote,
                from,
                to,
            } => Self {
                kind: "pathMtu".into(),
                network: Some(network),
                remote: Some(remote.to_string()),
                from: Some(from.to_string()),
                to: Some(to.to_string()),
                ..event
            },
            Event::Downgraded { detail } => Self {
                kind: "downgraded".into(),
                detail: Some(detail),
                ..event
            },
            Event::Fatal { detail } => Self {
                kind: "fatal".into(),
                detail: Some(detail),
                ..event
            },
        }
    }
}

/// The name of a stage at the seam.
pub(crate) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Underlay => "underlay",
        Stage::Ingress => "ingress",
        Stage::Egress => "egress",
    }
}

fn notes(counts: own::NoteCounts) -> Vec<NoteCount> {
    let count = |(note, times): (datapath::note::Note, u64)| NoteCount {
        note: note.name().into(),
        times: times as f64,
        sentence: note.sentence().into(),
    };
    counts.into_iter().map(count).collect()
}

fn drops(counts: own::DropCounts) -> Vec<DropCount> {
    let count = |(reason, frames): (datapath::counter::DropReason, u64)| DropCount {
        reason: reason.name().into(),
        frames: frames as f64,
    };
    counts.into_iter().map(count).collect()
}
