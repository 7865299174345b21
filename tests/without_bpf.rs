//! Capture tier none: no BPF program is loaded, and processes are known from the process connector and /proc.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use support::bpf_objects::BpfObjects;
use support::containerd::{BUSYBOX, Containerd, Run};
use support::lanner::{self, Lanner, field};
use support::{alone, skip};

const RULES: &str = r#"
- rule: Program
  desc: For these tests
  condition: evt.type in (execve, execveat) and proc.args contains "lanner-mark"
  output: "%evt.type %proc.name %proc.exepath %proc.cmdline %proc.cwd %proc.pname %proc.aname[2] %proc.ppid %user.name %user.uid %evt.res %container.id %container.full_id %container.name %container.image.repository %k8s.pod.name %proc.vpid"
  priority: WARNING
- rule: End
  desc: For these tests
  condition: evt.type = procexit and proc.args contains "lanner-mark"
  output: "%proc.name %evt.arg.ret %container.id"
  priority: WARNING
"#;

fn start(rules: &Path, containerd: Option<&Containerd>) -> Lanner {
    let mut arguments = lanner::options(containerd);
    for option in ["engine.tier=none", "json_include_output_property=false"] {
        arguments.extend(["-o".to_owned(), option.to_owned()]);
    }
    arguments.extend(["-r".to_owned(), rules.display().to_string()]);
    Lanner::start(&arguments)
}

/// Runs a program with this mark until it was seen: it has to be there when it is asked about.
fn seen(lanner: &Lanner, mark: &'static str) {
    let mut shell = Command::new("bash")
        .args(["-c", "read line; exit 0", mark])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    lanner.wait_for_alert(mark, is_of("Program", mark));
    drop(shell.stdin.take());
    assert!(shell.wait().unwrap().success());
}

fn is_of(rule: &'static str, mark: &'static str) -> impl Fn(&Value) -> bool {
    move |alert| alert["rule"] == rule && field(alert, "proc.cmdline").contains(mark)
}

#[test]
fn a_program_is_known_with_those_that_started_it_and_nothing_is_loaded() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (folder, rules) = lanner::rules(RULES);
    let lanner = start(&rules, None);
    assert!(BpfObjects::of(lanner.pid()).is_empty());
    lanner.wait_for_log("what it watches by", |line| {
        line.contains("tier none: engine.tier asks for it")
    });
    // The shell waits for what it starts: whoever is asked about is still there.
    let script = "sh -c 'read line; exit 3' lanner-mark-1 < \"$0\"; true";
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut shell = Command::new("bash")
        .args(["-c", script])
        .arg(&pipe)
        .current_dir("/usr/lib")
        .spawn()
        .unwrap();
    // Its redirection opens the pipe before it runs the program.
    let writer = fs::File::options().write(true).open(&pipe).unwrap();
    let alert = lanner.wait_for_alert("one for the program", |alert| {
        is_of("Program", "lanner-mark-1")(alert) && field(alert, "proc.name") == "sh"
    });
    let own_name = fs::read_to_string("/proc/self/comm").unwrap();
    for (name, value) in [
        ("evt.type", "execve"),
        ("proc.name", "sh"),
        ("proc.cwd", "/usr/lib/"),
        ("proc.pname", "bash"),
        ("proc.aname[2]", own_name.trim()),
        ("proc.ppid", &shell.id().to_string()),
        ("user.name", "root"),
        ("user.uid", "0"),
        ("evt.res", "SUCCESS"),
        ("container.id", "host"),
    ] {
        assert_eq!(field(&alert, name), value, "{name}: {alert}");
    }
    assert!(field(&alert, "proc.cmdline").starts_with("sh -c read line; exit 3 lanner-mark-1"));
    let shell_path = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(Path::new(&field(&alert, "proc.exepath")), shell_path);
    drop(writer);
    shell.wait().unwrap();
    let end = lanner.wait_for_alert("one for its end", |alert| {
        alert["rule"] == "End" && field(alert, "evt.arg.ret") == "3"
    });
    assert_eq!(
        (
            field(&end, "proc.name").as_str(),
            field(&end, "container.id").as_str()
        ),
        ("sh", "host")
    );
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("connector, delivered: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_a_process_changes_of_itself_is_followed() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let text = r#"
- rule: Program
  desc: For these tests
  condition: evt.type in (execve, procexit) and proc.args contains "lanner-mark-7" and proc.exepath endswith bash
  output: "%evt.type %proc.name %proc.cmdline %user.uid %proc.is_sid_leader"
  priority: WARNING
"#;
    let (folder, rules) = lanner::rules(text);
    let lanner = start(&rules, None);
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&pipe, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let script = "read line < \"$0\"; printf lanner-renamed > /proc/self/comm; exit 0";
    let child = Command::new("setsid")
        .args(["setpriv", "--reuid=65534", "--clear-groups", "bash", "-c", script])
        .args([pipe.as_os_str(), "lanner-mark-7".as_ref()])
        .spawn();
    let Ok(mut child) = child else {
        return skip("there is no setsid here");
    };
    let is_of = |event: &'static str| move |alert: &Value| field(alert, "evt.type") == event;
    lanner.wait_for_alert("one for the program", is_of("execve"));
    fs::write(&pipe, "go\n").unwrap();
    assert!(child.wait().unwrap().success());
    let alert = lanner.wait_for_alert("one for its end", is_of("procexit"));
    assert_eq!(field(&alert, "proc.name"), "lanner-renamed");
    assert_eq!(field(&alert, "user.uid"), "65534");
    assert_eq!(field(&alert, "proc.is_sid_leader"), "true");
    lanner.stop();
}

#[test]
fn a_program_in_a_container_is_the_containers() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let (_folder, rules) = lanner::rules(RULES);
    let lanner = start(&rules, Some(&containerd));
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    let pod = containerd.pod("shop", "counter");
    let command = ["sh", "-c", "/bin/sh -c 'sleep 1000; exit 0' lanner-mark-2; true"];
    let mut run = Run::new("till", BUSYBOX);
    run.command = &command;
    let id = containerd.run(&pod, run);
    let inside =
        |mark| move |alert: &Value| is_of("Program", mark)(alert) && field(alert, "proc.pname") == "sh";
    let alert = lanner.wait_for_alert("one for the program", inside("lanner-mark-2"));
    // It stays until it was seen: it has to be there when it is asked about.
    let until_told = "until [ -e /tmp/go ]; do sleep 0.1; done";
    let other = std::thread::scope(|scope| {
        let executed = scope.spawn(|| containerd.exec(&id, &["/bin/sh", "-c", until_told, "lanner-mark-3"]));
        let alert = lanner.wait_for_alert("one for what is run in it", is_of("Program", "lanner-mark-3"));
        containerd.exec(&id, &["touch", "/tmp/go"]);
        assert_eq!(executed.join().unwrap().exit_code, 0);
        alert
    });
    for alert in [&alert, &other] {
        for (name, value) in [
            ("proc.name", "sh"),
            ("container.id", &id[..12]),
            ("container.full_id", &id),
            ("container.name", "till"),
            ("container.image.repository", BUSYBOX.rsplit_once(':').unwrap().0),
            ("k8s.pod.name", pod.name()),
            ("user.uid", "0"),
        ] {
            assert_eq!(field(alert, name), value, "{name}: {alert}");
        }
        let vpid: u32 = field(alert, "proc.vpid").parse().unwrap();
        assert!(vpid > 0 && vpid < 1000, "{alert}");
    }
    containerd.remove(&pod);
    lanner.stop();
}

#[test]
fn rules_are_replaced_without_a_restart() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (_folder, rules) = lanner::rules(&RULES.replace("lanner-mark", "another-mark"));
    let lanner = start(&rules, None);
    fs::write(&rules, RULES).unwrap();
    kill(lanner.pid(), Signal::SIGHUP).unwrap();
    lanner.wait_for_log("that they are in force", |line| {
        line.contains("reloaded (") && line.contains("tier none")
    });
    seen(&lanner, "lanner-mark-5");
    lanner.stop();
}

#[test]
fn falcos_stock_rules_run() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    if !path.exists() {
        return skip("FALCO_RULES names no file");
    }
    let _alone = alone();
    let ended = start(&path, None).stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("tier none"), "{}", ended.stderr);
}

#[test]
fn a_recording_can_be_gone_through_again() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (folder, rules) = lanner::rules(RULES);
    let recording = folder.path().join("recording");
    let arguments = [
        "record".as_ref(),
        "--alerts".as_ref(),
        "-o".as_ref(),
        "json_output=true".as_ref(),
        "-o".as_ref(),
        "engine.tier=none".as_ref(),
        "-o".as_ref(),
        "nri.enabled=false".as_ref(),
        "-o".as_ref(),
        "containerd.enabled=false".as_ref(),
        "-r".as_ref(),
        rules.as_os_str(),
        recording.as_os_str(),
    ];
    let lanner = Lanner::start(&arguments);
    seen(&lanner, "lanner-mark-6");
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let replayed = Command::new(lanner::PROGRAM)
        .args(["replay", "-o", "json_output=true", "-r"])
        .args([&rules, &recording])
        .output()
        .unwrap();
    let alerts = lanner::alerts_of(&String::from_utf8_lossy(&replayed.stdout));
    assert!(
        alerts.iter().any(is_of("Program", "lanner-mark-6")),
        "{}\n{}",
        String::from_utf8_lossy(&replayed.stdout),
        String::from_utf8_lossy(&replayed.stderr)
    );
}

#[test]
fn where_the_kernel_does_not_tell_of_processes_each_is_asked_about_at_its_events() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (folder, rules) = lanner::rules(
        r#"
- rule: Read
  desc: For these tests
  condition: evt.type in (open, openat) and fd.name endswith lanner-probe
  output: "%proc.name %proc.cmdline %user.name"
  priority: WARNING
"#,
    );
    // The connector is the first network namespace's.
    let mut command = Command::new("unshare");
    command
        .args(["--net", lanner::PROGRAM, "-o", "engine.tier=none"])
        .args(lanner::options(None))
        .arg("-r")
        .arg(&rules);
    if !Command::new("unshare")
        .args(["--net", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        return skip("there can be no network namespace here");
    }
    let lanner = Lanner::start_command(command);
    lanner.wait_for_log("why", |line| line.contains("not connector"));
    if !lanner.log().contains("from fanotify") {
        return skip("there is no fanotify here");
    }
    let (probe, pipe) = (folder.path().join("lanner-probe"), folder.path().join("pipe"));
    fs::write(&probe, "").unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // One process: as a shell, and as another program.
    let script = "exec 5< \"$0\"; read line < \"$1\"; exec tail -n1 -f \"$0\"";
    let mut child = Command::new("bash")
        .args(["-c", script])
        .args([&probe, &pipe])
        .spawn()
        .unwrap();
    let first = lanner.wait_for_alert("one for the shell", |alert| field(alert, "proc.name") == "bash");
    assert_eq!(field(&first, "user.name"), "root");
    assert_eq!(field(&first, "lanner.processes"), "bash|<NA>", "{first}");
    fs::write(&pipe, "go\n").unwrap();
    let second = lanner.wait_for_alert("one for what it runs then", |alert| {
        field(alert, "proc.name") == "tail"
    });
    assert!(
        field(&second, "proc.cmdline").starts_with("tail -n1 -f "),
        "{second}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    lanner.stop();
}
