//! Rules from files to a ruleset, with every diagnostic shown.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use lanner_engine::describe::Description;
use lanner_engine::{Diagnostic, FileResult, Loaded, Matching, RulesFile, Ruleset, Settings};
use serde_json::{Value, json};

use crate::config::Config;
use crate::{list, log, rule_names, rules, schema};

/// The engine's settings, from the configuration.
pub(crate) fn settings(config: &Config) -> Settings {
    Settings {
        minimum_priority: config.priority,
        json_output: config.json_output,
        json_include_output_property: config.json_output_property,
        json_include_message_property: config.json_message_property,
        json_include_output_fields_property: config.json_fields_property,
        json_include_tags_property: config.json_tags_property,
        time_format_iso_8601: config.iso_8601,
        rule_matching: match config.match_all {
            true => Matching::All,
            false => Matching::First,
        },
        real_names: config.real_names,
        append_output: config.append_output.clone(),
        selections: config
            .selections
            .iter()
            .map(|placed| placed.selection.clone())
            .collect(),
        static_fields: config.static_fields.clone(),
        buffer_format_base64: config.buffer_base64,
        hostname: config.hostname.clone().unwrap_or_else(hostname),
    }
}

/// `FALCO_HOSTNAME` where a deployment sets it (the node's name in a pod), or the host's own name.
fn hostname() -> String {
    let set = std::env::var("FALCO_HOSTNAME")
        .ok()
        .filter(|name| !name.is_empty());
    set.or_else(|| nix::unistd::gethostname().ok()?.into_string().ok())
        .unwrap_or_default()
}

/// Loads the rules and prints what is wrong with them to standard error.
///
/// # Errors
/// When the rules are refused; the diagnostics were printed.
pub(crate) fn load(files: &[RulesFile], config: &Config) -> anyhow::Result<Ruleset> {
    let loaded = lanner_engine::load(files, &settings(config));
    report(&loaded, config);
    loaded.ruleset.ok_or_else(|| refused(&loaded.diagnostics))
}

/// As [`load`], for rules that are to take the place of others.
///
/// # Errors
/// As those; the first of what is wrong, in one line.
pub(crate) fn replace(files: &[RulesFile], config: &Config) -> anyhow::Result<Ruleset> {
    let loaded = lanner_engine::load(files, &settings(config));
    report(&loaded, config);
    let mut errors = loaded.errors();
    match (errors.next(), errors.count()) {
        (Some(first), more) => {
            let at = match first.line {
                0 => first.file.clone(),
                line => format!("{}:{line}:{}", first.file, first.column),
            };
            let more = match more {
                0 => String::new(),
                more => format!(" (and {} more)", count(more, "error")),
            };
            Err(anyhow!("{at}: {}{more}", first.message))
        }
        (None, _) => loaded.ruleset.ok_or_else(|| refused(&loaded.diagnostics)),
    }
}

/// Loads the rules as [`load`] does, and describes them.
///
/// # Errors
/// As [`load`].
pub(crate) fn describe(files: &[RulesFile], config: &Config) -> anyhow::Result<Description> {
    let (loaded, description) = lanner_engine::load_described(files, &settings(config));
    report(&loaded, config);
    description.ok_or_else(|| refused(&loaded.diagnostics))
}

/// Prints what is wrong with the rules.
fn report(loaded: &Loaded, config: &Config) {
    if config.log_stderr {
        schema::report(loaded, None);
    }
    rule_names::report(loaded, config);
    for diagnostic in &loaded.diagnostics {
        // Whole, with their snippets: the log's own form would put all of it on one line.
        if config.log_stderr || diagnostic.is_error() {
            log::err(&format!("{diagnostic}\n"));
        }
    }
}

fn refused(diagnostics: &[Diagnostic]) -> anyhow::Error {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    anyhow!("the rules are not loaded: {}", count(errors, "error"))
}

/// What `-V` found.
#[derive(Debug, Default)]
pub(crate) struct Validated {
    /// One result per file, in order.
    pub(crate) results: Vec<FileResult>,
    /// The files that can be loaded together.
    files: Vec<RulesFile>,
}

/// `-V`: checks each file, and each of a directory, together with those before it, as a start with all of them would load
/// them; one that is refused is left out for the next.
pub(crate) fn validate(paths: &[PathBuf], config: &Config) -> Validated {
    let mut all = Validated::default();
    for path in paths {
        let files = match rules::paths(path) {
            Ok(files) if files.is_empty() => Err(anyhow!("the directory has no .yaml or .yml file")),
            files => files,
        };
        match files {
            Ok(files) => {
                for file in files {
                    let result = match rules::read_file(&file) {
                        Ok(file) => check(file, &mut all.files, config),
                        Err(error) => unreadable(&file, error),
                    };
                    all.results.push(result);
                }
            }
            Err(error) => all.results.push(unreadable(path, error)),
        }
    }
    all
}

fn unreadable(path: &Path, error: anyhow::Error) -> FileResult {
    let name = path.display().to_string();
    let why = error
        .downcast::<Diagnostic>()
        .unwrap_or_else(|error| Diagnostic::unreadable(&name, format!("{error:#}"), None));
    FileResult::unreadable(&name, why)
}

/// Checks a file together with others; it joins them when it can be loaded.
fn check(file: RulesFile, together: &mut Vec<RulesFile>, config: &Config) -> FileResult {
    let name = file.name.clone();
    together.push(file);
    let loaded = lanner_engine::load(together, &settings(config));
    schema::report(&loaded, Some(&name));
    let result = loaded.result_of(&name);
    if !result.successful {
        together.pop();
    }
    result
}

impl Validated {
    /// Whether every file can be loaded.
    pub(crate) fn successful(&self) -> bool {
        self.results.iter().all(|result| result.successful)
    }

    /// Prints what was found and, where all is well and `asked` for, what the rules are (`-V` with `-L` or `-l`). Text goes
    /// to standard output, warnings to standard error as in Falco; with `json_output` standard output is one JSON object,
    /// and the text goes to standard error.
    ///
    /// # Errors
    /// When the rule that is asked for is not loaded.
    pub(crate) fn print(&self, asked: Option<Option<&str>>, config: &Config) -> anyhow::Result<()> {
        let out = match config.json_output {
            true => log::err,
            false => log::out,
        };
        for result in &self.results {
            out(&format!("{}: {}\n", result.name, result.verdict()));
            for diagnostic in &result.diagnostics {
                match diagnostic.is_error() {
                    true => out(&format!("{diagnostic}\n")),
                    false => log::err(&format!("{diagnostic}\n")),
                }
            }
        }
        let described = match asked.filter(|_| self.successful()) {
            Some(rule) => lanner_engine::load_described(&self.files, &settings(config))
                .1
                .map(|description| (description, rule)),
            None => None,
        };
        if config.json_output {
            let results: Vec<Value> = self.results.iter().map(FileResult::as_json).collect();
            let mut all = json!({ "falco_load_results": results });
            if let Some((description, rule)) = &described {
                all["falco_describe_results"] = list::rules_as_json(description, *rule)?;
            }
            log::out(&format!("{all}\n"));
        } else if let Some((description, rule)) = &described {
            log::out(&format!("\n{}", list::rules_as_text(description, *rule)?));
        }
        Ok(())
    }
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
