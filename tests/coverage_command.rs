//! `lanner coverage` as a rule author and a pipeline see it.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const RULES: &str = "\
- rule: Exact rule
  desc: All the kernel's own
  condition: evt.type in (execve, execveat) and proc.name = nc
  output: nc %proc.cmdline
  priority: WARNING
- rule: Partial rule
  desc: A name that was passed
  condition: evt.type = open and fd.name = /etc/shadow
  output: shadow %fd.name %evt.args
  priority: WARNING
- rule: Blind rule
  desc: An event nobody sees
  condition: evt.type in (exit, page_fault)
  output: keys
  priority: WARNING
";

fn run(dir: &Path, rules: &str, arguments: &[&str]) -> Output {
    let path = dir.join("rules.yaml");
    std::fs::write(&path, rules).unwrap();
    Command::new(env!("CARGO_BIN_EXE_lanner"))
        .arg("coverage")
        .arg("-r")
        .arg(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

#[test]
fn a_person_is_told_which_rules_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), RULES, &["--tier", "sys_exit"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    let first = out.lines().next().unwrap();
    assert!(
        first.starts_with("This host would use tier ")
            || first.starts_with("Lanner cannot watch this host now: "),
        "{out}"
    );
    for part in [
        "\n3 rules: 1 exact, 1 partial, 1 blind ",
        "\nBlind rule: blind\n  exit: the call does not return",
        "\n  page_fault: not captured yet\n",
        "\nPartial rule: partial\n  fd.name: the path that was passed, and the one the kernel has",
        "\n  only in the output: evt.args: the path that was passed, and the one the kernel has",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(!out.contains("Exact rule"), "{out}");
    assert!(
        out.find("Blind rule") < out.find("Partial rule"),
        "the worst first\n{out}"
    );
}

#[test]
fn calls_that_are_dropped_are_missed() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "\
- {rule: Denied, desc: d, condition: evt.type = setuid and evt.res = EPERM, output: o, priority: INFO}
- {rule: Any, desc: d, condition: evt.type = setuid, output: o, priority: INFO}
- {rule: Done, desc: d, condition: evt.type = setuid and evt.failed = false, output: o, priority: INFO}
";
    let tier = ["--tier", "sys_exit"];
    let out = text(&run(dir.path(), rules, &tier).stdout);
    assert!(out.contains("\n3 rules: 3 exact, 0 partial, 0 blind "), "{out}");
    let drop = ["-o", "engine.modern_ebpf.drop_failed_exit=true"];
    let out = text(&run(dir.path(), rules, &[tier, drop].concat()).stdout);
    for part in [
        "\n3 rules: 1 exact, 1 partial, 1 blind ",
        "\nDenied: blind\n  the condition: it is about calls that fail, and those are not captured (drop_failed_exit)\n",
        "\nAny: partial\n  the condition: calls that fail are not captured (drop_failed_exit)\n",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
}

#[test]
fn a_tier_other_than_the_hosts_can_be_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), RULES, &["--tier", "none"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert!(out.contains("fanotify") && !out.contains("(planned)"), "{out}");
    assert!(
        out.contains("blind in tier none.") || out.contains("blind here."),
        "{out}"
    );
}

#[test]
fn sources_can_be_named_and_what_none_of_them_sees_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "\
- {rule: Executes, desc: d, condition: evt.type = execve, output: o, priority: INFO}
- {rule: Connects, desc: d, condition: evt.type = connect, output: o, priority: INFO}
";
    let tier = ["--tier", "none", "--sources", "connector"];
    let out = text(&run(dir.path(), rules, &tier).stdout);
    assert!(
        out.contains("\nConnects: blind\n  connect: the source that sees it is not used here\n"),
        "{out}"
    );
    assert!(out.contains("1 partial, 1 blind in tier none."), "{out}");
    let table = text(&run(dir.path(), rules, &["--markdown"]).stdout);
    assert!(
        table.contains("\n| Connects | partial | blind | blind |  |\n"),
        "{table}"
    );
}

#[test]
fn an_ordinary_user_gets_the_same_answer() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!(
            "skipped: only root can become somebody else; the other tests run as an ordinary user here"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    std::fs::write(&rules, RULES).unwrap();
    for path in [dir.path(), &rules] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    command.args(["coverage", "-r"]).arg(&rules);
    let output = match command.uid(65534).gid(65534).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: nobody cannot run the binary where it lies: {error}");
            return;
        }
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert!(out.starts_with("Lanner cannot watch this host now: "), "{out}");
    assert!(out.contains("\nWhat follows is for tier sys_exit.\n"), "{out}");
    assert!(
        out.contains("\n3 rules: 1 exact, 1 partial, 1 blind in tier sys_exit.\n"),
        "{out}"
    );
}

#[test]
fn json_has_every_rule_in_every_tier() {
    let dir = tempfile::tempdir().unwrap();
    let document = json(&run(dir.path(), RULES, &["--json"]));
    let tiers: Vec<(&str, bool)> = document["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tier| (tier["name"].as_str().unwrap(), tier["built"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        tiers,
        [
            ("trampoline", true),
            ("sys_exit", true),
            ("raw", true),
            ("none", true)
        ]
    );
    let rules = document["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 3);
    for rule in rules {
        assert_eq!(
            (&rule["source"], &rule["enabled"]),
            (&"syscall".into(), &true.into())
        );
        let tiers = rule["tiers"].as_object().unwrap();
        assert_eq!(tiers.len(), 4);
        for (name, tier) in tiers {
            let is_exact = tier["verdict"] == "exact";
            assert_eq!(
                is_exact,
                tier["reasons"] == serde_json::json!([]),
                "{rule} {name}"
            );
        }
    }
    assert_eq!(rules[0]["tiers"]["sys_exit"]["verdict"], "exact");
    let partial = &rules[1]["tiers"]["sys_exit"];
    assert_eq!(partial["verdict"], "partial");
    let reasons = partial["reasons"].as_array().unwrap();
    let place = |field: &str, place: &str| {
        reasons
            .iter()
            .any(|reason| reason["field"] == field && reason["in"] == place && reason["why"].is_string())
    };
    assert!(
        place("fd.name", "condition") && place("evt.args", "output"),
        "{partial}"
    );
    let blind = &rules[2]["tiers"]["sys_exit"];
    assert_eq!(
        (&blind["verdict"], &blind["reasons"][0]["event"]),
        (&"blind".into(), &"exit".into())
    );
}

#[test]
fn one_tier_can_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let document = json(&run(dir.path(), RULES, &["--json", "--tier", "trampoline"]));
    assert_eq!(document["tiers"].as_array().unwrap().len(), 1);
    let tiers = document["rules"][0]["tiers"].as_object().unwrap();
    assert_eq!(tiers.keys().collect::<Vec<_>>(), ["trampoline"]);
    let unknown = run(dir.path(), RULES, &["--tier", "best"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        text(&unknown.stderr).contains("sys_exit"),
        "{}",
        text(&unknown.stderr)
    );
}

#[test]
fn strict_fails_for_an_enabled_rule_that_is_blind() {
    let dir = tempfile::tempdir().unwrap();
    let code = |rules: &str, arguments: &[&str]| run(dir.path(), rules, arguments).status.code();
    let strict = ["--strict", "--tier", "sys_exit"];
    assert_eq!(code(RULES, &strict), Some(3));
    assert_eq!(
        code(RULES, &["--strict"]),
        Some(3),
        "the tier is the host's, or the one this build has"
    );
    assert_eq!(code(RULES, &["--tier", "sys_exit"]), Some(0));
    let disabled = format!("{RULES}  enabled: false\n");
    assert_eq!(code(&disabled, &strict), Some(0));
}

#[test]
fn rules_with_errors_are_diagnosed_and_not_judged() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &RULES.replace("fd.name =", "fd.nmae ="), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let err = text(&output.stderr);
    assert!(err.contains("rules.yaml:8:") && err.contains("fd.nmae"), "{err}");
}

#[test]
fn without_rules_the_built_in_ones_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("lanner.yaml");
    std::fs::write(&config, "rules_files: []\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(["coverage", "--tier", "sys_exit", "--strict", "-c"])
        .arg(config)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert!(
        text(&output.stdout).contains(" 0 blind "),
        "{}",
        text(&output.stdout)
    );
}
