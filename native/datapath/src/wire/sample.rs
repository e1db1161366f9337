//! Frames for tests, written out field by field with the slowest possible checksum: the oracle of the fast code.

use super::mac::MacAddr;

/// A frame as its fields.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// TPID and control of every tag, outermost first.
    pub(crate) tags: Vec<(u16, u16)>,
    pub(crate) network: Network,
    pub(crate) transport: Transport,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) enum Network {
    V4 {
        id: u16,
        /// Flags and fragment offset.
        fragment: u16,
        /// A multiple of 4 bytes, at most 40.
        options: Vec<u8>,
    },
    V6 {
        label: u32,
        /// Number and bytes of every extension header; the first byte of each is overwritten.
        extensions: Vec<(u8, Vec<u8>)>,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Transport {
    Tcp {
        seq: u32,
        flags: u8,
        /// A multiple of 4 bytes, at most 40.
        options: Vec<u8>,
    },
    Udp,
    /// Another protocol, without a header of its own.
    Other(u8),
}

pub(crate) const SRC: MacAddr = MacAddr([2, 0x42, 10, 0, 0, 1]);
pub(crate) const DST: MacAddr = MacAddr([2, 0x42, 10, 0, 0, 2]);
pub(crate) const SRC_PORT: u16 = 40000;
pub(crate) const DST_PORT: u16 = 443;
pub(crate) const TTL: u8 = 63;
pub(crate) const DONT_FRAGMENT: u16 = 0x4000;
pub(crate) const MORE_FRAGMENTS: u16 = 0x2000;

impl Sample {
    pub(crate) fn tcp_v4(payload: &[u8]) -> Self {
        Self {
            tags: vec![],
            network: Network::V4 {
                id: 0x1234,
                fragment: DONT_FRAGMENT,
                options: vec![],
            },
            transport: Transport::Tcp {
                seq: 1000,
                flags: 0x10,
                options: vec![],
            },
            payload: payload.to_vec(),
        }
    }

    pub(crate) fn udp_v4(payload: &[u8]) -> Self {
        Self {
            transport: Transport::Udp,
            ..Self::tcp_v4(payload)
        }
    }

    pub(crate) fn on_v6(self, extensions: &[(u8, &[u8])]) -> Self {
        let extensions = extensions.iter().map(|&(n, b)| (n, b.to_vec())).collect();
        Self {
            network: Network::V6 {
                label: 0,
                extensions,
            },
            ..self
        }
    }

    pub(crate) fn tagged(self, tags: &[(u16, u16)]) -> Self {
        Self {
            tags: tags.to_vec(),
            ..self
        }
    }

    /// The frame, all checksums right.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = self.frame_with_checksum(0);
        let transport = self.transport_offset();
        let Some(field) = self.checksum_field() else {
            return frame;
        };
        let mut summed = self.pseudo_header(frame.len() - transport);
        summed.extend_from_slice(&frame[transport..]);
        let checksum = match (!naive_sum(&summed), &self.transport) {
            (0, Transport::Udp) => 0xffff,
            (checksum, _) => checksum,
        };
        frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
        frame
    }

    /// The frame with only the pseudo header's sum in its checksum field.
    pub(crate) fn partial_frame(&self) -> Vec<u8> {
        let len = self.frame_with_checksum(0).len();
        let pseudo_header = self.pseudo_header(len - self.transport_offset());
        self.frame_with_checksum(naive_sum(&pseudo_header))
    }

    pub(crate) fn network_offset(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    pub(crate) fn transport_offset(&self) -> usize {
        self.network_offset()
            + match &self.network {
                Network::V4 { options, .. } => 20 + options.len(),
                Network::V6 { extensions, .. } => {
                    40 + extensions.iter().map(|(_, e)| e.len()).sum::<usize>()
                }
            }
    }

    /// Bytes of all headers.
    pub(crate) fn header_len(&self) -> usize {
        self.transport_offset()
            + match &self.transport {
                Transport::Tcp { options, .. } => 20 + options.len(),
                Transport::Udp => 8,
                Transport::Other(_) => 0,
            }
    }

    /// Where the transport checksum is in the frame.
    pub(crate) fn checksum_field(&self) -> Option<usize> {
        match self.transport {
            Transport::Tcp { .. } => Some(self.transport_offset() + 16),
            Transport::Udp => Some(self.transport_offset() + 6),
            Transport::Other(_) => None,
        }
    }

    pub(crate) fn is_v6(&self) -> bool {
        matches!(self.network, Network::V6 { .. })
    }

    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.transport, Transport::Tcp { .. })
    }

    pub(crate) fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp { .. } => 6,
            Transport::Udp => 17,
            Transport::Other(number) => number,
        }
    }

    fn addresses(&self) -> Vec<u8> {
        if self.is_v6() {
            let mut addresses = vec![0xfd; 32];
            addresses[15] = 1;
            addresses[31] = 2;
            addresses
        } else {
            vec![10, 0, 0, 1, 10, 0, 0, 2]
        }
    }

    /// RFC 8200 §8.1; for IPv4 the same words in other places.
    fn pseudo_header(&self, transport_len: usize) -> Vec<u8> {
        let mut bytes = self.addresses();
        bytes.extend_from_slice(&(transport_len as u32).to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, self.protocol()]);
        bytes
    }

    fn frame_with_checksum(&self, checksum: u16) -> Vec<u8> {
        let mut transport = match &self.transport {
            Transport::Tcp {
                seq,
                flags,
                options,
            } => tcp_header(*seq, *flags, options, checksum),
            Transport::Udp => {
                let len = (8 + self.payload.len()) as u16;
                words(&[SRC_PORT, DST_PORT, len, checksum])
            }
            Transport::Other(_) => vec![],
        };
        transport.extend_from_slice(&self.payload);
        let mut frame = [DST.0, SRC.0].concat();
        for &(tpid, control) in &self.tags {
            frame.extend(words(&[tpid, control]));
        }
        frame.extend(words(&[if self.is_v6() { 0x86dd } else { 0x0800 }]));
        frame.extend(self.network_headers(transport.len()));
        frame.extend(transport);
        frame
    }

    fn network_headers(&self, transport_len: usize) -> Vec<u8> {
        match &self.network {
            Network::V4 {
                id,
                fragment,
                options,
            } => {
                let len = 20 + options.len();
                let version = 0x4000 | (len as u16 / 4) << 8 | 0x08;
                let ttl = u16::from(TTL) << 8 | u16::from(self.protocol());
                let total_len = (len + transport_len) as u16;
                let mut header = words(&[version, total_len, *id, *fragment, ttl, 0]);
                header.extend(self.addresses());
                header.extend(options);
                let checksum = !naive_sum(&header);
                header[10..12].copy_from_slice(&checksum.to_be_bytes());
                header
            }
            Network::V6 { label, extensions } => {
                let mut chain = vec![];
                let mut numbers = extensions.iter().map(|&(number, _)| number);
                let first = numbers.next().unwrap_or(self.protocol());
                for (_, extension) in extensions {
                    let at = chain.len();
                    chain.extend(extension);
                    chain[at] = numbers.next().unwrap_or(self.protocol());
                }
                let mut header = (0x6000_0000 | label).to_be_bytes().to_vec();
                header.extend(words(&[
                    (chain.len() + transport_len) as u16,
                    u16::from(first) << 8 | u16::from(TTL),
                ]));
                header.extend(self.addresses());
                header.extend(chain);
                header
            }
        }
    }
}

/// The folded ones-complement sum, two bytes at a time.
pub(crate) fn naive_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        if sum > 0xffff {
            sum -= 0xffff;
        }
    }
    sum as u16
}

fn tcp_header(seq: u32, flags: u8, options: &[u8], checksum: u16) -> Vec<u8> {
    let data_offset = ((20 + options.len()) / 4) as u16;
    let mut header = words(&[SRC_PORT, DST_PORT]);
    header.extend(seq.to_be_bytes());
    header.extend(0x0102_0304u32.to_be_bytes());
    header.extend(words(&[
        data_offset << 12 | u16::from(flags),
        0x7210,
        checksum,
        0,
    ]));
    header.extend(options);
    header
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
