//! `append_output`: what is added to the alerts of the rules it matches.

use lanner_engine::output::Template;
use lanner_engine::{AppendOutput, ExtraField, SOURCES, Scope};

use super::message::{Level, Messages, Place};
use super::tree::{Node, Value, Wrong};

/// Names of rules, and where they are named.
type Rules = Vec<(String, Place)>;

/// Reads the list. What is wrong inside an entry is added to the messages: there it has a place. Unknown keys are warned of
/// elsewhere, with those of every other map. Also gives the rules that entries match by name, each with its place.
pub(super) fn read(
    node: &Node,
    scope: &Scope,
    messages: &mut Messages,
) -> Result<(Vec<AppendOutput>, Rules), Wrong> {
    match &node.value {
        Value::Null => Ok(Default::default()),
        Value::List(items) => {
            let entries: Vec<AppendOutput> = items.iter().map(|item| entry(item, scope, messages)).collect();
            let named = entries.iter().zip(items).filter_map(|(entry, item)| {
                let at = item.get("match")?.get("rule")?.at.clone();
                Some((entry.rule.clone()?, at))
            });
            let named = named.collect();
            Ok((entries, named))
        }
        _ => Err(Wrong::new("a list of entries")
            .with_hint("write \"append_output:\" and below it \"  - extra_output: …\"")),
    }
}

/// An entry, as far as it can be read.
fn entry(node: &Node, scope: &Scope, messages: &mut Messages) -> AppendOutput {
    let mut append = AppendOutput::default();
    if !matches!(node.value, Value::Map(_)) {
        let text = format!("an entry of append_output must be a map, not {}", node.describe());
        let hint = "its keys are match, extra_output, extra_fields and suggested_output";
        messages.error(&node.at, text, hint);
        return append;
    }
    if let Some(node) = node.get("match") {
        matched(node, &mut append, messages);
    }
    let served = |name: &String| SOURCES.iter().any(|source| source.name() == name);
    // The fields of other sources are not known, and no rule of theirs runs.
    let scope = append.source.as_ref().is_none_or(served).then_some(scope);
    if let Some(node) = node.get("extra_output") {
        match node.text() {
            Ok(format) => {
                check("extra_output", format, node, scope, messages);
                append.extra_output = Some(format.to_owned()).filter(|format| !format.is_empty());
            }
            Err(_) => wrong("extra_output", "text", node, messages),
        }
    }
    if let Some(node) = node.get("extra_fields") {
        append.extra_fields = fields(node, scope, messages);
    }
    if let Some(node) = node.get("suggested_output") {
        match node.truth() {
            Ok(suggested) => append.suggested_output = suggested,
            Err(_) => wrong("suggested_output", "true or false", node, messages),
        }
    }
    append
}

fn wrong(key: &str, expected: &str, node: &Node, messages: &mut Messages) {
    let text = format!(
        "{key} of append_output must be {expected}, not {}",
        node.describe()
    );
    messages.add(Level::Error, &node.at, text, None);
}

/// Says what is wrong with a format.
fn check(key: &str, format: &str, node: &Node, scope: Option<&Scope>, messages: &mut Messages) {
    if let Some(Err(error)) = scope.map(|scope| Template::compile_in(format, scope)) {
        let text = format!("append_output: {key} \"{format}\" is no format: {error}");
        messages.add(Level::Error, &node.at, text, error.hint());
    }
}

fn matched(node: &Node, append: &mut AppendOutput, messages: &mut Messages) {
    match node.value {
        Value::Null => return,
        Value::Map(_) => {}
        _ => return wrong("match", "a map of rule, source and tags", node, messages),
    }
    let mut text = |key: &str| {
        let node = node.get(key).filter(|node| !node.is_empty())?;
        match node.text() {
            Ok(text) => Some(text.to_owned()),
            Err(_) => {
                wrong(&format!("match.{key}"), "text", node, messages);
                None
            }
        }
    };
    (append.rule, append.source) = (text("rule"), text("source"));
    if let Some(node) = node.get("tags") {
        match node.texts() {
            Ok(tags) => append.tags = tags,
            Err(_) => wrong("match.tags", "a list of tags", node, messages),
        }
    }
    if let (Some(rule), [_, ..]) = (&append.rule, append.tags.as_slice()) {
        let text = format!(
            "an entry of append_output matches only the rule \"{rule}\", and only if it has the tags {}",
            append.tags.join(", ")
        );
        messages.add(Level::Info, &node.at, text, None);
    }
}

/// Items are a field's name, or `name: format`.
fn fields(node: &Node, scope: Option<&Scope>, messages: &mut Messages) -> Vec<ExtraField> {
    let expected = "a list of fields and of \"name: format\"";
    let mut fields: Vec<ExtraField> = Vec::new();
    let items = match &node.value {
        Value::Null => return fields,
        Value::List(items) => items,
        _ => {
            wrong("extra_fields", expected, node, messages);
            return fields;
        }
    };
    for item in items {
        match &item.value {
            Value::Scalar(name) => {
                check("extra_fields", &format!("%{name}"), item, scope, messages);
                add(&mut fields, ExtraField::Field(name.clone()), item, messages);
            }
            Value::Map(entries) => {
                for entry in entries {
                    let Ok(format) = entry.node.text() else {
                        wrong("extra_fields", expected, &entry.node, messages);
                        continue;
                    };
                    check("extra_fields", format, &entry.node, scope, messages);
                    let field = ExtraField::Format {
                        name: entry.name.clone(),
                        format: format.to_owned(),
                    };
                    add(&mut fields, field, item, messages);
                }
            }
            _ => wrong("extra_fields", expected, item, messages),
        }
    }
    fields
}

/// Adds a field; the name of one must not come back within an entry.
fn add(fields: &mut Vec<ExtraField>, field: ExtraField, node: &Node, messages: &mut Messages) {
    if fields.iter().any(|other| other.name() == field.name()) {
        let text = format!(
            "extra_fields of append_output have \"{}\" twice in one entry",
            field.name()
        );
        messages.error(&node.at, text, "remove one of the two, or give it another name");
    }
    fields.push(field);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::parse_file;
    use std::path::Path;

    fn parse(text: &str) -> (Vec<AppendOutput>, Vec<String>) {
        let mut messages = Messages::default();
        let node = parse_file(text, Path::new("f")).unwrap();
        let scope = Scope::default().with_static_fields(&[("region".into(), "eu".into())]);
        let (entries, _) = read(&node, &scope, &mut messages).unwrap();
        (entries, messages.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn formats_are_checked_where_they_are_written() {
        let text = "- extra_output: x=%proc.nmae\n- extra_fields:\n    - proc.nmae\n    - k: \"%fd.nmae\"\n    - proc.name\n";
        let (_, texts) = parse(text);
        assert_eq!(texts.len(), 3, "{texts:#?}");
        for (text, start, near) in [
            (
                &texts[0],
                "f:1:17: append_output: extra_output \"x=%proc.nmae\"",
                "proc.name",
            ),
            (
                &texts[1],
                "f:3:7: append_output: extra_fields \"%proc.nmae\"",
                "proc.name",
            ),
            (
                &texts[2],
                "f:4:10: append_output: extra_fields \"%fd.nmae\"",
                "fd.name",
            ),
        ] {
            assert!(text.starts_with(start) && text.contains(near), "{text}");
        }
    }

    #[test]
    fn entries_are_read() {
        let (entries, messages) = parse(
            "- suggested_output: true\n- match: {rule: R, source: syscall, tags: [a, b]}\n  extra_output: x=%evt.time\n  \
             extra_fields: [proc.name, {k: \"%proc.pid\"}]\n- match:\n  extra_output: \"\"\n- match: {rule: \"\"}\n",
        );
        assert_eq!(
            messages,
            [
                "f:2:10: an entry of append_output matches only the rule \"R\", and only if it has the tags a, b"
            ]
        );
        assert_eq!(entries[2..], [AppendOutput::default(), AppendOutput::default()]);
        assert!(entries[0].suggested_output);
        assert_eq!(
            (entries[1].rule.as_deref(), entries[1].tags.len()),
            (Some("R"), 2)
        );
        assert_eq!(entries[1].extra_output.as_deref(), Some("x=%evt.time"));
        let format = ExtraField::Format {
            name: "k".into(),
            format: "%proc.pid".into(),
        };
        assert_eq!(
            entries[1].extra_fields,
            [ExtraField::Field("proc.name".into()), format]
        );
    }

    #[test]
    fn formats_use_static_fields_and_those_of_other_sources_are_not_checked() {
        let (_, messages) = parse(
            "- extra_output: in %static.region\n- match: {source: k8s_audit}\n  extra_output: by %ka.user.name\n",
        );
        assert!(messages.is_empty(), "{messages:?}");
        let (_, messages) = parse("- extra_output: in %static.regoin\n");
        assert!(messages[0].contains("static.region"), "{messages:?}");
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let scope = Scope::default();
        let node = parse_file("x", Path::new("f")).unwrap();
        assert!(read(&node, &scope, &mut Messages::default()).is_err());
        for (text, expected) in [
            ("- x", "f:1:3: an entry of append_output must be a map, not \"x\""),
            (
                "- extra_output: [a]",
                "f:1:17: extra_output of append_output must be text, not a list",
            ),
            (
                "- match: x",
                "f:1:10: match of append_output must be a map of rule, source and tags, not \"x\"",
            ),
            (
                "- match: {rule: [a]}",
                "f:1:17: match.rule of append_output must be text, not a list",
            ),
            (
                "- match: {tags: {a: b}}",
                "f:1:17: match.tags of append_output must be a list of tags, not a map",
            ),
            (
                "- suggested_output: perhaps",
                "f:1:21: suggested_output of append_output must be true or false, not \"perhaps\"",
            ),
            (
                "- extra_fields: x",
                "f:1:17: extra_fields of append_output must be a list of fields",
            ),
            (
                "- extra_fields: [[a]]",
                "f:1:18: extra_fields of append_output must be a list of fields",
            ),
            (
                "- extra_fields: [{a: [b]}]",
                "f:1:22: extra_fields of append_output must be a list of fields",
            ),
            (
                "- extra_fields: [proc.name, proc.pid, proc.name]",
                "f:1:39: extra_fields of append_output have \"proc.name\" twice",
            ),
            (
                "- extra_fields:\n  - proc.name\n  - proc.name: \"%proc.pid\"",
                "f:3:5: extra_fields of append_output have \"proc.name\" twice",
            ),
        ] {
            let (_, messages) = parse(text);
            assert!(
                messages.len() == 1 && messages[0].starts_with(expected),
                "{expected}\n{messages:#?}"
            );
        }
        // Entries of their own may name the same field.
        assert!(
            parse("- extra_fields: [proc.name]\n- extra_fields: [proc.name]\n")
                .1
                .is_empty()
        );
    }
}
