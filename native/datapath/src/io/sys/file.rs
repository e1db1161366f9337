//! Descriptors of files and devices: TUN ioctls, vectored I/O, locks, namespaces.

use super::{Errno, check, check_len};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Most slices that one vectored call takes (UIO_MAXIOV).
pub(in crate::io) const MAX_SLICES: usize = 1024;

/// An interface request with its name set and nothing else.
///
/// Errors: ENAMETOOLONG for more than 15 bytes, EINVAL for an empty name or a NUL in it.
pub(super) fn interface_request(ifname: &str) -> Result<libc::ifreq, Errno> {
    if ifname.len() >= libc::IFNAMSIZ {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    if ifname.is_empty() || ifname.contains('\0') {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: ifreq is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    for (to, from) in request.ifr_name.iter_mut().zip(ifname.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// TUNSETIFF: makes or attaches to the device `ifname`, and returns its name: the kernel puts a free number in place of
/// `%d`.
pub(in crate::io) fn tun_attach(
    tun: BorrowedFd<'_>,
    ifname: &str,
    flags: i32,
) -> Result<String, Errno> {
    let mut request = interface_request(ifname)?;
    // The flags are 16 bits in the kernel; IFF_TUN_EXCL is the sign bit of the C type.
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives for the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    name_in(&request)
}

/// TUNGETIFF: the name that the device has now. Errors: EBADFD when it is gone.
pub(in crate::io) fn tun_name(tun: BorrowedFd<'_>) -> Result<String, Errno> {
    let mut request = interface_request("?")?;
    // SAFETY: TUNGETIFF writes one ifreq, which lives for the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETIFF as _, &raw mut request) })?;
    name_in(&request)
}

/// TUNGETIFF: with which IFF_ flags the device was made. Errors: EBADFD, or ENOTTY or EINVAL for what is no TAP's.
pub(in crate::io) fn tun_flags(tun: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut request = interface_request("?")?;
    // SAFETY: TUNGETIFF writes one ifreq, which lives for the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETIFF as _, &raw mut request) })?;
    // SAFETY: TUNGETIFF has filled in the flags, and any bits are a valid short.
    Ok(i32::from(unsafe { request.ifr_ifru.ifru_flags } as u16))
}

/// SIOCGIFHWADDR on a TAP's own descriptor, so in whatever namespace the device is.
pub(in crate::io) fn tun_mac(tun: BorrowedFd<'_>) -> Result<[u8; 6], Errno> {
    let mut request = interface_request("?")?;
    // SAFETY: SIOCGIFHWADDR writes one ifreq, which lives for the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::SIOCGIFHWADDR as _, &raw mut request) })?;
    // SAFETY: SIOCGIFHWADDR has filled in the address, and any bytes are a valid one.
    let data = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
    Ok(std::array::from_fn(|i| data[i] as u8))
}

/// Whether the descriptor is the character device with these numbers.
pub(in crate::io) fn is_character_device(fd: BorrowedFd<'_>, (major, minor): (u32, u32)) -> bool {
    // SAFETY: stat is plain data for which all zeroes is a valid value.
    let mut status: libc::stat = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: fstat writes one stat, which lives for the call.
    let known = check(unsafe { libc::fstat(fd.as_raw_fd(), &raw mut status) });
    known.is_ok()
        && status.st_mode & libc::S_IFMT == libc::S_IFCHR
        && (libc::major(status.st_rdev), libc::minor(status.st_rdev)) == (major, minor)
}

/// Sets O_NONBLOCK, which is one flag for all who have the open file.
pub(in crate::io) fn set_non_blocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: no pointers.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

fn name_in(request: &libc::ifreq) -> Result<String, Errno> {
    let name = request.ifr_name.iter().take_while(|&&c| c != 0);
    let name = name.map(|&c| c as u8).collect();
    String::from_utf8(name).map_err(|_| Errno(libc::EINVAL))
}

/// TUNGETFEATURES: the flags that TUNSETIFF knows (Linux 2.6.27).
pub(in crate::io) fn tun_features(tun: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut features: libc::c_uint = 0;
    // SAFETY: TUNGETFEATURES writes one unsigned int, which lives for the call.
    check(unsafe {
        libc::ioctl(
            tun.as_raw_fd(),
            libc::TUNGETFEATURES as _,
            &raw mut features,
        )
    })?;
    Ok(features as i32)
}

/// TUNSETOFFLOAD: what the kernel may hand to the reader unfinished.
pub(in crate::io) fn tun_set_offload(tun: BorrowedFd<'_>, mask: u32) -> Result<(), Errno> {
    // SAFETY: the argument is a plain number.
    check(unsafe {
        libc::ioctl(
            tun.as_raw_fd(),
            libc::TUNSETOFFLOAD as _,
            libc::c_ulong::from(mask),
        )
    })?;
    Ok(())
}

/// TUNSETVNETHDRSZ: length of the header before each frame.
pub(in crate::io) fn tun_set_vnet_header_len(tun: BorrowedFd<'_>, len: i32) -> Result<(), Errno> {
    // SAFETY: TUNSETVNETHDRSZ reads one int, which lives for the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ as _, &raw const len) })?;
    Ok(())
}

/// TUNGETVNETHDRSZ: the same, asked for.
pub(in crate::io) fn tun_vnet_header_len(tun: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut len: libc::c_int = 0;
    // SAFETY: TUNGETVNETHDRSZ writes one int, which lives for the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETVNETHDRSZ as _, &raw mut len) })?;
    Ok(len)
}

/// TUNSETVNETLE: the header before each frame is little endian, whatever the machine is.
pub(in crate::io) fn tun_set_vnet_little_endian(tun: BorrowedFd<'_>) -> Result<(), Errno> {
    let yes: libc::c_int = 1;
    // SAFETY: TUNSETVNETLE reads one int, which lives for the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETLE as _, &raw const yes) })?;
    Ok(())
}

/// TUNSETCARRIER: whether the device's stack believes that somebody is at the other end.
pub(in crate::io) fn tun_set_carrier(tun: BorrowedFd<'_>, carrier: bool) -> Result<(), Errno> {
    let carrier = libc::c_int::from(carrier);
    // SAFETY: TUNSETCARRIER reads one int, which lives for the call.
    check(unsafe {
        libc::ioctl(
            tun.as_raw_fd(),
            libc::TUNSETCARRIER as _,
            &raw const carrier,
        )
    })?;
    Ok(())
}

/// TUNSETPERSIST: whether the device outlives its last descriptor.
pub(in crate::io) fn tun_set_persist(tun: BorrowedFd<'_>, persist: bool) -> Result<(), Errno> {
    // SAFETY: the argument is a plain number.
    check(unsafe {
        libc::ioctl(
            tun.as_raw_fd(),
            libc::TUNSETPERSIST as _,
            libc::c_ulong::from(persist),
        )
    })?;
    Ok(())
}

/// Reads one packet: its first bytes into `head`, the rest into `body`.
pub(in crate::io) fn read_split(
    fd: BorrowedFd<'_>,
    head: &mut [u8],
    body: &mut [u8],
) -> Result<usize, Errno> {
    let slices = [
        libc::iovec {
            iov_base: head.as_mut_ptr().cast(),
            iov_len: head.len(),
        },
        libc::iovec {
            iov_base: body.as_mut_ptr().cast(),
            iov_len: body.len(),
        },
    ];
    // SAFETY: both slices are valid for writing and borrowed exclusively during the call.
    check_len(unsafe { libc::readv(fd.as_raw_fd(), slices.as_ptr(), 2) })
}

/// Reads one packet.
pub(in crate::io) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is valid for writing and borrowed exclusively during the call.
    check_len(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes one packet made of `head` (left out when empty) and `parts`.
///
/// Errors: EMSGSIZE for more than [`MAX_SLICES`] slices, without a call.
pub(in crate::io) fn write_packet(
    fd: BorrowedFd<'_>,
    head: &[u8],
    parts: &[IoSlice<'_>],
) -> Result<usize, Errno> {
    let mut slices = [const { MaybeUninit::<libc::iovec>::uninit() }; MAX_SLICES];
    let head = (!head.is_empty()).then_some(head);
    let all = head.into_iter().chain(parts.iter().map(|part| &**part));
    let mut count = 0;
    for bytes in all {
        let Some(slot) = slices.get_mut(count) else {
            return Err(Errno(libc::EMSGSIZE));
        };
        slot.write(libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        });
        count += 1;
    }
    // SAFETY: the first `count` entries are initialised and point to slices borrowed for the call; writev only reads.
    check_len(unsafe {
        libc::writev(
            fd.as_raw_fd(),
            slices.as_ptr().cast::<libc::iovec>(),
            count as libc::c_int,
        )
    })
}

/// Takes the exclusive lock of an open file without waiting: EWOULDBLOCK when somebody holds it.
pub(in crate::io) fn lock_exclusive(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: no pointers.
    check(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })?;
    Ok(())
}

/// Moves the calling thread into the network namespace that `fd` stands for.
pub(in crate::io) fn enter_net_namespace(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: no pointers; changes the calling thread only.
    check(unsafe { libc::setns(fd.as_raw_fd(), libc::CLONE_NEWNET) })?;
    Ok(())
}

/// Moves the calling thread into a new, empty network namespace.
pub(in crate::io) fn new_net_namespace() -> Result<(), Errno> {
    // SAFETY: no pointers; CLONE_NEWNET concerns the calling thread only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    Ok(())
}

/// The calling thread's number, as `/proc/self/task` has it.
pub(in crate::io) fn thread_id() -> i32 {
    // SAFETY: no arguments, and it never fails.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// The index of an interface of the calling thread's namespace.
pub(in crate::io) fn interface_index(ifname: &str) -> Result<u32, Errno> {
    let name = std::ffi::CString::new(ifname).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: `name` is a NUL-terminated string that lives for the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Errno::last()),
        index => Ok(index),
    }
}
