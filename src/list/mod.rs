//! `-L`, `-l`, `--list` and `--list-events`: a table each, in the forms Falco prints them.

mod events;
mod fields;
mod rules;

pub(crate) use events::events;
pub(crate) use fields::{Asked, fields};
pub(crate) use rules::{as_json as rules_as_json, as_text as rules_as_text};

use clap::ValueEnum;
use serde_json::Value;

/// The form a list is printed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    #[default]
    Text,
    /// Tables for a documentation page.
    Markdown,
    /// For programs.
    Json,
}

/// A JSON document as Falco prints the lists: indented by two, and with a final line break.
fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Appends `text` word by word, breaking lines before `width` characters and beginning each further line with `indent`
/// blanks. Every word is followed by a blank: Falco's text, to the byte.
fn wrap(out: &mut String, text: &str, indent: usize, width: usize) {
    let room = width.saturating_sub(indent);
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count() + 1;
        if used > 0 && used + length > room {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            used = 0;
        }
        used += length;
        out.push_str(word);
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, indent: usize, width: usize) -> String {
        let mut out = String::new();
        wrap(&mut out, text, indent, width);
        out
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two\n three", 2, 11), "one two \n  three ");
        assert_eq!(wrapped("one two three", 0, 80), "one two three ");
        assert_eq!(wrapped("", 2, 11), "");
    }

    #[test]
    fn a_word_wider_than_the_room_has_a_line_of_its_own() {
        assert_eq!(wrapped("abcdefgh ij", 4, 8), "abcdefgh \n    ij ");
        assert_eq!(wrapped("a b", 9, 3), "a \n         b ");
    }
}
