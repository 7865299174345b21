//! Which event types a condition can be true on.
//!
//! Negation is pushed to the leaves; a check on anything but the event's type (or `evt.num`, which starts at 1) can be
//! true on every type, negated or not.

use std::fmt;

use lanner_schema::event::EventSet;

use super::ast::{Check, Expr, FieldName, Literal, Modifier, Operand, Operator, Right, Test};

use crate::scope::Scope;
use crate::source::EventSource;

/// The types of events on which a condition can be true, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventTypes {
    /// True for all types but those of `except`; `types` is empty then.
    pub all: bool,
    /// The types, sorted.
    pub types: Vec<&'static str>,
    /// The types that are left out of all, sorted.
    pub except: Vec<&'static str>,
}

/// The types of events on which `expr` can be true; macros in it can be true on all of them.
pub fn event_types(expr: &Expr, scope: &Scope) -> EventTypes {
    TypeSet::of(expr, scope.source()).event_types()
}

/// A set of a source's event types, and the ones the condition names.
#[derive(Clone)]
pub(super) struct TypeSet {
    source: &'static EventSource,
    set: Box<[u64]>,
    named: Box<[u64]>,
}

impl fmt::Debug for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypeSet").field(&self.len()).finish()
    }
}

impl TypeSet {
    fn none(source: &'static EventSource) -> TypeSet {
        let words = source.event_names().len().div_ceil(64);
        TypeSet {
            source,
            set: vec![0; words].into(),
            named: vec![0; words].into(),
        }
    }

    fn all(source: &'static EventSource) -> TypeSet {
        TypeSet::none(source).complement()
    }

    fn complement(mut self) -> TypeSet {
        let count = self.source.event_names().len();
        for (index, word) in self.set.iter_mut().enumerate() {
            let used = (count - index * 64).min(64);
            let mask = if used == 64 { u64::MAX } else { (1 << used) - 1 };
            *word = !*word & mask;
        }
        self
    }

    fn negate_if(self, negated: bool) -> TypeSet {
        if negated { self.complement() } else { self }
    }

    fn combine(mut self, other: &TypeSet, intersect: bool) -> TypeSet {
        for index in 0..self.set.len() {
            if intersect {
                self.set[index] &= other.set[index];
            } else {
                self.set[index] |= other.set[index];
            }
            self.named[index] |= other.named[index];
        }
        self
    }

    fn insert(&mut self, name: &[u8]) {
        let names = self.source.event_names();
        let name = str::from_utf8(name).map_or(name, |name| self.source.event_name(name).as_bytes());
        if let Ok(at) = names.binary_search_by(|probe| probe.as_bytes().cmp(name)) {
            self.set[at / 64] |= 1 << (at % 64);
            self.named[at / 64] |= 1 << (at % 64);
        }
    }

    fn names(&self, only_named: bool) -> impl Iterator<Item = &'static str> {
        self.source
            .event_names()
            .iter()
            .enumerate()
            .filter_map(move |(at, name)| {
                let bit = 1 << (at % 64);
                let named = !only_named || self.named[at / 64] & bit != 0;
                (self.set[at / 64] & bit != 0 && named).then_some(*name)
            })
    }

    /// How many types.
    pub(super) fn len(&self) -> usize {
        self.set.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The types Lanner captures.
    pub(super) fn events(&self) -> EventSet {
        // A source without types of its own still has its events.
        if self.source.event_names().is_empty() {
            return self.source.events();
        }
        self.names(false)
            .filter_map(|name| self.source.event(name))
            .collect()
    }

    /// Those of them that the condition names.
    pub(super) fn named_events(&self) -> EventSet {
        self.names(true)
            .filter_map(|name| self.source.event(name))
            .collect()
    }

    /// The types by name, told from the shorter side.
    fn event_types(self) -> EventTypes {
        let all = self.len() * 2 > self.source.event_names().len();
        if all {
            return EventTypes {
                all,
                except: self.complement().names(false).collect(),
                ..EventTypes::default()
            };
        }
        EventTypes {
            types: self.names(false).collect(),
            ..EventTypes::default()
        }
    }

    /// The types the condition names that Lanner does not capture.
    pub(super) fn blind(&self) -> Vec<&'static str> {
        self.names(true)
            .filter(|name| self.source.event(name).is_none())
            .collect()
    }

    /// The types on which `expr` can be true. Works with a stack of its own, as deep as the tree may be.
    pub(super) fn of(expr: &Expr, source: &'static EventSource) -> TypeSet {
        enum Step<'e> {
            Visit(&'e Expr, bool),
            Fold { count: usize, intersect: bool },
        }
        let mut steps = vec![Step::Visit(expr, false)];
        let mut sets: Vec<TypeSet> = Vec::new();
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit(Expr::Not(child, _), negated) => steps.push(Step::Visit(child, !negated)),
                Step::Visit(node @ (Expr::And(children, _) | Expr::Or(children, _)), negated) => {
                    steps.push(Step::Fold {
                        count: children.len(),
                        intersect: matches!(node, Expr::And(..)) != negated,
                    });
                    steps.extend(children.iter().map(|child| Step::Visit(child, negated)));
                }
                Step::Visit(Expr::Macro { .. }, _) => sets.push(TypeSet::all(source)),
                Step::Visit(Expr::Check(check), negated) => sets.push(Self::of_check(check, negated, source)),
                Step::Fold { count, intersect } => {
                    let start = if intersect {
                        TypeSet::all(source)
                    } else {
                        TypeSet::none(source)
                    };
                    let from = sets.len().saturating_sub(count);
                    let set = sets
                        .drain(from..)
                        .fold(start, |set, child| set.combine(&child, intersect));
                    sets.push(set);
                }
            }
        }
        sets.pop().unwrap_or_else(|| TypeSet::all(source))
    }

    fn of_check(check: &Check, negated: bool, source: &'static EventSource) -> TypeSet {
        match &check.left {
            Operand::Field(FieldName { name, arg: None, .. }) => match name.as_str() {
                "evt.type" | "syscall.type" => Self::of_type(&check.test, negated, source),
                "evt.num" => match number_is(&check.test) {
                    Some(truth) if truth != negated => TypeSet::all(source),
                    Some(_) => TypeSet::none(source),
                    None => TypeSet::all(source),
                },
                _ => TypeSet::all(source),
            },
            _ => TypeSet::all(source),
        }
    }

    fn of_type(test: &Test, negated: bool, source: &'static EventSource) -> TypeSet {
        let Test::Compare {
            op, modifier, right, ..
        } = test
        else {
            return TypeSet::all(source).negate_if(negated);
        };
        let literals: &[Literal] = match right {
            Right::Literal(literal) => std::slice::from_ref(literal),
            Right::List(items, _) => items,
            Right::Operand(_) => return TypeSet::all(source),
        };
        let mut set = TypeSet::none(source);
        literals.iter().for_each(|literal| set.insert(&literal.bytes));
        let distinct = literals.iter().any(|l| l.bytes != literals[0].bytes);
        let set = match (op, modifier) {
            (Operator::In | Operator::Intersects, _) | (Operator::Eq, None | Some(Modifier::AnyOf)) => set,
            // Nothing equals all of several names.
            (Operator::Eq, Some(Modifier::AllOf)) if !distinct => set,
            (Operator::Ne, None) => set.complement(),
            (Operator::Ne, Some(Modifier::AllOf)) if !literals.is_empty() => set.complement(),
            // What the rest selects is not worked out: every type, negated or not.
            _ => {
                let mut all = TypeSet::all(source);
                all.named = set.named;
                return all;
            }
        };
        set.negate_if(negated)
    }
}

/// Whether a test of `evt.num` is always true, or always false, given that it is at least 1.
fn number_is(test: &Test) -> Option<bool> {
    let number = |literal: &Literal| -> Option<u64> {
        let text = std::str::from_utf8(&literal.bytes).ok()?;
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().ok())?
    };
    let Test::Compare {
        op,
        modifier: None,
        right,
        ..
    } = test
    else {
        return matches!(test, Test::Exists).then_some(true);
    };
    match (op, right) {
        (Operator::In | Operator::Intersects, Right::List(items, _)) => {
            let mut numbers = items.iter().map(number);
            numbers.all(|n| n == Some(0)).then_some(false)
        }
        (op, Right::Literal(literal)) => match (op, number(literal)?) {
            (Operator::Eq | Operator::In | Operator::Intersects, 0) => Some(false),
            (Operator::Ne, 0) | (Operator::Gt, 0) | (Operator::Ge, 0 | 1) => Some(true),
            (Operator::Lt, 0 | 1) | (Operator::Le, 0) => Some(false),
            _ => None,
        },
        _ => None,
    }
}
