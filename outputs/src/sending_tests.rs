//! The spool at work: a receiver that goes and comes.

use super::*;
use crate::counters::LossReason;
use crate::delivery::tests::count;
use crate::test_alert::alert;
use crate::test_server::{Answer, Server};
use crate::{Config, HttpConfig, Journald, OutputReport, Outputs};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use test_log::test;

const LONG: Duration = Duration::from_secs(60);

fn config(url: &str, folder: &Path, max_bytes: u64) -> Config {
    Config {
        stdout: false,
        journald: Journald::Off,
        http: Some(HttpConfig::new(url).unwrap()),
        timeout: LONG,
        spool: Some(SpoolConfig {
            path: folder.to_owned(),
            max_bytes,
        }),
        ..Config::default()
    }
}

fn wait_until(outputs: &Outputs, what: &str, is_so: impl Fn(&OutputReport) -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so(&outputs.report()[0]) {
        assert!(Instant::now() < deadline, "{what}: {}", outputs.report()[0]);
        thread::sleep(Duration::from_millis(2));
    }
}

/// A server that takes alerts only while the switch is on.
fn switched() -> (Server, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(false));
    let look = Arc::clone(&on);
    let server = Server::start(move |_, _| match look.load(Ordering::SeqCst) {
        true => Answer::Status(200, ""),
        false => Answer::Status(503, ""),
    });
    (server, on)
}

#[test]
fn what_cannot_be_delivered_is_sent_in_order_when_the_receiver_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (server, on) = switched();
    let outputs = Outputs::start(&config(&server.url(), dir.path(), 1 << 20)).unwrap();
    let sender = outputs.sender();
    for n in 0..20 {
        sender.send(alert(&n.to_string()));
    }
    wait_until(&outputs, "spooled", |report| report.spooled == 20);
    let report = &outputs.report()[0];
    assert_eq!((report.spool_waiting, report.delivered), (20, 0));
    assert!(report.spool_bytes > 0);
    let tried = server.requests().len();
    on.store(true, Ordering::SeqCst);
    wait_until(&outputs, "delivered", |report| report.delivered == 20);
    sender.send(alert("20"));
    let report = outputs.shutdown(LONG).remove(0);
    let expected: Vec<String> = (0..=20).map(|n| n.to_string()).collect();
    let taken = server.bodies().split_off(tried);
    // One more attempt may have met the closed door.
    assert_eq!(taken[taken.len() - 21..], expected);
    assert_eq!((report.delivered, report.lost_total()), (21, 0));
    // The last one joins the others when the spool is not seen to be empty yet.
    assert!([20, 21].contains(&report.spooled), "{report:?}");
    assert_eq!(report.unspooled, report.spooled);
    assert_eq!((report.spool_waiting, report.spool_bytes), (0, 0));
}

#[test]
fn a_stop_leaves_alerts_for_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (server, on) = switched();
    let config = config(&server.url(), dir.path(), 1 << 20);
    let outputs = Outputs::start(&config).unwrap();
    for n in 0..5 {
        outputs.sender().send(alert(&n.to_string()));
    }
    let report = outputs.shutdown(LONG).remove(0);
    assert_eq!((report.spooled, report.lost_total(), report.delivered), (5, 0, 0));
    on.store(true, Ordering::SeqCst);
    let before = server.requests().len();
    // Without an alert of its own.
    let outputs = Outputs::start(&config).unwrap();
    wait_until(&outputs, "delivered", |report| report.unspooled == 5);
    assert_eq!(server.bodies()[before..], ["0", "1", "2", "3", "4"]);
    let report = outputs.shutdown(LONG).remove(0);
    assert_eq!((report.delivered, report.spool_waiting), (5, 0));
}

#[test]
fn a_full_spool_keeps_the_oldest_and_counts_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (server, on) = switched();
    let outputs = Outputs::start(&config(&server.url(), dir.path(), 1000)).unwrap();
    for n in 0..100 {
        outputs.sender().send(alert(&n.to_string()));
    }
    wait_until(&outputs, "settled", |report| {
        report.spooled + report.lost_total() == 100
    });
    let report = outputs.report().remove(0);
    assert_eq!(count(&report, LossReason::SpoolFull), 100 - report.spooled);
    assert!((20..50).contains(&report.spooled), "{report}");
    on.store(true, Ordering::SeqCst);
    let spooled = report.spooled;
    wait_until(&outputs, "delivered", |report| report.delivered == spooled);
    assert_eq!(server.bodies().last().unwrap(), &(spooled - 1).to_string());
}

#[test]
fn a_refused_alert_does_not_hold_up_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let on = Arc::new(AtomicBool::new(false));
    let look = Arc::clone(&on);
    let server = Server::start(move |request, _| match look.load(Ordering::SeqCst) {
        true if request.text() == "1" => Answer::Status(413, ""),
        true => Answer::Status(200, ""),
        false => Answer::Close,
    });
    let outputs = Outputs::start(&config(&server.url(), dir.path(), 1 << 20)).unwrap();
    for n in 0..3 {
        outputs.sender().send(alert(&n.to_string()));
    }
    wait_until(&outputs, "spooled", |report| report.spooled == 3);
    on.store(true, Ordering::SeqCst);
    wait_until(&outputs, "settled", |report| report.delivered == 2);
    let report = outputs.shutdown(LONG).remove(0);
    assert_eq!(
        (count(&report, LossReason::Refused), report.spool_waiting),
        (1, 0)
    );
}

#[test]
fn without_a_usable_spool_alerts_are_delivered_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    // A file where a folder should be.
    let place = dir.path().join("spool");
    std::fs::write(&place, "").unwrap();
    let (server, on) = switched();
    on.store(true, Ordering::SeqCst);
    let outputs = Outputs::start(&config(&server.url(), &place, 1 << 20)).unwrap();
    outputs.sender().send(alert("one"));
    // The failed opening of the spool is no failure of the receiver.
    wait_until(&outputs, "delivered", |report| report.delivered == 1);
    on.store(false, Ordering::SeqCst);
    outputs.sender().send(alert("two"));
    wait_until(&outputs, "lost", |report| {
        count(report, LossReason::SpoolFailed) == 1
    });
    // Once there is a place for it, it is used.
    std::fs::remove_file(&place).unwrap();
    outputs.sender().send(alert("three"));
    wait_until(&outputs, "spooled", |report| report.spooled == 1);
    on.store(true, Ordering::SeqCst);
    wait_until(&outputs, "delivered", |report| report.delivered == 2);
}

/// A receiver that answers as it is told to, and takes what it has no answer for.
#[derive(Debug, Default, Clone)]
struct Scripted {
    answers: Arc<Mutex<Vec<Again>>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Its next answer is this.
    fn refuse(&self, again: Again) {
        self.answers.lock().unwrap().push(again);
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }

    fn output(&self, folder: &Path, context: &Context) -> Sending<Scripted> {
        let spool = SpoolConfig {
            path: folder.to_owned(),
            max_bytes: 1 << 20,
        };
        Sending::new(Kind::Http, self.clone(), 0, Some(&spool), context)
    }
}

impl Transport for Scripted {
    fn encode(&mut self, alert: &Alert) -> Vec<u8> {
        alert.line.clone().into_bytes()
    }

    fn send(&mut self, body: &[u8], _: Option<Key>) -> Result<(), SendError> {
        self.sent
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(body).into_owned());
        let answer = self.answers.lock().unwrap().pop();
        answer.map_or(Ok(()), |again| {
            let cause = std::io::Error::other("as it was told");
            let target = String::from("it");
            Err(SendError {
                error: OutputError::Write { target, cause },
                again,
            })
        })
    }

    fn reopen(&mut self) {}
}

#[test]
fn what_waits_in_the_spool_is_sent_before_what_came_later() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Scripted::default();
    let mut output = receiver.output(dir.path(), &Context::default());
    receiver.refuse(Again::After(Duration::ZERO));
    assert_eq!(output.deliver(&alert("0")).unwrap(), Taken::Spooled);
    assert_eq!(
        output.deliver(&alert("1")).unwrap(),
        Taken::Spooled,
        "it would be taken"
    );
    assert_eq!(receiver.sent(), ["0"]);
    output.flush().unwrap();
    assert_eq!(output.deliver(&alert("2")).unwrap(), Taken::Written);
    assert_eq!(receiver.sent(), ["0", "0", "1", "2"]);
    assert_eq!(output.wake(), None, "nothing waits");
}

#[test]
fn a_receiver_that_asks_for_time_is_given_it() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Scripted::default();
    let mut output = receiver.output(dir.path(), &Context::default());
    receiver.refuse(Again::After(WAIT_MAX * 60));
    assert_eq!(output.deliver(&alert("0")).unwrap(), Taken::Spooled);
    output.flush().unwrap();
    assert_eq!(receiver.sent(), ["0"]);
    assert!(output.wake().unwrap() <= WAIT_MAX, "{:?}", output.wake());
}

#[test]
fn an_alert_that_the_receiver_does_not_want_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Scripted::default();
    let mut output = receiver.output(dir.path(), &Context::default());
    receiver.refuse(Again::Never);
    output.deliver(&alert("0")).unwrap_err();
    assert_eq!(output.wake(), None, "nothing waits");
    assert_eq!(output.deliver(&alert("1")).unwrap(), Taken::Written);
}

#[test]
fn at_the_end_alerts_are_kept_before_they_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, context) = (Scripted::default(), Context::default());
    let mut output = receiver.output(dir.path(), &context);
    context.ending.begin();
    assert_eq!(output.deliver(&alert("0")).unwrap(), Taken::Spooled);
    assert!(receiver.sent().is_empty());
}
