//! What the configuration says about rules and alerts.

use lanner_schema::alert::Priority;

/// Which of the rules that match an event make an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// The first in the order of definition.
    #[default]
    First,
    /// Every one.
    All,
}

/// A field that is added to an alert's output fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtraField {
    /// A field with its own name and type, such as `proc.aname[2]`.
    Field(String),
    /// A formatted text under a name.
    Format {
        /// The name.
        name: String,
        /// The output it is formatted with.
        format: String,
    },
}

impl ExtraField {
    /// Its key in the output fields.
    pub fn name(&self) -> &str {
        match self {
            ExtraField::Field(name) | ExtraField::Format { name, .. } => name,
        }
    }
}

/// One entry of Falco's `append_output`: what is added to the alerts of the rules it matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppendOutput {
    /// Only the rule with this name.
    pub rule: Option<String>,
    /// Only rules of this source.
    pub source: Option<String>,
    /// Only rules that have all of these tags.
    pub tags: Vec<String>,
    /// Added to the output after one space.
    pub extra_output: Option<String>,
    /// Added to the output fields.
    pub extra_fields: Vec<ExtraField>,
    /// Adds the fields every alert should have, as `container_id=%container.id …`.
    pub suggested_output: bool,
}

impl AppendOutput {
    pub(crate) fn matches(&self, rule: &str, source: &str, tags: &[String]) -> bool {
        self.rule.as_deref().is_none_or(|wanted| wanted == rule)
            && self.source.as_deref().is_none_or(|wanted| wanted == source)
            && self.tags.iter().all(|wanted| tags.contains(wanted))
    }
}

/// One entry of Falco's `rules`: switches the rules it names on or off, whatever their own `enabled` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// True for `enable`, false for `disable`.
    pub enable: bool,
    /// Rules with this name, in which `*` stands for any text.
    pub rule: Option<String>,
    /// Rules that have exactly this tag. With `rule` too, those it names are switched first, then these.
    pub tag: Option<String>,
}

/// What the configuration says about rules and alerts. The default is Falco's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Rules less severe than this are compiled but never run (`priority`).
    pub minimum_priority: Priority,
    /// Alerts are JSON objects instead of text lines (`json_output`).
    pub json_output: bool,
    /// JSON has the text line as `output`.
    pub json_include_output_property: bool,
    /// JSON has the output without time and priority as `message`.
    pub json_include_message_property: bool,
    /// JSON has the output's fields as `output_fields`.
    pub json_include_output_fields_property: bool,
    /// JSON has the rule's `tags`.
    pub json_include_tags_property: bool,
    /// Text lines begin with an ISO 8601 time in UTC instead of the local time of day.
    pub time_format_iso_8601: bool,
    /// Which rules make an alert (`rule_matching`).
    pub rule_matching: Matching,
    /// Rules are evaluated by the kernel's names too, where they are others than those that were asked for
    /// (`engine.real_names`).
    pub real_names: bool,
    /// What is added to outputs (`append_output`).
    pub append_output: Vec<AppendOutput>,
    /// Which rules run (`rules`): applied in order after all files are loaded.
    pub selections: Vec<Selection>,
    /// Names and values of the fields `static.NAME` (`static_fields`).
    pub static_fields: Vec<(String, String)>,
    /// Bytes in outputs are base64 instead of text with dots (`buffer_format_base64`).
    pub buffer_format_base64: bool,
    /// The host's name, as JSON alerts carry it.
    pub hostname: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            minimum_priority: Priority::Debug,
            json_output: false,
            json_include_output_property: true,
            json_include_message_property: false,
            json_include_output_fields_property: true,
            json_include_tags_property: true,
            time_format_iso_8601: false,
            rule_matching: Matching::First,
            real_names: true,
            append_output: Vec::new(),
            selections: Vec::new(),
            static_fields: Vec::new(),
            buffer_format_base64: false,
            hostname: String::new(),
        }
    }
}
