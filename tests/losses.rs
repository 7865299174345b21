//! What the program does when events are lost: Falco's `syscall_event_drops`, end to end.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs::File;
use std::process::Command;

use serde_json::Value;
use support::lanner::{self, Lanner, field};
use support::{alone, skip};

const RULE: &str = "Falco internal: syscall event drop";

fn options(more: &[&str]) -> Vec<String> {
    let mut options = lanner::options(None);
    for option in more {
        options.extend(["-o".to_owned(), (*option).to_owned()]);
    }
    options
}

fn number(alert: &Value, name: &str) -> u64 {
    // Falco's are texts, all of them.
    let text = alert["output_fields"][name].as_str();
    text.and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{name}: {alert}"))
}

#[test]
fn a_simulated_loss_is_logged_and_alerted_at_the_rate_that_was_asked_for() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let lanner = Lanner::start(&options(&[
        "syscall_event_drops.simulate_drops=true",
        "syscall_event_drops.rate=0",
        "syscall_event_drops.max_burst=2",
    ]));
    let alerts = lanner.wait_for_alerts("two simulated losses", 2, |alert| alert["rule"] == RULE);
    for alert in &alerts {
        assert_eq!(alert["priority"], "Debug", "{alert}");
        assert_eq!(alert["source"], "internal", "{alert}");
        assert!(
            alert["tags"].is_null() && alert["hostname"].is_string(),
            "{alert}"
        );
        assert_eq!(
            alert["output"].as_str().unwrap(),
            format!(
                "{RULE}. {} system calls dropped in last second.",
                number(alert, "n_drops")
            )
        );
        assert!(number(alert, "n_drops") >= 1, "{alert}");
        assert_eq!(number(alert, "ebpf_enabled"), 1, "{alert}");
    }
    lanner.wait_for_log("that it simulates", |line| {
        line.contains("simulating a syscall event drop")
    });
    lanner.wait_for_log("that events were dropped", |line| {
        line.contains("WARN") && line.contains("system calls dropped in last second")
    });
    // More seconds than tokens pass: neither alert nor log follows, and both are counted.
    let simulated = |log: &str| log.matches("simulating a syscall event drop").count();
    support::wait_for("two seconds more", std::time::Duration::from_secs(60), || {
        (simulated(&lanner.log()) >= 4).then_some(())
    });
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stdout.matches(RULE).count(),
        2 * 2,
        "twice, each in output and rule"
    );
    assert!(
        ended.stderr.contains("   - num times actions taken: 2\n"),
        "{}",
        ended.stderr
    );
    let detected = ended
        .stderr
        .lines()
        .find_map(|line| {
            line.strip_prefix("   - event drop detected: ")?
                .strip_suffix(" occurrences")
        })
        .unwrap_or_else(|| panic!("{}", ended.stderr));
    assert!(detected.parse::<u64>().unwrap() >= 4, "{detected}");
}

#[test]
fn exit_ends_with_a_failure_and_ignore_says_nothing() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let output = Command::new(lanner::PROGRAM)
        .args(options(&[
            "syscall_event_drops.simulate_drops=true",
            "syscall_event_drops.actions=[exit]",
        ]))
        .args(["-M", "60"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ERROR") && said.contains("Exiting"), "{said}");
    assert!(
        !String::from_utf8_lossy(&output.stdout).contains(RULE),
        "{output:?}"
    );

    let lanner = Lanner::start(&options(&[
        "syscall_event_drops.simulate_drops=true",
        "syscall_event_drops.actions=[ignore]",
    ]));
    lanner.wait_for_log("that it simulates", |line| {
        line.contains("simulating a syscall event drop")
    });
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains(RULE), "{}", ended.stdout);
    assert!(
        !ended.stderr.contains("dropped in last second"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_ring_that_overflows_alerts_with_what_was_lost() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (_folder, rules) = lanner::rules(
        "- rule: Every open\n  desc: For this test\n  condition: evt.type = openat and evt.arg.name = /never/opened\n  output: \
         \"%fd.name\"\n  priority: WARNING\n",
    );
    let mut arguments = options(&[
        "engine.modern_ebpf.buf_size_preset=1",
        "syscall_event_drops.threshold=0",
        "syscall_event_drops.rate=10",
    ]);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    let screen: Vec<String> = lanner.log().split_whitespace().map(str::to_owned).collect();
    assert!(screen.join(" ").contains("a ring of 1 MiB"), "{}", lanner.log());
    // Stopped, it reads nothing: 1 MiB is full long before these opens are done.
    let openers = |count: usize| {
        for _ in 0..count {
            File::open("/dev/null").unwrap();
        }
    };
    nix::sys::signal::kill(lanner.pid(), nix::sys::signal::Signal::SIGSTOP).unwrap();
    openers(50_000);
    nix::sys::signal::kill(lanner.pid(), nix::sys::signal::Signal::SIGCONT).unwrap();
    let alert = lanner.wait_for_alert("opens that were lost", |alert| {
        alert["rule"] == RULE && number(alert, "n_drops_buffer_open_exit") > 0
    });
    let (events, drops) = (number(&alert, "n_evts"), number(&alert, "n_drops"));
    let of_the_ring = number(&alert, "n_drops_buffer_total");
    assert!(events > drops && drops >= of_the_ring, "{alert}");
    assert!(
        of_the_ring >= number(&alert, "n_drops_buffer_open_exit"),
        "{alert}"
    );
    // Whatever was lost while the counters were read, one look does not contradict itself.
    let sum = |name: &str| {
        let listed = field(&alert, name);
        let counts = listed.split_whitespace();
        counts
            .filter_map(|word| word.rsplit_once('=')?.1.parse::<u64>().ok())
            .sum::<u64>()
    };
    let lost = drops - number(&alert, "n_drops_bug");
    assert_eq!(
        of_the_ring + number(&alert, "n_drops_scratch_map"),
        lost,
        "{alert}"
    );
    assert_eq!(
        (sum("n_drops_by_event"), sum("n_drops_by_container")),
        (lost, lost),
        "{alert}"
    );
    let said = format!("{drops} system calls dropped");
    assert!(alert["output"].as_str().unwrap().contains(&said), "{alert}");
    assert!(field(&alert, "n_drops_by_event").contains("openat="), "{alert}");
    assert!(field(&alert, "n_drops_by_container").contains("host="), "{alert}");
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("Events lost by container:\n  host "),
        "{}",
        ended.stderr
    );
}
