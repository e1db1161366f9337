//! Neighbor discovery (RFC 4861): solicitations and advertisements of neighbors.
//!
//! ```text
//! | IPv6, hop limit 255 | type 135 or 136 (1) | code 0 (1) | checksum (2) |
//! | R S O (of an advertisement) and reserved (4) | target address (16) | options |
//!
//! option: | type (1) | length in units of 8 bytes (1) | ... |
//! ```

use std::net::Ipv6Addr;

use super::checksum::Sum;
use super::ip::PROTOCOL_ICMPV6;
use super::ipv6::{self, Ipv6};
use super::mac::MacAddr;

/// A message of neighbor discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nd {
    /// Type 135: who has the target? As RFC 4861 §7.1.1 wants it.
    Solicitation(Solicitation),
    /// Type 136: who has it. As RFC 4861 §7.1.2 wants it.
    Advertisement(Advertisement),
    /// Type 134, unread.
    RouterAdvertisement,
    /// Type 137, unread.
    Redirect,
}

/// A neighbor solicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks; unspecified in duplicate address detection (RFC 4862 §5.4.2).
    pub src: Ipv6Addr,
    /// The target's solicited-node group, or the target itself where its reachability is tested.
    pub dst: Ipv6Addr,
    /// The address that is asked for; never multicast.
    pub target: Ipv6Addr,
    /// The asker's MAC, from the option.
    pub link_layer: Option<MacAddr>,
}

/// A neighbor advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// Who tells.
    pub src: Ipv6Addr,
    /// Who asked, or all nodes.
    pub dst: Ipv6Addr,
    /// The address that it is about; never multicast.
    pub target: Ipv6Addr,
    /// R: the target is a router.
    pub is_router: bool,
    /// S: it answers a solicitation.
    pub is_solicited: bool,
    /// O: it overrides what was known.
    pub overrides: bool,
    /// The target's MAC, from the option.
    pub link_layer: Option<MacAddr>,
}

/// It says that it is a neighbor solicitation or advertisement, but nodes must ignore it (RFC 4861 §7.1, RFC 6980 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid;

impl Nd {
    /// The message that a packet carries behind its extension headers; `None` if it is no such message, or what it is
    /// cannot be told. What lies behind the packet's length is padding.
    pub fn read(ip: &Ipv6<'_>) -> Result<Option<Self>, Invalid> {
        let Some(transport) = ip.transport() else {
            return Ok(None);
        };
        let rest = &ip.bytes()[transport.offset..];
        let (PROTOCOL_ICMPV6, Some(&kind)) = (transport.protocol, rest.first()) else {
            return Ok(None);
        };
        match kind {
            ROUTER_ADVERTISEMENT => return Ok(Some(Self::RouterAdvertisement)),
            REDIRECT => return Ok(Some(Self::Redirect)),
            SOLICITATION | ADVERTISEMENT if transport.is_fragment => return Err(Invalid),
            SOLICITATION | ADVERTISEMENT => {}
            _ => return Ok(None),
        }
        let end = ipv6::HEADER_LEN + usize::from(ip.payload_len());
        let message = ip.bytes().get(transport.offset..end).ok_or(Invalid)?;
        check(ip, message)?;
        if kind == SOLICITATION {
            Solicitation::read(ip, message).map(|s| Some(Self::Solicitation(s)))
        } else {
            Advertisement::read(ip, message).map(|a| Some(Self::Advertisement(a)))
        }
    }
}

impl Solicitation {
    fn read(ip: &Ipv6<'_>, message: &[u8]) -> Result<Self, Invalid> {
        let link_layer = link_layer(message, SOURCE_LINK_LAYER)?;
        let read = Self {
            src: ip.src().into(),
            dst: ip.dst().into(),
            target: target(message)?,
            link_layer,
        };
        let is_sound = !read.is_dad() || (is_solicited_node(read.dst) && link_layer.is_none());
        is_sound.then_some(read).ok_or(Invalid)
    }

    /// Whether it asks on nobody's behalf, to find out whether the address is free.
    pub fn is_dad(&self) -> bool {
        self.src.is_unspecified()
    }
}

impl Advertisement {
    fn read(ip: &Ipv6<'_>, message: &[u8]) -> Result<Self, Invalid> {
        let flag = |bit: u8| message[FLAGS] & bit != 0;
        let read = Self {
            src: ip.src().into(),
            dst: ip.dst().into(),
            target: target(message)?,
            is_router: flag(ROUTER),
            is_solicited: flag(SOLICITED),
            overrides: flag(OVERRIDE),
            link_layer: link_layer(message, TARGET_LINK_LAYER)?,
        };
        let is_sound = !(read.dst.is_multicast() && read.is_solicited);
        is_sound.then_some(read).ok_or(Invalid)
    }

    /// Writes the IPv6 packet to `out` and returns its length: [`ADVERTISEMENT_LEN`] with a link layer address, 8 bytes
    /// less without.
    pub fn emit(&self, out: &mut [u8; ADVERTISEMENT_LEN]) -> usize {
        let message_len = match self.link_layer {
            Some(_) => MESSAGE_LEN + OPTION_UNIT,
            None => MESSAGE_LEN,
        };
        out.fill(0);
        let (header, message) = out.split_at_mut(ipv6::HEADER_LEN);
        let message = &mut message[..message_len];
        header[..8].copy_from_slice(&[
            0x60,
            0,
            0,
            0,
            0,
            message_len as u8,
            PROTOCOL_ICMPV6,
            HOP_LIMIT,
        ]);
        header[ipv6::ADDRESSES..24].copy_from_slice(&self.src.octets());
        header[24..].copy_from_slice(&self.dst.octets());
        message[0] = ADVERTISEMENT;
        let flags = [
            (self.is_router, ROUTER),
            (self.is_solicited, SOLICITED),
            (self.overrides, OVERRIDE),
        ];
        message[FLAGS] = flags.iter().filter(|f| f.0).map(|f| f.1).sum();
        message[TARGET..MESSAGE_LEN].copy_from_slice(&self.target.octets());
        if let Some(mac) = self.link_layer {
            message[MESSAGE_LEN..MESSAGE_LEN + 2].copy_from_slice(&[TARGET_LINK_LAYER, 1]);
            message[MESSAGE_LEN + 2..].copy_from_slice(&mac.0);
        }
        let addresses = &header[ipv6::ADDRESSES..];
        let sum = Sum::pseudo_header(addresses, PROTOCOL_ICMPV6, message_len) + Sum::of(message);
        message[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.checksum().to_be_bytes());
        ipv6::HEADER_LEN + message_len
    }
}

/// The MAC address of a multicast group (RFC 2464 §7).
pub fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// ff02::1, everybody on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What both messages have in common.
fn check(ip: &Ipv6<'_>, message: &[u8]) -> Result<(), Invalid> {
    let pseudo_header = Sum::pseudo_header(ip.addresses(), PROTOCOL_ICMPV6, message.len());
    let is_sound = ip.hop_limit() == HOP_LIMIT
        && message.len() >= MESSAGE_LEN
        && message[CODE] == 0
        && (pseudo_header + Sum::of(message)).fold() == 0xffff;
    is_sound.then_some(()).ok_or(Invalid)
}

fn target(message: &[u8]) -> Result<Ipv6Addr, Invalid> {
    let octets: &[u8; 16] = message[TARGET..].first_chunk().ok_or(Invalid)?;
    let target = Ipv6Addr::from(*octets);
    (!target.is_multicast()).then_some(target).ok_or(Invalid)
}

/// The address in the first option of that type. All options must be whole.
fn link_layer(message: &[u8], wanted: u8) -> Result<Option<MacAddr>, Invalid> {
    let mut options = &message[MESSAGE_LEN..];
    let mut found = None;
    while !options.is_empty() {
        let [kind, units, ..] = *options else {
            return Err(Invalid);
        };
        let len = usize::from(units) * OPTION_UNIT;
        if len == 0 || len > options.len() {
            return Err(Invalid);
        }
        let (option, rest) = options.split_at(len);
        if kind == wanted && found.is_none() {
            let [_, _, a, b, c, d, e, f] = *option else {
                return Err(Invalid);
            };
            found = Some(MacAddr([a, b, c, d, e, f]));
        }
        options = rest;
    }
    Ok(found)
}

/// ff02::1:ff00:0/104 (RFC 4291 §2.7.1).
fn is_solicited_node(address: Ipv6Addr) -> bool {
    const PREFIX: [u8; 13] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
    address.octets()[..PREFIX.len()] == PREFIX
}

/// An advertisement with the target's MAC: IPv6 header, message and one option.
pub const ADVERTISEMENT_LEN: usize = ipv6::HEADER_LEN + MESSAGE_LEN + OPTION_UNIT;

const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
/// Only a neighbor can have sent it: routers lower it.
const HOP_LIMIT: u8 = 255;

const CODE: usize = 1;
const CHECKSUM: usize = 2;
const FLAGS: usize = 4;
const TARGET: usize = 8;
/// Without options.
const MESSAGE_LEN: usize = 24;
const OPTION_UNIT: usize = 8;

const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

#[cfg(test)]
mod tests;
