//! The balance of the counters: every frame that enters leaves, is consumed, or is dropped with a name.

use datapath::counter::{DropReason, Stage};
use datapath::engine::{
    Counters, DropCounts, FrameCounts, NetworkReport, PortReport, WorkerReport,
};
use std::collections::BTreeMap;

/// Panics unless the counters of a datapath at rest balance.
pub fn assert_balanced(counters: &Counters) {
    if let Some(imbalance) = imbalance(counters) {
        panic!("{imbalance}\n{counters:#?}");
    }
}

/// What does not add up.
pub fn imbalance(counters: &Counters) -> Option<String> {
    let mut reached = counters.retired_datagrams;
    for network in &counters.networks {
        if let Some(imbalance) = network_imbalance(network) {
            return Some(format!("network {}: {imbalance}", network.name));
        }
        let tunnels = network.ports.iter().filter(|p| p.kind == "tunnel");
        reached += total(&network.drops) + tunnels.map(|p| p.frames.rx_frames).sum::<u64>();
    }
    let sorted = total(&counters.underlay_drops) + reached;
    if sorted != counters.datagrams {
        let datagrams = counters.datagrams;
        return Some(format!(
            "{datagrams} datagrams, but {sorted} dropped, received or retired"
        ));
    }
    misplaced(&counters.underlay_drops, &[Stage::Underlay]).or_else(|| idle_hands(counters))
}

/// Workers have had in hand whatever was counted, and besides what was counted at networks that are no more.
fn idle_hands(counters: &Counters) -> Option<String> {
    let networks = &counters.networks;
    let blocks = || {
        let ports = networks
            .iter()
            .flat_map(|n| n.ports.iter().map(|p| &p.frames));
        ports.chain(networks.iter().map(|n| &n.retired))
    };
    let sum = |pick: fn(&FrameCounts) -> u64| -> u64 { blocks().map(pick).sum() };
    let dropped = total(&counters.underlay_drops)
        + networks.iter().map(|n| total(&n.drops)).sum::<u64>()
        + sum(|b| total(&b.drops));
    let by_workers =
        |pick: fn(&WorkerReport) -> u64| counters.workers.iter().map(pick).sum::<u64>();
    let sides = [
        ("entered", sum(|b| b.rx_frames), by_workers(|w| w.rx_frames)),
        ("left", sum(|b| b.tx_frames), by_workers(|w| w.tx_frames)),
        ("were dropped", dropped, by_workers(|w| total(&w.drops))),
    ];
    let (what, counted, handled) = sides
        .into_iter()
        .find(|(_, counted, handled)| counted > handled)?;
    Some(format!("{counted} frames {what}, by workers {handled}"))
}

fn network_imbalance(network: &NetworkReport) -> Option<String> {
    let blocks = || {
        let ports = network.ports.iter().map(|p| &p.frames);
        ports.chain([&network.retired])
    };
    let sum = |pick: fn(&FrameCounts) -> u64| -> u64 { blocks().map(pick).sum() };
    let entered = sum(|b| b.rx_frames);
    let decided = sum(|b| at_stage(&b.drops, Stage::Ingress))
        + network.consumed
        + network.unicast
        + network.flooded;
    if entered != decided {
        return Some(format!("{entered} frames entered, {decided} were decided"));
    }
    let copies = network.unicast + network.replicated + network.generated;
    let left = sum(|b| b.tx_frames) + sum(|b| at_stage(&b.drops, Stage::Egress));
    if copies != left {
        return Some(format!(
            "{copies} copies decided or made, {left} left or were dropped"
        ));
    }
    let at_ports = blocks().find_map(|b| misplaced(&b.drops, &[Stage::Ingress, Stage::Egress]));
    at_ports.or_else(|| misplaced(&network.drops, &[Stage::Underlay]))
}

fn misplaced(drops: &DropCounts, stages: &[Stage]) -> Option<String> {
    let strange = drops.iter().find(|(r, _)| !stages.contains(&r.stage()))?;
    Some(format!(
        "{} is counted at the wrong place",
        strange.0.name()
    ))
}

fn at_stage(drops: &DropCounts, stage: Stage) -> u64 {
    let here = drops.iter().filter(|(reason, _)| reason.stage() == stage);
    here.map(|&(_, n)| n).sum()
}

pub fn total(drops: &DropCounts) -> u64 {
    drops.iter().map(|&(_, n)| n).sum()
}

/// The count of one reason.
pub fn count_of(drops: &DropCounts, reason: DropReason) -> u64 {
    let found = drops.iter().find(|(r, _)| *r == reason);
    found.map_or(0, |&(_, n)| n)
}

/// Everything that may only grow: (network, or nothing, and what is counted) -> count.
pub type Ledger = BTreeMap<(String, String), u64>;

/// Ways to look things up in counters.
pub trait Book {
    fn network(&self, name: &str) -> &NetworkReport;
    /// A port or tunnel by name, in whatever network.
    fn port(&self, name: &str) -> &PortReport;
    /// A network's ports and what is retired of it are one.
    fn ledger(&self) -> Ledger;
    /// All drops, as (place, reason) -> frames; the place is `underlay`, `network N`, `retired N` or a
    /// port's name; tunnels of several networks to one VTEP are one place.
    fn drops(&self) -> BTreeMap<(String, &'static str), u64>;
}

impl Book for Counters {
    fn network(&self, name: &str) -> &NetworkReport {
        let found = self.networks.iter().find(|n| n.name == name);
        found.unwrap_or_else(|| panic!("no network {name}"))
    }

    fn port(&self, name: &str) -> &PortReport {
        let mut ports = self.networks.iter().flat_map(|n| &n.ports);
        let found = ports.find(|p| p.name == name);
        found.unwrap_or_else(|| panic!("no port {name}"))
    }

    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new();
        let mut enter = |network: &str, what: &str, value: u64| {
            *ledger.entry((network.into(), what.into())).or_default() += value;
        };
        enter("", "datagrams", self.datagrams);
        for &(reason, n) in &self.underlay_drops {
            enter("", reason.name(), n);
        }
        for worker in &self.workers {
            enter("", "worker rx frames", worker.rx_frames);
            enter("", "worker tx frames", worker.tx_frames);
            for &(reason, n) in &worker.drops {
                enter("", &format!("worker {}", reason.name()), n);
            }
        }
        for network in &self.networks {
            let own = &network.name;
            enter(own, "unicast", network.unicast);
            enter(own, "flooded", network.flooded);
            enter(own, "replicated", network.replicated);
            enter(own, "consumed", network.consumed);
            enter(own, "generated", network.generated);
            enter(own, "reserved ignored", network.reserved_ignored);
            enter(own, "ecn odd", network.ecn_odd);
            enter(own, "ecn nonip", network.ecn_nonip);
            enter(own, "learned", network.fdb.learned);
            enter(own, "moved", network.fdb.moved);
            enter(own, "aged", network.fdb.aged);
            enter(own, "evicted", network.fdb.evicted);
            enter(own, "full", network.fdb.full);
            let ports = network.ports.iter().map(|p| &p.frames);
            for block in ports.chain([&network.retired]) {
                enter(own, "rx frames", block.rx_frames);
                enter(own, "rx bytes", block.rx_bytes);
                enter(own, "tx frames", block.tx_frames);
                enter(own, "tx bytes", block.tx_bytes);
                for &(reason, n) in &block.drops {
                    enter(own, reason.name(), n);
                }
                for &(note, n) in &block.notes {
                    enter(own, note.name(), n);
                }
            }
            for &(reason, n) in &network.drops {
                enter(own, reason.name(), n);
            }
        }
        ledger
    }

    fn drops(&self) -> BTreeMap<(String, &'static str), u64> {
        let mut all = BTreeMap::new();
        let mut enter = |place: String, drops: &DropCounts| {
            for &(reason, n) in drops {
                *all.entry((place.clone(), reason.name())).or_default() += n;
            }
        };
        enter("underlay".into(), &self.underlay_drops);
        for network in &self.networks {
            enter(format!("network {}", network.name), &network.drops);
            enter(format!("retired {}", network.name), &network.retired.drops);
            for port in &network.ports {
                enter(port.name.clone(), &port.frames.drops);
            }
        }
        all
    }
}
