//! The test of one value against constants that were prepared when the condition was compiled.

use std::cmp::Ordering;
use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use lanner_schema::view::EventView;
use memchr::memmem::Finder;

use super::ast::{Modifier, Operator};
use super::pattern::{Glob, PathSet};
use super::posix::Posix;
use super::program::Scratch;
use super::text_set::TextSet;
use super::transform::Source;
use crate::value::Value;

/// A test.
#[derive(Debug)]
pub(super) enum Matcher {
    /// Any value.
    Exists,
    /// No value.
    Never,
    /// Bytes.
    Bytes(BytesTest),
    /// Ordering of bytes.
    BytesOrder(Operator, Box<[u8]>),
    /// An ordering or (in)equality of numbers.
    Number(Operator, i128),
    /// Membership, sorted.
    Numbers(Box<[i128]>),
    /// Whether false passes, and whether true does.
    Bool([bool; 2]),
    /// Membership of addresses.
    Addresses(Box<[IpAddr]>),
    /// Membership in networks.
    Networks(Box<[Network]>),
    /// The opposite of a test of a value that is there.
    Not(Box<Matcher>),
    /// How many of several tests hold.
    Many(Modifier, Box<[Matcher]>),
    /// Compared with another value of the event.
    Source(Operator, Box<Source>),
    /// Membership in a list of the event.
    InSource(Box<Source>),
}

/// A test of bytes.
#[derive(Debug)]
pub(super) enum BytesTest {
    Eq(Box<[u8]>),
    Set(TextSet),
    Contains(Box<Finder<'static>>),
    ContainsAny(Box<Needles>),
    /// Lower case.
    IContains(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Glob(Glob),
    Regex(Box<Posix>),
    Paths(PathSet),
}

/// Texts that are searched for at once.
#[derive(Debug)]
pub(super) struct Needles {
    pub(super) automaton: AhoCorasick,
    pub(super) texts: Box<[Box<[u8]>]>,
}

/// A network: an address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

impl Network {
    fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                (u64::from(u32::from(net)) >> shift) == (u64::from(u32::from(ip)) >> shift)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => match self.prefix {
                0 => true,
                prefix => {
                    let shift = 128 - u32::from(prefix.min(128));
                    (u128::from(net) >> shift) == (u128::from(ip) >> shift)
                }
            },
            _ => false,
        }
    }
}

impl Matcher {
    /// True when the value passes. It is not copied: reading a part of what was just written is much faster.
    #[inline(always)]
    pub(super) fn test(&self, value: &Value<'_>, view: &EventView<'_>, scratch: &mut Scratch) -> bool {
        // The tests that most checks are, without a call.
        match (self, value) {
            (Matcher::Bytes(BytesTest::Set(set)), Value::Bytes(bytes)) => set.contains(bytes),
            (Matcher::Bytes(BytesTest::Eq(right)), Value::Bytes(bytes)) => equal(bytes, right),
            (Matcher::Bytes(BytesTest::StartsWith(right)), Value::Bytes(bytes)) => begins(bytes, right),
            (Matcher::Bool([no, yes]), Value::Bool(value)) => {
                if *value {
                    *yes
                } else {
                    *no
                }
            }
            _ => self.test_other(value, view, scratch),
        }
    }

    #[inline(never)]
    fn test_other(&self, value: &Value<'_>, view: &EventView<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Matcher::Exists => true,
            Matcher::Never => false,
            Matcher::Bytes(test) => matches!(value, Value::Bytes(bytes) if test.test(bytes, scratch)),
            Matcher::BytesOrder(op, right) => {
                matches!(value, Value::Bytes(left) if ordered(*op, *left, right))
            }
            Matcher::Number(op, right) => match value {
                Value::F64(left) => passes(*op, left.partial_cmp(&(*right as f64))),
                _ => value.number().is_some_and(|left| ordered(*op, &left, right)),
            },
            Matcher::Numbers(set) => match value {
                Value::F64(left) => set.iter().any(|right| *left == *right as f64),
                _ => value.number().is_some_and(|n| set.binary_search(&n).is_ok()),
            },
            Matcher::Bool(passes) => matches!(value, Value::Bool(value) if passes[usize::from(*value)]),
            Matcher::Addresses(set) => matches!(value, Value::Ip(ip) if set.contains(ip)),
            Matcher::Networks(set) => {
                matches!(value, Value::Ip(ip) if set.iter().any(|net| net.contains(*ip)))
            }
            Matcher::Not(test) => !test.test(value, view, scratch),
            Matcher::Many(modifier, tests) => {
                let mut passing = tests.iter().filter(|test| test.test(value, view, scratch));
                match modifier {
                    Modifier::AnyOf => passing.next().is_some(),
                    Modifier::OneOf => passing.next().is_some() && passing.next().is_none(),
                    Modifier::AllOf => !tests.is_empty() && passing.count() == tests.len(),
                }
            }
            Matcher::Source(op, right) => {
                let mut buf = scratch.take();
                let result = right
                    .get(view, scratch, &mut buf)
                    .is_some_and(|right| compare(*op, *value, right));
                scratch.put(buf);
                result
            }
            Matcher::InSource(right) => {
                let mut found = false;
                right.each_value(view, scratch, &mut |item| {
                    found = compare(Operator::Eq, *value, item);
                    found
                });
                found
            }
        }
    }
}

impl BytesTest {
    fn test(&self, bytes: &[u8], scratch: &mut Scratch) -> bool {
        match self {
            BytesTest::Eq(right) => bytes == &**right,
            BytesTest::Set(set) => set.contains(bytes),
            BytesTest::Contains(finder) => finder.find(bytes).is_some(),
            BytesTest::ContainsAny(needles) => needles.automaton.is_match(bytes),
            BytesTest::IContains(right) => icontains(bytes, right),
            BytesTest::StartsWith(right) => bytes.starts_with(right),
            BytesTest::EndsWith(right) => {
                bytes.last() == right.last() && bytes.ends_with(right) || right.is_empty()
            }
            BytesTest::Glob(glob) => glob.matches(bytes),
            BytesTest::Paths(paths) => {
                let mut buf = scratch.take();
                let result = paths.matches(bytes, &mut buf);
                scratch.put(buf);
                result
            }
            BytesTest::Regex(regex) => {
                let mut buf = scratch.take();
                let result = regex.matches(bytes, &mut buf);
                scratch.put(buf);
                result
            }
        }
    }
}

/// Equal; the last byte tells most paths and names apart before all of them are compared.
#[inline]
fn equal(text: &[u8], other: &[u8]) -> bool {
    text.len() == other.len() && text.last() == other.last() && text == other
}

/// Starts with `prefix`, whose last byte is looked at first: paths begin alike.
#[inline]
pub(super) fn begins(text: &[u8], prefix: &[u8]) -> bool {
    match prefix.split_last() {
        Some((last, rest)) => text.get(rest.len()) == Some(last) && text.starts_with(rest),
        None => true,
    }
}

fn icontains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty()
        || text
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
}

fn ordered<T: Ord + ?Sized>(op: Operator, left: &T, right: &T) -> bool {
    match op {
        // Equality first and by itself: most comparisons are, and it is cheaper than an order.
        Operator::Eq | Operator::In | Operator::Intersects => left == right,
        Operator::Ne => left != right,
        _ => passes(op, Some(left.cmp(right))),
    }
}

/// Whether an operator is content with how its sides compare; never when they do not compare.
fn passes(op: Operator, order: Option<Ordering>) -> bool {
    let Some(order) = order else { return false };
    match op {
        Operator::Eq | Operator::In | Operator::Intersects => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        _ => false,
    }
}

/// Compares two values of the event; both sides have the same type.
fn compare(op: Operator, left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Bytes(left), Value::Bytes(right)) => match op {
            Operator::Contains | Operator::BContains => {
                right.is_empty() || memchr::memmem::find(left, right).is_some()
            }
            Operator::IContains => icontains(left, right),
            Operator::StartsWith | Operator::BStartsWith => left.starts_with(right),
            Operator::EndsWith => left.ends_with(right),
            Operator::Glob => Glob::new(right, false).matches(left),
            Operator::IGlob => Glob::new(right, true).matches(left),
            _ => ordered(op, left, right),
        },
        (Value::Bool(left), Value::Bool(right)) => ordered(op, &left, &right),
        (Value::Ip(left), Value::Ip(right)) => ordered(op, &left, &right),
        (Value::F64(left), Value::F64(right)) => passes(op, left.partial_cmp(&right)),
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => ordered(op, &left, &right),
            _ => false,
        },
    }
}
