//! The engine with a TAP that somebody else moves, as Docker does: a question from a memory port shows whether it talks.
//! Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod engine_support;
mod io_support;

use datapath::Datapath;
use datapath::config::{Desired, PortKind, TapPort};
use datapath::counter::DropReason;
use datapath::engine::{ApplyReport, PortReport};
use datapath::error::{Error, ErrorCode};
use datapath::event::Event;
use datapath::io::tap::{Mark, remove_roaming};
use datapath::wire::mac::MacAddr;
use engine_support::balance::{count_of, imbalance};
use engine_support::{desired, network};
use io_support::eventually;
use io_support::roaming::Household;
use io_support::tap::{MAC, arp_request};
use std::path::Path;

struct Bed {
    house: Household,
    datapath: Datapath,
}

impl Bed {
    fn new(label: &str) -> Self {
        let bed = Self {
            house: Household::new(label),
            datapath: Datapath::new(),
        };
        bed.start();
        bed
    }

    fn start(&self) {
        self.apply(&desired([network("net", 256).port("m")]))
            .unwrap();
        self.datapath.start(Box::new(|| ())).unwrap();
    }

    /// Ports m, in memory, and c1, whose TAP goes to and fro.
    fn state(&self, sandbox: &Path) -> Desired {
        let tap = PortKind::Tap(TapPort {
            sandbox: Some(sandbox.into()),
            ..self.tap()
        });
        desired([network("net", 256)
            .port("m")
            .port_with("c1", |p| p.kind = tap)])
    }

    fn tap(&self) -> TapPort {
        TapPort {
            netns: None,
            ifname: "vs1".into(),
            mac: Some(MacAddr(MAC)),
            addresses: Vec::new(),
            sandbox: None,
            handover: None,
        }
    }

    fn make(&self) {
        let made = |home: &Self| home.datapath.make_tap("c1", 1450, &home.tap());
        self.house.home.within(|| made(self));
    }

    fn apply(&self, state: &Desired) -> Result<ApplyReport, Error> {
        self.house.home.within(|| Ok(self.datapath.apply(state)))
    }

    fn remove(&self) -> bool {
        let mark = Mark {
            owner: "engine test",
            port: "c1",
        };
        let sandbox = Some(self.house.sandbox.path());
        self.house.home.within(|| remove_roaming(sandbox, mark))
    }

    fn port(&self) -> PortReport {
        let home = &self.house.home;
        let counters = home.within(|| Ok(self.datapath.counters().unwrap()));
        let ports = counters.networks.into_iter().flat_map(|n| n.ports);
        ports.into_iter().find(|p| p.name == "c1").unwrap()
    }

    fn place(&self) -> (String, Option<&Path>) {
        let tap = self.port().interface.unwrap();
        let sandbox = self.house.sandbox.path();
        (
            tap.ifname,
            tap.netns.map(|path| {
                assert_eq!(path, sandbox);
                sandbox
            }),
        )
    }

    fn ask(&self) {
        let port = self.datapath.memory_port("m").unwrap();
        port.inward.push(arp_request([10, 0, 0, 1])).unwrap();
    }

    /// Asks until there is an answer.
    fn assert_talks(&self) {
        let port = self.datapath.memory_port("m").unwrap();
        port.outward.take();
        self.ask();
        eventually("an answer", || {
            let answers = |f: &Vec<u8>| f.len() >= 42 && f[12..14] == [8, 6] && f[6..12] == MAC;
            port.outward.take().iter().any(answers)
        });
    }

    /// A frame for the TAP, which is down, is dropped by name.
    fn assert_drops(&self) {
        let down = || count_of(&self.port().frames.drops, DropReason::PortDown);
        let before = down();
        self.ask();
        eventually("a drop", || down() == before + 1);
    }

    fn assert_unharmed(&self) {
        let (events, lost) = self.datapath.drain(100);
        assert!(
            lost == 0 && events.iter().all(|e| !is_loss(&e.event)),
            "{events:?}"
        );
        eventually("a balance", || {
            imbalance(&self.datapath.counters().unwrap()).is_none()
        });
    }
}

fn is_loss(event: &Event) -> bool {
    matches!(event, Event::PortGone { .. } | Event::Fatal { .. })
}

#[test]
fn root_a_moved_tap_is_one_port_all_the_while() {
    let bed = Bed::new("eroam");
    let early = Path::new("/run/netns/vs-not-yet");
    assert_eq!(
        bed.apply(&bed.state(early)).unwrap_err().code,
        ErrorCode::TapGone
    );
    bed.make();
    bed.apply(&bed.state(early)).unwrap();
    let ifindex = bed.port().interface.unwrap().ifindex;
    assert_eq!(bed.place(), ("vs1".into(), None));
    bed.assert_drops();
    bed.house.join();
    bed.assert_talks();
    // Its sandbox has become known, and it has another MTU.
    let sandbox = bed.house.sandbox.path();
    let mut state = bed.state(sandbox);
    assert_eq!(bed.apply(&state).unwrap().changed, ["port c1"]);
    bed.assert_talks();
    state.networks[0].ports[1].mtu = 1400;
    bed.apply(&state).unwrap();
    bed.assert_talks();
    assert_eq!(bed.place(), ("eth0".into(), Some(sandbox)));
    let talked = bed.port().frames.tx_frames;
    assert!(talked >= 3);
    bed.house.leave();
    bed.assert_drops();
    assert_eq!(bed.place(), ("vs1".into(), None));
    bed.house.join();
    bed.assert_talks();
    assert_eq!(bed.port().interface.unwrap().ifindex, ifindex);
    assert!(bed.port().frames.tx_frames > talked, "never opened anew");
    bed.assert_unharmed();
    assert!(bed.remove());
    eventually("word of its end", || {
        let (events, _) = bed.datapath.drain(100);
        let gone = |e: &Event| matches!(e, Event::PortGone { port, .. } if port == "c1");
        events.iter().any(|e| gone(&e.event))
    });
    assert!(bed.port().gone);
    assert!(!bed.remove());
}

#[test]
fn root_o244_after_a_crash_a_tap_is_adopted_in_its_sandbox() {
    let mut bed = Bed::new("ecrash");
    bed.make();
    let sandbox = bed.house.sandbox.path().to_owned();
    bed.apply(&bed.state(&sandbox)).unwrap();
    bed.house.join();
    bed.assert_talks();
    bed.datapath = Datapath::new();
    bed.start();
    bed.apply(&bed.state(&sandbox)).unwrap();
    assert_eq!(bed.place(), ("eth0".into(), Some(sandbox.as_path())));
    bed.assert_talks();
    bed.assert_unharmed();
}

#[test]
fn root_a_tap_with_a_sandbox_has_no_other_namespace() {
    let bed = Bed::new("eboth");
    let mut state = bed.state(bed.house.sandbox.path());
    if let PortKind::Tap(tap) = &mut state.networks[0].ports[1].kind {
        tap.netns = Some(bed.house.sandbox.path().into());
    }
    let error = bed.apply(&state).unwrap_err();
    assert_eq!(
        (error.code, error.subject.as_str()),
        (ErrorCode::BadValue, "port c1")
    );
    // Nor is a TAP made before it is known how.
    let error = Datapath::new()
        .make_tap("c1", 1450, &bed.tap())
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::BadValue);
}
