//! `-L` and `-l`: the rules.

use std::fmt::Write as _;

use anyhow::bail;
use lanner_engine::Ruleset;

/// `-L`: each rule with its description.
pub(crate) fn rules(ruleset: &Ruleset) -> String {
    let mut out = format!("{:<50} Description\n", "Rule");
    let _ = writeln!(out, "{:<50} -----------", "----");
    for rule in ruleset.rules() {
        let description = rule
            .description()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let _ = writeln!(out, "{:<50} {description}", rule.name());
    }
    out
}

/// `-l RULE`: everything about one rule.
pub(crate) fn rule(ruleset: &Ruleset, name: &str) -> anyhow::Result<String> {
    let Some(rule) = ruleset.rules().find(|rule| rule.name() == name) else {
        bail!("Rule \"{name}\" is not loaded");
    };
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        let _ = writeln!(out, "{label:<12} {}", text.trim());
    };
    row("Rule", rule.name());
    row("Description", rule.description());
    row("Priority", rule.priority().word());
    row("Source", rule.source());
    row("Tags", &rule.tags().join(", "));
    row("Enabled", if rule.is_enabled() { "yes" } else { "no" });
    let events: Vec<&str> = rule.events().iter().map(|event| event.name()).collect();
    row("Events", &events.join(", "));
    row("Condition", &rule.condition());
    Ok(out)
}
