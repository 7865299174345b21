//! The texts of the rules files, and the way from a byte of a YAML scalar's value back to a line and column.

use crate::condition::Span;
use crate::diagnostic::{Code, Diagnostic, ItemName, Note, Part, Position, Severity, Snippet, floor};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

/// A range of bytes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// Index of the file.
    pub(crate) file: usize,
    /// First byte.
    pub(crate) start: usize,
    /// Byte after the last.
    pub(crate) end: usize,
}

/// A scalar: its value, and where its source text is (quotes included, a block scalar's header not).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) at: Place,
}

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Where each item begins, as far as it was read.
    items: Vec<usize>,
}

impl SourceFile {
    pub(crate) fn new(name: String, text: String) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(after_breaks).collect();
        SourceFile {
            name,
            text,
            lines,
            items: Vec::new(),
        }
    }
}

/// The most errors of one file that are reported, and the most warnings.
const MOST: usize = 1000;
/// The most characters of a message, or of a name in one.
const LONGEST: usize = 1000;

/// How much was found up to some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    diagnostics: usize,
    errors: usize,
    left_out: usize,
}

/// Every file that is being loaded, and what was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) files: Vec<SourceFile>,
    diagnostics: Vec<(usize, Diagnostic)>,
    /// How often each file has an error or a warning among them.
    kept: HashMap<(usize, bool), usize>,
    /// What was left out because there are too many: file and code.
    left_out: Vec<(usize, Code)>,
    /// Takes what is written about a diagnostic that is left out.
    spare: Option<Diagnostic>,
    /// What was said about conditions: many rules may use a macro, and it costs to find where something is.
    said: HashSet<(Code, Span, u64)>,
    /// How many errors there were, those included that are left out.
    errors: usize,
}

impl Report {
    fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |f| &f.text)
    }

    /// Name of the file.
    pub(crate) fn file_name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |f| &f.name)
    }

    /// Line and column (in characters) of a place, both from 1.
    pub(crate) fn position(&self, place: Place) -> (usize, usize) {
        let Some(file) = self.files.get(place.file) else {
            return (1, 1);
        };
        let at = place.start.min(file.text.len());
        let line = file.lines.partition_point(|start| *start <= at);
        let start = file.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, chars(&file.text.as_bytes()[start..at]) + 1)
    }

    /// The line a place is in.
    pub(crate) fn snippet(&self, place: Place) -> Option<Snippet> {
        self.files.get(place.file)?;
        Some(Snippet::of(self.text(place.file), place.start..place.end))
    }

    /// Adds a diagnostic; the caller may add notes and a hint to what it gets back.
    pub(crate) fn add(
        &mut self,
        code: Code,
        place: Place,
        item: Option<&ItemName>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let is_error = code.severity() == Severity::Error;
        self.errors += usize::from(is_error);
        if self.is_full(code, place.file) {
            self.left_out.push((place.file, code));
            return self.spare.get_or_insert_with(|| nothing(code));
        }
        *self.kept.entry((place.file, is_error)).or_default() += 1;
        let (line, column) = self.position(place);
        let diagnostic = Diagnostic {
            severity: code.severity(),
            code,
            message: readable(&message.into()),
            item: item.map(|item| ItemName {
                kind: item.kind,
                name: readable(&item.name),
            }),
            item_at: item.and_then(|_| self.item_before(place)),
            part: Part::Item,
            part_at: None,
            file: self.file_name(place.file).to_owned(),
            line,
            column,
            offset: place.start,
            snippet: self.snippet(place),
            notes: Vec::new(),
            hint: None,
            deprecated_field: None,
        };
        self.diagnostics.push((place.file, diagnostic));
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last].1
    }

    /// True when this was said before about these bytes of a condition; then nothing has to be found out about it.
    pub(crate) fn is_said(&mut self, code: Code, span: Span, message: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        !self.said.insert((code, span, hasher.finish()))
    }

    /// Counts what was said before.
    pub(crate) fn again(&mut self, code: Code) -> &mut Diagnostic {
        self.errors += usize::from(code.severity() == Severity::Error);
        self.spare.get_or_insert_with(|| nothing(code))
    }

    /// True when no more of this severity is reported for the file.
    pub(crate) fn is_full(&self, code: Code, file: usize) -> bool {
        let key = (file, code.severity() == Severity::Error);
        self.kept.get(&key).is_some_and(|kept| *kept >= MOST)
    }

    /// Adds a diagnostic about a whole file.
    pub(crate) fn add_file(
        &mut self,
        code: Code,
        file: usize,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = Place {
            file,
            ..Place::default()
        };
        let diagnostic = self.add(code, place, None, message);
        (diagnostic.line, diagnostic.column, diagnostic.snippet) = (0, 0, None);
        diagnostic
    }

    /// A note about a place.
    pub(crate) fn note(&self, place: Place, message: impl Into<String>) -> Note {
        let (line, column) = self.position(place);
        Note {
            message: message.into(),
            file: self.file_name(place.file).to_owned(),
            line,
            column,
            offset: place.start,
        }
    }

    /// Says that an item begins here; items come in their order.
    pub(crate) fn item(&mut self, at: Place) {
        if let Some(file) = self.files.get_mut(at.file) {
            file.items.push(at.start);
        }
    }

    /// Where the item that a place is in begins.
    fn item_before(&self, place: Place) -> Option<Position> {
        let items = &self.files.get(place.file)?.items;
        let after = items.partition_point(|start| *start <= place.start);
        let offset = *items.get(after.checked_sub(1)?)?;
        Some(self.position_of(Place {
            start: offset,
            ..place
        }))
    }

    /// Where a place begins.
    pub(crate) fn position_of(&self, place: Place) -> Position {
        let (line, column) = self.position(place);
        Position {
            line,
            column,
            offset: place.start,
        }
    }

    /// Says what part of an item everything is about that was found since, and where the part begins.
    pub(crate) fn about(&mut self, since: Mark, part: &Part, at: Option<Place>) {
        let at = at.map(|place| self.position_of(place));
        for (_, diagnostic) in self.diagnostics.iter_mut().skip(since.diagnostics) {
            diagnostic.part = part.clone();
            diagnostic.part_at = at;
        }
    }

    /// How many errors there are.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// What was found so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            diagnostics: self.diagnostics.len(),
            errors: self.errors,
            left_out: self.left_out.len(),
        }
    }

    /// Forgets what was found since.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        for (file, diagnostic) in self.diagnostics.drain(mark.diagnostics..) {
            if let Some(kept) = self.kept.get_mut(&(file, diagnostic.is_error())) {
                *kept -= 1;
            }
        }
        self.left_out.truncate(mark.left_out);
        self.said.clear();
        self.errors = mark.errors;
    }

    /// Every diagnostic once, by file and position, and last how many were left out.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        let more = self.more();
        self.diagnostics
            .sort_by_key(|(file, d)| (*file, d.line, d.column, d.severity));
        let mut seen = HashSet::new();
        self.diagnostics
            .retain(|(file, d)| seen.insert((*file, d.offset, d.code, d.message.clone())));
        let readable = |(_, mut diagnostic): (usize, Diagnostic)| {
            diagnostic.hint = diagnostic.hint.as_deref().map(readable);
            for note in &mut diagnostic.notes {
                note.message = readable(&note.message);
            }
            diagnostic
        };
        self.diagnostics.into_iter().map(readable).chain(more).collect()
    }

    /// One diagnostic for all that were left out of a file.
    fn more(&self) -> Vec<Diagnostic> {
        let mut counts: BTreeMap<(usize, bool), (Code, usize)> = BTreeMap::new();
        for (file, code) in &self.left_out {
            let key = (*file, code.severity() == Severity::Error);
            counts.entry(key).or_insert((*code, 0)).1 += 1;
        }
        let more = counts
            .into_iter()
            .map(|((file, is_error), (code, count))| Diagnostic {
                message: format!(
                    "and {count} more {}",
                    if is_error { "errors" } else { "warnings" }
                ),
                file: self.file_name(file).to_owned(),
                hint: Some("begin with the first ones: the others may follow from them".into()),
                ..nothing(code)
            });
        more.collect()
    }

    /// Where bytes `range` of a scalar's value are in its file.
    pub(crate) fn inside(&self, scalar: &Scalar, range: Range<usize>) -> Place {
        let at = scalar.at;
        let Some(raw) = self.text(at.file).get(at.start..at.end) else {
            return at;
        };
        let start = source_offset(raw, &scalar.text, range.start);
        // The end of the last character rather than the start of the next: white space between them is not meant.
        let last = scalar.text[..floor(&scalar.text, range.end)]
            .char_indices()
            .next_back();
        let end = match last {
            Some((offset, c)) if offset >= range.start => {
                source_offset(raw, &scalar.text, offset) + c.len_utf8()
            }
            _ => start,
        };
        Place {
            file: at.file,
            start: at.start + start,
            end: at.start + end.max(start),
        }
    }
}

fn nothing(code: Code) -> Diagnostic {
    Diagnostic {
        severity: code.severity(),
        code,
        message: String::new(),
        item: None,
        item_at: None,
        part: Part::Item,
        part_at: None,
        file: String::new(),
        line: 0,
        column: 0,
        offset: 0,
        snippet: None,
        notes: Vec::new(),
        hint: None,
        deprecated_field: None,
    }
}

/// What a rules file may say about itself on a terminal: not too much, and nothing the terminal would obey.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(2 * LONGEST));
    let length = text.chars().count();
    // What is wrong with a long word mostly stands behind it.
    let cut = match length > LONGEST {
        true => LONGEST * 3 / 4..length - LONGEST / 4,
        false => length..length,
    };
    let mut put = |c: char| match c {
        // Controls, and marks that turn the direction of what follows or can't be seen.
        c if c.is_control() => out.extend(c.escape_default()),
        '\u{a0}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => {
            out.extend(c.escape_unicode());
        }
        c => out.push(c),
    };
    text.chars().take(cut.start).for_each(&mut put);
    if !cut.is_empty() {
        put('…');
        text.chars().skip(cut.end).for_each(&mut put);
    }
    out
}

fn chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| (**b & 0xc0) != 0x80).count()
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The byte of a scalar's source text that byte `offset` of its value came from.
///
/// Folding changes only white space, and quoting only adds quotes and escapes, so the n-th visible character of the
/// value is the n-th visible character of the source. White space itself is found by its distance from the visible
/// character before it.
fn source_offset(raw: &str, value: &str, offset: usize) -> usize {
    let before = &value[..floor(value, offset)];
    let visible = before.chars().filter(|c| !blank(*c)).count();
    let at_blank = value[before.len()..].chars().next().is_none_or(blank);
    let trailing = before.chars().rev().take_while(|c| blank(*c)).count();
    let mut seen = 0;
    let mut after_previous = 0;
    for (start, end, is_blank) in source_characters(raw, value) {
        if is_blank {
            continue;
        }
        if seen == visible && !at_blank {
            return start;
        }
        seen += 1;
        if seen == visible {
            after_previous = end;
            if at_blank {
                break;
            }
        }
    }
    let blanks = raw[after_previous..]
        .bytes()
        .take(trailing)
        .take_while(|b| *b == b' ');
    (after_previous + blanks.count()).min(raw.len())
}

/// The characters of the value as they stand in the source: start, end, and whether they are blank.
fn source_characters<'a>(raw: &'a str, value: &str) -> Box<dyn Iterator<Item = (usize, usize, bool)> + 'a> {
    let same = raw
        .chars()
        .filter(|c| !blank(*c))
        .eq(value.chars().filter(|c| !blank(*c)));
    let plain = raw
        .char_indices()
        .map(|(at, c)| (at, at + c.len_utf8(), blank(c)));
    if same {
        return Box::new(plain);
    }
    if raw.starts_with('\'') {
        let mut at = 1;
        return Box::new(std::iter::from_fn(move || {
            let c = raw.get(at..)?.chars().next()?;
            let start = at;
            at += c.len_utf8();
            if c == '\'' {
                // Two quotes stand for one; a single one ends the value.
                raw[at..].starts_with('\'').then_some(())?;
                at += 1;
            }
            Some((start, at, blank(c)))
        }));
    }
    if raw.starts_with('"') {
        let mut at = 1;
        return Box::new(std::iter::from_fn(move || {
            let rest = raw.get(at..)?;
            let c = rest.chars().next()?;
            let start = at;
            if c != '\\' {
                at += c.len_utf8();
                return Some((start, at, blank(c)));
            }
            let escape = rest[1..].chars().next()?;
            let length = match escape {
                'x' => 4,
                'u' => 6,
                'U' => 10,
                other => 1 + other.len_utf8(),
            };
            at = floor(raw, start + length);
            // A backslash before a line's end joins lines; the others that stand for white space are these.
            Some((
                start,
                at,
                matches!(escape, 'n' | 't' | 'r' | ' ' | '\t' | '\n' | '\r'),
            ))
        }));
    }
    Box::new(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(raw: &str, value: &str, needle: &str) -> String {
        let mut report = Report::default();
        report.files.push(SourceFile::new("f".into(), raw.into()));
        let scalar = Scalar {
            text: value.into(),
            at: Place {
                file: 0,
                start: 0,
                end: raw.len(),
            },
        };
        let start = value.find(needle).unwrap();
        let place = report.inside(&scalar, start..start + needle.len());
        raw[place.start..place.end].into()
    }

    #[test]
    fn a_folded_value_maps_to_its_lines() {
        let raw = "a and\n      b and\n\n    c = \"x\"\n";
        let value = "a and\n  b and\n\nc = \"x\"\n";
        assert_eq!(mapped(raw, value, "b and"), "b and");
        assert_eq!(mapped(raw, value, "c = \"x\""), "c = \"x\"");
        assert_eq!(mapped(raw, value, "and\n  b"), "and\n      b");
    }

    #[test]
    fn quoted_values_map_past_their_escapes() {
        assert_eq!(mapped("'it''s a.b here'", "it's a.b here", "a.b"), "a.b");
        assert_eq!(mapped("'it''s a.b'", "it's a.b", "a.b"), "a.b");
        assert_eq!(mapped(r#""a \"b\" c.d x""#, "a \"b\" c.d x", "c.d"), "c.d");
        assert_eq!(mapped("\"a \\\n    c.d \\u00e9 z\"", "a c.d é z", "z"), "z");
        assert_eq!(mapped("\"'q' a\\tb\"", "'q' a\tb", "b"), "b");
    }

    #[test]
    fn places_beyond_the_text_are_its_end() {
        let mut report = Report::default();
        report.files.push(SourceFile::new("f".into(), "é b\nx".into()));
        let at = Place {
            file: 0,
            start: 0,
            end: 4,
        };
        let scalar = Scalar {
            text: "é b".into(),
            at,
        };
        let place = report.inside(&scalar, 40..50);
        assert_eq!((place.start, place.end), (4, 4));
        assert_eq!(report.position(place), (1, 4));
        let beyond = Place {
            file: 3,
            start: 9,
            end: 9,
        };
        assert_eq!(report.position(beyond), (1, 1));
        report.add(Code::UnknownKey, beyond, None, "x");
        report.add(
            Code::UnknownKey,
            Place {
                file: 0,
                start: 99,
                end: 2,
            },
            None,
            "x",
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let mut report = Report::default();
        report.files.push(SourceFile::new(
            "f".into(),
            format!("{}X{}", "a".repeat(300), "b".repeat(300)),
        ));
        let place = Place {
            file: 0,
            start: 300,
            end: 301,
        };
        let snippet = report
            .add(Code::UnknownKey, place, None, "x")
            .snippet
            .clone()
            .unwrap();
        assert_eq!(snippet.text.chars().count(), Snippet::WIDTH);
        assert_eq!(snippet.text.chars().nth(snippet.caret), Some('X'));
        assert_eq!(snippet.width, 1);
    }
}
