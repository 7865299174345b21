//! What the type of an event alone says about a field: rules are specialised for each event with it.

use lanner_schema::event::{Category, Event, FdUse, ParamType};

use super::{Arg, Extract, FieldRef, ValueOrigin, evt, param};

/// True when the field has the same value, or none, on every event of this type, whatever happened.
pub(crate) fn is_decided(field: &FieldRef, event: Event) -> bool {
    let row = event.row();
    let has_result = row.result().is_some();
    let name = field.row.name;
    // Their class is that of what they move data to or from.
    let moves = matches!(
        row.category,
        Category::IoRead | Category::IoWrite | Category::IoOther
    );
    match field.extract() {
        Some(Extract::Unfilled) => return true,
        Some(_) => {}
        None => return matches!(field.origin, ValueOrigin::Constant { .. }),
    }
    match name {
        // News of a container have no thread.
        _ if row.is_meta() && is_of_thread(name) => true,
        "evt.type" | "evt.type.is" | "syscall.type" | "evt.dir" => true,
        "evt.category" => !moves,
        "evt.count" | "evt.count.exit" | "evt.is_async" | "evt.is_wait" => true,
        "evt.pluginname" | "evt.plugininfo" | "evt.asynctype" => true,
        "evt.is_syslog" => row.category != Category::IoWrite,
        "evt.is_io" | "evt.is_io_read" | "evt.is_io_write" | "evt.io_dir" => true,
        "evt.rawres" | "evt.res" | "evt.failed" | "evt.count.error" => !has_result,
        "evt.count.error.file" => !has_result || !(moves || row.category == Category::File),
        "evt.count.error.net" => !has_result || !(moves || row.category == Category::Net),
        "evt.count.error.memory" => !has_result || row.category.name() != "memory",
        "evt.count.error.other" => !has_result || matches!(row.category, Category::File | Category::Net),
        "evt.is_open_read" | "evt.is_open_write" | "lanner.is_open_path" => !evt::has_access(event),
        "evt.is_open_exec" | "evt.is_open_create" => !evt::is_open(event) && event != Event::Creat,
        "evt.arg" | "evt.rawarg" => match &field.arg {
            Arg::Param(..) | Arg::Index(_) => param::index(event, &field.arg).is_none(),
            _ => false,
        },
        "evt.abspath" => param::absolute_param(event, &field.arg).is_none(),
        _ if name.starts_with("fs.path.") => !has_result || !param::has_path(event, name),
        "lanner.filesystem_path" => row.param("filesystem_path").is_none(),
        _ if param::reads_real_names(name) => row.real_paths().next().is_none(),
        // The process's, not the event's.
        "fd.types" => false,
        _ if name.starts_with("fd.") => row.fd == FdUse::None,
        _ if name.starts_with("fdlist.") => !row.params.iter().any(|p| p.ty == ParamType::FdList),
        _ => false,
    }
}

fn is_of_thread(name: &str) -> bool {
    matches!(name.split('.').next(), Some("proc" | "thread" | "user" | "group"))
}

/// The parameter that an `evt.arg` shows on this type of event.
pub(crate) fn param_of(field: &FieldRef, event: Event) -> Option<usize> {
    match field.row.name {
        "evt.arg" => param::index(event, &field.arg),
        _ => None,
    }
}

/// True when a value of the field is usually built in a buffer on this event. Of those that are [`Extract::Mostly`] there
/// it is the name of a socket; paths are borrowed.
pub(crate) fn is_built(field: &FieldRef, event: Event) -> bool {
    match field.row.extract {
        _ if field.origin != ValueOrigin::Event => true,
        Extract::Mostly(..) => !matches!(event.row().fd, FdUse::None | FdUse::Opens { .. }),
        Extract::One(_) | Extract::Ancestor(_) => true,
        _ => false,
    }
}
