//! Recordings of real events: what was alerted while they were made is alerted again when they are replayed, by a user
//! without rights.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::containerd::{BUSYBOX, Containerd, Run, SHADOW};
use support::lanner::{self, Lanner, PROGRAM};
use support::skip;

/// An alert of about everything, with about all that is known of it.
const RULES: &str = r#"
- rule: Opened
  desc: For these tests
  condition: evt.type in (open, openat, openat2) and not proc.name in (lanner, containerd)
  output: "num=%evt.num args=%evt.args res=%evt.res cpu=%evt.cpu line=%proc.cmdline exe=%proc.exepath cwd=%proc.cwd name=%proc.name parent=%proc.pname above=%proc.aname[2] above=%proc.aname[3] pid=%proc.pid vpid=%proc.vpid ppid=%proc.ppid tid=%thread.tid start=%proc.pid.ts sid=%proc.sid sname=%proc.sname tty=%proc.tty env=%proc.env ino=%proc.exe_ino user=%user.name home=%user.homedir uid=%user.uid group=%group.name login=%user.loginuid fd=%fd.name raw=%fs.path.nameraw num=%fd.num host=%evt.hostname time=%evt.time.iso8601 container=%container.id name=%container.name image=%container.image.repository pod=%k8s.pod.name ns=%k8s.ns.name label=%k8s.pod.label[app]"
  priority: NOTICE
- rule: Ran
  desc: For these tests
  condition: evt.type in (execve, execveat)
  output: "num=%evt.num args=%evt.args line=%proc.cmdline parent=%proc.pcmdline user=%user.name container=%container.id image=%container.image pod=%k8s.pod.name"
  priority: NOTICE
- rule: Ended
  desc: For these tests
  condition: evt.type = procexit
  output: "num=%evt.num args=%evt.args line=%proc.cmdline container=%container.id"
  priority: NOTICE
- rule: Talked
  desc: For these tests
  condition: evt.type in (connect, sendto, listen)
  output: "num=%evt.num args=%evt.args fd=%fd.name type=%fd.type server=%fd.sip line=%proc.cmdline"
  priority: NOTICE
- rule: Came or went
  desc: For these tests
  condition: evt.type in (container, container_removed)
  output: "num=%evt.num args=%evt.args container=%container.full_id image=%container.image id=%container.image.id mounts=%container.mounts privileged=%container.privileged pid=%container.host_pid network=%container.host_network ip=%container.ip start=%container.start_ts duration=%container.duration"
  priority: NOTICE
- rule: Closed
  desc: For these tests
  condition: evt.type = close and (fd.sip = 127.0.0.1 or fd.name = /etc/passwd)
  output: "num=%evt.num args=%evt.args fd=%fd.name type=%fd.type server=%fd.sip dev=%fd.dev ino=%fd.ino line=%proc.cmdline"
  priority: NOTICE
"#;

struct Stage {
    folder: tempfile::TempDir,
    rules: PathBuf,
    recording: PathBuf,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        // Somebody else comes in here later.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let rules = folder.path().join("rules.yaml");
        fs::write(&rules, RULES).unwrap();
        Stage {
            rules,
            recording: folder.path().join("recording"),
            folder,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The arguments of a recording.
    fn record(&self, containerd: Option<&Containerd>, more: &[&str]) -> Vec<String> {
        let mut arguments = vec!["record".to_owned(), self.path("recording")];
        arguments.extend(lanner::options(containerd));
        // A burst of alerts must not be lost on its way to the test.
        arguments.extend(
            [
                "-o",
                "outputs_queue.capacity=1000000",
                "-r",
                self.rules.to_str().unwrap(),
            ]
            .map(str::to_owned),
        );
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        arguments
    }

    /// Replays as nobody.
    fn replay(&self, more: &[&str]) -> Output {
        chown(&self.recording, Some(NOBODY), Some(NOBODY)).unwrap();
        // The program as anybody may run it, wherever it was built.
        let program = self.folder.path().join("lanner");
        if !program.exists() {
            support::copy_program(PROGRAM, &program);
        }
        let mut arguments = vec!["replay".to_owned(), self.path("recording")];
        arguments.extend(lanner::options(None));
        arguments.extend(["-r", self.rules.to_str().unwrap()].map(str::to_owned));
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        Command::new(program)
            .args(arguments)
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

const NOBODY: u32 = 65534;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The alerts of rules; what the recorder says of its own losses is its own.
fn alerts(stdout: &str) -> Vec<&str> {
    let alerts = stdout.lines().filter(|line| line.starts_with('{'));
    alerts.filter(|line| !line.contains("Falco internal")).collect()
}

/// Compares with a message that one can read.
fn assert_same(live: &[&str], replayed: &[&str], log: &str) {
    for (index, (live, replayed)) in live.iter().zip(replayed).enumerate() {
        assert_eq!(live, replayed, "alert {index}\n{log}");
    }
    assert_eq!(live.len(), replayed.len(), "{log}");
}

/// Shells in a loop, users, and a web server under load.
fn work(rounds: u32) {
    for _ in 0..rounds {
        let script = "for i in 1 2 3 4 5; do cat /etc/passwd /etc/hosts | wc -l; done; cd /usr && ls -la > /dev/null; \
                      (exec -a odd cat /etc/hostname); cat /does/not/exist; true";
        let status = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        let status = Command::new("cat")
            .arg("/etc/hosts")
            .uid(NOBODY)
            .gid(NOBODY)
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let requests = rounds * 10;
    let serving = thread::spawn(move || {
        for stream in server.incoming().take(requests as usize) {
            let mut stream = stream.unwrap();
            let page = fs::read("/etc/hosts").unwrap();
            stream.write_all(&page).unwrap();
        }
    });
    for _ in 0..requests {
        let mut page = Vec::new();
        TcpStream::connect(address)
            .unwrap()
            .read_to_end(&mut page)
            .unwrap();
        assert!(!page.is_empty());
    }
    serving.join().unwrap();
}

#[test]
fn a_replay_alerts_as_the_recorder_did() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let stage = Stage::new();
    let recorder = Lanner::start(&stage.record(None, &["--alerts"]));
    work(5);
    recorder.wait_for_alerts("the shells' commands", 25, |alert| {
        alert["rule"] == "Ran" && lanner::field(alert, "proc.cmdline") == "cat /etc/passwd /etc/hosts"
    });
    let recorded = recorder.stop();
    assert_eq!(recorded.status.code(), Some(0), "{}", recorded.stderr);
    assert!(recorded.stderr.contains("Recorded "), "{}", recorded.stderr);
    let live = alerts(&recorded.stdout);
    let output = stage.replay(&[]);
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert_same(&live, &alerts(&text(&output.stdout)), &log);
    assert!(live.len() > 300, "{}", live.len());
    // Of what was closed the recording has what the kernel said before it was.
    let closed = |what: &str| {
        live.iter()
            .any(|line| line.contains("\"rule\":\"Closed\"") && line.contains(what))
    };
    assert!(closed("\"fd.name\":\"/etc/passwd\"") && closed("\"fd.type\":\"ipv4\""));
    assert!(log.contains("alerts") && !log.contains("cut at byte"), "{log}");
    // Falco's configuration does the same.
    let output = Command::new(PROGRAM)
        .args(lanner::options(None))
        .args(["-o", "engine.kind=replay", "-o"])
        .arg(format!("engine.replay.capture_file={}", stage.path("recording")))
        .arg("-r")
        .arg(&stage.rules)
        .output()
        .unwrap();
    assert_same(&live, &alerts(&text(&output.stdout)), &text(&output.stderr));
}

#[test]
fn a_replay_knows_the_containers_as_the_recorder_did() {
    let Some((_alone, containerd)) = lanner::beside_containerd() else {
        return;
    };
    let before = containerd.pod("shop", "before");
    let old = containerd.run(&before, Run::new("old", BUSYBOX));
    let stage = Stage::new();
    let recorder = Lanner::start(&stage.record(Some(&containerd), &["--alerts"]));
    recorder.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    assert_eq!(containerd.exec(&old, &["cat", "/etc/passwd"]).exit_code, 0);
    let mut of = Vec::new();
    for number in 0..3 {
        let pod = containerd.pod("batch", &format!("job-{number}"));
        let job = containerd.run(&pod, Run::new("reader", SHADOW));
        assert_eq!(containerd.wait_for_exit(&job).exit_code, 0);
        let web = containerd.run(&pod, Run::new("web", BUSYBOX));
        assert_eq!(
            containerd
                .exec(&web, &["sh", "-c", "cat /etc/group; ls /"])
                .exit_code,
            0
        );
        of.push((pod, web));
    }
    for (_, web) in &of {
        recorder.wait_for_alert("of the shell's cat", |alert| {
            alert["rule"] == "Opened"
                && lanner::field(alert, "container.id") == web[..12]
                && lanner::field(alert, "fd.name") == "/etc/group"
        });
    }
    let recorded = recorder.stop();
    let live = alerts(&recorded.stdout);
    let output = stage.replay(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let replayed = alerts(&stdout);
    assert_same(&live, &replayed, &text(&output.stderr));
    let named = |name: &str| replayed.iter().filter(|line| line.contains(name)).count();
    assert!(named("\"k8s.pod.name\":\"job-2\"") > 0 && named("\"k8s.pod.name\":\"before\"") > 0);
    // Two that ran before; three pods with two containers each.
    assert!(named("\"rule\":\"Came or went\"") >= 11, "{replayed:#?}");
}

#[test]
fn a_recorder_that_is_killed_leaves_what_it_had() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let stage = Stage::new();
    let mut command = Command::new(PROGRAM);
    command.args(stage.record(None, &["--alerts"]));
    let recorder = Lanner::start_command(command);
    // Chunks are written once a second: work until something was.
    let deadline = Instant::now() + Duration::from_secs(60);
    let size = || fs::metadata(&stage.recording).map_or(0, |file| file.len());
    let start = size();
    while size() < start + (256 << 10) {
        assert!(Instant::now() < deadline, "nothing is written");
        work(1);
    }
    let killed = recorder.kill();
    let live = alerts(&killed.stdout);
    let output = stage.replay(&[]);
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("is cut at byte"), "{log}");
    let stdout = text(&output.stdout);
    let replayed = alerts(&stdout);
    assert!(!replayed.is_empty());
    let both = replayed.len().min(live.len());
    assert_same(&live[..both], &replayed[..both], &log);
}

#[test]
fn a_recording_keeps_to_its_limits_and_its_file() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let stage = Stage::new();
    fs::write(&stage.recording, "precious").unwrap();
    let run = |more: &[&str]| {
        Command::new(PROGRAM)
            .args(stage.record(None, more))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let refused = run(&["--duration", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("--force"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(fs::read(&stage.recording).unwrap(), b"precious");
    let unknown = run(&["--force", "--events", "openat,opneat"]);
    assert!(
        text(&unknown.stderr).contains("opneat"),
        "{}",
        text(&unknown.stderr)
    );
    assert_eq!(fs::read(&stage.recording).unwrap(), b"precious");

    let working = keep_working();
    let ended = run(&["--force", "--all", "--max-size", "3M"]);
    drop(working);
    let log = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{log}");
    assert!(log.contains("as large as it may be"), "{log}");
    assert!(
        ended.stdout.is_empty(),
        "no alerts without --alerts: {}",
        text(&ended.stdout)
    );
    let size = fs::metadata(&stage.recording).unwrap();
    assert!(size.len() <= 3 << 20 && size.len() > 1 << 20, "{}", size.len());
    assert_eq!(size.permissions().mode() & 0o777, 0o600);
    // Whole, with every event that any rule may want.
    let replayed = stage.replay(&[]);
    let log = text(&replayed.stderr);
    assert_eq!(replayed.status.code(), Some(0), "{log}");
    assert!(
        !log.contains("cut at byte") && !log.contains("the recording has no"),
        "{log}"
    );
    let bench = stage.replay(&["--bench"]);
    let report = text(&bench.stdout);
    for row in ["decode", "enrich", "rules", "ns a record"] {
        assert!(report.contains(row), "{report}{}", text(&bench.stderr));
    }
}

/// Commands as long as something lives.
fn keep_working() -> Working {
    let on = Arc::new(AtomicBool::new(true));
    let worker = thread::spawn({
        let on = Arc::clone(&on);
        move || {
            while on.load(Ordering::Relaxed) {
                work(1);
            }
        }
    });
    Working(on, Some(worker))
}

struct Working(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        let _ = self.1.take().map(thread::JoinHandle::join);
    }
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_a_recording_and_takes_nothing_from_what_is_in_it() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let stage = Stage::new();
    let disk = Disk(stage.folder.path().join("disk"));
    fs::create_dir(&disk.0).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2M", "tmpfs"])
        .arg(&disk.0)
        .status();
    assert!(mounted.unwrap().success());
    let place = disk.0.join("recording");
    let working = keep_working();
    let ended = Command::new(PROGRAM)
        .arg("record")
        .arg(&place)
        .args(lanner::options(None))
        .arg("-r")
        .arg(&stage.rules)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    drop(working);
    let log = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{log}");
    assert!(log.contains("No space left on device"), "{log}");
    fs::copy(&place, &stage.recording).unwrap();
    drop(disk);
    let replayed = stage.replay(&[]);
    let log = text(&replayed.stderr);
    assert_eq!(replayed.status.code(), Some(0), "{log}");
    assert!(log.contains("is cut at byte"), "{log}");
    assert!(alerts(&text(&replayed.stdout)).len() > 10, "{log}");
}

#[test]
fn what_can_not_be_replayed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let output = Command::new(PROGRAM)
            .args(["replay", path.to_str().unwrap()])
            .args(lanner::options(None))
            .output()
            .unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, log) = run("text", b"no recording");
    assert!(
        code == Some(1) && log.contains("not a recording of Lanner"),
        "{log}"
    );
    let (code, log) = run("falco.scap", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    assert!(code == Some(1) && log.contains(".scap"), "{log}");
    let missing = Command::new(PROGRAM)
        .args(["replay", "/does/not/exist"])
        .output()
        .unwrap();
    assert!(missing.status.code() == Some(1) && text(&missing.stderr).contains("/does/not/exist"));
}

/// A count of what a machine did, for the long run.
fn while_working(jobs: &[fn(&Path)], seconds: u64, folder: &Path) -> u64 {
    let working = Arc::new(AtomicBool::new(true));
    let done = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = jobs
        .iter()
        .enumerate()
        .map(|(index, job)| {
            let (working, done, job) = (Arc::clone(&working), Arc::clone(&done), *job);
            let folder = folder.join(format!("job-{index}"));
            fs::create_dir(&folder).unwrap();
            thread::spawn(move || {
                while working.load(Ordering::Relaxed) {
                    job(&folder);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_secs(seconds));
    working.store(false, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    done.load(Ordering::Relaxed)
}

/// A build of two C files with whatever compiler there is.
fn build(folder: &Path) {
    fs::write(folder.join("a.c"), "int f(int x) { return x * 2; }\n").unwrap();
    fs::write(
        folder.join("b.c"),
        "int f(int); int main(void) { return f(0); }\n",
    )
    .unwrap();
    let status = Command::new("cc")
        .args(["-o", "ab", "a.c", "b.c"])
        .current_dir(folder)
        .status();
    assert!(status.unwrap().success());
}

fn query_packages(_: &Path) {
    let _ = Command::new("dpkg").args(["-l"]).stdout(Stdio::null()).status();
    let _ = Command::new("dpkg")
        .args(["-S", "/bin/sh"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// A mixed workload, with pods where there is a containerd: takes about a minute.
#[test]
#[ignore = "a minute of a mixed workload; make soak runs it"]
fn a_long_recording_of_mixed_work_replays_as_it_was() {
    let _alone = support::alone();
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let containerd = Containerd::start().ok();
    let stage = Stage::new();
    // What is lost meanwhile, because every open is an alert, is lost to both.
    let recorder = Lanner::start(&stage.record(containerd.as_ref(), &["--alerts"]));
    let pods = thread::scope(|scope| {
        let pods = scope.spawn(|| {
            let Some(containerd) = &containerd else { return 0 };
            for number in 0..10 {
                let pod = containerd.pod("soak", &format!("pod-{number}"));
                let job = containerd.run(&pod, Run::new("reader", SHADOW));
                containerd.wait_for_exit(&job);
            }
            10
        });
        let jobs: [fn(&Path); 3] = [build, query_packages, |_| work(1)];
        let done = while_working(&jobs, 30, stage.folder.path());
        println!("{done} jobs");
        pods.join().unwrap()
    });
    println!("{pods} pods");
    let recorded = recorder.stop();
    assert_eq!(recorded.status.code(), Some(0), "{}", recorded.stderr);
    let live = alerts(&recorded.stdout);
    let started = Instant::now();
    let output = stage.replay(&["-o", "outputs_queue.capacity=1000000"]);
    println!("replayed in {:?}\n{}", started.elapsed(), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_same(&live, &alerts(&text(&output.stdout)), &text(&output.stderr));
    assert!(live.len() > 10_000, "{}", live.len());
}
