//! Definitions and what was compiled of them → a description.

use std::collections::{BTreeSet, HashSet};

use super::definition::{Definitions, ListDef, MacroDef, OneOrMany, PluginRequirement, RuleDef};
use super::macros::Conditions;
use super::source::Scalar;
use crate::condition::{self, Expr, MAX_DEPTH, parse_operand};
use crate::describe::{
    ConditionDetails, Description, ListDescription, ListDetails, ListInfo, MacroDescription, MacroDetails,
    MacroInfo, PluginVersion, RequiredPlugin, RuleDescription, RuleDetails, RuleInfo,
};
use crate::ruleset::Rule;
use crate::scope::Scope;
use crate::source::{EventSource, SYSCALL};

/// News that is no system call: in Falco every rule is evaluated on it.
const EVERY_RULES_EVENT: &str = "asyncevent";

/// Describes what was loaded without an error.
pub(crate) fn describe(
    definitions: &Definitions,
    conditions: &mut Conditions<'_>,
    rules: &[Rule],
    sources: &[&'static EventSource],
) -> Description {
    let rules = rules
        .iter()
        .filter_map(|compiled| {
            let written = definitions.rules.get(&compiled.name)?;
            let source = sources.get(usize::from(compiled.source_index))?;
            Some(rule(definitions, written, compiled, source))
        })
        .collect();
    let macros = definitions
        .macros
        .iter()
        .map(|written| macro_(definitions, conditions, written))
        .collect();
    // Asking for a list's items is a use of it.
    let used = conditions.lists.used.clone();
    let lists = definitions
        .lists
        .iter()
        .map(|written| list(definitions, conditions, written, &used))
        .collect();
    let engine = definitions.engines.iter().copied().max();
    Description {
        required_engine_version: engine.unwrap_or_default().to_string(),
        required_plugin_versions: definitions.plugins.iter().filter_map(plugin).collect(),
        rules,
        macros,
        lists,
    }
}

fn plugin(required: &PluginRequirement) -> Option<RequiredPlugin> {
    let mut all = required.alternatives.iter().cloned();
    let (name, version) = all.next()?;
    Some(RequiredPlugin {
        name,
        version,
        alternatives: all
            .map(|(name, version)| PluginVersion { name, version })
            .collect(),
    })
}

/// A text and what was appended to it.
fn joined(scalars: &[Scalar]) -> String {
    let texts: Vec<&str> = scalars.iter().map(|scalar| scalar.text.as_str()).collect();
    texts.join(" ")
}

/// The parts of a condition: as it is written, and with everything put in.
fn details(
    definitions: &Definitions,
    written: &str,
    compiled: &Expr,
    source: &'static EventSource,
) -> ConditionDetails {
    let mut details = ConditionDetails::default();
    // A list's name may stand where only its items make a condition.
    if let Ok(written) = condition::parse_with(written, 0, MAX_DEPTH) {
        details.note_written(&written, |name| definitions.lists.get(name).is_some());
    }
    details.note_compiled(compiled);
    let types = condition::event_types(compiled, &Scope::new(source));
    let events: Vec<&str> = match types.all {
        true => source
            .event_names()
            .iter()
            .copied()
            .filter(|name| !types.except.contains(name))
            .collect(),
        false => types.types,
    };
    details.events = events.into_iter().map(str::to_owned).collect();
    details.events.insert(EVERY_RULES_EVENT.to_owned());
    details
}

fn rule(
    definitions: &Definitions,
    written: &RuleDef,
    compiled: &Rule,
    source: &'static EventSource,
) -> RuleDescription {
    let text = joined(&written.condition);
    let mut condition = details(definitions, &text, &compiled.condition, source);
    let mut output_fields: BTreeSet<String> = compiled.template.keys().map(str::to_owned).collect();
    let mut details = RuleDetails {
        exception_names: BTreeSet::new(),
        exception_operators: BTreeSet::new(),
        exception_fields: BTreeSet::new(),
        output_compiled: compiled.template.text().to_owned(),
        extra_output_formatted_fields: compiled
            .extra
            .iter()
            .filter_map(|extra| {
                Some((
                    extra.name.as_deref()?.to_owned(),
                    extra.template.text().to_owned(),
                ))
            })
            .collect(),
        output_fields: BTreeSet::new(),
        condition: ConditionDetails::default(),
    };
    for extra in &compiled.extra {
        match &extra.name {
            Some(name) => {
                output_fields.insert(name.to_string());
            }
            None => output_fields.extend(extra.template.keys().map(str::to_owned)),
        }
    }
    for exception in &written.exceptions {
        details.exception_names.insert(exception.name.text.clone());
        let fields = texts(exception.fields.as_ref()).iter();
        details
            .exception_fields
            .extend(fields.map(|field| canonical(&field.text)));
        let operators = texts(exception.comps.as_ref()).iter();
        details
            .exception_operators
            .extend(operators.map(|comp| comp.text.clone()));
    }
    condition.plugins = condition
        .condition_fields
        .iter()
        .chain(&output_fields)
        .filter_map(|field| plugin_of(source, field))
        .map(str::to_owned)
        .collect();
    details.condition = condition;
    details.output_fields = output_fields;
    RuleDescription {
        info: RuleInfo {
            name: compiled.name.to_string(),
            condition: text,
            priority: written.priority.word(),
            output: joined(&written.output),
            description: written.description.clone(),
            enabled: written.enabled,
            source: compiled.source.to_string(),
            capture: written.capture,
            capture_duration: written.capture_duration,
            tags: compiled.tags.to_vec(),
        },
        details,
    }
}

fn texts(of: Option<&OneOrMany>) -> &[Scalar] {
    match of {
        None => &[],
        Some(OneOrMany::One(text)) => std::slice::from_ref(text),
        Some(OneOrMany::Many(texts)) => texts,
    }
}

/// A field or transformer as conditions print it.
fn canonical(field: &str) -> String {
    parse_operand(field, 0).map_or_else(|_| field.to_owned(), |operand| operand.to_string())
}

/// The plugin that has the field, which may have an argument.
fn plugin_of(source: &'static EventSource, field: &str) -> Option<&'static str> {
    let name = field.split('[').next().unwrap_or(field);
    let is_it = |known: &str| {
        name.strip_prefix(known)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut classes = source.classes().iter().filter(|class| !class.plugin.is_empty());
    classes
        .find(|class| class.fields.iter().any(|field| is_it(field.name)))
        .map(|class| class.plugin)
}

fn macro_(definitions: &Definitions, conditions: &Conditions<'_>, written: &MacroDef) -> MacroDescription {
    let text = joined(&written.condition);
    let name = &written.name.text;
    MacroDescription {
        details: MacroDetails {
            used: conditions.used.contains(name),
            // A macro has no source of its own; Falco takes the first.
            condition: match conditions.resolved(name) {
                Some(compiled) => details(definitions, &text, compiled, &SYSCALL),
                None => ConditionDetails::default(),
            },
        },
        info: MacroInfo {
            name: name.clone(),
            condition: text,
        },
    }
}

fn list(
    definitions: &Definitions,
    conditions: &mut Conditions<'_>,
    written: &ListDef,
    used: &HashSet<String>,
) -> ListDescription {
    let name = &written.name.text;
    let (lists, items): (Vec<String>, Vec<String>) = written
        .items
        .iter()
        .map(|item| item.text.clone())
        .partition(|item| definitions.lists.get(item).is_some());
    // A list that is too long was an error where it is used; one that is used nowhere has nothing to show.
    let compiled = conditions.lists.expand(name).ok().flatten();
    ListDescription {
        info: ListInfo {
            name: name.clone(),
            items,
        },
        details: ListDetails {
            used: used.contains(name),
            lists: lists.into_iter().collect(),
            items_compiled: compiled
                .iter()
                .flat_map(|items| items.iter())
                .map(|item| item.text.clone())
                .collect(),
            plugins: BTreeSet::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn fields_of_exceptions_are_written_as_conditions_print_them() {
        assert_eq!(canonical("tolower( proc.name )"), "tolower(proc.name)");
        assert_eq!(canonical("proc.aname[\"2\"]"), "proc.aname[2]");
        assert_eq!(canonical("fd.name"), "fd.name");
        assert_eq!(canonical("no field"), "no field");
    }
}
