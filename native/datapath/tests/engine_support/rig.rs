//! A running datapath between queues.

use super::balance::{Book, Ledger, imbalance, total};
use super::desired::VTEP;
use super::frame::vxlan;
use datapath::Datapath;
use datapath::config::Desired;
use datapath::engine::{ApplyReport, Counters, FdbLine, FdbPlace, NetworkReport};
use datapath::error::Error;
use datapath::event::Event;
use datapath::io::memory::MemoryDatagram;
use datapath::wire::mac::MacAddr;
use datapath::wire::vxlan::UDP_PORT;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A datapath under test. It knows how much has been put in, so it knows when all of that is accounted for.
///
/// Dropped, it waits for that, and checks that the counters balance and that no worker has died. If the test has
/// failed it tells its story instead.
pub struct Rig {
    pub datapath: Datapath,
    /// Frames put into each port since that began to count.
    frames: HashMap<String, u64>,
    datagrams: u64,
    running: bool,
    /// Nothing has been put in since all was accounted for.
    settled: bool,
    /// What may only grow, when last seen.
    ledger: Ledger,
    events: Vec<Event>,
    story: Vec<String>,
}

impl Rig {
    /// A running datapath.
    pub fn new(desired: &Desired) -> Self {
        let mut rig = Self::idle(desired);
        rig.start();
        rig
    }

    /// One that is not started.
    pub fn idle(desired: &Desired) -> Self {
        let mut rig = Self {
            datapath: Datapath::new(),
            frames: HashMap::new(),
            datagrams: 0,
            running: false,
            settled: false,
            ledger: Ledger::new(),
            events: Vec::new(),
            story: Vec::new(),
        };
        rig.apply(desired).unwrap();
        rig
    }

    pub fn start(&mut self) {
        self.datapath.start(Box::new(|| ())).unwrap();
        self.running = true;
    }

    /// Waits until everything is accounted for, then stops.
    pub fn stop(&mut self) {
        self.settle();
        self.datapath.stop();
        self.running = false;
    }

    /// Waits until what was put in is accounted for, then applies.
    pub fn apply(&mut self, desired: &Desired) -> Result<ApplyReport, Error> {
        if self.running {
            self.settle();
        }
        self.apply_live(desired)
    }

    /// Applies while frames are on their way. Ports whose counters begin anew must have none on their way.
    pub fn apply_live(&mut self, desired: &Desired) -> Result<ApplyReport, Error> {
        let report = self.datapath.apply(desired);
        self.tell(format!("apply {:?}", report.as_ref().map(brief)));
        report.as_ref().map_err(Error::clone)?;
        let now = self.datapath.counters().unwrap();
        let ports = || now.networks.iter().flat_map(|n| &n.ports);
        self.frames
            .retain(|name, _| ports().any(|p| p.name == *name));
        for port in ports() {
            if let Some(frames) = self.frames.get_mut(&port.name)
                && port.frames.rx_frames == 0
            {
                *frames = 0;
            }
        }
        report
    }

    /// A station behind `port` sends `frame`.
    pub fn frame(&mut self, port: &str, frame: &[u8]) {
        self.tell(format!("{port} <- {}", glimpse(frame)));
        let queue = self.datapath.memory_port(port).unwrap();
        queue.inward.push(frame.to_vec()).unwrap();
        self.expect_frames(port, 1);
    }

    /// Counts frames that somebody else puts into `port`.
    pub fn expect_frames(&mut self, port: &str, frames: u64) {
        *self.frames.entry(port.to_owned()).or_default() += frames;
        self.settled = false;
    }

    /// `remote` sends `frame` in a plain datagram.
    pub fn datagram(&mut self, remote: SocketAddr, vni: u32, frame: &[u8]) {
        self.payload(remote, UDP_PORT, &vxlan(vni, frame));
    }

    /// `remote` sends any bytes to one of our UDP ports.
    pub fn payload(&mut self, remote: SocketAddr, udp_port: u16, payload: &[u8]) {
        self.receive(MemoryDatagram {
            source: remote,
            destination: (VTEP, udp_port).into(),
            tos: 0,
            payload: payload.to_vec(),
        });
    }

    /// `remote` sends `frame` in a plain datagram whose IP header has come with this type of service.
    pub fn marked(&mut self, remote: SocketAddr, tos: u8, vni: u32, frame: &[u8]) {
        self.receive(MemoryDatagram {
            source: remote,
            destination: (VTEP, UDP_PORT).into(),
            tos,
            payload: vxlan(vni, frame),
        });
    }

    /// A datagram comes.
    pub fn receive(&mut self, datagram: MemoryDatagram) {
        let MemoryDatagram {
            source,
            destination,
            tos,
            payload,
        } = &datagram;
        let udp_port = destination.port();
        self.tell(format!(
            "{source} -> :{udp_port} tos {tos:#04x} {}",
            glimpse(payload)
        ));
        let underlay = self.datapath.memory_underlay().unwrap();
        underlay.inward.push(datagram).unwrap();
        self.datagrams += 1;
        self.settled = false;
    }

    /// Waits until every frame and datagram that was put in has left or is counted as dropped; returns the counters.
    pub fn settle(&mut self) -> Counters {
        let mut missing = String::new();
        let Some(counters) = self.poll(LIMIT, |rig, counters| {
            let unsettled = rig.unsettled(counters);
            let settled = unsettled.is_none();
            missing = unsettled.unwrap_or_default();
            settled
        }) else {
            panic!("not settled: {missing}");
        };
        self.check_ledger(&counters);
        self.settled = true;
        counters
    }

    /// Waits until the counters are as `wanted`, feeding them meanwhile.
    pub fn wait_until(&mut self, what: &str, mut wanted: impl FnMut(&mut Self, &Counters) -> bool) {
        if self.poll(LIMIT, &mut wanted).is_none() {
            panic!("did not happen: {what}");
        }
    }

    /// What left through `port` since the last call.
    pub fn taken(&mut self, port: &str) -> Vec<Vec<u8>> {
        self.ensure_settled();
        let frames = self.datapath.memory_port(port).unwrap().outward.take();
        self.tell(format!("{port} -> {} frames", frames.len()));
        frames
    }

    /// The datagrams sent since the last call.
    pub fn sent(&mut self) -> Vec<MemoryDatagram> {
        self.ensure_settled();
        let datagrams = self.datapath.memory_underlay().unwrap().outward.take();
        self.tell(format!("underlay -> {} datagrams", datagrams.len()));
        datagrams
    }

    /// The datagrams sent since the last call, as (destination, payload), sorted.
    pub fn sent_to(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let datagrams = self.sent().into_iter();
        let mut sent: Vec<_> = datagrams.map(|d| (d.destination, d.payload)).collect();
        sent.sort();
        sent
    }

    /// Panics unless these, as (place, reason, frames), are all the drops so far.
    #[track_caller]
    pub fn assert_drops(&mut self, expected: &[(&str, &str, u64)]) {
        let drops = self.settle().drops();
        let drops = drops
            .iter()
            .map(|((place, reason), n)| (place.as_str(), *reason, *n));
        let drops: Vec<_> = drops.collect();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(drops, expected);
    }

    /// Where a station is, if that is known: a port's name, a VTEP's address, or `local`.
    pub fn place(&self, network: &str, mac: MacAddr) -> Option<String> {
        let line = self.line(network, mac)?;
        Some(match line.place {
            FdbPlace::Port(name) => name,
            FdbPlace::Vtep(remote, _) => remote.to_string(),
            FdbPlace::Local => "local".into(),
        })
    }

    /// The line of the FDB about a station.
    pub fn line(&self, network: &str, mac: MacAddr) -> Option<FdbLine> {
        let mut lines = self.datapath.fdb(Some(network)).into_iter();
        lines.find(|line| line.mac == mac)
    }

    /// Events so far.
    pub fn events(&mut self) -> &[Event] {
        let (events, lost) = self.datapath.drain(usize::MAX);
        assert_eq!(lost, 0, "events were lost");
        self.events.extend(events.into_iter().map(|e| e.event));
        &self.events
    }

    pub fn tell(&mut self, line: String) {
        self.story.push(line);
    }

    fn ensure_settled(&mut self) {
        if !self.settled {
            self.settle();
        }
    }

    fn unsettled(&self, counters: &Counters) -> Option<String> {
        if counters.datagrams != self.datagrams {
            return Some(format!(
                "{} of {} datagrams received",
                counters.datagrams, self.datagrams
            ));
        }
        for (port, &frames) in &self.frames {
            let received = counters.port(port).frames.rx_frames;
            if received != frames {
                return Some(format!("{received} of {frames} frames received at {port}"));
            }
        }
        imbalance(counters)
    }

    fn poll(
        &mut self,
        limit: Duration,
        mut wanted: impl FnMut(&mut Self, &Counters) -> bool,
    ) -> Option<Counters> {
        let deadline = Instant::now() + limit;
        loop {
            let counters = self.datapath.counters()?;
            if wanted(self, &counters) {
                return Some(counters);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Counters never go back while their network is there.
    fn check_ledger(&mut self, counters: &Counters) {
        let ledger = counters.ledger();
        for ((network, name), &before) in &self.ledger {
            let there = |n: &NetworkReport| n.name == *network;
            if network.is_empty() || counters.networks.iter().any(there) {
                let now = ledger.get(&(network.clone(), name.clone()));
                let now = now.copied().unwrap_or(0);
                assert!(
                    now >= before,
                    "{network} {name} went back from {before} to {now}"
                );
            }
        }
        self.ledger = ledger;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let told = self.story.len().saturating_sub(STORY);
            eprintln!("the last of {} steps:", self.story.len());
            for line in &self.story[told..] {
                eprintln!("  {line}");
            }
            eprintln!("events: {:?}", self.datapath.drain(usize::MAX));
            if let Some(counters) = self.datapath.counters() {
                eprintln!(
                    "counts: {:?}\ndrops: {:?}",
                    counters.ledger(),
                    counters.drops()
                );
            }
            return;
        }
        if self.running {
            self.settle();
        }
        let dead = |e: &&Event| matches!(e, Event::Fatal { .. });
        let fatal = self.events().iter().find(dead).cloned();
        assert_eq!(fatal, None, "a worker died");
    }
}

fn brief(report: &ApplyReport) -> String {
    format!(
        "+{:?} -{:?} ~{:?}",
        report.added, report.removed, report.changed
    )
}

fn glimpse(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(40).map(|b| format!("{b:02x}")).collect();
    format!("{shown} ({} bytes)", bytes.len())
}

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_micros(50);
const STORY: usize = 60;
