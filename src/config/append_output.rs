//! `append_output`: what is added to the alerts of the rules it matches.

use lanner_engine::output::Template;
use lanner_engine::{AppendOutput, ExtraField};

use super::message::{Level, Messages};
use super::tree::{Node, Value, Wrong};

/// Reads the list. Formats that don't compile are added to the messages: here they have a place.
pub(super) fn read(node: &Node, messages: &mut Messages) -> Result<Vec<AppendOutput>, Wrong> {
    match &node.value {
        Value::Null => Ok(Vec::new()),
        Value::List(items) => items.iter().map(|item| entry(item, messages)).collect(),
        _ => Err(Wrong::new("a list of entries")
            .with_hint("write \"append_output:\" and below it \"  - extra_output: …\"")),
    }
}

fn entry(node: &Node, messages: &mut Messages) -> Result<AppendOutput, Wrong> {
    let Value::Map(entries) = &node.value else {
        return Err(wrong("map"));
    };
    let mut append = AppendOutput::default();
    for entry in entries {
        let node = &entry.node;
        match entry.name.as_str() {
            "match" => matched(node, &mut append)?,
            "extra_output" => {
                let format = node.text().map_err(|_| wrong("text as extra_output"))?;
                check("extra_output", format, node, messages);
                append.extra_output = Some(format.to_owned());
            }
            "extra_fields" => append.extra_fields = fields(node, messages)?,
            "suggested_output" => {
                append.suggested_output = node
                    .truth()
                    .map_err(|_| wrong("true or false as suggested_output"))?;
            }
            other => {
                return Err(wrong("known keys").with_hint(format!(
                    "\"{other}\" is not one of match, extra_output, extra_fields, suggested_output"
                )));
            }
        }
    }
    Ok(append)
}

/// Says what is wrong with a format.
fn check(key: &str, format: &str, node: &Node, messages: &mut Messages) {
    if let Err(error) = Template::compile(format) {
        let text = format!("append_output: {key} \"{format}\" is no format: {error}");
        messages.add(Level::Error, &node.at, text, error.hint());
    }
}

fn wrong(what: &str) -> Wrong {
    Wrong::new(format!("a list of entries with {what}"))
}

fn matched(node: &Node, append: &mut AppendOutput) -> Result<(), Wrong> {
    let text = |name| match node.get(name) {
        None => Ok(None),
        Some(node) => node
            .text()
            .map(|text| Some(text.to_owned()))
            .map_err(|_| wrong("text in match")),
    };
    append.rule = text("rule")?;
    append.source = text("source")?;
    if let Some(tags) = node.get("tags") {
        append.tags = tags.texts().map_err(|_| wrong("a list of tags in match"))?;
    }
    Ok(())
}

/// Items are a field's name, or `name: format`.
fn fields(node: &Node, messages: &mut Messages) -> Result<Vec<ExtraField>, Wrong> {
    let refused = || wrong("extra_fields that are a field or \"name: format\"");
    let Value::List(items) = &node.value else {
        return Err(refused());
    };
    let mut fields: Vec<ExtraField> = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar(name) => {
                check("extra_fields", &format!("%{name}"), item, messages);
                fields.push(ExtraField::Field(name.clone()));
            }
            Value::Map(entries) => {
                for entry in entries {
                    let format = entry.node.text().map_err(|_| refused())?;
                    check("extra_fields", format, &entry.node, messages);
                    fields.push(ExtraField::Format {
                        name: entry.name.clone(),
                        format: format.to_owned(),
                    });
                }
            }
            _ => return Err(refused()),
        }
    }
    let name = |field: &ExtraField| match field {
        ExtraField::Field(name) | ExtraField::Format { name, .. } => name.clone(),
    };
    let mut names: Vec<String> = fields.iter().map(name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(wrong("extra_fields that are all different")
                .with_hint(format!("\"{}\" is there twice", pair[0])))
        }
        None => Ok(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::parse_file;
    use std::path::Path;

    fn parse(text: &str) -> Result<Vec<AppendOutput>, Wrong> {
        read(
            &parse_file(text, Path::new("f")).unwrap(),
            &mut Messages::default(),
        )
    }

    #[test]
    fn formats_are_checked_where_they_are_written() {
        let text = "- extra_output: x=%proc.nmae\n- extra_fields:\n    - proc.nmae\n    - k: \"%fd.nmae\"\n    - proc.name\n";
        let mut messages = Messages::default();
        read(&parse_file(text, Path::new("f")).unwrap(), &mut messages).unwrap();
        let texts: Vec<String> = messages.0.iter().map(ToString::to_string).collect();
        assert!(messages.refused() && texts.len() == 3, "{texts:#?}");
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
        let entries = parse(
            "- suggested_output: true\n- match: {rule: R, source: syscall, tags: [a, b]}\n  extra_output: x=%evt.time\n  \
             extra_fields: [proc.name, {k: \"%proc.pid\"}]\n",
        )
        .unwrap();
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
    fn mistakes_are_named() {
        for (text, part) in [
            ("x", "list"),
            ("- x", "map"),
            ("- extra_outptu: y", "extra_outptu"),
            ("- extra_fields: [a, a]", "twice"),
        ] {
            let wrong = parse(text).unwrap_err();
            let text = format!("{} {}", wrong.expected, wrong.hint.unwrap_or_default());
            assert!(text.contains(part), "{text}");
        }
    }
}
