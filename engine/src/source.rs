//! Sources of events: a row each, with its own fields and event types.

use std::collections::HashMap;
use std::sync::OnceLock;

use lanner_schema::event::{EVENTS, Event, EventSet};
use lanner_schema::names::EVENT_NAMES;
use lanner_schema::names::event_of_call;

use crate::field::{self, Field, FieldClass};

/// A source of events: what a rule's `source` names.
///
/// A row is a `static`; rules are loaded for a list of rows, and an event says by its place in that list which of them it
/// comes from ([`lanner_schema::view::Source`]).
#[derive(Debug)]
pub struct EventSource {
    name: &'static str,
    doc: &'static str,
    classes: &'static [FieldClass],
    event_names: &'static [&'static str],
    is_event: fn(Event) -> bool,
    fields: OnceLock<HashMap<&'static str, &'static Field>>,
}

/// This host: system calls, what the kernel reports of its own accord, and news of containers.
pub static SYSCALL: EventSource = EventSource::new(
    "syscall",
    "system calls, and processes that start and end",
    field::FIELDS,
    EVENT_NAMES,
    |event| event.row().is_kernel() || event.row().is_meta(),
);

/// The sources that are served, in the order their events count them; rules without `source` belong to the first.
pub static SOURCES: &[&EventSource] = &[&SYSCALL];

impl EventSource {
    /// A row.
    ///
    /// `event_names` are what `evt.type` may be compared with, sorted; `is_event` tells the events of the table that
    /// this source can have, the others are none of its rules' business.
    pub const fn new(
        name: &'static str,
        doc: &'static str,
        classes: &'static [FieldClass],
        event_names: &'static [&'static str],
        is_event: fn(Event) -> bool,
    ) -> EventSource {
        EventSource {
            name,
            doc,
            classes,
            event_names,
            is_event,
            fields: OnceLock::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it reports, in a few words.
    pub fn doc(&self) -> &'static str {
        self.doc
    }

    /// Its fields, by class.
    pub fn classes(&self) -> &'static [FieldClass] {
        self.classes
    }

    /// The event types its rules may name, sorted.
    pub fn event_names(&self) -> &'static [&'static str] {
        self.event_names
    }

    /// Its events that are in the table of events.
    pub fn events(&self) -> EventSet {
        EVENTS
            .iter()
            .filter(|row| !row.is_internal() && (self.is_event)(row.event))
            .map(|row| row.event)
            .collect()
    }

    /// Its event with this name, when that is in the table of events.
    pub fn event(&self, name: &str) -> Option<Event> {
        Event::from_name(name).filter(|event| (self.is_event)(*event))
    }

    /// The name of the events that a rule means by `name`: a call may be known by another name than its event, as
    /// `pread64`, whose event is `pread`.
    pub fn event_name<'n>(&self, name: &'n str) -> &'n str {
        event_of_call(name)
            .filter(|event| self.event(event).is_some())
            .unwrap_or(name)
    }

    /// The row of the field called `name`, without any argument.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        let by_name = || {
            let fields = self.classes.iter().flat_map(|class| class.fields);
            fields.map(|field| (field.name, field)).collect()
        };
        self.fields.get_or_init(by_name).get(name).copied()
    }
}
