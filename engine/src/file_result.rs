//! What came of loading one file, and its JSON: the object Falco's `-V` prints for each.

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, ItemKind, ItemName, Part, Position};
use crate::rules::{Loaded, SchemaVerdict};

/// What came of loading one file together with those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileResult {
    /// Name of the file.
    pub name: String,
    /// Whether it can be loaded.
    pub successful: bool,
    /// How it stands against the rule schema; none for a file that can't be read.
    pub schema: Option<SchemaVerdict>,
    /// Its errors and warnings, by position.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// The result of `file`, which is the last of those that were loaded: its own warnings, and every error. Errors of
    /// the files before it are what it brings about.
    pub fn result_of(&self, file: &str) -> FileResult {
        let of_it = |d: &&Diagnostic| d.is_error() || d.file == file;
        FileResult {
            name: file.to_owned(),
            successful: self.ruleset.is_some(),
            schema: self.schemas.iter().rfind(|schema| schema.file == file).cloned(),
            diagnostics: self.diagnostics.iter().filter(of_it).cloned().collect(),
        }
    }
}

impl FileResult {
    /// The result of a file that can't be read.
    pub fn unreadable(name: &str, why: Diagnostic) -> FileResult {
        FileResult {
            name: name.to_owned(),
            successful: false,
            schema: None,
            diagnostics: vec![why],
        }
    }

    /// Falco's summary: `Ok`, `Ok, with warnings` or `Invalid`.
    pub fn verdict(&self) -> &'static str {
        match (self.successful, self.diagnostics.is_empty()) {
            (true, true) => "Ok",
            (true, false) => "Ok, with warnings",
            (false, _) => "Invalid",
        }
    }

    /// Falco's object, an entry of `falco_load_results`.
    pub fn as_json(&self) -> Value {
        let issues = |errors: bool| -> Vec<Value> {
            let issues = self.diagnostics.iter().filter(|d| d.is_error() == errors);
            issues.map(|issue| as_json(issue, &self.name)).collect()
        };
        let schema_warnings: Vec<&str> = self.schema.iter().flat_map(SchemaVerdict::warnings).collect();
        json!({
            "name": self.name,
            "successful": self.successful,
            "schema_valid": self.schema.as_ref().is_some_and(SchemaVerdict::is_valid),
            "schema_warnings": schema_warnings,
            "errors": issues(true),
            "warnings": issues(false),
        })
    }
}

/// One error or warning. `hint` and `notes` are Lanner's own.
fn as_json(issue: &Diagnostic, file: &str) -> Value {
    let mut value = json!({
        "code": issue.code.as_str(),
        "codedesc": issue.code.description(),
        "message": issue.message,
        "context": {
            "locations": locations(issue),
            "snippet": snippet(issue, file),
        },
    });
    if let Some(field) = &issue.deprecated_field {
        value["deprecated_field"] = field.as_str().into();
    }
    if let Some(hint) = &issue.hint {
        value["hint"] = hint.as_str().into();
    }
    if !issue.notes.is_empty() {
        let notes = issue.notes.iter().map(|note| {
            let at = Position {
                line: note.line,
                column: note.column,
                offset: note.offset,
            };
            json!({ "message": note.message, "position": position(&note.file, Some(at)) })
        });
        value["notes"] = notes.collect();
    }
    value
}

/// From the file to the item to the place in it.
fn locations(issue: &Diagnostic) -> Vec<Value> {
    let location = |kind: &str, name: &str, at: Option<Position>| {
        json!({
            "item_type": kind,
            "item_name": name,
            "position": position(&issue.file, at),
        })
    };
    let mut all = vec![location("rules content", "", None)];
    let here = (issue.line > 0).then_some(Position {
        line: issue.line,
        column: issue.column,
        offset: issue.offset,
    });
    if let Some(ItemName { kind, name }) = &issue.item {
        all.push(location(item_type(*kind), name, issue.item_at.or(here)));
    }
    let is_macro = issue
        .item
        .as_ref()
        .is_some_and(|item| item.kind == ItemKind::Macro);
    let mut innermost = issue.item_at;
    if issue.part_at.is_some() {
        let (kind, name) = match &issue.part {
            Part::Item => ("value for", ""),
            Part::Condition if is_macro => ("macro condition", ""),
            Part::Condition => ("rule condition", ""),
            Part::Output => ("rule output", ""),
            Part::Exception(name) => ("exception", name.as_str()),
        };
        all.push(location(kind, name, issue.part_at));
        innermost = issue.part_at;
    }
    // What an expression is about is in it, even at its very beginning.
    let is_expression = issue.part == Part::Condition;
    if here.is_some() && (here != innermost || is_expression) {
        let kind = match (&issue.part, &issue.item) {
            (Part::Condition, _) => "condition expression",
            (Part::Output, _) => "rule output",
            (Part::Item | Part::Exception(_), Some(_)) => "value for",
            (Part::Item | Part::Exception(_), None) => "rules content item",
        };
        all.push(location(kind, "", here));
    }
    all
}

fn item_type(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Rule => "rule",
        ItemKind::Macro => "macro",
        ItemKind::List => "list",
        ItemKind::RequiredEngineVersion => "required_engine_version",
        ItemKind::RequiredPluginVersions => "required plugin versions",
        ItemKind::Unknown => "rules content item",
        ItemKind::Condition => "condition",
    }
}

/// A place as Falco counts: lines and columns from 0, and the whole file as its first character.
fn position(file: &str, at: Option<Position>) -> Value {
    let at = at.unwrap_or(Position {
        line: 1,
        column: 1,
        offset: 0,
    });
    json!({
        "name": file,
        "line": at.line.saturating_sub(1),
        "column": at.column.saturating_sub(1),
        "offset": at.offset,
    })
}

/// The line and a caret under the place in it.
fn snippet(issue: &Diagnostic, file: &str) -> String {
    match &issue.snippet {
        Some(snippet) => format!("{}\n{:2$}^\n", snippet.text, "", snippet.caret),
        None if issue.line == 0 && issue.file == file => "<No context available>\n".to_owned(),
        None => format!("<No context for file + {}>\n", issue.file),
    }
}
