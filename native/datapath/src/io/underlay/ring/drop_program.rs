//! Drops behind the ring what the ring has taken: an eBPF program on the interface's tcx ingress, where packets come
//! after the taps and before the stack. Needs Linux 6.6.

use super::super::super::sys::Errno;
use super::super::super::sys::bpf::{self, Instruction};
use super::filter::{Field, Match};
use crate::error::{Error, ErrorCode};
use std::os::fd::{AsFd, OwnedFd};

/// The program, loaded and not yet at work.
#[derive(Debug)]
pub(super) struct DropProgram(OwnedFd);

/// The program at work, until dropped: the link ends with its descriptor, so a crash leaves nothing behind.
#[derive(Debug)]
pub(super) struct Attached {
    _link: OwnedFd,
}

impl DropProgram {
    /// Errors: `NO_NET_ADMIN` without the rights, `NO_RING` when the kernel takes no such program, `NO_FILES`.
    pub(super) fn load(packets: &Match) -> Result<Self, Error> {
        bpf::load_classifier(&instructions(packets), c"vswitchd_ring", c"Apache-2.0")
            .map(Self)
            .map_err(|e| to_error(e, "BPF_PROG_LOAD"))
    }

    /// Errors: `NO_NET_ADMIN` without the rights, `NO_RING` when the kernel has no tcx, `NO_FILES`.
    pub(super) fn attach(&self, ifindex: u32) -> Result<Attached, Error> {
        bpf::link_tcx_ingress(self.0.as_fd(), ifindex)
            .map(|link| Attached { _link: link })
            .map_err(|e| to_error(e, "BPF_LINK_CREATE"))
    }
}

fn to_error(errno: Errno, syscall: &'static str) -> Error {
    match errno.0 {
        libc::EPERM | libc::EACCES => errno
            .into_error(ErrorCode::NoNetAdmin, "packet ring", syscall)
            .with_detail("a program behind the ring needs CAP_BPF and CAP_NET_ADMIN of the host"),
        _ => errno
            .into_error(ErrorCode::NoRing, "packet ring", syscall)
            .with_detail("a program behind the ring needs bpf and tcx (Linux 6.6)"),
    }
}

/// Returns `DROP` for the ring's packets and `NEXT` for all others.
fn instructions(packets: &Match) -> Vec<Instruction> {
    // The loads from the packet want the context in this register, and spoil those below.
    let mut program = vec![
        Instruction::new(MOVE_REGISTER, CONTEXT, 1),
        beside(SKB_LEN),
        Instruction::new(JUMP_IF_LESS, RESULT, 0).immediate(packets.min_len as i32),
    ];
    for condition in &packets.conditions {
        program.push(load(condition.field));
        if condition.mask != u32::MAX {
            program.push(Instruction::new(AND, RESULT, 0).immediate(condition.mask as i32));
        }
        program.push(Instruction::new(JUMP_IF_OTHER, RESULT, 0).immediate(condition.value as i32));
    }
    program.extend([
        Instruction::new(MOVE, RESULT, 0).immediate(DROP),
        Instruction::new(EXIT, 0, 0),
    ]);
    let next = program.len();
    for (at, instruction) in program.iter_mut().enumerate() {
        if instruction.is(JUMP_IF_LESS) || instruction.is(JUMP_IF_OTHER) {
            let distance = i16::try_from(next - at - 1).unwrap_or(i16::MAX);
            *instruction = instruction.offset(distance);
        }
    }
    program.extend([
        Instruction::new(MOVE, RESULT, 0).immediate(NEXT),
        Instruction::new(EXIT, 0, 0),
    ]);
    program
}

fn load(field: Field) -> Instruction {
    let (opcode, offset) = match field {
        Field::PacketType => return beside(SKB_PACKET_TYPE),
        Field::VlanTag => return beside(SKB_VLAN_PRESENT),
        Field::Byte(offset) => (LOAD_BYTE, offset),
        Field::Half(offset) => (LOAD_HALF, offset),
        Field::Word(offset) => (LOAD_WORD, offset),
    };
    Instruction::new(opcode, RESULT, 0).immediate(offset as i32)
}

/// Loads a field of `struct __sk_buff`.
fn beside(offset: i16) -> Instruction {
    Instruction::new(LOAD_CONTEXT, RESULT, CONTEXT).offset(offset)
}

// linux/pkt_cls.h; the codes of tcx are the same numbers.
const DROP: i32 = 2;
const NEXT: i32 = -1;

// Offsets in struct __sk_buff (linux/bpf.h).
const SKB_LEN: i16 = 0;
const SKB_PACKET_TYPE: i16 = 4;
const SKB_VLAN_PRESENT: i16 = 20;

// Registers.
const RESULT: u8 = 0;
const CONTEXT: u8 = 6;

// Opcodes (RFC 9669): 32 bits unless said otherwise. The loads from the packet turn it into the machine's byte order.
const LOAD_CONTEXT: u8 = 0x61;
const LOAD_WORD: u8 = 0x20;
const LOAD_HALF: u8 = 0x28;
const LOAD_BYTE: u8 = 0x30;
const AND: u8 = 0x54;
const JUMP_IF_OTHER: u8 = 0x56;
const JUMP_IF_LESS: u8 = 0xa6;
/// 64 bits.
const MOVE: u8 = 0xb7;
/// 64 bits.
const MOVE_REGISTER: u8 = 0xbf;
const EXIT: u8 = 0x95;

#[cfg(test)]
impl DropProgram {
    /// Whether the kernel, running the program, drops `frame`; `None` when it does not run it on that.
    pub(super) fn drops(&self, frame: &[u8]) -> Option<bool> {
        match bpf::test_run(self.0.as_fd(), frame) {
            Ok(DROP) => Some(true),
            Ok(NEXT) => Some(false),
            Err(Errno(libc::EINVAL)) => None,
            #[allow(clippy::panic, reason = "a test fails by panicking")]
            other => panic!("{other:?}"),
        }
    }
}
