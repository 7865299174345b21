//! `evt.*` and `syscall.type`.

use std::sync::OnceLock;

use lanner_schema::descriptor::DescriptorKind;
use lanner_schema::event::{Category, Event, FdUse, param_index};
use lanner_schema::flags::{self, O_F_CREATED};
use lanner_schema::record::WRITTEN_AND_MAYBE_READ;
use lanner_schema::view::{EventView, Outcome, ParamValue};

use super::Extract::{One, Plain, Unfilled};
use super::{Arg, Field, fields, param, time};
use crate::value::Value;

static HOSTNAME: OnceLock<String> = OnceLock::new();

/// Sets the host's name, for events of another; false when it was asked for or set already.
pub fn set_hostname(name: &str) -> bool {
    HOSTNAME.set(name.to_owned()).is_ok()
}

/// The host's name: `FALCO_HOSTNAME`, or what the kernel says.
pub fn hostname() -> &'static str {
    HOSTNAME.get_or_init(|| {
        std::env::var("FALCO_HOSTNAME")
            .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
            .map(|name| name.trim().to_owned())
            .unwrap_or_default()
    })
}

fn stamp<'b>(nanos: u64, write: impl FnOnce(u64, &mut String), buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let mut text = String::from_utf8(std::mem::take(buf)).ok()?;
    write(nanos, &mut text);
    *buf = text.into_bytes();
    Some(Value::Bytes(buf))
}

fn event_type<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    Some(Value::text(view.event.name()))
}

fn syscall_type<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let row = view.event.row();
    row.is_call().then(|| Value::text(row.name))
}

fn is_type<'b>(view: &EventView<'b>, arg: &Arg) -> Option<Value<'b>> {
    match arg {
        Arg::Events(_, events) => Some(Value::U64(events.contains(view.event).into())),
        _ => None,
    }
}

fn result<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let Some(result) = return_value(view) else {
        return (view.failed() == Some(false)).then_some(Value::text("SUCCESS"));
    };
    Some(Value::text(if result >= 0 {
        "SUCCESS"
    } else {
        flags::errno_name(result.unsigned_abs()).unwrap_or("UNKNOWN")
    }))
}

/// False for events of which not everything is known.
pub(super) fn told(view: &EventView<'_>) -> bool {
    view.outcome == Outcome::Told
}

/// False for events of which only their success was seen: what the caller passed is not known.
pub(super) fn knows_what_was_passed(view: &EventView<'_>) -> bool {
    view.outcome != Outcome::Succeeded
}

fn failed(view: &EventView<'_>) -> Option<bool> {
    match return_value(view) {
        Some(result) => Some(result < 0),
        None => view.failed(),
    }
}

fn count_error<'b>(view: &EventView<'b>, of: impl FnOnce(&str) -> bool) -> Option<Value<'b>> {
    if !of(category(view)) {
        return None;
    }
    failed(view).map(|failed| Value::U64(failed.into()))
}

fn open_flags(view: &EventView<'_>) -> Option<u64> {
    const BY_HANDLE: usize = param_index(Event::OpenByHandleAt, "flags");
    // Opens and creat say where their flags are; no other event has a use for them here.
    let flags = match view.event.row().fd {
        FdUse::Opens { flags, .. } => flags.into(),
        _ if view.event == Event::OpenByHandleAt => BY_HANDLE,
        _ => return None,
    };
    view.wire.number(flags)
}

/// The result of the call: [`EventView::result`] without the detour over every kind of parameter.
pub(super) fn return_value(view: &EventView<'_>) -> Option<i64> {
    match view.wire.param(view.event.row().result()?) {
        Some(param) => param.bytes.first_chunk().map(|b| i64::from_le_bytes(*b)),
        None => view.implied_result,
    }
}

/// True for the calls whose flags say what the file is opened for.
pub(crate) fn is_open(event: Event) -> bool {
    matches!(event, Event::Open | Event::Openat | Event::Openat2)
}

/// True for events that open a file to read or to write it.
pub(super) fn has_access(event: Event) -> bool {
    is_open(event) || event == Event::OpenByHandleAt
}

fn told_of_success(view: &EventView<'_>) -> bool {
    view.outcome == Outcome::Succeeded
}

/// The access mode of an open is one of `modes` (`O_RDONLY` 0, `O_WRONLY` 1, `O_RDWR` 2).
fn opens<'b>(view: &EventView<'b>, modes: [u64; 2]) -> Option<Value<'b>> {
    let flags = open_flags(view).filter(|_| has_access(view.event));
    let opens = |flags: u64| match flags & 3 {
        WRITTEN_AND_MAYBE_READ if told_of_success(view) => modes.contains(&1).then_some(true),
        mode => Some(modes.contains(&mode)),
    };
    flags.map_or(Some(false), opens).map(Value::Bool)
}

/// An open by `O_PATH`, which makes a descriptor that can neither be read nor written.
pub(super) fn opens_path(view: &EventView<'_>) -> bool {
    has_access(view.event) && open_flags(view).is_some_and(|flags| flags & flags::O_PATH != 0)
}

const O_CREAT: u64 = 0o100;
const O_TMPFILE: u64 = 0o20200000;

fn makes_executable(view: &EventView<'_>) -> bool {
    let creates = view.event == Event::Creat
        || is_open(view.event)
            && open_flags(view).is_some_and(|flags| flags & O_CREAT != 0 || flags & O_TMPFILE == O_TMPFILE);
    creates && matches!(view.param_named("mode"), Some(ParamValue::U64(mode)) if mode & 0o111 != 0)
}

fn creates(view: &EventView<'_>) -> bool {
    (is_open(view.event) || view.event == Event::Creat)
        && open_flags(view).is_some_and(|flags| {
            flags & O_F_CREATED != 0 || flags & O_TMPFILE == O_TMPFILE && failed(view) == Some(false)
        })
}

fn reads(event: Event) -> bool {
    event.row().category == Category::IoRead
}

fn writes(event: Event) -> bool {
    event.row().category == Category::IoWrite
}

/// True for reads; for Falco loading a module from a descriptor is one too, although it moves no data.
fn reads_descriptor(event: Event) -> bool {
    reads(event) || event == Event::FinitModule
}

/// True for calls that move data.
fn moves(event: Event) -> bool {
    reads(event) || writes(event)
}

/// How much a call moved.
fn moved(view: &EventView<'_>) -> Option<u64> {
    let result = return_value(view).filter(|_| moves(view.event))?;
    u64::try_from(result).ok()
}

/// The class of an event; of one that moves data, what it moves it to or from.
fn category(view: &EventView<'_>) -> &'static str {
    use DescriptorKind as K;
    match view.event.row().category {
        Category::IoRead | Category::IoWrite | Category::IoOther => match view.descriptor.map(|fd| fd.kind) {
            Some(K::File | K::Directory) => "file",
            Some(K::Ipv4 | K::Ipv6) => "net",
            Some(K::Unix | K::Pipe | K::Event | K::Signal | K::Inotify | K::UserFault) => "ipc",
            _ => "unknown",
        },
        category => category.name(),
    }
}

fn direction(event: Event) -> Option<&'static str> {
    match (writes(event), reads_descriptor(event)) {
        (true, _) => Some("write"),
        (_, true) => Some("read"),
        _ => None,
    }
}

fn data<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    if !moves(view.event) {
        return None;
    }
    match view.param_named("data")? {
        ParamValue::Bytes(bytes) => Some(Value::Bytes(bytes)),
        _ => None,
    }
}

/// Nanoseconds since the first event.
fn since_first(view: &EventView<'_>) -> u64 {
    let earlier = view.system.earlier();
    earlier.map_or(0, |earlier| view.time.saturating_sub(earlier.first))
}

/// Nanoseconds since the event before, of whatever type: the one that was shown to the rules last.
fn since_last(view: &EventView<'_>) -> u64 {
    let earlier = view.system.earlier();
    earlier.map_or(0, |earlier| view.time.saturating_sub(earlier.last))
}

const SECOND: u64 = 1_000_000_000;

/// How far the event is from the time in the brackets, in milliseconds begun: `evt.around[T] = D` is true up to D.
fn around<'b>(view: &EventView<'b>, arg: &Arg) -> Option<Value<'b>> {
    let Arg::Index(time) = arg else { return None };
    let distance = view.time.abs_diff(u64::try_from(*time).ok()?);
    Some(Value::U64(distance.div_ceil(1_000_000)))
}

/// True for calls that wait for something: Falco marks these.
fn waits(event: Event) -> bool {
    matches!(
        event.name(),
        "epoll_wait" | "poll" | "ppoll" | "select" | "nanosleep"
    )
}

/// True for writes to the socket of the system's log, by either of its names.
fn writes_syslog(view: &EventView<'_>) -> bool {
    const NAMES: [&[u8]; 2] = [b"/dev/log", b"/journal/dev-log"];
    let tuple = view
        .descriptor
        .filter(|_| writes(view.event))
        .and_then(|fd| fd.tuple);
    tuple.is_some_and(|tuple| NAMES.iter().any(|name| tuple.path.ends_with(name)))
}

/// How much a call moved, one that moves it this way, from or to a descriptor of these kinds.
fn moved_by<'b>(
    view: &EventView<'b>,
    way: impl FnOnce(Event) -> bool,
    what: impl FnOnce(DescriptorKind) -> bool,
) -> Option<Value<'b>> {
    view.descriptor.filter(|fd| way(view.event) && what(fd.kind))?;
    moved(view).map(Value::U64)
}

fn any(_: DescriptorKind) -> bool {
    true
}
fn is_file(kind: DescriptorKind) -> bool {
    kind == DescriptorKind::File
}
fn is_net(kind: DescriptorKind) -> bool {
    matches!(kind, DescriptorKind::Ipv4 | DescriptorKind::Ipv6)
}

/// Of fields that system calls do not have.
const NEVER: super::Extract = Plain(|_| None);
const ZERO: super::Extract = Plain(|_| Some(Value::U64(0)));

pub(super) static EVERY_SOURCE: &[Field] = fields! {
    "evt.num" Uint64 None [] "Counts the events, from 1." => Plain(|e| Some(Value::U64(e.number)));
    "evt.time" CharBuf None [] "Local time of day with nanoseconds." => One(|e, _, buf| stamp(e.time, |t, out| time::time_of_day(t, true, out), buf));
    "evt.time.s" CharBuf None [] "Local time of day." => One(|e, _, buf| stamp(e.time, |t, out| time::time_of_day(t, false, out), buf));
    "evt.time.iso8601" CharBuf None [] "Date and time in UTC with nanoseconds, as ISO 8601." => One(|e, _, buf| stamp(e.time, |t, out| time::iso8601(t, "+0000", out), buf));
    "evt.datetime" CharBuf None [] "Local date and time with nanoseconds." => One(|e, _, buf| stamp(e.time, |t, out| time::datetime(t, true, out), buf));
    "evt.datetime.s" CharBuf None [] "Local date and time." => One(|e, _, buf| stamp(e.time, |t, out| time::datetime(t, false, out), buf));
    "evt.rawtime" AbsTime None [] "Nanoseconds since the epoch." => Plain(|e| Some(Value::U64(e.time)));
    "evt.rawtime.s" AbsTime None [] "Seconds since the epoch." => Plain(|e| Some(Value::U64(e.time / SECOND)));
    "evt.rawtime.ns" AbsTime None [padded] "Nanoseconds within the second." => Plain(|e| Some(Value::U64(e.time % SECOND)));
    "evt.reltime" RelTime None [padded] "Nanoseconds since the first event." => Plain(|e| Some(Value::U64(since_first(e))));
    "evt.reltime.s" RelTime None [] "Seconds since the first event." => Plain(|e| Some(Value::U64(since_first(e) / SECOND)));
    "evt.reltime.ns" RelTime None [padded] "Its nanoseconds within the second." => Plain(|e| Some(Value::U64(since_first(e) % SECOND)));
    "evt.pluginname" CharBuf None [] "The plugin the event comes from; system calls have none." => Unfilled;
    "evt.plugininfo" CharBuf None [] "A plugin's summary of its event; system calls have none." => Unfilled;
    "evt.source" CharBuf None [] "The source of the event, as in syscall." => Plain(|e| Some(Value::text(e.source.name)));
    "evt.is_async" Bool None [] "The event is no system call but news of another kind." => Plain(|e| Some(Value::Bool(e.event.row().is_meta())));
    "evt.asynctype" CharBuf None [] "The kind of that news; system calls have none." => Plain(|e| e.event.row().is_meta().then(|| Value::text(e.event.name())));
    "evt.hostname" CharBuf None [] "The host's name; FALCO_HOSTNAME overrides it." => Plain(|_| Some(Value::text(hostname())));
};

pub(super) static FIELDS: &[Field] = fields! {
    "evt.latency" RelTime None [deprecated] "Always 0." => ZERO;
    "evt.latency.s" RelTime None [deprecated] "Always 0." => ZERO;
    "evt.latency.ns" RelTime None [deprecated padded] "Always 0." => ZERO;
    "evt.latency.quantized" Uint64 None [deprecated hidden] "Always 0." => ZERO;
    "evt.latency.human" CharBuf None [deprecated] "Always 0ns." => Plain(|_| Some(Value::text("0ns")));
    "evt.deltatime" RelTime None [] "Nanoseconds since the event before, of whatever type." => Plain(|e| Some(Value::U64(since_last(e))));
    "evt.deltatime.s" RelTime None [] "Seconds since the event before." => Plain(|e| Some(Value::U64(since_last(e) / SECOND)));
    "evt.deltatime.ns" RelTime None [padded] "Its nanoseconds within the second." => Plain(|e| Some(Value::U64(since_last(e) % SECOND)));
    "evt.outputtime" CharBuf None [print_only hidden] "The time, for display." => One(|e, _, buf| stamp(e.time, |t, out| time::time_of_day(t, true, out), buf));
    "evt.dir" CharBuf None [deprecated] "Always <: only the end of a call is an event." => Plain(|_| Some(Value::text("<")));
    "evt.type" CharBuf None [] "The event's name, as in open." => Plain(event_type);
    "evt.type.is" Uint32 EventType [] "1 when the event is of that type, else 0." => One(|e, arg, _| is_type(e, arg));
    "syscall.type" CharBuf None [] "The system call's name; missing when the event is none." => Plain(syscall_type);
    "evt.category" CharBuf None [] "The class of the event: file, net, process, ..." => Plain(|e| Some(Value::text(category(e))));
    "evt.cpu" Int16 None [] "The CPU it happened on." => Plain(|e| told(e).then(|| Value::U64(e.cpu.into())));
    "evt.args" CharBuf None [] "All parameters as name=value." => One(param::all);
    "evt.arg" CharBuf Param [] "One parameter as text, with names instead of numbers where there are any." => One(param::text);
    "evt.rawarg" Dyn ParamName [no_rhs no_transformer] "One parameter as it is." => One(param::raw);
    "evt.info" CharBuf None [] "The same as evt.args." => One(param::all);
    "evt.buffer" ByteBuf None [] "The first bytes of what a read or write moved." => Plain(data);
    "evt.buflen" Uint64 None [] "How much a read or write moved." => Plain(|e| moved(e).map(Value::U64));
    "evt.res" CharBuf None [] "SUCCESS, or the name of the error." => Plain(result);
    "evt.rawres" Int64 None [] "The result as a number." => Plain(|e| return_value(e).map(Value::I64));
    "evt.failed" Bool None [] "The call failed." => Plain(|e| failed(e).map(Value::Bool));
    "evt.is_io" Bool None [] "The event reads or writes." => Plain(|e| Some(Value::Bool(direction(e.event).is_some())));
    "evt.is_io_read" Bool None [] "The event reads." => Plain(|e| Some(Value::Bool(reads_descriptor(e.event))));
    "evt.is_io_write" Bool None [] "The event writes." => Plain(|e| Some(Value::Bool(writes(e.event))));
    "evt.io_dir" CharBuf None [] "read or write." => Plain(|e| direction(e.event).map(Value::text));
    "evt.is_wait" Bool None [] "The call is one that waits." => Plain(|e| Some(Value::Bool(waits(e.event))));
    "evt.wait_latency" RelTime None [deprecated] "Always 0." => ZERO;
    "evt.is_syslog" Bool None [] "The event writes to the system's log." => Plain(|e| Some(Value::Bool(writes_syslog(e))));
    "evt.count" Uint32 None [] "Always 1." => Plain(|_| Some(Value::U64(1)));
    "evt.count.error" Uint32 None [] "1 when the call failed, else 0." => Plain(|e| count_error(e, |_| true));
    "evt.count.error.file" Uint32 None [] "The same, of file events." => Plain(|e| count_error(e, |c| c == "file"));
    "evt.count.error.net" Uint32 None [] "The same, of network events." => Plain(|e| count_error(e, |c| c == "net"));
    "evt.count.error.memory" Uint32 None [] "The same, of memory events." => Plain(|e| count_error(e, |c| c == "memory"));
    "evt.count.error.other" Uint32 None [] "The same, of all other events." => Plain(|e| count_error(e, |c| !matches!(c, "file" | "net" | "memory")));
    "evt.count.exit" Uint32 None [] "Always 1." => Plain(|_| Some(Value::U64(1)));
    "evt.count.procinfo" Uint32 None [hidden] "1 for news of a process that was there before; system calls have none." => NEVER;
    "evt.count.threadinfo" Uint32 None [hidden] "1 for news of a thread that was there before; system calls have none." => NEVER;
    "evt.around" Uint64 RequiredIndex [filter_only no_rhs no_transformer] "With = only: within so many milliseconds of the time in the brackets, in nanoseconds since the epoch." => One(|e, arg, _| around(e, arg));
    "evt.abspath" CharBuf Side [] "The absolute path of a call that takes a directory; .src and .dst pick one of two." => One(|e, arg, _| param::absolute(e, arg));
    "evt.buflen.in" Uint64 None [hidden] "evt.buflen of reads." => Plain(|e| moved_by(e, reads, any));
    "evt.buflen.out" Uint64 None [hidden] "evt.buflen of writes." => Plain(|e| moved_by(e, writes, any));
    "evt.buflen.file" Uint64 None [hidden] "evt.buflen of files." => Plain(|e| moved_by(e, moves, is_file));
    "evt.buflen.file.in" Uint64 None [hidden] "evt.buflen of reads from files." => Plain(|e| moved_by(e, reads, is_file));
    "evt.buflen.file.out" Uint64 None [hidden] "evt.buflen of writes to files." => Plain(|e| moved_by(e, writes, is_file));
    "evt.buflen.net" Uint64 None [hidden] "evt.buflen of sockets." => Plain(|e| moved_by(e, moves, is_net));
    "evt.buflen.net.in" Uint64 None [hidden] "evt.buflen of reads from sockets." => Plain(|e| moved_by(e, reads, is_net));
    "evt.buflen.net.out" Uint64 None [hidden] "evt.buflen of writes to sockets." => Plain(|e| moved_by(e, writes, is_net));
    "evt.is_open_read" Bool None [] "A file was opened for reading." => Plain(|e| opens(e, [0, 2]));
    "evt.is_open_write" Bool None [] "A file was opened for writing." => Plain(|e| opens(e, [1, 2]));
    "evt.infra.docker.name" CharBuf None [hidden] "Never has a value." => Unfilled;
    "evt.infra.docker.container.id" CharBuf None [hidden] "Never has a value." => Unfilled;
    "evt.infra.docker.container.name" CharBuf None [hidden] "Never has a value." => Unfilled;
    "evt.infra.docker.container.image" CharBuf None [hidden] "Never has a value." => Unfilled;
    "evt.is_open_exec" Bool None [] "A file was created that can be executed." => Plain(|e| Some(Value::Bool(makes_executable(e))));
    "evt.is_open_create" Bool None [] "The open created the file." => Plain(|e| Some(Value::Bool(creates(e))));
};

pub(super) static UTIL_FIELDS: &[Field] = fields! {
    "util.cnt" Uint64 None [hidden] "Never has a value." => Unfilled;
};

#[cfg(test)]
#[path = "evt_tests.rs"]
mod tests;
