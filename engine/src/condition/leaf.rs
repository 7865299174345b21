//! The leaves of a condition: operands, operators and values.

use super::ast::{
    Check, Expr, FieldName, Literal, Modifier, Operand, Operator, Right, Test, Transform, TransformArg,
    Transformer,
};
use super::habits;
use super::lex::{self, QuotedError};
use super::parse::{Left, Parsed, Parser};

/// How deep transformers may nest: they are the one thing that is read by recursion.
const MAX_CALLS: usize = 64;

impl<'a> Parser<'a> {
    pub(super) fn check(&mut self) -> Parsed<Expr> {
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

    pub(super) fn operand_or_macro(&mut self) -> Parsed<Left> {
        let start = self.at();
        let Some(name) = self.lex(lex::dotted) else {
            let mut error = self.error_here(format!(
                "expected a field, a macro, 'not' or '(', found {}",
                self.found()
            ));
            if self.rest.starts_with(['"', '\'']) {
                error.hint =
                    Some("each check names its field; several values are compared with in (a, b)".into());
            }
            return Err(error);
        };
        if self.rest.starts_with('(') && !name.contains('.') {
            let span = self.span_from(start);
            let Some(transformer) = Transformer::from_word(name) else {
                let hint = if let Some(hint) = habits::instead_of_word(name) {
                    hint
                } else if name == "val" {
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
                Some(match self.rest.contains('\\') {
                    true => {
                        "a quote after a backslash does not end a string, even when the backslash is itself escaped"
                    }
                    false => "add the closing quote",
                }),
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
            error.hint = Some(habits::instead_of_operator(&left.to_string(), self.word_here()));
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
        [Operator::Intersects, Operator::In, Operator::PMatch]
            .into_iter()
            .find(|op| self.eat(op.word()))
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
                    let mut error =
                        self.error_here(format!("expected a number after '{op}', found {}", self.found()));
                    if op == Operator::Lt && self.rest.starts_with('>') {
                        error.hint = Some("write '!='".into());
                    }
                    Err(error)
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
                } else if self.rest.starts_with('=') {
                    error.hint = Some(format!("write '{op}'"));
                } else if self.rest.is_empty() || self.rest.starts_with(')') {
                    error.hint = Some("the empty text is written \"\"".into());
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
                    let mut error =
                        self.error_here(format!("expected a value of the list, found {}", self.found()));
                    if self.rest.starts_with([',', ')']) {
                        error.hint = Some("there is one comma too many".into());
                    }
                    return Err(error);
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
                    } else if self.rest.is_empty() {
                        error.hint = Some("add the missing ')'".into());
                    } else if error.hint.is_none() {
                        error.hint = Some(
                            "values are separated by commas, and one with a blank, = or a parenthesis in it is quoted".into(),
                        );
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
