//! TAPs that are made by one process and used by another, which cannot enter their namespace. They are not persistent:
//! when the last descriptor is closed they are gone from the container.

use super::super::handover::Device;
use super::super::netlink::Netlink;
use super::super::sys::{Errno, file};
use super::{Live, Tap, TapQueue, TapSpec, configure, named, present, queue, set_offloads};
use crate::error::{Error, ErrorCode};
use std::os::fd::AsFd;
use std::sync::Mutex;

/// A TAP of our own network namespace that is to be handed over: down, without address.
#[derive(Debug)]
pub struct Made {
    /// Its queues; one where the kernel has no TAPs with more.
    pub queues: Vec<TapQueue>,
    /// Its index.
    pub ifindex: u32,
}

impl Made {
    /// Errors: `NO_NET_ADMIN`, `NO_TUN`, `IFNAME_TAKEN`, `BAD_VALUE`, `NO_FILES`, `IO`.
    pub fn new(ifname: &str, queues: usize, vnet_hdr: bool) -> Result<Self, Error> {
        let spec = TapSpec {
            ifname: ifname.into(),
            queues,
            vnet_hdr,
            ..TapSpec::default()
        };
        let queues = queue::open_all(&spec, false)?;
        let ifindex = present(&mut Netlink::open()?, ifname)?.ifindex;
        Ok(Self { queues, ifindex })
    }
}

/// Gives a TAP of our own network namespace what `spec` says: alias, MAC, MTU, addresses, and sets it up. Errors:
/// `IO` when there is none of that name, `NO_NET_ADMIN`, `MTU_IMPOSSIBLE`, `BAD_VALUE`.
pub fn furnish(spec: &TapSpec) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    let link = present(&mut netlink, &spec.ifname)?;
    configure(&mut netlink, &link, spec)
        .map(|_| ())
        .map_err(|e| named(e, spec))
}

impl Tap {
    /// A TAP that was handed over, with descriptors of its own. What `spec` says of MTU and addresses is for the
    /// container's user to [`furnish`]. Errors: `NO_FILES`, `IO`.
    pub fn of_handed(spec: &TapSpec, handed: &Device) -> Result<Self, Error> {
        let failed =
            |syscall| move |errno: Errno| errno.into_error(ErrorCode::Io, &spec.ifname, syscall);
        let queues = handed
            .queues
            .iter()
            .map(|descriptor| {
                let descriptor = descriptor.try_clone().map_err(Errno::from);
                queue::adopted(descriptor.map_err(failed("dup"))?, handed.vnet_hdr)
                    .map_err(failed("TUNSETVNETHDRSZ"))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let [first, ..] = &queues[..] else {
            return Err(Error::new(ErrorCode::BadValue, "queues"));
        };
        let device = first.as_fd();
        let spec = TapSpec {
            vnet_hdr: handed.vnet_hdr,
            ..spec.clone()
        };
        let offloads = set_offloads(device, &spec, false).map_err(failed("TUNSETOFFLOAD"))?;
        file::tun_set_persist(device, false).map_err(failed("TUNSETPERSIST"))?;
        let mac = match spec.mac {
            Some(mac) => mac,
            None => file::tun_mac(device).map_err(failed("SIOCGIFHWADDR"))?,
        };
        Ok(Self {
            ifindex: handed.ifindex,
            offloads,
            vnet_hdr: handed.vnet_hdr,
            reattached: true,
            live: Mutex::new(Live {
                mac,
                mtu: spec.mtu,
                spec,
            }),
            namespace: None,
            queues,
        })
    }
}
