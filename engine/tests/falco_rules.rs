//! Falco's stock rules, where they are at hand: they load, and what they need and Lanner lacks is listed by name.

use lanner_engine::{RulesFile, Settings, load};
use std::path::PathBuf;

fn stock_rules() -> Option<RulesFile> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(RulesFile {
            name: "falco_rules.yaml".into(),
            text,
        }),
        Err(error) => {
            eprintln!(
                "skipped: {}: {error}; set FALCO_RULES to Falco's falco_rules.yaml",
                path.display()
            );
            None
        }
    }
}

#[test]
fn the_stock_rules_load_and_their_gaps_are_named() {
    let Some(file) = stock_rules() else { return };
    let loaded = load(&[file], &Settings::default());
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    assert_eq!(loaded.schemas[0].status(), "ok");
    let ruleset = loaded.ruleset.unwrap();
    assert!(ruleset.rules().count() >= 20);
    for rule in ruleset.rules() {
        let gap = ruleset.gaps().into_iter().find(|gap| *gap.rule == *rule.name());
        assert!(
            !rule.events().is_empty() || gap.is_some_and(|gap| !gap.events.is_empty()),
            "{} sees no event and no gap says why",
            rule.name()
        );
    }
    for gap in ruleset.gaps() {
        println!("{gap}");
    }
}

#[test]
fn a_stock_file_cut_anywhere_never_panics() {
    let Some(file) = stock_rules() else { return };
    // Every position would take long; a prime step visits all kinds of places.
    for end in (0..file.text.len()).step_by(4999) {
        let Some(text) = file.text.get(..end) else {
            continue;
        };
        let cut = RulesFile {
            name: "cut.yaml".into(),
            text: text.into(),
        };
        let loaded = load(&[cut], &Settings::default());
        loaded
            .diagnostics
            .iter()
            .for_each(|d| assert!(!d.to_string().is_empty()));
    }
}
