//! The plainest evaluator there can be, to compare the real one with: every condition as it was written, every check on
//! every event, nothing prepared, nothing remembered.

use std::collections::HashMap;

use lanner_schema::view::EventView;

use super::ast::{Check, Expr, Literal, Modifier, Operand, Operator, Right, Test};
use super::check::Checker;
use super::node::CheckNode;
use super::program::Scratch;
use crate::field::FieldRef;
use crate::value::{Class, Value};

/// Evaluates conditions; keeps only what it costs most to make again.
#[derive(Default)]
pub(super) struct Naive {
    fields: HashMap<String, FieldRef>,
    checks: HashMap<String, CheckNode>,
}

impl Naive {
    /// True when the event satisfies the condition.
    pub(super) fn holds(&mut self, expr: &Expr, view: &EventView<'_>) -> bool {
        match expr {
            Expr::And(children, _) => children.iter().all(|child| self.holds(child, view)),
            Expr::Or(children, _) => children.iter().any(|child| self.holds(child, view)),
            Expr::Not(child, _) => !self.holds(child, view),
            Expr::Macro { name, .. } => panic!("macro {name} was not resolved"),
            Expr::Check(check) => match self.simple(check, view) {
                Some(holds) => holds,
                None => self.compiled(check, view),
            },
        }
    }

    /// The checks that have little to them, read from the tree itself; `None` for the others.
    fn simple(&mut self, check: &Check, view: &EventView<'_>) -> Option<bool> {
        let Operand::Field(name) = &check.left else {
            return None;
        };
        let field = self
            .fields
            .entry(check.left.to_string())
            .or_insert_with(|| FieldRef::resolve(&name.name, name.arg.as_deref()).unwrap());
        if field.list {
            return None;
        }
        let Test::Compare {
            op, modifier, right, ..
        } = &check.test
        else {
            return (!field.is_many()).then(|| field.get(view, &mut Vec::new()).is_some());
        };
        let literals = match right {
            Right::Literal(literal) => std::slice::from_ref(literal),
            Right::List(items, _) => items,
            Right::Operand(_) => return None,
        };
        let mut known = true;
        let mut passes = |value: Value<'_>| {
            let mut one = |literal: &Literal| {
                single(field, *op, value, literal).unwrap_or_else(|| {
                    known = false;
                    false
                })
            };
            let count = literals.iter().filter(|literal| one(literal)).count();
            match modifier {
                Some(Modifier::AllOf) => count == literals.len() && count > 0,
                Some(Modifier::OneOf) => count == 1,
                Some(Modifier::AnyOf) | None => count > 0,
            }
        };
        let mut results = Vec::new();
        if field.is_many() {
            field.each(view, &mut |value| {
                results.push(passes(value));
                false
            });
        } else {
            let mut buf = Vec::new();
            results.extend(field.get(view, &mut buf).map(passes));
        }
        let holds = match field.is_ends() && *op == Operator::Ne {
            true => !results.is_empty() && results.iter().all(|passed| *passed),
            false => results.contains(&true),
        };
        known.then_some(holds)
    }

    /// Any other check, by itself.
    fn compiled(&mut self, check: &Check, view: &EventView<'_>) -> bool {
        let node = self.checks.entry(format!("{check:#}")).or_insert_with(|| {
            let scope = crate::scope::Scope::default();
            let mut checker = Checker::new(&scope);
            let node = checker.check(check);
            node.unwrap_or_else(|| panic!("{check} does not compile: {:?}", checker.errors))
        });
        node.matches(view, &mut Scratch::new())
    }
}

/// One value against one constant; `None` when it is none of the simple ones.
fn single(field: &FieldRef, op: Operator, value: Value<'_>, literal: &Literal) -> Option<bool> {
    use Operator as O;
    match (field.ty.class(), value) {
        (Class::Text, Value::Bytes(bytes)) => {
            let text = &literal.bytes[..];
            let has = |bytes: &[u8], part: &[u8]| {
                part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
            };
            Some(match op {
                O::Eq | O::In | O::Intersects => bytes == text,
                O::Ne => bytes != text,
                O::Contains => has(bytes, text),
                O::IContains => has(&bytes.to_ascii_lowercase(), &text.to_ascii_lowercase()),
                O::StartsWith => bytes.starts_with(text),
                O::EndsWith => bytes.ends_with(text),
                _ => return None,
            })
        }
        (Class::Number { .. }, _) => {
            let (left, right): (i128, u32) = (value.number()?, literal.text().parse().ok()?);
            let right = i128::from(right);
            Some(match op {
                O::Eq | O::In | O::Intersects => left == right,
                O::Ne => left != right,
                O::Lt => left < right,
                O::Le => left <= right,
                O::Gt => left > right,
                O::Ge => left >= right,
                _ => return None,
            })
        }
        (Class::Bool, Value::Bool(left)) => {
            let right = &literal.bytes[..] == b"true";
            Some(if op == O::Ne { left != right } else { left == right })
        }
        _ => None,
    }
}
