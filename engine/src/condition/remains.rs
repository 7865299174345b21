//! What remains of a condition on a type of event when some fields have no value.
//!
//! Every condition is looked at twice at once: as it is *meant*, with every field there, and as it *is*. Only what the
//! meaning depends on counts: a field in a branch that the type of the event closes is no loss.

use lanner_schema::event::{Event, FdUse};
use lanner_schema::tier::{Quality, Why};

use super::by_result::Results;
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How, Node};
use super::program::Program;
use super::transform::Source;
use super::{by_event, by_result};
use crate::field::{FieldRef, param_of};

/// Flags of an open that a file which is open does not tell: the kernel does not keep them.
const UNKEPT: [&[u8]; 4] = [b"O_TRUNC", b"O_EXCL", b"O_NOCTTY", b"O_LARGEFILE"];

/// Whether something is always true, never, or sometimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Always,
    Never,
    Sometimes,
}

/// What a check on a missing value comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// It is false, and its negation true.
    False,
    /// It is not known, and neither is its negation: both never make a rule match.
    Unknown,
}

/// What remains of a condition.
#[derive(Debug)]
pub(crate) struct Remains<'p> {
    /// With every field there.
    pub(crate) meant: Truth,
    /// With the fields that are there.
    pub(crate) is: Truth,
    /// The fields it depends on that are not exact, each use of it.
    pub(crate) reservations: Vec<(&'p FieldRef, Quality)>,
}

impl<'p> Remains<'p> {
    /// What remains of `program` on events of this type with such results; `quality` says what the value of a field is worth, or that the event has none
    /// by its nature.
    pub(crate) fn of(
        program: &'p Program,
        event: Event,
        results: Results,
        if_missing: IfMissing,
        quality: &dyn Fn(&FieldRef) -> Option<Quality>,
    ) -> Remains<'p> {
        let fold = Fold {
            event,
            results,
            if_missing,
            quality,
        };
        fold.node(&program.root, false)
    }

    fn decided(truth: bool) -> Remains<'p> {
        let truth = if truth { Truth::Always } else { Truth::Never };
        Remains {
            meant: truth,
            is: truth,
            reservations: Vec::new(),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

struct Fold<'f> {
    event: Event,
    results: Results,
    if_missing: IfMissing,
    quality: &'f dyn Fn(&FieldRef) -> Option<Quality>,
}

impl Fold<'_> {
    fn node<'p>(&self, node: &'p Node, negated: bool) -> Remains<'p> {
        match node {
            Node::Check(check) => self.check(check, negated),
            Node::Not(child) => self.node(child, !negated),
            Node::And(children) => self.many(children, negated, !negated),
            Node::Or(children) => self.many(children, negated, negated),
        }
    }

    /// `all` of the children, or any of them.
    fn many<'p>(&self, children: &'p [Node], negated: bool, all: bool) -> Remains<'p> {
        let (nothing, decides) = match all {
            true => (Truth::Always, Truth::Never),
            false => (Truth::Never, Truth::Always),
        };
        let mut sum = Remains::decided(all);
        for child in children {
            let child = self.node(child, negated);
            if child.meant == decides {
                return child;
            }
            sum.reservations.extend(child.reservations);
            for (sum, child) in [(&mut sum.meant, child.meant), (&mut sum.is, child.is)] {
                *sum = match (*sum, child) {
                    (before, child) if before == decides || child == decides => decides,
                    (before, child) if before == nothing => child,
                    (before, child) if child == nothing => before,
                    _ => Truth::Sometimes,
                };
            }
        }
        sum
    }

    /// True for a check that asks whether one of the flags of an open is there which a file that is open tells. That is known
    /// where it is, though not all flags are.
    fn asks_for_kept_flags(&self, check: &CheckNode) -> bool {
        let (FdUse::Opens { flags, .. }, Source::Field(field)) = (self.event.row().fd, &check.left) else {
            return false;
        };
        if self.if_missing == IfMissing::False || param_of(field, self.event) != Some(flags.into()) {
            return false;
        }
        let is_kept = |needle: &[u8]| !needle.is_empty() && UNKEPT.iter().all(|name| !contains(name, needle));
        match (check.how, &check.matcher) {
            (How::One, Matcher::Bytes(BytesTest::Contains(finder))) => is_kept(finder.needle()),
            (How::One, Matcher::Bytes(BytesTest::ContainsAny(needles))) => {
                needles.texts.iter().any(|needle| is_kept(needle))
            }
            _ => false,
        }
    }

    fn check<'p>(&self, check: &'p CheckNode, negated: bool) -> Remains<'p> {
        let fields = check.fields();
        let tells_some = !negated && self.asks_for_kept_flags(check);
        let worth = |field: &FieldRef| match (self.quality)(field)? {
            Quality::Missing(Why::NotGiven) if tells_some => Some(Quality::Weaker(Why::KeptFlags)),
            quality => Some(quality),
        };
        let reservations: Vec<_> = fields
            .iter()
            .filter_map(|field| Some((*field, worth(field)?)))
            .filter(|(_, quality)| *quality != Quality::Exact)
            .collect();
        let is_missing = reservations
            .iter()
            .any(|(_, quality)| matches!(quality, Quality::Missing(_)));
        // A field that is never filled is decided by the type, but not meant to be.
        let decided = || {
            by_event::truth(check, self.event).or_else(|| by_result::truth(check, self.event, self.results))
        };
        if !is_missing && let Some(truth) = decided() {
            return Remains::decided(truth != negated);
        }
        let is = match (is_missing, self.if_missing) {
            (false, _) => Truth::Sometimes,
            (true, IfMissing::False) if negated => Truth::Always,
            (true, _) => Truth::Never,
        };
        Remains {
            meant: Truth::Sometimes,
            is,
            reservations,
        }
    }
}
