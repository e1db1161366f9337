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
    patience.tv_sec = patience_secs as _;
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
    transmit(socket, bytes, passed)
}

/// The same for one descriptor more, too.
fn transmit(socket: BorrowedFd<'_>, bytes: &[u8], passed: &[BorrowedFd<'_>]) -> Result<(), Errno> {
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

/// Receives one message and the descriptors in it, which are ours from then on; 0 bytes at the end of the connection.
///
/// Errors: EAGAIN; EMSGSIZE when it does not fit into `buffer` or has more than [`MAX_PASSED`] descriptors; EMFILE when not
/// all of them could be taken, for which a security module may be the reason too. All are closed then, which can take
/// as long as whoever sent them likes.
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
    // Not the padding too, into which one more would fit.
    message.msg_controllen = cmsg::len(4 * MAX_PASSED) as _;
    let flags = libc::MSG_CMSG_CLOEXEC;
    let len = loop {
        // SAFETY: all that `message` points to is valid for writing and held exclusively during the call.
        match check_len(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) }) {
            Err(Errno(libc::EINTR)) => {}
            other => break other?,
        }
    };
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
    let is_cut = message.msg_flags & libc::MSG_CTRUNC != 0;
    if is_cut && passed.len() < MAX_PASSED {
        return Err(Errno(libc::EMFILE));
    }
    if is_cut || message.msg_flags & libc::MSG_TRUNC != 0 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    /// What is received of a message with so many descriptors, and whether copies of them are left.
    fn received(count: usize, room: usize) -> (Result<(usize, usize), Errno>, bool) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        transmit(theirs.as_fd(), b"four", &vec![writer.as_fd(); count]).unwrap();
        drop(writer);
        let mut buffer = vec![0; room];
        let found = receive(ours.as_fd(), &mut buffer).map(|(len, passed)| (len, passed.len()));
        let mut list = [libc::pollfd {
            fd: reader.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        // SAFETY: the pointer describes `list`, which we hold exclusively during the call.
        check(unsafe { libc::poll(list.as_mut_ptr(), 1, 0) }).unwrap();
        (found, list[0].revents & libc::POLLHUP == 0)
    }

    #[test]
    fn as_many_descriptors_arrive_as_may() {
        assert_eq!(received(0, 9), (Ok((4, 0)), false));
        assert_eq!(received(MAX_PASSED, 9), (Ok((4, MAX_PASSED)), false));
        assert_eq!(
            received(MAX_PASSED + 1, 9),
            (Err(Errno(libc::EMSGSIZE)), false)
        );
        assert_eq!(received(2, 3), (Err(Errno(libc::EMSGSIZE)), false));
        let (ours, _theirs) = UnixDatagram::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let refused = send(ours.as_fd(), b"", &vec![null.as_fd(); MAX_PASSED + 1]);
        assert_eq!(refused, Err(Errno(libc::EINVAL)));
    }

    /// In a process of its own: how many files may be open is one number for all threads.
    #[test]
    fn without_room_for_all_descriptors_none_is_kept() {
        const INSIDE: &str = "VSWITCHD_TEST_WITH_FEW_FILES";
        if std::env::var_os(INSIDE).is_some() {
            assert_eq!(received(60, 9), (Err(Errno(libc::EMFILE)), false));
            return;
        }
        let own = std::thread::current().name().unwrap().to_owned();
        let program = std::env::current_exe().unwrap();
        let inside = Command::new("sh")
            .args(["-c", "ulimit -n 40 && exec \"$@\"", "sh"])
            .arg(program)
            .args(["--exact", &own])
            .env(INSIDE, "yes")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&inside.stdout);
        assert!(said.contains("1 passed"), "{said}");
    }
}
