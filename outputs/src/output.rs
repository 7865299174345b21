//! What an output is: one trait, one error, and the table of all of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lanner_schema::alert::Alert;

use crate::choose::{Config, Kind};
use crate::counters::{Counters, LossReason};
use crate::ending::Ending;
use crate::http::Http;
use crate::sending::Sending;
use crate::{file, journald, kept_program, program, stdout, syslog};

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
    /// A program can't be started.
    #[error("cannot start the program: {cause}")]
    Start { cause: std::io::Error },
    /// A program ended, and not well.
    #[error("the program ended with {status}")]
    Ended { status: std::process::ExitStatus },
    /// A receiver does not want it.
    #[error("{target} answers {status}")]
    Refused { target: String, status: u16 },
    /// What the configuration names can't be used.
    #[error("{what}: {cause}")]
    Setting { what: String, cause: String },
    /// The alert could not be delivered and found no place in the spool.
    #[error("the spool is full: it may have {max} bytes (outputs_spool.max_size_mb)")]
    SpoolFull { max: u64 },
    /// The alert could not be delivered, and not be kept either.
    #[error("{cause}")]
    Spool { cause: String },
    /// There is no time for it any more.
    #[error("no time is left for them, as Lanner ends")]
    Ending,
    /// It took too long.
    #[error("{target} took longer than {limit:?}")]
    Timeout { target: String, limit: Duration },
}

impl OutputError {
    pub(crate) fn reason(&self) -> LossReason {
        match self {
            OutputError::NoListener { .. } | OutputError::Closed { .. } => LossReason::Absent,
            OutputError::Ending => LossReason::Shutdown,
            OutputError::Timeout { .. } => LossReason::Timeout,
            OutputError::Refused { .. } => LossReason::Refused,
            OutputError::SpoolFull { .. } => LossReason::SpoolFull,
            OutputError::Spool { .. } => LossReason::SpoolFailed,
            OutputError::Setting { .. }
            | OutputError::Open { .. }
            | OutputError::Write { .. }
            | OutputError::Start { .. }
            | OutputError::Ended { .. } => LossReason::Failed,
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
    /// It is on disk and will be sent.
    Spooled,
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

    /// When [`Output::flush`] is to be called again though no alert comes.
    fn wake(&self) -> Option<Duration> {
        None
    }

    /// Called once, after the last alert: ends what the output keeps running. Gives what [`Output::flush`] does.
    fn finish(&mut self) -> Result<u64, FlushError> {
        self.flush()
    }
}

/// What an output shares with its queue.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) counters: Arc<Counters>,
    pub(crate) ending: Arc<Ending>,
    /// `output_timeout`: an alert that takes longer is told of.
    pub(crate) timeout: Option<Duration>,
}

/// Makes the output `kind`. A new output is a file, a [`Kind`] and a row here.
pub(crate) fn make(kind: Kind, config: &Config, context: &Context) -> Option<Box<dyn Output>> {
    Some(match kind {
        Kind::Stdout => Box::new(stdout::Stdout::new(config.buffered)),
        Kind::File => Box::new(file::File::new(config.file.as_ref()?, config.buffered)),
        Kind::Syslog => Box::new(syslog::Syslog::new(&config.syslog_socket)),
        Kind::Http => {
            let http = config.http.as_ref()?;
            let transport = Http::new(http, config.timeout, config.json);
            Box::new(Sending::new(
                kind,
                transport,
                http.retries,
                config.spool.as_ref(),
                context,
            ))
        }
        #[cfg(feature = "otlp")]
        Kind::Otlp => {
            let transport = crate::otlp::Otlp::new(config.otlp.as_ref()?, config.timeout);
            let retries = crate::HttpConfig::RETRIES;
            Box::new(Sending::new(
                kind,
                transport,
                retries,
                config.spool.as_ref(),
                context,
            ))
        }
        #[cfg(not(feature = "otlp"))]
        Kind::Otlp => return None,
        Kind::Program => match config.program.as_ref()? {
            program if program.keep_alive => Box::new(kept_program::KeptProgram::new(program, context)),
            program => Box::new(program::Program::new(program, context)),
        },
        Kind::Journald => Box::new(journald::Journal::new(&config.journal_socket)),
    })
}
