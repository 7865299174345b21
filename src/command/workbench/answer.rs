//! Answers as JSON, for programs.

use lanner_engine::condition::{
    Check, CheckErrorKind, EventTypes, Expr, FieldName, Operand, Right, Test, Transform, TransformArg,
    compile_in, event_types,
};
use lanner_engine::output::Template;
use lanner_engine::{Code, FieldValue, Rendered, Scope};
use serde_json::Value;

use super::bench::{Bench, Compiled, parse, warned};
use super::object::{Object, array, json, text};
use super::problem::{Problem, Texts, error};
use super::request::{Op, Request};
use super::tree::tree;
use super::{Outcome, texts};

/// Answers a request; `id` comes first in the answer.
pub(super) fn answer(request: &Request, id: Option<&Value>) -> (String, Outcome) {
    let object = start(id);
    let texts = texts(request);
    let (object, outcome) = match request.op {
        Op::Parse => parsed(object, request, &texts),
        Op::Compile => compiled(object, request, &texts),
        Op::Eval => match evaluate(request) {
            Ok(true) => (object.key("result", true), Outcome::Fine),
            Ok(false) => (object.key("result", false), Outcome::False),
            Err(problems) => (error(object, &problems, Some(&texts)), Outcome::Wrong),
        },
        Op::EventTypes => match types_of(request) {
            Ok(EventTypes { all, types, except }) => {
                let object = object.key("all", all).key("types", types);
                (object.key("except", except), Outcome::Fine)
            }
            Err(problems) => (error(object, &problems, Some(&texts)), Outcome::Wrong),
        },
        Op::Format => match format(request) {
            Ok((rendered, _)) => (printed(object, &rendered), Outcome::Fine),
            Err(problem) => (error(object, &[problem], Some(&texts)), Outcome::Wrong),
        },
    };
    (object.finish(), outcome)
}

/// The answer to what is no request.
pub(super) fn refusal(problem: &Problem, id: Option<&Value>) -> String {
    error(start(id), std::slice::from_ref(problem), None).finish()
}

/// The answer when nothing can be asked.
pub(super) fn refusals(problems: &[Problem]) -> String {
    error(Object::new(), problems, None).finish()
}

/// The answer about a text that is none: `parse` and `compile` have their verdict in it.
pub(super) fn no_text(problem: &Problem) -> String {
    error(
        Object::new().key("ok", false),
        std::slice::from_ref(problem),
        None,
    )
    .finish()
}

fn start(id: Option<&Value>) -> Object {
    match id {
        Some(id) => Object::new().key("id", id),
        None => Object::new(),
    }
}

fn parsed(object: Object, request: &Request, texts: &Texts<'_>) -> (Object, Outcome) {
    let lines = &texts.own;
    match parse(&request.text) {
        Ok(expr) => {
            let object = object
                .key("ok", true)
                .raw("error", "null")
                .key("canonical", expr.to_string())
                .raw("ast", &tree(&expr, lines))
                .place("end_pos", lines, request.text.len());
            (object, Outcome::Fine)
        }
        Err(problem) => {
            let stopped = problem.stopped.unwrap_or(request.text.len());
            let object = error(object.key("ok", false), &[problem], Some(texts))
                .raw("canonical", "null")
                .raw("ast", "null")
                .place("end_pos", lines, stopped);
            (object, Outcome::Wrong)
        }
    }
}

fn compiled(object: Object, request: &Request, texts: &Texts<'_>) -> (Object, Outcome) {
    let program = Bench::new(request)
        .map_err(|problem| vec![problem])
        .and_then(|bench| bench.compile(&request.text));
    match program {
        Ok(Compiled { warnings, .. }) => {
            let warnings = warnings.iter();
            let warnings = array(warnings.map(|(code, warning)| warning.warning(*code, texts)));
            let object = object.key("ok", true).raw("error", "null");
            (object.raw("warnings", &warnings), Outcome::Fine)
        }
        Err(problems) => {
            let object = error(object.key("ok", false), &problems, Some(texts));
            (object.raw("warnings", "[]"), Outcome::Wrong)
        }
    }
}

fn evaluate(request: &Request) -> Result<bool, Vec<Problem>> {
    let bench = Bench::new(request).map_err(|problem| vec![problem])?;
    let Compiled { program, .. } = bench.compile(&request.text)?;
    let given = bench.given(&request.fields).map_err(|problem| vec![problem])?;
    Ok(given.satisfy(&program))
}

/// The event types a condition can be true on. Names of fields and macros may be unknown: they restrict nothing.
pub(super) fn types_of(request: &Request) -> Result<EventTypes, Vec<Problem>> {
    let bench = Bench::new(request).map_err(|problem| vec![problem])?;
    let expr = bench.expr(&request.text)?;
    let problems = unusable(&expr, &bench.scope);
    match problems.is_empty() {
        true => Ok(event_types(&expr, &bench.scope)),
        false => Err(problems),
    }
}

/// Checks on the event's type that say nothing: with a transformer, against another field, of a type that does not exist.
fn unusable(expr: &Expr, scope: &Scope) -> Vec<Problem> {
    let mut problems = Vec::new();
    expr.walk(&mut |node| {
        let Expr::Check(check) = node else { return };
        if !reads_type(check) {
            return;
        }
        if let Err(errors) = compile_in(node, scope) {
            let about_types = errors.into_iter().filter(
                |error| !matches!(&error.kind, CheckErrorKind::Field(error) if error.is_unknown_name()),
            );
            problems.extend(about_types.map(Problem::from));
        }
    });
    problems
}

fn reads_type(check: &Check) -> bool {
    let right = match &check.test {
        Test::Compare {
            right: Right::Operand(right),
            ..
        } => is_type(right),
        _ => false,
    };
    right || is_type(&check.left)
}

fn is_type(operand: &Operand) -> bool {
    match operand {
        Operand::Field(field) | Operand::Val(field, _) => is_type_name(field),
        Operand::Transform(Transform { args, .. }) => args.iter().any(is_type_argument),
    }
}

/// Recursion is fine here: the parser allows 64 transformers within each other.
fn is_type_argument(arg: &TransformArg) -> bool {
    match arg {
        TransformArg::Field(field) => is_type_name(field),
        TransformArg::Transform(inner) => inner.args.iter().any(is_type_argument),
        TransformArg::List(items, _) => items.iter().any(is_type_argument),
        TransformArg::Literal(_) => false,
    }
}

fn is_type_name(field: &FieldName) -> bool {
    matches!(field.name.as_str(), "evt.type" | "syscall.type")
}

/// What Falco takes out of outputs.
const REMOVED: &str = "%container.info";

/// Where a byte of the output without [`REMOVED`] is in the text with it.
fn before_removal(text: &str, mut at: usize) -> usize {
    for (start, removed) in text.match_indices(REMOVED) {
        if start <= at {
            at += removed.len();
        }
    }
    at
}

/// What an output comes to, and its warnings.
pub(super) fn format(request: &Request) -> Result<(Rendered, Vec<(Code, Problem)>), Problem> {
    let bench = Bench::new(request)?;
    let text = request.text.replace(REMOVED, "");
    let template = Template::compile_in(&text, &bench.scope).map_err(|error| {
        let span = error.span();
        Problem::new(error.to_string())
            .maybe_hint(error.hint())
            .at(before_removal(&request.text, span.start)..before_removal(&request.text, span.end))
    })?;
    let given = bench.given(&request.fields)?;
    let warnings = warned(template.warnings());
    Ok((given.render(&template, &bench.scope), warnings))
}

fn printed(object: Object, rendered: &Rendered) -> Object {
    let fields = rendered
        .fields
        .iter()
        .fold(Object::new(), |fields, (name, field)| {
            fields.raw(name, &value(field))
        });
    object
        .raw("output", &text(&rendered.output))
        .key("complete", rendered.complete)
        .raw("fields", &fields.finish())
}

fn value(field: &FieldValue) -> String {
    match field {
        FieldValue::Missing => "null".into(),
        FieldValue::Bool(value) => json(value),
        FieldValue::I64(value) => json(value),
        FieldValue::U64(value) => json(value),
        FieldValue::F64(value) => json(value),
        FieldValue::Text(value) => text(value),
        FieldValue::List(items) => array(items.iter().map(value)),
    }
}
