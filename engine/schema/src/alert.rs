//! An alert: what a rule that matched hands to the outputs.

use std::fmt;
use std::sync::Arc;

/// True for characters that turn the direction of writing: on a terminal what stands around them is read in another order.
pub fn turns_writing(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How bad it is; the order of syslog's severities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Priority {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Informational,
    Debug,
}

impl Priority {
    /// Every priority, worst first.
    pub const ALL: [Priority; 8] = [
        Priority::Emergency,
        Priority::Alert,
        Priority::Critical,
        Priority::Error,
        Priority::Warning,
        Priority::Notice,
        Priority::Informational,
        Priority::Debug,
    ];

    /// The word alerts print.
    pub fn word(self) -> &'static str {
        match self {
            Priority::Emergency => "Emergency",
            Priority::Alert => "Alert",
            Priority::Critical => "Critical",
            Priority::Error => "Error",
            Priority::Warning => "Warning",
            Priority::Notice => "Notice",
            Priority::Informational => "Informational",
            Priority::Debug => "Debug",
        }
    }

    /// Reads a priority, in any case; `info` is short for Informational.
    pub fn parse(word: &str) -> Option<Priority> {
        Priority::ALL
            .into_iter()
            .find(|p| p.word().eq_ignore_ascii_case(word))
            .or_else(|| {
                word.eq_ignore_ascii_case("info")
                    .then_some(Priority::Informational)
            })
    }

    /// Syslog's severity, 0 to 7.
    pub fn severity(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The value of an output field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// Missing: `null` in JSON, `<NA>` in text.
    Missing,
    /// True or false.
    Bool(bool),
    /// A signed number.
    I64(i64),
    /// An unsigned number.
    U64(u64),
    /// A fraction.
    F64(f64),
    /// Text, valid UTF-8.
    Text(String),
    /// A list.
    List(Vec<FieldValue>),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Missing => f.write_str("<NA>"),
            FieldValue::Bool(value) => write!(f, "{value}"),
            FieldValue::I64(value) => write!(f, "{value}"),
            FieldValue::U64(value) => write!(f, "{value}"),
            FieldValue::F64(value) => write!(f, "{value:.1}"),
            FieldValue::Text(text) => f.write_str(text),
            FieldValue::List(items) => {
                f.write_str("(")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// When the event happened, nanoseconds since the epoch.
    pub time: u64,
    /// The rule's priority.
    pub priority: Priority,
    /// The rule's name.
    pub rule: Arc<str>,
    /// The rule's source (`syscall`).
    pub source: Arc<str>,
    /// The rule's tags, sorted.
    pub tags: Arc<[String]>,
    /// The formatted output, without time and priority.
    pub message: String,
    /// Every field of the output, sorted by name.
    pub fields: Vec<(Arc<str>, FieldValue)>,
    /// The whole alert as one line without its newline: Falco's text line, or its JSON object when `json_output` is on.
    pub line: String,
}
