//! Alerts about real containers: a real containerd, pods over CRI, and the container's identity in every alert, however
//! short its life.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeSet;
use std::sync::MutexGuard;

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Pod, Run, SHADOW};
use support::lanner::{self, Lanner, field};
use support::skip;

/// Rules that print all that is known of a container.
const RULES: &str = r#"
- macro: container
  condition: container.id != host
- rule: Shadow read in a container
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat and container
  output: "shadow (id=%container.id full=%container.full_id name=%container.name image=%container.image repository=%container.image.repository tag=%container.image.tag digest=%container.image.digest type=%container.type pod=%k8s.pod.name uid=%k8s.pod.uid ns=%k8s.ns.name app=%k8s.pod.label[app] line=%proc.cmdline parent=%proc.pname)"
  priority: WARNING
- rule: Shell with a terminal in a container
  desc: For these tests
  condition: evt.type in (execve, execveat) and proc.name = sh and proc.tty != 0 and container
  output: "shell (id=%container.id full=%container.full_id name=%container.name image=%container.image repository=%container.image.repository tag=%container.image.tag digest=%container.image.digest type=%container.type pod=%k8s.pod.name uid=%k8s.pod.uid ns=%k8s.ns.name app=%k8s.pod.label[app] tty=%proc.tty)"
  priority: NOTICE
"#;

/// What has to outlive a test: the folder of its rules, and its turn.
type Kept = (tempfile::TempDir, MutexGuard<'static, ()>);

/// A real containerd and Lanner with the rules above; or why not.
fn machine() -> Result<(Containerd, Lanner, Kept), String> {
    let alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return Err(reason);
    }
    let containerd = Containerd::start()?;
    let (folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    lanner.wait_for_log("that the runtime knows it", registered);
    Ok((containerd, lanner, (folder, alone)))
}

/// The line of the log or of the first screen that says the runtime has registered Lanner.
fn registered(line: &str) -> bool {
    line.contains("connected to containerd")
}

/// What every alert about a container must carry.
fn assert_identity(alert: &Value, container: &str, name: &str, image: &str, pod: &Pod) {
    let (repository, tag) = image.rsplit_once(':').unwrap();
    let expected = [
        ("container.id", &container[..12]),
        ("container.full_id", container),
        ("container.name", name),
        ("container.image", image),
        ("container.image.repository", repository),
        ("container.image.tag", tag),
        ("container.type", "containerd"),
        ("k8s.pod.name", pod.name()),
        ("k8s.pod.uid", pod.uid()),
        ("k8s.ns.name", pod.namespace()),
        ("k8s.pod.label[app]", pod.name()),
    ];
    for (name, value) in expected {
        assert_eq!(field(alert, name), value, "{name} in {alert}");
    }
}

fn is_of<'a>(container: &'a str, rule: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |alert| alert["rule"] == rule && field(alert, "container.full_id") == container
}

#[test]
fn a_command_run_in_a_running_container_is_known() {
    let (containerd, lanner, _folder) = match machine() {
        Ok(machine) => machine,
        Err(reason) => return skip(&reason),
    };
    let pod = containerd.pod("shop", "front");
    let container = containerd.run(&pod, Run::new("web", BUSYBOX));
    assert_eq!(containerd.exec(&container, &["cat", "/etc/shadow"]).exit_code, 0);
    let alert = lanner.wait_for_alert("cat by exec", is_of(&container, "Shadow read in a container"));
    assert_identity(&alert, &container, "web", BUSYBOX, &pod);
    assert_eq!(field(&alert, "proc.cmdline"), "cat /etc/shadow", "{alert}");
    assert_eq!(
        field(&alert, "container.image.digest"),
        containerd.digest(BUSYBOX),
        "{alert}"
    );
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn twenty_containers_that_live_for_one_command_are_all_known() {
    let (containerd, lanner, _folder) = match machine() {
        Ok(machine) => machine,
        Err(reason) => return skip(&reason),
    };
    let mut ran = Vec::new();
    for number in 1..=20 {
        let pod = containerd.pod("batch", &format!("job-{number}"));
        let container = containerd.run(&pod, Run::new("reader", SHADOW));
        ran.push((pod, container));
    }
    for (_, container) in &ran {
        assert_eq!(containerd.wait_for_exit(container).exit_code, 0);
    }
    let ids: BTreeSet<&str> = ran.iter().map(|(_, container)| container.as_str()).collect();
    let alerts = lanner.wait_for_alerts("one for each container", 20, |alert| {
        alert["rule"] == "Shadow read in a container"
            && ids.contains(field(alert, "container.full_id").as_str())
    });
    for (pod, container) in &ran {
        let alert = alerts
            .iter()
            .find(|alert| field(alert, "container.full_id") == *container);
        let alert = alert.unwrap_or_else(|| panic!("no alert of {} in {alerts:#?}", pod.name()));
        assert_identity(alert, container, "reader", SHADOW, pod);
    }
    assert_eq!(alerts.len(), 20, "one alert for each container: {alerts:#?}");
    let unknown: Vec<Value> = lanner
        .alerts()
        .into_iter()
        .filter(|alert| field(alert, "container.image.repository").is_empty())
        .collect();
    assert!(
        unknown.is_empty(),
        "alerts without the container's image: {unknown:#?}"
    );
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn a_shell_with_a_terminal_is_known() {
    let (containerd, lanner, _folder) = match machine() {
        Ok(machine) => machine,
        Err(reason) => return skip(&reason),
    };
    let pod = containerd.pod("shop", "debug");
    let shell = Run {
        command: &["sh"],
        tty: true,
        ..Run::new("shell", BUSYBOX)
    };
    let container = containerd.run(&pod, shell);
    let alert = lanner.wait_for_alert(
        "the shell",
        is_of(&container, "Shell with a terminal in a container"),
    );
    assert_identity(&alert, &container, "shell", BUSYBOX, &pod);
    let terminal = field(&alert, "proc.tty");
    assert!(terminal.parse::<u32>().is_ok_and(|number| number != 0), "{alert}");
}

#[test]
fn the_built_in_rules_name_the_container() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let lanner = Lanner::start(&lanner::options(Some(&containerd)));
    lanner.wait_for_log("that the runtime knows it", registered);
    let pod = containerd.pod("shop", "front");
    let web = containerd.run(&pod, Run::new("web", BUSYBOX));
    containerd.exec(&web, &["cat", "/etc/shadow"]);
    let shell = Run {
        command: &["sh"],
        tty: true,
        ..Run::new("shell", BUSYBOX)
    };
    let shell = containerd.run(&pod, shell);
    let reader = containerd.run(&pod, Run::new("reader", SHADOW));
    containerd.wait_for_exit(&reader);
    let expected = [
        (&web, "web", BUSYBOX, "Password file read"),
        (&shell, "shell", BUSYBOX, "Shell with a terminal in a container"),
        (&reader, "reader", SHADOW, "Password file read"),
    ];
    for (id, _, _, rule) in expected {
        lanner.wait_for_alert(rule, |alert| {
            alert["rule"] == rule && field(alert, "container.id") == id[..12]
        });
    }
    // Not only these: every alert about a container says which.
    for alert in lanner.alerts() {
        let id = field(&alert, "container.id");
        let Some((_, name, image, _)) = expected.iter().find(|(known, ..)| known[..12] == id) else {
            continue;
        };
        let (repository, tag) = image.rsplit_once(':').unwrap();
        for (key, value) in [
            ("container.name", *name),
            ("container.image.repository", repository),
            ("container.image.tag", tag),
            ("k8s.pod.name", "front"),
            ("k8s.ns.name", "shop"),
        ] {
            assert_eq!(field(&alert, key), value, "{key} in {alert}");
        }
    }
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn containers_that_ran_before_lanner_are_known() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let pod = containerd.pod("shop", "old");
    let container = containerd.run(&pod, Run::new("web", BUSYBOX));
    let (_folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    lanner.wait_for_log("that the runtime knows it", registered);
    containerd.exec(&container, &["cat", "/etc/shadow"]);
    let alert = lanner.wait_for_alert("cat by exec", is_of(&container, "Shadow read in a container"));
    assert_identity(&alert, &container, "web", BUSYBOX, &pod);
}

#[test]
fn lanner_comes_back_to_a_restarted_containerd() {
    let (mut containerd, lanner, _folder) = match machine() {
        Ok(machine) => machine,
        Err(reason) => return skip(&reason),
    };
    let before = containerd.pod("shop", "before");
    let old = containerd.run(&before, Run::new("web", BUSYBOX));
    containerd.restart();
    // The new plugin connection is there when a new container is known; what ran before stays known all along.
    containerd.exec(&old, &["cat", "/etc/shadow"]);
    let alert = lanner.wait_for_alert("the old container", is_of(&old, "Shadow read in a container"));
    assert_identity(&alert, &old, "web", BUSYBOX, &before);
    let mut pods = Vec::new();
    let known = support::wait_for(
        "a container made after the restart to be known",
        std::time::Duration::from_secs(60),
        || {
            let pod = containerd.pod("shop", &format!("after-{}", pods.len()));
            let container = containerd.run(&pod, Run::new("reader", SHADOW));
            containerd.wait_for_exit(&container);
            pods.push(pod);
            let of = is_of(&container, "Shadow read in a container");
            let alert = lanner.alerts().into_iter().find(|alert| of(alert))?;
            (field(&alert, "container.name") == "reader").then_some(alert)
        },
    );
    assert_eq!(field(&known, "k8s.ns.name"), "shop", "{known}");
}
