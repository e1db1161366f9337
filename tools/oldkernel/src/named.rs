//! Single facilities by name, to be refused on any level.

use crate::filter::{Refusal, Test};

/// `WHAT=ERRNO`.
pub(crate) fn refusal(text: &str) -> Result<Refusal, String> {
    let (what, errno) = text.split_once('=').ok_or("write WHAT=ERRNO")?;
    let Some((_, errno)) = ERRNOS.iter().find(|(name, _)| *name == errno) else {
        return Err(format!("the errors are {}", names(&ERRNOS)));
    };
    if let Some((_, call)) = CALLS.iter().find(|(name, _)| *name == what) {
        return Ok(Refusal::of(*call, [], *errno));
    }
    if let Some((_, request)) = IOCTLS.iter().find(|(name, _)| *name == what) {
        return Ok(Refusal::of(
            libc::SYS_ioctl,
            [Test::equal(1, *request as i32)],
            *errno,
        ));
    }
    if let Some((_, (level, name))) = OPTIONS.iter().find(|(name, _)| *name == what) {
        return Ok(Refusal {
            calls: libc::SYS_setsockopt as u32..=libc::SYS_getsockopt as u32,
            tests: vec![Test::equal(1, *level), Test::equal(2, *name)],
            errno: *errno,
        });
    }
    let all = [names(&CALLS), names(&IOCTLS), names(&OPTIONS)].join(", ");
    Err(format!("what can be refused: {all}"))
}

fn names<T>(table: &[(&str, T)]) -> String {
    let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

const CALLS: [(&str, libc::c_long); 7] = [
    ("recvmmsg", libc::SYS_recvmmsg),
    ("sendmmsg", libc::SYS_sendmmsg),
    ("setns", libc::SYS_setns),
    ("unshare", libc::SYS_unshare),
    ("getrandom", libc::SYS_getrandom),
    ("bpf", libc::SYS_bpf),
    ("io_uring_setup", libc::SYS_io_uring_setup),
];

const IOCTLS: [(&str, libc::Ioctl); 4] = [
    ("TUNSETIFF", libc::TUNSETIFF),
    ("TUNGETFEATURES", libc::TUNGETFEATURES),
    ("TUNSETOFFLOAD", libc::TUNSETOFFLOAD),
    ("TUNSETVNETHDRSZ", libc::TUNSETVNETHDRSZ),
];

const OPTIONS: [(&str, (i32, i32)); 7] = [
    ("UDP_SEGMENT", (libc::SOL_UDP, libc::UDP_SEGMENT)),
    ("UDP_GRO", (libc::SOL_UDP, libc::UDP_GRO)),
    ("SO_REUSEPORT", (libc::SOL_SOCKET, libc::SO_REUSEPORT)),
    ("SO_RXQ_OVFL", (libc::SOL_SOCKET, libc::SO_RXQ_OVFL)),
    ("SO_RCVBUFFORCE", (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE)),
    ("PACKET_VNET_HDR", (libc::SOL_PACKET, libc::PACKET_VNET_HDR)),
    (
        "PACKET_IGNORE_OUTGOING",
        (libc::SOL_PACKET, PACKET_IGNORE_OUTGOING),
    ),
];

/// linux/if_packet.h
const PACKET_IGNORE_OUTGOING: i32 = 23;

const ERRNOS: [(&str, i32); 6] = [
    ("ENOSYS", libc::ENOSYS),
    ("EPERM", libc::EPERM),
    ("EINVAL", libc::EINVAL),
    ("ENOPROTOOPT", libc::ENOPROTOOPT),
    ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ("EIO", libc::EIO),
];
