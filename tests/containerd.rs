//! The containerd of the end-to-end tests is a real one: it runs pods, keeps their logs, and is gone without a trace
//! afterwards.

mod support;

use std::fs;
use std::path::Path;

use support::containerd::{BUSYBOX, Containerd, Run, SHADOW};

#[test]
fn a_pod_runs_and_leaves_nothing_behind() {
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    let socket = containerd.socket();
    assert!(containerd.nri_socket().exists(), "NRI is on");
    assert!(containerd.digest(SHADOW).starts_with("sha256:"));

    let pod = containerd.pod("shop", "reader");
    let reader = containerd.run(&pod, Run::new("reader", SHADOW));
    let status = containerd.wait_for_exit(&reader);
    assert_eq!(status.exit_code, 0, "{status:?}");
    let log = containerd.log_of(&reader);
    assert!(log.contains(" stdout F root:*:20000:0:99999:7:::"), "{log}");

    let tools = containerd.run(&pod, Run::new("tools", BUSYBOX));
    let executed = containerd.exec(&tools, &["cat", "/etc/shadow"]);
    assert_eq!(executed.exit_code, 0);
    assert_eq!(executed.stdout, b"root:*:20000:0:99999:7:::\n");
    let shell = Run {
        command: &["sh"],
        tty: true,
        ..Run::new("shell", BUSYBOX)
    };
    let shell = containerd.run(&pod, shell);
    let tty = containerd.exec(&shell, &["ls", "-l", "/proc/1/fd/0"]);
    assert!(
        String::from_utf8_lossy(&tty.stdout).contains("/dev/pts/"),
        "the shell has a terminal: {tty:?}"
    );
    let names: Vec<String> = containerd
        .cri()
        .list_containers()
        .unwrap()
        .into_iter()
        .map(|container| container.metadata.unwrap().name)
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");

    let base = socket.parent().unwrap().to_path_buf();
    let uid = pod.uid().to_owned();
    drop(containerd);
    assert!(!base.exists());
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let cgroups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        // A dead process stays listed until its parent has asked for it.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if stat.contains(") Z ") {
            continue;
        }
        assert!(
            !cgroups.contains(&uid),
            "{} is still in {cgroups}",
            entry.path().display()
        );
    }
    let parent = base
        .to_str()
        .unwrap()
        .replace("/tmp/lanner-containerd-", "lanner-test-");
    assert!(!Path::new("/sys/fs/cgroup/unified").join(&parent).exists());
    assert!(!Path::new("/sys/fs/cgroup/memory").join(&parent).exists());
}

#[test]
fn containers_outlive_a_restart_of_containerd() {
    let mut containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    let pod = containerd.pod("shop", "lasting");
    let tools = containerd.run(&pod, Run::new("tools", BUSYBOX));
    containerd.restart();
    let executed = containerd.exec(&tools, &["echo", "still here"]);
    assert_eq!(executed.stdout, b"still here\n");
    containerd.remove(&pod);
    assert!(containerd.cri().list_pod_sandboxes().unwrap().is_empty());
}
