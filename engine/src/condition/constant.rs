//! Constants: what they have to look like for a type, and the tables they become.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use super::ast::{Literal, Modifier, Operator, Transformer};
use super::check::{Checker, is_event_type};
use super::error::{CheckErrorKind as Kind, Warning, WarningKind};
use super::matcher::{BytesTest, Matcher, Needles, Network};
use super::pattern::{Glob, PathSet};
use super::posix::{self, Posix};
use super::text_set::TextSet;
use super::transform::Source;
use crate::suggest::nearest;
use crate::value::{Class, FieldType};

/// The longest constant Falco takes.
const MAX_VALUE: usize = 256;
/// From how many texts on one automaton is faster than a search for each.
const MANY_NEEDLES: usize = 4;

impl Checker<'_> {
    /// A comparison with constants.
    pub(super) fn constants(
        &mut self,
        left: &Source,
        op: Operator,
        modifier: Option<Modifier>,
        items: &[Literal],
    ) -> Option<Matcher> {
        let errors = self.errors.len();
        for item in items {
            if self.is_full() {
                return None;
            }
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
        let items = &*self.meant(left, op, items);
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
        // Blanks around it are as easily put there by a YAML quote.
        let trimmed = text.trim();
        let kind = if let Some((name, rest)) = trimmed.split_once('(')
            && (Transformer::from_word(name).is_some() || name == "val")
            && rest.ends_with(')')
        {
            WarningKind::LooksLikeTransformer(text.into_owned())
        } else if text.contains('.') && {
            let name = trimmed.split('[').next().unwrap_or(trimmed);
            self.scope.source().field(name).is_some() || self.scope.added(name).is_some()
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

    /// The constants by the names that events have.
    fn meant<'i>(&self, left: &Source, op: Operator, items: &'i [Literal]) -> Cow<'i, [Literal]> {
        let equality = matches!(
            op,
            Operator::Eq | Operator::Ne | Operator::In | Operator::Intersects
        );
        match left {
            Source::Field(field) if equality && is_event_type(field) => {}
            _ => return Cow::Borrowed(items),
        }
        let meant = |item: &Literal| {
            let text = item.text();
            let name = self.scope.source().event_name(&text);
            Literal {
                bytes: name.into(),
                ..item.clone()
            }
        };
        Cow::Owned(items.iter().map(meant).collect())
    }

    fn event_name(&mut self, item: &Literal) {
        let name = item.text().into_owned();
        let names = self.scope.source().event_names();
        if names.binary_search(&name.as_str()).is_err() {
            let nearest = nearest(&name, names.iter().copied());
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
                let set: TextSet = items.iter().filter_map(|item| self.bytes(ty, item)).collect();
                if set.len() == 1
                    && let Some(only) = set.iter().next()
                {
                    Matcher::Bytes(BytesTest::Eq(only.into()))
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
            Class::Bool => {
                let mut passes = [false; 2];
                let values = items.iter().filter_map(|item| self.bool(item));
                values.for_each(|value| passes[usize::from(value)] = true);
                Matcher::Bool(passes)
            }
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
            Ok(automaton) => {
                let texts = needles.into();
                let needles = Box::new(Needles { automaton, texts });
                Some(Matcher::Bytes(BytesTest::ContainsAny(needles)))
            }
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
    static SERVICES: OnceLock<HashMap<String, u16>> = OnceLock::new();
    let services = SERVICES.get_or_init(|| {
        let mut services = HashMap::new();
        for line in std::fs::read_to_string("/etc/services")
            .unwrap_or_default()
            .lines()
        {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            if let (Some(name), Some(port)) = (words.next(), words.next())
                && let Some(Ok(port)) = port.split('/').next().map(str::parse)
            {
                for name in std::iter::once(name).chain(words) {
                    services.entry(name.to_owned()).or_insert(port);
                }
            }
        }
        for (name, port) in KNOWN {
            services.entry(name.to_owned()).or_insert(port);
        }
        services
    });
    services.get(text).copied()
}
