//! Lines waiting to be written to a stream.

use std::io::{self, Write};

/// Above this many bytes the buffer is written even while more alerts wait.
const FULL: usize = 64 * 1024;

/// A buffer of whole lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    count: u64,
    /// The stream ends in the middle of a line: what follows begins on a new one, so that readers lose one alert, not two.
    torn: bool,
}

impl Lines {
    pub(crate) fn push(&mut self, line: &str) {
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
        self.count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    /// Gives up what is held, and says how many lines that were.
    pub(crate) fn discard(&mut self) -> u64 {
        self.buffer.clear();
        std::mem::take(&mut self.count)
    }

    /// True when the stream is left in the middle of a line.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Whether the stream ends in the middle of a line, of whom this did not write or where it ends now.
    pub(crate) fn set_torn(&mut self, torn: bool) {
        self.torn = torn;
    }

    /// Writes everything. On an error the lines that were not written whole are gone: `Err` says how many, `written` how
    /// many went out before.
    pub(crate) fn write_to(&mut self, stream: &mut impl Write) -> Result<u64, TornWrite> {
        while self.torn {
            match stream.write(b"\n") {
                Ok(0) => return Err(self.tear(0, io::ErrorKind::WriteZero.into())),
                Ok(_) => self.torn = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.tear(0, error)),
            }
        }
        let mut done = 0;
        while done < self.buffer.len() {
            match stream.write(&self.buffer[done..]) {
                Ok(0) => return Err(self.tear(done, io::ErrorKind::WriteZero.into())),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.tear(done, error)),
            }
        }
        if let Err(error) = stream.flush() {
            return Err(self.tear(0, error));
        }
        Ok(self.discard())
    }

    fn tear(&mut self, done: usize, cause: io::Error) -> TornWrite {
        let sent = &self.buffer[..done];
        let written = sent.iter().filter(|b| **b == b'\n').count() as u64;
        self.torn = sent.last().map_or(self.torn, |b| *b != b'\n');
        let lost = self.discard() - written;
        TornWrite { written, lost, cause }
    }
}

/// A write that failed.
#[derive(Debug)]
pub(crate) struct TornWrite {
    pub(crate) written: u64,
    pub(crate) lost: u64,
    pub(crate) cause: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room(Vec<u8>, usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.1 - self.0.len());
            if n == 0 {
                return Err(io::Error::other("full"));
            }
            self.0.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_write_counts_what_went_out_and_the_next_line_stands_alone() {
        let mut lines = Lines::default();
        for line in ["one", "two", "three"] {
            lines.push(line);
        }
        let mut room = Room(Vec::new(), 6);
        let torn = lines.write_to(&mut room).unwrap_err();
        assert_eq!((torn.written, torn.lost), (1, 2));
        assert!(lines.is_empty());
        // Still full, and then full again right after the end of the line.
        for (room_for, torn) in [(6, true), (7, false)] {
            room.1 = room_for;
            lines.push("lost");
            let failed = lines.write_to(&mut room).unwrap_err();
            assert_eq!((failed.written, failed.lost, lines.is_torn()), (0, 1, torn));
        }
        room.1 = 100;
        lines.push("four");
        assert_eq!(lines.write_to(&mut room).unwrap(), 1);
        assert_eq!(room.0, b"one\ntw\nfour\n");
    }
}
