//! Exceptions of rules: reading them, adding to them, and writing them as a condition.

use super::definition::{Exception, OneOrMany, RuleDef};
use super::item::Item;
use super::mapped::{Mapped, quoted};
use super::source::{Place, Report, Scalar};
use super::yaml::{Node, Value};
use crate::condition::{Checker, Modifier, Operator, parse_operand};
use crate::diagnostic::{Code, ItemKind, ItemName, Part};
use crate::scope::Scope;
use std::rc::Rc;

/// Reads `exceptions`. In an append the fields may be left out, when only values are added.
pub(crate) fn read(report: &mut Report, item: &Item<'_>, append: bool) -> Option<Vec<Exception>> {
    let Some((at, node)) = item.entry("exceptions") else {
        return Some(Vec::new());
    };
    if node.is_null() {
        return Some(Vec::new());
    }
    let Value::Sequence(nodes) = &node.value else {
        item.report(report, Code::YamlValidate, at, "`exceptions` must be a sequence")
            .hint = Some("each exception begins with `- name:`".into());
        return None;
    };
    let mut all: Vec<Exception> = Vec::new();
    for node in nodes {
        let before = report.mark();
        let exception = one(report, item, node, append);
        report.about(before, &part_of(node), Some(node.at));
        let exception = exception?;
        if let Some(first) = all.iter().find(|e| e.name.text == exception.name.text) {
            let note = report.note(first.name.at, "the first is here");
            let message = format!("two exceptions are called '{}'", exception.name.text);
            item.report(report, Code::ExceptionNameNotUnique, exception.name.at, message)
                .notes
                .push(note);
        }
        all.push(exception);
    }
    Some(all)
}

/// What diagnostics about an exception are about.
fn part_of(node: &Node) -> Part {
    let Value::Map(entries) = &node.value else {
        return Part::Item;
    };
    let name = entries
        .iter()
        .find(|(key, _)| matches!(&key.value, Value::Scalar(text) if text == "name"));
    let name = name.and_then(|(_, value)| value.scalar());
    Part::Exception(name.map(|name| name.text).unwrap_or_default())
}

fn one(report: &mut Report, rule: &Item<'_>, node: &Node, append: bool) -> Option<Exception> {
    let Value::Map(entries) = &node.value else {
        rule.report(report, Code::YamlValidate, node.at, "an exception must be a map");
        return None;
    };
    let start = Place {
        end: node.at.start + 1,
        ..node.at
    };
    let mut item = Item::new(entries, start, ItemKind::Rule);
    item.name.clone_from(&rule.name);
    item.warn_unknown_keys_of(report, "exception", &["name", "fields", "comps", "values"]);
    let name = match item.entry("name").and_then(|(_, n)| n.scalar()) {
        Some(name) if !name.text.is_empty() => name,
        _ => {
            let at = item.at("name");
            item.report(report, Code::YamlValidate, at, "the exception has no `name`");
            return None;
        }
    };
    let fields = one_or_many(report, &item, "fields")?;
    let comps = one_or_many(report, &item, "comps")?;
    let values = values(report, &item, &name)?;
    if values.is_none() && append {
        let message = format!("exception '{}' is appended to without `values`", name.text);
        item.report(report, Code::AppendNoValues, name.at, message);
    }
    if fields.is_none() && !append {
        let message = format!("exception '{}' has no `fields`", name.text);
        let (code, at) = match item.entry("fields") {
            // Where Falco draws the line between shape and meaning.
            Some((at, _)) => (Code::Validate, at),
            None => (Code::YamlValidate, name.at),
        };
        item.report(report, code, at, message).hint =
            Some("write `fields: proc.name`, or `fields: [proc.name, fd.name]` for several".into());
        return None;
    }
    let comps = match &fields {
        Some(fields) => Some(check(report, &item, &name, fields, comps)?),
        None => comps,
    };
    Some(Exception {
        name,
        fields,
        comps,
        values: values.unwrap_or_default(),
    })
}

/// The values, each a text or a row of texts and lists of texts; the inner `None` when the key is not there.
fn values(report: &mut Report, item: &Item<'_>, name: &Scalar) -> Option<Option<Vec<Node>>> {
    let Some((at, node)) = item.entry("values") else {
        return Some(None);
    };
    let Value::Sequence(values) = &node.value else {
        let message = "the `values` of an exception must be a sequence";
        let at = if node.is_null() { at } else { node.at };
        item.report(report, Code::YamlValidate, at, message).hint =
            Some("write `values: [a, b]`, with several fields `values: [[a, /b], [c, /d]]`".into());
        return None;
    };
    for value in values {
        let inner = match &value.value {
            Value::Sequence(columns) => columns.as_slice(),
            _ => std::slice::from_ref(value),
        };
        for node in inner {
            let scalars = match &node.value {
                Value::Sequence(nodes) => nodes.as_slice(),
                _ => std::slice::from_ref(node),
            };
            for scalar in scalars {
                filled(report, item, name, scalar)?;
            }
        }
    }
    Some(Some(values.clone()))
}

/// A value must be text.
fn filled(report: &mut Report, item: &Item<'_>, name: &Scalar, node: &Node) -> Option<()> {
    let hint = match &node.value {
        Value::Scalar(text) if !text.is_empty() => return Some(()),
        Value::Scalar(_) | Value::Null(_) => "to compare with the empty text write '\"\"'",
        Value::Sequence(_) | Value::Map(_) => {
            "a value is a text, a row of texts, or a row that holds lists of texts"
        }
    };
    let message = match &node.value {
        Value::Scalar(_) | Value::Null(_) => format!("a value of exception '{}' is empty", name.text),
        _ => format!(
            "a value of exception '{}' must be text, not {}",
            name.text,
            node.kind()
        ),
    };
    item.report(report, Code::YamlValidate, node.at, message).hint = Some(hint.into());
    None
}

fn one_or_many(report: &mut Report, item: &Item<'_>, key: &str) -> Option<Option<OneOrMany>> {
    let Some((at, node)) = item.entry(key).filter(|(_, node)| !node.is_null()) else {
        return Some(None);
    };
    match node.scalar() {
        Some(scalar) if scalar.text.trim().is_empty() => {
            let message = format!("`{key}` is empty");
            item.report(report, Code::YamlValidate, at, message);
            None
        }
        Some(scalar) => Some(Some(OneOrMany::One(trimmed(scalar)))),
        None => {
            let all: Vec<Scalar> = item.scalars(report, key)?.into_iter().map(trimmed).collect();
            if let Some(empty) = all.iter().find(|scalar| scalar.text.is_empty()) {
                let message = format!("`{key}` holds an empty text");
                item.report(report, Code::YamlValidate, empty.at, message);
                return None;
            }
            // As if it were not there.
            Some((!all.is_empty()).then_some(OneOrMany::Many(all)))
        }
    }
}

fn trimmed(scalar: Scalar) -> Scalar {
    Scalar {
        text: scalar.text.trim().to_owned(),
        ..scalar
    }
}

/// An operator with an optional modifier: whether there is such a thing, and whether it takes a list.
fn comparison(text: &str) -> Option<bool> {
    match text.split_once(char::is_whitespace) {
        Some((op, modifier)) => {
            let op = Operator::parse(op)?;
            Modifier::from_word(modifier.trim())?;
            op.takes_modifier().then_some(true)
        }
        None => Operator::parse(text).map(Operator::takes_list),
    }
}

/// Fills the comparisons that are not given, and checks those that are.
fn check(
    report: &mut Report,
    item: &Item<'_>,
    name: &Scalar,
    fields: &OneOrMany,
    comps: Option<OneOrMany>,
) -> Option<OneOrMany> {
    let default = |text: &str| Scalar {
        text: text.into(),
        at: name.at,
    };
    let (comps, hint) = match (fields, comps) {
        (OneOrMany::One(_), None) => (OneOrMany::One(default("in")), ""),
        (OneOrMany::Many(fields), None) => {
            (OneOrMany::Many(fields.iter().map(|_| default("=")).collect()), "")
        }
        (OneOrMany::One(_), Some(OneOrMany::One(comp))) => (
            OneOrMany::One(comp),
            "with one field: in, pmatch, intersects, or an operator with oneof, anyof or allof",
        ),
        (OneOrMany::Many(fields), Some(OneOrMany::Many(comps))) if fields.len() == comps.len() => (
            OneOrMany::Many(comps),
            "any operator of conditions, such as =, in or startswith",
        ),
        _ => {
            let message = format!(
                "the `comps` of exception '{}' must be as many as its `fields`",
                name.text
            );
            item.report(report, Code::Validate, item.at("comps"), message);
            return None;
        }
    };
    let wrong = match &comps {
        OneOrMany::One(comp) => (comparison(&comp.text) != Some(true)).then_some(comp),
        OneOrMany::Many(comps) => comps.iter().find(|comp| comparison(&comp.text).is_none()),
    };
    if let Some(wrong) = wrong {
        let message = format!(
            "'{}' is not a comparison exception '{}' can use",
            wrong.text, name.text
        );
        item.report(report, Code::Validate, wrong.at, message).hint = Some(hint.into());
        return None;
    }
    Some(comps)
}

/// Adds the exceptions of an append to those of the rule.
pub(crate) fn append(
    report: &mut Report,
    item: &Item<'_>,
    rule: &mut RuleDef,
    more: Vec<Exception>,
) -> Option<()> {
    for exception in more {
        let before = report.mark();
        let (part, at) = (Part::Exception(exception.name.text.clone()), exception.name.at);
        let appended = append_one(report, item, rule, exception);
        report.about(before, &part, Some(at));
        appended?;
    }
    Some(())
}

fn append_one(report: &mut Report, item: &Item<'_>, rule: &mut RuleDef, exception: Exception) -> Option<()> {
    match rule
        .exceptions
        .iter_mut()
        .find(|e| e.name.text == exception.name.text)
    {
        Some(existing) => {
            if exception.fields.is_some() || exception.comps.is_some() {
                let message = format!(
                    "only `values` can be appended to exception '{}'",
                    exception.name.text
                );
                item.report(report, Code::Validate, exception.name.at, message)
                    .hint = Some("remove its `fields` and `comps` here".into());
                return None;
            }
            existing.values.extend(exception.values);
        }
        None if exception.fields.is_none() => {
            let message = format!("exception '{}' is new and has no `fields`", exception.name.text);
            item.report(report, Code::Validate, exception.name.at, message);
            return None;
        }
        None if exception.values.is_empty() => {
            let message = format!("exception '{}' is new and has no `values`", exception.name.text);
            item.report(report, Code::Validate, exception.name.at, message)
                .hint = Some("a rule has an exception of another name, or this one needs `values`".into());
            return None;
        }
        None => rule.exceptions.push(exception),
    }
    Some(())
}

/// Puts the rule's condition in parentheses and adds `and not (…)` for every exception with values.
pub(crate) fn apply(report: &mut Report, rule: &RuleDef, item: &ItemName, to: &mut Mapped) {
    if rule.exceptions.iter().all(|e| e.values.is_empty()) {
        return;
    }
    to.parenthesise();
    for exception in rule.exceptions.iter().filter(|e| !e.values.is_empty()) {
        let at = exception.name.at;
        match (&exception.fields, &exception.comps) {
            (Some(OneOrMany::One(field)), Some(OneOrMany::One(comp))) => {
                // All rows are one slip.
                if let Some(row) = exception.values.iter().find(|value| value.scalar().is_none()) {
                    let what = "one value each, as `fields` is one field";
                    let hint = "write `fields: [FIELD]` to give rows of values";
                    mismatch(report, item, exception, row.at, what, hint);
                    continue;
                }
                let values: Vec<Scalar> = exception.values.iter().filter_map(Node::scalar).collect();
                to.glue(" and not (", at);
                comparison_text(to, field, comp);
                list(to, &values, at);
                to.glue(")", at);
            }
            (Some(OneOrMany::Many(fields)), Some(OneOrMany::Many(comps))) => {
                let Some(rows) = rows(report, item, exception, fields.len()) else {
                    continue;
                };
                to.glue(" and not (", at);
                for (index, (row, columns)) in rows.into_iter().enumerate() {
                    to.glue(if index == 0 { "(" } else { " or (" }, row.at);
                    for (column, ((field, comp), value)) in fields.iter().zip(comps).zip(columns).enumerate()
                    {
                        if column > 0 {
                            to.glue(" and ", row.at);
                        }
                        comparison_text(to, field, comp);
                        column_text(to, comp, value);
                    }
                    to.glue(")", row.at);
                }
                to.glue(")", at);
            }
            _ => {}
        }
    }
}

/// The columns of every row of values; `None` when some are none or have another number of columns. Values that are all
/// written without rows are one slip, each row of another length is one.
fn rows<'e>(
    report: &mut Report,
    item: &ItemName,
    exception: &'e Exception,
    columns: usize,
) -> Option<Vec<(&'e Node, &'e [Node])>> {
    let what = format!("rows of {columns} values, one for each field");
    let hint = "a row is a sequence of its own, as in `values: [[a, /b], [c, /d]]`";
    let mut rows = Vec::with_capacity(exception.values.len());
    let mut told_of_rows = false;
    for row in &exception.values {
        match &row.value {
            Value::Sequence(values) if values.len() == columns => rows.push((row, values.as_slice())),
            Value::Sequence(_) => mismatch(report, item, exception, row.at, &what, hint),
            _ if std::mem::replace(&mut told_of_rows, true) => {}
            _ => mismatch(report, item, exception, row.at, &what, hint),
        }
    }
    (rows.len() == exception.values.len()).then_some(rows)
}

fn mismatch(
    report: &mut Report,
    item: &ItemName,
    exception: &Exception,
    at: Place,
    wanted: &str,
    hint: &str,
) {
    let message = format!(
        "the values of exception '{}' must be {wanted}",
        exception.name.text
    );
    let before = report.mark();
    report.add(Code::Validate, at, Some(item), message).hint = Some(hint.into());
    let part = Part::Exception(exception.name.text.clone());
    report.about(before, &part, Some(exception.name.at));
}

fn comparison_text(to: &mut Mapped, field: &Scalar, comp: &Scalar) {
    to.scalar(Rc::new(field.clone()));
    to.glue(" ", field.at);
    to.glue(&comp.text, comp.at);
    to.glue(" ", comp.at);
}

fn list(to: &mut Mapped, values: &[Scalar], at: Place) {
    to.glue("(", at);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            to.glue(", ", value.at);
        }
        value_text(to, value);
    }
    to.glue(")", at);
}

/// A value as it stands, or in quotes when it holds a blank.
fn value_text(to: &mut Mapped, value: &Scalar) {
    let text = quoted(&value.text);
    if text == value.text {
        to.scalar(Rc::new(value.clone()));
    } else {
        to.glue(&text, value.at);
    }
}

fn column_text(to: &mut Mapped, comp: &Scalar, value: &Node) {
    if let Value::Sequence(nodes) = &value.value {
        let values: Vec<Scalar> = nodes.iter().filter_map(Node::scalar).collect();
        list(to, &values, value.at);
        return;
    }
    let Some(scalar) = value.scalar() else { return };
    // What stands in parentheses is a list that was written as one text.
    let is_list = scalar.text.starts_with('(');
    match comparison(&comp.text) == Some(true) {
        true if is_list => to.scalar(Rc::new(scalar)),
        true => {
            to.glue("(", value.at);
            to.scalar(Rc::new(scalar));
            to.glue(")", value.at);
        }
        false => value_text(to, &scalar),
    }
}

/// Finds fields of the exceptions that do not exist, which is an error even of an exception without values.
pub(crate) fn check_fields(report: &mut Report, rule: &RuleDef, item: &ItemName, scope: &Scope) {
    for exception in &rule.exceptions {
        let before = report.mark();
        let fields = match &exception.fields {
            Some(OneOrMany::One(field)) => std::slice::from_ref(field),
            Some(OneOrMany::Many(fields)) => fields.as_slice(),
            None => &[],
        };
        for field in fields {
            let (span, message, hint) = match parse_operand(&field.text, 0) {
                Err(error) => (error.span, error.message, error.hint),
                Ok(operand) => {
                    let mut checker = Checker::new(scope);
                    checker.source(&operand);
                    match checker.errors.into_iter().next() {
                        Some(error) => (error.span, error.to_string(), error.kind.hint()),
                        None => continue,
                    }
                }
            };
            let place = report.inside(field, span.start..span.end);
            let message = format!("exception '{}': {message}", exception.name.text);
            report.add(Code::Validate, place, Some(item), message).hint = hint;
        }
        let part = Part::Exception(exception.name.text.clone());
        report.about(before, &part, Some(exception.name.at));
    }
}
