//! Answers in words, for people.

use std::fmt::Write as _;

use lanner_engine::condition::{Check, EventTypes, Expr, Operand, Right, Test, compile_in, event_types};
use lanner_engine::{Code, FieldValue, GivenFields};
use lanner_schema::view::Given;

use super::answer::{format, types_of};
use super::bench::{Bench, Compiled, parse};
use super::problem::{Problem, Texts};
use super::request::{Op, Request};
use super::{Outcome, Spoken, texts};

/// The deepest indentation, in levels: what is deeper is not moved further.
const DEEPEST: usize = 40;
/// Falco warns of conditions on more event types than this.
const MANY_TYPES: usize = 100;

/// Explains a request.
pub(super) fn explain(request: &Request) -> Spoken {
    let texts = texts(request);
    let said = match request.op {
        Op::Parse => parsed(request).map(|text| (text, Outcome::Fine)),
        Op::Compile => compiled(request, &texts).map(|text| (text, Outcome::Fine)),
        Op::Eval => evaluated(request, &texts),
        Op::EventTypes => types_of(request).map(|types| (sentence(&types) + "\n", Outcome::Fine)),
        Op::Format => formatted(request, &texts).map(|text| (text, Outcome::Fine)),
    };
    match said {
        Ok((text, outcome)) => Spoken {
            out: text,
            err: String::new(),
            outcome,
        },
        Err(problems) => Spoken {
            out: String::new(),
            err: problems
                .iter()
                .map(|problem| problem.explain("error", &texts))
                .collect(),
            outcome: Outcome::Wrong,
        },
    }
}

fn parsed(request: &Request) -> Result<String, Vec<Problem>> {
    let expr = parse(&request.text).map_err(|problem| vec![problem])?;
    let mut out = format!("{expr}\n\n");
    for line in lines(&expr) {
        let _ = writeln!(out, "{}{}", line.indent(), line.text());
    }
    Ok(out)
}

fn compiled(request: &Request, texts: &Texts<'_>) -> Result<String, Vec<Problem>> {
    let bench = Bench::new(request).map_err(|problem| vec![problem])?;
    let Compiled {
        expr,
        program,
        warnings,
    } = bench.compile(&request.text)?;
    let mut out = format!("The condition is right.\n\n{expr}\n\n");
    let mut fields: Vec<(String, String)> = program
        .fields()
        .iter()
        .map(|field| {
            let list = if field.list { "list of " } else { "" };
            (field.text(), format!("{list}{}", field.ty.name()))
        })
        .collect();
    fields.sort();
    fields.dedup();
    if !fields.is_empty() {
        out.push_str("Fields:\n");
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, ty) in &fields {
            let _ = writeln!(out, "  {name:width$}  {ty}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}", sentence(&event_types(&expr, &bench.scope)));
    if program.event_type_count() > MANY_TYPES {
        out.push_str(
            "A rule with it gets LOAD_NO_EVTTYPE: name the event types it is about (evt.type) first.\n",
        );
    }
    out.push_str(&warned(&warnings, texts));
    Ok(out)
}

fn warned(warnings: &[(Code, Problem)], texts: &Texts<'_>) -> String {
    let said = warnings
        .iter()
        .map(|(code, warning)| format!("\n{}", warning.explain(&format!("warning[{code}]"), texts)));
    said.collect()
}

/// The event types in a sentence.
fn sentence(types: &EventTypes) -> String {
    match (types.all, types.types.as_slice(), types.except.as_slice()) {
        (true, _, []) => "It can be true on events of every type.".into(),
        (true, _, except) => format!(
            "It can be true on events of every type but {}: {}.",
            except.len(),
            except.join(", ")
        ),
        (false, [], _) => "It can be true on no event at all.".into(),
        (false, [one], _) => format!("It can be true on one type of events: {one}."),
        (false, types, _) => format!(
            "It can be true on {} types of events: {}.",
            types.len(),
            types.join(", ")
        ),
    }
}

fn evaluated(request: &Request, texts: &Texts<'_>) -> Result<(String, Outcome), Vec<Problem>> {
    let bench = Bench::new(request).map_err(|problem| vec![problem])?;
    let Compiled {
        expr,
        program,
        warnings,
    } = bench.compile(&request.text)?;
    let given = bench.given(&request.fields).map_err(|problem| vec![problem])?;
    let result = given.satisfy(&program);
    let mut lines = lines(&expr);
    judge(&mut lines, &bench, &given);
    let width = lines
        .iter()
        .filter(|line| matches!(line.node, Expr::Check(_)))
        .map(|line| line.indent().len() + line.text().chars().count())
        .max()
        .unwrap_or(0)
        .min(60);
    let mut out = format!("{result}\n\n");
    for line in &lines {
        let truth = if line.truth { "true" } else { "false" };
        let text = line.indent() + &line.text();
        let row = match line.node {
            Expr::Check(check) => format!("{truth:<5}  {text:width$}  {}", seen(check, &bench, &given)),
            _ => format!("{truth:<5}  {text}"),
        };
        let _ = writeln!(out, "{}", row.trim_end());
    }
    out.push_str(&warned(&warnings, texts));
    Ok((out, if result { Outcome::Fine } else { Outcome::False }))
}

/// What a check saw.
fn seen(check: &Check, bench: &Bench, given: &GivenFields) -> String {
    let is = |operand: &Operand| {
        let values = given.see(operand, &bench.scope);
        let name = match operand {
            Operand::Val(field, _) => field.to_string(),
            other => other.to_string(),
        };
        match values.as_slice() {
            [] => format!("{name} is missing"),
            [one] => format!("{name} is {}", shown(one)),
            many => {
                let many: Vec<String> = many.iter().map(shown).collect();
                format!("{name} is ({})", many.join(", "))
            }
        }
    };
    match &check.test {
        Test::Compare {
            right: Right::Operand(right),
            ..
        } => format!("{}, {}", is(&check.left), is(right)),
        _ => is(&check.left),
    }
}

fn shown(value: &Given) -> String {
    match value {
        Given::Bool(value) => value.to_string(),
        Given::I64(value) => value.to_string(),
        Given::U64(value) => value.to_string(),
        Given::F64(value) => value.to_string(),
        Given::Ip(value) => value.to_string(),
        Given::Bytes(bytes) => quoted(bytes),
    }
}

/// Text in quotes; bytes that are no characters as a condition would write them.
fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c.is_ascii_control() => {
                    let _ = write!(out, "\\x{:02x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn formatted(request: &Request, texts: &Texts<'_>) -> Result<String, Vec<Problem>> {
    let (rendered, warnings) = format(request).map_err(|problem| vec![problem])?;
    let mut out = format!("{}\n", rendered.output);
    if let Some(field) = &rendered.stopped_at {
        let _ = writeln!(
            out,
            "\nThe output ends before {field}, which is missing. A rule prints <NA> for it: so does an output here that \
             begins with '*'."
        );
    }
    let missing: Vec<&str> = rendered
        .fields
        .iter()
        .filter(|(_, value)| *value == FieldValue::Missing)
        .map(|(name, _)| &**name)
        .collect();
    if !missing.is_empty() {
        let _ = writeln!(out, "\nMissing: {}", missing.join(", "));
    }
    out.push_str(&warned(&warnings, texts));
    Ok(out)
}

/// A node of a condition, as a line.
struct Line<'e> {
    node: &'e Expr,
    depth: usize,
    /// Where its children are among the lines.
    children: Vec<usize>,
    truth: bool,
}

impl Line<'_> {
    fn indent(&self) -> String {
        "  ".repeat(self.depth.min(DEEPEST))
    }

    fn text(&self) -> String {
        match self.node {
            Expr::And(..) => "and".into(),
            Expr::Or(..) => "or".into(),
            Expr::Not(..) => "not".into(),
            Expr::Macro { name, .. } => format!("{name} (macro)"),
            Expr::Check(check) => check.to_string(),
        }
    }
}

/// Every node, parents first. With a stack of its own: a condition may be a thousand levels deep.
fn lines(expr: &Expr) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut stack = vec![(expr, 0, None)];
    while let Some((node, depth, parent)) = stack.pop() {
        let index = lines.len();
        if let Some(parent) = parent.and_then(|parent: usize| lines.get_mut(parent)) {
            parent.children.push(index);
        }
        lines.push(Line {
            node,
            depth,
            children: Vec::new(),
            truth: false,
        });
        match node {
            Expr::And(children, _) | Expr::Or(children, _) => {
                let below = children.iter().rev();
                stack.extend(below.map(|child| (child, depth + 1, Some(index))));
            }
            Expr::Not(child, _) => stack.push((child, depth + 1, Some(index))),
            Expr::Macro { .. } | Expr::Check(_) => {}
        }
    }
    lines
}

/// Finds out what each node comes to: the checks one by one, what is above them from what is below.
fn judge(lines: &mut [Line<'_>], bench: &Bench, given: &GivenFields) {
    for index in (0..lines.len()).rev() {
        let line = &lines[index];
        let mut below = line.children.iter().map(|child| lines[*child].truth);
        let truth = match line.node {
            Expr::And(..) => below.all(|truth| truth),
            Expr::Or(..) => below.any(|truth| truth),
            Expr::Not(..) => !below.next().unwrap_or(false),
            Expr::Macro { .. } => false,
            Expr::Check(_) => {
                compile_in(line.node, &bench.scope).is_ok_and(|program| given.satisfy(&program))
            }
        };
        lines[index].truth = truth;
    }
}
