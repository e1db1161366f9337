//! Unix sockets that listen at a path, as short or long as it is.

use super::sys::{Errno, stream};
use crate::error::{Error, ErrorCode};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A socket that listens at a path. Dropped, its path is gone.
#[derive(Debug)]
pub(super) struct Listening {
    socket: OwnedFd,
    /// `None` once it is taken away.
    path: Option<PathBuf>,
}

impl Listening {
    /// A non-blocking socket of `kind` (`SOCK_STREAM`, `SOCK_SEQPACKET`) at `path`, for our own user alone (mode 0600). The
    /// path may be longer than a socket's address where there is a `/proc`.
    ///
    /// Errors: `IO` when there is something at `path`, or its folder is not there; `NO_FILES`.
    pub(super) fn bind(kind: libc::c_int, path: &Path) -> Result<Self, Error> {
        let failed = |syscall| {
            let subject = path.display().to_string();
            move |errno: Errno| errno.into_error(ErrorCode::Io, subject, syscall)
        };
        let socket = stream::unix_socket(kind, MODE).map_err(failed("socket"))?;
        at_address(path, |address| stream::listen_at(socket.as_fd(), address))
            .map_err(failed("bind"))?;
        Ok(Self {
            socket,
            path: Some(path.to_owned()),
        })
    }

    /// Takes the path away: nobody new finds us.
    pub(super) fn withdraw(&mut self) {
        if let Some(path) = self.path.take() {
            // Somebody else may have taken it away.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Calls `work` with the bytes of `path` as a socket's address: as it is, or by way of its open folder if it is too long.
/// Others see the address (`ss -x`), so the short one is used only then. Errors: those of `work`, and of opening.
pub(super) fn at_address<T>(
    path: &Path,
    work: impl Fn(&[u8]) -> Result<T, Errno>,
) -> Result<T, Errno> {
    match work(path.as_os_str().as_bytes()) {
        Err(Errno(libc::ENAMETOOLONG)) => {
            // The folder's descriptor must live until the call is over.
            let (_folder, short) = shortened(path)?;
            work(short.as_os_str().as_bytes())
        }
        other => other,
    }
}

/// The same path by way of its open folder, which fits into a socket's address unless the name itself does not.
fn shortened(path: &Path) -> Result<(File, PathBuf), Errno> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno(libc::ENAMETOOLONG));
    };
    let folder = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(folder)?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    Ok((folder, short.join(name)))
}

const MODE: u32 = 0o600;
