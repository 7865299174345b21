//! A kernel without type information, as far as Lanner can tell: nothing is below /sys/kernel/btf. It then watches by raw
//! tracepoints, and finds out by itself where tasks keep their ids.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Run};
use support::lanner::{self, Lanner, field};
use support::skip;

const RULES: &str = r#"
- rule: Shell
  desc: For these tests
  condition: spawned_process and proc.name = sh and proc.args contains of-these-tests
  output: "shell (cmdline=%proc.cmdline exe=%proc.exepath parent=%proc.pname grand=%proc.aname[2] cwd=%proc.cwd user=%user.uid env=%proc.env[LANNER_TEST] container=%container.full_id image=%container.image.repository)"
  priority: NOTICE
- rule: Called
  desc: For these tests
  condition: evt.type = connect and fd.sip = 127.0.0.9 and evt.rawres >= 0
  output: "called (%fd.name port=%fd.rport type=%fd.type cmdline=%proc.cmdline parent=%proc.pname)"
  priority: NOTICE
- rule: Relative
  desc: For these tests
  condition: evt.type in (open, openat) and evt.is_open_write=true and fd.filename = of-these-tests
  output: "relative (%fd.name raw=%fd.nameraw proc=%proc.name)"
  priority: NOTICE
- macro: spawned_process
  condition: (evt.type in (execve, execveat) and evt.rawres = 0)
"#;

/// Lanner where the kernel's type information is hidden from it.
fn hidden(arguments: &[String]) -> Lanner {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs tmpfs /sys/kernel/btf && exec setpriv --pdeathsig KILL \"$@\"";
    command
        .args(["--mount", "sh", "-c", script, "sh", lanner::PROGRAM])
        .args(arguments);
    Lanner::start_command(command)
}

fn with_rules(containerd: Option<&Containerd>, files: &[PathBuf]) -> Lanner {
    let mut arguments = lanner::options(containerd);
    for file in files {
        arguments.extend(["-r".to_owned(), file.to_str().unwrap().to_owned()]);
    }
    hidden(&arguments)
}

fn stock_rules() -> Option<PathBuf> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    path.exists().then_some(path)
}

fn is(rule: &'static str) -> impl Fn(&Value) -> bool {
    move |alert| alert["rule"] == rule
}

#[test]
fn stock_rules_start_and_what_processes_of_the_host_do_is_told() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (folder, own) = lanner::rules(RULES);
    let files: Vec<PathBuf> = stock_rules().into_iter().chain([own]).collect();
    let has_stock_rules = files.len() > 1;
    let lanner = with_rules(None, &files);
    lanner.wait_for_log("the tier", |line| {
        line.contains("tier raw: not trampoline: kernel")
    });
    assert!(
        !lanner.log().contains("could not be found out"),
        "where tasks keep their ids: {}",
        lanner.log()
    );

    // It ends at once: its parent and its arguments are not looked up in time, and are known.
    let shell = Command::new("sh")
        .args(["-c", "true of-these-tests"])
        .env("LANNER_TEST", "of this environment")
        .status();
    assert!(shell.unwrap().success());
    let alert = lanner.wait_for_alert("the shell", is("Shell"));
    assert_eq!(field(&alert, "proc.cmdline"), "sh -c true of-these-tests");
    let this = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(field(&alert, "proc.pname"), this.trim(), "{alert}");
    assert_eq!(field(&alert, "proc.env[LANNER_TEST]"), "of this environment");
    assert_eq!(field(&alert, "user.uid"), "0");

    let listener = TcpListener::bind(("127.0.0.9", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    // A process that stays, so that its socket can be looked at.
    let mut caller = Command::new("bash")
        .args(["-c", &format!("exec 5<>/dev/tcp/127.0.0.9/{port}; read")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let alert = lanner.wait_for_alert("the connection", is("Called"));
    assert_eq!(field(&alert, "fd.rport"), port, "{alert}");
    assert_eq!(field(&alert, "fd.type"), "ipv4");
    assert!(field(&alert, "fd.name").ends_with(&format!("->127.0.0.9:{port}")));
    caller.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(caller.wait().unwrap().success());

    let script = "cd \"$0\" && echo x > of-these-tests";
    let written = Command::new("sh")
        .args(["-c", script])
        .arg(folder.path())
        .status();
    assert!(written.unwrap().success());
    let alert = lanner.wait_for_alert("the file", is("Relative"));
    assert_eq!(field(&alert, "fd.nameraw"), "of-these-tests");

    if has_stock_rules {
        let read = Command::new("cat").arg("/etc/shadow").output().unwrap();
        assert!(read.status.success());
        let alert = lanner.wait_for_alert("cat /etc/shadow", |alert| {
            alert["rule"] == "Read sensitive file untrusted" && field(alert, "proc.name") == "cat"
        });
        assert_eq!(field(&alert, "fd.name"), "/etc/shadow");
        assert_eq!(field(&alert, "proc.pname"), this.trim());
    }
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn a_container_is_known() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let (_folder, own) = lanner::rules(RULES);
    let lanner = with_rules(Some(&containerd), &[own]);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let pod = containerd.pod("shop", "untyped");
    let container = containerd.run(&pod, Run::new("web", BUSYBOX));
    // It stays for a moment: a cgroup of version 1 is told by /proc.
    containerd.exec(&container, &["sh", "-c", "sleep 0.5; true of-these-tests"]);
    let alert = lanner.wait_for_alert("the shell", is("Shell"));
    assert_eq!(field(&alert, "container.full_id"), container, "{alert}");
    assert_eq!(field(&alert, "proc.exepath"), "/bin/busybox", "{alert}");
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn the_plan_says_why() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let script = "mount -t tmpfs tmpfs /sys/kernel/btf && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", lanner::PROGRAM, "plan"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("raw_tp/sys_exit"), "{said}");
    assert!(said.contains("has no type information"), "{said}");
}
