//! One process at a time: a file that is locked, not merely present.

use super::sys::{Errno, file};
use crate::error::{Error, ErrorCode};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The exclusive lock of a file, held until dropped or until the process ends in whatever way. The file stays: taking
/// it away would let two processes lock two files of one name.
#[derive(Debug)]
pub struct LockFile(#[expect(dead_code, reason = "held for its lock")] File);

impl LockFile {
    /// Makes the file if need be and locks it without waiting. Errors: `LOCKED` when another holder lives, `NO_FILES`,
    /// `IO`.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        let subject = || path.display().to_string();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(|e| Errno::from(e).into_error(ErrorCode::Io, subject(), "open"))?;
        file::lock_exclusive(file.as_fd()).map_err(|e| {
            let code = match e.0 {
                libc::EWOULDBLOCK => ErrorCode::Locked,
                _ => ErrorCode::Io,
            };
            e.into_error(code, subject(), "flock")
        })?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let path = std::env::temp_dir().join(format!("vs-lock-{}", std::process::id()));
        let held = LockFile::acquire(&path).unwrap();
        assert_eq!(
            LockFile::acquire(&path).unwrap_err().code,
            ErrorCode::Locked
        );
        drop(held);
        let again = LockFile::acquire(&path);
        std::fs::remove_file(&path).unwrap();
        again.unwrap();
    }

    #[test]
    fn a_missing_folder_is_an_io_error_about_the_path() {
        let error = LockFile::acquire(Path::new("/nonexistent/lock")).unwrap_err();
        assert_eq!(error.code, ErrorCode::Io);
        assert_eq!(error.subject, "/nonexistent/lock");
    }
}
