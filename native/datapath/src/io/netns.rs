//! Network namespaces: doing something inside one, and telling two apart.

use super::sys::{Errno, file};
use crate::error::{Error, ErrorCode};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What makes a namespace unique on this machine: device and inode of its file. Two paths with equal identities are
/// one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// The namespace that `path` stands for at this moment. Errors: `NETNS_GONE`, `NO_NET_ADMIN` when it may not be seen.
pub fn identity(path: &Path) -> Result<Identity, Error> {
    let metadata = std::fs::metadata(path).map_err(|e| path_error(path, "stat", Errno::from(e)))?;
    Ok(Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

/// That of the calling thread. Errors: as [`identity`], so where there is no `/proc` too, and with Linux before 3.0, which
/// does not show namespaces.
pub fn own() -> Result<Identity, Error> {
    identity(Path::new("/proc/thread-self/ns/net")).or_else(|_| {
        // Linux before 3.17. Our own number means something else in the `/proc` of another PID namespace, so second.
        identity(&Path::new("/proc/self/task").join(format!("{}/ns/net", file::thread_id())))
    })
}

/// Runs `work` inside the namespace at `path`, on a thread of its own, and waits for it; `None` = here and now.
///
/// Sockets and TAPs opened by `work` belong to that namespace for their whole life.
///
/// Errors: those of `work`; `NETNS_GONE` when the path does not exist or is no network namespace; `NO_NET_ADMIN` when
/// it may not be entered; `NO_SETNS` where the kernel cannot (Linux before 3.0); `NO_FILES`.
pub fn within<T, F>(path: Option<&Path>, work: F) -> Result<T, Error>
where
    T: Send,
    F: FnOnce() -> Result<T, Error> + Send,
{
    let Some(path) = path else { return work() };
    let namespace = open(path)?;
    on_thread(move || {
        file::enter_net_namespace(namespace.as_fd()).map_err(|e| path_error(path, "setns", e))?;
        work()
    })
}

/// Runs `work` in a new, empty network namespace that ends with what `work` opened in it. Errors: those of `work`;
/// `NO_NET_ADMIN` when none may be made.
pub(crate) fn within_new<T, F>(work: F) -> Result<T, Error>
where
    T: Send,
    F: FnOnce() -> Result<T, Error> + Send,
{
    on_thread(move || {
        file::new_net_namespace()
            .map_err(|e| e.into_error(ErrorCode::NoNetAdmin, "network namespace", "unshare"))?;
        work()
    })
}

/// Runs `work` on a fresh thread, so that what it does to its thread harms no other.
fn on_thread<T, F>(work: F) -> Result<T, Error>
where
    T: Send,
    F: FnOnce() -> Result<T, Error> + Send,
{
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)
            .map_err(|e| Errno::from(e).into_error(ErrorCode::NoFiles, "thread", "clone"))?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        // A path that turns out to be a pipe must not block.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| path_error(path, "open", Errno::from(e)))
}

fn path_error(path: &Path, syscall: &'static str, errno: Errno) -> Error {
    let subject = path.display().to_string();
    match errno.0 {
        libc::EPERM | libc::EACCES => errno
            .into_error(ErrorCode::NoNetAdmin, subject, syscall)
            .with_detail("entering a network namespace needs CAP_SYS_ADMIN"),
        libc::EINVAL => errno
            .into_error(ErrorCode::NetnsGone, subject, syscall)
            .with_detail("the path is no network namespace"),
        libc::ENOSYS => errno
            .into_error(ErrorCode::NoSetns, subject, syscall)
            .with_detail("the kernel has no setns"),
        _ => errno.into_error(ErrorCode::NetnsGone, subject, syscall),
    }
}
