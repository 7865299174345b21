//! What the rules files define, after every append and override is applied.

use super::source::{Place, Scalar};
use super::version::Version;
use super::yaml::Node;
use lanner_schema::alert::Priority;
use std::collections::{HashMap, HashSet};

/// A list.
#[derive(Debug, Clone)]
pub(crate) struct ListDef {
    pub(crate) name: Scalar,
    pub(crate) items: Vec<Scalar>,
}

/// A macro.
#[derive(Debug, Clone)]
pub(crate) struct MacroDef {
    pub(crate) name: Scalar,
    /// The condition and what was appended to it.
    pub(crate) condition: Vec<Scalar>,
    /// When it was first defined, counted over every item.
    pub(crate) first: usize,
    /// When it was last defined or appended to.
    pub(crate) last: usize,
}

/// One value, or one per field.
#[derive(Debug, Clone)]
pub(crate) enum OneOrMany {
    One(Scalar),
    Many(Vec<Scalar>),
}

/// An exception of a rule.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub(crate) name: Scalar,
    pub(crate) fields: Option<OneOrMany>,
    pub(crate) comps: Option<OneOrMany>,
    pub(crate) values: Vec<Node>,
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct RuleDef {
    pub(crate) name: Scalar,
    pub(crate) source: Option<Scalar>,
    /// The condition and what was appended to it.
    pub(crate) condition: Vec<Scalar>,
    pub(crate) output: Vec<Scalar>,
    pub(crate) description: String,
    pub(crate) priority: Priority,
    pub(crate) enabled: bool,
    pub(crate) warn_event_types: bool,
    pub(crate) skip_if_unknown: bool,
    pub(crate) capture: bool,
    /// Milliseconds.
    pub(crate) capture_duration: u64,
    pub(crate) tags: Vec<String>,
    pub(crate) exceptions: Vec<Exception>,
}

/// Named things in the order of their first definition.
#[derive(Debug)]
pub(crate) struct Named<T> {
    all: Vec<T>,
    names: Vec<String>,
    index: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named {
            all: Vec::new(),
            names: Vec::new(),
            index: HashMap::new(),
        }
    }
}

impl<T> Named<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.all.get(*self.index.get(name)?)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.all.get_mut(*self.index.get(name)?)
    }

    /// Defines or replaces; a replaced thing keeps its position.
    pub(crate) fn put(&mut self, name: &str, value: T) {
        match self.get_mut(name) {
            Some(existing) => *existing = value,
            None => {
                self.index.insert(name.to_owned(), self.all.len());
                self.names.push(name.to_owned());
                self.all.push(value);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

/// A plugin a file asks for: alternatives, each a name and a version.
#[derive(Debug, Clone)]
pub(crate) struct PluginRequirement {
    pub(crate) at: Place,
    pub(crate) alternatives: Vec<(String, String)>,
}

/// Everything the files define.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) lists: Named<ListDef>,
    pub(crate) macros: Named<MacroDef>,
    pub(crate) rules: Named<RuleDef>,
    pub(crate) plugins: Vec<PluginRequirement>,
    /// Engines that the files require.
    pub(crate) engines: Vec<Version>,
    /// Names whose definition failed: an append to them needs no second error.
    pub(crate) broken: HashSet<String>,
    /// Items read so far.
    pub(crate) items: usize,
}
