//! What names mean in a condition or an output.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::source::{EventSource, SYSCALL};
use crate::value::FieldType;

/// A field that is no row of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Added {
    /// It has this text on every event (`static_fields`).
    Constant(Arc<str>),
    /// Its values are given by hand.
    Declared {
        /// Their type.
        ty: FieldType,
        /// True when it is a list.
        list: bool,
    },
}

/// The fields a condition or an output may name: those of a source, and those added to them.
#[derive(Debug, Clone)]
pub struct Scope {
    source: &'static EventSource,
    added: BTreeMap<String, Added>,
    given: bool,
    base64: bool,
}

impl Default for Scope {
    /// The fields of the first source.
    fn default() -> Scope {
        Scope::new(&SYSCALL)
    }
}

impl Scope {
    /// The fields of a source.
    pub fn new(source: &'static EventSource) -> Scope {
        Scope {
            source,
            added: BTreeMap::new(),
            given: false,
            base64: false,
        }
    }

    /// Adds `static.NAME` for each name, with its value on every event (Falco's `static_fields`).
    #[must_use]
    pub fn with_static_fields(mut self, fields: &[(String, String)]) -> Scope {
        let fields = fields
            .iter()
            .map(|(name, value)| (format!("static.{name}"), Added::Constant(value.as_str().into())));
        self.added.extend(fields);
        self
    }

    /// Bytes in outputs are base64 when `base64` is set, instead of text with dots for what can't be printed
    /// (Falco's `buffer_format_base64`).
    #[must_use]
    pub fn with_base64(mut self, base64: bool) -> Scope {
        self.base64 = base64;
        self
    }

    /// Every field reads the value given for it by hand ([`lanner_schema::view::System::given`]) instead of the event,
    /// and `declared` fields of these types are there too, `list` marking those that are lists.
    #[must_use]
    pub fn given(mut self, declared: impl IntoIterator<Item = (String, FieldType, bool)>) -> Scope {
        self.given = true;
        let declared = declared
            .into_iter()
            .map(|(name, ty, list)| (name, Added::Declared { ty, list }));
        self.added.extend(declared);
        self
    }

    /// The source.
    pub fn source(&self) -> &'static EventSource {
        self.source
    }

    /// True when fields read values given by hand.
    pub(crate) fn is_given(&self) -> bool {
        self.given
    }

    /// True when bytes in outputs are base64.
    pub(crate) fn is_base64(&self) -> bool {
        self.base64
    }

    pub(crate) fn added(&self, name: &str) -> Option<&Added> {
        self.added.get(name)
    }

    /// The fields that every alert should have (Falco's suggested output): those of the source that are marked so, and
    /// all that `static_fields` adds.
    pub(crate) fn suggested(&self) -> impl Iterator<Item = &str> {
        let fields = self.source.classes().iter().flat_map(|class| class.fields);
        let constants = self
            .added
            .iter()
            .filter(|(_, added)| matches!(added, Added::Constant(_)));
        fields
            .filter(|field| field.flags.suggested)
            .map(|field| field.name)
            .chain(constants.map(|(name, _)| name.as_str()))
    }

    /// Every name that is not hidden.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let fields = self.source.classes().iter().flat_map(|class| class.fields);
        fields
            .filter(|field| !field.flags.hidden)
            .map(|field| field.name)
            .chain(self.added.keys().map(String::as_str))
    }
}
