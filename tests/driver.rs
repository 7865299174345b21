//! Every event of the table with the real program: the call is made for real, by 64-bit and by 32-bit callers, and every
//! parameter is compared, as shown and raw, with what Falco's documents promise.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

#[path = "driver/actor.rs"]
mod actor;
#[path = "driver/descriptors.rs"]
mod descriptors;
#[path = "driver/events.rs"]
mod events;
#[path = "driver/files.rs"]
mod files;
#[path = "driver/images.rs"]
mod images;
#[path = "driver/numbered.rs"]
mod numbered;
#[path = "driver/plain.rs"]
mod plain;
#[path = "driver/processes.rs"]
mod processes;
#[path = "driver/sockets.rs"]
mod sockets;

use std::fmt::Write as _;
use std::io::Read as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use actor::{Actor, Expected};
use events::EVENTS;
use serde_json::Value;
use support::lanner::{self, Lanner};
use support::{skip, wait_for};

/// A call that one process makes, and what it must look like.
pub(crate) struct Case {
    event: &'static str,
    what: &'static str,
    compat: bool,
    run: Box<dyn Fn(&Actor) -> Expected>,
}

impl Case {
    fn name(&self) -> String {
        let width = if self.compat { " (32-bit)" } else { "" };
        format!("{} {}{width}", self.event, self.what)
    }
}

/// A case for callers of one kind.
pub(crate) fn case(
    event: &'static str,
    what: &'static str,
    compat: bool,
    run: impl Fn(&Actor) -> Expected + 'static,
) -> Case {
    Case {
        event,
        what,
        compat,
        run: Box::new(run),
    }
}

/// A case for 64-bit callers.
pub(crate) fn wide(
    cases: &mut Vec<Case>,
    event: &'static str,
    what: &'static str,
    run: fn(&Actor) -> Expected,
) {
    cases.push(case(event, what, false, run));
}

/// A case for 64-bit and for 32-bit callers.
pub(crate) fn both(
    cases: &mut Vec<Case>,
    event: &'static str,
    what: &'static str,
    run: fn(&Actor) -> Expected,
) {
    wide(cases, event, what, run);
    only_compat(cases, event, what, run);
}

/// A case for 32-bit callers.
pub(crate) fn only_compat(
    cases: &mut Vec<Case>,
    event: &'static str,
    what: &'static str,
    run: fn(&Actor) -> Expected,
) {
    cases.push(case(event, what, true, run));
}

/// Fields that every rule prints besides the parameters.
const FIELDS: &str = "%evt.type %evt.args %evt.res %evt.rawres %evt.failed %evt.is_open_read %evt.is_open_write \
    %evt.is_open_create %evt.is_open_exec %evt.category %fs.path.name %fd.num %fd.type %fd.typechar %fd.name \
    %fd.l4proto %fd.sport %fd.cport %fd.sip %fd.cip %fd.dev %fd.ino %proc.pid %proc.cwd %proc.name %proc.exepath \
    %proc.cmdline %user.uid %thread.tid %lanner.truncated";

/// One rule per event: what the actors do, with every parameter. The last call of all has a rule of its own.
fn rules(events: &[(&str, &str)], folder: &Path) -> String {
    let program = std::env::current_exe().unwrap();
    let mut text = format!(
        "- macro: actor\n  condition: (proc.exepath = \"{}\" or proc.exepath startswith \"{}/\")\n",
        program.display(),
        folder.display()
    );
    let _ = write!(
        text,
        "- rule: last\n  desc: For this test\n  condition: evt.type = mkdir and evt.arg.path = \"{}/last\"\n  \
         priority: NOTICE\n  output: \"%evt.arg.path\"\n",
        folder.display()
    );
    for (event, parameters) in events {
        let _ = write!(
            text,
            "- rule: {event}\n  desc: For this test\n  condition: evt.type = {event} and actor\n  \
             priority: NOTICE\n  output: \"*{FIELDS}"
        );
        for parameter in parameters.split_whitespace() {
            let _ = write!(text, " %evt.arg.{parameter} %evt.rawarg.{parameter}");
        }
        text.push_str("\"\n");
    }
    text
}

/// Runs a case in a process of its own: that process and what it expects, or why it could not do it.
fn run(case: &Case, folder: &Path) -> (i32, Result<Vec<Expected>, String>) {
    let folder = folder.to_str().unwrap().to_owned();
    let mut ends = [0; 2];
    // SAFETY: an array of two.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: the child does what a single thread may after a fork, and ends without returning.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // SAFETY: a live string.
            unsafe { libc::prctl(libc::PR_SET_NAME, actor::NAME.as_ptr()) };
            vec![(case.run)(&Actor::new(case.compat, folder.clone()))]
        }))
        .map_err(|error| match error.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => (*error.downcast_ref::<&str>().unwrap_or(&"?")).to_owned(),
        });
        let text = serde_json::to_vec(&result).unwrap_or_default();
        // SAFETY: a live buffer; the process ends here.
        unsafe {
            libc::write(ends[1], text.as_ptr().cast(), text.len());
            libc::_exit(0);
        }
    }
    assert!(pid > 0);
    // SAFETY: both are open and nobody else's.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    drop(write);
    let mut text = String::new();
    std::fs::File::from(read).read_to_string(&mut text).unwrap();
    let mut status = 0;
    // SAFETY: a live number.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    let result = serde_json::from_str(&text)
        .unwrap_or_else(|_| Err(format!("the actor ended early, with status {status}")));
    (pid, result)
}

/// The value of a field as text, `None` where it has none.
fn value(alert: &Value, field: &str) -> Option<String> {
    match &alert["output_fields"][field] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What of an alert is not as expected.
fn differences(alert: &Value, expected: &Expected, parameters: &str) -> Vec<String> {
    let mut differences: Vec<String> = expected
        .fields
        .iter()
        .filter_map(|(field, want)| {
            let value = value(alert, field);
            (!want.fits(value.as_deref())).then(|| format!("{field}: wanted {want:?}, came {value:?}"))
        })
        .collect();
    // evt.args names every parameter, in order.
    let args = format!(" {}", value(alert, "evt.args").unwrap_or_default());
    let mut rest = &*args;
    for parameter in parameters.split_whitespace() {
        let Some(at) = rest.find(&format!(" {parameter}=")) else {
            differences.push(format!("evt.args has no {parameter} where it belongs: {args}"));
            break;
        };
        rest = &rest[at + 1..];
    }
    differences
}

/// What is wrong with a case, empty when nothing is.
fn check(case: &Case, expected: &Expected, pid: i32, alerts: &[Value]) -> Vec<String> {
    let Some((_, parameters)) = EVENTS.iter().find(|(event, _)| *event == case.event) else {
        return vec!["no such event in this test's table".to_owned()];
    };
    let unchecked: Vec<_> = parameters
        .split_whitespace()
        .flat_map(|name| [format!("evt.arg.{name}"), format!("evt.rawarg.{name}")])
        .filter(|name| !expected.fields.iter().any(|(field, _)| field == name))
        .collect();
    if !unchecked.is_empty() {
        return vec![format!("the test leaves these out: {unchecked:?}")];
    }
    let pid = if expected.pid == 0 { pid } else { expected.pid }.to_string();
    alerts
        .iter()
        .filter(|alert| alert["rule"] == case.event && value(alert, "proc.pid") == Some(pid.clone()))
        .map(|alert| differences(alert, expected, parameters))
        .min_by_key(Vec::len)
        .unwrap_or_else(|| vec!["no alert came".to_owned()])
}

/// How many events are captured at a time. All of them, of everything the machine does, are more than a program that was
/// built for tests keeps up with.
const AT_A_TIME: usize = 40;

#[test]
fn every_event_has_every_parameter_as_falco_prints_it() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let mut cases = files::cases();
    cases.extend(descriptors::cases());
    cases.extend(sockets::cases());
    cases.extend(processes::cases());
    cases.extend(images::cases());
    cases.extend(plain::cases());
    cases.extend(numbered::cases());
    for (event, _) in EVENTS {
        assert!(
            cases.iter().any(|case| case.event == *event),
            "nobody calls {event}"
        );
    }
    if !has_32_bit_calls() {
        skip("this kernel takes no 32-bit calls");
        cases.retain(|case| !case.compat);
    }
    let wrong: String = EVENTS
        .chunks(AT_A_TIME)
        .map(|events| {
            let of_them = |case: &&Case| events.iter().any(|(event, _)| *event == case.event);
            let cases: Vec<_> = cases.iter().filter(of_them).collect();
            let (wrong, lost) = wrong_of(events, &cases);
            if wrong.is_empty() || lost == 0 {
                return wrong;
            }
            println!("once more: {lost} events were lost, and counted; without them\n{wrong}");
            wrong_of(events, &cases).0
        })
        .collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Performs the cases of some events while these are captured, and says what is wrong, and how many events were lost.
fn wrong_of(events: &[(&str, &str)], cases: &[&Case]) -> (String, u64) {
    let work = tempfile::tempdir().unwrap();
    let (_folder, rules) = lanner::rules(&rules(events, work.path()));
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    arguments.extend(lanner::ROOM.map(str::to_owned));
    let lanner = Lanner::start(&arguments);
    let runs: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let folder = work.path().join(number.to_string());
            std::fs::create_dir(&folder).unwrap();
            run(case, &folder)
        })
        .collect();
    // Everything before it has come by the time the alert of this has.
    let last = work.path().join("last");
    let is_last = |alert: &Value| value(alert, "evt.arg.path").as_deref() == last.to_str();
    let mut asked: Option<Instant> = None;
    wait_for("the last call", Duration::from_secs(120), || {
        // It may be lost as any other.
        if asked.is_none_or(|asked| asked.elapsed() > Duration::from_secs(10)) {
            asked = Some(Instant::now());
            let _ = std::fs::create_dir(&last);
        }
        let printed = lanner.printed();
        let mut of_it = printed.lines().filter(|line| line.contains("\"rule\":\"last\""));
        of_it
            .any(|line| lanner::alerts_of(line).iter().any(is_last))
            .then_some(())
    });
    let alerts = lanner.alerts();
    let mut wrong = String::new();
    for (case, (pid, result)) in cases.iter().zip(&runs) {
        let found = match result {
            Ok(expected) => expected
                .iter()
                .flat_map(|expected| check(case, expected, *pid, &alerts))
                .collect(),
            Err(reason) => vec![reason.clone()],
        };
        for line in found {
            let _ = writeln!(wrong, "{}: {line}", case.name());
        }
    }
    if !wrong.is_empty() {
        let _ = writeln!(wrong, "its log:\n{}", lanner.log());
    }
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0));
    (wrong, ended.lost())
}

/// Whether `int 0x80` is a system call here.
fn has_32_bit_calls() -> bool {
    // SAFETY: the child makes one call and ends.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let actor = Actor::new(true, String::new());
            let same = actor.call(actor::Call(libc::SYS_getpid, 20), &[]) == actor::pid();
            libc::_exit(i32::from(!same));
        }
        let mut status = -1;
        libc::waitpid(pid, &raw mut status, 0);
        status == 0
    }
}
