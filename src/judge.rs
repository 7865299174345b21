//! The event thread's part: events are shown to the rules, alerts go to the outputs, and rules are changed between two
//! events.
//!
//! A change has a time. Events that were recorded before it are judged by the rules of before, the others by the new ones,
//! whichever comes first out of the ring: so each is judged once, by the rules that were in force when it happened. What
//! both need is captured from shortly before that time until the last event of before has come.

use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use lanner_capture::{Audience, CaptureError, Losses, Pause, Plan, now};
use lanner_engine::{RuleCounts, Ruleset, Settings};
use lanner_outputs::AlertSender;
use lanner_schema::view::EventView;

use crate::drop_monitor::{DropConfig, DropMonitor};
use crate::metrics::{self, Board, Look};
use crate::tally::Tally;

/// How long a program may take to hand in what it began to record.
const SETTLE: Duration = Duration::from_millis(200);

/// Other rules, and what goes with them.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) ruleset: Ruleset,
    /// What is captured while both rulesets judge.
    pub(crate) both: Plan,
    /// What is captured from then on.
    pub(crate) plan: Plan,
    /// Where alerts go from now on, if elsewhere.
    pub(crate) alerts: Option<AlertSender>,
    pub(crate) drops: DropConfig,
    pub(crate) settings: Settings,
    /// Is told what came of it: once when it failed, else when it is in force and when it is complete.
    pub(crate) told: mpsc::Sender<Progress>,
}

/// What came of a change.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It can't be made; everything is as it was.
    Failed(CaptureError),
    /// Events that happen now are judged by the new rules.
    InForce,
    /// The rules of before have judged their last event. They are not dropped on the event thread.
    Complete(Box<Ruleset>),
}

/// The rules of before, while some of their events may still be in the ring.
struct Older {
    ruleset: Ruleset,
    /// Nanoseconds since boot: events before are theirs.
    until: u64,
    /// What is captured afterwards.
    plan: Plan,
    told: mpsc::Sender<Progress>,
}

/// Judges events.
pub(crate) struct Judge {
    ruleset: Ruleset,
    older: Option<Older>,
    /// False when events are only recorded.
    judging: bool,
    alerts: AlertSender,
    changes: mpsc::Receiver<Box<Change>>,
    board: Arc<Board>,
    /// What rules did that are no longer in force.
    past: Vec<RuleCounts>,
    pub(crate) tally: Tally,
    pub(crate) monitor: DropMonitor,
    /// Losses ended it.
    pub(crate) gave_up: bool,
}

impl Judge {
    pub(crate) fn new(
        ruleset: Ruleset,
        judging: bool,
        alerts: AlertSender,
        monitor: DropMonitor,
        changes: mpsc::Receiver<Box<Change>>,
        board: Arc<Board>,
    ) -> Judge {
        Judge {
            ruleset,
            older: None,
            judging,
            alerts,
            changes,
            board,
            past: Vec::new(),
            tally: Tally::default(),
            monitor,
            gave_up: false,
        }
    }

    // What is rare is kept out of what goes through at every look at the ring, or that would take, and go through, as much of the
    // stack as this needs: 35 KiB.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, change: Box<Change>, pause: &mut Pause<'_>) {
        let change = *change;
        if let Err(error) = capture(pause, change.both) {
            let _ = change.told.send(Progress::Failed(error));
            return;
        }
        // Whatever is recorded from here on has what the new rules need.
        let until = now();
        let ruleset = std::mem::replace(&mut self.ruleset, change.ruleset);
        if let Some(alerts) = change.alerts {
            self.alerts = alerts;
        }
        self.monitor.configure(change.drops, change.settings);
        let _ = change.told.send(Progress::InForce);
        self.older = Some(Older {
            ruleset,
            until,
            plan: change.plan,
            told: change.told,
        });
    }

    #[cold]
    #[inline(never)]
    fn put_up(&self, pause: &Pause<'_>) {
        self.board.put_up(self.look(pause));
    }

    fn look(&self, pause: &Pause<'_>) -> Look {
        let mut rules = self.past.clone();
        if let Some(older) = &self.older {
            metrics::add(&mut rules, older.ruleset.counts());
        }
        metrics::add(&mut rules, self.ruleset.counts());
        Look {
            stats: pause.stats(),
            plan: Some(pause.plan().clone()),
            rules,
        }
    }

    #[cold]
    #[inline(never)]
    fn complete(&mut self, pause: &mut Pause<'_>) {
        let Some(older) = self.older.take() else {
            return;
        };
        metrics::add(&mut self.past, older.ruleset.counts());
        if let Err(error) = capture(pause, older.plan) {
            tracing::warn!("more is captured than the rules need: {error}");
        }
        let _ = older.told.send(Progress::Complete(Box::new(older.ruleset)));
    }
}

fn capture(pause: &mut Pause<'_>, plan: Plan) -> Result<(), CaptureError> {
    match *pause.plan() == plan {
        true => Ok(()),
        false => pause.change(plan),
    }
}

impl Audience for Judge {
    fn event(&mut self, event: &EventView<'_>, at: u64) {
        if !self.judging {
            return;
        }
        let ruleset = match &mut self.older {
            Some(older) if at < older.until => &mut older.ruleset,
            _ => &mut self.ruleset,
        };
        ruleset.evaluate(event, &mut |alert| {
            self.tally.add(&alert);
            self.alerts.send(alert);
        });
    }

    fn losses(&mut self, losses: &Losses) -> ControlFlow<()> {
        // Not in the tally: as in Falco, that counts what rules detected.
        let verdict = self.monitor.second(losses, &mut |alert| self.alerts.send(alert));
        self.gave_up |= verdict.is_break();
        verdict
    }

    fn pause(&mut self, pause: &mut Pause<'_>) {
        if self.board.come_by() {
            self.put_up(pause);
        }
        match &self.older {
            Some(older) => {
                let settled = Duration::from_nanos(now().saturating_sub(older.until)) >= SETTLE;
                if settled && pause.caught_up() {
                    self.complete(pause);
                }
            }
            None => {
                if let Ok(change) = self.changes.try_recv() {
                    self.begin(change, pause);
                }
            }
        }
    }
}
