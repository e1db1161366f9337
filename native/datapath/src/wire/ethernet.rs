//! Ethernet II header (IEEE 802.3) with VLAN tags (IEEE 802.1Q §9).
//!
//! ```text
//! | dst (6) | src (6) | ethertype (2) | payload
//! | dst (6) | src (6) | TPID (2) PCP:3 DEI:1 VID:12 (2) | ethertype (2) | payload      one tag: 4 bytes longer
//! ```
//!
//! Frames have no FCS.

use super::be16;
use super::mac::MacAddr;

/// A frame, at least [`HEADER_LEN`] bytes.
#[derive(Debug, Clone, Copy)]
pub struct Ethernet<'a>(&'a [u8]);

impl<'a> Ethernet<'a> {
    /// `None` if `frame` is shorter than [`HEADER_LEN`].
    pub fn new(frame: &'a [u8]) -> Option<Self> {
        (frame.len() >= HEADER_LEN).then_some(Self(frame))
    }

    /// Destination address.
    pub fn dst(&self) -> MacAddr {
        self.address(0)
    }

    /// Source address.
    pub fn src(&self) -> MacAddr {
        self.address(6)
    }

    /// The outermost ethertype: a TPID if the frame is tagged.
    pub fn ethertype(&self) -> u16 {
        be16(self.0, ETHERTYPE)
    }

    /// The outermost tag, if it is there in full with an ethertype behind it. A frame that ends inside its tag has
    /// none, though [`ethertype`](Self::ethertype) still is a TPID.
    pub fn tag(&self) -> Option<Tag> {
        let tpid = self.ethertype();
        if !is_tpid(tpid) || self.0.len() < HEADER_LEN + TAG_LEN {
            return None;
        }
        let control = be16(self.0, ETHERTYPE + 2);
        Some(Tag {
            tpid,
            vid: control & 0x0fff,
            pcp: (control >> 13) as u8,
            dei: control & 0x1000 != 0,
        })
    }

    /// The ethertype behind at most two tags, and the offset of what follows it. The offset is at most the length of
    /// the frame. With a third or an incomplete tag the ethertype is that tag's TPID.
    pub fn network(&self) -> (u16, usize) {
        let mut offset = HEADER_LEN;
        for _ in 0..MAX_TAGS {
            let whole_tag = self.0.len() >= offset + TAG_LEN;
            if !whole_tag || !is_tpid(be16(self.0, offset - 2)) {
                break;
            }
            offset += TAG_LEN;
        }
        (be16(self.0, offset - 2), offset)
    }

    /// The whole frame.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    fn address(&self, at: usize) -> MacAddr {
        let b = &self.0[at..at + 6];
        MacAddr([b[0], b[1], b[2], b[3], b[4], b[5]])
    }
}

/// A VLAN tag (IEEE 802.1Q §9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// [`TPID_CUSTOMER`] or [`TPID_SERVICE`].
    pub tpid: u16,
    /// VLAN ID, 12 bits; 0 is a priority tag.
    pub vid: u16,
    /// Priority code point, 3 bits.
    pub pcp: u8,
    /// Drop eligible indicator.
    pub dei: bool,
}

/// The `n` of a destination 01:80:c2:00:00:0n: link-local control (IEEE 802.1Q table 8-1), which bridges do not
/// forward.
pub fn is_link_local_control(mac: MacAddr) -> Option<u8> {
    match mac.0 {
        [0x01, 0x80, 0xc2, 0, 0, last @ 0..=0x0f] => Some(last),
        _ => None,
    }
}

/// Removes the outermost tag in place: the addresses move over it, and the frame returned begins [`TAG_LEN`] bytes
/// later. A frame without a [`Ethernet::tag`] is returned as it is.
pub fn strip_tag(frame: &mut [u8]) -> &mut [u8] {
    if Ethernet::new(frame).and_then(|e| e.tag()).is_none() {
        return frame;
    }
    frame.copy_within(..ETHERTYPE, TAG_LEN);
    &mut frame[TAG_LEN..]
}

fn is_tpid(ethertype: u16) -> bool {
    ethertype == TPID_CUSTOMER || ethertype == TPID_SERVICE
}

/// Addresses and ethertype, without tags.
pub const HEADER_LEN: usize = 14;

/// What one VLAN tag adds.
pub const TAG_LEN: usize = 4;

/// 802.1Q, the customer tag.
pub const TPID_CUSTOMER: u16 = 0x8100;

/// 802.1ad, the service tag.
pub const TPID_SERVICE: u16 = 0x88a8;

/// IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;

/// IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

const ETHERTYPE: usize = 12;
const MAX_TAGS: usize = 2;
