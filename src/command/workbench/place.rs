//! Places in a text: bytes, lines and columns.

use std::fmt::Write as _;
use std::ops::Range;

use lanner_engine::Snippet;

/// Characters are counted from the start of a block of this many bytes, so that no place costs the whole text.
const BLOCK: usize = 256;

/// A text with its lines.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
    /// How many characters are before each block.
    characters: Vec<usize>,
}

/// A place: its byte from 0, its line and its column in characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) idx: usize,
    pub(super) line: usize,
    pub(super) col: usize,
}

impl Place {
    /// `{"idx":…,"line":…,"col":…}`
    pub(super) fn json(self) -> String {
        let Place { idx, line, col } = self;
        format!(r#"{{"idx":{idx},"line":{line},"col":{col}}}"#)
    }
}

impl<'t> Lines<'t> {
    /// Lines end with a line feed, a carriage return or both.
    pub(super) fn new(text: &'t str) -> Lines<'t> {
        let bytes = text.as_bytes();
        let ends = |at: usize| match bytes[at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let after_breaks = (0..bytes.len()).filter(|at| ends(*at)).map(|at| at + 1);
        let mut characters = vec![0];
        let mut count = 0;
        for block in bytes.chunks(BLOCK) {
            count += begun(block);
            characters.push(count);
        }
        Lines {
            text,
            starts: std::iter::once(0).chain(after_breaks).collect(),
            characters,
        }
    }

    /// The place of a byte; past the end it is the end.
    pub(super) fn place(&self, idx: usize) -> Place {
        let idx = idx.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= idx);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        Place {
            idx,
            line,
            col: self.before(idx) - self.before(start) + 1,
        }
    }

    /// How many characters begin before a byte.
    fn before(&self, idx: usize) -> usize {
        let block = idx / BLOCK;
        let counted = self.characters.get(block).copied().unwrap_or(0);
        counted + begun(&self.text.as_bytes()[block * BLOCK..idx])
    }

    /// The line of a place, with carets under it.
    pub(super) fn show(&self, range: Range<usize>) -> String {
        let line = self.place(range.start).line.to_string();
        let snippet = Snippet::of(self.text, range);
        let (margin, caret, width) = (line.len(), snippet.caret, snippet.width);
        let mut out = String::new();
        let _ = writeln!(out, " {:margin$} |", "");
        let _ = writeln!(out, " {line} | {}", snippet.text);
        let _ = writeln!(out, " {:margin$} | {:caret$}{:^<width$}", "", "", "");
        out
    }
}

/// How many characters begin in these bytes.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_every_kind_of_line_end() {
        let lines = Lines::new("é=1\r\nb\rc\nd");
        let at = |idx| {
            let place = lines.place(idx);
            (place.idx, place.line, place.col)
        };
        assert_eq!(at(0), (0, 1, 1));
        assert_eq!(at(2), (2, 1, 2));
        assert_eq!(at(6), (6, 2, 1));
        assert_eq!(at(8), (8, 3, 1));
        assert_eq!(at(10), (10, 4, 1));
        assert_eq!(at(99), (11, 4, 2));
    }

    #[test]
    fn columns_far_out_on_a_line_are_right() {
        let text = "ü".repeat(1000);
        let lines = Lines::new(&text);
        for n in [0, 1, 127, 128, 129, 700, 1000] {
            assert_eq!(lines.place(2 * n).col, n + 1);
        }
        assert!(Lines::new("").show(0..0).contains('^'));
    }
}
