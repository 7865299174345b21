//! YAML as a tree of nodes that know where they are and keep the text of their scalars.
//!
//! Falco reads every scalar as text and decides later what it means, so `0x1f`, `1.10` and `yes` must not become
//! numbers or booleans here.

use super::RulesFile;
use super::source::{Place, Report, Scalar};
use crate::diagnostic::{Code, Snippet};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use serde_yaml::budget::BudgetBreach;
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use std::collections::HashMap;
use std::fmt;

/// The most values a file may have, what its aliases stand for counted each time.
const MAX_NODES: usize = 1_000_000;
/// How deep sequences and maps may stand in each other: rules need eight levels, and the parser works by recursion.
const MAX_NESTING: usize = 24;

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`; the text as it is written.
    Null(String),
    Scalar(String),
    Sequence(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// A word for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null(_) => "nothing",
            Value::Scalar(_) => "text",
            Value::Sequence(_) => "a sequence",
            Value::Map(_) => "a map",
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null(_))
    }

    /// The scalar this node is.
    pub(crate) fn scalar(&self) -> Option<Scalar> {
        match &self.value {
            Value::Scalar(text) => Some(Scalar {
                text: text.clone(),
                at: self.at,
            }),
            _ => None,
        }
    }
}

/// Reads every document of file `file`; what is wrong goes to the report. Null documents are left out.
pub(crate) fn read(report: &mut Report, file: usize) -> Vec<Node> {
    let Some(text) = report.files.get(file).map(|f| f.text.as_str()) else {
        return Vec::new();
    };
    if text.len() > RulesFile::MAX_LENGTH {
        report.add_file(Code::YamlParse, file, RulesFile::too_long());
        return Vec::new();
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_NESTING,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_documents: MAX_NODES,
            // What bounds the cost of aliases is what they stand for.
            enforce_alias_anchor_ratio: false,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: MAX_NODES / 4 },
        // As in Falco, where `<<` is a key without meaning.
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
    };
    match serde_yaml::from_multiple_with_options::<RawNode>(text, options) {
        Ok(documents) => {
            let nodes: Vec<Node> = documents
                .into_iter()
                .map(|raw| node(raw, text, file))
                .filter(|node| !node.is_null())
                .collect();
            nodes.iter().for_each(|node| warn_duplicates(report, node));
            nodes
        }
        Err(error) => {
            let error = error.without_snippet();
            let location = error.location();
            let limit = limit(error);
            let is_limit = limit.is_some();
            let message = limit.unwrap_or_else(|| bare_message(&error.to_string()));
            match location.filter(|l| l.line() > 0) {
                Some(location) => {
                    let found = byte_of(text, location.line(), location.column());
                    let start = match message.contains("tab") {
                        true => tab_after(text, found).unwrap_or(found),
                        false => found,
                    };
                    let place = Place {
                        file,
                        start,
                        end: start + 1,
                    };
                    let hint = if is_limit { None } else { yaml_hint(text, start) };
                    report.add(Code::YamlParse, place, None, message).hint = hint;
                }
                None => {
                    report.add_file(Code::YamlParse, file, message);
                }
            }
            Vec::new()
        }
    }
}

/// The message about a limit of ours that the file exceeds.
fn limit(error: &serde_yaml::Error) -> Option<String> {
    use serde_yaml::Error as E;
    Some(match error {
        E::AliasError { error, .. } | E::WithSnippet { error, .. } => return limit(error),
        E::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => too_deep(),
            BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => {
                format!("the file has more than {MAX_NODES} values (aliases count as what they stand for)")
            }
            BudgetBreach::ScalarBytes { .. }
            | BudgetBreach::RecordedAnchorBytes { .. }
            | BudgetBreach::RecordedAnchorEvents { .. } => {
                "the file is too large with what its aliases stand for".into()
            }
            BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
                "the file has too many aliases".into()
            }
            _ => return None,
        },
        E::AliasReplayLimitExceeded { .. } | E::AliasReplayStackDepthExceeded { .. } => {
            "the file is too large with what its aliases stand for".into()
        }
        E::RecursiveReferencesRequireWeakTypes { .. } => "this alias stands for what it is part of".into(),
        _ => return None,
    })
}

fn too_deep() -> String {
    format!("sequences and maps stand in each other more than {MAX_NESTING} deep")
}

/// The library's message without its own position and severity, which the diagnostic prints itself.
fn bare_message(text: &str) -> String {
    let first = text.lines().next().unwrap_or(text);
    let rest = first.strip_prefix("error: ").unwrap_or(first);
    let rest = match rest.strip_prefix("line ").and_then(|r| r.split_once(": ")) {
        Some((position, message)) if position.contains("column") => message,
        _ => rest,
    };
    // Some messages say it at their end as well.
    let rest = match rest.rsplit_once(" at line ") {
        Some((message, position)) if position.contains(", column ") => message,
        _ => rest,
    };
    if rest == "recursion limit exceeded" {
        return too_deep();
    }
    rest.chars().take(Snippet::WIDTH * 2).collect()
}

/// Where the line after the one of `at` is indented with a tab: the library finds it out at the end of this one.
fn tab_after(text: &str, at: usize) -> Option<usize> {
    let next = at + text.get(at..)?.find('\n')? + 1;
    let line = text.get(next..)?.lines().next()?;
    let indent = line.len() - line.trim_start().len();
    line[..indent].find('\t').map(|tab| next + tab)
}

fn yaml_hint(text: &str, at: usize) -> Option<String> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |n| n + 1);
    let line = text.get(start..)?.lines().next()?;
    let tab = |line: &str| line[..line.len() - line.trim_start().len()].contains('\t');
    let hint = if text[at..].starts_with('\0') {
        "the file has NUL characters: is it a text file, and not UTF-16? Save it as UTF-8"
    } else if tab(line) {
        "YAML is indented with spaces; this line has a tab"
    } else if line
        .trim_start()
        .split_once(": ")
        .is_some_and(|(_, v)| v.contains(": "))
    {
        "a value that holds `: ` must be quoted, or written as a block after `>` or `|`"
    } else if line
        .split_once(": ")
        .is_some_and(|(_, v)| v.starts_with(['%', '@', '`', '*', '&']))
    {
        "a value that starts with one of % @ ` * & must be quoted"
    } else {
        "check the indentation, the quotes and the brackets of this line and the line before it"
    };
    Some(hint.into())
}

fn byte_of(text: &str, line: u64, column: u64) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(at) => start += at + 1,
            None => break,
        }
    }
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let rest = text[start..].lines().next().unwrap_or("");
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

fn warn_duplicates(report: &mut Report, node: &Node) {
    match &node.value {
        Value::Sequence(items) => items.iter().for_each(|item| warn_duplicates(report, item)),
        Value::Map(entries) => {
            let mut seen: HashMap<&str, Place> = HashMap::new();
            for (key, value) in entries {
                warn_duplicates(report, value);
                let Value::Scalar(name) = &key.value else { continue };
                if let Some(first) = seen.insert(name, key.at) {
                    let note = report.note(first, "it is given first here, and that value is ignored");
                    let message = format!("duplicate key `{name}`: the later value wins");
                    let diagnostic = report.add(Code::Extension, key.at, None, message);
                    diagnostic.notes.push(note);
                    diagnostic.hint = Some(
                        "remove one of the two; a `- ` missing before the next item also looks like this"
                            .into(),
                    );
                }
            }
        }
        Value::Null(_) | Value::Scalar(_) => {}
    }
}

fn node(raw: RawNode, text: &str, file: usize) -> Node {
    let mut at = Place {
        file,
        start: raw.start as usize,
        end: raw.end as usize,
    };
    let written = || text.get(at.start..at.end).unwrap_or("").to_owned();
    let value = match raw.value {
        Raw::Null => Value::Null(written()),
        Raw::Number => Value::Scalar(written()),
        Raw::Text(text) => Value::Scalar(text),
        Raw::Sequence(items) => Value::Sequence(items.into_iter().map(|i| node(i, text, file)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(k, v)| (node(k, text, file), node(v, text, file)))
                .collect(),
        ),
    };
    let last = match &value {
        Value::Sequence(items) => items.last(),
        Value::Map(entries) => entries.last().map(|(_, value)| value),
        Value::Null(_) | Value::Scalar(_) => None,
    };
    // Of what stands between brackets the library says only where it begins.
    if text
        .get(at.start..)
        .is_some_and(|rest| rest.starts_with(['[', '{']))
        && value_is_collection(&value)
    {
        let inner = last.map_or(at.start + 1, |node| node.at.end);
        let blanks = |c: char| c.is_whitespace() || c == ',';
        let rest = text.get(inner..).unwrap_or("");
        let close = inner + (rest.len() - rest.trim_start_matches(blanks).len());
        if text.get(close..).is_some_and(|rest| rest.starts_with([']', '}'])) {
            at.end = close + 1;
        }
    }
    Node { at, value }
}

fn value_is_collection(value: &Value) -> bool {
    matches!(value, Value::Sequence(_) | Value::Map(_))
}

/// What serde hands over. Numbers and booleans are read again from the source.
enum Raw {
    Null,
    Number,
    Text(String),
    Sequence(Vec<RawNode>),
    Map(Vec<(RawNode, RawNode)>),
}

/// That, and the bytes it stands at: the library's own locations are several times as large as all the rest.
struct RawNode {
    start: u32,
    end: u32,
    value: Raw,
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawNode, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Raw>::deserialize(deserializer)?;
        let number = |value: Option<u64>| value.and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
        let span = defined.span();
        let start = number(span.byte_offset());
        Ok(RawNode {
            start,
            end: start.saturating_add(number(span.byte_len())),
            value,
        })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any YAML value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Number)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Number)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Number)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Number)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Number)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Number)
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Raw, E> {
                Err(E::custom("binary values have no meaning in rules"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(Raw::Sequence(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    all.push(entry);
                }
                Ok(Raw::Map(all))
            }
        }
        deserializer.deserialize_any(RawVisitor)
    }
}
