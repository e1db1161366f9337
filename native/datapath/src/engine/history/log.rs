//! The lines, and how many a port may write.

use std::collections::{HashMap, VecDeque};

use super::{Happening, Line, Past, Place};
use crate::engine::bucket::Bucket;

/// The lines of a history. Time is an argument: Unix milliseconds.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<Line>,
    next: u64,
    complete_since_ms: u64,
    last_ms: u64,
    budgets: HashMap<Place, Budget>,
}

/// What a port may still write.
#[derive(Debug, Default)]
struct Budget {
    bucket: Bucket<LINES_PER_SECOND, LINES_AT_ONCE>,
    omitted: u64,
    /// When the first of those would have been written.
    since_ms: u64,
}

impl Log {
    /// One that knows what happens from now on.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            complete_since_ms: now_ms,
            last_ms: now_ms,
            ..Self::default()
        }
    }

    /// Adds a line, or counts it as omitted.
    pub(super) fn record(&mut self, now_ms: u64, place: Place, happening: Happening) {
        let at_ms = self.line_time(now_ms);
        if happening.is_caused_by_traffic() && place.port.is_some() {
            let budget = self.budgets.entry(place.clone()).or_default();
            if !budget.bucket.take(at_ms.saturating_mul(1000)) {
                if budget.omitted == 0 {
                    budget.since_ms = at_ms;
                }
                budget.omitted += 1;
                self.complete_since_ms = self.complete_since_ms.max(at_ms + 1);
                return;
            }
        }
        self.push(at_ms, place, happening);
    }

    /// Writes what was omitted a second ago and longer, and forgets who has been quiet. To be called now and then.
    pub(super) fn tick(&mut self, now_ms: u64) {
        if self.budgets.is_empty() {
            return;
        }
        let at_ms = self.line_time(now_ms);
        let mut omitted = Vec::new();
        self.budgets.retain(|place, budget| {
            if budget.omitted > 0 && at_ms >= budget.since_ms + OMITTED_MS {
                omitted.push((place.clone(), std::mem::take(&mut budget.omitted)));
            }
            budget.omitted > 0 || !budget.bucket.is_full(at_ms.saturating_mul(1000))
        });
        for (place, count) in omitted {
            self.push(at_ms, place, Happening::Omitted { count });
        }
    }

    /// Every line from `seq` on.
    pub(super) fn since(&self, seq: u64) -> Past {
        let oldest = self.next - self.lines.len() as u64;
        let skipped = seq.saturating_sub(oldest).min(self.lines.len() as u64) as usize;
        Past {
            lines: self.lines.range(skipped..).cloned().collect(),
            complete_since_ms: self.complete_since_ms,
        }
    }

    fn push(&mut self, at_ms: u64, place: Place, happening: Happening) {
        if self.lines.len() == CAPACITY
            && let Some(lost) = self.lines.pop_front()
        {
            self.complete_since_ms = self.complete_since_ms.max(lost.at_ms + 1);
        }
        let seq = self.next;
        self.next += 1;
        self.lines.push_back(Line {
            seq,
            at_ms,
            place,
            happening,
        });
    }

    /// Lines are in the order of their times. A clock that is set back makes the time until it was ambiguous.
    fn line_time(&mut self, now_ms: u64) -> u64 {
        if now_ms + JITTER_MS < self.last_ms {
            self.complete_since_ms = self.last_ms + 1;
            self.last_ms = now_ms;
        }
        self.last_ms = self.last_ms.max(now_ms);
        self.last_ms
    }
}

/// At about 120 bytes a line some 8 MB when it is full; it grows with what happens.
const CAPACITY: usize = 65_536;
const LINES_PER_SECOND: u64 = 64;
const LINES_AT_ONCE: u64 = 256;
/// For how long what is omitted is counted before it is told.
const OMITTED_MS: u64 = 1000;
/// By how much a clock may go back, being corrected.
const JITTER_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mac::MacAddr;
    use proptest::prelude::*;

    fn at(port: &str) -> Place {
        Place {
            network: Some("n".into()),
            port: Some(port.into()),
        }
    }

    fn learned(n: u64) -> Happening {
        Happening::Learned {
            mac: MacAddr::from_u64(n),
        }
    }

    /// (port, lines, omitted)
    fn told(log: &Log, port: &str) -> (usize, u64) {
        let lines = log.since(0).lines.into_iter();
        let of_port: Vec<_> = lines.filter(|l| l.place == at(port)).collect();
        let omitted = |l: &Line| match l.happening {
            Happening::Omitted { count } => Some(count),
            _ => None,
        };
        let counts: Vec<_> = of_port.iter().filter_map(omitted).collect();
        (of_port.len() - counts.len(), counts.iter().sum())
    }

    #[test]
    fn a_flood_at_one_port_is_counted_and_washes_nothing_out() {
        let mut log = Log::new(1000);
        log.record(1000, at("quiet"), learned(1));
        for second in 0..100 {
            for n in 0..1000 {
                log.record(1000 + second * 1000 + n, at("loud"), learned(n));
            }
            log.tick(2000 + second * 1000);
        }
        assert_eq!(told(&log, "quiet"), (1, 0));
        let (lines, omitted) = told(&log, "loud");
        assert_eq!(lines as u64 + omitted, 100_000);
        assert!((6400..7000).contains(&lines), "{lines}");
        let past = log.since(0);
        assert!(past.complete_since_ms > 100_000);
        let omissions = past
            .lines
            .iter()
            .filter(|l| matches!(l.happening, Happening::Omitted { .. }));
        assert!(omissions.count() <= 100);
    }

    #[test]
    fn what_people_do_is_never_omitted() {
        let mut log = Log::new(5);
        for n in 0..1000 {
            let mac = MacAddr::from_u64(n);
            log.record(10, at("p"), Happening::Flushed { mac });
        }
        assert_eq!(told(&log, "p"), (1000, 0));
        assert_eq!(log.since(0).complete_since_ms, 5);
        assert_eq!(log.since(998).lines.len(), 2);
        assert!(log.since(5000).lines.is_empty());
    }

    #[test]
    fn the_oldest_lines_go_first_and_it_is_told_since_when() {
        let mut log = Log::new(0);
        for n in 0..CAPACITY as u64 + 10 {
            log.record(n, at("p"), Happening::PortUp);
        }
        let past = log.since(0);
        assert_eq!(past.lines.len(), CAPACITY);
        assert_eq!(past.lines[0].seq, 10);
        assert_eq!(past.complete_since_ms, 10);
        assert!(size_of::<Line>() <= 128);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_the_time_between_unknown() {
        let mut log = Log::new(0);
        log.record(100_000, at("p"), Happening::PortUp);
        log.record(99_500, at("p"), Happening::PortUp);
        assert_eq!(log.since(1).lines[0].at_ms, 100_000);
        assert_eq!(log.since(0).complete_since_ms, 0);
        log.record(50_000, at("p"), learned(1));
        assert_eq!(log.since(2).lines[0].at_ms, 50_000);
        assert_eq!(log.since(0).complete_since_ms, 100_001);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_uncounted(gaps in proptest::collection::vec((0..3u8, 0..40u64), 0..3000)) {
            let mut log = Log::new(0);
            let mut now = 0;
            let ports = ["a", "b", "c"];
            let mut sent = [0u64; 3];
            for (port, gap) in gaps {
                now += gap;
                log.record(now, at(ports[usize::from(port)]), learned(now));
                sent[usize::from(port)] += 1;
                log.tick(now);
            }
            log.tick(now + OMITTED_MS);
            for (port, sent) in ports.iter().zip(sent) {
                let (lines, omitted) = told(&log, port);
                prop_assert_eq!(lines as u64 + omitted, sent);
            }
            log.tick(now + 3_600_000);
            prop_assert!(log.budgets.is_empty());
        }
    }
}
