//! Thin safe wrappers of system calls: no policy, no names of the field.

pub(super) mod bpf;
pub(super) mod cmsg;
pub(super) mod ethtool;
pub(super) mod event;
pub(super) mod file;
pub(super) mod packet;
pub(super) mod passing;
pub(super) mod receive;
#[cfg(test)]
pub(super) mod seccomp;
pub(super) mod send;
pub(super) mod slots;
pub(super) mod sockaddr;
pub(super) mod socket;
pub(super) mod stream;

use crate::error::{Error, ErrorCode};

/// The error number of a system call that has just failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errno(pub(super) i32);

impl Errno {
    /// What the calling thread's last failed call left behind.
    pub(super) fn last() -> Self {
        Self(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }

    /// The operator's error: exhaustion is always `NoFiles`, anything else is `code`.
    pub(super) fn into_error(
        self,
        code: ErrorCode,
        subject: impl Into<String>,
        syscall: &'static str,
    ) -> Error {
        let code = match self.0 {
            libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS => ErrorCode::NoFiles,
            _ => code,
        };
        Error::from_syscall(code, subject, syscall, self.0)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Turns the -1 convention into a `Result`.
fn check(value: libc::c_int) -> Result<libc::c_int, Errno> {
    if value < 0 {
        Err(Errno::last())
    } else {
        Ok(value)
    }
}

/// The same for calls that return a length.
fn check_len(value: libc::ssize_t) -> Result<usize, Errno> {
    usize::try_from(value).map_err(|_| Errno::last())
}
