//! Definitions → rules that can run.

use super::definition::{Definitions, RuleDef};
use super::exception;
use super::macros::{Conditions, name};
use super::mapped::Mapped;
use super::misuse;
use super::rule_item::source_name;
use super::source::{Place, Report};
use super::version;
use crate::condition::{self, CheckError, Expr};
use crate::diagnostic::{Code, ItemKind, ItemName, Part};
use crate::output::Template;
use crate::ruleset::{Extra, Rule};
use crate::scope::Scope;
use crate::settings::{ExtraField, Settings};
use crate::source::EventSource;
use crate::suggest::nearest;
use std::collections::HashSet;
use std::sync::Arc;

/// Compiles every rule; what is wrong goes to the report.
pub(crate) fn compile(
    report: &mut Report,
    definitions: &Definitions,
    conditions: &mut Conditions<'_>,
    settings: &Settings,
    sources: &[&'static EventSource],
) -> Vec<Rule> {
    let scope = |source: &&'static EventSource| {
        Scope::new(source)
            .with_static_fields(&settings.static_fields)
            .with_base64(settings.buffer_format_base64)
    };
    let scopes: Vec<Scope> = sources.iter().map(scope).collect();
    plugins(report, definitions);
    misuse::names(report, definitions);
    conditions.macros(report);
    let mut rules = Vec::new();
    for definition in definitions.rules.iter() {
        rules.extend(rule(report, conditions, definition, settings, &scopes));
    }
    for (rank, rule) in (0..).zip(&mut rules) {
        rule.rank = rank;
    }
    // What an error kept from being compiled may be what uses them.
    if report.errors() == 0 {
        unused(report, definitions, conditions);
    }
    rules
}

fn plugins(report: &mut Report, definitions: &Definitions) {
    for requirement in &definitions.plugins {
        let satisfied = requirement
            .alternatives
            .iter()
            .any(|(name, required)| version::has_plugin(name, required));
        if satisfied || requirement.alternatives.is_empty() {
            continue;
        }
        let wanted: Vec<String> = requirement
            .alternatives
            .iter()
            .map(|(name, required)| format!("{name} (>= {required})"))
            .collect();
        let item = ItemName {
            kind: ItemKind::RequiredPluginVersions,
            name: String::new(),
        };
        let message = format!(
            "plugin requirement not satisfied, must load one of: {}",
            wanted.join(", ")
        );
        report
            .add(Code::Validate, requirement.at, Some(&item), message)
            .hint = Some("Lanner loads no plugins; what the plugin `container` gives is built in".into());
    }
}

fn unused(report: &mut Report, definitions: &Definitions, conditions: &Conditions<'_>) {
    for definition in definitions.macros.iter() {
        let text = &definition.name.text;
        if !conditions.used.contains(text) {
            let item = name(ItemKind::Macro, &definition.name);
            let message = format!("macro '{text}' is not used by any rule or macro");
            report.add(Code::UnusedMacro, definition.name.at, Some(&item), message);
        }
    }
    let items = definitions.lists.iter().flat_map(|list| {
        let others = list.items.iter().filter(|item| item.text != list.name.text);
        others.map(|item| item.text.as_str())
    });
    let named: HashSet<&str> = items
        .filter(|item| definitions.lists.get(item).is_some())
        .collect();
    for definition in definitions.lists.iter() {
        let text = &definition.name.text;
        if !conditions.lists.used.contains(text) && !named.contains(text.as_str()) {
            let item = name(ItemKind::List, &definition.name);
            let message = format!("list '{text}' is not used by any condition or list");
            report.add(Code::UnusedList, definition.name.at, Some(&item), message);
        }
    }
}

fn rule(
    report: &mut Report,
    conditions: &mut Conditions<'_>,
    definition: &RuleDef,
    settings: &Settings,
    scopes: &[Scope],
) -> Option<Rule> {
    let item = name(ItemKind::Rule, &definition.name);
    let source = source_name(definition.source.as_ref());
    let Some((index, scope)) = (0u8..)
        .zip(scopes)
        .find(|(_, scope)| scope.source().name() == source)
    else {
        skip_source(report, conditions, definition, &item, scopes);
        return None;
    };
    let errors = report.errors();
    exception::check_fields(report, definition, &item, scope);
    let own = Mapped::joined(&definition.condition);
    let mut mapped = own.clone();
    exception::apply(report, definition, &item, &mut mapped);
    if report.errors() > errors {
        return None;
    }
    let before = report.mark();
    let output = output(report, definition, &item, settings, scope);
    report.about(before, &Part::Output, None);
    let before = report.mark();
    let resolved = conditions.rule(report, &mapped, &own, &item);
    if let Output::Skipped = output {
        // What its condition uses is used; what is wrong with it is not worth a line.
        report.rewind(before);
        return None;
    }
    let (resolved, origin) = resolved?;
    let program = match condition::compile_in(&resolved.expr, scope) {
        Ok(program) => program,
        Err(errors) => {
            check_errors(report, conditions, definition, origin, errors);
            return None;
        }
    };
    for warning in program.warnings() {
        let (code, message) = (warning.kind.code(), warning.kind.to_string());
        let diagnostic = conditions.report(report, code, warning.span, origin, message);
        diagnostic.hint = warning.kind.hint();
        diagnostic.deprecated_field = warning.kind.deprecated_field().map(str::to_owned);
    }
    let Output::Ready(template, extra) = output else {
        return None;
    };
    if !program.names_event_types() && definition.warn_event_types {
        let message = "the condition names no event type: the rule runs on every event, which costs";
        let place = definition
            .condition
            .first()
            .map_or(definition.name.at, |c| report.inside(c, 0..1));
        report.add(Code::NoEventType, place, Some(&item), message).hint = Some(
            "begin it with the events it is about, as in `evt.type in (execve, execveat) and …`, or add `warn_evttypes: false`"
                .into(),
        );
    }
    let mut tags = definition.tags.clone();
    tags.sort();
    tags.dedup();
    Some(Rule {
        name: Arc::from(definition.name.text.as_str()),
        description: definition.description.clone(),
        condition: resolved.expr,
        priority: definition.priority,
        source: Arc::from(source),
        source_index: index,
        tags: tags.into(),
        enabled: definition.enabled,
        runs: definition.enabled && definition.priority <= settings.minimum_priority,
        rank: 0,
        matches: 0,
        undecided: 0,
        program,
        template,
        extra,
    })
}

/// Reports what is wrong with a condition, or skips the rule when it asked for that: Falco reads from left to right and
/// looks no further than the first name it does not know.
fn check_errors(
    report: &mut Report,
    conditions: &Conditions<'_>,
    definition: &RuleDef,
    origin: u32,
    errors: Vec<CheckError>,
) {
    let skip = definition.skip_if_unknown && errors.first().is_some_and(|e| e.kind.is_unknown_name());
    for error in errors.into_iter().filter(|e| !skip || e.kind.is_unknown_name()) {
        let code = if skip {
            Code::UnknownFilter
        } else {
            Code::CompileCondition
        };
        let message = match skip {
            true => format!("{error}; the rule is skipped"),
            false => error.to_string(),
        };
        conditions.report(report, code, error.span, origin, message).hint = error.kind.hint();
    }
}

/// Warns of a rule whose source is not served.
fn skip_source(
    report: &mut Report,
    conditions: &mut Conditions<'_>,
    definition: &RuleDef,
    item: &ItemName,
    scopes: &[Scope],
) {
    let Some(source) = &definition.source else { return };
    // Whether the rule would run without its source line; what is wrong with it otherwise is not worth a line.
    let before = report.mark();
    let own = Mapped::joined(&definition.condition);
    let mut mapped = own.clone();
    exception::apply(report, definition, item, &mut mapped);
    let resolved = conditions.rule(report, &mapped, &own, item);
    report.rewind(before);
    let compiles = |expr: &Expr, scope: &Scope| condition::compile_in(expr, scope).is_ok();
    let fits = resolved
        .filter(|(resolved, _)| has_checks(&resolved.expr))
        .and_then(|(resolved, _)| scopes.iter().find(|scope| compiles(&resolved.expr, scope)));
    let message = format!("source `{}` is not served, the rule is skipped", source.text);
    let meant = nearest(&source.text, scopes.iter().map(|scope| scope.source().name()));
    report
        .add(Code::UnknownSource, source.at, Some(item), message)
        .hint = Some(match fits {
        _ if let Some(meant) = meant => format!("did you mean `{meant}`?"),
        Some(scope) => format!(
            "its fields belong to source `{0}`: write `source: {0}` to have the rule run",
            scope.source().name(),
        ),
        None => {
            let names: Vec<String> = scopes
                .iter()
                .map(|scope| format!("`{}`", scope.source().name()))
                .collect();
            format!("Lanner serves the source {}", names.join(" and "))
        }
    });
}

fn has_checks(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |node| found |= matches!(node, Expr::Check(_)));
    found
}

/// Warns of an output that names fields and prints none: their `%` was forgotten.
fn plain_fields(report: &mut Report, mapped: &Mapped, item: &ItemName, scope: &Scope) {
    if mapped.text.contains('%') {
        return;
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let mut end = 0;
    let words = mapped.text.split_inclusive(|c| !is_name(c)).map(|word| {
        let begin = end;
        end += word.len();
        let word = word.trim_end_matches(|c| !is_name(c));
        let name = word.trim_start_matches('.');
        (begin + word.len() - name.len(), name.trim_end_matches('.'))
    });
    let Some((at, name)) = words
        .filter(|(_, word)| word.contains('.'))
        .find(|(_, word)| scope.source().field(word).is_some())
    else {
        return;
    };
    let place = mapped.locate(report, at..at + name.len()).place;
    let message = format!("the output prints the word '{name}', not the field");
    report.add(Code::Extension, place, Some(item), message).hint =
        Some(format!("a field stands after a %: %{name}"));
}

/// What comes of a rule's output.
enum Output {
    /// It compiles, and so do the extra fields.
    Ready(Template, Vec<Extra>),
    /// It has a name that does not exist, and the rule asks to be skipped then.
    Skipped,
    /// It does not compile.
    Wrong,
}

/// The output with what the configuration adds to it, and the extra fields.
fn output(
    report: &mut Report,
    definition: &RuleDef,
    item: &ItemName,
    settings: &Settings,
    scope: &Scope,
) -> Output {
    let mut mapped = Mapped::joined(&definition.output);
    plain_fields(report, &mapped, item, scope);
    if let Some(at) = mapped.text.find("%container.info") {
        let place = mapped.locate(report, at..at + "%container.info".len()).place;
        let message = "`%container.info` is deprecated and removed from the output";
        let diagnostic = report.add(Code::DeprecatedItem, place, Some(item), message);
        diagnostic.hint = Some("the configuration's `append_output` adds the container's fields".into());
        diagnostic.deprecated_field = Some("container.info".into());
        mapped = mapped.without("%container.info");
    }
    let own = mapped.text.len();
    let mut extra = Vec::new();
    let mut failed = false;
    let place = definition.output.last().map_or(definition.name.at, |o| o.at);
    let appended = settings
        .append_output
        .iter()
        .filter(|a| a.matches(&definition.name.text, scope.source().name(), &definition.tags));
    for append in appended {
        if let Some(text) = &append.extra_output {
            mapped.glue(&format!(" {text}"), place);
        }
        if append.suggested_output {
            for name in scope.suggested() {
                mapped.glue(&format!(" {}=%{name}", name.replace('.', "_")), place);
            }
        }
        for field in &append.extra_fields {
            let (key, format) = match field {
                ExtraField::Field(name) => (None, format!("%{name}")),
                ExtraField::Format { name, format } => (Some(Arc::from(name.as_str())), format.clone()),
            };
            match Template::compile_in(&format, scope) {
                Ok(template) => extra.push(Extra { name: key, template }),
                Err(error) => {
                    failed = true;
                    let message = format!("extra field `{format}` of `append_output`: {error}");
                    report.add(Code::CompileOutput, place, Some(item), message).hint = error.hint();
                }
            }
        }
    }
    match Template::compile_in(&mapped.text, scope) {
        Ok(template) => {
            for warning in template.warnings() {
                let place = mapped.locate(report, warning.span.start..warning.span.end).place;
                let (code, message) = (warning.kind.code(), warning.kind.to_string());
                let diagnostic = report.add(code, place, Some(item), message);
                diagnostic.hint = warning.kind.hint();
                diagnostic.deprecated_field = warning.kind.deprecated_field().map(str::to_owned);
            }
            if failed {
                return Output::Wrong;
            }
            Output::Ready(template, extra)
        }
        Err(error) => {
            let span = error.span();
            let located: Place = mapped.locate(report, span.clone()).place;
            let skip = definition.skip_if_unknown && error.is_unknown_name();
            let code = if skip {
                Code::UnknownFilter
            } else {
                Code::CompileOutput
            };
            let mut message = error.to_string();
            if span.start >= own {
                message.push_str(", in what `append_output` adds");
            }
            if skip {
                message.push_str("; the rule is skipped");
            }
            report.add(code, located, Some(item), message).hint = error.hint();
            match skip && !failed {
                true => Output::Skipped,
                false => Output::Wrong,
            }
        }
    }
}
