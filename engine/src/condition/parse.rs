//! Text → [`Expr`].
//!
//! The and/or/not/parenthesis structure is read by a loop with its own stack, so that no input can exhaust the
//! thread's; only transformers within transformers recurse, and those count towards the same limit.

use std::fmt;

use super::MAX_DEPTH;
use super::ast::{
    Check, Expr, FieldName, Literal, Modifier, Operand, Operator, Right, Span, Test, Transform, TransformArg,
    Transformer,
};
use super::lex::{self, QuotedError};

/// A condition that does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub span: Span,
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

/// How deep transformers may nest: they are the one thing that is read by recursion.
const MAX_CALLS: usize = 64;

type Parsed<T> = Result<T, SyntaxError>;

/// Parses a condition; spans have origin 0 and the nesting limit is [`MAX_DEPTH`].
pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    parse_with(text, 0, MAX_DEPTH)
}

/// Parses a condition whose spans carry `origin`, nested at most `max_depth` deep.
pub fn parse_with(text: &str, origin: u32, max_depth: usize) -> Result<Expr, SyntaxError> {
    Parser::new(text, origin, max_depth).expression()
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
            message: format!("'{name}' is not a field"),
            hint: None,
        }),
    }
}

enum Left {
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

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    origin: u32,
    max_depth: usize,
    depth: usize,
    /// Transformers that are open.
    calls: usize,
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

    fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            origin: self.origin,
            start,
            end,
        }
    }

    fn span_from(&self, start: usize) -> Span {
        self.span(start, self.at())
    }

    fn lex<T>(
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

    fn blanks(&mut self) -> bool {
        self.lex(lex::blanks).is_some_and(|found| !found.is_empty())
    }

    fn eat(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn error(&self, span: Span, message: impl Into<String>, hint: Option<&str>) -> SyntaxError {
        SyntaxError {
            span,
            message: message.into(),
            hint: hint.map(str::to_owned),
        }
    }

    /// The word at the current position, for messages.
    fn word_here(&self) -> &'a str {
        let mut rest = self.rest;
        if let Ok(word) = lex::bare(&mut rest) {
            return word;
        }
        let len = self.rest.chars().next().map_or(0, char::len_utf8);
        &self.rest[..len]
    }

    fn error_here(&self, message: impl Into<String>) -> SyntaxError {
        let start = self.at();
        let word = self.word_here();
        let hint = match word {
            w if w.starts_with("&&") => Some("write 'and'"),
            w if w.starts_with("||") => Some("write 'or'"),
            w if w.starts_with('!') => Some("write 'not'"),
            w if w.starts_with('#') => Some("a condition has no comments"),
            "AND" | "OR" | "NOT" | "IN" => Some("keywords are lower case"),
            "notin" => Some("write 'not FIELD in (...)'"),
            _ => None,
        };
        self.error(self.span(start, start + word.len()), message, hint)
    }

    fn found(&self) -> String {
        match self.word_here() {
            "" => "the end of the condition".into(),
            word => format!("'{word}'"),
        }
    }

    fn deeper(&mut self) -> Parsed<()> {
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
            let check = self.check()?;
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
                    if !self.rest.starts_with(|c| lex::is_blank(c) || c == '(') {
                        return Err(self.error(
                            self.span_from(start),
                            format!("expected blank or '(' after '{word}'"),
                            None,
                        ));
                    }
                    if is_or {
                        frame.close_and();
                    }
                    break;
                }
                let hint_list = self.rest.starts_with(',');
                let mut error = self.error_here(format!(
                    "unexpected token {}, expecting 'or', 'and'",
                    self.found()
                ));
                if error.hint.is_none() && hint_list {
                    error.hint = Some("a list needs parentheses around it: in (a, b)".into());
                } else if error.hint.is_none() && self.rest.starts_with(')') {
                    error.hint = Some("there is one ')' too many".into());
                }
                return Err(error);
            }
        }
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

    fn check(&mut self) -> Parsed<Expr> {
        let start = self.at();
        let left = match self.operand_or_macro()? {
            Left::Macro(name, span) => return Ok(Expr::Macro { name, span }),
            Left::Operand(left) => left,
        };
        self.blanks();
        let test = self.test(&left)?;
        Ok(Expr::Check(Box::new(Check {
            left,
            test,
            span: self.span_from(start),
        })))
    }

    fn operand_or_macro(&mut self) -> Parsed<Left> {
        let start = self.at();
        let Some(name) = self.lex(lex::dotted) else {
            return Err(self.error_here(format!(
                "expected a field, a macro, 'not' or '(', found {}",
                self.found()
            )));
        };
        if self.rest.starts_with('(') && !name.contains('.') {
            let span = self.span_from(start);
            let Some(transformer) = Transformer::from_word(name) else {
                let hint = if name == "val" {
                    "val() is for the right side of a comparison"
                } else {
                    "the transformers are toupper, tolower, b64, basename, len, join, concat and getopt"
                };
                return Err(self.error(span, format!("unknown transformer '{name}'"), Some(hint)));
            };
            return Ok(Left::Operand(Operand::Transform(
                self.transform(transformer, start)?,
            )));
        }
        if !name.contains('.') {
            return Ok(Left::Macro(name.to_owned(), self.span_from(start)));
        }
        Ok(Left::Operand(Operand::Field(self.field(name, start)?)))
    }

    /// The rest of a field whose name was just read.
    fn field(&mut self, name: &str, start: usize) -> Parsed<FieldName> {
        let arg = self.bracket()?;
        Ok(FieldName {
            name: name.to_owned(),
            arg,
            span: self.span_from(start),
        })
    }

    /// `[arg]`, when there is one.
    fn bracket(&mut self) -> Parsed<Option<String>> {
        let start = self.at();
        if !self.eat("[") {
            return Ok(None);
        }
        let value = match self.quoted()? {
            Some(literal) => String::from_utf8(literal.bytes)
                .map_err(|_| self.error(literal.span, "a field argument has to be valid UTF-8", None))?,
            None => match self.lex(lex::bare_argument) {
                Some(text) => text.to_owned(),
                None => {
                    return Err(self.error(
                        self.span(start, (self.at() + 1).min(self.text.len())),
                        "expected a valid field argument: a quoted string or a bare string without brackets, quotes and blanks",
                        Some("an empty argument is written [\"\"]"),
                    ));
                }
            },
        };
        if !self.eat("]") {
            return Err(self.error(self.span_from(start), "expected a ']' after the argument", None));
        }
        Ok(Some(value))
    }

    fn quoted(&mut self) -> Parsed<Option<Literal>> {
        let start = self.at();
        match lex::quoted(self.rest) {
            None => Ok(None),
            Some(Ok((bytes, len))) => {
                self.rest = &self.rest[len..];
                Ok(Some(Literal {
                    bytes,
                    quoted: true,
                    span: self.span_from(start),
                }))
            }
            Some(Err(QuotedError::Unterminated)) => Err(self.error(
                self.span(start, self.text.len()),
                "this quoted string never ends",
                Some("a quote after a backslash does not end a string, even when the backslash is itself escaped"),
            )),
            Some(Err(QuotedError::Escape { at, len })) => {
                let (from, to) = (start + at, (start + at + len).min(self.text.len()));
                let shown = self.text.get(from..to).unwrap_or("\\");
                Err(self.error(
                    self.span(from, to),
                    format!("unsupported string escape sequence '{shown}'"),
                    Some("a backslash itself is written \\\\; a byte is \\x and two hexadecimal digits"),
                ))
            }
        }
    }

    fn transform(&mut self, name: Transformer, start: usize) -> Parsed<Transform> {
        self.deeper()?;
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(self.error(
                self.span_from(start),
                format!("exceeded max depth limit of {MAX_CALLS} for transformers"),
                None,
            ));
        }
        let args = self.transform_list(name.word())?;
        self.calls -= 1;
        self.depth -= 1;
        let selector_start = self.at();
        let selector = self.bracket()?;
        if selector.is_some() && name != Transformer::Getopt {
            return Err(self.error(
                self.span_from(selector_start),
                format!("{name}() takes no argument in brackets"),
                Some("only getopt() selects an option: getopt(proc.args, \"t:\")[t]"),
            ));
        }
        Ok(Transform {
            name,
            args,
            selector,
            span: self.span_from(start),
        })
    }

    /// `(arg, arg)`, at least one, of a transformer or of a list within one.
    fn transform_list(&mut self, of: &str) -> Parsed<Vec<TransformArg>> {
        let open = self.at();
        self.eat("(");
        let mut args = Vec::new();
        self.blanks();
        if of.is_empty() && self.eat(")") {
            return Ok(args);
        }
        loop {
            self.blanks();
            args.push(self.transform_arg(of)?);
            self.blanks();
            if self.eat(")") {
                return Ok(args);
            }
            if !self.eat(",") {
                return Err(self.error(
                    self.span(open, self.at()),
                    format!("expected ',' or ')', found {}", self.found()),
                    None,
                ));
            }
        }
    }

    fn transform_arg(&mut self, of: &str) -> Parsed<TransformArg> {
        let start = self.at();
        if let Some(literal) = self.quoted()? {
            return Ok(TransformArg::Literal(literal));
        }
        if self.rest.starts_with('(') && !of.is_empty() {
            self.deeper()?;
            let items = self.transform_list("")?;
            self.depth -= 1;
            return Ok(TransformArg::List(items, self.span_from(start)));
        }
        if let Some(number) = self.lex(lex::number) {
            return Ok(TransformArg::Literal(Literal {
                bytes: number.into(),
                quoted: false,
                span: self.span_from(start),
            }));
        }
        match self.operand_or_macro()? {
            Left::Operand(Operand::Field(field)) => Ok(TransformArg::Field(field)),
            Left::Operand(Operand::Transform(transform)) => Ok(TransformArg::Transform(transform)),
            Left::Operand(Operand::Val(_, span)) => Err(self.error(span, "val() cannot be nested", None)),
            Left::Macro(name, span) => Err(self.error(
                span,
                format!("expected a field, a transformer, a number or a quoted string, found '{name}'"),
                Some("text needs quotes here"),
            )),
        }
    }

    fn test(&mut self, left: &Operand) -> Parsed<Test> {
        let start = self.at();
        if self.eat("exists") {
            return Ok(Test::Exists);
        }
        let Some(op) = self.operator() else {
            let mut error = self.error_here(format!(
                "expected an operator after '{left}', found {}",
                self.found()
            ));
            if error.hint.is_none() {
                error.hint = Some(
                    "operators: = != < <= > >= contains icontains bcontains startswith bstartswith endswith glob \
                     iglob regex in intersects pmatch exists"
                        .into(),
                );
            }
            return Err(error);
        };
        let op_span = self.span_from(start);
        let blank = self.blanks();
        let modifier = match op.takes_modifier() && blank {
            true => self.modifier(),
            false => None,
        };
        let right = if modifier.is_some() || op.takes_list() {
            self.list_or_value(op)?
        } else {
            self.value(op)?
        };
        Ok(Test::Compare {
            op,
            modifier,
            right,
            op_span,
        })
    }

    fn operator(&mut self) -> Option<Operator> {
        const SYMBOLS: [(&str, Operator); 7] = [
            ("<=", Operator::Le),
            ("<", Operator::Lt),
            (">=", Operator::Ge),
            (">", Operator::Gt),
            ("==", Operator::Eq),
            ("=", Operator::Eq),
            ("!=", Operator::Ne),
        ];
        if let Some((_, op)) = SYMBOLS.iter().find(|(word, _)| self.rest.starts_with(word)) {
            let len = SYMBOLS
                .iter()
                .find(|(word, _)| self.rest.starts_with(word))
                .map_or(0, |(word, _)| word.len());
            self.rest = &self.rest[len..];
            return Some(*op);
        }
        // Words that need a blank after them.
        for op in Operator::ALL.iter().copied().filter(|op| op.takes_modifier()) {
            if let Some(rest) = self.rest.strip_prefix(op.word())
                && rest.starts_with(lex::is_blank)
            {
                self.rest = rest;
                return Some(op);
            }
        }
        // Words that do not.
        for op in [Operator::Intersects, Operator::In, Operator::PMatch] {
            if self.eat(op.word()) {
                return Some(op);
            }
        }
        None
    }

    /// `oneof`, `anyof` or `allof` followed by a blank and a list or a name.
    fn modifier(&mut self) -> Option<Modifier> {
        let before = self.rest;
        let modifier = Modifier::ALL
            .iter()
            .copied()
            .find(|m| self.rest.starts_with(m.word()))?;
        self.eat(modifier.word());
        if self.blanks() {
            let after = self.rest;
            let word = self.lex(lex::ident);
            let is_name = word.is_some_and(|w| !matches!(w, "and" | "or" | "not"));
            self.rest = after;
            if self.rest.starts_with('(') || is_name {
                return Some(modifier);
            }
        }
        self.rest = before;
        None
    }

    /// `val(field)` or a transformer, when one starts here.
    fn right_operand(&mut self) -> Parsed<Option<Operand>> {
        let start = self.at();
        let before = self.rest;
        let Some(name) = self.lex(lex::ident) else {
            return Ok(None);
        };
        if !self.rest.starts_with('(') {
            self.rest = before;
            return Ok(None);
        }
        if let Some(transformer) = Transformer::from_word(name) {
            return Ok(Some(Operand::Transform(self.transform(transformer, start)?)));
        }
        if name != "val" {
            self.rest = before;
            return Ok(None);
        }
        self.eat("(");
        self.blanks();
        let field_start = self.at();
        let field = match self.lex(lex::dotted) {
            Some(field) if field.contains('.') => self.field(field, field_start)?,
            _ => {
                self.rest = &self.text[field_start..];
                return Err(self.error_here(format!("expected a field in val(), found {}", self.found())));
            }
        };
        self.blanks();
        if !self.eat(")") {
            return Err(self.error_here(format!("expected ')', found {}", self.found())));
        }
        Ok(Some(Operand::Val(field, self.span_from(start))))
    }

    fn value(&mut self, op: Operator) -> Parsed<Right> {
        let start = self.at();
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        if op.is_order() {
            return match self.lex(lex::number) {
                Some(number) => Ok(Right::Literal(Literal {
                    bytes: number.into(),
                    quoted: false,
                    span: self.span_from(start),
                })),
                None => {
                    Err(self.error_here(format!("expected a number after '{op}', found {}", self.found())))
                }
            };
        }
        match self.literal()? {
            Some(literal) => Ok(Right::Literal(literal)),
            None => {
                let mut error =
                    self.error_here(format!("expected a value after '{op}', found {}", self.found()));
                if self.rest.starts_with('(') {
                    error.hint = Some(format!(
                        "write '{op} anyof (...)' or 'in (...)' to compare with a list"
                    ));
                }
                Err(error)
            }
        }
    }

    fn literal(&mut self) -> Parsed<Option<Literal>> {
        if let Some(literal) = self.quoted()? {
            return Ok(Some(literal));
        }
        let start = self.at();
        Ok(self.lex(lex::bare).map(|text| Literal {
            bytes: text.into(),
            quoted: false,
            span: self.span_from(start),
        }))
    }

    fn list_or_value(&mut self, op: Operator) -> Parsed<Right> {
        let start = self.at();
        if self.eat("(") {
            let mut items = Vec::new();
            self.blanks();
            if self.eat(")") {
                return Ok(Right::List(items, self.span_from(start)));
            }
            loop {
                self.blanks();
                let Some(item) = self.literal()? else {
                    return Err(
                        self.error_here(format!("expected a value of the list, found {}", self.found()))
                    );
                };
                items.push(item);
                self.blanks();
                if self.eat(")") {
                    return Ok(Right::List(items, self.span_from(start)));
                }
                if !self.eat(",") {
                    let mut error =
                        self.error_here(format!("expected ',' or ')' in the list, found {}", self.found()));
                    if self.rest.starts_with('(') {
                        error.hint = Some("transformers cannot stand in a list of values".into());
                    }
                    return Err(error);
                }
            }
        }
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        if let Some(word) = self.lex(lex::ident) {
            return Ok(Right::Literal(Literal {
                bytes: word.into(),
                quoted: false,
                span: self.span_from(start),
            }));
        }
        let mut error = self.error_here(format!("expected a list after '{op}', found {}", self.found()));
        error.hint = Some(format!("write '{op} (a, b)'"));
        Err(error)
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
