//! Documents → definitions: every item in order, with its appends and overrides applied.

use super::definition::{Definitions, ListDef, MacroDef, PluginRequirement};
use super::item::{Change, Item};
use super::source::{Place, Report, Scalar};
use super::version::Version;
use super::yaml::{Node, Value};
use super::{mapped, rule_item, version};
use crate::diagnostic::{Code, ItemKind};
use crate::suggest::nearest;

/// The kinds in the order Falco looks for them.
const KINDS: [(&str, ItemKind); 5] = [
    ("required_engine_version", ItemKind::RequiredEngineVersion),
    ("required_plugin_versions", ItemKind::RequiredPluginVersions),
    ("list", ItemKind::List),
    ("macro", ItemKind::Macro),
    ("rule", ItemKind::Rule),
];

/// Reads the items of one document.
pub(crate) fn document(report: &mut Report, definitions: &mut Definitions, document: &Node) {
    let Value::Sequence(items) = &document.value else {
        let message = format!("a rules file is a sequence of items, not {}", document.kind());
        report
            .add(Code::YamlValidate, first_line(document.at), None, message)
            .hint = Some(match is_configuration(document) {
            true => "this looks like a configuration: check it with `lanner -c FILE --dry-run`".into(),
            false => "each item begins with `- rule:`, `- macro:` or `- list:`".into(),
        });
        return;
    };
    for node in items.iter().filter(|node| !node.is_null()) {
        definitions.items += 1;
        report.item(node.at);
        match &node.value {
            Value::Map(entries) => item(report, definitions, entries, node.at),
            _ => {
                let message = format!("an item must be a map, not {}", node.kind());
                report
                    .add(Code::YamlValidate, first_line(node.at), None, message)
                    .hint = Some("each item begins with `- rule:`, `- macro:` or `- list:`".into());
            }
        }
    }
}

/// Whether a document that is no sequence is a map of something else than an item.
fn is_configuration(document: &Node) -> bool {
    let Value::Map(entries) = &document.value else {
        return false;
    };
    let probe = Item::new(entries, first_line(document.at), ItemKind::Unknown);
    !entries.is_empty() && !KINDS.iter().any(|(key, _)| probe.has(key))
}

/// A place that shows only its first character: for nodes that may be a whole page.
fn first_line(at: Place) -> Place {
    Place {
        end: at.start + 1,
        ..at
    }
}

fn item(report: &mut Report, definitions: &mut Definitions, entries: &[(Node, Node)], at: Place) {
    let probe = Item::new(entries, first_line(at), ItemKind::Unknown);
    let Some((word, kind)) = KINDS.into_iter().find(|(key, _)| probe.has(key)) else {
        let first = entries.first().and_then(|(key, _)| key.scalar());
        let (name, place) = first.map_or((String::new(), probe.at), |s| (s.text, s.at));
        let message = format!("unknown item `{name}`, ignored");
        let meant = nearest(&name, KINDS.iter().map(|(key, _)| *key));
        report.add(Code::UnknownItem, place, None, message).hint = Some(match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "an item has one of the keys rule, macro, list, required_engine_version, required_plugin_versions".into(),
        });
        return;
    };
    let mut item = Item::new(entries, first_line(at), kind);
    match kind {
        ItemKind::RequiredEngineVersion => engine_version(report, definitions, &item),
        ItemKind::RequiredPluginVersions => plugin_versions(report, definitions, &item),
        _ => {
            let Some(name) = item.text(report, word) else {
                return;
            };
            item.name.name.clone_from(&name.text);
            item.at = name.at;
            let read = match kind {
                ItemKind::List => list(report, definitions, &item, &name),
                ItemKind::Macro => macro_(report, definitions, &item, &name),
                _ => rule_item::rule(report, definitions, &item, &name),
            };
            if read.is_none() {
                definitions.broken.insert(name.text);
            }
        }
    }
}

/// What an older `append: true` or an override of the only key of a list or macro asks for.
fn change(report: &mut Report, item: &Item<'_>) -> Option<Option<Change>> {
    let changes = item.changes(report)?;
    let overridden = changes.keys.first().map(|(_, change)| *change);
    Some(overridden.or(changes.append.then_some(Change::Append)))
}

/// An append or override without anything before it.
pub(crate) fn no_target(report: &mut Report, definitions: &Definitions, item: &Item<'_>) {
    let name = &item.name.name;
    if definitions.broken.contains(name) {
        return;
    }
    let kind = item.name.kind;
    let defined: Vec<&str> = match kind {
        _ if report.is_full(Code::Validate, item.at.file) => Vec::new(),
        ItemKind::List => definitions.lists.names().collect(),
        ItemKind::Macro => definitions.macros.names().collect(),
        _ => definitions.rules.names().collect(),
    };
    let hint = match nearest(name, defined) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None => "it must be defined earlier, in this file or in one that is loaded before it".into(),
    };
    let message = format!("there is no {} '{name}' to append to or to override", kind.word());
    item.report(report, Code::Validate, item.at, message).hint = Some(hint);
}

/// A definition in the place of one from the same file. A later file may replace what it likes: that is what local files
/// are for; within a file it is mostly a name used twice.
pub(crate) fn replaced(report: &mut Report, item: &Item<'_>, before: Place) {
    if before.file != item.at.file {
        return;
    }
    let (kind, name) = (item.name.kind.word(), &item.name.name);
    let note = report.note(before, "the earlier one is here and not used any more");
    let message = format!("{kind} '{name}' takes the place of an earlier one in this file");
    let key = match item.name.kind {
        ItemKind::List => "items",
        _ => "condition",
    };
    let diagnostic = item.report(report, Code::Extension, item.at, message);
    diagnostic.notes.push(note);
    diagnostic.hint = Some(format!(
        "give one of them another name; to change the earlier one say so, as in `override: {{{key}: replace}}`"
    ));
}

fn list(report: &mut Report, definitions: &mut Definitions, item: &Item<'_>, name: &Scalar) -> Option<()> {
    item.warn_unknown_keys(report);
    if !name.text.chars().all(mapped::is_bare_char) {
        let message = format!("list name '{}' does not look like a name", name.text);
        item.report(report, Code::InvalidListName, name.at, message).hint =
            Some("a list's name has no blanks, quotes, parentheses, commas or equal signs".into());
    }
    let change = change(report, item)?;
    let items = item.scalars(report, "items")?;
    for empty in items.iter().filter(|i| i.text.is_empty()) {
        let message = format!("an empty item of list '{}' is left out", name.text);
        item.report(report, Code::Extension, empty.at, message).hint =
            Some("to compare with the empty text write '\"\"'".into());
    }
    match (change, definitions.lists.get_mut(&name.text)) {
        (Some(Change::Append), Some(list)) => list.items.extend(items),
        (Some(Change::Append), None) => {
            no_target(report, definitions, item);
            return None;
        }
        (change, existing) => {
            if let (None, Some(existing)) = (change, existing) {
                replaced(report, item, existing.name.at);
            }
            let list = ListDef {
                name: name.clone(),
                items,
            };
            definitions.lists.put(&name.text, list);
        }
    }
    Some(())
}

fn macro_(report: &mut Report, definitions: &mut Definitions, item: &Item<'_>, name: &Scalar) -> Option<()> {
    item.warn_unknown_keys(report);
    let mut chars = name.text.chars().peekable();
    let starts = chars.peek().is_some_and(char::is_ascii_alphabetic);
    if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = format!("macro name '{}' can not be used in a condition", name.text);
        item.report(report, Code::InvalidMacroName, name.at, message).hint =
            Some("a macro's name is letters, digits and underscores, and begins with a letter".into());
    }
    let change = change(report, item)?;
    let condition = item.text(report, "condition")?;
    let now = definitions.items;
    match (change, definitions.macros.get_mut(&name.text)) {
        (Some(Change::Append), Some(existing)) => {
            existing.condition.push(condition);
            existing.last = now;
        }
        (Some(Change::Append), None) => {
            no_target(report, definitions, item);
            return None;
        }
        (change, existing) => {
            if let (None, Some(existing)) = (change, &existing) {
                replaced(report, item, existing.name.at);
            }
            let definition = MacroDef {
                name: name.clone(),
                condition: vec![condition],
                first: existing.map_or(now, |m| m.first),
                last: now,
            };
            definitions.macros.put(&name.text, definition);
        }
    }
    Some(())
}

fn engine_version(report: &mut Report, definitions: &mut Definitions, item: &Item<'_>) {
    let Some(text) = item.text(report, "required_engine_version") else {
        return;
    };
    let Some(required) = Version::engine(&text.text) else {
        let message = format!("'{}' is not an engine version", text.text);
        item.report(report, Code::YamlValidate, text.at, message).hint =
            Some("write an integer such as 31 (which means 0.31.0) or x.y.z".into());
        return;
    };
    definitions.engines.push(required);
    if !version::ENGINE.satisfies(required) {
        let message = format!(
            "the file requires rules engine {required}, this one is compatible with {}",
            version::ENGINE
        );
        item.report(report, Code::Validate, text.at, message).hint =
            Some("use rules made for this engine, or a newer Lanner".into());
    }
}

fn plugin_versions(report: &mut Report, definitions: &mut Definitions, item: &Item<'_>) {
    let Some((at, node)) = item.entry("required_plugin_versions") else {
        return;
    };
    let Value::Sequence(requirements) = &node.value else {
        let message = "`required_plugin_versions` must be a sequence of plugins";
        item.report(report, Code::YamlValidate, at, message).hint =
            Some("write `- name: container` and `version: 0.4.0` below it".into());
        return;
    };
    for requirement in requirements {
        let mut alternatives = Vec::new();
        let Value::Map(entries) = &requirement.value else {
            item.report(
                report,
                Code::YamlValidate,
                requirement.at,
                "a plugin requirement must be a map",
            );
            continue;
        };
        let mut all = vec![Item::new(
            entries,
            first_line(requirement.at),
            ItemKind::RequiredPluginVersions,
        )];
        if let Some((at, more)) = all[0].entry("alternatives") {
            let maps = match &more.value {
                Value::Sequence(nodes) => nodes.iter().map(|node| (node.at, node)).collect(),
                // Reported below, as what is no map.
                _ => vec![(at, more)],
            };
            for (at, node) in maps {
                let Value::Map(entries) = &node.value else {
                    let message = "the `alternatives` of a plugin must be a sequence of maps";
                    item.report(report, Code::YamlValidate, at, message).hint =
                        Some("write `alternatives: [{name: …, version: x.y.z}]`".into());
                    continue;
                };
                all.push(Item::new(
                    entries,
                    first_line(node.at),
                    ItemKind::RequiredPluginVersions,
                ));
            }
        }
        for plugin in all {
            let (Some(name), Some(version)) = (plugin.text(report, "name"), plugin.text(report, "version"))
            else {
                continue;
            };
            if Version::parse(&version.text).is_none() {
                let message = format!("'{}' is not a version", version.text);
                item.report(report, Code::Validate, version.at, message).hint = Some("write x.y.z".into());
            } else if alternatives.iter().any(|(n, _)| *n == name.text) {
                let message = format!("plugin '{}' is named twice in one requirement", name.text);
                item.report(report, Code::Validate, name.at, message);
            } else {
                alternatives.push((name.text, version.text));
            }
        }
        definitions.plugins.push(PluginRequirement {
            at: first_line(requirement.at),
            alternatives,
        });
    }
}
