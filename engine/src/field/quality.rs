//! What the value of a field is worth on an event, from what the field reads and where the rows say that comes from.

use lanner_schema::event::{Event, EventRow, FdUse, Origin, Param, ParamType};
use lanner_schema::tier::{Quality, Source, SourceSet, Tier, Why};

use super::{Arg, Extract, FieldRef, ValueOrigin, evt, param};

/// What the value of `field` on `event` is worth in `tier`; `None` when no such event has a value by its nature, as a
/// file has no port.
pub(crate) fn quality(field: &FieldRef, event: Event, tier: Tier) -> Option<Quality> {
    if field.origin != ValueOrigin::Event {
        return Some(Quality::Exact);
    }
    let is_filled = !matches!(field.row.extract, Extract::Unfilled);
    if !event.row().is_kernel() && !event.row().is_meta() {
        return Some(match is_filled {
            true => Quality::Exact,
            false => Quality::Missing(Why::NotRead),
        });
    }
    let name = field.row.name;
    let about = About::of(name)?;
    if event.row().is_meta() {
        return match (about, name) {
            // Without a call, a thread and a descriptor there is the record, its parameters and its container.
            (_, "evt.asynctype") => Some(Quality::Exact),
            (About::Record | About::Params | About::Container, _) if is_filled => Some(Quality::Exact),
            (About::Param, _) => of_param(field, event, tier),
            _ => None,
        };
    }
    if !is_filled {
        return match about {
            About::Nothing => None,
            About::Descriptor if event.row().fd == FdUse::None => None,
            About::Descriptors if event.row().param("fds").is_none() => None,
            About::Data if !has_data(event.row()) => None,
            _ => Some(Quality::Missing(Why::NotRead)),
        };
    }
    match about {
        About::Nothing => None,
        About::Data if !has_data(event.row()) => None,
        // The bytes are the parameter's, and worth as much.
        About::Data if name == "evt.buffer" => event.row().param("data").map(|data| tier.param(event, data)),
        About::Descriptors => {
            let list = |p: &&Param| matches!(p.ty, ParamType::FdList | ParamType::Objects(_));
            let lists = (0..).zip(event.row().params).filter(|(_, p)| list(p));
            lists
                .map(|(index, _)| tier.param(event, index))
                .reduce(Quality::and)
        }
        About::Record if name == "lanner.filesystem_path" => event
            .row()
            .param("filesystem_path")
            .map(|index| tier.param(event, index)),
        About::Record if param::reads_real_names(name) => {
            let which = match field.arg {
                Arg::Index(which) => which,
                _ => 0,
            };
            let (path, real) = event.row().real_paths().nth(which)?;
            Some(match name {
                "lanner.requested_name" => as_passed(tier.param(event, path.into()), event, tier),
                _ => tier.param(event, real.into()),
            })
        }
        About::Record if name == "evt.cpu" && tier == Tier::None => Some(Quality::Missing(Why::NotGiven)),
        About::Record | About::Data => Some(Quality::Exact),
        About::Result => result(event, tier),
        About::Param => of_param(field, event, tier),
        About::Params => Some(all_params(event, tier)),
        About::Access => evt::has_access(event).then(|| tier.access(event)),
        About::Creation => creation(name, event, tier),
        About::Path => path(name, event, tier),
        About::Descriptor => match descriptor(name, event, tier) {
            Some(address) if field.is_names() => Some(address.and(Quality::Weaker(Why::NamesInRules))),
            known => known,
        },
        About::Process => Some(process(name, tier)),
        About::Container => Some(tier.container()),
    }
}

/// What the value of `field` on `event` is worth where these sources are all there is: without one that tells of processes,
/// nobody knows whether what /proc says of one was so before.
pub(crate) fn quality_from(
    field: &FieldRef,
    event: Event,
    tier: Tier,
    sources: SourceSet,
) -> Option<Quality> {
    match quality(field, event, tier)? {
        Quality::Weaker(Why::FromProc)
            if tier == Tier::None
                && !sources.has(Source::Connector)
                && About::of(field.row.name) == Some(About::Process) =>
        {
            Some(Quality::Weaker(Why::Unheard))
        }
        quality => Some(quality),
    }
}

/// What a field is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// What no event of a system call has; Falco has no value either.
    Nothing,
    /// The record itself: type, time, CPU, thread.
    Record,
    /// What a call read or wrote.
    Data,
    /// The result of the call.
    Result,
    /// One parameter.
    Param,
    /// All of them.
    Params,
    /// How a file was opened.
    Access,
    /// Whether an open created the file.
    Creation,
    /// Paths of file operations.
    Path,
    /// The descriptor.
    Descriptor,
    /// The descriptors of a poll.
    Descriptors,
    /// The process, its kin and its user.
    Process,
    /// The container.
    Container,
}

impl About {
    /// Every field has to be named here, by its name or its class; a test looks.
    pub(super) fn of(name: &str) -> Option<About> {
        Some(match name {
            "evt.res" | "evt.rawres" | "evt.failed" => About::Result,
            "evt.arg" | "evt.rawarg" | "evt.abspath" => About::Param,
            "evt.buffer" => About::Data,
            "evt.args" | "evt.info" => About::Params,
            "evt.is_open_read" | "evt.is_open_write" | "lanner.is_open_path" => About::Access,
            "evt.is_open_exec" | "evt.is_open_create" => About::Creation,
            "thread.exectime" | "thread.cpu" | "thread.cpu.user" | "thread.cpu.system" => About::Nothing,
            "lanner.program" => About::Process,
            "evt.pluginname" | "evt.plugininfo" | "evt.asynctype" => About::Nothing,
            "evt.count.procinfo" | "evt.count.threadinfo" | "evt.count.error.memory" => About::Nothing,
            // Deprecated, and without a value in Falco too.
            "container.healthcheck" | "container.liveness_probe" | "container.readiness_probe" => {
                About::Nothing
            }
            _ => match name.split('.').next()? {
                "evt" if name.starts_with("evt.count.error") => About::Result,
                "evt" if name.starts_with("evt.buflen") => About::Data,
                "evt" if name.starts_with("evt.infra.") => About::Nothing,
                "util" => About::Nothing,
                "evt" | "syscall" | "lanner" => About::Record,
                "fs" => About::Path,
                "fd" if name == "fd.types" => About::Process,
                "fd" => About::Descriptor,
                "fdlist" => About::Descriptors,
                "proc" if name.starts_with("proc.is_container_") => About::Nothing,
                "proc" | "thread" | "user" | "group" => About::Process,
                "k8s" if !name.starts_with("k8s.pod.") && name != "k8s.ns.name" => About::Nothing,
                "container" | "k8s" => About::Container,
                _ => return None,
            },
        })
    }
}

fn result(event: Event, tier: Tier) -> Option<Quality> {
    Some(tier.param(event, event.row().result()?))
}

fn of_param(field: &FieldRef, event: Event, tier: Tier) -> Option<Quality> {
    let index = match field.row.name {
        "evt.abspath" => event.row().param(param::absolute_param(event, &field.arg)?)?,
        _ => param::index(event, &field.arg)?,
    };
    let quality = tier.param(event, index);
    Some(match field.row.name {
        "evt.rawarg" if is_path(event, index) => as_passed(quality, event, tier),
        _ => quality,
    })
}

fn is_path(event: Event, index: usize) -> bool {
    matches!(event.row().params[index].from, Origin::UserPath { .. })
}

/// A path that is wanted as it was passed need not be the file's own. Who sees what became of it does not know that.
fn as_passed(quality: Quality, event: Event, tier: Tier) -> Quality {
    match quality {
        _ if tier == Tier::None && !SourceSet::from_iter([Source::Seccomp]).sees(event) => {
            Quality::Missing(Why::NotGiven)
        }
        Quality::Weaker(Why::PathAsPassed | Why::NameAtReturn | Why::NameLookedUp | Why::NameInCall) => {
            Quality::Weaker(Why::FromCaller)
        }
        other => other,
    }
}

fn all_params(event: Event, tier: Tier) -> Quality {
    let row = event.row();
    let shown = (0..row.params.len()).filter(|index| !row.params[*index].hidden);
    let worst = shown.map(|index| match tier.param(event, index) {
        // The others are printed.
        Quality::Missing(_) => Quality::Weaker(Why::SomeMissing),
        quality => quality,
    });
    worst.fold(Quality::Exact, Quality::and)
}

fn named(event: Event, tier: Tier, name: &str) -> Quality {
    match event.row().param(name) {
        Some(index) => tier.param(event, index),
        None => Quality::Exact,
    }
}

fn creation(name: &str, event: Event, tier: Tier) -> Option<Quality> {
    let opens = evt::is_open(event) || event == Event::Creat;
    opens.then(|| match (name, event) {
        ("evt.is_open_create", _) if tier == Tier::None => Quality::Weaker(Why::CreatedOnly),
        // creat always creates; what matters is whom it lets execute.
        ("evt.is_open_exec", Event::Creat) => named(event, tier, "mode"),
        ("evt.is_open_exec", _) => named(event, tier, "flags").and(named(event, tier, "mode")),
        _ => named(event, tier, "flags"),
    })
}

fn path(name: &str, event: Event, tier: Tier) -> Option<Quality> {
    let index = param::path_index_of(event, name)?;
    let path = tier.param(event, index);
    let path = if name.ends_with("raw") {
        as_passed(path, event, tier)
    } else {
        path
    };
    let result = result(event, tier)?;
    // What has happened to a file is told with its name.
    let is_told = tier == Tier::None && SourceSet::from_iter([Source::Fanotify]).sees(event);
    Some(if is_told { path } else { path.and(result) })
}

/// True when the call moves data.
fn has_data(row: &EventRow) -> bool {
    row.params
        .iter()
        .any(|p| p.name == "data" && p.ty == ParamType::ByteBuf)
}

/// What a field tells of a descriptor.
pub(super) fn part(name: &str) -> Part {
    match name {
        "fd.num" | "fd.uid" => Part::Number,
        "fd.type" | "fd.typechar" | "fd.sockfamily" => Part::Kind,
        "fd.name" | "fd.containername" => Part::Name,
        "fd.directory" | "fd.filename" | "fd.containerdirectory" => Part::Path,
        "fd.nameraw" => Part::RawPath,
        "fd.dev" | "fd.dev.major" | "fd.dev.minor" => Part::File("dev"),
        "fd.ino" => Part::File("ino"),
        "fd.l4proto" | "fd.is_server" => Part::Socket,
        "fd.lip" | "fd.lport" | "fd.lnet" | "fd.lproto" | "fd.lip.name" => Part::Socket,
        "fd.connected" => Part::Connected,
        "fd.is_upper_layer" | "fd.is_lower_layer" => Part::Object,
        _ => Part::Address,
    }
}

fn descriptor(name: &str, event: Event, tier: Tier) -> Option<Quality> {
    let row = event.row();
    let kind = part(name);
    let param = |index: u8| tier.param(event, index.into());
    match (row.fd, kind) {
        (FdUse::None, _) => None,
        (FdUse::Opens { .. }, Part::Number) => Some(param(0)),
        // A directory is told from a file by the flags of the call, as in Falco.
        (FdUse::Opens { flags, .. }, Part::Kind) => Some(match row.params[usize::from(flags)].from {
            Origin::Absent => Quality::Exact,
            _ if tier == Tier::None => Quality::Exact,
            _ => tier.access(event),
        }),
        (FdUse::Opens { path, .. }, Part::Name | Part::Path) => Some(param(path)),
        (FdUse::Opens { path, .. }, Part::RawPath) => Some(as_passed(param(path), event, tier)),
        (FdUse::Copies { .. }, Part::Number) => Some(param(0)),
        (FdUse::Makes { .. }, Part::Number | Part::Kind) => Some(param(0)),
        (FdUse::Makes { object, .. }, Part::Name | Part::Path | Part::Object | Part::File(_)) => {
            Some(param(object))
        }
        (FdUse::Makes { object, .. }, Part::Address | Part::Connected | Part::Socket) => {
            (event == Event::Socket).then(|| param(object))
        }
        (FdUse::Copies { .. } | FdUse::Described { .. }, Part::RawPath) => None,
        (FdUse::Socket { fd, .. } | FdUse::Described { fd, .. }, Part::Number) => Some(param(fd)),
        (FdUse::Copies { object, .. } | FdUse::Described { object, .. }, _) => Some(param(object)),
        _ if tier == Tier::None && matches!(name, "fd.name_changed" | "fd.connected") => {
            Some(Quality::Missing(Why::NotGiven))
        }
        // Nothing but the ends that were read has them.
        (FdUse::Socket { tuple, .. }, Part::Kind | Part::Socket) if tier == Tier::None => {
            Some(param(tuple).and(tier.socket()))
        }
        (FdUse::Socket { .. }, Part::Kind | Part::Socket) => Some(tier.socket()),
        (FdUse::Socket { tuple, .. }, Part::Name | Part::Address) => Some(param(tuple)),
        (FdUse::Socket { tuple, .. }, Part::File("ino")) => Some(param(tuple)),
        (FdUse::Socket { fd, .. }, Part::File(_)) => {
            row.object_of(fd.into()).map(|index| tier.param(event, index))
        }
        (FdUse::Socket { tuple, .. }, Part::Connected) => Some(param(tuple).and(result(event, tier)?)),
        (FdUse::Opens { .. }, Part::Object) => row.object_of(0).map(|index| tier.param(event, index)),
        (FdUse::Opens { .. }, Part::File(name)) => Some(match row.param(name) {
            Some(index) => tier.param(event, index),
            None => Quality::Missing(Why::NotRead),
        }),
        _ => None,
    }
}

/// A part of what is known of a descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Number,
    Kind,
    Name,
    Path,
    RawPath,
    File(&'static str),
    /// What only the object tells.
    Object,
    Connected,
    /// The socket itself and its own end.
    Socket,
    /// Either end, or the other.
    Address,
}

fn process(name: &str, tier: Tier) -> Quality {
    match name {
        "thread.tid" | "thread.ismain" | "proc.pid" => Quality::Exact,
        "fd.types" => Quality::Weaker(Why::FromProc),
        // Of hosts where every subsystem has a hierarchy of its own.
        "thread.cgroups" | "thread.cgroup" => Quality::Weaker(Why::FromProc),
        _ if name.starts_with("proc.std") => Quality::Weaker(Why::FromProc),
        _ => tier.process(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(field: &str, event: Event, tier: Tier) -> Option<Quality> {
        quality(&FieldRef::resolve(field, None).unwrap(), event, tier)
    }

    #[test]
    fn every_field_is_about_something() {
        let unclassified: Vec<&str> = super::super::all()
            .map(|field| field.name)
            .filter(|name| About::of(name).is_none())
            .collect();
        assert!(unclassified.is_empty(), "{unclassified:?}");
    }

    #[test]
    fn a_field_is_worth_what_it_reads_is_worth() {
        use Event as E;
        use Quality::{Exact, Missing, Weaker};
        use Tier::{None as D, Raw as C, SysExit as B, Trampoline as A};
        for (field, event, tier, expected) in [
            ("evt.type", E::Openat, D, Some(Exact)),
            ("evt.rawres", E::Openat, B, Some(Exact)),
            ("evt.rawres", E::Procexit, B, None),
            ("evt.is_open_write", E::Openat, B, Some(Exact)),
            ("evt.is_open_write", E::Openat2, B, Some(Weaker(Why::FromCaller))),
            ("evt.is_open_write", E::Openat2, A, Some(Weaker(Why::FromCaller))),
            ("evt.is_open_write", E::Openat, D, Some(Weaker(Why::AccessOnly))),
            ("evt.is_open_write", E::Connect, B, None),
            ("evt.is_open_exec", E::Creat, B, Some(Exact)),
            ("evt.is_open_create", E::Creat, B, Some(Exact)),
            ("fdlist.names", E::Poll, B, Some(Weaker(Why::FromCaller))),
            ("fdlist.nums", E::Ppoll, B, Some(Weaker(Why::FromCaller))),
            ("fd.name", E::Close, B, Some(Exact)),
            ("fd.name", E::Close, C, Some(Missing(Why::TakenAway))),
            ("fd.num", E::Close, B, Some(Exact)),
            ("fd.name", E::CloseRange, B, None),
            ("evt.is_open_create", E::Openat, B, Some(Exact)),
            ("evt.arg.name", E::Openat, B, Some(Weaker(Why::NameAtReturn))),
            ("evt.rawarg.name", E::Openat, B, Some(Weaker(Why::FromCaller))),
            ("evt.arg.name", E::Connect, B, None),
            ("evt.arg.vtid", E::Clone, B, Some(Exact)),
            ("evt.arg.vm_size", E::Execve, B, Some(Exact)),
            ("evt.arg.cgroups", E::Execve, D, Some(Weaker(Why::FromProc))),
            ("thread.vtid", E::Openat, B, Some(Exact)),
            ("thread.cap_effective", E::Openat, B, Some(Exact)),
            ("evt.arg.creat_flags", E::Creat, A, Some(Exact)),
            ("evt.args", E::Creat, B, Some(Weaker(Why::NameAtReturn))),
            ("evt.arg.addr", E::Ptrace, B, Some(Exact)),
            ("evt.arg.data", E::Ptrace, B, Some(Weaker(Why::FromCaller))),
            ("evt.args", E::Setuid, B, Some(Exact)),
            ("evt.abspath", E::Openat, C, Some(Weaker(Why::PathAsPassed))),
            ("fd.name", E::Openat, A, Some(Weaker(Why::NameAtReturn))),
            ("fd.name", E::Openat, B, Some(Weaker(Why::NameAtReturn))),
            ("fd.nameraw", E::Openat, B, Some(Weaker(Why::FromCaller))),
            ("evt.arg.path", E::Mkdirat, B, Some(Weaker(Why::NameLookedUp))),
            ("lanner.real_name", E::Openat, B, Some(Exact)),
            ("lanner.names_differ", E::Open, B, Some(Exact)),
            ("lanner.filesystem_path", E::Open, B, Some(Exact)),
            (
                "lanner.filesystem_path",
                E::Open,
                C,
                Some(Missing(Why::NeedsTypes)),
            ),
            ("evt.is_open_write", E::Openat, C, Some(Exact)),
            (
                "evt.is_open_create",
                E::Openat,
                C,
                Some(Weaker(Why::CreatedUntold)),
            ),
            ("evt.arg.spid", E::Signaldeliver, C, Some(Exact)),
            ("container.id", E::Openat, C, Some(Weaker(Why::CgroupOfVersion2))),
            ("lanner.filesystem_path", E::Unlink, B, None),
            (
                "lanner.requested_name",
                E::Openat,
                B,
                Some(Weaker(Why::FromCaller)),
            ),
            ("lanner.real_name", E::Unlink, B, Some(Weaker(Why::FromProc))),
            ("fd.name", E::Fchmod, B, Some(Exact)),
            ("fd.name", E::Listen, B, Some(Exact)),
            ("fd.name", E::FinitModule, B, Some(Exact)),
            ("fd.sip", E::MemfdCreate, B, None),
            ("fd.typechar", E::MemfdCreate, B, Some(Exact)),
            ("fd.type", E::Socket, B, Some(Exact)),
            ("fd.name", E::Unlink, B, None),
            ("fd.typechar", E::Creat, B, Some(Exact)),
            ("fd.sip", E::Openat, B, None),
            ("fd.sip", E::Connect, B, Some(Exact)),
            ("fd.dev", E::Connect, B, Some(Exact)),
            ("fd.dev", E::Recvmsg, C, Some(Weaker(Why::FromProc))),
            ("fd.sip", E::Connect, C, Some(Weaker(Why::AddressAsPassed))),
            ("fd.sip.name", E::Connect, B, Some(Weaker(Why::NamesInRules))),
            ("fd.sip.name", E::Execve, B, None),
            ("fdlist.names", E::Openat, B, None),
            ("evt.buffer", E::Openat, B, None),
            ("evt.buffer", E::Ptrace, B, None),
            ("evt.buffer", E::Sendto, B, Some(Weaker(Why::FromCaller))),
            ("evt.arg.data", E::Sendto, B, Some(Weaker(Why::FromCaller))),
            ("evt.is_io_write", E::Sendto, B, Some(Exact)),
            ("evt.is_io_write", E::Openat, B, Some(Exact)),
            ("fd.sip", E::Sendto, B, Some(Weaker(Why::FromCaller))),
            ("fd.sip", E::Sendto, C, Some(Weaker(Why::AddressAsPassed))),
            ("fd.l4proto", E::Sendto, B, Some(Exact)),
            ("fd.typechar", E::Sendto, B, Some(Exact)),
            ("fd.lport", E::Sendto, C, Some(Weaker(Why::FromProc))),
            ("fd.name", E::Dup2, B, Some(Exact)),
            ("fd.type", E::Dup, C, Some(Weaker(Why::FromProc))),
            ("fd.sip", E::Dup3, D, Some(Missing(Why::NotGiven))),
            ("fd.type", E::Dup, D, Some(Missing(Why::NotGiven))),
            ("fd.type", E::Setns, D, Some(Missing(Why::NotGiven))),
            ("fd.type", E::Accept4, D, Some(Missing(Why::NotGiven))),
            ("fd.l4proto", E::Sendmsg, D, Some(Missing(Why::NotGiven))),
            ("fd.l4proto", E::Connect, D, Some(Weaker(Why::FromProc))),
            ("fd.ino", E::Fchmod, B, Some(Exact)),
            ("fd.ino", E::Openat, B, Some(Exact)),
            ("fd.ino", E::Fchmod, C, Some(Weaker(Why::FromProc))),
            ("fs.path.name", E::Unlink, B, Some(Weaker(Why::NameLookedUp))),
            ("fs.path.name", E::Unlink, A, Some(Weaker(Why::NameInCall))),
            ("fs.path.nameraw", E::Unlink, A, Some(Weaker(Why::FromCaller))),
            ("evt.arg.oldpath", E::Linkat, A, Some(Weaker(Why::NameLookedUp))),
            ("evt.arg.newpath", E::Linkat, A, Some(Weaker(Why::NameInCall))),
            ("lanner.real_name", E::Unlink, A, Some(Exact)),
            ("lanner.real_name", E::Unlink, C, Some(Weaker(Why::FromProc))),
            ("fs.path.name", E::Unlink, D, Some(Weaker(Why::NameLater))),
            ("fd.name", E::Openat, D, Some(Weaker(Why::NameLater))),
            ("fs.path.name", E::Connect, B, None),
            ("fs.path.name", E::Chown, B, Some(Weaker(Why::NameLookedUp))),
            ("fs.path.target", E::Chown, B, None),
            ("fs.path.name", E::Umount2, B, Some(Weaker(Why::NameLookedUp))),
            ("fs.path.target", E::Mount, B, Some(Weaker(Why::NameLookedUp))),
            ("fs.path.source", E::Mount, B, Some(Weaker(Why::FromCaller))),
            ("fs.path.name", E::Mount, B, None),
            ("proc.name", E::Openat, B, Some(Exact)),
            ("proc.name", E::Openat, D, Some(Weaker(Why::FromProc))),
            ("proc.sid", E::Openat, B, Some(Exact)),
            ("thread.cap_effective", E::Openat, B, Some(Exact)),
            ("proc.sid", E::Execve, B, Some(Exact)),
            ("container.id", E::Openat, D, Some(Weaker(Why::FromProc))),
            ("thread.exectime", E::Openat, A, None),
            ("thread.cpu.user", E::Openat, A, None),
            ("k8s.rc.name", E::Openat, B, None),
            ("container.image", E::Container, B, Some(Exact)),
            ("evt.arg.data", E::ContainerRemoved, D, Some(Exact)),
            ("evt.asynctype", E::Container, B, Some(Exact)),
            ("evt.asynctype", E::Openat, B, None),
            ("evt.num", E::Container, B, Some(Exact)),
            ("proc.name", E::Container, B, None),
            ("fd.name", E::Container, B, None),
        ] {
            assert_eq!(
                of(field, event, tier),
                expected,
                "{field} on {event:?} in {}",
                tier.name()
            );
        }
    }
}
