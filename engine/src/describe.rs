//! What rules, macros and lists are, in Falco's words: the objects of `-L` with `json_output`.
//!
//! A description is made on demand ([`crate::load_described`]); a load that is not asked for one keeps nothing for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::condition::{Check, Expr, FieldName, Operand, Right, Test, TransformArg};
use crate::suggest::nearest;

/// Everything that rules files define.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The newest engine a file requires; `0.0.0` when none does.
    pub required_engine_version: String,
    /// The plugins that files require.
    pub required_plugin_versions: Vec<RequiredPlugin>,
    /// The rules that were compiled, in order.
    pub rules: Vec<RuleDescription>,
    /// The macros, in order.
    pub macros: Vec<MacroDescription>,
    /// The lists, in order.
    pub lists: Vec<ListDescription>,
}

/// A plugin that a file requires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequiredPlugin {
    /// Its name.
    pub name: String,
    /// Its least version.
    pub version: String,
    /// Others that do as well.
    pub alternatives: Vec<PluginVersion>,
}

/// A plugin and its least version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct PluginVersion {
    pub name: String,
    pub version: String,
}

/// A rule: what its author wrote, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct RuleDescription {
    pub info: RuleInfo,
    pub details: RuleDetails,
}

/// A rule as it is written, appends and overrides applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// Its name.
    pub name: String,
    /// Its condition, macros, lists and exceptions not put in.
    pub condition: String,
    /// Its priority, as in `Warning`.
    pub priority: &'static str,
    /// Its output.
    pub output: String,
    /// Its `desc`.
    pub description: String,
    /// Its `enabled`.
    pub enabled: bool,
    /// Its source.
    pub source: String,
    /// Its `capture`: whether Falco would write a capture file.
    pub capture: bool,
    /// Its `capture_duration` in milliseconds; 0 leaves it to the configuration.
    pub capture_duration: u64,
    /// Its tags, sorted.
    pub tags: Vec<String>,
}

/// What came of a rule. Sets are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleDetails {
    /// The condition's parts.
    #[serde(flatten)]
    pub condition: ConditionDetails,
    /// The fields of the compiled output, and the extra fields.
    pub output_fields: BTreeSet<String>,
    /// The names of its exceptions.
    pub exception_names: BTreeSet<String>,
    /// Their operators.
    pub exception_operators: BTreeSet<String>,
    /// Their fields.
    pub exception_fields: BTreeSet<String>,
    /// Its output with what the configuration appends.
    pub output_compiled: String,
    /// Formatted texts among the extra fields: name and format.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_output_formatted_fields: BTreeMap<String, String>,
}

/// What is in the condition of a rule or macro. Sets are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ConditionDetails {
    /// Macros it names itself.
    pub macros: BTreeSet<String>,
    /// Lists it names itself.
    pub lists: BTreeSet<String>,
    /// Operators, macros put in.
    pub condition_operators: BTreeSet<String>,
    /// Fields, macros put in.
    pub condition_fields: BTreeSet<String>,
    /// Event types it can be true on; news that is no system call (`asyncevent`) reaches every rule.
    pub events: BTreeSet<String>,
    /// The condition with macros, lists and exceptions put in.
    pub condition_compiled: String,
    /// Plugins a Falco needs for its fields.
    pub plugins: BTreeSet<String>,
}

/// A macro.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct MacroDescription {
    pub info: MacroInfo,
    pub details: MacroDetails,
}

/// A macro as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct MacroInfo {
    pub name: String,
    pub condition: String,
}

/// What came of a macro.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MacroDetails {
    /// Whether a rule or another macro uses it.
    pub used: bool,
    /// The condition's parts.
    #[serde(flatten)]
    pub condition: ConditionDetails,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct ListDescription {
    pub info: ListInfo,
    pub details: ListDetails,
}

/// A list as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListInfo {
    /// Its name.
    pub name: String,
    /// Its items that are no names of lists.
    pub items: Vec<String>,
}

/// What came of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListDetails {
    /// Whether a condition or another list uses it.
    pub used: bool,
    /// Lists it names.
    pub lists: BTreeSet<String>,
    /// Its items, those of the lists it names put in.
    pub items_compiled: Vec<String>,
    /// Always empty.
    pub plugins: BTreeSet<String>,
}

/// There is no such rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Rule \"{name}\" is not loaded{}", .meant.as_ref().map(|m| format!("; did you mean \"{m}\"?")).unwrap_or_default())]
pub struct NotLoaded {
    /// The name that was asked for.
    pub name: String,
    /// The name that was probably meant.
    pub meant: Option<String>,
}

impl Description {
    /// The rule with this name.
    ///
    /// # Errors
    /// When it is not loaded; rules of a source that is not served and rules that were skipped are not.
    pub fn rule(&self, name: &str) -> Result<&RuleDescription, NotLoaded> {
        let names = || self.rules.iter().map(|rule| rule.info.name.as_str());
        self.rules
            .iter()
            .find(|rule| rule.info.name == name)
            .ok_or_else(|| NotLoaded {
                name: name.to_owned(),
                meant: nearest(name, names()).map(str::to_owned),
            })
    }
}

impl ConditionDetails {
    /// Notes what `written`, a condition before anything is put in, names itself: macros, and of `lists` those that
    /// stand in parentheses.
    pub(crate) fn note_written(&mut self, written: &Expr, is_list: impl Fn(&str) -> bool) {
        self.macros
            .extend(written.macros().into_iter().map(|(name, _)| name.to_owned()));
        each_check(written, &mut |check| {
            if let Test::Compare {
                right: Right::List(items, _),
                ..
            } = &check.test
            {
                let names = items.iter().map(|item| item.text().into_owned());
                self.lists.extend(names.filter(|name| is_list(name)));
            }
        });
    }

    /// Notes the operators and fields of a condition with everything put in.
    pub(crate) fn note_compiled(&mut self, compiled: &Expr) {
        self.condition_compiled = compiled.to_string();
        each_check(compiled, &mut |check| {
            let fields = &mut self.condition_fields;
            operand(&check.left, fields);
            let operator = match &check.test {
                Test::Exists => "exists",
                Test::Compare { op, right, .. } => {
                    if let Right::Operand(right) = right {
                        operand(right, fields);
                    }
                    op.word()
                }
            };
            self.condition_operators.insert(operator.to_owned());
        });
    }
}

fn each_check<'e>(expr: &'e Expr, each: &mut dyn FnMut(&'e Check)) {
    expr.walk(&mut |node| {
        if let Expr::Check(check) = node {
            each(check);
        }
    });
}

fn operand(operand: &Operand, fields: &mut BTreeSet<String>) {
    let mut insert = |field: &FieldName| fields.insert(field.to_string());
    match operand {
        Operand::Field(field) | Operand::Val(field, _) => {
            insert(field);
        }
        Operand::Transform(transform) => {
            // Transformers nest as deep as the parser lets them: a stack of our own.
            let mut stack: Vec<&TransformArg> = transform.args.iter().collect();
            while let Some(arg) = stack.pop() {
                match arg {
                    TransformArg::Field(field) => {
                        insert(field);
                    }
                    TransformArg::Transform(inner) => stack.extend(&inner.args),
                    TransformArg::List(items, _) => stack.extend(items),
                    TransformArg::Literal(_) => {}
                }
            }
        }
    }
}
