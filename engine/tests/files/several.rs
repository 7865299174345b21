//! Several files in order.

use super::{RULE, holds, loaded_with, rule};
use lanner_engine::Settings;

const OTHER: &str = "- rule: S
  desc: d
  condition: evt.type = creat
  output: o
  priority: WARNING
";

#[test]
fn files_in_order() {
    holds(&[
        (
            "a later file changes what an earlier one defines",
            &[
                RULE,
                "- rule: R\n  condition: and fd.num = 1\n  override: {condition: append}\n",
            ],
            &["R: (evt.type = open and fd.num = 1)"],
        ),
        (
            "not the other way round",
            &[
                "- rule: R\n  condition: and fd.num = 1\n  override: {condition: append}\n",
                RULE,
            ],
            &["LOAD_ERR_VALIDATE 1:1:9 «R»"],
        ),
        (
            "the pattern of a local file: macros and lists that are replaced",
            &[
                &format!(
                    "- list: ours\n  items: []\n- macro: user_known\n  condition: (evt.num = 0)\n{}",
                    rule("evt.type = open and not user_known and not proc.name in (ours)")
                ),
                "- list: ours\n  items: [backup]\n- macro: user_known\n  condition: (proc.name = cron)\n",
            ],
            &["R: (evt.type = open and not proc.name = cron and not proc.name in (backup))"],
        ),
        (
            "a redefined rule keeps its place",
            &[&format!("{RULE}{OTHER}"), RULE],
            &["R: evt.type = open", "S: evt.type = creat"],
        ),
        (
            "and so does one that is overridden",
            &[
                &format!("{RULE}{OTHER}"),
                "- rule: R\n  desc: x\n  override: {desc: replace}\n",
            ],
            &["R: evt.type = open", "S: evt.type = creat"],
        ),
        (
            "errors of all files are said",
            &[&rule("no.such = 1"), &OTHER.replace("WARNING", "high")],
            &[
                "LOAD_ERR_COMPILE_CONDITION 1:3:14 «no.such»",
                "LOAD_ERR_YAML_VALIDATE 2:5:13 «high»",
            ],
        ),
        (
            "a file that is no YAML spoils only itself",
            &["- [", &rule("no.such = 1")],
            &[
                "LOAD_ERR_YAML_PARSE 1:1:3 «[»",
                "LOAD_ERR_COMPILE_CONDITION 2:3:14 «no.such»",
            ],
        ),
    ]);
}

#[test]
fn names_used_twice() {
    let list = "- list: l\n  items: [a]\n";
    let twice = format!("{RULE}{}", RULE.replace("open", "creat"));
    let both = format!("{list}{list}{}", rule("evt.type = open and proc.name in (l)"));
    let macros = format!(
        "- macro: m\n  condition: evt.type = open\n- macro: m\n  condition: evt.type = creat\n{}",
        rule("m")
    );
    holds(&[
        (
            "a rule that is defined twice in a file is warned of",
            &[&twice],
            &["LOAD_WARNING_EXTENSION 1:6:9 «R»", "R: evt.type = creat"],
        ),
        (
            "a list",
            &[&both],
            &[
                "LOAD_WARNING_EXTENSION 1:3:9 «l»",
                "R: (evt.type = open and proc.name in (a))",
            ],
        ),
        (
            "a macro",
            &[&macros],
            &["LOAD_WARNING_EXTENSION 1:3:10 «m»", "R: evt.type = creat"],
        ),
        (
            "in another document too",
            &[&format!("{RULE}---\n{RULE}")],
            &["LOAD_WARNING_EXTENSION 1:7:9 «R»", "R: evt.type = open"],
        ),
        (
            "not in another file, as local files are made of that",
            &[RULE, RULE],
            &["R: evt.type = open"],
        ),
        (
            "nor when it says that it replaces",
            &[&format!(
                "{RULE}- rule: R\n  condition: evt.type = creat\n  override: {{condition: replace}}\n"
            )],
            &["R: evt.type = creat"],
        ),
        (
            "a list and a macro of one name",
            &[&format!(
                "- macro: l\n  condition: evt.type = open\n{list}{}",
                rule("evt.type = open and proc.name in (l)")
            )],
            &[
                "LOAD_WARNING_EXTENSION 1:1:10 «l»",
                "LOAD_UNUSED_MACRO 1:1:10 «l»",
                "R: (evt.type = open and proc.name in (a))",
            ],
        ),
        (
            "a list whose name is a word of conditions",
            &[&format!(
                "- list: contains\n  items: [startswith]\n{}",
                rule("evt.type = open and proc.name contains x")
            )],
            &[
                "LOAD_WARNING_EXTENSION 1:1:9 «contains»",
                "R: (evt.type = open and proc.name startswith x)",
            ],
        ),
    ]);
    let loaded = loaded_with(&[&twice], &Settings::default());
    let note = &loaded.diagnostics[0].notes[0];
    assert_eq!((note.line, note.column), (1, 9), "the earlier one is named");
}

#[test]
fn any_error_refuses_all_files() {
    assert!(
        loaded_with(&[RULE, "- rule: S\n"], &Settings::default())
            .ruleset
            .is_none()
    );
    assert!(
        loaded_with(&[RULE, OTHER], &Settings::default())
            .ruleset
            .is_some()
    );
}
