//! Rules files: YAML → items → definitions → compiled rules.

mod alone;
mod compile;
mod definition;
mod describe;
mod exception;
mod item;
mod keys;
mod macros;
mod mapped;
mod misuse;
mod read;
mod rule_item;
mod schema;
mod selection;
mod source;
mod version;
mod yaml;

use crate::describe::Description;
use crate::diagnostic::{Code, Diagnostic};
use crate::ruleset::Ruleset;
use crate::settings::Settings;
use crate::source::{EventSource, SOURCES};
pub use alone::{Spoken, Vocabulary};
use definition::Definitions;
use macros::Conditions;
pub use schema::{SchemaProblem, SchemaVerdict, rule_schema};
pub use selection::{UnusedSelection, WhyUnused};
use source::{Report, SourceFile};
use std::collections::HashSet;
pub use version::{BUILT_IN_PLUGINS, ENGINE as ENGINE_VERSION, Version};

/// A rules file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesFile {
    /// What diagnostics call it: its path.
    pub name: String,
    /// Its content.
    pub text: String,
}

impl RulesFile {
    /// The longest file that is read, in bytes.
    pub const MAX_LENGTH: usize = 16 * 1024 * 1024;

    /// The error about a file that is longer than that.
    pub fn too_long() -> String {
        format!("the file is longer than {} MiB", Self::MAX_LENGTH >> 20)
    }
}

/// What came of loading rules files.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; none when there is an error.
    pub ruleset: Option<Ruleset>,
    /// Errors and warnings, by file and position.
    pub diagnostics: Vec<Diagnostic>,
    /// How each file stands against the rule schema, in the order of the files.
    pub schemas: Vec<SchemaVerdict>,
    /// Entries of [`Settings::selections`] that have no effect; none are known when there is an error.
    pub unused_selections: Vec<UnusedSelection>,
}

impl Loaded {
    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.is_error())
    }

    /// Where the files differ from the rule schema and no diagnostic says so already: unknown keys and items, and what is
    /// an error.
    pub fn schema_problems(&self) -> impl Iterator<Item = &SchemaProblem> {
        let says_so = |d: &Diagnostic| d.is_error() || matches!(d.code, Code::UnknownKey | Code::UnknownItem);
        let said: HashSet<(&str, usize, usize)> = self
            .diagnostics
            .iter()
            .filter(|d| says_so(d))
            .map(|d| (d.file.as_str(), d.line, d.column))
            .collect();
        let problems = self.schemas.iter().flat_map(|schema| &schema.problems);
        problems.filter(move |problem| !said.contains(&(&problem.file, problem.line, problem.column)))
    }
}

/// Loads rules files in this order: a later one may append to, override or replace what an earlier one defines.
///
/// Everything wrong with all of them is reported, and any error refuses them all.
pub fn load(files: &[RulesFile], settings: &Settings) -> Loaded {
    load_for(SOURCES, files, settings)
}

/// Loads rules files for these sources of events; rules of any other are skipped, with a warning.
pub fn load_for(sources: &[&'static EventSource], files: &[RulesFile], settings: &Settings) -> Loaded {
    load_with(sources, files, settings, false).0
}

/// Loads rules files as [`load`] does and describes what they define; there is no description when there is an error.
pub fn load_described(files: &[RulesFile], settings: &Settings) -> (Loaded, Option<Description>) {
    load_with(SOURCES, files, settings, true)
}

/// The engine that a file requires, whether or not it can be loaded.
pub fn required_engine_version(file: &RulesFile) -> Option<Version> {
    let mut report = Report::default();
    let mut definitions = Definitions::default();
    report
        .files
        .push(SourceFile::new(file.name.clone(), file.text.clone()));
    for document in yaml::read(&mut report, 0) {
        read::document(&mut report, &mut definitions, &document);
    }
    definitions.engines.into_iter().max()
}

fn load_with(
    sources: &[&'static EventSource],
    files: &[RulesFile],
    settings: &Settings,
    described: bool,
) -> (Loaded, Option<Description>) {
    let mut report = Report::default();
    let mut definitions = Definitions::default();
    let mut schemas = Vec::with_capacity(files.len());
    let shape = keys::document();
    for (index, file) in files.iter().enumerate() {
        report
            .files
            .push(SourceFile::new(file.name.clone(), file.text.clone()));
        let errors = report.errors();
        let documents = yaml::read(&mut report, index);
        let is_yaml = report.errors() == errors;
        schemas.push(schema::check(
            &report,
            index,
            &shape,
            is_yaml.then_some(&documents),
        ));
        for document in &documents {
            read::document(&mut report, &mut definitions, document);
        }
    }
    let mut conditions = Conditions::new(&definitions);
    let mut rules = compile::compile(&mut report, &definitions, &mut conditions, settings, sources);
    let description = (described && report.errors() == 0)
        .then(|| describe::describe(&definitions, &mut conditions, &rules, sources));
    let mut unused_selections = Vec::new();
    let ruleset = (report.errors() == 0).then(|| {
        unused_selections = selection::apply(&mut rules, settings);
        Ruleset::new(rules, sources.len(), settings)
    });
    let loaded = Loaded {
        ruleset,
        diagnostics: report.finish(),
        schemas,
        unused_selections,
    };
    (loaded, description)
}
