//! What is said to those who write what other languages have, forget a word or mix up names: a message with the place and
//! what to write instead.

use lanner_engine::{RulesFile, Settings, load};

/// What is said about a rule with each condition, after some lists and macros.
fn said(conditions: &[&str]) -> String {
    let mut all = String::new();
    for condition in conditions {
        let text = format!(
            "- list: shell_binaries
  items: [bash, zsh]
- list: one_item
  items: [cat]
- list: no_items
  items: []
- macro: in_container
  condition: container.id != host
- rule: R
  desc: d
  condition: '{}'
  output: o
  priority: INFO
",
            condition.replace('\'', "''")
        );
        all += &about(&text, |line| line > 8);
    }
    all
}

/// The line, the caret, the message and the hint of all that is said about some lines of a file.
fn about(text: &str, lines: impl Fn(usize) -> bool) -> String {
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: text.into(),
    };
    let loaded = load(&[file], &Settings::default());
    let mut all = String::new();
    for diagnostic in loaded.diagnostics.iter().filter(|d| lines(d.line)) {
        let Some(snippet) = &diagnostic.snippet else {
            continue;
        };
        let indent = snippet.text.len() - snippet.text.trim_start().len();
        let caret = " ".repeat(snippet.caret - indent) + &"^".repeat(snippet.width);
        all += &format!(
            "{}\n{caret} {}: {}\n",
            snippet.text.trim_start(),
            diagnostic.code,
            diagnostic.message
        );
        for note in &diagnostic.notes {
            all += &format!("  note: {} ({}:{})\n", note.message, note.line, note.column);
        }
        all += &format!("  help: {}\n\n", diagnostic.hint.as_deref().unwrap_or("-"));
    }
    all
}

#[test]
fn lists_in_the_wrong_place() {
    insta::assert_snapshot!(said(&[
        "evt.type = execve and proc.name in shell_binaries",
        "evt.type = execve and proc.name in shell_binaries and fd.num = 1",
        "evt.type = execve and proc.name = shell_binaries",
        "evt.type = execve and proc.name != shell_binaries",
        "evt.type = execve and proc.name startswith shell_binaries",
        "evt.type = execve and proc.name = anyof shell_binaries",
        "evt.type = execve and shell_binaries",
        "evt.type = execve and (shell_binaries)",
        "evt.type = execve and one_item",
        "evt.type = execve and proc.name in no_items and fd.num = 1",
        "evt.type = execve and proc.name in bash, zsh",
    ]));
}

#[test]
fn names_that_are_nearly_right() {
    insta::assert_snapshot!(said(&[
        "evt.type = execve and proc.name in (shel_binaries)",
        "evt.type = execve and proc.name in (shell_binarys, x)",
        "evt.type = execve and proc.name in (in_container)",
        "evt.type = execve and proc.name in shells",
        "evt.type = execve and proc.name = oneof shells",
        "evt.type in open",
        "evt.type = execve and in_contaner",
        "evt.type = execve and proc_name = cat",
        "evt.type = execve and procname = cat",
        "evt.type = exceve",
        "evt.type = execve and proc.naem = cat",
        "true",
    ]));
}

#[test]
fn words_of_other_languages() {
    insta::assert_snapshot!(said(&[
        "evt.type = execve && proc.name = cat",
        "evt.type = execve || proc.name = cat",
        "evt.type=execve&&proc.name=cat",
        "evt.type = execve and !in_container",
        "evt.type = execve and !(proc.name = cat)",
        "evt.type = execve AND proc.name = cat",
        "evt.type = execve OR proc.name = cat",
        "evt.type = execve and NOT proc.name = cat",
        "evt.type = execve and NOT(proc.name = cat)",
        "evt.type = execve and proc.name IN (cat)",
        "evt.type = execve and proc.name not in (cat)",
        "evt.type = execve and proc.name NOT IN (cat)",
        "evt.type = execve and proc.name notin (cat)",
        "evt.type = execve and proc.name like cat",
        "evt.type = execve and proc.name matches cat",
        "evt.type = execve and proc.name =~ cat",
        "evt.type = execve and proc.name !~ cat",
        "evt.type = execve and proc.name <> cat",
        "evt.type = execve and proc.name === cat",
        "evt.type = execve and proc.name starts_with cat",
        "evt.type = execve and proc.name contians cat",
        "evt.type = execve and proc.name = (cat, dog)",
        "evt.type = execve and proc.name = \"cat\" or \"dog\"",
        "evt.type = execve and proc.name = cat dog",
        "evt.type = execve # comment",
    ]));
}

#[test]
fn what_is_missing_or_too_much() {
    insta::assert_snapshot!(said(&[
        "evt.type = execve and",
        "evt.type = execve or ",
        "(evt.type = execve and) or evt.type = open",
        "evt.type = execve and not",
        "and evt.type = execve",
        "evt.type = execve and or evt.type = open",
        "evt.type = execve and (or evt.type = open)",
        "evt.type = execve and proc.name",
        "evt.type = execve and proc.name and fd.num = 1",
        "evt.type = execve and proc.name =",
        "evt.type = execve)",
        "(evt.type = execve",
        "evt.type in (execve,)",
        "evt.type in (execve open)",
        "evt.type in (execve",
        "evt.type = \"execve",
        "evt.type = execve and ()",
        "evt.type = execve and fd.num > x",
    ]));
}

#[test]
fn conditions_put_together() {
    let rule = "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";
    let exception = "  exceptions: [{name: e, fields: proc.name, values: [a]}]\n";
    let append = |condition: &str| {
        format!("{rule}- rule: R\n  condition: {condition}\n  override: {{condition: append}}\n")
    };
    let files = [
        append("fd.num = 1"),
        append(">\n    fd.num = 1"),
        append("and fd.num ="),
        format!("{}{exception}", rule.replace("= open", "= open)")),
        format!("{}{exception}", rule.replace("evt.type", "(evt.type")),
        format!("{}{exception}", rule.replace("= open", "= open and")),
        format!("{rule}  exceptions: [{{name: e, fields: proc.name, values: [a=b]}}]\n"),
        format!(
            "- list: l\n  items: [a, b=c]\n{}",
            rule.replace("= open", "= open and proc.name in (l)")
        ),
    ];
    insta::assert_snapshot!(files.map(|file| about(&file, |_| true)).concat());
}

#[test]
fn outputs() {
    let output = |output: &str| {
        let text = format!(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: '{output}'\n  priority: INFO\n"
        );
        about(&text, |_| true)
    };
    let outputs = [
        "user=user.name file=fd.name",
        "user=%user.name fd.name=%fd.name",
        "100% of it",
        "%(proc.name)",
        "%{proc.name}",
        "%proc.naem",
        "done%",
        "%%proc.name",
    ];
    insta::assert_snapshot!(outputs.map(output).concat());
}

#[test]
fn sources() {
    let source = |source: &str| {
        let text = format!(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  source: {source}\n"
        );
        about(&text, |_| true)
    };
    insta::assert_snapshot!(
        ["sycall", "Syscall", "syscalls", "k8s_audit"]
            .map(source)
            .concat()
    );
}

#[test]
fn the_way_to_a_mistake() {
    let text = "- list: names
  items: [open, opne]
- macro: opened
  condition: evt.type in (names)
- macro: opened_file
  condition: opened and fd.num >= 0
- rule: R
  desc: d
  condition: opened_file and proc.name = cat
  output: o
  priority: INFO
";
    insta::assert_snapshot!(about(text, |_| true));
}
