//! What runs inside a container to hand a TAP over.

use std::path::Path;

use datapath::error::Error;
use datapath::io::handover;
use datapath::io::tap::{self, Mark, TapSpec};
use datapath::wire::mac::MacAddr;
use napi_derive::napi;

use crate::desired::{cidr_of, parse};
use crate::failure::thrown;

/// A TAP that somebody else has now, who gives it up when this process ends before a port of his has it.
#[napi]
pub struct GivenTap(handover::Given);

#[napi]
impl GivenTap {
    /// By what it is known to him: 32 hexadecimal digits.
    #[napi(getter)]
    pub fn ticket(&self) -> String {
        self.0.ticket.to_string()
    }

    /// Its index in our network namespace.
    #[napi(getter)]
    pub fn ifindex(&self) -> u32 {
        self.0.ifindex
    }

    /// Gives the TAP its alias, MAC, MTU and addresses, and sets it up. Blocks.
    #[napi]
    pub fn furnish(&self, furniture: Furniture) -> napi::Result<()> {
        tap::furnish(&furniture.convert().map_err(thrown)?).map_err(thrown)
    }
}

/// Makes the TAP `ifname`, down, in our network namespace, which must be that of the process `pid`, and hands it over at
/// the unix socket `path`. When this throws nothing is left. Blocks.
#[napi]
pub fn give_tap(path: String, pid: u32, ifname: String) -> napi::Result<GivenTap> {
    let given = handover::give(Path::new(&path), pid, &ifname).map_err(thrown)?;
    Ok(GivenTap(given))
}

/// How an interface of our network namespace shall be.
#[napi(object)]
pub struct Furniture {
    pub ifname: String,
    /// Whose TAP it is, and for which port: written on it.
    pub owner: String,
    pub port: String,
    /// Absent = as it is.
    pub mac: Option<String>,
    pub mtu: u32,
    /// CIDR.
    pub addresses: Vec<String>,
}

impl Furniture {
    fn convert(self) -> Result<TapSpec, Error> {
        let place = &self.ifname;
        let mark = Mark {
            owner: &self.owner,
            port: &self.port,
        };
        let mac = self.mac.map(|mac| parse::<MacAddr>(&mac, place));
        let addresses = self.addresses.iter().map(|cidr| cidr_of(cidr, place));
        Ok(TapSpec {
            ifname: place.clone(),
            mac: mac.transpose()?.map(|mac| mac.0),
            mtu: self.mtu,
            addresses: addresses.collect::<Result<_, _>>()?,
            alias: mark.alias(),
            vnet_hdr: true,
            ..TapSpec::default()
        })
    }
}
