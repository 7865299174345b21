//! The tree of a condition as JSON.
//!
//! Every node is an object with one key that says what it is, and `pos`. Written with a stack of its own: a condition may
//! be a thousand levels deep.

use lanner_engine::condition::{
    Check, Expr, FieldName, Literal, Operand, Right, Span, Test, Transform, TransformArg,
};

use super::object::{Object, array, bytes, json, pos, text};
use super::place::Lines;

/// The tree as JSON.
pub(super) fn tree(expr: &Expr, lines: &Lines<'_>) -> String {
    enum Step<'e> {
        Node(&'e Expr),
        Text(&'static str),
        Close(&'static str, Span),
    }
    let mut out = String::new();
    let mut steps = vec![Step::Node(expr)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Text(text) => out.push_str(text),
            Step::Close(bracket, span) => {
                out.push_str(bracket);
                out.push_str(r#","pos":"#);
                out.push_str(&pos(lines, span.start..span.end));
                out.push('}');
            }
            Step::Node(node @ (Expr::And(children, span) | Expr::Or(children, span))) => {
                out.push_str(match node {
                    Expr::And(..) => r#"{"and":["#,
                    _ => r#"{"or":["#,
                });
                steps.push(Step::Close("]", *span));
                for (index, child) in children.iter().enumerate().rev() {
                    steps.push(Step::Node(child));
                    if index > 0 {
                        steps.push(Step::Text(","));
                    }
                }
            }
            Step::Node(Expr::Not(child, span)) => {
                out.push_str(r#"{"not":"#);
                steps.push(Step::Close("", *span));
                steps.push(Step::Node(child));
            }
            Step::Node(Expr::Macro { name, span }) => {
                out.push_str(&node("macro", &text(name), *span, lines));
            }
            Step::Node(Expr::Check(check)) => out.push_str(&leaf(check, lines)),
        }
    }
    out
}

fn node(kind: &str, value: &str, span: Span, lines: &Lines<'_>) -> String {
    Object::new()
        .raw(kind, value)
        .pos(lines, span.start..span.end)
        .finish()
}

fn leaf(check: &Check, lines: &Lines<'_>) -> String {
    let object = Object::new().raw("left", &operand(&check.left, lines));
    let object = match &check.test {
        Test::Exists => object
            .key("op", "exists")
            .raw("modifier", "null")
            .raw("right", "null"),
        Test::Compare {
            op, modifier, right, ..
        } => object
            .key("op", op.word())
            .raw("modifier", &json(modifier.map(|modifier| modifier.word())))
            .raw("right", &self::right(right, lines)),
    };
    node("check", &object.finish(), check.span, lines)
}

fn right(right: &Right, lines: &Lines<'_>) -> String {
    match right {
        Right::Literal(constant) => literal(constant, lines),
        Right::List(items, span) => {
            let items = array(items.iter().map(|item| literal(item, lines)));
            node("list", &items, *span, lines)
        }
        Right::Operand(value) => operand(value, lines),
    }
}

fn literal(literal: &Literal, lines: &Lines<'_>) -> String {
    Object::new()
        .raw("value", &bytes(&literal.bytes))
        .key("quoted", literal.quoted)
        .pos(lines, literal.span.start..literal.span.end)
        .finish()
}

fn operand(operand: &Operand, lines: &Lines<'_>) -> String {
    match operand {
        Operand::Field(name) => field(name, lines),
        Operand::Val(name, span) => node("val", &field(name, lines), *span, lines),
        Operand::Transform(transform) => transformer(transform, lines),
    }
}

fn field(field: &FieldName, lines: &Lines<'_>) -> String {
    Object::new()
        .key("field", &field.name)
        .key("arg", &field.arg)
        .pos(lines, field.span.start..field.span.end)
        .finish()
}

fn transformer(transform: &Transform, lines: &Lines<'_>) -> String {
    Object::new()
        .key("transformer", transform.name.word())
        .raw("args", &arguments(&transform.args, lines))
        .key("selector", &transform.selector)
        .pos(lines, transform.span.start..transform.span.end)
        .finish()
}

/// Recursion is fine here: the parser allows 64 transformers within each other.
fn arguments(args: &[TransformArg], lines: &Lines<'_>) -> String {
    array(args.iter().map(|arg| match arg {
        TransformArg::Field(name) => field(name, lines),
        TransformArg::Transform(inner) => transformer(inner, lines),
        TransformArg::Literal(constant) => literal(constant, lines),
        TransformArg::List(items, span) => node("list", &arguments(items, lines), *span, lines),
    }))
}
