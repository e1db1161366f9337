//! What a trace says. Which step has which fields, and what may come of it, stands as a table at `TraceStep` in
//! `src/datapath/seam.ts`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::counter::DropReason;
use crate::note::Note;
use crate::switch::Origin;
use crate::wire::mac::MacAddr;
use crate::wire::vxlan::Vni;

/// Where the frame that is asked about would come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// Name of a local port.
    Port(String),
    /// The underlay.
    Datagram {
        /// The sender.
        source: SocketAddr,
        /// Ours.
        udp_port: u16,
        /// Type of service or traffic class of the IP header.
        tos: u8,
    },
}

/// The way of one frame, had it come at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its network, if it was found.
    pub network: Option<Arc<str>>,
    /// In the order in which the switch takes them.
    pub steps: Vec<Step>,
    /// What the switch says of the frame.
    pub ending: Ending,
    /// One for each port where a copy would leave, or be dropped.
    pub copies: Vec<TracedCopy>,
}

/// What the switch says of a frame. Its name is the verdict's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Ending {
    To,
    Flood,
    Consumed,
    Drop(DropReason),
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "see the table in `seam.ts`")]
pub struct Step {
    pub kind: Kind,
    pub outcome: Option<Outcome>,
    pub port: Option<Arc<str>>,
    pub mac: Option<MacAddr>,
    pub ip: Option<IpAddr>,
    pub remote: Option<IpAddr>,
    pub vni: Option<Vni>,
    pub vid: Option<u16>,
    pub from: Option<String>,
    pub origin: Option<Origin>,
    pub evicted: Option<MacAddr>,
    pub reason: Option<DropReason>,
    pub note: Option<Note>,
    pub mtu: Option<u32>,
    pub length: Option<u32>,
    pub detail: Option<String>,
}

/// A copy of the frame at the port where it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedCopy {
    /// As in the counters.
    pub port: Arc<str>,
    /// As in the counters.
    pub kind: &'static str,
    /// `None`: it would be sent.
    pub reason: Option<DropReason>,
    /// What would be counted beside.
    pub note: Option<Note>,
    /// To what the MSS of a SYN would be lowered.
    pub mss: Option<u16>,
    /// Where it is a datagram: of which kind.
    pub outer: Option<TracedOuter>,
    /// Bytes of the outer IP packet, or of the frame.
    pub length: usize,
}

/// A copy's outer headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracedOuter {
    /// The VTEP and its UDP port.
    pub remote: SocketAddr,
    /// Ours, which stands for the flow.
    pub source_port: u16,
    /// In the VXLAN header.
    pub vni: Vni,
    /// The largest outer IP packet that the path carries, bytes; `None` where nothing is known of it.
    pub path_mtu: Option<u32>,
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "see the table in `seam.ts`")]
        pub enum $name { $($variant,)* }

        impl $name {
            /// As the seam calls it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

named! {
    /// What a decision is about.
    Kind {
        Enters, "enters";
        Datagram, "datagram";
        Network, "network";
        Sender, "sender";
        Reserved, "reserved";
        Frame, "frame";
        Vlan, "vlan";
        Congestion, "congestion";
        Guard, "guard";
        Size, "size";
        Addresses, "addresses";
        Learn, "learn";
        Lookup, "lookup";
        Neighbor, "neighbor";
        Flood, "flood";
        TooBig, "tooBig";
    }
}

named! {
    /// What came of it.
    Outcome {
        Vxlan, "vxlan";
        Dropped, "dropped";
        Up, "up";
        Down, "down";
        Unknown, "unknown";
        Peer, "peer";
        New, "new";
        Ignored, "ignored";
        Kept, "kept";
        Stripped, "stripped";
        Marked, "marked";
        Unchanged, "unchanged";
        NotIp, "notIp";
        Allowed, "allowed";
        Known, "known";
        Learned, "learned";
        Moved, "moved";
        Conflict, "conflict";
        Full, "full";
        Off, "off";
        Found, "found";
        Here, "here";
        Broadcast, "broadcast";
        Multicast, "multicast";
        Forwarded, "forwarded";
        KeptHere, "keptHere";
        Answered, "answered";
        Copies, "copies";
        Told, "told";
        Untold, "untold";
    }
}

impl Step {
    /// One without anything else.
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            outcome: None,
            port: None,
            mac: None,
            ip: None,
            remote: None,
            vni: None,
            vid: None,
            from: None,
            origin: None,
            evicted: None,
            reason: None,
            note: None,
            mtu: None,
            length: None,
            detail: None,
        }
    }

    /// The same with what came of it.
    pub(super) fn came_to(self, outcome: Outcome) -> Self {
        Self {
            outcome: Some(outcome),
            ..self
        }
    }
}

impl Ending {
    /// As the seam calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::Flood => "flood",
            Self::Consumed => "consumed",
            Self::Drop(_) => "drop",
        }
    }

    /// Why it is dropped.
    pub fn reason(self) -> Option<DropReason> {
        match self {
            Self::Drop(reason) => Some(reason),
            Self::To | Self::Flood | Self::Consumed => None,
        }
    }
}
