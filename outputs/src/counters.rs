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
    /// The receiver does not want it.
    Refused,
    /// It could not be delivered, and the spool is full.
    SpoolFull,
    /// It could not be delivered, and the spool can't be written.
    SpoolFailed,
    /// Lanner stopped before the alert could be written.
    Shutdown,
}

impl LossReason {
    /// Every reason.
    pub const ALL: [LossReason; 8] = [
        LossReason::QueueFull,
        LossReason::Absent,
        LossReason::Failed,
        LossReason::Timeout,
        LossReason::Refused,
        LossReason::SpoolFull,
        LossReason::SpoolFailed,
        LossReason::Shutdown,
    ];

    /// Words for people, and the label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            LossReason::QueueFull => "queue full",
            LossReason::Absent => "absent",
            LossReason::Failed => "failed",
            LossReason::Timeout => "timeout",
            LossReason::Refused => "refused",
            LossReason::SpoolFull => "spool full",
            LossReason::SpoolFailed => "spool failed",
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
    slow: AtomicU64,
    spooled: AtomicU64,
    unspooled: AtomicU64,
    spool_waiting: AtomicU64,
    spool_bytes: AtomicU64,
    spool_damaged: AtomicU64,
}

impl Counters {
    pub(crate) fn retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn spool(&self) {
        self.spooled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unspool(&self) {
        self.unspooled.fetch_add(1, Ordering::Relaxed);
    }

    /// How the spool stands.
    pub(crate) fn spool_is(&self, waiting: u64, bytes: u64, damaged: u64) {
        self.spool_waiting.store(waiting, Ordering::Relaxed);
        self.spool_bytes.store(bytes, Ordering::Relaxed);
        self.spool_damaged.store(damaged, Ordering::Relaxed);
    }

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
            slow: self.slow.load(Ordering::Relaxed),
            spooled: self.spooled.load(Ordering::Relaxed),
            unspooled: self.unspooled.load(Ordering::Relaxed),
            spool_waiting: self.spool_waiting.load(Ordering::Relaxed),
            spool_bytes: self.spool_bytes.load(Ordering::Relaxed),
            spool_damaged: self.spool_damaged.load(Ordering::Relaxed),
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
    /// Alerts that took longer than `output_timeout`, delivered or not.
    pub slow: u64,
    /// Alerts that were put into the spool.
    pub spooled: u64,
    /// Alerts delivered from the spool, those of earlier runs too.
    pub unspooled: u64,
    /// Alerts that wait in the spool now.
    pub spool_waiting: u64,
    /// Bytes of the spool now.
    pub spool_bytes: u64,
    /// Places in the spool that could not be read; each may be one alert or several.
    pub spool_damaged: u64,
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
            slow: 0,
            spooled: 0,
            unspooled: 0,
            spool_waiting: 0,
            spool_bytes: 0,
            spool_damaged: 0,
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
            (self.slow, "slow"),
            (self.spooled, "spooled"),
            (self.unspooled, "delivered from the spool"),
            (self.spool_waiting, "waiting in the spool"),
            (self.spool_damaged, "damages in the spool"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
