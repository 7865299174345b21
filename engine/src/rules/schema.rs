//! How rules files stand against the rule schema. That is a verdict beside what the loader says: Falco loads much that its
//! schema does not know, such as a priority in lower case, and only says so.

use super::keys;
use super::source::{Place, Report};
use super::yaml::{Node, Value};
use crate::diagnostic::Snippet;
use crate::shape::{Content, Problem, Shape, Tree};
use std::fmt;

/// The most differences that are told of one file.
const MOST: usize = 100;

/// The JSON schema of rules files (`--rule-schema`).
pub fn rule_schema() -> serde_json::Value {
    keys::document().json_schema()
}

/// How one rules file stands against the rule schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVerdict {
    /// Name of the file.
    pub file: String,
    /// Whether it was compared: a file that is no YAML is not.
    pub checked: bool,
    /// Where it differs, in order.
    pub problems: Vec<SchemaProblem>,
}

/// A place where a rules file differs from the rule schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaProblem {
    /// Falco's status: `failed for <root>[0][priority]: …`.
    pub status: String,
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line it is in.
    pub snippet: Option<Snippet>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SchemaVerdict {
    /// Whether it fits (`schema_valid` in JSON).
    pub fn is_valid(&self) -> bool {
        self.checked && self.problems.is_empty()
    }

    /// Falco's status: `ok`, `none` when it was not compared, or that of the first problem.
    pub fn status(&self) -> &str {
        match self.problems.first() {
            Some(problem) => &problem.status,
            None if self.checked => "ok",
            None => "none",
        }
    }

    /// The status of every problem (`schema_warnings` in JSON).
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(|problem| problem.status.as_str())
    }
}

impl fmt::Display for SchemaVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | schema validation: {}", self.file, self.status())
    }
}

impl fmt::Display for SchemaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, column) = (&self.file, self.line, self.column);
        write!(
            f,
            "{file}:{line}:{column}: warning: schema validation: {}",
            self.status
        )?;
        let number = line.to_string();
        if let Some(snippet) = &self.snippet {
            snippet.write(f, &number)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n {:margin$} = help: {hint}", "", margin = number.len()),
            None => Ok(()),
        }
    }
}

/// Compares the documents of a file; none when it is no YAML.
pub(super) fn check(
    report: &Report,
    file: usize,
    shape: &Shape,
    documents: Option<&Vec<Node>>,
) -> SchemaVerdict {
    let problems = documents
        .into_iter()
        .flatten()
        .flat_map(|node| shape.check(node))
        .take(MOST);
    SchemaVerdict {
        file: report.file_name(file).to_owned(),
        checked: documents.is_some(),
        problems: problems.map(|problem| located(report, &problem)).collect(),
    }
}

fn located(report: &Report, problem: &Problem<Place>) -> SchemaProblem {
    // A map or a list may be a whole page: its first line stands for it.
    let place = problem.place;
    let (line, column) = report.position(place);
    SchemaProblem {
        status: problem.status(),
        file: report.file_name(place.file).to_owned(),
        line,
        column,
        snippet: report.snippet(place),
        hint: problem.hint(),
    }
}

impl Tree for Node {
    type Place = Place;

    fn place(&self) -> Place {
        self.at
    }

    fn content(&self) -> Content<'_, Node> {
        match &self.value {
            Value::Null(_) => Content::Nothing,
            Value::Scalar(text) => Content::Scalar(text),
            Value::Sequence(items) => Content::List(items.iter().collect()),
            Value::Map(entries) => Content::Map(entries.iter().map(|(k, v)| (name(k), k.at, v)).collect()),
        }
    }
}

/// The text of a key; a key that is a list or a map has none.
fn name(key: &Node) -> &str {
    match &key.value {
        Value::Scalar(text) | Value::Null(text) => text,
        Value::Sequence(_) | Value::Map(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{RulesFile, load};
    use crate::settings::Settings;

    const RULE: &str = "- rule: r\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";

    fn verdict(text: &str) -> (bool, SchemaVerdict) {
        let file = RulesFile {
            name: "f.yaml".into(),
            text: text.into(),
        };
        let mut loaded = load(&[file], &Settings::default());
        (loaded.ruleset.is_some(), loaded.schemas.remove(0))
    }

    #[test]
    fn what_the_loader_takes_may_still_not_fit_the_schema() {
        for (more, status) in [
            ("", "ok"),
            ("  capture: \"true\"\n  capture_duration: 5000\n", "ok"),
            (
                "  exceptions: [{name: e, fields: [proc.name], values: [[a]]}]\n",
                "ok",
            ),
            ("  source:\n", "ok"),
            (
                "  capture: \"yes\"\n",
                "failed for <root>[0][capture]: must be true or false, not \"yes\"",
            ),
            ("  tag: [a]\n", "failed for <root>[0]: the key 'tag' is unknown"),
            (
                "  exceptions: [{name: e, fields: [proc.name], values: [[a]], valeus: []}]\n",
                "failed for <root>[0][exceptions][0]: the key 'valeus' is unknown",
            ),
            (
                "- list: l\n  items: [a, 5, true, \"b c\"]\n  priority: INFO\n",
                "ok",
            ),
            (
                "- list: l\n  items: [a]\n  priority: info\n",
                "failed for <root>[1][priority]: must be one of \
              EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, INFORMATIONAL, DEBUG, not \"info\"",
            ),
            (
                "- required_engine_version: 31\n- required_engine_version: 0.31.0\n",
                "ok",
            ),
            (
                "- required_plugin_versions: [{name: container, version: 0.2.0, alternatives: [{name: x, version: 0.1.0}]}]\n",
                "ok",
            ),
            ("- lsit: l\n", "failed for <root>[1]: the key 'lsit' is unknown"),
        ] {
            let (loads, verdict) = verdict(&format!("{RULE}{more}"));
            assert!(loads, "{more}");
            assert_eq!(verdict.status(), status, "{more}");
            assert_eq!(verdict.is_valid(), status == "ok");
        }
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_loader() {
        let (loads, verdict) = verdict(&format!("{RULE}  capture_duration: text\n"));
        assert!(!loads);
        assert_eq!(
            verdict.status(),
            "failed for <root>[0][capture_duration]: must be a whole number, not \"text\""
        );
        let (loads, verdict) = self::verdict("- rule: r\n");
        assert!(!loads && verdict.is_valid(), "the schema asks for no keys");
        let (_, verdict) = self::verdict("rule: r\n");
        assert_eq!(verdict.status(), "failed for <root>: must be a list, not a map");
        let (_, verdict) = self::verdict("- rule: [\n");
        assert!(!verdict.checked && !verdict.is_valid());
        assert_eq!(verdict.status(), "none");
        assert!(self::verdict("# nothing\n").1.is_valid());
    }

    #[test]
    fn problems_are_shown_where_they_are() {
        let text = format!(
            "{}---\n- macro: m\n  condition: evt.type = open\n  append: on\n",
            RULE.replace("INFO", "Warning")
        );
        let (_, verdict) = verdict(&text);
        let shown: Vec<String> = verdict.problems.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    /// A key the loader reads and the schema does not know, or the other way round, can't be: both read the same rows.
    #[test]
    fn the_schema_has_falcos_definitions() {
        let schema = rule_schema();
        assert_eq!(schema["items"]["$ref"], "#/definitions/FalcoRule");
        let keys = |name: &str| {
            schema["definitions"][name]["properties"]
                .as_object()
                .unwrap()
                .len()
        };
        assert_eq!(
            (keys("FalcoRule"), keys("Override"), keys("Exception")),
            (20, 12, 4)
        );
        assert_eq!(
            schema["definitions"]["FalcoRule"]["properties"]["priority"]["enum"][0],
            "EMERGENCY"
        );
        assert_eq!(schema["definitions"]["Override"]["minProperties"], 1);
    }
}
