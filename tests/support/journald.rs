//! A real systemd-journald of the test's own, in a mount namespace with an empty `/run`, so that the machine's journal
//! (if it has one) is left alone. Included as a module by the tests that need it; needs root.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test that includes this uses a part of it"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DAEMON: &str = "/usr/lib/systemd/systemd-journald";

/// What runs in the new namespace. Kernel messages and audit records are the machine's, so they are not touched.
const SCRIPT: &str = "\
    set -e
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
    printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nRateLimitIntervalSec=0\\nForwardToWall=no\\n' \
        > /run/systemd/journald.conf.d/test.conf
    exec /usr/lib/systemd/systemd-journald";

/// A running journal; it ends with this value.
#[derive(Debug)]
pub struct Journald {
    process: Child,
}

impl Journald {
    /// Starts a journal and waits until it listens. `Err` says in words why this machine can't: tests print it and pass.
    pub fn start() -> Result<Journald, String> {
        if !Path::new(DAEMON).exists() {
            return Err(format!("{DAEMON} is not installed"));
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let root = status
            .lines()
            .any(|l| l.starts_with("Uid:") && l.split_whitespace().nth(2) == Some("0"));
        if !root {
            return Err("a journal in a mount namespace needs root".into());
        }
        if !Path::new("/etc/machine-id").exists() {
            return Err("there is no /etc/machine-id".into());
        }
        let process = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", SCRIPT])
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run unshare: {error}"))?;
        let mut journal = Journald { process };
        let deadline = Instant::now() + Duration::from_secs(60);
        let probe = std::os::unix::net::UnixDatagram::unbound().map_err(|error| error.to_string())?;
        // The same path exists in the machine's own /run, which the process sees until its tmpfs is mounted.
        while !journal.is_daemon() || probe.connect(journal.socket()).is_err() {
            if let Ok(Some(status)) = journal.process.try_wait() {
                return Err(format!("systemd-journald ended at once: {status}"));
            }
            if Instant::now() > deadline {
                return Err("systemd-journald does not listen after 60 seconds".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(journal)
    }

    fn is_daemon(&self) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.process.id()));
        name.is_ok_and(|name| name.starts_with("systemd-journal"))
    }

    /// A path of the journal's `/run` as the rest of the machine can reach it.
    fn run(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root/run/{path}", self.process.id()).into()
    }

    /// The native socket.
    pub fn socket(&self) -> PathBuf {
        self.run("systemd/journal/socket")
    }

    /// The socket where the journal speaks syslog.
    pub fn syslog_socket(&self) -> PathBuf {
        self.run("systemd/journal/dev-log")
    }

    /// The socket a service manager connects a service's standard output to.
    pub fn stdout_socket(&self) -> PathBuf {
        self.run("systemd/journal/stdout")
    }

    /// A command that runs where this journal is the machine's own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-m", "-t", &self.process.id().to_string(), "--"])
            .arg(program);
        command
    }

    /// `journalctl -o json` with these arguments: one JSON object per line.
    pub fn read(&self, arguments: &[&str]) -> String {
        // What was received is written before this returns.
        let _ = self.command("journalctl").arg("--sync").output();
        let output = self
            .command("journalctl")
            .args(["-q", "--no-pager", "-a", "-o", "json", "-D", "/run/log/journal"])
            .args(arguments)
            .output();
        output
            .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
            .unwrap_or_default()
    }

    /// [`Journald::read`] until it gives at least `lines` lines, or what it gave after 60 seconds.
    pub fn wait_for(&self, lines: usize, arguments: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let text = self.read(arguments);
            if text.lines().count() >= lines || Instant::now() > deadline {
                return text;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
