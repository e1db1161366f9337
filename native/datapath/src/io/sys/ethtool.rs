//! ethtool(8) over SIOCETHTOOL: what an interface does itself. The bit of a feature is another one in every kernel, so
//! it is found by its name.

use super::file::interface_request;
use super::{Errno, check};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether all of `features`, named as by `ethtool -k`, are on. `socket` is one of the interface's namespace, of any
/// family.
///
/// Errors: ENODEV; EOPNOTSUPP when the kernel knows no feature of such a name.
pub(in crate::io) fn has_features(
    socket: BorrowedFd<'_>,
    ifname: &str,
    features: &[&str],
) -> Result<bool, Errno> {
    let count = feature_count(socket, ifname)?;
    let mut names = vec![0; 3 + count * NAME_LEN / 4];
    names[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count as u32]);
    // SAFETY: behind command, set and count there is room for every name of the set, whose size never changes.
    unsafe { request(socket, ifname, &mut names) }?;
    let names: Vec<u8> = names[3..].iter().flat_map(|w| w.to_ne_bytes()).collect();

    let blocks = count.div_ceil(32);
    let mut states = vec![0; 2 + blocks * BLOCK_WORDS];
    states[..2].copy_from_slice(&[ETHTOOL_GFEATURES, blocks as u32]);
    // SAFETY: behind command and number of blocks there is room for as many blocks.
    unsafe { request(socket, ifname, &mut states) }?;
    for feature in features {
        let is_it = |name: &[u8]| name.split(|&b| b == 0).next() == Some(feature.as_bytes());
        let bit = names.chunks(NAME_LEN).position(is_it);
        let bit = bit.ok_or(Errno(libc::EOPNOTSUPP))?;
        let active = states[2 + bit / 32 * BLOCK_WORDS + ACTIVE];
        if active >> (bit % 32) & 1 == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn feature_count(socket: BorrowedFd<'_>, ifname: &str) -> Result<usize, Errno> {
    // Command, reserved, a mask of sets in 64 bits (the one in the first half, as the machine orders them), the answer.
    let mask = (1u64 << ETH_SS_FEATURES).to_ne_bytes();
    let [a, b, c, d, e, f, g, h] = mask;
    let halves = [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    ];
    let mut info = [ETHTOOL_GSSET_INFO, 0, halves[0], halves[1], 0];
    // SAFETY: one set is asked for, so one number is written behind the mask.
    unsafe { request(socket, ifname, &mut info) }?;
    Ok(info[4] as usize)
}

/// # Safety
/// `words` is what the command in its first word reads and writes, with room for all that is written.
unsafe fn request(socket: BorrowedFd<'_>, ifname: &str, words: &mut [u32]) -> Result<(), Errno> {
    let mut request = interface_request(ifname)?;
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: SIOCETHTOOL reads one ifreq and what it points to, which both live for the call; the rest is the caller's
    // promise.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) })?;
    Ok(())
}

// linux/ethtool.h
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETH_SS_FEATURES: u32 = 4;
const NAME_LEN: usize = 32;
/// Words of a block: available, requested, active, never changed.
const BLOCK_WORDS: usize = 4;
const ACTIVE: usize = 2;
const SIOCETHTOOL: u32 = 0x8946;
