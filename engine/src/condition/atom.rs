//! Atoms: the constants of which a value has to have one for a check to pass, as far as they can be looked up.

use std::borrow::Cow;
use std::net::IpAddr;

use super::ast::{Modifier, Operator};
use super::matcher::{BytesTest, Matcher};
use super::node::CheckNode;
use super::pattern::Literal;
use crate::value::Value;

/// Sets with more texts are asked themselves: a second table of them would cost more than it saves.
const MOST_TEXTS: usize = 4096;
/// Shorter texts say too little about a value to look for them.
const SHORTEST: usize = 2;

/// How a value has an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It is the atom.
    Equals,
    /// It begins with it.
    Begins,
    /// It ends with it.
    Ends,
    /// It contains it.
    Contains,
    /// It is a path that begins with it, once needless slashes are gone.
    BeginsPath,
}

/// What a value has to have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Atom<'c> {
    pub(super) kind: Kind,
    /// Of numbers and addresses the key ([`number_key`], [`address_key`]).
    pub(super) text: Cow<'c, [u8]>,
}

impl<'c> Atom<'c> {
    fn new(kind: Kind, text: impl Into<Cow<'c, [u8]>>) -> Atom<'c> {
        Atom {
            kind,
            text: text.into(),
        }
    }
}

/// What is known of the values that pass a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Atoms<'c> {
    /// Each has one of these.
    OneOf(Vec<Atom<'c>>),
    /// Each is in the check's own set, which is large.
    InSet,
}

/// The atoms of a check; `None` when it may pass without any. No value of a field with several passes unless one of them
/// has an atom.
pub(super) fn atoms_of(check: &CheckNode) -> Option<Atoms<'_>> {
    if let Matcher::Bytes(BytesTest::Set(set)) = &check.matcher
        && set.len() > MOST_TEXTS
    {
        return Some(Atoms::InSet);
    }
    let mut atoms = Vec::new();
    of_matcher(&check.matcher, &mut atoms)?;
    Some(Atoms::OneOf(atoms))
}

/// Adds the atoms of a test; `None` when it may pass without any.
fn of_matcher<'c>(matcher: &'c Matcher, atoms: &mut Vec<Atom<'c>>) -> Option<()> {
    match matcher {
        Matcher::Bytes(test) => of_bytes(test, atoms),
        Matcher::Number(Operator::Eq | Operator::In | Operator::Intersects, number) => {
            atoms.push(Atom::new(Kind::Equals, number_key(*number).to_vec()));
            Some(())
        }
        Matcher::Numbers(set) => {
            atoms.extend(
                set.iter()
                    .map(|number| Atom::new(Kind::Equals, number_key(*number).to_vec())),
            );
            Some(())
        }
        Matcher::Addresses(set) => {
            atoms.extend(
                set.iter()
                    .map(|ip| Atom::new(Kind::Equals, address_key(*ip).to_vec())),
            );
            Some(())
        }
        Matcher::Many(Modifier::AnyOf | Modifier::OneOf, tests) => {
            tests.iter().try_for_each(|test| of_matcher(test, atoms))
        }
        Matcher::Many(Modifier::AllOf, tests) => {
            // Any of them will do: the one with the longest text tells most.
            let each = tests.iter().filter_map(|test| {
                let mut atoms = Vec::new();
                of_matcher(test, &mut atoms)?;
                let shortest = atoms.iter().map(|atom| atom.text.len()).min()?;
                Some((shortest, atoms))
            });
            let (_, best) = each.max_by_key(|(shortest, _)| *shortest)?;
            atoms.extend(best);
            Some(())
        }
        _ => None,
    }
}

fn of_bytes<'c>(test: &'c BytesTest, atoms: &mut Vec<Atom<'c>>) -> Option<()> {
    let mut add = |kind: Kind, text: Cow<'c, [u8]>| {
        let enough = kind == Kind::Equals || text.len() >= SHORTEST;
        enough.then(|| atoms.push(Atom::new(kind, text)))
    };
    match test {
        BytesTest::Eq(text) => add(Kind::Equals, (&**text).into()),
        BytesTest::Set(set) => set.iter().try_for_each(|text| add(Kind::Equals, text.into())),
        BytesTest::StartsWith(text) => add(Kind::Begins, (&**text).into()),
        BytesTest::EndsWith(text) => add(Kind::Ends, (&**text).into()),
        BytesTest::Contains(finder) => add(Kind::Contains, finder.needle().into()),
        BytesTest::ContainsAny(needles) => needles
            .texts
            .iter()
            .try_for_each(|text| add(Kind::Contains, (&**text).into())),
        BytesTest::Glob(glob) => match glob.literal()? {
            Literal::Whole(text) => add(Kind::Equals, text.into_vec().into()),
            Literal::Start(text) => add(Kind::Begins, text.into_vec().into()),
            Literal::End(text) => add(Kind::Ends, text.into_vec().into()),
            Literal::Inside(text) => add(Kind::Contains, text.into_vec().into()),
        },
        BytesTest::Paths(paths) => paths
            .beginnings()?
            .into_iter()
            .try_for_each(|text| add(Kind::BeginsPath, text.into_vec().into())),
        BytesTest::IContains(_) | BytesTest::Regex(_) => None,
    }
}

/// A number as an atom's text.
pub(super) fn number_key(number: i128) -> [u8; 16] {
    number.to_le_bytes()
}

/// An address as an atom's text, which is no other address's.
pub(super) fn address_key(ip: IpAddr) -> [u8; 17] {
    let mut key = [0; 17];
    match ip {
        IpAddr::V4(ip) => key[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => {
            key[..16].copy_from_slice(&ip.octets());
            key[16] = 6;
        }
    }
    key
}

/// Calls `look` with the text by which a value is looked up, and whether it is text.
pub(super) fn with_key<T>(value: &Value<'_>, look: impl FnOnce(&[u8], bool) -> T) -> Option<T> {
    Some(match value {
        Value::Bytes(bytes) => look(bytes, true),
        Value::Ip(ip) => look(&address_key(*ip), false),
        Value::I64(_) | Value::U64(_) => look(&number_key(value.number()?), false),
        Value::Bool(_) | Value::F64(_) => return None,
    })
}
