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
