//! A program for each alert: real shells.

use super::*;
use crate::counters::LossReason;
use crate::test_alert::alert;
use test_log::test;

/// Long enough for a shell on a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

fn program(text: &str, timeout: Duration) -> (Program, Context) {
    let context = Context::default();
    let config = ProgramConfig {
        program: text.into(),
        keep_alive: false,
        timeout,
    };
    (Program::new(&config, &context), context)
}

#[test]
fn each_alert_has_a_program_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    let (mut output, _) = program(
        &format!(
            "echo start >> {0}; tr a-z A-Z | sed s/^/got:/ >> {0}",
            file.display()
        ),
        LONG,
    );
    assert_eq!(output.deliver(&alert("one")).unwrap(), Taken::Written);
    assert_eq!(output.deliver(&alert("two")).unwrap(), Taken::Written);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "start\ngot:ONE\nstart\ngot:TWO\n"
    );
}

#[test]
fn how_it_ends_decides() {
    let (mut output, _) = program("exit 3", LONG);
    let error = output.deliver(&alert("one")).unwrap_err();
    assert_eq!(error.reason(), LossReason::Failed);
    assert!(error.to_string().contains("exit status: 3"), "{error}");
    // More than a pipe holds, and nobody reads it.
    let large = "x".repeat(1 << 20);
    let (mut output, _) = program("true", LONG);
    assert_eq!(output.deliver(&alert(&large)).unwrap(), Taken::Written);
    let (mut output, _) = program("test $(wc -c) = 1048577", LONG);
    assert_eq!(output.deliver(&alert(&large)).unwrap(), Taken::Written);
}

#[test]
fn one_that_hangs_is_killed_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let text = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let (mut output, context) = program(&text, Duration::from_secs(3));
    let error = output.deliver(&alert("one")).unwrap_err();
    assert_eq!(error.reason(), LossReason::Timeout);
    assert_eq!(context.counters.report(crate::Kind::Program).killed, 1);
    let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let deadline = Instant::now() + LONG;
    // Its parent is gone, so whoever reaps here may take a while.
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "what the program started runs on");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn at_the_end_it_has_less_time() {
    let (mut output, context) = program("sleep 1000", Duration::from_secs(600));
    context.ending.begin();
    assert_eq!(
        output.deliver(&alert("one")).unwrap_err().reason(),
        LossReason::Shutdown
    );
    assert_eq!(context.counters.report(crate::Kind::Program).killed, 1);
}
