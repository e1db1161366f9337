//! What a worker is about to send: frames lie in one arena, each behind room for its VXLAN header, and leave as runs.
//!
//! Glossary, smallest to largest:
//! - *frame*: as read from a port; 8 bytes before it are free
//! - *datagram*: VXLAN header + frame
//! - *run*: datagrams of equal size to one VTEP from one source port, a shorter one only last: one `UDP_SEGMENT` send
//! - *batch*: all runs between two flushes, in order per source port, so a flow is never reordered
//!
//! The arena is borrowed until the flush; nothing in it moves before.

use std::net::{IpAddr, SocketAddr};

use super::capture::Mark;
use super::outer::{OuterHeader, OuterRule};
use crate::counter::DropReason;
use crate::io::underlay::{Part, Transmit};
use crate::offload::Superframe;
use crate::switch::PortId;
use crate::wire::encap::{Head, OuterHeader as OuterHead};
use crate::wire::ethernet::Ethernet;
use crate::wire::flow::flow_hash;
use crate::wire::vnet::VnetHeader;
use crate::wire::vxlan::{self, Vni};

/// A frame in the arena.
pub(crate) struct Held {
    offset: usize,
    len: usize,
    /// What is left to do for it: partial checksum, segmentation.
    pub(crate) vnet: VnetHeader,
    /// Its segmentation, if it is a superframe.
    pub(crate) superframe: Option<Superframe>,
    /// Frames that it counts for.
    pub(crate) segments: u64,
    /// What captures know it by.
    pub(super) mark: Mark,
    /// PCP of the VLAN tag that it came with, which may have been stripped since.
    pcp: Option<u8>,
    /// Its datagrams, once built, and the VNI in them.
    built: Option<(Vni, Built)>,
    entropy: Option<Entropy>,
}

/// Datagrams in the arena: `count` of them every `stride` bytes from `offset`, `len` bytes in all.
#[derive(Clone, Copy)]
struct Built {
    offset: usize,
    len: usize,
    stride: usize,
    count: usize,
}

/// What the outer headers take from the inner ones.
#[derive(Clone, Copy)]
struct Entropy {
    hash: u32,
    outer: OuterHeader,
}

/// How datagrams leave; the same for all of them.
#[derive(Clone, Copy)]
pub(crate) struct SendStyle {
    /// Sockets in the pool of source ports.
    pub(crate) sockets: usize,
    /// Both directions of a flow choose the same one.
    pub(crate) symmetric_hash: bool,
    /// What the outer IP header says.
    pub(crate) outer: OuterRule,
    /// Send runs with `UDP_SEGMENT`.
    pub(crate) gso: bool,
}

/// Where a datagram goes.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) port: PortId,
    pub(crate) destination: SocketAddr,
    pub(crate) vni: Vni,
}

/// What the outer header of an injected frame takes from this host; the same for all of them.
#[derive(Clone, Copy)]
pub(crate) struct Injecting<'a> {
    pub(crate) local: IpAddr,
    /// Of the pool, by socket: reports of the network then come to the socket.
    pub(crate) source_ports: &'a [u16],
    /// Where nothing else is said.
    pub(crate) ttl: u8,
    pub(crate) checksum: bool,
}

/// A frame for the injector.
pub(crate) struct Injected {
    pub(crate) head: Head,
    /// What the head says.
    pub(super) header: OuterHead,
    pub(super) mark: Mark,
    offset: usize,
    len: usize,
    /// The tunnel.
    pub(crate) port: PortId,
    /// Frames that it becomes, and their bytes.
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

/// The frame whose datagrams a part is.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    pub(super) mark: Mark,
    /// Where it lies in the arena.
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// What one socket is to send.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) socket: usize,
    pub(crate) arena: &'a [u8],
    pub(crate) parts: &'a [Part],
    /// By part; empty unless they are kept.
    pub(super) senders: &'a [Sender],
    pub(crate) transmits: &'a [Transmit],
}

/// The arena, and what to send from it.
pub(crate) struct Outbox {
    arena: Vec<u8>,
    used: usize,
    parts: Vec<Part>,
    /// Whose datagrams each part is, if that is kept.
    senders: Vec<Sender>,
    pub(super) keeps_senders: bool,
    /// One queue per source-port socket.
    queues: Vec<Vec<Transmit>>,
    /// Frames for the injector, in order. They leave before all runs.
    injected: Vec<Injected>,
    /// Nothing more is injected before the flush.
    only_sockets: bool,
    /// Socket of the transmit whose parts were pushed last: the only one that can still grow.
    open: Option<usize>,
    frames: usize,
}

impl SendStyle {
    /// The socket of the pool for flows of this hash.
    pub(crate) fn socket(&self, hash: u32) -> usize {
        hash as usize % self.sockets.max(1)
    }
}

impl Held {
    /// Bytes of the frame, a superframe's whole.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; ARENA_LEN],
            used: 0,
            parts: Vec::new(),
            senders: Vec::new(),
            keeps_senders: false,
            queues: Vec::new(),
            injected: Vec::new(),
            only_sockets: false,
            open: None,
            frames: 0,
        }
    }

    /// Whether the batch should be flushed before another frame is read.
    pub(crate) fn is_full(&self) -> bool {
        self.frames >= BATCH_FRAMES || ARENA_LEN - self.used < FRAME_ROOM
    }

    /// Room for the next frame. Not to be called when full.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let start = self.used + vxlan::HEADER_LEN;
        &mut self.arena[start..start + MAX_FRAME]
    }

    /// Keeps the `len` bytes that were written into [`Outbox::room`].
    pub(crate) fn hold(&mut self, len: usize, vnet: VnetHeader) -> Held {
        let offset = self.used + vxlan::HEADER_LEN;
        self.used = (offset + len).next_multiple_of(ALIGN);
        self.frames += 1;
        let ethernet = Ethernet::new(&self.arena[offset..offset + len]);
        let tag = ethernet.and_then(|ethernet| ethernet.tag());
        Held {
            offset,
            len,
            vnet,
            superframe: None,
            segments: 1,
            mark: Mark::NONE,
            pcp: tag.map(|tag| tag.pcp),
            built: None,
            entropy: None,
        }
    }

    pub(crate) fn frame(&self, held: &Held) -> &[u8] {
        &self.arena[held.offset..held.offset + held.len]
    }

    pub(crate) fn frame_mut(&mut self, held: &Held) -> &mut [u8] {
        &mut self.arena[held.offset..held.offset + held.len]
    }

    /// Takes `bytes` off the front of a frame (a stripped tag has moved the rest).
    pub(crate) fn shorten_front(&mut self, held: &mut Held, bytes: usize) {
        held.offset += bytes;
        held.len -= bytes;
        held.vnet = held.vnet.shifted(-(bytes as i16));
    }

    /// Queues the frame for a tunnel. Its checksum must be complete unless it is a superframe.
    ///
    /// Built once per VNI, addressed as often as it is called (head-end replication). Fails only where the arena has no
    /// room for datagrams so small that their headers outweigh the frame.
    pub(crate) fn encapsulate(
        &mut self,
        held: &mut Held,
        route: Route,
        style: SendStyle,
    ) -> Result<(), DropReason> {
        let built = match held.built {
            Some((vni, built)) if vni == route.vni => built,
            _ => self.build(held, route.vni).ok_or(DropReason::BatchFull)?,
        };
        held.built = Some((route.vni, built));
        let entropy = self.entropy(held, style);
        let mut outer = entropy.outer;
        // A group's TTL is its own (RFC 7348 §4.2 wants it bounded).
        if route.destination.ip().is_multicast() {
            outer.ttl = None;
        }
        let socket = style.socket(entropy.hash);
        if self.queues.len() < style.sockets {
            self.queues.resize_with(style.sockets, Vec::new);
        }
        let whole = built.offset as u32;
        let per_send = if style.gso {
            (MAX_RUN_LEN / built.stride).clamp(1, MAX_RUN)
        } else {
            1
        };
        let mut first = 0;
        while first < built.count {
            let count = per_send.min(built.count - first);
            let start = first * built.stride;
            let end = (start + count * built.stride).min(built.len);
            let run = Run {
                part: Part {
                    offset: whole + start as u32,
                    len: (end - start) as u32,
                },
                stride: built.stride,
                count,
                sender: Sender {
                    mark: held.mark,
                    offset: held.offset,
                    len: held.len,
                },
            };
            self.push(socket, run, (route, outer), style.gso);
            first += count;
        }
        Ok(())
    }

    /// Queues the frame, whole, for the injector; false if the kernel would not do with it what is wanted.
    pub(crate) fn inject(
        &mut self,
        held: &mut Held,
        route: Route,
        (style, injecting): (SendStyle, Injecting<'_>),
    ) -> bool {
        if self.only_sockets {
            return false;
        }
        let entropy = self.entropy(held, style);
        let ports = injecting.source_ports;
        let Some(&source_port) = ports.get(entropy.hash as usize % ports.len().max(1)) else {
            return false;
        };
        let header = OuterHead {
            local: injecting.local,
            destination: route.destination,
            source_port,
            ttl: entropy.outer.ttl.unwrap_or(injecting.ttl),
            tos: entropy.outer.tos,
            vni: route.vni,
            checksum: injecting.checksum,
        };
        let Some(head) = header.before(self.frame(held), &held.vnet) else {
            self.keep_to_sockets();
            return false;
        };
        let repeated = held.superframe.map_or(0, |s| s.header_len());
        self.injected.push(Injected {
            head,
            header,
            mark: held.mark,
            offset: held.offset,
            len: held.len,
            port: route.port,
            frames: held.segments,
            bytes: (held.len as u64) + (held.segments - 1) * repeated as u64,
        });
        true
    }

    /// A frame of TCP goes by a socket, so what follows must not be injected before it has left.
    pub(crate) fn keep_to_sockets(&mut self) {
        self.only_sockets = true;
    }

    /// What decides by which way the frame goes; found out once.
    fn entropy(&self, held: &mut Held, style: SendStyle) -> Entropy {
        let frame = &self.arena[held.offset..held.offset + held.len];
        *held.entropy.get_or_insert_with(|| Entropy {
            hash: flow_hash(frame, style.symmetric_hash),
            outer: style.outer.apply(frame, held.pcp),
        })
    }

    /// Hands every frame for the injector to `send`. To be followed by [`flush`](Self::flush).
    pub(crate) fn flush_injections(&mut self, mut send: impl FnMut(&Injected, &[u8])) {
        for injected in self.injected.drain(..) {
            let end = injected.offset + injected.len;
            send(&injected, &self.arena[injected.offset..end]);
        }
    }

    /// Hands every queue that has something to `send`, then starts afresh.
    pub(crate) fn flush(&mut self, mut send: impl FnMut(Batch<'_>)) {
        for (socket, queue) in self.queues.iter_mut().enumerate() {
            if !queue.is_empty() {
                send(Batch {
                    socket,
                    arena: &self.arena,
                    parts: &self.parts,
                    senders: &self.senders,
                    transmits: queue,
                });
                queue.clear();
            }
        }
        self.parts.clear();
        self.senders.clear();
        self.open = None;
        self.only_sockets = false;
        self.used = 0;
        self.frames = 0;
    }

    fn build(&mut self, held: &Held, vni: Vni) -> Option<Built> {
        let header = vxlan::Header::emit(vni);
        if let Some(superframe) = &held.superframe {
            let (below, above) = self.arena.split_at_mut(self.used);
            let frame = &below[held.offset..held.offset + held.len];
            let run = superframe.split(frame, &header, above).ok()?;
            let built = Built {
                offset: self.used,
                len: run.len,
                stride: run.stride,
                count: run.count,
            };
            self.used = (self.used + run.len).next_multiple_of(ALIGN);
            return Some(built);
        }
        let len = vxlan::HEADER_LEN + held.len;
        let first = held.built.is_none();
        let offset = if first {
            held.offset - vxlan::HEADER_LEN
        } else {
            self.copy(held)?
        };
        self.arena[offset..offset + vxlan::HEADER_LEN].copy_from_slice(&header);
        Some(Built {
            offset,
            len,
            stride: len,
            count: 1,
        })
    }

    /// A second copy, for a tunnel that wants another VNI than the first.
    fn copy(&mut self, held: &Held) -> Option<usize> {
        let offset = self.used;
        let end = offset + vxlan::HEADER_LEN + held.len;
        if end > ARENA_LEN {
            return None;
        }
        self.arena.copy_within(
            held.offset..held.offset + held.len,
            offset + vxlan::HEADER_LEN,
        );
        self.used = end.next_multiple_of(ALIGN).min(ARENA_LEN);
        Some(offset)
    }

    fn push(&mut self, socket: usize, run: Run, (route, outer): (Route, OuterHeader), gso: bool) {
        if gso && self.open == Some(socket) && self.extend(socket, &run, route, outer) {
            return;
        }
        let start = self.parts.len() as u32;
        self.keep_sender(&run);
        self.parts.push(run.part);
        self.queues[socket].push(Transmit {
            destination: route.destination,
            parts: start..start + 1,
            segment_size: if run.count > 1 { run.stride as u16 } else { 0 },
            ttl: outer.ttl,
            tos: outer.tos,
            datagrams: run.count as u32,
            bytes: run.part.len,
            tag: u32::from(route.port.get()),
        });
        // What is sent by itself must stay so: its datagrams may be of a size that the kernel does not segment to.
        self.open = gso.then_some(socket);
    }

    /// Appends to the run that was pushed last, if the datagrams continue it.
    fn extend(&mut self, socket: usize, run: &Run, route: Route, outer: OuterHeader) -> bool {
        let Some(last) = self.queues[socket].last_mut() else {
            return false;
        };
        let total = last.bytes as usize;
        let stride = match last.segment_size {
            0 => total,
            size => usize::from(size),
        };
        let whole = total == stride * last.datagrams as usize;
        let fits = total + run.part.len as usize <= MAX_RUN_LEN
            && last.datagrams as usize + run.count <= MAX_RUN;
        let continues = run.stride == stride || (run.count == 1 && run.stride < stride);
        if !(whole && fits && continues)
            || last.destination != route.destination
            || last.tag != u32::from(route.port.get())
            || (last.ttl, last.tos) != (outer.ttl, outer.tos)
        {
            return false;
        }
        self.parts.push(run.part);
        last.parts.end += 1;
        last.segment_size = stride as u16;
        last.datagrams += run.count as u32;
        last.bytes += run.part.len;
        self.keep_sender(run);
        true
    }

    fn keep_sender(&mut self, run: &Run) {
        if self.keeps_senders {
            self.senders.push(run.sender);
        }
    }
}

/// Consecutive datagrams of one frame.
struct Run {
    part: Part,
    stride: usize,
    count: usize,
    sender: Sender,
}

/// Largest frame a TAP hands over: 64 KB of payload behind one set of headers.
pub(crate) const MAX_FRAME: usize = 65_536 + 256;
/// Frames per batch.
pub(crate) const BATCH_FRAMES: usize = 64;
const ALIGN: usize = 64;
/// A superframe and its datagrams: at the smallest usual segment size headers double the bytes.
const FRAME_ROOM: usize = 6 * MAX_FRAME;
const ARENA_LEN: usize = 4 * 1024 * 1024;
/// `UDP_SEGMENT` limits: 64 segments on every kernel that has it, and one IP packet.
const MAX_RUN: usize = 64;
const MAX_RUN_LEN: usize = 65_000;

#[cfg(test)]
mod tests;
