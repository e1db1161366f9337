//! Completes the checksum that a TAP's owner left to the device (`NEEDS_CSUM`).

use crate::wire::Malformed;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::Ethernet;
use crate::wire::ip::Ip;
use crate::wire::udp;
use crate::wire::vnet::VnetHeader;

/// Stores in `frame` the checksum that `header` asks for, if it asks for one; the frame then needs no offload header.
/// For frames that are no superframes: [`Superframe::split`](super::Superframe::split) sees to the others itself.
///
/// The field already holds the sum of the pseudo header. Ethernet padding behind an IP packet is not summed.
///
/// # Errors
/// [`Malformed`] if the field or the start of the sum is beyond the frame or in its padding. The frame is unchanged.
pub fn complete(frame: &mut [u8], header: &VnetHeader) -> Result<(), Malformed> {
    if !header.needs_csum {
        return Ok(());
    }
    let start = usize::from(header.csum_start);
    let field = start + usize::from(header.csum_offset);
    let end = packet_end(frame);
    if field + 2 > end {
        return Err(Malformed);
    }
    // 0 becomes 0xffff whatever the protocol, as in Linux (skb_checksum_help): UDP needs it, to the others both are 0
    let checksum = udp::transmitted(Sum::of(&frame[start..end]).checksum());
    frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

/// Where the IP packet in `frame` ends; the end of the frame if there is none, or its length field is wrong.
fn packet_end(frame: &[u8]) -> usize {
    Ethernet::new(frame)
        .and_then(|ethernet| Ip::carried_by(&ethernet))
        .and_then(|(ip, offset)| Some(offset + ip.packet_len()?))
        .unwrap_or(frame.len())
}
