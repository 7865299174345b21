//! How long replies took: a histogram that costs an atomic addition per reply.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets per doubling: a figure is at most an eighth too large.
const STEPS: u32 = 8;
/// Doublings that are told apart: the last bucket begins at a minute.
const DOUBLINGS: u32 = 27;
const BUCKETS: usize = (STEPS * DOUBLINGS) as usize;

/// Times in microseconds, by the thousand or by the million.
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    total_us: AtomicU64,
    max_us: AtomicU64,
}

/// What a histogram of replies says, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Replies.
    pub count: u64,
    /// Sum of their times.
    pub total_us: u64,
    /// Half of them took no longer.
    pub p50_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl fmt::Display for Latency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency {
            count,
            p50_us,
            p99_us,
            max_us,
            ..
        } = self;
        write!(
            out,
            "{count} in {p50_us} µs (median), {p99_us} µs (p99), {max_us} µs at most"
        )
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            total_us: AtomicU64::new(0),
            max_us: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.read(), out)
    }
}

/// Below [`STEPS`] a bucket per microsecond, then [`STEPS`] per doubling.
fn bucket(us: u64) -> usize {
    let steps = u64::from(STEPS);
    let index = match us < steps {
        true => us,
        false => {
            let doublings = us.ilog2() - STEPS.ilog2();
            u64::from(doublings) * steps + (us >> doublings)
        }
    };
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn upper(bucket: usize) -> u64 {
    let (bucket, steps) = (u64::try_from(bucket).unwrap_or(u64::MAX), u64::from(STEPS));
    match bucket < steps {
        true => bucket,
        false => {
            let doublings = bucket / steps - 1;
            ((steps + bucket % steps + 1) << doublings) - 1
        }
    }
}

impl Histogram {
    pub(crate) fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket(us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.total_us.fetch_add(us, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Latency {
        let counts = self.buckets.each_ref().map(|count| count.load(Ordering::Relaxed));
        let count: u64 = counts.iter().sum();
        let max_us = self.max_us.load(Ordering::Relaxed);
        let quantile = |hundredths: u64| {
            let rank = (count * hundredths).div_ceil(100).max(1);
            let mut seen = 0;
            let found = counts.iter().position(|here| {
                seen += here;
                seen >= rank
            });
            found.map_or(0, upper).min(max_us)
        };
        Latency {
            count,
            total_us: self.total_us.load(Ordering::Relaxed),
            p50_us: quantile(50),
            p99_us: quantile(99),
            max_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(times: impl IntoIterator<Item = u64>) -> Latency {
        let histogram = Histogram::default();
        for us in times {
            histogram.add(Duration::from_micros(us));
        }
        histogram.read()
    }

    #[test]
    fn quantiles_are_of_the_times_that_were_added() {
        assert_eq!(of([]), Latency::default());
        let one = of([40]);
        assert_eq!((one.count, one.p50_us, one.p99_us, one.max_us), (1, 40, 40, 40));
        let many = of((1..=1000).chain([1_000_000]));
        assert_eq!((many.count, many.max_us), (1001, 1_000_000));
        assert!((500..=563).contains(&many.p50_us), "{many}");
        assert!((990..=1115).contains(&many.p99_us), "{many}");
        assert_eq!(
            of([u64::MAX >> 12]).count,
            1,
            "an absurd time is in the last bucket"
        );
    }

    proptest! {
        #[test]
        fn a_time_is_in_the_bucket_that_ends_just_above_it(us in 0u64..1 << 29) {
            let end = upper(bucket(us));
            prop_assert!(us <= end && end <= us + us / 8, "{us} {end}");
            prop_assert!(bucket(us) == 0 || upper(bucket(us) - 1) < us);
        }
    }
}
