//! What a bridge knows of its ports: nothing of TAPs, nothing of UDP.

use crate::wire::mac::MacAddr;

/// A port's number in the datapath. Numbers of removed ports are not used again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(u16);

impl PortId {
    /// This host itself: the port of entries whose frames are consumed.
    pub const LOCAL: Self = Self(u16::MAX);

    /// The port with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A member of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: PortId,
    /// Between ports of the same group nothing is forwarded (split horizon). All tunnels of a network are one group.
    pub split_group: Option<u8>,
    /// Gets unknown unicast.
    pub flood_unknown: bool,
    /// Gets broadcast.
    pub flood_broadcast: bool,
    /// Gets multicast.
    pub flood_multicast: bool,
    /// May get back what it sent.
    pub hairpin: bool,
    /// Learned entries behind it.
    pub max_macs: u32,
    /// MAC of the interface behind it, if it has one.
    pub mac: Option<MacAddr>,
}
