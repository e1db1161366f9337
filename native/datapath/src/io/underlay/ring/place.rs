//! Where a ring belongs, and how large its slots must be.

use super::super::super::netlink::{Link, Netlink};
use super::super::super::sys::slots::{SLOT_ALIGN, SLOT_OVERHEAD};
use crate::error::{Error, ErrorCode};
use crate::wire::ethernet;
use std::net::IpAddr;

/// How many slots, and how long each. Packets that find no free slot are lost and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSpec {
    /// Slots; rounded up so that whole blocks of memory are used.
    pub count: usize,
    /// Bytes of each, 76 of them for the kernel and 14 for the Ethernet header; rounded up to a multiple of 16.
    pub len: usize,
}

impl SlotSpec {
    /// Slots for an interface of this MTU (bytes, without the link header), in at most 34 MiB of memory: a packet of the
    /// MTU fits one, and there are enough for a burst.
    pub fn fitting(mtu: u32) -> Self {
        let longest = (mtu as usize).saturating_add(ethernet::HEADER_LEN + SLOT_OVERHEAD);
        let len = longest
            .clamp(SHORTEST_SLOT_LEN, LONGEST_SLOT_LEN)
            .next_multiple_of(SLOT_ALIGN);
        let in_memory = MAX_BLOCKS * (BLOCK_LEN / len);
        Self {
            count: in_memory.min(MAX_SLOTS),
            len,
        }
    }
}

/// The interface on which datagrams to an address arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub ifname: String,
    /// Slots that fit it.
    pub slots: SlotSpec,
}

/// The interface of the calling thread's namespace that has the address `ip`; of a link-local address the one named
/// `scope`.
///
/// Datagrams to `ip` may come over other interfaces too: an address on `lo` or a dummy is reached over any. Those never
/// come to a ring here, and stay with the ordinary socket.
///
/// Errors: `ADDRESS_NOT_LOCAL`, `NO_FILES`, `IO`.
pub fn place(ip: IpAddr, scope: Option<&str>) -> Result<Place, Error> {
    let mut netlink = Netlink::open()?;
    let addresses = netlink.addresses()?;
    let has_it = |link: &Link| {
        let mut here = addresses.iter().filter(|a| a.ifindex == link.ifindex);
        here.any(|a| a.ip == ip) && scope.is_none_or(|name| name == link.ifname)
    };
    let link = netlink.links()?.into_iter().find(has_it);
    let Some(link) = link else {
        return Err(Error::new(ErrorCode::AddressNotLocal, ip.to_string()));
    };
    Ok(Place {
        slots: SlotSpec::fitting(link.mtu),
        ifindex: link.ifindex,
        ifname: link.ifname,
    })
}

/// The kernel allocates blocks of this size in one piece each.
pub(super) const BLOCK_LEN: usize = 1 << 20;
const MAX_BLOCKS: usize = 34;
const MAX_SLOTS: usize = 4096;
/// A packet of 1500 bytes, and some.
const SHORTEST_SLOT_LEN: usize = 2048;
/// A jumbo packet; the loopback's 64 KiB would make few slots.
const LONGEST_SLOT_LEN: usize = 10 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_of_a_wire_fits_a_slot_and_there_are_many() {
        for mtu in [68, 1280, 1500, 1962, 9000] {
            let slots = SlotSpec::fitting(mtu);
            assert!(
                slots.len >= mtu as usize + 14 + SLOT_OVERHEAD,
                "{mtu} {slots:?}"
            );
            assert!(slots.len.is_multiple_of(SLOT_ALIGN));
            assert!(slots.count > 3000, "{mtu} {slots:?}");
        }
        let usual = SlotSpec::fitting(1500);
        assert_eq!((usual.count, usual.len), (4096, 2048));
    }

    #[test]
    fn no_interface_takes_more_than_34_mib() {
        for mtu in (0..=u32::MAX).step_by(1_000_003).chain(0..70_000) {
            let slots = SlotSpec::fitting(mtu);
            let blocks = slots.count.div_ceil(BLOCK_LEN / slots.len);
            assert!(blocks <= MAX_BLOCKS && slots.count > 0, "{mtu} {slots:?}");
        }
    }
}
