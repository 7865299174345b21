//! The kinds of items, their keys, priorities.

use super::{RULE, given, holds, loaded_with, rule};
use lanner_engine::{Priority, Settings};

#[test]
fn documents_and_items() {
    holds(&[
        ("an empty file", &[""], &[]),
        ("blanks and comments only", &["  \n# none\n\n"], &[]),
        (
            "null documents and null items are left out",
            &["---\n---\n- null\n-\n---\n- ~\n"],
            &[],
        ),
        (
            "every document counts",
            &[
                "- macro: m\n  condition: evt.type = open\n---\n---\n- rule: R\n  desc: d\n  condition: m\n  output: o\n  priority: INFO\n",
            ],
            &["R: evt.type = open"],
        ),
        (
            "the key that says the kind need not come first",
            &[
                "- condition: evt.type = open\n  macro: m\n- desc: d\n  priority: INFO\n  condition: m\n  output: o\n  rule: R\n",
            ],
            &["R: evt.type = open"],
        ),
        (
            "a file that is a map",
            &["rule: R\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:1 «r»"],
        ),
        (
            "a file that is a text",
            &["rules\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:1 «r»"],
        ),
        (
            "an item that is a text",
            &["- rule\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:3 «r»"],
        ),
        (
            "an item that is a sequence",
            &["- [a]\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:3 «[»"],
        ),
        (
            "an item of no known kind is ignored",
            &["- plugin: x\n"],
            &["LOAD_UNKNOWN_ITEM 1:1:3 «plugin»"],
        ),
        (
            "a file that is not YAML",
            &["- rule: [R\n- x\n"],
            &["LOAD_ERR_YAML_PARSE 1:1:9 «[»"],
        ),
        (
            "a tag of YAML is no text",
            &["- rule: R\n  desc: != text\n  condition: evt.type = open\n  output: o\n  priority: INFO\n"],
            &["R: evt.type = open"],
        ),
        (
            "of a list and a rule in one item the list counts",
            &["- list: l\n  rule: R\n  items: [a]\n"],
            &["LOAD_UNUSED_LIST 1:1:9 «l»", "LOAD_UNKNOWN_KEY 1:2:3 «rule»"],
        ),
        (
            "scalars stay as they are written",
            &[
                "- list: l\n  items: [1, 0x1f, 1.10, yes, 'null', 1e3, 2001-01-01]\n- rule: R\n  desc: d\n  condition: evt.type = open and proc.name in (l)\n  output: o\n  priority: INFO\n",
            ],
            &["R: (evt.type = open and proc.name in (1, 0x1f, 1.10, yes, null, 1e3, 2001-01-01))"],
        ),
        (
            "variables of the environment are no part of rules",
            &[&rule("evt.type = open and proc.name = ${HOME}")],
            &["R: (evt.type = open and proc.name = ${HOME})"],
        ),
    ]);
}

#[test]
fn required_engine_version() {
    let item = |value: &str| format!("- required_engine_version: {value}\n");
    let given = |value: &str| given(&[&item(value)], &Settings::default());
    for fits in ["31", "0.31.0", "63", "0.63.0", "'0.57.0'", "0"] {
        assert!(given(fits).is_empty(), "{fits}: {:?}", given(fits));
    }
    for newer in ["64", "0.64.0", "1.0.0", "0.63.1"] {
        assert_eq!(given(newer), [format!("LOAD_ERR_VALIDATE 1:1:28 «{newer}»")]);
    }
    for no_version in ["seven", "0.31", "1.2.3.4"] {
        assert_eq!(
            given(no_version),
            [format!("LOAD_ERR_YAML_VALIDATE 1:1:28 «{no_version}»")]
        );
    }
    assert_eq!(
        given(""),
        ["LOAD_ERR_YAML_VALIDATE 1:1:3 «required_engine_version»"]
    );
    assert_eq!(
        given("[1]"),
        ["LOAD_ERR_YAML_VALIDATE 1:1:3 «required_engine_version»"]
    );
}

#[test]
fn required_plugin_versions() {
    holds(&[
        (
            "the built-in identity of containers is the plugin `container`",
            &["- required_plugin_versions:\n  - {name: container, version: 0.4.0}\n"],
            &[],
        ),
        (
            "one of the alternatives is enough",
            &[
                "- required_plugin_versions:\n  - name: k8smeta\n    version: 0.2.0\n    alternatives: [{name: container, version: 0.2.2}]\n",
            ],
            &[],
        ),
        (
            "none of them is not",
            &["- required_plugin_versions:\n  - name: k8saudit\n    version: 0.7.0\n"],
            &["LOAD_ERR_VALIDATE 1:2:5 «n»"],
        ),
        (
            "another major version is another plugin",
            &["- required_plugin_versions:\n  - {name: container, version: 1.0.0}\n"],
            &["LOAD_ERR_VALIDATE 1:2:5 «{»"],
        ),
        (
            "every entry needs one",
            &[
                "- required_plugin_versions:\n  - {name: container, version: 0.1.0}\n  - {name: json, version: 0.1.0}\n",
            ],
            &["LOAD_ERR_VALIDATE 1:3:5 «{»"],
        ),
        (
            "a name twice in one entry",
            &[
                "- required_plugin_versions:\n  - name: container\n    version: 0.1.0\n    alternatives: [{name: container, version: 0.2.0}]\n",
            ],
            &["LOAD_ERR_VALIDATE 1:4:27 «container»"],
        ),
        (
            "a version that is none",
            &["- required_plugin_versions:\n  - {name: container, version: new}\n"],
            &["LOAD_ERR_VALIDATE 1:2:32 «new»"],
        ),
        (
            "no version",
            &["- required_plugin_versions:\n  - {name: container}\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:2:5 «{»"],
        ),
        (
            "no sequence",
            &["- required_plugin_versions: {name: container}\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:3 «required_plugin_versions»"],
        ),
        (
            "no map",
            &["- required_plugin_versions: [container]\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:30 «container»"],
        ),
        (
            "alternatives that are no sequence of maps",
            &[
                "- required_plugin_versions:\n  - name: container\n    version: 0.1.0\n    alternatives: json\n  - name: container\n    version: 0.1.0\n    alternatives: [json]\n",
            ],
            &[
                "LOAD_ERR_YAML_VALIDATE 1:4:5 «alternatives»",
                "LOAD_ERR_YAML_VALIDATE 1:7:20 «json»",
            ],
        ),
    ]);
}

#[test]
fn lists_and_macros() {
    holds(&[
        (
            "a list needs items",
            &["- list: l\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:9 «l»"],
        ),
        (
            "items are a sequence",
            &["- list: l\n  items: a\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:2:3 «items»"],
        ),
        (
            "of texts",
            &["- list: l\n  items: [[a]]\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:2:11 «[a]»"],
        ),
        (
            "not of nothing",
            &["- list: l\n  items: [a, ~]\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:2:14 «~»"],
        ),
        (
            "a list has a name",
            &["- list: ''\n  items: [a]\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:3 «list»"],
        ),
        (
            "that is text",
            &["- list: [l]\n  items: [a]\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:3 «list»"],
        ),
        (
            "a list may be empty",
            &["- list: l\n  items: []\n"],
            &["LOAD_UNUSED_LIST 1:1:9 «l»"],
        ),
        (
            "an empty item is left out, with a warning",
            &[&format!(
                "- list: l\n  items: [a, '', b]\n{}",
                rule("evt.type = open and proc.name in (l)")
            )],
            &[
                "LOAD_WARNING_EXTENSION 1:2:14 «''»",
                "R: (evt.type = open and proc.name in (a, b))",
            ],
        ),
        (
            "a list of any name can be used",
            &[&format!(
                "- list: my list\n  items: [open, openat]\n{}",
                rule("evt.type in (my list, creat)")
            )],
            &[
                "LOAD_INVALID_LIST_NAME 1:1:9 «my list»",
                "R: evt.type in (open, openat, creat)",
            ],
        ),
        (
            "a macro needs a condition",
            &["- macro: m\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:10 «m»"],
        ),
        (
            "that is not empty",
            &["- macro: m\n  condition:\n- macro: n\n  condition: ''\n"],
            &[
                "LOAD_ERR_YAML_VALIDATE 1:2:3 «condition»",
                "LOAD_ERR_YAML_VALIDATE 1:4:3 «condition»",
            ],
        ),
        (
            "and is text",
            &["- macro: m\n  condition: [a]\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:2:3 «condition»"],
        ),
        (
            "a macro whose name is no word can not be used, and its condition is checked all the same",
            &["- macro: my-macro\n  condition: evt.type = open\n"],
            &[
                "LOAD_INVALID_MACRO_NAME 1:1:10 «my-macro»",
                "LOAD_UNUSED_MACRO 1:1:10 «my-macro»",
            ],
        ),
        (
            "keys of other kinds are unknown",
            &[
                "- list: l\n  items: [a]\n  priority: INFO\n- macro: m\n  condition: evt.type = open\n  items: [a]\n",
            ],
            &[
                "LOAD_UNUSED_LIST 1:1:9 «l»",
                "LOAD_UNKNOWN_KEY 1:3:3 «priority»",
                "LOAD_UNUSED_MACRO 1:4:10 «m»",
                "LOAD_UNKNOWN_KEY 1:6:3 «items»",
            ],
        ),
    ]);
}

#[test]
fn rules() {
    let without = |key: &str| -> String {
        let lines = RULE.lines().filter(|line| !line.trim_start().starts_with(key));
        lines.map(|line| format!("{line}\n")).collect()
    };
    for key in ["desc", "condition", "output", "priority"] {
        assert_eq!(
            given(&[&without(key)], &Settings::default()),
            ["LOAD_ERR_YAML_VALIDATE 1:1:9 «R»"],
            "a rule needs {key}"
        );
    }
    let with = |line: &str| format!("{RULE}  {line}\n");
    holds(&[
        (
            "a rule with nothing is told all it lacks",
            &["- rule: R\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:1:9 «R»"; 4],
        ),
        (
            "other keys are unknown",
            &[&with("severity: high")],
            &["LOAD_UNKNOWN_KEY 1:6:3 «severity»", "R: evt.type = open"],
        ),
        (
            "a rule can be disabled",
            &[&with("enabled: false")],
            &["R: evt.type = open (off)"],
        ),
        (
            "in any word of YAML for it",
            &[&with("enabled: No")],
            &["R: evt.type = open (off)"],
        ),
        (
            "but only in those",
            &[&with("enabled: 0")],
            &["LOAD_ERR_YAML_VALIDATE 1:6:3 «enabled»"],
        ),
        (
            "source syscall is what rules have",
            &[&with("source: syscall")],
            &["R: evt.type = open"],
        ),
        (
            "a rule of another source is skipped",
            &[&with("source: k8s_audit")],
            &["LOAD_UNKNOWN_SOURCE 1:6:11 «k8s_audit»"],
        ),
        (
            "whatever it says",
            &[&rule("ka.verb = create").replace("output: o", "output: '%ka.verb'\n  source: k8s_audit")],
            &["LOAD_UNKNOWN_SOURCE 1:5:11 «k8s_audit»"],
        ),
        (
            "tags are a sequence",
            &[&with("tags: a")],
            &["LOAD_ERR_YAML_VALIDATE 1:6:3 «tags»"],
        ),
        (
            "a capture file is not written",
            &[&with("capture: true")],
            &["LOAD_WARNING_EXTENSION 1:6:12 «true»", "R: evt.type = open"],
        ),
        (
            "text for capture",
            &[&with("capture: maybe")],
            &["LOAD_ERR_YAML_VALIDATE 1:6:3 «capture»"],
        ),
        (
            "its duration is a number",
            &[&with("capture_duration: 500")],
            &["R: evt.type = open"],
        ),
        (
            "and nothing else",
            &[&with("capture_duration: text")],
            &["LOAD_ERR_YAML_VALIDATE 1:6:21 «text»"],
        ),
        (
            "a condition without event types costs",
            &[&rule("proc.name = cat")],
            &["LOAD_NO_EVTTYPE 1:3:14 «p»", "R: proc.name = cat"],
        ),
        (
            "as its author may know",
            &[&(rule("proc.name = cat") + "  warn_evttypes: false\n")],
            &["R: proc.name = cat"],
        ),
        (
            "all but one are too many",
            &[&rule("evt.type != open")],
            &["LOAD_NO_EVTTYPE 1:3:14 «e»", "R: evt.type != open"],
        ),
        ("none are few", &[&rule("evt.num = 0")], &["R: evt.num = 0"]),
    ]);
}

#[test]
fn unknown_names_skip_a_rule_that_says_so() {
    let skipping = |condition: &str, output: &str| {
        rule(condition).replace("output: o", &format!("output: '{output}'"))
            + "  skip-if-unknown-filter: true\n"
    };
    let fails =
        |condition: &str, output: &str| rule(condition).replace("output: o", &format!("output: '{output}'"));
    holds(&[
        (
            "a field",
            &[&skipping("evt.type = open and no.such = 1", "o")],
            &["LOAD_UNKNOWN_FILTER 1:3:34 «no.such»"],
        ),
        (
            "an event type",
            &[&skipping("evt.type in (open, opne)", "o")],
            &["LOAD_UNKNOWN_FILTER 1:3:33 «opne»"],
        ),
        (
            "a field of the output",
            &[&skipping("evt.type = open", "by %no.such")],
            &["LOAD_UNKNOWN_FILTER 1:4:15 «%no.such»"],
        ),
        (
            "not without that key",
            &[&fails("evt.type = open and no.such = 1", "o")],
            &["LOAD_ERR_COMPILE_CONDITION 1:3:34 «no.such»"],
        ),
        (
            "nor an event type",
            &[&fails("evt.type = opne", "o")],
            &["LOAD_ERR_COMPILE_CONDITION 1:3:25 «opne»"],
        ),
        (
            "nor in the output",
            &[&fails("evt.type = open", "by %no.such")],
            &["LOAD_ERR_COMPILE_OUTPUT 1:4:15 «%no.such»"],
        ),
        (
            "other mistakes are mistakes",
            &[&skipping("evt.type = open and fd.num = x", "o")],
            &["LOAD_ERR_COMPILE_CONDITION 1:3:43 «x»"],
        ),
        (
            "an event's argument that no event has too",
            &[&skipping("evt.type = open and evt.arg.no_such = x", "o")],
            &["LOAD_ERR_COMPILE_CONDITION 1:3:34 «evt.arg.no_such»"],
        ),
        (
            "unless a name that does not exist stands before them",
            &[&skipping("evt.type = open and no.such = 1 and fd.num = x", "o")],
            &["LOAD_UNKNOWN_FILTER 1:3:34 «no.such»"],
        ),
        (
            "or in the output",
            &[&skipping(
                "evt.type = open and fd.num = x and no_such",
                "%no.such",
            )],
            &["LOAD_UNKNOWN_FILTER 1:4:12 «%no.such»"],
        ),
        (
            "an unknown macro too",
            &[&skipping("evt.type = open and no_such", "o")],
            &["LOAD_ERR_VALIDATE 1:3:34 «no_such»"],
        ),
        (
            "what a skipped rule uses is used",
            &[&format!(
                "- macro: m\n  condition: evt.type = open\n{}",
                skipping("m and no.such = 1", "o")
            )],
            &["LOAD_UNKNOWN_FILTER 1:5:20 «no.such»"],
        ),
    ]);
    let text = skipping("evt.type = open", "o");
    let settings = Settings {
        append_output: vec![lanner_engine::AppendOutput {
            extra_fields: vec![lanner_engine::ExtraField::Field("no.such".into())],
            ..Default::default()
        }],
        ..Settings::default()
    };
    let loaded = loaded_with(&[&text], &settings);
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(
        codes,
        ["LOAD_ERR_COMPILE_OUTPUT"],
        "extra_fields are never excused"
    );
}

#[test]
fn priorities() {
    let words = [
        ("EMERGENCY", Priority::Emergency),
        ("alert", Priority::Alert),
        ("Critical", Priority::Critical),
        ("eRRoR", Priority::Error),
        ("warning", Priority::Warning),
        ("Notice", Priority::Notice),
        ("INFORMATIONAL", Priority::Informational),
        ("info", Priority::Informational),
        ("debug", Priority::Debug),
    ];
    for (word, priority) in words {
        let text = RULE.replace("WARNING", word);
        let ruleset = loaded_with(&[&text], &Settings::default()).ruleset.unwrap();
        assert_eq!(ruleset.rules().next().unwrap().priority(), priority, "{word}");
    }
    holds(&[
        (
            "a word that is none",
            &[&RULE.replace("WARNING", "WARN")],
            &["LOAD_ERR_YAML_VALIDATE 1:5:13 «WARN»"],
        ),
        (
            "a number",
            &[&RULE.replace("WARNING", "4")],
            &["LOAD_ERR_YAML_VALIDATE 1:5:13 «4»"],
        ),
    ]);
    let settings = Settings {
        minimum_priority: Priority::Notice,
        ..Settings::default()
    };
    let with = |priority: &str| given(&[&RULE.replace("WARNING", priority)], &settings);
    assert_eq!(
        with("NOTICE"),
        ["R: evt.type = open"],
        "the threshold itself runs"
    );
    assert_eq!(
        with("INFO"),
        ["R: evt.type = open (off)"],
        "what is less severe does not"
    );
}
