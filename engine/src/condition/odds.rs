//! What a check costs, and how likely it is to pass: the order in which checks are made follows from it, never a result.
//!
//! The figures are rough, in nanoseconds on a small server; only their order of magnitude matters.

use super::ast::{Modifier, Operator};
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How};
use super::transform::Source;
use crate::field::Extract;

/// An estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Odds {
    /// Nanoseconds.
    pub(super) cost: f32,
    /// Share of the events that pass, between 0 and 1.
    pub(super) passes: f32,
}

/// Probabilities stay away from 0 and 1, so that no check is thought to be without effect.
const LEAST: f32 = 0.01;

impl Odds {
    fn new(cost: f32, passes: f32) -> Odds {
        Odds {
            cost,
            passes: passes.clamp(LEAST, 1.0 - LEAST),
        }
    }

    /// Of the opposite.
    pub(super) fn negated(self) -> Odds {
        Odds::new(self.cost, 1.0 - self.passes)
    }

    /// How late it should be tried where one failure ends the search.
    pub(super) fn rank_to_fail(self) -> f32 {
        self.cost / (1.0 - self.passes)
    }

    /// How late it should be tried where one success ends the search.
    pub(super) fn rank_to_pass(self) -> f32 {
        self.cost / self.passes
    }

    /// Of several, tried in this order until one fails.
    pub(super) fn all(of: impl Iterator<Item = Odds>) -> Odds {
        let (mut cost, mut passes) = (0.0, 1.0);
        for odds in of {
            cost += passes * odds.cost;
            passes *= odds.passes;
        }
        Odds::new(cost, passes)
    }

    /// Of several, tried in this order until one passes.
    pub(super) fn any(of: impl Iterator<Item = Odds>) -> Odds {
        Odds::all(of.map(Odds::negated)).negated()
    }

    /// Of one check.
    pub(super) fn of(check: &CheckNode) -> Odds {
        let each = matcher(&check.matcher);
        let read = reading(&check.left);
        match check.how {
            How::One => Odds::new(read + each.cost, each.passes),
            // An ancestor or an element of a list is another place in memory.
            _ => Odds::new(read + 4.0 * (each.cost + 8.0), each.passes * 1.5),
        }
    }
}

/// Nanoseconds to ask the host about a descriptor.
const ASKING: f32 = 10_000.0;

/// Nanoseconds to read a value.
pub(super) fn reading(source: &Source) -> f32 {
    match source {
        Source::Field(field) => match field.row.extract {
            Extract::Unfilled => 1.0,
            Extract::Plain(_) => match field.row.name {
                // The host is asked.
                name if name.starts_with("proc.std") => ASKING,
                name if name.starts_with("fs.path.") => 12.0,
                name if name.starts_with("proc.p") || name.starts_with("user.") => 8.0,
                "fd.directory" | "fd.filename" | "container.image.repository" | "evt.is_open_exec" => 8.0,
                _ => 2.0,
            },
            Extract::Any(_) if field.row.name == "fd.types" => 10.0 * ASKING,
            Extract::Ancestor(_) | Extract::Any(_) | Extract::Ends(_) | Extract::Names(_) => 15.0,
            Extract::Mostly(..) => 2.0,
            Extract::One(_) => match field.row.name {
                "fd.nameraw" | "proc.args" => 6.0,
                name if name.starts_with("proc.std") => ASKING,
                "evt.args" | "evt.info" => 300.0,
                _ => 40.0,
            },
        },
        Source::Constant(_) => 1.0,
        _ => 60.0,
    }
}

fn matcher(matcher_of: &Matcher) -> Odds {
    match matcher_of {
        Matcher::Exists => Odds::new(1.0, 0.9),
        Matcher::Never => Odds::new(1.0, 0.0),
        Matcher::Bytes(test) => bytes(test),
        Matcher::BytesOrder(..) => Odds::new(4.0, 0.5),
        Matcher::Number(Operator::Eq, _) | Matcher::Numbers(_) => Odds::new(2.0, 0.1),
        // Results and descriptors: most calls succeed.
        Matcher::Number(Operator::Ge, 0) => Odds::new(2.0, 0.9),
        Matcher::Number(Operator::Ne, _) => Odds::new(2.0, 0.7),
        Matcher::Number(..) => Odds::new(2.0, 0.4),
        Matcher::Bool(_) => Odds::new(2.0, 0.3),
        Matcher::Addresses(set) => Odds::new(3.0 + set.len() as f32, 0.1),
        Matcher::Networks(set) => Odds::new(3.0 + 2.0 * set.len() as f32, 0.2),
        Matcher::Not(test) => matcher(test).negated(),
        Matcher::Many(Modifier::AllOf, tests) => Odds::all(tests.iter().map(matcher)),
        Matcher::Many(_, tests) => Odds::any(tests.iter().map(matcher)),
        Matcher::InSource(right) => Odds::new(10.0 + reading(right), 0.2),
        Matcher::Source(_, right) => Odds::new(5.0 + reading(right), 0.2),
    }
}

fn bytes(test: &BytesTest) -> Odds {
    match test {
        // One letter, as in fd.typechar, says little.
        BytesTest::Eq(text) if text.len() == 1 => Odds::new(3.0, 0.8),
        BytesTest::Eq(_) => Odds::new(3.0, 0.05),
        BytesTest::Set(_) => Odds::new(5.0, 0.1),
        BytesTest::StartsWith(_) | BytesTest::EndsWith(_) => Odds::new(3.0, 0.1),
        BytesTest::Contains(_) => Odds::new(15.0, 0.05),
        BytesTest::Glob(_) => Odds::new(15.0, 0.05),
        BytesTest::Paths(_) => Odds::new(30.0, 0.1),
        BytesTest::IContains(_) => Odds::new(60.0, 0.05),
        BytesTest::ContainsAny(_) => Odds::new(60.0, 0.1),
        BytesTest::Regex(_) => Odds::new(150.0, 0.1),
    }
}
