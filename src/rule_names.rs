//! What the configuration says about rules by their names and tags, held against the rules that were loaded.

use lanner_engine::{Loaded, Ruleset, nearest};

use crate::config::{Config, Placed};

/// Logs which rules the configuration switches on and off, and what of it fits no rule.
pub(crate) fn report(loaded: &Loaded, config: &Config) {
    for Placed { selection, .. } in &config.selections {
        // Falco's words.
        let what = if selection.enable { "Enabling" } else { "Disabling" };
        if let Some(name) = &selection.rule {
            tracing::info!("{what} rules with name: {name}");
        }
        if let Some(tag) = &selection.tag {
            tracing::info!("{what} rules with tag: {tag}");
        }
    }
    for unused in &loaded.unused_selections {
        if let Some(placed) = config.selections.get(unused.index) {
            tracing::warn!("{}: rules: {unused}{}", placed.at, hint(unused.hint()));
        }
    }
    if let Some(ruleset) = &loaded.ruleset {
        appended(ruleset, config);
    }
}

/// `append_output` entries for rules that are not there.
fn appended(ruleset: &Ruleset, config: &Config) {
    let names = || ruleset.rules().map(|rule| rule.name());
    for (name, at) in &config.append_output_rules {
        if !names().any(|rule| rule == name) {
            let meant = nearest(name, names()).map(|meant| format!("did you mean \"{meant}\"?"));
            tracing::warn!("{at}: append_output: no rule is called \"{name}\"{}", hint(meant));
        }
    }
}

fn hint(hint: Option<String>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}
