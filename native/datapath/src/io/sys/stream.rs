//! Unix sockets that listen at a path, and waiting for one or two descriptors.

use super::{Errno, check, check_len};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A non-blocking unix socket of `kind` (`SOCK_STREAM`, `SOCK_SEQPACKET`) whose file, once it is bound, may be used by
/// `mode`.
pub(in crate::io) fn unix_socket(kind: libc::c_int, mode: u32) -> Result<OwnedFd, Errno> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the descriptor returned is new and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(check(libc::socket(libc::AF_UNIX, kind, 0))?) };
    // Linux gives the file the socket's own mode, so there is no moment at which it is open to all.
    // SAFETY: no pointers.
    check(unsafe { libc::fchmod(socket.as_raw_fd(), mode) })?;
    Ok(socket)
}

/// Makes the file `path` and has the socket listen there for one connection. Errors: ENAMETOOLONG, EADDRINUSE when
/// there is something of that name.
pub(in crate::io) fn listen_at(socket: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    let address = unix_address(path)?;
    // SAFETY: the pointer and length describe a valid sockaddr_un that lives for the call.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_un>() as libc::socklen_t,
        )
    })?;
    // SAFETY: no pointers.
    check(unsafe { libc::listen(socket.as_raw_fd(), 1) })?;
    Ok(())
}

/// Errors: ENAMETOOLONG.
pub(super) fn unix_address(path: &[u8]) -> Result<libc::sockaddr_un, Errno> {
    // SAFETY: sockaddr_un is plain data for which all zeroes is a valid value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // One byte stays for the NUL.
    if path.len() >= address.sun_path.len() {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    for (to, &from) in address.sun_path.iter_mut().zip(path) {
        *to = from as libc::c_char;
    }
    Ok(address)
}

/// Takes a connection that waits: non-blocking. EAGAIN when there is none.
pub(in crate::io) fn accept(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // SAFETY: null pointers ask for no address; the descriptor returned is new and owned by nobody else.
    unsafe {
        let fd = check(libc::accept4(
            socket.as_raw_fd(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
        ))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Sends what fits. EPIPE, and no signal, when nobody reads any more.
pub(in crate::io) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the pointer and length describe `bytes`, which live for the call; the kernel only reads them.
    check_len(unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags,
        )
    })
}

/// Waits until one of the descriptors has what is asked of it (`POLLIN`, `POLLOUT`) or is in error, `timeout_ms` at
/// most; what each has, in order. All are 0 after the time or a signal.
pub(in crate::io) fn poll<const N: usize>(
    asked: [(BorrowedFd<'_>, i16); N],
    timeout_ms: i32,
) -> Result<[i16; N], Errno> {
    let mut list = asked.map(|(fd, events)| libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    });
    // SAFETY: the pointer and length describe `list`, which we hold exclusively during the call.
    match check(unsafe { libc::poll(list.as_mut_ptr(), N as libc::nfds_t, timeout_ms) }) {
        Ok(_) => Ok(list.map(|entry| entry.revents)),
        Err(Errno(libc::EINTR)) => Ok([0; N]),
        Err(errno) => Err(errno),
    }
}
