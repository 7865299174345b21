//! Two agents of one name: the newer asks the older to hand over, and the older leaves.
//!
//! Both capture for a moment. They agree on a time shortly ahead: events before it are the older's to judge, the others the
//! newer's. The kernel shows an event to the older's programs first, so none is missed, and one that happens within the
//! microsecond can be judged by both. The older judges what it has, delivers its alerts and ends; should it not answer, both
//! go on, and alerts come twice.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lanner_capture::Window;
use lanner_schema::container::Container;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::sync::watch;

use crate::command::containers::Row;
use crate::control::{Connection, Request};

/// How far ahead the time is that two agents agree on: far enough for the newer to be ready then.
const AHEAD: Duration = Duration::from_millis(100);
/// How long an older agent may take to leave: its alerts are delivered meanwhile.
const LEAVING: Duration = Duration::from_secs(10);
/// An agent that is younger than this when it is asked to hand over is one of a row.
const ROW: Duration = Duration::from_secs(60);
/// So many agents in a row may take over. Two services that both start Lanner again when it ends would go on for ever.
pub(crate) const MOST_IN_A_ROW: u64 = 4;
/// How long another agent of this name may take to start.
const STARTING: Duration = Duration::from_secs(20);

/// Who leaves to whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Nanoseconds since boot: events from then on are the newer agent's.
    pub(crate) at: u64,
    /// The newer agent's process id, where it can be told.
    pub(crate) to: Option<i32>,
}

/// The older agent's side.
#[derive(Debug)]
pub(crate) struct Handover {
    window: Arc<Window>,
    claimed: AtomicBool,
    leaving: watch::Sender<Option<Leaving>>,
    /// How many agents took over one after another, up to this one.
    in_a_row: u64,
    since: Instant,
}

impl Handover {
    /// For an agent that shows the events of this window, and is the last of so many that took over in a row.
    pub(crate) fn new(window: Arc<Window>, in_a_row: u64) -> Arc<Handover> {
        Arc::new(Handover {
            window,
            claimed: AtomicBool::new(false),
            leaving: watch::Sender::new(None),
            in_a_row,
            since: Instant::now(),
        })
    }

    /// How many took over in a row, for one that asks now.
    pub(crate) fn in_a_row(&self) -> u64 {
        match self.since.elapsed() < ROW {
            true => self.in_a_row,
            false => 0,
        }
    }

    /// Waits until the agent is to leave: the time from which on events are no longer its own has come.
    pub(crate) async fn wait(&self) -> Leaving {
        let mut leaving = self.leaving.subscribe();
        // The sender lives as long as this value.
        let leaving = match leaving
            .wait_for(Option::is_some)
            .await
            .map(|leaving| leaving.clone())
        {
            Ok(Some(leaving)) => leaving,
            _ => std::future::pending().await,
        };
        let left = leaving.at.saturating_sub(lanner_capture::now());
        tokio::time::sleep(Duration::from_nanos(left)).await;
        leaving
    }

    /// Reserves the agent for one that is newer. `None` when another did.
    pub(crate) fn claim(self: &Arc<Self>) -> Option<Claim> {
        (!self.claimed.swap(true, Ordering::AcqRel)).then(|| Claim(Arc::clone(self)))
    }
}

/// A newer agent's hold on this one; without [`Claim::leave`] nothing comes of it.
#[derive(Debug)]
pub(crate) struct Claim(Arc<Handover>);

impl Claim {
    /// Lets the agent leave.
    pub(crate) fn leave(&self, leaving: Leaving) {
        self.0.window.close_at(leaving.at);
        self.0.leaving.send_replace(Some(leaving));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.claimed.store(false, Ordering::Release);
    }
}

/// The right to be the one agent of this name that starts.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Holds the lock; the file stays, for others wait with it.
    _lock: Option<File>,
}

impl Turn {
    /// Waits for the right. After a while it is had anyway: an agent that hangs while it starts keeps nobody from watching.
    pub(crate) async fn wait(socket: &Path) -> Turn {
        let lock = match open_lock(socket) {
            Ok(lock) => lock,
            Err(error) => {
                tracing::debug!("{}: {error}: no other agent is waited for", socket.display());
                return Turn { _lock: None };
            }
        };
        let deadline = Instant::now() + STARTING;
        loop {
            match lock.try_lock() {
                Ok(()) => return Turn { _lock: Some(lock) },
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => {
                    tracing::warn!("{}: another Lanner has been starting for long", socket.display());
                    return Turn { _lock: None };
                }
            }
        }
    }
}

fn open_lock(socket: &Path) -> io::Result<File> {
    if let Some(directory) = socket.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(PathBuf::from(path))
}

/// An older agent, reserved for this one.
#[derive(Debug)]
pub(crate) struct Older {
    connection: Connection,
    /// What it said of itself.
    said: Value,
}

/// What is found at a control socket.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nobody, or a socket that was left behind.
    Nobody,
    /// An agent that hands over.
    Older(Older),
    /// An agent that goes on, and why.
    Beside(String),
}

/// Looks for an older agent; `replace` says whether it shall hand over.
pub(crate) async fn find(socket: &Path, replace: bool) -> Found {
    let mut connection = match Connection::open(socket).await {
        Ok(connection) => connection,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    // Of a runtime_directory that is a file; that there will be no socket is said later.
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            return Found::Nobody;
        }
        Err(error) => {
            return Found::Beside(format!(
                "what listens at {} can't be asked: {error}",
                socket.display()
            ));
        }
    };
    let process = connection.process();
    let request = match replace {
        true => Request::Handover,
        false => Request::Status,
    };
    match connection.ask(request).await {
        Ok(said) if said["error"].is_null() && replace => Found::Older(Older { connection, said }),
        Ok(said) => {
            let why = match said["error"].as_str() {
                Some(error) => format!(", which says: {error}"),
                None => String::new(),
            };
            Found::Beside(format!("{process} watches this host too{why}"))
        }
        Err(error) => Found::Beside(format!("{process} does not answer: {error}")),
    }
}

impl Older {
    /// It, for people.
    pub(crate) fn process(&self) -> String {
        self.connection.process()
    }

    /// The containers it knows.
    pub(crate) fn containers(&self) -> Vec<Container> {
        let rows = Vec::<Row>::deserialize(&self.said["containers"]).unwrap_or_default();
        rows.into_iter().filter_map(Row::container).collect()
    }

    /// How many agents will have taken over in a row when this one does.
    pub(crate) fn in_a_row(&self) -> u64 {
        self.said["in_a_row"].as_u64().unwrap_or(0) + 1
    }

    /// Whether the container runtime tells it of containers.
    pub(crate) fn is_connected(&self) -> bool {
        self.said["connected"] == true
    }

    /// Agrees on a time, and waits until the older agent is gone. `window` is that of this agent, which captures already and
    /// shows nothing.
    ///
    /// # Errors
    /// When the older agent does not answer, or not leave; from then on this one shows every event.
    pub(crate) async fn take(mut self, window: &Window) -> io::Result<()> {
        let ahead = u64::try_from(AHEAD.as_nanos()).unwrap_or(0);
        let at = loop {
            let at = lanner_capture::now() + ahead;
            window.open_at(at);
            // Put off for so long in between that the time has passed: what came since would be lost.
            if lanner_capture::now() < at {
                break at;
            }
        };
        let answer = self.connection.ask(Request::Until(at)).await?;
        if let Some(error) = answer["error"].as_str() {
            return Err(io::Error::other(error.to_owned()));
        }
        tokio::time::timeout(LEAVING, self.connection.closed()).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_is_claimed_once_at_a_time_and_leaves_when_the_time_has_come() {
        let window = Arc::new(Window::default());
        let handover = Handover::new(Arc::clone(&window), 2);
        assert_eq!(handover.in_a_row(), 2);
        let first = handover.claim().unwrap();
        assert!(handover.claim().is_none());
        drop(first);
        let second = handover.claim().unwrap();
        let at = lanner_capture::now() + 20_000_000;
        second.leave(Leaving { at, to: Some(7) });
        let leaving = handover.wait().await;
        assert_eq!((leaving.at, leaving.to), (at, Some(7)));
        assert!(lanner_capture::now() >= at);
    }

    #[tokio::test]
    async fn agents_start_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lanner.sock");
        let turn = Turn::wait(&socket).await;
        let next = tokio::time::timeout(Duration::from_millis(100), Turn::wait(&socket));
        assert!(next.await.is_err());
        drop(turn);
        assert!(Turn::wait(&socket).await._lock.is_some());
    }

    #[tokio::test]
    async fn nobody_is_found_where_a_socket_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lanner.sock");
        assert!(matches!(find(&socket, true).await, Found::Nobody));
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(matches!(find(&socket, true).await, Found::Nobody));
        let below = socket.join("lanner.sock");
        assert!(matches!(find(&below, true).await, Found::Nobody));
    }
}
