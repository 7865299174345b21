//! `"%proc.name opened %fd.name"` → text and typed fields.

use std::ops::Range;
use std::sync::Arc;

use lanner_schema::alert::FieldValue;
use lanner_schema::event::{EventSet, Format, Needs};
use lanner_schema::view::EventView;

use crate::condition::{
    Checker, Operand, Scratch, Source, TransformArg, Warning, add_params, parse_operand_prefix,
};
use crate::field::{Extract, FieldRef, raw_format};
use crate::scope::Scope;
use crate::value::{Class, FieldType, Value};

/// The text of a list is cut here, as in Falco; among an alert's fields it is whole.
const MAX_LIST: usize = 1023;

/// Names that text follows without a blank are looked for up to this length.
const MAX_NAME: usize = 256;

/// An output that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    span: Range<usize>,
    message: String,
    hint: Option<String>,
    unknown_name: bool,
}

impl TemplateError {
    /// The bytes of the template that are wrong.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    /// True when a name does not exist: what `skip-if-unknown-filter` excuses.
    pub fn is_unknown_name(&self) -> bool {
        self.unknown_name
    }
}

/// A compiled output.
#[derive(Debug)]
pub struct Template {
    text: String,
    pub(super) parts: Vec<Part>,
    keys: Vec<(Arc<str>, FieldRef)>,
    fields: Vec<FieldRef>,
    warnings: Vec<Warning>,
    pub(super) continues: bool,
    pub(super) base64: bool,
}

#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Value {
        source: Source,
        /// As it was written.
        operand: Box<Operand>,
        width: usize,
        /// The key whose value it is as well, when it prints as it is.
        key: Option<usize>,
    },
}

/// Fields whose values are numbers, and print as something else.
const TIMES: [&str; 5] = [
    "evt.time",
    "evt.time.s",
    "evt.time.iso8601",
    "evt.datetime",
    "evt.datetime.s",
];

impl Template {
    /// Compiles a template whose fields are those of the first source; see [`Template::compile_in`].
    ///
    /// # Errors
    /// The first token that is no field.
    pub fn compile(text: &str) -> Result<Template, TemplateError> {
        Template::compile_in(text, &Scope::default())
    }

    /// Compiles a template. `%NAME` is replaced by the field's value, `%10NAME` by exactly ten characters of it; the
    /// longest name that is a field counts. A `*` at the start (Falco adds one) prints missing values as `<NA>`.
    ///
    /// # Errors
    /// The first token that is no field.
    pub fn compile_in(text: &str, scope: &Scope) -> Result<Template, TemplateError> {
        let mut template = Template {
            text: text.to_owned(),
            parts: Vec::new(),
            keys: Vec::new(),
            fields: Vec::new(),
            warnings: Vec::new(),
            continues: text.starts_with('*'),
            base64: scope.is_base64(),
        };
        let mut at = usize::from(template.continues);
        while let Some(offset) = text[at..].find('%') {
            template.push_text(&text[at..at + offset]);
            at = template.token(scope, text, at + offset)?;
        }
        template.push_text(&text[at..]);
        template.keys.sort_by(|a, b| a.0.cmp(&b.0));
        template.keys.dedup_by(|a, b| a.0 == b.0);
        template.share_keys();
        Ok(template)
    }

    /// Finds the parts that print the value of a key.
    fn share_keys(&mut self) {
        for part in &mut self.parts {
            if let Part::Value {
                source: Source::Field(field),
                operand,
                key,
                ..
            } = part
                && let Operand::Field(name) = &**operand
                && !field.row.flags.padded
                && !TIMES.contains(&field.row.name)
            {
                let name = name.to_string();
                *key = self.keys.binary_search_by(|(key, _)| (**key).cmp(&name)).ok();
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.parts.push(Part::Text(text.to_owned()));
        }
    }

    /// Reads the token whose `%` is at `percent`; returns where it ends.
    fn token(&mut self, scope: &Scope, text: &str, percent: usize) -> Result<usize, TemplateError> {
        let digits = text[percent + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let start = percent + 1 + digits;
        // Longer widths are mistakes, not columns.
        let width = text[percent + 1..start].parse::<u16>().unwrap_or(0);
        let found = longest(scope, &text[start..]);
        let Some((operand, len)) = found.operand else {
            return Err(unknown(text, percent, start, found.error));
        };
        let mut checker = Checker::new(scope);
        match checker.source(&operand) {
            Some(source) if checker.errors.is_empty() => {
                self.keys_of(scope, &operand, &source);
                self.parts.push(Part::Value {
                    source,
                    operand: Box::new(operand),
                    width: width.into(),
                    key: None,
                });
                self.fields.append(&mut checker.fields);
                self.warnings
                    .extend(checker.warnings.into_iter().map(|mut warning| {
                        warning.span.start += start;
                        warning.span.end += start;
                        warning
                    }));
                Ok(start + len)
            }
            _ => {
                let error = checker.errors.into_iter().next().map(|error| error.kind);
                Err(unknown(text, percent, start, error.map(Into::into)))
            }
        }
    }

    /// The plain fields of a token: itself, or those inside a transformer.
    fn keys_of(&mut self, scope: &Scope, operand: &Operand, source: &Source) {
        match (operand, source) {
            (Operand::Field(name), Source::Field(field)) => {
                self.keys.push((name.to_string().into(), field.clone()));
            }
            (Operand::Transform(transform), _) => self.keys_within(scope, &transform.args),
            _ => {}
        }
    }

    fn keys_within(&mut self, scope: &Scope, args: &[TransformArg]) {
        for arg in args {
            match arg {
                TransformArg::Field(name) => {
                    if let Ok(field) = FieldRef::resolve_in(scope, &name.name, name.arg.as_deref()) {
                        self.keys.push((name.to_string().into(), field));
                    }
                }
                TransformArg::Transform(inner) => self.keys_within(scope, &inner.args),
                TransformArg::List(items, _) => self.keys_within(scope, items),
                TransformArg::Literal(_) => {}
            }
        }
    }

    /// Appends the text for one event to `out`, and the values of the plain fields (those within transformers
    /// included) to `values`, sorted by name; times are numbers there. Missing values print as `<NA>`: Falco puts the
    /// `*` that asks for that before every rule's output.
    pub fn render(&self, view: &EventView<'_>, out: &mut String, values: &mut Vec<(Arc<str>, FieldValue)>) {
        let mut scratch = Scratch::new();
        let first = values.len();
        // The time is added to them later.
        values.reserve(self.keys.len() + 1);
        values.extend(self.keys.iter().map(|(key, field)| {
            let value = match field.row.name {
                name if field.extract().is_some() && TIMES.contains(&name) => FieldValue::U64(view.time),
                _ => sure(view, |view| typed(field, view, &mut scratch, self.base64)),
            };
            (Arc::clone(key), value)
        }));
        // Most values are about as long as their names.
        out.reserve(self.text.len() * 2);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value {
                    source, width, key, ..
                } => match key.and_then(|key| values.get(first + key)) {
                    Some((_, value)) => push_value(out, value, *width),
                    None => {
                        let value = sure(view, |view| value_of(source, view, &mut scratch, self.base64));
                        push_value(out, &value, *width);
                    }
                },
            }
        }
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of its plain fields, those within transformers included, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| &**name)
    }

    /// Every field it reads.
    pub fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// What is not wrong, but perhaps not meant.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Adds the on-demand parameters it reads on `events`.
    pub fn needs(&self, events: EventSet, needs: &mut Needs) {
        add_params(&self.fields, events, needs);
    }
}

/// A value that is the same whatever the process of the event was of what it may have been; else it is missing.
fn sure(view: &EventView<'_>, mut of: impl FnMut(&EventView<'_>) -> FieldValue) -> FieldValue {
    let value = of(view);
    match view.by_what_it_may_have_been().all(|other| of(&other) == value) {
        true => value,
        false => FieldValue::Missing,
    }
}

#[derive(Default)]
struct Found {
    operand: Option<(Operand, usize)>,
    error: Option<Failure>,
}

/// What went wrong with the longest reading.
struct Failure {
    message: String,
    hint: Option<String>,
    unknown_name: bool,
}

impl From<crate::condition::CheckErrorKind> for Failure {
    fn from(kind: crate::condition::CheckErrorKind) -> Self {
        Failure {
            message: kind.to_string(),
            hint: kind.hint(),
            unknown_name: kind.is_unknown_name(),
        }
    }
}

/// The longest field or transformer at the start of `text`, with its argument when there is one.
fn longest(scope: &Scope, text: &str) -> Found {
    let mut found = Found::default();
    match parse_operand_prefix(text) {
        Ok((Operand::Field(name), len)) => match FieldRef::resolve_in(scope, &name.name, name.arg.as_deref())
        {
            Ok(_) => {
                found.operand = Some((Operand::Field(name), len));
                return found;
            }
            Err(error) => {
                found.error = Some(crate::condition::CheckErrorKind::from(error).into());
            }
        },
        Ok((operand, len)) => {
            found.operand = Some((operand, len));
            return found;
        }
        Err(error) => {
            found.error = Some(Failure {
                message: error.message,
                hint: error.hint,
                unknown_name: false,
            });
        }
    }
    let name = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
        .map_or(text, |end| &text[..end]);
    for end in (1..=name.len().min(MAX_NAME)).rev() {
        if FieldRef::may_resolve(scope, &name[..end])
            && let Ok((operand @ Operand::Field(_), len)) = parse_operand_prefix(&name[..end])
            && len == end
            && let Operand::Field(field) = &operand
            && FieldRef::resolve_in(scope, &field.name, None).is_ok()
        {
            found.operand = Some((operand, len));
            return found;
        }
    }
    found
}

fn unknown(text: &str, percent: usize, start: usize, failure: Option<Failure>) -> TemplateError {
    let word = text[start..]
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'))
        .map_or(&text[start..], |end| &text[start..start + end]);
    let span = percent..(start + word.len()).max(percent + 1);
    if word.is_empty() {
        return TemplateError {
            span,
            message: "invalid formatting token: '%' has to be followed by a field".into(),
            hint: Some(match text[start..].starts_with(['(', '{']) {
                true => "a field stands after the % without brackets, as in %proc.name".into(),
                false => "there is no way to print a '%'".into(),
            }),
            unknown_name: false,
        };
    }
    let failure = failure.unwrap_or(Failure {
        message: String::new(),
        hint: None,
        unknown_name: true,
    });
    TemplateError {
        span,
        message: match failure.message.as_str() {
            "" => format!("unknown filter: {word}"),
            message if failure.unknown_name => format!("unknown filter: {word}: {message}"),
            message => format!("invalid formatting token '%{word}': {message}"),
        },
        hint: failure.hint,
        unknown_name: failure.unknown_name,
    }
}

pub(super) fn push_value(out: &mut String, value: &FieldValue, width: usize) {
    use std::fmt::Write;
    if width == 0 {
        match value {
            FieldValue::Text(text) => out.push_str(text),
            FieldValue::List(_) => {
                let text = value.to_string();
                out.push_str(&text[..text.floor_char_boundary(MAX_LIST)]);
            }
            // Writing to a string cannot fail.
            _ => _ = write!(out, "{value}"),
        }
        return;
    }
    let text = value.to_string();
    let mut written = 0;
    for c in text.chars().take(width) {
        out.push(c);
        written += 1;
    }
    out.extend(std::iter::repeat_n(' ', width - written));
}

pub(super) fn value_of(
    source: &Source,
    view: &EventView<'_>,
    scratch: &mut Scratch,
    base64: bool,
) -> FieldValue {
    if let Source::Field(field) = source {
        let mut value = typed(field, view, scratch, base64);
        if let FieldValue::U64(number) = value
            && field.row.flags.padded
        {
            value = FieldValue::Text(format!("{number:09}"));
        }
        return value;
    }
    if source.is_list() {
        return list(|each| source.each(view, &mut Scratch::new(), each));
    }
    let mut buf = scratch.take();
    let value = source
        .get(view, scratch, &mut buf)
        .map_or(FieldValue::Missing, |value| {
            plain(value, source.ty().class(), base64)
        });
    scratch.put(buf);
    value
}

fn list(walk: impl FnOnce(&mut dyn FnMut(&[u8]) -> bool) -> Option<()>) -> FieldValue {
    let mut items = Vec::new();
    let found = walk(&mut |item| {
        items.push(FieldValue::Text(String::from_utf8_lossy(item).into_owned()));
        false
    });
    found.map_or(FieldValue::Missing, |()| FieldValue::List(items))
}

/// A field's value as outputs carry it.
pub(super) fn typed(
    field: &FieldRef,
    view: &EventView<'_>,
    scratch: &mut Scratch,
    base64: bool,
) -> FieldValue {
    if field.row.flags.filter_only {
        return FieldValue::Missing;
    }
    if field.list {
        let class = field.ty.class();
        let mut items = Vec::new();
        field.each(view, &mut |value| {
            items.push(plain(value, class, base64));
            false
        });
        return match items.is_empty() {
            true => FieldValue::Missing,
            false => FieldValue::List(items),
        };
    }
    if field.is_many()
        && matches!(field.row.extract, Extract::Ancestor(_) | Extract::Any(_))
        && !(field.row.name == "proc.apid" && field.extract().is_none())
    {
        return ancestors(field, view);
    }
    let mut buf = scratch.take();
    let value = match field.get(view, &mut buf) {
        None => FieldValue::Missing,
        Some(Value::U64(number)) if field.row.flags.hex => FieldValue::Text(format!("{number:X}")),
        Some(Value::I64(number)) if field.row.ty == FieldType::Dyn => {
            match raw_format(view, &field.arg) {
                Format::Decimal => FieldValue::I64(number),
                // Of negative ones those of 32 bits are not decimal; an address may be longer.
                Format::Hex if number >= 0 => FieldValue::Text(format!("{number:X}")),
                Format::Hex => FieldValue::Text(format!("{:X}", number as u32)),
                Format::Octal => FieldValue::Text(format!("{:o}", number as u32)),
            }
        }
        Some(Value::U64(number)) if field.row.ty == FieldType::Dyn => match raw_format(view, &field.arg) {
            Format::Decimal => FieldValue::U64(number),
            Format::Hex => FieldValue::Text(format!("{number:X}")),
            Format::Octal => FieldValue::Text(format!("{number:o}")),
        },
        Some(value) => plain(value, field.ty.class(), base64),
    };
    scratch.put(buf);
    value
}

/// Without an index: every ancestor, separated by blanks; of `proc.apid` the process itself.
fn ancestors(field: &FieldRef, view: &EventView<'_>) -> FieldValue {
    if field.row.name == "proc.apid" {
        return view
            .process
            .map_or(FieldValue::Missing, |p| FieldValue::I64(p.pid.into()));
    }
    let mut text: Vec<u8> = Vec::new();
    let mut any = false;
    field.each(view, &mut |value| {
        if std::mem::replace(&mut any, true) {
            text.push(b' ');
        }
        let bytes = value.bytes().unwrap_or_default();
        // An environment is entries ended by NUL.
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        text.extend(bytes.iter().map(|b| if *b == 0 { b' ' } else { *b }));
        false
    });
    if any {
        FieldValue::Text(String::from_utf8_lossy(&text).into_owned())
    } else {
        FieldValue::Missing
    }
}

fn plain(value: Value<'_>, class: Class, base64: bool) -> FieldValue {
    match value {
        Value::Bool(value) => FieldValue::Bool(value),
        Value::I64(value) => FieldValue::I64(value),
        Value::U64(value) => FieldValue::U64(value),
        Value::F64(value) => FieldValue::F64(value),
        Value::Ip(ip) => FieldValue::Text(ip.to_string()),
        Value::Bytes(bytes) if class == Class::Bytes && base64 => FieldValue::Text(base64_text(bytes)),
        Value::Bytes(bytes) if class == Class::Bytes => FieldValue::Text(
            bytes
                .iter()
                .map(|b| {
                    if b.is_ascii_graphic() || *b == b' ' {
                        char::from(*b)
                    } else {
                        '.'
                    }
                })
                .collect(),
        ),
        Value::Bytes(bytes) => FieldValue::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Standard base64 with padding (RFC 4648, section 4).
fn base64_text(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            text.push(match digit <= chunk.len() {
                true => char::from(ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize]),
                false => '=',
            });
        }
    }
    text
}
