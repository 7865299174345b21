//! `lanner containers` and the agent it asks: a real one with a real containerd, none, one that was killed, and ones of other
//! versions.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::containerd::{BUSYBOX, Run};
use support::lanner::{self, Lanner};
use support::{skip, wait_for};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// What `lanner containers` said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    /// The containers in its JSON, in order, without those that other tests have meanwhile: of them it sees the cgroup only.
    fn rows(&self) -> Vec<Value> {
        let list = self.json();
        let mut rows = list["containers"].as_array().unwrap().clone();
        rows.retain(|row| row["learnt"] != "cgroup");
        rows
    }

    /// Their names; a sandbox has its pod's.
    fn names(&self) -> Vec<String> {
        let rows = self.rows().into_iter();
        rows.map(|row| row["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

fn containers(socket: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(lanner::PROGRAM);
    command
        .arg("containers")
        .arg("--socket")
        .arg(socket)
        .args(arguments);
    said(command)
}

fn said(mut command: Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn what_a_running_lanner_knows_is_listed() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let front = containerd.pod("shop", "front");
    let before = containerd.run(&front, Run::new("before", BUSYBOX));
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend([
        "-o".to_owned(),
        format!("runtime_directory={}", folder.path().display()),
    ]);
    let lanner = Lanner::start(&arguments);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let back = containerd.pod("store", "back");
    let after = containerd.run(&back, Run::new("after", BUSYBOX));
    let socket = folder.path().join("lanner.sock");

    let all = containers(&socket, &["--json"]);
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    assert_eq!(
        all.names(),
        ["front", "before", "back", "after"],
        "sorted by namespace, pod and name"
    );
    let list = all.json();
    assert_eq!(list["agent"]["pid"], lanner.pid().as_raw());
    assert_eq!(list["agent"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(list["agent"]["connected"], true);
    let rows = all.rows();
    let row = &rows[3];
    let digest = containerd.digest(BUSYBOX);
    for (key, value) in [
        ("/id", &after[..12]),
        ("/full_id", &after),
        ("/type", "containerd"),
        ("/image", BUSYBOX),
        ("/digest", digest),
        ("/learnt", "start"),
        ("/pod/name", "back"),
        ("/pod/namespace", "store"),
        ("/pod/uid", back.uid()),
        ("/pod/sandbox_id", &back.id),
        ("/pod/labels/app", "back"),
    ] {
        assert_eq!(
            row.pointer(key).and_then(Value::as_str),
            Some(value),
            "{key} in {row:#}"
        );
    }
    assert_eq!(row["sandbox"], false);
    assert!(
        row["start_ts"].as_u64().is_some_and(|start| start > 1 << 60),
        "{row:#}"
    );
    let cgroup = row["cgroup"]["path"].as_str().unwrap();
    assert!(cgroup.starts_with('/') && cgroup.contains(&after), "{cgroup}");
    // Its first process is the runtime's own until it executes the container's program.
    wait_for("the container's program", LIMIT, || {
        let program = std::fs::read_link(format!("/proc/{}/exe", row["pid"])).ok()?;
        program.ends_with("busybox").then_some(())
    });
    assert_eq!(rows[2]["sandbox"], true, "{list:#}");
    assert_eq!(rows[1]["learnt"], "synchronize", "{list:#}");

    assert_eq!(
        containers(&socket, &["--json", "--pod", "back"]).names(),
        ["back", "after"]
    );
    assert_eq!(
        containers(&socket, &["--json", "-n", "shop"]).names(),
        ["front", "before"]
    );
    assert_eq!(containers(&socket, &["--json", &before[..8]]).names(), ["before"]);
    assert_eq!(
        containers(&socket, &["--json", &before[..8], &after]).names(),
        ["before", "after"]
    );
    let none = containers(&socket, &["--pod", "nowhere"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), "no containers\n"));

    let table = containers(&socket, &[]);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("CONTAINER     NAME "), "{}", table.stdout);
    let line = lines.iter().find(|line| line.starts_with(&after[..12])).unwrap();
    assert!(
        line.contains("store/back") && line.contains(BUSYBOX),
        "{}",
        table.stdout
    );
    let longest = lines.iter().map(|line| line.chars().count()).max();
    assert!(longest.is_some_and(|longest| longest <= 120), "{}", table.stdout);
    assert!(containers(&socket, &["--wide"]).stdout.contains(digest));

    // Where it listens can be said as it was to the agent, too.
    let mut command = Command::new(lanner::PROGRAM);
    command
        .args(["containers", "-o"])
        .arg(format!("runtime_directory={}", folder.path().display()));
    assert!(said(command).stdout.contains(&before[..12]));

    // What may not ask is told why.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
    ]);
    command
        .arg(program_for_all(folder.path()))
        .args(["containers", "--socket"])
        .arg(&socket);
    let refused = said(command);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("only the user that Lanner runs as"),
        "{}",
        refused.stderr
    );

    lanner.kill();
    let dead = containers(&socket, &[]);
    assert_eq!(dead.code, Some(1));
    assert!(
        dead.stderr.contains("nobody listens at") && dead.stdout.is_empty(),
        "{}",
        dead.stderr
    );
}

/// The program where every user may run it.
fn program_for_all(folder: &Path) -> std::path::PathBuf {
    let copy = folder.join("lanner");
    support::copy_program(lanner::PROGRAM, &copy);
    copy
}

#[test]
fn where_none_runs_it_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("lanner.sock");
    let said = containers(&socket, &["--json"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    assert!(
        said.stderr.contains(socket.to_str().unwrap()) && said.stderr.contains("systemctl start lanner"),
        "{}",
        said.stderr
    );
    assert_eq!(containers(&socket, &["--jsno"]).code, Some(2));
}

#[test]
fn a_lanner_that_is_not_connected_says_so() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = lanner::options(None);
    arguments.extend([
        "-o".to_owned(),
        format!("runtime_directory={}", folder.path().display()),
    ]);
    let _lanner = Lanner::start(&arguments);
    let said = containers(&folder.path().join("lanner.sock"), &[]);
    assert_eq!(said.code, Some(0));
    assert!(
        said.stderr.contains("may be missing (NRI: disabled)"),
        "{}",
        said.stderr
    );
}

#[test]
fn agents_of_other_versions_are_understood_or_named() {
    let answer = |text: &'static str| {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lanner.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            BufReader::new(&stream).read_line(&mut asked).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            asked
        });
        let said = containers(&socket, &["--json"]);
        assert_eq!(served.join().unwrap(), "containers\n");
        said
    };
    let newer = answer(
        "{\"pid\":1,\"version\":\"9.0.0\",\"runtime\":\"x\",\"connected\":true,\"new\":1,\"containers\":[{\"id\":\"a\",\"more\":{}}]}\n",
    );
    assert_eq!(
        (newer.code, &newer.json()["containers"][0]["id"]),
        (Some(0), &Value::from("a"))
    );
    let older = answer("{\"pid\":1,\"version\":\"0.0.1\",\"error\":\"unknown request\"}\n");
    assert_eq!(older.code, Some(1));
    assert!(
        older.stderr.contains("is Lanner 0.0.1 and this is"),
        "{}",
        older.stderr
    );
    for broken in ["", "no JSON\n", "{\"pid\":1}\n", "[]\n"] {
        let said = answer(broken);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{broken:?}");
        assert!(said.stderr.contains("lanner.sock"), "{broken:?}: {}", said.stderr);
    }
}
