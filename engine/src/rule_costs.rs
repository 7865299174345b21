//! What rules cost: how often each was asked, and how long that takes.
//!
//! Rules that share a predicate are evaluated together, so no rule has a time of its own. Once in [`EVERY`] events each rule
//! of the event is evaluated alone and timed: what is known then is what the rule would cost without the others. Counting is
//! one addition per event, and there is no allocation.

use std::time::{Duration, Instant};

use lanner_schema::event::{EVENT_COUNT, Event};
use lanner_schema::view::EventView;

use crate::condition::Scratch;
use crate::ruleset::Rule;

/// Events between two that are timed.
const EVERY: u32 = 4096;

/// How long one rule took, on the events that were timed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) evaluations: u64,
    pub(crate) time: Duration,
}

/// Counts of one ruleset.
#[derive(Debug)]
pub(crate) struct RuleCosts {
    shown: [u64; EVENT_COUNT],
    until_next: u32,
    /// By rule.
    timed: Vec<Timed>,
    scratch: Scratch,
}

impl RuleCosts {
    pub(crate) fn new(rules: usize) -> RuleCosts {
        RuleCosts {
            shown: [0; EVENT_COUNT],
            until_next: EVERY,
            timed: vec![Timed::default(); rules],
            scratch: Scratch::new(),
        }
    }

    /// Counts an event, and times its rules where it is its turn.
    pub(crate) fn see(&mut self, rules: &[Rule], event: &EventView<'_>) {
        self.shown[event.event as usize] += 1;
        self.until_next -= 1;
        if self.until_next == 0 {
            self.time(rules, event);
        }
    }

    #[cold]
    fn time(&mut self, rules: &[Rule], event: &EventView<'_>) {
        self.until_next = EVERY;
        let asked = |rule: &Rule| {
            rule.runs
                && rule.source_index == event.source.index
                && rule.program.events().contains(event.event)
        };
        for (rule, timed) in rules.iter().zip(&mut self.timed).filter(|(rule, _)| asked(rule)) {
            let start = Instant::now();
            std::hint::black_box(rule.program.matches(event, &mut self.scratch));
            timed.time += start.elapsed();
            timed.evaluations += 1;
        }
    }

    /// How many events of a kind were shown.
    pub(crate) fn shown(&self, event: Event) -> u64 {
        self.shown[event as usize]
    }

    pub(crate) fn timed(&self, rule: usize) -> Timed {
        self.timed.get(rule).copied().unwrap_or_default()
    }
}
