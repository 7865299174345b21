//! Which rules alert, and in which order.

use crate::support::host;
use lanner_engine::{Matching, RulesFile, Selection, Settings, load};

/// The rules that alert when cat opens /etc/shadow.
fn alerts(files: &[&str], settings: &Settings) -> Vec<String> {
    let files: Vec<RulesFile> = files
        .iter()
        .enumerate()
        .map(|(index, text)| RulesFile {
            name: format!("{index}.yaml"),
            text: (*text).to_owned(),
        })
        .collect();
    let loaded = load(&files, settings);
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    let mut ruleset = loaded.ruleset.unwrap_or_else(|| panic!("{}", errors.join("\n")));
    let mut alerts = Vec::new();
    host("cat /etc/shadow")
        .opens("/etc/shadow", 0)
        .view(|event| ruleset.evaluate(event, &mut |alert| alerts.push(alert.rule.to_string())));
    alerts
}

fn rule(name: &str, condition: &str, more: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: evt.type = openat and {condition}\n  output: o\n  priority: WARNING\n  {more}\n"
    )
}

fn all() -> Settings {
    Settings {
        rule_matching: Matching::All,
        ..Settings::default()
    }
}

#[test]
fn rules_alert_in_order_of_definition() {
    let yes = "proc.name = cat";
    let no = "proc.name = tac";
    let (a, b, c) = (
        rule("A", yes, "tags: [x]"),
        rule("B", yes, ""),
        rule("C", yes, "tags: [x, y]"),
    );
    let first = Settings::default();
    let select = |enable: bool, rule: Option<&str>, tag: Option<&str>| Selection {
        enable,
        rule: rule.map(Into::into),
        tag: tag.map(Into::into),
    };
    let selected = |selections: Vec<Selection>| Settings { selections, ..all() };
    let rows: Vec<(&str, Vec<String>, Settings, &[&str])> = vec![
        ("first", vec![a.clone() + &b + &c], first.clone(), &["A"]),
        ("all", vec![a.clone() + &b + &c], all(), &["A", "B", "C"]),
        ("order", vec![c.clone() + &b + &a], all(), &["C", "B", "A"]),
        ("files", vec![b.clone(), a.clone() + &c], all(), &["B", "A", "C"]),
        ("no match", vec![rule("A", no, "") + &b], first.clone(), &["B"]),
        (
            "disabled",
            vec![rule("A", yes, "enabled: false") + &b],
            first.clone(),
            &["B"],
        ),
        // 27: a rule defined again is replaced where it was.
        (
            "redefined",
            vec![rule("A", no, "") + &b, a.clone()],
            all(),
            &["A", "B"],
        ),
        (
            "redefined first",
            vec![rule("A", no, "") + &b, a.clone()],
            first.clone(),
            &["A"],
        ),
        (
            "redefined away",
            vec![a.clone() + &b, rule("A", no, "")],
            all(),
            &["B"],
        ),
        (
            "disabled all",
            vec![a.clone() + &b + &c],
            selected(vec![select(false, Some("*"), None)]),
            &[],
        ),
        (
            "disabled by name",
            vec![a.clone() + &b + &c],
            selected(vec![select(false, Some("B"), None)]),
            &["A", "C"],
        ),
        (
            "disabled by tag",
            vec![a.clone() + &b + &c],
            selected(vec![select(false, None, Some("x"))]),
            &["B"],
        ),
        (
            "all off, a tag on",
            vec![a.clone() + &b + &c],
            selected(vec![
                select(false, Some("*"), None),
                select(true, None, Some("y")),
            ]),
            &["C"],
        ),
        (
            "on again is last",
            vec![a.clone() + &b + &c],
            selected(vec![
                select(false, Some("A"), None),
                select(true, Some("A"), None),
            ]),
            &["B", "C", "A"],
        ),
        (
            "the configuration beats the file",
            vec![rule("A", yes, "enabled: false") + &b],
            selected(vec![select(true, Some("A"), None)]),
            &["B", "A"],
        ),
    ];
    for (what, files, settings, expected) in rows {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(alerts(&files, &settings), expected, "{what}");
    }
}
