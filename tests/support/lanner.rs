//! The `lanner` program itself, as a user starts it: its alerts from standard output, its own log from standard error,
//! and Ctrl-C.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::containerd::Containerd;
use super::{alone, is_root, skip};

/// The program that cargo built for the tests.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lanner");
/// The end of the screen that says what is watched; after it events are judged.
const WATCHING: &str = "Ctrl-C stops Lanner";

/// How long it may take over anything. In a guest everything takes longer: LANNER_TEST_SECONDS.
fn limit() -> Duration {
    let seconds = std::env::var("LANNER_TEST_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(60))
}

/// What a stream has given so far.
#[derive(Debug, Default)]
struct Stream {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Stream {
    /// Reads `source` to its end in a thread of its own.
    fn follow(source: impl Read + Send + 'static) -> (Arc<Self>, JoinHandle<()>) {
        let stream = Arc::new(Self::default());
        let writer = Arc::clone(&stream);
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                writer.lock().0.push(String::from_utf8_lossy(&line).into_owned());
                writer.more.notify_all();
            }
            writer.lock().1 = true;
            writer.more.notify_all();
        });
        (stream, thread)
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<String>, bool)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        self.lock().0.join("\n")
    }

    /// The first answer that `look` has for the lines so far, or `None` when the stream ended or `limit` passed.
    fn wait<T>(&self, limit: Duration, mut look: impl FnMut(&[String]) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut guard = self.lock();
        loop {
            if let Some(answer) = look(&guard.0) {
                return Some(answer);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if guard.1 || left.is_zero() {
                return None;
            }
            guard = self
                .more
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// A running `lanner`.
#[derive(Debug)]
pub(crate) struct Lanner {
    process: Child,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
    readers: Vec<JoinHandle<()>>,
}

/// What it left when it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How.
    pub(crate) status: ExitStatus,
    /// Its alerts and the report at the end.
    pub(crate) stdout: String,
    /// Its log.
    pub(crate) stderr: String,
}

impl Ended {
    /// Its alerts, in the order they came.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.stdout.lines().filter_map(alert).collect()
    }

    /// How many events it counts as lost, at least: a busy machine and a program that was built for tests can fill the ring.
    pub(crate) fn lost(&self) -> u64 {
        let count = self.stderr.split("Events lost: ").nth(1).and_then(|rest| {
            let digits = rest.trim_start_matches("at least ");
            digits.split(' ').next()?.parse().ok()
        });
        count.unwrap_or_else(|| panic!("its report has no count of lost events:\n{}", self.stderr))
    }
}

/// Why this machine cannot run Lanner, if it cannot.
pub(crate) fn impossible() -> Option<String> {
    if !is_root() {
        return Some("lanner needs root".to_owned());
    }
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("this kernel has no BTF".to_owned());
    }
    None
}

/// This test's turn, and a containerd for a Lanner beside it; `None` where there can be none, which is said.
pub(crate) fn beside_containerd() -> Option<(MutexGuard<'static, ()>, Containerd)> {
    let alone = alone();
    impossible()
        .map_or_else(Containerd::start, Err)
        .inspect_err(|reason| skip(reason))
        .ok()
        .map(|containerd| (alone, containerd))
}

/// A ring of 32 MiB, for tests of which no event may be lost: it holds what a busy machine does while a program that was built for
/// tests is not given a processor.
pub(crate) const ROOM: [&str; 2] = ["-o", "engine.modern_ebpf.buf_size_preset=6"];

/// The options that make Lanner use `containerd` and write alerts as JSON to standard output alone.
pub(crate) fn options(containerd: Option<&Containerd>) -> Vec<String> {
    let mut options = vec![
        "json_output=true".to_owned(),
        "journald_output.enabled=false".to_owned(),
        "syslog_output.enabled=false".to_owned(),
        // Tests of other folders may run on this machine.
        "runtime_directory=".to_owned(),
    ];
    // A guest may offer more tiers than the one that is tried here.
    if let Ok(tier) = std::env::var("LANNER_TEST_TIER") {
        options.push(format!("engine.tier={tier}"));
    }
    match containerd {
        Some(containerd) => {
            options.push(format!("nri.socket_path={}", containerd.nri_socket().display()));
            options.push(format!("containerd.address={}", containerd.socket().display()));
        }
        None => {
            options.push("nri.enabled=false".to_owned());
            options.push("containerd.enabled=false".to_owned());
        }
    }
    options
        .into_iter()
        .flat_map(|option| ["-o".to_owned(), option])
        .collect()
}

impl Lanner {
    /// Starts `lanner` with these arguments and waits until it watches.
    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Self {
        // In a guest it is elsewhere.
        let program = std::env::var_os("LANNER_TEST_PROGRAM").unwrap_or_else(|| PROGRAM.into());
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_command(command)
    }

    /// Starts it by a command of the test's own, for instance in another namespace.
    pub(crate) fn start_command(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        let (stdout, first) = Stream::follow(process.stdout.take().unwrap());
        let (stderr, second) = Stream::follow(process.stderr.take().unwrap());
        let lanner = Self {
            process,
            stdout,
            stderr,
            readers: vec![first, second],
        };
        lanner.wait_for_log("its first screen", |line| line.contains(WATCHING));
        lanner
    }

    /// Waits for a line of its log.
    pub(crate) fn wait_for_log(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let found = self
            .stderr
            .wait(limit(), |lines| lines.iter().find(|line| wanted(line)).cloned());
        found.unwrap_or_else(|| panic!("lanner did not say {what}; its log:\n{}", self.stderr.text()))
    }

    /// Has it load its rules again, whose files are others by now, and forgets the alerts so far.
    pub(crate) fn reload(&self) {
        let of_reloads = |line: &&String| line.contains("reloaded (SIGHUP)");
        let before = self.stderr.lock().0.iter().filter(of_reloads).count();
        kill(self.pid(), Signal::SIGHUP).unwrap();
        let said = self.stderr.wait(limit(), |lines| {
            lines.iter().filter(of_reloads).nth(before).cloned()
        });
        assert!(
            said.is_some_and(|said| !said.contains("not reloaded")),
            "lanner did not reload; its log:\n{}",
            self.stderr.text()
        );
        self.stdout.lock().0.clear();
    }

    /// True until it has ended.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// What it printed so far.
    pub(crate) fn printed(&self) -> String {
        self.stdout.text()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// The alerts so far, in the order they came.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.stdout
            .lock()
            .0
            .iter()
            .filter_map(|line| alert(line))
            .collect()
    }

    /// Waits for an alert that `wanted` accepts.
    pub(crate) fn wait_for_alert(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for_alerts(what, 1, wanted).remove(0)
    }

    /// Waits until `count` alerts came that `wanted` accepts, and gives all that did so far.
    pub(crate) fn wait_for_alerts(
        &self,
        what: &str,
        count: usize,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let mut read = 0;
        let mut found = Vec::new();
        let complete = self.stdout.wait(limit(), |lines| {
            found.extend(
                lines[read..]
                    .iter()
                    .filter_map(|line| alert(line))
                    .filter(|alert| wanted(alert)),
            );
            read = lines.len();
            (found.len() >= count).then_some(())
        });
        if complete.is_none() {
            let out = self.stdout.text();
            let start = out.len().saturating_sub(4000);
            let tail = out.get(start..).unwrap_or(&out);
            panic!(
                "{} of {count} alerts came: {what}\nits log:\n{}\nits last alerts:\n{tail}",
                found.len(),
                self.stderr.text()
            );
        }
        found
    }

    /// Stops it as Ctrl-C does, and waits for its end.
    pub(crate) fn stop(mut self) -> Ended {
        let pid = self.pid();
        kill(pid, Signal::SIGINT).unwrap();
        let status = super::wait_for("lanner to end after Ctrl-C", limit(), || {
            self.process.try_wait().unwrap()
        });
        self.end(status)
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let status = super::wait_for("lanner to end by itself", limit(), || {
            self.process.try_wait().unwrap()
        });
        self.end(status)
    }

    /// Ends it as nothing but the kernel can, and waits for that.
    pub(crate) fn kill(mut self) -> Ended {
        kill(self.pid(), Signal::SIGKILL).unwrap();
        let status = self.process.wait().unwrap();
        self.end(status)
    }

    fn end(mut self, status: ExitStatus) -> Ended {
        for reader in std::mem::take(&mut self.readers) {
            let _ = reader.join();
        }
        Ended {
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }
}

impl Drop for Lanner {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// The alerts of a standard output.
pub(crate) fn alerts_of(stdout: &str) -> Vec<Value> {
    stdout.lines().filter_map(alert).collect()
}

/// A line of standard output as an alert. The report at the end is text and no alert.
fn alert(line: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("rule").is_some().then_some(value)
}

/// A field of an alert's output, as text.
pub(crate) fn field(alert: &Value, name: &str) -> String {
    match &alert["output_fields"][name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A file with these rules, in a folder that lasts as long as the first value.
pub(crate) fn rules(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}
