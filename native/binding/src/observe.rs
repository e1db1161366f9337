//! Captures, traces and history, as JavaScript asks for them and reads them.

use datapath::engine::history::{Happening, Line, Past};
use datapath::engine::trace::{self as traced, Entrance};
use datapath::engine::{CaptureSpec as OwnCaptureSpec, CaptureStatus as OwnCaptureStatus, Side};
use datapath::error::{Error, ErrorCode};
use datapath::switch::Origin;
use datapath::wire::mac::MacAddr;
use std::net::IpAddr;

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

/// What a capture takes; what is absent restricts nothing.
#[napi(object)]
pub struct CaptureSpec {
    pub network: Option<String>,
    /// A local port.
    pub port: Option<String>,
    /// Address of a VTEP.
    pub peer: Option<String>,
    /// Frames, the datagrams around them, or both, linked by one packet ID.
    #[napi(ts_type = "'inner' | 'outer' | 'both'")]
    pub side: String,
    /// Only what is dropped.
    pub drops_only: bool,
    /// In libpcap's syntax, about the frame: a datagram is taken if the frame inside it is.
    pub filter: Option<String>,
    /// The capture ends by itself after so many packets.
    pub max_packets: Option<f64>,
    /// Bytes kept of each packet, at least 1.
    pub snaplen: u32,
    /// Path of the unix socket on which the one who reads it is awaited, for ten seconds; nothing may be there.
    pub socket: String,
}

/// A capture that runs, or waits for its reader. It is over when the reader goes, or shuts down his side.
#[napi(object)]
pub struct CaptureStatus {
    pub id: u32,
    #[napi(ts_type = "'waiting' | 'running'")]
    pub state: String,
    /// Who made the filter's program.
    #[napi(ts_type = "'libpcap' | 'built-in' | 'none'")]
    pub compiler: String,
    /// Written, or on the way to the reader.
    pub packets: f64,
    /// For which there was no room, because the reader is too slow.
    pub lost: f64,
    pub bytes: f64,
}

impl CaptureSpec {
    /// Errors: `BAD_VALUE`.
    pub(crate) fn convert(self) -> Result<OwnCaptureSpec, Error> {
        let bad = |subject: &str, value: &str| {
            Error::new(ErrorCode::BadValue, subject).with_detail(format!("{value:?}"))
        };
        Ok(OwnCaptureSpec {
            network: self.network,
            port: self.port,
            peer: match self.peer {
                None => None,
                Some(peer) => Some(peer.parse().map_err(|_| bad("peer", &peer))?),
            },
            side: match self.side.as_str() {
                "inner" => Side::Inner,
                "outer" => Side::Outer,
                "both" => Side::Both,
                other => return Err(bad("side", other)),
            },
            drops_only: self.drops_only,
            filter: self.filter,
            max_packets: self.max_packets.map(|packets| packets as u64),
            snaplen: self.snaplen,
            socket: self.socket.into(),
        })
    }
}

impl From<OwnCaptureStatus> for CaptureStatus {
    fn from(status: OwnCaptureStatus) -> Self {
        let state = if status.is_running {
            "running"
        } else {
            "waiting"
        };
        Self {
            id: status.id,
            state: state.into(),
            compiler: status.compiler.map_or("none", |c| c.name()).into(),
            packets: status.packets as f64,
            lost: status.lost as f64,
            bytes: status.bytes as f64,
        }
    }
}

/// A frame, or a datagram with one in it, whose way is asked for.
#[napi(object)]
pub struct TraceRequest {
    /// The local port where a frame enters. Exactly one of `port` and `datagram` is there.
    pub port: Option<String>,
    /// Whence and whereto a datagram comes.
    pub datagram: Option<TracedDatagram>,
    /// The frame without FCS, or the datagram's payload: VXLAN header and frame.
    pub bytes: Uint8Array,
}

/// A datagram's envelope.
#[napi(object)]
pub struct TracedDatagram {
    pub source: String,
    pub source_port: u32,
    /// Our UDP port.
    pub udp_port: u32,
    /// Type of service or traffic class of the IP header.
    pub tos: u32,
}

/// The way of one frame, had it come at this moment. Nothing was sent, learned or counted.
#[napi(object)]
pub struct Trace {
    pub network: Option<String>,
    /// In the order in which the switch takes them.
    pub steps: Vec<TraceStep>,
    /// Of the frame itself: what the switch says of it.
    #[napi(ts_type = "'to' | 'flood' | 'consumed' | 'drop'")]
    pub verdict: String,
    /// With `drop`: why.
    pub reason: Option<String>,
    /// One for each port where a copy would leave, or be dropped.
    pub copies: Vec<TraceCopy>,
}

/// One decision. Which fields are set depends on `kind`: the table stands at `TraceStep` in `src/datapath/seam.ts`.
#[napi(object)]
#[derive(Default)]
pub struct TraceStep {
    #[napi(
        ts_type = "'enters' | 'datagram' | 'network' | 'sender' | 'reserved' | 'frame' | 'vlan' | 'congestion' | 'guard' | 'size' | 'addresses' | 'learn' | 'lookup' | 'neighbor' | 'flood' | 'tooBig'"
    )]
    pub kind: String,
    pub port: Option<String>,
    pub mac: Option<String>,
    pub ip: Option<String>,
    pub remote: Option<String>,
    pub vni: Option<u32>,
    pub vid: Option<u32>,
    pub from: Option<String>,
    /// Of an FDB entry.
    #[napi(ts_type = "'learned' | 'static' | 'control'")]
    pub origin: Option<String>,
    /// MAC of a station that would be forgotten for it.
    pub evicted: Option<String>,
    /// What came of the decision, in one word.
    pub outcome: Option<String>,
    /// Drop reason.
    pub reason: Option<String>,
    pub note: Option<String>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Bytes.
    pub length: Option<u32>,
    pub detail: Option<String>,
}

/// A copy of the traced frame at the port where it leaves.
#[napi(object)]
pub struct TraceCopy {
    /// Port name; tunnels as in the counters.
    pub port: String,
    #[napi(ts_type = "'tap' | 'packet' | 'memory' | 'tunnel'")]
    pub kind: String,
    /// Absent = it would be sent.
    pub reason: Option<String>,
    /// `mss.clamped`, `tx.fragmented`.
    pub note: Option<String>,
    /// With `mss.clamped`: the MSS that the SYN leaves with.
    pub mss: Option<u32>,
    /// Tunnels: address of the VTEP, its UDP port, and ours.
    pub remote: Option<String>,
    pub udp_port: Option<u32>,
    pub source_port: Option<u32>,
    /// Tunnels: in the VXLAN header.
    pub vni: Option<u32>,
    /// Tunnels: the largest outer IP packet that the path carries, bytes.
    pub path_mtu: Option<u32>,
    /// Bytes of the outer IP packet, or, at a local port, of the frame.
    pub length: u32,
}

/// Something that changed what the switch does, or that it did for the first time.
#[napi(object)]
#[derive(Default)]
pub struct HistoryLine {
    /// Counts up by one from line to line.
    pub seq: f64,
    /// Unix time in milliseconds.
    pub at: f64,
    #[napi(
        ts_type = "'learned' | 'moved' | 'aged' | 'evicted' | 'flushed' | 'set' | 'removed' | 'refused' | 'answered' | 'neighborSet' | 'neighborRemoved' | 'dropped' | 'portUp' | 'portDown' | 'vtepUp' | 'vtepDown' | 'vtepHeard' | 'vtepSilent' | 'pathMtu' | 'omitted'"
    )]
    pub kind: String,
    pub network: Option<String>,
    pub mac: Option<String>,
    pub ip: Option<String>,
    /// Port name; tunnels as in the counters.
    pub port: Option<String>,
    /// Where it was before.
    pub from: Option<String>,
    /// Of the FDB entry.
    #[napi(ts_type = "'learned' | 'static' | 'control'")]
    pub origin: Option<String>,
    /// `set`: of the entry that it took the place of.
    #[napi(ts_type = "'learned' | 'static' | 'control'")]
    pub from_origin: Option<String>,
    pub reason: Option<String>,
    /// `omitted`: how many lines of this port were not kept.
    pub count: Option<f64>,
    pub detail: Option<String>,
}

/// A piece of the history.
#[napi(object)]
pub struct History {
    /// Oldest first.
    pub lines: Vec<HistoryLine>,
    /// Unix time in milliseconds from which on every line is still there.
    pub complete_since: f64,
}

impl TraceRequest {
    /// Errors: `BAD_VALUE` for an address or number that is none.
    pub(crate) fn convert(self) -> Result<(Entrance, Vec<u8>), Error> {
        let bad = |detail| Error::new(ErrorCode::BadValue, "trace").with_detail(detail);
        let entrance = match (self.port, self.datagram) {
            (Some(port), None) => Entrance::Port(port),
            (None, Some(datagram)) => {
                let ip: std::net::IpAddr = datagram
                    .source
                    .parse()
                    .map_err(|_| bad("the source is no address"))?;
                let port = |number| u16::try_from(number).map_err(|_| bad("a port above 65535"));
                Entrance::Datagram {
                    source: (ip, port(datagram.source_port)?).into(),
                    udp_port: port(datagram.udp_port)?,
                    tos: u8::try_from(datagram.tos).map_err(|_| bad("a tos above 255"))?,
                }
            }
            _ => return Err(bad("neither or both of port and datagram")),
        };
        Ok((entrance, self.bytes.to_vec()))
    }
}

impl From<traced::Trace> for Trace {
    fn from(trace: traced::Trace) -> Self {
        Self {
            network: trace.network.map(|name| name.to_string()),
            steps: trace.steps.into_iter().map(Into::into).collect(),
            verdict: trace.ending.name().into(),
            reason: trace.ending.reason().map(|reason| reason.name().into()),
            copies: trace.copies.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<traced::Step> for TraceStep {
    fn from(step: traced::Step) -> Self {
        Self {
            kind: step.kind.name().into(),
            port: step.port.map(|name| name.to_string()),
            mac: step.mac.map(|mac| mac.to_string()),
            ip: step.ip.map(|ip| ip.to_string()),
            remote: step.remote.map(|ip| ip.to_string()),
            vni: step.vni.map(|vni| vni.get()),
            vid: step.vid.map(u32::from),
            from: step.from,
            origin: step.origin.map(|origin| origin.name().into()),
            evicted: step.evicted.map(|mac| mac.to_string()),
            outcome: step.outcome.map(|outcome| outcome.name().into()),
            reason: step.reason.map(|reason| reason.name().into()),
            note: step.note.map(|note| note.name().into()),
            mtu: step.mtu,
            length: step.length,
            detail: step.detail,
        }
    }
}

impl From<traced::TracedCopy> for TraceCopy {
    fn from(copy: traced::TracedCopy) -> Self {
        let outer = copy.outer;
        Self {
            port: copy.port.to_string(),
            kind: copy.kind.into(),
            reason: copy.reason.map(|reason| reason.name().into()),
            note: copy.note.map(|note| note.name().into()),
            mss: copy.mss.map(u32::from),
            remote: outer.map(|o| o.remote.ip().to_string()),
            udp_port: outer.map(|o| o.remote.port().into()),
            source_port: outer.map(|o| o.source_port.into()),
            vni: outer.map(|o| o.vni.get()),
            path_mtu: outer.and_then(|o| o.path_mtu),
            length: copy.length as u32,
        }
    }
}

impl From<Past> for History {
    fn from(past: Past) -> Self {
        Self {
            lines: past.lines.into_iter().map(Into::into).collect(),
            complete_since: past.complete_since_ms as f64,
        }
    }
}

impl From<Line> for HistoryLine {
    fn from(line: Line) -> Self {
        Self {
            seq: line.seq as f64,
            at: line.at_ms as f64,
            network: line.place.network.map(|name| name.to_string()),
            port: line.place.port.map(|name| name.to_string()),
            ..line.happening.into()
        }
    }
}

/// Time and place are the line's.
impl From<Happening> for HistoryLine {
    fn from(happening: Happening) -> Self {
        let of = |kind: &str| Self {
            kind: kind.into(),
            ..Self::default()
        };
        let station = |kind, mac: MacAddr, origin: Origin| Self {
            mac: Some(mac.to_string()),
            origin: Some(origin.name().into()),
            ..of(kind)
        };
        let owner = |kind, ip: IpAddr, mac: MacAddr| Self {
            ip: Some(ip.to_string()),
            mac: Some(mac.to_string()),
            ..of(kind)
        };
        match happening {
            Happening::Learned { mac } => station("learned", mac, Origin::Learned),
            Happening::Moved { mac, from } => Self {
                from: Some(from.to_string()),
                ..station("moved", mac, Origin::Learned)
            },
            Happening::Aged { mac } => station("aged", mac, Origin::Learned),
            Happening::Evicted { mac } => station("evicted", mac, Origin::Learned),
            Happening::Flushed { mac } => station("flushed", mac, Origin::Learned),
            Happening::Set {
                mac,
                origin,
                before,
            } => {
                let (from_origin, from) = before.unzip();
                Self {
                    from: from.flatten().map(|name| name.to_string()),
                    from_origin: from_origin.map(|origin| origin.name().into()),
                    ..station("set", mac, origin)
                }
            }
            Happening::Removed { mac, origin } => station("removed", mac, origin),
            Happening::Refused { mac, reason } => Self {
                mac: Some(mac.to_string()),
                reason: Some(reason.into()),
                ..of("refused")
            },
            Happening::Answered { ip, mac } => owner("answered", ip, mac),
            Happening::NeighborSet { ip, mac } => owner("neighborSet", ip, mac),
            Happening::NeighborRemoved { ip, mac } => owner("neighborRemoved", ip, mac),
            Happening::Dropped { reason, mac } => Self {
                mac: mac.map(|mac| mac.to_string()),
                reason: Some(reason.name().into()),
                ..of("dropped")
            },
            Happening::PortUp => of("portUp"),
            Happening::PortDown { detail } => Self {
                detail,
                ..of("portDown")
            },
            Happening::VtepUp => of("vtepUp"),
            Happening::VtepDown => of("vtepDown"),
            Happening::VtepHeard => of("vtepHeard"),
            Happening::VtepSilent => of("vtepSilent"),
            Happening::PathMtu { from, to } => Self {
                from: Some(from.to_string()),
                detail: Some(to.to_string()),
                ..of("pathMtu")
            },
            Happening::Omitted { count } => Self {
                count: Some(count as f64),
                ..of("omitted")
            },
        }
    }
}
