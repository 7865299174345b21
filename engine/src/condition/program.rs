//! A compiled condition.

use std::collections::BTreeSet;

use lanner_schema::event::{Event, EventSet, FdUse, Needs};
use lanner_schema::tier::Source;
use lanner_schema::view::EventView;

use super::ast::Expr;
use super::check::{Checker, MOST};
use super::error::{CheckError, Warning};
use super::events::TypeSet;
use super::excused::{self, Who};
use super::named_paths::named_paths;
use super::node::{Node, compile_node};
use crate::field::{Arg, FieldRef};
use crate::scope::Scope;

/// Buffers that evaluation reuses; one per thread.
#[derive(Debug, Default)]
pub struct Scratch {
    free: Vec<Vec<u8>>,
}

impl Scratch {
    /// No buffers yet: they are allocated at the first event that needs them.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut buf = self.free.pop().unwrap_or_default();
        buf.clear();
        buf
    }

    pub(crate) fn put(&mut self, buf: Vec<u8>) {
        self.free.push(buf);
    }
}

/// A compiled condition: immutable, shared between threads.
#[derive(Debug)]
pub struct Program {
    pub(super) root: Node,
    types: TypeSet,
    /// The captured events among them, which is asked often.
    events: EventSet,
    fields: Vec<FieldRef>,
    host_names: Vec<Box<str>>,
    paths: BTreeSet<Box<[u8]>>,
    warnings: Vec<Warning>,
}

/// Compiles a condition without macros whose fields are those of the first source.
///
/// # Errors
/// Every error it finds, in the order of the text.
pub fn compile(expr: &Expr) -> Result<Program, Vec<CheckError>> {
    compile_in(expr, &Scope::default())
}

/// Compiles a condition without macros.
///
/// # Errors
/// Every error it finds, in the order of the text.
pub fn compile_in(expr: &Expr, scope: &Scope) -> Result<Program, Vec<CheckError>> {
    let mut checker = Checker::new(scope);
    let root = compile_node(expr, &mut checker);
    let Checker {
        errors,
        mut warnings,
        fields,
        host_names,
        ..
    } = checker;
    warnings.truncate(MOST);
    let types = TypeSet::of(expr, scope.source());
    let mut paths = BTreeSet::new();
    let leaves_none_open =
        |event: Event| Source::Fanotify.sees(event) && !matches!(event.row().fd, FdUse::Opens { .. });
    if types.events().iter().any(leaves_none_open) {
        named_paths(expr, &mut paths);
    }
    match root {
        Some(root) if errors.is_empty() => Ok(Program {
            root,
            events: types.events(),
            types,
            fields,
            host_names,
            paths,
            warnings,
        }),
        _ => Err(errors),
    }
}

impl Program {
    /// The captured events on which the condition can be true. It may name more than it should, never less.
    pub fn events(&self) -> EventSet {
        self.events
    }

    /// The event types the condition asks for by name that Falco knows and Lanner does not capture yet, sorted.
    pub fn blind_events(&self) -> Vec<&'static str> {
        self.types.blind()
    }

    /// How many of the event types it can be true on it does not name and is not shown.
    pub fn unnamed_event_types(&self) -> usize {
        let shown = self.events().len() - self.unnamed_io().len();
        self.types.len().saturating_sub(shown + self.blind_events().len())
    }

    /// How many of Falco's event types the condition can be true on. Falco warns (LOAD_NO_EVTTYPE) above 100.
    pub fn event_type_count(&self) -> usize {
        self.types.len()
    }

    /// True when the condition confines itself to some event types (100 at most, as Falco counts); false when the
    /// loader should warn with LOAD_NO_EVTTYPE.
    pub fn names_event_types(&self) -> bool {
        self.types.len() <= 100
    }

    /// The fields it reads, each use of it.
    pub fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// The host names it compares addresses with.
    pub fn host_names(&self) -> &[Box<str>] {
        &self.host_names
    }

    /// What is not wrong, but perhaps not meant.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Adds what the condition needs captured: its events, and the on-demand parameters its fields read on them.
    pub fn needs(&self, needs: &mut Needs) {
        let events = self.events();
        let unnamed_io = self.unnamed_io();
        needs.events = needs.events.union(events.difference(unnamed_io));
        needs.unnamed_io = needs.unnamed_io.union(unnamed_io);
        add_params(&self.fields, events, needs);
        needs.paths.extend(self.paths.iter().cloned());
    }

    /// Adds the kernel's names of what the condition reads the names of: with them it is evaluated a second time. To be called
    /// when all that conditions and outputs read for themselves has been added.
    pub(crate) fn real_names(&self, needs: &mut Needs) {
        for event in self.events().iter() {
            let bits = self.fields.iter().map(|field| field.real_names(event));
            let mut bits = bits.fold(0, |all, bits| all | bits);
            let looked_up = event.row().looked_up();
            if bits & looked_up != 0 {
                match excused::of(&self.root, event) {
                    Who::All => bits &= !looked_up,
                    Who::These(programs) => needs.excuse(event, programs),
                }
            }
            needs.params[event as usize] |= bits;
        }
    }

    /// The calls that read and write on which the condition can be true although it does not name them: they are
    /// captured for others or when the operator wants all. It is evaluated on those that come.
    pub(crate) fn unnamed_io(&self) -> EventSet {
        let by_field = self.fields.iter().filter_map(|field| match &field.arg {
            Arg::Events(_, events) => Some(*events),
            _ => None,
        });
        let named = by_field.fold(self.types.named_events(), EventSet::union);
        self.events().intersection(EventSet::IO).difference(named)
    }

    /// True when the event satisfies the condition. A check on a missing value is false. Does not look at the event's
    /// type first: the caller runs it on [`Program::events`] only.
    pub fn matches(&self, view: &EventView<'_>, scratch: &mut Scratch) -> bool {
        self.root.matches(view, scratch)
    }
}

/// Adds what `fields` read on `events`: their on-demand parameters, and what has to be followed of processes.
pub(crate) fn add_params(fields: &[FieldRef], events: EventSet, needs: &mut Needs) {
    for field in fields {
        needs.task_state |= field.reads_task_state();
        for event in events.iter() {
            field.add_needs(event, needs);
        }
    }
}
