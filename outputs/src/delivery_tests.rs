//! Delivery: isolation of outputs, exact counts.

use super::*;
use crate::choose::{FileConfig, Journald};
use crate::output::FlushError;
use crate::test_alert::alert;
use std::sync::Mutex;
use test_log::test;

/// Takes an alert only when the test lets it.
struct Gated {
    gate: Receiver<()>,
    entered: Sender<()>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Output for Gated {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        let _ = self.entered.send(());
        let _ = self.gate.recv();
        self.seen.lock().unwrap().push(alert.line.clone());
        Ok(Taken::Written)
    }
}

/// Holds alerts and fails to flush.
#[derive(Default)]
struct Broken(u64);

impl Output for Broken {
    fn deliver(&mut self, _: &Alert) -> Result<Taken, OutputError> {
        self.0 += 1;
        Ok(Taken::Held)
    }
    fn flush(&mut self) -> Result<u64, FlushError> {
        let cause = std::io::Error::other("broken");
        let error = OutputError::Write {
            target: "it".into(),
            cause,
        };
        match std::mem::take(&mut self.0) {
            0 => Ok(0),
            lost => Err(FlushError {
                written: 0,
                lost,
                error,
            }),
        }
    }
}

pub(crate) fn count(report: &OutputReport, reason: LossReason) -> u64 {
    report
        .lost
        .iter()
        .find(|(r, _)| *r == reason)
        .map_or(0, |(_, n)| *n)
}

#[test]
fn a_stuck_output_loses_its_own_alerts_only() {
    let (open, gate) = flume::unbounded();
    let (entered, entries) = flume::unbounded();
    let seen = Arc::default();
    let stuck = Gated {
        gate,
        entered,
        seen: Arc::clone(&seen),
    };
    let (open_other, other_gate) = flume::unbounded::<()>();
    drop(open_other); // always open
    let (other_entered, _other_entries) = flume::unbounded();
    let other_seen = Arc::default();
    let other = Gated {
        gate: other_gate,
        entered: other_entered,
        seen: Arc::clone(&other_seen),
    };
    let outputs: Vec<Made> = vec![
        (Kind::Stdout, Box::new(stuck), Context::default()),
        (Kind::File, Box::new(other), Context::default()),
    ];
    let outputs = Outputs::start_these(outputs, 4).unwrap();
    let sender = outputs.sender();

    // One in the output's hands, four in the queue, three lost.
    sender.send(alert("0"));
    entries.recv().unwrap();
    for n in 1..=7 {
        sender.send(alert(&n.to_string()));
        let deadline = Instant::now() + Duration::from_secs(60);
        while other_seen.lock().unwrap().len() <= n {
            assert!(Instant::now() < deadline, "the other output waits");
            thread::sleep(Duration::from_millis(2));
        }
    }
    assert_eq!(count(&outputs.report()[0], LossReason::QueueFull), 3);
    for _ in 0..5 {
        open.send(()).unwrap();
    }
    let report = outputs.shutdown(Duration::from_secs(60));
    assert_eq!(*seen.lock().unwrap(), ["0", "1", "2", "3", "4"]);
    assert_eq!((report[0].delivered, report[0].lost_total()), (5, 3));
    assert_eq!((report[1].delivered, report[1].lost_total()), (8, 0));
    assert_eq!(
        report[0].to_string(),
        "stdout: 5 delivered, 3 lost (queue full: 3)"
    );
}

#[test]
fn what_is_left_at_the_deadline_is_lost_by_shutdown() {
    let (_open, gate) = flume::unbounded();
    let (entered, entries) = flume::unbounded();
    let stuck = Gated {
        gate,
        entered,
        seen: Arc::default(),
    };
    let outputs: Vec<Made> = vec![(Kind::Stdout, Box::new(stuck), Context::default())];
    let outputs = Outputs::start_these(outputs, 2).unwrap();
    let sender = outputs.sender();
    sender.send(alert("0"));
    entries.recv().unwrap();
    for _ in 0..3 {
        sender.send(alert("more"));
    }
    let report = outputs.shutdown(Duration::from_millis(20));
    assert_eq!(report[0].delivered, 0);
    assert_eq!(count(&report[0], LossReason::QueueFull), 1);
    assert_eq!(count(&report[0], LossReason::Shutdown), 3);
}

#[test]
fn what_comes_after_the_end_is_lost_by_shutdown_and_what_ends_late_is_not_counted_twice() {
    let (open, gate) = flume::unbounded();
    let (entered, entries) = flume::unbounded();
    let stuck = Gated {
        gate,
        entered,
        seen: Arc::default(),
    };
    let outputs: Vec<Made> = vec![(Kind::Stdout, Box::new(stuck), Context::default())];
    let outputs = Outputs::start_these(outputs, 4).unwrap();
    let (sender, reporter) = (outputs.sender(), outputs.reporter());
    sender.send(alert("0"));
    entries.recv().unwrap();
    let report = outputs.shutdown(Duration::from_millis(20));
    assert_eq!(
        (report[0].delivered, count(&report[0], LossReason::Shutdown)),
        (0, 1)
    );
    // It goes on, sees that it is to stop, and is gone.
    drop(open);
    while entries.recv().is_ok() {}
    let after = &reporter.report()[0];
    assert_eq!((after.delivered, after.lost_total()), (0, 1));
    // The other end of its queue goes a moment after that.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !sender.lanes.lanes[0].queue.is_disconnected() {
        assert!(Instant::now() < deadline, "the thread does not end");
        thread::yield_now();
    }
    sender.send(alert("late"));
    assert_eq!(count(&reporter.report()[0], LossReason::Shutdown), 2);
}

/// Says what is done with it, and takes an alert only when the test lets it.
struct Told {
    gate: Receiver<()>,
    done: Sender<&'static str>,
}

impl Output for Told {
    fn deliver(&mut self, _: &Alert) -> Result<Taken, OutputError> {
        let _ = self.done.send("deliver");
        let _ = self.gate.recv();
        Ok(Taken::Held)
    }
    fn flush(&mut self) -> Result<u64, FlushError> {
        let _ = self.done.send("flush");
        Ok(0)
    }
    fn reopen(&mut self) {
        let _ = self.done.send("reopen");
    }
}

#[test]
fn what_is_held_is_written_before_files_are_opened_anew() {
    let (open, gate) = flume::unbounded();
    let (done, what) = flume::unbounded();
    let outputs: Vec<Made> = vec![(Kind::File, Box::new(Told { gate, done }), Context::default())];
    let outputs = Outputs::start_these(outputs, 4).unwrap();
    outputs.sender().send(alert("0"));
    // Before it, there was nothing to do.
    while what.recv().unwrap() != "deliver" {}
    outputs.sender().send(alert("1"));
    outputs.reopen();
    drop(open);
    let next: Vec<&str> = (0..3).map(|_| what.recv().unwrap()).collect();
    assert_eq!(next, ["flush", "reopen", "deliver"]);
    outputs.shutdown(Duration::from_secs(60));
}

#[test]
fn alerts_held_by_a_failing_output_are_counted() {
    let outputs: Vec<Made> = vec![(Kind::File, Box::new(Broken::default()), Context::default())];
    let outputs = Outputs::start_these(outputs, 8).unwrap();
    let sender = outputs.sender();
    for _ in 0..3 {
        sender.send(alert("x"));
    }
    let report = outputs.shutdown(Duration::from_secs(60));
    assert_eq!(
        (report[0].delivered, count(&report[0], LossReason::Failed)),
        (0, 3)
    );
    sender.send(alert("after the end"));
    assert_eq!(
        sender.lanes.lanes[0]
            .state
            .counters
            .report(Kind::File)
            .lost_total(),
        4
    );
}

#[test]
fn an_alert_that_takes_long_is_counted_and_delivered() {
    let (open, gate) = flume::unbounded();
    let (entered, entries) = flume::unbounded();
    let slow = Gated {
        gate,
        entered,
        seen: Arc::default(),
    };
    let context = Context {
        timeout: Some(Duration::from_millis(20)),
        ..Context::default()
    };
    let outputs = Outputs::start_these(vec![(Kind::Stdout, Box::new(slow), context)], 4).unwrap();
    outputs.sender().send(alert("0"));
    entries.recv().unwrap();
    // It is in the output's hands by now.
    thread::sleep(Duration::from_millis(30));
    open.send(()).unwrap();
    let report = outputs.shutdown(Duration::from_secs(60));
    assert_eq!((report[0].delivered, report[0].slow), (1, 1));
}

#[test]
fn reopen_reaches_a_file_between_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let filename = dir.path().join("events.txt");
    let config = Config {
        stdout: false,
        journald: Journald::Off,
        buffered: true,
        file: Some(FileConfig {
            filename: filename.clone(),
            keep_alive: true,
        }),
        ..Config::default()
    };
    let outputs = Outputs::start(&config).unwrap();
    let sender = outputs.sender();
    sender.send(alert("before"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while outputs.report()[0].delivered < 1 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(2));
    }
    std::fs::rename(&filename, dir.path().join("rotated")).unwrap();
    outputs.reopen();
    sender.send(alert("after"));
    let report = outputs.shutdown(Duration::from_secs(60));
    assert_eq!((report[0].delivered, report[0].lost_total()), (2, 0));
    assert_eq!(
        std::fs::read_to_string(dir.path().join("rotated")).unwrap(),
        "before\n"
    );
    assert_eq!(std::fs::read_to_string(&filename).unwrap(), "after\n");
}
