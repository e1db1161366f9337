//! The queues of a TAP: opening them and moving packets.

use super::super::Refusal;
use super::super::sys::{Errno, file};
use super::TapSpec;
use crate::error::{Error, ErrorCode};
use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// One queue of a TAP. Non-blocking; any thread may use it, each packet is whole.
#[derive(Debug)]
pub struct TapQueue(OwnedFd, HeaderMode);

/// Whether packets are preceded by a `virtio_net_hdr` of [`VNET_HEADER_LEN`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeaderMode {
    Plain,
    Vnet,
}

impl TapQueue {
    /// Reads one frame or superframe and its offload header (all zero when the TAP has none), and returns the frame's
    /// length. What does not fit into `frame` is lost: give it 65536 bytes and room for a VLAN header.
    pub fn read(
        &self,
        vnet: &mut [u8; VNET_HEADER_LEN],
        frame: &mut [u8],
    ) -> Result<usize, Refusal> {
        match self.1 {
            HeaderMode::Vnet => file::read_split(self.as_fd(), vnet, frame)
                .map(|len| len.saturating_sub(VNET_HEADER_LEN)),
            HeaderMode::Plain => {
                *vnet = [0; VNET_HEADER_LEN];
                file::read(self.as_fd(), frame)
            }
        }
        .map_err(to_refusal)
    }

    /// Writes one frame or superframe made of `parts`; `vnet` is left out when the TAP has no offload header. The
    /// kernel does not check the length against the MTU.
    pub fn write(
        &self,
        vnet: &[u8; VNET_HEADER_LEN],
        parts: &[IoSlice<'_>],
    ) -> Result<(), Refusal> {
        let head: &[u8] = match self.1 {
            HeaderMode::Vnet => vnet,
            HeaderMode::Plain => &[],
        };
        file::write_packet(self.as_fd(), head, parts)
            .map(|_| ())
            .map_err(to_refusal)
    }
}

impl AsFd for TapQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn to_refusal(Errno(errno): Errno) -> Refusal {
    match errno {
        libc::EAGAIN => Refusal::WouldBlock,
        libc::EBADFD | libc::ENODEV => Refusal::Gone,
        libc::EIO => Refusal::Down,
        other => Refusal::Other(other),
    }
}

/// Opens the queues, and with the first of them makes the device unless `exists`.
pub(super) fn open_all(spec: &TapSpec, exists: bool) -> Result<Vec<TapQueue>, Error> {
    let multi_queue = spec.queues > 1 && has_queues()?;
    match attach(spec, exists, multi_queue) {
        // The device was made with the other kind of queues.
        Err(error) if error.errno == Some(libc::EINVAL) && (exists || multi_queue) => {
            attach(spec, exists, !multi_queue)
        }
        other => other,
    }
}

fn attach(spec: &TapSpec, exists: bool, multi_queue: bool) -> Result<Vec<TapQueue>, Error> {
    let count = if multi_queue { spec.queues.max(1) } else { 1 };
    let header = if spec.vnet_hdr {
        HeaderMode::Vnet
    } else {
        HeaderMode::Plain
    };
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
    if spec.vnet_hdr {
        flags |= libc::IFF_VNET_HDR;
    }
    if multi_queue {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    (0..count)
        .map(|i| {
            let making = !exists && i == 0;
            let tun = open_tun()?;
            let exclusive = if making { libc::IFF_TUN_EXCL } else { 0 };
            file::tun_attach(tun.as_fd(), &spec.ifname, flags | exclusive)
                .map_err(|e| attach_error(e, spec, making))?;
            if spec.vnet_hdr {
                use_short_header(tun.as_fd())
                    .map_err(|e| e.into_error(ErrorCode::Io, &spec.ifname, "TUNSETVNETHDRSZ"))?;
            }
            Ok(TapQueue(tun.into(), header))
        })
        .collect()
}

/// The queue of a TAP that somebody else has opened, with a header of our length before each packet.
pub(super) fn adopted(descriptor: OwnedFd, vnet_hdr: bool) -> Result<TapQueue, Errno> {
    if !vnet_hdr {
        return Ok(TapQueue(descriptor, HeaderMode::Plain));
    }
    use_short_header(descriptor.as_fd())?;
    Ok(TapQueue(descriptor, HeaderMode::Vnet))
}

/// Whether the kernel has TAPs of several queues (Linux 3.8). Asked, because an older one makes a TAP of one queue and
/// says nothing of the flag.
fn has_queues() -> Result<bool, Error> {
    Ok(knows(open_tun()?.as_fd(), libc::IFF_MULTI_QUEUE))
}

/// Whether TUNSETIFF means something by `flag`; a kernel that cannot be asked does not.
pub(in crate::io) fn knows(tun: BorrowedFd<'_>, flag: i32) -> bool {
    file::tun_features(tun).is_ok_and(|features| features & flag != 0)
}

/// Has each packet preceded by [`VNET_HEADER_LEN`] bytes, as it always is where that cannot be set (Linux before 2.6.34,
/// and where a filter of system calls refuses it). Errors: what set it otherwise keeps us from setting it back.
pub(in crate::io) fn use_short_header(tun: BorrowedFd<'_>) -> Result<(), Errno> {
    match file::tun_set_vnet_header_len(tun, VNET_HEADER_LEN as i32) {
        Ok(()) => Ok(()),
        Err(refused) => match file::tun_vnet_header_len(tun) {
            Ok(len) if len != VNET_HEADER_LEN as i32 => Err(refused),
            _ => Ok(()),
        },
    }
}

/// `/dev/net/tun`, not attached to any device.
pub(in crate::io) fn open_tun() -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(TUN_PATH)
        .map_err(|e| Errno::from(e).into_error(ErrorCode::NoTun, TUN_PATH, "open"))
}

fn attach_error(errno: Errno, spec: &TapSpec, making: bool) -> Error {
    let code = match errno.0 {
        libc::EPERM => ErrorCode::NoNetAdmin,
        libc::EBUSY if making => ErrorCode::IfnameTaken,
        libc::EBUSY => ErrorCode::TapBusy,
        libc::EINVAL if !making => ErrorCode::IfnameTaken,
        libc::EINVAL => ErrorCode::BadValue,
        _ => ErrorCode::Io,
    };
    errno.into_error(code, &spec.ifname, "TUNSETIFF")
}

/// Length of the `virtio_net_hdr` that TAPs are set to (linux/virtio_net.h, without `num_buffers`).
pub const VNET_HEADER_LEN: usize = 10;
const TUN_PATH: &str = "/dev/net/tun";
