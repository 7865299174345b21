//! Types: which operator a field allows, and what its constants have to look like.

use std::collections::HashSet;
use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use lanner_schema::names::EVENT_NAMES;
use memchr::memmem::Finder;

use super::ast::{
    Check, FieldName, Literal, Modifier, Operand, Operator, Right, Span, Test, Transform, TransformArg,
    Transformer,
};
use super::error::{CheckError, CheckErrorKind as Kind, Warning, WarningKind};
use super::matcher::{BytesTest, Matcher, Network};
use super::node::{CheckNode, How};
use super::pattern::{Glob, PathSet};
use super::posix::{self, Posix};
use super::transform::{List, Options, Source};
use crate::field::{Arg, FieldRef, find, nearest};
use crate::value::{Class, FieldType};

/// The longest constant Falco takes.
const MAX_VALUE: usize = 256;
/// From how many texts on one automaton is faster than a search for each.
const MANY_NEEDLES: usize = 4;

/// Collects what a compilation finds.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) errors: Vec<CheckError>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) fields: Vec<FieldRef>,
}

impl Checker {
    pub(crate) fn error(&mut self, kind: Kind, span: Span) {
        self.errors.push(CheckError { kind, span });
    }

    fn fail<T>(&mut self, kind: Kind, span: Span) -> Option<T> {
        self.error(kind, span);
        None
    }

    /// Resolves a field.
    pub(crate) fn field(&mut self, name: &FieldName) -> Option<FieldRef> {
        match FieldRef::resolve(&name.name, name.arg.as_deref()) {
            Err(error) => self.fail(error.into(), name.span),
            Ok(field) => {
                if field.row.flags.deprecated {
                    self.warnings.push(Warning {
                        kind: WarningKind::Deprecated(field.row.name.into()),
                        span: name.span,
                    });
                }
                self.fields.push(field.clone());
                Some(field)
            }
        }
    }

    /// Resolves what stands on the left of an operator.
    pub(crate) fn source(&mut self, operand: &Operand) -> Option<Source> {
        match operand {
            Operand::Field(name) | Operand::Val(name, _) => self.field(name).map(Source::Field),
            Operand::Transform(transform) => self.transform(transform),
        }
    }

    /// Checks one leaf.
    pub(super) fn check(&mut self, check: &Check) -> Option<CheckNode> {
        let left = self.source(&check.left)?;
        if let Source::Field(field) = &left
            && field.row.flags.print_only
        {
            return self.fail(Kind::PrintOnly(field.text()), check.left.span());
        }
        let many = matches!(&left, Source::Field(field) if field.is_many());
        let Test::Compare {
            op,
            modifier,
            right,
            op_span,
        } = &check.test
        else {
            let how = match (left.is_list(), many) {
                (true, _) => How::ListAny,
                (_, true) => How::Any,
                _ => How::One,
            };
            return Some(CheckNode {
                left,
                how,
                matcher: Matcher::Exists,
            });
        };
        let how = if left.is_list() {
            match op {
                Operator::In => How::ListAll,
                Operator::Intersects => How::ListAny,
                _ => {
                    let field = left.name();
                    return self.fail(Kind::ListOperator { op: *op, field }, *op_span);
                }
            }
        } else if !allowed(left.ty().class(), *op) {
            let kind = Kind::Operator {
                op: *op,
                field: left.name(),
                ty: left.ty().name(),
            };
            return self.fail(kind, *op_span);
        } else {
            match &left {
                Source::Field(field) if field.is_ends() && *op == Operator::Ne => How::All,
                Source::Field(field) if field.is_many() => How::Any,
                _ => How::One,
            }
        };
        let matcher = match right {
            Right::Operand(operand) => self.dynamic(&left, *op, *modifier, operand, *op_span)?,
            Right::Literal(literal) => {
                self.constants(&left, *op, *modifier, std::slice::from_ref(literal), check.span)?
            }
            Right::List(items, span) => self.constants(&left, *op, *modifier, items, *span)?,
        };
        Some(CheckNode { left, how, matcher })
    }

    /// A comparison with another value of the event.
    fn dynamic(
        &mut self,
        left: &Source,
        op: Operator,
        modifier: Option<Modifier>,
        operand: &Operand,
        op_span: Span,
    ) -> Option<Matcher> {
        let right = self.source(operand)?;
        if let Some(modifier) = modifier {
            return self.fail(Kind::Modifier { modifier, op }, op_span);
        }
        for side in [left, &right] {
            if let Source::Field(field) = side
                && (field.row.flags.no_rhs || is_event_type(field))
            {
                return self.fail(Kind::NoRhs(field.text()), operand.span());
            }
        }
        if matches!(op, Operator::Regex | Operator::PMatch) || left.ty() == FieldType::IpNet {
            return self.fail(Kind::ConstantOnly(op), operand.span());
        }
        if left.ty() != right.ty() || left.is_list() != right.is_list() {
            let ty =
                |of: &Source| format!("{}{}", if of.is_list() { "list of " } else { "" }, of.ty().name());
            let kind = Kind::Types {
                left: left.name(),
                left_ty: ty(left),
                right: right.name(),
                right_ty: ty(&right),
            };
            return self.fail(kind, operand.span());
        }
        if left.is_list() {
            return self.fail(Kind::ConstantOnly(op), operand.span());
        }
        Some(Matcher::Source(op, Box::new(right)))
    }

    /// A comparison with constants.
    fn constants(
        &mut self,
        left: &Source,
        op: Operator,
        modifier: Option<Modifier>,
        items: &[Literal],
        _span: Span,
    ) -> Option<Matcher> {
        let errors = self.errors.len();
        for item in items {
            self.looks_like(item);
            if let Source::Field(field) = left
                && field.row.name == "evt.type"
                && matches!(
                    op,
                    Operator::Eq | Operator::Ne | Operator::In | Operator::Intersects
                )
            {
                self.event_name(item);
            }
        }
        let ty = left.ty();
        let matcher = if op.takes_list() {
            self.set(ty, op, items)
        } else {
            match modifier {
                None => self.single(ty, op, items.first()?),
                Some(Modifier::AnyOf) if op == Operator::Eq => self.set(ty, Operator::In, items),
                Some(Modifier::AllOf) if op == Operator::Ne && !items.is_empty() => self
                    .set(ty, Operator::In, items)
                    .map(|set| Matcher::Not(Box::new(set))),
                Some(Modifier::AnyOf) if op == Operator::Contains && items.len() >= MANY_NEEDLES => {
                    self.any_needle(ty, items)
                }
                Some(modifier) => {
                    let tests: Vec<_> = items.iter().map(|item| self.single(ty, op, item)).collect();
                    tests
                        .into_iter()
                        .collect::<Option<Box<[_]>>>()
                        .map(|tests| Matcher::Many(modifier, tests))
                }
            }
        };
        if self.errors.len() > errors { None } else { matcher }
    }

    /// Warns of constants that read like a field or a transformer.
    fn looks_like(&mut self, item: &Literal) {
        let text = item.text();
        let kind = if let Some((name, rest)) = text.split_once('(')
            && (Transformer::from_word(name).is_some() || name == "val")
            && rest.ends_with(')')
        {
            WarningKind::LooksLikeTransformer(text.into_owned())
        } else if text.contains('.') && {
            let name = text.split('[').next().unwrap_or(&text);
            find(name).is_some()
        } {
            WarningKind::LooksLikeField(text.into_owned())
        } else {
            return;
        };
        self.warnings.push(Warning {
            kind,
            span: item.span,
        });
    }

    fn event_name(&mut self, item: &Literal) {
        let name = item.text().into_owned();
        if EVENT_NAMES.binary_search(&name.as_str()).is_err() {
            let nearest = nearest(&name, EVENT_NAMES.iter().copied());
            self.error(Kind::UnknownEvent { name, nearest }, item.span);
        }
    }

    /// Membership.
    fn set(&mut self, ty: FieldType, op: Operator, items: &[Literal]) -> Option<Matcher> {
        if op == Operator::PMatch {
            let paths: Vec<Box<[u8]>> = items.iter().filter_map(|item| self.bytes(ty, item)).collect();
            let set = PathSet::new(paths.iter().map(|path| &**path));
            return Some(Matcher::Bytes(BytesTest::Paths(set)));
        }
        if items.is_empty() {
            return Some(Matcher::Never);
        }
        Some(match ty.class() {
            Class::Text | Class::Bytes => {
                let set: HashSet<Box<[u8]>> = items.iter().filter_map(|item| self.bytes(ty, item)).collect();
                if set.len() == 1
                    && let Some(only) = set.iter().next()
                {
                    Matcher::Bytes(BytesTest::Eq(only.clone()))
                } else {
                    Matcher::Bytes(BytesTest::Set(set))
                }
            }
            Class::Number { .. } | Class::Port => {
                let mut numbers: Vec<i128> = items.iter().filter_map(|item| self.number(ty, item)).collect();
                numbers.sort_unstable();
                numbers.dedup();
                Matcher::Numbers(numbers.into())
            }
            Class::Bool => Matcher::Bool(items.iter().filter_map(|item| self.bool(item)).collect()),
            Class::Address => {
                Matcher::Addresses(items.iter().filter_map(|item| self.address(item)).collect())
            }
            Class::Network => Matcher::Networks(items.iter().filter_map(|item| self.network(item)).collect()),
            Class::Opaque => Matcher::Never,
        })
    }

    fn any_needle(&mut self, ty: FieldType, items: &[Literal]) -> Option<Matcher> {
        let needles: Vec<Box<[u8]>> = items.iter().filter_map(|item| self.bytes(ty, item)).collect();
        match AhoCorasick::new(&needles) {
            Ok(automaton) => Some(Matcher::Bytes(BytesTest::ContainsAny(automaton))),
            Err(_) => {
                // Too large for one automaton: search one by one.
                let tests = items
                    .iter()
                    .filter_map(|item| self.single(ty, Operator::Contains, item));
                Some(Matcher::Many(Modifier::AnyOf, tests.collect()))
            }
        }
    }

    /// One constant.
    fn single(&mut self, ty: FieldType, op: Operator, item: &Literal) -> Option<Matcher> {
        match ty.class() {
            Class::Text | Class::Bytes => self.single_text(ty, op, item),
            Class::Number { .. } | Class::Port => Some(Matcher::Number(op, self.number(ty, item)?)),
            Class::Bool | Class::Address | Class::Network => {
                let set = self.set(ty, Operator::In, std::slice::from_ref(item))?;
                Some(if op == Operator::Ne {
                    Matcher::Not(Box::new(set))
                } else {
                    set
                })
            }
            Class::Opaque => None,
        }
    }

    fn single_text(&mut self, ty: FieldType, op: Operator, item: &Literal) -> Option<Matcher> {
        if matches!(op, Operator::BContains | Operator::BStartsWith) {
            let bytes = self.hex(item)?;
            return Some(Matcher::Bytes(if op == Operator::BContains {
                BytesTest::Contains(Box::new(Finder::new(&bytes).into_owned()))
            } else {
                BytesTest::StartsWith(bytes.into())
            }));
        }
        let bytes = self.bytes(ty, item)?;
        Some(Matcher::Bytes(match op {
            Operator::Eq => BytesTest::Eq(bytes),
            Operator::Ne => return Some(Matcher::Not(Box::new(Matcher::Bytes(BytesTest::Eq(bytes))))),
            Operator::Contains => BytesTest::Contains(Box::new(Finder::new(&bytes).into_owned())),
            Operator::IContains => BytesTest::IContains(bytes.to_ascii_lowercase().into()),
            Operator::StartsWith => BytesTest::StartsWith(bytes),
            Operator::EndsWith => BytesTest::EndsWith(bytes),
            Operator::Glob => BytesTest::Glob(Glob::new(&bytes, false)),
            Operator::IGlob => BytesTest::Glob(Glob::new(&bytes, true)),
            Operator::Regex => BytesTest::Regex(Box::new(self.regex(item)?)),
            Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge => {
                return Some(Matcher::BytesOrder(op, bytes));
            }
            _ => return None,
        }))
    }

    fn regex(&mut self, item: &Literal) -> Option<Posix> {
        let pattern = item.text();
        if let Some(operator) = posix::trivial(&pattern) {
            let plain = pattern.trim_matches(['^', '$', '.', '*', '+', '?']);
            self.warnings.push(Warning {
                kind: WarningKind::TrivialRegex {
                    pattern: pattern.to_string(),
                    instead: format!("{operator} {plain}"),
                },
                span: item.span,
            });
        }
        match Posix::new(&pattern) {
            Ok(regex) => Some(regex),
            Err(error) => self.fail(Kind::Regex(error), item.span),
        }
    }

    fn bytes(&mut self, ty: FieldType, item: &Literal) -> Option<Box<[u8]>> {
        if item.bytes.len() > MAX_VALUE {
            let kind = Kind::TooLong {
                len: item.bytes.len(),
                max: MAX_VALUE,
            };
            return self.fail(kind, item.span);
        }
        if ty.class() == Class::Text && item.bytes.contains(&0) {
            return self.fail(Kind::Nul, item.span);
        }
        Some(item.bytes.as_slice().into())
    }

    fn hex(&mut self, item: &Literal) -> Option<Vec<u8>> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let bytes: Option<Vec<u8>> = item
            .bytes
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
                _ => None,
            })
            .collect();
        match bytes {
            Some(bytes) => Some(bytes),
            None => self.fail(
                Kind::Hex {
                    text: item.text().into(),
                },
                item.span,
            ),
        }
    }

    fn number(&mut self, ty: FieldType, item: &Literal) -> Option<i128> {
        let text = item.text().into_owned();
        if ty == FieldType::Port {
            return match port(&text) {
                Some(port) => Some(port.into()),
                None => self.fail(Kind::Port { text }, item.span),
            };
        }
        let Class::Number { signed, bits } = ty.class() else {
            return None;
        };
        let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return self.fail(Kind::Number { text }, item.span);
        }
        let value: Option<i128> = text.parse().ok();
        let (low, high) = match signed {
            true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
            // A negative constant wraps, as it always did.
            false => (-(1i128 << (bits - 1)), (1i128 << bits) - 1),
        };
        match value {
            Some(value) if (low..=high).contains(&value) => Some(if !signed && value < 0 {
                value + (1i128 << bits)
            } else {
                value
            }),
            _ => self.fail(Kind::Range { text, ty: ty.name() }, item.span),
        }
    }

    fn bool(&mut self, item: &Literal) -> Option<bool> {
        match item.bytes.as_slice() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => self.fail(
                Kind::Bool {
                    text: item.text().into(),
                },
                item.span,
            ),
        }
    }

    fn address(&mut self, item: &Literal) -> Option<IpAddr> {
        let text = item.text();
        match text.parse() {
            Ok(ip) => Some(ip),
            Err(_) => self.fail(Kind::Address { text: text.into() }, item.span),
        }
    }

    fn network(&mut self, item: &Literal) -> Option<Network> {
        let text = item.text().into_owned();
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= most)?;
            Some(Network { address, prefix })
        });
        match parsed {
            Some(network) => Some(network),
            None => self.fail(Kind::Network { text }, item.span),
        }
    }

    /// Checks a transformer.
    fn transform(&mut self, transform: &Transform) -> Option<Source> {
        use Transformer as T;
        let (name, args, span) = (transform.name, &transform.args, transform.span);
        let arity = |expected| Kind::Arity {
            name,
            expected,
            got: args.len(),
        };
        match (name, args.as_slice()) {
            (T::ToUpper | T::ToLower | T::B64 | T::Basename, [arg]) => {
                let of = self.scalar(name, arg)?;
                let class = of.ty().class();
                if class != Class::Text && !(name == T::B64 && class == Class::Bytes) {
                    return self.fail(argument(name, &of, "it takes text"), span);
                }
                let of = Box::new(of);
                Some(match name {
                    T::ToUpper => Source::Case { upper: true, of },
                    T::ToLower => Source::Case { upper: false, of },
                    T::B64 => Source::B64(of),
                    _ => Source::Basename(of),
                })
            }
            (T::Len, [arg]) => {
                if let Some(list) = self.list(name, arg, true)? {
                    return Some(Source::Count(Box::new(list)));
                }
                let of = self.scalar(name, arg)?;
                if !matches!(of.ty().class(), Class::Text | Class::Bytes) {
                    return self.fail(argument(name, &of, "it takes text, bytes or a list"), span);
                }
                Some(Source::Len(Box::new(of)))
            }
            (T::Join, [separator, list]) => {
                let separator = Box::new(self.text_arg(name, separator)?);
                let Some(list) = self.list(name, list, false)? else {
                    return self.fail(not_a_list(name, list), span);
                };
                Some(Source::Join {
                    separator,
                    list: Box::new(list),
                })
            }
            (T::Concat, [_, _, ..]) => {
                let parts: Vec<_> = args.iter().map(|arg| self.text_arg(name, arg)).collect();
                Some(Source::Concat(parts.into_iter().collect::<Option<_>>()?))
            }
            (T::Getopt, [list, spec]) => {
                let spec = self.text_arg(name, spec)?;
                let Some(items) = self.list(name, list, false)? else {
                    return self.fail(not_a_list(name, list), span);
                };
                let options = Box::new(Options { list: items, spec });
                match transform.selector.as_deref().map(str::as_bytes) {
                    None => Some(Source::Options(options)),
                    Some([letter]) => Some(Source::Option {
                        options,
                        letter: *letter,
                    }),
                    Some(other) => {
                        let kind = Kind::Argument {
                            name,
                            got: format!("[{}]", String::from_utf8_lossy(other)),
                            expected: "the brackets hold one letter",
                        };
                        self.fail(kind, span)
                    }
                }
            }
            (T::Join | T::Getopt, _) => self.fail(arity("2 arguments"), span),
            (T::Concat, _) => self.fail(arity("2 arguments or more"), span),
            _ => self.fail(arity("1 argument"), span),
        }
    }

    /// A list argument; `Some(None)` when it is none. `len` takes `proc.args` as text.
    fn list(&mut self, name: Transformer, arg: &TransformArg, is_len: bool) -> Option<Option<List>> {
        match arg {
            TransformArg::List(items, _) => {
                let items: Vec<_> = items.iter().map(|item| self.text_arg(name, item)).collect();
                Some(Some(List::Items(items.into_iter().collect::<Option<_>>()?)))
            }
            TransformArg::Field(field) => match FieldRef::resolve(&field.name, field.arg.as_deref()) {
                Ok(found)
                    if found.list || !is_len && found.row.name == "proc.args" && found.arg == Arg::None =>
                {
                    Some(Some(List::Field(self.field(field)?)))
                }
                // Reported when it is read as a scalar.
                _ if is_len => Some(None),
                Ok(_) => Some(None),
                Err(_) => {
                    self.field(field)?;
                    None
                }
            },
            TransformArg::Transform(inner)
                if inner.name == Transformer::Getopt && inner.selector.is_none() =>
            {
                match self.transform(inner)? {
                    Source::Options(options) => Some(Some(List::Options(options))),
                    _ => Some(None),
                }
            }
            TransformArg::Transform(_) | TransformArg::Literal(_) => Some(None),
        }
    }

    /// An argument that is one value.
    fn scalar(&mut self, name: Transformer, arg: &TransformArg) -> Option<Source> {
        let (source, span) = match arg {
            TransformArg::Field(field) => (Source::Field(self.field(field)?), field.span),
            TransformArg::Transform(inner) => (self.transform(inner)?, inner.span),
            TransformArg::Literal(literal) => {
                (Source::Constant(literal.bytes.as_slice().into()), literal.span)
            }
            TransformArg::List(_, span) => {
                let kind = Kind::Argument {
                    name,
                    got: "a list".into(),
                    expected: "it takes single values",
                };
                return self.fail(kind, *span);
            }
        };
        if let Source::Field(field) = &source
            && (field.row.flags.no_transformer || is_event_type(field))
        {
            return self.fail(Kind::NoTransformer(field.text()), span);
        }
        if source.is_list() {
            return self.fail(argument(name, &source, "it takes single values"), span);
        }
        Some(source)
    }

    /// An argument that is one text.
    fn text_arg(&mut self, name: Transformer, arg: &TransformArg) -> Option<Source> {
        let source = self.scalar(name, arg)?;
        if source.ty().class() == Class::Text {
            return Some(source);
        }
        let span = match arg {
            TransformArg::Field(field) => field.span,
            TransformArg::Transform(inner) => inner.span,
            TransformArg::Literal(literal) => literal.span,
            TransformArg::List(_, span) => *span,
        };
        self.fail(argument(name, &source, "it takes text"), span)
    }
}

fn argument(name: Transformer, got: &Source, expected: &'static str) -> Kind {
    Kind::Argument {
        name,
        got: format!("{} of type {}", got.name(), got.ty().name()),
        expected,
    }
}

fn not_a_list(name: Transformer, arg: &TransformArg) -> Kind {
    let got = match arg {
        TransformArg::Field(field) => field.to_string(),
        TransformArg::Transform(inner) => inner.to_string(),
        TransformArg::Literal(literal) => literal.text().into_owned(),
        TransformArg::List(..) => "a list".into(),
    };
    Kind::Argument {
        name,
        got,
        expected: "it takes a list, as in (a, b)",
    }
}

fn is_event_type(field: &FieldRef) -> bool {
    matches!(field.row.name, "evt.type" | "syscall.type")
}

/// Which operators a type allows.
fn allowed(class: Class, op: Operator) -> bool {
    use Operator as O;
    let equality = matches!(op, O::Eq | O::Ne | O::In | O::Intersects);
    match class {
        Class::Number { .. } | Class::Port => equality || op.is_order(),
        Class::Bool | Class::Address | Class::Network => equality,
        Class::Text => !matches!(op, O::BContains | O::BStartsWith),
        Class::Bytes => {
            equality
                || matches!(
                    op,
                    O::Contains | O::StartsWith | O::EndsWith | O::BContains | O::BStartsWith
                )
        }
        Class::Opaque => false,
    }
}

/// A port by number or by the name of its service; empty is 0.
fn port(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(0);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    // The names rules use, for hosts without the file.
    const KNOWN: [(&str, u16); 8] = [
        ("ssh", 22),
        ("telnet", 23),
        ("smtp", 25),
        ("domain", 53),
        ("http", 80),
        ("ntp", 123),
        ("https", 443),
        ("syslog", 514),
    ];
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    services
        .lines()
        .find_map(|line| {
            let line = line.split('#').next()?;
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let port = words.next()?.split('/').next()?;
            (name == text || words.any(|alias| alias == text)).then(|| port.parse().ok())?
        })
        .or_else(|| {
            KNOWN
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, port)| *port)
        })
}
