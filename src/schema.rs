//! The schemas of rules and configuration: printing them, and saying how files stand against them.

use lanner_engine::Loaded;

use crate::config::Verdict;
use crate::log;

/// Differences of one file that are shown in full; a file with an old habit has it on every rule.
const SHOWN: usize = 3;

/// The JSON schema of rules files, as `--rule-schema` prints it.
pub(crate) fn rules() -> String {
    format!("{:#}\n", lanner_engine::rule_schema())
}

/// Says how the files of the configuration stand against their schema; where they differ is among the messages.
pub(crate) fn report_configuration(verdicts: &[Verdict]) {
    for verdict in verdicts {
        match verdict.is_valid() {
            true => tracing::info!("{verdict}"),
            false => tracing::warn!("{verdict}"),
        }
    }
}

/// Says how rules files stand against their schema, in Falco's words: never a reason not to load them. `file` picks one
/// of them; what a diagnostic says at the same place is not said again.
pub(crate) fn report(loaded: &Loaded, file: Option<&str>) {
    for verdict in &loaded.schemas {
        if file.is_some_and(|file| verdict.file != file) {
            continue;
        }
        if verdict.problems.is_empty() {
            tracing::info!("{verdict}");
            continue;
        }
        let problems: Vec<_> = loaded
            .schema_problems()
            .filter(|problem| problem.file == verdict.file)
            .collect();
        if problems.is_empty() {
            tracing::warn!("{verdict}");
        }
        for problem in problems.iter().take(SHOWN) {
            log::err(&format!("{problem}\n"));
        }
        if let Some(more) = problems.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            log::err(&format!(
                "{}: warning: {more} more differences from the rule schema; lanner --rule-schema prints it\n",
                verdict.file
            ));
        }
    }
}
