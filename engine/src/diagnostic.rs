//! What is wrong with a rules file, where, and what to do about it.

use std::fmt;
use std::ops::Range;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rules are not loaded.
    Error,
    /// The rules are loaded; something in them does less than its author may think.
    Warning,
}

macro_rules! codes {
    ($( $(#[$doc:meta])* $variant:ident $severity:ident $text:literal $title:literal $description:literal; )*) => {
        /// Falco's code of a diagnostic, the same words in text and in JSON.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $( $(#[$doc])* $variant, )* }

        impl Code {
            /// Every code, errors first.
            pub const ALL: &[Code] = &[ $( Code::$variant, )* ];

            /// The code as Falco prints it.
            pub fn as_str(self) -> &'static str {
                match self { $( Code::$variant => $text, )* }
            }

            /// What it is, in a few words.
            pub fn title(self) -> &'static str {
                match self { $( Code::$variant => $title, )* }
            }

            /// What it means (`codedesc` in JSON). As in Falco, a sentence or two for a warning, the title for an error.
            pub fn description(self) -> &'static str {
                match self { $( Code::$variant => $description, )* }
            }

            /// Whether the code is an error or a warning.
            pub fn severity(self) -> Severity {
                match self { $( Code::$variant => Severity::$severity, )* }
            }
        }
    };
}

codes! {
    /// A file can not be read.
    FileRead Error "LOAD_ERR_FILE_READ" "File read error" "File read error";
    /// The file is not YAML.
    YamlParse Error "LOAD_ERR_YAML_PARSE" "YAML parse error" "YAML parse error";
    /// The YAML does not have the shape of rules.
    YamlValidate Error "LOAD_ERR_YAML_VALIDATE" "Error validating internal structure of YAML file" "Error validating internal structure of YAML file";
    /// A condition has a syntax, name, type or value error.
    CompileCondition Error "LOAD_ERR_COMPILE_CONDITION" "Error compiling condition" "Error compiling condition";
    /// An output does not compile.
    CompileOutput Error "LOAD_ERR_COMPILE_OUTPUT" "Error compiling output" "Error compiling output";
    /// Items contradict each other: an undefined macro, an append without target, an engine too old.
    Validate Error "LOAD_ERR_VALIDATE" "Error validating rule/macro/list/exception objects" "Error validating rule/macro/list/exception objects";
    /// The rule's source is not served; the rule is skipped.
    UnknownSource Warning "LOAD_UNKNOWN_SOURCE" "Unknown event source"
        "The rule's event source is not served, as when it belongs to a plugin that is not loaded. The rule is skipped.";
    /// A condition compares a field with the text `<NA>`, which such a field has when it has no value.
    UnsafeNaCheck Warning "LOAD_UNSAFE_NA_CHECK" "Unsafe <NA> comparison in condition"
        "A comparison with <NA> also holds when the field has no value. The operator 'exists' asks whether it has one.";
    /// The rule names no event type and runs on every event.
    NoEventType Warning "LOAD_NO_EVTTYPE" "Condition has no event-type restriction"
        "The condition holds for too many event types, which costs on every event. A check of evt.type confines it.";
    /// The rule is skipped because of an unknown name, as its `skip-if-unknown-filter` asks.
    UnknownFilter Warning "LOAD_UNKNOWN_FILTER" "Unknown field or event-type in condition or output"
        "The condition or the output names a field or an event type that does not exist. It would be an error, but the rule has skip-if-unknown-filter and is skipped.";
    /// No rule uses the macro.
    UnusedMacro Warning "LOAD_UNUSED_MACRO" "Unused macro"
        "No rule and no other macro uses the macro.";
    /// No rule uses the list.
    UnusedList Warning "LOAD_UNUSED_LIST" "Unused list"
        "No rule, no macro and no other list uses the list.";
    /// The item is none of Falco's kinds.
    UnknownItem Warning "LOAD_UNKNOWN_ITEM" "Unknown rules file item"
        "The item is of no known kind. It is ignored.";
    /// Something works but is deprecated.
    DeprecatedItem Warning "LOAD_DEPRECATED_ITEM" "Used deprecated item"
        "A rule, a macro or a list uses something that is deprecated.";
    /// Lanner's own warnings, which Falco has no code for.
    Extension Warning "LOAD_WARNING_EXTENSION" "Warning in extension item"
        "Lanner warns of something that Falco has no code for.";
    /// An exception is appended without values.
    AppendNoValues Warning "LOAD_APPEND_NO_VALUES" "Overriding/appending with no values"
        "An exception is appended to or overridden without values, which changes nothing.";
    /// Two exceptions of a rule have one name.
    ExceptionNameNotUnique Warning "LOAD_EXCEPTION_NAME_NOT_UNIQUE" "Multiple exceptions defined with the same name"
        "Several exceptions of the rule have the same name.";
    /// A macro's name can not be used in a condition.
    InvalidMacroName Warning "LOAD_INVALID_MACRO_NAME" "Invalid macro name"
        "The macro's name can not be written in a condition.";
    /// A list's name can not be used in a condition.
    InvalidListName Warning "LOAD_INVALID_LIST_NAME" "Invalid list name"
        "The list's name does not look like a name in a condition.";
    /// A condition compiles but may not mean what it says.
    ConditionWarning Warning "LOAD_COMPILE_CONDITION" "Warning in rule condition"
        "The condition compiles, but may not mean what it says.";
    /// A key of an item has no meaning.
    UnknownKey Warning "LOAD_UNKNOWN_KEY" "Unknown key"
        "The item has a key without meaning. It is ignored.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of item a diagnostic is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ItemKind {
    Rule,
    Macro,
    List,
    RequiredEngineVersion,
    RequiredPluginVersions,
    Unknown,
    /// A condition by itself.
    Condition,
}

impl ItemKind {
    /// Falco's word for it.
    pub fn word(self) -> &'static str {
        match self {
            ItemKind::Rule => "rule",
            ItemKind::Macro => "macro",
            ItemKind::List => "list",
            ItemKind::RequiredEngineVersion => "required_engine_version",
            ItemKind::RequiredPluginVersions => "required_plugin_versions",
            ItemKind::Unknown => "item",
            ItemKind::Condition => "condition",
        }
    }
}

/// The item a diagnostic is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemName {
    /// Its kind.
    pub kind: ItemKind,
    /// Its name; empty when it has none.
    pub name: String,
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        if !self.name.is_empty() {
            write!(f, " '{}'", self.name)?;
        }
        Ok(())
    }
}

/// The line a diagnostic points at, cut to a readable width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The text of the line, at most [`Snippet::WIDTH`] characters of it.
    pub text: String,
    /// Characters of `text` before the caret.
    pub caret: usize,
    /// How many characters the caret underlines, at least one.
    pub width: usize,
}

impl Snippet {
    /// The most characters of a line that are shown, as in Falco.
    pub const WIDTH: usize = 160;

    /// The line of `text` in which the bytes `range` begin, with the caret under them.
    pub fn of(text: &str, range: Range<usize>) -> Snippet {
        let start = floor(text, range.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        let caret = text[line_start..start].chars().count();
        let end = floor(text, range.end).clamp(start, line_start + line.len().max(start - line_start));
        let width = text[start..end].chars().count().max(1);
        let length = line.chars().count();
        let skip = if length <= Snippet::WIDTH {
            0
        } else {
            caret
                .saturating_sub(Snippet::WIDTH / 2)
                .min(length - Snippet::WIDTH)
        };
        let shown = line.chars().skip(skip).take(Snippet::WIDTH);
        Snippet {
            text: shown.map(|c| if c.is_control() { ' ' } else { c }).collect(),
            caret: caret - skip,
            width: width.min(Snippet::WIDTH.saturating_sub(caret - skip).max(1)),
        }
    }

    /// The lines that show it, the number of the line in their margin.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, number: &str) -> fmt::Result {
        let (margin, caret, width) = (number.len(), self.caret, self.width);
        write!(f, "\n {:margin$} |\n {number} | {}", "", self.text)?;
        write!(f, "\n {:margin$} | {:caret$}{:^<width$}", "", "", "")
    }
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte offset, from 0.
    pub offset: usize,
}

/// What part of an item a diagnostic is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Part {
    /// The item, or one of its keys.
    #[default]
    Item,
    /// Its condition.
    Condition,
    /// Its output.
    Output,
    /// One of its exceptions; the name is empty when it has none.
    Exception(String),
}

/// The character of `text` in which `offset` is: where it begins.
pub(crate) fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A second place that explains the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What is there.
    pub message: String,
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte offset in the file.
    pub offset: usize,
}

/// One thing wrong with the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Falco's code.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The item it was found in.
    pub item: Option<ItemName>,
    /// Where that item begins.
    pub item_at: Option<Position>,
    /// What part of it is meant.
    pub part: Part,
    /// Where that part begins, when it is known.
    pub part_at: Option<Position>,
    /// Name of the file.
    pub file: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 when the whole file is meant.
    pub column: usize,
    /// Byte offset in the file.
    pub offset: usize,
    /// The line it points at.
    pub snippet: Option<Snippet>,
    /// How the rule led there: macros and lists, innermost first.
    pub notes: Vec<Note>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The deprecated field a LOAD_DEPRECATED_ITEM is about (`deprecated_field` in JSON).
    pub deprecated_field: Option<String>,
}

impl Diagnostic {
    /// A file that can not be read, so that there is nothing of it to show. `at` is the line and column (from 1) and the
    /// byte up to which it could be, or nothing for the whole file.
    pub fn unreadable(
        file: &str,
        message: impl Into<String>,
        at: Option<(usize, usize, usize)>,
    ) -> Diagnostic {
        let (line, column, offset) = at.unwrap_or_default();
        Diagnostic {
            severity: Severity::Error,
            code: Code::FileRead,
            message: message.into(),
            item: None,
            item_at: None,
            part: Part::Item,
            part_at: None,
            file: file.to_owned(),
            line,
            column,
            offset,
            snippet: None,
            notes: Vec::new(),
            hint: None,
            deprecated_field: None,
        }
    }

    /// True for an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl std::error::Error for Diagnostic {}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}[{}]: {}", self.code, self.message)?;
        let number = self.line.to_string();
        let margin = number.len();
        if let Some(snippet) = &self.snippet {
            snippet.write(f, &number)?;
        }
        if let Some(item) = &self.item {
            write!(f, "\n {:margin$} = in {item}", "")?;
        }
        for note in &self.notes {
            write!(
                f,
                "\n {:margin$} = {} ({}:{}:{})",
                "", note.message, note.file, note.line, note.column
            )?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n {:margin$} = help: {hint}", "")?;
        }
        Ok(())
    }
}
