//! What is wrong with a request.

use std::fmt::Write as _;
use std::ops::Range;

use lanner_engine::{Code, Diagnostic, ItemKind};

use super::object::{Object, array, text};
use super::place::{Lines, Place};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What, in one sentence without a full stop.
    pub(crate) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
    /// The bytes that are meant.
    pub(super) span: Option<Range<usize>>,
    /// The macro in whose text they are, by its place among the request's macros.
    pub(super) in_macro: Option<usize>,
    /// The byte at which reading stopped, when the text was not understood.
    pub(super) stopped: Option<usize>,
    /// It is in a rules file.
    pub(super) elsewhere: Option<Box<Diagnostic>>,
}

/// A text in which something can be wrong.
#[derive(Debug)]
pub(super) struct Texts<'t> {
    /// What messages call the request's own text.
    pub(super) subject: &'static str,
    /// The request's own text.
    pub(super) own: Lines<'t>,
    /// The macros, by name.
    pub(super) macros: Vec<(&'t str, Lines<'t>)>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Problem {
        Problem {
            message: message.into(),
            hint: None,
            span: None,
            in_macro: None,
            stopped: None,
            elsewhere: None,
        }
    }

    /// What was found in the condition `text` with the macros of rules files, or in one of those.
    pub(super) fn found(diagnostic: Diagnostic, text: &str) -> Problem {
        let problem = Problem::new(diagnostic.message.as_str()).maybe_hint(diagnostic.hint.clone());
        if diagnostic.item.as_ref().map(|item| item.kind) != Some(ItemKind::Condition) {
            return Problem {
                elsewhere: Some(Box::new(diagnostic)),
                ..problem
            };
        }
        let width = diagnostic.snippet.as_ref().map_or(1, |snippet| snippet.width);
        let meant = text
            .get(diagnostic.offset..)
            .unwrap_or_default()
            .chars()
            .take(width);
        let end = diagnostic.offset + meant.map(char::len_utf8).sum::<usize>();
        problem.at(diagnostic.offset..end)
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Problem {
        self.maybe_hint(Some(hint.into()))
    }

    pub(super) fn maybe_hint(self, hint: Option<String>) -> Problem {
        Problem { hint, ..self }
    }

    pub(super) fn at(self, span: Range<usize>) -> Problem {
        Problem {
            span: Some(span),
            ..self
        }
    }

    /// Adds `hint`, `pos` and `macro` to an object that has the message.
    fn details(&self, object: Object, texts: Option<&Texts<'_>>) -> Object {
        let mut object = match &self.hint {
            Some(hint) => object.key("hint", hint),
            None => object,
        };
        if let Some(diagnostic) = &self.elsewhere {
            let place = Place {
                idx: diagnostic.offset,
                line: diagnostic.line,
                col: diagnostic.column,
            };
            object = object
                .key("file", &diagnostic.file)
                .raw("pos", &format!(r#"{{"start":{}}}"#, place.json()));
        } else if let (Some(span), Some(texts)) = (&self.span, texts) {
            let (name, lines) = self.lines(texts);
            if let Some(name) = name {
                object = object.key("macro", name);
            }
            object = object.pos(lines, span.clone());
        }
        object
    }

    fn lines<'t>(&self, texts: &'t Texts<'_>) -> (Option<&'t str>, &'t Lines<'t>) {
        match self.in_macro.and_then(|index| texts.macros.get(index)) {
            Some((name, lines)) => (Some(name), lines),
            None => (None, &texts.own),
        }
    }

    /// For a person: where, what, the line with carets, and what to do. `kind` is `error`, or a warning with its code.
    pub(super) fn explain(&self, kind: &str, texts: &Texts<'_>) -> String {
        let mut out = String::new();
        if let Some(diagnostic) = &self.elsewhere {
            return format!("{diagnostic}\n");
        }
        if let Some(span) = &self.span {
            let (name, lines) = self.lines(texts);
            let place = lines.place(span.start);
            let _ = match name {
                Some(name) => write!(out, "macro '{name}'"),
                None => write!(out, "{}", texts.subject),
            };
            let _ = writeln!(out, ":{}:{}: {kind}: {}", place.line, place.col, self.message);
            out.push_str(&lines.show(span.clone()));
        } else {
            let _ = writeln!(out, "{kind}: {}", self.message);
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "   = help: {hint}");
        }
        out
    }

    /// A warning as an object.
    pub(super) fn warning(&self, code: Code, texts: &Texts<'_>) -> String {
        let object = Object::new()
            .key("code", code.as_str())
            .key("message", &self.message);
        self.details(object, Some(texts)).finish()
    }

    /// For a person, where there is no text to show.
    pub(crate) fn alone(&self) -> String {
        if let Some(diagnostic) = &self.elsewhere {
            return format!("{diagnostic}\n");
        }
        let mut out = format!("error: {}\n", self.message);
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "   = help: {hint}");
        }
        out
    }
}

/// Adds `error` and what belongs to it; with several problems all of them as `errors`, too.
pub(super) fn error(object: Object, problems: &[Problem], texts: Option<&Texts<'_>>) -> Object {
    let Some(first) = problems.first() else {
        return object.raw("error", "null");
    };
    let object = first.details(object.raw("error", &text(&first.message)), texts);
    if problems.len() == 1 {
        return object;
    }
    let all = problems.iter().map(|problem| {
        let object = Object::new().key("error", &problem.message);
        problem.details(object, texts).finish()
    });
    object.raw("errors", &array(all))
}
