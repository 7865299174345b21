//! Which event types a condition can be true on.
//!
//! Negation is pushed to the leaves; a check on anything but the event's type (or `evt.num`, which starts at 1) can be
//! true on every type, negated or not.

use std::fmt;

use lanner_schema::event::{Event, EventSet};
use lanner_schema::names::EVENT_NAMES;

use super::ast::{Check, Expr, FieldName, Literal, Modifier, Operand, Operator, Right, Test};

const WORDS: usize = EVENT_NAMES.len().div_ceil(64);

/// A set of Falco's event types, and the ones the condition names.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TypeSet {
    set: [u64; WORDS],
    named: [u64; WORDS],
}

impl fmt::Debug for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypeSet").field(&self.len()).finish()
    }
}

impl TypeSet {
    fn none() -> TypeSet {
        TypeSet {
            set: [0; WORDS],
            named: [0; WORDS],
        }
    }

    fn all() -> TypeSet {
        TypeSet::none().complement()
    }

    fn complement(mut self) -> TypeSet {
        for (index, word) in self.set.iter_mut().enumerate() {
            let used = (EVENT_NAMES.len() - index * 64).min(64);
            let mask = if used == 64 { u64::MAX } else { (1 << used) - 1 };
            *word = !*word & mask;
        }
        self
    }

    fn negate_if(self, negated: bool) -> TypeSet {
        if negated { self.complement() } else { self }
    }

    fn combine(mut self, other: &TypeSet, intersect: bool) -> TypeSet {
        for index in 0..WORDS {
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
        if let Ok(at) = EVENT_NAMES.binary_search_by(|probe| probe.as_bytes().cmp(name)) {
            self.set[at / 64] |= 1 << (at % 64);
            self.named[at / 64] |= 1 << (at % 64);
        }
    }

    fn names(&self, only_named: bool) -> impl Iterator<Item = &'static str> {
        EVENT_NAMES.iter().enumerate().filter_map(move |(at, name)| {
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
        self.names(false).filter_map(Event::from_name).collect()
    }

    /// The types the condition names that Lanner does not capture.
    pub(super) fn blind(&self) -> Vec<&'static str> {
        self.names(true)
            .filter(|name| Event::from_name(name).is_none())
            .collect()
    }

    /// The types on which `expr` can be true. Works with a stack of its own, as deep as the tree may be.
    pub(super) fn of(expr: &Expr) -> TypeSet {
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
                Step::Visit(Expr::Macro { .. }, _) => sets.push(TypeSet::all()),
                Step::Visit(Expr::Check(check), negated) => sets.push(Self::of_check(check, negated)),
                Step::Fold { count, intersect } => {
                    let start = if intersect {
                        TypeSet::all()
                    } else {
                        TypeSet::none()
                    };
                    let from = sets.len().saturating_sub(count);
                    let set = sets
                        .drain(from..)
                        .fold(start, |set, child| set.combine(&child, intersect));
                    sets.push(set);
                }
            }
        }
        sets.pop().unwrap_or_else(TypeSet::all)
    }

    fn of_check(check: &Check, negated: bool) -> TypeSet {
        match &check.left {
            Operand::Field(FieldName { name, arg: None, .. }) => match name.as_str() {
                "evt.type" | "syscall.type" => Self::of_type(&check.test, negated),
                "evt.num" => match number_is(&check.test) {
                    Some(truth) if truth != negated => TypeSet::all(),
                    Some(_) => TypeSet::none(),
                    None => TypeSet::all(),
                },
                _ => TypeSet::all(),
            },
            _ => TypeSet::all(),
        }
    }

    fn of_type(test: &Test, negated: bool) -> TypeSet {
        let Test::Compare {
            op, modifier, right, ..
        } = test
        else {
            return TypeSet::all().negate_if(negated);
        };
        let literals: &[Literal] = match right {
            Right::Literal(literal) => std::slice::from_ref(literal),
            Right::List(items, _) => items,
            Right::Operand(_) => return TypeSet::all(),
        };
        let mut set = TypeSet::none();
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
                let mut all = TypeSet::all();
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
