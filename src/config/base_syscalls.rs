//! `base_syscalls`: what is captured besides what the rules need, and what is not although they do.
//!
//! In Falco the set of system calls is there for its state, which follows descriptors and processes by them. Lanner's state
//! comes from the kernel's own objects, so that nothing has to be added or repaired: names in the set have no effect, and
//! names with `!` before them do the same as there.

use lanner_engine::nearest;
use lanner_schema::event::{EVENTS, Event, EventSet};
use lanner_schema::names::event_of_call;

use super::keys::Settings;
use super::message::Level;
use super::tree::{Node, Wrong};

/// The event of a system call, by the call's name or the event's.
fn event(name: &str) -> Option<Event> {
    let event = Event::from_name(event_of_call(name).unwrap_or(name));
    event.filter(|event| event.row().is_call())
}

/// Reads `base_syscalls.custom_set`.
pub(super) fn custom_set(settings: &mut Settings, node: &Node) -> Result<(), Wrong> {
    let mut excluded = EventSet::NONE;
    let wrong = |wrong: Wrong| wrong.of("a list of names of system calls");
    for text in node.texts().map_err(wrong)? {
        let (leave_out, name) = match text.strip_prefix('!') {
            Some(name) => (true, name.trim()),
            None => (false, text.trim()),
        };
        match event(name) {
            Some(event) if leave_out => excluded.insert(event),
            Some(_) => {}
            None if name.is_empty() => {}
            None => {
                let calls = EVENTS.iter().filter(|row| row.is_call()).map(|row| row.name);
                let hint = nearest(name, calls).map(|near| format!("did you mean {near}?"));
                let text = format!("base_syscalls.custom_set: no system call is called {name:?}");
                settings.messages.add(Level::Warning, &node.at, text, hint);
            }
        }
    }
    settings.config.capture.excluded = excluded;
    Ok(())
}
