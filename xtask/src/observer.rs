//! A program that watches while something is measured: Lanner, or an empty program on the hook.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What each of them says when it has begun.
const READY: &str = "watches this host";

/// What it says while it watches waits in the pipe: a thread that reads it would make what this process does dearer,
/// because descriptors and memory are shared then. An ordinary one takes 64 KiB.
const PIPE: i32 = 1 << 20;

/// One that watches.
#[derive(Debug)]
pub struct Observer {
    child: Child,
    /// From the start of the program until it said that it watches.
    pub ready: Duration,
    clock: ClockId,
    /// What it says after that, which is read at its end.
    rest: BufReader<ChildStderr>,
}

impl Observer {
    /// Starts it and waits until it watches.
    ///
    /// # Errors
    /// When it can't be started, or ends before: with what it said.
    pub fn start(command: &mut Command) -> io::Result<Observer> {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let Some(stderr) = child.stderr.take() else {
            return Err(io::Error::other("no pipe to what it says"));
        };
        // Where that is refused, an ordinary one has to do.
        let _ = fcntl(&stderr, FcntlArg::F_SETPIPE_SZ(PIPE));
        let mut rest = BufReader::new(stderr);
        let mut said = String::new();
        loop {
            let before = said.len();
            if rest.read_line(&mut said)? == 0 {
                let status = child.wait()?;
                return Err(io::Error::other(format!(
                    "{command:?} ended before it watched ({status}):\n{said}"
                )));
            }
            if said[before..].contains(READY) {
                break;
            }
        }
        let ready = started.elapsed();
        let clock = clock_getcpuclockid(pid(&child))?;
        Ok(Observer {
            child,
            ready,
            clock,
            rest,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processor time it has had so far.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        Ok(Duration::from(clock_gettime(self.clock)?))
    }

    /// Its memory now, in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| io::Error::other("its status has no VmRSS"))
    }

    /// Ends it, an empty program by its input and Lanner by a signal, and gives what it said since it watched.
    ///
    /// # Errors
    /// When it can't be read or waited for.
    pub fn stop(mut self) -> io::Result<String> {
        drop(self.child.stdin.take());
        // It may have ended already.
        let _ = kill(pid(&self.child), Signal::SIGINT);
        let mut said = String::new();
        self.rest.read_to_string(&mut said)?;
        self.child.wait()?;
        Ok(said)
    }
}

/// The example `empty_hook`, where it was built beside this Lanner; where it was not, says how.
pub fn empty_hook(lanner: &Path) -> Option<PathBuf> {
    let hook = lanner.with_file_name("examples").join("empty_hook");
    let hook = Some(hook).filter(|path| path.exists());
    if hook.is_none() {
        println!(
            "without the empty hook: build it with cargo build --release -p lanner-capture --example empty_hook"
        );
    }
    hook
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}
