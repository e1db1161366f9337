//! The way of a burst into the kernel: batches, second tries, and falling back when a run is refused.

use super::super::super::sys::Errno;
use super::super::super::sys::send::{Outgoing, SendList};
use super::{Burst, Part, SendRefusal, Transmit, TxPool, TxScratch};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// Where the fate of each transmit goes.
type OnResult<'a> = &'a mut dyn FnMut(&Transmit, Result<(), SendRefusal>);

impl TxPool {
    /// Sends a burst without waiting and says of each transmit, in order, what became of it. Never reorders.
    ///
    /// Every datagram is reported once: `on_result` usually gets each transmit as it is, but a run that had to be
    /// sent datagram by datagram is reported in pieces of one datagram with the same tag.
    ///
    /// When the socket is full after one more try, the rest of the burst is refused as `Full`.
    pub fn send(
        &self,
        scratch: &mut TxScratch,
        burst: Burst<'_>,
        mut on_result: impl FnMut(&Transmit, Result<(), SendRefusal>),
    ) {
        self.send_all(scratch, burst, &mut on_result);
    }

    fn send_all(&self, scratch: &mut TxScratch, burst: Burst<'_>, on_result: OnResult<'_>) {
        let mut rest = burst.transmits;
        // An error may be that of an earlier datagram to somewhere else, which the kernel reports once, on whatever is
        // sent next (IP_RECVERR). Only the second in a row is blamed on the transmit.
        let mut tried = false;
        let mut local = None;
        while let Some(first) = rest.first() {
            if first.segment_size != 0 && !self.gso() {
                self.send_singly(scratch, burst, first, on_result);
                rest = &rest[1..];
                continue;
            }
            match self.submit(&mut scratch.list, burst, rest) {
                Ok(sent) => {
                    for transmit in &rest[..sent] {
                        on_result(transmit, Ok(()));
                    }
                    rest = &rest[sent..];
                    tried = false;
                }
                Err(Errno(libc::EINTR)) => {}
                Err(Errno(libc::ENOSYS)) if self.sendmmsg() => {
                    self.sendmmsg.store(false, Ordering::Relaxed);
                }
                Err(_) if !tried => tried = true,
                Err(errno) => {
                    tried = false;
                    let refusal = self.refusal(errno, &mut local);
                    if refusal == SendRefusal::Full {
                        rest.iter().for_each(|t| on_result(t, Err(refusal)));
                        return;
                    }
                    if first.segment_size != 0 && is_segmenting(errno) {
                        self.send_refused_run(scratch, burst, first, (errno, on_result));
                    } else {
                        on_result(first, Err(refusal));
                    }
                    rest = &rest[1..];
                }
            }
        }
    }

    /// Sends a prefix of `rest` and returns its length, at least one.
    fn submit(
        &self,
        list: &mut SendList,
        burst: Burst<'_>,
        rest: &[Transmit],
    ) -> Result<usize, Errno> {
        let Some(socket) = self.sockets.get(burst.socket) else {
            return Err(Errno(libc::EBADF));
        };
        let many = self.sendmmsg();
        let limit = if many { MAX_MESSAGES } else { 1 };
        let gso = self.gso();
        let messages = rest
            .iter()
            .take(limit)
            .take_while(|t| gso || t.segment_size == 0)
            .map(|transmit| {
                let outgoing = Outgoing {
                    destination: &transmit.destination,
                    segment_size: transmit.segment_size,
                    ttl: transmit.ttl.filter(|_| self.marks),
                    tos: if self.marks { transmit.tos } else { 0 },
                };
                (outgoing, bytes_of(burst, transmit))
            });
        list.send(socket.as_fd(), many, messages)
    }

    /// The kernel refused a run as a whole: perhaps its datagrams pass one by one. If they do although the run kept
    /// to the limits, the kernel cannot segment on this path.
    fn send_refused_run(
        &self,
        scratch: &mut TxScratch,
        burst: Burst<'_>,
        run: &Transmit,
        (errno, on_result): (Errno, OnResult<'_>),
    ) {
        let mut passed = false;
        self.send_singly(scratch, burst, run, &mut |single, result| {
            passed |= result.is_ok();
            on_result(single, result);
        });
        // Where datagrams may be fragmented they pass although a run of them cannot.
        let within_limits =
            run.datagrams <= MAX_SEGMENTS && errno.0 != libc::EMSGSIZE && !self.fragments;
        if passed && within_limits && self.gso.swap(false, Ordering::Relaxed) {
            self.downgraded.store(true, Ordering::Relaxed);
        }
    }

    /// Sends a run datagram by datagram.
    fn send_singly(
        &self,
        scratch: &mut TxScratch,
        burst: Burst<'_>,
        run: &Transmit,
        on_result: OnResult<'_>,
    ) {
        let mut parts = std::mem::take(&mut scratch.single_parts);
        let mut singles = std::mem::take(&mut scratch.singles);
        split(burst, run, &mut parts, &mut singles);
        let single_burst = Burst {
            parts: &parts,
            transmits: &singles,
            ..burst
        };
        self.send_all(scratch, single_burst, on_result);
        scratch.single_parts = parts;
        scratch.singles = singles;
    }

    /// What an errno of a send means. `local` remembers whether our address is there.
    fn refusal(&self, Errno(errno): Errno, local: &mut Option<bool>) -> SendRefusal {
        match errno {
            libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => SendRefusal::Full,
            libc::EPERM | libc::EACCES => SendRefusal::Denied,
            libc::EMSGSIZE => SendRefusal::TooBig,
            libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN => SendRefusal::NoRoute,
            libc::EADDRNOTAVAIL | libc::ENODEV => SendRefusal::LocalDown,
            // IPv4 says the same of a missing source address and of a missing (ENETUNREACH) or blackhole (EINVAL)
            // route; which is which has changed between kernels.
            libc::ENETUNREACH | libc::EINVAL => {
                if *local.get_or_insert_with(|| self.local_present()) {
                    SendRefusal::NoRoute
                } else {
                    SendRefusal::LocalDown
                }
            }
            other => SendRefusal::Other(other),
        }
    }
}

/// The bytes of a transmit, piece by piece.
fn bytes_of<'a>(burst: Burst<'a>, transmit: &Transmit) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    parts_of(burst, transmit).iter().map(move |part| {
        let start = part.offset as usize;
        burst
            .arena
            .get(start..start + part.len as usize)
            .unwrap_or(&[])
    })
}

fn parts_of<'a>(burst: Burst<'a>, transmit: &Transmit) -> &'a [Part] {
    let range = transmit.parts.start as usize..transmit.parts.end as usize;
    burst.parts.get(range).unwrap_or(&[])
}

/// Cuts a run into its datagrams. Both lists are filled anew.
fn split(burst: Burst<'_>, run: &Transmit, parts: &mut Vec<Part>, singles: &mut Vec<Transmit>) {
    parts.clear();
    singles.clear();
    let segment = u32::from(run.segment_size);
    let mut start = 0;
    let mut room = segment;
    let mut close = |parts: &[Part], start: &mut u32| {
        let end = parts.len() as u32;
        if end > *start {
            let own = &parts[*start as usize..];
            singles.push(Transmit {
                parts: *start..end,
                bytes: own.iter().map(|part| part.len).sum(),
                segment_size: 0,
                datagrams: 1,
                ..run.clone()
            });
        }
        *start = end;
    };
    for &(mut part) in parts_of(burst, run) {
        while part.len > 0 {
            let len = part.len.min(room);
            parts.push(Part { len, ..part });
            part.offset += len;
            part.len -= len;
            room -= len;
            if room == 0 {
                close(parts, &mut start);
                room = segment;
            }
        }
    }
    close(parts, &mut start);
}

/// Refusals that may be about the run as a whole rather than about each of its datagrams.
fn is_segmenting(Errno(errno): Errno) -> bool {
    matches!(errno, libc::EIO | libc::EINVAL | libc::EMSGSIZE)
}

/// Messages per `sendmmsg`; beyond some tens a longer list gains nothing.
const MAX_MESSAGES: usize = 64;
/// Datagrams that every kernel with `UDP_SEGMENT` takes in one run (UDP_MAX_SEGMENTS before Linux 6.9).
const MAX_SEGMENTS: u32 = 64;
