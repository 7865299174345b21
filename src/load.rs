//! Rules from files to a ruleset, with every diagnostic shown.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use lanner_engine::{Diagnostic, FileResult, Loaded, Matching, RulesFile, Ruleset, Settings};
use serde_json::json;

use crate::config::Config;
use crate::{log, rules, schema};

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
        append_output: config.append_output.clone(),
        selections: config
            .selections
            .iter()
            .map(|placed| placed.selection.clone())
            .collect(),
        static_fields: config.static_fields.clone(),
        buffer_format_base64: config.buffer_base64,
        hostname: hostname(),
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
    if config.log_stderr {
        schema::report(&loaded, None);
    }
    for unused in &loaded.unused_selections {
        let hint = unused.hint().map(|hint| format!(" ({hint})"));
        if let Some(placed) = config.selections.get(unused.index) {
            tracing::warn!("{}: rules: {unused}{}", placed.at, hint.unwrap_or_default());
        }
    }
    let Loaded {
        ruleset, diagnostics, ..
    } = loaded;
    for diagnostic in &diagnostics {
        // Whole, with their snippets: the log's own form would put all of it on one line.
        if config.log_stderr || diagnostic.is_error() {
            log::err(&format!("{diagnostic}\n"));
        }
    }
    match ruleset {
        Some(ruleset) => Ok(ruleset),
        None => {
            let errors = diagnostics.iter().filter(|d| d.is_error()).count();
            bail!("the rules are not loaded: {}", count(errors, "error"));
        }
    }
}

/// `-V`: checks each file, and each of a directory, together with those before it, as a start with all of them would load
/// them; one that is refused is left out for the next.
pub(crate) fn validate(paths: &[PathBuf], config: &Config) -> Vec<FileResult> {
    let mut results = Vec::new();
    let mut together = Vec::new();
    for path in paths {
        let files = match rules::paths(path) {
            Ok(files) if files.is_empty() => Err(anyhow!("the directory has no .yaml or .yml file")),
            files => files,
        };
        match files {
            Ok(files) => {
                for file in files {
                    results.push(match rules::read_file(&file) {
                        Ok(file) => check(file, &mut together, config),
                        Err(error) => unreadable(&file, error),
                    });
                }
            }
            Err(error) => results.push(unreadable(path, error)),
        }
    }
    results
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

/// Prints what `-V` found. Text goes to standard output, warnings to standard error as in Falco; with `json_output`
/// standard output is one JSON object, and the text goes to standard error.
pub(crate) fn print(results: &[FileResult], config: &Config) {
    let out = match config.json_output {
        true => log::err,
        false => log::out,
    };
    for result in results {
        out(&format!("{}: {}\n", result.name, result.verdict()));
        for diagnostic in &result.diagnostics {
            match diagnostic.is_error() {
                true => out(&format!("{diagnostic}\n")),
                false => log::err(&format!("{diagnostic}\n")),
            }
        }
    }
    if config.json_output {
        let results: Vec<serde_json::Value> = results.iter().map(FileResult::as_json).collect();
        log::out(&format!("{}\n", json!({ "falco_load_results": results })));
    }
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
