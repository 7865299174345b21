//! `program_output` with `keep_alive`: one program takes every alert, a line each.
//!
//! An alert is delivered when the program has read its line. A program that ends is started again, after a wait that grows
//! while programs end soon, and gets what its predecessor left in the pipe. A program that reads nothing for too long is killed,
//! and the alert it did not read is lost; those behind it go to the next one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lanner_schema::alert::Alert;

use crate::backoff::Backoff;
use crate::choose::ProgramConfig;
use crate::counters::Counters;
use crate::ending::Ending;
use crate::output::{Context, FlushError, Output, OutputError, Taken};
use crate::process::{Complaints, Process};
use crate::program::too_slow;

/// How often the pipe is looked at while the program has not read it empty.
const LOOK: Duration = Duration::from_millis(20);

/// A program that ran this long was well: the next one starts at once.
const WELL: Duration = Duration::from_secs(10);

/// A program that is kept.
#[derive(Debug)]
pub(crate) struct KeptProgram {
    program: String,
    timeout: Duration,
    counters: Arc<Counters>,
    ending: Arc<Ending>,
    complaints: Option<Complaints>,
    process: Option<Process>,
    /// When the last one started.
    started: Option<Instant>,
    backoff: Backoff,
    /// When the next one may start.
    not_before: Instant,
    /// Lanner ends, and this has taken notice.
    is_last: bool,
    lines: Unread,
    /// When the program last read something, or had read everything.
    progress: Instant,
    /// Alerts that were read, and lost, since this was last told.
    read: u64,
    lost: u64,
    error: Option<OutputError>,
}

impl KeptProgram {
    pub(crate) fn new(config: &ProgramConfig, context: &Context) -> Self {
        let now = Instant::now();
        KeptProgram {
            program: config.program.clone(),
            timeout: config.timeout,
            counters: Arc::clone(&context.counters),
            ending: Arc::clone(&context.ending),
            complaints: None,
            process: None,
            started: None,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(30)),
            not_before: now,
            is_last: false,
            lines: Unread::default(),
            progress: now,
            read: 0,
            lost: 0,
            error: None,
        }
    }

    /// Brings lines to the program: what there is room for or, when `all`, every one. Ends when that is done or the lines
    /// are lost.
    fn pump(&mut self, all: bool) {
        while !self.lines.is_empty() {
            if self.process.is_none() && !self.start(all) {
                return;
            }
            let Some(process) = &mut self.process else { return };
            let written = self.lines.write_to(process);
            let unread = process.unread();
            let has_ended = written.is_err() || process.wait_for_end(Duration::ZERO).is_some();
            let (bytes, lines) = self.lines.read_up_to(unread);
            self.read += lines;
            if bytes > 0 || self.lines.is_empty() {
                self.progress = Instant::now();
            }
            let left = self.time_left();
            if has_ended {
                self.ended();
            } else if left.is_zero() {
                self.kill();
            } else if self.lines.are_written() || !all {
                return;
            } else if let Some(process) = &self.process {
                // A pipe may have no room for a line and yet some.
                process.wait_for_room(left.min(LOOK));
            }
        }
    }

    /// Starts a program, when need be after the wait; false when there is none and no more to be waited for now.
    fn start(&mut self, wait: bool) -> bool {
        loop {
            if self.ending.has_begun() && !std::mem::replace(&mut self.is_last, true) {
                // What is left has little time: the wait may have been longer.
                self.backoff.reset();
                self.not_before = Instant::now();
            }
            if self.ending.left(self.timeout).is_zero() {
                self.give_up(OutputError::Ending);
                return false;
            }
            let wanted = self.not_before.saturating_duration_since(Instant::now());
            let left = self.ending.left(wanted);
            if wanted.is_zero() {
                break;
            } else if !wait {
                return false;
            } else if self.is_last {
                thread::sleep(left);
            } else {
                self.ending.wait(left);
            }
        }
        let complaints = self.complaints.get_or_insert_with(Complaints::listen);
        let started = Process::start(&self.program, complaints);
        if self.started.replace(Instant::now()).is_some() {
            self.counters.restart();
        }
        self.lines.start_over();
        self.progress = Instant::now();
        match started {
            Ok(process) => {
                self.process = Some(process);
                true
            }
            Err(cause) => {
                self.not_before = Instant::now() + self.backoff.next();
                tracing::error!("output program: cannot start the program: {cause}");
                wait
            }
        }
    }

    /// The program has ended, or closed its standard input.
    fn ended(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        process.close();
        let how = match process.wait_for_end(LOOK) {
            Some(status) => format!("ended with {status}"),
            None => {
                process.kill();
                "closed its standard input".into()
            }
        };
        if self.started.is_some_and(|started| started.elapsed() >= WELL) {
            self.backoff.reset();
        }
        let wait = self.backoff.next();
        self.not_before = Instant::now() + wait;
        tracing::warn!("output program: the program {how}; it is started again in {wait:?}");
    }

    /// How long it may still read nothing.
    fn time_left(&self) -> Duration {
        self.ending
            .left(self.timeout.saturating_sub(self.progress.elapsed()))
    }

    fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
            self.counters.kill();
        }
        if self.progress.elapsed() < self.timeout {
            self.give_up(OutputError::Ending);
        } else {
            self.lost += self.lines.discard_first();
            self.error = Some(too_slow(self.timeout));
        }
    }

    fn give_up(&mut self, error: OutputError) {
        self.lost += self.lines.discard();
        self.error = Some(error);
    }

    /// Waits until every line is read or lost.
    fn drain(&mut self) {
        loop {
            self.pump(true);
            if self.lines.is_empty() {
                return;
            }
            thread::sleep(LOOK);
        }
    }

    /// Tells the program that this was all, and waits for its end.
    fn close(&mut self) {
        let limit = self.ending.left(self.timeout);
        let Some(mut process) = self.process.take() else {
            return;
        };
        process.close();
        if process.wait_for_end(limit).is_none() {
            process.kill();
            self.counters.kill();
            tracing::warn!(
                "output program: the program was killed: it did not end within {limit:?} after its last alert"
            );
        }
    }

    /// Tells what became of lines.
    fn tell(&mut self) -> Result<u64, FlushError> {
        let (written, lost) = (std::mem::take(&mut self.read), std::mem::take(&mut self.lost));
        match self.error.take() {
            Some(error) => Err(FlushError { written, lost, error }),
            None => Ok(written),
        }
    }
}

impl Output for KeptProgram {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        self.lines.push(&alert.line);
        self.pump(true);
        Ok(Taken::Held)
    }

    fn flush(&mut self) -> Result<u64, FlushError> {
        self.pump(false);
        self.tell()
    }

    fn wake(&self) -> Option<Duration> {
        (!self.lines.is_empty()).then_some(LOOK)
    }

    fn is_full(&self) -> bool {
        self.read > 0 || self.lost > 0
    }

    fn reopen(&mut self) {
        self.drain();
        self.close();
        self.started = None;
        self.not_before = Instant::now();
    }

    fn finish(&mut self) -> Result<u64, FlushError> {
        self.drain();
        self.close();
        self.tell()
    }
}

/// Lines that a program has not read to their end.
#[derive(Debug, Default)]
struct Unread {
    /// Oldest first; the first may be read in part.
    lines: VecDeque<Vec<u8>>,
    /// Their bytes that are written into the program's pipe; so many of the first are read.
    written: usize,
    read: usize,
}

impl Unread {
    fn push(&mut self, line: &str) {
        self.lines.push_back([line.as_bytes(), b"\n"].concat());
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn are_written(&self) -> bool {
        self.written == self.lines.iter().map(Vec::len).sum::<usize>()
    }

    /// Writes what the pipe has room for.
    fn write_to(&mut self, process: &mut Process) -> std::io::Result<()> {
        let mut start = 0;
        for line in &self.lines {
            let end = start + line.len();
            if self.written < end {
                let rest = &line[self.written.saturating_sub(start)..];
                let written = process.write(rest)?;
                self.written += written;
                if written < rest.len() {
                    break;
                }
            }
            start = end;
        }
        Ok(())
    }

    /// The program has read all that is written but for these bytes. Gives how many bytes and lines that were.
    fn read_up_to(&mut self, unread: usize) -> (usize, u64) {
        let read = self.written.saturating_sub(unread);
        let bytes = read.saturating_sub(self.read);
        self.read = self.read.max(read);
        let mut lines = 0;
        while let Some(line) = self.lines.front().filter(|line| line.len() <= self.read) {
            self.read -= line.len();
            self.written -= line.len();
            lines += 1;
            self.lines.pop_front();
        }
        (bytes, lines)
    }

    /// A new program gets everything.
    fn start_over(&mut self) {
        (self.written, self.read) = (0, 0);
    }

    fn discard_first(&mut self) -> u64 {
        self.start_over();
        u64::from(self.lines.pop_front().is_some())
    }

    fn discard(&mut self) -> u64 {
        let lines = self.lines.len() as u64;
        self.lines.clear();
        self.start_over();
        lines
    }
}

#[cfg(test)]
#[path = "kept_program_tests.rs"]
mod tests;
