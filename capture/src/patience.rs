//! How long the event thread waits for what the runtime's side may know of a container that nobody announced.
//!
//! It looks at a clock, which the state must not: a replay has nobody to ask, so it never waits.

use std::time::{Duration, Instant};

use lanner_schema::container::ContainerReader;

/// How long one wait may be, once per container. Files and a runtime that isn't busy answer within a few milliseconds.
const WAIT: Duration = Duration::from_millis(20);
/// What it may wait altogether: this much, and a twentieth of the time that passes.
const WAITS: Duration = Duration::from_millis(200);
const WAITS_SHARE: u32 = 20;

/// The time that may be spent waiting for identities.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
    since: Instant,
}

/// One wait.
#[derive(Debug)]
pub(crate) struct Wait {
    start: Instant,
    deadline: Instant,
}

impl Patience {
    pub(crate) fn new() -> Patience {
        Patience {
            left: WAITS,
            since: Instant::now(),
        }
    }

    /// Begins to wait; it may end at once.
    pub(crate) fn begin(&mut self) -> Wait {
        let start = Instant::now();
        Wait {
            start,
            deadline: start + self.grant(start),
        }
    }

    /// Takes what was waited off what is left.
    pub(crate) fn end(&mut self, wait: &Wait) {
        self.spend(wait.start.elapsed());
    }

    /// How long one wait may be now.
    fn grant(&mut self, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.since) / WAITS_SHARE;
        self.left = (self.left + earned).min(WAITS);
        self.since = now;
        self.left.min(WAIT)
    }

    fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    /// Nothing is left to wait.
    #[cfg(test)]
    pub(crate) fn spent() -> Patience {
        Patience {
            left: Duration::ZERO,
            since: Instant::now(),
        }
    }
}

impl Wait {
    /// Waits until the containers change; false when the time is up.
    pub(crate) fn goes_on(&self, reader: &ContainerReader) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        reader.wait(left);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded_by_a_share_of_the_time() {
        let mut patience = Patience::new();
        let start = patience.since;
        for _ in 0..10 {
            assert_eq!(patience.grant(start), WAIT);
            patience.spend(WAIT);
        }
        assert_eq!(patience.grant(start), Duration::ZERO);
        assert_eq!(patience.grant(start + WAIT * WAITS_SHARE / 2), WAIT / 2);
        assert_eq!(patience.grant(start + WAITS * WAITS_SHARE * 2), WAIT);
    }
}
