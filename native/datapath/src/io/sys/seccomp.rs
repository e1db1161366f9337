//! A kernel that lacks a system call, for tests.

use super::{Errno, check};

/// A call that shall fail on the calling thread from now on.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) struct Denied {
    pub(in crate::io) syscall: libc::c_long,
    pub(in crate::io) errno: i32,
    /// Only when the call's third argument is this.
    pub(in crate::io) third_argument: Option<u32>,
}

/// Makes `denied` fail on the calling thread for the rest of its life.
pub(in crate::io) fn deny(denied: Denied) -> Result<(), Errno> {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let skip_unless = |k: u32, count: u8| libc::sock_filter {
        jf: count,
        ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k)
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let mut program = vec![
        statement(load, NUMBER_OFFSET),
        skip_unless(
            denied.syscall as u32,
            if denied.third_argument.is_some() {
                3
            } else {
                1
            },
        ),
    ];
    if let Some(value) = denied.third_argument {
        program.push(statement(load, THIRD_ARGUMENT_OFFSET));
        program.push(skip_unless(value, 1));
    }
    let answer = libc::SECCOMP_RET_ERRNO | denied.errno as u32;
    program.push(statement(libc::BPF_RET | libc::BPF_K, answer));
    program.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
    ));
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter describes `program`, which lives for the calls; both concern the calling thread only.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        check(libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        ))?;
    }
    Ok(())
}

/// `nr` in struct seccomp_data.
const NUMBER_OFFSET: u32 = 0;
/// The lower half of `args[2]` in struct seccomp_data, on a little-endian machine.
const THIRD_ARGUMENT_OFFSET: u32 = 32 + if cfg!(target_endian = "big") { 4 } else { 0 };
