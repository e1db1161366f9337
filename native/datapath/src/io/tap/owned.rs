//! The TAPs that an owner left on this machine, and removing them.

use super::super::netlink::Netlink;
use super::super::netns;
use crate::error::{Error, ErrorCode};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Whose TAP it is and for which port; written on the interface as its alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    /// Identifies the daemon: the path of its control socket.
    pub owner: &'a str,
    /// Name of the port, without spaces.
    pub port: &'a str,
}

impl<'a> Mark<'a> {
    /// `vswitchd <owner> <port>`.
    pub fn alias(&self) -> String {
        format!("{PREFIX}{} {}", self.owner, self.port)
    }

    /// Reads an alias; `None` when it is no mark.
    pub fn parse(alias: &'a str) -> Option<Self> {
        let (owner, port) = alias.strip_prefix(PREFIX)?.rsplit_once(' ')?;
        (!owner.is_empty() && !port.is_empty()).then_some(Self { owner, port })
    }
}

/// A TAP that carries an owner's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedTap {
    /// A path of its namespace; `None` = our own.
    pub netns: Option<PathBuf>,
    /// Its name there.
    pub ifname: String,
    /// The port that it was made for.
    pub port: String,
}

/// Removes the interface if it carries exactly this mark; false when it does not exist (nor its namespace) or carries
/// another: it may be that of another port by now. Errors: `NO_NET_ADMIN`, `NO_FILES`, `IO`.
pub fn remove(netns: Option<&Path>, ifname: &str, mark: Mark<'_>) -> Result<bool, Error> {
    let removed = netns::within(netns, || {
        let mut netlink = Netlink::open()?;
        let Some(link) = netlink.link(ifname)? else {
            return Ok(false);
        };
        if link.alias.as_deref().and_then(Mark::parse) != Some(mark) {
            return Ok(false);
        }
        netlink.delete_link(link.ifindex)?;
        Ok(true)
    });
    match removed {
        Err(error) if error.code == ErrorCode::NetnsGone => Ok(false),
        other => other,
    }
}

/// Every TAP with a mark of `owner` in our own namespace and in those reachable through `/run/netns`,
/// `/run/docker/netns` and `/proc`. Namespaces that may not be entered are passed over. Errors: `NO_FILES`, `IO` when
/// even our own cannot be read.
pub fn owned(owner: &str) -> Result<Vec<OwnedTap>, Error> {
    let mut taps = owned_in(None, owner)?;
    let mut seen: HashSet<_> = netns::own().into_iter().collect();
    for path in namespace_paths() {
        let Ok(identity) = netns::identity(&path) else {
            continue;
        };
        if seen.insert(identity) {
            taps.extend(owned_in(Some(path), owner).unwrap_or_default());
        }
    }
    Ok(taps)
}

fn owned_in(netns: Option<PathBuf>, owner: &str) -> Result<Vec<OwnedTap>, Error> {
    let links = netns::within(netns.as_deref(), || Netlink::open()?.links())?;
    let taps = links.into_iter().filter_map(|link| {
        let mark = Mark::parse(link.alias.as_deref()?).filter(|mark| mark.owner == owner)?;
        Some(OwnedTap {
            netns: netns.clone(),
            port: mark.port.into(),
            ifname: link.ifname,
        })
    });
    Ok(taps.collect())
}

/// Paths under which namespaces may be found, names that people gave them first.
fn namespace_paths() -> impl Iterator<Item = PathBuf> {
    let named = NAMED_NAMESPACES.iter().flat_map(|folder| entries(folder));
    let processes = entries("/proc")
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
        })
        .map(|path| path.join("ns/net"));
    named.chain(processes)
}

fn entries(folder: &str) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

const PREFIX: &str = "vswitchd ";
const NAMED_NAMESPACES: [&str; 2] = ["/run/netns", "/run/docker/netns"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_undoes_alias(owner in "/[a-z0-9 /._-]{0,60}", port in "[A-Za-z0-9._:/-]{1,40}") {
            let mark = Mark { owner: &owner, port: &port };
            let alias = mark.alias();
            prop_assert_eq!(Mark::parse(&alias), Some(mark));
        }
    }

    #[test]
    fn other_aliases_are_no_marks() {
        for alias in [
            "",
            "vswitchd",
            "vswitchd ",
            "vswitchd a",
            "vswitchd  p",
            "uplink to core",
        ] {
            assert_eq!(Mark::parse(alias), None, "{alias:?}");
        }
    }
}
