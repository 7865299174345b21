//! What an output is: one trait, one error, and the table of all of them.

use std::path::PathBuf;

use lanner_schema::alert::Alert;

use crate::choose::{Config, Kind};
use crate::counters::LossReason;
use crate::{file, journald, stdout, syslog};

/// Why an output did not take an alert.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Nobody listens on the socket.
    #[error("nothing listens on {socket}: {cause}")]
    NoListener { socket: PathBuf, cause: std::io::Error },
    /// The reader of the pipe is gone.
    #[error("{target} is closed: {cause}")]
    Closed { target: String, cause: std::io::Error },
    /// A file can't be opened.
    #[error("cannot open {path}: {cause}")]
    Open { path: PathBuf, cause: std::io::Error },
    /// Writing failed.
    #[error("cannot write to {target}: {cause}")]
    Write { target: String, cause: std::io::Error },
}

impl OutputError {
    pub(crate) fn reason(&self) -> LossReason {
        match self {
            OutputError::NoListener { .. } | OutputError::Closed { .. } => LossReason::Absent,
            OutputError::Open { .. } | OutputError::Write { .. } => LossReason::Failed,
        }
    }
}

/// A flush that failed, and what became of the alerts that were held.
#[derive(Debug)]
pub(crate) struct FlushError {
    pub(crate) written: u64,
    pub(crate) lost: u64,
    pub(crate) error: OutputError,
}

/// What became of an alert that was handed to an output without error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is written.
    Written,
    /// It waits in the output's buffer for [`Output::flush`].
    Held,
}

/// An output. It runs on a thread of its own and may block there.
pub(crate) trait Output: Send {
    /// Takes an alert.
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError>;

    /// Writes what is held; called when the queue runs empty. Gives how many alerts were written.
    fn flush(&mut self) -> Result<u64, FlushError> {
        Ok(0)
    }

    /// True when so much is held that it should be flushed now.
    fn is_full(&self) -> bool {
        false
    }

    /// Closes what is open so that the next alert opens it anew (log rotation).
    fn reopen(&mut self) {}
}

/// Makes the output `kind`. A new output is a file, a [`Kind`] and a row here.
pub(crate) fn make(kind: Kind, config: &Config) -> Option<Box<dyn Output>> {
    Some(match kind {
        Kind::Stdout => Box::new(stdout::Stdout::new(config.buffered)),
        Kind::File => Box::new(file::File::new(config.file.as_ref()?, config.buffered)),
        Kind::Syslog => Box::new(syslog::Syslog::new(&config.syslog_socket)),
        Kind::Journald => Box::new(journald::Journal::new(&config.journal_socket)),
    })
}
