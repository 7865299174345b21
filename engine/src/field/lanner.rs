//! `lanner.*`: what Falco has no field for.

use lanner_schema::view::{EventView, Outcome, ParamValue};

use super::Extract::{One, Plain};
use super::{Arg, Field, evt, fields};
use crate::value::Value;

/// The names of what is incomplete, joined by commas: parameters of the event, and arguments and environment of its process.
fn truncated<'b>(view: &EventView<'b>, _: &Arg, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    buf.clear();
    let mut add = |name: &str| {
        if !buf.is_empty() {
            buf.push(b',');
        }
        buf.extend_from_slice(name.as_bytes());
    };
    for (index, param) in view.event.row().params.iter().enumerate() {
        if view.wire.param(index).is_some_and(|value| value.truncated) {
            add(param.name);
        }
    }
    if let Some(process) = view.process {
        for (is_cut, name) in [
            (process.image.args_cut, "proc.args"),
            (process.image.env_cut, "proc.env"),
        ] {
            if is_cut {
                add(name);
            }
        }
    }
    (!buf.is_empty()).then_some(Value::Bytes(buf))
}

fn filesystem_path<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    match view.param_named("filesystem_path")? {
        ParamValue::Path { resolved, .. } => resolved.map(Value::Bytes),
        _ => None,
    }
}

/// Which of the paths of an event its brackets name.
fn which(arg: &Arg) -> usize {
    match arg {
        Arg::Index(which) => *which,
        _ => 0,
    }
}

fn program<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    Some(Value::Bytes(view.process?.image.program()))
}

fn by_io_uring<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    // What a source without BPF saw succeed may have been done either way.
    evt::knows_what_was_passed(view).then(|| Value::Bool(view.io_uring.is_some()))
}

fn io_uring_result<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    Some(Value::Bytes(view.io_uring?.name().as_bytes()))
}

fn requested_name<'b>(view: &EventView<'b>, arg: &Arg) -> Option<Value<'b>> {
    let (requested, _) = view.requested_and_real_name(which(arg));
    requested
        .filter(|_| evt::knows_what_was_passed(view))
        .map(Value::Bytes)
}

fn attempted<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    Some(Value::Bool(
        view.outcome == Outcome::Attempted && view.failed().is_none(),
    ))
}

pub(super) static FIELDS: &[Field] = fields! {
    "lanner.program" CharBuf None [] "Path of the program that the process runs: proc.exepath, and where that is the dynamic loader, the program it was told to run (ld-linux-x86-64.so.2 /bin/cat: /bin/cat), as it was told." => Plain(program);
    "lanner.io_uring" Bool None [] "The event is no system call but an operation of io_uring that does the same." => Plain(by_io_uring);
    "lanner.io_uring.result" CharBuf None [] "How an operation of io_uring ended: 'completed', 'succeeded' (it was to be silent unless it failed, and was; a descriptor it made has the number 4294967295) or 'unknown' (nothing was heard of its end); missing for system calls." => Plain(io_uring_result);
    "lanner.truncated" CharBuf None [] "Names of the event's parameters (name, args, …) that were longer than what is kept of them, and proc.args or proc.env when those of the process were; missing when nothing was." => One(truncated);
    "lanner.requested_name" CharBuf Index [] "The absolute path the call asked for: what was passed, from the directory it starts at, symbolic links not followed. [1] is the second path of a rename or link." => One(|e, arg, _| requested_name(e, arg));
    "lanner.attempted" Bool None [] "The call was seen when it began, and whether it succeeded is not known: so it is of what seccomp notify tells on hosts without BPF." => Plain(attempted);
    "lanner.real_name" CharBuf Index [] "The path the kernel has for it, where the call succeeded and that can be told: of an open what it opened, whatever its caller passed. [1] as above." => One(|e, arg, _| e.requested_and_real_name(which(arg)).1.map(Value::Bytes));
    "lanner.filesystem_path" CharBuf None [] "The path of what an open opened within its file system, whatever is mounted where: below a bind mount, that of its source." => Plain(filesystem_path);
    "lanner.is_open_path" Bool None [] "The open was by O_PATH: its descriptor stands for the file and can neither be read nor written. What opens the file through it is an event of its own." => Plain(|e| Some(Value::Bool(evt::opens_path(e))));
    "lanner.names_differ" Bool None [] "One is not the other: symbolic links or links of /proc were followed, or another thread changed the name during the call. Missing where no real name is known." => Plain(|e| e.names_differ().map(Value::Bool));
};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lanner_schema::event::Event;
    use lanner_schema::record::WireBuilder;

    use crate::output::Template;
    use crate::testing::Happening;

    fn shown(happening: &Happening) -> String {
        let template = Template::compile("*%lanner.truncated").unwrap();
        let (mut out, mut values) = (String::new(), Vec::new());
        happening.view(|view| template.render(view, &mut out, &mut values));
        out
    }

    #[test]
    fn what_was_cut_is_named() {
        assert_eq!(shown(&Happening::openat(b"/x", 0, 3)), "<NA>");
        let wire = WireBuilder::new().number(-36).text("/a").cut().text("/b").cut();
        let mut happening = Happening::new(Event::Rename, wire);
        assert_eq!(shown(&happening), "oldpath,newpath");
        let process = happening.machine.processes.get_mut(&30).unwrap();
        let image = Arc::make_mut(&mut process.image);
        (image.args_cut, image.env_cut) = (true, true);
        assert_eq!(shown(&happening), "oldpath,newpath,proc.args,proc.env");
    }
}
