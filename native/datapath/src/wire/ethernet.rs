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

    /// Whether the frame says that it is tagged but ends before its tag does.
    pub fn has_broken_tag(&self) -> bool {
        is_tpid(self.ethertype()) && self.tag().is_none()
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

/// The header of a frame without tags.
pub fn emit(dst: MacAddr, src: MacAddr, ethertype: u16) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..6].copy_from_slice(&dst.0);
    header[6..ETHERTYPE].copy_from_slice(&src.0);
    header[ETHERTYPE..].copy_from_slice(&ethertype.to_be_bytes());
    header
}

/// Whether what follows is a tag.
pub fn is_tpid(ethertype: u16) -> bool {
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

/// ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;

/// IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

const ETHERTYPE: usize = 12;
const MAX_TAGS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample::{DST, SRC, Sample};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const C_TAG: (u16, u16) = (TPID_CUSTOMER, 0xb007);
    const S_TAG: (u16, u16) = (TPID_SERVICE, 0x0fff);

    #[test]
    fn a7_fewer_than_14_bytes_are_no_frame() {
        assert!(Ethernet::new(&[0; 13]).is_none());
        assert!(Ethernet::new(&[0; 14]).is_some());
    }

    #[test]
    fn c39_fourteen_bytes_are_a_frame() {
        let frame = [&DST.0[..], &SRC.0, &[0x88, 0xcc]].concat();
        let ethernet = Ethernet::new(&frame).unwrap();
        assert_eq!((ethernet.dst(), ethernet.src()), (DST, SRC));
        assert_eq!(ethernet.ethertype(), 0x88cc);
        assert_eq!(ethernet.network(), (0x88cc, 14));
        assert_eq!(ethernet.tag(), None);
        assert_eq!(emit(DST, SRC, 0x88cc), frame[..]);
    }

    #[test]
    fn c47_c50_the_outermost_tag_counts() {
        let frame = Sample::udp_v4(b"").tagged(&[C_TAG]).frame();
        let tag = Tag {
            tpid: 0x8100,
            vid: 7,
            pcp: 5,
            dei: true,
        };
        assert_eq!(Ethernet::new(&frame).unwrap().tag(), Some(tag));

        let frame = Sample::udp_v4(b"").tagged(&[S_TAG, C_TAG]).frame();
        let tag = Tag {
            tpid: 0x88a8,
            vid: 4095,
            pcp: 0,
            dei: false,
        };
        assert_eq!(Ethernet::new(&frame).unwrap().tag(), Some(tag));
    }

    #[test]
    fn the_network_header_is_behind_at_most_two_tags() {
        let network = |tags: &[_]| {
            let frame = Sample::udp_v4(b"").tagged(tags).frame();
            Ethernet::new(&frame).unwrap().network()
        };
        assert_eq!(network(&[]), (ETHERTYPE_IPV4, 14));
        assert_eq!(network(&[C_TAG]), (ETHERTYPE_IPV4, 18));
        assert_eq!(network(&[S_TAG, C_TAG]), (ETHERTYPE_IPV4, 22));
        assert_eq!(network(&[S_TAG, C_TAG, C_TAG]), (TPID_CUSTOMER, 22));
    }

    #[test]
    fn a_frame_that_ends_inside_its_tag_has_none() {
        let frame = Sample::udp_v4(b"").tagged(&[C_TAG]).frame();
        for len in 14..18 {
            let ethernet = Ethernet::new(&frame[..len]).unwrap();
            assert_eq!(ethernet.tag(), None);
            assert_eq!(ethernet.network(), (TPID_CUSTOMER, 14));
        }
        assert!(Ethernet::new(&frame[..18]).unwrap().tag().is_some());
    }

    #[test]
    fn c49_strip_removes_the_outermost_tag_only() {
        let sample = Sample::udp_v4(b"payload");
        let mut frame = sample.clone().tagged(&[S_TAG, C_TAG]).frame();
        let once = strip_tag(&mut frame);
        assert_eq!(once, sample.clone().tagged(&[C_TAG]).frame());
        let twice = strip_tag(once);
        assert_eq!(twice, sample.frame());
        assert_eq!(strip_tag(twice), sample.frame());
    }

    #[test]
    fn c46_link_local_control_is_the_sixteen_addresses_of_802_1q() {
        for last in 0..=255 {
            let mac = MacAddr([0x01, 0x80, 0xc2, 0, 0, last]);
            assert_eq!(is_link_local_control(mac), (last < 16).then_some(last));
        }
        for byte in 0..5 {
            let mut mac = MacAddr([0x01, 0x80, 0xc2, 0, 0, 3]);
            mac.0[byte] ^= 1;
            assert_eq!(is_link_local_control(mac), None);
        }
    }

    proptest! {
        #[test]
        fn c53_any_bytes_are_read_within_bounds(
            mut frame in vec(any::<u8>(), 0..40),
            tpids in vec(prop_oneof![Just([0x81, 0x00]), Just([0x88, 0xa8])], 0..3),
        ) {
            for (n, tpid) in tpids.iter().enumerate() {
                if let Some(at) = frame.get_mut(12 + 4 * n..14 + 4 * n) {
                    at.copy_from_slice(tpid);
                }
            }
            let Some(ethernet) = Ethernet::new(&frame) else {
                prop_assert!(frame.len() < HEADER_LEN);
                return Ok(());
            };
            let (ethertype, offset) = ethernet.network();
            prop_assert!(offset <= frame.len());
            prop_assert_eq!(&ethertype.to_be_bytes()[..], &frame[offset - 2..offset]);
            let is_tagged = ethernet.tag().is_some();
            prop_assert_eq!(is_tagged, offset > HEADER_LEN);

            let whole = frame.clone();
            let stripped = strip_tag(&mut frame);
            prop_assert_eq!(&stripped[..12], &whole[..12]);
            prop_assert_eq!(&stripped[12..], &whole[if is_tagged { 16 } else { 12 }..]);
        }
    }
}
