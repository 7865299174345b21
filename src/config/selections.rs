//! `rules`: which rules run, whatever their files say.

use lanner_engine::Selection;

use super::message::{Level, Messages, Place};
use super::tree::{Node, Value, Wrong};

/// An entry of `rules`, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) selection: Selection,
    pub(crate) at: Place,
}

const EXAMPLE: &str = "write for example \"- disable: {rule: 'Name*'}\" or \"- enable: {tag: network}\"";

/// Reads the list. Unknown keys are warned of elsewhere, with those of every other map.
pub(super) fn read(node: &Node, messages: &mut Messages) -> Result<Vec<Placed>, Wrong> {
    match &node.value {
        Value::Null => Ok(Vec::new()),
        Value::List(items) => Ok(items.iter().filter_map(|item| entry(item, messages)).collect()),
        _ => Err(Wrong::new("a list of enable and disable").with_hint(EXAMPLE)),
    }
}

fn entry(node: &Node, messages: &mut Messages) -> Option<Placed> {
    let (enable, disable) = (node.get("enable"), node.get("disable"));
    if let (Some(_), Some(disable)) = (enable, disable) {
        // Falco too looks at enable only.
        messages.add(
            Level::Warning,
            &disable.at,
            "an entry of rules has enable and disable: only its enable counts",
            Some("write two entries, in the order they should apply".into()),
        );
    }
    let Some((word, below)) = enable
        .map(|node| ("enable", node))
        .or(disable.map(|node| ("disable", node)))
    else {
        let text = format!(
            "an entry of rules must have enable or disable, not {}",
            described(node)
        );
        messages.error(&node.at, text, EXAMPLE);
        return None;
    };
    let mut text = |key: &str| match below.get(key) {
        None => Some(None),
        Some(node) if node.is_empty() => Some(None),
        Some(node) => match node.text() {
            Ok(text) => Some(Some(text.to_owned())),
            Err(_) => {
                let text = format!(
                    "{word}.{key} of an entry of rules must be text, not {}",
                    node.describe()
                );
                messages.error(&node.at, text, EXAMPLE);
                None
            }
        },
    };
    let (rule, tag) = (text("rule")?, text("tag")?);
    if rule.is_none() && tag.is_none() {
        let text = format!(
            "{word} of an entry of rules must have a rule or a tag, not {}",
            described(below)
        );
        messages.error(&below.at, text, EXAMPLE);
        return None;
    }
    Some(Placed {
        selection: Selection {
            enable: word == "enable",
            rule,
            tag,
        },
        at: below.at.clone(),
    })
}

/// A map by its keys: that is where the slip is.
fn described(node: &Node) -> String {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            names.join(", ")
        }
        _ => node.describe(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Level, read as read_config};
    use lanner_engine::Selection;
    use std::path::Path;

    fn read(text: &str, options: &[&str]) -> (Vec<Selection>, Vec<String>) {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let (config, messages) = read_config(text, Path::new("f"), &options);
        let serious = messages.0.iter().filter(|m| m.level != Level::Info);
        (
            config
                .selections
                .into_iter()
                .map(|placed| placed.selection)
                .collect(),
            serious.map(ToString::to_string).collect(),
        )
    }

    fn selection(enable: bool, rule: Option<&str>, tag: Option<&str>) -> Selection {
        Selection {
            enable,
            rule: rule.map(str::to_owned),
            tag: tag.map(str::to_owned),
        }
    }

    #[test]
    fn entries_come_from_files_and_options() {
        let text = "rules:\n  - disable: {rule: \"*\"}\n  - enable: {tag: network, rule: R}\n";
        let expected = [
            selection(false, Some("*"), None),
            selection(true, Some("R"), Some("network")),
        ];
        assert_eq!(read(text, &[]), (expected.to_vec(), vec![]));
        assert_eq!(read("rules: []\n", &[]), (vec![], vec![]));
        let options = ["rules[].disable.rule=*", "rules[].enable.tag=network"];
        let expected = [
            selection(false, Some("*"), None),
            selection(true, None, Some("network")),
        ];
        assert_eq!(read("", &options), (expected.to_vec(), vec![]));
        let option = ["rules[]={disable: {rule: Some Rule}}"];
        assert_eq!(read("", &option).0, [selection(false, Some("Some Rule"), None)]);
    }

    #[test]
    fn wrong_shapes_say_where_and_what_is_right() {
        for (text, expected) in [
            (
                "rules: {disable: {rule: a}}\n",
                "f:1:8: rules must be a list of enable and disable, not a map",
            ),
            (
                "rules: [a]\n",
                "f:1:9: an entry of rules must have enable or disable, not \"a\"",
            ),
            (
                "rules:\n  - rule: a\n",
                "f:2:5: an entry of rules must have enable or disable, not rule",
            ),
            (
                "rules:\n  - disable: a\n",
                "f:2:14: disable of an entry of rules must have a rule or a tag, not \"a\"",
            ),
            (
                "rules:\n  - enable: {name: a}\n",
                "f:2:13: enable of an entry of rules must have a rule or a tag, not name",
            ),
            (
                "rules:\n  - enable: {rule: [a]}\n",
                "f:2:20: enable.rule of an entry of rules must be text, not a list",
            ),
        ] {
            let (_, messages) = read(text, &[]);
            assert!(
                messages
                    .iter()
                    .any(|message| message.starts_with(expected) && message.contains("write for example")),
                "{expected}\n{messages:#?}"
            );
        }
        let (selections, messages) = read("rules:\n  - {disable: {rule: a}, enable: {rule: b}}\n", &[]);
        assert_eq!(selections, [selection(true, Some("b"), None)]);
        assert!(messages[0].contains("only its enable counts"), "{messages:?}");
        let (selections, messages) = read("rules:\n  - disable: {rule: a, tags: b}\n", &[]);
        assert_eq!(selections.len(), 1);
        assert_eq!(
            messages,
            ["f:2:24: unknown key rules[0].disable.tags, ignored (did you mean tag?)"]
        );
    }
}
