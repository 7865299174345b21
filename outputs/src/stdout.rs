//! `stdout_output`: one line per alert.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::fd::AsFd;

use lanner_schema::alert::{Alert, turns_writing};

use crate::lines::Lines;
use crate::output::{FlushError, Output, OutputError, Taken};

/// Standard output, through a descriptor of its own: Rust's own handle buffers by line and hides a closed descriptor.
#[derive(Debug)]
pub(crate) struct Stdout {
    stream: Option<File>,
    lines: Lines,
    buffered: bool,
    is_terminal: bool,
}

/// A line as it is shown to a person: what turns the direction of writing is an escape of JSON's, as control characters are
/// in it anyway. Who reads it as JSON reads the same.
fn shown(line: &str) -> Cow<'_, str> {
    if !line.contains(turns_writing) {
        return line.into();
    }
    let mut shown = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        match turns_writing(c) {
            true => _ = write!(shown, "\\u{:04x}", u32::from(c)),
            false => shown.push(c),
        }
    }
    shown.into()
}

impl Stdout {
    pub(crate) fn new(buffered: bool) -> Self {
        Self::over(io::stdout(), buffered)
    }

    fn over(stream: impl AsFd, buffered: bool) -> Self {
        Stdout {
            is_terminal: stream.as_fd().is_terminal(),
            stream: stream.as_fd().try_clone_to_owned().ok().map(File::from),
            lines: Lines::default(),
            buffered,
        }
    }
}

impl Output for Stdout {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        let line = match self.is_terminal {
            true => shown(&alert.line),
            false => Cow::Borrowed(&*alert.line),
        };
        self.lines.push(&line);
        if self.buffered {
            return Ok(Taken::Held);
        }
        match self.flush() {
            Ok(_) => Ok(Taken::Written),
            Err(failed) => Err(failed.error),
        }
    }

    fn flush(&mut self) -> Result<u64, FlushError> {
        if self.lines.is_empty() {
            return Ok(0);
        }
        let target = || String::from("standard output");
        let Some(stream) = &mut self.stream else {
            let cause = io::Error::from(ErrorKind::NotConnected);
            let error = OutputError::Closed {
                target: target(),
                cause,
            };
            return Err(FlushError {
                written: 0,
                lost: self.lines.discard(),
                error,
            });
        };
        self.lines.write_to(stream).map_err(|torn| {
            let error = match torn.cause.kind() {
                ErrorKind::BrokenPipe => OutputError::Closed {
                    target: target(),
                    cause: torn.cause,
                },
                _ => OutputError::Write {
                    target: target(),
                    cause: torn.cause,
                },
            };
            FlushError {
                written: torn.written,
                lost: torn.lost,
                error,
            }
        })
    }

    fn is_full(&self) -> bool {
        self.lines.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::LossReason;
    use crate::test_alert::alert;
    use std::io::Read as _;

    #[test]
    fn lines_arrive_and_a_closed_pipe_is_an_absent_reader() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut output = Stdout::over(&writer, false);
        drop(writer);
        assert_eq!(output.deliver(&alert("first")).unwrap(), Taken::Written);
        let mut got = [0; 6];
        reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"first\n");
        drop(reader);
        assert_eq!(
            output.deliver(&alert("second")).unwrap_err().reason(),
            LossReason::Absent
        );
    }

    #[test]
    fn buffered_lines_wait_for_the_flush() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut output = Stdout::over(&writer, true);
        drop(writer);
        assert_eq!(output.deliver(&alert("a")).unwrap(), Taken::Held);
        assert_eq!(output.deliver(&alert("b")).unwrap(), Taken::Held);
        assert_eq!(output.flush().unwrap(), 2);
        drop(output);
        let mut got = String::new();
        reader.read_to_string(&mut got).unwrap();
        assert_eq!(got, "a\nb\n");
    }

    #[test]
    fn what_turns_the_direction_of_writing_is_escaped_for_a_terminal_only() {
        let line = "a\u{202e}b\u{2066}c \u{200f}é";
        for (is_terminal, wanted) in [
            (true, "a\\u202eb\\u2066c \\u200fé\n"),
            (false, &*format!("{line}\n")),
        ] {
            let (mut reader, writer) = io::pipe().unwrap();
            let mut output = Stdout::over(&writer, false);
            drop(writer);
            assert!(!output.is_terminal, "a pipe is none");
            output.is_terminal = is_terminal;
            output.deliver(&alert(line)).unwrap();
            drop(output);
            let mut got = String::new();
            reader.read_to_string(&mut got).unwrap();
            assert_eq!(got, wanted);
        }
        // A new one, where there can be any.
        if let Ok(terminal) = File::options().read(true).write(true).open("/dev/ptmx") {
            assert!(Stdout::over(&terminal, false).is_terminal);
        }
    }
}
