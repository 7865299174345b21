//! Lanner as a plugin that containerd starts: it watches, outlives containerd, and leaves to the one that the next
//! containerd starts.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Run, SHADOW};
use support::lanner::{self, field};
use support::{skip, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat
  output: "shadow (full=%container.full_id name=%container.name image=%container.image pod=%k8s.pod.name ns=%k8s.ns.name line=%proc.cmdline)"
  priority: WARNING
"#;

/// The plugin's name: another test's agent is another agent.
fn name() -> String {
    format!("lanner-{}", std::process::id())
}

/// Puts Lanner where a containerd with its folder at `base` starts it. `more` are lines of its configuration.
fn install(base: &Path, more: &str) {
    let file = format!("73-{}", name());
    let link = base.join("nri/plugins").join(&file);
    std::os::unix::fs::symlink(lanner::PROGRAM, link).unwrap();
    fs::write(base.join("rules.yaml"), RULES).unwrap();
    fs::write(
        base.join("broken.yaml"),
        "- rule: Broken\n  condition: evt.type =\n",
    )
    .unwrap();
    let base = base.display();
    let more = more.replace("BASE", &base.to_string());
    let configuration = format!(
        "nri: {{socket_path: {base}/nri/nri.sock}}\n\
         containerd: {{address: {base}/containerd.sock}}\n\
         runtime_directory: {base}/run\n\
         rules_files: [{base}/rules.yaml]\n\
         json_output: true\n\
         journald_output: {{enabled: false}}\n\
         stdout_output: {{enabled: false}}\n\
         file_output: {{enabled: true, filename: {base}/alerts}}\n\
         {more}\n"
    );
    fs::write(format!("{base}/nri/conf.d/{file}.conf"), configuration).unwrap();
}

/// The agent of a containerd; what is left of it goes with this value.
struct Agent {
    base: PathBuf,
}

impl Agent {
    fn of(containerd: &Containerd) -> Agent {
        Agent {
            base: containerd.base().to_owned(),
        }
    }

    /// What `lanner status` answers, if anything.
    fn status(&self) -> Option<Value> {
        let socket = self.base.join("run").join(format!("{}.sock", name()));
        let output = Command::new(lanner::PROGRAM)
            .args(["status", "--json", "--socket", socket.to_str().unwrap()])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    fn pid(&self) -> Option<Pid> {
        let pid = self.status()?["pid"].as_i64()?;
        Some(Pid::from_raw(i32::try_from(pid).unwrap()))
    }

    /// Waits for an agent other than `old` that the runtime knows, and gives its process.
    fn wait(&self, old: Option<Pid>) -> Pid {
        wait_for(
            &format!("an agent that the runtime knows; its log:\n{}", self.log()),
            LIMIT,
            || {
                let status = self.status()?;
                let pid = self.pid().filter(|pid| Some(*pid) != old)?;
                (status["connected"] == true).then_some(pid)
            },
        )
    }

    fn log(&self) -> String {
        fs::read_to_string(log_file()).unwrap_or_default()
    }

    fn alerts(&self) -> Vec<Value> {
        lanner::alerts_of(&fs::read_to_string(self.base.join("alerts")).unwrap_or_default())
    }

    /// The alerts about a container, or about the host.
    fn alerts_about(&self, container: &str) -> Vec<Value> {
        let mut alerts = self.alerts();
        alerts.retain(|alert| field(alert, "container.full_id") == container);
        alerts
    }
}

fn log_file() -> PathBuf {
    PathBuf::from(format!("/var/log/73-{}.log", name()))
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = fs::remove_file(log_file());
    }
}

fn is_there(pid: Pid) -> bool {
    // A zombie is gone; its parent may take a while to notice.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

/// Runs a container that reads /etc/shadow, and checks that its one alert says all of whose it is.
fn assert_known(containerd: &Containerd, agent: &Agent, pod_name: &str) {
    let pod = containerd.pod("shop", pod_name);
    let container = containerd.run(&pod, Run::new("reader", SHADOW));
    containerd.wait_for_exit(&container);
    let alerts = wait_for(&format!("an alert about {pod_name}"), LIMIT, || {
        Some(agent.alerts_about(&container)).filter(|alerts| !alerts.is_empty())
    });
    for (name, value) in [
        ("container.name", "reader"),
        ("container.image", SHADOW),
        ("k8s.pod.name", pod_name),
        ("k8s.ns.name", "shop"),
    ] {
        assert_eq!(field(&alerts[0], name), value, "{name} in {}", alerts[0]);
    }
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
}

fn machine(suite: Option<&str>, more: &str) -> Result<(Containerd, Agent), String> {
    if let Some(reason) = lanner::impossible() {
        return Err(reason);
    }
    let containerd = Containerd::start_prepared(suite, |base| install(base, more))?;
    let agent = Agent::of(&containerd);
    Ok((containerd, agent))
}

/// Reads /etc/shadow on the host and waits for the alert.
fn assert_watches(agent: &Agent) {
    let host = |alert: &&Value| field(alert, "container.name") == "host";
    let before = agent.alerts().iter().filter(host).count();
    assert!(
        Command::new("cat")
            .arg("/etc/shadow")
            .output()
            .unwrap()
            .status
            .success()
    );
    wait_for(
        &format!("an alert about the host; log:\n{}", agent.log()),
        LIMIT,
        || (agent.alerts().iter().filter(host).count() > before).then_some(()),
    );
}

fn lives_with(suite: Option<&str>) {
    let _alone = support::alone();
    let (mut containerd, agent) = match machine(suite, "") {
        Ok(machine) => machine,
        Err(reason) => return skip(&reason),
    };
    let first = agent.wait(None);
    assert_eq!(agent.status().unwrap()["mode"], "nri-plugin", "{}", agent.log());
    assert_known(&containerd, &agent, "first");
    let lasting = containerd.pod("shop", "lasting");
    let old = containerd.run(&lasting, Run::new("tools", BUSYBOX));

    // Stopped as a service manager stops it, containerd ends the process that it started, and not the agent.
    containerd.stop();
    assert_watches(&agent);
    assert_eq!(agent.pid(), Some(first), "{}", agent.log());
    containerd.start_again();
    let second = agent.wait(Some(first));
    wait_for("the older agent to be gone", LIMIT, || {
        (!is_there(first)).then_some(())
    });
    assert_known(&containerd, &agent, "second");
    // What ran all the time is known to the newer agent.
    let reads = containerd.exec(&old, &["cat", "/etc/shadow"]);
    assert_eq!(reads.exit_code, 0);
    let alerts = wait_for("the old container's alert", LIMIT, || {
        Some(agent.alerts_about(&old)).filter(|alerts| !alerts.is_empty())
    });
    assert_eq!(field(&alerts[0], "k8s.pod.name"), "lasting", "{}", alerts[0]);

    containerd.kill();
    assert_watches(&agent);
    assert_eq!(agent.pid(), Some(second), "{}", agent.log());
    containerd.start_again();
    agent.wait(Some(second));
    wait_for("the older agent to be gone", LIMIT, || {
        (!is_there(second)).then_some(())
    });
    assert_known(&containerd, &agent, "third");
    let log = agent.log();
    assert_eq!(log.matches("took over from").count(), 2, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn it_watches_and_outlives_containerd() {
    lives_with(None);
}

#[test]
fn it_watches_and_outlives_containerd_1_7() {
    lives_with(Some("trixie"));
}

#[test]
fn containers_start_whatever_is_wrong_with_its_configuration() {
    let _alone = support::alone();
    for (suite, more, said) in [
        (None, "priority: loud", ".conf:9:11: priority must be"),
        (
            Some("trixie"),
            "rules_files: [BASE/broken.yaml]",
            "the rules are not loaded",
        ),
    ] {
        let (containerd, agent) = match machine(suite, more) {
            Ok(machine) => machine,
            Err(reason) => return skip(&reason),
        };
        let pod = containerd.pod("shop", "front");
        let container = containerd.run(&pod, Run::new("reader", SHADOW));
        assert_eq!(containerd.wait_for_exit(&container).exit_code, 0);
        wait_for(&format!("{said} in its log"), LIMIT, || {
            agent.log().contains(said).then_some(())
        });
        wait_for("the agent to be gone", LIMIT, || {
            agent.status().is_none().then_some(())
        });
    }
}
