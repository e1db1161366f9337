//! A token bucket (RFC 4443 §2.4 (f)), kept as the one moment at which it will be full again.

use std::sync::atomic::{AtomicU64, Ordering};

/// Lets `PER_SECOND` through a second, and `AT_ONCE` after a silence. Any thread takes.
#[derive(Debug, Default)]
pub(crate) struct Bucket<const PER_SECOND: u64, const AT_ONCE: u64> {
    full_at_us: AtomicU64,
}

impl<const PER_SECOND: u64, const AT_ONCE: u64> Bucket<PER_SECOND, AT_ONCE> {
    const TOKEN_US: u64 = 1_000_000 / PER_SECOND;

    /// Takes a token; false if there is none. Time in microseconds since any fixed moment.
    pub(crate) fn take(&self, now_us: u64) -> bool {
        let order = Ordering::Relaxed;
        let taken = |full_at| Self::taken(full_at, now_us);
        self.full_at_us.fetch_update(order, order, taken).is_ok()
    }

    /// Whether there is a token at this moment.
    pub(crate) fn has_one(&self, now_us: u64) -> bool {
        Self::taken(self.full_at_us.load(Ordering::Relaxed), now_us).is_some()
    }

    /// Whether nothing was taken that has not come back.
    pub(crate) fn is_full(&self, now_us: u64) -> bool {
        self.full_at_us.load(Ordering::Relaxed) <= now_us
    }

    /// When it will be full after a token has been taken. A clock that was set back finds it empty, not in debt.
    fn taken(full_at: u64, now_us: u64) -> Option<u64> {
        let whole = AT_ONCE * Self::TOKEN_US;
        let full_at = full_at.clamp(now_us, now_us + whole) + Self::TOKEN_US;
        (full_at - now_us <= whole).then_some(full_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PER_SECOND: u64 = 100;
    const TOKEN_US: u64 = 10_000;

    proptest! {
        /// The oracle fills a bucket microsecond for microsecond, in parts of a token.
        #[test]
        fn g121_as_a_bucket_that_is_filled_drop_by_drop(pauses in proptest::collection::vec(
            prop_oneof![5 => 0u64..3000, 1 => 0u64..2_000_000], 0..400,
        )) {
            let bucket = Bucket::<PER_SECOND, PER_SECOND>::default();
            let (mut now, mut drops) = (0, PER_SECOND * TOKEN_US);
            for pause in pauses {
                now += pause;
                drops = (drops + pause).min(PER_SECOND * TOKEN_US);
                let has_token = drops >= TOKEN_US;
                if has_token {
                    drops -= TOKEN_US;
                }
                prop_assert_eq!(bucket.has_one(now), has_token);
                prop_assert_eq!(bucket.take(now), has_token);
            }
        }
    }

    #[test]
    fn g121_a_hundred_at_once_then_a_hundred_a_second() {
        let bucket = Bucket::<PER_SECOND, PER_SECOND>::default();
        let at = |now_us| (0..1000).filter(|_| bucket.take(now_us)).count();
        assert_eq!(at(0), 100);
        assert_eq!(at(9_999), 0);
        assert_eq!(at(10_000), 1);
        assert_eq!(at(510_000), 50);
        assert_eq!(at(10_000_000), 100);
    }
}
