//! A template by itself, as Falco's formatter prints it when no rule puts a `*` before it.

use std::sync::Arc;

use lanner_schema::alert::FieldValue;
use lanner_schema::view::EventView;

use super::template::{Part, Template, push_value, typed, value_of};
use crate::condition::{Checker, Operand, Scratch, Source, Transform, TransformArg};
use crate::given::Rendered;
use crate::scope::Scope;

/// The values that were found, and whether to go on.
struct Values<'a, 'v> {
    view: &'a EventView<'v>,
    scope: &'a Scope,
    base64: bool,
    continues: bool,
    found: Vec<(Arc<str>, FieldValue)>,
}

impl Template {
    /// What the template comes to on one event, in the scope it was compiled in. Without a `*` at its start it ends
    /// before the first missing value; with one that prints as `<NA>`.
    pub(crate) fn alone(&self, view: &EventView<'_>, scope: &Scope) -> Rendered {
        let mut values = Values {
            view,
            scope,
            base64: self.base64,
            continues: self.continues,
            found: Vec::new(),
        };
        let (mut output, mut stopped_at) = (String::new(), None);
        for part in &self.parts {
            let (source, operand, width) = match part {
                Part::Text(text) => {
                    output.push_str(text);
                    continue;
                }
                Part::Value {
                    source,
                    operand,
                    width,
                    ..
                } => (source, operand, *width),
            };
            let value = value_of(source, view, &mut Scratch::new(), self.base64);
            if value == FieldValue::Missing && !self.continues {
                stopped_at = Some(operand.to_string());
                break;
            }
            push_value(&mut output, &value, width);
            values.add(operand, true);
        }
        let mut fields = values.found;
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields.dedup_by(|a, b| a.0 == b.0);
        Rendered {
            output,
            complete: stopped_at.is_none(),
            stopped_at,
            fields,
        }
    }
}

impl Values<'_, '_> {
    /// Adds the value of a token, and those it is made of. What a transformer with one argument is applied to is no value
    /// of its own, unless it is a field: `tolower(toupper(proc.name))` gives itself and `proc.name`.
    fn add(&mut self, operand: &Operand, own: bool) {
        if own {
            let mut checker = Checker::new(self.scope);
            if let Some(source) = checker.source(operand) {
                let mut scratch = Scratch::new();
                let value = match &source {
                    // Not padded: that is for text.
                    Source::Field(field) => typed(field, self.view, &mut scratch, self.base64),
                    _ => value_of(&source, self.view, &mut scratch, self.base64),
                };
                if value != FieldValue::Missing || self.continues {
                    self.found.push((operand.to_string().into(), value));
                }
            }
        }
        if let Operand::Transform(Transform { args, .. }) = operand {
            self.add_all(args, args.len() > 1);
        }
    }

    fn add_all(&mut self, args: &[TransformArg], own: bool) {
        for arg in args {
            match arg {
                TransformArg::Field(field) => self.add(&Operand::Field(field.clone()), true),
                TransformArg::Transform(inner) => self.add(&Operand::Transform(inner.clone()), own),
                TransformArg::List(items, _) => self.add_all(items, true),
                TransformArg::Literal(_) => {}
            }
        }
    }
}
