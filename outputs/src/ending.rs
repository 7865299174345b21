//! That Lanner ends: what an output that waits for something looks at.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an output may still take when Lanner ends: less than Lanner itself waits for its outputs, so that there is time to
/// kill what hangs.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Set once, when the outputs are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    begun: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Ending {
    pub(crate) fn begin(&self) {
        self.begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// What is left of the time that something may take: `limit`, or of [`LAST_WORDS`] when the end has begun.
    pub(crate) fn left(&self, limit: Duration) -> Duration {
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        match begun {
            Some(begun) => limit.min(LAST_WORDS.saturating_sub(begun.elapsed())),
            None => limit,
        }
    }

    /// Waits for this long, or until the end begins; true when it has begun.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while begun.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            begun = self
                .changed
                .wait_timeout(begun, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        begun.is_some()
    }
}
