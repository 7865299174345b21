//! Rules files, statement by statement: what each kind of item does and what it is refused for. A row says what holds,
//! gives the files, and lists everything that comes of loading them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exceptions;
mod expansion;
mod items;
mod overrides;
mod several;

use lanner_engine::{Diagnostic, Loaded, RulesFile, Settings, load};

/// A rule that is well in itself.
pub(crate) const RULE: &str = "- rule: R
  desc: d
  condition: evt.type = open
  output: o
  priority: WARNING
";

/// The rule `R` with this condition.
pub(crate) fn rule(condition: &str) -> String {
    format!("- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: WARNING\n")
}

pub(crate) fn loaded_with(texts: &[&str], settings: &Settings) -> Loaded {
    let file = |(index, text): (usize, &&str)| RulesFile {
        name: format!("{}.yaml", index + 1),
        text: (*text).into(),
    };
    let files: Vec<RulesFile> = texts.iter().enumerate().map(file).collect();
    load(&files, settings)
}

/// The text a diagnostic's caret stands under.
pub(crate) fn under_caret(diagnostic: &Diagnostic) -> String {
    let snippet = diagnostic.snippet.as_ref();
    snippet.map_or(String::new(), |snippet| {
        let text = snippet.text.chars();
        text.skip(snippet.caret).take(snippet.width).collect()
    })
}

/// `CODE file:line:column «text under the caret»`.
fn said(diagnostic: &Diagnostic) -> String {
    let file = diagnostic.file.trim_end_matches(".yaml");
    let Diagnostic {
        code, line, column, ..
    } = diagnostic;
    format!("{code} {file}:{line}:{column} «{}»", under_caret(diagnostic))
}

/// Everything that is said about the files named 1.yaml, 2.yaml and so on, then the condition of each rule.
pub(crate) fn given(texts: &[&str], settings: &Settings) -> Vec<String> {
    let loaded = loaded_with(texts, settings);
    let mut all: Vec<String> = loaded.diagnostics.iter().map(said).collect();
    if let Some(ruleset) = &loaded.ruleset {
        all.extend(ruleset.rules().map(|rule| {
            let off = if rule.runs() { "" } else { " (off)" };
            format!("{}: {}{off}", rule.name(), rule.condition())
        }));
    }
    all
}

/// One statement: what it says, the files, and all that comes of them.
pub(crate) type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

/// Loads the files of every row, and shows all rows that give something else.
pub(crate) fn holds(rows: &[Row<'_>]) {
    let mut wrong = String::new();
    for (says, files, expected) in rows {
        let given = given(files, &Settings::default());
        if given != *expected {
            wrong += &format!("\n{says}\n  expected {expected:#?}\n  got {given:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
