//! From nothing to an alert: the program with what is built in, an open on this host, and Ctrl-C.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::process::Command;

use support::journald::Journald;
use support::lanner::{self, Lanner, field};
use support::skip;

/// Reads the host's own shadow file, as a person would to see an alert.
fn cat_shadow() {
    let output = Command::new("cat").arg("/etc/shadow").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_open_on_the_host_becomes_an_alert_on_standard_output() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let lanner = Lanner::start(&lanner::options(None));
    let screen = lanner.log();
    for part in ["Capture", "Rules", "Containers", "Outputs", "cat /etc/shadow"] {
        assert!(
            screen.contains(part),
            "{part} is missing on the first screen:\n{screen}"
        );
    }
    cat_shadow();
    let alert = lanner.wait_for_alert("cat /etc/shadow on the host", |alert| {
        alert["output"]
            .as_str()
            .is_some_and(|text| text.contains("/etc/shadow") && text.contains("cat"))
    });
    assert_eq!(alert["source"], "syscall", "{alert}");
    assert!(
        alert["priority"].is_string() && alert["tags"].is_array(),
        "{alert}"
    );
    assert!(
        alert["hostname"].is_string() && alert["time"].is_string(),
        "{alert}"
    );
    let rule = alert["rule"].as_str().unwrap().to_owned();

    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let report = format!("{}\n{}", ended.stdout, ended.stderr);
    let counted = report.lines().any(|line| {
        line.trim()
            .strip_prefix(&rule)
            .is_some_and(|rest| rest.trim_start_matches(':').trim().parse::<u64>().is_ok())
    });
    assert!(counted, "the report counts alerts by rule:\n{report}");
    let opens = report.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("openat")
            && words
                .next()
                .is_some_and(|count| count.parse::<u64>().is_ok_and(|n| n > 0))
    });
    assert!(opens, "the report counts events by type:\n{report}");
    assert!(
        report.contains("Events lost"),
        "the report says what was lost:\n{report}"
    );
}

#[test]
fn an_alert_is_in_the_journal_with_its_fields() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let journal = match Journald::start() {
        Ok(journal) => journal,
        Err(reason) => return skip(&reason),
    };
    let (_folder, rules) = lanner::rules(
        "- rule: Shadow opened\n  desc: For this test\n  condition: evt.type in (open, openat, openat2) and fd.name = \
         /etc/shadow and proc.name = cat\n  output: \"Shadow opened (file=%fd.name process=%proc.name)\"\n  priority: \
         WARNING\n  tags: [test]\n",
    );
    // Where a journal listens it is used without being asked for.
    let mut command = journal.command(lanner::PROGRAM);
    command
        .args(["-o", "nri.enabled=false", "-o", "containerd.enabled=false"])
        .args(["-o", "runtime_directory=", "-r"])
        .arg(&rules);
    let lanner = Lanner::start_command(command);
    cat_shadow();
    let entries = journal.wait_for(1, &["-t", "lanner", "LANNER_RULE=Shadow opened"]);
    let entry: serde_json::Value = serde_json::from_str(entries.lines().next().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {entries}\n{}", lanner.log()));
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "lanner", "{entry}");
    assert_eq!(entry["PRIORITY"], "4", "{entry}");
    assert_eq!(entry["LANNER_SOURCE"], "syscall", "{entry}");
    assert_eq!(entry["LANNER_FIELD_FD_NAME"], "/etc/shadow", "{entry}");
    assert!(
        entry["MESSAGE"]
            .as_str()
            .unwrap()
            .contains("file=/etc/shadow process=cat"),
        "{entry}"
    );
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn the_host_is_not_a_container() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (_folder, rules) = lanner::rules(
        "- rule: Shadow opened\n  desc: For this test\n  condition: evt.type = openat and fd.name = /etc/shadow and \
         proc.name = cat\n  output: \"%container.id %proc.cmdline\"\n  priority: WARNING\n",
    );
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    cat_shadow();
    let alert = lanner.wait_for_alert("cat /etc/shadow", |alert| {
        field(alert, "proc.cmdline") == "cat /etc/shadow"
    });
    assert_eq!(field(&alert, "container.id"), "host", "{alert}");
}
