//! What the runtime's side is doing, for the start-up screen, the exit summary and metrics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::latency::{Histogram, Latency};

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
        /// The version of NRI it has, from those that say so (0.12); empty otherwise.
        nri: String,
    },
    /// What is at the runtime's socket's path is none, and will not become one by itself.
    NoSocket(String),
    /// The runtime refused us or the connection broke; another attempt follows.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Starting => out.write_str("starting"),
            State::Disabled => out.write_str("disabled"),
            State::WaitingForSocket(path) => write!(out, "waiting for {path}"),
            State::NoSocket(what) => write!(out, "{what}"),
            State::Connecting => out.write_str("connecting"),
            State::Registered {
                runtime,
                version,
                nri,
            } => {
                write!(out, "connected to {runtime} {version}")?;
                match nri.is_empty() {
                    true => Ok(()),
                    false => write!(out, " (NRI {nri})"),
                }
            }
            State::Failed(reason) => write!(out, "not connected: {reason}"),
        }
    }
}

/// What may be wrong with a runtime's messages. Each is said once, and counted however often it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    UnknownConnection,
    Unreadable,
    Incomplete,
    Id,
    Full,
    Cut,
    WithoutCgroup,
    Panic,
    NotNotified,
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
    pub(crate) refused: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) searches: AtomicU64,
    pub(crate) reconciled: AtomicU64,
    pub(crate) sightings_dropped: AtomicU64,
    pub(crate) digests_fetched: AtomicU64,
    pub(crate) digests_kept: AtomicU64,
    pub(crate) digests_late: AtomicU64,
    pub(crate) digests_missing: AtomicU64,
    pub(crate) cri_answers: AtomicU64,
    pub(crate) cri_late: AtomicU64,
    pub(crate) cri_missing: AtomicU64,
    pub(crate) notified: AtomicU64,
    pub(crate) not_notified: AtomicU64,
    pub(crate) starts: Histogram,
    pub(crate) replies: Histogram,
    /// A bit per [`Complaint`] that was made.
    said: AtomicU64,
    /// Those who have been asked what runs and have not answered yet.
    listing: AtomicU64,
}

/// Somebody who is asked what runs, until the first answer, or until it is clear that none comes: whatever ends this value.
#[derive(Debug)]
pub(crate) struct Listing(Arc<Status>);

impl Listing {
    pub(crate) fn begin(status: &Arc<Status>) -> Listing {
        Status::count(&status.listing);
        Listing(Arc::clone(status))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.0.listing.fetch_sub(1, Ordering::Release);
    }
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
    /// Bugs of Lanner while it handled a request, or around it. They are caught, and the request answered with success.
    pub panics: u64,
    /// Containers that were not taken in: their id is none, or there are too many.
    pub refused: u64,
    /// Labels and texts that were too long to keep.
    pub cut: u64,
    /// Containers whose cgroup was looked for after the reply, since it could not be found at once.
    pub searches: u64,
    /// Multiplexer frames of connections nobody listens to.
    pub unknown_frames: u64,
    /// Containers whose cgroup was not found when they started.
    pub without_cgroup: u64,
    /// Containers NRI did not tell of: from containerd's, docker's or podman's API, from files, or seen by their cgroup.
    pub reconciled: u64,
    /// Containers seen by their cgroup that nobody could be asked about: too many at once.
    pub sightings_dropped: u64,
    /// Image digests that arrived.
    pub digests_fetched: u64,
    /// Image digests that were known from a container of the same image before.
    pub digests_kept: u64,
    /// Containers that started before their digest had arrived.
    pub digests_late: u64,
    /// Digests given up: the image has no record, or containerd did not answer.
    pub digests_missing: u64,
    /// Answers of the runtime's CRI service, about pods' networks and images' ids.
    pub cri_answers: u64,
    /// Containers that started before those about them had arrived.
    pub cri_late: u64,
    /// Those given up: the runtime does not know, or did not answer.
    pub cri_missing: u64,
    /// Containers that were given a seccomp policy which notifies, because their pods ask for it.
    pub notified: u64,
    /// Containers that ask for one and got none.
    pub not_notified: u64,
    /// From reading a StartContainer to having written the reply: the container's first instruction waits for it.
    pub starts: Latency,
    /// The same of every request.
    pub replies: Latency,
}

impl Status {
    /// Where the plugin stands.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True while somebody who was asked what runs already, beside NRI, has not answered for the first time.
    pub fn is_listing(&self) -> bool {
        self.listing.load(Ordering::Acquire) > 0
    }

    /// Notes a new state; true when it differs from the last one.
    pub(crate) fn enter(&self, state: State) -> bool {
        let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != state;
        *current = state;
        changed
    }

    pub(crate) fn count(counter: &AtomicU64) {
        Self::add(counter, 1);
    }

    pub(crate) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    /// True the first time that a complaint is made. What happens again is in the counters.
    pub(crate) fn first(&self, complaint: Complaint) -> bool {
        let bit = 1 << complaint as u64;
        self.said.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// A runtime behaved for a while: what is wrong from now on is news.
    pub(crate) fn forget_complaints(&self) {
        self.said.store(0, Ordering::Relaxed);
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
            panics: read(&self.panics),
            refused: read(&self.refused),
            cut: read(&self.cut),
            searches: read(&self.searches),
            reconciled: read(&self.reconciled),
            sightings_dropped: read(&self.sightings_dropped),
            digests_fetched: read(&self.digests_fetched),
            digests_kept: read(&self.digests_kept),
            digests_late: read(&self.digests_late),
            digests_missing: read(&self.digests_missing),
            cri_answers: read(&self.cri_answers),
            cri_late: read(&self.cri_late),
            cri_missing: read(&self.cri_missing),
            notified: read(&self.notified),
            not_notified: read(&self.not_notified),
            starts: self.starts.read(),
            replies: self.replies.read(),
        }
    }
}

impl Status {
    /// What is said at the end: the line of the state, and how long the runtime waited for replies.
    pub fn report(&self) -> String {
        let (starts, replies) = (self.starts.read(), self.replies.read());
        let mut text = self.to_string();
        if replies.count > 0 {
            text.push_str(&format!("\n  requests answered: {replies}"));
        }
        if starts.count > 0 {
            text.push_str(&format!("\n  container starts answered: {starts}"));
        }
        text
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
        for (count, what) in [
            (now.without_cgroup, "without a known cgroup"),
            (now.refused, "refused"),
            (now.cut, "labels and texts cut"),
            (now.panics, "panics"),
        ] {
            if count > 0 {
                write!(out, ", {count} {what}")?;
            }
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
            nri: String::new(),
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
    fn the_report_says_how_long_the_runtime_waited() {
        let status = Status::default();
        assert_eq!(status.report(), status.to_string());
        status.replies.add(std::time::Duration::from_micros(70));
        status.replies.add(std::time::Duration::from_micros(12));
        status.starts.add(std::time::Duration::from_micros(70));
        assert!(
            status.report().ends_with(
                "\n  requests answered: 2 in 12 µs (median), 70 µs (p99), 70 µs at most\
                 \n  container starts answered: 1 in 70 µs (median), 70 µs (p99), 70 µs at most"
            ),
            "{}",
            status.report()
        );
    }

    #[test]
    fn it_lists_until_everybody_has_answered() {
        let status = Arc::<Status>::default();
        let (one, other) = (Listing::begin(&status), Listing::begin(&status));
        drop(one);
        assert!(status.is_listing());
        drop(other);
        assert!(!status.is_listing());
    }

    #[test]
    fn a_complaint_is_made_once_until_the_runtime_behaved() {
        let status = Status::default();
        assert!(status.first(Complaint::Unreadable) && !status.first(Complaint::Unreadable));
        assert!(status.first(Complaint::Panic));
        status.forget_complaints();
        assert!(status.first(Complaint::Unreadable));
    }

    #[test]
    fn a_runtime_that_says_which_nri_it_has_is_believed() {
        let state = State::Registered {
            runtime: "containerd".into(),
            version: "2.3.4".into(),
            nri: "0.12.0".into(),
        };
        assert_eq!(state.to_string(), "connected to containerd 2.3.4 (NRI 0.12.0)");
    }
}
