//! Text → [`Expr`].
//!
//! The and/or/not/parenthesis structure is read by a loop with its own stack, so that no input can exhaust the
//! thread's; only transformers within transformers recurse, and those count towards the same limit.

use std::fmt;

use super::MAX_DEPTH;
use super::ast::{Expr, Operand, Span};
use super::{habits, lex};

/// How many characters of a word a message repeats.
const LONGEST_WORD: usize = 60;

/// A condition that does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub span: Span,
    /// The byte at which reading stopped: everything before it was understood.
    pub stopped: usize,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SyntaxError {}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// Parses a condition; spans have origin 0 and the nesting limit is [`MAX_DEPTH`].
pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    parse_with(text, 0, MAX_DEPTH)
}

/// Parses a condition whose spans carry `origin`; neither its parentheses nor its tree may be more than `max_depth`
/// deep.
pub fn parse_with(text: &str, origin: u32, max_depth: usize) -> Result<Expr, SyntaxError> {
    let expr = Parser::new(text, origin, max_depth).expression()?;
    // One parenthesis can make three nodes (or, and, not), and whoever walks the tree may do so by recursion.
    if expr.depth() > max_depth.max(1) {
        return Err(SyntaxError {
            span: expr.span(),
            stopped: text.len(),
            message: format!("exceeded max depth limit of {max_depth}"),
            hint: Some("split the condition into macros".into()),
        });
    }
    Ok(expr)
}

/// Parses what may stand on the left of an operator, alone: a field or a transformer, as in an exception's `fields`.
pub fn parse_operand(text: &str, origin: u32) -> Result<Operand, SyntaxError> {
    let mut parser = Parser::new(text, origin, MAX_DEPTH);
    parser.blanks();
    let operand = match parser.operand_or_macro()? {
        Left::Operand(operand) => operand,
        Left::Macro(name, span) => {
            return Err(SyntaxError {
                span,
                stopped: span.start,
                message: format!("'{name}' is not a field"),
                hint: Some("fields have a dot in their name, as in proc.name".into()),
            });
        }
    };
    parser.blanks();
    if parser.rest.is_empty() {
        Ok(operand)
    } else {
        Err(parser.error_here("unexpected text after the field"))
    }
}

/// The field or transformer `text` begins with, and how many bytes it takes.
pub(crate) fn parse_operand_prefix(text: &str) -> Result<(Operand, usize), SyntaxError> {
    let mut parser = Parser::new(text, 0, MAX_DEPTH);
    match parser.operand_or_macro()? {
        Left::Operand(operand) => Ok((operand, parser.at())),
        Left::Macro(name, span) => Err(SyntaxError {
            span,
            stopped: span.start,
            message: format!("'{name}' is not a field"),
            hint: None,
        }),
    }
}

pub(super) enum Left {
    Operand(Operand),
    Macro(String, Span),
}

/// One open parenthesis (the outermost frame is the text itself).
struct Frame {
    or: Vec<Expr>,
    and: Vec<Expr>,
    /// Start of the pending `not`s and whether they negate.
    not: Option<(usize, bool)>,
    /// Where the parenthesis is.
    open: usize,
}

impl Frame {
    fn new(open: usize) -> Frame {
        Frame {
            or: Vec::new(),
            and: Vec::new(),
            not: None,
            open,
        }
    }

    fn push(&mut self, operand: Expr) {
        let operand = match (self.not.take(), operand) {
            // 'not (not x)' is x, as 'not not x' is.
            (Some((_, true)), Expr::Not(inner, _)) => *inner,
            (not, operand) => Self::negate(not, operand),
        };
        self.and.push(operand);
    }

    fn negate(not: Option<(usize, bool)>, operand: Expr) -> Expr {
        match not {
            Some((start, true)) => {
                let span = Span {
                    start,
                    ..operand.span()
                };
                Expr::Not(Box::new(operand), span)
            }
            _ => operand,
        }
    }

    fn close_and(&mut self) {
        let and = std::mem::take(&mut self.and);
        self.or.extend(chain(and, Expr::And));
    }

    fn finish(mut self) -> Option<Expr> {
        self.close_and();
        chain(self.or, Expr::Or)
    }
}

/// One child stands for itself; more become a node.
fn chain(mut children: Vec<Expr>, node: fn(Vec<Expr>, Span) -> Expr) -> Option<Expr> {
    if children.len() <= 1 {
        return children.pop();
    }
    let span = children.first()?.span().to(children.last()?.span());
    Some(node(children, span))
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) rest: &'a str,
    origin: u32,
    max_depth: usize,
    pub(super) depth: usize,
    /// Transformers that are open.
    pub(super) calls: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, origin: u32, max_depth: usize) -> Self {
        Parser {
            text,
            rest: text,
            origin,
            max_depth,
            depth: 0,
            calls: 0,
        }
    }

    pub(super) fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span {
            origin: self.origin,
            start,
            end,
        }
    }

    pub(super) fn span_from(&self, start: usize) -> Span {
        self.span(start, self.at())
    }

    pub(super) fn lex<T>(
        &mut self,
        parser: impl FnOnce(&mut &'a str) -> Result<T, winnow::error::EmptyError>,
    ) -> Option<T> {
        let before = self.rest;
        match parser(&mut self.rest) {
            Ok(value) => Some(value),
            Err(_) => {
                self.rest = before;
                None
            }
        }
    }

    pub(super) fn blanks(&mut self) -> bool {
        self.lex(lex::blanks).is_some_and(|found| !found.is_empty())
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>, hint: Option<&str>) -> SyntaxError {
        SyntaxError {
            span,
            stopped: self.at(),
            message: message.into(),
            hint: hint.map(str::to_owned),
        }
    }

    /// The word at the current position, for messages.
    pub(super) fn word_here(&self) -> &'a str {
        let mut rest = self.rest;
        if let Ok(word) = lex::bare(&mut rest) {
            return word;
        }
        let len = self.rest.chars().next().map_or(0, char::len_utf8);
        &self.rest[..len]
    }

    /// What to do about a blank that is none: text copied from a page has them, and nobody sees them.
    fn invisible_blank(&self) -> Option<&'static str> {
        let next = self.rest.chars().next()?;
        (next.is_whitespace() || matches!(next, '\u{200b}' | '\u{feff}')).then_some(
            "an invisible character that is no plain blank stands here, such as a no-break space; type the blank again",
        )
    }

    pub(super) fn error_here(&self, message: impl Into<String>) -> SyntaxError {
        let start = self.at();
        let word = self.word_here();
        let hint = self.invisible_blank().or_else(|| habits::instead_of_word(word));
        self.error(self.span(start, start + word.len()), message, hint)
    }

    pub(super) fn found(&self) -> String {
        match self.word_here() {
            "" => "the end of the condition".into(),
            word => match word.char_indices().nth(LONGEST_WORD) {
                Some((end, _)) => format!("'{}…'", &word[..end]),
                None => format!("'{word}'"),
            },
        }
    }

    pub(super) fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > self.max_depth {
            let at = self.at();
            return Err(self.error(
                self.span(at, at + 1),
                format!("exceeded max depth limit of {}", self.max_depth),
                Some("split the condition into macros"),
            ));
        }
        Ok(())
    }

    fn expression(mut self) -> Parsed<Expr> {
        if self.text.chars().all(lex::is_blank) {
            return Err(self.error(self.span(0, self.text.len()), "the condition is empty", None));
        }
        let mut stack: Vec<Frame> = Vec::new();
        let mut frame = Frame::new(0);
        loop {
            self.blanks();
            self.nots(&mut frame);
            let open = self.at();
            if self.eat("(") {
                self.deeper()?;
                stack.push(std::mem::replace(&mut frame, Frame::new(open)));
                continue;
            }
            self.operand_belongs_here()?;
            let check = self.check()?;
            let lone = match &check {
                Expr::Macro { name, span } => Some((name.clone(), *span)),
                _ => None,
            };
            frame.push(check);
            // After a complete operand: the end, a closing parenthesis, or 'and'/'or' and the next operand.
            loop {
                self.blanks();
                if self.rest.is_empty() {
                    if !stack.is_empty() {
                        return Err(self.error(
                            self.span(frame.open, frame.open + 1),
                            "this '(' is never closed",
                            Some("add the missing ')'"),
                        ));
                    }
                    return frame.finish().ok_or_else(|| {
                        self.error(self.span(0, self.text.len()), "the condition is empty", None)
                    });
                }
                if !stack.is_empty() && self.eat(")") {
                    self.depth -= 1;
                    let span = self.span_from(frame.open);
                    let (Some(outer), Some(inner)) =
                        (stack.pop(), std::mem::replace(&mut frame, Frame::new(0)).finish())
                    else {
                        return Err(self.error(span, "there is nothing between the parentheses", None));
                    };
                    frame = outer;
                    frame.push(with_span(inner, span));
                    continue;
                }
                let start = self.at();
                let is_or = self.rest.starts_with("or");
                if self.eat("and") || self.eat("or") {
                    let word = if is_or { "or" } else { "and" };
                    if self.rest.is_empty() || self.rest.starts_with(')') {
                        return Err(self.nothing_follows(word, self.span_from(start)));
                    }
                    if !self.rest.starts_with(|c| lex::is_blank(c) || c == '(') {
                        return Err(self.error(
                            self.span_from(start),
                            format!("expected blank or '(' after '{word}'"),
                            self.invisible_blank(),
                        ));
                    }
                    if is_or {
                        frame.close_and();
                    }
                    break;
                }
                return Err(self.unexpected(lone));
            }
        }
    }

    /// What follows a complete check and is no 'and' or 'or'; `lone` is the check when it was a name alone.
    fn unexpected(&self, lone: Option<(String, Span)>) -> SyntaxError {
        let message = format!("unexpected token {}, expecting 'or', 'and'", self.found());
        let mut error = self.error_here(message);
        let before = self.text[..self.at()].trim_end_matches(lex::is_blank);
        let last = before
            .rsplit(|c| lex::is_blank(c) || c == '(')
            .next()
            .unwrap_or("");
        let hint = match (self.rest.chars().next(), &lone) {
            (Some(','), _) => "a list needs parentheses around it: in (a, b)".into(),
            (Some(')'), _) => "there is one ')' too many".into(),
            (_, Some((name, span))) => {
                if let Some(hint) = habits::instead_of_word(name) {
                    error.span = *span;
                    error.message = format!("'{name}' is read as a macro");
                    hint.into()
                } else {
                    format!("'{name}' is read as a macro; fields have a dot in their name, as in proc.name")
                }
            }
            _ if last.contains("=~") || before.ends_with("= ~") => "write 'regex' instead of '=~'".into(),
            _ => match habits::instead_of_word(last) {
                Some(hint) => hint.into(),
                None => match self.number_with_unit(last) {
                    Some(hint) => hint,
                    None => {
                        "a value with blanks in it needs quotes; checks are joined by 'and' or 'or'".into()
                    }
                },
            },
        };
        error.hint.get_or_insert(hint);
        error
    }

    /// A hint when `number` stands before here without a blank, and a unit follows it.
    fn number_with_unit(&self, number: &str) -> Option<String> {
        let parsed: u64 = number.parse().ok()?;
        let glued = self.text[..self.at()].ends_with(number);
        let unit = self
            .rest
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or("");
        if !glued || unit.is_empty() {
            return None;
        }
        let nanoseconds = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => return Some(format!("numbers have no units: write {number}{unit} out")),
        };
        let written = parsed.checked_mul(nanoseconds)?;
        Some(format!(
            "numbers have no units, and times are in nanoseconds: {number}{unit} is {written}"
        ))
    }

    fn nothing_follows(&self, word: &str, span: Span) -> SyntaxError {
        let hint = format!("remove '{word}', or write what belongs after it");
        self.error(span, format!("nothing follows '{word}'"), Some(&hint))
    }

    /// Finds keywords that have nothing on one of their sides.
    fn operand_belongs_here(&self) -> Parsed<()> {
        let at = self.at();
        let before = self.text[..at].trim_end_matches(lex::is_blank);
        if self.rest.is_empty() || self.rest.starts_with(')') {
            for word in ["and", "or", "not"] {
                if let Some(rest) = before.strip_suffix(word)
                    && rest
                        .chars()
                        .next_back()
                        .is_none_or(|c| lex::is_blank(c) || matches!(c, '(' | ')'))
                {
                    return Err(self.nothing_follows(word, self.span(rest.len(), before.len())));
                }
            }
            if let Some(inner) = before.strip_suffix('(')
                && self.rest.starts_with(')')
            {
                let span = self.span(inner.len(), at + 1);
                return Err(self.error(span, "there is nothing between the parentheses", None));
            }
            return Ok(());
        }
        for word in ["and", "or", "not"] {
            let Some(rest) = self.rest.strip_prefix(word) else {
                continue;
            };
            let span = self.span(at, at + word.len());
            if rest.is_empty() || rest.starts_with(')') {
                return Err(self.nothing_follows(word, span));
            }
            if word == "not" || !rest.starts_with(|c| lex::is_blank(c) || c == '(') {
                continue;
            }
            if before.is_empty() {
                return Err(self.error(
                    span,
                    format!("the condition begins with '{word}'"),
                    Some("to add it to the condition of an earlier definition, say so: override: {condition: append}"),
                ));
            }
            return Err(self.error(
                span,
                format!("nothing stands before '{word}'"),
                Some("a keyword too many, or a check too few"),
            ));
        }
        Ok(())
    }

    fn nots(&mut self, frame: &mut Frame) {
        loop {
            let start = self.at();
            let Some(rest) = self.rest.strip_prefix("not") else {
                return;
            };
            if !rest.starts_with(|c| lex::is_blank(c) || c == '(') {
                return;
            }
            self.rest = rest;
            self.blanks();
            let (start, negates) = frame.not.unwrap_or((start, false));
            frame.not = Some((start, !negates));
        }
    }
}

/// The expression with its parentheses included in its span.
fn with_span(mut expr: Expr, new: Span) -> Expr {
    match &mut expr {
        Expr::And(_, span) | Expr::Or(_, span) | Expr::Not(_, span) | Expr::Macro { span, .. } => *span = new,
        Expr::Check(check) => check.span = new,
    }
    expr
}
