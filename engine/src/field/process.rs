//! `proc.*`, `thread.*`, `user.*` and `group.*`.

use lanner_schema::descriptor::Descriptor;
use lanner_schema::flags::{
    CAPABILITIES, EXE_FROM_MEMFD, EXE_LOWER_LAYER, EXE_UNKNOWN_LAYER, EXE_UPPER_LAYER, EXE_WRITABLE,
};
use lanner_schema::process::{Image, Process, strings};
use lanner_schema::task::{TaskValue, bits};
use lanner_schema::view::{EventView, Outcome};

use super::Extract::{Ancestor, Any, One, Plain, Unfilled};
use super::known::is_told;
use super::{Arg, Field, fd, fields, param};
use crate::value::Value;

/// Longer chains are a loop or of no use.
const MAX_ANCESTORS: usize = 256;
/// How far `proc.aenv[NAME]` looks, as in Falco.
const MAX_ENV_ANCESTORS: usize = 20;

fn parent<'b>(view: &EventView<'b>, of: &Process) -> Option<&'b Process> {
    if of.ppid == 0 || of.ppid == of.pid {
        return None;
    }
    view.system.parent(of)
}

/// The process itself, then its ancestors, until `each` returns true. A chain that leads back to where it was ends
/// there.
fn walk<'b>(view: &EventView<'b>, each: &mut dyn FnMut(&'b Process) -> bool) {
    let Some(mut at) = view.process else { return };
    // Brent's way of finding a loop: a marker that jumps forward at powers of two.
    let (mut marker, mut until) = (at.pid, 1);
    for step in 0..MAX_ANCESTORS {
        if each(at) {
            return;
        }
        match parent(view, at) {
            Some(next) if next.pid != marker => at = next,
            _ => return,
        }
        if step == until {
            marker = at.pid;
            until *= 2;
        }
    }
}

/// Calls `each` with every ancestor, the parent first, until it returns true.
pub(super) fn ancestors<'b>(view: &EventView<'b>, each: &mut dyn FnMut(&'b Process) -> bool) {
    let mut itself = true;
    walk(view, &mut |process| {
        if std::mem::take(&mut itself) {
            return false;
        }
        each(process)
    });
}

/// True when every process above the event's own is known, up to one that nobody started.
pub(super) fn lineage_is_whole(view: &EventView<'_>) -> bool {
    let mut whole = false;
    walk(view, &mut |process| {
        whole = is_told(process) && (process.ppid == 0 || process.ppid == process.pid);
        !is_told(process)
    });
    whole
}

/// Ancestor `n`: 0 is the process itself, 1 its parent.
pub(super) fn ancestor<'b>(view: &EventView<'b>, n: usize) -> Option<&'b Process> {
    let (mut found, mut left) = (None, n);
    walk(view, &mut |process| {
        if left == 0 {
            found = Some(process);
            return true;
        }
        left -= 1;
        false
    });
    found
}

fn up<'b>(view: &EventView<'b>) -> Option<&'b Process> {
    parent(view, view.process?)
}

/// The leader of a session or group: the process with that id, or the oldest ancestor that shares it.
fn leader<'b>(view: &EventView<'b>, id: fn(&Process) -> u32) -> Option<&'b Process> {
    let wanted = id(view.process?);
    if wanted == 0 {
        return None;
    }
    if let Some(leader) = view.system.process(wanted).filter(|p| id(p) == wanted) {
        return Some(leader);
    }
    let mut oldest = view.process;
    walk(view, &mut |process| {
        if id(process) != wanted {
            return true;
        }
        oldest = Some(process);
        false
    });
    oldest
}

/// The leader of a process's group as its pid namespace sees it: of a group that is not in there, number 0, the oldest
/// ancestor of the namespace that is in it too.
fn inner_leader<'b>(view: &EventView<'b>) -> Option<&'b Process> {
    let process = view.process?;
    if process.vpgid != 0 {
        return leader(view, group);
    }
    let mut oldest = process;
    walk(view, &mut |known| {
        if known.vpgid != 0 || known.pgid != process.pgid {
            return true;
        }
        oldest = known;
        false
    });
    Some(oldest)
}

fn session(p: &Process) -> u32 {
    p.sid
}
fn group(p: &Process) -> u32 {
    p.pgid
}

fn comm(p: &Process) -> Value<'_> {
    Value::Bytes(&p.image.comm)
}
fn exe(p: &Process) -> Value<'_> {
    Value::Bytes(&p.image.exe)
}
fn exepath(p: &Process) -> Value<'_> {
    Value::Bytes(&p.image.exepath)
}
/// False for a program of which only the name is known, where more may have been passed.
fn has_arguments(view: &EventView<'_>, process: &Process) -> bool {
    view.outcome == Outcome::Told || !process.image.exe.is_empty()
}
fn cmdline(p: &Process) -> Value<'_> {
    Value::Bytes(&p.image.cmdline)
}
fn pid(p: &Process) -> Value<'_> {
    Value::I64(p.pid.into())
}
fn id<'b>(id: u32) -> Option<Value<'b>> {
    Some(Value::I64(id.into()))
}

fn image<'b>(view: &EventView<'b>) -> Option<&'b Image> {
    Some(&view.process?.image)
}

fn args<'b>(view: &EventView<'b>, arg: &Arg) -> Option<Value<'b>> {
    let image = image(view)?;
    Some(Value::Bytes(match arg {
        Arg::Index(n) => strings(&image.args).nth(*n).unwrap_or_default(),
        _ => image.args_joined(),
    }))
}

fn ancestor_args<'b>(view: &EventView<'b>, arg: &Arg, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    if let Arg::Index(n) = arg {
        return Some(Value::Bytes(ancestor(view, *n)?.image.args_joined()));
    }
    let mut any = false;
    ancestors(view, &mut |process| {
        if std::mem::replace(&mut any, true) {
            buf.push(b' ');
        }
        buf.extend_from_slice(process.image.args_joined());
        false
    });
    any.then_some(Value::Bytes(buf))
}

fn exeline<'b>(view: &EventView<'b>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let image = image(view)?;
    buf.extend_from_slice(&image.exe);
    for arg in strings(&image.args) {
        buf.push(b' ');
        buf.extend_from_slice(arg);
    }
    Some(Value::Bytes(buf))
}

/// The value of a variable, without `NAME=`.
fn variable<'a>(image: &'a Image, name: &str) -> Option<&'a [u8]> {
    strings(&image.env).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn join_env(image: &Image, out: &mut Vec<u8>) {
    for (index, entry) in strings(&image.env).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(entry);
    }
}

fn env<'b>(view: &EventView<'b>, arg: &Arg, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let image = image(view)?;
    if let Arg::Key(name) = arg {
        return Some(Value::Bytes(variable(image, name).unwrap_or_default()));
    }
    join_env(image, buf);
    Some(Value::Bytes(buf))
}

/// Without an argument the environment of every ancestor, entries separated by NUL as they are kept; with an index one
/// ancestor's; with a name the value in the nearest ancestor that sets it.
fn ancestor_env<'b>(view: &EventView<'b>, arg: &Arg, each: &mut dyn FnMut(Value<'b>) -> bool) {
    match arg {
        Arg::Key(name) => {
            let (mut found, mut left) = (None, MAX_ENV_ANCESTORS);
            ancestors(view, &mut |process| {
                left -= 1;
                found = variable(&process.image, name);
                found.is_some() || left == 0
            });
            if let Some(value) = found {
                each(Value::Bytes(value));
            }
        }
        Arg::Index(n) => {
            if let Some(process) = ancestor(view, *n) {
                each(Value::Bytes(&process.image.env));
            }
        }
        _ => ancestors(view, &mut |process| each(Value::Bytes(&process.image.env))),
    }
}

/// What a descriptor of the process refers to now: the type.
fn type_now<'b>(view: &EventView<'b>, number: u32) -> Option<Value<'b>> {
    let mut kind = None;
    let look = &mut |fd: &Descriptor<'_>| kind = Some(fd.kind);
    view.system.descriptor_now(view.pid, number, look);
    kind.map(|kind| Value::text(kind.word()))
}

/// And its name; empty for what has none.
fn name_now<'b>(view: &EventView<'b>, number: u32, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let mut is_open = false;
    let look = &mut |opened: &Descriptor<'_>| {
        is_open = true;
        fd::name_into(opened, buf);
    };
    view.system.descriptor_now(view.pid, number, look);
    is_open.then_some(Value::Bytes(buf))
}

/// The types of all descriptors of the process, each once, or of one.
pub(super) fn types_now<'b>(view: &EventView<'b>, arg: &Arg, each: &mut dyn FnMut(Value<'b>) -> bool) {
    if let Arg::Index(number) = arg {
        if let Some(ty) = u32::try_from(*number)
            .ok()
            .and_then(|number| type_now(view, number))
        {
            each(ty);
        }
        return;
    }
    let mut seen = Vec::new();
    for number in view.system.descriptors_now(view.pid) {
        let mut stop = false;
        view.system.descriptor_now(view.pid, number, &mut |fd| {
            if !seen.contains(&fd.kind) {
                seen.push(fd.kind);
                stop = each(Value::text(fd.kind.word()));
            }
        });
        if stop {
            return;
        }
    }
}

fn cwd<'b>(view: &EventView<'b>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let cwd = view.process?.directory()?;
    buf.extend_from_slice(cwd);
    if !cwd.ends_with(b"/") {
        buf.push(b'/');
    }
    Some(Value::Bytes(buf))
}

/// The oldest of the process and its ancestors whose name ends in `sh`.
fn login_shell<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let mut found = None;
    walk(view, &mut |process| {
        if process.image.comm.ends_with(b"sh") {
            found = Some(pid(process));
        }
        false
    });
    found
}

fn since<'b>(view: &EventView<'b>, of: Option<&Process>) -> Option<Value<'b>> {
    let start = of?.start_time;
    (start != 0).then(|| Value::U64(view.time.saturating_sub(start)))
}

fn start<'b>(of: Option<&Process>) -> Option<Value<'b>> {
    let start = of?.start_time;
    (start != 0).then_some(Value::U64(start))
}

fn known<'b>(nanos: u64) -> Option<Value<'b>> {
    (nanos != 0).then_some(Value::U64(nanos))
}

fn change_to_start<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let process = view.process?;
    let (change, start) = (process.image.exe_ctime, process.start_time);
    (change != 0 && start != 0).then(|| Value::U64(start.saturating_sub(change)))
}

fn pidns_start_to_change<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let process = view.process?;
    let (start, change) = (process.pidns_start, process.image.exe_ctime);
    (start != 0 && change > start).then(|| Value::U64(change - start))
}

/// What the kernel said of the program's file when it was started, or /proc of the file of a program that ran before
/// Lanner.
fn exec_flag<'b>(view: &EventView<'b>, bit: u32) -> Option<Value<'b>> {
    let process = view.process?;
    let of_layers = EXE_UPPER_LAYER | EXE_LOWER_LAYER;
    let is_known = process.exec_time != 0 || process.image.exe_ino != 0;
    // Of a file that nobody could look at nothing is told.
    let is_seen = bit & of_layers == 0 && process.image.exe_ino != 0;
    let is_told = is_seen || process.image.exec_flags & EXE_UNKNOWN_LAYER == 0;
    (is_known && is_told).then(|| Value::Bool(process.image.exec_flags & bit != 0))
}

fn capabilities<'b>(set: u64, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    for (bit, name) in CAPABILITIES.iter().enumerate() {
        if set & 1 << bit != 0 {
            if !buf.is_empty() {
                buf.push(b' ');
            }
            buf.extend_from_slice(name.as_bytes());
        }
    }
    Some(Value::Bytes(buf))
}

/// Open descriptors in percent of how many may be open.
fn descriptor_usage<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    let (open, limit) = (view.task(TaskValue::FdOpen)?, view.task(TaskValue::FdLimit)?);
    // Counts of descriptors are far below what a double holds exactly.
    #[allow(clippy::cast_precision_loss)]
    let percent = open as f64 * 100.0 / limit as f64;
    (limit != 0).then_some(Value::F64(percent))
}

/// A value of the memory, which its threads share: told once, on the first.
fn of_first_thread<'b>(view: &EventView<'b>, value: TaskValue, factor: u64) -> Option<Value<'b>> {
    if view.tid != view.pid {
        return Some(Value::U64(0));
    }
    Some(Value::U64(view.task(value)?.saturating_mul(factor)))
}

fn cgroups<'b>(view: &EventView<'b>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    let all = &view.process?.cgroups;
    for (index, cgroup) in strings(all).enumerate() {
        if index > 0 {
            buf.push(b' ');
        }
        buf.extend_from_slice(cgroup);
    }
    (!all.is_empty()).then_some(Value::Bytes(buf))
}

fn cgroup<'b>(view: &EventView<'b>, arg: &Arg) -> Option<Value<'b>> {
    let Arg::Key(subsystem) = arg else { return None };
    strings(&view.process?.cgroups)
        .find_map(|cgroup| cgroup.strip_prefix(subsystem.as_bytes())?.strip_prefix(b"="))
        .map(Value::Bytes)
}

fn name_and_tid<'b>(view: &EventView<'b>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
    buf.extend_from_slice(&image(view)?.comm);
    param::number(buf, view.tid);
    Some(Value::Bytes(buf))
}

/// A value every thread has, on events that have one.
/// An id of a user or group, where it is known.
fn account<'b>(view: &EventView<'_>, id: u32) -> Option<Value<'b>> {
    (view.outcome == Outcome::Told || id != u32::MAX).then_some(Value::U64(id.into()))
}

fn of_thread<'b>(view: &EventView<'b>, value: Option<Value<'b>>) -> Option<Value<'b>> {
    value.filter(|_| !view.event.row().is_meta())
}

const UNKNOWN: &str = "<NA>";

fn user_name<'b>(view: &EventView<'b>, uid: u32) -> Value<'b> {
    Value::text(match view.system.user(uid) {
        Some(user) => &user.name,
        None if uid == 0 => "root",
        None => UNKNOWN,
    })
}

fn home<'b>(view: &EventView<'b>) -> Value<'b> {
    Value::text(match view.system.user(view.uid) {
        Some(user) => &user.home,
        None if view.uid == 0 => "/root",
        None => UNKNOWN,
    })
}

fn shell<'b>(view: &EventView<'b>) -> Value<'b> {
    Value::text(view.system.user(view.uid).map_or(UNKNOWN, |user| &user.shell))
}

fn group_name<'b>(view: &EventView<'b>) -> Value<'b> {
    Value::text(match view.system.group(view.gid) {
        Some(name) => name,
        None if view.gid == 0 => "root",
        None => UNKNOWN,
    })
}

fn login_uid<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    Some(Value::I64(match view.process?.loginuid {
        u32::MAX => -1,
        uid => uid.into(),
    }))
}

fn login_name<'b>(view: &EventView<'b>) -> Option<Value<'b>> {
    Some(match view.process?.loginuid {
        u32::MAX => Value::text(UNKNOWN),
        uid => user_name(view, uid),
    })
}

/// The values of the thread that the field called `name` reads, as bits.
pub(super) fn task_values(name: &str) -> u32 {
    use TaskValue as T;
    bits(match name {
        "thread.cap_permitted" => &[T::CapPermitted],
        "thread.cap_inheritable" => &[T::CapInheritable],
        "thread.cap_effective" => &[T::CapEffective],
        "proc.fdopencount" => &[T::FdOpen],
        "proc.fdlimit" => &[T::FdLimit],
        "proc.fdusage" => &[T::FdOpen, T::FdLimit],
        "proc.vmsize" | "thread.vmsize" | "thread.vmsize.b" => &[T::VmSize],
        "proc.vmrss" | "thread.vmrss" | "thread.vmrss.b" => &[T::VmRss],
        "proc.vmswap" => &[T::VmSwap],
        "thread.pfmajor" => &[T::MajorFaults],
        "thread.pfminor" => &[T::MinorFaults],
        "thread.vtid" => &[T::Vtid],
        "thread.totexectime" => &[T::CpuTime],
        "proc.nthreads" | "proc.nchilds" => &[T::Threads],
        _ => &[],
    })
}

/// True for what a process can change without starting a program, in a call that tells of it.
pub(super) fn changes_between_execs(name: &str) -> bool {
    name.starts_with("proc.sid")
        || name.starts_with("proc.pgid")
        || name.starts_with("proc.vpgid")
        || matches!(
            name,
            "proc.sname" | "proc.is_sid_leader" | "proc.is_pgid_leader" | "proc.is_vpgid_leader" | "proc.tty"
        )
}

pub(super) static FIELDS: &[Field] = fields! {
    "proc.exe" CharBuf None [] "First argument of the command line (argv[0])." => Plain(|e| e.process.map(exe));
    "proc.pexe" CharBuf None [] "The parent's proc.exe." => Plain(|e| up(e).map(exe));
    "proc.aexe" CharBuf Index [no_rhs no_transformer] "An ancestor's proc.exe: 0 is the process itself, 1 its parent; without an index any ancestor." => Ancestor(exe);
    "proc.exepath" CharBuf None [] "Path of the program that runs." => Plain(|e| e.process.map(exepath));
    "proc.pexepath" CharBuf None [] "The parent's proc.exepath." => Plain(|e| up(e).map(exepath));
    "proc.aexepath" CharBuf Index [no_rhs no_transformer] "An ancestor's proc.exepath." => Ancestor(exepath);
    "proc.name" CharBuf None [] "The task's name, at most 15 characters." => Plain(|e| e.process.map(comm));
    "proc.pname" CharBuf None [] "The parent's proc.name." => Plain(|e| up(e).map(comm));
    "proc.aname" CharBuf Index [no_rhs no_transformer] "An ancestor's proc.name." => Ancestor(comm);
    "proc.args" CharBuf Index [] "The arguments joined by blanks, or one of them." => One(|e, arg, _| args(e, arg));
    "proc.aargs" CharBuf Index [] "An ancestor's proc.args; without an index all ancestors' joined." => One(ancestor_args);
    "proc.cmdline" CharBuf None [] "proc.name and proc.args." => Plain(|e| e.process.filter(|p| has_arguments(e, p)).map(cmdline));
    "proc.pcmdline" CharBuf None [] "The parent's proc.cmdline." => Plain(|e| up(e).filter(|p| has_arguments(e, p)).map(cmdline));
    "proc.acmdline" CharBuf Index [no_rhs no_transformer] "An ancestor's proc.cmdline." => Ancestor(cmdline);
    "proc.cmdnargs" Uint64 None [] "How many arguments follow the first." => Plain(|e| Some(Value::U64(strings(&image(e)?.args).count() as u64)));
    "proc.cmdlenargs" Uint64 None [] "Their length together." => Plain(|e| Some(Value::U64(strings(&image(e)?.args).map(|a| a.len() as u64).sum())));
    "proc.exeline" CharBuf None [] "proc.exe and proc.args." => One(|e, _, buf| exeline(e, buf));
    "proc.env" CharBuf Key [] "The environment, or one variable of it (empty when unset)." => One(env);
    "proc.aenv" CharBuf IndexOrKey [no_rhs no_transformer] "Ancestors' environment, one ancestor's, or a variable in the nearest ancestor that sets it." => Any(ancestor_env);
    "proc.cwd" CharBuf None [] "The working directory, with a final slash." => One(|e, _, buf| cwd(e, buf));
    "proc.loginshellid" Int64 None [] "Pid of the oldest shell among the process and its ancestors." => Plain(login_shell);
    "proc.tty" Uint32 None [] "Number of the controlling terminal; 0 when there is none." => Plain(|e| Some(Value::U64(e.process?.tty.into())));
    "proc.pid" Int64 None [] "Process id." => Plain(|e| of_thread(e, id(e.pid)));
    "proc.ppid" Int64 None [] "The parent's id." => Plain(|e| id(e.process?.ppid));
    "proc.apid" Int64 Index [no_rhs no_transformer] "An ancestor's id." => Ancestor(pid);
    "proc.vpid" Int64 None [] "Process id in its own pid namespace." => Plain(|e| id(e.process?.vpid));
    "proc.pvpid" Int64 None [] "The parent's proc.vpid." => Plain(|e| id(up(e)?.vpid));
    "proc.sid" Int64 None [] "Session id." => Plain(|e| id(e.process?.sid));
    "proc.sname" CharBuf None [] "Name of the session's leader." => Plain(|e| leader(e, session).map(comm));
    "proc.sid.exe" CharBuf None [] "proc.exe of the session's leader." => Plain(|e| leader(e, session).map(exe));
    "proc.sid.exepath" CharBuf None [] "proc.exepath of the session's leader." => Plain(|e| leader(e, session).map(exepath));
    "proc.vpgid" Int64 None [] "Process group in its own pid namespace; 0 when it has no number there." => Plain(|e| id(e.process?.vpgid));
    "proc.vpgid.name" CharBuf None [] "Name of the group's leader." => Plain(|e| inner_leader(e).map(comm));
    "proc.vpgid.exe" CharBuf None [] "proc.exe of the group's leader." => Plain(|e| inner_leader(e).map(exe));
    "proc.vpgid.exepath" CharBuf None [] "proc.exepath of the group's leader." => Plain(|e| inner_leader(e).map(exepath));
    "proc.pgid" Int64 None [] "Process group." => Plain(|e| id(e.process?.pgid));
    "proc.pgid.name" CharBuf None [] "Name of the group's leader." => Plain(|e| leader(e, group).map(comm));
    "proc.pgid.exe" CharBuf None [] "proc.exe of the group's leader." => Plain(|e| leader(e, group).map(exe));
    "proc.pgid.exepath" CharBuf None [] "proc.exepath of the group's leader." => Plain(|e| leader(e, group).map(exepath));
    "proc.duration" RelTime None [] "Nanoseconds since the process was created." => Plain(|e| since(e, e.process));
    "proc.ppid.duration" RelTime None [] "Nanoseconds since the parent was created." => Plain(|e| since(e, up(e)));
    "proc.pid.ts" RelTime None [] "When the process was created, nanoseconds since the epoch." => Plain(|e| start(e.process));
    "proc.ppid.ts" RelTime None [] "When the parent was created, nanoseconds since the epoch." => Plain(|e| start(up(e)));
    "proc.is_exe_writable" Bool None [] "The program's file can be written to by the user who runs it." => Plain(|e| exec_flag(e, EXE_WRITABLE));
    "proc.is_exe_upper_layer" Bool None [] "The program's file is in the upper layer of an overlay: not from the image." => Plain(|e| exec_flag(e, EXE_UPPER_LAYER));
    "proc.is_exe_lower_layer" Bool None [] "The program's file is in a lower layer of an overlay." => Plain(|e| exec_flag(e, EXE_LOWER_LAYER));
    "proc.is_exe_from_memfd" Bool None [] "The program's file exists in memory only." => Plain(|e| exec_flag(e, EXE_FROM_MEMFD));
    "proc.is_sid_leader" Bool None [] "The process leads its session." => Plain(|e| e.process.map(|p| Value::Bool(p.sid == p.pid)));
    "proc.is_vpgid_leader" Bool None [] "The process leads its group." => Plain(|e| e.process.map(|p| Value::Bool(p.vpgid == p.vpid)));
    "proc.is_pgid_leader" Bool None [] "The process leads its group." => Plain(|e| e.process.map(|p| Value::Bool(p.pgid == p.pid)));
    "proc.exe_ino" Int64 None [] "Inode number of the program's file." => Plain(|e| Some(image(e)?.exe_ino).filter(|ino| *ino != 0).map(Value::U64));
    "proc.exe_ino.ctime" AbsTime None [] "When that inode was last changed, nanoseconds since the epoch." => Plain(|e| known(image(e)?.exe_ctime));
    "proc.exe_ino.mtime" AbsTime None [] "When that file was last written to, nanoseconds since the epoch." => Plain(|e| known(image(e)?.exe_mtime));
    "proc.exe_ino.ctime_duration_proc_start" AbsTime None [] "Nanoseconds from that change to the creation of the process; 0 when it came later." => Plain(change_to_start);
    "proc.exe_ino.ctime_duration_pidns_start" AbsTime None [] "Nanoseconds from the start of the pid namespace to that change; missing when it came earlier." => Plain(pidns_start_to_change);
    "proc.pidns_init_start_ts" Uint64 None [] "When the pid namespace's first process was created, nanoseconds since the epoch." => Plain(|e| known(e.process?.pidns_start));
    "thread.cap_permitted" CharBuf None [] "Permitted capabilities, separated by blanks." => One(|e, _, buf| capabilities(e.task(TaskValue::CapPermitted)?, buf));
    "thread.cap_inheritable" CharBuf None [] "Inheritable capabilities, separated by blanks." => One(|e, _, buf| capabilities(e.task(TaskValue::CapInheritable)?, buf));
    "thread.cap_effective" CharBuf None [] "Effective capabilities, separated by blanks." => One(|e, _, buf| capabilities(e.task(TaskValue::CapEffective)?, buf));
    "proc.fdopencount" Uint64 None [] "How many descriptors are open." => Plain(|e| e.task(TaskValue::FdOpen).map(Value::U64));
    "proc.fdlimit" Int64 None [] "How many may be open." => Plain(|e| e.task(TaskValue::FdLimit).map(|n| Value::I64(n.cast_signed())));
    "proc.fdusage" Double None [] "How many of those are open, in percent." => Plain(descriptor_usage);
    "proc.vmsize" Uint64 None [] "Virtual memory in kB." => Plain(|e| e.task(TaskValue::VmSize).map(Value::U64));
    "proc.vmrss" Uint64 None [] "Resident memory in kB." => Plain(|e| e.task(TaskValue::VmRss).map(Value::U64));
    "proc.vmswap" Uint64 None [] "Swapped memory in kB." => Plain(|e| e.task(TaskValue::VmSwap).map(Value::U64));
    "thread.pfmajor" Uint64 None [] "Major page faults." => Plain(|e| e.task(TaskValue::MajorFaults).map(Value::U64));
    "thread.pfminor" Uint64 None [] "Minor page faults." => Plain(|e| e.task(TaskValue::MinorFaults).map(Value::U64));
    "thread.tid" Int64 None [] "Thread id." => Plain(|e| of_thread(e, id(e.tid)));
    "thread.ismain" Bool None [] "The thread is its process's first." => Plain(|e| of_thread(e, Some(Value::Bool(e.tid == e.pid))));
    "thread.vtid" Int64 None [] "Thread id in its own pid namespace." => Plain(|e| e.task(TaskValue::Vtid).map(|n| Value::I64(n.cast_signed())));
    "thread.exectime" RelTime None [] "CPU time of the last slice; 0 on every event but a switch, and those are not captured." => Plain(|_| Some(Value::U64(0)));
    "thread.totexectime" RelTime None [] "CPU time of the thread since it was created, in nanoseconds." => Plain(|e| e.task(TaskValue::CpuTime).map(Value::U64));
    "thread.cgroups" CharBuf None [] "Every cgroup as subsystem=path." => One(|e, _, buf| cgroups(e, buf));
    "thread.cgroup" CharBuf DotName [] "The cgroup of one subsystem." => One(|e, arg, _| cgroup(e, arg));
    "thread.nametid" CharBuf None [hidden] "proc.name and thread.tid, one after the other." => One(|e, _, buf| name_and_tid(e, buf));
    "proc.nthreads" Uint64 None [] "How many threads the process has." => Plain(|e| e.task(TaskValue::Threads).map(Value::U64));
    "proc.nchilds" Uint64 None [] "How many threads besides the first." => Plain(|e| e.task(TaskValue::Threads).map(|n| Value::U64(n.saturating_sub(1))));
    "thread.cpu" Double None [] "CPU use." => Unfilled;
    "thread.cpu.user" Double None [] "CPU use in user space." => Unfilled;
    "thread.cpu.system" Double None [] "CPU use in the kernel." => Unfilled;
    "thread.vmsize" Uint64 None [] "proc.vmsize on the first thread, 0 on others." => Plain(|e| of_first_thread(e, TaskValue::VmSize, 1));
    "thread.vmrss" Uint64 None [] "proc.vmrss on the first thread, 0 on others." => Plain(|e| of_first_thread(e, TaskValue::VmRss, 1));
    "thread.vmsize.b" Uint64 None [hidden] "thread.vmsize in bytes." => Plain(|e| of_first_thread(e, TaskValue::VmSize, 1024));
    "thread.vmrss.b" Uint64 None [hidden] "thread.vmrss in bytes." => Plain(|e| of_first_thread(e, TaskValue::VmRss, 1024));
    "proc.stdin.type" CharBuf None [] "Type of descriptor 0, as /proc has it once the event is looked at; missing when the process is gone by then." => Plain(|e| type_now(e, 0));
    "proc.stdout.type" CharBuf None [] "Type of descriptor 1, as /proc has it once the event is looked at; missing when the process is gone by then." => Plain(|e| type_now(e, 1));
    "proc.stderr.type" CharBuf None [] "Type of descriptor 2, as /proc has it once the event is looked at; missing when the process is gone by then." => Plain(|e| type_now(e, 2));
    "proc.stdin.name" CharBuf None [] "Name of descriptor 0, likewise." => One(|e, _, buf| name_now(e, 0, buf));
    "proc.stdout.name" CharBuf None [] "Name of descriptor 1, likewise." => One(|e, _, buf| name_now(e, 1, buf));
    "proc.stderr.name" CharBuf None [] "Name of descriptor 2, likewise." => One(|e, _, buf| name_now(e, 2, buf));
};

pub(super) static USER_FIELDS: &[Field] = fields! {
    "user.uid" Uint32 None [] "Effective user id." => Plain(|e| of_thread(e, account(e, e.uid)));
    "user.name" CharBuf None [] "The user's name; <NA> when there is none." => Plain(|e| of_thread(e, Some(user_name(e, e.uid))));
    "user.homedir" CharBuf None [] "The user's home directory; <NA> when there is none." => Plain(|e| of_thread(e, Some(home(e))));
    "user.shell" CharBuf None [] "The user's login shell; <NA> when there is none." => Plain(|e| of_thread(e, Some(shell(e))));
    "user.loginuid" Int64 None [] "User id at login; -1 when unset." => Plain(login_uid);
    "user.loginname" CharBuf None [] "The user's name at login; <NA> when there is none." => Plain(login_name);
};

pub(super) static GROUP_FIELDS: &[Field] = fields! {
    "group.gid" Uint32 None [] "Effective group id." => Plain(|e| of_thread(e, account(e, e.gid)));
    "group.name" CharBuf None [] "The group's name; <NA> when there is none." => Plain(|e| of_thread(e, Some(group_name(e))));
};
