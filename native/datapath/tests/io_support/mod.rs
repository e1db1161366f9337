//! What the tests of `io` share: network namespaces that end with the test, and ways to wait.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file has its own copy and uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod roaming;
pub mod tap;

use datapath::error::Error;
use datapath::io::Refusal;
use datapath::io::netns;
use datapath::io::poll::{Poller, Ready};
use datapath::io::underlay::{
    Burst, Part, RxBatch, RxSocket, RxSpec, SendRefusal, Transmit, TxPool, TxScratch, TxSpec,
};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A named network namespace with its loopback up, deleted when dropped.
pub struct Namespace {
    name: String,
    path: PathBuf,
}

impl Namespace {
    /// Panics without root: tests that need it are named `root_...` so that they can be left out.
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vs{label}-{}-{count}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let path = Path::new("/run/netns").join(&name);
        let namespace = Self { name, path };
        namespace.ip("link set lo up");
        namespace
    }

    /// Two namespaces joined by a veth pair named `u0` at both ends, with 10.1.0.1/24 + fd01::1/64 and .2 / ::2.
    pub fn pair(label: &str) -> (Self, Self) {
        let (left, right) = (Self::new(label), Self::new(label));
        left.join(&right, "u0");
        for (namespace, host) in [(&left, 1), (&right, 2)] {
            namespace.add_address("u0", &format!("10.1.0.{host}/24"));
            namespace.add_address("u0", &format!("fd01::{host}/64"));
        }
        (left, right)
    }

    /// A veth pair to `other`, up, named `ifname` at both ends.
    pub fn join(&self, other: &Self, ifname: &str) {
        self.ip(&format!(
            "link add {ifname} type veth peer name {ifname} netns {}",
            other.name
        ));
        self.ip(&format!("link set {ifname} up"));
        other.ip(&format!("link set {ifname} up"));
    }

    /// Adds an address and waits until datagrams to it are taken: the kernel makes the route of an IPv6 address some
    /// moments after the address.
    pub fn add_address(&self, ifname: &str, cidr: &str) {
        let address = cidr.split('/').next().unwrap();
        if !address.contains(':') {
            self.ip(&format!("address add {cidr} dev {ifname}"));
            return;
        }
        self.ip(&format!("address add {cidr} dev {ifname} nodad"));
        eventually("a route to our own address", || {
            let routes = self.ip("-6 route show table local");
            routes
                .lines()
                .any(|r| r.starts_with(&format!("local {address} ")))
        });
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `ip ARGUMENTS` in this namespace; panics when it fails. Returns its output.
    pub fn ip(&self, arguments: &str) -> String {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split_whitespace());
        run("ip", &all)
    }

    /// Any command in this namespace; panics when it fails.
    pub fn exec(&self, command: &str) -> String {
        let mut all = vec!["netns", "exec", &self.name];
        all.extend(command.split_whitespace());
        run("ip", &all)
    }

    /// Runs `work` inside; sockets opened there stay there.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T, Error> + Send) -> T {
        netns::within(Some(&self.path), work).unwrap()
    }

    /// Deletes it now.
    pub fn delete(self) {}
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        output.status.success(),
        "{program} {}: {} (this test needs root and iproute2)",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `fd` is readable or in error; panics after a time that only a failure takes.
pub fn wait_for(fd: &impl AsFd) {
    let poller = Poller::new().unwrap();
    poller.add(fd, 0).unwrap();
    let mut ready = Ready::with_capacity(1);
    let deadline = Instant::now() + PATIENCE;
    // A wait may also end early, with nothing.
    while ready.iter().count() == 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "nothing came");
        poller.wait(&mut ready, Some(left)).unwrap();
    }
}

/// Whether `fd` is readable or in error at this moment.
pub fn is_ready(fd: &impl AsFd) -> bool {
    let poller = Poller::new().unwrap();
    poller.add(fd, 0).unwrap();
    let mut ready = Ready::with_capacity(1);
    poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
    ready.iter().count() > 0
}

/// Asks until it is so; panics after a time that only a failure takes.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// One datagram as received, whether it came alone or coalesced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    pub source: SocketAddr,
    pub tos: u8,
    pub payload: Vec<u8>,
}

/// Receives until `count` datagrams have come.
pub fn receive(rx: &RxSocket, count: usize) -> Vec<Datagram> {
    let mut batch = RxBatch::new(8, 65536);
    let mut datagrams = Vec::new();
    while datagrams.len() < count {
        match rx.recv(&mut batch) {
            Ok(n) => {
                assert!((1..=8).contains(&n));
                for i in 0..n {
                    let (meta, bytes) = (batch.meta(i), batch.entry(i));
                    assert!(!meta.truncated);
                    assert_eq!(meta.len, bytes.len());
                    let payloads: Vec<&[u8]> = match meta.len {
                        0 => vec![&[]],
                        _ => bytes.chunks(meta.stride).collect(),
                    };
                    datagrams.extend(payloads.into_iter().map(|payload| Datagram {
                        source: meta.source,
                        tos: meta.tos,
                        payload: payload.to_vec(),
                    }));
                }
            }
            Err(Refusal::WouldBlock) => wait_for(rx),
            Err(other) => panic!("{other:?}"),
        }
    }
    datagrams
}

pub fn rx_spec(local: impl Into<SocketAddr>) -> RxSpec {
    RxSpec {
        local: local.into(),
        scope: None,
        reuse_port: false,
        gro: true,
        recvmmsg: true,
        receive_buffer: 8 << 20,
    }
}

pub fn tx_spec(local: impl Into<IpAddr>) -> TxSpec {
    TxSpec {
        local: local.into(),
        scope: None,
        ports: 49152..=65535,
        pool: 1,
        ttl: None,
        fragment: false,
        checksum: true,
        gso: true,
        sendmmsg: true,
    }
}

/// Transmits with the memory that they point into.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    pub arena: Vec<u8>,
    pub parts: Vec<Part>,
    pub transmits: Vec<Transmit>,
}

impl Outbox {
    /// Appends a transmit whose bytes, cut into pieces of `piece`, lie apart in the arena.
    pub fn push(
        &mut self,
        destination: SocketAddr,
        segment_size: u16,
        payload: &[u8],
        piece: usize,
    ) {
        let start = self.parts.len() as u32;
        for bytes in payload.chunks(piece) {
            self.arena.push(0xee);
            self.parts.push(Part {
                offset: self.arena.len() as u32,
                len: bytes.len() as u32,
            });
            self.arena.extend_from_slice(bytes);
        }
        let datagrams = match segment_size {
            0 => 1,
            size => payload.len().div_ceil(size.into()),
        };
        self.transmits.push(Transmit {
            destination,
            parts: start..self.parts.len() as u32,
            segment_size,
            ttl: None,
            tos: 0,
            datagrams: datagrams as u32,
            bytes: payload.len() as u32,
            tag: self.transmits.len() as u32,
        });
    }

    /// Sends everything through socket 0 and returns (tag, datagrams, result) as reported.
    pub fn send(&self, pool: &TxPool) -> Vec<(u32, u32, Result<(), SendRefusal>)> {
        let burst = Burst {
            socket: 0,
            arena: &self.arena,
            parts: &self.parts,
            transmits: &self.transmits,
        };
        let mut results = Vec::new();
        let mut bytes = 0;
        pool.send(&mut TxScratch::new(), burst, |transmit, result| {
            results.push((transmit.tag, transmit.datagrams, result));
            bytes += transmit.bytes;
        });
        let sent: u32 = self.transmits.iter().map(|t| t.bytes).sum();
        assert_eq!(bytes, sent, "every byte is reported once");
        results
    }

    pub fn datagrams(&self) -> u32 {
        self.transmits.iter().map(|t| t.datagrams).sum()
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
