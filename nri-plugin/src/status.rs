//! What the runtime's side is doing, for the start-up screen, the exit summary and metrics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where the plugin stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Not started yet.
    #[default]
    Starting,
    /// Switched off in the configuration.
    Disabled,
    /// The runtime's socket isn't there (or nobody listens on it): no runtime runs, or its NRI is off.
    WaitingForSocket(String),
    /// Connected; the runtime has not synchronised us yet.
    Connecting,
    /// The runtime knows us and tells us of every container.
    Registered {
        /// `containerd`, `cri-o`.
        runtime: String,
        /// Its version, as it says.
        version: String,
    },
    /// The runtime refused us or the connection broke; another attempt follows.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Starting => out.write_str("starting"),
            State::Disabled => out.write_str("disabled"),
            State::WaitingForSocket(path) => write!(out, "waiting for {path}"),
            State::Connecting => out.write_str("connecting"),
            State::Registered { runtime, version } => write!(out, "connected to {runtime} {version}"),
            State::Failed(reason) => write!(out, "not connected: {reason}"),
        }
    }
}

/// Counters and state, shared with whoever shows them. Every counter only grows, except `containers`.
#[derive(Debug, Default)]
pub struct Status {
    state: Mutex<State>,
    pub(crate) containers: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) unknown_frames: AtomicU64,
    pub(crate) without_cgroup: AtomicU64,
    pub(crate) reconciled: AtomicU64,
    pub(crate) digests_fetched: AtomicU64,
    pub(crate) digests_late: AtomicU64,
    pub(crate) digests_missing: AtomicU64,
    pub(crate) starts: AtomicU64,
    pub(crate) start_reply_total_us: AtomicU64,
    pub(crate) start_reply_max_us: AtomicU64,
}

/// The numbers of a [`Status`] at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSnapshot {
    /// Where the plugin stands.
    pub state: State,
    /// Containers and pod sandboxes in the table now.
    pub containers: u64,
    /// Lifecycle events received.
    pub events: u64,
    /// Times the runtime registered and synchronised us.
    pub connections: u64,
    /// Requests that could not be read or handled; they were answered with success all the same.
    pub errors: u64,
    /// Multiplexer frames of connections nobody listens to.
    pub unknown_frames: u64,
    /// Containers whose cgroup was not found when they started.
    pub without_cgroup: u64,
    /// Containers NRI did not tell of and containerd's own API did.
    pub reconciled: u64,
    /// Image digests that arrived.
    pub digests_fetched: u64,
    /// Containers that started before their digest had arrived.
    pub digests_late: u64,
    /// Digests given up: the image has no record, or containerd did not answer.
    pub digests_missing: u64,
    /// StartContainer events answered.
    pub starts: u64,
    /// Sum of the times from reading a StartContainer to having written the reply, microseconds.
    pub start_reply_total_us: u64,
    /// The longest of those, microseconds.
    pub start_reply_max_us: u64,
}

impl Status {
    /// Where the plugin stands.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a new state; true when it differs from the last one.
    pub(crate) fn enter(&self, state: State) -> bool {
        let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != state;
        *current = state;
        changed
    }

    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A StartContainer was answered after this long.
    pub(crate) fn start_answered(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.start_reply_total_us.fetch_add(micros, Ordering::Relaxed);
        self.start_reply_max_us.fetch_max(micros, Ordering::Relaxed);
    }

    /// Everything as it is now.
    pub fn snapshot(&self) -> StatusSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StatusSnapshot {
            state: self.state(),
            containers: read(&self.containers),
            events: read(&self.events),
            connections: read(&self.connections),
            errors: read(&self.errors),
            unknown_frames: read(&self.unknown_frames),
            without_cgroup: read(&self.without_cgroup),
            reconciled: read(&self.reconciled),
            digests_fetched: read(&self.digests_fetched),
            digests_late: read(&self.digests_late),
            digests_missing: read(&self.digests_missing),
            starts: read(&self.starts),
            start_reply_total_us: read(&self.start_reply_total_us),
            start_reply_max_us: read(&self.start_reply_max_us),
        }
    }
}

/// One line: the state, and how many containers are known.
impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.snapshot();
        write!(out, "{}", now.state)?;
        match now.state {
            State::Disabled => return Ok(()),
            _ => write!(out, ", {} containers", now.containers)?,
        }
        if now.errors > 0 {
            write!(out, ", {} errors", now.errors)?;
        }
        if now.without_cgroup > 0 {
            write!(out, ", {} without a known cgroup", now.without_cgroup)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_where_it_stands_and_what_went_wrong() {
        let status = Status::default();
        assert!(status.enter(State::WaitingForSocket("/var/run/nri/nri.sock".into())));
        assert!(!status.enter(State::WaitingForSocket("/var/run/nri/nri.sock".into())));
        assert_eq!(
            status.to_string(),
            "waiting for /var/run/nri/nri.sock, 0 containers"
        );
        status.enter(State::Registered {
            runtime: "containerd".into(),
            version: "2.1.9".into(),
        });
        status.containers.store(12, Ordering::Relaxed);
        assert_eq!(status.to_string(), "connected to containerd 2.1.9, 12 containers");
        Status::count(&status.without_cgroup);
        assert_eq!(
            status.to_string(),
            "connected to containerd 2.1.9, 12 containers, 1 without a known cgroup"
        );
    }

    #[test]
    fn reply_times_keep_sum_and_maximum() {
        let status = Status::default();
        status.start_answered(Duration::from_micros(40));
        status.start_answered(Duration::from_micros(20));
        let now = status.snapshot();
        assert_eq!(
            (now.starts, now.start_reply_total_us, now.start_reply_max_us),
            (2, 60, 40)
        );
    }
}
