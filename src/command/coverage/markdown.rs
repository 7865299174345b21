//! What is left of rules without BPF, as a table for a page.

use std::fmt::Write as _;

use lanner_engine::{Captured, Coverage, Place, Ruleset, Subject};
use lanner_schema::tier::{Source, SourceSet, Tier};

/// The sources that may be used, and what that is called.
const COLUMNS: [(&str, &[Source]); 3] = [
    ("all sources", &Source::ALL),
    ("fanotify, connector", &[Source::Fanotify, Source::Connector]),
    ("connector", &[Source::Connector]),
];

pub(super) fn render(ruleset: &Ruleset, captured: Captured) -> String {
    let of = |sources: &[Source]| Captured {
        sources: sources.iter().copied().collect::<SourceSet>(),
        ..captured
    };
    let mut out = String::from("| rule |");
    for (name, _) in COLUMNS {
        let _ = write!(out, " {name} |");
    }
    out.push_str(" what is missing with all of them |\n|---|---|---|---|---|\n");
    for rule in ruleset.rules() {
        let _ = write!(out, "| {} |", rule.name());
        for (_, sources) in COLUMNS {
            let _ = write!(out, " {} |", rule.coverage_of(Tier::None, of(sources)).verdict);
        }
        let _ = writeln!(
            out,
            " {} |",
            missing(&rule.coverage_of(Tier::None, of(&Source::ALL)))
        );
    }
    out
}

/// What the condition lacks, by name.
fn missing(coverage: &Coverage) -> String {
    let reasons = coverage.reasons.iter();
    let lacks = reasons.filter(|reason| reason.is_missing && reason.place == Place::Condition);
    let mut names: Vec<String> = lacks
        .map(|reason| match &reason.subject {
            Subject::Event(name) | Subject::Field(name) => format!("`{name}`"),
            Subject::Condition => reason.why.to_string(),
        })
        .collect();
    names.dedup();
    names.join(", ")
}
