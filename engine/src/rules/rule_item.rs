//! Reading a rule: a definition, an append, an override, or a bare `enabled`.

use super::definition::{Definitions, RuleDef};
use super::exception;
use super::item::{Change, Item};
use super::read::{no_target, replaced};
use super::source::{Report, Scalar};
use super::yaml::Node;
use crate::diagnostic::Code;
use crate::source::SYSCALL;
use crate::suggest::nearest;
use lanner_schema::alert::Priority;

/// Reads one rule item; `None` after an error.
pub(crate) fn rule(
    report: &mut Report,
    definitions: &mut Definitions,
    item: &Item<'_>,
    name: &Scalar,
) -> Option<()> {
    item.warn_unknown_keys(report);
    let changes = item.changes(report)?;
    let capture = capture(report, item).unwrap_or_default();
    if !changes.keys.is_empty() {
        return overridden(report, definitions, item, name, &changes.keys, capture);
    }
    if changes.append {
        return appended(report, definitions, item, name);
    }
    let defines = ["condition", "output", "desc", "priority"];
    if item.has("enabled") && !defines.iter().any(|key| item.has(key)) {
        return toggled(report, definitions, item, name);
    }
    // Every missing key is worth a line, so nothing returns before all are read.
    let condition = item.text(report, "condition");
    let output = item.text(report, "output").map(trimmed);
    let description = item.text(report, "desc");
    let priority = priority(report, item);
    let enabled = item.boolean(report, "enabled", true);
    let warn_event_types = item.boolean(report, "warn_evttypes", true);
    let skip_if_unknown = item.boolean(report, "skip-if-unknown-filter", false);
    let tags = tags(report, item);
    let exceptions = exception::read(report, item, false);
    let source = source(report, item);
    // After an error nothing of the files is loaded. What is in the place of a wrong value lets the others be checked.
    let rule = RuleDef {
        name: name.clone(),
        source: source?,
        condition: vec![condition?],
        output: output.into_iter().collect(),
        description: description.map_or_else(String::new, |text| text.text.trim().to_owned()),
        priority: priority.unwrap_or(Priority::Debug),
        enabled: enabled.unwrap_or(true),
        warn_event_types: warn_event_types.unwrap_or(true),
        skip_if_unknown: skip_if_unknown.unwrap_or(false),
        capture: capture.0,
        capture_duration: capture.1,
        tags: tags.unwrap_or_default(),
        exceptions: exceptions?,
    };
    if let Some(existing) = definitions.rules.get(&name.text)
        && source_name(existing.source.as_ref()) != source_name(rule.source.as_ref())
    {
        let note = report.note(existing.name.at, "it is defined here before");
        let message = format!(
            "the rule is of source `{}` and can not be redefined with source `{}`",
            source_name(existing.source.as_ref()),
            source_name(rule.source.as_ref())
        );
        item.report(report, Code::Validate, item.at("source"), message)
            .notes
            .push(note);
        return None;
    }
    if let Some(existing) = definitions.rules.get(&name.text) {
        replaced(report, item, existing.name.at);
    }
    definitions.rules.put(&name.text, rule);
    Some(())
}

/// The source a rule has: the first one when it names none.
pub(crate) fn source_name(source: Option<&Scalar>) -> &str {
    source.map_or(SYSCALL.name(), |s| s.text.as_str())
}

fn trimmed(scalar: Scalar) -> Scalar {
    Scalar {
        text: scalar.text.trim().to_owned(),
        ..scalar
    }
}

fn source(report: &mut Report, item: &Item<'_>) -> Option<Option<Scalar>> {
    match item.entry("source") {
        None => Some(None),
        Some((_, node)) if node.is_null() => Some(None),
        Some(_) => item.text(report, "source").map(Some),
    }
}

fn priority(report: &mut Report, item: &Item<'_>) -> Option<Priority> {
    let text = item.text(report, "priority")?;
    let priority = Priority::parse(text.text.trim());
    if priority.is_none() {
        let words = Priority::ALL.map(Priority::word);
        let meant = nearest(&text.text, words);
        let message = format!("'{}' is not a priority", text.text);
        item.report(report, Code::YamlValidate, text.at, message).hint = Some(match meant {
            Some(meant) => format!("did you mean {}?", meant.to_uppercase()),
            None => format!("priorities are {}", words.join(", ").to_uppercase()),
        });
    }
    priority
}

fn tags(report: &mut Report, item: &Item<'_>) -> Option<Vec<String>> {
    match item.entry("tags") {
        None => Some(Vec::new()),
        Some((_, node)) if node.is_null() => Some(Vec::new()),
        Some(_) => {
            let tags = item.scalars(report, "tags")?;
            Some(tags.into_iter().map(|tag| tag.text).collect())
        }
    }
}

/// Falco's keys for capture files, `capture` and `capture_duration`: read so that mistakes are found, but Lanner writes no
/// capture files.
fn capture(report: &mut Report, item: &Item<'_>) -> Option<(bool, u64)> {
    let capture = item.boolean(report, "capture", false)?;
    if capture {
        let message = "`capture` has no effect: Lanner writes no capture files";
        item.report(report, Code::Extension, item.at("capture"), message);
    }
    if item.has("capture_duration") {
        let text = item.text(report, "capture_duration")?;
        let Ok(duration) = text.text.trim().parse::<u32>() else {
            let message = "`capture_duration` must be a number of milliseconds";
            item.report(report, Code::YamlValidate, text.at, message).hint = Some(format!(
                "a whole number up to {}; 0 is what the configuration says",
                u32::MAX
            ));
            return None;
        };
        return Some((capture, duration.into()));
    }
    Some((capture, 0))
}

/// A rule that an item changes must be there and be of the same source.
fn target<'d>(
    report: &mut Report,
    definitions: &'d mut Definitions,
    item: &Item<'_>,
    name: &Scalar,
) -> Option<&'d mut RuleDef> {
    if definitions.rules.get(&name.text).is_none() {
        no_target(report, definitions, item);
        return None;
    }
    let is_empty = |node: &Node| node.scalar().is_some_and(|s| s.text.is_empty());
    let given = match item.entry("source") {
        Some((_, node)) if is_empty(node) => None,
        _ => source(report, item)?,
    };
    let rule = definitions.rules.get_mut(&name.text)?;
    if let Some(given) = given
        && source_name(Some(&given)) != source_name(rule.source.as_ref())
    {
        let message = format!("the rule is of source `{}`", source_name(rule.source.as_ref()));
        item.report(report, Code::Validate, given.at, message).hint = Some("remove `source` here".into());
        return None;
    }
    Some(rule)
}

fn appended(
    report: &mut Report,
    definitions: &mut Definitions,
    item: &Item<'_>,
    name: &Scalar,
) -> Option<()> {
    if !item.has("condition") && !item.has("exceptions") {
        let message = "an append to a rule needs a `condition` or `exceptions`";
        item.report(report, Code::Validate, item.at, message);
        return None;
    }
    let condition = match item.has("condition") {
        true => Some(item.text(report, "condition")?),
        false => None,
    };
    let exceptions = exception::read(report, item, true)?;
    let rule = target(report, definitions, item, name)?;
    rule.condition.extend(condition);
    exception::append(report, item, rule, exceptions)
}

fn toggled(report: &mut Report, definitions: &mut Definitions, item: &Item<'_>, name: &Scalar) -> Option<()> {
    let enabled = item.boolean(report, "enabled", true)?;
    let message = "a rule with only `enabled` is deprecated";
    item.report(report, Code::DeprecatedItem, item.at("enabled"), message)
        .hint = Some("add `override: {enabled: replace}`".into());
    target(report, definitions, item, name)?.enabled = enabled;
    Some(())
}

fn overridden(
    report: &mut Report,
    definitions: &mut Definitions,
    item: &Item<'_>,
    name: &Scalar,
    changes: &[(&'static str, Change)],
    capture: (bool, u64),
) -> Option<()> {
    // What goes wrong on the way may leave it half changed: then nothing of the files is loaded.
    let rule = target(report, definitions, item, name)?;
    let mut is_right = true;
    for (key, change) in changes {
        is_right &= override_key(report, item, rule, key, *change, capture).is_some();
    }
    is_right.then_some(())
}

fn override_key(
    report: &mut Report,
    item: &Item<'_>,
    rule: &mut RuleDef,
    key: &str,
    change: Change,
    capture: (bool, u64),
) -> Option<()> {
    let append = change == Change::Append;
    match key {
        "condition" => {
            let text = item.text(report, "condition")?;
            set(&mut rule.condition, text, append);
        }
        "output" => {
            let text = trimmed(item.text(report, "output")?);
            set(&mut rule.output, text, append);
        }
        "desc" => {
            let text = item.text(report, "desc")?.text;
            let before = std::mem::take(&mut rule.description);
            rule.description = match append {
                true => format!("{before} {}", text.trim()),
                false => text.trim().to_owned(),
            };
        }
        "tags" => {
            let more = tags(report, item)?;
            if !append {
                rule.tags.clear();
            }
            rule.tags.extend(more);
        }
        "exceptions" => {
            let exceptions = exception::read(report, item, append)?;
            if append {
                exception::append(report, item, rule, exceptions)?;
            } else {
                rule.exceptions = exceptions;
            }
        }
        "priority" => rule.priority = priority(report, item)?,
        "enabled" => rule.enabled = item.boolean(report, key, true)?,
        "warn_evttypes" => rule.warn_event_types = item.boolean(report, key, true)?,
        "skip-if-unknown-filter" => rule.skip_if_unknown = item.boolean(report, key, false)?,
        "capture" => rule.capture = capture.0,
        "capture_duration" => rule.capture_duration = capture.1,
        _ => {}
    }
    Some(())
}

fn set(texts: &mut Vec<Scalar>, text: Scalar, append: bool) {
    if !append {
        texts.clear();
    }
    texts.push(text);
}
