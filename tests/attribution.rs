//! Whose an event is, where that is less plain than usual: nested cgroups, the host's namespaces, several containers in a pod,
//! commands run in a container from outside.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Pod, Run};
use support::cri;
use support::lanner::{self, Lanner, field};
use support::{skip, wait_for};

const RULES: &str = r#"
- rule: Shadow read
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat and container.id != host
  output: "shadow (full=%container.full_id name=%container.name image=%container.image digest=%container.image.digest pod=%k8s.pod.name ns=%k8s.ns.name pid=%container.host_pid network=%container.host_network line=%proc.cmdline)"
  priority: WARNING
"#;

fn assert_is_of(alert: &Value, name: &str, pod: &Pod) {
    for (field_name, value) in [
        ("container.name", name),
        ("container.image", BUSYBOX),
        ("k8s.pod.name", pod.name()),
        ("k8s.ns.name", pod.namespace()),
    ] {
        assert_eq!(field(alert, field_name), value, "{field_name} in {alert}");
    }
}

/// The directories of this name in every hierarchy of cgroups, below what tests make.
fn cgroups_named(name: &str) -> Vec<PathBuf> {
    fn search(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            match entry.file_name().to_str() == Some(name) {
                true => found.push(entry.path()),
                false => search(&entry.path(), name, found),
            }
        }
    }
    let mut found = Vec::new();
    for line in fs::read_to_string("/proc/self/mounts").unwrap().lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(place), Some("cgroup" | "cgroup2")) = (words.next(), words.next()) else {
            continue;
        };
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("lanner-test-") {
                search(&entry.path(), name, &mut found);
            }
        }
    }
    found
}

/// Cgroups of the host's, made for what leaves a container, as long as the value lasts.
#[derive(Debug, Default)]
struct Outside(std::cell::RefCell<Vec<PathBuf>>);

impl Outside {
    /// Moves what is in these cgroups to one outside of all containers in the same hierarchy; how many processes that were.
    fn take_in(&self, cgroups: &[PathBuf]) -> usize {
        let mut moved = 0;
        for cgroup in cgroups {
            let top = cgroup
                .ancestors()
                .find(|above| {
                    above
                        .file_name()
                        .is_some_and(|name| name.to_string_lossy().starts_with("lanner-test-"))
                })
                .unwrap();
            let outside = top.with_file_name(format!("outside-{}", std::process::id()));
            if fs::create_dir_all(&outside).is_err() {
                continue;
            }
            self.0.borrow_mut().push(outside.clone());
            // A new cgroup of cpuset takes nobody in before it has processors and memory.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(all) = fs::read_to_string(outside.with_file_name(file)) {
                    let _ = fs::write(outside.join(file), all);
                }
            }
            for process in fs::read_to_string(cgroup.join("cgroup.procs")).unwrap().lines() {
                moved += usize::from(fs::write(outside.join("cgroup.procs"), process).is_ok());
            }
        }
        moved
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        for cgroup in self.0.borrow().iter() {
            let _ = fs::remove_dir(cgroup);
        }
    }
}

#[test]
fn every_process_is_its_containers() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    // Goes last: what it holds has to end first.
    let outside = Outside::default();
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    let (_folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let of = |id: &str, alert: &Value| field(alert, "container.full_id") == id;

    // Three containers in one pod, each by a command from outside.
    let pod = containerd.pod("shop", "three");
    let names = ["front", "back", "log"];
    let three = names.map(|name| (name, containerd.run(&pod, Run::new(name, BUSYBOX))));
    for (name, id) in &three {
        assert_eq!(containerd.exec(id, &["cat", "/etc/shadow"]).exit_code, 0);
        let alert = lanner.wait_for_alert("a command from outside", |alert| of(id, alert));
        assert_is_of(&alert, name, &pod);
        assert_eq!(field(&alert, "container.host_pid"), "false", "{alert}");
    }

    // One in the host's pid and network namespaces.
    let host = containerd.pod_with("shop", "agent", |security| {
        let namespaces = security.namespace_options.as_mut().unwrap();
        (namespaces.pid, namespaces.network) = (cri::NAMESPACE_NODE, cri::NAMESPACE_NODE);
    });
    let id = containerd.run(&host, Run::new("agent", BUSYBOX));
    assert_eq!(containerd.exec(&id, &["cat", "/etc/shadow"]).exit_code, 0);
    let alert = lanner.wait_for_alert("the one in the host's namespaces", |alert| of(&id, alert));
    assert_is_of(&alert, "agent", &host);
    for name in ["container.host_pid", "container.host_network"] {
        assert_eq!(field(&alert, name), "true", "{alert}");
    }

    // One whose process moves into a cgroup below its container's.
    let nesting = Run {
        command: &[
            "sh",
            "-c",
            "until [ -e /tmp/go ]; do sleep 0.1; done; cat /etc/shadow; sleep 1000000",
        ],
        ..Run::new("nesting", BUSYBOX)
    };
    let id = containerd.run(&pod, nesting);
    let own = cgroups_named(&id);
    assert!(!own.is_empty(), "its cgroups are there");
    let mut moved = 0;
    for cgroup in &own {
        let inner = cgroup.join("a/b");
        if fs::create_dir_all(&inner).is_err() {
            continue;
        }
        for process in fs::read_to_string(cgroup.join("cgroup.procs")).unwrap().lines() {
            moved += usize::from(fs::write(inner.join("cgroup.procs"), process).is_ok());
        }
    }
    assert!(moved > 0, "a process could be moved");
    assert_eq!(containerd.exec(&id, &["sh", "-c", ": > /tmp/go"]).exit_code, 0);
    let alert = lanner.wait_for_alert("the one in a nested cgroup", |alert| of(&id, alert));
    assert_is_of(&alert, "nesting", &pod);

    // One that leaves its container's cgroup for one of the host's, as a privileged one can: it stays what it is.
    let leaving = Run {
        command: &[
            "sh",
            "-c",
            "until [ -e /tmp/go ]; do sleep 0.1; done; cat /etc/shadow; sleep 1000000",
        ],
        ..Run::new("leaving", BUSYBOX)
    };
    let id = containerd.run(&pod, leaving);
    assert!(
        outside.take_in(&cgroups_named(&id)) > 0,
        "a process could be moved"
    );
    assert_eq!(containerd.exec(&id, &["sh", "-c", ": > /tmp/go"]).exit_code, 0);
    let alert = lanner.wait_for_alert("the one outside its cgroup", |alert| of(&id, alert));
    assert_is_of(&alert, "leaving", &pod);

    // The digest of a container that ran before Lanner is its image's, whatever its tag means by now.
    drop(lanner);
    let digest = containerd.digest(BUSYBOX).to_owned();
    let mut containerd = containerd;
    containerd.import(BUSYBOX, &["sleep", "2000000"]);
    assert_ne!(containerd.digest(BUSYBOX), digest, "the tag was moved");
    let again = Lanner::start(&arguments);
    again.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let (_, id) = &three[0];
    let mut times = 0;
    wait_for("the digest", Duration::from_secs(60), || {
        containerd.exec(id, &["cat", "/etc/shadow"]);
        times += 1;
        let alert = again
            .wait_for_alerts("an exec", times, |alert| of(id, alert))
            .pop()?;
        let found = field(&alert, "container.image.digest");
        (!found.is_empty()).then(|| assert_eq!(found, digest))
    });
}
