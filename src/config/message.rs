//! What is wrong with the configuration, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanner_engine::Snippet;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file, with line and column from 1; both 0 when the file as a whole is meant.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: u64,
        /// The column.
        column: u64,
    },
    /// On the command line, as `-o KEY=VALUE`.
    Option(Arc<str>),
}

impl Place {
    /// A file as a whole.
    pub(crate) fn file(path: &Path) -> Place {
        let path = path.into();
        Place::File {
            path,
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Place::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Option(text) => write!(f, "-o {text}"),
        }
    }
}

/// How bad a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Lanner does not start.
    Error,
    /// Something does less than its author may think.
    Warning,
    /// Good to know.
    Info,
}

/// One remark about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// How bad it is.
    pub(crate) level: Level,
    /// Where.
    pub(crate) place: Place,
    /// What is wrong, in one sentence.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The most of a file that is read once more to show a line of it.
const SHOWN_MAX: u64 = 16 << 20;

impl Message {
    /// The line it is about, with a caret below the place; nothing where that is not in a file that can be read once more.
    pub(crate) fn snippet(&self) -> Option<String> {
        let Place::File { path, line, column } = &self.place else {
            return None;
        };
        // Pipes and devices have given what they had.
        let facts = std::fs::metadata(path).ok().filter(|facts| facts.is_file())?;
        if facts.len() > SHOWN_MAX {
            return None;
        }
        let text = std::fs::read_to_string(path).ok()?;
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        let start = text
            .split_inclusive('\n')
            .take(index)
            .map(str::len)
            .sum::<usize>();
        let rest = text.get(start..)?;
        let within = rest.lines().next()?;
        let before = usize::try_from(column.saturating_sub(1)).ok()?;
        let at: usize = within.chars().take(before).map(char::len_utf8).sum();
        let shown = Snippet::of(&text, start + at..start + at + 1);
        let number = line.to_string();
        let (margin, caret) = (number.len(), shown.caret);
        Some(format!(
            " {:margin$} |\n {number} | {}\n {:margin$} | {:caret$}^\n",
            "", shown.text, "", ""
        ))
    }
}

/// Messages in the order they were found.
#[derive(Debug, Default)]
pub(crate) struct Messages(pub(crate) Vec<Message>);

impl Messages {
    pub(crate) fn add(&mut self, level: Level, place: &Place, text: impl Into<String>, hint: Option<String>) {
        self.0.push(Message {
            level,
            place: place.clone(),
            text: text.into(),
            hint,
        });
    }

    pub(crate) fn error(&mut self, place: &Place, text: impl Into<String>, hint: impl Into<String>) {
        self.add(Level::Error, place, text, Some(hint.into()));
    }

    /// What keeps Lanner from starting.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &Message> {
        self.0.iter().filter(|message| message.level == Level::Error)
    }

    /// True when Lanner must not start.
    pub(crate) fn refused(&self) -> bool {
        self.errors().next().is_some()
    }
}

/// The configuration can't be used at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file that was asked for can't be read.
    #[error("cannot read the configuration {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
}
