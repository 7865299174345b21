//! What a request means: names, types, macros and values, ready to compile with.

use std::collections::HashMap;
use std::rc::Rc;

use lanner_engine::condition::{
    CheckError, Expr, MacroError, Operand, Program, Span, SyntaxError, Warning, WarningKind, compile_in,
    parse_operand, parse_with,
};
use lanner_engine::field::FieldRef;
use lanner_engine::value::FieldType;
use lanner_engine::{Code, Diagnostic, GivenFields, Input, Scope, Spoken, Vocabulary};
use serde_json::{Map, Value};

use super::problem::Problem;
use super::request::Request;

/// How many nodes a condition may have with its macros put in: macros that name macros grow exponentially.
const MAX_NODES: usize = 200_000;

/// The names a condition or an output is compiled with.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) scope: Scope,
    macros: HashMap<String, Expr>,
    vocabulary: Option<Rc<Vocabulary>>,
}

/// A condition that was compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Its tree, macros put in.
    pub(super) expr: Expr,
    pub(super) program: Program,
    /// What is not wrong, but perhaps not meant.
    pub(super) warnings: Vec<(Code, Problem)>,
}

impl Bench {
    /// # Errors
    /// When a type or a macro is wrong.
    pub(super) fn new(request: &Request) -> Result<Bench, Problem> {
        let declared: Result<Vec<_>, _> = request.types.iter().map(declared).collect();
        if request.vocabulary.is_some() && !request.macros.is_empty() {
            return Err(Problem::new(
                "macros come from rules files or from JSON, not from both",
            ));
        }
        Ok(Bench {
            scope: Scope::default().given(declared?),
            macros: macros(&request.macros)?,
            vocabulary: request.vocabulary.clone(),
        })
    }

    /// Compiles a condition with its macros put in.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn compile(&self, text: &str) -> Result<Compiled, Vec<Problem>> {
        if let Some(vocabulary) = &self.vocabulary {
            let Spoken {
                expr,
                program,
                warnings,
            } = vocabulary
                .compile(text, &self.scope)
                .map_err(|found| all_found(found, text))?;
            let warnings = warnings
                .into_iter()
                .map(|warning| (warning.code, Problem::found(warning, text)));
            return Ok(Compiled {
                expr,
                program,
                warnings: warnings.collect(),
            });
        }
        let expr = self.expr(text)?;
        match compile_in(&expr, &self.scope) {
            Ok(program) => {
                let warnings = warned(program.warnings());
                Ok(Compiled {
                    expr,
                    program,
                    warnings,
                })
            }
            Err(errors) => Err(errors.into_iter().map(Problem::from).collect()),
        }
    }

    /// Reads a condition and puts in the macros there are; the others stay.
    ///
    /// # Errors
    /// When it does not follow the grammar, or is too large with its macros.
    pub(super) fn expr(&self, text: &str) -> Result<Expr, Vec<Problem>> {
        if let Some(vocabulary) = &self.vocabulary {
            return vocabulary.resolve(text).map_err(|found| all_found(found, text));
        }
        let expr = parse(text).map_err(|problem| vec![problem])?;
        if self.macros.is_empty() {
            return Ok(expr);
        }
        put_in(&expr, &self.macros).map_err(|problem| vec![problem])
    }

    /// The values of fields.
    ///
    /// # Errors
    /// When there is no such field, or the value is none of its type.
    pub(super) fn given(&self, fields: &Map<String, Value>) -> Result<GivenFields, Problem> {
        let mut given = GivenFields::default();
        for (name, value) in fields {
            let field = self.field(name)?;
            let input = input(value).map_err(|problem| Problem {
                message: format!("field '{name}': {}", problem.message),
                ..problem
            })?;
            given
                .insert(&field, &input)
                .map_err(|error| Problem::new(error.to_string()))?;
        }
        Ok(given)
    }

    fn field(&self, name: &str) -> Result<FieldRef, Problem> {
        let (field, arg) = match parse_operand(name, 0) {
            Ok(Operand::Field(field)) => (field.name, field.arg),
            // A bracket whose text would need quotes in a condition.
            _ => match name.split_once('[') {
                Some((field, rest)) if rest.ends_with(']') => {
                    (field.to_owned(), Some(rest[..rest.len() - 1].to_owned()))
                }
                _ => (name.to_owned(), None),
            },
        };
        FieldRef::resolve_in(&self.scope, &field, arg.as_deref())
            .map_err(|error| Problem::new(error.to_string()).maybe_hint(error.hint()))
    }
}

fn all_found(found: Vec<Diagnostic>, text: &str) -> Vec<Problem> {
    let found = found.into_iter();
    found.map(|diagnostic| Problem::found(diagnostic, text)).collect()
}

/// Warnings with Falco's codes.
pub(super) fn warned(warnings: &[Warning]) -> Vec<(Code, Problem)> {
    let problem = |kind: &WarningKind| Problem::new(kind.to_string()).maybe_hint(kind.hint());
    warnings
        .iter()
        .map(|warning| (warning.kind.code(), at(problem(&warning.kind), warning.span)))
        .collect()
}

/// Reads a condition as rules files do: a thousand levels deep at most.
///
/// # Errors
/// When it does not follow the grammar.
pub(super) fn parse(text: &str) -> Result<Expr, Problem> {
    Ok(parse_with(text, 0, lanner_engine::condition::MAX_DEPTH)?)
}

fn declared((name, ty): (&String, &Value)) -> Result<(String, FieldType, bool), Problem> {
    if !matches!(parse_operand(name, 0), Ok(Operand::Field(field)) if field.name == *name) {
        return Err(Problem::new(format!("'{name}' can not be the name of a field"))
            .hint("a field is words of letters, digits and _ with dots between them, as in my.field"));
    }
    let (text, list) = match ty {
        Value::String(text) => (text.as_str(), false),
        Value::Object(object) => match (object.get("type"), object.get("list")) {
            (Some(Value::String(text)), None | Some(Value::Null)) => (text.as_str(), false),
            (Some(Value::String(text)), Some(Value::Bool(list))) => (text.as_str(), *list),
            _ => return Err(no_type(name)),
        },
        _ => return Err(no_type(name)),
    };
    match FieldType::declared(text) {
        Ok((ty, is_list)) => Ok((name.clone(), ty, list || is_list)),
        Err(error) => Err(Problem::new(format!("field '{name}': {error}")).hint(error.hint())),
    }
}

fn no_type(name: &str) -> Problem {
    Problem::new(format!("field '{name}' has no type"))
        .hint(r#"write "CHARBUF", "LIST(CHARBUF)" or {"type":"CHARBUF","list":true}"#)
}

/// Reads every macro and puts macros into each other. The spans of the n-th have the origin n, from 1.
fn macros(texts: &Map<String, Value>) -> Result<HashMap<String, Expr>, Problem> {
    let mut open: Vec<(&String, Expr)> = Vec::new();
    for (index, (name, text)) in texts.iter().enumerate() {
        let Value::String(text) = text else {
            return Err(Problem::new(format!(
                "macro '{name}' has to be a string: its condition"
            )));
        };
        let origin = u32::try_from(index + 1).unwrap_or(u32::MAX);
        open.push((
            name,
            parse_with(text, origin, lanner_engine::condition::MAX_DEPTH)?,
        ));
    }
    let mut done: HashMap<String, Expr> = HashMap::new();
    while !open.is_empty() {
        let before = open.len();
        let waits = |name: &str| texts.contains_key(name);
        let (ready, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, expr)| {
            let mut names = expr.macros().into_iter();
            names.all(|(name, _)| !waits(name) || done.contains_key(name))
        });
        for (name, expr) in ready {
            let expr = put_in(&expr, &done)?;
            done.insert(name.clone(), expr);
        }
        open = rest;
        if open.len() == before {
            let names: Vec<&str> = open.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Problem::new(format!(
                "reference loop in macro '{}'",
                names.join("', '")
            )));
        }
    }
    Ok(done)
}

/// The condition with macros put in; those that are not there stay.
fn put_in(expr: &Expr, macros: &HashMap<String, Expr>) -> Result<Expr, Problem> {
    let mut count = 0;
    expr.walk(&mut |node| {
        count += 1;
        if let Expr::Macro { name, .. } = node
            && let Some(inner) = macros.get(name)
        {
            inner.walk(&mut |_| count += 1);
        }
    });
    if count > MAX_NODES {
        let message = format!("with its macros put in, the condition has more than {MAX_NODES} nodes");
        return Err(at(Problem::new(message), expr.span()));
    }
    let mut lookup = |name: &str, span: Span| {
        let stays = || Expr::Macro {
            name: name.to_owned(),
            span,
        };
        Some(macros.get(name).cloned().unwrap_or_else(stays))
    };
    expr.resolve_macros(&mut lookup).map_err(|errors| {
        let error = errors.into_iter().next();
        let span = match &error {
            Some(MacroError::TooDeep { span, .. } | MacroError::Undefined { span, .. }) => *span,
            None => expr.span(),
        };
        at(
            Problem::new(error.map(|error| error.to_string()).unwrap_or_default()),
            span,
        )
    })
}

/// A value as it is written in JSON.
fn input(value: &Value) -> Result<Input, Problem> {
    Ok(match value {
        Value::Null => Input::Missing,
        Value::Bool(value) => Input::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => Input::Integer(number.into()),
            (_, Some(number), _) => Input::Integer(number.into()),
            (.., Some(number)) => Input::Fraction(number),
            _ => return Err(Problem::new(format!("{number} is no number that can be used"))),
        },
        Value::String(text) => Input::Text(text.clone()),
        Value::Array(items) => Input::List(items.iter().map(input).collect::<Result<_, _>>()?),
        Value::Object(object) => match (object.get("hex"), object.len()) {
            (Some(Value::String(hex)), 1) => Input::Bytes(bytes(hex)?),
            _ => {
                return Err(Problem::new("an object can not be a value")
                    .hint(r#"bytes that are not UTF-8 are {"hex":"ff00"}"#));
            }
        },
    })
}

fn bytes(hex: &str) -> Result<Vec<u8>, Problem> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    });
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| Problem::new(format!("'{hex}' is not an even number of hexadecimal digits")))
}

/// A problem at a span, whichever text it is in.
fn at(problem: Problem, span: Span) -> Problem {
    Problem {
        in_macro: usize::try_from(span.origin)
            .ok()
            .and_then(|origin| origin.checked_sub(1)),
        ..problem.at(span.start..span.end)
    }
}

impl From<SyntaxError> for Problem {
    fn from(error: SyntaxError) -> Problem {
        Problem {
            stopped: Some(error.stopped),
            ..at(Problem::new(error.message).maybe_hint(error.hint), error.span)
        }
    }
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Problem {
        at(
            Problem::new(error.kind.to_string()).maybe_hint(error.kind.hint()),
            error.span,
        )
    }
}
