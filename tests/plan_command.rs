//! `lanner plan` as an operator and a pipeline see it.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const RULES: &str = "\
- rule: A close
  desc: Something is taken away
  condition: evt.type = close and fd.name = /etc/shadow
  output: closed %fd.name
  priority: WARNING
- rule: A signal
  desc: Another source
  condition: evt.type = signaldeliver
  output: signal
  priority: WARNING
";

fn plan(dir: &Path, arguments: &[&str]) -> Command {
    let path = dir.join("rules.yaml");
    std::fs::write(&path, RULES).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    command
        .args(["plan", "-r"])
        .arg(path)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

/// False, and says why, where nothing can be tried.
fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: trying programs needs root");
    }
    root
}

#[test]
fn the_plan_has_a_program_for_every_event_that_is_captured() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = plan(dir.path(), &["--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document = json(&output);
    let plan = &document["plan"];
    let programs = plan["programs"].as_array().unwrap();
    let has = |hook: &str, event: &str| {
        let events = |program: &Value| {
            program["events"]
                .as_array()
                .unwrap()
                .iter()
                .any(|name| name == event)
        };
        programs
            .iter()
            .any(|program| program["hook"].as_str().unwrap().starts_with(hook) && events(program))
    };
    assert!(has("tp_btf/signal_deliver", "signaldeliver"), "{plan}");
    match plan["tier"].as_str().unwrap() {
        "sys_exit" => assert!(
            has("tp_btf/sys_enter", "close") && has("tp_btf/sys_exit", "chdir"),
            "{plan}"
        ),
        "trampoline" => assert!(has("fentry/", "close") && has("fexit/", "chdir"), "{plan}"),
        other => panic!("{other}"),
    }
    let events = plan["events"].as_array().unwrap();
    for event in events {
        let name = event["event"].as_str().unwrap();
        assert!(has("", name), "nothing records {name}: {plan}");
    }
    let close = events.iter().find(|event| event["event"] == "close").unwrap();
    assert_eq!(close["for_rules"], true);
    assert!(!close["params"].as_array().unwrap().is_empty(), "{close}");
    // What was chosen is possible, and everything better has a reason why it is not.
    for tier in plan["tiers"].as_array().unwrap() {
        if tier["tier"] == plan["tier"] {
            assert_eq!(tier["possible"], true);
            break;
        }
        assert!(tier["why_not"].is_string(), "{tier}");
    }
}

#[test]
fn a_tier_that_the_kernel_refuses_says_what_the_kernel_said() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = plan(dir.path(), &["--json", "-o", "engine.tier=trampoline"])
        .output()
        .unwrap();
    let document = json(&output);
    let tried = document["host"]["programs"].as_array().unwrap();
    let trampolines = tried.iter().find(|trial| trial["kind"] == "trampolines").unwrap();
    if trampolines["allowed"] == true {
        assert_eq!(document["plan"]["tier"], "trampoline");
        return;
    }
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(document["plan"], Value::Null);
    let said = trampolines["said"].as_str().unwrap();
    assert!(said.contains("refused by the kernel: E"), "{said}");
    assert!(document["error"].as_str().unwrap().contains(said), "{document}");
    assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
}

#[test]
fn who_may_not_load_programs_is_told_so_and_gets_no_plan() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = plan(dir.path(), &[]);
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = command.uid(65534).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("CAP_BPF"),
        "{}",
        text(&output.stderr)
    );
    let out = text(&output.stdout);
    assert!(
        out.contains("trampolines") && out.contains("refused by the kernel: EPERM"),
        "{out}"
    );
}

#[test]
fn people_read_the_plan_as_text() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = plan(dir.path(), &[]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert!(out.starts_with("Capture       tier "), "{out}");
    assert!(out.contains("chosen") && out.contains("signaldeliver"), "{out}");
}
