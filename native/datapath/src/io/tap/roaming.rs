//! TAPs that somebody else moves. Docker takes one from our namespace to a container's, its sandbox, renames it, gives
//! it MAC and addresses and sets it up; when the container ends it comes back, down, under its old name. Open
//! descriptors keep working all the while; the mark stays on it.

use super::super::netlink::{Link, Netlink};
use super::super::netns;
use super::super::sys::file;
use super::{Live, Mark, Tap, TapSpec, check_names, check_ours, identify, named, present, queue};
use super::{set_offloads, size};
use crate::error::{Error, ErrorCode};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

impl Tap {
    /// Makes the device in our own namespace, for [`Tap::open`] to adopt wherever it is then: down, without addresses,
    /// and closed again. One that is there with the same mark gets MAC and MTU. When this fails nothing is left behind
    /// that was not there before.
    ///
    /// Errors: `NO_NET_ADMIN`, `NO_TUN`, `IFNAME_TAKEN`, `MTU_IMPOSSIBLE`, `NO_FILES`, `BAD_VALUE`, `IO`.
    pub fn make(spec: &TapSpec) -> Result<(), Error> {
        check_names(spec)?;
        make_here(spec).map_err(|e| named(e, spec))
    }

    /// The interface's name and the path of its namespace at this moment; `None` = our own.
    pub fn place(&self) -> (String, Option<PathBuf>) {
        let spec = self.spec();
        let Some(sandbox) = spec.sandbox else {
            return (spec.ifname, spec.netns);
        };
        let name = self.queues.first().map(|q| file::tun_name(q.as_fd()));
        let Some(Ok(name)) = name else {
            return (spec.ifname, Some(sandbox));
        };
        // Another interface of our own may have the same name, but not the same index: a device keeps its own.
        let is_ours = file::interface_index(&name) == Ok(self.ifindex);
        (name, (!is_ours).then_some(sandbox))
    }
}

fn make_here(spec: &TapSpec) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    if let Some(link) = netlink.link(&spec.ifname)? {
        return match check_ours(&link, spec) {
            Err(error) if error.code != ErrorCode::TapBusy => Err(error),
            _ => identify(&mut netlink, &link, spec).and_then(|()| size(&mut netlink, &link, spec)),
        };
    }
    let queues = queue::open_all(spec, false)?;
    let [first, ..] = &queues[..] else {
        return Err(Error::new(ErrorCode::BadValue, "queues"));
    };
    let link = present(&mut netlink, &spec.ifname)?;
    identify(&mut netlink, &link, spec)?;
    size(&mut netlink, &link, spec)?;
    // Last, as in `Tap::open`.
    file::tun_set_persist(first.as_fd(), true)
        .map_err(|e| e.into_error(ErrorCode::Io, &spec.ifname, "TUNSETPERSIST"))
}

/// Attaches to the device wherever it is. Errors: as [`Tap::open`].
pub(super) fn adopt(spec: &TapSpec, sandbox: &Path) -> Result<Tap, Error> {
    search(spec, sandbox, |netlink, link| {
        check_ours(&link, spec)?;
        let here = TapSpec {
            ifname: link.ifname.clone(),
            ..spec.clone()
        };
        let queues = queue::open_all(&here, true)?;
        let [first, ..] = &queues[..] else {
            return Err(Error::new(ErrorCode::BadValue, "queues"));
        };
        // If it was moved or renamed just now the kernel has made us a new device of that name, which ends here.
        if netlink.link(&link.ifname)?.map(|l| l.ifindex) != Some(link.ifindex) {
            return Err(
                Error::new(ErrorCode::TapBusy, &spec.ifname).with_detail("it is being moved")
            );
        }
        let offloads = set_offloads(first.as_fd(), spec, false)
            .map_err(|e| e.into_error(ErrorCode::Io, &spec.ifname, "TUNSETOFFLOAD"))?;
        size(netlink, &link, spec)?;
        Ok(Tap {
            queues,
            ifindex: link.ifindex,
            offloads,
            vnet_hdr: spec.vnet_hdr,
            reattached: true,
            live: Mutex::new(Live {
                spec: spec.clone(),
                mac: link.mac.unwrap_or_default(),
                mtu: spec.mtu,
            }),
            namespace: None,
        })
    })
}

/// Gives the device its MTU wherever it is. Errors: `TAP_GONE`, `NO_NET_ADMIN`, `MTU_IMPOSSIBLE`, `NO_FILES`, `IO`.
pub(super) fn resize(spec: &TapSpec, sandbox: &Path) -> Result<(), Error> {
    search(spec, sandbox, |netlink, link| size(netlink, &link, spec))
}

/// Removes the TAP with this mark, whatever its name, in the sandbox or else in our own namespace; false when it is in
/// neither. Errors: `NO_NET_ADMIN`, `NO_FILES`, `IO`.
pub fn remove_roaming(sandbox: Option<&Path>, mark: Mark<'_>) -> Result<bool, Error> {
    let alias = mark.alias();
    let removed = in_either(sandbox, &alias, |netlink, link| {
        netlink.delete_link(link.ifindex)
    });
    Ok(removed?.is_some())
}

/// Does `work` in the namespace where the device is.
fn search<T: Send>(
    spec: &TapSpec,
    sandbox: &Path,
    work: impl Fn(&mut Netlink, Link) -> Result<T, Error> + Sync,
) -> Result<T, Error> {
    in_either(Some(sandbox), &spec.alias, work)?
        .ok_or_else(|| Error::new(ErrorCode::TapGone, &spec.ifname))
}

/// Does `work` with the interface of this alias, in the sandbox or else in our own namespace; `None` when it is in
/// neither.
fn in_either<T: Send>(
    sandbox: Option<&Path>,
    alias: &str,
    work: impl Fn(&mut Netlink, Link) -> Result<T, Error> + Sync,
) -> Result<Option<T>, Error> {
    // Twice in the sandbox: it may be moved there while we look at home.
    for place in [sandbox, None, sandbox] {
        let done = netns::within(place, || {
            let mut netlink = Netlink::open()?;
            let links = netlink.links()?;
            let marked = |link: &Link| link.alias.as_deref() == Some(alias);
            let found = links.into_iter().find(marked);
            found.map(|link| work(&mut netlink, link)).transpose()
        });
        match done {
            Ok(None) => {}
            // Not there yet, or not any more.
            Err(error) if error.code == ErrorCode::NetnsGone => {}
            other => return other,
        }
    }
    Ok(None)
}
