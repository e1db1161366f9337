//! Descriptors that pass from process to process over a unix socket, and descriptors of processes.

use super::stream::unix_address;
use super::{Errno, check, check_len, cmsg};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Most descriptors that one message of ours carries.
pub(in crate::io) const MAX_PASSED: usize = 65;

/// Connects a blocking SOCK_SEQPACKET socket, both ways of which give up after `patience_secs`. Errors: ENAMETOOLONG,
/// ENOENT, ECONNREFUSED, EACCES.
pub(in crate::io) fn connect(path: &[u8], patience_secs: i64) -> Result<OwnedFd, Errno> {
    let address = unix_address(path)?;
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers; the descriptor returned is new and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(check(libc::socket(libc::AF_UNIX, kind, 0))?) };
    // SAFETY: timeval is plain data for which all zeroes is a valid value.
    let mut patience: libc::timeval = unsafe { MaybeUninit::zeroed().assume_init() };
    patience.tv_sec = patience_secs as libc::time_t;
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        // SAFETY: the pointer and length describe `patience`, which lives for the call.
        check(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const patience).cast(),
                size_of::<libc::timeval>() as libc::socklen_t,
            )
        })?;
    }
    // SAFETY: the pointer and length describe a valid sockaddr_un that lives for the call.
    check(unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_un>() as libc::socklen_t,
        )
    })?;
    Ok(socket)
}

/// Sends one message with descriptors, which stay ours too. Errors: EINVAL for more than [`MAX_PASSED`], EPIPE.
pub(in crate::io) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    passed: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    if passed.len() > MAX_PASSED {
        return Err(Errno(libc::EINVAL));
    }
    let mut control = cmsg::Control::<CONTROL_LEN>::EMPTY;
    if !passed.is_empty() {
        let numbers = passed.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes());
        let numbers: Vec<u8> = numbers.collect();
        control.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers);
    }
    let control = control.as_bytes();
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: msghdr is plain data for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if !control.is_empty() {
        message.msg_control = control.as_ptr().cast_mut().cast();
        message.msg_controllen = control.len() as _;
    }
    // SAFETY: all that `message` points to lives for the call, and sendmsg only reads it.
    check_len(unsafe {
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one message and the descriptors in it, which are ours from then on. Errors: EAGAIN, EMSGSIZE when it does
/// not fit into `buffer` or has more than [`MAX_PASSED`] descriptors, all of which are closed then.
pub(in crate::io) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), Errno> {
    #[repr(C, align(8))]
    struct Room([u8; CONTROL_LEN]);
    let mut control = Room([0; CONTROL_LEN]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: msghdr is plain data for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_LEN as _;
    let flags = libc::MSG_CMSG_CLOEXEC;
    // SAFETY: all that `message` points to is valid for writing and held exclusively during the call.
    let len = check_len(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    let written: usize = message.msg_controllen as _;
    let mut passed = Vec::new();
    for found in cmsg::messages(control.0.get(..written).unwrap_or_default()) {
        if (found.level, found.kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            for number in found.data.as_chunks::<4>().0 {
                // SAFETY: the kernel has just made this descriptor for us, and told nobody else.
                passed.push(unsafe { OwnedFd::from_raw_fd(i32::from_ne_bytes(*number)) });
            }
        }
    }
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(Errno(libc::EMSGSIZE));
    }
    Ok((len, passed))
}

/// A descriptor of a process: readable once it has ended. Errors: ESRCH, ENOSYS before Linux 5.3.
pub(in crate::io) fn process(pid: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers; the descriptor returned is new and owned by nobody else.
    unsafe {
        let fd = libc::syscall(
            libc::SYS_pidfd_open,
            libc::c_long::from(pid),
            0 as libc::c_long,
        );
        Ok(OwnedFd::from_raw_fd(check(fd as libc::c_int)?))
    }
}

const CONTROL_LEN: usize = cmsg::space(4 * MAX_PASSED);
