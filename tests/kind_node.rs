//! Lanner and containerd in namespaces of their own, as in a node of kind: the kernel numbers processes otherwise than /proc
//! there does, and cgroups begin below the host's.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::process::Command;

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Run, SHADOW};
use support::lanner::{self, Lanner, field};
use support::skip;

const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow
  output: "shadow (full=%container.full_id name=%container.name image=%container.image pod=%k8s.pod.name ns=%k8s.ns.name uid=%k8s.pod.uid line=%proc.cmdline exe=%proc.exepath parent=%proc.pname user=%user.name)"
  priority: WARNING
- rule: Of Lanner itself
  desc: Its own calls are not shown to it
  condition: evt.type in (open, openat, openat2) and fd.name = ALERTS
  output: "own %evt.type"
  priority: WARNING
"#;

#[test]
fn twenty_containers_of_a_node_that_is_a_container_are_known() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let containerd = match Containerd::start_as_node() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    // Only Lanner opens this file, for each alert: were it shown its own calls, each would make another.
    let folder = tempfile::tempdir().unwrap();
    let alerts = folder.path().join("alerts");
    let (_folder, rules) = lanner::rules(&RULES.replace("ALERTS", alerts.to_str().unwrap()));
    let mut command = containerd.beside();
    command
        .arg(lanner::PROGRAM)
        .args(lanner::options(Some(&containerd)))
        .args(["-o", "file_output.enabled=true", "-o"])
        .arg(format!("file_output.filename={}", alerts.display()))
        .arg("-r")
        .arg(&rules);
    let lanner = Lanner::start_command(command);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    lanner.wait_for_log("that numbers differ", |line| {
        line.contains("numbers processes otherwise")
    });

    let lasting = containerd.pod("shop", "lasting");
    let tools = containerd.run(&lasting, Run::new("tools", BUSYBOX));
    let mut ran = Vec::new();
    for number in 1..=20 {
        let pod = containerd.pod("batch", &format!("job-{number}"));
        let container = containerd.run(&pod, Run::new("reader", SHADOW));
        ran.push((pod, container));
    }
    for (_, container) in &ran {
        assert_eq!(containerd.wait_for_exit(container).exit_code, 0);
    }
    let of = |container: &str, alert: &Value| {
        alert["rule"] == "Shadow read" && field(alert, "container.full_id") == container
    };
    for (pod, container) in &ran {
        let alert = lanner.wait_for_alert(pod.name(), |alert| of(container, alert));
        for (name, value) in [
            ("container.name", "reader"),
            ("container.image", SHADOW),
            ("k8s.pod.name", pod.name()),
            ("k8s.ns.name", "batch"),
            ("k8s.pod.uid", pod.uid()),
            ("proc.cmdline", "cat /etc/shadow"),
        ] {
            assert_eq!(field(&alert, name), value, "{name} in {alert}");
        }
        assert!(field(&alert, "proc.exepath").ends_with("busybox"), "{alert}");
    }
    assert_eq!(containerd.exec(&tools, &["cat", "/etc/shadow"]).exit_code, 0);
    lanner.wait_for_alert("of a command run later", |alert| {
        of(&tools, alert) && field(alert, "k8s.pod.name") == "lasting"
    });
    // The host's processes are seen from a node, too, and are no container's of it.
    assert!(
        Command::new("cat")
            .arg("/etc/shadow")
            .output()
            .unwrap()
            .status
            .success()
    );
    lanner.wait_for_alert("of the host", |alert| {
        alert["rule"] == "Shadow read" && field(alert, "container.name") == "host"
    });
    // Of what ran before Lanner a node has nothing to tell it, unless it has the machine's /proc.
    let waits = [
        "sh",
        "-c",
        "until [ -e /tmp/go ]; do sleep 0.1; done; cat /etc/shadow; true",
    ];
    let waiting = containerd.run(
        &lasting,
        Run {
            command: &waits,
            ..Run::new("waiting", BUSYBOX)
        },
    );
    let mut command = containerd.beside();
    command
        .env("HOST_ROOT", containerd.base().join("machine"))
        .arg(lanner::PROGRAM)
        .args(lanner::options(Some(&containerd)))
        .arg("-r")
        .arg(&rules);
    let knowing = Lanner::start_command(command);
    assert_eq!(containerd.exec(&waiting, &["touch", "/tmp/go"]).exit_code, 0);
    let alert = knowing.wait_for_alert("of a process from before", |alert| of(&waiting, alert));
    for (name, value) in [
        ("container.name", "waiting"),
        ("k8s.pod.name", "lasting"),
        ("proc.pname", "sh"),
        ("user.name", "root"),
    ] {
        assert_eq!(field(&alert, name), value, "{name} in {alert}");
    }
    let log = knowing.log();
    assert!(!log.contains("numbers processes otherwise"), "{log}");
    let own: Vec<Value> = lanner
        .alerts()
        .into_iter()
        .filter(|alert| alert["rule"] == "Of Lanner itself")
        .collect();
    assert!(own.is_empty(), "{own:#?}");
    assert!(std::fs::metadata(&alerts).unwrap().len() > 0);
}
