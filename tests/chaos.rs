//! containerd and Lanner are killed while containers start: none fails to start because of Lanner, and what alerts says whose
//! it is.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::containerd::{Containerd, Run, SHADOW};
use support::cri::CriError;
use support::lanner::{self, Lanner, field};
use support::wait_for;

const CONTAINERS: usize = 50;
const LIMIT: Duration = Duration::from_secs(60);

const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat and container.id != host
  output: "shadow (id=%container.id full=%container.full_id name=%container.name image=%container.image pod=%k8s.pod.name ns=%k8s.ns.name uid=%k8s.pod.uid)"
  priority: WARNING
"#;

/// A container that was started.
struct Started {
    id: String,
    pod: String,
    /// No agent was killed meanwhile.
    watched: bool,
}

/// Who is killed while a container starts, and how long after its beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Nobody,
    Containerd(u64),
    Lanner(u64),
}

fn victim(number: usize) -> Victim {
    match number {
        // At every stage: before the sandbox runs, before the container does, and about when it ends.
        5 | 14 | 23 | 32 | 41 => Victim::Containerd(40 * number as u64 % 400),
        9 | 19 | 29 | 39 => Victim::Lanner(35 * number as u64 % 350),
        _ => Victim::Nobody,
    }
}

/// Kills a process after a while, beside what is done meanwhile.
fn meanwhile<T>(kills: Option<(Pid, u64)>, what: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        if let Some((pid, after)) = kills {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(after));
                kill(pid, Signal::SIGKILL).unwrap();
            });
        }
        what()
    })
}

fn start(containerd: &Containerd, name: &str) -> Result<String, CriError> {
    let pod = containerd.try_pod("chaos", name, |_| ())?;
    containerd.try_run(&pod, Run::new("reader", SHADOW))
}

#[test]
fn containers_start_and_are_known_while_containerd_and_lanner_are_killed() {
    let Some((_alone, mut containerd)) = lanner::beside_containerd() else {
        return;
    };
    let (folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    arguments.extend([
        "-o".to_owned(),
        format!("runtime_directory={}", folder.path().display()),
    ]);
    let agent = || {
        let lanner = Lanner::start(&arguments);
        lanner.wait_for_log("that the runtime knows it", |line| {
            line.contains("connected to containerd")
        });
        lanner
    };
    let mut lanner = agent();
    let mut alerts: Vec<Value> = Vec::new();
    let mut started: Vec<Started> = Vec::new();
    let mut failed = 0;
    for number in 0..CONTAINERS {
        let victim = victim(number);
        let mut kills = match victim {
            Victim::Nobody => None,
            Victim::Containerd(after) => Some((containerd.pid(), after)),
            Victim::Lanner(after) => Some((lanner.pid(), after)),
        };
        let mut watched = !matches!(victim, Victim::Lanner(_));
        for attempt in 0.. {
            let pod = format!("job-{number}-{attempt}");
            let result = meanwhile(kills.take(), || start(&containerd, &pod));
            match victim {
                Victim::Containerd(_) if attempt == 0 => {
                    containerd.wait_killed();
                    containerd.start_again();
                }
                Victim::Lanner(_) if attempt == 0 => {
                    alerts.extend(lanner::alerts_of(&lanner.kill().stdout));
                    lanner = agent();
                }
                _ => {}
            }
            match result {
                Ok(id) => {
                    started.push(Started { id, pod, watched });
                    break;
                }
                Err(error) => {
                    // A start that fails because there is no containerd is none of Lanner's.
                    let down =
                        victim != Victim::Nobody && attempt == 0 && matches!(victim, Victim::Containerd(_));
                    assert!(down, "{pod}: {error}");
                    failed += 1;
                    watched = true;
                }
            }
        }
    }
    // Each alerted to one of the agents, in whatever way it came to its end.
    let watched: Vec<&Started> = started.iter().filter(|started| started.watched).collect();
    wait_for("an alert about each container that was watched", LIMIT, || {
        let now = lanner.alerts();
        let seen = |id: &str| {
            alerts
                .iter()
                .chain(&now)
                .any(|alert| field(alert, "container.full_id") == id)
        };
        let missing: Vec<&str> = watched
            .iter()
            .filter(|started| !seen(&started.id))
            .map(|started| started.pod.as_str())
            .collect();
        if !missing.is_empty() {
            eprintln!("not yet: {missing:?}");
            thread::sleep(Duration::from_secs(1));
        }
        missing.is_empty().then_some(())
    });
    let log = lanner.log();
    alerts.extend(lanner::alerts_of(&lanner.stop().stdout));
    let mut incomplete = BTreeMap::new();
    for started in &watched {
        for alert in alerts
            .iter()
            .filter(|alert| field(alert, "container.full_id") == started.id)
        {
            for (name, value) in [
                ("container.id", &started.id[..12]),
                ("container.name", "reader"),
                ("container.image", SHADOW),
                ("k8s.pod.name", &started.pod),
                ("k8s.ns.name", "chaos"),
            ] {
                if field(alert, name) != value {
                    incomplete.insert((started.pod.clone(), name), alert["output"].to_string());
                }
            }
        }
    }
    println!(
        "{} containers, {} watched from before their start; {failed} starts failed with containerd",
        started.len(),
        watched.len()
    );
    assert!(incomplete.is_empty(), "{incomplete:#?}\n{log}");
    assert_eq!(started.len(), CONTAINERS);
}
