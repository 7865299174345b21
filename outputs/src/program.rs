//! `program_output`: the shell runs a program for each alert, which gets it as a line on its standard input.
//!
//! A program that takes too long is killed with all that its pipeline started. With `keep_alive` see [`crate::kept_program`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_schema::alert::Alert;

use crate::choose::ProgramConfig;
use crate::counters::Counters;
use crate::ending::Ending;
use crate::output::{Context, Output, OutputError, Taken};
use crate::process::{Complaints, Process};

/// A program for each alert.
#[derive(Debug)]
pub(crate) struct Program {
    program: String,
    timeout: Duration,
    counters: Arc<Counters>,
    ending: Arc<Ending>,
    complaints: Option<Complaints>,
}

impl Program {
    pub(crate) fn new(config: &ProgramConfig, context: &Context) -> Self {
        Program {
            program: config.program.clone(),
            timeout: config.timeout,
            counters: Arc::clone(&context.counters),
            ending: Arc::clone(&context.ending),
            complaints: None,
        }
    }
}

/// The error of a program that takes too long.
pub(crate) fn too_slow(limit: Duration) -> OutputError {
    OutputError::Timeout {
        target: "the program".into(),
        limit,
    }
}

impl Output for Program {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        let limit = self.ending.left(self.timeout);
        if limit.is_zero() {
            return Err(OutputError::Ending);
        }
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let complaints = self.complaints.get_or_insert_with(Complaints::listen);
        let mut process =
            Process::start(&self.program, complaints).map_err(|cause| OutputError::Start { cause })?;
        let line = [alert.line.as_bytes(), b"\n"].concat();
        let mut done = 0;
        // It may do without what it does not read: how it ends decides.
        while let Ok(written) = process.write(&line[done..]) {
            done += written;
            if done == line.len() || left().is_zero() {
                break;
            }
            process.wait_for_room(left());
        }
        process.close();
        match process.wait_for_end(left()) {
            Some(status) if status.success() => Ok(Taken::Written),
            Some(status) => Err(OutputError::Ended { status }),
            None => {
                process.kill();
                self.counters.kill();
                Err(match limit < self.timeout {
                    true => OutputError::Ending,
                    false => too_slow(limit),
                })
            }
        }
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
