//! `-L` and `-l`: the rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lanner_engine::describe::{Description, RuleDescription};
use serde_json::{Value, json};

use super::wrap;

/// Where descriptions begin, and how wide a line is, in Falco.
const INDENT: usize = 51;
const WIDTH: usize = 110;

/// What `-L` and `-l` print: every rule with macros and lists, or one rule.
///
/// # Errors
/// When the rule that is asked for is not loaded.
pub(crate) fn as_json(description: &Description, rule: Option<&str>) -> anyhow::Result<Value> {
    Ok(match rule {
        Some(name) => json!({ "rules": [description.rule(name)?] }),
        None => serde_json::to_value(description)?,
    })
}

/// The same for people: Falco's two columns, and of one rule everything else.
///
/// # Errors
/// As [`as_json`].
pub(crate) fn as_text(description: &Description, rule: Option<&str>) -> anyhow::Result<String> {
    let mut out = String::new();
    two_columns(&mut out, "Rule", "Description");
    two_columns(&mut out, "----", "-----------");
    match rule {
        Some(name) => {
            let rule = description.rule(name)?;
            row(&mut out, rule);
            details(&mut out, rule);
        }
        None => description.rules.iter().for_each(|rule| row(&mut out, rule)),
    }
    Ok(out)
}

fn two_columns(out: &mut String, left: &str, right: &str) {
    let _ = writeln!(out, "{left:<50} {right}");
}

/// One rule; an empty line follows it.
fn row(out: &mut String, rule: &RuleDescription) {
    let mut description = String::new();
    wrap(&mut description, &rule.info.description, INDENT, WIDTH);
    two_columns(out, &rule.info.name, &description);
    out.push('\n');
}

/// What the two columns leave out.
fn details(out: &mut String, rule: &RuleDescription) {
    let (info, details) = (&rule.info, &rule.details);
    let condition = &details.condition;
    let joined = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    for (label, text) in [
        ("Priority", info.priority.to_owned()),
        ("Source", info.source.clone()),
        ("Tags", info.tags.join(", ")),
        ("Enabled", if info.enabled { "yes" } else { "no" }.to_owned()),
        ("Macros", joined(&condition.macros)),
        ("Lists", joined(&condition.lists)),
        ("Exceptions", joined(&details.exception_names)),
        ("Events", joined(&condition.events)),
        ("Fields", joined(&condition.condition_fields)),
        ("Condition", condition.condition_compiled.clone()),
        ("Output", details.output_compiled.clone()),
    ] {
        if !text.is_empty() {
            let _ = writeln!(out, "{label:<12} {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_engine::{RulesFile, Settings};

    fn description() -> Description {
        let file = RulesFile {
            name: "f".into(),
            text: "- rule: Opened\n  desc: one two\n  condition: evt.type = open\n  output: o\n  priority: info\n".into(),
        };
        lanner_engine::load_described(&[file], &Settings::default())
            .1
            .unwrap()
    }

    #[test]
    fn rules_are_two_columns_as_in_falco() {
        let text = as_text(&description(), None).unwrap();
        let blanks = |count: usize| " ".repeat(count);
        let expected = format!(
            "Rule{0} Description\n----{0} -----------\nOpened{1} one two \n\n",
            blanks(46),
            blanks(44)
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn one_rule_is_described_whole_and_another_is_not_loaded() {
        let description = description();
        let text = as_text(&description, Some("Opened")).unwrap();
        assert!(text.contains("\nCondition    evt.type = open\n"), "{text}");
        assert!(!text.contains("\nTags"), "{text}");
        let error = as_json(&description, Some("Openned")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Rule \"Openned\" is not loaded; did you mean \"Opened\"?"
        );
    }
}
