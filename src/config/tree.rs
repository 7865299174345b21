//! A configuration as a tree whose nodes know where they were written.
//!
//! Scalars stay text until a key asks for a number or a truth value, as in Falco: `"true"`, `yes` and `${VAR}` that
//! expands to `true` all mean the same.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Spanned};

use super::env;
use super::message::{Level, Message, Messages, Place};

/// A node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where it was written.
    pub(crate) at: Place,
    /// What it is.
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Where the key was written.
    pub(crate) at: Place,
    pub(crate) node: Node,
}

/// A value of the wrong type: what was expected, and perhaps what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) expected: String,
    pub(crate) hint: Option<String>,
    /// Where and what it is, when it is one item of the value.
    pub(crate) item: Option<(Place, String)>,
}

impl Wrong {
    pub(crate) fn new(expected: impl Into<String>) -> Wrong {
        Wrong {
            expected: expected.into(),
            hint: None,
            item: None,
        }
    }

    /// The same mistake, of a key that can say better what it expects.
    pub(crate) fn of(self, expected: impl Into<String>) -> Wrong {
        Wrong {
            expected: expected.into(),
            ..self
        }
    }

    pub(crate) fn with_item(self, item: &Node) -> Wrong {
        Wrong {
            item: Some((item.at.clone(), item.describe())),
            ..self
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Wrong {
        Wrong {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl Node {
    /// What it is, in words, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Scalar(text) if text.chars().count() > 60 => {
                format!("\"{}…\"", text.chars().take(60).collect::<String>())
            }
            Value::Scalar(text) => format!("\"{text}\""),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }

    /// True for nothing, an empty text, list or map.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Scalar(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    pub(crate) fn text(&self) -> Result<&str, Wrong> {
        match &self.value {
            Value::Scalar(text) => Ok(text),
            _ => Err(Wrong::new("text")),
        }
    }

    pub(crate) fn truth(&self) -> Result<bool, Wrong> {
        let wrong = || Wrong::new("true or false");
        match self.text().map_err(|_| wrong())?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Ok(true),
            "false" | "no" | "off" | "n" => Ok(false),
            _ => Err(wrong()),
        }
    }

    pub(crate) fn number(&self) -> Result<u64, Wrong> {
        let wrong = || Wrong::new("a whole number, 0 or more");
        self.text().map_err(|_| wrong())?.parse().map_err(|_| wrong())
    }

    /// A list of texts; one text stands for a list of one.
    pub(crate) fn texts(&self) -> Result<Vec<String>, Wrong> {
        self.each(|item| item.text().map(str::to_owned))
            .map_err(|wrong| wrong.of("a list of texts"))
    }

    /// A list whose items `read` takes; one value stands for a list of one.
    pub(crate) fn each<T>(&self, read: impl Fn(&Node) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
        match &self.value {
            Value::Null => Ok(Vec::new()),
            Value::Scalar(_) | Value::Map(_) => Ok(vec![read(self)?]),
            Value::List(items) => items
                .iter()
                .map(|item| read(item).map_err(|wrong| wrong.with_item(item)))
                .collect(),
        }
    }

    /// The value below this key.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| &entry.node),
            _ => None,
        }
    }
}

/// How deep lists and maps may stand in each other.
const MAX_DEPTH: usize = 24;

/// Reads a YAML text; keys that are there twice stay, see [`settle_duplicates`]. Environment variables in its scalars are replaced when `expand` is set.
pub(crate) fn parse(text: &str, place: &Place, expand: bool) -> Result<Node, Message> {
    let options = serde_yaml::options! {
        // More than any key needs: the parser works by recursion.
        budget: serde_yaml::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    match serde_yaml::from_str_with_options::<Option<Spanned<Raw>>>(text, options) {
        Ok(Some(raw)) => Ok(node(raw, text, place, expand)),
        Ok(None) => Ok(Node {
            at: place.clone(),
            value: Value::Null,
        }),
        Err(error) => {
            let error = error.without_snippet();
            let at = error
                .location()
                .map_or_else(|| place.clone(), |location| at(place, location));
            let said = error.to_string();
            let said = bare(&said);
            let (text, hint) = match limit(said) {
                Some(limit) => (limit, None),
                None => (
                    format!("this is not YAML: {said}"),
                    yaml_hint(said, text, error.location()),
                ),
            };
            Err(Message {
                level: Level::Error,
                place: at,
                text,
                hint,
            })
        }
    }
}

/// Reads a YAML file's text.
pub(crate) fn parse_file(text: &str, path: &Path) -> Result<Node, Message> {
    parse(text, &Place::file(path), true)
}

/// Of keys that are there twice the later stays, as for rules files; the reader of the configuration is told.
pub(crate) fn settle_duplicates(node: &mut Node, messages: &mut Messages) {
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| settle_duplicates(item, messages)),
        Value::Map(entries) => {
            let mut last: HashMap<String, Place> = HashMap::new();
            let mut kept = Vec::with_capacity(entries.len());
            for mut entry in entries.drain(..).rev() {
                if let Some(later) = last.get(&entry.name) {
                    let text = format!("the key {} is there twice, this later value counts", entry.name);
                    let hint = format!("the one at {} is ignored; remove it", entry.at);
                    messages.add(Level::Warning, later, text, Some(hint));
                    continue;
                }
                last.insert(entry.name.clone(), entry.at.clone());
                settle_duplicates(&mut entry.node, messages);
                kept.push(entry);
            }
            kept.reverse();
            *entries = kept;
        }
    }
}

/// What the library says of a limit, in words for who wrote the file.
fn limit(said: &str) -> Option<String> {
    if said.starts_with("recursion limit exceeded") || said.starts_with("budget breached: Depth") {
        return Some(format!(
            "lists and maps stand in each other more than {MAX_DEPTH} deep"
        ));
    }
    let is_limit = said.starts_with("budget breached") || said.starts_with("alias replay");
    is_limit.then(|| "this is too large with what its aliases stand for".into())
}

fn yaml_hint(said: &str, text: &str, location: Option<Location>) -> Option<String> {
    let line = usize::try_from(location?.line()).ok()?.checked_sub(1)?;
    let mut lines = text.lines().skip(line);
    let line = lines.next()?;
    let tab = |line: &str| line[..line.len() - line.trim_start().len()].contains('\t');
    let hint = if tab(line) {
        "YAML is indented with spaces; this line has a tab"
    } else if lines.next().is_some_and(tab) {
        "YAML is indented with spaces; the line after this one has a tab"
    } else if said.starts_with("multiple YAML documents") {
        "a configuration is one document: remove the --- above"
    } else {
        "check the indentation, quotes and brackets of this line and the one before it"
    };
    Some(hint.into())
}

/// The library's message without the position that the place prints already, and without what it tells programmers.
fn bare(message: &str) -> &str {
    let first = message.lines().next().unwrap_or(message);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let first = match first.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((position, rest)) if position.contains("column") => rest,
        _ => first,
    };
    [" at line ", "; use from_str"].iter().fold(first, |text, end| {
        text.split_once(end).map_or(text, |(text, _)| text)
    })
}

fn at(place: &Place, location: Location) -> Place {
    match place {
        Place::File { path, .. } => Place::File {
            path: Arc::clone(path),
            line: location.line(),
            column: location.column(),
        },
        Place::Option(_) => place.clone(),
    }
}

fn node(raw: Spanned<Raw>, text: &str, place: &Place, expand: bool) -> Node {
    let at = at(place, raw.referenced);
    let expanded = |text: String| {
        if expand {
            env::expand(&text, env::process)
        } else {
            text
        }
    };
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Typed(parsed) => Value::Scalar(written(text, raw.defined).unwrap_or(parsed)),
        Raw::Text(text) => Value::Scalar(expanded(text)),
        Raw::List(items) => Value::List(
            items
                .into_iter()
                .map(|item| node(item, text, place, expand))
                .collect(),
        ),
        Raw::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Raw>)| Entry {
                name: key.value,
                at: self::at(place, key.referenced),
                node: node(value, text, place, expand),
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { at, value }
}

/// What the file says where the parser saw a number or a truth value.
fn written(text: &str, location: Location) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?)
        .map(|text| text.trim().to_owned())
}

/// What serde hands over.
enum Raw {
    Null,
    /// A number or truth value, as the library reads it; the file's own words are looked up.
    Typed(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
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
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(Raw::List(all))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Message> {
        parse_file(text, Path::new("lanner.yaml"))
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_said_as_that() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
            text += &format!("a{n}: &a{n} [{aliases}]\n");
        }
        let message = read(&text).unwrap_err();
        assert_eq!(message.text, "this is too large with what its aliases stand for");
        assert_eq!(message.hint, None);
        for text in [["[".repeat(30), "]".repeat(30)].concat(), "[".repeat(100_000)] {
            let message = read(&format!("a: {text}")).unwrap_err();
            assert_eq!(
                message.text,
                "lists and maps stand in each other more than 24 deep"
            );
            assert_eq!(message.hint, None);
        }
    }

    #[test]
    fn what_is_no_yaml_is_said_without_the_librarys_own_advice() {
        let said = |text: &str| {
            let message = read(text).unwrap_err();
            (message.text, message.hint.unwrap_or_default())
        };
        let (text, hint) = said("a: 1\n---\nb: 2\n");
        assert_eq!(text, "this is not YAML: multiple YAML documents detected");
        assert_eq!(hint, "a configuration is one document: remove the --- above");
        let (text, hint) = said("a: b\n\tc: d\n");
        assert!(!text.contains(" at line "), "{text}");
        assert!(hint.contains("the line after this one has a tab"), "{hint}");
    }

    #[test]
    fn of_keys_that_are_there_twice_the_later_counts() {
        let mut root = read("a: 1\nb: {c: 2, c: 3}\na: 4\na: 5\n").unwrap();
        let mut messages = Messages::default();
        settle_duplicates(&mut root, &mut messages);
        assert_eq!(root.get("a").unwrap().text(), Ok("5"));
        assert_eq!(root.get("b").unwrap().get("c").unwrap().text(), Ok("3"));
        let mut texts: Vec<String> = messages.0.iter().map(ToString::to_string).collect();
        texts.sort();
        let said = |key, kept, lost| {
            format!(
                "lanner.yaml:{kept}: the key {key} is there twice, this later value counts (the one at \
                 lanner.yaml:{lost} is ignored; remove it)"
            )
        };
        assert_eq!(
            texts,
            [
                said("c", "2:11", "2:5"),
                said("a", "4:1", "1:1"),
                said("a", "4:1", "3:1")
            ]
        );
    }

    #[test]
    fn a_key_that_replaces_one_of_a_merged_map_is_no_duplicate() {
        let mut root = read("base: &b {x: 1, y: 1}\nnew: {<<: *b, x: 2}\nalso: {x: 2, <<: *b}\n").unwrap();
        let mut messages = Messages::default();
        settle_duplicates(&mut root, &mut messages);
        assert!(messages.0.is_empty(), "{:?}", messages.0);
        for key in ["new", "also"] {
            assert_eq!(root.get(key).unwrap().get("x").unwrap().text(), Ok("2"), "{key}");
        }
    }

    #[test]
    fn nodes_and_keys_know_their_places() {
        let root = read("a: 1\nb:\n  c: [x, yes]\n").unwrap();
        let Value::Map(entries) = &root.value else {
            panic!()
        };
        assert_eq!(entries[1].at.to_string(), "lanner.yaml:2:1");
        let list = root.get("b").unwrap().get("c").unwrap();
        assert_eq!(list.at.to_string(), "lanner.yaml:3:6");
        assert_eq!(list.texts().unwrap(), ["x", "yes"]);
        assert_eq!(root.get("a").unwrap().number(), Ok(1));
    }

    #[test]
    fn scalars_keep_their_words() {
        let root = read("a: 1.10\nb: 0x1F\nc: TRUE\nd: \"true\"\ne: ~\nf:\n").unwrap();
        let text = |key| root.get(key).unwrap().text().unwrap();
        assert_eq!(
            (text("a"), text("b"), text("c"), text("d")),
            ("1.10", "0x1F", "TRUE", "true")
        );
        assert!(root.get("c").unwrap().truth().unwrap());
        assert!(root.get("e").unwrap().is_empty() && root.get("f").unwrap().is_empty());
    }

    #[test]
    fn broken_yaml_says_where_and_what() {
        let message = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(
            matches!(&message.place, Place::File { line, .. } if *line >= 2),
            "{message}"
        );
        let message = read("a:\n\tb: 1\n").unwrap_err();
        assert!(message.hint.as_ref().unwrap().contains("tab"), "{message}");
    }

    #[test]
    fn an_empty_file_is_an_empty_configuration() {
        assert!(read("").unwrap().is_empty());
        assert!(read("# nothing\n").unwrap().is_empty());
    }
}
