//! What the kernel says of a packet beside its bytes: `struct tpacket_auxdata` (linux/if_packet.h), as bytes.
//!
//! ```text
//! | status (4) | len (4) | snaplen (4) | mac (2) | net (2) | vlan_tci (2) | vlan_tpid (2) |      in host byte order
//! ```

use super::super::sys::cmsg;
use crate::wire::ethernet::TAG_LEN;

/// What is told of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Auxdata {
    /// Its checksum field holds the pseudo header's sum alone.
    pub(super) is_unfinished: bool,
    /// The VLAN tag that the kernel has taken out of it, as it stood there: TPID and TCI.
    pub(super) tag: Option<[u8; TAG_LEN]>,
}

/// Reads it from control messages; where there is none, nothing is told.
pub(super) fn read(control: &[u8]) -> Auxdata {
    cmsg::messages(control)
        .find(|message| (message.level, message.kind) == (libc::SOL_PACKET, PACKET_AUXDATA))
        .and_then(|message| message.data.first_chunk().map(parse))
        .unwrap_or_default()
}

fn parse(data: &[u8; AUXDATA_LEN]) -> Auxdata {
    let [s0, s1, s2, s3, .., c0, c1, p0, p1] = *data;
    let status = u32::from_ne_bytes([s0, s1, s2, s3]);
    let tci = u16::from_ne_bytes([c0, c1]);
    // Before Linux 3.0 no bit says that there is a tag, and before 3.14 none of which kind it is.
    let is_tagged = status & libc::TP_STATUS_VLAN_VALID != 0 || tci != 0;
    let tpid = match status & libc::TP_STATUS_VLAN_TPID_VALID {
        0 => ETHERTYPE_VLAN,
        _ => u16::from_ne_bytes([p0, p1]),
    };
    let tag = || {
        let ([a, b], [c, d]) = (tpid.to_be_bytes(), tci.to_be_bytes());
        [a, b, c, d]
    };
    Auxdata {
        is_unfinished: status & libc::TP_STATUS_CSUMNOTREADY != 0,
        tag: is_tagged.then(tag),
    }
}

const PACKET_AUXDATA: i32 = libc::PACKET_AUXDATA;
const AUXDATA_LEN: usize = 20;
const ETHERTYPE_VLAN: u16 = 0x8100;

#[cfg(test)]
mod tests {
    use super::super::super::sys::cmsg::Control;
    use super::*;
    use proptest::prelude::*;

    fn told(status: u32, tci: u16, tpid: u16) -> Auxdata {
        let mut data = [0; AUXDATA_LEN];
        data[..4].copy_from_slice(&status.to_ne_bytes());
        data[16..18].copy_from_slice(&tci.to_ne_bytes());
        data[18..].copy_from_slice(&tpid.to_ne_bytes());
        let mut control = Control::<128>::EMPTY;
        control.push(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[7; 16]);
        control.push(libc::SOL_PACKET, PACKET_AUXDATA, &data);
        read(control.as_bytes())
    }

    #[test]
    fn an_untagged_finished_frame_has_nothing_told_of_it() {
        assert_eq!(told(libc::TP_STATUS_USER, 0, 0), Auxdata::default());
        assert_eq!(read(&[]), Auxdata::default());
    }

    #[test]
    fn a_tag_is_as_it_stood_in_the_frame() {
        let valid = libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID;
        assert_eq!(told(valid, 0xa005, 0x88a8).tag, Some([0x88, 0xa8, 0xa0, 5]));
        // A tag with VID 0 and priority 0 is one all the same.
        assert_eq!(told(valid, 0, 0x8100).tag, Some([0x81, 0, 0, 0]));
    }

    #[test]
    fn an_older_kernel_says_less_of_a_tag() {
        let valid = libc::TP_STATUS_VLAN_VALID;
        assert_eq!(told(valid, 5, 0).tag, Some([0x81, 0, 0, 5]));
        assert_eq!(told(0, 5, 0).tag, Some([0x81, 0, 0, 5]));
    }

    #[test]
    fn an_unfinished_checksum_is_told() {
        assert!(told(libc::TP_STATUS_CSUMNOTREADY, 0, 0).is_unfinished);
        assert!(!told(libc::TP_STATUS_CSUM_VALID, 0, 0).is_unfinished);
    }

    proptest! {
        #[test]
        fn whatever_bytes_there_are_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            read(&bytes);
        }
    }
}
