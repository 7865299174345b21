//! The time whose events are shown: what came before is another agent's to judge, and what comes after as well.

use std::sync::atomic::{AtomicU64, Ordering};

/// A time with a beginning and an end, in nanoseconds since boot as [`now`](crate::now) gives them. At first it has
/// neither. Events outside are followed (processes, users) and not shown.
#[derive(Debug)]
pub struct Window {
    from: AtomicU64,
    until: AtomicU64,
}

impl Default for Window {
    fn default() -> Self {
        Window {
            from: AtomicU64::new(0),
            until: AtomicU64::new(u64::MAX),
        }
    }
}

impl Window {
    /// Events from `time` on are shown. To miss none, say so before it comes.
    pub fn open_at(&self, time: u64) {
        self.from.store(time, Ordering::Relaxed);
    }

    /// Events from `time` on are not shown.
    pub fn close_at(&self, time: u64) {
        self.until.store(time, Ordering::Relaxed);
    }

    pub(crate) fn has(&self, time: u64) -> bool {
        (self.from.load(Ordering::Relaxed)..self.until.load(Ordering::Relaxed)).contains(&time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_windows_that_meet_share_no_event_and_miss_none() {
        let (older, newer) = (Window::default(), Window::default());
        assert!(older.has(0) && older.has(u64::MAX - 1));
        newer.open_at(u64::MAX);
        assert!(!newer.has(7));
        newer.open_at(100);
        older.close_at(100);
        for time in [0, 99, 100, 101, 1 << 60] {
            assert!(older.has(time) != newer.has(time), "{time}");
        }
    }
}
