//! The two system calls that this program makes.

use std::io;

/// From here on `uname` says 2.6.40 or later where it would say 3.0 or later, to this process and its children.
pub(crate) fn say_2_6() -> io::Result<()> {
    // SAFETY: no pointers.
    let now = unsafe { libc::personality(ASK) };
    let wanted = now as libc::c_ulong | libc::UNAME26 as libc::c_ulong;
    // SAFETY: no pointers.
    match unsafe { libc::personality(wanted) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Puts the filter on the calling thread and what it starts, for good. Errors: EINVAL for a program that the kernel
/// does not take, ENOSYS or EINVAL where it has no seccomp filters.
pub(crate) fn install(program: &[libc::sock_filter]) -> io::Result<()> {
    match filter(program) {
        // Without CAP_SYS_ADMIN the kernel wants the promise that no privileges are gained below the filter.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            // SAFETY: no pointers.
            if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
            filter(program)
        }
        other => other,
    }
}

fn filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: `program` describes a slice that lives for the call; the kernel copies it.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Tells the personality and leaves it.
const ASK: libc::c_ulong = 0xffff_ffff;
