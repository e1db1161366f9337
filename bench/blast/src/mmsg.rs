//! The system calls that std does not have: sendmmsg, recvmmsg, CPU affinity, a large receive buffer.

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;

/// Datagrams of equal size that go to or come from one connected or bound socket together.
pub(crate) struct Batch {
    payload: Vec<u8>,
    size: usize,
    lens: [usize; BATCH],
}

impl Batch {
    /// Room for `BATCH` datagrams of at most `size` bytes each.
    pub(crate) fn new(size: usize) -> Self {
        Batch {
            payload: vec![0; size * BATCH],
            size,
            lens: [0; BATCH],
        }
    }

    /// The whole room of datagram `i`.
    pub(crate) fn slot(&mut self, i: usize) -> &mut [u8] {
        &mut self.payload[i * self.size..(i + 1) * self.size]
    }

    /// Datagram `i` as received.
    pub(crate) fn received(&self, i: usize) -> &[u8] {
        &self.payload[i * self.size..i * self.size + self.lens[i]]
    }

    /// Sends the first `count` slots on a connected socket; returns how many the kernel took, at least one.
    pub(crate) fn send(&mut self, socket: &UdpSocket, count: usize) -> io::Result<usize> {
        self.with_headers(|headers| {
            let count = count.min(BATCH) as libc::c_uint;
            // SAFETY: `headers` holds BATCH >= count headers whose iovecs point into `payload`, alive for the call.
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) }
        })
    }

    /// Waits for one datagram and takes what else is there; returns how many.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut lens = [0; BATCH];
        let count = self.with_headers(|headers| {
            // SAFETY: as in `send`; the null timeout leaves waiting to the socket's SO_RCVTIMEO.
            let taken = unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    BATCH as libc::c_uint,
                    libc::MSG_WAITFORONE,
                    ptr::null_mut(),
                )
            };
            for (len, header) in lens.iter_mut().zip(headers.iter()) {
                *len = header.msg_len as usize;
            }
            taken
        })?;
        self.lens = lens;
        Ok(count)
    }

    fn with_headers(
        &mut self,
        call: impl FnOnce(&mut [libc::mmsghdr; BATCH]) -> libc::c_int,
    ) -> io::Result<usize> {
        let base = self.payload.as_mut_ptr();
        let mut parts = [libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: self.size,
        }; BATCH];
        // SAFETY: all-zero is a valid mmsghdr: no name, no parts, no control data.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for (i, (part, header)) in parts.iter_mut().zip(headers.iter_mut()).enumerate() {
            part.iov_base = base.wrapping_add(i * self.size).cast();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        usize::try_from(call(&mut headers)).map_err(|_| io::Error::last_os_error())
    }
}

/// Keeps this thread, and those that it starts from now on, on one CPU.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: all-zero is the empty cpu_set_t; `cpu` is below CPU_SETSIZE; the size is that of the set.
    let result = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, mem::size_of_val(&set), &set)
    };
    check(result)
}

/// Lets a burst wait in the socket rather than be lost there; beyond the system's limit where rights allow.
pub(crate) fn widen_receive_buffer(socket: &UdpSocket) -> io::Result<()> {
    let force = |option| {
        // SAFETY: the value is a c_int, as SO_RCVBUF and SO_RCVBUFFORCE want, alive for the call.
        check(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                ptr::from_ref(&RECEIVE_BUFFER).cast(),
                mem::size_of_val(&RECEIVE_BUFFER) as libc::socklen_t,
            )
        })
    };
    force(libc::SO_RCVBUFFORCE).or_else(|_| force(libc::SO_RCVBUF))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Datagrams per system call.
pub(crate) const BATCH: usize = 64;
const RECEIVE_BUFFER: libc::c_int = 8 << 20;
