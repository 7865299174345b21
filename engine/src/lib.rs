//! The rules engine: rules files → items → conditions → programs → alerts.
//!
//! [`load`] reads rules files and reports everything wrong with them; the [`Ruleset`] it gives is shown events and makes
//! [`Alert`]s of those that match.

#![forbid(unsafe_code)]

mod alert_line;
pub mod condition;
pub mod coverage;
pub mod describe;
mod diagnostic;
pub mod field;
mod file_result;
mod given;
pub mod output;
mod rule_costs;
mod rules;
mod ruleset;
mod scope;
mod settings;
pub mod shape;
mod source;
mod suggest;
#[cfg(test)]
mod testing;
pub mod value;

pub use alert_line::internal as internal_alert;
pub use coverage::{Captured, Coverage, Place, Reason, Subject, Verdict};
pub use diagnostic::{Code, Diagnostic, ItemKind, ItemName, Note, Part, Position, Severity, Snippet};
pub use file_result::FileResult;
pub use given::{GivenFields, Input, InputError, Rendered};
pub use lanner_schema::alert::{Alert, FieldValue, Priority};
pub use rules::{
    BUILT_IN_PLUGINS, ENGINE_VERSION, Loaded, RulesFile, SchemaProblem, SchemaVerdict, Spoken,
    UnusedSelection, Version, Vocabulary, WhyUnused, load, load_described, load_for, required_engine_version,
    rule_schema,
};
pub use ruleset::{Rule, RuleCounts, Ruleset};
pub use scope::Scope;
pub use settings::{AppendOutput, ExtraField, Matching, Selection, Settings};
pub use source::{EventSource, SOURCES, SYSCALL};
pub use suggest::nearest;

/// The rules that run when no file is configured: `rules/lanner_rules.yaml`.
pub const BUILT_IN_RULES: &str = include_str!("../../rules/lanner_rules.yaml");
