//! Falco's stock rules, where they are at hand: they load, and what they need and Lanner lacks is listed by name.

#![allow(clippy::unwrap_used)]

use lanner_engine::{Place, Rule, RulesFile, Ruleset, Settings, Subject, Verdict, load};
use lanner_schema::tier::{Tier, Why};
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
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!(loaded.schemas[0].status(), "ok");
    let ruleset = loaded.ruleset.unwrap();
    assert!(ruleset.rules().count() >= 20);
    for rule in ruleset.rules() {
        let coverage = rule.coverage(Tier::SysExit);
        assert_eq!(
            coverage.verdict == Verdict::Exact,
            coverage.reasons.is_empty(),
            "{}",
            rule.name()
        );
        assert_ne!(coverage.verdict, Verdict::Blind, "{}", rule.name());
        assert_eq!(
            coverage.missing(),
            None,
            "{} asks for what there is not",
            rule.name()
        );
        println!("{}: {}", rule.name(), coverage.verdict);
    }
}

#[test]
fn the_names_that_addresses_are_compared_with_are_told_once() {
    let text = r#"
- macro: api
  condition: fd.sip.name = kubernetes.default
- rule: A
  desc: a
  condition: evt.type = connect and (api or fd.cip.name in (a.example, b.example))
  output: a
  priority: INFO
- rule: B
  desc: b
  condition: evt.type = connect and api and fd.name = no.host.name and fd.rip.name != a.example
  output: b
  priority: INFO
- rule: C
  desc: c
  condition: evt.type = connect and fd.sip.name = c.example
  output: c
  priority: INFO
  enabled: false
"#;
    let file = RulesFile {
        name: "names.yaml".into(),
        text: text.into(),
    };
    let ruleset = load(&[file], &Settings::default()).ruleset.unwrap();
    assert_eq!(
        ruleset.host_names(),
        ["a.example", "b.example", "kubernetes.default"]
    );
}

fn stock_ruleset() -> Option<Ruleset> {
    load(&[stock_rules()?], &Settings::default()).ruleset
}

fn of<'r>(ruleset: &'r Ruleset, name: &str) -> &'r Rule {
    ruleset.rules().find(|rule| rule.name() == name).unwrap()
}

#[test]
fn the_stock_rules_are_covered_as_the_rows_say() {
    let Some(ruleset) = stock_ruleset() else { return };
    let count = |tier: Tier, verdict| {
        let rules = ruleset.rules();
        rules
            .filter(|rule| rule.coverage(tier).verdict == verdict)
            .count()
    };
    for tier in Tier::ALL {
        let sum: usize = [Verdict::Exact, Verdict::Partial, Verdict::Blind]
            .map(|v| count(tier, v))
            .iter()
            .sum();
        assert_eq!(sum, ruleset.rules().count());
    }
    // A better tier never sees less.
    for rule in ruleset.rules() {
        let verdict = |tier| rule.coverage(tier).verdict;
        assert!(
            verdict(Tier::Trampoline) <= verdict(Tier::SysExit),
            "{}",
            rule.name()
        );
        assert!(verdict(Tier::SysExit) <= verdict(Tier::Raw), "{}", rule.name());
    }
    assert_eq!(
        count(Tier::None, Verdict::Exact),
        0,
        "without BPF something is always claimed"
    );

    let shell = of(&ruleset, "Terminal shell in container");
    assert_eq!(shell.coverage(Tier::SysExit).verdict, Verdict::Exact);
    assert_eq!(shell.coverage(Tier::Raw).verdict, Verdict::Partial);
    assert_eq!(shell.coverage(Tier::None).verdict, Verdict::Partial);

    let shadow = of(&ruleset, "Read sensitive file untrusted").coverage(Tier::SysExit);
    assert_eq!(shadow.verdict, Verdict::Partial);
    assert!(
        shadow
            .reasons
            .iter()
            .any(|r| r.subject == Subject::Field("fd.name".into())
                && r.place == Place::Condition
                && r.why == Why::NameAtReturn.text())
    );
    assert_eq!(shadow.missing(), None);

    let logs = of(&ruleset, "Clear Log Activities");
    assert_eq!(logs.coverage(Tier::Trampoline), logs.coverage(Tier::SysExit));
    assert_eq!(
        logs.coverage(Tier::None).verdict,
        Verdict::Blind,
        "fanotify does not tell O_TRUNC"
    );
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
