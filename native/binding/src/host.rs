//! The host around the datapath: what it offers, locks, and the TAPs that we left on it.

use std::path::{Path, PathBuf};

use datapath::counter::DropReason;
use datapath::io::lock::LockFile;
use datapath::io::netlink::{InterfaceAddress, Link};
use datapath::io::{probe as own, service, tap};
use napi::bindgen_prelude::{AsyncTask, Env, Task};
use napi_derive::napi;

use crate::failure::thrown;
use crate::reports::stage_name;

/// What this machine offers; every facility was really tried.
#[napi(object)]
pub struct Probe {
    /// A TAP can be made.
    pub tun: bool,
    /// Why not: JSON as in an error's message.
    pub tun_error: Option<String>,
    /// We hold CAP_NET_ADMIN in our network namespace.
    pub net_admin: bool,
    pub facilities: Vec<Facility>,
    /// Kernel vxlan devices in our network namespace.
    pub vxlan_devices: Vec<VxlanDevice>,
    pub interfaces: Vec<Interface>,
}

/// Something that makes the datapath faster and that it can do without.
#[napi(object)]
pub struct Facility {
    pub name: String,
    pub available: bool,
    /// Why not.
    pub detail: Option<String>,
}

/// A vxlan device of the kernel: while it is up it holds its UDP port on every address.
#[napi(object)]
pub struct VxlanDevice {
    pub ifname: String,
    pub vni: u32,
    pub udp_port: u32,
    pub up: bool,
}

/// An interface of our network namespace.
#[napi(object)]
pub struct Interface {
    pub ifname: String,
    pub mtu: u32,
    pub up: bool,
    pub addresses: Vec<String>,
}

/// Tries everything. Takes milliseconds and leaves nothing behind.
#[napi]
pub fn probe() -> Probe {
    let found = own::probe();
    Probe {
        tun: found.tun,
        tun_error: found
            .tun_error
            .map(|error| thrown(error).reason.to_string()),
        net_admin: found.net_admin,
        facilities: found
            .facilities
            .into_iter()
            .map(|f| Facility {
                name: f.name.into(),
                available: f.available,
                detail: f.detail,
            })
            .collect(),
        vxlan_devices: found
            .vxlan_devices
            .into_iter()
            .filter_map(|link| {
                let vxlan = link.vxlan?;
                Some(VxlanDevice {
                    ifname: link.ifname,
                    vni: vxlan.vni,
                    udp_port: vxlan.udp_port.into(),
                    up: link.up,
                })
            })
            .collect(),
        interfaces: found.interfaces.into_iter().map(Into::into).collect(),
    }
}

/// The interfaces of our network namespace at this moment. Cheap enough for a steady rate.
#[napi]
pub fn interfaces() -> Vec<Interface> {
    own::interfaces().into_iter().map(Into::into).collect()
}

impl From<(Link, Vec<InterfaceAddress>)> for Interface {
    fn from((link, addresses): (Link, Vec<InterfaceAddress>)) -> Self {
        Self {
            ifname: link.ifname,
            mtu: link.mtu,
            up: link.up,
            addresses: addresses.iter().map(|a| a.ip.to_string()).collect(),
        }
    }
}

/// One drop reason.
#[napi(object)]
pub struct DropReasonInfo {
    pub name: String,
    #[napi(ts_type = "'ingress' | 'egress' | 'underlay'")]
    pub stage: String,
    /// For an engineer who never saw the code.
    pub sentence: String,
}

/// The one list of drop reasons.
#[napi]
pub fn drop_reasons() -> Vec<DropReasonInfo> {
    let info = |reason: &DropReason| DropReasonInfo {
        name: reason.name().into(),
        stage: stage_name(reason.stage()).into(),
        sentence: reason.sentence().into(),
    };
    DropReason::ALL.iter().map(info).collect()
}

/// A held lock. The kernel releases it when the process dies.
#[napi]
pub struct Lock(Option<LockFile>);

#[napi]
impl Lock {
    /// Lets go. Any number of times.
    #[napi]
    pub fn release(&mut self) {
        self.0 = None;
    }
}

/// Takes the lock of a file; throws LOCKED when another process holds it.
#[napi]
pub fn lock_file(path: String) -> napi::Result<Lock> {
    LockFile::acquire(Path::new(&path))
        .map(|lock| Lock(Some(lock)))
        .map_err(thrown)
}

/// Tells the service manager whose socket this is, as sd_notify(3) does.
#[napi]
pub fn notify_service_manager(socket: String, state: String) -> napi::Result<()> {
    service::notify(&socket, &state).map_err(thrown)
}

/// A TAP that carries an owner's mark.
#[napi(object)]
pub struct OwnedTap {
    /// A path of its namespace; absent = our own.
    pub netns: Option<String>,
    pub ifname: String,
    /// The port that it was made for.
    pub port: String,
}

/// Every TAP of this owner in any namespace of this machine that can be reached.
#[napi(ts_return_type = "Promise<Array<OwnedTap>>")]
pub fn owned_taps(owner: String) -> AsyncTask<FindTaps> {
    AsyncTask::new(FindTaps { owner })
}

/// Removes a TAP for good; false when it was not there, or is not that of this owner's port. Without `ifname` it is one
/// that somebody else moves: whatever its name, in `netns` or else in our own.
#[napi(ts_return_type = "Promise<boolean>")]
pub fn remove_tap(
    netns: Option<String>,
    ifname: Option<String>,
    owner: String,
    port: String,
) -> AsyncTask<RemoveTap> {
    AsyncTask::new(RemoveTap {
        netns: netns.map(PathBuf::from),
        ifname,
        owner,
        port,
    })
}

/// `ownedTaps`, off the main thread.
pub struct FindTaps {
    owner: String,
}

impl Task for FindTaps {
    type Output = Vec<tap::OwnedTap>;
    type JsValue = Vec<OwnedTap>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        tap::owned(&self.owner).map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, taps: Self::Output) -> napi::Result<Vec<OwnedTap>> {
        let taps = taps.into_iter().map(|tap| OwnedTap {
            netns: tap.netns.map(|path| path.display().to_string()),
            ifname: tap.ifname,
            port: tap.port,
        });
        Ok(taps.collect())
    }
}

/// `removeTap`, off the main thread.
pub struct RemoveTap {
    netns: Option<PathBuf>,
    ifname: Option<String>,
    owner: String,
    port: String,
}

impl Task for RemoveTap {
    type Output = bool;
    type JsValue = bool;

    fn compute(&mut self) -> napi::Result<bool> {
        let mark = tap::Mark {
            owner: &self.owner,
            port: &self.port,
        };
        let netns = self.netns.as_deref();
        let removed = match &self.ifname {
            Some(ifname) => tap::remove(netns, ifname, mark),
            None => tap::remove_roaming(netns, mark),
        };
        removed.map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, removed: bool) -> napi::Result<bool> {
        Ok(removed)
    }
}
