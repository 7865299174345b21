//! The keys of items: which items have them, what is below them, and what an `override` may do with them. The loader,
//! the rule schema and the check against it read the same rows.

use crate::diagnostic::ItemKind;
use crate::shape::{MapShape, Shape};

/// A key.
struct Row {
    name: &'static str,
    /// The items that have it.
    items: &'static [ItemKind],
    /// What an `override` may do with it.
    change: May,
    shape: fn() -> Shape,
}

/// What an `override` may do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// It is not overridden.
    Not,
    Replace,
    /// Append and replace.
    Append,
}

use ItemKind::{List, Macro, RequiredEngineVersion, RequiredPluginVersions, Rule};

/// Falco's names of priorities; its schema has them in upper case only, while the loader takes any case.
const PRIORITIES: [&str; 9] = [
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "INFORMATIONAL",
    "DEBUG",
];

#[rustfmt::skip]
static ROWS: &[Row] = &[
    Row { name: "required_engine_version", items: &[RequiredEngineVersion], change: May::Not, shape: version },
    Row { name: "required_plugin_versions", items: &[RequiredPluginVersions], change: May::Not, shape: plugins },
    Row { name: "list", items: &[List], change: May::Not, shape: || Shape::Text },
    Row { name: "items", items: &[List], change: May::Append, shape: || Shape::list(item()) },
    Row { name: "macro", items: &[Macro], change: May::Not, shape: || Shape::Text },
    Row { name: "rule", items: &[Rule], change: May::Not, shape: || Shape::Text },
    Row { name: "condition", items: &[Macro, Rule], change: May::Append, shape: || Shape::Text },
    Row { name: "output", items: &[Rule], change: May::Append, shape: || Shape::Text },
    Row { name: "desc", items: &[Rule], change: May::Append, shape: || Shape::Text },
    Row { name: "priority", items: &[Rule], change: May::Replace, shape: || Shape::Word(PRIORITIES.to_vec()) },
    Row { name: "source", items: &[Rule], change: May::Not, shape: || Shape::Text },
    Row { name: "enabled", items: &[Rule], change: May::Replace, shape: || Shape::Truth },
    Row { name: "capture", items: &[Rule], change: May::Replace, shape: || Shape::Truth },
    Row { name: "capture_duration", items: &[Rule], change: May::Replace, shape: || Shape::Integer },
    Row { name: "warn_evttypes", items: &[Rule], change: May::Replace, shape: || Shape::Truth },
    Row { name: "skip-if-unknown-filter", items: &[Rule], change: May::Replace, shape: || Shape::Truth },
    Row { name: "tags", items: &[Rule], change: May::Append, shape: || Shape::list(Shape::Text) },
    Row { name: "exceptions", items: &[Rule], change: May::Append, shape: || Shape::list(exception()) },
    Row { name: "override", items: &[List, Macro, Rule], change: May::Not, shape: overrides },
    Row { name: "append", items: &[List, Macro, Rule], change: May::Not, shape: || Shape::Truth },
];

/// The keys of an item.
pub(crate) fn of(kind: ItemKind) -> Vec<&'static str> {
    rows(kind).map(|row| row.name).collect()
}

/// The keys of an item that may be overridden, and whether they may also be appended to.
pub(crate) fn overridable(kind: ItemKind) -> Vec<(&'static str, bool)> {
    rows(kind)
        .filter(|row| row.change != May::Not)
        .map(|row| (row.name, row.change == May::Append))
        .collect()
}

fn rows(kind: ItemKind) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.items.contains(&kind))
}

/// The shape of a document of a rules file, as in Falco's schema: an item is a map with the keys of all kinds.
pub(crate) fn document() -> Shape {
    let keys = ROWS.iter().map(|row| (row.name, (row.shape)())).collect();
    Shape::list(Shape::map("FalcoRule", keys))
}

fn version() -> Shape {
    Shape::Either(vec![Shape::Integer, Shape::Text])
}

/// An item of a list; true and false are programs too.
fn item() -> Shape {
    Shape::Either(vec![Shape::Text, Shape::Number, Shape::Truth])
}

fn exception() -> Shape {
    Shape::Map(MapShape {
        title: "Exception",
        keys: vec![
            ("name", Shape::Text),
            ("fields", Shape::Any),
            ("comps", Shape::Any),
            ("values", Shape::Any),
        ],
        required: vec!["name"],
        ..MapShape::default()
    })
}

fn overrides() -> Shape {
    let overridable = ROWS.iter().filter(|row| row.change != May::Not);
    Shape::Map(MapShape {
        title: "Override",
        keys: overridable
            .map(|row| (row.name, Shape::Word(vec!["append", "replace"])))
            .collect(),
        at_least: 1,
        ..MapShape::default()
    })
}

fn plugins() -> Shape {
    let named = |title, more: Vec<(&'static str, Shape)>| {
        let mut keys = vec![("name", Shape::Text), ("version", Shape::Text)];
        keys.extend(more);
        Shape::Map(MapShape {
            title,
            keys,
            required: vec!["name", "version"],
            ..MapShape::default()
        })
    };
    let alternatives = Shape::list(named("Alternative", Vec::new()));
    Shape::list(named(
        "RequiredPluginVersion",
        vec![("alternatives", alternatives)],
    ))
}
