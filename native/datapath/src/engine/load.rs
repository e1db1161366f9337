//! How long a worker is at work: neither asleep nor spinning in the hope of more.

use std::time::{Duration, Instant};

/// The stretches of work of one worker.
#[derive(Debug, Default)]
pub(crate) struct Load {
    since: Option<Instant>,
}

impl Load {
    /// Work goes on at `now`, or begins. From time to time it returns what is to be added up, so that a worker that
    /// never rests is seen too.
    pub(crate) fn works(&mut self, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let worked = now.saturating_duration_since(since);
        if worked < TOLD_AFTER {
            return None;
        }
        self.since = Some(now);
        Some(worked)
    }

    /// Work ends at `now`; what is to be added up.
    pub(crate) fn rests(&mut self, now: Instant) -> Duration {
        let since = self.since.take();
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

const TOLD_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_added_up_is_all_the_time_of_work_and_no_other(steps in vec((any::<bool>(), 0u64..300_000), 0..50)) {
            let start = Instant::now();
            let mut load = Load::default();
            let (mut at, mut told, mut worked, mut is_at_work) = (start, Duration::ZERO, Duration::ZERO, false);
            for (works, micros) in steps {
                at += Duration::from_micros(micros);
                if is_at_work {
                    worked += Duration::from_micros(micros);
                }
                told += if works { load.works(at).unwrap_or_default() } else { load.rests(at) };
                prop_assert!(worked - told < TOLD_AFTER);
                is_at_work = works;
            }
            prop_assert_eq!(told + load.rests(at), worked);
        }
    }
}
