//! `proc.stdin.*`, `proc.stdout.*`, `proc.stderr.*` and `fd.types`, in alerts of the real program.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::lanner::{self, Lanner};
use support::skip;

/// Ends with everything it started.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(-i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::kill(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn spawn(script: &str, stdin: Stdio) -> Group {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(stdin).process_group(0);
    Group(command.spawn().unwrap())
}

#[test]
fn what_a_process_has_open_is_told_while_it_runs() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().to_str().unwrap();
    let fields = "%evt.arg.path %proc.stdin.type %proc.stdin.name %proc.stdout.type %proc.stdout.name %proc.stderr.type \
                  %fd.types %fd.types[1] %fd.types[99]";
    let rule = |name: &str, condition: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: evt.type = chdir and evt.arg.path startswith {mark} and \
             {condition}\n  output: \"{fields}\"\n  priority: WARNING\n"
        )
    };
    let rules = [
        rule("piped", "proc.stdin.type = pipe"),
        rule("from_file", &format!("proc.stdin.name = {mark}/in")),
        rule(
            "connected",
            "proc.stdin.type = ipv4 and fd.types intersects (ipv4)",
        ),
    ]
    .concat();
    let (_folder, file) = lanner::rules(&rules);
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), file.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    let told = |rule: &str| -> Value {
        let alert = lanner.wait_for_alert(rule, |alert| alert["rule"] == rule);
        alert["output_fields"].clone()
    };
    std::fs::write(dir.path().join("in"), "x\n").unwrap();

    let script = format!("cat < {mark}/in | sh -c 'cd {mark}; sleep 60' > {mark}/out 2> /dev/null");
    let _piped = spawn(&script, Stdio::null());
    let piped = told("piped");
    assert_eq!(piped["proc.stdin.name"], "");
    assert_eq!(piped["proc.stdout.type"], "file");
    assert_eq!(piped["proc.stdout.name"], format!("{mark}/out"));
    assert_eq!(piped["proc.stderr.type"], "file");
    let types: Vec<&str> = piped["fd.types"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    assert!(types.contains(&"pipe") && types.contains(&"file"), "{types:?}");
    let once: std::collections::HashSet<_> = types.iter().collect();
    assert_eq!(once.len(), types.len());
    assert_eq!(piped["fd.types[1]"], serde_json::json!(["file"]));
    assert_eq!(piped["fd.types[99]"], Value::Null);

    let _read = spawn(
        &format!("exec < {mark}/in; cd {mark}; exec sleep 60"),
        Stdio::null(),
    );
    assert_eq!(told("from_file")["proc.stdin.type"], "file");

    // A shell that somebody far away types into.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let socket = TcpStream::connect(there).unwrap();
    let name = format!("{}->{there}", socket.local_addr().unwrap());
    let _shell = spawn(&format!("cd {mark}; exec sleep 60"), OwnedFd::from(socket).into());
    assert_eq!(told("connected")["proc.stdin.name"], name);
}
