//! How much the path to one VTEP carries: the largest outer IP packet, bytes.
//!
//! ```text
//!            link: what the host's route says         learned: what the network reported, for 600 s
//!                                \                      /
//!                                 limit = the smaller one, read for every frame
//! ```
//!
//! A report only ever lowers (RFC 1191 §4, RFC 8201 §4), never below what every path carries, and is forgotten after
//! ten minutes (RFC 1191 §6.3), so that a path that has become better is used again and a forged report does not last.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::note::Note;

/// The path to one VTEP. Any thread writes, workers read; time is in seconds since the datapath was made.
#[derive(Debug)]
pub(crate) struct PathMtu {
    limit: AtomicU32,
    known: Mutex<Known>,
}

#[derive(Debug, Default, Clone)]
struct Known {
    /// 0: not known yet.
    link: u32,
    learned: Option<Learned>,
    changes: u64,
    expiries: u64,
    floored: u64,
}

#[derive(Debug, Clone, Copy)]
struct Learned {
    mtu: u32,
    /// The first second at which it is old.
    until: u32,
}

/// The limit is another one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl Default for PathMtu {
    fn default() -> Self {
        Self {
            limit: AtomicU32::new(UNLIMITED),
            known: Mutex::default(),
        }
    }
}

impl PathMtu {
    /// The largest outer IP packet at this moment; [`UNLIMITED`] while nothing is known.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// The host's route to the VTEP takes packets of `mtu` bytes. To learn it for the first time is no change.
    pub(crate) fn set_link(&self, mtu: u32) -> Option<Change> {
        self.update(|known| known.link = mtu)
    }

    /// The network reports that the path takes no more than `mtu` bytes (0: it did not say). Below `least` that is not
    /// believed, and `least` is taken.
    pub(crate) fn lower(&self, mtu: u32, least: u32, now_secs: u32) -> Option<Change> {
        let limit = self.limit();
        self.update(|known| {
            if mtu < least {
                known.floored += 1;
            }
            let mtu = mtu.max(least);
            if mtu <= limit {
                known.learned = Some(Learned {
                    mtu,
                    // Seconds are cut off: one more, or it would be less than the whole time.
                    until: now_secs.saturating_add(LEARNED_SECS + 1),
                });
            }
        })
    }

    /// Forgets what was reported too long ago.
    pub(crate) fn expire(&self, now_secs: u32) -> Option<Change> {
        self.update(|known| {
            if known.learned.is_some_and(|l| now_secs >= l.until) {
                known.learned = None;
                known.expiries += 1;
            }
        })
    }

    /// How often what happened.
    pub(crate) fn notes(&self) -> [(Note, u64); 3] {
        let known = self.lock();
        [
            (Note::InFloor, known.floored),
            (Note::PmtuChange, known.changes),
            (Note::PmtuExpire, known.expiries),
        ]
    }

    fn update(&self, change: impl FnOnce(&mut Known)) -> Option<Change> {
        let mut known = self.lock();
        let from = self.limit();
        change(&mut known);
        let link = match known.link {
            0 => UNLIMITED,
            link => link,
        };
        let to = known.learned.map_or(link, |learned| learned.mtu.min(link));
        self.limit.store(to, Ordering::Relaxed);
        let changed = from != to && from != UNLIMITED;
        known.changes += u64::from(changed);
        changed.then_some(Change { from, to })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Every change is whole when it is made, so a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit of a path of which nothing is known, and of what is no tunnel.
pub(crate) const UNLIMITED: u32 = u32::MAX;
/// How long a report counts.
const LEARNED_SECS: u32 = 600;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(link: u32) -> PathMtu {
        let path = PathMtu::default();
        assert_eq!(path.limit(), UNLIMITED);
        assert_eq!(path.set_link(link), None, "the first is no change");
        path
    }

    #[test]
    fn g122_a_report_lowers_and_never_raises() {
        let path = path(1500);
        let change = |from, to| Some(Change { from, to });
        assert_eq!(path.lower(1400, 576, 10), change(1500, 1400));
        assert_eq!(path.lower(1450, 576, 11), None);
        assert_eq!(path.lower(9000, 576, 11), None);
        assert_eq!(path.lower(1300, 576, 12), change(1400, 1300));
        assert_eq!(path.limit(), 1300);
        assert_eq!(path.notes()[1], (Note::PmtuChange, 2));
    }

    #[test]
    fn g124_less_than_the_least_is_not_believed() {
        for (claimed, least) in [(575, 576), (68, 576), (0, 576), (1279, 1280)] {
            let path = path(1500);
            path.lower(claimed, least, 0);
            assert_eq!(path.limit(), least);
            assert_eq!(path.notes()[0], (Note::InFloor, 1));
        }
        let path = path(1500);
        path.lower(576, 576, 0);
        assert_eq!(path.notes()[0], (Note::InFloor, 0));
    }

    #[test]
    fn g125_a_report_counts_for_600_seconds_from_when_it_was_last_repeated() {
        let path = path(1500);
        path.lower(1400, 576, 100);
        path.lower(1400, 576, 200);
        assert_eq!(path.expire(800), None);
        assert_eq!(path.limit(), 1400);
        let back = Change {
            from: 1400,
            to: 1500,
        };
        assert_eq!(path.expire(801), Some(back));
        assert_eq!(path.notes()[2], (Note::PmtuExpire, 1));
        assert_eq!(path.expire(10_000), None);
        assert_eq!(path.notes()[2], (Note::PmtuExpire, 1));
    }

    #[test]
    fn g128_the_route_may_change_both_ways() {
        let path = path(1500);
        assert_eq!(
            path.set_link(9000),
            Some(Change {
                from: 1500,
                to: 9000
            })
        );
        path.lower(1400, 576, 0);
        assert_eq!(path.set_link(1450), None);
        assert_eq!(
            path.set_link(1300),
            Some(Change {
                from: 1400,
                to: 1300
            })
        );
        assert_eq!(path.expire(601), None);
        assert_eq!(path.limit(), 1300);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Link(u32),
        Report(u32),
        Pass(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            1 => (576u32..9001).prop_map(Step::Link),
            3 => (0u32..9001).prop_map(Step::Report),
            3 => (0u32..400).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        /// The oracle keeps every report that lowered and looks through all of them.
        #[test]
        fn g122_g125_the_limit_is_the_last_word_of_who_is_still_believed(steps in steps()) {
            let path = path(1500);
            let (mut now, mut link, mut reports) = (0, 1500, Vec::<(u32, u32)>::new());
            let limit = |link: u32, reports: &[(u32, u32)], now: u32| {
                let last = reports.last().filter(|(_, at)| now < at + 601);
                last.map_or(link, |&(mtu, _)| mtu.min(link))
            };
            for step in steps {
                match step {
                    Step::Link(mtu) => {
                        link = mtu;
                        path.set_link(mtu);
                    }
                    Step::Report(mtu) => {
                        if mtu.max(576) <= limit(link, &reports, now) {
                            reports.push((mtu.max(576), now));
                        }
                        path.lower(mtu, 576, now);
                    }
                    Step::Pass(secs) => {
                        now += secs;
                        path.expire(now);
                        if reports.last().is_some_and(|(_, at)| now >= at + 601) {
                            reports.clear();
                        }
                    }
                }
                prop_assert_eq!(path.limit(), limit(link, &reports, now));
            }
        }
    }
}
