//! The program on the TAP: everything goes to the underlay interface, with the neighbour's link address.

use super::super::super::sys::Errno;
use super::super::super::sys::bpf::{self, Instruction};
use crate::error::{Error, ErrorCode};
use std::os::fd::{AsFd, OwnedFd};

/// The program at work, until dropped or until its TAP ends.
#[derive(Debug)]
pub(super) struct Redirect {
    _link: OwnedFd,
}

impl Redirect {
    /// Sends on what arrives at the interface `from` by the interface `to`. Errors: `NO_NET_ADMIN` without the rights,
    /// `NO_TUNNEL_GSO` when the kernel takes no such program or has no tcx, `NO_FILES`.
    pub(super) fn attach(from: u32, to: u32) -> Result<Self, Error> {
        bpf::load_classifier(&instructions(to), c"vswitchd_inject", c"Apache-2.0")
            .map_err(|e| to_error(e, "BPF_PROG_LOAD"))
            .and_then(|program| {
                bpf::link_tcx_ingress(program.as_fd(), from)
                    .map_err(|e| to_error(e, "BPF_LINK_CREATE"))
            })
            .map(|link| Self { _link: link })
    }
}

/// ```c
/// bpf_skb_change_type(skb, PACKET_HOST);
/// return bpf_redirect_neigh(to, NULL, 0, 0);
/// ```
///
/// The type is what the TAP made of the link address, which is none: "for another host". Loopback would keep it, and
/// its stack drop the packet.
fn instructions(to: u32) -> [Instruction; 8] {
    [
        Instruction::new(MOVE, 2, 0).immediate(PACKET_HOST),
        Instruction::new(CALL, 0, 0).immediate(CHANGE_TYPE),
        Instruction::new(MOVE, 1, 0).immediate(to as i32),
        Instruction::new(MOVE, 2, 0),
        Instruction::new(MOVE, 3, 0),
        Instruction::new(MOVE, 4, 0),
        Instruction::new(CALL, 0, 0).immediate(REDIRECT_NEIGH),
        Instruction::new(EXIT, 0, 0),
    ]
}

fn to_error(errno: Errno, syscall: &'static str) -> Error {
    match errno.0 {
        libc::EPERM | libc::EACCES => errno
            .into_error(ErrorCode::NoNetAdmin, "", syscall)
            .with_detail("a program on the TAP needs CAP_BPF and CAP_NET_ADMIN of the host"),
        _ => errno
            .into_error(ErrorCode::NoTunnelGso, "", syscall)
            .with_detail("a program on the TAP needs bpf and tcx (Linux 6.6)"),
    }
}

// linux/bpf.h and linux/if_packet.h
const CHANGE_TYPE: i32 = 32;
const PACKET_HOST: i32 = 0;
const REDIRECT_NEIGH: i32 = 152;

// Opcodes (RFC 9669); the first of 64 bits.
const MOVE: u8 = 0xb7;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
