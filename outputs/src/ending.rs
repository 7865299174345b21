//! That Lanner ends: what an output that waits for something looks at.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Set once, when the outputs are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    begun: Mutex<bool>,
    changed: Condvar,
}

impl Ending {
    pub(crate) fn begin(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this long, or until the end begins; true when it has begun.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while !*begun {
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
        *begun
    }
}
