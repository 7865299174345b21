//! Types: which operator a field allows, and what its constants have to look like.

use super::ast::{Check, FieldName, Modifier, Operand, Operator, Right, Span, Test};
use super::error::{CheckError, CheckErrorKind as Kind, Warning, WarningKind};
use super::matcher::Matcher;
use super::node::{CheckNode, How};
use super::transform::Source;
use crate::field::FieldRef;
use crate::scope::Scope;
use crate::value::{Class, FieldType};

/// The most errors of a condition, and the most warnings.
pub(super) const MOST: usize = 20;

/// Collects what a compilation finds.
#[derive(Debug)]
pub(crate) struct Checker<'s> {
    pub(super) scope: &'s Scope,
    pub(crate) errors: Vec<CheckError>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) fields: Vec<FieldRef>,
    /// Host names that addresses are compared with.
    pub(super) host_names: Vec<Box<str>>,
}

impl<'s> Checker<'s> {
    pub(crate) fn new(scope: &'s Scope) -> Checker<'s> {
        Checker {
            scope,
            errors: Vec::new(),
            warnings: Vec::new(),
            fields: Vec::new(),
            host_names: Vec::new(),
        }
    }

    pub(crate) fn error(&mut self, kind: Kind, span: Span) {
        if !self.is_full() {
            self.errors.push(CheckError { kind, span });
        }
    }

    /// True when so much is wrong that no more is looked for.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= MOST
    }

    pub(super) fn fail<T>(&mut self, kind: Kind, span: Span) -> Option<T> {
        self.error(kind, span);
        None
    }

    /// Resolves a field.
    pub(crate) fn field(&mut self, name: &FieldName) -> Option<FieldRef> {
        match FieldRef::resolve_in(self.scope, &name.name, name.arg.as_deref()) {
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
        let before = self.fields.len();
        let left = self.source(&check.left)?;
        self.unsafe_na(check, before);
        if let Source::Field(field) = &left
            && field.row.flags.print_only
        {
            return self.fail(Kind::PrintOnly(field.text()), check.left.span());
        }
        let many = matches!(&left, Source::Field(field) if field.is_many());
        let names = matches!(&left, Source::Field(field) if field.is_names());
        let Test::Compare {
            op,
            modifier,
            right,
            op_span,
        } = &check.test
        else {
            let how = match (left.is_list(), many) {
                (true, _) => How::ListAny,
                // An address is one whether or not it has a name.
                (_, true) if !names => How::Any,
                _ => How::One,
            };
            return Some(CheckNode::new(check, left, how, Matcher::Exists));
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
        if names {
            let literals = match right {
                Right::Literal(literal) => std::slice::from_ref(literal),
                Right::List(items, _) => items.as_slice(),
                Right::Operand(_) => &[],
            };
            let texts = literals.iter().filter_map(|l| std::str::from_utf8(&l.bytes).ok());
            self.host_names.extend(texts.map(Box::from));
        }
        let around = matches!(&left, Source::Field(field) if field.row.name == "evt.around");
        if around && (*op != Operator::Eq || modifier.is_some()) {
            let kind = Kind::Operator {
                op: *op,
                field: left.name(),
                ty: left.ty().name(),
            };
            return self.fail(kind, *op_span);
        }
        let matcher = match right {
            Right::Operand(operand) => self.dynamic(&left, *op, *modifier, operand, *op_span)?,
            Right::Literal(literal) => {
                self.constants(&left, *op, *modifier, std::slice::from_ref(literal))?
            }
            Right::List(items, _) => self.constants(&left, *op, *modifier, items)?,
        };
        let matcher = match matcher {
            // The value is a distance: within, not exactly.
            Matcher::Number(_, distance) if around => Matcher::Number(Operator::Le, distance),
            other => other,
        };
        Some(CheckNode::new(check, left, how, matcher))
    }

    /// Warns of a comparison with `<NA>` of a field that may have this text; `before` fields were resolved before its left
    /// side was.
    fn unsafe_na(&mut self, check: &Check, before: usize) {
        let Some(field) = self.fields.iter().skip(before).find(|f| f.row.flags.unsafe_na) else {
            return;
        };
        let Test::Compare { op, right, .. } = &check.test else {
            return;
        };
        let equality = matches!(
            op,
            Operator::Eq | Operator::Ne | Operator::In | Operator::Intersects | Operator::PMatch
        );
        let literals = match right {
            Right::Literal(literal) => std::slice::from_ref(literal),
            Right::List(items, _) => items.as_slice(),
            Right::Operand(_) => &[],
        };
        let span = literals.iter().find(|l| l.bytes == b"<NA>").map(|l| l.span);
        if let Some(span) = span.filter(|_| equality) {
            let kind = WarningKind::UnsafeNa(field.text());
            self.warnings.push(Warning { kind, span });
        }
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
            return Some(Matcher::InSource(Box::new(right)));
        }
        Some(Matcher::Source(op, Box::new(right)))
    }
}

pub(super) fn is_event_type(field: &FieldRef) -> bool {
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
