//! Lists and macros that stand where the other belongs, and names that are nearly theirs.

use super::definition::{Definitions, Named};
use super::macros::name as name_of;
use super::mapped::Mapped;
use super::source::Report;
use crate::condition::{Expr, Literal, Modifier, Operand, Operator, Right, Span, Test, Transformer};
use crate::diagnostic::{Code, ItemKind};
use std::ops::Range;

/// Warns of names that stand for something else in every condition.
pub(crate) fn names(report: &mut Report, definitions: &Definitions) {
    let keyword = |word: &str| {
        let words = ["and", "or", "not", "val"];
        words.contains(&word)
            || Modifier::from_word(word).is_some()
            || Operator::parse(word).is_some()
            || Transformer::from_word(word).is_some()
    };
    for list in definitions.lists.iter().filter(|list| keyword(&list.name.text)) {
        let item = name_of(ItemKind::List, &list.name);
        let message = format!(
            "list '{0}' takes the place of the word '{0}' in every condition",
            list.name.text
        );
        report
            .add(Code::Extension, list.name.at, Some(&item), message)
            .hint = Some("give it a name that is no word of conditions".into());
    }
    for definition in definitions.macros.iter() {
        let name = &definition.name;
        let item = name_of(ItemKind::Macro, name);
        if let Some(list) = definitions.lists.get(&name.text) {
            let note = report.note(list.name.at, "the list is here");
            let message = format!(
                "'{}' is a list too: in conditions the name means the list",
                name.text
            );
            let diagnostic = report.add(Code::Extension, name.at, Some(&item), message);
            diagnostic.notes.push(note);
            diagnostic.hint = Some("give one of them another name".into());
        } else if matches!(name.text.as_str(), "and" | "or" | "not") {
            let message = format!(
                "macro '{}' can not be used: the name is a word of conditions",
                name.text
            );
            report.add(Code::Extension, name.at, Some(&item), message).hint =
                Some("give it another name".into());
        }
    }
}

/// How a list is misused in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListUse {
    /// After `in` or a modifier, without parentheses.
    Bare(String),
    /// After an operator that takes one value.
    OneValue(String),
    /// After `!=`; what is compared.
    Differs(String),
    /// Where a check belongs.
    Check,
}

impl ListUse {
    /// What is wrong with it.
    pub(crate) fn message(&self, list: &str) -> String {
        match self {
            ListUse::Bare(_) => format!("list '{list}' needs parentheses"),
            ListUse::OneValue(op) => format!("'{op}' takes one value, and '{list}' is a list"),
            ListUse::Differs(_) => format!("'!=' takes one value, and '{list}' is a list"),
            ListUse::Check => format!("'{list}' is a list, and here belongs a check or a macro"),
        }
    }

    /// What to write instead.
    pub(crate) fn hint(&self, list: &str) -> String {
        match self {
            ListUse::Bare(op) => format!("write {op} ({list})"),
            ListUse::OneValue(op) if op == "=" => format!("write in ({list})"),
            ListUse::Differs(left) => format!("write not {left} in ({list})"),
            ListUse::OneValue(op) => format!("write {op} anyof ({list})"),
            ListUse::Check => format!("compare a field with it, as in proc.name in ({list})"),
        }
    }
}

/// How the list named at `range` of a condition is used, when it is used in a way that can not work.
pub(crate) fn list_use(text: &str, range: &Range<usize>) -> Option<ListUse> {
    let before = text.get(..range.start)?.trim_end();
    if before.ends_with(',') {
        return None;
    }
    let word_of = |text: &str| {
        let start = text
            .rfind(|c: char| c.is_whitespace() || "(),".contains(c))
            .map_or(0, |at| at + 1);
        text.get(start..).unwrap_or("").to_owned()
    };
    let takes_list = |word: &str| {
        Modifier::from_word(word).is_some() || Operator::from_word(word).is_some_and(Operator::takes_list)
    };
    if let Some(outside) = before.strip_suffix('(') {
        let word = word_of(outside.trim_end());
        return (!takes_list(&word)).then_some(ListUse::Check);
    }
    let word = word_of(before);
    if takes_list(&word) {
        return Some(ListUse::Bare(word));
    }
    if let Some(left) = word.strip_suffix("!=") {
        let left = match left {
            "" => word_of(before.strip_suffix("!=").unwrap_or(before).trim_end()),
            left => left.to_owned(),
        };
        return Some(ListUse::Differs(left));
    }
    if word.ends_with('=') {
        return Some(ListUse::OneValue("=".into()));
    }
    match Operator::from_word(&word).is_some_and(Operator::takes_modifier) {
        true => Some(ListUse::OneValue(word)),
        false => Some(ListUse::Check),
    }
}

/// A value of a condition that is written like a name of something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It is a macro's name.
    Macro(String),
    /// It is nearly this list's name.
    Nearly(String, String),
    /// It stands without parentheses where lists do.
    NoList(String),
}

impl Doubt {
    pub(crate) fn message(&self) -> String {
        match self {
            Doubt::Macro(name) => format!("'{name}' is a macro, and compared as text here"),
            Doubt::Nearly(name, _) | Doubt::NoList(name) => {
                format!("'{name}' is compared as text: no list has this name")
            }
        }
    }

    pub(crate) fn hint(&self) -> String {
        match self {
            Doubt::Macro(name) => {
                format!("a macro is a condition of its own: write 'and {name}'; text may be quoted")
            }
            Doubt::Nearly(_, list) => format!("did you mean the list '{list}'?"),
            Doubt::NoList(name) => {
                format!("if the text is meant write ({name}); a list needs parentheses too")
            }
        }
    }
}

/// How many names are compared before guessing ends: files can have very many of both.
const GUESSES: usize = 100_000;

/// Looks for doubtful values.
#[derive(Debug)]
pub(crate) struct Doubts<'d> {
    definitions: &'d Definitions,
    left: usize,
}

impl<'d> Doubts<'d> {
    pub(crate) fn new(definitions: &'d Definitions) -> Self {
        Doubts {
            definitions,
            left: GUESSES,
        }
    }

    /// The doubtful values of a condition that stand in its own text: those of lists are the lists' business.
    pub(crate) fn of(&mut self, expr: &Expr, mapped: &Mapped) -> Vec<(Doubt, Span)> {
        let mut names = Vec::new();
        expr.walk(&mut |node| {
            let Expr::Check(check) = node else { return };
            let Test::Compare {
                op, modifier, right, ..
            } = &check.test
            else {
                return;
            };
            let literals = match right {
                Right::List(items, _) => items.as_slice(),
                Right::Literal(literal) => std::slice::from_ref(literal),
                Right::Operand(_) => &[],
            };
            let in_list = matches!(right, Right::List(..));
            // The names of events are looked up.
            let is_event = matches!(&check.left, Operand::Field(f) if f.name.ends_with(".type"));
            let bare = !in_list && (op.takes_list() || modifier.is_some()) && !is_event;
            names.extend(
                literals
                    .iter()
                    .filter_map(|l| Some((name(l)?, l.span, in_list, bare))),
            );
        });
        let mut doubts = Vec::new();
        for (name, span, in_list, bare) in names {
            if mapped.is_list_item(span.start) {
                continue;
            }
            // Words such as `dup` are system calls, programs and fine names of macros.
            if in_list && name.contains('_') && self.definitions.macros.get(&name).is_some() {
                doubts.push((Doubt::Macro(name), span));
            } else if let Some(list) = self.nearly(&name, &self.definitions.lists) {
                doubts.push((Doubt::Nearly(name, list), span));
            } else if bare {
                doubts.push((Doubt::NoList(name), span));
            }
        }
        doubts
    }

    /// The list whose name is a slip of the keyboard away. Programs have names of one word; of what has several, a
    /// likeness is no accident.
    fn nearly<T>(&mut self, name: &str, all: &Named<T>) -> Option<String> {
        if name.len() < 8 || !name.contains('_') {
            return None;
        }
        let alike = |other: &&str| other.len().abs_diff(name.len()) <= 2 && other.contains('_');
        for other in all.names().filter(alike) {
            self.left = self.left.checked_sub(1)?;
            if strsim::osa_distance(name, other) <= 2 {
                return Some(other.to_owned());
            }
        }
        None
    }
}

/// A value that looks like a name: one word without quotes.
fn name(literal: &Literal) -> Option<String> {
    let text = literal.text();
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (is_name && !literal.quoted).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_of_lists() {
        let used = |text: &str| {
            let start = text.find("shells").unwrap();
            list_use(text, &(start..start + 6))
        };
        assert_eq!(used("proc.name in (shells)"), None);
        assert_eq!(used("proc.name in(a, shells)"), None);
        assert_eq!(used("proc.name = anyof ( shells )"), None);
        assert_eq!(used("proc.name in shells"), Some(ListUse::Bare("in".into())));
        assert_eq!(used("(proc.name = shells)"), Some(ListUse::OneValue("=".into())));
        assert_eq!(
            used("proc.name!=shells"),
            Some(ListUse::Differs("proc.name".into()))
        );
        assert_eq!(
            used("proc.name != shells"),
            Some(ListUse::Differs("proc.name".into()))
        );
        assert_eq!(
            used("proc.name startswith shells"),
            Some(ListUse::OneValue("startswith".into()))
        );
        assert_eq!(used("shells and x"), Some(ListUse::Check));
        assert_eq!(used("evt.type = open and (shells)"), Some(ListUse::Check));
    }
}
