//! What each output delivered, lost, and did for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::choose::Kind;

/// Why an alert did not reach an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossReason {
    /// The output was too far behind: its queue was full.
    QueueFull,
    /// Nothing takes alerts there: no socket, no listener, a closed pipe.
    Absent,
    /// Something takes alerts there, and writing failed.
    Failed,
    /// What takes alerts there took too long.
    Timeout,
    /// Lanner stopped before the alert could be written.
    Shutdown,
}

impl LossReason {
    /// Every reason.
    pub const ALL: [LossReason; 5] = [
        LossReason::QueueFull,
        LossReason::Absent,
        LossReason::Failed,
        LossReason::Timeout,
        LossReason::Shutdown,
    ];

    /// Words for people, and the label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            LossReason::QueueFull => "queue full",
            LossReason::Absent => "absent",
            LossReason::Failed => "failed",
            LossReason::Timeout => "timeout",
            LossReason::Shutdown => "shutdown",
        }
    }
}

/// Counters of one output, written by its thread and by the senders.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    delivered: AtomicU64,
    lost: [AtomicU64; LossReason::ALL.len()],
    retried: AtomicU64,
    restarts: AtomicU64,
    killed: AtomicU64,
}

impl Counters {
    pub(crate) fn deliver(&self, alerts: u64) {
        self.delivered.fetch_add(alerts, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self, reason: LossReason, alerts: u64) {
        self.lost[reason as usize].fetch_add(alerts, Ordering::Relaxed);
    }

    pub(crate) fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn kill(&self) {
        self.killed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn report(&self, kind: Kind) -> OutputReport {
        OutputReport {
            delivered: self.delivered.load(Ordering::Relaxed),
            lost: LossReason::ALL
                .into_iter()
                .map(|reason| (reason, self.lost[reason as usize].load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            retried: self.retried.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            killed: self.killed.load(Ordering::Relaxed),
            ..OutputReport::new(kind)
        }
    }
}

/// What one output delivered and lost so far, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputReport {
    /// The output.
    pub kind: Kind,
    /// Alerts it took.
    pub delivered: u64,
    /// Alerts it did not, by reason; reasons that never happened are left out.
    pub lost: Vec<(LossReason, u64)>,
    /// Alerts that wait in its queue now.
    pub queued: u64,
    /// Alerts its queue can hold.
    pub capacity: u64,
    /// Attempts that were repeated after a failure.
    pub retried: u64,
    /// Starts of a program that was to run on and ended.
    pub restarts: u64,
    /// Programs killed because they took too long.
    pub killed: u64,
}

impl OutputReport {
    /// A report on which nothing has happened yet.
    pub fn new(kind: Kind) -> OutputReport {
        OutputReport {
            kind,
            delivered: 0,
            lost: Vec::new(),
            queued: 0,
            capacity: 0,
            retried: 0,
            restarts: 0,
            killed: 0,
        }
    }

    /// All losses together.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for OutputReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} delivered, {} lost",
            self.kind,
            self.delivered,
            self.lost_total()
        )?;
        for (index, (reason, count)) in self.lost.iter().enumerate() {
            write!(
                f,
                "{}{}: {count}",
                if index == 0 { " (" } else { ", " },
                reason.name()
            )?;
        }
        if !self.lost.is_empty() {
            f.write_str(")")?;
        }
        for (count, what) in [
            (self.retried, "attempts repeated"),
            (self.restarts, "restarts"),
            (self.killed, "killed"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
