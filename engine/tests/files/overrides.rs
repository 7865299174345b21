//! Append, override, redefinition, the bare `enabled`.

use super::{RULE, given, holds, loaded_with};
use lanner_engine::{Priority, Settings};

const LIST: &str = "- list: l
  items: [a]
- rule: R
  desc: d
  condition: evt.type = open and proc.name in (l)
  output: o
  priority: INFO
";

const MACRO: &str = "- macro: m
  condition: evt.type = open
- rule: R
  desc: d
  condition: m
  output: o
  priority: INFO
";

#[test]
fn lists() {
    holds(&[
        (
            "append adds items",
            &[LIST, "- list: l\n  items: [b]\n  override: {items: append}\n"],
            &["R: (evt.type = open and proc.name in (a, b))"],
        ),
        (
            "replace takes their place",
            &[LIST, "- list: l\n  items: [b]\n  override: {items: replace}\n"],
            &["R: (evt.type = open and proc.name in (b))"],
        ),
        (
            "as a plain definition does",
            &[LIST, "- list: l\n  items: [b]\n"],
            &["R: (evt.type = open and proc.name in (b))"],
        ),
        (
            "the older append works and is deprecated",
            &[LIST, "- list: l\n  items: [b]\n  append: true\n"],
            &[
                "LOAD_DEPRECATED_ITEM 2:3:11 «true»",
                "R: (evt.type = open and proc.name in (a, b))",
            ],
        ),
        (
            "append: false is nothing",
            &[LIST, "- list: l\n  items: [b]\n  append: false\n"],
            &["R: (evt.type = open and proc.name in (b))"],
        ),
        (
            "append to nothing",
            &["- list: l\n  items: [b]\n  override: {items: append}\n"],
            &["LOAD_ERR_VALIDATE 1:1:9 «l»"],
        ),
        (
            "older append to nothing",
            &["- list: l\n  items: [b]\n  append: true\n"],
            &[
                "LOAD_ERR_VALIDATE 1:1:9 «l»",
                "LOAD_DEPRECATED_ITEM 1:3:11 «true»",
            ],
        ),
        (
            "replace of nothing defines",
            &[&format!(
                "- list: l\n  items: [z]\n  override: {{items: replace}}\n{}",
                &LIST[LIST.find("- rule").unwrap()..]
            )],
            &["R: (evt.type = open and proc.name in (z))"],
        ),
        (
            "only items can be overridden",
            &[
                LIST,
                "- list: l\n  items: [b]\n  override: {list: append, items: append}\n",
            ],
            &["LOAD_ERR_YAML_VALIDATE 2:3:14 «list»"],
        ),
        (
            "both ways at once",
            &[
                LIST,
                "- list: l\n  items: [b]\n  append: true\n  override: {items: append}\n",
            ],
            &[
                "LOAD_DEPRECATED_ITEM 2:3:11 «true»",
                "LOAD_ERR_YAML_VALIDATE 2:4:3 «override»",
            ],
        ),
        (
            "a key that is nearly override is unknown, and the list replaced",
            &[LIST, "- list: l\n  items: [b]\n  overide: {items: append}\n"],
            &[
                "LOAD_UNKNOWN_KEY 2:3:3 «overide»",
                "R: (evt.type = open and proc.name in (b))",
            ],
        ),
    ]);
}

#[test]
fn macros() {
    holds(&[
        (
            "append adds text",
            &[
                MACRO,
                "- macro: m\n  condition: or evt.type = creat\n  override: {condition: append}\n",
            ],
            &["R: (evt.type = open or evt.type = creat)"],
        ),
        (
            "after a blank, so that precedence counts",
            &[
                &MACRO.replace("evt.type = open", "evt.type = open or evt.type = creat"),
                "- macro: m\n  condition: and fd.num = 1\n  override: {condition: append}\n",
            ],
            &["R: (evt.type = open or (evt.type = creat and fd.num = 1))"],
        ),
        (
            "several times",
            &[
                MACRO,
                "- macro: m\n  condition: or evt.type\n  override: {condition: append}\n- macro: m\n  condition: = creat\n  override: {condition: append}\n",
            ],
            &["R: (evt.type = open or evt.type = creat)"],
        ),
        (
            "replace takes its place",
            &[
                MACRO,
                "- macro: m\n  condition: evt.type = creat\n  override: {condition: replace}\n",
            ],
            &["R: evt.type = creat"],
        ),
        (
            "the older append",
            &[
                MACRO,
                "- macro: m\n  condition: or evt.type = creat\n  append: true\n",
            ],
            &[
                "LOAD_DEPRECATED_ITEM 2:3:11 «true»",
                "R: (evt.type = open or evt.type = creat)",
            ],
        ),
        (
            "append to nothing",
            &["- macro: m\n  condition: or evt.type = creat\n  override: {condition: append}\n"],
            &["LOAD_ERR_VALIDATE 1:1:10 «m»"],
        ),
        (
            "replace of nothing defines",
            &["- macro: m\n  condition: evt.type = creat\n  override: {condition: replace}\n"],
            &["LOAD_UNUSED_MACRO 1:1:10 «m»"],
        ),
        (
            "a mistake in what is appended is where it is",
            &[
                MACRO,
                "- macro: m\n  condition: or fd.nam = 1\n  override: {condition: append}\n",
            ],
            &["LOAD_ERR_COMPILE_CONDITION 2:2:17 «fd.nam»"],
        ),
    ]);
}

#[test]
fn rules() {
    let item = |keys: &str| format!("- rule: R\n{keys}");
    let one = |keys: &str, all: &[&str]| {
        let given = given(&[RULE, &item(keys)], &Settings::default());
        assert_eq!(given, all, "{keys}");
    };
    // Conditions.
    one(
        "  condition: and fd.num = 1\n  override: {condition: append}\n",
        &["R: (evt.type = open and fd.num = 1)"],
    );
    one(
        "  condition: evt.type = creat\n  override: {condition: replace}\n",
        &["R: evt.type = creat"],
    );
    one(
        "  condition: and fd.num = 1\n  append: true\n",
        &[
            "LOAD_DEPRECATED_ITEM 2:3:11 «true»",
            "R: (evt.type = open and fd.num = 1)",
        ],
    );
    // What can only be replaced.
    for key in [
        "priority",
        "enabled",
        "capture",
        "capture_duration",
        "warn_evttypes",
        "skip-if-unknown-filter",
    ] {
        let value = match key {
            "priority" => "ERROR",
            "capture_duration" => "5",
            _ => "false",
        };
        let text = format!("  {key}: {value}\n  override:\n    {key}: append\n");
        let column = 5 + key.chars().count() + 2;
        one(&text, &[&format!("LOAD_ERR_YAML_VALIDATE 2:4:{column} «append»")]);
        let text = text.replace("append", "replace");
        let off = if key == "enabled" { " (off)" } else { "" };
        one(&text, &[&format!("R: evt.type = open{off}")]);
    }
    // Keys and overrides name each other.
    one(
        "  condition: and fd.num = 1\n  priority: ERROR\n  override: {condition: append}\n",
        &["LOAD_ERR_YAML_VALIDATE 2:3:3 «priority»"],
    );
    one(
        "  desc: x\n  override: {desc: replace, condition: append}\n",
        &["LOAD_ERR_YAML_VALIDATE 2:3:29 «condition»"],
    );
    one(
        "  desc: x\n  override: {desc: prepend}\n",
        &["LOAD_ERR_YAML_VALIDATE 2:3:20 «prepend»"],
    );
    one(
        "  desc: x\n  override: {desc: }\n",
        &["LOAD_ERR_YAML_VALIDATE 2:3:14 «desc»"],
    );
    one(
        "  desc: x\n  override: [desc]\n",
        &["LOAD_ERR_YAML_VALIDATE 2:3:3 «override»"],
    );
    one(
        "  source: syscall\n  override: {source: replace}\n",
        &["LOAD_ERR_YAML_VALIDATE 2:3:14 «source»"],
    );
    one(
        "  condition: and fd.num = 1\n  append: true\n  override: {condition: append}\n",
        &[
            "LOAD_DEPRECATED_ITEM 2:3:11 «true»",
            "LOAD_ERR_YAML_VALIDATE 2:4:3 «override»",
        ],
    );
    // An override of nothing is none.
    one(
        "  desc: x\n  override:\n",
        &["LOAD_ERR_YAML_VALIDATE 2:1:9 «R»"; 3],
    );
    // The older append takes conditions and exceptions.
    one(
        "  output: x\n  append: true\n",
        &[
            "LOAD_ERR_VALIDATE 2:1:9 «R»",
            "LOAD_DEPRECATED_ITEM 2:3:11 «true»",
        ],
    );
    holds(&[
        (
            "append to nothing",
            &["- rule: R\n  condition: and fd.num = 1\n  override: {condition: append}\n"],
            &["LOAD_ERR_VALIDATE 1:1:9 «R»"],
        ),
        (
            "replace of nothing",
            &["- rule: R\n  condition: evt.type = open\n  override: {condition: replace}\n"],
            &["LOAD_ERR_VALIDATE 1:1:9 «R»"],
        ),
        (
            "a rule that was refused is none to append to, and said once",
            &[
                &RULE.replace("WARNING", "high"),
                "- rule: R\n  condition: and fd.num = 1\n  override: {condition: append}\n",
            ],
            &["LOAD_ERR_YAML_VALIDATE 1:5:13 «high»"],
        ),
    ]);
}

#[test]
fn what_overrides_leave() {
    let first = "- rule: R
  desc: one
  condition: evt.type = open
  output: a=%proc.name
  priority: WARNING
  tags: [b, a]
";
    let after = |keys: &str| {
        let second = format!("- rule: R\n{keys}");
        let loaded = loaded_with(&[first, &second], &Settings::default());
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let ruleset = loaded.ruleset.unwrap();
        let rule = ruleset.rules().next().unwrap();
        (
            rule.description().to_owned(),
            rule.tags().join(" "),
            rule.priority(),
        )
    };
    let untouched = || ("one".to_owned(), "a b".to_owned(), Priority::Warning);
    assert_eq!(
        after("  desc: two\n  override: {desc: append}\n"),
        ("one two".into(), untouched().1, Priority::Warning)
    );
    assert_eq!(
        after("  desc: two\n  override: {desc: replace}\n"),
        ("two".into(), untouched().1, Priority::Warning)
    );
    assert_eq!(after("  tags: [c, a]\n  override: {tags: append}\n").1, "a b c");
    assert_eq!(after("  tags: [c]\n  override: {tags: replace}\n").1, "c");
    assert_eq!(after("  tags: []\n  override: {tags: replace}\n").1, "");
    assert_eq!(
        after("  priority: debug\n  override: {priority: replace}\n").2,
        Priority::Debug
    );
    assert_eq!(
        after(
            "  tags: [c]\n  desc: two\n  priority: error\n  override: {tags: append, desc: replace, priority: replace}\n"
        ),
        ("two".into(), "a b c".into(), Priority::Error)
    );
    assert_eq!(
        after("  output: b=%fd.name\n  override: {output: append}\n"),
        untouched()
    );
    // A mistake in an appended output is where it is.
    holds(&[(
        "a mistake in an appended output is where it is",
        &[
            first,
            "- rule: R\n  output: b=%fd.nam\n  override: {output: append}\n",
        ],
        &["LOAD_ERR_COMPILE_OUTPUT 2:2:13 «%fd.nam»"],
    )]);
}

#[test]
fn switches_and_redefinitions() {
    let off = format!("{RULE}  enabled: false\n");
    let on = "- rule: R\n  enabled: true\n";
    holds(&[
        (
            "a bare enabled switches, and is deprecated",
            &[&off, on],
            &["LOAD_DEPRECATED_ITEM 2:2:12 «true»", "R: evt.type = open"],
        ),
        (
            "and the other way",
            &[RULE, &on.replace("true", "false")],
            &["LOAD_DEPRECATED_ITEM 2:2:12 «false»", "R: evt.type = open (off)"],
        ),
        (
            "whatever else stands there",
            &[&off, "- rule: R\n  enabled: true\n  tags: [x]\n"],
            &["LOAD_DEPRECATED_ITEM 2:2:12 «true»", "R: evt.type = open"],
        ),
        (
            "of no rule",
            &[on],
            &[
                "LOAD_ERR_VALIDATE 1:1:9 «R»",
                "LOAD_DEPRECATED_ITEM 1:2:12 «true»",
            ],
        ),
        (
            "the older append ignores it",
            &[
                &off,
                "- rule: R\n  condition: and fd.num = 1\n  append: true\n  enabled: true\n",
            ],
            &[
                "LOAD_DEPRECATED_ITEM 2:3:11 «true»",
                "R: (evt.type = open and fd.num = 1) (off)",
            ],
        ),
        (
            "a definition replaces the whole rule",
            &[&off, &RULE.replace("open", "creat")],
            &["R: evt.type = creat"],
        ),
        (
            "but not its source",
            &[RULE, &format!("{RULE}  source: k8s_audit\n")],
            &["LOAD_ERR_VALIDATE 2:6:11 «k8s_audit»"],
        ),
        (
            "nor does an append of another source fit",
            &[
                RULE,
                "- rule: R\n  source: k8s_audit\n  condition: and fd.num = 1\n  override: {condition: append}\n",
            ],
            &["LOAD_ERR_VALIDATE 2:2:11 «k8s_audit»"],
        ),
        (
            "the same source does",
            &[
                RULE,
                "- rule: R\n  source: syscall\n  condition: and fd.num = 1\n  override: {condition: append}\n",
            ],
            &["R: (evt.type = open and fd.num = 1)"],
        ),
        (
            "and no source",
            &[
                RULE,
                "- rule: R\n  source:\n  condition: and fd.num = 1\n  override: {condition: append}\n",
            ],
            &["R: (evt.type = open and fd.num = 1)"],
        ),
        (
            "and an empty one",
            &[
                RULE,
                "- rule: R\n  source: ''\n  condition: and fd.num = 1\n  override: {condition: append}\n",
            ],
            &["R: (evt.type = open and fd.num = 1)"],
        ),
        (
            "a rule of a skipped source can be appended to",
            &[
                &format!("{RULE}  source: k8s_audit\n"),
                "- rule: R\n  condition: and ka.verb = get\n  override: {condition: append}\n",
            ],
            &["LOAD_UNKNOWN_SOURCE 1:6:11 «k8s_audit»"],
        ),
    ]);
}
