//! The types of events a condition can be true on.

use crate::rows::refused;
use lanner_engine::Scope;
use lanner_engine::condition::{event_types, parse};

/// "all", "all but a b", "a b" or "none".
fn types(condition: &str) -> String {
    let expr = parse(condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
    let types = event_types(&expr, &Scope::default());
    match (types.all, &types.types[..], &types.except[..]) {
        (true, [], []) => "all".into(),
        (true, [], except) => format!("all but {}", except.join(" ")),
        (false, [], []) => "none".into(),
        (false, some, []) => some.join(" "),
        _ => panic!("{condition}: {types:?}"),
    }
}

#[track_caller]
fn table(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(condition, expected)| types(condition) != *expected)
        .map(|(condition, _)| format!("{condition}: {}", types(condition)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn negation_is_pushed_to_the_leaves() {
    // 25
    table(&[
        ("evt.type = open", "open"),
        ("evt.type == open", "open"),
        ("evt.type != open", "all but open"),
        ("not evt.type = open", "all but open"),
        ("not evt.type != open", "open"),
        ("not not evt.type = open", "open"),
        ("not (not (evt.type = open))", "open"),
        ("evt.type in (openat, open)", "open openat"),
        ("not evt.type in (open, openat)", "all but open openat"),
        ("evt.type = open or evt.type = openat", "open openat"),
        ("evt.type = open and evt.type = openat", "none"),
        (
            "evt.type in (open, openat) and evt.type in (openat, connect)",
            "openat",
        ),
        ("evt.type in (open, openat) and evt.type != open", "openat"),
        ("evt.type != open or evt.type != openat", "all"),
        ("evt.type != open and evt.type != openat", "all but open openat"),
        ("evt.type = open or evt.type != open", "all"),
        ("evt.type = open and evt.type != open", "none"),
        (
            "not (evt.type = open or evt.type = openat)",
            "all but open openat",
        ),
        ("not (evt.type = open and evt.type = openat)", "all"),
        ("not (evt.type != open and evt.type != openat)", "open openat"),
        ("not (evt.type != open or evt.type != openat)", "none"),
    ]);
}

#[test]
fn other_checks_are_neutral() {
    // 25
    table(&[
        ("proc.name = cat", "all"),
        ("not proc.name = cat", "all"),
        ("fd.name exists", "all"),
        ("proc.name = cat and evt.type = open", "open"),
        ("not proc.name = cat and evt.type = open", "open"),
        ("proc.name = cat or evt.type = open", "all"),
        ("not proc.name = cat or evt.type = open", "all"),
        ("not (proc.name = cat and evt.type = open)", "all"),
        ("not (proc.name = cat or evt.type = open)", "all but open"),
        ("not (proc.name = cat or evt.type != open)", "open"),
        ("evt.type = open and (proc.name = cat or proc.name = tac)", "open"),
        (
            "(evt.type = open and proc.name = cat) or (evt.type = openat and proc.name = tac)",
            "open openat",
        ),
        (
            "evt.type = open and not (evt.type = openat and proc.name = cat)",
            "open",
        ),
        ("evt.type startswith open", "all"),
        ("evt.type contains open", "all"),
        ("evt.type glob open*", "all"),
        ("evt.type.is.open = 1", "all"),
        ("evt.dir = <", "all"),
        ("evt.category = file", "all"),
        ("a_macro", "all"),
        ("evt.type = open and a_macro", "open"),
    ]);
}

#[test]
fn the_event_number_starts_at_one() {
    // 26
    table(&[
        ("evt.type exists", "all"),
        ("evt.type in ()", "none"),
        ("not evt.type in ()", "all"),
        ("evt.num = 0", "none"),
        ("evt.num == 0", "none"),
        ("evt.num < 1", "none"),
        ("evt.num < 0", "none"),
        ("evt.num <= 0", "none"),
        ("evt.num in (0)", "none"),
        ("evt.num in ()", "none"),
        ("not evt.num = 0", "all"),
        ("not evt.num < 1", "all"),
        ("evt.num != 0", "all"),
        ("evt.num > 0", "all"),
        ("evt.num >= 1", "all"),
        ("evt.num >= 0", "all"),
        ("not evt.num != 0", "none"),
        ("not evt.num > 0", "none"),
        ("not evt.num >= 1", "none"),
        // What may be true and may be false.
        ("evt.num = 1", "all"),
        ("not evt.num = 1", "all"),
        ("evt.num < 2", "all"),
        ("not evt.num < 2", "all"),
        ("evt.num > 1", "all"),
        ("not evt.num > 1", "all"),
        ("evt.num in (0, 1)", "all"),
        ("not evt.num in (0, 1)", "all"),
        // Nothing is said about other numbers.
        ("evt.num = -1", "all"),
        ("not evt.num = -1", "all"),
        ("evt.num < -1", "all"),
        ("evt.num = 0x0", "all"),
        ("not evt.num = 0x0", "all"),
        ("evt.num < 0x1", "all"),
        ("evt.num < 0.5", "all"),
        ("not evt.num > 0.5", "all"),
        ("len(evt.num) = 0", "all"),
        ("evt.num = val(proc.pid)", "all"),
        ("proc.pid = 0", "all"),
        // In conditions.
        ("evt.num = 0 and evt.type = open", "none"),
        ("evt.num = 0 or evt.type = open", "open"),
        ("evt.type = open and not evt.num = 0", "open"),
        ("evt.type = open and evt.num > 0", "open"),
        ("not (evt.num = 0 and proc.name = cat)", "all"),
        ("evt.type = open and (proc.name = cat or evt.num = 0)", "open"),
        ("not (evt.num > 0 or evt.type = open)", "none"),
    ]);
}

#[test]
fn names_of_events_are_checked() {
    refused(&[
        ("evt.type = val(proc.name)", ""),
        ("toupper(evt.type) = OPEN", ""),
    ]);
}

/// 26: rules that no event satisfies raise no LOAD_NO_EVTTYPE, rules that any event may satisfy do.
#[test]
fn wide_rules_are_warned_of_and_empty_ones_are_not() {
    use lanner_engine::{Code, RulesFile, Settings, load};
    for (condition, extra, warns) in [
        ("evt.num = 0", "", false),
        ("evt.num = 0 and proc.name = cat", "", false),
        ("evt.type in ()", "", false),
        ("evt.type = open and evt.type = openat", "", false),
        ("evt.type = open and proc.name = cat", "", false),
        ("proc.name = cat", "", true),
        ("evt.type != open", "", true),
        ("evt.type exists", "", true),
        ("evt.num > 0", "", true),
        ("evt.type = open or proc.name = cat", "", true),
        ("proc.name = cat", "  warn_evttypes: false\n", false),
        ("proc.name = cat", "  warn_evttypes: true\n", true),
    ] {
        let text =
            format!("- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n{extra}");
        let file = RulesFile {
            name: "rules.yaml".into(),
            text,
        };
        let loaded = load(&[file], &Settings::default());
        assert!(loaded.errors().next().is_none(), "{condition}");
        let codes: Vec<Code> = loaded
            .diagnostics
            .iter()
            .map(|diagnostic| diagnostic.code)
            .collect();
        assert_eq!(
            codes.contains(&Code::NoEventType),
            warns,
            "{condition}: {codes:?}"
        );
    }
}
