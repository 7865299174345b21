//! What a running Lanner says of itself in numbers: to Prometheus, to `lanner status`, and as Falco's snapshots.
//!
//! The event thread counts in plain integers. Whoever wants to know asks on the [`Board`], and the event thread puts up what
//! it has the next time it comes by: it waits for nobody, and does nothing while nobody asks.

mod gather;
mod prometheus;
mod resources;
mod sample;
mod snapshot;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lanner_capture::{Plan, Stats, now};
use lanner_engine::RuleCounts;

pub(crate) use gather::{InForce, Instruments};
pub(crate) use snapshot::Snapshots;

/// How long the event thread may take to come by; then what it put up before has to do.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is younger is not asked for again.
const FRESH: Duration = Duration::from_millis(200);

/// What the event thread knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    pub(crate) stats: Stats,
    /// What is captured; none before the event thread came by once.
    pub(crate) plan: Option<Plan>,
    /// What the rules have done, those of before a reload too.
    pub(crate) rules: Vec<RuleCounts>,
}

/// Where the event thread puts up what it knows.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// When the event thread came by last, in nanoseconds since boot.
    beat: AtomicU64,
    wanted: AtomicBool,
    look: Mutex<(Arc<Look>, Option<Instant>)>,
    arrived: Condvar,
}

impl Board {
    /// For the event thread: it reads the ring. True when somebody waits for what it knows.
    pub(crate) fn come_by(&self) -> bool {
        self.beat.store(now(), Ordering::Relaxed);
        self.wanted.load(Ordering::Relaxed)
    }

    /// For the event thread: what it knows.
    pub(crate) fn put_up(&self, look: Look) {
        self.wanted.store(false, Ordering::Relaxed);
        *self.lock() = (Arc::new(look), Some(Instant::now()));
        self.arrived.notify_all();
    }

    /// How long the event thread has not read the ring; `None` before it began to.
    pub(crate) fn silence(&self) -> Option<Duration> {
        match self.beat.load(Ordering::Relaxed) {
            0 => None,
            beat => Some(Duration::from_nanos(now().saturating_sub(beat))),
        }
    }

    /// What the event thread knows now, or knew when it last came by, and how long ago that was; `None` before it did
    /// once. Blocks for a moment.
    pub(crate) fn look(&self) -> (Arc<Look>, Option<Duration>) {
        let mut found = self.lock();
        let aged =
            |found: &(Arc<Look>, Option<Instant>)| (Arc::clone(&found.0), found.1.map(|at| at.elapsed()));
        if found.1.is_some_and(|at| at.elapsed() < FRESH) {
            return aged(&found);
        }
        let (asked, deadline) = (Instant::now(), Instant::now() + PATIENCE);
        self.wanted.store(true, Ordering::Relaxed);
        while found.1.is_none_or(|at| at < asked) && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            found = match self.arrived.wait_timeout(found, left) {
                Ok((found, _)) => found,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        aged(&found)
    }

    fn lock(&self) -> MutexGuard<'_, (Arc<Look>, Option<Instant>)> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what rules of before have done to what those in force have.
pub(crate) fn add(past: &mut Vec<RuleCounts>, more: Vec<RuleCounts>) {
    for rule in more {
        match past
            .iter_mut()
            .find(|known| known.name == rule.name && known.source == rule.source)
        {
            Some(known) => {
                let before = std::mem::replace(known, rule);
                known.matches += before.matches;
                known.undecided += before.undecided;
                known.evaluations += before.evaluations;
                known.timed += before.timed;
                known.time += before.time;
            }
            None => past.push(rule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_gets_what_is_put_up_after_it() {
        let board = Arc::new(Board::default());
        assert!(board.silence().is_none());
        assert!(!board.come_by());
        assert!(board.silence().is_some());
        let asking = std::thread::spawn({
            let board = Arc::clone(&board);
            // A look that gave up waiting, on a busy machine, is followed by another.
            move || {
                (1..).find_map(|looks| Some((looks, board.look().0.stats.gaps)).filter(|(_, gaps)| *gaps > 0))
            }
        });
        let mut gaps = 0;
        while !asking.is_finished() {
            if board.come_by() {
                gaps += 1;
                board.put_up(Look {
                    stats: Stats {
                        gaps,
                        ..Stats::default()
                    },
                    ..Look::default()
                });
            }
            std::thread::yield_now();
        }
        let (looks, gaps) = asking.join().unwrap().unwrap();
        assert!(gaps <= looks, "{gaps} for {looks}");
        assert!(!board.come_by(), "nobody waits any more");
    }

    #[test]
    fn what_is_new_is_not_asked_for_again() {
        let board = Board::default();
        board.put_up(Look::default());
        // As long as the test may take.
        board.lock().1 = Some(Instant::now() + PATIENCE * 60);
        assert!(board.look().1.is_some());
        assert!(!board.come_by(), "nobody waits");
    }

    #[test]
    fn what_a_rule_did_before_a_reload_is_added_to_what_the_one_of_that_name_and_source_does() {
        let counts = |source: &str, matches| RuleCounts {
            name: "R".into(),
            priority: lanner_engine::Priority::Error,
            source: source.into(),
            tags: Arc::default(),
            matches,
            undecided: 10 * matches,
            evaluations: 100 * matches,
            timed: 1000 * matches,
            time: Duration::from_secs(matches),
        };
        let mut past = vec![counts("syscall", 1)];
        add(&mut past, vec![counts("other", 2), counts("syscall", 3)]);
        let all: Vec<_> = past
            .iter()
            .map(|rule| {
                (
                    &*rule.source,
                    rule.matches,
                    rule.undecided,
                    rule.evaluations,
                    rule.timed,
                    rule.time.as_secs(),
                )
            })
            .collect();
        assert_eq!(
            all,
            [("syscall", 4, 40, 400, 4000, 4), ("other", 2, 20, 200, 2000, 2)]
        );
    }

    #[test]
    fn an_event_thread_that_is_stuck_keeps_nobody_waiting_for_ever() {
        let board = Board::default();
        assert!(board.look().1.is_none(), "it never came by");
        board.put_up(Look::default());
        let earlier = PATIENCE * 3;
        board.lock().1 = Instant::now().checked_sub(earlier);
        let (_, age) = board.look();
        assert!(age.unwrap() >= earlier, "{age:?}");
    }
}
