//! Where a ring belongs, and how large its slots must be.

use super::super::super::netlink::{Link, Netlink};
use super::super::super::sys::slots::{SLOT_ALIGN, SLOT_OVERHEAD};
use super::super::super::sys::{file, socket};
use crate::error::{Error, ErrorCode};
use crate::wire::ethernet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// How many slots, and how long each. A packet that is longer than a slot is truncated and lost; packets that find no
/// free slot are lost and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSpec {
    /// Slots; rounded up so that whole blocks of memory are used.
    pub count: usize,
    /// Bytes of each, 76 of them for the kernel and 14 for the Ethernet header; rounded up to a multiple of 16.
    pub len: usize,
}

impl SlotSpec {
    /// Slots for an interface of this MTU (bytes, without the link header), in at most 34 MiB of memory.
    ///
    /// On a wire no packet is longer than the MTU, and many short slots absorb bursts. Where superframes come whole, each
    /// slot must hold 64 KiB; fewer of those do, because each carries up to 47 packets. One slot per packet is how this
    /// kind of ring works: short slots would cut superframes off, long ones for single packets cost memory alone.
    pub fn fitting(mtu: u32, superframes: bool) -> Self {
        let longest = (mtu as usize).saturating_add(ethernet::HEADER_LEN + SLOT_OVERHEAD);
        let len = match superframes {
            true => SUPERFRAME_SLOT_LEN,
            false => longest.clamp(PACKET_SLOT_LEN, SUPERFRAME_SLOT_LEN),
        }
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
        slots: SlotSpec::fitting(link.mtu, brings_superframes(&link)),
        ifindex: link.ifindex,
        ifname: link.ifname,
    })
}

/// Whether packets longer than the MTU may come over it: what the interface joined itself, or, if it is made of
/// software (a veth, a bridge), what a sender on this machine never cut.
fn brings_superframes(link: &Link) -> bool {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let joins = socket::udp_socket(&any)
        .and_then(|socket| file::joins_on_receipt(socket.as_fd(), &link.ifname));
    // Where it cannot be told, longer slots do no harm.
    link.kind.is_some() || joins.unwrap_or(true)
}

/// The kernel allocates blocks of this size in one piece each.
pub(super) const BLOCK_LEN: usize = 1 << 20;
const MAX_BLOCKS: usize = 34;
const MAX_SLOTS: usize = 4096;
/// A packet of 1500 bytes, and some.
const PACKET_SLOT_LEN: usize = 2048;
/// The longest packet that IP has, and as much more as lets 15 slots fill a block: the kernel's blocks are powers of
/// two, and starts at a distance of 64 KiB would compete for the same cache sets.
const SUPERFRAME_SLOT_LEN: usize = BLOCK_LEN / 15 / SLOT_ALIGN * SLOT_ALIGN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_of_the_interface_fits_a_slot() {
        for mtu in [68, 1280, 1500, 1962, 9000, 65_521] {
            for superframes in [false, true] {
                let slots = SlotSpec::fitting(mtu, superframes);
                let longest = match superframes {
                    true => 65_535,
                    false => mtu as usize,
                };
                assert!(slots.len >= longest + 14 + SLOT_OVERHEAD, "{mtu} {slots:?}");
                assert!(slots.len.is_multiple_of(SLOT_ALIGN));
            }
        }
        let (wire, whole) = (
            SlotSpec::fitting(1500, false),
            SlotSpec::fitting(1500, true),
        );
        assert_eq!((wire.count, wire.len), (4096, 2048));
        assert_eq!((whole.count, whole.len), (510, 69_904));
    }

    #[test]
    fn root_an_interface_of_hardware_brings_superframes_if_it_joins() {
        crate::io::netns::within_new(|| {
            // The loopback says of itself what hardware says: nothing.
            let lo = Netlink::open()?.link("lo")?.unwrap();
            assert_eq!(lo.kind, None);
            for (gro, brings) in [("off", false), ("on", true)] {
                let status = std::process::Command::new("ethtool")
                    .args(["-K", "lo", "gro", gro])
                    .status();
                assert!(status.unwrap().success());
                assert_eq!(brings_superframes(&lo), brings);
            }
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn no_interface_takes_more_than_34_mib() {
        for mtu in (0..=u32::MAX).step_by(1_000_003).chain(0..70_000) {
            for superframes in [false, true] {
                let slots = SlotSpec::fitting(mtu, superframes);
                let blocks = slots.count.div_ceil(BLOCK_LEN / slots.len);
                assert!(blocks <= MAX_BLOCKS && slots.count > 0, "{mtu} {slots:?}");
            }
        }
    }
}
