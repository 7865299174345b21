//! Notified containers of a real containerd and runc: the profile, the keeper, and what becomes of calls without either.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::MutexGuard;
use std::time::Duration;

use serde_json::Value;
use support::containerd::{BUSYBOX, Containerd, Pod, Run};
use support::cri::{Capability, ContainerConfig, Mount, SecurityProfile};
use support::lanner::{self, Lanner, PROGRAM, field};
use support::restrict::{CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, Restrictions};
use support::{skip, wait_for};

/// `RuntimeDefault` and `Localhost` of the CRI.
const RUNTIME_DEFAULT: i32 = 0;
const LOCALHOST: i32 = 2;

/// What the rules of these tests name. WHO is in each output.
const RULES: &str = r#"
- rule: Connected
  desc: For these tests
  condition: evt.type = connect and container.id != host
  output: "connect (port=%fd.rport ip=%fd.rip WHO line=%proc.cmdline)"
  priority: NOTICE
- rule: Packet socket
  desc: For these tests
  condition: evt.type = socket and evt.arg.domain contains AF_PACKET and container.id != host
  output: "socket (domain=%evt.arg.domain WHO)"
  priority: NOTICE
- rule: Traced
  desc: For these tests
  condition: evt.type = ptrace and evt.arg.request in (PTRACE_ATTACH, PTRACE_SEIZE) and container.id != host
  output: "ptrace (WHO)"
  priority: NOTICE
- rule: Mounted
  desc: For these tests
  condition: evt.type = mount and container.id != host
  output: "mount (name=%evt.arg.dev dir=%evt.arg.dir type=%evt.arg.type WHO)"
  priority: NOTICE
- rule: Namespace entered
  desc: For these tests
  condition: evt.type in (setns, unshare) and container.id != host
  output: "namespace (type=%evt.type flags=%evt.args WHO)"
  priority: NOTICE
- rule: Another call
  desc: For these tests
  condition: >
    evt.type in (bind, accept4, setuid, init_module, bpf, memfd_create) and proc.name = perl and container.id != host
  output: "call (type=%evt.type args=%evt.args WHO)"
  priority: NOTICE
"#;
const WHO: &str =
    "process=%proc.name parent=%proc.pname user=%user.name id=%container.id name=%container.name";
const NO_CALLS: &str = r#"
- rule: A file
  desc: For these tests
  condition: evt.type in (open, openat) and fd.name = /x
  output: "x"
  priority: NOTICE
"#;

/// The output of `lanner seccomp-profile`, and what it says.
fn profile(rules: &str, arguments: &[&str]) -> (Value, String) {
    let (_folder, rules) = lanner::rules(rules);
    let output = Command::new(PROGRAM)
        .args(["seccomp-profile", "-r"])
        .arg(rules)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

/// What a profile does with each call: the action, the error number and the conditions of every rule about it.
fn by_name(profile: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in profile["syscalls"].as_array().unwrap() {
        let args = rule["args"].as_array().cloned().unwrap_or_default();
        let args: Vec<String> = args
            .iter()
            .map(|arg| {
                format!(
                    "{} {} {} {}",
                    arg["index"],
                    arg["op"],
                    arg["value"],
                    arg["valueTwo"].as_u64().unwrap_or(0)
                )
            })
            .collect();
        let does = format!("{} {} {args:?}", rule["action"], rule["errnoRet"]);
        for name in rule["names"].as_array().unwrap() {
            names
                .entry(name.as_str().unwrap().to_owned())
                .or_default()
                .insert(does.clone());
        }
    }
    names
}

/// The keeper, in a process of its own.
struct Keeper(Child);

impl Keeper {
    fn start(folder: &Path) -> Keeper {
        let (listener, agents) = sockets(folder);
        let child = Command::new(PROGRAM)
            .args(["keeper", "-v", "--listener"])
            .arg(&listener)
            .arg("--agents")
            .arg(agents)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let keeper = Keeper(child);
        wait_for("the keeper's socket", Duration::from_secs(60), || {
            UnixStream::connect(&listener).ok()
        });
        keeper
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where runtimes and agents find the keeper.
fn sockets(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("seccomp.sock"), folder.join("agents.sock"))
}

/// A real containerd, and this test's turn; or why not.
fn containerd() -> Result<(Containerd, MutexGuard<'static, ()>), String> {
    let alone = support::alone();
    Ok((Containerd::start()?, alone))
}

/// A real containerd with a keeper, and the profile that its containers are notified by. The keeper goes first.
struct Machine {
    keeper: Keeper,
    profile: SecurityProfile,
    containerd: Containerd,
    _alone: MutexGuard<'static, ()>,
}

impl Machine {
    /// `None` where there can be none, which is said.
    fn start() -> Option<Machine> {
        let (containerd, alone) = containerd().inspect_err(|reason| skip(reason)).ok()?;
        Some(Machine {
            keeper: Keeper::start(containerd.base()),
            profile: localhost(&profile_file(&containerd)),
            containerd,
            _alone: alone,
        })
    }
}

/// A container that runs this Perl program of the host's Perl, under a profile.
fn perl(
    pod: &Pod,
    name: &str,
    program: &str,
    profile: SecurityProfile,
    capabilities: &[&str],
) -> ContainerConfig {
    let command = ["busybox", "chroot", "/host", "perl", "-e", program];
    let mut config = Containerd::config(
        pod,
        Run {
            command: &command,
            ..Run::new(name, BUSYBOX)
        },
    );
    config.mounts.push(Mount {
        container_path: "/host".to_owned(),
        host_path: "/".to_owned(),
        readonly: true,
    });
    let security = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
    security.seccomp = Some(profile);
    security.capabilities = Some(Capability {
        add_capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
        drop_capabilities: Vec::new(),
    });
    config
}

fn localhost(path: &Path) -> SecurityProfile {
    SecurityProfile {
        profile_type: LOCALHOST,
        localhost_ref: path.to_str().unwrap().to_owned(),
    }
}

/// Writes the profile for these rules beside containerd's files.
fn profile_file(containerd: &Containerd) -> PathBuf {
    let path = containerd.base().join("profile.json");
    let (listener, _) = sockets(containerd.base());
    let (_folder, rules) = lanner::rules(&RULES.replace("WHO", WHO));
    let status = Command::new(PROGRAM)
        .args(["seccomp-profile", "-r"])
        .arg(rules)
        .arg("--output")
        .arg(&path)
        .arg("--listener")
        .arg(listener)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    path
}

/// Connects so often to a port on which nobody listens, and prints every other error than that.
const CONNECTS: &str = r#"use Socket; $| = 1; print "begun\n"; my $wrong = 0;
for (1..10000) { socket(my $s, PF_INET, SOCK_STREAM, 0) or $wrong++;
  connect($s, sockaddr_in(9, inet_aton("127.0.0.1"))) or $!{ECONNREFUSED} or $wrong++; }
print "wrong=$wrong\n";"#;

/// A file, and a program that connects for as long as that is there.
fn under_way(containerd: &Containerd) -> (PathBuf, String) {
    let file = containerd.base().join("under-way");
    fs::write(&file, "").unwrap();
    let is_there = format!("for (my $n = 0; $n % 100 or -e \"{}\"; $n++) {{", file.display());
    let program = CONNECTS.replace("for (1..10000) {", &is_there);
    assert_ne!(program, CONNECTS);
    (file, program)
}

/// Calls by number: what the default profile refuses gives EPERM with and without notification.
const CALLS: &str = r#"$| = 1; sub did { my ($name, $number, @args) = @_; $! = 0; my $r = syscall($number, @args); print "$name ", ($r < 0 ? $!+0 : "ok"), "\n"; }
my ($n, $d, $t) = ("none", "/nowhere", "tmpfs");
did("socket", 41, 17, 3, 0x300);
did("mount", 165, $n, $d, $t, 0, 0);
did("setns", 308, 0, 0x20000000);
did("unshare", 272, 0x20000000);
did("ptrace", 101, 16, 1, 0, 0);"#;

#[test]
fn the_profile_without_calls_to_notify_of_is_containerds_default() {
    let (containerd, _alone) = match containerd() {
        Ok(machine) => machine,
        Err(reason) => return skip(&reason),
    };
    let pod = containerd.pod("profiles", "default");
    for capabilities in [&[][..], &["SYS_ADMIN"], &["ALL"]] {
        let mut config = Containerd::config(&pod, Run::new("sleeper", BUSYBOX));
        let security = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        security.seccomp = Some(SecurityProfile {
            profile_type: RUNTIME_DEFAULT,
            ..SecurityProfile::default()
        });
        security.capabilities = Some(Capability {
            add_capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
            drop_capabilities: Vec::new(),
        });
        config.metadata.as_mut().unwrap().name =
            format!("sleeper-{}", capabilities.len() + capabilities.concat().len());
        let id = containerd.run_config(&pod, config);
        let bundle = containerd
            .base()
            .join("state/io.containerd.runtime.v2.task/k8s.io")
            .join(&id);
        let spec: Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
        let bounding = spec["process"]["capabilities"]["bounding"].as_array().unwrap();
        let mut arguments = Vec::new();
        for capability in bounding {
            arguments.extend(["--capability", capability.as_str().unwrap()]);
        }
        let (ours, said) = profile(NO_CALLS, &arguments);
        assert!(said.contains("this is the default profile"), "{said}");
        let theirs = &spec["linux"]["seccomp"];
        for key in [
            "defaultAction",
            "architectures",
            "defaultErrnoRet",
            "flags",
            "listenerPath",
        ] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        let (mut ours, mut theirs) = (by_name(&ours), by_name(theirs));
        // Older releases allow AF_ALG, too.
        let socket = ours.remove("socket").unwrap();
        assert!(
            socket.len() == 3 && theirs.remove("socket").is_some(),
            "{socket:?}"
        );
        let differ: Vec<_> = ours
            .keys()
            .chain(theirs.keys())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|name| ours.get(*name) != theirs.get(*name))
            .map(|name| {
                format!(
                    "{name}: {:?}, and by containerd {:?}",
                    ours.get(name),
                    theirs.get(name)
                )
            })
            .collect();
        assert!(differ.is_empty(), "{capabilities:?}: {differ:#?}");
    }
}

#[test]
fn a_notified_container_does_what_it_does_without_an_agent() {
    let Some(machine) = Machine::start() else { return };
    let (containerd, profile) = (&machine.containerd, machine.profile.clone());
    let pod = containerd.pod("notified", "alone");
    let id = containerd.run_config(&pod, perl(&pod, "connects", CONNECTS, profile.clone(), &[]));
    assert_eq!(
        containerd.wait_for_exit(&id).exit_code,
        0,
        "{}",
        containerd.log_of(&id)
    );
    let said = containerd.log_of(&id);
    assert!(said.contains("wrong=0"), "{said}");

    // What the default refuses is refused, and nothing else.
    let default = SecurityProfile::default();
    let did = |name: &str, profile: SecurityProfile| {
        let id = containerd.run_config(&pod, perl(&pod, name, CALLS, profile, &[]));
        containerd.wait_for_exit(&id);
        let log = containerd.log_of(&id);
        // Behind time, stream and tag.
        log.lines()
            .filter_map(|line| Some(line.splitn(4, ' ').nth(3)?.to_owned()))
            .collect::<Vec<_>>()
    };
    let with = did("with", profile.clone());
    assert_eq!(with, did("without", default));
    assert_eq!(with.len(), 5, "{with:?}");
    assert!(
        with.contains(&"mount 1".to_owned()) && with.contains(&"socket ok".to_owned()),
        "{with:?}"
    );

    // A command that is run in it has a listener of its own.
    let sleeper = containerd.run_config(&pod, {
        let mut config = perl(&pod, "sleeper", "", profile.clone(), &[]);
        config.command = vec!["sleep".to_owned(), "1000000".to_owned()];
        config
    });
    let executed = containerd.exec(&sleeper, &["busybox", "chroot", "/host", "perl", "-e", CONNECTS]);
    assert!(
        String::from_utf8_lossy(&executed.stdout).contains("wrong=0"),
        "{executed:?}"
    );

    // Without a keeper such a container does not start.
    drop(machine.keeper);
    let config = perl(&pod, "refused", CONNECTS, profile, &[]);
    let cri = containerd.cri();
    let created = cri.create_container((&pod.id, &pod.config), config);
    let started = created.and_then(|id| cri.start_container(&id));
    let error = started.unwrap_err().to_string();
    assert!(error.contains("seccomp"), "{error}");
}

/// What is done in the container of the test below: each of what its rules are about.
const SUSPICIOUS: &str = r#"$| = 1; use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die; connect($s, sockaddr_in(9, inet_aton("127.0.0.1")));
syscall(41, 17, 3, 0x300);
my ($n, $d, $t) = ("none", "/nowhere", "tmpfs"); syscall(165, $n, $d, $t, 0, 0);
syscall(308, 0, 0x20000000);
syscall(272, 0x20000000);
syscall(101, 16, $$, 0, 0);
bind($s, sockaddr_in(0, inet_aton("127.0.0.1"))); syscall(288, fileno($s), 0, 0, 0);
syscall(105, 0); syscall(175, 0, 0, 0); syscall(321, 5, 0, 0);
my $f = "lanner-memory"; syscall(319, $f, 0);
print "done\n"; sleep 1000000;"#;

/// Lanner where it may not use bpf(2), for this reason, served by the keeper.
fn without_bpf(
    containerd: &Containerd,
    restrictions: &Restrictions,
    reason: &str,
) -> (Lanner, tempfile::TempDir) {
    let (_, agents) = sockets(containerd.base());
    let (folder, rules) = lanner::rules(&RULES.replace("WHO", WHO));
    let mut command = restrictions.command(PROGRAM);
    command.args(lanner::options(Some(containerd)));
    command
        .arg("-o")
        .arg(format!("engine.seccomp_keeper={}", agents.display()));
    command.arg("-r").arg(rules);
    let lanner = Lanner::start_command(command);
    lanner.wait_for_log("what it watches by", |line| {
        line.contains("tier none: ") && line.contains(reason)
    });
    lanner.wait_for_log("that it is served", |line| {
        line.contains("seccomp notify: the keeper at")
    });
    (lanner, folder)
}

/// The same on a host that refuses bpf(2).
fn refused_bpf(containerd: &Containerd) -> (Lanner, tempfile::TempDir) {
    without_bpf(containerd, &Restrictions::without_bpf(libc::EPERM), "EPERM")
}

#[test]
fn what_a_notified_container_does_alerts_with_its_identity_without_bpf() {
    let Some(machine) = Machine::start() else { return };
    let (containerd, profile) = (&machine.containerd, machine.profile.clone());
    let (lanner, _folder) = refused_bpf(containerd);
    let pod = containerd.pod("notified", "seen");
    let mut config = perl(&pod, "suspect", SUSPICIOUS, profile, &[]);
    // Below a shell, which waits for it.
    let script = "busybox chroot /host perl -e \"$0\"; true";
    config.command = ["/bin/sh", "-c", script, SUSPICIOUS].map(str::to_owned).to_vec();
    let id = containerd.run_config(&pod, config);
    for (rule, what, text) in [
        ("Connected", "connect", "port=9 ip=127.0.0.1"),
        ("Packet socket", "socket", "AF_PACKET"),
        ("Mounted", "mount", "dir=/nowhere"),
        ("Namespace entered", "setns", "type=setns"),
        ("Namespace entered", "unshare", "type=unshare"),
        ("Traced", "ptrace", "ptrace"),
        ("Another call", "bind", "type=bind"),
        ("Another call", "accept", "type=accept4"),
        ("Another call", "setuid", "type=setuid"),
        ("Another call", "a module", "type=init_module"),
        ("Another call", "bpf", "type=bpf"),
        ("Another call", "memory", "lanner-memory"),
    ] {
        let alert = lanner.wait_for_alert(what, |alert| {
            alert["rule"] == rule
                && field(alert, "container.id") == id[..12]
                && alert["output"]
                    .as_str()
                    .is_some_and(|output| output.contains(text))
        });
        for (name, value) in [
            ("proc.name", "perl"),
            ("proc.pname", "sh"),
            ("user.name", "root"),
            ("container.name", "suspect"),
        ] {
            assert_eq!(field(&alert, name), value, "{name}: {alert}");
        }
    }
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn an_agent_that_is_killed_fails_no_call() {
    let Some(machine) = Machine::start() else { return };
    let (containerd, profile) = (&machine.containerd, machine.profile.clone());
    let (lanner, _folder) = refused_bpf(containerd);
    let pod = containerd.pod("notified", "bereft");
    let (under_way, program) = under_way(containerd);
    let id = containerd.run_config(&pod, perl(&pod, "connects", &program, profile, &[]));
    // It is seen, so that it is under way.
    lanner.wait_for_alert("a connect", |alert| {
        alert["rule"] == "Connected" && field(alert, "container.id") == id[..12]
    });
    lanner.kill();
    fs::remove_file(under_way).unwrap();
    let ended = containerd.wait_for_exit(&id);
    let said = containerd.log_of(&id);
    assert!(ended.exit_code == 0 && said.contains("wrong=0"), "{said}");
}

#[test]
fn a_keeper_that_is_killed_while_an_agent_runs_fails_no_call_and_the_next_one_takes_over() {
    let Some(machine) = Machine::start() else { return };
    let (containerd, profile) = (&machine.containerd, machine.profile.clone());
    let (lanner, _folder) = without_bpf(
        containerd,
        &Restrictions::without(&[CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON]),
        "CAP_BPF",
    );
    let pod = containerd.pod("notified", "orphaned");
    let (under_way, program) = under_way(containerd);
    let id = containerd.run_config(&pod, perl(&pod, "connects", &program, profile, &[]));
    let connected = |alert: &Value| alert["rule"] == "Connected" && field(alert, "container.id") == id[..12];
    lanner.wait_for_alert("a connect", connected);
    drop(machine.keeper);
    // It goes on without the keeper,
    let seen = lanner.alerts().len();
    lanner.wait_for_alerts("connects without a keeper", seen + 200, connected);
    // and the next one has the listeners when the agent is gone, too.
    let _keeper = Keeper::start(containerd.base());
    let served = |log: &str| log.matches("is served").count() == 2;
    wait_for("the next keeper to be served", Duration::from_secs(60), || {
        served(&lanner.log()).then_some(())
    });
    let seen = lanner.alerts().len();
    lanner.wait_for_alerts("connects with the next keeper", seen + 200, connected);
    lanner.kill();
    fs::remove_file(under_way).unwrap();
    let ended = containerd.wait_for_exit(&id);
    let said = containerd.log_of(&id);
    assert!(ended.exit_code == 0 && said.contains("wrong=0"), "{said}");
}
