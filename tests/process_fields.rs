//! The fields of processes, threads, users and groups, in alerts of the real program, against what /proc and the kernel say.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::lanner::{self, Lanner};
use support::skip;
use tempfile::TempDir;

/// Every field of the classes that no system call event lacks by its nature.
const FIELDS: &str = "%proc.exe %proc.pexe %proc.aexe[1] %proc.exepath %proc.pexepath %proc.aexepath[2] %proc.name %proc.pname \
    %proc.aname[1] %proc.aname[2] %proc.args %proc.args[1] %proc.aargs[1] %proc.cmdline %proc.pcmdline %proc.acmdline[1] \
    %proc.cmdnargs %proc.cmdlenargs %proc.exeline %proc.env[MARK] %proc.aenv[1] %proc.cwd %proc.loginshellid %proc.tty \
    %proc.pid %proc.ppid %proc.apid[1] %proc.vpid %proc.pvpid %proc.sid %proc.sname %proc.sid.exe %proc.sid.exepath \
    %proc.vpgid %proc.vpgid.name %proc.vpgid.exe %proc.vpgid.exepath %proc.pgid %proc.pgid.name %proc.pgid.exe \
    %proc.pgid.exepath %proc.duration %proc.ppid.duration %proc.pid.ts %proc.ppid.ts %proc.is_exe_writable \
    %proc.is_exe_upper_layer %proc.is_exe_lower_layer %proc.is_exe_from_memfd %proc.is_sid_leader %proc.is_vpgid_leader \
    %proc.is_pgid_leader %proc.exe_ino %proc.exe_ino.ctime %proc.exe_ino.mtime %proc.exe_ino.ctime_duration_proc_start \
    %proc.pidns_init_start_ts %thread.cap_permitted %thread.cap_inheritable %thread.cap_effective %proc.fdopencount \
    %proc.fdlimit %proc.fdusage %proc.vmsize %proc.vmrss %proc.vmswap %thread.pfmajor %thread.pfminor %thread.tid \
    %thread.ismain %thread.vtid %thread.exectime %thread.totexectime %thread.cgroups %thread.cgroup.cpu %proc.nthreads \
    %proc.nchilds %thread.vmsize %thread.vmrss %user.uid %user.name %user.homedir %user.shell %user.loginuid \
    %user.loginname %group.gid %group.name";

/// What the events of a test are told by: a directory that is changed to.
struct Scene {
    lanner: Lanner,
    dir: TempDir,
    _rules: TempDir,
}

impl Scene {
    /// `None` where Lanner can't run. `before` starts what is to run before it.
    fn start(before: impl FnOnce(&Path)) -> Option<Scene> {
        if let Some(reason) = lanner::impossible() {
            skip(&reason);
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        before(dir.path());
        let mark = dir.path().display();
        let rules = format!(
            "- rule: moved\n  desc: d\n  condition: evt.type = chdir and evt.arg.path startswith {mark}\n  output: \
             \"%evt.arg.path {FIELDS}\"\n  priority: WARNING\n- rule: removed\n  desc: d\n  condition: evt.type = rmdir and \
             evt.arg.path startswith {mark}\n  output: \"%evt.arg.path {FIELDS}\"\n  priority: WARNING\n- rule: started\n  \
             desc: d\n  condition: evt.type in (execve, execveat) and evt.res = SUCCESS and proc.env[MARK] = {mark}\n  \
             output: \"%evt.arg.vm_size %evt.arg.vm_rss %evt.arg.fdlimit %evt.arg.cgroups %evt.arg.pgft_min {FIELDS}\"\n  \
             priority: WARNING\n- rule: cloned\n  desc: d\n  condition: evt.type in (clone, clone3, fork, vfork) and \
             proc.env[MARK] = {mark}\n  output: \"%evt.rawres %evt.rawarg.vtid %evt.rawarg.vpid %evt.rawarg.ptid %evt.arg.vm_size \
             %evt.arg.comm {FIELDS}\"\n  priority: WARNING\n"
        );
        let (folder, file) = lanner::rules(&rules);
        let mut arguments = lanner::options(None);
        arguments.extend(["-r".to_owned(), file.to_str().unwrap().to_owned()]);
        arguments.extend(lanner::ROOM.map(str::to_owned));
        Some(Scene {
            lanner: Lanner::start(&arguments),
            dir,
            _rules: folder,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command in whose environment MARK is this scene's.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("MARK", self.dir.path());
        command
    }

    /// The fields of the first alert of this rule that `wanted` accepts.
    fn fields(&self, rule: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let alert = self.lanner.wait_for_alert(rule, |alert| {
            alert["rule"] == rule && wanted(&alert["output_fields"])
        });
        alert["output_fields"].clone()
    }

    /// The fields of the event of whoever changed to the directory with this name.
    fn moved(&self, name: &str) -> Value {
        let path = self.file(name).to_str().unwrap().to_owned();
        self.fields("moved", |fields| fields["evt.arg.path"] == path.as_str())
    }
}

/// A process that changes to a directory and waits, until its input ends.
struct Waiting(Child);

impl Waiting {
    fn start(scene: &Scene, name: &str, command: &mut Command) -> Waiting {
        fs::create_dir_all(scene.file(name)).unwrap();
        Waiting(command.stdin(Stdio::piped()).spawn().unwrap())
    }

    fn script(scene: &Scene, name: &str) -> String {
        format!("cd {}; read end", scene.file(name).display())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn proc(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

fn status(pid: u32, key: &str) -> String {
    let status = proc(pid, "status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// The number at `index` of /proc/PID/stat, counted from 1 as in proc_pid_stat(5).
fn stat(pid: u32, index: usize) -> i64 {
    let stat = proc(pid, "stat");
    let rest = stat.rsplit(')').next().unwrap();
    rest.split_whitespace().nth(index - 3).unwrap().parse().unwrap()
}

fn number(fields: &Value, name: &str) -> i64 {
    fields[name]
        .as_i64()
        .unwrap_or_else(|| panic!("{name}: {fields}"))
}

fn text<'a>(fields: &'a Value, name: &str) -> &'a str {
    fields[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name}: {fields}"))
}

fn link(path: impl AsRef<Path>) -> String {
    fs::read_link(path).unwrap().to_str().unwrap().to_owned()
}

/// The capabilities of a mask, as fields print them.
fn capabilities(mask: u64) -> String {
    let names = lanner_schema::flags::CAPABILITIES.iter().enumerate();
    let set: Vec<&str> = names
        .filter(|(bit, _)| mask & 1 << bit != 0)
        .map(|(_, name)| *name)
        .collect();
    set.join(" ")
}

#[test]
fn a_process_is_what_proc_says() {
    let Some(scene) = Scene::start(|_| {}) else { return };
    let mut command = scene.command("/bin/sh");
    command.args(["-c", &Waiting::script(&scene, "here"), "zero", "one two"]);
    // SAFETY: setsid() is all the child does before its program.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        });
    }
    let shell = Waiting::start(&scene, "here", &mut command);
    let (pid, me) = (shell.pid(), std::process::id());
    let fields = scene.moved("here");

    for (name, index) in [
        ("proc.ppid", 4),
        ("proc.pgid", 5),
        ("proc.sid", 6),
        ("proc.tty", 7),
        ("proc.nthreads", 20),
    ] {
        assert_eq!(number(&fields, name), stat(pid, index), "{name}");
    }
    for name in ["proc.pid", "thread.tid", "proc.sid", "proc.pgid"] {
        assert_eq!(number(&fields, name), i64::from(pid), "{name}");
    }
    assert_eq!(number(&fields, "proc.apid[1]"), i64::from(me));
    let innermost = |key: &str| {
        status(pid, key)
            .split_whitespace()
            .next_back()
            .unwrap()
            .parse::<i64>()
            .unwrap()
    };
    assert_eq!(number(&fields, "proc.vpid"), innermost("NSpid"));
    assert_eq!(number(&fields, "thread.vtid"), innermost("NSpid"));
    assert_eq!(number(&fields, "proc.vpgid"), innermost("NSpgid"));
    for name in [
        "proc.is_sid_leader",
        "proc.is_pgid_leader",
        "proc.is_vpgid_leader",
        "thread.ismain",
    ] {
        assert_eq!(fields[name], true, "{name}");
    }
    assert_eq!(number(&fields, "proc.nchilds"), 0);

    // The program, its parent's, and those of its own session and group.
    let exe = link(format!("/proc/{pid}/exe"));
    for name in [
        "proc.exepath",
        "proc.sid.exepath",
        "proc.pgid.exepath",
        "proc.vpgid.exepath",
    ] {
        assert_eq!(text(&fields, name), exe, "{name}");
    }
    for name in ["proc.exe", "proc.sid.exe", "proc.pgid.exe", "proc.vpgid.exe"] {
        assert_eq!(text(&fields, name), "/bin/sh", "{name}");
    }
    for name in ["proc.name", "proc.sname", "proc.pgid.name", "proc.vpgid.name"] {
        assert_eq!(text(&fields, name), "sh", "{name}");
    }
    assert_eq!(text(&fields, "proc.pexepath"), link("/proc/self/exe"));
    let mine = proc(me, "comm");
    assert_eq!(text(&fields, "proc.pname"), mine.trim_end());
    assert_eq!(text(&fields, "proc.aname[1]"), mine.trim_end());
    let grandparent = u32::try_from(stat(me, 4)).unwrap();
    assert_eq!(
        text(&fields, "proc.aname[2]"),
        proc(grandparent, "comm").trim_end()
    );

    let script = Waiting::script(&scene, "here");
    assert_eq!(text(&fields, "proc.args"), format!("-c {script} zero one two"));
    assert_eq!(text(&fields, "proc.args[1]"), script);
    assert_eq!(
        text(&fields, "proc.cmdline"),
        format!("sh -c {script} zero one two")
    );
    assert_eq!(
        text(&fields, "proc.exeline"),
        format!("/bin/sh -c {script} zero one two")
    );
    assert_eq!(number(&fields, "proc.cmdnargs"), 4);
    let lengths = "-c".len() + script.len() + "zero".len() + "one two".len();
    assert_eq!(
        number(&fields, "proc.cmdlenargs"),
        i64::try_from(lengths).unwrap()
    );
    assert_eq!(
        text(&fields, "proc.env[MARK]"),
        scene.dir.path().to_str().unwrap()
    );
    assert!(text(&fields, "proc.aenv[1]").contains("PATH="), "{fields}");
    assert_eq!(
        text(&fields, "proc.cwd"),
        format!("{}/", link(format!("/proc/{pid}/cwd")))
    );

    let file = fs::metadata(&exe).unwrap();
    assert_eq!(
        number(&fields, "proc.exe_ino"),
        i64::try_from(file.ino()).unwrap()
    );
    let changed = file.ctime() * 1_000_000_000 + file.ctime_nsec();
    assert_eq!(number(&fields, "proc.exe_ino.ctime"), changed);
    assert_eq!(
        number(&fields, "proc.exe_ino.mtime"),
        file.mtime() * 1_000_000_000 + file.mtime_nsec()
    );
    assert_eq!(
        fields["proc.is_exe_writable"], true,
        "it is root's, and so are we"
    );
    assert_eq!(fields["proc.is_exe_from_memfd"], false);

    times(&fields, pid, changed);
    memory(&fields, pid);

    for (name, key) in [
        ("permitted", "CapPrm"),
        ("inheritable", "CapInh"),
        ("effective", "CapEff"),
    ] {
        let mask = u64::from_str_radix(&status(pid, key), 16).unwrap();
        assert_eq!(
            text(&fields, &format!("thread.cap_{name}")),
            capabilities(mask),
            "{name}"
        );
    }
    assert_eq!(
        (number(&fields, "user.uid"), text(&fields, "user.name")),
        (0, "root")
    );
    assert_eq!(text(&fields, "user.homedir"), "/root");
    assert_eq!(
        (number(&fields, "group.gid"), text(&fields, "group.name")),
        (0, "root")
    );
    let login = proc(pid, "loginuid").parse::<u32>().unwrap();
    let login = if login == u32::MAX { -1 } else { i64::from(login) };
    assert_eq!(number(&fields, "user.loginuid"), login);

    let cgroup = proc(pid, "cgroup");
    let path = |controller: &str| {
        let mut lines = cgroup.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
        let of = |line: &Vec<&str>| line[1].split(',').any(|name| name == controller);
        let own = lines
            .clone()
            .find(of)
            .or_else(|| lines.find(|line| line[1].is_empty()));
        own.map(|line| line[2].to_owned())
    };
    assert_eq!(fields["thread.cgroup.cpu"].as_str(), path("cpu").as_deref());
    let memory = format!("memory={}", path("memory").unwrap_or_default());
    assert!(text(&fields, "thread.cgroups").contains(&memory), "{fields}");

    // The oldest shell among it and its ancestors.
    let (mut at, mut oldest) = (i64::from(pid), 0);
    while at > 0 {
        let id = u32::try_from(at).unwrap();
        if proc(id, "comm").trim_end().ends_with("sh") {
            oldest = at;
        }
        at = stat(id, 4);
    }
    assert_eq!(number(&fields, "proc.loginshellid"), oldest);
}

fn times(fields: &Value, pid: u32, changed: i64) {
    let clock = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    // Both of one moment: a busy machine may run something else between them.
    let (now, uptime) = loop {
        let before = clock();
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let now = clock();
        if now - before < 50_000_000 {
            break (now, uptime);
        }
    };
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    let started = |pid: u32| now - (uptime * 1e9) as i64 + stat(pid, 22) * 10_000_000;
    let near = |one: i64, other: i64, what: &str| {
        assert!((one - other).abs() < 200_000_000, "{what}: {one} {other}")
    };
    near(number(fields, "proc.pid.ts"), started(pid), "proc.pid.ts");
    let parent = started(std::process::id());
    near(number(fields, "proc.ppid.ts"), parent, "proc.ppid.ts");
    let (age, of_parent) = (
        number(fields, "proc.duration"),
        number(fields, "proc.ppid.duration"),
    );
    assert!(
        age > 0 && of_parent > age && of_parent < now - parent + 1_000_000_000,
        "{fields}"
    );
    assert_eq!(
        number(fields, "proc.exe_ino.ctime_duration_proc_start"),
        number(fields, "proc.pid.ts") - changed
    );
    near(
        number(fields, "proc.pidns_init_start_ts"),
        started(1),
        "proc.pidns_init_start_ts",
    );
}

/// What changes all the time is compared with what /proc says a moment later.
fn memory(fields: &Value, pid: u32) {
    let kb = |key: &str| {
        status(pid, key)
            .trim_end_matches(" kB")
            .parse::<i64>()
            .unwrap_or(0)
    };
    assert_eq!(
        number(fields, "proc.vmsize"),
        kb("VmSize"),
        "nothing is mapped after the call"
    );
    assert_eq!(number(fields, "thread.vmsize"), number(fields, "proc.vmsize"));
    // Each CPU may keep a few dozen pages of each kind to itself.
    let slack = 4 * 3 * 64 * i64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let resident = number(fields, "proc.vmrss");
    assert!(
        (resident - kb("VmRSS")).abs() <= slack,
        "{resident} {}",
        kb("VmRSS")
    );
    assert_eq!(number(fields, "proc.vmswap"), kb("VmSwap"));
    let faults = number(fields, "thread.pfminor");
    assert!(faults > 0 && faults <= stat(pid, 10), "{faults}");
    assert!(number(fields, "thread.pfmajor") <= stat(pid, 12));
    assert!(number(fields, "thread.totexectime") > 0);

    let open = i64::try_from(fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()).unwrap();
    assert_eq!(number(fields, "proc.fdopencount"), open);
    let limits = proc(pid, "limits");
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    let limit: i64 = limit.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(number(fields, "proc.fdlimit"), limit);
    let usage = fields["proc.fdusage"].as_f64().unwrap();
    assert!(
        (usage - open as f64 * 100.0 / limit as f64).abs() < 1e-6,
        "{usage}"
    );
}

/// Threads have ids and capabilities of their own.
#[test]
fn a_thread_is_not_its_process() {
    let Some(scene) = Scene::start(|_| {}) else { return };
    let gone = scene.file("gone");
    let (tid, effective) = std::thread::Builder::new()
        .name("worker".into())
        .spawn(move || {
            // struct __user_cap_header_struct and two __user_cap_data_struct: CAP_KILL alone, of this thread.
            let header = [0x2008_0522u32, 0];
            let data = [1u32 << 5, 1 << 5, 0, 0, 0, 0];
            // SAFETY: both live here and have the sizes of version 3.
            let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) };
            assert_eq!(result, 0);
            let tid = nix::unistd::gettid();
            let _ = fs::remove_dir(&gone);
            (tid.as_raw(), "CAP_KILL")
        })
        .unwrap()
        .join()
        .unwrap();
    let fields = scene.fields("removed", |fields| fields["thread.tid"] == tid);
    let me = std::process::id();
    assert_eq!(number(&fields, "proc.pid"), i64::from(me));
    assert_eq!(fields["thread.ismain"], false);
    assert_eq!(text(&fields, "thread.cap_effective"), effective);
    assert_eq!(text(&fields, "thread.cap_permitted"), effective);
    assert!(number(&fields, "proc.nthreads") >= 2);
    assert_eq!(
        number(&fields, "proc.nchilds"),
        number(&fields, "proc.nthreads") - 1
    );
    assert_eq!(
        (number(&fields, "thread.vmsize"), number(&fields, "thread.vmrss")),
        (0, 0),
        "told on the first thread"
    );
    assert!(number(&fields, "proc.vmsize") > 0);
    let own = status(me, "NSpid").split_whitespace().count();
    if own == 1 {
        assert_eq!(number(&fields, "thread.vtid"), i64::from(tid));
    }
}

#[test]
fn the_first_of_a_pid_namespace_knows_its_numbers() {
    let Some(scene) = Scene::start(|_| {}) else { return };
    fs::create_dir(scene.file("inside")).unwrap();
    let mut command = scene.command("/bin/sh");
    // The shell is the first of the namespace; what it starts by a subshell is the second.
    command.args(["-c", &format!("(cd {}); true", scene.file("inside").display())]);
    // SAFETY: unshare() and fork() are all that happens before the program; the parent waits and ends.
    unsafe {
        command.pre_exec(|| {
            if libc::unshare(libc::CLONE_NEWPID) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            match libc::fork() {
                -1 => Err(std::io::Error::last_os_error()),
                0 => Ok(()),
                child => {
                    let mut status = 0;
                    libc::waitpid(child, &mut status, 0);
                    libc::_exit(libc::WEXITSTATUS(status));
                }
            }
        });
    }
    assert!(command.status().unwrap().success());
    let fields = scene.moved("inside");
    let numbers = |names: [&str; 3]| names.map(|name| number(&fields, name));
    assert_eq!(numbers(["proc.vpid", "thread.vtid", "proc.pvpid"]), [2, 2, 1]);
    assert_eq!(
        number(&fields, "proc.pidns_init_start_ts"),
        number(&fields, "proc.ppid.ts")
    );
    let child = number(&fields, "proc.pid");
    let cloned = scene.fields("cloned", |fields| {
        fields["proc.pid"] == child && fields["evt.rawres"] == 0
    });
    for (name, value) in [
        ("evt.rawarg.vtid", "2"),
        ("evt.rawarg.vpid", "2"),
        ("evt.arg.comm", "sh"),
    ] {
        assert_eq!(cloned[name].to_string().trim_matches('"'), value, "{name}");
    }
    assert_eq!(number(&cloned, "evt.rawarg.ptid"), number(&fields, "proc.ppid"));
}

#[test]
fn programs_are_told_by_their_files() {
    let Some(scene) = Scene::start(|_| {}) else { return };
    // A script: the name is its own, the program its interpreter.
    let script = scene.file("script");
    support::script(
        &script,
        &format!("#!/bin/sh -e\n{}\n", Waiting::script(&scene, "there")),
    );
    let running = Waiting::start(&scene, "there", &mut scene.command(&script));
    let fields = scene.moved("there");
    assert_eq!(text(&fields, "proc.name"), "script");
    assert_eq!(text(&fields, "proc.exe"), "/bin/sh");
    assert_eq!(text(&fields, "proc.args"), format!("-e {}", script.display()));
    assert_eq!(
        text(&fields, "proc.exepath"),
        link(format!("/proc/{}/exe", running.pid()))
    );

    // A program with the set-user-ID bit, started by nobody.
    let copy = scene.file("raise");
    support::copy_program("/bin/true", &copy);
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o4755)).unwrap();
    fs::set_permissions(scene.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(
        scene
            .command(&copy)
            .uid(65534)
            .gid(65534)
            .status()
            .unwrap()
            .success()
    );
    let fields = scene.fields("started", |fields| fields["proc.name"] == "raise");
    assert_eq!(
        (number(&fields, "user.uid"), number(&fields, "group.gid")),
        (0, 65534)
    );
    assert!(
        text(&fields, "thread.cap_effective").contains("CAP_CHOWN"),
        "{fields}"
    );
    assert_eq!(fields["proc.is_exe_writable"], true, "as root");
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    assert!(
        scene
            .command(&copy)
            .arg("plain")
            .uid(65534)
            .gid(65534)
            .status()
            .unwrap()
            .success()
    );
    let fields = scene.fields("started", |fields| fields["proc.args"] == "plain");
    assert_eq!(
        (number(&fields, "user.uid"), text(&fields, "thread.cap_effective")),
        (65534, "")
    );
    assert_eq!(fields["proc.is_exe_writable"], false);
    // The parameters of an exec are those of the new program.
    for name in ["evt.arg.vm_size", "evt.arg.fdlimit", "evt.arg.pgft_min"] {
        let value: i64 = fields[name].to_string().trim_matches('"').parse().unwrap();
        assert!(value > 0, "{name}: {fields}");
    }
    assert!(
        fields["evt.arg.cgroups"].to_string().contains("memory=/"),
        "{fields}"
    );

    // Arguments longer than what is kept are cut, and everything else is there.
    let long = "x".repeat(6000);
    assert!(
        scene
            .command(&copy)
            .args(["long", &long])
            .status()
            .unwrap()
            .success()
    );
    let fields = scene.fields("started", |fields| {
        text(fields, "proc.args").starts_with("long x")
    });
    let kept = text(&fields, "proc.args").len();
    assert!((4000..4096).contains(&kept), "{kept}");
    assert_eq!(text(&fields, "proc.exepath"), copy.to_str().unwrap());
}

/// A file in memory with the shell in it, whose descriptor children inherit.
fn memory_file() -> std::fs::File {
    // SAFETY: the name lives during the call; the descriptor is nobody else's.
    let file = unsafe {
        let descriptor = libc::memfd_create(c"shell".as_ptr(), 0);
        assert!(descriptor >= 0);
        <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(descriptor)
    };
    std::io::copy(&mut fs::File::open("/bin/sh").unwrap(), &mut &file).unwrap();
    file
}

/// Programs that ran before Lanner: what can be said of their files from outside.
#[test]
fn programs_that_were_there_before_are_known() {
    let mut running = Vec::new();
    let mut started: Vec<(&str, Waiting)> = Vec::new();
    let memory = memory_file();
    let scene = Scene::start(|dir| {
        fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        for (name, mode, uid) in [("plain", 0o755, 65534), ("open", 0o757, 65534), ("own", 0o755, 0)] {
            let copy = dir.join(name);
            support::copy_program("/bin/sh", &copy);
            fs::set_permissions(&copy, PermissionsExt::from_mode(mode)).unwrap();
            running.push((name, Command::new(&copy), uid));
        }
        let number = std::os::fd::AsRawFd::as_raw_fd(&memory);
        running.push(("memory", Command::new(format!("/proc/self/fd/{number}")), 0));
        for (name, command, uid) in &mut running {
            let place = dir.join(format!("at-{name}"));
            fs::create_dir(&place).unwrap();
            command
                .args(["-c", &format!("read begin; cd {}; read end", place.display())])
                .uid(*uid)
                .gid(*uid)
                .stdin(Stdio::piped());
        }
        started = running
            .drain(..)
            .map(|(name, mut command, _)| (name, Waiting(command.spawn().unwrap())))
            .collect();
    });
    let Some(scene) = scene else { return };
    for (name, process) in &mut started {
        process.0.stdin.as_ref().unwrap().write_all(b"begin\n").unwrap();
        let fields = scene.moved(&format!("at-{name}"));
        let memory = *name == "memory";
        let uid = if matches!(*name, "plain" | "open") {
            65534
        } else {
            0
        };
        assert_eq!(number(&fields, "user.uid"), uid, "{name}");
        assert_eq!(
            fields["proc.is_exe_writable"],
            *name != "plain",
            "{name}: {fields}"
        );
        assert_eq!(fields["proc.is_exe_from_memfd"], memory, "{name}");
        if !memory {
            let exe = fs::metadata(scene.file(name)).unwrap();
            assert_eq!(number(&fields, "proc.exe_ino"), i64::try_from(exe.ino()).unwrap());
            assert_eq!(text(&fields, "proc.exepath"), scene.file(name).to_str().unwrap());
        }
    }
    // One that starts now has the same said of it by the kernel.
    let number = std::os::fd::AsRawFd::as_raw_fd(&memory);
    let now = Waiting::start(
        &scene,
        "now",
        scene
            .command(format!("/proc/self/fd/{number}"))
            .args(["-c", &Waiting::script(&scene, "now")]),
    );
    assert_eq!(scene.moved("now")["proc.is_exe_from_memfd"], true);
    drop(now);
}

#[test]
fn a_group_outside_the_pid_namespace_has_no_number_and_times_outlast_an_exec() {
    let Some(scene) = Scene::start(|_| {}) else { return };
    fs::create_dir_all(scene.file("later")).unwrap();
    let later = scene.file("later");
    let script = format!(
        "cd {}; exec sh -c 'cd {}; read end'",
        scene.file("sooner").display(),
        later.display()
    );
    let _first = Waiting::start(
        &scene,
        "sooner",
        scene
            .command("unshare")
            .args(["-p", "-f", "/bin/sh", "-c", &script]),
    );
    let (sooner, later) = (scene.moved("sooner"), scene.moved("later"));
    for fields in [&sooner, &later] {
        assert_eq!(
            (number(fields, "proc.vpid"), number(fields, "proc.vpgid")),
            (1, 0)
        );
        assert_eq!(fields["proc.is_vpgid_leader"], false);
        assert_ne!(number(fields, "proc.pgid"), 0);
        // The oldest of the namespace that is in that group is the process itself.
        assert_eq!(text(fields, "proc.vpgid.name"), "sh");
        assert_eq!(text(fields, "proc.vpgid.exepath"), text(fields, "proc.exepath"));
        assert_eq!(fields["proc.pidns_init_start_ts"], fields["proc.pid.ts"]);
    }
    assert_eq!(sooner["proc.pid.ts"], later["proc.pid.ts"]);
}

#[test]
fn what_a_daemon_was_started_by_is_known_when_that_has_ended() {
    let Some(scene) = Scene::start(|_| {}) else { return };
    let launcher = scene.file("launcher");
    support::copy_program("/bin/sh", &launcher);
    fs::create_dir(scene.file("orphaned")).unwrap();
    // The daemon waits until its parent is gone, and is somebody else's child in the kernel then.
    let daemon = format!(
        "while kill -0 $0 2>/dev/null; do :; done; cd {}",
        scene.file("orphaned").display()
    );
    let script = format!("setsid sh -c '{daemon}' $$ & exit 0");
    let mut started = scene.command(&launcher).args(["-c", &script]).spawn().unwrap();
    let parent = started.id();
    assert!(started.wait().unwrap().success());
    let fields = scene.moved("orphaned");
    assert_eq!(number(&fields, "proc.ppid"), i64::from(parent));
    assert_eq!(text(&fields, "proc.pname"), "launcher");
    assert_eq!(
        text(&fields, "proc.pexepath"),
        launcher.canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(
        text(&fields, "proc.aname[2]"),
        proc(std::process::id(), "comm").trim_end()
    );
}
