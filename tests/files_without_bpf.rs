//! Capture tier none, what happens to files: fanotify tells who read, wrote, removed or renamed which, on the host and in
//! containers of a real containerd.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Run};
use support::lanner::{self, Lanner, field};
use support::restrict::Restrictions;
use support::{alone, skip};

const OUTPUT: &str = "%evt.type %fd.name %fs.path.name %fs.path.source %fs.path.target %evt.arg.linkpath %proc.name %proc.exepath %proc.cmdline %proc.pname \
                      %user.name %user.uid %container.id %container.name %container.image.repository %k8s.pod.name";

/// Rules for files that begin with this.
fn rules(start: &str) -> String {
    [
        ("Read", format!("evt.type in (open, openat, openat2) and evt.is_open_read=true and fd.name startswith {start}")),
        ("Written", format!("evt.type in (open, openat, openat2) and evt.is_open_write=true and fd.num>=0 and fd.typechar='f' and fd.name startswith {start}")),
        ("Removed", format!("evt.type in (unlink, unlinkat) and evt.res=SUCCESS and fs.path.name startswith {start}")),
        ("Renamed", format!("evt.type in (rename, renameat, renameat2) and fs.path.target startswith {start}")),
        ("Linked", "evt.type in (symlink, symlinkat) and evt.arg.target=/etc/shadow".to_owned()),
        ("Made", format!("evt.type in (mkdir, mkdirat) and evt.arg.path startswith {start}")),
    ]
    .map(|(name, condition)| rule(name, &condition))
    .concat()
}

fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: For these tests\n  condition: {condition}\n  output: \"{OUTPUT}\"\n  priority: WARNING\n"
    )
}

/// What else is to alert in a container.
fn suspicious() -> String {
    [
        ("Secret", "evt.type in (open, openat, openat2) and evt.is_open_read=true and fd.name=/etc/shadow and container.id!=host"),
        ("Log", "evt.type in (unlink, unlinkat) and evt.res=SUCCESS and fs.path.name startswith /var/log/ and container.id!=host"),
        ("Shell", "evt.type in (execve, execveat) and proc.name=sh and proc.pname=sh and container.id!=host"),
        ("Dropped", "evt.type in (execve, execveat) and proc.is_exe_upper_layer=true and container.id!=host"),
        ("Program", "evt.type in (execve, execveat) and proc.pname=sh and container.id!=host"),
    ]
    .map(|(name, condition)| rule(name, condition))
    .concat()
}

/// True for an alert that tells of this process: as the one that did it, or of several that it may have been, where it had
/// just become that.
fn is_doing_of(alert: &Value, process: &str) -> bool {
    match &*field(alert, "proc.name") {
        "" => field(alert, "lanner.processes")
            .split('|')
            .any(|name| name == process),
        name => name == process,
    }
}

/// Starts who does all of that, when it is told to go on, and who stays then.
const SUSPICIOUS: &str = "echo x > /etc/lanner-first
for pipe in /tmp/go /tmp/yes /tmp/wait; do /bin/busybox mkfifo $pipe; done
for log in /var/log/lanner.log /var/log/other.log; do echo x > $log; done
/bin/cp /bin/busybox /tmp/cat
/bin/cat /tmp/go /etc/shadow /tmp/wait &
/bin/cat /tmp/yes /tmp/wait | /bin/rm -i /var/log/lanner.log /var/log/other.log &
/bin/sh -c 'echo x > /etc/lanner-written; read x < /tmp/wait' &
/tmp/cat /tmp/wait &
wait";
const GO_ON: &str = "echo y > /tmp/yes; : > /tmp/go";

fn start(rules: &Path) -> Lanner {
    let mut arguments = vec!["-o".to_owned(), "engine.tier=none".to_owned()];
    arguments.extend(options(rules, None));
    Lanner::start(&arguments)
}

fn options(rules: &Path, containerd: Option<&Containerd>) -> Vec<String> {
    let mut options = lanner::options(containerd);
    options.extend(["-o", "json_include_output_property=false", "-r"].map(str::to_owned));
    options.push(rules.display().to_string());
    options
}

fn is(rule: &str, name: &str, file: &str) -> impl Fn(&Value) -> bool {
    move |alert| alert["rule"] == rule && field(alert, name) == file
}

#[test]
fn what_is_done_to_files_of_the_host_alerts_with_who_did_it() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    // A disk's file system and one in memory.
    for parent in [env!("CARGO_MANIFEST_DIR"), "/dev/shm"] {
        let files = tempfile::TempDir::new_in(parent).unwrap();
        let at = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        let (_folder, path) = lanner::rules(&rules(files.path().to_str().unwrap()));
        let lanner = start(&path);
        let secret = at("secret");
        // A shell's own doing, by a shell that is there when it is asked about.
        let shell = |words: &str, look: &dyn Fn(&Value) -> bool| {
            let words = format!("{words}; read end");
            let mut shell = Command::new("bash")
                .args(["-c", &words, "lanner-mark"])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let alert = lanner.wait_for_alert(&words, look);
            drop(shell.stdin.take());
            shell.wait().unwrap();
            alert
        };
        // Again and again: of what a shell does at once it is not known whether it was a shell yet.
        let repeated = |words: &str| format!("while read -t 0.2 end; [ $? -gt 128 ]; do {words}; done");
        let by_the_shell = |rule: &str, alert: &Value| {
            is(rule, "fd.name", &secret)(alert) && alert["output_fields"]["proc.name"] == "bash"
        };
        let written = shell(&repeated(&format!("echo x > {secret}")), &|alert| {
            by_the_shell("Written", alert)
        });
        let read = shell(&repeated(&format!("read x < {secret}")), &|alert| {
            by_the_shell("Read", alert)
        });
        let own_name = std::fs::read_to_string("/proc/self/comm").unwrap();
        for alert in [&written, &read] {
            for (name, value) in [
                ("proc.name", "bash"),
                ("proc.pname", own_name.trim()),
                ("user.name", "root"),
                ("container.id", "host"),
            ] {
                assert_eq!(field(alert, name), value, "{name}: {alert}");
            }
            assert!(field(alert, "proc.cmdline").contains("lanner-mark"), "{alert}");
        }
        // Whoever becomes another at once is not told as that, and neither is who it was before.
        let shed = at("shed");
        std::fs::write(&shed, "").unwrap();
        shell(
            &repeated(&format!("(exec 3< {shed}; exec -a lanner-later sleep 0.01)")),
            &is("Read", "fd.name", &shed),
        );
        let (moved, made) = (at("moved"), at("made"));
        let renamed = shell(
            &format!("mv {secret} {moved}"),
            &is("Renamed", "fs.path.target", &moved),
        );
        assert_eq!(field(&renamed, "fs.path.source"), secret);
        shell(&format!("rm {moved}"), &is("Removed", "fs.path.name", &moved));
        shell(&format!("mkdir {made}"), &is("Made", "fs.path.name", &made));
        let ended = lanner.stop();
        for alert in ended
            .alerts()
            .iter()
            .filter(|alert| is("Read", "fd.name", &shed)(alert))
        {
            assert_ne!(alert["output_fields"]["proc.name"], "sleep", "{alert}");
            let command_line = alert["output_fields"]["proc.cmdline"]
                .as_str()
                .unwrap_or_default();
            assert!(!command_line.starts_with("lanner-later"), "{alert}");
            assert!(!command_line.starts_with("sleep"), "{alert}");
        }
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("fanotify, delivered: "), "{}", ended.stderr);
    }
}

#[test]
fn what_is_done_to_files_of_a_container_alerts_as_the_containers_from_its_first_instruction_on() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    // One runs already.
    let pod = containerd.pod("shop", "counter");
    let forever = ["sh", "-c", "sleep 1000"];
    let mut run = Run::new("older", BUSYBOX);
    run.command = &forever;
    let older = containerd.run(&pod, run);
    let (_folder, path) = lanner::rules(&(rules("/etc/lanner-") + &suspicious()));
    // A host that refuses bpf(2).
    let mut command = Restrictions::without_bpf(libc::EPERM).command(lanner::PROGRAM);
    command.args(options(&path, Some(&containerd)));
    let lanner = Lanner::start_command(command);
    lanner.wait_for_log("what it watches by", |line| {
        line.contains("tier none: ") && line.contains("EPERM")
    });
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let first = ["sh", "-c", SUSPICIOUS];
    let mut run = Run::new("till", BUSYBOX);
    run.command = &first;
    let till = containerd.run(&pod, run);
    let written = lanner.wait_for_alert("its first write", is("Written", "fd.name", "/etc/lanner-first"));
    let mut alerts = vec![(written, &till, "till")];
    // What a program does right after it was started can be taken for its parent's doing.
    for program in [
        "cat /tmp/go /etc/shadow /tmp/wait",
        "rm -i /var/log/lanner.log /var/log/other.log",
    ] {
        lanner.wait_for_alert(program, is("Program", "proc.cmdline", program));
    }
    containerd.exec(&till, &["/bin/sh", "-c", GO_ON]);
    for (rule, name, file, process) in [
        ("Secret", "fd.name", "/etc/shadow", "cat"),
        ("Written", "fd.name", "/etc/lanner-written", "sh"),
        ("Log", "fs.path.name", "/var/log/lanner.log", "rm"),
        ("Shell", "proc.exepath", "/bin/busybox", "sh"),
        ("Dropped", "proc.exepath", "/tmp/cat", "cat"),
    ] {
        let alert = lanner.wait_for_alert(rule, is(rule, name, file));
        assert!(is_doing_of(&alert, process), "{alert}");
        assert_eq!(field(&alert, "proc.pname"), "sh", "{alert}");
        assert_eq!(field(&alert, "user.name"), "root", "{alert}");
        alerts.push((alert, &till, "till"));
    }
    for (id, name) in [(&older, "older"), (&till, "till")] {
        let at = |file: &str| format!("/etc/lanner-{name}-{file}");
        let (secret, other) = (at("secret"), at("other"));
        // Whoever does it goes on until the pod ends, so that it can be asked about. One writes and another reads: of one
        // process the kernel may tell both as one.
        containerd.exec(
            id,
            &[
                "/bin/sh",
                "-c",
                "[ -e /tmp/wait ] || /bin/busybox mkfifo /tmp/wait",
            ],
        );
        let does =
            |words: &str| containerd.exec(id, &["/bin/sh", "-c", &format!("({words}) >/dev/null 2>&1 &")]);
        does(&format!("echo x > {secret}; /bin/cat {secret} /tmp/wait"));
        alerts.push((
            lanner.wait_for_alert("a read", is("Read", "fd.name", &secret)),
            id,
            name,
        ));
        // A file that is edited is another one that gets its name; the second is never read.
        does(&format!("/bin/sed -i s/x/y/ {secret} /tmp/wait"));
        alerts.push((
            lanner.wait_for_alert("a rename", is("Renamed", "fs.path.target", &secret)),
            id,
            name,
        ));
        does(&format!(
            "echo x > {other}; (echo y; /bin/cat /tmp/wait) | /bin/rm -i {secret} {other}"
        ));
        alerts.push((
            lanner.wait_for_alert("a removal", is("Removed", "fs.path.name", &secret)),
            id,
            name,
        ));
    }
    for (alert, id, name) in &alerts {
        for (field_name, value) in [
            ("container.id", &id[..12]),
            ("container.name", name),
            ("container.image.repository", BUSYBOX.rsplit_once(':').unwrap().0),
            ("k8s.pod.name", pod.name()),
            ("user.uid", "0"),
        ] {
            assert_eq!(field(alert, field_name), value, "{field_name}: {alert}");
        }
    }
    // What its marks would keep in use could not be removed.
    containerd.remove(&pod);
    lanner.stop();
}

#[test]
fn names_in_a_container_that_only_the_runtimes_interface_tells_of_are_seen() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let forever = [
        "--detach",
        "--null-io",
        BUSYBOX,
        "plain",
        "sh",
        "-c",
        "sleep 1000",
    ];
    containerd.ctr_run("k8s.io", &forever);
    let (_folder, path) = lanner::rules(&rules("/etc/"));
    let mut arguments = lanner::options(Some(&containerd));
    for option in [
        "engine.tier=none",
        "json_include_output_property=false",
        "nri.enabled=false",
    ] {
        arguments.extend(["-o".to_owned(), option.to_owned()]);
    }
    arguments.extend(["-r".to_owned(), path.display().to_string()]);
    let lanner = Lanner::start(&arguments);
    let mut number = 0;
    let mut does = |words: &str| {
        number += 1;
        let id = format!("does-{number}");
        let words = format!("{words}; busybox sleep 1");
        let arguments = ["task", "exec", "--exec-id", &id, "plain", "sh", "-c", &words];
        let output = containerd.ctr(&arguments);
        assert!(output.status.success(), "{words}: {output:?}");
    };
    // Until it is known.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !lanner.printed().contains(r#""container.name":"plain""#) {
        assert!(Instant::now() < deadline, "{}", lanner.log());
        does("read x < /etc/passwd");
    }
    // The first thing that is written makes a directory of the upper layer of what was one of the lower.
    does("echo x > /etc/made");
    does("busybox mv /etc/made /etc/moved");
    does("busybox rm /etc/moved");
    does("busybox mkdir /etc/dir");
    // In a directory that no rule names.
    does("busybox ln -s /etc/shadow /link");
    for (rule, name, file) in [
        ("Renamed", "fs.path.target", "/etc/moved"),
        ("Removed", "fs.path.name", "/etc/moved"),
        ("Made", "fs.path.name", "/etc/dir"),
        ("Linked", "evt.arg.linkpath", "/link"),
    ] {
        // Whose doing it was is not known of a program that ended before it was asked about.
        lanner.wait_for_alert(rule, is(rule, name, file));
    }
    lanner.stop();
}
