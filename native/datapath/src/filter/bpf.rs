//! Programs of the classic Berkeley Packet Filter, as libpcap's compiler makes them (McCanne and Jacobson, "The BSD
//! Packet Filter", 1993, §3; opcodes as in the kernel's filter.rst).
//!
//! A program is checked and decoded once. As it only jumps forward it ends after at most as many steps as it has
//! instructions, so loops, of which libpcap makes one for `protochain`, are refused. As in libpcap's own interpreter
//! a load from behind the frame's end, and a division by zero, end the program without a match.

use std::fmt;

use super::load::{Width, ipv4_header_len};

/// An instruction as it stands in memory (`struct bpf_insn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip if a test holds.
    pub jt: u8,
    /// If not.
    pub jf: u8,
    /// Constant, offset, or instructions to skip.
    pub k: u32,
}

/// Why a program is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramError {
    /// It has no instruction.
    Empty,
    /// It has more than 65,536.
    TooLong,
    /// Instruction `at` is none that there is.
    Unknown {
        /// Counted from 0.
        at: usize,
        /// Its opcode.
        code: u16,
    },
    /// Instruction `at` uses a register of the scratch memory that there is not.
    NoSuchMemory {
        /// Counted from 0.
        at: usize,
    },
    /// After instruction `at` it goes on behind its end, or before that instruction.
    BadJump {
        /// Counted from 0.
        at: usize,
    },
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the filter's program is empty"),
            Self::TooLong => write!(
                f,
                "the filter's program has more than {MAX_INSTRUCTIONS} instructions"
            ),
            Self::Unknown { at, code } => {
                write!(
                    f,
                    "instruction {at} of the filter's program, {code:#06x}, is unknown"
                )
            }
            Self::NoSuchMemory { at } => {
                write!(
                    f,
                    "instruction {at} of the filter's program uses memory that there is not"
                )
            }
            Self::BadJump { at } => write!(
                f,
                "instruction {at} of the filter's program jumps back or out of it; `protochain` is not supported"
            ),
        }
    }
}

impl std::error::Error for ProgramError {}

/// A program that ends for every frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program(Box<[Step]>);

/// A decoded instruction; targets are indices into the program, beyond the instruction's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    LoadA(Source),
    LoadX(Source),
    StoreA(usize),
    StoreX(usize),
    Compute(Operation, Operand),
    Negate,
    AToX,
    XToA,
    Jump(usize),
    Branch {
        test: Test,
        operand: Operand,
        holds: usize,
        fails: usize,
    },
    Return(u32),
    ReturnA,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Constant(u32),
    /// Of the frame as it was on the wire.
    Length,
    Memory(usize),
    /// At this offset of the frame.
    Frame(Width, u32),
    /// At this offset plus X.
    FrameFromX(Width, u32),
    /// Bytes of the IPv4 header at this offset, by its length field.
    HeaderLength(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    Constant(u32),
    X,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Or,
    And,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equal,
    Greater,
    AtLeast,
    AnyBitOf,
}

impl Program {
    pub(super) fn new(instructions: &[Instruction]) -> Result<Self, ProgramError> {
        if instructions.is_empty() {
            return Err(ProgramError::Empty);
        }
        if instructions.len() > MAX_INSTRUCTIONS {
            return Err(ProgramError::TooLong);
        }
        let count = instructions.len();
        let decoded = instructions
            .iter()
            .enumerate()
            .map(|(at, i)| decode(*i, at, count));
        decoded.collect::<Result<_, _>>().map(Self)
    }

    /// What the program returns for the kept beginning of a frame of `wire_len` bytes; 0 = no match.
    pub(super) fn run(&self, frame: &[u8], wire_len: u32) -> u32 {
        let mut machine = Machine {
            frame,
            wire_len,
            x: 0,
            memory: [0; MEMORY],
        };
        let (mut a, mut at) = (0u32, 0);
        while let Some(step) = self.0.get(at) {
            at += 1;
            match *step {
                Step::LoadA(source) => match machine.load(source) {
                    Some(value) => a = value,
                    None => return 0,
                },
                Step::LoadX(source) => match machine.load(source) {
                    Some(value) => machine.x = value,
                    None => return 0,
                },
                Step::StoreA(to) => machine.memory[to] = a,
                Step::StoreX(to) => machine.memory[to] = machine.x,
                Step::Compute(operation, operand) => {
                    match operation.result(a, machine.value(operand)) {
                        Some(value) => a = value,
                        None => return 0,
                    }
                }
                Step::Negate => a = a.wrapping_neg(),
                Step::AToX => machine.x = a,
                Step::XToA => a = machine.x,
                Step::Jump(to) => at = to,
                Step::Branch {
                    test,
                    operand,
                    holds,
                    fails,
                } => {
                    at = if test.holds(a, machine.value(operand)) {
                        holds
                    } else {
                        fails
                    }
                }
                Step::Return(value) => return value,
                Step::ReturnA => return a,
            }
        }
        // `decode` lets no program go on behind its last instruction.
        0
    }
}

/// What instructions see beside the accumulator.
struct Machine<'a> {
    frame: &'a [u8],
    wire_len: u32,
    x: u32,
    memory: [u32; MEMORY],
}

impl Machine<'_> {
    fn load(&self, source: Source) -> Option<u32> {
        match source {
            Source::Constant(value) => Some(value),
            Source::Length => Some(self.wire_len),
            Source::Memory(at) => Some(self.memory[at]),
            Source::Frame(width, at) => width.read(self.frame, at as usize),
            Source::FrameFromX(width, at) => {
                width.read(self.frame, self.x.checked_add(at)? as usize)
            }
            Source::HeaderLength(at) => ipv4_header_len(self.frame, at as usize),
        }
    }

    fn value(&self, operand: Operand) -> u32 {
        match operand {
            Operand::Constant(value) => value,
            Operand::X => self.x,
        }
    }
}

impl Operation {
    /// `None` for what cannot be divided.
    fn result(self, a: u32, b: u32) -> Option<u32> {
        Some(match self {
            Self::Add => a.wrapping_add(b),
            Self::Subtract => a.wrapping_sub(b),
            Self::Multiply => a.wrapping_mul(b),
            Self::Divide => a.checked_div(b)?,
            Self::Remainder => a.checked_rem(b)?,
            Self::Or => a | b,
            Self::And => a & b,
            Self::Xor => a ^ b,
            Self::ShiftLeft => a.checked_shl(b).unwrap_or(0),
            Self::ShiftRight => a.checked_shr(b).unwrap_or(0),
        })
    }
}

impl Test {
    fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Greater => a > b,
            Self::AtLeast => a >= b,
            Self::AnyBitOf => a & b != 0,
        }
    }
}

fn decode(instruction: Instruction, at: usize, count: usize) -> Result<Step, ProgramError> {
    let Instruction { code, jt, jf, k } = instruction;
    let unknown = ProgramError::Unknown { at, code };
    // The next instruction and those that a jump skips: always forward, and never behind the end.
    let target = |skipped: u32| {
        let to = (at + 1).checked_add(skipped as usize);
        to.filter(|to| *to < count)
            .ok_or(ProgramError::BadJump { at })
    };
    let memory = || {
        let slot = k as usize;
        (slot < MEMORY)
            .then_some(slot)
            .ok_or(ProgramError::NoSuchMemory { at })
    };
    let operand = if code & FROM_X == 0 {
        Operand::Constant(k)
    } else {
        Operand::X
    };
    let width = match code & WIDTHS {
        WORD => Some(Width::Word),
        HALF => Some(Width::Half),
        BYTE => Some(Width::Byte),
        _ => None,
    };
    let step = match code & CLASSES {
        LD => Step::LoadA(match (code & MODES, width) {
            (IMMEDIATE, Some(Width::Word)) => Source::Constant(k),
            (LENGTH, Some(Width::Word)) => Source::Length,
            (FROM_MEMORY, Some(Width::Word)) => Source::Memory(memory()?),
            (ABSOLUTE, Some(width)) => Source::Frame(width, k),
            (INDIRECT, Some(width)) => Source::FrameFromX(width, k),
            _ => return Err(unknown),
        }),
        LDX => Step::LoadX(match (code & MODES, width) {
            (IMMEDIATE, Some(Width::Word)) => Source::Constant(k),
            (LENGTH, Some(Width::Word)) => Source::Length,
            (FROM_MEMORY, Some(Width::Word)) => Source::Memory(memory()?),
            (HEADER_LENGTH, Some(Width::Byte)) => Source::HeaderLength(k),
            _ => return Err(unknown),
        }),
        ST if code == ST => Step::StoreA(memory()?),
        STX if code == STX => Step::StoreX(memory()?),
        ALU if code == ALU | NEGATE => Step::Negate,
        ALU => Step::Compute(operation(code).ok_or(unknown)?, operand),
        JMP if code == JMP => return Ok(Step::Jump(target(k)?)),
        JMP => {
            return Ok(Step::Branch {
                test: test(code).ok_or(unknown)?,
                operand,
                holds: target(jt.into())?,
                fails: target(jf.into())?,
            });
        }
        RET => {
            return match code & RETURNED {
                FROM_K => Ok(Step::Return(k)),
                FROM_A => Ok(Step::ReturnA),
                _ => Err(unknown),
            };
        }
        MISC if code == MISC | TAX => Step::AToX,
        MISC if code == MISC | TXA => Step::XToA,
        _ => return Err(unknown),
    };
    target(0).map(|_| step)
}

fn operation(code: u16) -> Option<Operation> {
    Some(match code & OPERATIONS {
        0x00 => Operation::Add,
        0x10 => Operation::Subtract,
        0x20 => Operation::Multiply,
        0x30 => Operation::Divide,
        0x40 => Operation::Or,
        0x50 => Operation::And,
        0x60 => Operation::ShiftLeft,
        0x70 => Operation::ShiftRight,
        0x90 => Operation::Remainder,
        0xa0 => Operation::Xor,
        _ => return None,
    })
}

fn test(code: u16) -> Option<Test> {
    Some(match code & OPERATIONS {
        0x10 => Test::Equal,
        0x20 => Test::Greater,
        0x30 => Test::AtLeast,
        0x40 => Test::AnyBitOf,
        _ => return None,
    })
}

/// Longest program, far beyond what libpcap makes of a text that is not longer than we take.
pub(super) const MAX_INSTRUCTIONS: usize = 65_536;

/// Registers of the scratch memory.
const MEMORY: usize = 16;

const CLASSES: u16 = 0x07;
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const MISC: u16 = 0x07;

const WIDTHS: u16 = 0x18;
const WORD: u16 = 0x00;
const HALF: u16 = 0x08;
const BYTE: u16 = 0x10;

/// And whatever no load has, so that it is seen.
const MODES: u16 = !(CLASSES | WIDTHS);
const IMMEDIATE: u16 = 0x00;
const ABSOLUTE: u16 = 0x20;
const INDIRECT: u16 = 0x40;
const FROM_MEMORY: u16 = 0x60;
const LENGTH: u16 = 0x80;
const HEADER_LENGTH: u16 = 0xa0;

const FROM_X: u16 = 0x08;
const OPERATIONS: u16 = !(CLASSES | FROM_X);
const NEGATE: u16 = 0x80;

const RETURNED: u16 = !CLASSES;
const FROM_K: u16 = 0x00;
const FROM_A: u16 = 0x10;

const TAX: u16 = 0x00;
const TXA: u16 = 0x80;

#[cfg(test)]
mod tests;
