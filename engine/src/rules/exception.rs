//! Exceptions of rules: reading them, adding to them, and writing them as a condition.

use super::definition::{Exception, OneOrMany, RuleDef};
use super::item::Item;
use super::mapped::{Mapped, quoted};
use super::source::{Place, Report, Scalar};
use super::yaml::{Node, Value};
use crate::condition::{Modifier, Operator};
use crate::diagnostic::{Code, ItemKind};
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
        let exception = one(report, item, node, append)?;
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
    let Some(name) = item.entry("name").and_then(|(_, n)| n.scalar()) else {
        item.report(report, Code::YamlValidate, start, "the exception has no `name`");
        return None;
    };
    let fields = one_or_many(report, &item, "fields")?;
    let comps = one_or_many(report, &item, "comps")?;
    let values = match item.entry("values") {
        None => Vec::new(),
        Some((_, n)) if n.is_null() => Vec::new(),
        Some((_, n)) => match &n.value {
            Value::Sequence(values) => values.clone(),
            _ => {
                item.report(
                    report,
                    Code::YamlValidate,
                    n.at,
                    "the `values` of an exception must be a sequence",
                );
                return None;
            }
        },
    };
    if fields.is_none() && !append {
        let message = format!("exception '{}' has no `fields`", name.text);
        item.report(report, Code::YamlValidate, name.at, message);
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
        values,
    })
}

fn one_or_many(report: &mut Report, item: &Item<'_>, key: &str) -> Option<Option<OneOrMany>> {
    match item.entry(key).map(|(_, node)| node) {
        None => Some(None),
        Some(node) if node.is_null() => Some(None),
        Some(node) => match node.scalar() {
            Some(scalar) => Some(Some(OneOrMany::One(trimmed(scalar)))),
            None => Some(Some(OneOrMany::Many(
                item.scalars(report, key)?.into_iter().map(trimmed).collect(),
            ))),
        },
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
                if exception.values.is_empty() {
                    let message = format!(
                        "exception '{}' is appended to without values",
                        exception.name.text
                    );
                    item.report(report, Code::AppendNoValues, exception.name.at, message);
                }
                existing.values.extend(exception.values);
            }
            None if exception.fields.is_none() => {
                let message = format!("exception '{}' is new and has no `fields`", exception.name.text);
                item.report(report, Code::Validate, exception.name.at, message);
                return None;
            }
            None => rule.exceptions.push(exception),
        }
    }
    Some(())
}

/// Puts the rule's condition in parentheses and adds `and not (…)` for every exception with values.
pub(crate) fn apply(
    report: &mut Report,
    rule: &RuleDef,
    item: &crate::diagnostic::ItemName,
    to: &mut Mapped,
) {
    if rule.exceptions.iter().all(|e| e.values.is_empty()) {
        return;
    }
    to.parenthesise();
    for exception in rule.exceptions.iter().filter(|e| !e.values.is_empty()) {
        let at = exception.name.at;
        match (&exception.fields, &exception.comps) {
            (Some(OneOrMany::One(field)), Some(OneOrMany::One(comp))) => {
                let mut values = Vec::new();
                for value in &exception.values {
                    match value.scalar() {
                        Some(scalar) if scalar.text.is_empty() => {}
                        Some(scalar) => values.push(scalar),
                        None => mismatch(
                            report,
                            item,
                            exception,
                            value.at,
                            "one value each, as `fields` is one field",
                        ),
                    }
                }
                if values.is_empty() {
                    continue;
                }
                to.glue(" and not (", at);
                comparison_text(to, field, comp);
                list(to, &values, at);
                to.glue(")", at);
            }
            (Some(OneOrMany::Many(fields)), Some(OneOrMany::Many(comps))) => {
                to.glue(" and not (", at);
                for (index, row) in exception.values.iter().enumerate() {
                    let columns = match &row.value {
                        Value::Sequence(columns) if columns.len() == fields.len() => columns,
                        _ => {
                            let what = format!("rows of {} values, one for each field", fields.len());
                            mismatch(report, item, exception, row.at, &what);
                            continue;
                        }
                    };
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

fn mismatch(
    report: &mut Report,
    item: &crate::diagnostic::ItemName,
    exception: &Exception,
    at: Place,
    wanted: &str,
) {
    let message = format!(
        "the values of exception '{}' must be {wanted}",
        exception.name.text
    );
    report.add(Code::Validate, at, Some(item), message);
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
        to.glue(&quoted(&value.text), value.at);
    }
    to.glue(")", at);
}

fn column_text(to: &mut Mapped, comp: &Scalar, value: &Node) {
    match &value.value {
        Value::Sequence(nodes) => {
            let values: Vec<Scalar> = nodes.iter().filter_map(Node::scalar).collect();
            list(to, &values, value.at);
        }
        Value::Scalar(text) if comparison(&comp.text) == Some(true) && !text.starts_with('(') => {
            to.glue(&format!("({text})"), value.at);
        }
        Value::Scalar(text) => to.glue(&quoted(text), value.at),
        Value::Null(_) | Value::Map(_) => to.glue("\"\"", value.at),
    }
}
