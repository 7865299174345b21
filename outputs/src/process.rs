//! A program that the shell runs, its standard input, and what it complains of.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

/// What a killed program may take to be gone.
const DEATH: Duration = Duration::from_secs(1);

/// A program that runs, as the leader of a process group of its own.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Does not block. Closed to tell the program that this was all.
    stdin: Option<File>,
    /// Readable when it has ended.
    end: OwnedFd,
}

impl Process {
    /// Starts `sh -c program`. Its standard output is Lanner's own, as under Falco.
    pub(crate) fn start(program: &str, complaints: &Complaints) -> io::Result<Process> {
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(program)
            .stdin(Stdio::piped())
            .stderr(complaints.stdio())
            .process_group(0)
            .spawn()?;
        match Self::prepare(&mut child) {
            Ok((stdin, end)) => Ok(Process {
                child,
                stdin: Some(stdin),
                end,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn prepare(child: &mut Child) -> io::Result<(File, OwnedFd)> {
        let stdin = child.stdin.take().ok_or(io::ErrorKind::NotConnected)?;
        let stdin = File::from(OwnedFd::from(stdin));
        let flags = OFlag::from_bits_retain(fcntl(&stdin, FcntlArg::F_GETFL)?);
        fcntl(&stdin, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let pid = rustix::process::Pid::from_child(child);
        Ok((stdin, pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// When nobody will ever read it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stdin) = &mut self.stdin else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut done = 0;
        while done < bytes.len() {
            match stdin.write(&bytes[done..]) {
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Bytes that were written and that it has not read yet.
    pub(crate) fn unread(&self) -> usize {
        let unread = self
            .stdin
            .as_ref()
            .and_then(|stdin| rustix::io::ioctl_fionread(stdin).ok());
        unread
            .and_then(|unread| usize::try_from(unread).ok())
            .unwrap_or(0)
    }

    /// Tells it that this was all.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits until it takes more, has ended, or the time is over.
    pub(crate) fn wait_for_room(&self, limit: Duration) {
        let mut waited = vec![PollFd::new(self.end.as_fd(), PollFlags::POLLIN)];
        if let Some(stdin) = &self.stdin {
            waited.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        // Whoever waits looks himself what it was.
        let _ = poll(&mut waited, timeout(limit));
    }

    /// How it ended, once it has, or `None` when the time is over.
    pub(crate) fn wait_for_end(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            // An error would mean that somebody else waited for it.
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let mut waited = [PollFd::new(self.end.as_fd(), PollFlags::POLLIN)];
            if poll(&mut waited, timeout(left)).is_err_and(|error| error != Errno::EINTR) {
                return None;
            }
        }
    }

    /// Kills it and everything it started that is still in its group.
    pub(crate) fn kill(mut self) {
        self.stdin = None;
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It was not waited for, so the id is still its own.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.wait_for_end(DEATH);
    }
}

/// As poll takes it; never zero for a time that is not over.
fn timeout(limit: Duration) -> PollTimeout {
    let millis = limit.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
}

/// Lines of complaints that are logged in a [`PERIOD`]; the others are only counted.
const LINES: u32 = 20;

/// See [`LINES`].
const PERIOD: Duration = Duration::from_secs(10);

/// A line is logged up to this many bytes.
const LENGTH: u64 = 1024;

/// Where programs write what they complain of: it goes to the log.
#[derive(Debug)]
pub(crate) struct Complaints(Option<PipeWriter>);

impl Complaints {
    /// Starts the thread that reads them; it ends with the last program that has the pipe.
    pub(crate) fn listen() -> Complaints {
        let listening = io::pipe().and_then(|(reader, writer)| {
            thread::Builder::new()
                .name("out-complaints".into())
                .spawn(move || log_lines(reader))?;
            Ok(writer)
        });
        match listening {
            Ok(writer) => Complaints(Some(writer)),
            Err(error) => {
                tracing::warn!("output program: what programs complain of is not logged: {error}");
                Complaints(None)
            }
        }
    }

    fn stdio(&self) -> Stdio {
        let writer = self.0.as_ref().and_then(|writer| writer.try_clone().ok());
        writer.map_or_else(Stdio::null, Stdio::from)
    }
}

fn log_lines(reader: PipeReader) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    let mut heard = Heard::new(Instant::now());
    loop {
        line.clear();
        match (&mut reader).take(LENGTH).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // curl shows its progress by writing over it.
        let text = line
            .trim_ascii_end()
            .rsplit(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        if text.trim_ascii().is_empty() {
            continue;
        }
        let (left_out, is_logged) = heard.hear(text, Instant::now());
        if left_out > 0 {
            tracing::warn!("output program: {left_out} more lines of complaints were not logged");
        }
        if is_logged {
            tracing::warn!("output program complains: {}", String::from_utf8_lossy(text));
        }
    }
}

/// The complaints of a [`PERIOD`].
#[derive(Debug)]
struct Heard {
    since: Instant,
    logged: u32,
    left_out: u64,
    /// The line that was logged last.
    last: Vec<u8>,
}

impl Heard {
    fn new(now: Instant) -> Heard {
        Heard {
            since: now,
            logged: 0,
            left_out: 0,
            last: Vec::new(),
        }
    }

    /// Whether this line is logged, and how many of a period that is over were not. Programs that all fail in one way say
    /// the same: it is logged once.
    fn hear(&mut self, line: &[u8], now: Instant) -> (u64, bool) {
        let mut left_out = 0;
        if now.saturating_duration_since(self.since) >= PERIOD {
            left_out = std::mem::replace(self, Heard::new(now)).left_out;
        }
        let is_logged = self.logged < LINES && line != self.last;
        match is_logged {
            true => {
                self.logged += 1;
                self.last = line.to_vec();
            }
            false => self.left_out += 1,
        }
        (left_out, is_logged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_complaints_are_logged_and_equal_ones_once_in_a_period() {
        let begin = Instant::now();
        let mut heard = Heard::new(begin);
        assert_eq!(heard.hear(b"not found", begin), (0, true));
        for _ in 0..1000 {
            assert_eq!(heard.hear(b"not found", begin), (0, false));
        }
        let logged = (0..1000_u32)
            .filter(|n| heard.hear(&n.to_le_bytes(), begin).1)
            .count();
        assert_eq!(logged, 19, "with the first it is 20");
        assert_eq!(heard.hear(b"not found", begin + PERIOD), (1981, true));
        assert_eq!(heard.hear(b"not found", begin + PERIOD * 2), (0, true));
    }
}
