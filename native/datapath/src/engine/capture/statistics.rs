//! What was dropped at each place while a capture ran, as the counters say: also where there was no packet to take.

use std::collections::HashMap;

use super::scope::Selection;
use super::scribe::Scribe;
use crate::counter::{DropReason, Drops};
use crate::engine::running::View;
use crate::switch::PortId;

/// The counters when the capture began.
pub(super) struct Baseline {
    selection: Selection,
    counted: HashMap<(Option<PortId>, DropReason), u64>,
}

impl Baseline {
    pub(super) fn new(selection: &Selection, view: &View) -> Self {
        Self {
            selection: selection.clone(),
            counted: count(selection, view),
        }
    }

    /// Adds to each interface what has been dropped there since.
    pub(super) fn tell(&self, view: &View, scribe: &mut Scribe, out: &mut Vec<u8>) {
        let mut since: Vec<_> = count(&self.selection, view)
            .into_iter()
            .map(|(key, count)| {
                let before = self.counted.get(&key).copied().unwrap_or(0);
                (key, count.saturating_sub(before))
            })
            .filter(|&(_, count)| count > 0)
            .collect();
        since.sort_by_key(|&((port, reason), _)| (port, reason as u8));
        for ((port, reason), count) in since {
            let is_outer = port.is_none() || scribe.is_outer_only(port);
            let index = scribe.interface((port, is_outer), out);
            let frames = if count == 1 { "frame" } else { "frames" };
            let line = format!("{}: {count} {frames}", reason.name());
            scribe.interface_mut(index).drops.push(line);
        }
    }
}

fn count(selection: &Selection, view: &View) -> HashMap<(Option<PortId>, DropReason), u64> {
    let mut counted = HashMap::new();
    let mut add = |port: Option<PortId>, drops: &Drops| {
        for (reason, count) in drops.nonzero() {
            *counted.entry((port, reason)).or_default() += count;
        }
    };
    let topology = &view.topology;
    for port in topology.present_ports() {
        if selection
            .at(&topology.networks[port.network].name, port)
            .enters
        {
            port.counters
                .iter()
                .for_each(|c| add(Some(port.id), &c.drops));
        }
    }
    if selection.takes_refused() {
        for network in &topology.networks {
            if selection.concerns(&network.name) {
                network.counters.iter().for_each(|c| add(None, &c.drops));
            }
        }
        if selection.network.is_none() {
            topology.counters.iter().for_each(|c| add(None, &c.drops));
        }
    }
    counted
}
