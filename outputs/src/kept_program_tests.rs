//! A program that is kept: real shells.

use super::*;
use crate::counters::LossReason;
use crate::delivery::tests::count;
use crate::test_alert::alert;
use crate::{Config, Journald, Outputs};
use std::path::Path;
use test_log::test;

const LONG: Duration = Duration::from_secs(60);

fn config(text: &str, timeout: Duration) -> ProgramConfig {
    ProgramConfig {
        program: text.into(),
        keep_alive: true,
        timeout,
    }
}

/// Only this output.
fn outputs(program: ProgramConfig) -> Outputs {
    let config = Config {
        stdout: false,
        journald: Journald::Off,
        program: Some(program),
        ..Config::default()
    };
    Outputs::start(&config).unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn one_program_takes_every_alert_and_is_told_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    let text = format!("echo start >> {0}; cat >> {0}; echo end >> {0}", file.display());
    let outputs = outputs(config(&text, LONG));
    let sender = outputs.sender();
    sender.send(alert("one"));
    sender.send(alert("two"));
    // Delivered is what was read, without an alert that comes after.
    wait_until("read", || outputs.report()[0].delivered == 2);
    sender.send(alert("three"));
    let report = outputs.shutdown(LONG);
    assert_eq!((report[0].delivered, report[0].lost_total()), (3, 0));
    assert_eq!(report[0].restarts, 0);
    assert_eq!(lines(&file), ["start", "one", "two", "three", "end"]);
}

#[test]
fn one_that_ends_is_started_again_and_loses_nothing_it_did_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    // Reads a line byte by byte, as shells do, and ends: the next lines stay in the pipe.
    let text = format!("read line; echo \"$line\" >> {}", file.display());
    let outputs = outputs(config(&text, LONG));
    let sender = outputs.sender();
    for n in 0..5 {
        sender.send(alert(&n.to_string()));
    }
    wait_until("five programs", || lines(&file).len() == 5);
    assert_eq!(lines(&file), ["0", "1", "2", "3", "4"]);
    let report = outputs.shutdown(LONG);
    assert_eq!((report[0].delivered, report[0].lost_total()), (5, 0));
    assert_eq!(report[0].restarts, 4);
}

#[test]
fn one_that_never_reads_is_killed_and_what_waited_is_lost() {
    let outputs = outputs(config("exec sleep 1000", Duration::from_millis(300)));
    let sender = outputs.sender();
    sender.send(alert(&"x".repeat(100)));
    wait_until("a small alert in the pipe", || {
        count(&outputs.report()[0], LossReason::Timeout) == 1
    });
    // More than the pipe holds.
    sender.send(alert(&"x".repeat(1 << 20)));
    wait_until("a large alert", || {
        count(&outputs.report()[0], LossReason::Timeout) == 2
    });
    let report = outputs.shutdown(LONG);
    assert_eq!(
        (report[0].delivered, report[0].killed, report[0].restarts),
        (0, 2, 1)
    );
}

#[test]
fn one_that_hangs_loses_the_alert_it_did_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    let text = format!(
        "for n in 1 2 3; do read line || exit 0; echo \"$line\" >> {}; done; exec sleep 1000",
        file.display()
    );
    let outputs = outputs(config(&text, Duration::from_secs(3)));
    let sender = outputs.sender();
    for n in 0..10 {
        sender.send(alert(&n.to_string()));
    }
    wait_until("the last is read", || lines(&file).len() == 8);
    let report = &outputs.shutdown(LONG)[0];
    assert_eq!(lines(&file), ["0", "1", "2", "4", "5", "6", "8", "9"]);
    assert_eq!((report.delivered, report.lost_total()), (8, 2), "{report}");
    assert_eq!(count(report, LossReason::Timeout), 2, "{report}");
}

#[test]
fn one_that_cannot_be_started_is_tried_until_the_end() {
    let outputs = outputs(config("/nonexistent/program", LONG));
    outputs.sender().send(alert("one"));
    wait_until("it is tried again", || outputs.report()[0].restarts >= 2);
    let report = outputs.shutdown(LONG);
    assert_eq!((report[0].delivered, report[0].lost_total()), (0, 1));
}

#[test]
fn at_the_end_the_next_one_is_not_waited_for_so_long() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    let text = format!("read line; echo \"$line\" >> {}", file.display());
    let outputs = outputs(config(&text, LONG));
    let sender = outputs.sender();
    for n in 0..100 {
        sender.send(alert(&n.to_string()));
    }
    // The sixth is started after 1.6 seconds.
    wait_until("five programs", || lines(&file).len() == 5);
    let report = &outputs.shutdown(LONG)[0];
    assert!(report.delivered > 5, "{report}");
    assert_eq!(
        report.delivered + count(report, LossReason::Shutdown),
        100,
        "{report}"
    );
}

#[test]
fn one_that_reads_nothing_at_the_end_took_no_longer_than_it_may() {
    let outputs = outputs(config("exec sleep 1000", LONG));
    outputs.sender().send(alert("one"));
    let report = &outputs.shutdown(LONG)[0];
    assert_eq!(count(report, LossReason::Shutdown), 1, "{report}");
    assert_eq!(report.killed, 1, "{report}");
}

#[test]
fn reopen_starts_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    let text = format!("echo start >> {0}; cat >> {0}", file.display());
    let outputs = outputs(config(&text, LONG));
    let sender = outputs.sender();
    sender.send(alert("one"));
    wait_until("read", || outputs.report()[0].delivered == 1);
    outputs.reopen();
    sender.send(alert("two"));
    let report = outputs.shutdown(LONG);
    assert_eq!((report[0].delivered, report[0].restarts), (2, 0));
    assert_eq!(lines(&file), ["start", "one", "start", "two"]);
}

#[test]
fn a_line_read_in_part_is_not_read() {
    let mut unread = Unread::default();
    unread.push("abc");
    unread.push("de");
    unread.written = 7;
    assert_eq!(unread.read_up_to(5), (2, 0));
    assert_eq!(unread.read_up_to(2), (3, 1));
    assert_eq!(unread.read_up_to(2), (0, 0));
    assert!(unread.are_written());
    unread.start_over();
    assert!(!unread.are_written());
    unread.written = 3;
    assert_eq!(unread.read_up_to(0), (3, 1));
    assert!(unread.is_empty());
}
