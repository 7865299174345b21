//! `stdout_output`: one line per alert.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use lanner_schema::alert::Alert;

use crate::lines::Lines;
use crate::output::{FlushError, Output, OutputError, Taken};

/// Standard output, through a descriptor of its own: Rust's own handle buffers by line and hides a closed descriptor.
#[derive(Debug)]
pub(crate) struct Stdout {
    stream: Option<File>,
    lines: Lines,
    buffered: bool,
}

impl Stdout {
    pub(crate) fn new(buffered: bool) -> Self {
        Self::over(io::stdout(), buffered)
    }

    fn over(stream: impl AsFd, buffered: bool) -> Self {
        Stdout {
            stream: stream.as_fd().try_clone_to_owned().ok().map(File::from),
            lines: Lines::default(),
            buffered,
        }
    }
}

impl Output for Stdout {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        self.lines.push(&alert.line);
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
}
