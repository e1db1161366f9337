//! The engine with TAPs that are made in other namespaces and handed over.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;
mod io_support;

use datapath::Datapath;
use datapath::config::{Desired, PortKind, TapPort};
use datapath::error::ErrorCode;
use datapath::event::Event;
use datapath::io::handover::{Given, give};
use engine_support::balance::imbalance;
use engine_support::{desired, network};
use io_support::tap::{assert_ends, exists};
use io_support::{Namespace, eventually};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A datapath that takes TAPs at a path of its own.
struct Taker {
    datapath: Datapath,
    path: PathBuf,
}

impl Taker {
    fn new(label: &str) -> Self {
        let name = format!("vs-{label}-{}", std::process::id());
        let taker = Self {
            datapath: Datapath::new(),
            path: std::env::temp_dir().join(name),
        };
        taker.datapath.apply(&state(None)).unwrap();
        taker.datapath.start(Box::new(|| ())).unwrap();
        taker.datapath.receive_handovers(&taker.path).unwrap();
        taker
    }

    fn is_told_end(&self) -> bool {
        let (events, _) = self.datapath.drain(100);
        let is_end = |e: &Event| matches!(e, Event::PortGone { port, .. } if port == "c1");
        events.iter().any(|e| is_end(&e.event))
    }
}

/// Port c1 of the TAP with this ticket, if any, beside one in memory.
fn state(ticket: Option<String>) -> Desired {
    let net = network("net", 256).port("m");
    desired([match ticket {
        None => net,
        Some(ticket) => net.port_with("c1", |port| {
            port.kind = PortKind::Tap(TapPort {
                ifname: "eth0".into(),
                handover: Some(ticket),
                ..TapPort::default()
            });
        }),
    }])
}

/// A namespace and the one process in it.
struct Container {
    namespace: Namespace,
    init: Child,
}

impl Container {
    fn new(label: &str) -> Self {
        let namespace = Namespace::new(label);
        let init =
            namespace.within(|| Ok(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()));
        Self { namespace, init }
    }

    fn give(&self, taker: &Taker) -> Given {
        self.namespace
            .within(|| give(&taker.path, self.init.id(), "eth0"))
    }

    fn end(&mut self) {
        self.init.kill().unwrap();
        self.init.wait().unwrap();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

#[test]
fn root_a_port_ends_with_its_container() {
    let taker = Taker::new("ends");
    let mut container = Container::new("hends");
    let given = container.give(&taker);
    let with_port = state(Some(given.ticket.to_string()));
    taker.datapath.apply(&with_port).unwrap();
    // Its port has come, so it is not given up.
    drop(given);
    taker.datapath.apply(&with_port).unwrap();
    assert!(exists(&container.namespace, "eth0"));
    assert!(!taker.is_told_end());
    container.end();
    eventually("word of its end", || taker.is_told_end());
    taker.datapath.apply(&state(None)).unwrap();
    assert_ends(&container.namespace, "eth0");
    assert!(imbalance(&taker.datapath.counters().unwrap()).is_none());
}

#[test]
fn root_a_tap_goes_with_its_port_or_with_who_gave_it() {
    let taker = Taker::new("goes");
    let container = Container::new("hgoes");
    let given = container.give(&taker);
    drop(given);
    assert_ends(&container.namespace, "eth0");
    let given = container.give(&taker);
    let ticket = given.ticket.to_string();
    taker.datapath.apply(&state(Some(ticket.clone()))).unwrap();
    taker.datapath.apply(&state(None)).unwrap();
    assert_ends(&container.namespace, "eth0");
    let refused = taker.datapath.apply(&state(Some(ticket))).unwrap_err();
    assert_eq!(refused.code, ErrorCode::HandoverGone);
    drop(given);
}

#[test]
fn root_what_waits_goes_with_the_datapath() {
    let taker = Taker::new("stop");
    let container = Container::new("hstop");
    let _given = container.give(&taker);
    assert!(exists(&container.namespace, "eth0"));
    taker.datapath.stop();
    assert_ends(&container.namespace, "eth0");
}

#[test]
fn taps_are_received_once_at_a_time() {
    let taker = Taker::new("once");
    let again = taker.datapath.receive_handovers(&taker.path).unwrap_err();
    assert_eq!(again.code, ErrorCode::BadValue);
    assert!(taker.path.exists(), "the first still has its path");
    taker.datapath.stop();
    assert!(!taker.path.exists());
    let stopped = taker.datapath.receive_handovers(&taker.path).unwrap_err();
    assert_eq!(stopped.code, ErrorCode::Stopped);
    // The end of an earlier one never takes the path of a later one.
    drop(taker);
    let taker = Taker::new("once");
    assert!(taker.path.exists());
}

#[test]
fn a_path_that_is_taken_is_left_alone() {
    let path = std::env::temp_dir().join(format!("vs-taken-{}", std::process::id()));
    std::fs::write(&path, "somebody's").unwrap();
    let datapath = Datapath::new();
    datapath.apply(&state(None)).unwrap();
    let refused = datapath.receive_handovers(&path).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Io);
    datapath.stop();
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody's");
    std::fs::remove_file(&path).unwrap();
}
