//! What a set of rules files defines: lists, macros, appends, overrides, exceptions, priorities.

#![allow(clippy::unwrap_used, clippy::panic)]

use lanner_engine::{Code, Loaded, Priority, RulesFile, Settings, load};
use lanner_schema::event::EventSet;

fn loaded(texts: &[&str]) -> Loaded {
    let files: Vec<RulesFile> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| RulesFile {
            name: format!("{index}.yaml"),
            text: (*text).into(),
        })
        .collect();
    load(&files, &Settings::default())
}

/// The conditions of the rules of these files, with lists and macros put in.
fn conditions(texts: &[&str]) -> Vec<String> {
    let loaded = loaded(texts);
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let ruleset = loaded.ruleset.unwrap();
    ruleset.rules().map(|rule| rule.condition()).collect()
}

fn codes(texts: &[&str]) -> Vec<Code> {
    loaded(texts).diagnostics.iter().map(|d| d.code).collect()
}

const RULE: &str = "- rule: R
  desc: d
  condition: evt.type = open
  output: o
  priority: WARNING
";

const OLD_GUIDE: &str = "- rule: Shell spawned in a container
  desc: Detects when a shell is spawned in a container.
  condition: container and proc.name in (linux_shells)
  output: \"Shell spawned (user=%user.name %container.id command=%proc.cmdline)\"
  priority: WARNING
  tags:
  - container
  source: k8s_audit
- list: linux_shells
  items: [bash, zsh, ksh, sh, csh]
- macro: container
  condition: container.id != host
";

#[test]
fn the_old_guides_rules_load_with_the_source_not_served() {
    let loaded = loaded(&[OLD_GUIDE]);
    let [warning] = &loaded.diagnostics[..] else {
        panic!("{:?}", loaded.diagnostics)
    };
    assert_eq!(warning.code, Code::UnknownSource);
    assert_eq!((warning.line, warning.column), (8, 11));
    assert!(warning.message.contains("k8s_audit"), "{warning}");
    assert!(warning.hint.as_ref().unwrap().contains("`syscall`"), "{warning}");
    assert_eq!(loaded.ruleset.unwrap().rules().count(), 0);
}

#[test]
fn the_old_guides_rules_without_their_source_name_no_event_type_and_run() {
    let text = OLD_GUIDE.replace("  source: k8s_audit\n", "");
    let loaded = loaded(&[&text]);
    let [warning] = &loaded.diagnostics[..] else {
        panic!("{:?}", loaded.diagnostics)
    };
    assert_eq!(warning.code, Code::NoEventType);
    let ruleset = loaded.ruleset.unwrap();
    let rule = ruleset.rules().next().unwrap();
    assert_eq!(
        rule.condition(),
        "(container.id != host and proc.name in (bash, zsh, ksh, sh, csh))"
    );
    assert_eq!(rule.tags(), ["container"]);
    assert_eq!(rule.priority(), Priority::Warning);
    assert!(rule.events().len() > 20);
    let needs = ruleset.needs();
    assert_eq!(needs.events.union(needs.unnamed_io), rule.events());
    assert_eq!(needs.unnamed_io, EventSet::IO);
}

#[test]
fn a_source_with_other_fields_gets_no_false_hope() {
    let text = "- rule: R
  desc: d
  condition: ka.verb = create
  output: o
  priority: WARNING
  source: k8s_audit
";
    let loaded = loaded(&[text]);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert!(!loaded.diagnostics[0].hint.as_ref().unwrap().contains("remove"));
}

#[test]
fn later_files_append_override_and_replace() {
    let change = |text: &str| conditions(&[RULE, text]);
    assert_eq!(
        change("- rule: R\n  condition: and proc.name = x\n  override: {condition: append}\n"),
        ["(evt.type = open and proc.name = x)"]
    );
    assert_eq!(
        change("- rule: R\n  condition: and proc.name = x\n  append: true\n"),
        ["(evt.type = open and proc.name = x)"]
    );
    assert_eq!(
        change("- rule: R\n  condition: evt.type = creat\n  override: {condition: replace}\n"),
        ["evt.type = creat"]
    );
    assert_eq!(
        change("- rule: R\n  desc: d\n  condition: evt.type = connect\n  output: o\n  priority: info\n"),
        ["evt.type = connect"]
    );
}

#[test]
fn a_replaced_rule_keeps_its_position() {
    let second = "- rule: S\n  desc: d\n  condition: evt.type = creat\n  output: o\n  priority: DEBUG\n";
    let loaded = loaded(&[RULE, second, RULE]);
    let ruleset = loaded.ruleset.unwrap();
    let names: Vec<&str> = ruleset.rules().map(|rule| rule.name()).collect();
    assert_eq!(names, ["R", "S"]);
}

#[test]
fn a_bare_enabled_switches_a_rule() {
    let loaded = loaded(&[RULE, "- rule: R\n  enabled: false\n"]);
    assert_eq!(loaded.diagnostics[0].code, Code::DeprecatedItem);
    let ruleset = loaded.ruleset.unwrap();
    assert!(!ruleset.rules().next().unwrap().runs());
    assert!(ruleset.needs().events.is_empty());
}

#[test]
fn rules_below_the_minimum_priority_do_not_run() {
    let file = RulesFile {
        name: "r.yaml".into(),
        text: RULE.into(),
    };
    let settings = Settings {
        minimum_priority: Priority::Error,
        ..Settings::default()
    };
    let ruleset = load(std::slice::from_ref(&file), &settings).ruleset.unwrap();
    assert!(!ruleset.rules().next().unwrap().runs());
    let settings = Settings {
        minimum_priority: Priority::Warning,
        ..Settings::default()
    };
    assert!(
        load(&[file], &settings)
            .ruleset
            .unwrap()
            .rules()
            .next()
            .unwrap()
            .runs()
    );
}

#[test]
fn tags_override_descriptions_and_priorities_change() {
    let loaded = loaded(&[
        RULE,
        "- rule: R
  tags: [b, a]
  desc: more
  priority: critical
  override: {tags: append, desc: append, priority: replace}
",
    ]);
    let ruleset = loaded.ruleset.unwrap();
    let rule = ruleset.rules().next().unwrap();
    assert_eq!(rule.tags(), ["a", "b"]);
    assert_eq!(rule.description(), "d more");
    assert_eq!(rule.priority(), Priority::Critical);
}

#[test]
fn lists_and_macros_take_appends() {
    let base = "- list: l
  items: [a]
- macro: m
  condition: evt.type = open
- rule: R
  desc: d
  condition: m and proc.name in (l)
  output: o
  priority: WARNING
";
    let more = "- list: l
  items: [b c]
  override: {items: append}
- macro: m
  condition: and fd.num >= 0
  override: {condition: append}
";
    assert_eq!(
        conditions(&[base, more]),
        ["((evt.type = open and fd.num >= 0) and proc.name in (a, \"b c\"))"]
    );
}

fn with_exceptions(exceptions: &str) -> Vec<String> {
    conditions(&[&format!("{RULE}{exceptions}")])
}

#[test]
fn exceptions_become_conditions() {
    assert_eq!(
        with_exceptions("  exceptions:\n  - name: e\n    fields: proc.name\n    values: [a, b c]\n"),
        ["(evt.type = open and not proc.name in (a, \"b c\"))"]
    );
    assert_eq!(
        with_exceptions(
            "  exceptions:
  - name: e
    fields: [proc.name, fd.name]
    comps: [=, startswith]
    values:
    - [a, /etc]
    - [b, /var/log]
"
        ),
        [
            "(evt.type = open and not ((proc.name = a and fd.name startswith /etc) or (proc.name = b and fd.name startswith /var/log)))"
        ]
    );
    assert_eq!(
        with_exceptions(
            "  exceptions:
  - name: e
    fields: [proc.name, fd.name]
    comps: [in, pmatch]
    values:
    - [[a, b], /etc]
"
        ),
        ["(evt.type = open and not (proc.name in (a, b) and fd.name pmatch (/etc)))"]
    );
    assert_eq!(
        with_exceptions("  exceptions:\n  - {name: e, fields: proc.name}\n"),
        ["evt.type = open"]
    );
}

#[test]
fn values_are_appended_to_exceptions() {
    let base = format!("{RULE}  exceptions:\n  - {{name: e, fields: proc.name, values: [a]}}\n");
    let more = "- rule: R
  exceptions:
  - {name: e, values: [b]}
  override: {exceptions: append}
";
    assert_eq!(
        conditions(&[&base, more]),
        ["(evt.type = open and not proc.name in (a, b))"]
    );
    assert_eq!(
        codes(&[
            &base,
            "- rule: R\n  exceptions:\n  - {name: new, values: [b]}\n  override: {exceptions: append}\n"
        ]),
        [Code::Validate]
    );
}

#[test]
fn exceptions_that_do_not_fit_are_refused() {
    let wrong = |exceptions: &str| codes(&[&format!("{RULE}  exceptions:\n{exceptions}")]);
    assert_eq!(wrong("  - {name: e, values: [a]}\n"), [Code::YamlValidate]);
    assert_eq!(
        wrong("  - {name: e, fields: [proc.name, fd.name], values: [[a]]}\n"),
        [Code::Validate]
    );
    assert_eq!(
        wrong("  - {name: e, fields: [proc.name], comps: [like], values: [[a]]}\n"),
        [Code::Validate]
    );
    assert_eq!(
        wrong("  - {name: e, fields: proc.name, comps: startswith, values: [a]}\n"),
        [Code::Validate]
    );
}

#[test]
fn a_rule_may_be_skipped_for_an_unknown_name() {
    let text = RULE.replace("evt.type = open", "evt.type = open and no.such = 1");
    assert_eq!(codes(&[&text]), [Code::CompileCondition]);
    let skipping = format!("{text}  skip-if-unknown-filter: true\n");
    let loaded = loaded(&[&skipping]);
    assert_eq!(loaded.diagnostics[0].code, Code::UnknownFilter);
    assert_eq!(loaded.ruleset.unwrap().rules().count(), 0);
}

#[test]
fn odd_yaml_that_falco_loads_loads() {
    let texts = [
        "",
        "# nothing\n---\n---\n- null\n",
        "- condition: evt.type = open\n  macro: x\n- rule: R\n  desc: != text\n  condition: x\n  output: o\n  priority: 'Warning'\n",
        "- required_engine_version: 31\n- required_engine_version: 0.57.0\n",
        "- list: numbers\n  items: [1, 0x1f, 1.10, yes, '~']\n- rule: R\n  desc: d\n  condition: evt.type = open and proc.args in (numbers)\n  output: o\n  priority: DEBUG\n",
    ];
    for text in texts {
        let loaded = loaded(&[text]);
        let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{text}\n{}", errors.join("\n"));
    }
    assert_eq!(
        conditions(&[texts[4]]),
        ["(evt.type = open and proc.args in (1, 0x1f, 1.10, yes, ~))"]
    );
}

#[test]
fn hostile_input_is_refused_and_nothing_panics() {
    let deep = format!("- {}", "[".repeat(10_000));
    let nested = RULE.replace(
        "evt.type = open",
        &format!("\"{}evt.type = open\"", "(".repeat(100_000)),
    );
    let bomb = {
        let mut text = "- macro: m0\n  condition: evt.type = open and fd.num = 1\n".to_owned();
        for level in 1..64 {
            let below = level - 1;
            text += &format!("- macro: m{level}\n  condition: m{below} and m{below} and m{below}\n");
        }
        text + &RULE.replace("evt.type = open", "m63")
    };
    let aliases = {
        let mut text = "- list: l\n  items: &a0 [x]\n".to_owned();
        for level in 1..40 {
            let below = level - 1;
            text += &format!("- list: l{level}\n  items: &a{level} [*a{below}, *a{below}]\n");
        }
        text
    };
    for text in [
        deep,
        nested,
        bomb,
        aliases,
        "\u{feff}- rule".into(),
        "\0".into(),
        "- &a [*a]".into(),
    ] {
        let loaded = loaded(&[&text]);
        assert!(
            loaded.ruleset.is_none(),
            "{}",
            text.chars().take(80).collect::<String>()
        );
        assert!(loaded.diagnostics.iter().all(|d| d.to_string().len() < 4096));
    }
}

#[test]
fn a_rule_without_event_type_can_say_that_it_is_meant() {
    let text = RULE.replace("evt.type = open", "proc.name = x");
    assert_eq!(codes(&[&text]), [Code::NoEventType]);
    assert_eq!(codes(&[&format!("{text}  warn_evttypes: false\n")]), []);
}
