//! Numbers in network order, read from frames that may end anywhere.

use crate::wire::{be16, be32};

/// Bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// 4.
    Word,
    /// 2.
    Half,
    /// 1.
    Byte,
}

impl Width {
    /// The number at this offset; `None` if the frame ends before it does.
    pub(super) fn read(self, frame: &[u8], at: usize) -> Option<u32> {
        let rest = frame.get(at..)?;
        match self {
            Self::Word => (rest.len() >= 4).then(|| be32(rest, 0)),
            Self::Half => (rest.len() >= 2).then(|| be16(rest, 0).into()),
            Self::Byte => rest.first().map(|byte| u32::from(*byte)),
        }
    }
}

/// Bytes of the IPv4 header at this offset, as its length field says it.
pub(super) fn ipv4_header_len(frame: &[u8], at: usize) -> Option<u32> {
    frame.get(at).map(|byte| u32::from(byte & 0xf) * 4)
}
