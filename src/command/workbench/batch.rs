//! Requests as lines of JSON on standard input, one answer per line, in order.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::answer::{answer, refusal};
use super::problem::Problem;
use super::request::Common;

/// The longest line that is read; what is longer is answered with an error.
const MAX_LINE: usize = 16 << 20;

/// Answers every line until the input ends. An answer is written before the next line is waited for, so that a program can
/// ask and listen in turns; nothing is kept from one line to the next.
///
/// # Errors
/// When the input cannot be read or the answers cannot be written.
pub(super) fn run(input: impl Read, output: impl Write, common: &Common) -> io::Result<()> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let mut output = io::BufWriter::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        line.shrink_to(MAX_LINE / 16);
        let limit = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return output.flush();
        }
        let whole = line.ends_with(b"\n");
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let reply = if text.len() > MAX_LINE {
            skip_line(&mut input)?;
            let message = format!("the line is longer than {} MiB", MAX_LINE >> 20);
            refusal(&Problem::new(message), None)
        } else {
            match common.line(text) {
                (id, Ok(request)) => answer(&request, id.as_ref()).0,
                (id, Err(problem)) => refusal(&problem, id.as_ref()),
            }
        };
        output.write_all(reply.as_bytes())?;
        output.write_all(b"\n")?;
        // Whoever sent many lines gets the answers of many at once.
        if !whole || !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
    }
}

/// Reads up to the end of the line without keeping it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                input.consume(at + 1);
                return Ok(());
            }
            None => {
                let all = buffer.len();
                input.consume(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::workbench::Op;

    fn answers(input: &[u8]) -> Vec<String> {
        let common = Common {
            op: Some(Op::Eval),
            ..Common::default()
        };
        let mut output = Vec::new();
        run(input, &mut output, &common).unwrap();
        let output = String::from_utf8(output).unwrap();
        output.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_line_has_its_answer() {
        let long = [&b" ".repeat(MAX_LINE + 10)[..], b"\n"].concat();
        let input = [
            &br#"{"id":1,"expr":"proc.name = a","fields":{"proc.name":"a"}}"#[..],
            b"\n\n\xff\n",
            &long,
            br#"{"id":"x","expr":"proc.name = a"}"#,
        ]
        .concat();
        let answers = answers(&input);
        assert_eq!(answers.len(), 5, "{answers:?}");
        assert_eq!(answers[0], r#"{"id":1,"result":true}"#);
        assert!(answers[1].starts_with(r#"{"error":"the line is not JSON"#));
        assert!(answers[2].starts_with(r#"{"error":"the line is not JSON"#));
        assert!(answers[3].contains("longer than 16 MiB"));
        assert_eq!(answers[4], r#"{"id":"x","result":false}"#);
    }

    #[test]
    fn an_answer_is_written_before_the_next_line_is_waited_for() {
        // A reader that hands out one line at a time, and only when the answer to the one before is there.
        struct Turns<'a> {
            left: usize,
            seen: &'a std::cell::RefCell<Vec<u8>>,
        }
        impl Read for Turns<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let answered = self.seen.borrow().iter().filter(|byte| **byte == b'\n').count();
                assert_eq!(answered, 3 - self.left);
                if self.left == 0 {
                    return Ok(0);
                }
                self.left -= 1;
                let line = b"{\"expr\":\"proc.pid exists\"}\n";
                buf[..line.len()].copy_from_slice(line);
                Ok(line.len())
            }
        }
        struct Seen<'a>(&'a std::cell::RefCell<Vec<u8>>);
        impl Write for Seen<'_> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.0.borrow_mut().extend_from_slice(buf);
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let seen = std::cell::RefCell::new(Vec::new());
        let common = Common {
            op: Some(Op::Eval),
            ..Common::default()
        };
        let turns = Turns { left: 3, seen: &seen };
        run(turns, Seen(&seen), &common).unwrap();
        assert_eq!(seen.into_inner(), b"{\"result\":false}\n".repeat(3));
    }
}
