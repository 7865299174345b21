//! The words of the language: what may be a name, a number, a bare or a quoted string.

use winnow::combinator::{alt, opt};
use winnow::error::EmptyError;
use winnow::prelude::*;
use winnow::token::{one_of, take_while};

type Lex<'a, T> = Result<T, EmptyError>;

/// Falco's blanks.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{8}' | '\r' | '\n')
}

fn is_bare_char(c: char) -> bool {
    !is_blank(c) && !matches!(c, '\u{b}' | '\u{c}' | '(' | ')' | '"' | '\'' | '=' | ',')
}

/// True when `bytes` can be written without quotes.
pub(super) fn is_bare(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| is_bare_char(c) && !c.is_ascii_control() && c != '\\')
        }
        Err(_) => false,
    }
}

fn is_argument_char(c: char) -> bool {
    !matches!(c, '[' | ']' | '"' | '\'') && !c.is_ascii_whitespace() && c != '\u{b}'
}

/// True when `text` can stand between brackets without quotes.
pub(super) fn is_bare_argument(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_argument_char)
}

/// Any number of blanks.
pub(super) fn blanks<'a>(input: &mut &'a str) -> Lex<'a, &'a str> {
    take_while(0.., is_blank).parse_next(input)
}

/// `[a-zA-Z][a-zA-Z0-9_]*`
pub(super) fn ident<'a>(input: &mut &'a str) -> Lex<'a, &'a str> {
    (
        one_of(|c: char| c.is_ascii_alphabetic()),
        take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_'),
    )
        .take()
        .parse_next(input)
}

/// `IDENT(.IDENT)*`
pub(super) fn dotted<'a>(input: &mut &'a str) -> Lex<'a, &'a str> {
    fn more<'a>(input: &mut &'a str) -> Lex<'a, ()> {
        while opt((".", ident)).parse_next(input)?.is_some() {}
        Ok(())
    }
    (ident, more).take().parse_next(input)
}

/// A string without quotes.
pub(super) fn bare<'a>(input: &mut &'a str) -> Lex<'a, &'a str> {
    take_while(1.., is_bare_char).parse_next(input)
}

/// What stands between brackets, without quotes.
pub(super) fn bare_argument<'a>(input: &mut &'a str) -> Lex<'a, &'a str> {
    take_while(1.., is_argument_char).parse_next(input)
}

/// A number: hexadecimal, or decimal with an optional fraction and exponent.
pub(super) fn number<'a>(input: &mut &'a str) -> Lex<'a, &'a str> {
    fn digits<'a>(input: &mut &'a str) -> Lex<'a, &'a str> {
        take_while(1.., |c: char| c.is_ascii_digit()).parse_next(input)
    }
    alt((
        (
            "0",
            one_of(['x', 'X']),
            take_while(1.., |c: char| c.is_ascii_hexdigit()),
        )
            .take(),
        (
            opt(one_of(['+', '-'])),
            digits,
            opt("."),
            opt(digits),
            opt((one_of(['e', 'E']), one_of(['+', '-']), digits)),
        )
            .take(),
    ))
    .parse_next(input)
}

/// Why a quoted string could not be read; positions are bytes from its opening quote.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum QuotedError {
    /// No closing quote.
    Unterminated,
    /// An escape that does not exist.
    Escape { at: usize, len: usize },
}

/// A quoted string from its opening quote on: its value and how many bytes it takes. The first quote of the same kind
/// that has no backslash before it ends the string, even when that backslash is itself escaped.
pub(super) fn quoted(input: &str) -> Option<Result<(Vec<u8>, usize), QuotedError>> {
    let bytes = input.as_bytes();
    let quote = *bytes.first().filter(|b| matches!(b, b'"' | b'\''))?;
    let mut end = 1;
    loop {
        match bytes.get(end) {
            None => return Some(Err(QuotedError::Unterminated)),
            Some(b) if *b == quote && bytes[end - 1] != b'\\' => break,
            Some(_) => end += 1,
        }
    }
    Some(unescape(&bytes[1..end], quote).map(|value| (value, end + 1)))
}

fn unescape(body: &[u8], quote: u8) -> Result<Vec<u8>, QuotedError> {
    let mut value = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        if byte != b'\\' {
            value.push(byte);
            at += 1;
            continue;
        }
        let escape = body.get(at + 1).copied();
        let mut len = 2;
        value.push(match escape {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(c @ (b'\\' | b'/')) => c,
            Some(c) if c == quote => c,
            // Kept for rules written before there were escapes.
            Some(b' ') => b'\\',
            Some(b'x') => {
                len = 4;
                match body.get(at + 2..at + 4).and_then(hex_byte) {
                    Some(byte) => byte,
                    None => return Err(QuotedError::Escape { at: at + 1, len: 2 }),
                }
            }
            _ => {
                // All of a character that takes several bytes.
                let wide = body[at + 1..].iter().skip(1).take_while(|b| **b & 0xc0 == 0x80);
                let len = 2 + wide.count();
                return Err(QuotedError::Escape { at: at + 1, len });
            }
        });
        at += len;
    }
    Ok(value)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
