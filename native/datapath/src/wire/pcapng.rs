//! Blocks of pcapng, the file format of captures (draft-ietf-opsawg-pcapng-03; sections below are its).
//!
//! ```text
//! | type 32 | total length 32 | body, padded to 32 bits | options, each padded to 32 bits | total length 32 |   §3.1
//! | code 16 | length 16 | value, padded |  ...  | 0 16 | 0 16 |                                              §3.5
//! ```
//!
//! A block is a struct of what it says; `encode` appends it to a buffer. A section begins with its [`SectionHeader`],
//! an interface's number is how many [`InterfaceDescription`]s came before its own in the section, and both stand
//! before whatever speaks of them; the caller sees to that. What does not fit is cut or left out, never an error: a
//! text at a border of UTF-8, packet bytes at [`LONGEST_PACKET`], whole options where the block would be longer than
//! readers take.

/// In which order the bytes of a section's numbers stand; a section has one throughout (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
}

impl ByteOrder {
    /// This machine's.
    pub const NATIVE: Self = if cfg!(target_endian = "little") {
        Self::Little
    } else {
        Self::Big
    };
}

/// An option that is ours alone: text under a Private Enterprise Number (§3.5.1), in copies of the file too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Custom<'a> {
    /// Private Enterprise Number.
    pub enterprise: u32,
    /// UTF-8.
    pub text: &'a str,
}

/// Section Header Block (§4.1): version 1.0, of unspecified length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SectionHeader<'a> {
    /// shb_hardware.
    pub hardware: Option<&'a str>,
    /// shb_os.
    pub os: Option<&'a str>,
    /// shb_userappl: what wrote the section.
    pub application: Option<&'a str>,
    /// opt_comment, in this order.
    pub comments: &'a [&'a str],
}

/// What the packets of an interface begin with (LINKTYPE_ of the tcpdump group).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// LINKTYPE_ETHERNET: a frame.
    Ethernet,
    /// LINKTYPE_RAW: an IPv4 or IPv6 header.
    RawIp,
}

/// Unit of an interface's timestamps (if_tsresol, §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// 10^-6 s.
    Micros,
    /// 10^-9 s.
    Nanos,
}

/// Interface Description Block (§4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceDescription<'a> {
    /// What its packets begin with.
    pub link_type: LinkType,
    /// Bytes that are kept of each packet; 0 = all.
    pub snaplen: u32,
    /// if_tsresol.
    pub resolution: Resolution,
    /// if_name.
    pub name: Option<&'a str>,
    /// if_description.
    pub description: Option<&'a str>,
    /// if_filter, in libpcap's syntax.
    pub filter: Option<&'a str>,
    /// if_os.
    pub os: Option<&'a str>,
    /// opt_comment, in this order.
    pub comments: &'a [&'a str],
}

/// Which way a packet went (epb_flags, §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It came.
    Inbound,
    /// It left.
    Outbound,
}

/// Enhanced Packet Block (§4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnhancedPacket<'a> {
    /// The interface's number in the section.
    pub interface: u32,
    /// Since 1970, in the interface's unit.
    pub time: u64,
    /// Bytes that the packet had; told as at least those that are here.
    pub wire_len: u32,
    /// What was kept of them.
    pub bytes: &'a [u8],
    /// epb_flags.
    pub direction: Option<Direction>,
    /// epb_packetid: the same at several interfaces where it is one packet.
    pub packet_id: Option<u64>,
    /// epb_dropcount: packets of the interface that were lost since the one before.
    pub drop_count: Option<u64>,
    /// opt_comment, in this order.
    pub comments: &'a [&'a str],
    /// Custom options, in this order.
    pub custom: &'a [Custom<'a>],
}

/// Interface Statistics Block (§4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InterfaceStatistics<'a> {
    /// The interface's number in the section.
    pub interface: u32,
    /// When the numbers were taken; like all times since 1970, in the interface's unit.
    pub time: u64,
    /// isb_starttime.
    pub start: Option<u64>,
    /// isb_endtime.
    pub end: Option<u64>,
    /// isb_ifrecv: packets that there were.
    pub received: Option<u64>,
    /// isb_ifdrop: those of them for which there was no room.
    pub dropped: Option<u64>,
    /// opt_comment, in this order.
    pub comments: &'a [&'a str],
}

impl SectionHeader<'_> {
    /// Appends the block to `out`.
    pub fn encode(&self, order: ByteOrder, out: &mut Vec<u8>) {
        let mut block = Block::begin(order, SECTION_HEADER, out);
        block.u32(BYTE_ORDER_MAGIC);
        block.u16(1);
        block.u16(0);
        block.u64(u64::MAX);
        block.text(SHB_HARDWARE, self.hardware);
        block.text(SHB_OS, self.os);
        block.text(SHB_USERAPPL, self.application);
        block.comments(self.comments);
        block.end();
    }
}

impl InterfaceDescription<'_> {
    /// Appends the block to `out`.
    pub fn encode(&self, order: ByteOrder, out: &mut Vec<u8>) {
        let mut block = Block::begin(order, INTERFACE_DESCRIPTION, out);
        block.u16(match self.link_type {
            LinkType::Ethernet => 1,
            LinkType::RawIp => 101,
        });
        block.u16(0);
        block.u32(self.snaplen);
        block.text(IF_NAME, self.name);
        block.text(IF_DESCRIPTION, self.description);
        let exponent = match self.resolution {
            Resolution::Micros => 6,
            Resolution::Nanos => 9,
        };
        block.option(IF_TSRESOL, &[&[exponent]]);
        if let Some(filter) = self.filter {
            // Its first byte says what follows: 0 is a string of libpcap's.
            block.prefixed_text(IF_FILTER, &[0], filter);
        }
        block.text(IF_OS, self.os);
        block.comments(self.comments);
        block.end();
    }
}

impl EnhancedPacket<'_> {
    /// Appends the block to `out`.
    pub fn encode(&self, order: ByteOrder, out: &mut Vec<u8>) {
        let bytes = &self.bytes[..self.bytes.len().min(LONGEST_PACKET)];
        let captured = bytes.len() as u32;
        let mut block = Block::begin(order, ENHANCED_PACKET, out);
        block.u32(self.interface);
        block.time(self.time);
        block.u32(captured);
        block.u32(self.wire_len.max(captured));
        block.padded(bytes);
        if let Some(direction) = self.direction {
            let flags = match direction {
                Direction::Inbound => 1,
                Direction::Outbound => 2,
            };
            block.option(EPB_FLAGS, &[&order.u32(flags)]);
        }
        block.number(EPB_DROPCOUNT, self.drop_count);
        block.number(EPB_PACKETID, self.packet_id);
        block.comments(self.comments);
        for custom in self.custom {
            block.prefixed_text(CUSTOM_TEXT, &order.u32(custom.enterprise), custom.text);
        }
        block.end();
    }
}

impl InterfaceStatistics<'_> {
    /// Appends the block to `out`.
    pub fn encode(&self, order: ByteOrder, out: &mut Vec<u8>) {
        let mut block = Block::begin(order, INTERFACE_STATISTICS, out);
        block.u32(self.interface);
        block.time(self.time);
        block.moment(ISB_STARTTIME, self.start);
        block.moment(ISB_ENDTIME, self.end);
        block.number(ISB_IFRECV, self.received);
        block.number(ISB_IFDROP, self.dropped);
        block.comments(self.comments);
        block.end();
    }
}

impl ByteOrder {
    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// A timestamp: the upper half stands first in either order (§4.3).
    fn time(self, value: u64) -> [u8; 8] {
        let (mut bytes, upper) = ([0; 8], (value >> 32) as u32);
        bytes[..4].copy_from_slice(&self.u32(upper));
        bytes[4..].copy_from_slice(&self.u32(value as u32));
        bytes
    }
}

/// A block that is being appended: its body first, then its options, then `end`.
struct Block<'a> {
    order: ByteOrder,
    out: &'a mut Vec<u8>,
    start: usize,
    has_options: bool,
}

impl<'a> Block<'a> {
    fn begin(order: ByteOrder, kind: u32, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&order.u32(kind));
        out.extend_from_slice(&[0; 4]);
        Self {
            order,
            out,
            start,
            has_options: false,
        }
    }

    fn end(mut self) {
        if self.has_options {
            self.u32(0);
        }
        let length = self.order.u32((self.len() + 4) as u32);
        self.out[self.start + 4..self.start + 8].copy_from_slice(&length);
        self.out.extend_from_slice(&length);
    }

    fn len(&self) -> usize {
        self.out.len() - self.start
    }

    fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&self.order.u16(value));
    }

    fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&self.order.u32(value));
    }

    fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&self.order.u64(value));
    }

    fn time(&mut self, value: u64) {
        self.out.extend_from_slice(&self.order.time(value));
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.pad(bytes.len());
    }

    fn pad(&mut self, len: usize) {
        let padding = len.next_multiple_of(4) - len;
        self.out.extend_from_slice(&[0; 3][..padding]);
    }

    /// An option whose value is `parts`, together at most 65,535 bytes.
    fn option(&mut self, code: u16, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        if self.len() + usize::from(u16::MAX) > LONGEST_BLOCK {
            return;
        }
        self.has_options = true;
        self.u16(code);
        self.u16(len as u16);
        for part in parts {
            self.out.extend_from_slice(part);
        }
        self.pad(len);
    }

    fn prefixed_text(&mut self, code: u16, prefix: &[u8], text: &str) {
        let room = usize::from(u16::MAX) - prefix.len();
        let border = |at: &usize| text.is_char_boundary(*at);
        let kept = (0..=room.min(text.len())).rev().find(border);
        self.option(code, &[prefix, &text.as_bytes()[..kept.unwrap_or(0)]]);
    }

    fn text(&mut self, code: u16, text: Option<&str>) {
        if let Some(text) = text {
            self.prefixed_text(code, &[], text);
        }
    }

    fn comments(&mut self, comments: &[&str]) {
        for comment in comments {
            self.text(OPT_COMMENT, Some(comment));
        }
    }

    fn number(&mut self, code: u16, value: Option<u64>) {
        if let Some(value) = value {
            self.option(code, &[&self.order.u64(value)]);
        }
    }

    fn moment(&mut self, code: u16, value: Option<u64>) {
        if let Some(value) = value {
            self.option(code, &[&self.order.time(value)]);
        }
    }
}

/// Bytes of a packet that readers take at most: libpcap's largest snap length, which is Wireshark's too.
pub const LONGEST_PACKET: usize = 262_144;

/// Wireshark refuses longer blocks (16 MiB); the rest is for the option that is being added and the block's end.
const LONGEST_BLOCK: usize = (16 << 20) - 64;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPT_COMMENT: u16 = 1;
const CUSTOM_TEXT: u16 = 2988;
const SHB_HARDWARE: u16 = 2;
const SHB_OS: u16 = 3;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const IF_FILTER: u16 = 11;
const IF_OS: u16 = 12;
const EPB_FLAGS: u16 = 2;
const EPB_DROPCOUNT: u16 = 4;
const EPB_PACKETID: u16 = 5;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;

#[cfg(test)]
mod tests;
