//! Event parameters as text: without names, and with names instead of numbers.
//!
//! Source: the forms are Falco's (`userspace/libsinsp/event.cpp`, `get_param_as_str`).

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lanner_schema::descriptor::{Descriptor, unmapped};
use lanner_schema::event::{Format, Origin, ParamType};
use lanner_schema::flags::{self, FlagTable};
use lanner_schema::process::strings;
use lanner_schema::record::{AF_INET, AF_INET6, AF_UNIX, SocketTuple};
use lanner_schema::view::{EventView, ParamValue};

use super::{evt, time};

/// What a parameter without a value prints.
const NULL: &[u8] = b"NULL";

/// Appends a number. Writing to a vector cannot fail.
pub(super) fn number(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

/// True for bytes that Falco takes for no value; an empty text is one.
pub(super) fn is_empty(ty: ParamType, bytes: &[u8]) -> bool {
    ty == ParamType::ByteBuf && bytes.is_empty()
}

/// The names of a parameter's bits or codes.
fn table(ty: ParamType) -> Option<&'static FlagTable> {
    match ty {
        ParamType::Flags(table) | ParamType::Enum(table) | ParamType::Mode(table) => Some(table),
        _ => None,
    }
}

/// Falco's number for the kernel's, of parameters that are flags or codes.
pub(super) fn falco(ty: ParamType, value: u64) -> u64 {
    table(ty).map_or(value, |table| table.falco(value).into())
}

/// Appends the parameter without names.
pub(super) fn plain(view: &EventView<'_>, index: usize, out: &mut Vec<u8>) {
    let Some(value) = view.param(index) else {
        out.extend_from_slice(NULL);
        return;
    };
    let param = &view.event.row().params[index];
    let ty = param.ty;
    match value {
        ParamValue::I64(value) => formatted(out, ty, param.format, value.cast_unsigned()),
        ParamValue::U64(value) => match ty {
            ParamType::Uid | ParamType::Gid if value == u64::from(u32::MAX) => number(out, -1),
            ParamType::SyscallId => out.extend_from_slice(view.event.name().as_bytes()),
            ParamType::AbsTime => {
                let mut text = String::new();
                time::datetime(value, true, &mut text);
                out.extend_from_slice(text.as_bytes());
            }
            ParamType::PtraceWord(request) if !sends_signal(view, request) => {
                let _ = write!(out, "{value:X}");
            }
            // Falco prints bits and codes in decimal here, whatever the row says.
            ParamType::Flags(_) | ParamType::Enum(_) => number(out, falco(ty, value)),
            _ => formatted(out, ty, param.format, falco(ty, value)),
        },
        ParamValue::Path { raw, .. } => out.extend_from_slice(raw),
        ParamValue::Bytes(bytes) if is_empty(ty, bytes) => out.extend_from_slice(NULL),
        ParamValue::Bytes(bytes) if matches!(ty, ParamType::ByteBuf | ParamType::Dyn) => {
            if matches!(param.name, "args" | "env" | "cgroups") {
                for string in strings(bytes) {
                    printable(string, out);
                    out.push(b'.');
                }
            } else {
                printable(bytes, out);
            }
        }
        ParamValue::Bytes(_) if ty == ParamType::FdList => polled(view, out),
        ParamValue::Bytes(bytes) => out.extend_from_slice(bytes),
        ParamValue::Tuple(tuple) if is_nameless(&tuple) => {
            let _ = write!(out, "family {}", tuple.family);
        }
        ParamValue::Tuple(tuple) if ty == ParamType::SockAddr => address_text(&tuple, out),
        ParamValue::Tuple(tuple) => tuple_text(&unmapped(tuple), param.is_inbound(), out),
    }
}

/// What happens to a descriptor that is polled: the kernel's bits and Falco's.
const POLL_EVENTS: [(u16, u16); 11] = [
    (1, 1),
    (2, 2),
    (4, 4),
    (0x2000, 8),
    (8, 0x10),
    (0x10, 0x20),
    (0x20, 0x40),
    (0x40, 0x80),
    (0x80, 0x100),
    (0x100, 0x200),
    (0x200, 0x400),
];

/// Appends the descriptors of a poll: number, type and what happened, as `3:f1 5:44`.
fn polled(view: &EventView<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    for (revents, fd) in view.polled() {
        if out.len() > start {
            out.push(b' ');
        }
        let events = POLL_EVENTS.iter().filter(|(bit, _)| revents & bit != 0);
        let events = events.fold(0, |events, (_, bit)| events | bit);
        let letter = match fd.ino {
            Some(_) => fd.kind.letter(),
            None => "?",
        };
        let _ = write!(out, "{}:{letter}{events:x}", fd.number);
    }
}

fn printable(bytes: &[u8], out: &mut Vec<u8>) {
    let dots = bytes.iter().map(|b| match b {
        b' '..=b'~' => *b,
        _ => b'.',
    });
    out.extend(dots);
}

/// Appends a number as its row says. Decimals are signed there, of whatever type.
fn formatted(out: &mut Vec<u8>, ty: ParamType, format: Format, value: u64) {
    let is_narrow = !matches!(
        ty,
        ParamType::U64
            | ParamType::I64
            | ParamType::Errno
            | ParamType::Fd
            | ParamType::Pid
            | ParamType::Dyn
            | ParamType::RelTime
            | ParamType::PtraceWord(_)
    );
    let value = if is_narrow {
        value & u64::from(u32::MAX)
    } else {
        value
    };
    let _ = match format {
        Format::Hex => write!(out, "{value:X}"),
        Format::Octal if value != 0 => write!(out, "0{value:o}"),
        Format::Octal => write!(out, "0"),
        Format::Decimal if is_narrow => write!(out, "{}", (value as u32).cast_signed()),
        Format::Decimal => write!(out, "{}", value.cast_signed()),
    };
}

/// Appends the parameter's form with names; false when it has none.
pub(super) fn resolved(view: &EventView<'_>, index: usize, out: &mut Vec<u8>) -> bool {
    let Some(value) = view.param(index) else {
        return false;
    };
    let ty = view.event.row().params[index].ty;
    let before = out.len();
    match (ty, value) {
        (ParamType::Fd, ParamValue::I64(-100)) => out.extend_from_slice(b"AT_FDCWD"),
        (ParamType::Errno | ParamType::Fd | ParamType::Dyn, ParamValue::I64(value)) if value < 0 => {
            out.extend_from_slice(flags::errno_name(value.unsigned_abs()).unwrap_or("").as_bytes());
        }
        (ParamType::Fd, ParamValue::I64(value)) => {
            let described = view.described(index).filter(|fd| fd.number == value);
            if let Some(fd) = described.filter(Descriptor::is_known) {
                out.push(b'<');
                out.extend_from_slice(fd.kind.letter().as_bytes());
                out.extend_from_slice(super::fd::protocol_letter(&fd).as_bytes());
                out.push(b'>');
                super::fd::name_into(&fd, out);
            }
        }
        // A number of the caller's own pid namespace says nothing of the host's process that has it.
        (ParamType::Pid, ParamValue::I64(_))
            if matches!(
                view.event.row().params[index].from,
                Origin::Arg(_) | Origin::Return
            ) && view.process.is_none_or(|process| process.vpid != process.pid) => {}
        (ParamType::Pid, ParamValue::I64(pid)) => {
            if let Some(process) = u32::try_from(pid).ok().and_then(|pid| view.system.process(pid)) {
                out.extend_from_slice(&process.image.comm);
            }
        }
        (ParamType::Uid | ParamType::Gid, ParamValue::U64(id)) => {
            out.extend_from_slice(owner_name(view, ty, id).as_bytes());
        }
        (ParamType::PtraceWord(request), ParamValue::U64(_)) if !sends_signal(view, request) => {}
        (ParamType::Signal | ParamType::PtraceWord(_), ParamValue::U64(signal)) => {
            let name = usize::try_from(signal).ok().and_then(|s| SIGNALS.get(s));
            out.extend_from_slice(name.copied().unwrap_or("").as_bytes());
        }
        (ParamType::FsPath | ParamType::FsRelPath(_), ParamValue::Path { resolved, .. }) => {
            out.extend_from_slice(resolved.unwrap_or_default());
        }
        (ty, ParamValue::U64(value)) => {
            if let Some(table) = table(ty) {
                table.for_each(value, |name| {
                    if out.len() > before {
                        out.push(b'|');
                    }
                    out.extend_from_slice(name.as_bytes());
                });
            }
        }
        _ => {}
    }
    out.len() > before
}

/// The name of a user or group: `<NA>` when it is not known, `<NONE>` when there is no id.
fn owner_name<'v>(view: &'v EventView<'_>, ty: ParamType, id: u64) -> &'v str {
    let name = match u32::try_from(id) {
        Ok(u32::MAX) | Err(_) => return "<NONE>",
        Ok(0) if ty == ParamType::Uid => Some("root"),
        Ok(id) if ty == ParamType::Uid => view.system.user(id).map(|user| &*user.name),
        Ok(id) => view.system.group(id),
    };
    name.filter(|name| !name.is_empty()).unwrap_or("<NA>")
}

/// True for `ptrace` requests whose data is the signal they let the tracee go on with. A failed call has none.
fn sends_signal(view: &EventView<'_>, request: Option<u8>) -> bool {
    const CONT: u64 = 7;
    const SINGLESTEP: u64 = 9;
    const DETACH: u64 = 17;
    const SYSCALL: u64 = 24;
    let request = request.and_then(|index| view.wire.number(index.into()));
    matches!(request, Some(CONT | SINGLESTEP | DETACH | SYSCALL))
        && evt::return_value(view).is_some_and(|result| result >= 0)
}

const SIGNALS: [&str; 32] = [
    "",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

fn end(out: &mut Vec<u8>, end: Option<(IpAddr, u16)>, family: u16) {
    let (ip, port) = end.unwrap_or((
        match family {
            AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        },
        0,
    ));
    let _ = write!(out, "{ip}:{port}");
}

/// Appends both ends of a socket, `local->remote`, or the other way round for what comes in. A local socket shows where the
/// kernel keeps the socket and its peer, in Falco's order, and its path.
pub(super) fn tuple_text(tuple: &SocketTuple<'_>, inbound: bool, out: &mut Vec<u8>) {
    let (mut from, mut to) = (tuple.local, tuple.remote);
    if from.is_none() && to.is_none() {
        let (own, peer) = tuple.kernel;
        if own | peer != 0 {
            let (from, to) = if inbound { (own, peer) } else { (peer, own) };
            let _ = write!(out, "{from:x}->{to:x} ");
        }
        path_text(tuple.path, out);
        return;
    }
    if inbound {
        std::mem::swap(&mut from, &mut to);
    }
    end(out, from, tuple.family);
    out.extend_from_slice(b"->");
    end(out, to, tuple.family);
}

/// Appends one end of a socket, or its path.
pub(super) fn address_text(tuple: &SocketTuple<'_>, out: &mut Vec<u8>) {
    match tuple.remote.or(tuple.local) {
        Some(address) => end(out, Some(address), tuple.family),
        None => path_text(tuple.path, out),
    }
}

/// True of sockets of which only the family is known.
fn is_nameless(tuple: &SocketTuple<'_>) -> bool {
    let has_address = matches!(tuple.family, 0 | AF_UNIX | AF_INET | AF_INET6);
    !has_address && tuple.path.is_empty() && tuple.kernel == (0, 0) && tuple.local.or(tuple.remote).is_none()
}

/// A socket's path; the NUL that begins an abstract one prints as `@`.
fn path_text(path: &[u8], out: &mut Vec<u8>) {
    match path.split_first() {
        Some((0, rest)) => {
            out.push(b'@');
            out.extend_from_slice(rest);
        }
        _ => out.extend_from_slice(path),
    }
}

#[cfg(test)]
#[path = "param_text_tests.rs"]
mod tests;
