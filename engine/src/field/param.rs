//! Event parameters: as text (`evt.arg`), as they are (`evt.rawarg`), and the paths of file operations (`fs.path`).

use std::sync::LazyLock;

use lanner_schema::event::{EVENTS, Event, Format, Origin, ParamType};
use lanner_schema::view::{EventView, ParamValue};

use super::Extract::Plain;
pub(super) use super::param_text::{address_text, number, tuple_text};
use super::param_text::{falco, is_empty, plain, resolved};
use super::{Arg, Field, evt, fields};
use crate::value::{FieldType, Value};

/// Which parameters a field reads besides those its argument names.
pub(super) enum Reads {
    /// None.
    None,
    /// The one its index names.
    Indexed,
    /// All.
    All,
    /// The one with this name.
    Named(&'static str),
    /// The object of the event's descriptor.
    Object,
    /// The object of the event's descriptor, also of one that was opened by a name.
    Layer,
    /// The object of the event's descriptor, where the event has no parameter of this name.
    ObjectOr(&'static str),
    /// The path that the field shows.
    Path,
    /// The kernel's names of what the event acted on.
    RealNames,
    /// The descriptors of a poll.
    Polled,
    /// The same, and what they refer to.
    PolledObjects,
}

/// Which parameters the field called `name` reads.
pub(super) fn reads(name: &str) -> Reads {
    match name {
        "evt.args" | "evt.info" => Reads::All,
        "evt.arg" => Reads::Indexed,
        "fd.num" | "fd.uid" | "fd.name_changed" | "fd.types" => Reads::None,
        "fd.dev" | "fd.dev.major" | "fd.dev.minor" => Reads::ObjectOr("dev"),
        "fd.ino" => Reads::ObjectOr("ino"),
        "evt.buffer" => Reads::Named("data"),
        "fd.is_upper_layer" | "fd.is_lower_layer" => Reads::Layer,
        // The class of what moves data is that of what it moves it to or from.
        "evt.category"
        | "evt.is_syslog"
        | "evt.count.error.file"
        | "evt.count.error.net"
        | "evt.count.error.other" => Reads::Object,
        "lanner.filesystem_path" => Reads::Named("filesystem_path"),
        "lanner.requested_name" | "lanner.real_name" | "lanner.names_differ" => Reads::RealNames,
        "fdlist.nums" => Reads::Polled,
        _ if name.starts_with("fdlist.") => Reads::PolledObjects,
        _ if name.starts_with("fd.") => Reads::Object,
        _ if name.starts_with("fs.path.") => Reads::Path,
        _ => Reads::None,
    }
}

/// True for fields about the kernel's names.
pub(super) fn reads_real_names(name: &str) -> bool {
    matches!(reads(name), Reads::RealNames)
}

/// The type of `evt.rawarg` for a parameter.
pub(super) fn field_type(ty: ParamType) -> FieldType {
    match ty {
        ParamType::Errno | ParamType::Fd | ParamType::Pid | ParamType::I64 => FieldType::Int64,
        ParamType::I32 => FieldType::Int32,
        ParamType::Uid | ParamType::Gid => FieldType::Opaque,
        ParamType::U64 | ParamType::PtraceWord(_) => FieldType::Uint64,
        ParamType::AbsTime => FieldType::AbsTime,
        ParamType::RelTime => FieldType::RelTime,
        ParamType::U8
        | ParamType::U16
        | ParamType::U32
        | ParamType::Signal
        | ParamType::SyscallId
        | ParamType::Flags(_)
        | ParamType::Enum(_)
        | ParamType::CreateMode(_)
        | ParamType::Mode(_) => FieldType::Uint32,
        ParamType::CharBuf | ParamType::FsPath | ParamType::FsRelPath(_) | ParamType::RealPath(_) => {
            FieldType::CharBuf
        }
        ParamType::ByteBuf
        | ParamType::SockTuple
        | ParamType::SockAddr
        | ParamType::FdList
        | ParamType::Objects(_)
        | ParamType::Object(_) => FieldType::ByteBuf,
        // The most frequent of its types.
        ParamType::Dyn => FieldType::Int64,
    }
}

/// The index of the parameter that `arg` names on this event.
pub(super) fn index(event: Event, arg: &Arg) -> Option<usize> {
    match arg {
        Arg::Param(_, indexes) => match indexes.get(event.description()) {
            None | Some(&u8::MAX) => None,
            Some(index) => Some((*index).into()),
        },
        Arg::Index(n) => event.row().params.get(*n).filter(|p| !p.hidden).map(|_| *n),
        _ => None,
    }
}

/// `evt.rawarg.NAME`.
pub(super) fn raw<'b>(view: &EventView<'b>, arg: &Arg, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let index = index(view.event, arg)?;
    match view.param(index)? {
        ParamValue::I64(value) => Some(Value::I64(value)),
        ParamValue::U64(value) if matches!(view.event.row().params[index].from, Origin::KeyctlArg(_)) => {
            Some(Value::I64(value.cast_signed()))
        }
        ParamValue::U64(value) => Some(Value::U64(falco(view.event.row().params[index].ty, value))),
        ParamValue::Bytes(bytes) if is_empty(view.event.row().params[index].ty, bytes) => None,
        ParamValue::Bytes(bytes) => Some(Value::Bytes(bytes)),
        ParamValue::Path { .. } if !evt::knows_what_was_passed(view) => None,
        ParamValue::Path { raw, .. } => Some(Value::Bytes(raw)),
        ParamValue::Tuple(tuple) if view.event.row().params[index].ty == ParamType::SockAddr => {
            address_text(&tuple, buf);
            Some(Value::Bytes(buf))
        }
        ParamValue::Tuple(tuple) => {
            tuple_text(&tuple, view.event.row().params[index].is_inbound(), buf);
            Some(Value::Bytes(buf))
        }
    }
}

/// How `evt.rawarg` prints a number of this event.
pub(crate) fn format(view: &EventView<'_>, arg: &Arg) -> Format {
    let param = index(view.event, arg).and_then(|index| view.event.row().params.get(index));
    param.map_or(Format::Decimal, |param| param.format)
}

/// `evt.arg.NAME` and `evt.arg[N]`: the form with names when there is one, else the plain one; `NULL` when the call had
/// no value there.
pub(super) fn text<'b>(view: &EventView<'b>, arg: &Arg, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let index = index(view.event, arg)?;
    // The common ones without copying.
    match view.param(index) {
        Some(ParamValue::Path { raw, resolved }) => return Some(Value::Bytes(resolved.unwrap_or(raw))),
        Some(ParamValue::Bytes(bytes))
            if !matches!(
                view.event.row().params[index].ty,
                ParamType::ByteBuf | ParamType::FdList
            ) =>
        {
            return Some(Value::Bytes(bytes));
        }
        // Nothing fills it: that it is NULL is not known.
        None if view.event.row().params[index].is_unfilled() || !evt::told(view) => return None,
        _ => {}
    }
    if !resolved(view, index, buf) {
        plain(view, index, buf);
    }
    Some(Value::Bytes(buf))
}

/// `evt.args`: `name=value ` for every parameter, with the form with names in parentheses after the value.
pub(super) fn all<'b>(view: &EventView<'b>, _: &Arg, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let mut with_names = Vec::new();
    let params = view.event.row().params.iter().enumerate();
    for (index, param) in params.filter(|(_, param)| !param.hidden) {
        buf.extend_from_slice(param.name.as_bytes());
        buf.push(b'=');
        let start = buf.len();
        plain(view, index, buf);
        with_names.clear();
        if resolved(view, index, &mut with_names) && with_names != buf[start..] {
            buf.push(b'(');
            buf.extend_from_slice(&with_names);
            buf.push(b')');
        }
        buf.push(b' ');
    }
    Some(Value::Bytes(buf))
}

/// Which path a field of `fs.path` asks for.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Name,
    Source,
    Target,
}

/// The parameter with that role. `source` of `link` and `symlink` is the new path: Falco's choice.
fn path_param(event: Event, role: Role) -> Option<&'static str> {
    use Event as E;
    match (event, role) {
        (E::Open | E::Openat | E::Openat2 | E::Creat | E::Unlinkat, Role::Name) => Some("name"),
        (E::Mkdir | E::Mkdirat | E::Rmdir | E::Unlink, Role::Name) => Some("path"),
        (E::Fchmod, Role::Name) => Some("object"),
        (E::Umount | E::Umount2, Role::Name) => Some("name"),
        (E::Mount, Role::Source) => Some("dev"),
        (E::Mount, Role::Target) => Some("dir"),
        (E::Chmod | E::Fchmodat, Role::Name) => Some("filename"),
        (E::Chown | E::Lchown, Role::Name) => Some("path"),
        (E::Fchown, Role::Name) => Some("object"),
        (E::Fchownat, Role::Name) => Some("pathname"),
        (E::Quotactl, Role::Name) => Some("special"),
        (E::Rename | E::Renameat | E::Renameat2, Role::Source) => Some("oldpath"),
        (E::Rename | E::Renameat | E::Renameat2, Role::Target) => Some("newpath"),
        (E::Link | E::Linkat, Role::Source) => Some("newpath"),
        (E::Link | E::Linkat, Role::Target) => Some("oldpath"),
        (E::Symlink | E::Symlinkat, Role::Source) => Some("linkpath"),
        (E::Symlink | E::Symlinkat, Role::Target) => Some("target"),
        _ => None,
    }
}

/// The index of that parameter, looked up by name once.
fn path_index(event: Event, role: Role) -> Option<u8> {
    static INDEXES: LazyLock<Vec<[Option<u8>; 3]>> = LazyLock::new(|| {
        let index = |event: Event, role| u8::try_from(event.row().param(path_param(event, role)?)?).ok();
        let roles = |event| [Role::Name, Role::Source, Role::Target].map(|role| index(event, role));
        EVENTS.iter().map(|row| roles(row.event)).collect()
    });
    INDEXES.get(event as usize)?[role as usize]
}

fn path<'b>(view: &EventView<'b>, role: Role, as_passed: bool) -> Option<Value<'b>> {
    match evt::return_value(view) {
        Some(result) if result < 0 => return None,
        None if evt::told(view) => return None,
        _ => {}
    }
    if as_passed && !evt::knows_what_was_passed(view) {
        return None;
    }
    match view.param(path_index(view.event, role)?.into())? {
        ParamValue::Path { raw, resolved } => {
            let value = if as_passed { raw } else { resolved.unwrap_or(raw) };
            Some(Value::Bytes(value))
        }
        ParamValue::Bytes(bytes) => Some(Value::Bytes(bytes)),
        _ => None,
    }
}

/// The parameter with the path that the field called `name` asks for on a successful event of this type.
pub(super) fn path_index_of(event: Event, name: &str) -> Option<usize> {
    let role = match name.trim_start_matches("fs.path.") {
        "source" | "sourceraw" => Role::Source,
        "target" | "targetraw" => Role::Target,
        _ => Role::Name,
    };
    path_index(event, role).map(usize::from)
}

/// True when a successful event of this type has the path that the field called `name` asks for.
pub(super) fn has_path(event: Event, name: &str) -> bool {
    path_index_of(event, name).is_some()
}

/// True when the field of `fs.path` that is called `name` is, on a successful event of this type, a path that was passed and made
/// absolute, or where that led.
pub(crate) fn call_path(event: Event, name: &str) -> bool {
    let param = path_index_of(event, name).and_then(|index| event.row().params.get(index));
    param.is_some_and(|param| matches!(param.from, Origin::UserPath { .. }))
}

/// The parameter that `evt.abspath` shows: the path of the `*at` calls; `.src` and `.dst` pick a side of `renameat` and
/// `linkat`.
pub(super) fn absolute_param(event: Event, arg: &Arg) -> Option<&'static str> {
    use Event as E;
    let side = match arg {
        Arg::Key(key) => &**key,
        _ => "",
    };
    Some(match (event, side) {
        (E::Openat | E::Openat2 | E::Unlinkat, "") => "name",
        (E::Mkdirat, "") => "path",
        (E::Fchmodat, "") => "filename",
        (E::Symlinkat, "") => "linkpath",
        (E::Renameat | E::Renameat2 | E::Linkat, "" | "src") => "oldpath",
        (E::Renameat | E::Renameat2 | E::Linkat, "dst") => "newpath",
        _ => return None,
    })
}

/// `evt.abspath`.
pub(super) fn absolute<'b>(view: &EventView<'b>, arg: &Arg) -> Option<Value<'b>> {
    match view.param_named(absolute_param(view.event, arg)?)? {
        ParamValue::Path { resolved, .. } => resolved.map(Value::Bytes),
        _ => None,
    }
}

pub(super) static FS_PATH_FIELDS: &[Field] = fields! {
    "fs.path.name" CharBuf None [] "Absolute path that a successful call acted on." => Plain(|e| path(e, Role::Name, false));
    "fs.path.nameraw" CharBuf None [] "That path as the caller passed it." => Plain(|e| path(e, Role::Name, true));
    "fs.path.source" CharBuf None [] "Absolute source path of a rename; of a link or symlink, the new path; of a mount, what is mounted, as it was passed." => Plain(|e| path(e, Role::Source, false));
    "fs.path.sourceraw" CharBuf None [] "That path as the caller passed it." => Plain(|e| path(e, Role::Source, true));
    "fs.path.target" CharBuf None [] "Absolute target path of a rename; of a link or symlink, what it points to; of a mount, where." => Plain(|e| path(e, Role::Target, false));
    "fs.path.targetraw" CharBuf None [] "That path as the caller passed it." => Plain(|e| path(e, Role::Target, true));
};

#[cfg(test)]
#[path = "param_process_tests.rs"]
mod process_tests;
