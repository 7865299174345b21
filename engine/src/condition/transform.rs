//! What stands on either side of an operator: a field, or a transformer applied to some.

use lanner_schema::event::Event;
use lanner_schema::process::strings;
use lanner_schema::view::EventView;

use super::ast::Transformer;
use super::program::Scratch;
use crate::field::{FieldRef, is_built};
use crate::value::{FieldType, Value};

/// A value that depends on the event.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A field.
    Field(FieldRef),
    /// A constant argument of a transformer.
    Constant(Box<[u8]>),
    /// Upper or lower case.
    Case { upper: bool, of: Box<Source> },
    /// Decoded base64.
    B64(Box<Source>),
    /// What follows the last slash.
    Basename(Box<Source>),
    /// Length in bytes.
    Len(Box<Source>),
    /// Number of elements.
    Count(Box<List>),
    /// Elements joined.
    Join { separator: Box<Source>, list: Box<List> },
    /// Texts one after the other.
    Concat(Box<[Source]>),
    /// The last value of one option.
    Option { options: Box<Options>, letter: u8 },
    /// Every option, as a list.
    Options(Box<Options>),
}

/// Several values.
#[derive(Debug, Clone)]
pub(crate) enum List {
    /// A field that is a list, or `proc.args` taken argument by argument.
    Field(FieldRef),
    /// `(a, b)`.
    Items(Box<[Source]>),
    /// `getopt()` without a letter.
    Options(Box<Options>),
    /// A list whose every element is transformed.
    Transformed(Box<Source>),
}

/// `getopt(list, spec)`.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) list: List,
    pub(crate) spec: Source,
}

impl Source {
    /// The type of the value.
    pub(crate) fn ty(&self) -> FieldType {
        match self {
            Source::Field(field) => field.ty,
            Source::Len(_) | Source::Count(_) => FieldType::Uint64,
            Source::B64(of) | Source::Case { of, .. } | Source::Basename(of) => of.ty(),
            _ => FieldType::CharBuf,
        }
    }

    /// True when the value is a list.
    pub(crate) fn is_list(&self) -> bool {
        match self {
            Source::Field(field) => field.list,
            Source::Options(_) => true,
            Source::Case { of, .. } | Source::B64(of) | Source::Basename(of) => of.is_list(),
            _ => false,
        }
    }

    /// True when its value is usually built on this event, not borrowed.
    pub(super) fn is_built(&self, event: Event) -> bool {
        match self {
            Source::Field(field) => is_built(field, event),
            _ => true,
        }
    }

    /// Adds the fields it reads.
    pub(super) fn fields<'s>(&'s self, fields: &mut Vec<&'s FieldRef>) {
        match self {
            Source::Field(field) => fields.push(field),
            Source::Constant(_) => {}
            Source::Case { of, .. } | Source::B64(of) | Source::Basename(of) | Source::Len(of) => {
                of.fields(fields)
            }
            Source::Count(list) => list.fields(fields),
            Source::Join { separator, list } => {
                separator.fields(fields);
                list.fields(fields);
            }
            Source::Concat(parts) => parts.iter().for_each(|part| part.fields(fields)),
            Source::Option { options, .. } | Source::Options(options) => options.fields(fields),
        }
    }

    /// How messages name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Source::Field(field) => field.text(),
            Source::Constant(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Source::Case { upper: true, .. } => format!("{}(...)", Transformer::ToUpper),
            Source::Case { upper: false, .. } => format!("{}(...)", Transformer::ToLower),
            Source::B64(_) => format!("{}(...)", Transformer::B64),
            Source::Basename(_) => format!("{}(...)", Transformer::Basename),
            Source::Len(_) | Source::Count(_) => format!("{}(...)", Transformer::Len),
            Source::Join { .. } => format!("{}(...)", Transformer::Join),
            Source::Concat(_) => format!("{}(...)", Transformer::Concat),
            Source::Option { .. } | Source::Options(_) => format!("{}(...)", Transformer::Getopt),
        }
    }

    /// Reads the value; `buf` has to be empty. Lists have no single value: `None`.
    pub(crate) fn get<'b>(
        &'b self,
        view: &EventView<'b>,
        scratch: &mut Scratch,
        buf: &'b mut Vec<u8>,
    ) -> Option<Value<'b>> {
        match self {
            Source::Field(field) => field.get(view, buf),
            Source::Constant(bytes) => Some(Value::Bytes(bytes)),
            Source::Case { upper, of } => {
                of.append(view, scratch, buf)?;
                if *upper {
                    buf.make_ascii_uppercase();
                } else {
                    buf.make_ascii_lowercase();
                }
                Some(Value::Bytes(buf))
            }
            Source::B64(of) => {
                let mut encoded = scratch.take();
                let ok = of.append(view, scratch, &mut encoded).is_some() && base64(&encoded, buf);
                scratch.put(encoded);
                ok.then_some(Value::Bytes(buf))
            }
            Source::Basename(of) => {
                let bytes = of.get(view, scratch, buf)?.bytes()?;
                Some(Value::Bytes(basename(bytes)))
            }
            Source::Len(of) => {
                let len = of.get(view, scratch, buf)?.bytes()?.len();
                Some(Value::U64(len as u64))
            }
            Source::Count(list) => Some(Value::U64(list.count(view, scratch)?)),
            Source::Join { separator, list } => {
                let mut between = scratch.take();
                let mut first = true;
                let joined = separator.append(view, scratch, &mut between).and_then(|()| {
                    list.each(view, scratch, &mut |item| {
                        if !std::mem::take(&mut first) {
                            buf.extend_from_slice(&between);
                        }
                        buf.extend_from_slice(item);
                        false
                    })
                });
                scratch.put(between);
                joined.map(|()| Value::Bytes(buf))
            }
            Source::Concat(parts) => {
                for part in parts {
                    part.append(view, scratch, buf)?;
                }
                Some(Value::Bytes(buf))
            }
            Source::Option { options, letter } => {
                let mut found = false;
                options.each(view, scratch, &mut |option, value| {
                    if option == *letter {
                        found = true;
                        buf.clear();
                        match value {
                            Some(value) => buf.extend_from_slice(value),
                            None => buf.push(option),
                        }
                    }
                })?;
                found.then_some(Value::Bytes(buf))
            }
            Source::Options(_) => None,
        }
    }

    /// Appends the value's bytes to `out`; `None` when it is missing or no text.
    pub(crate) fn append(
        &self,
        view: &EventView<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut own = scratch.take();
        let found = self
            .get(view, scratch, &mut own)
            .and_then(Value::bytes)
            .map(|bytes| out.extend_from_slice(bytes));
        scratch.put(own);
        found
    }

    /// Calls `each` with every element of a list, of whatever type, until it returns true; `None` when the list is
    /// missing.
    pub(crate) fn each_value(
        &self,
        view: &EventView<'_>,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(Value<'_>) -> bool,
    ) -> Option<()> {
        match self {
            Source::Field(field) if !is_arguments(field) => field_values(field, view, each),
            _ => self.each(view, scratch, &mut |item| each(Value::Bytes(item))),
        }
    }

    /// Calls `each` with every text of a list until it returns true; `None` when the list is missing.
    pub(crate) fn each(
        &self,
        view: &EventView<'_>,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Option<()> {
        match self {
            Source::Field(field) => field_items(field, view, each),
            Source::Options(options) => options.items(view, scratch, each),
            Source::Case { of, .. } | Source::B64(of) | Source::Basename(of) => {
                let mut own = scratch.take();
                let mut decoded = true;
                let found = of.each(view, scratch, &mut |item| {
                    own.clear();
                    match self {
                        Source::B64(_) => decoded = base64(item, &mut own),
                        Source::Basename(_) => own.extend_from_slice(basename(item)),
                        _ => own.extend_from_slice(item),
                    }
                    match self {
                        Source::Case { upper: true, .. } => own.make_ascii_uppercase(),
                        Source::Case { .. } => own.make_ascii_lowercase(),
                        _ => {}
                    }
                    // What can not be decoded makes the list missing.
                    !decoded || each(&own)
                });
                scratch.put(own);
                found.filter(|()| decoded)
            }
            _ => None,
        }
    }
}

/// What follows the last slash.
fn basename(path: &[u8]) -> &[u8] {
    let start = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    &path[start..]
}

/// `proc.args` as a whole: text for most, taken argument by argument where a list is asked for.
fn is_arguments(field: &FieldRef) -> bool {
    field.arguments().is_some()
}

/// Calls `each` with every value of a list that is a field; `None` when there is none.
fn field_values(
    field: &FieldRef,
    view: &EventView<'_>,
    each: &mut dyn FnMut(Value<'_>) -> bool,
) -> Option<()> {
    let mut any = None;
    field.each(view, &mut |value| {
        any = Some(());
        each(value)
    });
    any
}

fn field_items(field: &FieldRef, view: &EventView<'_>, each: &mut dyn FnMut(&[u8]) -> bool) -> Option<()> {
    if is_arguments(field) && field.extract().is_some() {
        let _ = strings(&view.process?.image.args).any(each);
        return Some(());
    }
    if let Some(arguments) = field.arguments() {
        let given = view.system.given(arguments);
        if !given.is_empty() {
            let mut words = given.iter().filter_map(|word| Value::from(word).bytes());
            let _ = words.any(each);
            return Some(());
        }
        // Given by hand as one text.
        let mut text = Vec::new();
        let words = field.get(view, &mut text)?.bytes()?.split(|byte| *byte == b' ');
        let _ = words.filter(|word| !word.is_empty()).any(each);
        return Some(());
    }
    field_values(field, view, &mut |value| value.bytes().is_some_and(&mut *each))
}

impl List {
    /// How many elements there are; `None` when the list is missing.
    fn count(&self, view: &EventView<'_>, scratch: &mut Scratch) -> Option<u64> {
        let mut count = 0;
        match self {
            List::Field(field) if !is_arguments(field) => field_values(field, view, &mut |_| {
                count += 1;
                false
            }),
            _ => self.each(view, scratch, &mut |_| {
                count += 1;
                false
            }),
        }?;
        Some(count)
    }

    fn fields<'s>(&'s self, fields: &mut Vec<&'s FieldRef>) {
        match self {
            List::Field(field) => fields.push(field),
            List::Items(items) => items.iter().for_each(|item| item.fields(fields)),
            List::Options(options) => options.fields(fields),
            List::Transformed(source) => source.fields(fields),
        }
    }

    fn each(
        &self,
        view: &EventView<'_>,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Option<()> {
        match self {
            List::Field(field) => field_items(field, view, each),
            List::Options(options) => options.items(view, scratch, each),
            List::Transformed(source) => source.each(view, scratch, each),
            List::Items(items) => {
                for item in items {
                    let mut buf = scratch.take();
                    let found = item.append(view, scratch, &mut buf);
                    let stop = found.is_some() && each(&buf);
                    scratch.put(buf);
                    found?;
                    if stop {
                        break;
                    }
                }
                Some(())
            }
        }
    }
}

impl Options {
    fn fields<'s>(&'s self, fields: &mut Vec<&'s FieldRef>) {
        self.list.fields(fields);
        self.spec.fields(fields);
    }

    /// The letter of every option, and after it the value of one that takes a value.
    fn items(
        &self,
        view: &EventView<'_>,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Option<()> {
        let mut stop = false;
        self.each(view, scratch, &mut |letter, value| {
            stop = stop || each(&[letter]) || value.is_some_and(&mut *each);
        })
    }

    /// Reads the arguments as `getopt(3)` does: ends at `--` and at the first that is no option; an unknown option is
    /// `?`, a value that is not there is empty, long options are skipped.
    fn each(
        &self,
        view: &EventView<'_>,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(u8, Option<&[u8]>),
    ) -> Option<()> {
        let mut spec = scratch.take();
        let ok = self.spec.append(view, scratch, &mut spec);
        if ok.is_none() {
            scratch.put(spec);
            return None;
        }
        let mut pending: Option<u8> = None;
        let found = self.list.each(view, scratch, &mut |arg| {
            if let Some(letter) = pending.take() {
                each(letter, Some(arg));
                return false;
            }
            let Some(mut rest) = arg.strip_prefix(b"-").filter(|rest| !rest.is_empty()) else {
                return true;
            };
            if rest == b"-" {
                return true;
            }
            if rest.starts_with(b"-") {
                return false;
            }
            while let Some((&letter, after)) = rest.split_first() {
                rest = after;
                match spec.iter().position(|s| *s == letter && *s != b':') {
                    None => each(b'?', None),
                    Some(at) if spec.get(at + 1) == Some(&b':') => {
                        if rest.is_empty() {
                            pending = Some(letter);
                        } else {
                            each(letter, Some(rest));
                        }
                        break;
                    }
                    Some(_) => each(letter, None),
                }
            }
            false
        });
        if let Some(letter) = pending {
            each(letter, Some(b""));
        }
        scratch.put(spec);
        found
    }
}

/// Decodes standard base64, padding optional; false when it is none.
fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let body = text
        .strip_suffix(b"==")
        .or_else(|| text.strip_suffix(b"="))
        .unwrap_or(text);
    if body.len() % 4 == 1 || body.len() != text.len() && !text.len().is_multiple_of(4) {
        return false;
    }
    let (mut bits, mut have) = (0u32, 0);
    for byte in body {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(six);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
            bits &= (1 << have) - 1;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_decodes_with_and_without_padding() {
        for (text, expected) in [
            ("aGVsbG8=", Some("hello")),
            ("aGVsbG8", Some("hello")),
            ("aGk=", Some("hi")),
            ("", Some("")),
            ("aGVsbG8==", None),
            ("a", None),
            ("a!b=", None),
        ] {
            let mut out = Vec::new();
            let ok = base64(text.as_bytes(), &mut out);
            assert_eq!(
                ok.then_some(out.as_slice()),
                expected.map(str::as_bytes),
                "{text}"
            );
        }
    }
}
