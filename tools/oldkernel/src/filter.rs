//! From a list of refusals to a seccomp filter in classic BPF.
//!
//! A call is looked up in blocks, one for each system call that has refusals:
//! ```text
//! load the number ─ is it this one? ─ no ─> next block
//!                       └─ yes ─ refusal 1: load argument, mask, compare … ─ all hold ─> errno
//!                              ─ refusal 2 … ─ none ─> allow
//! ```

use std::ops::RangeInclusive;

/// A call that fails with `errno` when its number is one of `calls` and every one of `tests` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Numbers of x86_64 system calls.
    pub(crate) calls: RangeInclusive<u32>,
    pub(crate) tests: Vec<Test>,
    pub(crate) errno: i32,
}

/// That the lower 32 bits of an argument lie in a range, after masking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    /// 0 to 5.
    pub(crate) argument: u8,
    pub(crate) mask: u32,
    pub(crate) within: RangeInclusive<u32>,
}

impl Refusal {
    /// Of one system call, by its number.
    pub(crate) fn of<const N: usize>(call: libc::c_long, tests: [Test; N], errno: i32) -> Self {
        Self {
            calls: call as u32..=call as u32,
            tests: tests.into(),
            errno,
        }
    }
}

impl Test {
    pub(crate) fn within(argument: u8, within: RangeInclusive<u32>) -> Self {
        Self {
            argument,
            mask: u32::MAX,
            within,
        }
    }

    pub(crate) fn equal(argument: u8, value: i32) -> Self {
        Self::within(argument, value as u32..=value as u32)
    }

    pub(crate) fn any_bit(argument: u8, bits: u32) -> Self {
        Self::within(argument, 1..=u32::MAX).masked(bits)
    }

    /// The same, looking at these bits alone.
    pub(crate) fn masked(self, mask: u32) -> Self {
        Self { mask, ..self }
    }
}

/// The filter that refuses these and allows all else; of several that fit, the first decides.
///
/// Calls of other architectures, i386's on this one, are answered with ENOSYS.
pub(crate) fn compile(refusals: &[Refusal]) -> Vec<libc::sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(libc::BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
        answer(libc::ENOSYS),
        load(NUMBER),
    ];
    let mut blocks: Vec<(&RangeInclusive<u32>, Vec<libc::sock_filter>)> = Vec::new();
    for refusal in refusals {
        let code = refusal_code(refusal);
        match blocks
            .iter_mut()
            .find(|(calls, _)| *calls == &refusal.calls)
        {
            Some((_, block)) => block.extend(code),
            None => blocks.push((&refusal.calls, code)),
        }
    }
    for (calls, mut block) in blocks {
        block.push(load(NUMBER));
        // A block may be longer than the 255 instructions that a comparison skips.
        program.push(jump(libc::BPF_JGE, *calls.start(), 0, 1));
        program.push(jump(libc::BPF_JGT, *calls.end(), 0, 1));
        program.push(skip(block.len() as u32));
        program.extend(block);
    }
    program.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
    ));
    program
}

/// Answers, or falls through to what follows.
fn refusal_code(refusal: &Refusal) -> Vec<libc::sock_filter> {
    let mut code = Vec::new();
    for (i, test) in refusal.tests.iter().enumerate() {
        // What is still to come of this test and of the later ones, with the answer.
        let behind = (refusal.tests.len() - i - 1) * TEST_LEN + 1;
        code.extend([
            load(ARGUMENTS + u32::from(test.argument) * 8),
            statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, test.mask),
            jump(libc::BPF_JGE, *test.within.start(), 0, behind as u8 + 1),
            jump(libc::BPF_JGT, *test.within.end(), behind as u8, 0),
        ]);
    }
    code.push(answer(refusal.errno));
    code
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn answer(errno: i32) -> libc::sock_filter {
    statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ERRNO | errno as u32,
    )
}

fn skip(count: u32) -> libc::sock_filter {
    statement(libc::BPF_JMP | libc::BPF_JA, count)
}

/// Compares with `k` and skips `hit` instructions or `miss`.
fn jump(comparison: u32, k: u32, hit: u8, miss: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | comparison | libc::BPF_K) as u16;
    libc::sock_filter {
        code,
        jt: hit,
        jf: miss,
        k,
    }
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Instructions of a test.
const TEST_LEN: usize = 4;
/// Offsets in struct seccomp_data (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
/// linux/audit.h: EM_X86_64, 64 bits, little endian.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
