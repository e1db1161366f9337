//! A TAP that somebody else moves, and what Docker does with it.

use super::Namespace;
use super::tap::{ALL, MAC, alias};
use datapath::error::Error;
use datapath::io::tap::{Tap, TapSpec};
use std::path::PathBuf;

/// Our own namespace in the test's eyes, and a container's.
pub struct Household {
    pub home: Namespace,
    pub sandbox: Namespace,
}

impl Household {
    pub fn new(label: &str) -> Self {
        Self {
            home: Namespace::new(label),
            sandbox: Namespace::new(label),
        }
    }

    /// Of port c1: `vs1` while it is at home.
    pub fn spec(&self) -> TapSpec {
        TapSpec {
            netns: None,
            ifname: "vs1".into(),
            mac: Some(MAC),
            mtu: 1450,
            addresses: Vec::new(),
            alias: alias("c1"),
            queues: 1,
            vnet_hdr: true,
            offloads: ALL,
            is_handed: false,
            sandbox: Some(self.sandbox.path().into()),
        }
    }

    pub fn make(&self, spec: &TapSpec) -> Result<(), Error> {
        self.home.within(|| Ok(Tap::make(spec)))
    }

    pub fn open(&self, spec: &TapSpec) -> Result<Tap, Error> {
        self.home.within(|| Ok(Tap::open(spec)))
    }

    pub fn place(&self, tap: &Tap) -> (String, Option<PathBuf>) {
        self.home.within(|| Ok(tap.place()))
    }

    /// What libnetwork does at Join.
    pub fn join(&self) {
        self.home
            .ip(&format!("link set vs1 netns {}", self.sandbox.name()));
        for step in [
            "link set vs1 down",
            "link set vs1 name eth0",
            "link set eth0 address 02:42:0a:00:00:01",
            "address add 10.0.0.1/24 dev eth0",
            "address add fd00::1/64 dev eth0 nodad",
            "link set eth0 up",
        ] {
            self.sandbox.ip(step);
        }
    }

    /// What it does at Leave.
    pub fn leave(&self) {
        self.sandbox.ip("link set eth0 down");
        self.sandbox.ip("link set eth0 name vs1");
        self.sandbox
            .ip(&format!("link set vs1 netns {}", self.home.name()));
    }
}
