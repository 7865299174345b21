//! What has to be known of an event for the value of a field to be known, where not everything is
//! ([`lanner_schema::view::Outcome`]): of events that no BPF program saw.

use lanner_schema::container::Owner;
use lanner_schema::event::{Category, Event, FdUse, Origin, Param, ParamType};
use lanner_schema::process::Process;
use lanner_schema::record::{AF_INET, AF_INET6};
use lanner_schema::view::{EventView, Outcome};

use super::quality::{About, Part as Of, part};
use super::{Arg, FieldRef, ValueOrigin, param, process};
use crate::value::Value;

/// Something of an event that may not be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The result of the call.
    Result,
    /// A parameter.
    Param(u8),
    /// A path, which calls that fail have not.
    Path(u8),
    /// Whether an open was for reading.
    Read(u8),
    /// The flags of an open, all of them: a file that is open tells some.
    Flags(u8),
    /// Every parameter that is shown.
    Params,
    /// What was passed: only who saw the call begin knows.
    Passed,
    /// What the descriptor refers to.
    Descriptor,
    /// Both ends of a socket.
    Ends,
    /// The protocol of a socket.
    Protocol,
    /// The process.
    Process,
    /// The arguments of its program.
    Arguments,
    /// The path of its program.
    Executable,
    /// The process that started it.
    Parent,
    /// All processes above it.
    Ancestors,
    /// Its user.
    User,
    /// Whose it is.
    Owner,
    /// Nothing but a value tells.
    Value,
    /// Nothing tells.
    Never,
}

/// What a value says of whether it is known, where some part is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// It would not be there if it were not known.
    Any,
    /// It is there anyway.
    None,
    /// It is there anyway, but would not be true.
    True,
}

/// When the value of a field is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Knowledge {
    parts: Vec<Part>,
    evidence: Evidence,
}

impl Knowledge {
    /// Of what a field rests on for this type of event; `None` when its value is always known.
    pub(crate) fn of(field: &FieldRef, event: Event) -> Option<Knowledge> {
        if field.origin != ValueOrigin::Event || event.row().is_meta() {
            return None;
        }
        let (parts, evidence) = parts(field, event);
        (!parts.is_empty()).then_some(Knowledge { parts, evidence })
    }

    /// True when it rests on the result of the call.
    pub(crate) fn rests_on_result(&self) -> bool {
        self.parts.contains(&Part::Result)
    }

    /// True when the value is a text of what is known, which is longer when more is.
    pub(crate) fn is_of_parts(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Flags(_) | Part::Params))
    }

    /// True when the value of `field`, or that it has none, is known; `buf` is empty and may be used. The result of the call
    /// is not looked at.
    pub(crate) fn is_known<'b>(&self, field: &FieldRef, view: &EventView<'b>, buf: &'b mut Vec<u8>) -> bool {
        if self.parts.iter().all(|part| part.is_known(view)) {
            return true;
        }
        match self.evidence {
            Evidence::None => false,
            // /proc may have a value of whoever has the number by then.
            Evidence::Any if self.parts.contains(&Part::Process) && !Part::Process.is_known(view) => false,
            Evidence::Any => field.get(view, buf).is_some(),
            Evidence::True => matches!(field.get(view, buf), Some(Value::Bool(true))),
        }
    }
}

impl Part {
    fn is_known(self, view: &EventView<'_>) -> bool {
        match self {
            Part::Result => true,
            Part::Param(index) => has_param(view, index),
            Part::Path(index) => view.failed() == Some(true) || has_param(view, index),
            Part::Read(index) => has_param(view, index) && !view.maybe_reads(index.into()),
            Part::Flags(index) => view.outcome == Outcome::Attempted && has_param(view, index),
            Part::Params => (0u8..)
                .zip(view.event.row().params)
                .filter(|(_, param)| !param.hidden && param.from != Origin::Return)
                .all(|(index, _)| has_param(view, index)),
            Part::Passed => view.outcome == Outcome::Attempted,
            Part::Descriptor => view.descriptor.is_some_and(|fd| fd.is_known()),
            Part::Ends => view.descriptor.is_some_and(|fd| match fd.tuple {
                Some(tuple) if matches!(tuple.family, AF_INET | AF_INET6) => {
                    tuple.local.is_some() && tuple.remote.is_some()
                }
                Some(_) => true,
                // Something else than a socket.
                None => fd.is_known(),
            }),
            Part::Protocol => view.descriptor.is_some_and(|fd| match fd.tuple {
                Some(tuple) => tuple.protocol != 0 || tuple.kind != 0,
                None => fd.is_known(),
            }),
            Part::Process => view.process.is_some_and(is_told),
            // Every program has a name of its own as its first argument, or should have.
            Part::Arguments => view.process.is_some_and(|process| !process.image.exe.is_empty()),
            Part::Executable => view
                .process
                .is_some_and(|process| !process.image.exepath.is_empty()),
            Part::Parent => match view.process {
                Some(process) => process.ppid == 0 || view.system.parent(process).is_some_and(is_told),
                None => false,
            },
            Part::Ancestors => process::lineage_is_whole(view),
            Part::User => view.uid != u32::MAX,
            Part::Owner => match view.owner {
                Owner::Container(_) => true,
                Owner::Host => view.process.is_some_and(|process| process.cgroup != 0),
            },
            Part::Value | Part::Never => false,
        }
    }
}

/// True when more than the id of a process is known.
pub(super) fn is_told(process: &Process) -> bool {
    !process.image.comm.is_empty()
}

fn has_param(view: &EventView<'_>, index: u8) -> bool {
    let Some(param) = view.event.row().params.get(usize::from(index)) else {
        return true;
    };
    // What it means depends on the flags.
    if let ParamType::CreateMode(flags) = param.ty
        && !Part::Flags(flags).is_known(view)
    {
        return false;
    }
    view.wire.param(index.into()).is_some()
        || view.paths.iter().any(|path| path.param == index)
        || match param.from {
            Origin::Constant(_) => true,
            Origin::Return => view.failed().is_some(),
            _ => param.state.is_some() && view.process.is_some_and(is_told),
        }
}

fn parts(field: &FieldRef, event: Event) -> (Vec<Part>, Evidence) {
    use Evidence as E;
    let name = field.row.name;
    let row = event.row();
    let param_named = |name: &str| row.param(name).and_then(|index| u8::try_from(index).ok());
    let moves = matches!(
        row.category,
        Category::IoRead | Category::IoWrite | Category::IoOther
    );
    let opens_with = |extra: &[&str]| {
        let flags = match row.fd {
            FdUse::Opens { flags, .. } => Some(flags),
            _ => param_named("flags"),
        };
        let extra = extra.iter().filter_map(|name| param_named(name)).map(Part::Param);
        let parts: Vec<Part> = flags.map(Part::Flags).into_iter().chain(extra).collect();
        parts
    };
    match About::of(name) {
        None | Some(About::Nothing) => (vec![], E::Any),
        Some(About::Record) => match name {
            "evt.cpu" => (vec![Part::Never], E::None),
            "evt.category" | "evt.is_syslog" if moves => (vec![Part::Descriptor], E::None),
            // What fanotify tells of may have been done by either.
            "lanner.io_uring" => (vec![Part::Passed], E::None),
            "lanner.filesystem_path" => (vec![Part::Value], E::Any),
            "lanner.requested_name" => (vec![Part::Passed], E::None),
            _ if param::reads_real_names(name) => (vec![Part::Value], E::Any),
            _ => (vec![], E::Any),
        },
        Some(About::Data) if name == "evt.buffer" => (vec![Part::Value], E::Any),
        Some(About::Data) => (vec![Part::Result, Part::Descriptor], E::Any),
        Some(About::Result) if name.starts_with("evt.count.error.") && moves => {
            (vec![Part::Result, Part::Descriptor], E::None)
        }
        Some(About::Result) => (vec![Part::Result], E::Any),
        Some(About::Param) => {
            let index = match name {
                "evt.abspath" => param::absolute_param(event, &field.arg).and_then(param_named),
                _ => param::index(event, &field.arg).and_then(|index| u8::try_from(index).ok()),
            };
            let Some(index) = index else {
                return (vec![], E::Any);
            };
            let param = &row.params[usize::from(index)];
            match (row.fd, param.from) {
                (_, Origin::Return) => (vec![Part::Result], E::Any),
                (FdUse::Opens { flags, .. }, _) if flags == index => (vec![Part::Flags(flags)], E::None),
                (_, Origin::UserPath { .. }) if name == "evt.rawarg" => {
                    (vec![Part::Passed, Part::Param(index)], E::None)
                }
                _ => (vec![Part::Param(index)], E::None),
            }
        }
        Some(About::Params) => (vec![Part::Result, Part::Params], E::None),
        Some(About::Access) => {
            let parts = opens_with(&[]);
            let access = |part: &Part| match part {
                Part::Flags(index) if name == "evt.is_open_read" => Part::Read(*index),
                Part::Flags(index) => Part::Param(*index),
                other => *other,
            };
            (parts.iter().map(access).collect(), E::None)
        }
        Some(About::Creation) => (opens_with(&["mode"]), E::True),
        Some(About::Path) => match param::path_index_of(event, name).and_then(|i| u8::try_from(i).ok()) {
            None => (vec![], E::Any),
            Some(index) if name.ends_with("raw") => (vec![Part::Passed, Part::Path(index)], E::None),
            Some(index) => (vec![Part::Path(index)], E::Any),
        },
        Some(About::Descriptor) => of_descriptor(name, event),
        Some(About::Descriptors) => {
            let list = |(_, p): &(u8, &Param)| matches!(p.ty, ParamType::FdList);
            let lists = (0u8..).zip(row.params).filter(list);
            (lists.map(|(index, _)| Part::Param(index)).collect(), E::None)
        }
        Some(About::Process) => of_process(name, &field.arg),
        Some(About::Container) => (vec![Part::Owner], E::None),
    }
}

fn of_descriptor(name: &str, event: Event) -> (Vec<Part>, Evidence) {
    use Evidence as E;
    let row = event.row();
    match (row.fd, part(name)) {
        (FdUse::None, _) => (vec![], E::Any),
        _ if name == "fd.name_changed" => (vec![Part::Never], E::None),
        (FdUse::Opens { .. } | FdUse::Makes { .. } | FdUse::Copies { .. }, Of::Number) => {
            (vec![Part::Result], E::Any)
        }
        (FdUse::Socket { fd, .. } | FdUse::Described { fd, .. }, Of::Number) => match fd {
            0 => (vec![Part::Result], E::Any),
            fd => (vec![Part::Param(fd)], E::None),
        },
        (FdUse::Opens { path, .. }, Of::Name | Of::Path) => (vec![Part::Param(path)], E::None),
        (FdUse::Opens { path, .. }, Of::RawPath) => (vec![Part::Passed, Part::Param(path)], E::None),
        (FdUse::Opens { .. }, Of::File(_) | Of::Object) => (vec![Part::Value], E::Any),
        (FdUse::Socket { .. }, Of::Connected) => (vec![Part::Never], E::None),
        (FdUse::Socket { .. }, Of::Name) => (vec![Part::Ends], E::None),
        (FdUse::Socket { .. }, Of::Socket) if name == "fd.l4proto" => (vec![Part::Protocol], E::None),
        (FdUse::Socket { .. }, Of::Address | Of::Socket) => (vec![Part::Ends], E::Any),
        (FdUse::Socket { .. }, Of::File(_)) => (vec![Part::Value], E::Any),
        _ => (vec![Part::Descriptor], E::None),
    }
}

fn of_process(name: &str, arg: &Arg) -> (Vec<Part>, Evidence) {
    use Evidence as E;
    let one = |part: Part, evidence| (vec![Part::Process, part], evidence);
    match name {
        "proc.pid" | "thread.tid" | "thread.ismain" => (vec![], E::Any),
        "user.loginuid" | "user.loginname" => (vec![Part::Process], E::None),
        _ if name.starts_with("user.") || name.starts_with("group.") => (vec![Part::User], E::None),
        "proc.exe" | "proc.args" | "proc.cmdline" | "proc.cmdnargs" | "proc.cmdlenargs" | "proc.exeline" => {
            one(Part::Arguments, E::None)
        }
        "proc.exepath" | "lanner.program" => one(Part::Executable, E::None),
        "proc.ppid" => (vec![Part::Process], E::None),
        "proc.loginshellid" => one(Part::Ancestors, E::None),
        _ if name.starts_with("proc.a") => match arg {
            // One of them, the nearest, or any.
            Arg::Index(_) | Arg::Key(_) => one(Part::Ancestors, E::Any),
            _ => one(Part::Ancestors, E::None),
        },
        "proc.pname" | "proc.pexe" | "proc.pexepath" | "proc.pcmdline" | "proc.pvpid" => {
            one(Part::Parent, E::None)
        }
        "proc.ppid.duration" | "proc.ppid.ts" => one(Part::Parent, E::Any),
        "fd.types" => one(Part::Value, E::Any),
        _ if name.starts_with("proc.std") => one(Part::Value, E::Any),
        // Of these a value is a value, and none means that nobody could look.
        "proc.exe_ino" | "thread.cgroups" | "thread.cgroup" | "proc.pidns_init_start_ts" => {
            (vec![Part::Value], E::Any)
        }
        "proc.cwd" | "proc.duration" | "proc.pid.ts" => (vec![Part::Value], E::Any),
        _ if ["proc.is_exe_", "proc.exe_ino."]
            .iter()
            .any(|first| name.starts_with(first)) =>
        {
            (vec![Part::Value], E::Any)
        }
        // Of the process where they were not read of the thread.
        _ if name.starts_with("thread.cap_") => (vec![Part::Process], E::None),
        "thread.vtid" => (vec![Part::Never], E::None),
        _ if process::task_values(name) != 0 => (vec![Part::Value], E::Any),
        _ => (vec![Part::Process], E::None),
    }
}
