//! Rules files: YAML → items → definitions → compiled rules.

mod compile;
mod definition;
mod exception;
mod item;
mod macros;
mod mapped;
mod read;
mod rule_item;
mod source;
mod version;
mod yaml;

use crate::diagnostic::Diagnostic;
use crate::ruleset::Ruleset;
use crate::settings::Settings;
use crate::source::{EventSource, SOURCES};
use definition::Definitions;
use source::{Report, SourceFile};
pub use version::{ENGINE as ENGINE_VERSION, Version};

/// A rules file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesFile {
    /// What diagnostics call it: its path.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// What came of loading rules files.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; none when there is an error.
    pub ruleset: Option<Ruleset>,
    /// Errors and warnings, by file and position.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.is_error())
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
    let mut report = Report::default();
    let mut definitions = Definitions::default();
    for (index, file) in files.iter().enumerate() {
        report
            .files
            .push(SourceFile::new(file.name.clone(), file.text.clone()));
        for document in yaml::read(&mut report, index) {
            read::document(&mut report, &mut definitions, &document);
        }
    }
    let rules = compile::compile(&mut report, &definitions, settings, sources);
    let ruleset = (report.errors() == 0).then(|| Ruleset::new(rules, sources.len(), settings));
    Loaded {
        ruleset,
        diagnostics: report.finish(),
    }
}
