//! Finding an owner's TAPs in every namespace, and working inside one. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod io_support;

use datapath::error::{Error, ErrorCode};
use datapath::io::Refusal;
use datapath::io::netlink::Netlink;
use datapath::io::netns;
use datapath::io::tap::{Mark, OwnedTap, Tap, TapSpec, owned, remove};
use io_support::tap::{exists, spec};
use io_support::{Namespace, eventually};
use std::path::Path;
use std::process::{Child, Command};

/// A process in a namespace other than ours.
struct Stranger(Child);

impl Stranger {
    /// Runs `command` and waits until that has changed its namespace.
    fn new(command: &[&str]) -> Self {
        let [program, arguments @ ..] = command else {
            panic!("a command");
        };
        let stranger = Self(Command::new(program).args(arguments).spawn().unwrap());
        let own = netns::identity(Path::new("/proc/self/ns/net")).unwrap();
        eventually("a namespace of its own", || {
            netns::identity(Path::new(&stranger.netns())).is_ok_and(|id| id != own)
        });
        stranger
    }

    fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn root_owned_taps_are_found_once_in_every_namespace() {
    let owner = format!("/run/vs-owned-{}", std::process::id());
    let (first, second) = (Namespace::new("own"), Namespace::new("own"));
    let stranger = Stranger::new(&["unshare", "--net", "sleep", "600"]);
    // A second path to a namespace that has a name.
    let _visitor = Stranger::new(&["ip", "netns", "exec", first.name(), "sleep", "600"]);
    let open = |netns: &Path, ifname: &str, owner: &str, port| {
        Tap::open(&TapSpec {
            netns: Some(netns.into()),
            ifname: ifname.into(),
            alias: Mark { owner, port }.alias(),
            addresses: vec![],
            ..spec(&first)
        })
        .unwrap()
    };
    drop(open(first.path(), "eth0", &owner, "c1"));
    drop(open(first.path(), "eth1", &owner, "c2"));
    drop(open(first.path(), "eth2", "/run/somebody-else", "c3"));
    drop(open(second.path(), "eth0", &owner, "c4"));
    let held = open(Path::new(&stranger.netns()), "eth0", &owner, "c5");
    let mut taps = owned(&owner).unwrap();
    taps.sort_by(|a, b| a.port.cmp(&b.port));
    let expected = |netns: &Path, ifname: &str, port: &str| OwnedTap {
        netns: Some(netns.into()),
        ifname: ifname.into(),
        port: port.into(),
    };
    assert_eq!(
        taps,
        [
            expected(first.path(), "eth0", "c1"),
            expected(first.path(), "eth1", "c2"),
            expected(second.path(), "eth0", "c4"),
            expected(Path::new(&stranger.netns()), "eth0", "c5"),
        ]
    );
    // Also while held; and then its reader knows.
    for tap in &taps {
        let remove = |owner, port| {
            let mark = Mark { owner, port };
            remove(tap.netns.as_deref(), &tap.ifname, mark)
        };
        assert_eq!(remove("/run/somebody-else", &tap.port), Ok(false));
        assert_eq!(
            remove(&owner, "another"),
            Ok(false),
            "of another port of ours"
        );
        assert_eq!(remove(&owner, &tap.port), Ok(true));
        assert_eq!(remove(&owner, &tap.port), Ok(false));
    }
    assert_eq!(
        held.queues[0].read(&mut [0; 10], &mut [0; 64]),
        Err(Refusal::Gone)
    );
    assert_eq!(owned(&owner).unwrap(), []);
    assert!(exists(&first, "eth2"));
}

#[test]
fn root_work_inside_a_namespace_sees_only_that() {
    let namespace = Namespace::new("within");
    namespace.ip("link add vsonly type veth peer name vspeer");
    let names = |path: Option<&Path>| {
        let links = netns::within(path, || Netlink::open()?.links()).unwrap();
        links.into_iter().map(|l| l.ifname).collect::<Vec<_>>()
    };
    let mut inside = names(Some(namespace.path()));
    inside.sort();
    assert_eq!(inside, ["lo", "vsonly", "vspeer"]);
    assert!(!names(None).contains(&"vsonly".to_string()));
    let here = netns::identity(Path::new("/proc/thread-self/ns/net")).unwrap();
    assert_ne!(netns::identity(namespace.path()).unwrap(), here);
    let failed: Result<(), _> = netns::within(Some(namespace.path()), || {
        Err(Error::new(ErrorCode::Io, "work"))
    });
    assert_eq!(failed.unwrap_err().subject, "work");
}
