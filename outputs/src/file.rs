//! `file_output`: one line per alert, appended to a file.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use lanner_schema::alert::Alert;

use crate::choose::FileConfig;
use crate::lines::Lines;
use crate::output::{FlushError, Output, OutputError, Taken};

/// A file. With `keep_alive` it stays open until [`Output::reopen`]; a rotated file is written on until then.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    keep_alive: bool,
    buffered: bool,
    open: Option<fs::File>,
    /// It was open once.
    was_open: bool,
    lines: Lines,
}

impl File {
    pub(crate) fn new(config: &FileConfig, buffered: bool) -> Self {
        File {
            path: config.filename.clone(),
            keep_alive: config.keep_alive,
            // Opening and closing for each alert is meant to leave nothing behind in memory.
            buffered: buffered && config.keep_alive,
            open: None,
            was_open: false,
            lines: Lines::default(),
        }
    }

    fn open(&mut self) -> io::Result<fs::File> {
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)?;
        if !self.was_open || self.lines.is_torn() {
            self.was_open = true;
            self.lines.set_torn(self.ends_torn(&file));
        }
        Ok(file)
    }

    /// Whether the file ends in the middle of a line: a full disk leaves one behind, also the Lanner before this one's.
    fn ends_torn(&self, file: &fs::File) -> bool {
        let length = match file.metadata() {
            Ok(of) if of.is_file() => of.len(),
            _ => return self.lines.is_torn(),
        };
        let mut last = [0];
        let read = |end| fs::File::open(&self.path).and_then(|file| file.read_exact_at(&mut last, end));
        match length.checked_sub(1).map(read) {
            Some(Ok(())) => last != *b"\n",
            Some(Err(_)) => self.lines.is_torn(),
            None => false,
        }
    }
}

impl Output for File {
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
        let file = match self.open.take() {
            Some(file) => Ok(file),
            None => self.open(),
        };
        let mut file = match file {
            Ok(file) => file,
            Err(cause) => {
                let error = OutputError::Open {
                    path: self.path.clone(),
                    cause,
                };
                return Err(FlushError {
                    written: 0,
                    lost: self.lines.discard(),
                    error,
                });
            }
        };
        match self.lines.write_to(&mut file) {
            Ok(written) => {
                if self.keep_alive {
                    self.open = Some(file);
                }
                Ok(written)
            }
            // The file is dropped: the next alert opens it anew, which helps when it was on something now unmounted.
            Err(torn) => {
                let target = self.path.display().to_string();
                let error = OutputError::Write {
                    target,
                    cause: torn.cause,
                };
                Err(FlushError {
                    written: torn.written,
                    lost: torn.lost,
                    error,
                })
            }
        }
    }

    fn is_full(&self) -> bool {
        self.lines.is_full()
    }

    fn reopen(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::LossReason;
    use crate::test_alert::alert;

    fn output(path: PathBuf, keep_alive: bool, buffered: bool) -> File {
        File::new(
            &FileConfig {
                filename: path,
                keep_alive,
            },
            buffered,
        )
    }

    #[test]
    fn alerts_are_appended_to_what_is_there() {
        for keep_alive in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("events.txt");
            fs::write(&path, "old\n").unwrap();
            let mut file = output(path.clone(), keep_alive, false);
            file.deliver(&alert("one")).unwrap();
            file.deliver(&alert("two")).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "old\none\ntwo\n");
        }
    }

    #[test]
    fn a_rotated_file_is_left_on_reopen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.txt");
        let rotated = dir.path().join("events.txt.1");
        let mut file = output(path.clone(), true, false);
        file.deliver(&alert("one")).unwrap();
        fs::rename(&path, &rotated).unwrap();
        file.deliver(&alert("two")).unwrap();
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "one\ntwo\n");
        file.reopen();
        file.deliver(&alert("three")).unwrap();
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later/events.txt");
        let mut file = output(path.clone(), true, false);
        let error = file.deliver(&alert("one")).unwrap_err();
        assert_eq!(error.reason(), LossReason::Failed);
        assert!(error.to_string().contains("later/events.txt"), "{error}");
        fs::create_dir(path.parent().unwrap()).unwrap();
        file.deliver(&alert("two")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn what_is_left_of_a_line_stays_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.txt");
        fs::write(&path, "old\nto").unwrap();
        for text in ["one", "two"] {
            output(path.clone(), false, false).deliver(&alert(text)).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nto\none\ntwo\n");
    }

    #[test]
    fn a_full_disk_loses_the_alert_and_says_so() {
        let mut file = output("/dev/full".into(), true, true);
        assert_eq!(file.deliver(&alert("one")).unwrap(), Taken::Held);
        let failed = file.flush().unwrap_err();
        assert_eq!((failed.written, failed.lost), (0, 1));
        assert_eq!(failed.error.reason(), LossReason::Failed);
        assert!(failed.error.to_string().contains("/dev/full"), "{}", failed.error);
    }
}
