//! What can be wrong with a recording.

use std::path::PathBuf;

/// Why a recording can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file can't be opened, written or read.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause; a part of the text, and not told again as its source.
        reason: std::io::Error,
    },
    /// There is a file already.
    #[error("{0} exists already; --force replaces it")]
    Exists(PathBuf),
    /// Another recorder writes it.
    #[error("another Lanner is recording into {0}: stop it first, or name another file")]
    Busy(PathBuf),
    /// What is there is not a regular file.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// It begins otherwise.
    #[error("this is not a recording of Lanner")]
    NotARecording,
    /// It begins as a capture file of Falco's or Sysdig's does.
    #[error(
        "this is a capture file of Falco or Sysdig (.scap), or compressed: Lanner replays its own recordings only, and those unpacked"
    )]
    Scap,
    /// It was written by a newer Lanner.
    #[error("this recording has version {found}, and this Lanner reads up to version {known}")]
    Version {
        /// The version in the file.
        found: u16,
        /// The newest that is understood.
        known: u16,
    },
    /// The beginning is incomplete, so that nothing can be replayed.
    #[error("the recording is cut at byte {0}, before its first event")]
    Short(u64),
    /// A checksum does not fit, or what is there makes no sense.
    #[error("the recording is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the damaged chunk begins.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Its events can't be understood.
    #[error("the recording was made with another table of events: {0}")]
    Table(String),
    /// The file was not written whole because of an earlier error.
    #[error("the thread that writes the recording is gone")]
    WriterGone,
}
