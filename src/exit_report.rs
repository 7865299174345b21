//! What Lanner says when it ends: Falco's lines on standard output, everything else on standard error.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lanner_capture::Stats;
use lanner_outputs::OutputReport;

use crate::tally::Tally;

/// What is reported.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// Alerts by rule and priority.
    pub(crate) tally: &'a Tally,
    /// Events and their losses.
    pub(crate) stats: &'a Stats,
    /// Alerts by output.
    pub(crate) outputs: &'a [OutputReport],
    /// The runtime's side, when it ran.
    pub(crate) containers: Option<String>,
    /// Falco's lines about lost events.
    pub(crate) drops: String,
}

impl Report<'_> {
    /// The part for standard error.
    fn details(&self) -> String {
        let mut out = format!("{}\n{}", self.stats, self.drops);
        if let Some(containers) = &self.containers {
            let _ = writeln!(out, "Container runtime: {containers}");
        }
        out.push_str("Alerts by output:\n");
        for output in self.outputs {
            let _ = writeln!(out, "  {output}");
        }
        if self.outputs.is_empty() {
            out.push_str("  no output was on\n");
        }
        out
    }
}

/// How long whoever reads the report may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints the report. Nobody may be left to read it, or someone who does not: neither keeps Lanner from ending.
pub(crate) fn print(report: &Report<'_>) {
    print_texts(report.details(), report.tally.falco_lines());
}

/// The same for a report in words of its own.
pub(crate) fn print_texts(details: String, lines: String) {
    write(std::io::stderr(), details);
    write(std::io::stdout(), lines);
}

/// Writes, but waits no longer than [`PATIENCE`] for a reader that is stuck.
fn write(mut stream: impl Write + Send + 'static, text: String) {
    let (done, written) = mpsc::channel::<()>();
    let writer = move || {
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.flush();
        drop(done);
    };
    if thread::Builder::new().name("report".into()).spawn(writer).is_ok() {
        let _ = written.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_outputs::{Kind, LossReason};
    use lanner_schema::event::Event;

    #[test]
    fn a_reader_that_is_stuck_is_left_behind() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        // More than a pipe holds: it returns although nobody reads.
        write(writer, "x".repeat(1 << 20));
        let mut byte = [0];
        std::io::Read::read_exact(&mut reader, &mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn losses_are_shown_with_their_reasons() {
        let stats = Stats {
            delivered: vec![(Event::Openat, 12)],
            drops: vec![(Event::Openat, "ring full", 3)],
            losers: vec![(lanner_capture::Loser::Host, 3)],
            gaps: 3,
            ..Stats::default()
        };
        let outputs = [OutputReport {
            delivered: 1,
            lost: vec![(LossReason::Absent, 2)],
            ..OutputReport::new(Kind::Syslog)
        }];
        let report = Report {
            tally: &Tally::default(),
            stats: &stats,
            outputs: &outputs,
            containers: Some("connected to containerd 2.1.9, 3 containers".into()),
            drops: "Syscall event drop monitoring:\n".into(),
        };
        let text = report.details();
        for part in [
            "Events lost: 3 (missing sequence numbers: 3)",
            "ring full",
            "Events lost by container:\n  host ",
            "\nSyscall event drop monitoring:\n",
            "Container runtime: connected to containerd 2.1.9",
            "  syslog: 1 delivered, 2 lost (absent: 2)",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
