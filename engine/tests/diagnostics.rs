//! What is printed when rules are wrong: every snapshot here is what an author reads.

use lanner_engine::{RulesFile, Settings, load};

/// Every diagnostic of one file, as it is printed.
fn printed(text: &str) -> String {
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: text.into(),
    };
    let loaded = load(&[file], &Settings::default());
    assert_eq!(
        loaded.ruleset.is_none(),
        loaded.errors().next().is_some(),
        "a file is refused exactly when it has an error"
    );
    let all: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    all.join("\n\n")
}

/// A rule with this condition, indented as rules usually are.
fn with_condition(condition: &str) -> String {
    format!("- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: WARNING\n")
}

#[test]
fn an_unknown_field_is_pointed_at_with_the_one_that_was_meant() {
    insta::assert_snapshot!(printed(&with_condition("evt.type = open and proc.nam = cat")));
}

#[test]
fn an_operator_of_the_wrong_type_is_pointed_at() {
    insta::assert_snapshot!(printed(&with_condition(
        "evt.type = open and fd.num startswith 1"
    )));
}

#[test]
fn an_undefined_macro_is_pointed_at_with_the_one_that_was_meant() {
    insta::assert_snapshot!(printed(
        "- macro: spawned_process
  condition: evt.type in (execve, execveat)
- rule: R
  desc: d
  condition: spawned_proces and proc.name = cat
  output: o
  priority: WARNING
"
    ));
}

#[test]
fn a_list_where_a_condition_belongs_shows_the_list() {
    insta::assert_snapshot!(printed(
        "- list: shells
  items: [bash, zsh]
- rule: R
  desc: d
  condition: evt.type = execve and shells
  output: o
  priority: WARNING
"
    ));
}

#[test]
fn duplicate_keys_name_both_places() {
    insta::assert_snapshot!(printed(
        "- rule: R
  desc: d
  condition: evt.type = open
  output: o
  priority: WARNING
  condition: evt.type = execve
"
    ));
}

#[test]
fn bad_yaml_says_where() {
    insta::assert_snapshot!("colon", printed("- rule: R\n  desc: one: two\n"));
    insta::assert_snapshot!("tab", printed("- rule: R\n\tdesc: one\n"));
    insta::assert_snapshot!("quote", printed("- rule: R\n  output: \"never ends\n"));
    insta::assert_snapshot!(
        "bracket",
        printed("- list: l\n  items: [a, b\n- list: m\n  items: []\n")
    );
}

#[test]
fn an_unknown_event_type_is_pointed_at() {
    insta::assert_snapshot!(printed(&with_condition("evt.type in (open, opemat)")));
}

#[test]
fn the_caret_finds_its_line_in_a_folded_condition() {
    insta::assert_snapshot!(printed(
        "- rule: R
  desc: d
  condition: >
    evt.type = open
    and not (proc.name = \"a b\"
             or fd.nam startswith /etc)

    and fd.num >= 0
  output: o
  priority: WARNING
"
    ));
}

#[test]
fn the_caret_finds_its_place_in_quoted_and_continued_conditions() {
    insta::assert_snapshot!(
        "double_quoted",
        printed(&with_condition(
            r#""evt.type = open and proc.name = \"x\" and fd.nam = 1""#
        ))
    );
    insta::assert_snapshot!(
        "single_quoted",
        printed(&with_condition(
            "'evt.type = open and proc.name = ''x'' and fd.nam = 1'"
        ))
    );
    insta::assert_snapshot!(
        "continued",
        printed(&with_condition(
            "evt.type = open\n    and proc.name = x\n    and fd.nam = 1"
        ))
    );
}

#[test]
fn an_error_in_a_macro_shows_how_the_rule_led_there() {
    insta::assert_snapshot!(printed(
        "- macro: reads
  condition: evt.type = open and fd.nmae = /etc/shadow
- macro: reads_secrets
  condition: (reads and fd.num >= 0)
- rule: R
  desc: d
  condition: reads_secrets and proc.name = cat
  output: o
  priority: WARNING
- rule: S
  desc: d
  condition: reads_secrets
  output: o
  priority: WARNING
"
    ));
}

#[test]
fn an_error_in_an_item_of_a_list_points_at_the_item() {
    insta::assert_snapshot!(printed(
        "- list: opens
  items: [open, opemat]
- rule: R
  desc: d
  condition: evt.type in (opens)
  output: o
  priority: WARNING
"
    ));
}

#[test]
fn a_syntax_error_is_pointed_at() {
    insta::assert_snapshot!(printed(&with_condition("evt.type = open and (proc.name = cat")));
}

#[test]
fn an_unknown_field_of_an_output_is_pointed_at() {
    insta::assert_snapshot!(printed(
        "- rule: R
  desc: d
  condition: evt.type = open
  output: >
    file=%fd.name
    by=%proc.nme
  priority: WARNING
"
    ));
}

#[test]
fn missing_keys_and_bad_values_are_all_listed() {
    insta::assert_snapshot!(printed(
        "- rule: R
  condition: evt.type = open
  priority: WARN
  enabled: maybe
- rule: [x]
- macro: m
- list: l
  items: a
- 7
- rul: R
"
    ));
}

/// The codes and the first lines of what is wrong, in one round.
fn all_at_once(text: &str) -> Vec<String> {
    let printed = printed(text);
    let errors = printed
        .lines()
        .filter_map(|line| line.split_once(": error[LOAD_ERR_"));
    errors.map(|(_, said)| said.to_owned()).collect()
}

#[test]
fn a_wrong_key_keeps_no_other_from_being_looked_at() {
    let found = all_at_once(
        "- rule: R
  desc: d
  condition: evt.type = open and proc.nam = cat
  output: o %fd.nme
  priority: HIGH
  enabled: maybe
  tags: 7
",
    );
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(
        found,
        [
            "COMPILE_CONDITION]: nonexistent field 'proc.nam'",
            "COMPILE_OUTPUT]: unknown filter: fd.nme: nonexistent field 'fd.nme'",
            "YAML_VALIDATE]: 'HIGH' is not a priority",
            "YAML_VALIDATE]: `enabled` must be true or false",
            "YAML_VALIDATE]: `tags` must be a sequence, not text",
        ]
    );
    let found = all_at_once("- rule: R\n  condition: evt.type = opne\n");
    assert!(found.iter().any(|said| said.contains("opne")), "{found:?}");
    assert!(
        found.iter().any(|said| said.contains("no `priority`")),
        "{found:?}"
    );
}

#[test]
fn a_wrong_key_of_an_override_keeps_no_other_from_being_looked_at() {
    let rule = with_condition("evt.type = open");
    let found = all_at_once(&format!(
        "{rule}- rule: R
  condition: and proc.nam = cat
  priority: HIGH
  tags: 7
  override:
    priority: replace
    tags: append
    condition: append
"
    ));
    for said in ["'HIGH' is not", "`tags` must be", "'proc.nam'"] {
        assert!(
            found.iter().any(|found| found.contains(said)),
            "{said}: {found:?}"
        );
    }
}

#[test]
fn a_key_that_is_missing_is_looked_for_among_those_that_are_misspelt() {
    let printed =
        printed("- rule: R\n  desc: d\n  condition: evt.type = open\n  ouput: o\n  prio: WARNING\n");
    assert!(
        printed.contains("the rule has no `output`")
            && printed.contains("`ouput` is no key of it: did you mean `output`?"),
        "{printed}"
    );
    assert!(
        printed.contains("add `priority: …` to it"),
        "too far from it: {printed}"
    );
}

#[test]
fn unknown_keys_are_warned_of() {
    insta::assert_snapshot!(printed(
        "- rule: R
  desc: d
  condition: evt.type = open
  output: o
  priority: WARNING
  tag: [x]
  severity: high
"
    ));
}

#[test]
fn a_file_that_is_no_sequence_is_refused() {
    insta::assert_snapshot!(printed("rule: R\ndesc: d\n"));
}

#[test]
fn what_is_not_used_is_warned_of() {
    insta::assert_snapshot!(printed(
        "- macro: m\n  condition: evt.type = open\n- list: l\n  items: [a]\n"
    ));
}

#[test]
fn loops_and_order_of_macros_are_explained() {
    insta::assert_snapshot!(
        "loop",
        printed(
            "- macro: a\n  condition: evt.type = open\n- macro: b\n  condition: a\n- macro: a\n  condition: b\n"
        )
    );
    insta::assert_snapshot!(
        "order",
        printed("- macro: a\n  condition: b\n- macro: b\n  condition: evt.type = open\n")
    );
}

#[test]
fn overrides_are_checked() {
    insta::assert_snapshot!(printed(
        "- rule: R
  desc: d
  condition: evt.type = open
  output: o
  priority: WARNING
- rule: R
  priority: ERROR
  override: {priority: append}
- rule: R
  condition: and proc.name = x
  output: p
  override: {condition: append}
- rule: R
  condition: and proc.name = x
  append: true
  override: {condition: append}
- rule: Q
  condition: and proc.name = x
  override: {condition: append}
"
    ));
}

#[test]
fn versions_and_plugins_are_checked() {
    insta::assert_snapshot!(printed(
        "- required_engine_version: 0.99.0
- required_engine_version: soon
- required_plugin_versions:
  - {name: container, version: 0.4.0}
  - name: k8saudit
    version: 0.7.0
    alternatives: [{name: k8saudit-eks, version: 0.4.0}]
"
    ));
}
