//! One item of a rules file: its keys, and reading their values with an error that says what is wrong.

use super::keys;
use super::source::{Place, Report, Scalar};
use super::yaml::{Node, Value};
use crate::diagnostic::{Code, ItemKind, ItemName};
use crate::suggest::nearest;

/// What a key of an item does to what is already defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Append,
    Replace,
}

/// What an item does to one that is defined before it.
#[derive(Debug)]
pub(crate) struct Changes {
    /// It says `append: true`, the older way.
    pub(crate) append: bool,
    /// The keys it overrides, and how; none for a plain definition.
    pub(crate) keys: Vec<(&'static str, Change)>,
}

/// An item being read.
#[derive(Debug)]
pub(crate) struct Item<'n> {
    entries: &'n [(Node, Node)],
    /// The item itself.
    pub(crate) at: Place,
    pub(crate) name: ItemName,
}

impl<'n> Item<'n> {
    pub(crate) fn new(entries: &'n [(Node, Node)], at: Place, kind: ItemKind) -> Self {
        Item {
            entries,
            at,
            name: ItemName {
                kind,
                name: String::new(),
            },
        }
    }

    /// The key and the value called `key`; of duplicates the last.
    pub(crate) fn entry(&self, key: &str) -> Option<(Place, &'n Node)> {
        self.entries
            .iter()
            .rev()
            .find(|(k, _)| matches!(&k.value, Value::Scalar(text) if text == key))
            .map(|(k, v)| (k.at, v))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where an error about `key` belongs: its value, its key, or the item.
    pub(crate) fn at(&self, key: &str) -> Place {
        match self.entry(key) {
            Some((at, value)) if value.is_null() || value.at.start == value.at.end => at,
            Some((_, value)) => value.at,
            None => self.at,
        }
    }

    /// Adds an error or a warning about `place`.
    pub(crate) fn report<'r>(
        &self,
        report: &'r mut Report,
        code: Code,
        place: Place,
        message: impl Into<String>,
    ) -> &'r mut crate::diagnostic::Diagnostic {
        report.add(code, place, Some(&self.name), message)
    }

    /// The text under `key`, which must be there and not be empty.
    pub(crate) fn text(&self, report: &mut Report, key: &str) -> Option<Scalar> {
        let Some((at, value)) = self.entry(key) else {
            let message = format!("the {} has no `{key}`", self.name.kind.word());
            let hint = match self.slip(key) {
                Some(slip) => format!("`{slip}` is no key of it: did you mean `{key}`?"),
                None => format!("add `{key}: …` to it"),
            };
            self.report(report, Code::YamlValidate, self.at, message).hint = Some(hint);
            return None;
        };
        match value.scalar() {
            Some(scalar) if !scalar.text.trim().is_empty() => Some(scalar),
            Some(_) => {
                let message = format!("`{key}` is empty");
                self.report(report, Code::YamlValidate, at, message);
                None
            }
            None => {
                let message = format!("`{key}` must be text, not {}", value.kind());
                self.report(report, Code::YamlValidate, at, message);
                None
            }
        }
    }

    /// A key of it that items of this kind do not have and that is probably meant to be `key`.
    fn slip(&self, key: &str) -> Option<String> {
        let names = self
            .entries
            .iter()
            .filter_map(|(name, _)| Some(name.scalar()?.text));
        let known = keys::of(self.name.kind);
        let mut unknown = names.filter(|name| !known.contains(&name.as_str()));
        unknown.find(|name| nearest(name, known.iter().copied()) == Some(key))
    }

    /// The truth value under `key`, `default` when it is not there; `None` after an error.
    pub(crate) fn boolean(&self, report: &mut Report, key: &str, default: bool) -> Option<bool> {
        let Some((at, value)) = self.entry(key) else {
            return Some(default);
        };
        let word = value.scalar().map(|s| s.text.to_ascii_lowercase());
        match word.as_deref() {
            Some("true" | "yes" | "y" | "on") => Some(true),
            Some("false" | "no" | "n" | "off") => Some(false),
            _ => {
                let message = format!("`{key}` must be true or false");
                self.report(report, Code::YamlValidate, at, message);
                None
            }
        }
    }

    /// The sequence of scalars under `key`, which must be there.
    pub(crate) fn scalars(&self, report: &mut Report, key: &str) -> Option<Vec<Scalar>> {
        let Some((at, value)) = self.entry(key) else {
            let message = format!("the {} has no `{key}`", self.name.kind.word());
            self.report(report, Code::YamlValidate, self.at, message);
            return None;
        };
        let Value::Sequence(nodes) = &value.value else {
            let message = format!("`{key}` must be a sequence, not {}", value.kind());
            let diagnostic = self.report(report, Code::YamlValidate, at, message);
            diagnostic.hint = Some(format!("write `{key}: [a, b]`"));
            return None;
        };
        let mut all = Vec::with_capacity(nodes.len());
        for node in nodes {
            match &node.value {
                Value::Scalar(text) => all.push(Scalar {
                    text: text.clone(),
                    at: node.at,
                }),
                Value::Null(_) => {
                    let message = format!("`{key}` must hold only text, and here is nothing");
                    self.report(report, Code::YamlValidate, node.at, message).hint = Some(
                        "`~` and `null` mean nothing in YAML: put them in quotes when you mean the text"
                            .into(),
                    );
                    return None;
                }
                _ => {
                    let message = format!("`{key}` must hold only text, not {}", node.kind());
                    self.report(report, Code::YamlValidate, node.at, message);
                    return None;
                }
            }
        }
        Some(all)
    }

    /// Warns of every key that items of this kind do not have.
    pub(crate) fn warn_unknown_keys(&self, report: &mut Report) {
        self.warn_unknown_keys_of(report, self.name.kind.word(), &keys::of(self.name.kind));
    }

    /// Warns of every key that is not one of `known`, of a part of an item that is called `what`.
    pub(crate) fn warn_unknown_keys_of(&self, report: &mut Report, what: &str, known: &[&str]) {
        let article = if what.starts_with(['a', 'e', 'i', 'o']) {
            "an"
        } else {
            "a"
        };
        for (key, _) in self.entries {
            let name = key.scalar().map(|s| s.text).unwrap_or_default();
            if known.contains(&name.as_str()) {
                continue;
            }
            let message = format!("unknown key `{name}` in {article} {what}, ignored");
            let diagnostic = self.report(report, Code::UnknownKey, key.at, message);
            diagnostic.hint = Some(match nearest(&name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("{article} {what} has the keys {}", known.join(", ")),
            });
        }
    }

    /// Reads `append` and `override`.
    pub(crate) fn changes(&self, report: &mut Report) -> Option<Changes> {
        let keys = keys::overridable(self.name.kind);
        let append = self.boolean(report, "append", false)?;
        if append {
            let message = "`append: true` is deprecated";
            self.report(report, Code::DeprecatedItem, self.at("append"), message)
                .hint =
                Some("name the keys under `override` instead, as in `override: {condition: append}`".into());
        }
        let mut all = Changes {
            append,
            keys: Vec::new(),
        };
        let Some((at, node)) = self.entry("override").filter(|(_, node)| !node.is_null()) else {
            return Some(all);
        };
        let Value::Map(entries) = &node.value else {
            let message = format!("`override` must be a map, not {}", node.kind());
            let diagnostic = self.report(report, Code::YamlValidate, at, message);
            diagnostic.hint = Some("write `override: {condition: append}`".into());
            return None;
        };
        if append && !entries.is_empty() {
            let message = "`append: true` and `override` can not be used together";
            self.report(report, Code::YamlValidate, at, message).hint =
                Some("remove `append`; it is the older way to say `override: {…: append}`".into());
            return None;
        }
        let errors = report.errors();
        let changes = &mut all.keys;
        for (key, value) in entries {
            let name = key.scalar().map(|s| s.text).unwrap_or_default();
            let Some((known, may_append)) = keys.iter().find(|(k, _)| *k == name) else {
                let names: Vec<&str> = keys.iter().map(|(k, _)| *k).collect();
                let message = format!("`{name}` can not be overridden");
                self.report(report, Code::YamlValidate, key.at, message).hint =
                    Some(match nearest(&name, names.iter().copied()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("these can: {}", names.join(", ")),
                    });
                continue;
            };
            let change = match value.scalar().as_ref().map(|s| s.text.as_str()) {
                Some("append") if *may_append => Change::Append,
                Some("append") => {
                    let message = format!("`{name}` can only be replaced, not appended to");
                    self.report(report, Code::YamlValidate, value.at, message).hint =
                        Some(format!("write `{name}: replace`"));
                    continue;
                }
                Some("replace") => Change::Replace,
                _ => {
                    let words = if *may_append {
                        "`append` or `replace`"
                    } else {
                        "`replace`"
                    };
                    let message = format!("the override of `{name}` must be {words}");
                    let at = if value.is_null() { key.at } else { value.at };
                    self.report(report, Code::YamlValidate, at, message);
                    continue;
                }
            };
            if !self.has(known) {
                let message = format!("`override` names `{known}`, but the item has no `{known}`");
                self.report(report, Code::YamlValidate, key.at, message).hint =
                    Some(format!("add `{known}: …` to it, or remove `{known}` here"));
            }
            changes.push((*known, change));
        }
        if !entries.is_empty() {
            for (key, _) in &keys {
                if let Some((at, _)) = self.entry(key)
                    && !changes.iter().any(|(k, _)| k == key)
                    && report.errors() == errors
                {
                    let message = format!("unexpected key `{key}`: no corresponding entry under `override`");
                    self.report(report, Code::YamlValidate, at, message).hint =
                        Some(format!("add `{key}: replace` under `override`"));
                }
            }
        }
        (report.errors() == errors).then_some(all)
    }
}
