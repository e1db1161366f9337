//! Whether IPsec has a say in what leaves this host (`ip xfrm policy`).

use super::super::sys::Errno;
use super::{NETLINK_HEADER_LEN, RECEIVE_LEN, split, to_error};
use crate::error::{Error, ErrorCode};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_XFRM;

/// Asks for the policies of the namespace in which it was opened. Blocking.
pub struct IpsecPolicies(Option<Socket>);

impl IpsecPolicies {
    /// Errors: `NO_FILES`, `IO`.
    pub fn open() -> Result<Self, Error> {
        let socket = socket()?;
        if let Some(mut socket) = socket {
            socket
                .bind_auto()
                .map_err(|e| Errno::from(e).into_error(ErrorCode::Io, "IPsec", "bind"))?;
            return Ok(Self(Some(socket)));
        }
        Ok(Self(None))
    }

    /// Whether there is any policy, of whatever direction. Errors: `NO_NET_ADMIN`, `IO`.
    pub fn any(&mut self) -> Result<bool, Error> {
        match &self.0 {
            None => Ok(false),
            Some(socket) => any(socket).map_err(|e| to_error(e, "IPsec", "XFRM_MSG_GETPOLICY")),
        }
    }
}

/// `None` where the kernel has no IPsec.
pub(super) fn socket() -> Result<Option<Socket>, Error> {
    match Socket::new(NETLINK_XFRM).map_err(Errno::from) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno(libc::EPROTONOSUPPORT)) => Ok(None),
        Err(errno) => Err(errno.into_error(ErrorCode::Io, "IPsec", "socket")),
    }
}

fn any(socket: &Socket) -> Result<bool, Errno> {
    // A header alone asks for all: length, kind, flags, sequence number, port.
    let mut request = [0; NETLINK_HEADER_LEN];
    request[..4].copy_from_slice(&(NETLINK_HEADER_LEN as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&GET_POLICY.to_ne_bytes());
    request[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    socket.send(&request, 0)?;
    let mut found = false;
    let mut buffer: Vec<u8> = Vec::with_capacity(RECEIVE_LEN);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        for message in split(&buffer) {
            match u16::from_ne_bytes([message[4], message[5]]) {
                DONE => return Ok(found),
                ERROR => return Err(Errno(-error_code(message).unwrap_or(-libc::EBADMSG))),
                _ => found = true,
            }
        }
    }
}

fn error_code(message: &[u8]) -> Option<i32> {
    let code = message.get(NETLINK_HEADER_LEN..)?.first_chunk()?;
    Some(i32::from_ne_bytes(*code))
}

// linux/netlink.h and linux/xfrm.h
const ERROR: u16 = 2;
const DONE: u16 = 3;
const GET_POLICY: u16 = 0x15;
