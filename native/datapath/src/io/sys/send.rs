//! Sending many datagrams with one call.

use super::cmsg::{Control, space};
use super::sockaddr::RawAddress;
use super::{Errno, check, check_len};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether the kernel, and whoever filters our calls, takes `sendmmsg`: asked with no socket.
pub(in crate::io) fn has_sendmmsg() -> bool {
    // SAFETY: a list of no messages is not read, and there is no descriptor -1.
    let asked = check(unsafe { libc::sendmmsg(-1, std::ptr::null_mut(), 0, 0) });
    asked == Err(Errno(libc::EBADF))
}

/// Room for a segment size, a TTL and a TOS.
type SendControl = Control<{ space(2) + 2 * space(4) }>;

/// One call's worth of datagrams. Filled by `push`, sent, and cleared; its memory is kept.
pub(in crate::io) struct SendList {
    headers: Vec<libc::mmsghdr>,
    names: Vec<RawAddress>,
    controls: Vec<SendControl>,
    iovecs: Vec<libc::iovec>,
    /// End of each message's slices in `iovecs`.
    ends: Vec<usize>,
}

/// One datagram, or with a segment size a run of them.
pub(in crate::io) struct Outgoing<'a> {
    pub(in crate::io) destination: &'a SocketAddr,
    /// 0 = one datagram.
    pub(in crate::io) segment_size: u16,
    pub(in crate::io) ttl: Option<u8>,
    /// 0 = the socket's, which nobody sets.
    pub(in crate::io) tos: u8,
}

// SAFETY: the pointers in `headers` and `iovecs` are used only inside `send`, which is given the slices that they
// point to; between calls they are never read.
unsafe impl Send for SendList {}

impl SendList {
    pub(in crate::io) fn new() -> Self {
        Self {
            headers: Vec::new(),
            names: Vec::new(),
            controls: Vec::new(),
            iovecs: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Sends a prefix of `messages` without waiting and returns its length, which is at least one; an error is that
    /// of the first message. `many`: with one `sendmmsg`; otherwise only the first is sent, with `sendmsg`.
    pub(in crate::io) fn send<'a, P>(
        &mut self,
        fd: BorrowedFd<'_>,
        many: bool,
        messages: impl Iterator<Item = (Outgoing<'a>, P)>,
    ) -> Result<usize, Errno>
    where
        P: Iterator<Item = &'a [u8]>,
    {
        self.clear();
        for (message, parts) in messages {
            self.push(&message, parts);
        }
        self.link();
        let Some(first) = self.headers.first() else {
            return Ok(0);
        };
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        if many {
            // SAFETY: `link` has just made every header point to entries of `names`, `controls` and `iovecs`, which
            // do not change until the call returns; the iovecs point to slices borrowed for `'a`. The kernel only
            // reads them and writes msg_len.
            let n = check(unsafe {
                libc::sendmmsg(
                    fd.as_raw_fd(),
                    self.headers.as_mut_ptr(),
                    self.headers.len() as libc::c_uint,
                    flags as _,
                )
            })?;
            return Ok(n as usize);
        }
        // SAFETY: as above, for the first header.
        check_len(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const first.msg_hdr, flags) })?;
        Ok(1)
    }

    fn clear(&mut self) {
        self.headers.clear();
        self.names.clear();
        self.controls.clear();
        self.iovecs.clear();
        self.ends.clear();
    }

    fn push<'a>(&mut self, message: &Outgoing<'_>, parts: impl Iterator<Item = &'a [u8]>) {
        let mut control = SendControl::EMPTY;
        if message.segment_size != 0 {
            control.push(
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                &message.segment_size.to_ne_bytes(),
            );
        }
        if let Some(ttl) = message.ttl {
            let (level, kind) = match message.destination {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
            };
            control.push(level, kind, &i32::from(ttl).to_ne_bytes());
        }
        if message.tos != 0 {
            let (level, kind) = match message.destination {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            control.push(level, kind, &i32::from(message.tos).to_ne_bytes());
        }
        self.iovecs.extend(parts.map(|part| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        }));
        self.names.push(RawAddress::new(message.destination));
        self.controls.push(control);
        self.ends.push(self.iovecs.len());
    }

    /// Makes the headers, once nothing moves any more.
    fn link(&mut self) {
        let mut start = 0;
        for (i, &end) in self.ends.iter().enumerate() {
            // SAFETY: mmsghdr is plain data for which all zeroes is a valid value.
            let mut header: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
            let name = self.names[i].as_bytes();
            let control = self.controls[i].as_bytes();
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len() as libc::socklen_t;
            header.msg_hdr.msg_iov = self.iovecs[start..end].as_mut_ptr();
            header.msg_hdr.msg_iovlen = (end - start) as _;
            if !control.is_empty() {
                header.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
                header.msg_hdr.msg_controllen = control.len() as _;
            }
            self.headers.push(header);
            start = end;
        }
    }
}
