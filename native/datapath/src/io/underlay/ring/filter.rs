//! Which packets are the ring's: one description, from which the ring's filter (classic BPF) and the program that drops
//! the same packets behind it (`drop_program`, eBPF) are written. A packet that only one of them knew would be lost or
//! come twice.
//!
//! The ring's are UDP datagrams to its address and port that need nothing of the stack: addressed to this host on the
//! link, without VLAN tag, over IPv4 without options and not a fragment, or over IPv6 without extension headers.

use super::super::super::sys::Errno;
use super::super::super::sys::socket;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

/// A packet's way to be the ring's: long enough, and every condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    /// Bytes of the frame, so that no condition looks beyond its end.
    pub(super) min_len: u32,
    pub(super) conditions: Vec<Condition>,
}

/// `field & mask == value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) field: Field,
    pub(super) mask: u32,
    pub(super) value: u32,
}

/// Something that both languages can read of a packet, as a number of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// To whom it goes on the link: PACKET_HOST for us.
    PacketType,
    /// 1 if the link took a VLAN tag off the frame.
    VlanTag,
    /// 1 byte at this offset of the frame.
    Byte(u32),
    /// 2 bytes.
    Half(u32),
    /// 4 bytes.
    Word(u32),
}

impl Match {
    /// What is sent to `local`.
    pub(super) fn datagrams_to(local: &SocketAddr) -> Self {
        let on_link = [
            is(Field::PacketType, u32::from(libc::PACKET_HOST)),
            is(Field::VlanTag, 0),
        ];
        let port = u32::from(local.port());
        match local.ip() {
            IpAddr::V4(ip) => {
                let headers = [
                    is(Field::Half(ETHERTYPE), 0x0800),
                    // Version 4, 5 words of header.
                    is(Field::Byte(IP), 0x45),
                    // More fragments, or an offset.
                    masked(Field::Half(IP + 6), 0x3fff, 0),
                    is(Field::Byte(IP + 9), UDP),
                    is(Field::Word(IP + 16), u32::from(ip)),
                    is(Field::Half(IP + 22), port),
                ];
                Self {
                    min_len: IP + 28,
                    conditions: [&on_link[..], &headers].concat(),
                }
            }
            IpAddr::V6(ip) => {
                let mut conditions = on_link.to_vec();
                conditions.extend([
                    is(Field::Half(ETHERTYPE), 0x86dd),
                    masked(Field::Byte(IP), 0xf0, 0x60),
                    is(Field::Byte(IP + 6), UDP),
                ]);
                let octets = ip.octets();
                let (words, _) = octets.as_chunks::<4>();
                for (n, word) in (0..).zip(words) {
                    let offset = IP + 24 + 4 * n;
                    conditions.push(is(Field::Word(offset), u32::from_be_bytes(*word)));
                }
                conditions.push(is(Field::Half(IP + 42), port));
                Self {
                    min_len: IP + 48,
                    conditions,
                }
            }
        }
    }

    /// The same in classic BPF: returns the whole length for a packet of ours, else 0.
    pub(super) fn classic(&self) -> Vec<libc::sock_filter> {
        let mut program = vec![
            statement(LD | LEN | libc::BPF_W, 0),
            // Jump targets are filled in below.
            statement(JMP | libc::BPF_JGE, self.min_len),
        ];
        for condition in &self.conditions {
            program.push(load(condition.field));
            if condition.mask != u32::MAX {
                program.push(statement(libc::BPF_ALU | libc::BPF_AND, condition.mask));
            }
            program.push(statement(JMP | libc::BPF_JEQ, condition.value));
        }
        program.push(statement(libc::BPF_RET, u32::MAX));
        let refuse = program.len();
        for (at, instruction) in program.iter_mut().enumerate() {
            if u32::from(instruction.code) & CLASS == JMP {
                instruction.jf = u8::try_from(refuse - at - 1).unwrap_or(u8::MAX);
            }
        }
        program.push(statement(libc::BPF_RET, 0));
        program
    }

    /// The socket receives nothing else from now on.
    pub(super) fn attach(&self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        socket::attach_filter(socket, &self.classic())
    }
}

fn is(field: Field, value: u32) -> Condition {
    masked(field, u32::MAX, value)
}

fn masked(field: Field, mask: u32, value: u32) -> Condition {
    Condition { field, mask, value }
}

fn load(field: Field) -> libc::sock_filter {
    let beside = |what: i32| (libc::SKF_AD_OFF + what) as u32;
    let (width, offset) = match field {
        Field::PacketType => (libc::BPF_W, beside(libc::SKF_AD_PKTTYPE)),
        Field::VlanTag => (libc::BPF_W, beside(libc::SKF_AD_VLAN_TAG_PRESENT)),
        Field::Byte(offset) => (libc::BPF_B, offset),
        Field::Half(offset) => (libc::BPF_H, offset),
        Field::Word(offset) => (libc::BPF_W, offset),
    };
    statement(LD | libc::BPF_ABS | width, offset)
}

/// An instruction that goes on to the next one.
fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

const LD: u32 = libc::BPF_LD;
const LEN: u32 = libc::BPF_LEN;
const JMP: u32 = libc::BPF_JMP;
/// The bits of an opcode that say of which class it is.
const CLASS: u32 = 0x07;
const UDP: u32 = libc::IPPROTO_UDP as u32;
const ETHERTYPE: u32 = 12;
/// Where the IP header begins; a tag that is still in the frame has an ethertype of its own.
const IP: u32 = 14;

#[cfg(test)]
mod tests;
