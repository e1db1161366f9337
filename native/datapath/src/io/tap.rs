//! TAP devices: made or found again, configured, and then read and written one packet at a time.
//!
//! A TAP of ours is persistent: it outlives the process and is found again by its name and its [`Mark`]. It belongs to
//! the network namespace in which it was opened.

use super::netlink::{InterfaceAddress, Link, Netlink};
use super::netns::{self, Identity};
use super::sys::{Errno, file};
use crate::error::{Error, ErrorCode};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod handed;
mod owned;
mod queue;
mod roaming;

pub use handed::{Made, furnish};
pub use owned::{Mark, OwnedTap, owned, remove};
pub use queue::{TapQueue, VNET_HEADER_LEN};
pub(super) use queue::{knows, open_tun, use_short_header};
pub use roaming::remove_roaming;

/// What a TAP should be like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TapSpec {
    /// Network namespace; `None` = our own.
    pub netns: Option<PathBuf>,
    /// Interface name, at most 15 bytes.
    pub ifname: String,
    /// Its MAC; `None` = whatever it has or the kernel chooses.
    pub mac: Option<[u8; 6]>,
    /// Its MTU, bytes.
    pub mtu: u32,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Written on the interface: [`Mark::alias`].
    pub alias: String,
    /// Queues to open, at least 1; more than one only where the kernel can.
    pub queues: usize,
    /// Each packet is preceded by a `virtio_net_hdr`.
    pub vnet_hdr: bool,
    /// What the container's stack may leave undone; only with `vnet_hdr`.
    pub offloads: Offloads,
    /// Set where somebody else moves the device: path of the namespace that it is moved to. It is made by
    /// [`Tap::make`], and `open` only adopts it; `netns` is `None`.
    pub sandbox: Option<PathBuf>,
    /// Set where it was made inside a container and handed over: [`Tap::of_handed`] takes it, and `open` never does.
    pub is_handed: bool,
}

/// What the stack behind a TAP leaves to its reader. Writers may always leave the same undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offloads {
    /// Partial checksums. The others need it.
    pub checksum: bool,
    /// TCP superframes, IPv4 and IPv6, with ECN.
    pub tso: bool,
    /// UDP superframes, IPv4 and IPv6.
    pub uso: bool,
}

/// An open TAP. Dropping it leaves the device.
#[derive(Debug)]
pub struct Tap {
    /// Its queues; fewer than asked for when the device or the kernel has no more than one.
    pub queues: Vec<TapQueue>,
    /// Interface index in its namespace.
    pub ifindex: u32,
    /// What the kernel granted.
    pub offloads: Offloads,
    /// Frames are preceded by an offload header.
    pub vnet_hdr: bool,
    /// The device was there before.
    pub reattached: bool,
    live: Mutex<Live>,
    namespace: Option<Identity>,
}

/// What may change while a TAP is open.
#[derive(Debug, Clone)]
struct Live {
    spec: TapSpec,
    mac: [u8; 6],
    mtu: u32,
}

impl Tap {
    /// Makes the device, or attaches to the one that carries the same alias: that keeps its addresses and routes, and
    /// only gets what is missing. When this fails nothing is left behind that was not there before.
    ///
    /// A device with a sandbox is never made here, only looked for, first in the sandbox, then in our own namespace,
    /// and gets nothing but its MTU.
    ///
    /// Errors: `TAP_GONE` when a device with a sandbox is in neither; `NETNS_GONE`, `NO_NET_ADMIN`, `NO_TUN`, `IFNAME_TAKEN` when the name belongs to an interface with
    /// another alias or of another kind, `TAP_BUSY` when another descriptor holds it, `MTU_IMPOSSIBLE`, `NO_FILES`,
    /// `BAD_VALUE`, `IO`.
    pub fn open(spec: &TapSpec) -> Result<Self, Error> {
        check_names(spec)?;
        let namespace = spec.netns.as_deref().map(netns::identity).transpose()?;
        let deadline = Instant::now() + BUSY_PATIENCE;
        loop {
            let opened = match &spec.sandbox {
                Some(sandbox) => roaming::adopt(spec, sandbox),
                None => netns::within(spec.netns.as_deref(), || Self::open_here(spec, namespace)),
            };
            match opened {
                // The last holder may be just ending: a process that is killed closes one descriptor after the other.
                Err(error) if error.code == ErrorCode::TapBusy && Instant::now() < deadline => {
                    std::thread::sleep(BUSY_INTERVAL);
                }
                other => return other.map_err(|e| named(e, spec)),
            }
        }
    }

    /// Changes MTU, MAC and addresses from those of `was` to those of `spec`: addresses that only `was` has are taken
    /// away. Everything else must be the same. Errors: as `open`; a failure may leave a part changed, which the way
    /// back (`was` and `spec` exchanged) mends.
    ///
    /// Of a device with a sandbox only the MTU is changed. Its sandbox may be another now: nothing is moved by us.
    ///
    /// Nothing is changed of a device that was handed over: it is where we cannot reach it.
    pub fn reconfigure(&self, was: &TapSpec, spec: &TapSpec) -> Result<(), Error> {
        if spec.is_handed {
            self.live().spec = spec.clone();
            return Ok(());
        }
        if let Some(sandbox) = &spec.sandbox {
            if was.mtu != spec.mtu {
                roaming::resize(spec, sandbox).map_err(|e| named(e, spec))?;
            }
            let mut live = self.live();
            live.spec = spec.clone();
            live.mtu = spec.mtu;
            return Ok(());
        }
        if self.netns_gone() {
            return Err(named(Error::new(ErrorCode::NetnsGone, ""), spec));
        }
        let removed: Vec<_> = was
            .addresses
            .iter()
            .filter(|address| !spec.addresses.contains(address))
            .copied()
            .collect();
        let link = netns::within(was.netns.as_deref(), || {
            let mut netlink = Netlink::open()?;
            for address in removed {
                netlink.remove_address(on(self.ifindex, address))?;
            }
            let link = present(&mut netlink, &spec.ifname)?;
            configure(&mut netlink, &link, spec)
        })
        .map_err(|e| named(e, spec))?;
        *self.live() = Live {
            spec: spec.clone(),
            mac: link.mac.unwrap_or_default(),
            mtu: link.mtu,
        };
        Ok(())
    }

    /// Whether the namespace's path has disappeared or stands for another namespace now. The device itself cannot
    /// tell: an open TAP keeps its namespace alive.
    pub fn netns_gone(&self) -> bool {
        let now = self
            .spec()
            .netns
            .as_deref()
            .map(netns::identity)
            .transpose();
        now.ok() != Some(self.namespace)
    }

    /// The spec that it was last given.
    pub fn spec(&self) -> TapSpec {
        self.live().spec.clone()
    }

    /// Its MAC as it is.
    pub fn mac(&self) -> [u8; 6] {
        self.live().mac
    }

    /// Its MTU as it is, bytes.
    pub fn mtu(&self) -> u32 {
        self.live().mtu
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // Replaced whole, so never half changed.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_here(spec: &TapSpec, namespace: Option<Identity>) -> Result<Self, Error> {
        let mut netlink = Netlink::open()?;
        let existing = netlink.link(&spec.ifname)?;
        if let Some(link) = &existing {
            check_ours(link, spec)?;
        }
        let queues = queue::open_all(spec, existing.is_some())?;
        let [first, ..] = &queues[..] else {
            return Err(Error::new(ErrorCode::BadValue, "queues"));
        };
        let device = first.as_fd();
        let offloads = set_offloads(device, spec, existing.is_none())
            .map_err(|e| e.into_error(ErrorCode::Io, &spec.ifname, "TUNSETOFFLOAD"))?;
        let link = present(&mut netlink, &spec.ifname)?;
        let link = configure(&mut netlink, &link, spec)?;
        // Last: a device that is not persistent yet goes with our descriptors when anything above fails.
        file::tun_set_persist(device, true)
            .map_err(|e| e.into_error(ErrorCode::Io, &spec.ifname, "TUNSETPERSIST"))?;
        Ok(Self {
            queues,
            ifindex: link.ifindex,
            offloads,
            vnet_hdr: spec.vnet_hdr,
            reattached: existing.is_some(),
            live: Mutex::new(Live {
                spec: spec.clone(),
                mac: link.mac.unwrap_or_default(),
                mtu: link.mtu,
            }),
            namespace,
        })
    }
}

fn check_names(spec: &TapSpec) -> Result<(), Error> {
    let problem = if spec.ifname.is_empty() || spec.ifname.len() >= libc::IFNAMSIZ {
        "an interface name has 1 to 15 bytes"
    } else if spec.alias.is_empty() || spec.alias.len() > MAX_ALIAS {
        "owner and port name together are too long for an interface alias of 255 bytes"
    } else {
        return Ok(());
    };
    Err(named(
        Error::new(ErrorCode::BadValue, "").with_detail(problem),
        spec,
    ))
}

/// Whether an interface that exists is the one that an earlier `open` of the same spec left.
fn check_ours(link: &Link, spec: &TapSpec) -> Result<(), Error> {
    if link.alias.as_deref() != Some(spec.alias.as_str()) {
        let detail = match (&link.alias, &link.kind) {
            (Some(alias), _) => format!("its alias is '{alias}'"),
            (None, Some(kind)) => format!("a {kind} interface without alias"),
            (None, None) => "an interface without alias".into(),
        };
        return Err(Error::new(ErrorCode::IfnameTaken, &spec.ifname).with_detail(detail));
    }
    // A multi-queue device would let us in beside whoever has it.
    if link.open_queues.is_some_and(|n| n > 0) {
        return Err(Error::new(ErrorCode::TapBusy, &spec.ifname));
    }
    Ok(())
}

/// Asks for what `spec` wants and, step by step, for less. Always sets something: what an earlier process was granted
/// stays with the device.
///
/// Where nothing may be set at all a new device has none. One that was there before may have some: that does no harm
/// where a header says of each frame what is left undone, and is an error where none does.
fn set_offloads(device: BorrowedFd<'_>, spec: &TapSpec, is_new: bool) -> Result<Offloads, Errno> {
    let wanted = if spec.vnet_hdr {
        spec.offloads
    } else {
        Offloads::default()
    };
    let ladder = [
        wanted,
        Offloads {
            uso: false,
            ..wanted
        },
        Offloads {
            tso: false,
            uso: false,
            ..wanted
        },
        Offloads::default(),
    ];
    let mut refused = Errno(libc::EINVAL);
    for offloads in ladder {
        match file::tun_set_offload(device, offload_mask(offloads)) {
            Ok(()) => return Ok(offloads),
            Err(errno) => refused = errno,
        }
    }
    if is_new || spec.vnet_hdr {
        return Ok(Offloads::default());
    }
    Err(refused)
}

/// The TUN_F bits. The kernel refuses segmentation without checksums, and USO of one IP version only.
pub(super) fn offload_mask(offloads: Offloads) -> u32 {
    let mut mask = 0;
    if offloads.checksum {
        mask |= libc::TUN_F_CSUM;
    }
    if offloads.tso {
        mask |= libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    }
    if offloads.uso {
        mask |= libc::TUN_F_USO4 | libc::TUN_F_USO6;
    }
    mask
}

/// Brings the interface to what `spec` says and returns it as it is then.
fn configure(netlink: &mut Netlink, link: &Link, spec: &TapSpec) -> Result<Link, Error> {
    let ifindex = link.ifindex;
    identify(netlink, link, spec)?;
    size(netlink, link, spec)?;
    if !link.up {
        netlink.set_up(ifindex, true)?;
    }
    for &address in &spec.addresses {
        add_address(netlink, &spec.ifname, on(ifindex, address))?;
    }
    present(netlink, &spec.ifname)
}

/// Writes the mark on the interface and gives it its MAC.
fn identify(netlink: &mut Netlink, link: &Link, spec: &TapSpec) -> Result<(), Error> {
    if link.alias.as_deref() != Some(spec.alias.as_str()) {
        netlink.set_alias(link.ifindex, &spec.alias)?;
    }
    match spec.mac.filter(|&mac| link.mac != Some(mac)) {
        Some(mac) => netlink.set_mac(link.ifindex, mac),
        None => Ok(()),
    }
}

/// Limits how long its packets and superframes may be.
fn size(netlink: &mut Netlink, link: &Link, spec: &TapSpec) -> Result<(), Error> {
    if link.mtu != spec.mtu {
        netlink.set_mtu(link.ifindex, spec.mtu)?;
    }
    if spec.vnet_hdr {
        // Only faster; kernels that do not let it be set keep 64 KiB.
        let _ = netlink.set_gso_max_size(link.ifindex, GSO_MAX_SIZE);
    }
    Ok(())
}

/// Adds an address; IPv6 that somebody disabled for the whole namespace (Docker does) is enabled on this interface.
fn add_address(
    netlink: &mut Netlink,
    ifname: &str,
    address: InterfaceAddress,
) -> Result<(), Error> {
    match netlink.add_address(address) {
        Err(error) if error.errno == Some(libc::EACCES) && address.ip.is_ipv6() => {
            // This file is that of the calling thread's namespace.
            let switch = Path::new(IPV6_CONF).join(ifname).join("disable_ipv6");
            std::fs::write(switch, "0").map_err(|_| error)?;
            netlink.add_address(address)
        }
        other => other,
    }
}

fn on(ifindex: u32, (ip, prefix_len): (IpAddr, u8)) -> InterfaceAddress {
    InterfaceAddress {
        ifindex,
        ip,
        prefix_len,
    }
}

/// The interface, which is there.
fn present(netlink: &mut Netlink, ifname: &str) -> Result<Link, Error> {
    netlink.link(ifname)?.ok_or_else(|| {
        Error::from_syscall(ErrorCode::Io, ifname, "RTM_GETLINK", libc::ENODEV)
            .with_detail("the interface was removed or renamed by somebody else")
    })
}

/// The error with the interface and its namespace as subject; what it was about before goes into the detail.
fn named(error: Error, spec: &TapSpec) -> Error {
    let place = spec
        .netns
        .as_deref()
        .or(spec.sandbox.as_deref())
        .map_or(String::new(), |path| format!(" in {}", path.display()));
    error.within(format!("{}{place}", spec.ifname))
}

const IPV6_CONF: &str = "/proc/sys/net/ipv6/conf";
/// How long a TAP may stay busy before that is an error, and how often it is tried.
const BUSY_PATIENCE: Duration = Duration::from_millis(500);
const BUSY_INTERVAL: Duration = Duration::from_millis(10);
/// IFALIASZ - 1.
const MAX_ALIAS: usize = 255;
/// A superframe of this size, cut into 47 datagrams with their headers, still fits one UDP send of 65507 bytes.
const GSO_MAX_SIZE: u32 = 60_000;
