//! epoll and eventfd, and how a thread is scheduled.

use super::{Errno, check, check_len};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

pub(in crate::io) fn epoll_create() -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers; the descriptor returned is new and owned by nobody else.
    unsafe {
        let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Adds `fd` for reading; errors and hang-ups are always reported.
pub(in crate::io) fn epoll_add(
    epoll: BorrowedFd<'_>,
    fd: BorrowedFd<'_>,
    token: u64,
) -> Result<(), Errno> {
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: token,
    };
    // SAFETY: `event` is a valid epoll_event for the duration of the call; the kernel copies it.
    check(unsafe {
        libc::epoll_ctl(
            epoll.as_raw_fd(),
            libc::EPOLL_CTL_ADD,
            fd.as_raw_fd(),
            &raw mut event,
        )
    })?;
    Ok(())
}

pub(in crate::io) fn epoll_delete(epoll: BorrowedFd<'_>, fd: RawFd) -> Result<(), Errno> {
    // SAFETY: EPOLL_CTL_DEL ignores the event pointer (Linux 2.6.9 and later); a number that is no descriptor of the
    // set is refused.
    check(unsafe {
        libc::epoll_ctl(
            epoll.as_raw_fd(),
            libc::EPOLL_CTL_DEL,
            fd,
            std::ptr::null_mut(),
        )
    })?;
    Ok(())
}

/// Fills `events` from its start and returns how many; `timeout_ms` of -1 waits for ever.
pub(in crate::io) fn epoll_wait(
    epoll: BorrowedFd<'_>,
    events: &mut [libc::epoll_event],
    timeout_ms: i32,
) -> Result<usize, Errno> {
    let capacity = i32::try_from(events.len()).unwrap_or(i32::MAX);
    // SAFETY: the kernel writes at most `capacity` entries into the slice that we hold exclusively.
    let n = check(unsafe {
        libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), capacity, timeout_ms)
    })?;
    Ok(n as usize)
}

/// Sets the nice value of the calling thread, on Linux of no other.
pub(in crate::io) fn set_nice(nice: i32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })?;
    Ok(())
}

pub(in crate::io) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers; the descriptor returned is new and owned by nobody else.
    unsafe {
        let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Adds one to the counter: the descriptor becomes readable.
pub(in crate::io) fn eventfd_signal(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let one = 1u64.to_ne_bytes();
    // SAFETY: the buffer is 8 valid bytes.
    check_len(unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) })?;
    Ok(())
}

/// Sets the counter to zero: the descriptor stops being readable.
pub(in crate::io) fn eventfd_clear(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut value = [0u8; 8];
    // SAFETY: the buffer is 8 valid bytes that we hold exclusively.
    check_len(unsafe { libc::read(fd.as_raw_fd(), value.as_mut_ptr().cast(), value.len()) })?;
    Ok(())
}
