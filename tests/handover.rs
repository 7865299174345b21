//! Two agents of one name: the newer takes over, the older leaves, and every event alerts once.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use support::lanner::{self, Lanner, field};
use support::port::Port;
use support::skip;

const RULES: &str = r#"
- rule: Numbered file opened
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name startswith /tmp/lanner-handover-
  output: "opened %fd.name"
  priority: NOTICE
"#;

/// An agent's arguments: the rules above, and where its control socket is.
fn arguments(rules: &Path, folder: &Path, more: &[&str]) -> Vec<String> {
    let mut arguments = lanner::options(None);
    arguments.extend(["-o".to_owned(), format!("runtime_directory={}", folder.display())]);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    arguments.extend(more.iter().map(|word| (*word).to_owned()));
    arguments
}

/// What `lanner status` answers.
fn status(folder: &Path) -> Result<Value, String> {
    let output = Command::new(lanner::PROGRAM)
        .args(["status", "--json"])
        .args(["--socket", folder.join("lanner.sock").to_str().unwrap()])
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// How often each file alerted.
fn names(alerts: &[Value]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for alert in alerts {
        *names.entry(field(alert, "fd.name")).or_insert(0) += 1;
    }
    names
}

#[test]
fn the_newer_takes_over_and_every_event_alerts() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let (_rules_folder, rules) = lanner::rules(RULES);
    let pidfile = folder.path().join("lanner.pid");
    let run = folder.path().join("run");
    // Both want the same port.
    let port = Port::new();
    let listen = format!("webserver.listen_port={port}");
    let more = [
        "-P",
        pidfile.to_str().unwrap(),
        "-o",
        "webserver.enabled=true",
        "-o",
        "webserver.listen_address=127.0.0.1",
        "-o",
        &listen,
    ];
    let older = Lanner::start(&arguments(&rules, &run, &more));
    let first = older.pid().as_raw();
    assert_eq!(status(&run).unwrap()["pid"], first);

    let files = tempfile::Builder::new()
        .prefix("lanner-handover-")
        .tempdir_in("/tmp")
        .unwrap();
    let (opened, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (newer, older) = thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                let number = opened.fetch_add(1, Ordering::Relaxed);
                let _ = fs::File::create(files.path().join(number.to_string()));
                thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        let newer = Lanner::start(&arguments(&rules, &run, &more));
        let older = older.wait();
        ends.store(true, Ordering::Relaxed);
        (newer, older)
    });
    let opened = opened.into_inner();
    assert_eq!(older.status.code(), Some(0), "{}", older.stderr);
    let left = format!(
        "handed over to the Lanner with process id {}: leaving",
        newer.pid()
    );
    assert!(older.stderr.contains(&left), "{}", older.stderr);
    newer.wait_for_log("that it took over", |line| {
        line.contains(&format!("took over from the Lanner with process id {first}"))
    });
    let last = files.path().join((opened - 1).to_string());
    newer.wait_for_alert("of the last file", |alert| {
        field(alert, "fd.name") == last.to_str().unwrap()
    });

    let before = names(&lanner::alerts_of(&older.stdout));
    let after = names(&newer.alerts());
    assert!(
        before.len() > 10 && after.len() > 10,
        "{} {}",
        before.len(),
        after.len()
    );
    let both = before.keys().filter(|name| after.contains_key(*name)).count();
    // The two see an event within a microsecond of each other.
    assert!(both <= 1, "{both} of {opened} alerted twice");
    assert_eq!(before.len() + after.len() - both, opened, "every file alerts");

    assert_eq!(status(&run).unwrap()["pid"], newer.pid().as_raw());
    let pid = fs::read_to_string(&pidfile).unwrap();
    assert_eq!(pid.trim(), newer.pid().to_string());
    support::wait_for("the newer's health", std::time::Duration::from_secs(60), || {
        let mut stream = TcpStream::connect(("127.0.0.1", port.number)).ok()?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
    assert_eq!(newer.stop().status.code(), Some(0));
    let gone = status(&run).unwrap_err();
    assert!(gone.contains("no Lanner listens at"), "{gone}");
    assert!(!pidfile.exists());
}

#[test]
fn who_watches_for_a_while_goes_beside() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let (_rules_folder, rules) = lanner::rules(RULES);
    let lasting = Lanner::start(&arguments(&rules, folder.path(), &[]));
    let brief = Lanner::start(&arguments(&rules, folder.path(), &["-M", "600"]));
    let said = format!(
        "the Lanner with process id {} watches this host too",
        lasting.pid()
    );
    brief.wait_for_log("that another watches", |line| line.contains(&said));
    assert_eq!(status(folder.path()).unwrap()["pid"], lasting.pid().as_raw());
    assert_eq!(brief.stop().status.code(), Some(0));
    assert_eq!(status(folder.path()).unwrap()["pid"], lasting.pid().as_raw());
    assert_eq!(lasting.stop().status.code(), Some(0));
}

#[test]
fn an_agent_that_hangs_or_was_killed_keeps_nobody_from_watching() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let (_rules_folder, rules) = lanner::rules(RULES);
    let socket = folder.path().join("lanner.sock");
    {
        // It listens and never answers.
        let _hung = UnixListener::bind(&socket).unwrap();
        let lanner = Lanner::start(&arguments(&rules, folder.path(), &[]));
        let said = format!(
            "the Lanner with process id {} does not answer",
            std::process::id()
        );
        lanner.wait_for_log("that it hangs", |line| line.contains(&said));
        assert_eq!(status(folder.path()).unwrap()["pid"], lanner.pid().as_raw());
        lanner.kill();
    }
    assert!(socket.exists(), "a killed agent leaves its socket");
    let next = Lanner::start(&arguments(&rules, folder.path(), &[]));
    assert_eq!(status(folder.path()).unwrap()["pid"], next.pid().as_raw());
    assert!(!next.log().contains("alerts come from both"), "{}", next.log());
    assert_eq!(next.stop().status.code(), Some(0));
}
