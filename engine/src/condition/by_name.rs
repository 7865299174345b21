//! What is decided of an open, and of a call that leaves none open, by its names ([`lanner_schema::open_names`]), before any event is seen.
//!
//! As with classes, too much may pass and never too little. A check of a name can be true of some names only; of which it
//! is false is not looked at, so that what is negated says nothing.

use std::sync::Arc;

use lanner_schema::call_class::ClassSet;
use lanner_schema::event::Event;
use lanner_schema::open_names::{OPENS_OTHERWISE, OPENS_TO_READ, OpenNames, Pattern, Piece, Term, opens_of};

use super::ast::Modifier;
use super::by_class::Possible;
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How, Node};
use super::transform::Source;
use crate::field::call_path;

/// With more pairs of terms than these, two lists are not combined: the shorter one is taken for both. Longer lists of names say
/// nothing.
const MOST_COMBINED: usize = 4096;

/// The opens on which something may be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passing {
    /// Their classes.
    pub(crate) classes: ClassSet,
    /// Of those, the ones where it may be true only if one of `terms` holds of their names.
    pub(crate) named: ClassSet,
    pub(crate) terms: Vec<Term>,
}

impl Passing {
    pub(super) const NONE: Passing = Passing::whatever(ClassSet::NONE);

    /// Those of these classes, whatever their names are.
    pub(super) const fn whatever(classes: ClassSet) -> Passing {
        Passing {
            classes,
            named: ClassSet::NONE,
            terms: Vec::new(),
        }
    }

    fn unnamed(&self) -> ClassSet {
        self.classes.difference(self.named)
    }

    /// Those on which either may be true.
    pub(super) fn either(mut self, mut other: Passing) -> Passing {
        let unnamed = self.unnamed().union(other.unnamed());
        let mut terms = Vec::new();
        for one in [&mut self, &mut other] {
            if !one.named.difference(unnamed).is_empty() {
                terms.append(&mut one.terms);
            }
        }
        Passing {
            classes: self.classes.union(other.classes),
            named: self.named.union(other.named).difference(unnamed),
            terms,
        }
    }

    /// Those on which both may be true; each of a name of its own, unless they have but one.
    fn both(self, other: Passing, has_one_path: bool) -> Passing {
        let classes = self.classes.intersection(other.classes);
        let named = classes.intersection(self.named.union(other.named));
        let own_only = named.intersection(other.unnamed());
        let others_only = named.intersection(self.unnamed());
        let either = named.difference(own_only).difference(others_only);
        let mut terms = Vec::new();
        // Those of both are among those of each.
        if !either.is_empty() && own_only.is_empty() && others_only.is_empty() {
            terms = match has_one_path {
                true => in_both(&self.terms, &other.terms),
                false => shorter(&self.terms, &other.terms).to_vec(),
            };
        } else {
            if !own_only.is_empty() {
                terms.extend(self.terms);
            }
            if !others_only.is_empty() {
                terms.extend(other.terms);
            }
        }
        // Of one that is for reading a term says nothing of what is written.
        let opens = opens_of(named);
        terms.iter_mut().for_each(|term| term.opens &= opens);
        terms.retain(|term| term.opens != 0);
        Passing {
            classes,
            named,
            terms,
        }
    }
}

fn shorter<'t>(one: &'t [Term], other: &'t [Term]) -> &'t [Term] {
    if one.len() < other.len() { one } else { other }
}

fn in_both(one: &[Term], other: &[Term]) -> Vec<Term> {
    if one.len().saturating_mul(other.len()) > MOST_COMBINED {
        return shorter(one, other).to_vec();
    }
    let pairs = one
        .iter()
        .flat_map(|one| other.iter().filter_map(|other| one.both(other)));
    pairs.collect()
}

/// What a condition on a type of event comes to, given what its checks do by the class. Only types of
/// [`OpenNames::events`] and [`OpenNames::calls`] have names.
pub(super) fn of(node: &Node, event: Event, check: &dyn Fn(&Arc<CheckNode>) -> Possible) -> Passing {
    let is_open = OpenNames::events().any(|open| open == event);
    let part = |name: &str| match name {
        "fd.name" if is_open => Some(Part::Name),
        "fd.nameraw" if is_open => Some(Part::Raw),
        "fd.directory" if is_open => Some(Part::Directory),
        "fd.filename" if is_open => Some(Part::LastName),
        "fs.path.name" | "fs.path.source" | "fs.path.target" if !is_open => {
            call_path(event, name).then_some(Part::Name)
        }
        _ => None,
    };
    let look = Look {
        part: &part,
        check,
        has_one_path: is_open || call_path(event, "fs.path.name"),
    };
    yes_and_no(node, &look).0
}

/// What is looked at in a condition on a type of event.
struct Look<'a> {
    /// What of a name a field is.
    part: &'a dyn Fn(&str) -> Option<Part>,
    check: &'a dyn Fn(&Arc<CheckNode>) -> Possible,
    /// All its names are of one path: what two checks say of them has to hold of the same.
    has_one_path: bool,
}

/// The opens on which a condition may be true, and those on which it may be false.
fn yes_and_no(node: &Node, look: &Look<'_>) -> (Passing, Passing) {
    let all = || Passing::whatever(ClassSet::ALL);
    match node {
        Node::Check(leaf) => {
            let Possible { yes, no } = (look.check)(leaf);
            let passing = match terms(leaf, look.part) {
                // Of which the classes are known by what else there is in the condition.
                Some(terms) if !terms.is_empty() => Passing {
                    classes: yes,
                    named: yes,
                    terms,
                },
                Some(_) => Passing::NONE,
                None => Passing::whatever(yes),
            };
            (passing, Passing::whatever(no))
        }
        Node::Not(child) => {
            let (yes, no) = yes_and_no(child, look);
            (no, yes)
        }
        Node::And(children) => children.iter().fold((all(), Passing::NONE), |(yes, no), child| {
            let (of_child, no_child) = yes_and_no(child, look);
            (yes.both(of_child, look.has_one_path), no.either(no_child))
        }),
        Node::Or(children) => children.iter().fold((Passing::NONE, all()), |(yes, no), child| {
            let (of_child, no_child) = yes_and_no(child, look);
            (yes.either(of_child), no.both(no_child, look.has_one_path))
        }),
    }
}

/// What of a name a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Raw,
    Directory,
    LastName,
}

/// What has to hold of the names of an open for the check to be true, one of these; `None` where that is not known.
fn terms(check: &CheckNode, part: &dyn Fn(&str) -> Option<Part>) -> Option<Vec<Term>> {
    let Source::Field(field) = &check.left else {
        return None;
    };
    field.extract()?;
    let part = part(field.row.name)?;
    if check.how != How::One {
        return None;
    }
    let mut terms = Vec::new();
    of_matcher(part, &check.matcher, &mut terms)?;
    Some(terms)
}

/// Adds the terms of a test; `None` when it may pass without any.
fn of_matcher(part: Part, matcher: &Matcher, terms: &mut Vec<Term>) -> Option<()> {
    match matcher {
        Matcher::Never => Some(()),
        Matcher::Bytes(test) => of_bytes(part, test, terms),
        Matcher::Many(Modifier::AnyOf | Modifier::OneOf, tests) => {
            tests.iter().try_for_each(|test| of_matcher(part, test, terms))
        }
        Matcher::Many(Modifier::AllOf, tests) => {
            let mut all: Option<Vec<Term>> = None;
            for test in tests {
                let mut of_test = Vec::new();
                if of_matcher(part, test, &mut of_test).is_some() {
                    all = Some(match all {
                        Some(all) => in_both(&all, &of_test),
                        None => of_test,
                    });
                }
            }
            terms.extend(all?);
            Some(())
        }
        _ => None,
    }
}

fn of_bytes(part: Part, test: &BytesTest, terms: &mut Vec<Term>) -> Option<()> {
    const RUN: &[Piece] = &[Piece::Run];
    let text = |text: &[u8]| -> Vec<Piece> { text.iter().map(|byte| Piece::Byte(*byte)).collect() };
    let around = |before: &[Piece], inner: &[u8], after: &[Piece]| [before, &text(inner), after].concat();
    match test {
        BytesTest::Eq(whole) => add(part, &text(whole), terms),
        BytesTest::Set(set) if set.len() > MOST_COMBINED => return None,
        BytesTest::Set(set) => set.iter().for_each(|whole| add(part, &text(whole), terms)),
        BytesTest::StartsWith(start) => add(part, &around(&[], start, RUN), terms),
        BytesTest::EndsWith(end) => add(part, &around(RUN, end, &[]), terms),
        BytesTest::Contains(finder) => add(part, &around(RUN, finder.needle(), RUN), terms),
        BytesTest::ContainsAny(needles) => {
            needles
                .texts
                .iter()
                .for_each(|needle| add(part, &around(RUN, needle, RUN), terms));
        }
        BytesTest::Glob(glob) => add(part, &glob.pieces()?, terms),
        BytesTest::Paths(paths) => {
            // With a slash before the first name, which relative paths have before them, too.
            let (part, before) = match part {
                Part::Name | Part::Directory => (part, &[][..]),
                Part::Raw => (part, RUN),
                Part::LastName => (Part::Name, RUN),
            };
            let beginnings = paths.beginnings()?;
            beginnings
                .iter()
                .for_each(|start| add(part, &around(before, start, RUN), terms));
        }
        BytesTest::IContains(_) | BytesTest::Regex(_) => return None,
    }
    Some(())
}

/// Adds the terms for a part of a name that is these pieces.
fn add(part: Part, pieces: &[Piece], terms: &mut Vec<Term>) {
    const SLASH: Piece = Piece::Byte(b'/');
    const ANY: u8 = OPENS_TO_READ | OPENS_OTHERWISE;
    let mut name = |pieces: &[&[Piece]]| {
        terms.push(Term {
            opens: ANY,
            raw: None,
            name: Some(Pattern::new(pieces.concat())),
        });
    };
    match part {
        Part::Name => name(&[pieces]),
        Part::Raw => {
            // Relative paths have a directory before them, absolute ones begin with a slash.
            let before: &[Piece] = match pieces.first() {
                Some(&SLASH) => &[],
                _ => &[Piece::Run],
            };
            terms.push(Term {
                opens: ANY,
                raw: Some(Pattern::new([before, pieces].concat())),
                name: None,
            });
        }
        Part::Directory => {
            name(&[pieces, &[SLASH, Piece::Part]]);
            // Of a directory it is itself.
            name(&[pieces]);
            // The root's path ends with a slash, which is the one before the file's name.
            if Pattern::new(pieces.iter().copied()).matches(b"/") {
                name(&[&[SLASH, Piece::Part]]);
            }
        }
        Part::LastName => name(&[&[Piece::Run, SLASH], pieces]),
    }
}
