//! Checking a document against a shape.

use super::{MapShape, Shape};
use crate::suggest::nearest;
use std::fmt;

/// The most problems that are collected of one document: enough for its author, and an end for one that is no document
/// of this kind at all.
const MOST: usize = 100;

/// A YAML node that knows where it was written.
pub trait Tree: Sized {
    /// Where a node or a key was written.
    type Place: Clone;

    /// Where this node was written.
    fn place(&self) -> Self::Place;

    /// What it holds.
    fn content(&self) -> Content<'_, Self>;
}

/// What a node holds.
#[derive(Debug)]
pub enum Content<'t, T: Tree> {
    /// Nothing.
    Nothing,
    /// The text of a scalar, plain or quoted.
    Scalar(&'t str),
    /// The items of a sequence.
    List(Vec<&'t T>),
    /// The keys of a map, where they are, and their values.
    Map(Vec<(&'t str, T::Place, &'t T)>),
}

/// How a value differs from its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The map has no such key.
    UnknownKey {
        /// The key.
        key: String,
        /// The key that was probably meant.
        meant: Option<&'static str>,
    },
    /// A key must be there.
    MissingKey(&'static str),
    /// There are fewer keys than there must be.
    TooFewKeys(usize),
    /// The value is of another type, or none of the words it may be.
    Value {
        /// What it must be, in words.
        expected: String,
        /// What it is, in words.
        found: String,
        /// What to write instead.
        meant: Option<&'static str>,
    },
}

/// A place where a document differs from its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem<P> {
    /// Where: the value, or the key when it is unknown.
    pub place: P,
    /// The way to it from the root, as Falco writes it: `<root>[0][priority]`.
    pub path: String,
    /// What is wrong.
    pub mismatch: Mismatch,
}

impl<P> Problem<P> {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match &self.mismatch {
            Mismatch::UnknownKey { meant, .. } => meant.map(|meant| format!("did you mean {meant}?")),
            Mismatch::Value { meant, .. } => meant.map(|meant| format!("write {meant}")),
            Mismatch::MissingKey(key) => Some(format!("add \"{key}: …\"")),
            Mismatch::TooFewKeys(_) => None,
        }
    }

    /// Falco's status of a document with this problem: `failed for <root>[0][priority]: …`.
    pub fn status(&self) -> String {
        format!("failed for {}: {}", self.path, self.mismatch)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::UnknownKey { key, .. } => write!(f, "the key '{key}' is unknown"),
            Mismatch::MissingKey(key) => write!(f, "the key '{key}' is missing"),
            Mismatch::TooFewKeys(1) => f.write_str("there is no key"),
            Mismatch::TooFewKeys(number) => write!(f, "there are fewer than {number} keys"),
            Mismatch::Value { expected, found, .. } => write!(f, "must be {expected}, not {found}"),
        }
    }
}

impl Shape {
    /// Compares a document with this shape: every place where it differs, in order, up to a hundred.
    pub fn check<T: Tree>(&self, root: &T) -> Vec<Problem<T::Place>> {
        let mut problems = Vec::new();
        check(self, root, &Way::Root, &mut problems);
        problems.truncate(MOST);
        problems
    }
}

/// The way from the root to a node, written out only for a problem.
enum Way<'w> {
    Root,
    Key(&'w Way<'w>, &'w str),
    Item(&'w Way<'w>, usize),
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Root => f.write_str("<root>"),
            Way::Key(above, name) => write!(f, "{above}[{name}]"),
            Way::Item(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// Each call descends into the shape, so the depth of the document does not matter.
fn check<T: Tree>(shape: &Shape, node: &T, way: &Way<'_>, problems: &mut Vec<Problem<T::Place>>) {
    if problems.len() >= MOST {
        return;
    }
    let content = node.content();
    match (shape, &content) {
        (Shape::List(item), Content::List(items)) => {
            for (index, node) in items.iter().enumerate() {
                check(item, *node, &Way::Item(way, index), problems);
            }
        }
        (Shape::Map(shape), Content::Map(entries)) => map(shape, node, entries, way, problems),
        (Shape::Either(shapes), _) => either(shapes, node, &content, way, problems),
        _ if fits(shape, &content) => {}
        _ => problems.push(wrong(shape, node, &content, way)),
    }
}

fn map<T: Tree>(
    shape: &MapShape,
    node: &T,
    entries: &[(&str, T::Place, &T)],
    way: &Way<'_>,
    problems: &mut Vec<Problem<T::Place>>,
) {
    let add = |problems: &mut Vec<_>, place, mismatch| {
        problems.push(Problem {
            place,
            path: way.to_string(),
            mismatch,
        });
    };
    for key in &shape.required {
        if !entries.iter().any(|(name, ..)| name == key) {
            add(problems, node.place(), Mismatch::MissingKey(key));
        }
    }
    if entries.len() < shape.at_least {
        add(problems, node.place(), Mismatch::TooFewKeys(shape.at_least));
    }
    for (name, place, value) in entries {
        let known = shape.keys.iter().find(|(key, _)| key == name);
        match known.map(|(_, shape)| shape).or(shape.others.as_deref()) {
            Some(shape) => check(shape, *value, &Way::Key(way, name), problems),
            None => {
                let meant = nearest(name, shape.keys.iter().map(|(key, _)| *key));
                let key = short(name);
                add(problems, place.clone(), Mismatch::UnknownKey { key, meant });
            }
        }
    }
}

/// One alternative must fit; when none does, the one of the value's own kind says what is wrong.
fn either<T: Tree>(
    shapes: &[Shape],
    node: &T,
    content: &Content<'_, T>,
    way: &Way<'_>,
    problems: &mut Vec<Problem<T::Place>>,
) {
    let mut nearest = None;
    for shape in shapes {
        let mut found = Vec::new();
        check(shape, node, way, &mut found);
        if found.is_empty() {
            return;
        }
        let same_kind = matches!(
            (shape, content),
            (Shape::List(_), Content::List(_)) | (Shape::Map(_), Content::Map(_))
        );
        if same_kind {
            nearest = Some(found);
        }
    }
    match nearest {
        Some(found) => problems.extend(found),
        None => problems.push(wrong(&Shape::Either(shapes.to_vec()), node, content, way)),
    }
}

fn fits<T: Tree>(shape: &Shape, content: &Content<'_, T>) -> bool {
    match (shape, content) {
        (Shape::Any, _) => true,
        (Shape::Nothing, Content::Nothing) | (Shape::Text, Content::Nothing | Content::Scalar(_)) => true,
        (Shape::Nothing, Content::Scalar(text)) => text.is_empty(),
        (Shape::Truth, Content::Scalar(text)) => matches!(*text, "true" | "false"),
        (Shape::Integer, Content::Scalar(text)) => text.trim_start().parse::<i64>().is_ok(),
        (Shape::Number, Content::Scalar(text)) => text.trim_start().parse::<f64>().is_ok(),
        (Shape::Word(words), Content::Scalar(text)) => words.contains(text),
        _ => false,
    }
}

fn wrong<T: Tree>(shape: &Shape, node: &T, content: &Content<'_, T>, way: &Way<'_>) -> Problem<T::Place> {
    let (found, meant) = match content {
        Content::Nothing => ("nothing".to_owned(), None),
        Content::Scalar(text) => (format!("\"{}\"", short(text)), word_for(shape, text)),
        Content::List(_) => ("a list".to_owned(), None),
        Content::Map(_) => ("a map".to_owned(), None),
    };
    Problem {
        place: node.place(),
        path: way.to_string(),
        mismatch: Mismatch::Value {
            expected: shape.words(),
            found,
            meant,
        },
    }
}

/// The word that a text probably stands for.
fn word_for(shape: &Shape, text: &str) -> Option<&'static str> {
    match shape {
        Shape::Truth => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" | "1" => Some("true"),
            "false" | "no" | "n" | "off" | "0" => Some("false"),
            _ => None,
        },
        Shape::Word(words) => {
            let same = words.iter().find(|word| word.eq_ignore_ascii_case(text.trim()));
            same.copied().or_else(|| nearest(text, words.iter().copied()))
        }
        _ => None,
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree whose places are the texts of its nodes.
    enum Doc {
        Nothing,
        Text(&'static str),
        List(Vec<Doc>),
        Map(Vec<(&'static str, Doc)>),
    }

    impl Tree for Doc {
        type Place = String;
        fn place(&self) -> String {
            match self {
                Doc::Nothing => "nothing".into(),
                Doc::Text(text) => (*text).into(),
                Doc::List(_) => "list".into(),
                Doc::Map(_) => "map".into(),
            }
        }
        fn content(&self) -> Content<'_, Doc> {
            match self {
                Doc::Nothing => Content::Nothing,
                Doc::Text(text) => Content::Scalar(text),
                Doc::List(items) => Content::List(items.iter().collect()),
                Doc::Map(entries) => Content::Map(
                    entries
                        .iter()
                        .map(|(name, value)| (*name, (*name).to_owned(), value))
                        .collect(),
                ),
            }
        }
    }

    fn statuses(shape: &Shape, doc: &Doc) -> Vec<String> {
        shape
            .check(doc)
            .iter()
            .map(|p| format!("{} {} {:?}", p.place, p.status(), p.hint()))
            .collect()
    }

    #[test]
    fn scalars_are_texts_that_may_read_as_something_else() {
        for (shape, good, bad) in [
            (
                Shape::Truth,
                &["true", "false"][..],
                &["yes", "True", "", "1"][..],
            ),
            (
                Shape::Integer,
                &["5", "-5", "+5"],
                &["0x1f", "1.0", "5s", "", "1_000"],
            ),
            (Shape::Number, &["5", ".1", "1e3"], &["", "five", "1s"]),
            (Shape::Text, &["", "5", "true", "x"], &[]),
            (
                Shape::Word(vec!["INFO", "DEBUG"]),
                &["INFO"],
                &["info", "", "INFORMATION"],
            ),
            (Shape::Nothing, &[""], &["null", "x"]),
        ] {
            for text in good {
                assert!(
                    shape.check(&Doc::Text(text)).is_empty(),
                    "{text:?} is {}",
                    shape.words()
                );
            }
            for text in bad {
                assert_eq!(
                    shape.check(&Doc::Text(text)).len(),
                    1,
                    "{text:?} is not {}",
                    shape.words()
                );
            }
        }
        assert!(Shape::Text.check(&Doc::Nothing).is_empty());
        assert_eq!(Shape::Truth.check(&Doc::Nothing).len(), 1);
    }

    #[test]
    fn problems_name_their_way_and_what_was_meant() {
        let shape = Shape::list(Shape::map(
            "Item",
            vec![
                ("enabled", Shape::Truth),
                ("tags", Shape::list(Shape::Text)),
                ("priority", Shape::Word(vec!["INFO", "WARNING"])),
            ],
        ));
        let doc = Doc::List(vec![
            Doc::Map(vec![("enabled", Doc::Text("yes")), ("tag", Doc::Nothing)]),
            Doc::Map(vec![
                ("priority", Doc::Text("Warning")),
                ("tags", Doc::List(vec![Doc::List(vec![])])),
            ]),
            Doc::Text("x"),
        ]);
        assert_eq!(
            statuses(&shape, &doc),
            [
                "yes failed for <root>[0][enabled]: must be true or false, not \"yes\" Some(\"write true\")",
                "tag failed for <root>[0]: the key 'tag' is unknown Some(\"did you mean tags?\")",
                "Warning failed for <root>[1][priority]: must be one of INFO, WARNING, not \"Warning\" Some(\"write WARNING\")",
                "list failed for <root>[1][tags][0]: must be text, not a list None",
                "x failed for <root>[2]: must be a map of keys, not \"x\" None",
            ]
        );
    }

    #[test]
    fn maps_ask_for_keys() {
        let shape = Shape::Map(MapShape {
            keys: vec![("path", Shape::Text)],
            required: vec!["path"],
            at_least: 1,
            ..MapShape::default()
        });
        assert_eq!(
            statuses(&shape, &Doc::Map(vec![])),
            [
                "map failed for <root>: the key 'path' is missing Some(\"add \\\"path: …\\\"\")",
                "map failed for <root>: there is no key None",
            ]
        );
        let open = Shape::any_map(Shape::Text);
        assert!(statuses(&open, &Doc::Map(vec![("x", Doc::Text("y"))])).is_empty());
        assert_eq!(
            statuses(&open, &Doc::Map(vec![("x", Doc::List(vec![]))])).len(),
            1
        );
    }

    #[test]
    fn of_alternatives_the_one_of_the_same_kind_speaks() {
        let shape = Shape::Either(vec![Shape::Text, Shape::map("", vec![("path", Shape::Text)])]);
        assert!(statuses(&shape, &Doc::Text("x")).is_empty());
        assert!(statuses(&shape, &Doc::Map(vec![("path", Doc::Text("x"))])).is_empty());
        assert_eq!(
            statuses(&shape, &Doc::Map(vec![("paht", Doc::Text("x"))])),
            ["paht failed for <root>: the key 'paht' is unknown Some(\"did you mean path?\")"]
        );
        assert_eq!(
            statuses(&shape, &Doc::List(vec![])),
            ["list failed for <root>: must be text or a map of keys, not a list None"]
        );
    }

    #[test]
    fn a_document_that_is_wrong_all_over_is_not_reported_without_end() {
        let doc = Doc::List((0..10_000).map(|_| Doc::Text("x")).collect());
        assert_eq!(Shape::list(Shape::Truth).check(&doc).len(), MOST);
        let map = Doc::Map((0..10_000).map(|_| ("x", Doc::Nothing)).collect());
        assert_eq!(Shape::map("", vec![]).check(&map).len(), MOST);
    }
}
